/* sandbox.h - confines this process for good: no new privileges, no core file,
 * limits, files by Landlock, system calls by seccomp.
 *
 * Two steps. First a process loads what it needs (libraries, configuration);
 * then it enters its sandbox, before the first byte that others chose. What
 * each role promises never to need again is one page: sandbox_roles.c. */
#ifndef OS_SANDBOX_H
#define OS_SANDBOX_H

#include <stddef.h>

#include "base/why.h"

enum sandbox_mode {
	SANDBOX_REQUIRED = 0, /* what the kernel lacks is an error */
	SANDBOX_AUTO,         /* what it lacks is left out */
	SANDBOX_OFF
};

enum {
	SANDBOX_READ_MAX = 128,
	SANDBOX_WRITE_MAX = 4
};

/* What only the configuration knows. */
struct sandbox_ask {
	enum sandbox_mode mode;
	/* The folder below which the role's own folders are; NULL: none. */
	const char *data_dir;
	/* Files and folders for roles that read some of the operator's; what
	 * does not exist now is not there later, either. */
	const char *read[SANDBOX_READ_MAX];
	size_t read_cnt;
	/* Folders for a role that writes where the operator wants it to: files,
	 * links and sockets in them. */
	const char *write[SANDBOX_WRITE_MAX];
	size_t write_cnt;
};

/* ERR_OK: the kernel has all that we use. ERR_UNAVAILABLE: missing says what
 * it lacks. Changes nothing. */
MUST_USE enum err sandbox_probe(struct why *missing);

/* Enters the sandbox of this role; there is no way back, and all later threads
 * and children are in it too. To be called while there is one thread.
 * missing: what was left out (SANDBOX_AUTO), else empty.
 * ERR_UNAVAILABLE  SANDBOX_REQUIRED, and the kernel lacks a part
 * ERR_BUG          no such role, or a part that it has was refused */
MUST_USE enum err sandbox_enter(const char *role, const struct sandbox_ask *ask,
				struct why *missing, struct why *why);
/* The start is over: a role that made its sockets inside of the sandbox makes
 * no more of them. To be called at most once, after sandbox_enter. */
MUST_USE enum err sandbox_settle(enum sandbox_mode mode, struct why *why);

#endif
