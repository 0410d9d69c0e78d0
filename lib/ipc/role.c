/* role.c - see role.h. Only the receiving end of the control channel; the
 * other end is supervise.c. */
#include "ipc/role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ipc/confine.h"
#include "ipc/control.h"
#include "ipc/ipc.h"
#include "os/os.h"

enum {
	RELINK_MS = 15000
};

struct role {
	const struct role_ops *ops;
	void *app;
	struct ev_loop *loop;
	struct ipc *control;
	int exit_code;
	bool has_config;
	bool started;
	bool stopping;
};

static void
role_fail(struct role *r, const char *what, enum err e, const struct why *why)
{
	log_error("role.failed", "%s: %s", what, why_text(why, e));
	r->exit_code = 1;
	ev_loop_stop(r->loop);
}

/* The supervisor waits for each step of a start, and not for ever. */
static void
role_tell_done(struct role *r, enum control_type step)
{
	(void)ipc_send(r->control, CONTROL_DONE, step, SLICE_NONE);
	/* The next step may hang before the loop comes to it. */
	ipc_flush(r->control);
}

static void
role_take_config(struct role *r, struct slice text)
{
	struct why why = {0};
	enum err ret;

	fail_point("role.config");
	ret = r->ops->on_config(r->app, r, text, &why);
	if (ret != ERR_OK)
		role_fail(r, "configuration", ret, &why);
	else
		role_tell_done(r, CONTROL_CONFIG);
	r->has_config = ret == ERR_OK;
}

/* Nothing has come yet but the supervisor's configuration. */
static enum err
role_confine(struct role *r, struct slice payload)
{
	struct sandbox_ask ask;
	struct why missing = {0};
	struct why why = {0};
	enum err ret;

	if (!r->has_config)
		return r->exit_code == 0 ? ERR_PROTOCOL : ERR_OK;
	if ((ret = confine_read(payload, &ask)) != ERR_OK)
		return ret;
	fail_point("role.confine");
	ret = sandbox_enter(r->ops->name, &ask, &missing, &why);
	if (ret != ERR_OK) {
		role_fail(r, "confinement", ret, &why);
		r->has_config = false;
		return ERR_OK;
	}
	if (missing.text[0] != '\0')
		log_warn("role.sandbox",
			 "this role is confined in part only: %s",
			 missing.text);
	role_tell_done(r, CONTROL_CONFINE);
	return ERR_OK;
}

static enum err
role_take_fd(struct role *r, struct slice name, int fd)
{
	char text[CONTROL_NAME_MAX];

	if (fd < 0)
		return ERR_PROTOCOL;
	if (name.len >= sizeof(text) || !r->has_config) {
		(void)close(fd);
		return ERR_PROTOCOL;
	}
	memcpy(text, name.p, name.len);
	text[name.len] = '\0';
	r->ops->on_give(r->app, r, text, fd);
	return ERR_OK;
}

static void
role_go(struct role *r)
{
	struct why why = {0};
	enum err ret;

	r->started = true;
	fail_point("role.start");
	ret = r->ops->on_start(r->app, r, &why);
	if (ret != ERR_OK)
		role_fail(r, "start", ret, &why);
	else
		role_tell_done(r, CONTROL_GO);
}

static void
role_stop(struct role *r)
{
	if (r->stopping)
		return;
	r->stopping = true;
	if (r->ops->on_stop == NULL || !r->started)
		role_exit(r);
	else
		r->ops->on_stop(r->app, r);
}

