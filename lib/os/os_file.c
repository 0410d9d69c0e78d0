/* os_file.c - files and folders of os.h. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	OS_READ_CHUNK = 16384
};

/* "PATH: cause" from errno. */
static enum err
os_fail_path(struct why *why, const char *path, const char *doing)
{
	int errnum = errno;

	return why_set(why, err_from_errno(errnum), "%s: %s: %s", path, doing,
		       strerror(errnum));
}

/* The same where the cause is an error of ours by now. */
static enum err
os_fail_with(struct why *why, enum err e, const char *path, const char *doing)
{
	return why_set(why, e, "%s: %s: %s", path, doing, err_text(e));
}

static ssize_t
os_read_again(int fd, void *p, size_t len)
{
	ssize_t got;

	do {
		got = read(fd, p, len);
	} while (got < 0 && errno == EINTR);
	return got;
}

bool
os_file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

enum err
os_file_open(const char *path, int *fd_out, struct why *why)
{
	struct slice text = slice_of_str(path);
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	*fd_out = -1;
	if (fd < 0)
		return os_fail_path(why, path, "cannot open it");
	/* A pipe put where a file is expected would stop the whole program. A
	 * shell's <(command) is meant so. */
	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) &&
	    !slice_has_prefix(text, "/dev/") &&
	    !slice_has_prefix(text, "/proc/")) {
		(void)close(fd);
		return why_set(why, ERR_UNSUPPORTED,
			       "%s: a pipe, where a file is expected", path);
	}
	(void)fcntl(fd, F_SETFL, 0);
	*fd_out = fd;
	return ERR_OK;
}

/* The buffer is full: is this the end of the file, too? */
static enum err
os_check_end(int fd)
{
	uint8_t more;
	ssize_t got = os_read_again(fd, &more, 1);

	if (got < 0)
		return err_from_errno(errno);
	return got == 0 ? ERR_OK : ERR_LIMIT;
}

enum err
os_fd_read(int fd, struct buf *out)
{
	for (;;) {
		size_t room = out->max - buf_len(out);
		size_t len = room < OS_READ_CHUNK ? room : OS_READ_CHUNK;
		uint8_t *p;
		ssize_t got;
		enum err ret;

		if (room == 0)
			return os_check_end(fd);
		if ((ret = buf_reserve(out, len, &p)) != ERR_OK)
			return ret;
		got = os_read_again(fd, p, len);
		if (got < 0)
			return err_from_errno(errno);
		if (got == 0)
			return ERR_OK;
		buf_commit(out, (size_t)got);
	}
}

enum err
os_file_read(const char *path, struct buf *out, struct why *why)
{
	int fd;
	enum err ret = os_file_open(path, &fd, why);

	if (ret != ERR_OK)
		return ret;
	ret = os_fd_read(fd, out);
	if (ret == ERR_LIMIT)
		ret = why_set(why, ret, "%s: larger than %zu bytes", path,
			      out->max);
	else if (ret != ERR_OK)
		ret = os_fail_with(why, ret, path, "cannot read it");
	(void)close(fd);
	return ret;
}

/* Reads into a secret of `cap` bytes; *full_out when they are all used, so that
 * there may be more. */
static enum err
os_read_secret(int fd, size_t cap, struct secret **out, bool *full_out)
{
	struct secret *s;
	size_t len = 0;
	ssize_t got = 1;
	enum err ret;

	*out = NULL;
	*full_out = false;
	if ((ret = secret_new(cap, &s)) != ERR_OK)
		return ret;
	while (got > 0 && len < cap) {
		got = os_read_again(fd, secret_get_writable(s) + len,
				    cap - len);
		if (got < 0) {
			ret = err_from_errno(errno);
			secret_free(s);
			return ret;
		}
		len += (size_t)got;
	}
	*full_out = len == cap;
	secret_truncate(s, len);
	*out = s;
	return ERR_OK;
}

