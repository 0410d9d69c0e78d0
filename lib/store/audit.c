/* audit.c - see audit.h: writing the audit log. Reading is audit_read.c. */
#include "store/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/hash.h"
#include "store/audit_int.h"

enum {
	AUDIT_PENDING_MAX = 8 << 20,
	AUDIT_PENDING_KEEP = 1 << 20 /* storage that is kept between flushes */
};

struct audit {
	char *dir;
	char *path; /* of audit.jsonl */
	int fd;     /* -1: to be made at the next flush */
	uint64_t size;
	uint64_t first; /* number of its first line */
	uint64_t rotate_bytes;
	uint64_t cut_bytes; /* of a half line: to be noted with the next line */
	uint64_t lost_cnt;  /* lines that found no room: to be noted, too */
	struct audit_head added;
	struct audit_head written;
	struct audit_head synced;
	struct buf pending;
	bool is_broken; /* what is on the disk is not known any more */
};

static enum err
audit_fail(const char *path, const char *what, struct why *why)
{
	int cause = errno;
	bool is_full = cause == ENOSPC || cause == EDQUOT || cause == EFBIG;

	return why_set(why, is_full ? ERR_DISK_FULL : err_from_errno(cause),
		       "audit log %s: cannot %s: %s%s", path, what,
		       strerror(cause),
		       is_full ? ": make room on that file system" : "");
}

/* -- opening ------------------------------------------------------------- */

/* Number of the file's first line; 0: it has no whole one. */
static uint64_t
audit_file_first(const struct audit_file *f)
{
	struct audit_reader r;
	struct audit_mark mark = {0};
	struct slice line;

	if (f->first != 0)
		return f->first;
	if (audit_reader_open(&r, f->path, NULL) == ERR_OK &&
	    audit_reader_next(&r, &line, NULL) == ERR_OK &&
	    audit_mark_parse(line, &mark) != ERR_OK)
		mark.n = 0;
	audit_reader_close(&r);
	return mark.n;
}

/* Only the files from the one with the expected line on are read: the chain
 * before it was checked when that head was remembered. */
static size_t
audit_walk_start(const struct audit_files *files,
		 const struct audit_head *expected)
{
	size_t i = files->cnt - 1;

	for (; i > 0; i--) {
		uint64_t first = audit_file_first(&files->items[i]);

		if (first != 0 && (expected == NULL || expected->count == 0 ||
				   first <= expected->count))
			break;
	}
	return i;
}

static enum err
audit_cut_half_line(struct audit *a, const char *path,
		    const struct audit_walk *w, struct why *why)
{
	if (w->half_bytes == 0)
		return ERR_OK;
	if (truncate(path, (off_t)w->half_at) != 0)
		return audit_fail(path, "cut off the half last line", why);
	a->cut_bytes = w->half_bytes;
	return ERR_OK;
}

