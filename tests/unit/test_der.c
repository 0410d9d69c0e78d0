/* test_der.c - reading and writing DER, X.690. */
#include "crypto/der.h"

#include "crypto_help.h"

static void
an_element_is_read_and_the_cursor_moves_behind_it(void **state)
{
	struct buf b = {0};
	struct slice in = hex_set(&b, "0401aa 0500");
	struct slice body;
	unsigned tag = 0;

	(void)state;
	assert_true(der_has_tag(in, DER_OCTET_STRING));
	assert_int_equal(der_read(&in, DER_OCTET_STRING, &body), ERR_OK);
	assert_slice_is_hex(body, "aa");
	assert_int_equal(der_read_any(&in, &tag, &body), ERR_OK);
	assert_int_equal(tag, DER_NULL);
	assert_int_equal(body.len, 0);
	assert_int_equal(in.len, 0);
	assert_false(der_has_tag(in, DER_NULL));
	buf_fini(&b);
}

static void
an_element_can_be_taken_whole(void **state)
{
	struct buf b = {0};
	struct slice in = hex_set(&b, "a30304 01aa 05 00");
	struct slice element;
	unsigned tag = 0;

	(void)state;
	assert_int_equal(der_read_element(&in, &tag, &element), ERR_OK);
	assert_int_equal(tag, DER_CONTEXT_CONS(3));
	assert_slice_is_hex(element, "a3030401aa");
	assert_int_equal(der_read_element(&in, NULL, &element), ERR_OK);
	assert_slice_is_hex(element, "0500");
	buf_fini(&b);
}

static void
malformed_elements_are_refused_and_nothing_is_taken(void **state)
{
	static const char *const rows[] = {
		"",
		"04",
		"0402aa",           /* too short */
		"0480aa0000",       /* indefinite length */
		"048101aa",         /* length not minimal */
		"04820001aa",       /* the same with two octets */
		"0484ffffffff",     /* longer than there is */
		"0485010000000000", /* five length octets */
		"1f2401aa",         /* high tag number */
		"9f01aa",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf b = {0};
		struct slice in = hex_set(&b, rows[i]);
		struct slice before = in;
		struct slice body;

		assert_int_equal(der_read(&in, DER_OCTET_STRING, &body),
				 ERR_SYNTAX);
		assert_int_equal(der_read_any(&in, NULL, &body), ERR_SYNTAX);
		assert_int_equal(der_read_element(&in, NULL, &body),
				 ERR_SYNTAX);
		assert_true(in.p == before.p && in.len == before.len);
		assert_int_equal(body.len, 0);
		buf_fini(&b);
	}
}

static void
another_tag_than_asked_for_is_refused(void **state)
{
	struct buf b = {0};
	struct slice in = hex_set(&b, "0401aa");
	struct slice body;

	(void)state;
	assert_int_equal(der_read(&in, DER_SEQUENCE, &body), ERR_SYNTAX);
	assert_int_equal(der_read(&in, DER_CONTEXT(4), &body), ERR_SYNTAX);
	assert_int_equal(der_read(&in, 0x24, &body), ERR_SYNTAX);
	assert_int_equal(der_read(&in, DER_OCTET_STRING, &body), ERR_OK);
	buf_fini(&b);
}

static void
booleans_are_00_or_ff(void **state)
{
	struct buf b = {0};
	struct slice in = hex_set(&b, "0101ff 010100 010101");
	bool v = false;

	(void)state;
	assert_int_equal(der_read_bool(&in, &v), ERR_OK);
	assert_true(v);
	assert_int_equal(der_read_bool(&in, &v), ERR_OK);
	assert_false(v);
	assert_int_equal(der_read_bool(&in, &v), ERR_SYNTAX);
	assert_int_equal(in.len, 3);
	buf_fini(&b);
}

