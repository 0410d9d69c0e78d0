/* test_opt.c - command line options. */
#include "unit.h"

#include "base/opt.h"

struct target {
	bool verbose;
	bool quiet;
	const char *config;
	int64_t count;
	struct opt_multi set;
};

static const struct opt opts[] = {
	{"verbose", 'v', OPT_FLAG, offsetof(struct target, verbose), NULL,
	 "Says more."},
	{"quiet", 'q', OPT_FLAG, offsetof(struct target, quiet), NULL,
	 "Says less."},
	{"config", 'c', OPT_TEXT, offsetof(struct target, config), "FILE",
	 "Reads this file, which is described at such length here that it "
	 "cannot stand on one line of the help."},
	{"count", 0, OPT_COUNT, offsetof(struct target, count), "N",
	 "How many."},
	{"a-very-long-name-of-an-option", 'o', OPT_MULTI,
	 offsetof(struct target, set), "KEY=VALUE", "Sets a key."},
	{NULL, 0, OPT_FLAG, 0, NULL, NULL}};

enum {
	ARGS_MAX = 160
};

/* Splits the line at spaces in place. */
static int
split(char *line, char **argv)
{
	int argc = 0;

	while (line != NULL) {
		char *space = strchr(line, ' ');

		argv[argc++] = line;
		if (space != NULL)
			*space++ = '\0';
		line = space;
	}
	argv[argc] = NULL;
	return argc;
}

static void
all_ways_to_write_options_are_understood(void **state)
{
	char line[] = "prog a -vq -cx.yaml --count=7 b -o k=v "
		      "--a-very-long-name-of-an-option l=w -- -c";
	char *argv[ARGS_MAX];
	int argc = split(line, argv);
	struct target t = {0};
	int first;

	(void)state;
	assert_int_equal(opt_parse(opts, argc, argv, &t, &first, NULL), ERR_OK);
	assert_true(t.verbose && t.quiet);
	assert_string_equal(t.config, "x.yaml");
	assert_int_equal(t.count, 7);
	assert_int_equal(t.set.cnt, 2);
	assert_string_equal(t.set.items[0], "k=v");
	assert_string_equal(t.set.items[1], "l=w");
	assert_null(t.set.items[2]);
	assert_int_equal(argc - first, 3);
	assert_string_equal(argv[first], "a");
	assert_string_equal(argv[first + 1], "b");
	assert_string_equal(argv[first + 2], "-c");
}

static void
values_may_stand_alone_and_look_like_options(void **state)
{
	char line[] = "prog --config -c -c - --count 0 -";
	char *argv[ARGS_MAX];
	int argc = split(line, argv);
	struct target t = {0};
	int first;

	(void)state;
	assert_int_equal(opt_parse(opts, argc, argv, &t, &first, NULL), ERR_OK);
	assert_string_equal(t.config, "-");
	assert_int_equal(argc - first, 1);
	assert_string_equal(argv[first], "-");
}

static void
what_is_wrong_is_refused_with_a_reason(void **state)
{
	static const char *const bad[][2] = {
		{"p --nope", "there is no option --nope"},
		{"p -x", "there is no option -x"},
		{"p -vx", "there is no option -x"},
		{"p --config", "--config: FILE is missing"},
		{"p -vc", "--config: FILE is missing"},
		{"p --verbose=1", "--verbose: takes no value"},
		{"p --count=-1", "--count: found \"-1\", a number is needed"},
		{"p --count 9223372036854775808", "a number is needed"},
		{"p --conf x", "there is no option --conf"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char line[80];
		char *argv[ARGS_MAX];
		struct target t = {0};
		struct why why = {{0}};
		int first;

		(void)snprintf(line, sizeof(line), "%s", bad[i][0]);
		assert_int_equal(opt_parse(opts, split(line, argv), argv, &t,
					   &first, &why),
				 ERR_CONFIG);
		assert_non_null(strstr(why.text, bad[i][1]));
	}
}

static void
repetition_is_bounded(void **state)
{
	char name[] = "-ox";
	char *argv[ARGS_MAX] = {name};
	struct target t = {0};
	int first;

	(void)state;
	for (int i = 1; i <= OPT_MULTI_MAX + 1; i++)
		argv[i] = name;
	assert_int_equal(
		opt_parse(opts, OPT_MULTI_MAX + 1, argv, &t, &first, NULL),
		ERR_OK);
	assert_int_equal(t.set.cnt, OPT_MULTI_MAX);
	memset(&t, 0, sizeof(t));
	assert_int_equal(
		opt_parse(opts, OPT_MULTI_MAX + 2, argv, &t, &first, NULL),
		ERR_CONFIG);
}

static void
help_is_aligned_and_wrapped(void **state)
{
	struct buf out;
	struct slice rest;
	struct slice line;
	char *text;

	(void)state;
	buf_init(&out, 4096);
	assert_int_equal(opt_print_help(opts, &out), ERR_OK);
	text = buf_dup_str(&out);
	assert_non_null(strstr(text, "  -v, --verbose             Says more."));
	assert_non_null(strstr(text, "      --count N             How many."));
	assert_non_null(strstr(text,
			       "  -o, --a-very-long-name-of-an-option "
			       "KEY=VALUE\n"
			       "                            Sets a key."));
	rest = buf_get(&out);
	while (slice_split(&rest, '\n', &line))
		assert_true(line.len <= 78);
	free(text);
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_ways_to_write_options_are_understood),
		cmocka_unit_test(values_may_stand_alone_and_look_like_options),
		cmocka_unit_test(what_is_wrong_is_refused_with_a_reason),
		cmocka_unit_test(repetition_is_bounded),
		cmocka_unit_test(help_is_aligned_and_wrapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
