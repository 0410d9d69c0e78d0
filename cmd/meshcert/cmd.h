/* cmd.h - the sub-commands of meshcert: one table row, one file each.
 *
 * Exit codes are the same everywhere: see enum cmd_exit and meshcert(1). */
#ifndef MESHCERT_CMD_H
#define MESHCERT_CMD_H

#include "base/buf.h"
#include "base/opt.h"
#include "base/why.h"

enum cmd_exit {
	CMD_GOOD = 0,
	CMD_BAD = 1,      /* failed, or the answer is no */
	CMD_USAGE = 2,    /* the command line is wrong */
	CMD_UNREACHED = 3 /* who was to be asked does not answer */
};

enum {
	CMD_OUT_MAX = 64 << 20, /* what one command may print */
	CMD_TIMEOUT_MS = 10000
};

/* Every target struct begins with it. */
struct cmd_common {
	bool help;
};

struct cmd {
	const char *name;
	const char *args;    /* behind the options, for the usage line */
	const char *summary; /* one line */
	const char *about;   /* what --help says before the options */
	const struct opt *opts;
	size_t size; /* of the target struct */
	/* target is filled, argv[0..argc) are the arguments that are left. */
	int (*run)(const struct cmd *cmd, void *target, int argc, char **argv);
};

/* The last rows of every option table. */
#define CMD_OPTS_END                                  \
	{"help",   'h',                               \
	 OPT_FLAG, offsetof(struct cmd_common, help), \
	 NULL,     "print this and exit"},            \
	{                                             \
		NULL, 0, OPT_FLAG, 0, NULL, NULL      \
	}

extern const struct cmd cmd_dev, cmd_init, cmd_inspect, cmd_request, cmd_secret,
	cmd_status, cmd_token, cmd_verify;

/* "meshcert NAME: text" on stderr; returns the exit code given. */
int cmd_fail(const struct cmd *cmd, int code, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/* The same for a wrong command line, with where to look. */
int cmd_usage(const struct cmd *cmd, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* All of it to stdout; CMD_GOOD, or CMD_BAD when it could not be written. */
int cmd_print(const struct cmd *cmd, const struct buf *out);
/* "10m" of an option in milliseconds; an exit code. NULL leaves *ms_out. */
int cmd_read_duration(const struct cmd *cmd, const char *option,
		      const char *text, int64_t *ms_out);

enum cmd_format {
	CMD_TABLE = 0,
	CMD_JSON,
	CMD_YAML
};
/* "table" (or "short"), "json", "yaml"; NULL: a table. An exit code. */
int cmd_read_format(const struct cmd *cmd, const char *text,
		    enum cmd_format *out);
/* JSON text as it is (with a newline), or as YAML. */
int cmd_print_json(const struct cmd *cmd, const struct buf *json,
		   enum cmd_format format);

#endif
