/* supervise.c - see supervise.h. The other end of the control channels is
 * role.c. */
#include "ipc/supervise.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/confine.h"
#include "ipc/control.h"
#include "ipc/ipc.h"

enum {
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 10000,
	HEALTHY_MS = 60000
};

struct supervised {
	struct supervise *all;
	const struct supervise_role *kind;
	unsigned index;
	pid_t pid; /* 0: not running */
	struct ipc *control;
	struct ev_child *child;
	struct ev_timer *restart;
	struct ev_timer *deadline;   /* of its start */
	enum control_type waits_for; /* to be done by it; 0: it has started */
	struct mono started;
	uint64_t backoff_ms;
	int metrics_fd; /* -1: none */
	bool ready;
	bool told_stop;
};

struct supervise {
	struct ev_loop *loop;
	const struct supervise_opts *opts;
	struct buf config;
	struct supervised *roles;
	size_t role_cnt;
	bool was_ready;
	bool stopping;
	struct ev_timer *grace;
	struct ev_timer *finished;
};

static void supervised_start(struct supervised *p);
static void supervise_stop_next(struct supervise *s);

static bool
supervised_is(const struct supervised *p, const char *name)
{
	return strcmp(p->kind->name, name) == 0;
}

/* ---- becoming ready ---------------------------------------------------- */

static void
supervise_check_ready(struct supervise *s)
{
	bool ready = true;

	for (size_t i = 0; i < s->role_cnt; i++) {
		if (!s->roles[i].ready && !s->roles[i].kind->on_demand)
			ready = false;
	}
	if (ready && !s->was_ready && !s->stopping)
		s->opts->on_ready(s->opts->arg);
	s->was_ready = ready;
}

static enum err
supervised_take_done(struct supervised *p, uint64_t step)
{
	if (p->waits_for == 0 || step != p->waits_for)
		return ERR_PROTOCOL;
	switch (p->waits_for) {
	case CONTROL_CONFIG:
		p->waits_for =
			p->kind->sandbox == NULL ? CONTROL_GO : CONTROL_CONFINE;
		return ERR_OK;
	case CONTROL_CONFINE:
		p->waits_for = CONTROL_GO;
		return ERR_OK;
	default:
		p->waits_for = 0;
		ev_timer_cancel(&p->deadline);
		return ERR_OK;
	}
}

static enum err
supervised_on_message(void *arg, uint16_t type, uint64_t id,
		      struct slice payload, int fd)
{
	struct supervised *p = arg;

	(void)payload;
	if (fd >= 0) {
		/* Roles have nothing to give: this one is not our program. */
		(void)close(fd);
		return ERR_PROTOCOL;
	}
	switch (type) {
	case CONTROL_READY:
		p->ready = true;
		supervise_check_ready(p->all);
		return ERR_OK;
	case CONTROL_AGAIN:
		p->all->opts->on_again(p->all->opts->arg);
		return ERR_OK;
	case CONTROL_DONE:
		return supervised_take_done(p, id);
	default:
		return ERR_PROTOCOL;
	}
}

static void
supervised_on_close(void *arg, enum err why)
{
	struct supervised *p = arg;

	ipc_close(&p->control);
	/* A role that broke its control channel can no longer be led. */
	if (why != ERR_CLOSED && p->pid > 0)
		(void)kill(p->pid, SIGKILL);
}

static const struct ipc_cbs supervised_cbs = {
	.on_message = supervised_on_message,
	.on_close = supervised_on_close,
};

static const struct ipc_limits supervised_limits = {
	.frame_max = CONTROL_FRAME_MAX,
	.queue_max = 4 * CONTROL_FRAME_MAX,
	.want_fds = true,
};

/* ---- giving ------------------------------------------------------------ */

enum err
supervise_give(struct supervised *p, const char *name, int fd)
{
	if (p->control == NULL)
		return ERR_UNAVAILABLE;
	return ipc_send_fd(p->control, CONTROL_GIVE, 0, slice_of_str(name), fd);
}

enum err
supervise_give_all(struct supervise *s, const char *role_name, const char *name,
		   int fd)
{
	enum err ret = ERR_OK;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < s->role_cnt; i++) {
		enum err e;
		int own;

		if (!supervised_is(&s->roles[i], role_name))
			continue;
		/* Opened again for each: copies of one descriptor have one
		 * place in the file, and who reads first reads it empty. */
		if ((e = os_file_open(path, &own, NULL)) != ERR_OK) {
			log_error("supervisor.give",
				  "%s.%u did not get %s, it goes on with what "
				  "it had: %s cannot be opened again: %s",
				  role_name, s->roles[i].index, name, path,
				  err_text(e));
			ret = e;
			continue;
		}
		(void)supervise_give(&s->roles[i], name, own);
		(void)close(own);
	}
	return ret;
}

