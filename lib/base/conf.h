/* conf.h - configuration: one YAML file per program, every key in one table.
 * The only door to libyaml.
 *
 * A table row names the key (dotted: "listen.grpc"), its type, bounds, default
 * and help, and where in the program's struct the value goes. The man page is
 * tested against the table. Unknown keys, duplicates, wrong types and values
 * out of bounds are errors that name file, line and key. Reading is strict
 * YAML 1.1 without anchors, tags or more than 8 levels; at most 1 MB.
 *
 * Lists are sequences of scalars (CONF_LIST), or a sequence of mappings with a
 * table of its own (CONF_TABLE). Keys of one section ("listen.*") stand
 * together in the table. A text that is wrong is ERR_CONFIG. */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"

enum conf_type {
	CONF_STRING,   /* char *, owned by the struct, NULL when empty;
			* min/max: length */
	CONF_INT,      /* int64_t */
	CONF_BOOL,     /* bool */
	CONF_DURATION, /* int64_t milliseconds */
	CONF_SIZE,     /* int64_t bytes: "64k", "1M", "2G" */
	CONF_ENUM,     /* int: index into names */
	CONF_LIST,     /* struct conf_list: strings; min/max: how many.
			* A default or conf_set: "a, b" or "[a, b]" */
	CONF_TABLE     /* struct conf_table: rows of sub-structs;
			* min/max: how many; no default, no conf_set */
};

struct conf_list {
	char **items; /* NULL-ended, owned; never NULL itself */
	size_t cnt;
};

struct conf_key {
	const char *name; /* "issuer.kind"; NULL ends the table */
	enum conf_type type;
	size_t offset;              /* offsetof in the target struct */
	const char *deflt;          /* as it would be written; NULL: empty */
	int64_t min, max;           /* numbers, lengths; both 0: no bounds */
	const char *const *names;   /* CONF_ENUM: NULL-ended */
	const struct conf_key *sub; /* CONF_TABLE */
	size_t sub_size;            /* CONF_TABLE: sizeof the row struct */
	bool secret;                /* never printed */
	const char *help;           /* one sentence or two */
};

struct conf_table {
	void *rows; /* array of cnt structs of sub_size, owned */
	size_t cnt;
};

/* Fills the zeroed target with defaults, then with what the text says. name is
 * for messages. On failure target holds nothing that must be freed. */
MUST_USE enum err conf_parse(const struct conf_key *keys, struct slice text,
			     const char *name, void *target, struct why *why);
/* One key from text, as from an environment variable or -o key=value: UTF-8
 * without control characters. */
MUST_USE enum err conf_set(const struct conf_key *keys, void *target,
			   const char *key, const char *value, struct why *why);
void conf_free(const struct conf_key *keys, void *target);
/* For a reload, which takes all or nothing: ERR_CONFIG, and why names each key
 * that differs between the two and that may_change does not let. */
MUST_USE enum err conf_check_change(const struct conf_key *keys,
				    const void *before, const void *after,
				    bool (*may_change)(const char *name),
				    struct why *why);
/* The effective configuration as YAML; secrets as "(set)". */
enum err conf_print(const struct conf_key *keys, const void *target,
		    struct buf *out);
/* A file with every key and its help, for `init`: what differs from the default
 * is in force (secrets too: the file is the operator's), the rest commented. */
enum err conf_print_changed(const struct conf_key *keys, const void *target,
			    struct buf *out);
/* The table as JSON (name, type, default, bounds, help): checks of man pages,
 * completion. */
enum err conf_print_table(const struct conf_key *keys, struct buf *out);

#endif
