/* supervise.h - a program's supervisor: starts its roles, joins them by
 * sockets, restarts those that die.
 *
 * The supervisor holds configuration, ports and metric blocks; it never sees
 * bytes from the network, nor keys. A role that dies is restarted with
 * back-off (100 ms, doubling to 10 s; back to the start after a minute of
 * life); its links to living peers are made anew. One that does not finish a
 * step of its start (configuration, sandbox, start) in time is ended and
 * restarted. How long it takes to be ready after that has no limit: a front
 * waits for a CA that an operator is yet to plug in. Listening sockets and
 * metric blocks outlive every role. */
#ifndef IPC_SUPERVISE_H
#define IPC_SUPERVISE_H

#include "base/metric.h"
#include "base/slice.h"
#include "base/why.h"
#include "ev/ev.h"
#include "os/os.h"
#include "os/sandbox.h"

struct supervise;
struct supervised; /* one role process */

enum {
	SUPERVISE_ROLES_MAX = 80,
	SUPERVISE_TEXT_MAX = 1 << 19
};

/* A kind of role. */
struct supervise_role {
	const char *name; /* NULL ends the table */
	unsigned count;
	const char *path; /* NULL: this executable with --role NAME */
	bool has_metrics;
	bool drop; /* become user */
	struct os_user user;
	/* How it confines itself, by its name; NULL: not at all. Kept. */
	const struct sandbox_ask *sandbox;
	bool on_demand; /* not needed for the program to be ready */
};

/* Which roles talk to each other. */
struct supervise_link {
	const char *a; /* NULL ends the table */
	const char *b;
};

struct supervise_opts {
	const char *program;
	const struct supervise_role *roles;
	const struct supervise_link *links;
	const struct metric *metrics;
	const char *metrics_reader; /* role that gets every block, read-only, as
				       "metrics.<role>.<n>" */
	uint64_t start_ms;          /* for a role's start; may be changed */
	/* Hands a starting role what is its own (listening sockets, files)
	 * by supervise_give. */
	void (*on_spawn)(void *arg, struct supervised *role, const char *name,
			 unsigned index);
	/* A role could not read a file that it was given. */
	void (*on_again)(void *arg);
	/* All roles serve (each time this becomes true). */
	void (*on_ready)(void *arg);
	/* All roles have ended after supervise_stop. */
	void (*on_stopped)(void *arg);
	void *arg;
};

/* opts and its tables are kept; config is copied. */
MUST_USE enum err supervise_new(struct ev_loop *loop,
				const struct supervise_opts *opts,
				struct slice config, struct supervise **out);
MUST_USE enum err supervise_start(struct supervise *s, struct why *why);
/* A descriptor under a name for one role; duplicated. */
enum err supervise_give(struct supervised *role, const char *name, int fd);
/* The same for all living roles of this name: a file that changed. An error if
 * one of them did not get it; one that dies is given all when it starts. */
enum err supervise_give_all(struct supervise *s, const char *role_name,
			    const char *name, int fd);
/* New configuration for all roles, and for those started later. */
void supervise_reload(struct supervise *s, struct slice config);
/* Roles finish in the order of the table reversed: those that take requests
 * before those that answer them. After grace_ms they are killed. */
void supervise_stop(struct supervise *s, uint64_t grace_ms);
void supervise_free(struct supervise *s);

#endif
