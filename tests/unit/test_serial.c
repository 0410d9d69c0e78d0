/* test_serial.c - lib/ca/serial.h. */
#include "ca/serial.h"
#include "unit.h"

static const struct wall t0 = {INT64_C(1795000000000)};

static uint64_t
prefix_of(const uint8_t serial[STORE_SERIAL_LEN])
{
	uint64_t v = 0;

	for (size_t i = 0; i < 6; i++)
		v = v << 8 | serial[i];
	return v;
}

static void
the_prefix_is_the_time_and_the_top_bit_is_zero(void **state)
{
	uint8_t zero[STORE_SERIAL_LEN] = {0}, a[STORE_SERIAL_LEN];
	struct ca_serial *s = ca_serial_new(zero);

	(void)state;
	ca_serial_next(s, t0, a);
	assert_int_equal(prefix_of(a), t0.ms);
	assert_true(a[0] > 0 && a[0] < 0x80);
	ca_serial_next(s, (struct wall){t0.ms + 5000}, a);
	assert_int_equal(prefix_of(a), t0.ms + 5000);
	ca_serial_free(s);
}

static void
serials_grow_in_one_millisecond_and_over_clock_jumps(void **state)
{
	static const int64_t steps[] = {0,
					0,
					0,
					1,
					-1,
					-3600000,
					INT64_C(-1795000000000),
					7,
					INT64_MIN / 2,
					0,
					86400000,
					-86400000};
	uint8_t last[STORE_SERIAL_LEN] = {0}, next[STORE_SERIAL_LEN];
	struct ca_serial *s = ca_serial_new(last);

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			ca_serial_next(s, (struct wall){t0.ms + steps[i]},
				       next);
			assert_true(memcmp(next, last, sizeof(next)) > 0);
			assert_true(prefix_of(next) > prefix_of(last));
			memcpy(last, next, sizeof(last));
		}
	}
	ca_serial_free(s);
}

static void
a_restart_begins_above_the_largest_serial_of_the_store(void **state)
{
	uint8_t last[STORE_SERIAL_LEN], next[STORE_SERIAL_LEN];
	struct ca_serial *s;

	(void)state;
	memset(last, 0xff, sizeof(last));
	last[0] = 0x02; /* ahead of the clock: 2039 or so */
	s = ca_serial_new(last);
	ca_serial_next(s, t0, next);
	assert_true(memcmp(next, last, sizeof(next)) > 0);
	assert_int_equal(prefix_of(next), prefix_of(last) + 1);
	ca_serial_free(s);
}

static void
a_broken_clock_neither_uses_up_nor_shortens_numbers(void **state)
{
	uint8_t zero[STORE_SERIAL_LEN] = {0}, a[STORE_SERIAL_LEN];
	struct ca_serial *s = ca_serial_new(zero);

	(void)state;
	ca_serial_next(s, (struct wall){0}, a);
	assert_int_equal(a[0], 1);
	ca_serial_next(s, (struct wall){INT64_MAX}, a);
	assert_int_equal(a[0], 1);
	ca_serial_next(s, t0, a);
	assert_int_equal(prefix_of(a), t0.ms);
	ca_serial_free(s);
}

/* Each of the 104 bits is seen as 0 and as 1; no 13 bytes come twice. */
static void
the_rest_is_random(void **state)
{
	enum {
		CNT = 300
	};
	static uint8_t all[CNT][STORE_SERIAL_LEN];
	uint8_t zero[STORE_SERIAL_LEN] = {0}, ones[13], zeros[13];
	struct ca_serial *s = ca_serial_new(zero);

	(void)state;
	memset(ones, 0, sizeof(ones));
	memset(zeros, 0, sizeof(zeros));
	for (size_t i = 0; i < CNT; i++) {
		ca_serial_next(s, t0, all[i]);
		for (size_t k = 0; k < 13; k++) {
			ones[k] = (uint8_t)(ones[k] | all[i][6 + k]);
			zeros[k] = (uint8_t)(zeros[k] | ~all[i][6 + k]);
		}
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(all[i] + 6, all[k] + 6, 13);
	}
	for (size_t k = 0; k < 13; k++)
		assert_true(ones[k] == 0xff && zeros[k] == 0xff);
	ca_serial_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_prefix_is_the_time_and_the_top_bit_is_zero),
		cmocka_unit_test(
			serials_grow_in_one_millisecond_and_over_clock_jumps),
		cmocka_unit_test(
			a_restart_begins_above_the_largest_serial_of_the_store),
		cmocka_unit_test(
			a_broken_clock_neither_uses_up_nor_shortens_numbers),
		cmocka_unit_test(the_rest_is_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
