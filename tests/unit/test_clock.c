/* test_clock.c - times and durations. */
#include "unit.h"

#include "base/clock.h"

static void
wall_times_are_read_back_as_they_were_written(void **state)
{
	static const int64_t cases[] = {
		0, 1, 999, 1795315131123, -1, -1000, 253402300799999};
	char text[WALL_TEXT_MAX];
	struct wall back;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		wall_format((struct wall){cases[i]}, text);
		assert_int_equal(wall_parse(slice_of_str(text), &back), ERR_OK);
		assert_true(back.ms == cases[i]);
	}
	wall_format((struct wall){0}, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
}

static void
wall_times_of_other_shapes_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"2026",
		"2026-11-22T02:38:51",
		"2026-11-22T02:38:51+01:00",
		"2026-13-22T02:38:51Z",
		"2026-02-30T02:38:51Z",
		"2026-1-22T2:38:51Z",
		"2026-11-22T02:38:51Zx",
		"2026-11-22T02:38:51.123456789012345678901234567890Z",
	};
	struct wall t;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(wall_parse(slice_of_str(bad[i]), &t),
				 ERR_SYNTAX);
	assert_int_equal(wall_parse(SLICE_LIT("2026-11-22T02:38:51.5Z"), &t),
			 ERR_OK);
	assert_int_equal(t.ms % 1000, 500);
}

static void
wall_arithmetic_saturates(void **state)
{
	struct wall late = wall_add_sec(wall_of_sec(0), INT64_MAX);
	struct wall early = wall_add_sec(wall_of_sec(0), INT64_MIN);

	(void)state;
	assert_true(late.ms == INT64_MAX);
	assert_true(early.ms == INT64_MIN);
	assert_true(wall_diff_ms(late, early) == INT64_MAX);
	assert_true(wall_is_before(early, late));
	assert_true(wall_sec((struct wall){-1}) == -1);
	assert_true(wall_sec((struct wall){1999}) == 1);
}

static void
monotonic_differences_are_never_negative(void **state)
{
	struct mono a = mono_now();
	struct mono b = mono_add_ms(a, 1500);

	(void)state;
	assert_true(mono_diff_ms(b, a) == 1500);
	assert_true(mono_diff_ms(a, b) == 0);
	assert_true(mono_is_before(a, b));
	assert_false(mono_is_before(mono_now(), a));
	/* A gRPC client may ask for 99999999 hours: 3.6e20 ns. */
	b = mono_add_ms((struct mono){1}, UINT64_C(99999999) * 3600000);
	assert_true(b.ns == UINT64_MAX);
}

static void
durations_are_read_as_operators_write_them(void **state)
{
	int64_t ms;

	(void)state;
	assert_int_equal(duration_parse(SLICE_LIT("1h30m"), &ms), ERR_OK);
	assert_true(ms == 5400000);
	assert_int_equal(duration_parse(SLICE_LIT("500ms"), &ms), ERR_OK);
	assert_true(ms == 500);
	assert_int_equal(duration_parse(SLICE_LIT("90d"), &ms), ERR_OK);
	assert_true(ms == INT64_C(90) * 86400000);
	assert_int_equal(duration_parse(SLICE_LIT("0s"), &ms), ERR_OK);
	assert_true(ms == 0);
}

static void
durations_without_unit_or_too_long_are_refused(void **state)
{
	static const char *const bad[] = {"", "5", "h", "5x", "-5s", "5 s"};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(duration_parse(slice_of_str(bad[i]), &ms),
				 ERR_SYNTAX);
	assert_int_equal(duration_parse(SLICE_LIT("9223372036854775807d"), &ms),
			 ERR_LIMIT);
	assert_true(ms == 0);
}

static void
durations_print_as_go_does(void **state)
{
	char text[DURATION_TEXT_MAX];

	(void)state;
	duration_format(86400000, text);
	assert_string_equal(text, "24h0m0s");
	duration_format(90000, text);
	assert_string_equal(text, "1m30s");
	duration_format(500, text);
	assert_string_equal(text, "500ms");
	duration_format(0, text);
	assert_string_equal(text, "0s");
	duration_format(-1500, text);
	assert_string_equal(text, "-1.500s");
	duration_format(INT64_MIN, text);
	assert_int_equal(text[0], '-');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wall_times_are_read_back_as_they_were_written),
		cmocka_unit_test(wall_times_of_other_shapes_are_refused),
		cmocka_unit_test(wall_arithmetic_saturates),
		cmocka_unit_test(monotonic_differences_are_never_negative),
		cmocka_unit_test(durations_are_read_as_operators_write_them),
		cmocka_unit_test(
			durations_without_unit_or_too_long_are_refused),
		cmocka_unit_test(durations_print_as_go_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
