/* output_write.c - one set of files, swapped at once (see output.h). */
#include "agent/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/os.h"

#define SET_PREFIX "..set-"
#define DATA_LINK "..data"

static const char *const names[] = {"key.pem", "cert-chain.pem",
				    "root-cert.pem"};

static enum err
output_fail(struct why *why, const char *what, const char *dir,
	    const char *name)
{
	int e = errno;

	return why_set(why, e == ENOSPC ? ERR_DISK_FULL : ERR_IO,
		       "%s %s/%s: %s", what, dir, name, strerror(e));
}

/* A link made beside it and renamed over whatever is there. */
static enum err
put_link(const char *dir, const char *target, const char *name, struct why *why)
{
	char *path = mem_printf("%s/%s", dir, name);
	char *tmp = mem_printf("%s/..tmp-%s", dir, name);
	enum err ret = ERR_OK;

	(void)unlink(tmp);
	if (symlink(target, tmp) != 0 || rename(tmp, path) != 0) {
		ret = output_fail(why, "cannot put the link", dir, name);
		(void)unlink(tmp);
	}
	mem_free(path);
	mem_free(tmp);
	return ret;
}

static bool
is_link_to(const char *dir, const char *name, const char *target)
{
	char *path = mem_printf("%s/%s", dir, name);
	char found[512];
	ssize_t n = readlink(path, found, sizeof(found));

	mem_free(path);
	return n >= 0 && slice_is_str(slice_of(found, (size_t)n), target);
}

/* Plain files of before (Istio's agent) become the first set, so that turning
 * names into links changes nothing that a reader sees. */
static enum err
adopt_plain_files(const char *dir, const char *set, struct why *why)
{
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		char *from = mem_printf("%s/%s", dir, names[i]);
		char *to = mem_printf("%s/%s/%s", dir, set, names[i]);
		struct stat st;
		bool bad = lstat(from, &st) == 0 && S_ISREG(st.st_mode) &&
			   link(from, to) != 0;

		mem_free(from);
		mem_free(to);
		if (bad)
			return output_fail(why, "cannot link", dir, names[i]);
	}
	return ERR_OK;
}

/* New, and a folder of ours: what somebody else put there under this name, a
 * link to another folder perhaps, gets neither a key nor another mode. */
static enum err
make_set_dir(const char *dir, const char *set, mode_t file_mode,
	     struct why *why)
{
	char *path = mem_printf("%s/%s", dir, set);
	mode_t mode = file_mode == 0640 ? 0750 : 0700;
	enum err ret = ERR_OK;
	int fd = -1;

	if (mkdir(path, mode) != 0 ||
	    (fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) <
		    0 ||
	    fchmod(fd, mode) != 0)
		ret = output_fail(why, "cannot make the folder", dir, set);
	if (fd >= 0)
		(void)close(fd);
	mem_free(path);
	return ret;
}

static enum err
prepare_links(const char *dir, const char *serial, mode_t mode, struct why *why)
{
	char *first = mem_printf(SET_PREFIX "%s-before", serial);
	char *data = mem_printf("%s/" DATA_LINK, dir);
	struct stat st;
	enum err ret = ERR_OK;

	if (lstat(data, &st) != 0) {
		ret = make_set_dir(dir, first, mode, why);
		if (ret == ERR_OK)
			ret = adopt_plain_files(dir, first, why);
		if (ret == ERR_OK)
			ret = put_link(dir, first, DATA_LINK, why);
	}
	for (size_t i = 0; i < COUNT_OF(names) && ret == ERR_OK; i++) {
		char *target = mem_printf(DATA_LINK "/%s", names[i]);

		if (!is_link_to(dir, names[i], target))
			ret = put_link(dir, target, names[i], why);
		mem_free(target);
	}
	mem_free(first);
	mem_free(data);
	return ret;
}

/* With all that is in it: a crash may have left files under other names. */
static void
remove_set(int dir_fd, const char *set)
{
	int fd = openat(dir_fd, set,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (d == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL)
		(void)unlinkat(fd, e->d_name, 0);
	(void)closedir(d);
	if (unlinkat(dir_fd, set, AT_REMOVEDIR) != 0)
		log_warn("output", "cannot remove the old set %s: %s", set,
			 strerror(errno));
}

/* All but the one in force; also those that a crash or a full disk left. */
static void
remove_other_sets(const char *dir)
{
	char keep[NAME_MAX + 1] = "";
	char *link = mem_printf("%s/" DATA_LINK, dir);
	ssize_t len = readlink(link, keep, sizeof(keep) - 1);
	bool is_known = len >= 0 || errno == ENOENT;
	DIR *d = is_known ? opendir(dir) : NULL;
	const struct dirent *e;

	mem_free(link);
	if (d == NULL)
		return;
	keep[len < 0 ? 0 : len] = '\0';
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, SET_PREFIX, strlen(SET_PREFIX)) == 0 &&
		    strcmp(e->d_name, keep) != 0)
			remove_set(dirfd(d), e->d_name);
	}
	(void)closedir(d);
}

static enum err
write_files(const char *dir, const char *set, const struct output_set *files,
	    mode_t mode, struct why *why)
{
	const struct slice parts[] = {files->key, files->chain, files->root};
	enum err ret = ERR_OK;

	for (size_t i = 0; i < COUNT_OF(names) && ret == ERR_OK; i++) {
		char *path = mem_printf("%s/%s/%s", dir, set, names[i]);

		ret = os_file_write_atomic(path, parts[i], mode, why);
		mem_free(path);
	}
	return ret;
}

enum err
output_write(const char *dir, const char *serial, const struct output_set *set,
	     mode_t mode, struct why *why)
{
	char *fresh = mem_printf(SET_PREFIX "%s", serial);
	enum err ret = ERR_OK;

	/* A folder that is there is its owner's. */
	if (!os_file_exists(dir))
		ret = os_dir_make(dir, 0755, (uid_t)-1, (gid_t)-1, why);
	if (ret == ERR_OK)
		ret = prepare_links(dir, serial, mode, why);
	if (ret == ERR_OK)
		ret = make_set_dir(dir, fresh, mode, why);
	if (ret == ERR_OK)
		ret = write_files(dir, fresh, set, mode, why);
	if (ret == ERR_OK)
		ret = put_link(dir, fresh, DATA_LINK, why);
	remove_other_sets(dir);
	mem_free(fresh);
	return ret;
}
