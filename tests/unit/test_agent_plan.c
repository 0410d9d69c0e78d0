/* When the agent renews, and when it tries again. */
#include "base/attr.h"
#include "unit.h"

/* A program's file, not of the library. */
#include "../../cmd/agent/plan.c"

static const int64_t hour = 3600000;

static int64_t
delay(int64_t ratio_ppm, int64_t used_ms)
{
	const struct plan_renewal p = {.ratio_ppm = ratio_ppm};
	struct wall created = {1000000}, expire = {1000000 + hour},
		    now = {1000000 + used_ms};

	return plan_renew_ms(&p, created, expire, now, 0);
}

/* The cases of Istio's own unit test: one hour, no jitter. */
static void
renewal_is_where_istio_s_agent_has_it(void **state UNUSED)
{
	assert_int_equal(delay(500000, 0), hour / 2);
	assert_int_equal(delay(250000, 0), hour * 3 / 4);
	assert_int_equal(delay(750000, 0), hour / 4);
	assert_int_equal(delay(1000000, 0), 0);
	assert_int_equal(delay(0, 0), hour);
	assert_int_equal(delay(500000, hour / 2), 0);
	assert_int_equal(delay(500000, hour), 0);
	assert_int_equal(delay(500000, 2 * hour), 0);
}

static void
jitter_stays_within_its_bounds_and_reaches_both(void **state UNUSED)
{
	const struct plan_renewal p = {.ratio_ppm = 500000,
				       .jitter_ppm = 10000};
	const struct wall created = {0}, expire = {hour};

	assert_int_equal(plan_renew_ms(&p, created, expire, created, 0),
			 hour * 51 / 100);
	assert_int_equal(plan_renew_ms(&p, created, expire, created, 10000),
			 hour / 2);
	assert_int_equal(plan_renew_ms(&p, created, expire, created, 20000),
			 hour * 49 / 100);
	/* The random number is cut to the span. */
	assert_int_equal(plan_renew_ms(&p, created, expire, created, 20001),
			 hour * 51 / 100);
}

static void
jitter_does_not_push_the_ratio_out_of_zero_to_one(void **state UNUSED)
{
	struct plan_renewal p = {.ratio_ppm = 1000000, .jitter_ppm = 500000};
	const struct wall created = {0}, expire = {hour};

	assert_int_equal(plan_renew_ms(&p, created, expire, created, 1000000),
			 0);
	p.ratio_ppm = 0;
	assert_int_equal(plan_renew_ms(&p, created, expire, created, 0), hour);
}

static void
the_floor_holds_but_never_beyond_half_of_what_is_left(void **state UNUSED)
{
	const struct plan_renewal p = {.ratio_ppm = 1000000, .floor_ms = 10000};
	const struct wall created = {0};

	assert_int_equal(
		plan_renew_ms(&p, created, (struct wall){hour}, created, 0),
		10000);
	assert_int_equal(
		plan_renew_ms(&p, created, (struct wall){4000}, created, 0),
		2000);
	assert_int_equal(
		plan_renew_ms(&p, created, (struct wall){0}, created, 0), 0);
}

static void
a_life_of_centuries_does_not_overflow(void **state UNUSED)
{
	const struct plan_renewal p = {.ratio_ppm = 500000};
	const struct wall created = {0}, expire = {INT64_MAX / 2};
	int64_t got = plan_renew_ms(&p, created, expire, created, 0);

	assert_true(got > INT64_MAX / 4 - 1000000 &&
		    got < INT64_MAX / 4 + 1000000);
}

static void
pauses_double_up_to_the_maximum(void **state UNUSED)
{
	const struct plan_retry p = {100, 15000};

	assert_int_equal(plan_retry_ms(&p, 1, 0, 0), 100);
	assert_int_equal(plan_retry_ms(&p, 2, 0, 0), 200);
	assert_int_equal(plan_retry_ms(&p, 5, 0, 0), 1600);
	assert_int_equal(plan_retry_ms(&p, 9, 0, 0), 15000);
	assert_int_equal(plan_retry_ms(&p, 4000000000U, 0, 0), 15000);
}

static void
at_most_half_of_a_pause_is_random(void **state UNUSED)
{
	const struct plan_retry p = {100, 15000};

	for (uint64_t r = 0; r < 1000; r++) {
		int64_t got = plan_retry_ms(&p, 3, 0, r);

		assert_in_range(got, 200, 400);
	}
	assert_int_equal(plan_retry_ms(&p, 3, 0, 200), 200);
}

