/* role.h - what every role process does first, and last.
 *
 * role_run is the main function of a role: it takes its configuration and
 * descriptors from the supervisor over the control channel, enters its sandbox
 * after on_config and before the first descriptor (os/sandbox_roles.c), runs
 * the event loop, and ends when told to, or when the supervisor is gone.
 * Callbacks run on the loop, in this order: on_give for each descriptor that
 * came before GO, on_start, then on_give, on_reload and on_stop as they come.
 */
#ifndef IPC_ROLE_H
#define IPC_ROLE_H

#include "base/slice.h"
#include "base/why.h"
#include "ev/ev.h"

struct role;

struct role_ops {
	const char *program;
	const char *name;
	/* The configuration has come (before any on_give). An error ends the
	 * process. */
	enum err (*on_config)(void *app, struct role *r, struct slice text,
			      struct why *why);
	/* A named descriptor, owned by the callee. name is borrowed. */
	void (*on_give)(void *app, struct role *r, const char *name, int fd);
	/* Begin to work. An error ends the process. */
	enum err (*on_start)(void *app, struct role *r, struct why *why);
	/* A configuration that the supervisor has checked. May be NULL. */
	void (*on_reload)(void *app, struct role *r, struct slice text);
	/* Finish, then call role_exit. NULL: exit at once. */
	void (*on_stop)(void *app, struct role *r);
};

/* Returns the process's exit code. index: which one of several. */
int role_run(const struct role_ops *ops, unsigned index, void *app);

struct ev_loop *role_get_loop(struct role *r);
/* Tells the supervisor that this role serves. Once. */
void role_ready(struct role *r);
/* A file that was given could not be read: files are given again, in a while.
 */
void role_ask_again(struct role *r);
/* Leaves the loop; role_run returns 0. */
void role_exit(struct role *r);

/* How long a role waits for a new link that cannot go on without, after the one
 * before it ended: a link that was cut while both ends live is made anew by
 * nobody. */
uint64_t role_relink_ms(enum err why);

/* "link.authority.3" -> true, "authority", 3. For on_give. */
bool role_is_link(const char *name, char peer_out[32], unsigned *index_out);

#endif