static void
numbers_are_positive_minimal_and_fit(void **state)
{
	static const struct {
		const char *hex;
		enum err e;
		uint64_t v;
	} rows[] = {
		{"020100", ERR_OK, 0},
		{"02017f", ERR_OK, 127},
		{"02020080", ERR_OK, 128},
		{"020900ffffffffffffffff", ERR_OK, UINT64_MAX},
		{"0209010000000000000000", ERR_SYNTAX, 0}, /* 65 bits */
		{"0201ff", ERR_SYNTAX, 0},                 /* -1 */
		{"020180", ERR_SYNTAX, 0},                 /* -128 */
		{"0202007f", ERR_SYNTAX, 0},               /* not minimal */
		{"0200", ERR_SYNTAX, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf b = {0};
		struct slice in = hex_set(&b, rows[i].hex);
		uint64_t v = 1;

		assert_int_equal(der_read_u64(&in, &v), rows[i].e);
		assert_true(v == rows[i].v);
		buf_fini(&b);
	}
}

static void
bit_strings_have_no_unused_bits(void **state)
{
	struct buf b = {0};
	struct slice in = hex_set(&b, "030200aa");
	struct slice bits;

	(void)state;
	assert_int_equal(der_read_bits(&in, &bits), ERR_OK);
	assert_slice_is_hex(bits, "aa");
	in = hex_set(&b, "030201aa");
	assert_int_equal(der_read_bits(&in, &bits), ERR_SYNTAX);
	in = hex_set(&b, "0300");
	assert_int_equal(der_read_bits(&in, &bits), ERR_SYNTAX);
	assert_int_equal(in.len, 2);
	buf_fini(&b);
}

static enum err
read_time(const char *text, bool is_utc, int64_t *sec)
{
	struct buf b;
	struct slice in;
	struct wall t;
	enum err ret;

	buf_init(&b, 100);
	(void)buf_put_u8(&b, is_utc ? DER_UTC_TIME : DER_GENERALIZED_TIME);
	(void)buf_put_u8(&b, (uint8_t)strlen(text));
	(void)buf_put_str(&b, text);
	in = buf_get(&b);
	ret = der_read_time(&in, &t);
	*sec = wall_sec(t);
	buf_fini(&b);
	return ret;
}

static void
times_are_read_in_both_forms(void **state)
{
	int64_t sec = 0;

	(void)state;
	assert_int_equal(read_time("700101000000Z", true, &sec), ERR_OK);
	assert_true(sec == 0);
	assert_int_equal(read_time("491231235959Z", true, &sec), ERR_OK);
	assert_true(sec == 2524607999);
	assert_int_equal(read_time("500101000000Z", true, &sec), ERR_OK);
	assert_true(sec == -631152000); /* 1950 */
	assert_int_equal(read_time("240229120000Z", true, &sec), ERR_OK);
	assert_true(sec == 1709208000);
	assert_int_equal(read_time("20500101000000Z", false, &sec), ERR_OK);
	assert_true(sec == 2524608000);
	assert_int_equal(read_time("99991231235959Z", false, &sec), ERR_OK);
	assert_true(sec == 253402300799);
}

static void
times_that_rfc_5280_does_not_allow_are_refused(void **state)
{
	static const char *const utc[] = {
		"7001010000Z",   "700101000000",  "700101000000+0000",
		"701301000000Z", "230229000000Z", "700101240000Z",
		"700101006000Z", "700101000000z", "7001010000 0Z",
	};
	static const char *const general[] = {
		"20500101000000", "20500101000000.5Z", "20500101000000+0100",
		"205001010000Z",  "20500001000000Z",   "500101000000Z",
	};
	int64_t sec = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(utc); i++)
		assert_int_equal(read_time(utc[i], true, &sec), ERR_SYNTAX);
	for (size_t i = 0; i < COUNT_OF(general); i++)
		assert_int_equal(read_time(general[i], false, &sec),
				 ERR_SYNTAX);
}

static void
oids_are_printed_with_dots(void **state)
{
	char text[DER_OID_TEXT_MAX];
	struct buf b = {0};

	(void)state;
	der_oid_format(hex_set(&b, "2a864886f70d01010b"), text);
	assert_string_equal(text, "1.2.840.113549.1.1.11");
	der_oid_format(hex_set(&b, "2a8648"), text);
	assert_string_equal(text, "1.2.840");
	der_oid_format(hex_set(&b, "2a86"), text);
	assert_string_equal(text, "(malformed OID)");
	der_oid_format(SLICE_NONE, text);
	assert_string_equal(text, "(malformed OID)");
	/* Longer than the room: cut, not passed. */
	buf_reset(&b);
	for (int i = 0; i < 200; i++)
		hex_put(&b, "8fff7f");
	der_oid_format(buf_get(&b), text);
	assert_int_equal(strlen(text), DER_OID_TEXT_MAX - 1);
	buf_fini(&b);
}

static void
elements_are_written_as_der_wants_them(void **state)
{
	struct derw *w = derw_new(1000);
	struct slice out;

	(void)state;
	derw_open(w, DER_SEQUENCE);
	derw_bool(w, true);
	derw_bool(w, false);
	derw_u64(w, 0);
	derw_u64(w, 128);
	derw_u64(w, UINT64_MAX);
	derw_uint(w, SLICE_LIT("\x00\x00\x7f"));
	derw_oid(w, SLICE_LIT("\x2a\x03"));
	derw_bits(w, SLICE_LIT("\xa0"), 5);
	derw_open(w, DER_CONTEXT_CONS(0));
	derw_element(w, DER_OCTET_STRING, SLICE_LIT("x"));
	derw_raw(w, SLICE_LIT("\x05\x00"));
	derw_close(w);
	derw_close(w);
	assert_int_equal(derw_finish(w, &out), ERR_OK);
	assert_slice_is_hex(out, "302a 0101ff 010100 020100 02020080"
				 "020900ffffffffffffffff 02017f 06022a03"
				 "030205a0 a005 040178 0500");
	derw_free(w);
}

