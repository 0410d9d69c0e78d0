/* test_conf.c - configuration by table: strict reading, printing, messages. */
#include "unit.h"

#include "base/json.h"
#include "conf_sample.h"

static const char full_text[] = "# all of it\n"
				"trust_domain: example.org\n"
				"issuer:\n"
				"  kind: files\n"
				"  ttl: 90m\n"
				"  pin: '1234'\n"
				"limits: {size: 2M, level: -9}\n"
				"on: false\n"
				"list: [a, \"b c\"]\n"
				"rows:\n"
				"  - host: h1\n"
				"    net:\n"
				"      port: 81\n"
				"      names: []\n"
				"  - host: h2\n";

static void
check_full(const struct sample *s)
{
	const struct sample_row *row = s->rows.rows;

	assert_string_equal(s->domain, "example.org");
	assert_int_equal(s->kind, 0);
	assert_int_equal(s->ttl_ms, 5400000);
	assert_int_equal(s->size, 2 << 20);
	assert_int_equal(s->level, -9);
	assert_false(s->on);
	assert_int_equal(s->list.cnt, 2);
	assert_string_equal(s->list.items[1], "b c");
	assert_null(s->list.items[2]);
	assert_int_equal(s->rows.cnt, 2);
	assert_string_equal(row[0].host, "h1");
	assert_int_equal(row[0].port, 81);
	assert_int_equal(row[0].names.cnt, 0);
	assert_non_null(row[0].names.items);
	assert_string_equal(row[1].host, "h2");
	assert_int_equal(row[1].port, 80);
	assert_int_equal(row[1].names.cnt, 2);
}

static void
every_type_is_read(void **state)
{
	struct sample s = {0};

	(void)state;
	assert_int_equal(
		conf_parse(sample_keys, slice_of_str(full_text), "f", &s, NULL),
		ERR_OK);
	check_full(&s);
	assert_string_equal(s.pin, "1234");
	conf_free(sample_keys, &s);
	assert_null(s.domain);
	conf_free(sample_keys, &s);
}

static void
an_empty_file_means_defaults(void **state)
{
	static const char *const empty[] = {"", "# only words\n", "---\n",
					    "issuer:\n  # nothing\n"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(empty); i++) {
		struct sample s = {0};
		struct why why = {{0}};
		enum err ret = conf_parse(sample_keys, slice_of_str(empty[i]),
					  "f", &s, &why);

		/* "---" alone is one empty value, not a section. */
		if (strcmp(empty[i], "---\n") == 0) {
			assert_int_equal(ret, ERR_CONFIG);
			continue;
		}
		assert_int_equal(ret, ERR_OK);
		assert_string_equal(s.domain, "cluster.local");
		assert_int_equal(s.kind, 1);
		assert_int_equal(s.level, -2);
		assert_null(s.pin);
		assert_non_null(s.list.items);
		assert_int_equal(s.list.cnt, 0);
		conf_free(sample_keys, &s);
	}
}

struct bad {
	const char *text;
	const char *message;
};

static const struct bad bad_texts[] = {
	{"on: true\nxyz: 1", "f:2: xyz: there is no such key"},
	{"issuer:\n  tll: 5m", "f:2: issuer.tll: there is no such key; did "
			       "you mean issuer.ttl?"},
	{"on: true\non: true", "f:2: on: is there twice, first in line 1"},
	{"on: yes", "f:1: on: found \"yes\", allowed is true or false"},
	{"issuer: {kind: vault}",
	 "f:1: issuer.kind: found \"vault\", allowed is files | self-signed"},
	{"issuer: {ttl: 1s}", "f:1: issuer.ttl: found \"1s\", allowed is "
			      "1m0s to 24h0m0s"},
	{"issuer: {ttl: 90}", "f:1: issuer.ttl: found \"90\", allowed is a "
			      "duration like 90m, 24h or 30s"},
	{"issuer: {pin: 123456789}", "f:1: issuer.pin: found 9 characters"},
	{"limits: {level: 10}", "found \"10\", allowed is -9 to 9"},
	{"limits: {level: 0x1}", "allowed is a whole number"},
	{"limits: {size: 1K}", "allowed is a size like 64k or 1M"},
	{"limits: {size: 9999999999G}", "allowed is a size"},
	{"trust_domain: ''", "found 0 characters, allowed is 1 to 255"},
	{"trust_domain:", "has no value"},
	{"trust_domain: [a]", "must be one value, not a list"},
	{"list: a", "must be a list"},
	{"list: [a, b, c, d]", "found 4 items, allowed is 0 to 3"},
	{"list: [[a]]", "every item must be a text"},
	{"issuer: files", "is a section"},
	{"issuer.kind: files", "dots are for sections"},
	{"rows:\n - host: a\n - hots: b",
	 "f:3: rows[1].hots: there is no such key; did you mean host?"},
	{"rows:\n - host: a\n - net: {port: 0}",
	 "f:3: rows[1].net.port: found \"0\", allowed is 1 to 65535"},
	{"rows: [5]", "rows[0]: must hold"},
	{"a: &x 1", "anchors and tags are not allowed"},
	{"on: !!bool true", "anchors and tags are not allowed"},
	{"list: &x [a]", "anchors and tags are not allowed"},
	{"on: *x", "aliases"},
	{"%YAML 1.1\n---\non: true", "directives"},
	{"on: true\n---\non: true", "f:2: only one document"},
	{"a: [[[[[[[[1]]]]]]]]", "nested deeper than 8 levels"},
	{"- a", "the file must hold"},
	{"on", "the file must hold"},
	{"? [a]\n: b", "a key must be a plain word"},
	{"on: \"a\\0b\"", "a NUL character"},
	{"on: [", "f:"},
	{"\xff", "f:1: "},
};

