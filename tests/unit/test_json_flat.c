/* test_json_flat.c - JSON read in place: what it gives, what it refuses, and
 * that it agrees with the tree of json.h. */
#include "unit.h"

#include "base/json.h"
#include "base/json_flat.h"

#define TOKEN                                                                \
	"{\"aud\":[\"istio-ca\",\"b\"],\"exp\":1800000060,\"iat\":-1.5e3,"   \
	"\"iss\":\"https:\\/\\/issuer\\u002etest\",\"kubernetes.io\":"       \
	"{\"namespace\":\"default\",\"pod\":{\"name\":\"p\\ud83d\\ude00\"}," \
	"\"empty\":{},\"none\":[ ]},\"flag\":true,\"nothing\":null,"         \
	"\"\":\"\xc3\xa9\\b\\f\\n\\r\\t\\\"\\\\\"}"

static enum err
parse(struct buf *text, struct slice in, struct json_flat *out)
{
	struct why why = {""};
	enum err ret;

	buf_reset(text);
	assert_int_equal(buf_put(text, in), ERR_OK);
	ret = json_flat_parse(text, &why, out);
	assert_true((ret == ERR_OK) == (why.text[0] == '\0'));
	return ret;
}

static void
assert_str(const struct json_flat *f, const char *path, const char *expected)
{
	assert_true(slice_is_str(json_flat_str(f, json_flat_get_path(f, path)),
				 expected));
}

static void
members_are_found_and_escapes_are_resolved(void **state)
{
	struct json_flat f;
	const struct json_value *aud, *one;
	struct buf text;
	int64_t v;

	(void)state;
	buf_init(&text, 4096);
	assert_int_equal(parse(&text, SLICE_LIT(TOKEN), &f), ERR_OK);
	assert_str(&f, "iss", "https://issuer.test");
	assert_str(&f, "'kubernetes.io'.namespace", "default");
	assert_str(&f, "'kubernetes.io'.pod.name", "p\xf0\x9f\x98\x80");
	assert_str(&f, "'kubernetes.io'.empty", "");
	assert_null(json_flat_get_path(&f, "kubernetes.io.namespace"));
	assert_null(json_flat_get_path(&f, "'kubernetes.io"));
	assert_null(json_flat_get_path(&f, "iss.more"));
	assert_null(json_flat_get_path(&f, ""));
	assert_true(json_flat_int(&f, json_flat_get_path(&f, "exp"), &v));
	assert_int_equal(v, 1800000060);
	assert_true(json_flat_int(&f, json_flat_get_path(&f, "iat"), &v));
	assert_int_equal(v, -1500);
	assert_false(json_flat_int(&f, json_flat_get_path(&f, "iss"), &v));
	assert_false(json_flat_int(&f, NULL, &v));
	aud = json_flat_get_path(&f, "aud");
	one = json_flat_first(&f, aud);
	assert_true(slice_is_str(json_flat_str(&f, one), "istio-ca"));
	one = json_flat_next(&f, aud, one);
	assert_true(slice_is_str(json_flat_str(&f, one), "b"));
	assert_null(json_flat_next(&f, aud, one));
	assert_null(json_flat_first(&f, NULL));
	assert_null(json_flat_first(
		&f, json_flat_get_path(&f, "'kubernetes.io'.none")));
	assert_true(slice_is_str(
		json_flat_str(&f, json_flat_get(&f, json_flat_root(&f), "")),
		"\xc3\xa9\b\f\n\r\t\"\\"));
	buf_fini(&text);
}

/* Both readers take it, or both refuse it. */
static bool
readers_agree(struct buf *text, struct json_flat *f, struct slice in)
{
	struct json *tree = NULL;
	const bool flat_is_ok = parse(text, in, f) == ERR_OK;
	const bool tree_is_ok = json_parse(in, NULL, &tree) == ERR_OK;

	json_free(tree);
	return flat_is_ok == tree_is_ok;
}

/* One a line: what a reader of JSON is likely to get wrong. */
static const char *const texts[] = {
	"",
	" ",
	"{}",
	"[]",
	"null",
	" true ",
	"truex",
	"nul",
	"\"\"",
	"\"",
	"\"\\\"",
	"0",
	"-0",
	"-",
	"01",
	"1.",
	".5",
	"1.5",
	"1e",
	"1e+",
	"1E-7",
	"1e400",
	"-1e400",
	"1e-400",
	"9223372036854775807",
	"9223372036854775808",
	"-9223372036854775808",
	"-9223372036854775809",
	"12345678901234567890123",
	"1.0000000000000000000000000000000000001",
	"{\"a\":1,\"a\":1}",
	"{\"a\":1,\"\\u0061\":1}",
	"{\"a\":{\"a\":1},\"b\":{\"a\":1}}",
	"{\"a\":[{},[]],\"b\":1,\"b\":2}",
	"{\"a\\u0000\":1}",
	"\"a\\u0000b\"",
	"\"a\x01\"",
	"\"\x7f\"",
	"\"\xff\"",
	"\"\xc0\xaf\"",
	"\"\xed\xa0\x80\"",
	"\"\\ud800\"",
	"\"\\udc00\"",
	"\"\\ud800\\u0041\"",
	"\"\\ud83d\\ude00\"",
	"\"\\ud83d\\ude0\"",
	"\"\\u12g4\"",
	"\"\\x\"",
	"{\"a\" : [ 1 , 2 ] }",
	"{\"a\":1,}",
	"[1,]",
	"[,1]",
	"[1 2]",
	"{\"a\" 1}",
	"{a:1}",
	"{'a':1}",
	"{\"a\":1} x",
	"{\"a\":1]",
	"[1}",
	"]",
	"[[[",
	"\xef\xbb\xbf{}",
};

