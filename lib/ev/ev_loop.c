/* ev_loop.c - the loop itself, deferred work, timers and signals.
 *
 * Deferred work runs in two places of libuv's turn: right after the events
 * (check), and before the loop blocks (prepare), which catches what timers and
 * code outside of callbacks queued. */
#include "ev/ev.h"

#include <signal.h>

#include "base/mem.h"
#include "ev/ev_int.h"

enum {
	/* More than this in one turn, and events get their share first. */
	DEFER_TURN_MAX = 100000,
	TIMER_SPARE_MAX = 256,
	CLOSE_TURNS_MAX = 16
};

static void
loop_on_check(uv_check_t *h)
{
	ev_defer_run(h->data);
}

static void
loop_on_idle(uv_idle_t *h)
{
	/* Its being active is all: the loop does not block. */
	(void)h;
}

static void
loop_on_prepare(uv_prepare_t *h)
{
	struct ev_loop *loop = h->data;

	ev_defer_run(loop);
	/* Something happened in this step already: do not sleep on it. */
	if (loop->step_waits && loop->ran != loop->step_mark)
		(void)uv_idle_start(&loop->idle, loop_on_idle);
}

/* see ev.h */
enum err
ev_loop_new(struct ev_loop **out)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct ev_loop *loop;
	int r;

	*out = NULL;
	/* A write to a closed socket is an error code, not a signal. */
	(void)sigaction(SIGPIPE, &ignore, NULL);
	loop = MEM_NEW(struct ev_loop);
	if ((r = uv_loop_init(&loop->uv)) != 0) {
		mem_free(loop);
		return err_from_errno(-r);
	}
	loop->defer_tail = &loop->defer_head;
	/* These cannot fail: no memory, no descriptor is needed. */
	must(uv_prepare_init(&loop->uv, &loop->prepare) == 0);
	must(uv_check_init(&loop->uv, &loop->check) == 0);
	must(uv_idle_init(&loop->uv, &loop->idle) == 0);
	loop->prepare.data = loop->check.data = loop->idle.data = loop;
	must(uv_prepare_start(&loop->prepare, loop_on_prepare) == 0);
	must(uv_check_start(&loop->check, loop_on_check) == 0);
	*out = loop;
	return ERR_OK;
}

/* see ev.h */
void
ev_loop_free(struct ev_loop *loop)
{
	if (loop == NULL)
		return;
	ev_stream_cut_all(loop);
	ev_resolve_close_all(loop);
	ev_child_close_all(loop);
	ev_timer_spare_close(loop);
	uv_close((uv_handle_t *)&loop->prepare, NULL);
	uv_close((uv_handle_t *)&loop->check, NULL);
	uv_close((uv_handle_t *)&loop->idle, NULL);
	for (int i = 0; i < CLOSE_TURNS_MAX; i++) {
		if (uv_run(&loop->uv, UV_RUN_NOWAIT) == 0)
			break;
	}
	/* Fails when the owner left something open: see ev.h. */
	must(uv_loop_close(&loop->uv) == 0);
	mem_free(loop);
}