static void
what_is_wrong_is_named_with_file_line_and_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_texts); i++) {
		struct sample s = {0};
		struct why why = {{0}};

		assert_int_equal(conf_parse(sample_keys,
					    slice_of_str(bad_texts[i].text),
					    "f", &s, &why),
				 ERR_CONFIG);
		if (strstr(why.text, bad_texts[i].message) == NULL)
			fail_msg("%s: \"%s\" does not say \"%s\"",
				 bad_texts[i].text, why.text,
				 bad_texts[i].message);
		assert_null(s.domain);
		assert_null(s.list.items);
		assert_null(s.rows.rows);
	}
}

static void
secrets_are_in_no_message_and_no_print(void **state)
{
	struct sample s = {0};
	struct buf out;
	char *text;

	(void)state;
	buf_init(&out, 10000);
	assert_int_equal(conf_parse(sample_keys,
				    SLICE_LIT("issuer: {pin: hunter2}"), "f",
				    &s, NULL),
			 ERR_OK);
	assert_int_equal(conf_print(sample_keys, &s, &out), ERR_OK);
	text = buf_dup_str(&out);
	assert_null(strstr(text, "hunter2"));
	assert_non_null(strstr(text, "pin: \"(set)\""));
	free(text);
	conf_free(sample_keys, &s);
	buf_fini(&out);
}

static void
one_key_is_set_or_stays_as_it_was(void **state)
{
	struct sample s = {0};
	struct why why = {{0}};

	(void)state;
	assert_int_equal(conf_parse(sample_keys, SLICE_NONE, "f", &s, NULL),
			 ERR_OK);
	assert_int_equal(conf_set(sample_keys, &s, "issuer.ttl", "2h", &why),
			 ERR_OK);
	assert_int_equal(s.ttl_ms, 7200000);
	assert_int_equal(conf_set(sample_keys, &s, "issuer.ttl", "2s", &why),
			 ERR_CONFIG);
	assert_int_equal(s.ttl_ms, 7200000);
	assert_string_equal(why.text, "issuer.ttl: found \"2s\", allowed is "
				      "1m0s to 24h0m0s");
	assert_int_equal(conf_set(sample_keys, &s, "list", "x, \"y z\"", &why),
			 ERR_OK);
	assert_int_equal(s.list.cnt, 2);
	assert_string_equal(s.list.items[1], "y z");
	assert_int_equal(conf_set(sample_keys, &s, "list", "x\xff", &why),
			 ERR_CONFIG);
	assert_non_null(strstr(why.text, "no UTF-8"));
	assert_int_equal(conf_set(sample_keys, &s, "list", "x\x1b[2J", &why),
			 ERR_CONFIG);
	assert_int_equal(conf_set(sample_keys, &s, "list", "a,b,c,d", &why),
			 ERR_CONFIG);
	assert_int_equal(s.list.cnt, 2);
	assert_int_equal(conf_set(sample_keys, &s, "rows", "x", &why),
			 ERR_CONFIG);
	assert_int_equal(conf_set(sample_keys, &s, "nope", "x", &why),
			 ERR_CONFIG);
	conf_free(sample_keys, &s);
}