static void
supervise_join(struct supervised *a, struct supervised *b)
{
	int ends[2];
	char name[CONTROL_NAME_MAX];

	if (a->control == NULL || b->control == NULL)
		return;
	if (os_socketpair(ends) != ERR_OK) {
		log_error("supervisor.link", "%s.%u and %s.%u: no descriptors",
			  a->kind->name, a->index, b->kind->name, b->index);
		return;
	}
	(void)snprintf(name, sizeof(name), "link.%s.%u", b->kind->name,
		       b->index);
	(void)supervise_give(a, name, ends[0]);
	(void)snprintf(name, sizeof(name), "link.%s.%u", a->kind->name,
		       a->index);
	(void)supervise_give(b, name, ends[1]);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* All links of p to peers that live. */
static void
supervised_join_peers(struct supervised *p)
{
	struct supervise *s = p->all;

	for (const struct supervise_link *l = s->opts->links; l->a != NULL;
	     l++) {
		const char *peer = NULL;

		if (supervised_is(p, l->a))
			peer = l->b;
		else if (supervised_is(p, l->b))
			peer = l->a;
		for (size_t i = 0; peer != NULL && i < s->role_cnt; i++) {
			if (&s->roles[i] != p &&
			    supervised_is(&s->roles[i], peer))
				supervise_join(p, &s->roles[i]);
		}
	}
}

static void
supervised_give_metrics(struct supervised *p)
{
	struct supervise *s = p->all;
	const char *reader = s->opts->metrics_reader;

	if (p->metrics_fd >= 0)
		(void)supervise_give(p, "metrics", p->metrics_fd);
	if (reader == NULL || !supervised_is(p, reader))
		return;
	for (size_t i = 0; i < s->role_cnt; i++) {
		struct supervised *q = &s->roles[i];
		char name[CONTROL_NAME_MAX];
		char path[64];
		int fd;

		if (q->metrics_fd < 0)
			continue;
		(void)snprintf(name, sizeof(name), "metrics.%s.%u",
			       q->kind->name, q->index);
		/* Opened again read-only: the reader cannot write into other
		 * roles' numbers. */
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d",
			       q->metrics_fd);
		if (os_file_open(path, &fd, NULL) != ERR_OK)
			continue;
		(void)supervise_give(p, name, fd);
		(void)close(fd);
	}
}

/* ---- life and death ---------------------------------------------------- */

static void
supervised_restart(void *arg)
{
	supervised_start(arg);
}

static void
supervised_schedule_restart(struct supervised *p)
{
	uint64_t wait;

	if (mono_diff_ms(mono_now(), p->started) > HEALTHY_MS)
		p->backoff_ms = 0;
	if (fail_point("supervise.restart"))
		p->backoff_ms = 0;
	/* The first restart is at once: most deaths are single ones. */
	wait = p->backoff_ms;
	p->backoff_ms =
		p->backoff_ms == 0 ? BACKOFF_FIRST_MS : p->backoff_ms * 2;
	if (p->backoff_ms > BACKOFF_MAX_MS)
		p->backoff_ms = BACKOFF_MAX_MS;
	/* Twice, where it died while it was being started. */
	ev_timer_cancel(&p->restart);
	must(ev_timer_start(p->all->loop, wait, supervised_restart, p,
			    &p->restart) == ERR_OK);
}

/* A role that hangs (in a library that loops where memory is short, on a disk
 * that does not answer) would be missed for ever: nothing of it ends. */
static void
supervised_on_deadline(void *arg)
{
	struct supervised *p = arg;

	log_error("supervisor.start_deadline",
		  "role=%s.%u pid=%d: %s was not done %llu s after its start "
		  "(key start): it is ended, and started again",
		  p->kind->name, p->index, (int)p->pid,
		  p->waits_for == CONTROL_CONFIG ? "reading its configuration"
		  : p->waits_for == CONTROL_CONFINE ? "entering its sandbox"
						    : "beginning to work",
		  (unsigned long long)p->all->opts->start_ms / 1000);
	(void)kill(p->pid, SIGKILL);
}

