/* audit_read.c - see audit.h: reading an audit log and checking its chain. */
#include "store/audit_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/hash.h"

enum {
	AUDIT_READ_CHUNK = 65536
};

#define AUDIT_ADVICE                                                           \
	"keep a copy of the folder as evidence and compare it with a backup; " \
	"to go on with a new log, move its files away"

/* -- files --------------------------------------------------------------- */

/* audit-000000000101.jsonl: 101. 0 for any other name. */
static uint64_t
audit_name_parse(const char *name)
{
	struct slice s = slice_of_str(name);
	uint64_t first = 0;

	if (!slice_has_prefix(s, "audit-") || !slice_has_suffix(s, ".jsonl"))
		return 0;
	s = slice_sub(s, 6, s.len - 12);
	return slice_parse_u64(s, &first) == ERR_OK ? first : 0;
}

static int
audit_file_cmp(const void *a, const void *b)
{
	const struct audit_file *x = a;
	const struct audit_file *y = b;
	/* 0, the current one, comes last. */
	uint64_t p = x->first - 1;
	uint64_t q = y->first - 1;

	return p < q ? -1 : p > q;
}

static void
audit_files_add(struct audit_files *f, const char *dir, const char *name,
		uint64_t first)
{
	f->items =
		mem_grow_array(f->items, f->cnt, f->cnt + 1, sizeof(*f->items));
	f->items[f->cnt++] = (struct audit_file){
		.path = mem_printf("%s/%s", dir, name),
		.first = first,
	};
}

enum err
audit_files_list(const char *dir, struct why *why, struct audit_files *out)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	*out = (struct audit_files){0};
	if (d == NULL)
		return why_set(why, err_from_errno(errno),
			       "audit log: cannot open folder %s: %s", dir,
			       strerror(errno));
	while ((e = readdir(d)) != NULL) {
		uint64_t first = audit_name_parse(e->d_name);

		if (first != 0 || strcmp(e->d_name, "audit.jsonl") == 0)
			audit_files_add(out, dir, e->d_name, first);
	}
	(void)closedir(d);
	if (out->cnt > 1)
		qsort(out->items, out->cnt, sizeof(*out->items),
		      audit_file_cmp);
	return ERR_OK;
}

void
audit_files_free(struct audit_files *f)
{
	for (size_t i = 0; i < f->cnt; i++)
		mem_free(f->items[i].path);
	mem_free(f->items);
	*f = (struct audit_files){0};
}

/* -- lines --------------------------------------------------------------- */

enum err
audit_reader_open(struct audit_reader *r, const char *path, struct why *why)
{
	*r = (struct audit_reader){.path = path};
	buf_init(&r->in, AUDIT_LINE_MAX + 2 * AUDIT_READ_CHUNK);
	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0)
		return why_set(why, err_from_errno(errno),
			       "audit log: cannot read %s: %s", path,
			       strerror(errno));
	return ERR_OK;
}

void
audit_reader_close(struct audit_reader *r)
{
	if (r->fd >= 0)
		(void)close(r->fd);
	r->fd = -1;
	buf_fini(&r->in);
}