static void
the_effective_configuration_is_read_back(void **state)
{
	struct sample s = {0};
	struct sample again = {0};
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	assert_int_equal(
		conf_parse(sample_keys, slice_of_str(full_text), "f", &s, NULL),
		ERR_OK);
	assert_int_equal(conf_print(sample_keys, &s, &out), ERR_OK);
	assert_int_equal(
		conf_parse(sample_keys, buf_get(&out), "printed", &again, NULL),
		ERR_OK);
	check_full(&again);
	conf_free(sample_keys, &s);
	conf_free(sample_keys, &again);
	buf_fini(&out);
}

static void
the_template_names_every_key_and_changes_nothing(void **state)
{
	struct sample empty = {0};
	struct sample s = {0};
	struct buf out;
	char *text;

	(void)state;
	buf_init(&out, 10000);
	assert_int_equal(
		conf_parse(sample_keys, SLICE_NONE, "empty", &empty, NULL),
		ERR_OK);
	assert_int_equal(conf_print_changed(sample_keys, &empty, &out), ERR_OK);
	conf_free(sample_keys, &empty);
	text = buf_dup_str(&out);
	assert_non_null(strstr(text, "\n#  ttl: 24h\n"));
	assert_non_null(strstr(text, "#    host:\n"));
	assert_non_null(strstr(text, "One of files, self-signed."));
	assert_int_equal(
		conf_parse(sample_keys, buf_get(&out), "template", &s, NULL),
		ERR_OK);
	assert_string_equal(s.domain, "cluster.local");
	conf_free(sample_keys, &s);
	free(text);
	buf_fini(&out);
}

static void
what_was_changed_is_in_force_in_the_commented_file(void **state)
{
	struct sample s = {0};
	struct sample again = {0};
	struct buf out;
	char *text;

	(void)state;
	buf_init(&out, 10000);
	assert_int_equal(
		conf_parse(sample_keys, slice_of_str(full_text), "f", &s, NULL),
		ERR_OK);
	assert_int_equal(conf_set(sample_keys, &s, "on", "true", NULL), ERR_OK);
	assert_int_equal(conf_print_changed(sample_keys, &s, &out), ERR_OK);
	text = buf_dup_str(&out);
	assert_non_null(strstr(text, "\n#on: true\n"));
	assert_non_null(strstr(text, "\n  ttl: 90m\n"));
	assert_int_equal(
		conf_parse(sample_keys, buf_get(&out), "changed", &again, NULL),
		ERR_OK);
	again.on = false;
	check_full(&again);
	assert_string_equal(again.pin, "1234");
	conf_free(sample_keys, &s);
	conf_free(sample_keys, &again);
	free(text);
	buf_fini(&out);
}

static void
the_table_prints_as_json(void **state)
{
	struct buf out;
	struct json *root;

	(void)state;
	buf_init(&out, 10000);
	assert_int_equal(conf_print_table(sample_keys, &out), ERR_OK);
	assert_int_equal(json_parse(slice_trim(buf_get(&out)), NULL, &root),
			 ERR_OK);
	assert_int_equal(json_count(root), COUNT_OF(sample_keys) - 1);
	assert_true(slice_is_str(json_str(json_get(json_at(root, 2), "name")),
				 "issuer.ttl"));
	assert_int_equal(json_count(json_get(json_at(root, 8), "keys")), 3);
	json_free(root);
	buf_fini(&out);
}

static void
a_text_above_one_megabyte_is_refused(void **state)
{
	size_t len = (1 << 20) + 1;
	char *text = malloc(len);
	struct sample s = {0};
	struct why why;

	(void)state;
	memset(text, '\n', len);
	assert_int_equal(
		conf_parse(sample_keys, slice_of(text, len), "f", &s, &why),
		ERR_CONFIG);
	assert_int_equal(
		conf_parse(sample_keys, slice_of(text, len - 1), "f", &s, &why),
		ERR_OK);
	conf_free(sample_keys, &s);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_is_read),
		cmocka_unit_test(an_empty_file_means_defaults),
		cmocka_unit_test(what_is_wrong_is_named_with_file_line_and_key),
		cmocka_unit_test(secrets_are_in_no_message_and_no_print),
		cmocka_unit_test(one_key_is_set_or_stays_as_it_was),
		cmocka_unit_test(the_effective_configuration_is_read_back),
		cmocka_unit_test(
			the_template_names_every_key_and_changes_nothing),
		cmocka_unit_test(
			what_was_changed_is_in_force_in_the_commented_file),
		cmocka_unit_test(the_table_prints_as_json),
		cmocka_unit_test(a_text_above_one_megabyte_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