static void
supervised_on_exit(void *arg, pid_t pid, int exit_code, int term_signal)
{
	struct supervised *p = arg;
	struct supervise *s = p->all;

	p->child = NULL;
	p->pid = 0;
	p->ready = false;
	ipc_close(&p->control);
	ev_timer_cancel(&p->deadline);
	supervise_check_ready(s);
	if (s->stopping) {
		supervise_stop_next(s);
		return;
	}
	log_error("supervisor.role_died",
		  "role=%s.%u pid=%d %s=%d: it is restarted, what it served "
		  "meanwhile is lost",
		  p->kind->name, p->index, (int)pid,
		  term_signal != 0 ? "signal" : "exit",
		  term_signal != 0 ? term_signal : exit_code);
	supervised_schedule_restart(p);
}

static enum err
supervised_exec(struct supervised *p, int control_fd, struct why *why)
{
	char index[16];
	const char *argv[] = {p->all->opts->program,
			      "--role",
			      p->kind->name,
			      "--index",
			      index,
			      NULL};
	const struct os_pass_fd pass = {control_fd, CONTROL_FD};
	const struct os_spawn spawn = {
		.path = p->kind->path,
		.argv = argv,
		.fds = &pass,
		.fd_cnt = 1,
		.drop = p->kind->drop,
		.user = p->kind->user,
		.die_with_parent = true,
	};

	(void)snprintf(index, sizeof(index), "%u", p->index);
	return os_spawn(&spawn, &p->pid, why);
}

static enum err
supervised_spawn(struct supervised *p, struct why *why)
{
	char name[48];
	int ends[2];
	enum err ret;

	(void)snprintf(name, sizeof(name), "%s.%u", p->kind->name, p->index);
	if ((ret = os_socketpair(ends)) != ERR_OK)
		return why_set(why, ret, "role %s: no socket pair", name);
	ret = supervised_exec(p, ends[1], why);
	(void)close(ends[1]);
	if (ret != ERR_OK) {
		(void)close(ends[0]);
		return why_prefix(why, ret, "role %s", name);
	}
	must(ev_child_watch(p->all->loop, p->pid, supervised_on_exit, p,
			    &p->child) == ERR_OK);
	return ipc_new(p->all->loop, ends[0], name, &supervised_limits,
		       &supervised_cbs, p, &p->control);
}

static enum err
supervised_confine(struct supervised *p)
{
	struct buf out;
	enum err ret;

	if (p->kind->sandbox == NULL)
		return ERR_OK;
	buf_init(&out, CONTROL_FRAME_MAX);
	ret = confine_write(&out, p->kind->sandbox);
	if (ret == ERR_OK)
		ret = ipc_send(p->control, CONTROL_CONFINE, 0, buf_get(&out));
	buf_fini(&out);
	return ret;
}

static void
supervised_start(struct supervised *p)
{
	struct supervise *s = p->all;
	struct why why = {0};
	enum err ret;

	/* Half started before: its end will call this again. */
	if (p->pid > 0)
		return;
	p->started = mono_now();
	p->ready = false;
	p->told_stop = false;
	if ((ret = supervised_spawn(p, &why)) != ERR_OK) {
		log_error("supervisor.spawn", "%s", why_text(&why, ret));
		supervised_schedule_restart(p);
		return;
	}
	p->waits_for = CONTROL_CONFIG;
	must(ev_timer_start(s->loop, s->opts->start_ms, supervised_on_deadline,
			    p, &p->deadline) == ERR_OK);
	log_debug("supervisor.spawned", "role=%s.%u pid=%d", p->kind->name,
		  p->index, (int)p->pid);
	(void)ipc_send(p->control, CONTROL_CONFIG, 0, buf_get(&s->config));
	/* Without this message it must never begin. */
	if (supervised_confine(p) != ERR_OK) {
		log_error("supervisor.sandbox",
			  "role=%s.%u cannot be told its sandbox: it is not "
			  "started",
			  p->kind->name, p->index);
		(void)kill(p->pid, SIGKILL);
		return;
	}
	supervised_give_metrics(p);
	s->opts->on_spawn(s->opts->arg, p, p->kind->name, p->index);
	supervised_join_peers(p);
	(void)ipc_send(p->control, CONTROL_GO, 0, SLICE_NONE);
}

/* ---- the whole --------------------------------------------------------- */

