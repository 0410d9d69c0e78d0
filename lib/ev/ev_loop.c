/* ev_loop.c - the loop itself, deferred work, timers and signals.
 *
 * Descriptors wait in an epoll set of our own; libuv, which keeps timers,
 * signals and file events, is one descriptor in it. It is run when that
 * descriptor or a timer is due. Its own way of watching a descriptor costs six
 * system calls for a connection that lives for one request; this one two, and
 * half of the memory (doc/decisions/0006-epoll-beside-libuv.md).
 *
 * Deferred work runs in two places of a turn: before the loop sleeps, which
 * catches what code outside of callbacks queued, and right after the events.
 * While late work waits the loop does not sleep: it looks whether there is
 * more to come, and does that work when there is not. */
#include "ev/ev.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/mem.h"
#include "ev/ev_int.h"

enum {
	/* More than this in one turn, and events get their share first. */
	DEFER_TURN_MAX = 100000,
	TIMER_SPARE_MAX = 256,
	CLOSE_TURNS_MAX = 16
};

/* -- descriptors -------------------------------------------------------- */

/* see ev_int.h */
void
ev_source_init(struct ev_source *s, int fd,
	       void (*on_event)(struct ev_source *s, uint32_t events))
{
	*s = (struct ev_source){.fd = fd, .on_event = on_event};
}

/* see ev_int.h */
enum err
ev_source_want(struct ev_loop *loop, struct ev_source *s, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = s};
	int op = EPOLL_CTL_MOD;

	if (events == s->wanted)
		return ERR_OK;
	if (s->wanted == 0)
		op = EPOLL_CTL_ADD;
	else if (events == 0)
		op = EPOLL_CTL_DEL;
	if (epoll_ctl(loop->epoll_fd, op, s->fd, &e) != 0)
		return err_from_errno(errno);
	s->wanted = events;
	return ERR_OK;
}

