/* test_limit.c - lib/ca/limit.h. */
#include "ca/limit.h"

#include "base/mem.h"
#include "unit.h"

enum {
	TABLE = 64,
	SEC_MS = 1000
};

static const struct ca_rate ten = {.per_sec = 10, .burst = 5};
static const struct mono start = {UINT64_C(1000000000000)};
static const struct slice victim = {(const uint8_t *)"victim", 6};

static struct slice
name_of(char text[32], unsigned n)
{
	(void)snprintf(text, 32, "caller-%u", n);
	return slice_of_str(text);
}

/* How many of `tries` requests at this moment are let through. */
static unsigned
let_through(struct ca_limit *l, struct slice who, const struct ca_rate *rate,
	    struct mono now, unsigned tries)
{
	unsigned n = 0;

	for (unsigned i = 0; i < tries; i++)
		n += ca_limit_take(l, who, rate, now) == 0;
	return n;
}

static void
a_burst_is_let_through_and_then_the_rate(void **state)
{
	struct ca_bucket b = {0};
	struct mono now = start;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(ca_bucket_take(&b, &ten, now), 0);
	/* It says when the next one fits, and then it does, not before. */
	assert_int_equal(ca_bucket_take(&b, &ten, now), 100);
	now = mono_add_ms(now, 99);
	assert_int_equal(ca_bucket_take(&b, &ten, now), 1);
	now = mono_add_ms(now, 1);
	assert_int_equal(ca_bucket_take(&b, &ten, now), 0);
	assert_int_not_equal(ca_bucket_take(&b, &ten, now), 0);
}

static void
what_is_refused_costs_nothing(void **state)
{
	struct ca_limit *l = ca_limit_new(TABLE);

	(void)state;
	assert_int_equal(let_through(l, victim, &ten, start, 100000), 5);
	assert_int_equal(let_through(l, victim, &ten,
				     mono_add_ms(start, SEC_MS), 100000),
			 5);
	assert_int_equal(let_through(l, victim, &ten,
				     mono_add_ms(start, SEC_MS + 200), 100000),
			 2);
	ca_limit_free(l);
}

static void
one_caller_over_its_limit_stops_no_other(void **state)
{
	struct ca_limit *l = ca_limit_new(TABLE);
	char text[32];

	(void)state;
	(void)let_through(l, victim, &ten, start, 1000);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(
			ca_limit_take(l, name_of(text, i), &ten, start), 0);
	ca_limit_free(l);
}

/* The attack: use a burst up, drive one's row out of the table by other names,
 * come back as if new. It would be repeated without end. */
static void
many_names_do_not_fill_a_bucket_again(void **state)
{
	struct ca_limit *l = ca_limit_new(TABLE);
	struct mono now = start;
	unsigned got = 0, others = 0;
	char text[32];

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		got += let_through(l, victim, &ten, now, 10);
		for (unsigned i = 0; i < 4 * TABLE; i++)
			others +=
				ca_limit_take(
					l, name_of(text, round * 4 * TABLE + i),
					&ten, now) == 0;
		now = mono_add_ms(now, 1);
	}
	/* The rows were taken over again and again: in a table that forgets
	 * whom it drops, the victim would have had five each time. */
	assert_true(ca_limit_get_takeovers(l) > 200);
	assert_in_range(got, 1, 5 + 10 * 200 / 1000);
	/* Nor do all of them together get more than the table's rows allow. */
	assert_true(others <= TABLE * (5 + 2));
	ca_limit_free(l);
}

/* The contrast: with room for all, every name has a burst of its own. */
static void
with_room_for_all_every_name_has_its_own_burst(void **state)
{
	struct ca_limit *l = ca_limit_new(4096);
	unsigned got = 0;
	char text[32];

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		got += let_through(l, name_of(text, i), &ten, start, 10);
	assert_int_equal(got, 256 * 5);
	assert_int_equal(ca_limit_get_takeovers(l), 0);
	ca_limit_free(l);
}

/* Whatever the pattern: nobody gets more than its burst and its rate. */
static void
no_pattern_gives_anybody_more_than_its_limit(void **state)
{
	enum {
		NAMES = 40,
		STEPS = 60000
	};
	struct ca_limit *l = ca_limit_new(8);
	unsigned got[NAMES] = {0};
	uint64_t seed = 1, at_ms = 0;
	char text[32];

	(void)state;
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned who;

		seed = seed * UINT64_C(6364136223846793005) +
		       UINT64_C(1442695040888963407);
		who = (unsigned)(seed >> 40) % NAMES;
		who = who > NAMES / 2 ? 0 : who; /* one is keener */
		at_ms += seed >> 63;
		got[who] += ca_limit_take(l, name_of(text, who), &ten,
					  mono_add_ms(start, at_ms)) == 0;
		assert_true(got[who] <= 5 + at_ms * 10 / 1000 + 1);
	}
	assert_true(got[0] > 5);
	ca_limit_free(l);
}

static void
no_rate_is_no_limit(void **state)
{
	static const struct ca_rate none = {.per_sec = 0, .burst = 1};
	struct ca_limit *l = ca_limit_new(TABLE);

	(void)state;
	assert_int_equal(let_through(l, victim, &none, start, 1000), 1000);
	assert_int_equal(ca_limit_take(l, victim, &none, start), 0);
	ca_limit_free(l);
}

/* The widest numbers that the configuration takes, years after boot. */
static void
wide_numbers_do_not_overflow(void **state)
{
	static const struct ca_rate slow = {.per_sec = 1, .burst = 1000000000};
	static const struct ca_rate fast = {.per_sec = 1000000, .burst = 1};
	struct mono late = {UINT64_C(10) * 365 * 86400 * 1000000000};
	struct ca_bucket b = {0};

	(void)state;
	for (int i = 0; i < 100000; i++)
		assert_int_equal(ca_bucket_take(&b, &slow, late), 0);
	b = (struct ca_bucket){0};
	assert_int_equal(ca_bucket_take(&b, &fast, late), 0);
	assert_int_equal(ca_bucket_take(&b, &fast, late), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_let_through_and_then_the_rate),
		cmocka_unit_test(what_is_refused_costs_nothing),
		cmocka_unit_test(one_caller_over_its_limit_stops_no_other),
		cmocka_unit_test(many_names_do_not_fill_a_bucket_again),
		cmocka_unit_test(
			with_room_for_all_every_name_has_its_own_burst),
		cmocka_unit_test(no_pattern_gives_anybody_more_than_its_limit),
		cmocka_unit_test(no_rate_is_no_limit),
		cmocka_unit_test(wide_numbers_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
