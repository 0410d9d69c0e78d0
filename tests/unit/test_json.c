/* test_json.c - reading bounded JSON, writing it. */
#include "unit.h"

#include "base/json.h"

static struct json *
parsed(const char *text)
{
	struct json *root;

	assert_int_equal(json_parse(slice_of_str(text), NULL, &root), ERR_OK);
	assert_non_null(root);
	return root;
}

static void
members_are_found_by_key_and_by_path(void **state)
{
	struct json *root = parsed("{\"a\":{\"b\":[10,\"x\"]},"
				   "\"kubernetes.io\":{\"sa\":true},"
				   "\"\":1}");
	bool b = false;
	int64_t v;

	(void)state;
	assert_int_equal(json_count(json_get_path(root, "a.b")), 2);
	assert_true(json_int(json_at(json_get_path(root, "a.b"), 0), &v));
	assert_int_equal(v, 10);
	assert_true(slice_is_str(
		json_str(json_at(json_get_path(root, "a.b"), 1)), "x"));
	assert_true(json_bool(json_get_path(root, "'kubernetes.io'.sa"), &b));
	assert_true(b);
	assert_true(json_int(json_get(root, ""), &v));
	json_free(root);
}

static void
what_is_absent_or_of_another_type_is_empty(void **state)
{
	struct json *root =
		parsed("{\"s\":\"x\",\"n\":5,\"r\":1.5,\"z\":null}");
	bool b;
	int64_t v;

	(void)state;
	assert_null(json_get(root, "q"));
	assert_null(json_get_path(root, "s.q"));
	assert_null(json_get_path(root, "'s"));
	assert_null(json_get_path(root, "'s'x"));
	assert_null(json_get_path(root, ""));
	assert_null(json_get(NULL, "q"));
	assert_null(json_at(root, 0));
	assert_int_equal(json_str(json_get(root, "n")).len, 0);
	assert_false(json_int(json_get(root, "s"), &v));
	assert_false(json_int(json_get(root, "r"), &v));
	assert_false(json_bool(json_get(root, "z"), &b));
	assert_int_equal(json_count(NULL), 0);
	assert_false(json_is_object(NULL));
	assert_true(json_is_object(root) && !json_is_array(root));
	json_free(root);
	json_free(NULL);
}

static void
whole_reals_are_integers_where_they_fit(void **state)
{
	struct json *root = parsed("[1.0,1e300,-9223372036854775808.0,"
				   "9223372036854775808.0]");
	int64_t v;

	(void)state;
	assert_true(json_int(json_at(root, 0), &v) && v == 1);
	assert_false(json_int(json_at(root, 1), &v));
	assert_true(json_int(json_at(root, 2), &v) && v == INT64_MIN);
	assert_false(json_int(json_at(root, 3), &v));
	json_free(root);
}

static void
strings_may_hold_a_nul(void **state)
{
	struct json *root = parsed("\"a\\u0000b\"");

	(void)state;
	assert_int_equal(json_str(root).len, 3);
	assert_memory_equal(json_str(root).p, "a\0b", 3);
	json_free(root);
}

static void
duplicates_and_rests_are_refused(void **state)
{
	static const char *const bad[] = {
		"",        "{\"a\":1,\"a\":1}", "{} x", "[1,]",
		"{'a':1}", "\"\xff\"",          "[1",   "nul"};
	struct json *root;
	struct why why;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		assert_int_equal(json_parse(slice_of_str(bad[i]), &why, &root),
				 ERR_SYNTAX);
		assert_null(root);
		assert_non_null(strstr(why.text, "JSON: line "));
	}
}

static void
a_refusal_does_not_quote_the_text(void **state)
{
	struct json *root;
	struct why why;

	(void)state;
	assert_int_equal(
		json_parse(SLICE_LIT("{\"token\": hunter2 }"), &why, &root),
		ERR_SYNTAX);
	assert_null(strstr(why.text, "hunter"));
}

static enum err
parse_deep(size_t depth)
{
	char text[200];
	struct json *root;
	enum err ret;

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	ret = json_parse(slice_of(text, 2 * depth), NULL, &root);
	json_free(root);
	return ret;
}

static void
nesting_is_bounded_at_thirty_two(void **state)
{
	struct json *root = parsed("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"");

	(void)state;
	json_free(root);
	assert_int_equal(parse_deep(32), ERR_OK);
	assert_int_equal(parse_deep(33), ERR_LIMIT);
}

static void
what_is_written_is_read_back(void **state)
{
	struct buf b;
	struct jsonw w;
	struct json *root;
	int64_t v;

	(void)state;
	buf_init(&b, 1000);
	jsonw_init(&w, &b);
	jsonw_object_open(&w);
	jsonw_pair_str(&w, "s\"", SLICE_LIT("q\"\\\n\x01\x7f\0 \xe2\x82\xac"));
	jsonw_pair_int(&w, "i", INT64_MIN);
	jsonw_pair_bool(&w, "b", true);
	jsonw_pair_hex(&w, "h", SLICE_LIT("\xab"));
	jsonw_key(&w, "a");
	jsonw_array_open(&w);
	jsonw_bool(&w, false);
	jsonw_int(&w, 1);
	jsonw_object_open(&w);
	jsonw_object_close(&w);
	jsonw_array_close(&w);
	jsonw_object_close(&w);
	assert_int_equal(json_parse(buf_get(&b), NULL, &root), ERR_OK);
	assert_true(slice_is_eq(json_str(json_get(root, "s\"")),
				SLICE_LIT("q\"\\\n\x01\x7f\0 \xe2\x82\xac")));
	assert_true(json_int(json_get(root, "i"), &v) && v == INT64_MIN);
	assert_true(slice_is_str(json_str(json_get(root, "h")), "ab"));
	assert_int_equal(json_count(json_get(root, "a")), 3);
	json_free(root);
	buf_fini(&b);
}

static void
bytes_that_are_not_utf8_are_replaced(void **state)
{
	struct buf b;
	struct jsonw w;

	(void)state;
	buf_init(&b, 100);
	jsonw_init(&w, &b);
	jsonw_str(&w, SLICE_LIT("a\xff\xc2\x9b"));
	assert_true(slice_is_str(buf_get(&b), "\"a\xef\xbf\xbd\\u009b\""));
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found_by_key_and_by_path),
		cmocka_unit_test(what_is_absent_or_of_another_type_is_empty),
		cmocka_unit_test(whole_reals_are_integers_where_they_fit),
		cmocka_unit_test(strings_may_hold_a_nul),
		cmocka_unit_test(duplicates_and_rests_are_refused),
		cmocka_unit_test(a_refusal_does_not_quote_the_text),
		cmocka_unit_test(nesting_is_bounded_at_thirty_two),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
