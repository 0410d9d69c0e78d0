/* test_queue.c - lib/ca/queue.h. */
#include "ca/queue.h"

#include "base/mem.h"
#include "unit.h"

struct waiter {
	struct ca_queue_item item; /* first */
	uint64_t caller;
	unsigned number;
};

static enum err
put(struct ca_queue *q, enum ca_queue_class c, uint64_t caller, unsigned number)
{
	struct waiter *w = MEM_NEW(struct waiter);
	enum err ret;

	w->caller = caller;
	w->number = number;
	ret = ca_queue_put(q, &w->item, c, caller);
	if (ret != ERR_OK)
		mem_free(w);
	return ret;
}

static unsigned
fill(struct ca_queue *q, enum ca_queue_class c, uint64_t caller, unsigned cnt)
{
	unsigned got = 0;

	for (unsigned i = 0; i < cnt; i++)
		got += put(q, c, caller, i) == ERR_OK;
	return got;
}

/* Takes one; zeroes where nothing waits. */
static struct waiter
take(struct ca_queue *q)
{
	struct waiter *w = (struct waiter *)ca_queue_take(q);
	struct waiter copy = {.caller = 0};

	if (w != NULL)
		copy = *w;
	mem_free(w);
	return copy;
}

static void
drain(struct ca_queue *q)
{
	while (ca_queue_count(q) > 0)
		(void)take(q);
	assert_null(ca_queue_take(q));
	ca_queue_free(q);
}

static void
one_caller_is_served_in_its_order(void **state)
{
	struct ca_queue *q = ca_queue_new(100);

	(void)state;
	assert_int_equal(fill(q, CA_QUEUE_FIRST, 7, 40), 40);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(take(q).number, i);
	drain(q);
}

/* First come, first served would serve the other one after 400. */
static void
who_floods_delays_another_by_one_turn(void **state)
{
	struct ca_queue *q = ca_queue_new(1000);

	(void)state;
	assert_int_equal(fill(q, CA_QUEUE_FIRST, 1, 400), 400);
	assert_int_equal(fill(q, CA_QUEUE_FIRST, 2, 3), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(take(q).caller, 1);
		assert_int_equal(take(q).caller, 2);
	}
	assert_int_equal(take(q).caller, 1);
	drain(q);
}

static void
who_floods_fills_half_and_leaves_room_for_newcomers(void **state)
{
	struct ca_queue *q = ca_queue_new(1000);

	(void)state;
	assert_int_equal(fill(q, CA_QUEUE_FIRST, 1, 5000), 500);
	assert_int_equal(put(q, CA_QUEUE_FIRST, 1, 0), ERR_EXCESS);
	assert_int_equal(put(q, CA_QUEUE_FIRST, 2, 0), ERR_OK);
	assert_int_equal(fill(q, CA_QUEUE_FIRST, 3, 5000), 250);
	assert_int_equal(put(q, CA_QUEUE_FIRST, 4, 0), ERR_OK);
	drain(q);
}

static void
a_queue_full_of_single_requests_is_busy_for_all(void **state)
{
	struct ca_queue *q = ca_queue_new(64);

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(put(q, CA_QUEUE_FIRST, i, 0), ERR_OK);
	assert_int_equal(put(q, CA_QUEUE_FIRST, 64, 0), ERR_BUSY);
	(void)take(q);
	assert_int_equal(put(q, CA_QUEUE_FIRST, 64, 0), ERR_OK);
	drain(q);
}

/* A fleet that renews is many callers with one request each. */
static void
renewals_leave_a_quarter_to_first_issues(void **state)
{
	struct ca_queue *q = ca_queue_new(64);

	(void)state;
	for (unsigned i = 0; i < 48; i++)
		assert_int_equal(put(q, CA_QUEUE_RENEWAL, i, 0), ERR_OK);
	assert_int_equal(put(q, CA_QUEUE_RENEWAL, 48, 0), ERR_BUSY);
	for (unsigned i = 100; i < 116; i++)
		assert_int_equal(put(q, CA_QUEUE_FIRST, i, 0), ERR_OK);
	assert_int_equal(put(q, CA_QUEUE_FIRST, 116, 0), ERR_BUSY);
	drain(q);
	/* The smallest queue holds one of either. */
	q = ca_queue_new(1);
	assert_int_equal(put(q, CA_QUEUE_RENEWAL, 1, 0), ERR_OK);
	drain(q);
}

/* How many of the first `turns` served are of this class's callers (below
 * 1000: first issues). */
static unsigned
first_among(struct ca_queue *q, unsigned turns)
{
	unsigned n = 0;

	for (unsigned i = 0; i < turns; i++)
		n += take(q).caller < 1000;
	return n;
}