static void
what_it_takes_is_what_the_tree_takes(void **state)
{
	struct json_flat f;
	struct buf text;

	(void)state;
	buf_init(&text, 4096);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		if (!readers_agree(&text, &f, slice_of_str(texts[i])))
			fail_msg("%s", texts[i]);
	}
	buf_fini(&text);
}

/* jansson passes over a NUL behind a number; this reader does not. */
static void
a_nul_outside_of_strings_is_refused(void **state)
{
	static const char with_nul[] = "[1\0,2]";
	struct json_flat f;
	struct buf text;

	(void)state;
	buf_init(&text, 64);
	assert_int_equal(parse(&text, slice_of(with_nul, 6), &f), ERR_SYNTAX);
	buf_fini(&text);
}

static void
they_agree_where_a_byte_is_missing_or_another(void **state)
{
	static const char others[] = "{}[]\",:\\u0e.- \x80";
	char bytes[sizeof(TOKEN)];
	const size_t len = sizeof(TOKEN) - 1;
	struct json_flat f;
	struct buf text;

	(void)state;
	buf_init(&text, 4096);
	memcpy(bytes, TOKEN, sizeof(bytes));
	for (size_t i = 0; i < len; i++) {
		assert_true(readers_agree(&text, &f, slice_of(bytes, i)));
		for (size_t k = 0; k < sizeof(others) - 1; k++) {
			bytes[i] = others[k];
			if (!readers_agree(&text, &f, slice_of(bytes, len)))
				fail_msg("byte %zu as 0x%02x", i,
					 (unsigned)(uint8_t)others[k]);
		}
		bytes[i] = TOKEN[i];
	}
	buf_fini(&text);
}

static void
put_times(struct buf *out, const char *what, size_t times)
{
	for (size_t i = 0; i < times; i++)
		assert_int_equal(buf_put_str(out, what), ERR_OK);
}

static void
it_is_bounded_in_depth_values_and_length(void **state)
{
	struct json_flat f;
	struct buf in, text;

	(void)state;
	buf_init(&in, 1 << 20);
	buf_init(&text, 1 << 20);
	for (size_t over = 0; over < 2; over++) {
		const enum err expected = over == 0 ? ERR_OK : ERR_LIMIT;

		buf_reset(&in);
		put_times(&in, "[", 32 + over);
		put_times(&in, "]", 32 + over);
		assert_int_equal(parse(&text, buf_get(&in), &f), expected);

		buf_reset(&in);
		put_times(&in, "[1", 1);
		put_times(&in, ",1", JSON_FLAT_VALUES_MAX - 2 + over);
		put_times(&in, "]", 1);
		assert_int_equal(parse(&text, buf_get(&in), &f), expected);

		buf_reset(&in);
		put_times(&in, "1", 1);
		put_times(&in, " ", JSON_FLAT_TEXT_MAX - 1 + over);
		assert_int_equal(parse(&text, buf_get(&in), &f), expected);
	}
	buf_fini(&in);
	buf_fini(&text);
}

static void
a_refusal_quotes_nothing(void **state)
{
	struct json_flat f;
	struct why why;
	struct buf text;

	(void)state;
	buf_init(&text, 4096);
	assert_int_equal(buf_put_str(&text, "{\"token\": hunter2 }"), ERR_OK);
	assert_int_equal(json_flat_parse(&text, &why, &f), ERR_SYNTAX);
	assert_string_equal(why.text,
			    "JSON: byte 10: no value where one must be");
	assert_null(json_flat_root(&f));
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found_and_escapes_are_resolved),
		cmocka_unit_test(what_it_takes_is_what_the_tree_takes),
		cmocka_unit_test(a_nul_outside_of_strings_is_refused),
		cmocka_unit_test(they_agree_where_a_byte_is_missing_or_another),
		cmocka_unit_test(it_is_bounded_in_depth_values_and_length),
		cmocka_unit_test(a_refusal_quotes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
