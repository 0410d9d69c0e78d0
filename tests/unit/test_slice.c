/* test_slice.c - borrowed bytes, the cursor, and UTF-8. */
#include "unit.h"

#include "base/slice.h"
#include "base/utf8.h"

static void
comparing_looks_at_length_and_bytes(void **state)
{
	(void)state;
	assert_true(slice_is_eq(SLICE_LIT("ab"), SLICE_LIT("ab")));
	assert_false(slice_is_eq(SLICE_LIT("ab"), SLICE_LIT("abc")));
	assert_true(slice_is_eq(SLICE_NONE, SLICE_LIT("")));
	assert_true(slice_is_str(SLICE_NONE, ""));
	assert_true(slice_is_eq_nocase(SLICE_LIT("aBz"), SLICE_LIT("AbZ")));
	assert_false(slice_is_eq_nocase(SLICE_LIT("[a"), SLICE_LIT("{a")));
	assert_true(slice_cmp(SLICE_LIT("a"), SLICE_LIT("ab")) < 0);
	assert_true(slice_cmp(SLICE_LIT("b"), SLICE_LIT("ab")) > 0);
	assert_int_equal(slice_cmp(SLICE_NONE, SLICE_LIT("")), 0);
}

static void
prefixes_and_suffixes_may_be_longer_than_the_slice(void **state)
{
	struct slice s = SLICE_LIT("spiffe://x");

	(void)state;
	assert_true(slice_has_prefix(s, "spiffe://"));
	assert_false(slice_has_prefix(s, "spiffe://xyz"));
	assert_true(slice_has_suffix(s, "//x"));
	assert_false(slice_has_suffix(SLICE_LIT("x"), "//x"));
	assert_true(slice_has_prefix(SLICE_NONE, ""));
}

static void
bounds_are_cut_and_never_passed(void **state)
{
	struct slice s = SLICE_LIT("hello");

	(void)state;
	assert_true(slice_is_str(slice_sub(s, 1, 3), "ell"));
	assert_true(slice_is_str(slice_sub(s, 3, 100), "lo"));
	assert_int_equal(slice_sub(s, 100, 1).len, 0);
	assert_int_equal(slice_sub(s, 2, SIZE_MAX).len, 3);
	assert_int_equal(slice_sub(SLICE_NONE, 5, 5).len, 0);
	assert_int_equal(slice_find(s, 'l'), 2);
	assert_int_equal(slice_find(s, 'x'), 5);
}

static void
trimming_takes_white_space_off_both_ends(void **state)
{
	(void)state;
	assert_true(slice_is_str(slice_trim(SLICE_LIT(" \ta b\r\n")), "a b"));
	assert_int_equal(slice_trim(SLICE_LIT(" \n ")).len, 0);
}

static void
splitting_ends_when_nothing_is_left(void **state)
{
	struct slice s = SLICE_LIT("a..b");
	struct slice head;

	(void)state;
	assert_true(slice_split(&s, '.', &head));
	assert_true(slice_is_str(head, "a"));
	assert_true(slice_split(&s, '.', &head));
	assert_int_equal(head.len, 0);
	assert_true(slice_split(&s, '.', &head));
	assert_true(slice_is_str(head, "b"));
	assert_false(slice_split(&s, '.', &head));
}

static void
numbers_are_whole_slices_of_digits_that_fit(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(slice_parse_u64(SLICE_LIT("18446744073709551615"), &v),
			 ERR_OK);
	assert_true(v == UINT64_MAX);
	assert_int_equal(slice_parse_u64(SLICE_LIT("18446744073709551616"), &v),
			 ERR_LIMIT);
	assert_int_equal(
		slice_parse_u64(SLICE_LIT("00000000000000000000001"), &v),
		ERR_SYNTAX);
	assert_int_equal(slice_parse_u64(SLICE_LIT("-1"), &v), ERR_SYNTAX);
	assert_int_equal(slice_parse_u64(SLICE_LIT("1 "), &v), ERR_SYNTAX);
	assert_int_equal(slice_parse_u64(SLICE_LIT(""), &v), ERR_SYNTAX);
	assert_true(v == 0);
}