static void
near_the_end_of_a_certificate_it_asks_more_often(void **state UNUSED)
{
	const struct plan_retry p = {100, 15000};

	assert_int_equal(plan_retry_ms(&p, 20, hour, 0), 15000);
	assert_int_equal(plan_retry_ms(&p, 20, 8000, 0), 1000);
	assert_int_equal(plan_retry_ms(&p, 20, 8, 0), 100);
	/* After the end there is nothing to hurry for. */
	assert_int_equal(plan_retry_ms(&p, 20, 0, 0), 15000);
}

static void
a_ca_that_says_when_to_come_again_is_heeded_within_bounds(void **state UNUSED)
{
	const struct plan_retry p = {100, 15000};

	/* Never before the time it named, and at most a quarter later. */
	for (uint64_t r = 0; r < 3000; r++)
		assert_in_range(plan_asked_retry_ms(&p, 1, 0, 2000, r), 2000,
				2500);
	assert_int_equal(plan_asked_retry_ms(&p, 1, 0, 2000, 0), 2000);
	assert_int_equal(plan_asked_retry_ms(&p, 1, 0, 2000, 500), 2500);
	/* Where our own pause is longer, that one holds. */
	assert_int_equal(plan_asked_retry_ms(&p, 20, 0, 2000, 0), 15000);
	assert_int_equal(plan_asked_retry_ms(&p, 2, hour, 0, 0), 200);
	/* No CA sends us away for ever, or beyond the certificate's end. */
	assert_in_range(plan_asked_retry_ms(&p, 1, 0, UINT64_MAX, 77), 15000,
			18750);
	assert_in_range(plan_asked_retry_ms(&p, 1, 8000, UINT64_MAX, 77), 1000,
			1250);
}

/* Ten hours late: counted from receipt the renewal would come at 17 hours of a
 * life of 24, at a late day and a half never. */
static void
a_late_clock_does_not_make_a_life_longer(void **state UNUSED)
{
	const struct plan_renewal p = {.ratio_ppm = 500000};
	const struct wall begin = {100 * hour}, end = {124 * hour};
	const struct wall late[] = {{90 * hour}, {64 * hour}, {0}};

	for (size_t i = 0; i < COUNT_OF(late); i++) {
		const struct wall base =
			plan_base(late[i], begin, end, 24 * hour);

		assert_true(plan_renew_ms(&p, late[i], end, late[i], 0) >
			    12 * hour);
		assert_int_equal(plan_renew_ms(&p, base, end, base, 0),
				 12 * hour);
	}
	/* A clock that is right, or early, is believed. */
	assert_int_equal(
		plan_base((struct wall){101 * hour}, begin, end, 24 * hour).ms,
		101 * hour);
}

/* Within the time that a certificate is backdated its beginning says nothing:
 * a minute late, four seconds would seem to be a minute and four. */
static void
nor_does_it_within_the_time_of_backdating(void **state UNUSED)
{
	const struct plan_renewal p = {.ratio_ppm = 500000};
	const struct wall begin = {100 * hour}, at = {begin.ms + 60000},
			  end = {begin.ms + 124000};
	const struct wall base = plan_base(at, begin, end, 4000);

	assert_int_equal(plan_renew_ms(&p, at, end, at, 0), 32000);
	assert_int_equal(plan_renew_ms(&p, base, end, base, 0), 2000);
	/* A CA that gives less than was asked for is believed. */
	assert_int_equal(plan_base(at, begin, end, 24 * hour).ms, at.ms);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renewal_is_where_istio_s_agent_has_it),
		cmocka_unit_test(
			jitter_stays_within_its_bounds_and_reaches_both),
		cmocka_unit_test(
			jitter_does_not_push_the_ratio_out_of_zero_to_one),
		cmocka_unit_test(
			the_floor_holds_but_never_beyond_half_of_what_is_left),
		cmocka_unit_test(a_life_of_centuries_does_not_overflow),
		cmocka_unit_test(a_late_clock_does_not_make_a_life_longer),
		cmocka_unit_test(nor_does_it_within_the_time_of_backdating),
		cmocka_unit_test(pauses_double_up_to_the_maximum),
		cmocka_unit_test(at_most_half_of_a_pause_is_random),
		cmocka_unit_test(
			a_ca_that_says_when_to_come_again_is_heeded_within_bounds),
		cmocka_unit_test(
			near_the_end_of_a_certificate_it_asks_more_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
