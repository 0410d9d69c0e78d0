/* opt.h - command line options from a table, with --help made of it. */
#ifndef BASE_OPT_H
#define BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/why.h"

enum opt_type {
	OPT_FLAG,  /* bool * */
	OPT_TEXT,  /* const char ** : points into argv */
	OPT_COUNT, /* int64_t * : unsigned number */
	OPT_MULTI  /* struct opt_multi * : may be given several times */
};

enum {
	OPT_MULTI_MAX = 64
};
struct opt_multi {
	const char *items[OPT_MULTI_MAX + 1]; /* NULL-ended */
	size_t cnt;
};

struct opt {
	const char *name; /* "config" for --config; NULL ends the table */
	char letter;      /* 'c' or 0 */
	enum opt_type type;
	size_t offset;   /* in the target struct */
	const char *arg; /* "FILE" for help; NULL for flags */
	const char *help;
};

/* argv[0] is the program or sub-command. Arguments that are not options are
 * moved to argv[*first_out..argc). "--" ends options. */
MUST_USE enum err opt_parse(const struct opt *opts, int argc, char **argv,
			    void *target, int *first_out, struct why *why);
/* Options, aligned, one a line, wrapped at 78 columns. */
enum err opt_print_help(const struct opt *opts, struct buf *out);

#endif