static enum err
role_on_message(void *arg, uint16_t type, uint64_t id, struct slice payload,
		int fd)
{
	struct role *r = arg;

	(void)id;
	if (fd >= 0 && type != CONTROL_GIVE) {
		(void)close(fd);
		return ERR_PROTOCOL;
	}
	switch (type) {
	case CONTROL_CONFIG:
		role_take_config(r, payload);
		return ERR_OK;
	case CONTROL_CONFINE:
		return r->started ? ERR_PROTOCOL : role_confine(r, payload);
	case CONTROL_GIVE:
		return role_take_fd(r, payload, fd);
	case CONTROL_GO:
		if (!r->has_config || r->started)
			return ERR_PROTOCOL;
		role_go(r);
		return ERR_OK;
	case CONTROL_RELOAD:
		if (r->started && r->ops->on_reload != NULL)
			r->ops->on_reload(r->app, r, payload);
		return ERR_OK;
	case CONTROL_STOP:
		role_stop(r);
		return ERR_OK;
	default:
		return ERR_PROTOCOL;
	}
}

/* Without its supervisor a role has nobody who restarts its peers or renews
 * its files: it finishes what it has, and ends. */
static void
role_on_close(void *arg, enum err why)
{
	struct role *r = arg;

	(void)why;
	ipc_close(&r->control);
	role_stop(r);
}

static const struct ipc_cbs role_cbs = {
	.on_message = role_on_message,
	.on_close = role_on_close,
};

static const struct ipc_limits role_limits = {
	.frame_max = CONTROL_FRAME_MAX,
	.queue_max = CONTROL_FRAME_MAX,
	.want_fds = true,
};

/* Signals are the supervisor's business: a person's ^C reaches the whole
 * process group, and roles must end in order. */
static void
role_ignore_signals(void *arg, int signum)
{
	(void)arg;
	(void)signum;
}

static enum err
role_open(struct role *r)
{
	enum err ret;

	if ((ret = ev_loop_new(&r->loop)) != ERR_OK)
		return ret;
	return ipc_new(r->loop, CONTROL_FD, "control", &role_limits, &role_cbs,
		       r, &r->control);
}

int
role_run(const struct role_ops *ops, unsigned index, void *app)
{
	struct role r = {.ops = ops, .app = app};
	struct ev_signal *sigs[3] = {NULL};
	static const int signums[3] = {2, 15, 1}; /* INT, TERM, HUP */
	char name[48];
	enum err ret;

	(void)snprintf(name, sizeof(name), "%s.%u", ops->name, index);
	log_init(ops->program, name);
	secret_process_init();
	/* Who may read what a role makes, it says itself. */
	(void)umask(077);
	(void)os_files_raise();
	if ((ret = role_open(&r)) != ERR_OK) {
		log_error("role.failed",
			  "descriptor %d is no control channel: %s; roles are "
			  "started by the supervisor only",
			  CONTROL_FD, err_text(ret));
		return 1;
	}
	for (size_t i = 0; i < COUNT_OF(sigs); i++)
		(void)!ev_signal_start(r.loop, signums[i], role_ignore_signals,
				       NULL, &sigs[i]);
	ev_loop_run(r.loop);
	for (size_t i = 0; i < COUNT_OF(sigs); i++)
		ev_signal_cancel(&sigs[i]);
	if (r.control != NULL)
		ipc_flush(r.control);
	return r.exit_code;
}

struct ev_loop *
role_get_loop(struct role *r)
{
	return r->loop;
}

void
role_ready(struct role *r)
{
	if (r->control != NULL)
		(void)ipc_send(r->control, CONTROL_READY, 0, SLICE_NONE);
}

void
role_ask_again(struct role *r)
{
	if (r->control != NULL)
		(void)ipc_send(r->control, CONTROL_AGAIN, 0, SLICE_NONE);
}

void
role_exit(struct role *r)
{
	ev_loop_stop(r->loop);
}

uint64_t
role_relink_ms(enum err why)
{
	/* The peer died, and is back before this: it is longer than the
	 * supervisor's longest back-off. Or it has cut us off. */
	if (why == ERR_CLOSED)
		return RELINK_MS;
	/* We have cut it off, and it lives: nothing will come. */
	return 0;
}

bool
role_is_link(const char *name, char peer_out[32], unsigned *index_out)
{
	return sscanf(name, "link.%31[a-z].%u", peer_out, index_out) == 2;
}
