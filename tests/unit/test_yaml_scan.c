/* test_yaml_scan.c - texts of foreign YAML and JSON with their paths. */
#include "unit.h"

#include "base/yaml_scan.h"

struct seen {
	char text[2048];
	size_t cnt;
	size_t stop_at; /* 0: never */
};

static enum err
note(void *arg, const struct yaml_scan_text *t)
{
	struct seen *s = arg;
	size_t at = strlen(s->text);

	at += (size_t)snprintf(s->text + at, sizeof(s->text) - at, "%zu",
			       t->document);
	for (size_t i = 0; i < t->path_len; i++)
		at += (size_t)snprintf(s->text + at, sizeof(s->text) - at,
				       "/%s", t->path[i]);
	(void)snprintf(s->text + at, sizeof(s->text) - at, "=%.*s;",
		       SLICE_FMT(t->text));
	s->cnt++;
	return s->cnt == s->stop_at ? ERR_CANCELLED : ERR_OK;
}

static enum err
scan(const char *text, struct seen *s, struct why *why)
{
	*s = (struct seen){.stop_at = s->stop_at};
	return yaml_scan(slice_of_str(text), why, note, s);
}

static void
each_text_comes_with_its_path_and_document(void **state)
{
	struct seen s = {0};

	(void)state;
	assert_int_equal(scan("a: 1\nb:\n  c.d: x\n  e: [p, q]\n---\nf: >\n"
			      "  two\n  words\n",
			      &s, NULL),
			 ERR_OK);
	assert_string_equal(s.text, "0/a=1;0/b/c.d=x;0/b/e/=p;0/b/e/=q;"
				    "1/f=two words\n;");
}

static void
json_is_read_as_well(void **state)
{
	struct seen s = {0};

	(void)state;
	assert_int_equal(
		scan("{\"a\":{\"b\":\"x\",\"c\":[]},\"d\":\"y\"}", &s, NULL),
		ERR_OK);
	assert_string_equal(s.text, "0/a/b=x;0/d=y;");
}

static void
what_is_no_yaml_is_refused_with_its_line(void **state)
{
	struct why why = {0};
	struct seen s = {0};

	(void)state;
	assert_int_equal(scan("a: 1\nb: [\n", &s, &why), ERR_SYNTAX);
	assert_non_null(strstr(why.text, "line 3"));
}

static void
nesting_is_bounded(void **state)
{
	char text[2 * YAML_SCAN_DEPTH_MAX + 3] = "";
	struct why why = {0};
	struct seen s = {0};

	(void)state;
	memset(text, '[', YAML_SCAN_DEPTH_MAX);
	memset(text + YAML_SCAN_DEPTH_MAX, ']', YAML_SCAN_DEPTH_MAX);
	assert_int_equal(scan(text, &s, &why), ERR_OK);
	memset(text, '[', YAML_SCAN_DEPTH_MAX + 1);
	memset(text + YAML_SCAN_DEPTH_MAX + 1, ']', YAML_SCAN_DEPTH_MAX + 1);
	assert_int_equal(scan(text, &s, &why), ERR_LIMIT);
}

static void
aliases_are_passed_over_and_the_next_key_is_still_a_key(void **state)
{
	struct seen s = {0};

	(void)state;
	assert_int_equal(scan("a: &x 1\nb: *x\nc: 2\n", &s, NULL), ERR_OK);
	assert_string_equal(s.text, "0/a=1;0/c=2;");
}

static void
the_callback_can_end_it(void **state)
{
	struct seen s = {.stop_at = 1};

	(void)state;
	assert_int_equal(scan("a: {b: 1, c: 2}\n", &s, NULL), ERR_CANCELLED);
	assert_int_equal(s.cnt, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_text_comes_with_its_path_and_document),
		cmocka_unit_test(json_is_read_as_well),
		cmocka_unit_test(what_is_no_yaml_is_refused_with_its_line),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(
			aliases_are_passed_over_and_the_next_key_is_still_a_key),
		cmocka_unit_test(the_callback_can_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
