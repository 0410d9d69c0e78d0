/* test_buf.c - bounded bytes. */
#include "unit.h"

#include "base/buf.h"
#include "base/mem.h"

static void
what_is_put_comes_out_in_order(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_put(&b, SLICE_LIT("\1\2")), ERR_OK);
	assert_int_equal(buf_put_u8(&b, 3), ERR_OK);
	assert_int_equal(buf_put_u32(&b, 0x04050607), ERR_OK);
	assert_int_equal(buf_put_u64(&b, 0x08090a0b0c0d0e0f), ERR_OK);
	for (size_t i = 0; i < 15; i++)
		assert_int_equal(buf_get(&b).p[i], i + 1);
	assert_int_equal(buf_len(&b), 15);
	buf_fini(&b);
}

static void
the_maximum_is_met_but_never_passed(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	assert_int_equal(buf_put_str(&b, "abcd"), ERR_OK);
	assert_false(buf_has_failed(&b));
	assert_int_equal(buf_put_u8(&b, 'e'), ERR_LIMIT);
	assert_true(buf_has_failed(&b));
	assert_true(slice_is_str(buf_get(&b), "abcd"));
	buf_reset(&b);
	assert_false(buf_has_failed(&b));
	assert_int_equal(buf_put_str(&b, "abcde"), ERR_LIMIT);
	assert_int_equal(buf_len(&b), 0);
	buf_fini(&b);
}

static void
counted_bytes_are_written_whole_or_not_at_all(void **state)
{
	struct buf b;
	struct slice in;
	struct slice out;

	(void)state;
	buf_init(&b, 8);
	assert_int_equal(buf_put_counted(&b, SLICE_LIT("abcde")), ERR_LIMIT);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(buf_put_counted(&b, SLICE_LIT("abcd")), ERR_OK);
	in = buf_get(&b);
	assert_int_equal(slice_read_counted(&in, &out), ERR_OK);
	assert_true(slice_is_str(out, "abcd"));
	assert_int_equal(in.len, 0);
	buf_fini(&b);
}

static void
consumed_room_is_used_again(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 64);
	for (int round = 0; round < 1000; round++) {
		assert_int_equal(buf_put_str(&b, "0123456789"), ERR_OK);
		assert_int_equal(buf_put_str(&b, "abcdefghij"), ERR_OK);
		buf_consume(&b, 10);
		assert_true(slice_has_suffix(buf_get(&b), "abcdefghij"));
		buf_consume(&b, round % 2 == 0 ? 10 : 99);
		assert_int_equal(buf_len(&b), 0);
	}
	assert_true(b.cap <= 64);
	buf_fini(&b);
}

static void
long_formats_are_not_cut(void **state)
{
	struct buf b;
	char *text;

	(void)state;
	buf_init(&b, 4096);
	assert_int_equal(buf_printf(&b, "%0600d|%s", 7, "end"), ERR_OK);
	assert_int_equal(buf_len(&b), 604);
	assert_true(slice_has_suffix(buf_get(&b), "07|end"));
	text = buf_dup_str(&b);
	assert_int_equal(strlen(text), 604);
	mem_free(text);
	buf_fini(&b);
}

static void
hexadecimal_is_lower_case_and_bounded(void **state)
{
	static const uint8_t raw[] = {0x00, 0xab, 0xff};
	struct buf b;

	(void)state;
	buf_init(&b, 6);
	assert_int_equal(buf_put_hex(&b, SLICE_ARRAY(raw)), ERR_OK);
	assert_true(slice_is_str(buf_get(&b), "00abff"));
	assert_int_equal(buf_put_hex(&b, SLICE_ARRAY(raw)), ERR_LIMIT);
	buf_fini(&b);
}

static void
reserved_room_counts_only_when_committed(void **state)
{
	struct buf b;
	uint8_t *p;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_reserve(&b, 10, &p), ERR_OK);
	memcpy(p, "xyz", 3);
	assert_int_equal(buf_len(&b), 0);
	buf_commit(&b, 3);
	assert_true(slice_is_str(buf_get(&b), "xyz"));
	assert_int_equal(buf_reserve(&b, 8, &p), ERR_LIMIT);
	assert_null(p);
	buf_truncate(&b, 1);
	assert_true(slice_is_str(buf_get(&b), "x"));
	buf_release(&b);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(buf_put_str(&b, "0123456789"), ERR_OK);
	buf_fini(&b);
}

static void
a_secret_buffer_keeps_its_bytes_and_stays_secret(void **state UNUSED)
{
	struct buf b;
	struct slice got;

	buf_init_secret(&b, 4096);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(buf_put_u8(&b, (uint8_t)(i % 251)), ERR_OK);
	buf_consume(&b, 500);
	for (unsigned i = 1000; i < 2000; i++)
		assert_int_equal(buf_put_u8(&b, (uint8_t)(i % 251)), ERR_OK);
	got = buf_get(&b);
	assert_int_equal(got.len, 1500);
	for (unsigned i = 0; i < 1500; i++)
		assert_int_equal(got.p[i], (i + 500) % 251);
	buf_release(&b);
	assert_int_equal(buf_len(&b), 0);
	assert_true(b.secret);
	assert_int_equal(b.max, 4096);
	buf_fini(&b);
	assert_null(b.p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_comes_out_in_order),
		cmocka_unit_test(the_maximum_is_met_but_never_passed),
		cmocka_unit_test(counted_bytes_are_written_whole_or_not_at_all),
		cmocka_unit_test(consumed_room_is_used_again),
		cmocka_unit_test(long_formats_are_not_cut),
		cmocka_unit_test(hexadecimal_is_lower_case_and_bounded),
		cmocka_unit_test(reserved_room_counts_only_when_committed),
		cmocka_unit_test(
			a_secret_buffer_keeps_its_bytes_and_stays_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