static enum err
supervise_add_role(struct supervise *s, const struct supervise_role *kind,
		   unsigned index)
{
	struct supervised *p = &s->roles[s->role_cnt++];

	*p = (struct supervised){
		.all = s, .kind = kind, .index = index, .metrics_fd = -1};
	if (!kind->has_metrics)
		return ERR_OK;
	return os_memfd("meshcert-metrics", metric_block_size(s->opts->metrics),
			&p->metrics_fd);
}

enum err
supervise_new(struct ev_loop *loop, const struct supervise_opts *opts,
	      struct slice config, struct supervise **out)
{
	struct supervise *s = MEM_NEW(struct supervise);
	enum err ret;

	*out = NULL;
	s->loop = loop;
	s->opts = opts;
	s->roles = MEM_NEW_ARRAY(struct supervised, SUPERVISE_ROLES_MAX);
	buf_init(&s->config, SUPERVISE_TEXT_MAX);
	if ((ret = buf_put(&s->config, config)) != ERR_OK)
		goto out;
	for (const struct supervise_role *k = opts->roles; k->name != NULL;
	     k++) {
		for (unsigned i = 0; i < k->count; i++) {
			must(s->role_cnt < SUPERVISE_ROLES_MAX);
			ret = supervise_add_role(s, k, i);
			if (ret != ERR_OK)
				goto out;
		}
	}
	*out = TAKE(s);
	ret = ERR_OK;
out:
	supervise_free(s);
	return ret;
}

enum err
supervise_start(struct supervise *s, struct why *why)
{
	if (s->role_cnt == 0)
		return why_set(why, ERR_BUG, "no roles");
	for (size_t i = 0; i < s->role_cnt; i++)
		supervised_start(&s->roles[i]);
	return ERR_OK;
}

void
supervise_reload(struct supervise *s, struct slice config)
{
	buf_reset(&s->config);
	(void)buf_put(&s->config, config);
	for (size_t i = 0; i < s->role_cnt; i++) {
		if (s->roles[i].control != NULL)
			(void)ipc_send(s->roles[i].control, CONTROL_RELOAD, 0,
				       config);
	}
}

static void
supervise_kill_all(void *arg)
{
	struct supervise *s = arg;

	for (size_t i = 0; i < s->role_cnt; i++) {
		struct supervised *p = &s->roles[i];

		if (p->pid <= 0)
			continue;
		log_warn("supervisor.kill",
			 "role=%s.%u pid=%d did not end in time", p->kind->name,
			 p->index, (int)p->pid);
		(void)kill(p->pid, SIGKILL);
	}
}

static void
supervise_tell_stopped(void *arg)
{
	struct supervise *s = arg;

	s->opts->on_stopped(s->opts->arg);
}

/* Tells the last kind in the table that still lives to stop. When it is gone,
 * the one before it: whoever takes requests ends first, so that nothing that
 * was accepted is lost. */
static void
supervise_stop_next(struct supervise *s)
{
	const struct supervise_role *kind = NULL;

	for (size_t i = s->role_cnt; i-- > 0;) {
		struct supervised *p = &s->roles[i];

		if (p->pid <= 0 || (kind != NULL && kind != p->kind))
			continue;
		kind = p->kind;
		if (!p->told_stop && p->control != NULL) {
			p->told_stop = true;
			(void)ipc_send(p->control, CONTROL_STOP, 0, SLICE_NONE);
		}
	}
	if (kind == NULL) {
		ev_timer_cancel(&s->grace);
		if (s->finished == NULL)
			must(ev_timer_start(s->loop, 0, supervise_tell_stopped,
					    s, &s->finished) == ERR_OK);
	}
}

void
supervise_stop(struct supervise *s, uint64_t grace_ms)
{
	if (s->stopping)
		return;
	s->stopping = true;
	for (size_t i = 0; i < s->role_cnt; i++)
		ev_timer_cancel(&s->roles[i].restart);
	must(ev_timer_start(s->loop, grace_ms, supervise_kill_all, s,
			    &s->grace) == ERR_OK);
	supervise_stop_next(s);
}

void
supervise_free(struct supervise *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->role_cnt; i++) {
		struct supervised *p = &s->roles[i];

		ipc_close(&p->control);
		ev_child_cancel(&p->child);
		ev_timer_cancel(&p->restart);
		ev_timer_cancel(&p->deadline);
		if (p->metrics_fd >= 0)
			(void)close(p->metrics_fd);
	}
	ev_timer_cancel(&s->grace);
	ev_timer_cancel(&s->finished);
	buf_fini(&s->config);
	mem_free(s->roles);
	mem_free(s);
}