static enum err
audit_reader_fill(struct audit_reader *r, struct why *why)
{
	uint8_t *room;
	ssize_t got;
	enum err ret = buf_reserve(&r->in, AUDIT_READ_CHUNK, &room);

	if (ret != ERR_OK)
		return ret;
	do {
		got = read(r->fd, room, AUDIT_READ_CHUNK);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return why_set(why, ERR_IO, "audit log: cannot read %s: %s",
			       r->path, strerror(errno));
	buf_commit(&r->in, (size_t)got);
	r->is_end = got == 0;
	return ERR_OK;
}

enum err
audit_reader_next(struct audit_reader *r, struct slice *line, struct why *why)
{
	struct slice have;
	size_t at;
	enum err ret;

	/* The line handed out before was borrowed until now. */
	for (;;) {
		have = buf_get(&r->in);
		at = slice_find(have, '\n');
		if (at < have.len || have.len > AUDIT_LINE_MAX || r->is_end)
			break;
		if ((ret = audit_reader_fill(r, why)) != ERR_OK)
			return ret;
	}
	*line = have;
	if (have.len == 0)
		return ERR_NOT_FOUND;
	if (at >= have.len || at >= AUDIT_LINE_MAX)
		return ERR_SYNTAX;
	*line = slice_sub(have, 0, at + 1);
	buf_consume(&r->in, at + 1);
	r->taken += at + 1;
	return ERR_OK;
}

/* Takes this text off the front. */
static bool
audit_skip(struct slice *s, const char *text)
{
	if (!slice_has_prefix(*s, text))
		return false;
	*s = slice_sub(*s, strlen(text), s->len);
	return true;
}

static int
audit_hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum err
audit_mark_parse(struct slice line, struct audit_mark *out)
{
	struct slice number, hex;

	*out = (struct audit_mark){0};
	if (!audit_skip(&line, "{\"n\":") ||
	    !slice_split(&line, ',', &number) ||
	    slice_parse_u64(number, &out->n) != ERR_OK || out->n == 0 ||
	    !audit_skip(&line, "\"prev\":\""))
		return ERR_SYNTAX;
	hex = slice_sub(line, 0, 2 * sizeof(out->prev));
	line = slice_sub(line, hex.len, line.len);
	if (hex.len != 2 * sizeof(out->prev) || !audit_skip(&line, "\","))
		return ERR_SYNTAX;
	for (size_t i = 0; i < sizeof(out->prev); i++) {
		int high = audit_hex_digit(hex.p[2 * i]);
		int low = audit_hex_digit(hex.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return ERR_SYNTAX;
		out->prev[i] = (uint8_t)(high << 4 | low);
	}
	return ERR_OK;
}

/* -- the chain ----------------------------------------------------------- */

static enum err
audit_walk_line(struct audit_walk *w, const char *path, struct slice line,
		struct why *why)
{
	struct audit_mark mark;
	uint64_t want = w->head.count + 1;

	if (audit_mark_parse(line, &mark) != ERR_OK)
		return why_set(why, ERR_MISMATCH,
			       "audit log %s: line %llu has not the form of "
			       "an audit line: it was changed; " AUDIT_ADVICE,
			       path, (unsigned long long)want);
	if (w->has_start && mark.n != want)
		return why_set(
			why, ERR_MISMATCH,
			"audit log %s: line %llu stands where line %llu "
			"must be: lines were removed or moved; " AUDIT_ADVICE,
			path, (unsigned long long)mark.n,
			(unsigned long long)want);
	if (w->has_start &&
	    memcmp(mark.prev, w->head.hash, sizeof(mark.prev)) != 0)
		return why_set(why, ERR_MISMATCH,
			       "audit log %s: line %llu was changed, or line "
			       "%llu behind it: its prev is not the hash of "
			       "line %llu; " AUDIT_ADVICE,
			       path, (unsigned long long)want - 1,
			       (unsigned long long)want,
			       (unsigned long long)want - 1);
	w->has_start = true;
	w->head.count = mark.n;
	hash_sha256(line, w->head.hash);
	if (w->expected == NULL || w->expected->count != mark.n)
		return ERR_OK;
	w->saw_expected = true;
	if (memcmp(w->expected->hash, w->head.hash, 32) != 0)
		return why_set(
			why, ERR_MISMATCH,
			"audit log %s: line %llu was changed: the "
			"record remembers another hash for it; " AUDIT_ADVICE,
			path, (unsigned long long)mark.n);
	return ERR_OK;
}

enum err
audit_walk_file(struct audit_walk *w, const char *path, bool is_last,
		struct why *why)
{
	struct audit_reader r;
	struct slice line;
	enum err ret;

	ret = audit_reader_open(&r, path, why);
	while (ret == ERR_OK &&
	       (ret = audit_reader_next(&r, &line, why)) == ERR_OK)
		ret = audit_walk_line(w, path, line, why);
	if (ret == ERR_NOT_FOUND && r.fd >= 0) {
		ret = ERR_OK;
	} else if (ret == ERR_SYNTAX && is_last && line.len <= AUDIT_LINE_MAX) {
		w->half_at = r.taken;
		w->half_bytes = line.len;
		ret = ERR_OK;
	} else if (ret == ERR_SYNTAX) {
		ret = why_set(why, ERR_MISMATCH,
			      "audit log %s: line %llu has no end: the file "
			      "was changed; " AUDIT_ADVICE,
			      path, (unsigned long long)w->head.count + 1);
	}
	audit_reader_close(&r);
	return ret;
}

enum err
audit_walk_check(const struct audit_walk *w, const char *dir, struct why *why)
{
	if (w->expected == NULL || w->expected->count == 0 || w->saw_expected)
		return ERR_OK;
	return why_set(
		why, ERR_MISMATCH,
		"audit log %s: ends at line %llu, but the record "
		"remembers %llu lines: its tail was cut off; " AUDIT_ADVICE,
		dir, (unsigned long long)w->head.count,
		(unsigned long long)w->expected->count);
}

enum err
audit_verify(const char *dir, const struct audit_head *expected,
	     struct why *why, struct audit_head *head_out)
{
	/* Line 1 must be the first and follow nothing (zeros). */
	struct audit_walk w = {.has_start = true, .expected = expected};
	struct audit_files files;
	enum err ret;

	*head_out = (struct audit_head){0};
	ret = audit_files_list(dir, why, &files);
	for (size_t i = 0; ret == ERR_OK && i < files.cnt; i++)
		ret = audit_walk_file(&w, files.items[i].path,
				      i + 1 == files.cnt, why);
	if (ret == ERR_OK && w.half_bytes > 0)
		ret = why_set(why, ERR_MISMATCH,
			      "audit log %s: ends with half a line of %llu "
			      "bytes: a power cut while nobody has opened it "
			      "since, or it was changed",
			      dir, (unsigned long long)w.half_bytes);
	if (ret == ERR_OK)
		ret = audit_walk_check(&w, dir, why);
	if (ret == ERR_OK)
		*head_out = w.head;
	audit_files_free(&files);
	return ret;
}