/* see ev_int.h */
void
ev_source_drop(struct ev_loop *loop, struct ev_source *s)
{
	if (s->wanted != 0)
		(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	s->wanted = 0;
	for (int i = loop->batch_at; i < loop->batch_cnt; i++) {
		if (loop->batch[i].data.ptr == s)
			loop->batch[i].data.ptr = NULL;
	}
}

static void
loop_handle(struct ev_loop *loop, int cnt)
{
	loop->batch_cnt = cnt;
	for (loop->batch_at = 0; loop->batch_at < loop->batch_cnt;
	     loop->batch_at++) {
		const struct epoll_event *e = &loop->batch[loop->batch_at];
		struct ev_source *s = e->data.ptr;

		/* Dropped, or less is wanted than when the kernel looked. */
		if (s != NULL && s->wanted != 0)
			s->on_event(s, e->events);
	}
	loop->batch_at = loop->batch_cnt = 0;
}

/* -- memory that callbacks may still look at ------------------------------ */

/* see ev_int.h */
void
ev_garbage_put(struct ev_loop *loop, struct ev_garbage *g, void *owner)
{
	g->owner = owner;
	g->next = loop->garbage;
	loop->garbage = g;
}

static void
garbage_free(struct ev_loop *loop)
{
	while (loop->garbage != NULL) {
		void *owner = loop->garbage->owner;

		loop->garbage = loop->garbage->next;
		mem_free(owner);
	}
}

/* -- the loop ----------------------------------------------------------- */

/* see ev_int.h */
void
ev_loop_wake_uv(struct ev_loop *loop)
{
	loop->uv_due = true;
}

static void
loop_on_uv(struct ev_source *s, uint32_t events)
{
	(void)events;
	ev_loop_wake_uv((struct ev_loop *)s);
}

/* -1: no timer. libuv with nothing of its own says 0: its loop would end. */
static int
loop_timeout(struct ev_loop *loop)
{
	if (loop->defer_head != NULL || loop->next_head != NULL ||
	    loop->uv_due || loop->stopped)
		return 0;
	if (uv_loop_alive(&loop->uv) == 0)
		return -1;
	uv_update_time(&loop->uv);
	return uv_backend_timeout(&loop->uv);
}

/* All of a list goes behind what is to be run now. */
static void
defer_take(struct ev_loop *loop, struct ev_defer **head,
	   struct ev_defer ***tail)
{
	if (*head == NULL)
		return;
	*loop->defer_tail = TAKE(*head);
	loop->defer_tail = *tail;
	*tail = head;
}

/* What it queues as late again waits for events first. */
static void
late_take(struct ev_loop *loop, bool is_idle)
{
	if (loop->late_head != NULL &&
	    (is_idle ||
	     mono_diff_ms(mono_now(), loop->late_since) >= EV_LATE_MS))
		defer_take(loop, &loop->late_head, &loop->late_tail);
}

/* see ev_int.h */
void
ev_loop_turn(struct ev_loop *loop, bool wait)
{
	int timeout_ms;
	int cnt;

	ev_defer_run(loop);
	timeout_ms = loop_timeout(loop);
	wait = wait && loop->late_head == NULL;
	cnt = epoll_wait(loop->epoll_fd, loop->batch, EV_BATCH,
			 wait ? timeout_ms : 0);
	ev_clock_look_all(loop);
	if (cnt > 0)
		loop_handle(loop, cnt);
	/* Timers are due when nothing came in time, or were before. */
	if (loop->uv_due || timeout_ms == 0 || (wait && cnt == 0)) {
		loop->uv_due = false;
		(void)uv_run(&loop->uv, UV_RUN_NOWAIT);
	}
	defer_take(loop, &loop->next_head, &loop->next_tail);
	ev_defer_run(loop);
	late_take(loop, cnt <= 0);
	ev_defer_run(loop);
	garbage_free(loop);
}

static enum err
loop_open(struct ev_loop *loop)
{
	int r;

	if ((loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
		return err_from_errno(errno);
	if ((r = uv_loop_init(&loop->uv)) != 0) {
		(void)close(loop->epoll_fd);
		return err_from_errno(-r);
	}
	ev_source_init(&loop->uv_source, uv_backend_fd(&loop->uv), loop_on_uv);
	loop->uv_due = true;
	return ev_source_want(loop, &loop->uv_source, EPOLLIN);
}

/* see ev.h */
enum err
ev_loop_new(struct ev_loop **out)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct ev_loop *loop;
	enum err ret;

	*out = NULL;
	/* A write to a closed socket is an error code, not a signal. */
	(void)sigaction(SIGPIPE, &ignore, NULL);
	loop = MEM_NEW(struct ev_loop);
	loop->defer_tail = &loop->defer_head;
	loop->late_tail = &loop->late_head;
	loop->next_tail = &loop->next_head;
	buf_init_secret(&loop->scratch, EV_SCRATCH_MAX);
	if ((ret = loop_open(loop)) != ERR_OK) {
		mem_free(loop);
		return ret;
	}
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
	for (int i = 0; i < CLOSE_TURNS_MAX; i++) {
		if (uv_run(&loop->uv, UV_RUN_NOWAIT) == 0)
			break;
	}
	/* Fails when the owner left something open: see ev.h. */
	must(uv_loop_close(&loop->uv) == 0);
	garbage_free(loop);
	buf_fini(&loop->scratch);
	(void)close(loop->epoll_fd);
	mem_free(loop);
}

/* see ev.h */
void
ev_loop_run(struct ev_loop *loop)
{
	loop->stopped = false;
	while (!loop->stopped)
		ev_loop_turn(loop, true);
}

/* see ev.h */
void
ev_loop_step(struct ev_loop *loop, bool wait)
{
	const uint64_t ran = loop->ran;

	ev_defer_run(loop);
	/* Something happened in this step already: do not sleep on it. */
	ev_loop_turn(loop, wait && loop->ran == ran);
}

/* see ev.h */
void
ev_loop_stop(struct ev_loop *loop)
{
	loop->stopped = true;
}

/* see ev.h */
struct buf *
ev_loop_get_scratch(struct ev_loop *loop)
{
	must(buf_len(&loop->scratch) == 0);
	return &loop->scratch;
}

/* -- deferred work ------------------------------------------------------ */

static void
defer_link(struct ev_loop *loop, struct ev_defer ***tail, struct ev_defer *d)
{
	d->loop = loop;
	d->next = NULL;
	**tail = d;
	*tail = &d->next;
}

/* see ev.h */
void
ev_defer_queue(struct ev_loop *loop, struct ev_defer *d, ev_defer_cb *cb,
	       void *arg)
{
	d->cb = cb;
	d->arg = arg;
	if (d->loop == NULL)
		defer_link(loop, &loop->defer_tail, d);
}

/* see ev.h */
void
ev_defer_queue_next(struct ev_loop *loop, struct ev_defer *d, ev_defer_cb *cb,
		    void *arg)
{
	d->cb = cb;
	d->arg = arg;
	if (d->loop == NULL)
		defer_link(loop, &loop->next_tail, d);
}

/* see ev.h */
void
ev_defer_queue_late(struct ev_loop *loop, struct ev_defer *d, ev_defer_cb *cb,
		    void *arg)
{
	d->cb = cb;
	d->arg = arg;
	if (d->loop != NULL)
		return;
	if (loop->late_head == NULL)
		loop->late_since = mono_now();
	defer_link(loop, &loop->late_tail, d);
}

/* at: the head of a list, or the next of one in it. */
static void
defer_unlink(struct ev_defer **at, struct ev_defer ***tail)
{
	struct ev_defer *d = *at;

	*at = d->next;
	if (*tail == &d->next)
		*tail = at;
	d->next = NULL;
	d->loop = NULL;
}

static bool
defer_find(struct ev_defer **head, struct ev_defer ***tail,
	   const struct ev_defer *d)
{
	for (struct ev_defer **at = head; *at != NULL; at = &(*at)->next) {
		if (*at == d) {
			defer_unlink(at, tail);
			return true;
		}
	}
	return false;
}

/* see ev.h */
void
ev_defer_cancel(struct ev_defer *d)
{
	struct ev_loop *loop = d->loop;

	if (loop != NULL &&
	    !defer_find(&loop->defer_head, &loop->defer_tail, d) &&
	    !defer_find(&loop->next_head, &loop->next_tail, d))
		(void)defer_find(&loop->late_head, &loop->late_tail, d);
}

static void
defer_run_first(struct ev_loop *loop)
{
	struct ev_defer *d = loop->defer_head;
	ev_defer_cb *cb = d->cb;
	void *arg = d->arg;

	defer_unlink(&loop->defer_head, &loop->defer_tail);
	loop->ran++;
	cb(arg);
}

/* see ev_int.h */
void
ev_defer_run(struct ev_loop *loop)
{
	for (int i = 0; loop->defer_head != NULL && i < DEFER_TURN_MAX; i++)
		defer_run_first(loop);
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
	ev_loop_wake_uv(loop);
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