static void
the_cursor_reads_big_endian_and_consumes(void **state)
{
	static const uint8_t raw[] = {1, 2, 3, 0, 0, 0, 2, 'h', 'i', 9};
	struct slice s = SLICE_ARRAY(raw);
	struct slice counted;
	uint8_t v8;
	uint16_t v16;

	(void)state;
	assert_int_equal(slice_read_u8(&s, &v8), ERR_OK);
	assert_int_equal(v8, 1);
	assert_int_equal(slice_read_u16(&s, &v16), ERR_OK);
	assert_int_equal(v16, 0x0203);
	assert_int_equal(slice_read_counted(&s, &counted), ERR_OK);
	assert_true(slice_is_str(counted, "hi"));
	assert_int_equal(s.len, 1);
}

static void
a_failed_read_consumes_nothing(void **state)
{
	static const uint8_t raw[] = {0, 0, 0, 9, 'x'};
	struct slice s = SLICE_ARRAY(raw);
	struct slice out;
	uint64_t v;

	(void)state;
	assert_int_equal(slice_read_u64(&s, &v), ERR_SYNTAX);
	assert_int_equal(slice_read_counted(&s, &out), ERR_SYNTAX);
	assert_int_equal(slice_read_bytes(&s, 6, &out), ERR_SYNTAX);
	assert_int_equal(s.len, sizeof(raw));
	assert_int_equal(out.len, 0);
}

static void
printable_means_ascii_without_controls(void **state)
{
	(void)state;
	assert_true(slice_is_printable(SLICE_LIT("a ~")));
	assert_false(slice_is_printable(SLICE_LIT("a\x7f")));
	assert_false(slice_is_printable(SLICE_LIT("a\n")));
	assert_false(slice_is_printable(SLICE_LIT("\xc3\xa9")));
}

static size_t
utf8_len(struct slice s)
{
	uint32_t cp;

	return utf8_get(s, &cp);
}

static void
utf8_takes_shortest_forms_only(void **state)
{
	uint32_t cp;

	(void)state;
	assert_int_equal(utf8_get(SLICE_LIT("\xe2\x82\xac!"), &cp), 3);
	assert_int_equal(cp, 0x20ac);
	assert_int_equal(utf8_get(SLICE_LIT("\xf0\x9f\x98\x80"), &cp), 4);
	assert_int_equal(cp, 0x1f600);
	assert_int_equal(utf8_len(SLICE_LIT("\xc0\x80")), 0);
	assert_int_equal(utf8_len(SLICE_LIT("\xe0\x80\x80")), 0);
	assert_int_equal(utf8_len(SLICE_LIT("\xed\xa0\x80")), 0);
	assert_int_equal(utf8_len(SLICE_LIT("\xf4\x90\x80\x80")), 0);
	assert_int_equal(utf8_len(SLICE_LIT("\xe2\x82")), 0);
	assert_int_equal(utf8_len(SLICE_LIT("\x80")), 0);
	assert_int_equal(utf8_len(SLICE_NONE), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparing_looks_at_length_and_bytes),
		cmocka_unit_test(
			prefixes_and_suffixes_may_be_longer_than_the_slice),
		cmocka_unit_test(bounds_are_cut_and_never_passed),
		cmocka_unit_test(trimming_takes_white_space_off_both_ends),
		cmocka_unit_test(splitting_ends_when_nothing_is_left),
		cmocka_unit_test(numbers_are_whole_slices_of_digits_that_fit),
		cmocka_unit_test(the_cursor_reads_big_endian_and_consumes),
		cmocka_unit_test(a_failed_read_consumes_nothing),
		cmocka_unit_test(printable_means_ascii_without_controls),
		cmocka_unit_test(utf8_takes_shortest_forms_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
