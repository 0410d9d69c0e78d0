/* test_seen.c - lib/ca/seen.h. */
#include "ca/seen.h"

#include "unit.h"

static const struct wall later = {INT64_C(1795000000000)};

static void
who_was_served_is_known_and_nobody_else(void **state)
{
	struct ca_seen *s = ca_seen_new(1024);

	(void)state;
	assert_int_equal(ca_seen_get(s, SLICE_LIT("a")).ms, 0);
	ca_seen_add(s, SLICE_LIT("a"), later);
	assert_int_equal(ca_seen_get(s, SLICE_LIT("a")).ms, later.ms);
	assert_int_equal(ca_seen_get(s, SLICE_LIT("b")).ms, 0);
	assert_int_equal(ca_seen_get(s, SLICE_NONE).ms, 0);
	ca_seen_free(s);
}

/* In one row, the newer one stands; the older is as if it were new. */
static void
a_full_table_forgets_and_never_confuses(void **state)
{
	struct ca_seen *s = ca_seen_new(1);

	(void)state;
	ca_seen_add(s, SLICE_LIT("a"), later);
	ca_seen_add(s, SLICE_LIT("b"), (struct wall){later.ms + 1});
	assert_int_equal(ca_seen_get(s, SLICE_LIT("a")).ms, 0);
	assert_int_equal(ca_seen_get(s, SLICE_LIT("b")).ms, later.ms + 1);
	ca_seen_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_was_served_is_known_and_nobody_else),
		cmocka_unit_test(a_full_table_forgets_and_never_confuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
