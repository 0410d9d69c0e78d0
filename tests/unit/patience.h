/* patience.h - an event loop in a test that fails when it waits in vain.
 *
 * The fixture has two members: struct ev_loop *loop, which the test makes and
 * frees, and struct patience patience, started behind that and ended before.
 * Nothing here sleeps: the loop turns when something happens. */
#ifndef PATIENCE_H
#define PATIENCE_H

#include "ev/ev.h"
#include "unit.h"

enum {
	PATIENCE_MS = 15000
};

struct patience {
	struct ev_timer *timer;
	bool is_over;
};

static void
patience_on_timer(void *arg)
{
	((struct patience *)arg)->is_over = true;
}

static void
patience_start(struct ev_loop *loop, struct patience *p)
{
	assert_int_equal(ev_timer_start(loop, PATIENCE_MS, patience_on_timer, p,
					&p->timer),
			 ERR_OK);
}

static void
patience_end(struct patience *p)
{
	ev_timer_cancel(&p->timer);
}

/* Turns the fixture's loop until the condition holds. */
#define wait_for(f, cond)                                    \
	do {                                                 \
		while (!(cond)) {                            \
			assert_false((f)->patience.is_over); \
			ev_loop_step((f)->loop, true);       \
		}                                            \
	} while (0)

#endif
