/* sandbox_int.h - inside the sandbox: what a role's promise consists of. */
#ifndef OS_SANDBOX_INT_H
#define OS_SANDBOX_INT_H

#include <stdbool.h>

#include "os/sandbox.h"

enum {
	SANDBOX_CALLS_MAX = 6,
	SANDBOX_PATHS_MAX = 4,
	SANDBOX_LISTS_MAX = 3
};

struct sandbox_role {
	const char *name; /* NULL ends the table */
	/* Lists of system calls, each ended by NULL. */
	const char *const *calls[SANDBOX_CALLS_MAX];
	/* Folders below data_dir: read, written, made, removed. */
	const char *own[SANDBOX_PATHS_MAX];
	/* Paths of the system that are only read; lists ended by NULL. */
	const char *const *system[SANDBOX_LISTS_MAX];
	bool reads_given;  /* and what sandbox_ask.read names */
	bool writes_given; /* and what sandbox_ask.write names */
	bool connects;     /* TCP and UDP to others */
	bool has_unix;     /* Unix sockets, until it settles */
	bool has_threads;  /* starts threads; never processes */
	bool has_children; /* forks, never executes; may kill its children */
	bool has_modules;  /* loads shared libraries later */
	bool is_open;      /* denied: sandbox_hostile_to_all, io_uring */
	unsigned fds_max;  /* 0: as it was */
};

extern const struct sandbox_role sandbox_roles[];
/* Calls after which a process is known to be hostile: it ends at once. All
 * others that are not promised fail with EPERM, because libraries try. */
extern const char *const sandbox_hostile[];
/* The same, even for a supervisor. */
extern const char *const sandbox_hostile_to_all[];

/* Version of Landlock's interface, 0: none. */
int sandbox_landlock_version(void);
MUST_USE enum err sandbox_landlock_enter(const struct sandbox_role *role,
					 const struct sandbox_ask *ask,
					 struct why *why);
bool sandbox_seccomp_is_there(void);
MUST_USE enum err sandbox_seccomp_enter(const struct sandbox_role *role,
					struct why *why);
MUST_USE enum err sandbox_seccomp_settle(struct why *why);

#endif