enum err
os_fd_read_secret(int fd, size_t max, struct secret **out)
{
	struct stat st;
	size_t cap = max + 1;
	bool is_full;
	enum err ret;

	*out = NULL;
	must(max < SIZE_MAX);
	/* Locked memory is short: as much as the file says it needs. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= 0 &&
	    (uint64_t)st.st_size < max)
		cap = (size_t)st.st_size + 1;
	ret = os_read_secret(fd, cap, out, &is_full);
	if (ret == ERR_OK && is_full) {
		secret_free(TAKE(*out));
		return cap > max ? ERR_LIMIT : ERR_BUSY;
	}
	return ret;
}

enum err
os_file_read_secret(const char *path, size_t max, struct secret **out,
		    struct why *why)
{
	int fd;
	enum err ret;

	*out = NULL;
	if ((ret = os_file_open(path, &fd, why)) != ERR_OK)
		return ret;
	ret = os_fd_read_secret(fd, max, out);
	if (ret == ERR_LIMIT)
		ret = why_set(why, ret, "%s: larger than %zu bytes", path, max);
	else if (ret == ERR_BUSY)
		ret = why_set(why, ret, "%s: grew while it was read", path);
	else if (ret != ERR_OK)
		ret = os_fail_with(why, ret, path, "cannot read it");
	(void)close(fd);
	return ret;
}

/* -- writing ----------------------------------------------------------- */

static enum err
os_write_all(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t put = write(fd, bytes.p, bytes.len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_from_errno(errno);
		bytes = slice_sub(bytes, (size_t)put, bytes.len);
	}
	return ERR_OK;
}

/* see os.h */
char *
os_dup_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_dup_str(".");
	if (slash == path)
		return mem_dup_str("/");
	return mem_dup_slice_str(slice_of(path, (size_t)(slash - path)));
}

/* Makes a rename in the folder durable. */
static enum err
os_sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err ret = ERR_OK;

	if (fd < 0)
		return err_from_errno(errno);
	/* Some file systems cannot; they have no better way either. */
	if (fsync(fd) != 0 && errno != EINVAL)
		ret = err_from_errno(errno);
	(void)close(fd);
	return ret;
}

static enum err
os_fill_file(int fd, struct slice bytes, mode_t mode)
{
	enum err ret = os_write_all(fd, bytes);

	if (ret != ERR_OK)
		return ret;
	if (fchmod(fd, mode) != 0 || fsync(fd) != 0)
		return err_from_errno(errno);
	return ERR_OK;
}

enum err
os_file_write_atomic(const char *path, struct slice bytes, mode_t mode,
		     struct why *why)
{
	char *folder = os_dup_parent(path);
	char *fresh = mem_printf("%s.XXXXXX", path);
	int fd = mkostemp(fresh, O_CLOEXEC);
	enum err ret;

	if (fd < 0) {
		ret = os_fail_path(why, path, "cannot make a file beside it");
		goto out;
	}
	if ((ret = os_fill_file(fd, bytes, mode)) != ERR_OK)
		ret = os_fail_with(why, ret, path, "cannot write it");
	(void)close(fd);
	if (ret == ERR_OK && rename(fresh, path) != 0)
		ret = os_fail_path(why, path, "cannot replace it");
	if (ret != ERR_OK) {
		(void)unlink(fresh);
		goto out;
	}
	if ((ret = os_sync_folder(folder)) != ERR_OK)
		ret = os_fail_with(why, ret, folder, "cannot sync the folder");
out:
	mem_free(folder);
	mem_free(fresh);
	return ret;
}

/* -- folders ----------------------------------------------------------- */

/* Makes the folders above the last one. */
static enum err
os_make_parents(const char *path, struct why *why)
{
	char *copy = mem_dup_str(path);
	enum err ret = ERR_OK;

	for (char *p = copy + 1; *copy != '\0' && *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0755) != 0 && errno != EEXIST) {
			ret = os_fail_path(why, copy, "cannot make the folder");
			break;
		}
		*p = '/';
	}
	mem_free(copy);
	return ret;
}

static enum err
os_own_folder(int fd, mode_t mode, uid_t uid, gid_t gid)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_from_errno(errno);
	if (uid != (uid_t)-1 && (st.st_uid != uid || st.st_gid != gid) &&
	    fchown(fd, uid, gid) != 0)
		return err_from_errno(errno);
	if ((st.st_mode & 07777) != mode && fchmod(fd, mode) != 0)
		return err_from_errno(errno);
	return ERR_OK;
}

enum err
os_dir_make(const char *path, mode_t mode, uid_t uid, gid_t gid,
	    struct why *why)
{
	enum err ret = os_make_parents(path, why);
	int fd;

	if (ret != ERR_OK)
		return ret;
	if (mkdir(path, mode) != 0 && errno != EEXIST)
		return os_fail_path(why, path, "cannot make the folder");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return os_fail_path(why, path, "cannot open the folder");
	ret = os_own_folder(fd, mode, uid, gid);
	if (ret != ERR_OK)
		ret = os_fail_with(why, ret, path, "cannot set owner or mode");
	(void)close(fd);
	return ret;
}
