/* ev_clock.c - the wall clock was set: see ev.h.
 *
 * A timer that never fires, on the wall clock and cancelled when that is set,
 * wakes the loop; by how much it was set is found by comparing both clocks,
 * which is done whenever the loop is awake. So it is noticed, late, also where
 * there is no such timer, and by whatever comes first. */
#include "ev/ev.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "ev/ev_int.h"

enum {
	/* Adjusting (0.5 ms a second at most) is no setting. */
	CLOCK_SET_MIN_MS = 1000
};

struct ev_clock {
	struct ev_clock *next;
	struct ev_garbage garbage;
	struct ev_loop *loop;
	int fd; /* -1: none */
	struct ev_poll *poll;
	ev_clock_cb *cb; /* NULL: cancelled */
	void *arg;
	int64_t offset_ms; /* wall clock minus monotonic clock */
};

static int64_t
clock_get_offset(void)
{
	return wall_now().ms - (int64_t)(mono_now().ns / 1000000);
}

static void
clock_look(struct ev_clock *c, int64_t offset)
{
	int64_t by_ms = offset - c->offset_ms;

	/* Followed in any case: small steps never add up to a setting. */
	c->offset_ms = offset;
	if (c->cb != NULL &&
	    (by_ms >= CLOCK_SET_MIN_MS || by_ms <= -CLOCK_SET_MIN_MS))
		c->cb(c->arg, by_ms);
}

/* see ev_int.h */
void
ev_clock_look_all(struct ev_loop *loop)
{
	int64_t offset;

	if (loop->clocks == NULL)
		return;
	offset = clock_get_offset();
	/* One that is cancelled meanwhile stays until the end of the turn. */
	for (struct ev_clock *c = loop->clocks; c != NULL; c = c->next)
		clock_look(c, offset);
}

/* Taking the news lets the timer wait for the next; the check does the rest. */
static void
clock_on_set(void *arg, bool readable, bool writable)
{
	const struct ev_clock *c = arg;
	uint64_t times;

	(void)readable;
	(void)writable;
	(void)!read(c->fd, &times, sizeof(times));
}

/* Best effort: without it the clock is looked at when something happens. */
static void
clock_start_timer(struct ev_loop *loop, struct ev_clock *c)
{
	const struct itimerspec never = {
		.it_value = {.tv_sec = sizeof(time_t) == 8 ? INT64_C(1) << 40
							   : INT32_MAX}};

	c->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (c->fd < 0)
		return;
	if (timerfd_settime(c->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
			    &never, NULL) != 0 ||
	    ev_poll_start(loop, c->fd, clock_on_set, c, &c->poll) != ERR_OK) {
		(void)close(c->fd);
		c->fd = -1;
		return;
	}
	ev_poll_want(c->poll, true, false);
}

/* see ev.h */
void
ev_clock_watch(struct ev_loop *loop, ev_clock_cb *cb, void *arg,
	       struct ev_clock **out)
{
	struct ev_clock *c = MEM_NEW(struct ev_clock);

	c->cb = cb;
	c->arg = arg;
	c->offset_ms = clock_get_offset();
	c->loop = loop;
	c->next = loop->clocks;
	loop->clocks = c;
	clock_start_timer(loop, c);
	*out = c;
}

/* see ev.h */
void
ev_clock_cancel(struct ev_clock **c)
{
	struct ev_clock *gone = TAKE(*c);
	struct ev_clock **at;

	if (gone == NULL)
		return;
	for (at = &gone->loop->clocks; *at != gone; at = &(*at)->next)
		;
	*at = gone->next;
	gone->cb = NULL;
	ev_poll_cancel(&gone->poll);
	if (gone->fd >= 0)
		(void)close(gone->fd);
	ev_garbage_put(gone->loop, &gone->garbage, gone);
}