static enum err
audit_open_current(struct audit *a, struct why *why)
{
	struct audit_file current = {.path = a->path};
	struct stat st;

	a->fd = open(a->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (a->fd < 0 && errno == ENOENT)
		return ERR_OK;
	if (a->fd < 0 || fstat(a->fd, &st) != 0)
		return audit_fail(a->path, "open it", why);
	/* What was written by a process that did not live to sync it. */
	if (fdatasync(a->fd) != 0)
		return audit_fail(a->path, "sync it", why);
	a->size = (uint64_t)st.st_size;
	a->first = audit_file_first(&current);
	return ERR_OK;
}

static enum err
audit_load(struct audit *a, const struct audit_head *expected, struct why *why)
{
	struct audit_walk w = {.expected = expected};
	struct audit_files files;
	enum err ret = audit_files_list(a->dir, why, &files);
	size_t at;

	if (ret != ERR_OK)
		goto out;
	at = files.cnt == 0 ? 0 : audit_walk_start(&files, expected);
	for (; ret == ERR_OK && at < files.cnt; at++)
		ret = audit_walk_file(&w, files.items[at].path,
				      at + 1 == files.cnt, why);
	if (ret != ERR_OK ||
	    (ret = audit_walk_check(&w, a->dir, why)) != ERR_OK)
		goto out;
	/* Evidence is not touched before all has been found good. */
	if (files.cnt > 0)
		ret = audit_cut_half_line(a, files.items[files.cnt - 1].path,
					  &w, why);
	a->added = a->written = a->synced = w.head;
	if (ret == ERR_OK)
		ret = audit_open_current(a, why);
out:
	audit_files_free(&files);
	return ret;
}

enum err
audit_open(const char *dir, uint64_t rotate_bytes,
	   const struct audit_head *expected, struct why *why,
	   struct audit **out)
{
	struct audit *a = MEM_NEW(struct audit);
	enum err ret;

	*out = NULL;
	a->fd = -1;
	a->dir = mem_dup_str(dir);
	a->path = mem_printf("%s/audit.jsonl", dir);
	a->rotate_bytes = rotate_bytes;
	buf_init(&a->pending, AUDIT_PENDING_MAX);
	ret = audit_load(a, expected, why);
	if (ret == ERR_OK)
		*out = TAKE(a);
	audit_close(a);
	return ret;
}

void
audit_close(struct audit *a)
{
	if (a == NULL)
		return;
	if (a->fd >= 0)
		(void)close(a->fd);
	buf_fini(&a->pending);
	mem_free(a->path);
	mem_free(a->dir);
	mem_free(a);
}

/* -- lines --------------------------------------------------------------- */

static enum err
audit_put_line(struct audit *a, struct wall now, struct slice fields)
{
	struct buf *b = &a->pending;
	size_t at = buf_len(b);
	char time[WALL_TEXT_MAX];

	if (fields.len == 0 || slice_find(fields, '\n') < fields.len)
		return ERR_SYNTAX;
	if (fields.len > AUDIT_FIELDS_MAX ||
	    at + AUDIT_LINE_MAX > AUDIT_PENDING_MAX)
		return ERR_LIMIT;
	wall_format(now, time);
	buf_printf(b, "{\"n\":%llu,\"prev\":\"",
		   (unsigned long long)a->added.count + 1);
	buf_put_hex(b, SLICE_ARRAY(a->added.hash));
	buf_printf(b, "\",\"time\":\"%s\",", time);
	buf_put(b, fields);
	buf_put_str(b, "}\n");
	must(!buf_has_failed(b));
	a->added.count++;
	hash_sha256(slice_sub(buf_get(b), at, buf_len(b)), a->added.hash);
	return ERR_OK;
}

/* A line of our own about what is missing: {"event":EVENT,NAME:COUNT}. */
static enum err
audit_put_note(struct audit *a, struct wall now, const char *event,
	       const char *name, uint64_t *count)
{
	char note[80];
	enum err ret;

	if (*count == 0)
		return ERR_OK;
	(void)snprintf(note, sizeof(note), "\"event\":\"%s\",\"%s\":%llu",
		       event, name, (unsigned long long)*count);
	ret = audit_put_line(a, now, slice_of_str(note));
	if (ret == ERR_OK)
		*count = 0;
	return ret;
}

enum err
audit_add(struct audit *a, struct wall now, struct slice fields)
{
	enum err ret;

	if ((ret = audit_put_note(a, now, "half_line_cut", "bytes",
				  &a->cut_bytes)) == ERR_OK &&
	    (ret = audit_put_note(a, now, "lines_lost", "count",
				  &a->lost_cnt)) == ERR_OK)
		ret = audit_put_line(a, now, fields);
	if (ret == ERR_LIMIT)
		a->lost_cnt++;
	return ret;
}

struct audit_head
audit_get_head(const struct audit *a)
{
	return a->synced;
}

/* -- writing ------------------------------------------------------------- */

static enum err
audit_sync_file(struct audit *a, struct why *why)
{
	if (a->fd >= 0 && fdatasync(a->fd) != 0) {
		/* The kernel may have dropped the pages and call the next
		 * sync good: only reading again tells what is there. */
		a->is_broken = true;
		return audit_fail(a->path, "sync it", why);
	}
	a->synced = a->written;
	return ERR_OK;
}

static enum err
audit_sync_dir(struct audit *a, struct why *why)
{
	int fd = open(a->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err ret = ERR_OK;

	if (fd < 0 || fsync(fd) != 0)
		ret = audit_fail(a->dir, "sync the folder", why);
	if (fd >= 0)
		(void)close(fd);
	return ret;
}

static enum err
audit_rotate(struct audit *a, struct why *why)
{
	char *old = mem_printf("%s/audit-%012llu.jsonl", a->dir,
			       (unsigned long long)a->first);
	enum err ret = audit_sync_file(a, why);

	if (ret != ERR_OK)
		goto out;
	if (access(old, F_OK) == 0) {
		ret = why_set(why, ERR_EXISTS,
			      "audit log: cannot rotate %s: %s is there "
			      "already: move it away",
			      a->path, old);
		goto out;
	}
	if (rename(a->path, old) != 0) {
		ret = audit_fail(a->path, "rotate it", why);
		goto out;
	}
	(void)close(a->fd);
	a->fd = -1;
out:
	mem_free(old);
	return ret;
}

/* A file is wanted for the lines that wait. */
static enum err
audit_need_file(struct audit *a, struct why *why)
{
	enum err ret;

	if (a->fd >= 0 && a->size > 0 &&
	    a->size + buf_len(&a->pending) > a->rotate_bytes &&
	    (ret = audit_rotate(a, why)) != ERR_OK)
		return ret;
	if (a->fd < 0) {
		a->fd = open(a->path,
			     O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC,
			     0600);
		if (a->fd < 0)
			return audit_fail(a->path, "make it", why);
		a->size = 0;
		if ((ret = audit_sync_dir(a, why)) != ERR_OK)
			return ret;
	}
	if (a->size == 0)
		a->first = a->written.count + 1;
	return ERR_OK;
}

static enum err
audit_write(struct audit *a, struct why *why)
{
	struct slice rest = buf_get(&a->pending);
	enum err ret = audit_need_file(a, why);

	while (ret == ERR_OK && rest.len > 0) {
		ssize_t put = write(a->fd, rest.p, rest.len);

		if (put > 0)
			rest = slice_sub(rest, (size_t)put, rest.len);
		else if (put == 0 || errno != EINTR)
			ret = audit_fail(a->path, "write", why);
	}
	if (ret != ERR_OK) {
		/* No half line may stay: the next flush writes all again. */
		if (a->fd >= 0 && ftruncate(a->fd, (off_t)a->size) != 0)
			a->is_broken = true;
		return ret;
	}
	a->size += buf_len(&a->pending);
	a->written = a->added;
	if (a->pending.cap > AUDIT_PENDING_KEEP)
		buf_release(&a->pending);
	else
		buf_reset(&a->pending);
	return ERR_OK;
}

bool
audit_is_broken(const struct audit *a)
{
	return a->is_broken;
}

enum err
audit_flush(struct audit *a, bool sync, struct why *why)
{
	enum err ret = ERR_OK;

	if (a->is_broken)
		return why_set(why, ERR_IO,
			       "audit log %s: an earlier write or sync failed "
			       "and what is on the disk is not known until a "
			       "restart reads it: check the disk before",
			       a->path);
	if (buf_len(&a->pending) > 0)
		ret = audit_write(a, why);
	if (ret == ERR_OK && sync && a->synced.count != a->written.count)
		ret = audit_sync_file(a, why);
	return ret;
}