static void
lengths_take_as_many_octets_as_they_need(void **state)
{
	static const struct {
		size_t len;
		const char *head;
	} rows[] = {
		{0, "0400"},           {127, "047f"},     {128, "048180"},
		{255, "0481ff"},       {256, "04820100"}, {65535, "0482ffff"},
		{65536, "0483010000"},
	};
	static uint8_t zeros[65536];
	struct derw *w = derw_new(70000);
	struct slice out;
	struct slice body;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		derw_reset(w);
		derw_open(w, DER_OCTET_STRING);
		derw_raw(w, slice_of(zeros, rows[i].len));
		derw_close(w);
		assert_int_equal(derw_finish(w, &out), ERR_OK);
		assert_slice_is_hex(slice_sub(out, 0, strlen(rows[i].head) / 2),
				    rows[i].head);
		assert_int_equal(der_read(&out, DER_OCTET_STRING, &body),
				 ERR_OK);
		assert_int_equal(body.len, rows[i].len);
		assert_int_equal(out.len, 0);
	}
	derw_free(w);
}

static void
times_are_written_as_rfc_5280_wants_them(void **state)
{
	static const struct {
		int64_t sec;
		const char *text;
	} rows[] = {
		{0, "\x17\x0d"
		    "700101000000Z"},
		{2524607999, "\x17\x0d"
			     "491231235959Z"},
		{2524608000, "\x18\x0f"
			     "20500101000000Z"},
		{253402300799, "\x18\x0f"
			       "99991231235959Z"},
	};
	struct derw *w = derw_new(100);
	struct slice out;
	struct wall back;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		derw_reset(w);
		derw_time(w, wall_of_sec(rows[i].sec));
		assert_int_equal(derw_finish(w, &out), ERR_OK);
		assert_true(slice_is_str(out, rows[i].text));
		assert_int_equal(der_read_time(&out, &back), ERR_OK);
		assert_true(wall_sec(back) == rows[i].sec);
	}
	derw_reset(w);
	derw_time(w, wall_of_sec(253402300800)); /* year 10000 */
	assert_int_equal(derw_finish(w, &out), ERR_BUG);
	derw_free(w);
}

static void
a_writer_that_is_full_says_so_and_works_again_after_reset(void **state)
{
	struct derw *w = derw_new(4);
	struct slice out;

	(void)state;
	derw_element(w, DER_OCTET_STRING, SLICE_LIT("abc"));
	assert_int_equal(derw_finish(w, &out), ERR_LIMIT);
	assert_int_equal(out.len, 0);
	derw_reset(w);
	derw_element(w, DER_OCTET_STRING, SLICE_LIT("ab"));
	assert_int_equal(derw_finish(w, &out), ERR_OK);
	assert_slice_is_hex(out, "04026162");
	derw_free(w);
}

static void
wrong_nesting_is_an_error_of_ours(void **state)
{
	struct derw *w = derw_new(1000);
	struct slice out;

	(void)state;
	derw_open(w, DER_SEQUENCE);
	assert_int_equal(derw_finish(w, &out), ERR_BUG);
	derw_reset(w);
	derw_close(w);
	assert_int_equal(derw_finish(w, &out), ERR_BUG);
	for (int depth = 16; depth <= 17; depth++) {
		derw_reset(w);
		for (int i = 0; i < depth; i++)
			derw_open(w, DER_SEQUENCE);
		for (int i = 0; i < depth; i++)
			derw_close(w);
		assert_int_equal(derw_finish(w, &out) == ERR_OK, depth == 16);
	}
	derw_reset(w);
	derw_bits(w, SLICE_LIT("\xff"), 3); /* unused bits that are set */
	assert_int_equal(derw_finish(w, &out), ERR_BUG);
	derw_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_element_is_read_and_the_cursor_moves_behind_it),
		cmocka_unit_test(an_element_can_be_taken_whole),
		cmocka_unit_test(
			malformed_elements_are_refused_and_nothing_is_taken),
		cmocka_unit_test(another_tag_than_asked_for_is_refused),
		cmocka_unit_test(booleans_are_00_or_ff),
		cmocka_unit_test(numbers_are_positive_minimal_and_fit),
		cmocka_unit_test(bit_strings_have_no_unused_bits),
		cmocka_unit_test(times_are_read_in_both_forms),
		cmocka_unit_test(
			times_that_rfc_5280_does_not_allow_are_refused),
		cmocka_unit_test(oids_are_printed_with_dots),
		cmocka_unit_test(elements_are_written_as_der_wants_them),
		cmocka_unit_test(lengths_take_as_many_octets_as_they_need),
		cmocka_unit_test(times_are_written_as_rfc_5280_wants_them),
		cmocka_unit_test(
			a_writer_that_is_full_says_so_and_works_again_after_reset),
		cmocka_unit_test(wrong_nesting_is_an_error_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