static void
neither_class_starves_the_other(void **state)
{
	struct ca_queue *q = ca_queue_new(100000);

	(void)state;
	/* A fleet renews: two thousand callers; one starts. */
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(put(q, CA_QUEUE_RENEWAL, 1000 + i, 0), ERR_OK);
	assert_int_equal(put(q, CA_QUEUE_FIRST, 1, 0), ERR_OK);
	assert_int_equal(first_among(q, 2), 1);
	/* A fleet starts; renewals keep a quarter. */
	for (unsigned i = 0; i < 900; i++)
		assert_int_equal(put(q, CA_QUEUE_FIRST, i, 0), ERR_OK);
	assert_in_range(first_among(q, 400), 298, 302);
	drain(q);
}

static void
what_ends_soon_is_as_urgent_as_a_first_issue(void **state)
{
	static const struct {
		int64_t left_ms, life_ms;
		enum ca_queue_class class;
	} cases[] = {
		{INT64_C(-1795000000000), 86400000, CA_QUEUE_FIRST},
		{-1, 86400000, CA_QUEUE_FIRST},
		{600000, 86400000, CA_QUEUE_FIRST},
		{600001, 86400000, CA_QUEUE_RENEWAL},
		{43200000, 86400000, CA_QUEUE_RENEWAL},
		{100000, 800000, CA_QUEUE_FIRST},
		{100001, 800000, CA_QUEUE_RENEWAL},
	};
	const struct wall now = {INT64_C(1795000000000)};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(
			ca_queue_class_of(
				(struct wall){now.ms + cases[i].left_ms}, now,
				cases[i].life_ms),
			cases[i].class);
}

static void
a_class_alone_has_all_turns(void **state)
{
	struct ca_queue *q = ca_queue_new(100);

	(void)state;
	assert_int_equal(fill(q, CA_QUEUE_RENEWAL, 5, 30), 30);
	for (unsigned i = 0; i < 30; i++)
		assert_int_equal(take(q).number, i);
	drain(q);
}

static void
whoever_is_gone_is_out_of_turn(void **state)
{
	struct ca_queue *q = ca_queue_new(100);
	struct waiter w[6] = {{.number = 0}};

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		w[i].number = i;
		assert_int_equal(
			ca_queue_put(q, &w[i].item, CA_QUEUE_FIRST, i / 3),
			ERR_OK);
	}
	ca_queue_remove(q, &w[0].item); /* the head */
	ca_queue_remove(q, &w[1].item); /* in the middle, now the head */
	ca_queue_remove(q, &w[1].item); /* twice does nothing */
	ca_queue_remove(q, &w[5].item); /* the tail */
	ca_queue_remove(q, &w[2].item); /* the last of its caller */
	assert_int_equal(ca_queue_count(q), 2);
	assert_ptr_equal(ca_queue_take(q), &w[3].item);
	assert_ptr_equal(ca_queue_take(q), &w[4].item);
	drain(q);
}

static void
a_smaller_maximum_refuses_and_drops_nothing(void **state)
{
	struct ca_queue *q = ca_queue_new(100);

	(void)state;
	assert_int_equal(fill(q, CA_QUEUE_FIRST, 1, 40), 40);
	ca_queue_set_max(q, 10);
	assert_int_equal(put(q, CA_QUEUE_FIRST, 2, 0), ERR_BUSY);
	assert_int_equal(put(q, CA_QUEUE_FIRST, 1, 0), ERR_EXCESS);
	assert_int_equal(ca_queue_count(q), 40);
	drain(q);
}

/* Against a plain model: what is put comes out once, counts agree. */
static void
nothing_is_lost_or_served_twice(void **state)
{
	enum {
		STEPS = 50000,
		MAX = 300
	};
	struct ca_queue *q = ca_queue_new(MAX);
	uint64_t seed = 3;
	size_t in = 0, out = 0;

	(void)state;
	for (unsigned i = 0; i < STEPS; i++) {
		seed = seed * UINT64_C(6364136223846793005) +
		       UINT64_C(1442695040888963407);
		if (seed >> 63 == 0)
			in += put(q, (seed >> 40) % CA_QUEUE_CLASSES,
				  (seed >> 42) % 50 * 1024 + 1, i) == ERR_OK;
		else
			out += take(q).caller != 0;
		assert_int_equal(ca_queue_count(q), in - out);
		assert_true(ca_queue_count(q) <= MAX);
	}
	assert_true(in > STEPS / 4);
	while (take(q).caller != 0)
		out++;
	assert_int_equal(in, out);
	drain(q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_caller_is_served_in_its_order),
		cmocka_unit_test(who_floods_delays_another_by_one_turn),
		cmocka_unit_test(
			who_floods_fills_half_and_leaves_room_for_newcomers),
		cmocka_unit_test(
			a_queue_full_of_single_requests_is_busy_for_all),
		cmocka_unit_test(renewals_leave_a_quarter_to_first_issues),
		cmocka_unit_test(neither_class_starves_the_other),
		cmocka_unit_test(what_ends_soon_is_as_urgent_as_a_first_issue),
		cmocka_unit_test(a_class_alone_has_all_turns),
		cmocka_unit_test(whoever_is_gone_is_out_of_turn),
		cmocka_unit_test(a_smaller_maximum_refuses_and_drops_nothing),
		cmocka_unit_test(nothing_is_lost_or_served_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
