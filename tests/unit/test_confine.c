/* test_confine.c - the message that tells a role its sandbox. */
#include "unit.h"

#include "base/mem.h"
#include "ipc/confine.h"

static void
what_is_written_is_read(void **state)
{
	const struct sandbox_ask ask = {.mode = SANDBOX_AUTO,
					.data_dir = "/var/lib/x",
					.read = {"/a", "/b/c"},
					.read_cnt = 2};
	struct sandbox_ask got;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(confine_write(&out, &ask), ERR_OK);
	assert_int_equal(confine_read(buf_get(&out), &got), ERR_OK);
	assert_int_equal(got.mode, SANDBOX_AUTO);
	assert_string_equal(got.data_dir, "/var/lib/x");
	assert_int_equal(got.read_cnt, 2);
	assert_string_equal(got.read[0], "/a");
	assert_string_equal(got.read[1], "/b/c");
	buf_fini(&out);
}

static void
a_role_without_folders_gets_none(void **state)
{
	const struct sandbox_ask ask = {.mode = SANDBOX_OFF};
	struct sandbox_ask got;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(confine_write(&out, &ask), ERR_OK);
	assert_int_equal(confine_read(buf_get(&out), &got), ERR_OK);
	assert_int_equal(got.mode, SANDBOX_OFF);
	assert_null(got.data_dir);
	assert_int_equal(got.read_cnt, 0);
	buf_fini(&out);
}

static void
broken_messages_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{"", 0},
		{"\0", 1},
		{"\3\0", 2},  /* no such mode */
		{"\1/x", 3},  /* not ended */
		{"\1\0/a", 4} /* the last is not */
	};
	struct sandbox_ask got;
	char many[SANDBOX_READ_MAX * 2 + 4] = {1, 0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(
			confine_read(slice_of(bad[i].bytes, bad[i].len), &got),
			ERR_PROTOCOL);
	for (size_t i = 2; i < sizeof(many); i += 2)
		many[i] = 'a';
	assert_int_equal(confine_read(slice_of(many, sizeof(many)), &got),
			 ERR_PROTOCOL);
	assert_int_equal(confine_read(slice_of(many, sizeof(many) - 2), &got),
			 ERR_OK);
	assert_int_equal(got.read_cnt, SANDBOX_READ_MAX);
}

static void
a_message_that_does_not_fit_is_an_error(void **state)
{
	const struct sandbox_ask ask = {.data_dir = "/var/lib/x"};
	struct buf out;

	(void)state;
	buf_init(&out, 5);
	assert_int_equal(confine_write(&out, &ask), ERR_LIMIT);
	buf_fini(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_role_without_folders_gets_none),
		cmocka_unit_test(broken_messages_are_refused),
		cmocka_unit_test(a_message_that_does_not_fit_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
