/* test_pem.c - PEM (RFC 7468) and base64 (RFC 4648). */
#include "crypto/pem.h"

#include "crypto_help.h"

static void
base64_is_that_of_rfc_4648(void **state)
{
	static const char *const rows[][3] = {
		{"", "", ""},
		{"f", "Zg==", "Zg"},
		{"fo", "Zm8=", "Zm8"},
		{"foo", "Zm9v", "Zm9v"},
		{"foob", "Zm9vYg==", "Zm9vYg"},
		{"fooba", "Zm9vYmE=", "Zm9vYmE"},
		{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
		{"\xfb\xff", "+/8=", "-_8"},
	};
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (int url = 0; url < 2; url++) {
			struct slice raw = slice_of_str(rows[i][0]);
			struct slice text = slice_of_str(rows[i][1 + url]);

			buf_reset(&out);
			assert_int_equal(url ? base64url_write(&out, raw)
					     : base64_write(&out, raw),
					 ERR_OK);
			assert_true(slice_is_eq(buf_get(&out), text));
			buf_reset(&out);
			assert_int_equal(url ? base64url_read(text, &out)
					     : base64_read(text, &out),
					 ERR_OK);
			assert_true(slice_is_eq(buf_get(&out), raw));
		}
	}
	buf_fini(&out);
}

static void
every_byte_survives_base64(void **state)
{
	uint8_t all[256];
	struct buf text;
	struct buf back;

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	buf_init(&text, 1000);
	buf_init(&back, sizeof(all)); /* fits exactly */
	assert_int_equal(base64_write(&text, SLICE_ARRAY(all)), ERR_OK);
	assert_int_equal(base64_read(buf_get(&text), &back), ERR_OK);
	assert_true(slice_is_eq(buf_get(&back), SLICE_ARRAY(all)));
	buf_fini(&text);
	buf_fini(&back);
}

static void
base64_that_is_not_strict_is_refused(void **state)
{
	static const char *const std[] = {
		"Z",    "Zg",       "Zg=",      "Zg===",  "Zh==",   "Zm9=",
		"=",    "====",     "Zm9v=",    "Zm 9v",  "Zm9v\n", "-_8=",
		"Z===", "Zg==Zg==", "Zm9vZg=a", "Zm9v\0",
	};
	static const char *const url[] = {
		"Z", "Zg==", "Zm8=", "Zh", "Zm9", "+/8", "Zm9v ", "Zm.v",
	};
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i + 1 < COUNT_OF(std); i++)
		assert_int_equal(base64_read(slice_of_str(std[i]), &out),
				 ERR_SYNTAX);
	assert_int_equal(base64_read(SLICE_LIT("Zm9v\0Zm9"), &out), ERR_SYNTAX);
	for (size_t i = 0; i < COUNT_OF(url); i++)
		assert_int_equal(base64url_read(slice_of_str(url[i]), &out),
				 ERR_SYNTAX);
	assert_int_equal(buf_len(&out), 0);
	buf_fini(&out);
}

static void
base64_keeps_to_the_limit_of_its_buffer(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 3);
	assert_int_equal(base64_read(SLICE_LIT("Zm9v"), &out), ERR_OK);
	assert_int_equal(base64_read(SLICE_LIT("Zg=="), &out), ERR_LIMIT);
	buf_reset(&out);
	assert_int_equal(base64_write(&out, SLICE_LIT("x")), ERR_LIMIT);
	assert_int_equal(base64url_write(&out, SLICE_LIT("x")), ERR_OK);
	buf_fini(&out);
}

static void
a_block_is_written_in_lines_of_64_and_read_back(void **state)
{
	uint8_t der[97];
	struct slice label;
	struct slice in;
	struct buf text;
	struct buf back;

	(void)state;
	memset(der, 'A', sizeof(der));
	buf_init(&text, 1000);
	buf_init(&back, 1000);
	assert_int_equal(pem_write(&text, "X", slice_of(der, 49)), ERR_OK);
	assert_true(slice_is_str(
		buf_get(&text),
		"-----BEGIN X-----\n"
		"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
		"QUFB\n"
		"QQ==\n"
		"-----END X-----\n"));
	for (size_t len = 1; len <= sizeof(der); len++) {
		buf_reset(&text);
		assert_int_equal(
			pem_write(&text, "CERTIFICATE", slice_of(der, len)),
			ERR_OK);
		in = buf_get(&text);
		assert_int_equal(pem_read(&in, &label, &back, NULL), ERR_OK);
		assert_true(slice_is_eq(buf_get(&back), slice_of(der, len)));
		assert_true(slice_is_str(label, "CERTIFICATE"));
		assert_int_equal(in.len, 0);
	}
	buf_fini(&text);
	buf_fini(&back);
}

