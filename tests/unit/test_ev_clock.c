/* test_ev_clock.c - the wall clock is set. The clocks of this program are its
 * own: clock_gettime and the kernel's timer are defined here, in front of the
 * C library's. */
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "ev/ev.h"
#include "unit.h"

/* What the kernel of this test does. */
static struct {
	int64_t wall_sec; /* beyond the real wall clock */
	int fd;           /* of the timer; -1: it cannot be made */
	int clock;
	int flags;
	bool refuses;
} kernel = {.fd = -1};

int
clock_gettime(clockid_t id, struct timespec *out)
{
	int ret = (int)syscall(SYS_clock_gettime, id, out);

	if (id == CLOCK_REALTIME)
		out->tv_sec += kernel.wall_sec;
	return ret;
}

int
timerfd_create(int clock, int flags)
{
	(void)flags;
	if (kernel.refuses)
		return -1;
	kernel.clock = clock;
	kernel.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return kernel.fd;
}

int
timerfd_settime(int fd, int flags, const struct itimerspec *at,
		struct itimerspec *old)
{
	(void)old;
	assert_int_equal(fd, kernel.fd);
	/* Armed, and not for this century. */
	assert_true(at->it_value.tv_sec > INT64_C(1) << 32);
	kernel.flags = flags;
	return 0;
}

/* As root of this machine would, and as the kernel tells of it. */
static void
set_clock(int64_t by_sec)
{
	uint64_t one = 1;

	kernel.wall_sec += by_sec;
	if (!kernel.refuses)
		assert_int_equal(write(kernel.fd, &one, sizeof(one)),
				 sizeof(one));
}

struct fixture {
	struct ev_loop *loop;
	struct ev_clock *clock;
	unsigned calls;
	int64_t by_ms;
	struct ev_timer *timer;
	bool timer_ran;
};

static void
on_clock(void *arg, int64_t by_ms)
{
	struct fixture *f = arg;

	f->calls++;
	f->by_ms = by_ms;
}

static void
on_timer(void *arg)
{
	struct fixture *f = arg;

	f->timer_ran = true;
}

static int
setup(void **state)
{
	struct fixture *f = MEM_NEW(struct fixture);

	kernel.wall_sec = 0;
	assert_int_equal(ev_loop_new(&f->loop), ERR_OK);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	ev_timer_cancel(&f->timer);
	ev_clock_cancel(&f->clock);
	ev_clock_cancel(&f->clock);
	ev_loop_free(f->loop);
	mem_free(f);
	return 0;
}

static bool
is_near(int64_t ms, int64_t wanted)
{
	return ms > wanted - 900 && ms < wanted + 900;
}

static void
setting_it_wakes_a_loop_that_sleeps(void **state)
{
	static const int64_t steps[] = {3600,       -3600, 315360000,
					-315360000, 2,     -2};
	struct fixture *f = *state;

	kernel.refuses = false;
	ev_clock_watch(f->loop, on_clock, f, &f->clock);
	assert_int_equal(kernel.clock, CLOCK_REALTIME);
	assert_int_equal(kernel.flags,
			 TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
	for (unsigned i = 0; i < COUNT_OF(steps); i++) {
		set_clock(steps[i]);
		/* Nothing else could end this wait. */
		while (f->calls == i)
			ev_loop_step(f->loop, true);
		assert_int_equal(f->calls, i + 1);
		assert_true(is_near(f->by_ms, steps[i] * 1000));
		/* It is told once. */
		ev_loop_step(f->loop, false);
		assert_int_equal(f->calls, i + 1);
	}
}

static void
without_the_kernels_help_it_is_noticed_at_the_next_wake_up(void **state)
{
	struct fixture *f = *state;

	kernel.refuses = true;
	ev_clock_watch(f->loop, on_clock, f, &f->clock);
	set_clock(-3600);
	assert_int_equal(ev_timer_start(f->loop, 1, on_timer, f, &f->timer),
			 ERR_OK);
	while (!f->timer_ran) {
		ev_loop_step(f->loop, true);
		/* Before whatever woke it runs. */
		assert_true(f->calls == 1 || !f->timer_ran);
	}
	assert_int_equal(f->calls, 1);
	assert_true(is_near(f->by_ms, -3600000));
}

static void
what_was_not_set_is_not_told(void **state)
{
	struct fixture *f = *state;

	kernel.refuses = false;
	ev_clock_watch(f->loop, on_clock, f, &f->clock);
	for (int i = 0; i < 20; i++) {
		f->timer_ran = false;
		assert_int_equal(
			ev_timer_start(f->loop, 1, on_timer, f, &f->timer),
			ERR_OK);
		while (!f->timer_ran)
			ev_loop_step(f->loop, true);
	}
	assert_int_equal(f->calls, 0);
	/* And nobody hears of it who does not listen any more. */
	ev_clock_cancel(&f->clock);
	kernel.wall_sec += 3600;
	ev_loop_step(f->loop, false);
	assert_int_equal(f->calls, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(setting_it_wakes_a_loop_that_sleeps),
		TEST(without_the_kernels_help_it_is_noticed_at_the_next_wake_up),
		TEST(what_was_not_set_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
