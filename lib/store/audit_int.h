/* audit_int.h - what the files of the audit log share: its files and lines. */
#ifndef STORE_AUDIT_INT_H
#define STORE_AUDIT_INT_H

#include "store/audit.h"

enum {
	AUDIT_FIELDS_MAX = 32768, /* of one line, as the caller gives them */
	AUDIT_LINE_MAX = AUDIT_FIELDS_MAX + 256
};

/* Files of a log, in order: the older ones by their first line, then
 * audit.jsonl where it is. */
struct audit_file {
	char *path;
	uint64_t first; /* by its name; 0 for audit.jsonl */
};
struct audit_files {
	struct audit_file *items;
	size_t cnt;
};
MUST_USE enum err audit_files_list(const char *dir, struct why *why,
				   struct audit_files *out);
void audit_files_free(struct audit_files *f);

/* Reads one file line by line. */
struct audit_reader {
	int fd;
	const char *path;
	struct buf in;
	uint64_t taken; /* bytes of whole lines so far */
	bool is_end;
};
MUST_USE enum err audit_reader_open(struct audit_reader *r, const char *path,
				    struct why *why);
void audit_reader_close(struct audit_reader *r);
/* The next line with its newline, borrowed until the next call.
 * ERR_NOT_FOUND at the end; ERR_SYNTAX: the rest has no newline, or the line
 * is too long (then *line is longer than AUDIT_LINE_MAX). */
MUST_USE enum err audit_reader_next(struct audit_reader *r, struct slice *line,
				    struct why *why);

/* What stands at the front of each line. */
struct audit_mark {
	uint64_t n;
	uint8_t prev[32];
};
MUST_USE enum err audit_mark_parse(struct slice line, struct audit_mark *out);

/* Walks over lines and checks that they follow one another. */
struct audit_walk {
	struct audit_head head; /* of the last line seen */
	bool has_start;         /* head is known: the next line must follow */
	const struct audit_head *expected;
	bool saw_expected;
	uint64_t half_at;    /* the last file: where its half line begins */
	uint64_t half_bytes; /* and its length; 0: none */
};
/* One file. A half line is let through in the last file only. */
MUST_USE enum err audit_walk_file(struct audit_walk *w, const char *path,
				  bool is_last, struct why *why);
/* At the end: was the expected line there? */
MUST_USE enum err audit_walk_check(const struct audit_walk *w, const char *dir,
				   struct why *why);

#endif
