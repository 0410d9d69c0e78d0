/* test_why.c - reasons for people. */
#include "unit.h"

#include "base/why.h"

static void
setting_returns_the_error_and_cleans_the_text(void **state)
{
	struct why why = {{0}};

	(void)state;
	assert_int_equal(why_set(&why, ERR_REFUSED, "a\x1b[2Jb\n%s", "\xc3"),
			 ERR_REFUSED);
	assert_string_equal(why_text(&why, ERR_REFUSED), "a?[2Jb??");
	assert_int_equal(why_set(NULL, ERR_IO, "x"), ERR_IO);
}

static void
without_a_text_the_error_speaks(void **state)
{
	struct why why = {{0}};

	(void)state;
	assert_string_equal(why_text(&why, ERR_EXPIRED), "expired");
	assert_string_equal(why_text(NULL, ERR_EXPIRED), "expired");
	assert_int_equal(why_prefix(&why, ERR_EXPIRED, "chain %d", 2),
			 ERR_EXPIRED);
	assert_string_equal(why_text(&why, ERR_EXPIRED), "chain 2: expired");
}

static void
long_texts_are_cut(void **state)
{
	char text[2 * WHY_MAX];
	struct why why = {{0}};

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	(void)why_set(&why, ERR_IO, "%s", text);
	assert_int_equal(strlen(why.text), WHY_MAX - 1);
	(void)why_prefix(&why, ERR_IO, "%s", text);
	assert_true(strlen(why.text) < WHY_MAX);
	assert_non_null(strstr(why.text, "x: x"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(setting_returns_the_error_and_cleans_the_text),
		cmocka_unit_test(without_a_text_the_error_speaks),
		cmocka_unit_test(long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
