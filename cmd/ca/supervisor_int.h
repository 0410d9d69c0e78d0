/* supervisor_int.h - the parts of the supervisor.
 *
 *   supervisor.c          configuration, ports, folders, roles, signals
 *   supervisor_sandbox.c  what each role may reach of the file system
 *   supervisor_upgrade.c  a newer program in our place */
#ifndef CA_SUPERVISOR_INT_H
#define CA_SUPERVISOR_INT_H

#include "ca/conf.h"
#include "ca/roles.h"
#include "ev/ev.h"
#include "ipc/supervise.h"

enum {
	CONFIG_MAX = 1 << 19,
	LISTEN_GRPC = 0,
	LISTEN_HTTP,
	LISTEN_ADMIN,
	LISTEN_CNT,
	ROLE_SIGNER = 0, /* order: who answers before who asks */
	ROLE_AUTHORITY,
	ROLE_PUBLIC,
	ROLE_FETCH,
	ROLE_FRONT,
	ROLE_CNT
};

/* "listen.grpc", ... */
extern const char *const supervisor_listen_names[LISTEN_CNT];

struct supervisor {
	const struct ca_args *args;
	struct ev_loop *loop;
	struct buf config_text;
	struct ca_conf conf;
	struct supervise_role roles[ROLE_CNT + 1];
	struct sandbox_ask sandbox[ROLE_CNT];
	struct supervise_opts opts;
	struct supervise *roles_run;
	int listen[LISTEN_CNT]; /* -1: none */
	char *fetch_path;
	struct ev_signal *signals[4];
	struct ev_child *check; /* of the program that is to replace us */
	struct ev_watch *issuer_watch;
	struct ev_watch *serving_watch;
	struct ev_timer *again; /* gives those files again */
	uint64_t again_ms;
	bool upgrade;
	bool was_ready;
	int exit_code;
};

/* supervisor.c: all roles end, then the process or, with upgrade, its
 * successor begins. */
void supervisor_stop(struct supervisor *s);

/* supervisor_sandbox.c: this process can do what a supervisor does, and no
 * more. ERR_UNAVAILABLE where the sandbox is required and the kernel lacks a
 * part. */
MUST_USE enum err supervisor_confine(const struct supervisor *s,
				     struct why *why);
/* Tells each role of s->roles its sandbox. ERR_CONFIG where there are too many
 * folders. To be called once. */
MUST_USE enum err supervisor_plan_sandbox(struct supervisor *s,
					  struct why *why);
void supervisor_free_sandbox(struct supervisor *s);

/* supervisor_upgrade.c: asks the program at our path whether it takes the
 * configuration, then stops to make room for it. */
void supervisor_start_upgrade(struct supervisor *s);
/* The new program in this process. Returns an exit code where it fails. */
int supervisor_exec(struct supervisor *s);

#endif