static void
text_between_blocks_and_foreign_line_ends_are_passed_over(void **state)
{
	struct slice in = SLICE_LIT("\xef\xbb\xbf"
				    "-----BEGIN A-----  \r\n"
				    "Zm9v \t\r\n"
				    "\r\n"
				    "YmFy\r\n"
				    "-----END A-----\r\n"
				    "subject: CN=x -----BEGIN not here-----\n"
				    "-----BEGIN B C-----\nZg==\n"
				    "-----END B C-----"); /* no newline */
	struct slice label;
	struct why why = {0};
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(pem_read(&in, &label, &out, &why), ERR_OK);
	assert_true(slice_is_str(label, "A"));
	assert_true(slice_is_str(buf_get(&out), "foobar"));
	assert_int_equal(pem_read(&in, &label, &out, &why), ERR_OK);
	assert_true(slice_is_str(label, "B C"));
	assert_true(slice_is_str(buf_get(&out), "f"));
	assert_int_equal(pem_read(&in, &label, &out, &why), ERR_NOT_FOUND);
	assert_int_equal(buf_len(&out), 0);
	buf_fini(&out);
}

static void
malformed_blocks_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *text;
		enum err e;
		const char *says;
	} rows[] = {
		{"", ERR_NOT_FOUND, "no \"-----BEGIN"},
		{"-----BEGIN A-----\nZg==\n", ERR_SYNTAX, "no END"},
		{"-----BEGIN A-----\nZg==\n-----END B-----\n", ERR_SYNTAX,
		 "ends in another"},
		{"-----BEGIN A-----\nZg==\n-----BEGIN A-----\n", ERR_SYNTAX,
		 "ends in another"},
		{"-----BEGIN A-----\nZg\n-----END A-----\n", ERR_SYNTAX,
		 "line 1 is not base64"},
		{"-----BEGIN A-----\nZm9v\nZm9*\n-----END A-----\n", ERR_SYNTAX,
		 "line 2 is not base64"},
		{"-----BEGIN A-----\nZg==\nZm9v\n-----END A-----\n", ERR_SYNTAX,
		 "line 2 is not base64"},
		{"-----BEGIN A-----\n-----END A-----\n", ERR_SYNTAX, "empty"},
		{"-----BEGIN -----\nZg==\n-----END -----\n", ERR_SYNTAX,
		 "malformed BEGIN"},
		{"-----BEGIN A----\nZg==\n-----END A-----\n", ERR_SYNTAX,
		 "malformed BEGIN"},
		{"-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nZg==\n"
		 "-----END A-----\n",
		 ERR_UNSUPPORTED, "headers"},
		{"-----BEGIN A-----\nZg==\n-----END A-----\n", ERR_OK, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice in = slice_of_str(rows[i].text);
		struct slice before = in;
		struct secret *secret = NULL;
		struct slice label;
		struct why why = {0};
		struct buf out;

		buf_init(&out, 100);
		assert_int_equal(pem_read(&in, &label, &out, &why), rows[i].e);
		assert_non_null(strstr(why.text, rows[i].says));
		if (rows[i].e != ERR_OK)
			assert_ptr_equal(in.p, before.p);
		in = before;
		assert_int_equal(pem_read_secret(&in, &label, &secret, NULL),
				 rows[i].e);
		secret_free(secret);
		buf_fini(&out);
	}
}

static void
secrets_are_read_and_written_like_other_blocks(void **state)
{
	static const uint8_t der[] = {0, 1, 2, 3, 0xff};
	struct secret *text = NULL;
	struct secret *back = NULL;
	struct slice label;
	struct slice in;
	struct buf plain;

	(void)state;
	buf_init(&plain, 1000);
	assert_int_equal(pem_write(&plain, "K", SLICE_ARRAY(der)), ERR_OK);
	assert_int_equal(pem_write_secret("K", SLICE_ARRAY(der), &text),
			 ERR_OK);
	in = secret_get(text);
	assert_true(slice_is_eq(in, buf_get(&plain)));
	assert_int_equal(pem_read_secret(&in, &label, &back, NULL), ERR_OK);
	assert_true(slice_is_eq(secret_get(back), SLICE_ARRAY(der)));
	secret_free(text);
	secret_free(back);
	buf_fini(&plain);
}

static void
a_block_larger_than_the_buffer_is_a_limit(void **state)
{
	struct slice in = SLICE_LIT(
		"-----BEGIN A-----\nZm9vYmFyZm9vYmFy\n-----END A-----\n");
	struct slice label;
	struct why why = {0};
	struct buf out;

	(void)state;
	buf_init(&out, 8);
	assert_int_equal(pem_read(&in, &label, &out, &why), ERR_LIMIT);
	assert_non_null(strstr(why.text, "too large"));
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_is_that_of_rfc_4648),
		cmocka_unit_test(every_byte_survives_base64),
		cmocka_unit_test(base64_that_is_not_strict_is_refused),
		cmocka_unit_test(base64_keeps_to_the_limit_of_its_buffer),
		cmocka_unit_test(
			a_block_is_written_in_lines_of_64_and_read_back),
		cmocka_unit_test(
			text_between_blocks_and_foreign_line_ends_are_passed_over),
		cmocka_unit_test(malformed_blocks_are_refused_with_a_reason),
		cmocka_unit_test(
			secrets_are_read_and_written_like_other_blocks),
		cmocka_unit_test(a_block_larger_than_the_buffer_is_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