/* see ev.h */
void
ev_loop_run(struct ev_loop *loop)
{
	/* prepare and check are active always, so it ends by uv_stop only. */
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

/* see ev.h */
void
ev_loop_step(struct ev_loop *loop, bool wait)
{
	loop->step_waits = wait;
	loop->step_mark = loop->ran;
	(void)uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	loop->step_waits = false;
}

/* see ev.h */
void
ev_loop_stop(struct ev_loop *loop)
{
	uv_stop(&loop->uv);
}

/* -- deferred work ------------------------------------------------------ */

/* see ev.h */
void
ev_defer_queue(struct ev_loop *loop, struct ev_defer *d, ev_defer_cb *cb,
	       void *arg)
{
	d->cb = cb;
	d->arg = arg;
	if (d->loop != NULL)
		return;
	d->loop = loop;
	d->next = NULL;
	*loop->defer_tail = d;
	loop->defer_tail = &d->next;
}

static void
defer_unlink(struct ev_loop *loop, struct ev_defer **at)
{
	struct ev_defer *d = *at;

	*at = d->next;
	if (loop->defer_tail == &d->next)
		loop->defer_tail = at;
	d->next = NULL;
	d->loop = NULL;
}

/* see ev.h */
void
ev_defer_cancel(struct ev_defer *d)
{
	struct ev_loop *loop = d->loop;

	if (loop == NULL)
		return;
	for (struct ev_defer **at = &loop->defer_head; *at != NULL;
	     at = &(*at)->next) {
		if (*at == d) {
			defer_unlink(loop, at);
			return;
		}
	}
}

/* see ev_int.h */
void
ev_defer_run(struct ev_loop *loop)
{
	for (int i = 0; loop->defer_head != NULL && i < DEFER_TURN_MAX; i++) {
		struct ev_defer *d = loop->defer_head;
		ev_defer_cb *cb = d->cb;
		void *arg = d->arg;

		defer_unlink(loop, &loop->defer_head);
		loop->ran++;
		cb(arg);
	}
	if (loop->defer_head != NULL)
		(void)uv_idle_start(&loop->idle, loop_on_idle);
	else
		(void)uv_idle_stop(&loop->idle);
}

/* -- timers ------------------------------------------------------------- */

struct ev_timer {
	uv_timer_t uv;
	struct ev_loop *loop;
	ev_timer_cb *cb;
	void *arg;
	struct ev_timer **pending;
	struct ev_timer *next; /* in the spare list */
};

static void
timer_on_closed(uv_handle_t *h)
{
	mem_free(h->data);
}

/* A stopped timer is kept for the next one: closing costs libuv a turn. */
static void
timer_release(struct ev_timer *t)
{
	struct ev_loop *loop = t->loop;

	(void)uv_timer_stop(&t->uv);
	if (loop->timer_spare_cnt >= TIMER_SPARE_MAX) {
		uv_close((uv_handle_t *)&t->uv, timer_on_closed);
		return;
	}
	t->next = loop->timer_spare;
	loop->timer_spare = t;
	loop->timer_spare_cnt++;
}

static void
timer_on_fire(uv_timer_t *h)
{
	struct ev_timer *t = h->data;
	ev_timer_cb *cb = t->cb;
	void *arg = t->arg;

	*t->pending = NULL;
	t->loop->ran++;
	timer_release(t);
	cb(arg);
}

static struct ev_timer *
timer_take(struct ev_loop *loop)
{
	struct ev_timer *t = loop->timer_spare;

	if (t != NULL) {
		loop->timer_spare = t->next;
		loop->timer_spare_cnt--;
		return t;
	}
	t = MEM_NEW(struct ev_timer);
	t->loop = loop;
	must(uv_timer_init(&loop->uv, &t->uv) == 0);
	t->uv.data = t;
	return t;
}

/* libuv counts from its cached time in whole milliseconds, rounded down: both
 * would make a timer early. So the due time is computed here, rounded up. */
static uint64_t
timer_delay(struct ev_loop *loop, uint64_t after_ms)
{
	uint64_t now = mono_now().ns / 1000000 + 1;
	uint64_t cached = uv_now(&loop->uv);
	uint64_t lag = now > cached ? now - cached : 0;

	return after_ms > UINT64_MAX / 4 ? UINT64_MAX / 4 : after_ms + lag;
}

/* see ev.h */
enum err
ev_timer_start(struct ev_loop *loop, uint64_t after_ms, ev_timer_cb *cb,
	       void *arg, struct ev_timer **pending)
{
	struct ev_timer *t = timer_take(loop);

	t->cb = cb;
	t->arg = arg;
	t->pending = pending;
	must(uv_timer_start(&t->uv, timer_on_fire, timer_delay(loop, after_ms),
			    0) == 0);
	*pending = t;
	return ERR_OK;
}

/* see ev.h */
void
ev_timer_cancel(struct ev_timer **pending)
{
	struct ev_timer *t = TAKE(*pending);

	if (t != NULL)
		timer_release(t);
}

/* see ev_int.h */
void
ev_timer_spare_close(struct ev_loop *loop)
{
	while (loop->timer_spare != NULL) {
		struct ev_timer *t = loop->timer_spare;

		loop->timer_spare = t->next;
		uv_close((uv_handle_t *)&t->uv, timer_on_closed);
	}
	/* None comes back while the loop ends. */
	loop->timer_spare_cnt = TIMER_SPARE_MAX;
}

/* -- signals ------------------------------------------------------------ */

struct ev_signal {
	uv_signal_t uv;
	ev_signal_cb *cb;
	void *arg;
};

static void
signal_on_closed(uv_handle_t *h)
{
	mem_free(h->data);
}

static void
signal_on_fire(uv_signal_t *h, int signum)
{
	struct ev_signal *s = h->data;

	s->cb(s->arg, signum);
}

/* see ev.h */
enum err
ev_signal_start(struct ev_loop *loop, int signum, ev_signal_cb *cb, void *arg,
		struct ev_signal **out)
{
	struct ev_signal *s;
	int r;

	*out = NULL;
	s = MEM_NEW(struct ev_signal);
	s->cb = cb;
	s->arg = arg;
	if ((r = uv_signal_init(&loop->uv, &s->uv)) != 0) {
		mem_free(s);
		return err_from_errno(-r);
	}
	s->uv.data = s;
	if ((r = uv_signal_start(&s->uv, signal_on_fire, signum)) != 0) {
		uv_close((uv_handle_t *)&s->uv, signal_on_closed);
		return err_from_errno(-r);
	}
	*out = s;
	return ERR_OK;
}

/* see ev.h */
void
ev_signal_cancel(struct ev_signal **s)
{
	struct ev_signal *gone = TAKE(*s);

	if (gone != NULL)
		uv_close((uv_handle_t *)&gone->uv, signal_on_closed);
}
