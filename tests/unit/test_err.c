/* test_err.c - the error table, errno, assertions. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "base/err.h"

static void
every_error_has_a_name_a_text_and_a_class(void **state)
{
	(void)state;
	for (int i = 1; i < ERR_COUNT; i++) {
		assert_true(strlen(err_name((enum err)i)) > 0);
		assert_true(strlen(err_text((enum err)i)) > 0);
		assert_int_not_equal(err_class((enum err)i), ERR_CLASS_NONE);
	}
	assert_int_equal(err_class(ERR_OK), ERR_CLASS_NONE);
	assert_string_equal(err_name(ERR_NOT_FOUND), "not_found");
	assert_int_equal(err_class(ERR_SIGNATURE), ERR_CLASS_PEER);
	assert_int_equal(err_class(ERR_DENIED), ERR_CLASS_POLICY);
}

static void
names_differ_from_each_other(void **state)
{
	(void)state;
	for (int i = 0; i < ERR_COUNT; i++) {
		for (int j = 0; j < i; j++)
			assert_string_not_equal(err_name((enum err)i),
						err_name((enum err)j));
	}
}

static void
a_value_outside_the_table_is_our_bug(void **state)
{
	(void)state;
	assert_string_equal(err_name((enum err)9999), "bug");
	assert_string_equal(err_name((enum err) - 1), "bug");
}

static void
errno_values_become_errors(void **state)
{
	(void)state;
	assert_int_equal(err_from_errno(0), ERR_OK);
	assert_int_equal(err_from_errno(ENOENT), ERR_NOT_FOUND);
	assert_int_equal(err_from_errno(EACCES), ERR_FORBIDDEN);
	assert_int_equal(err_from_errno(ENOSPC), ERR_DISK_FULL);
	assert_int_equal(err_from_errno(EPIPE), ERR_CLOSED);
	assert_int_equal(err_from_errno(EXDEV), ERR_IO);
}

static int
status_of_must(bool cond)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		(void)close(STDERR_FILENO);
		(void)signal(SIGABRT, SIG_DFL);
		must(cond);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
must_ends_the_process_only_when_it_is_not_true(void **state)
{
	int status = status_of_must(false);

	(void)state;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	status = status_of_must(true);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_a_name_a_text_and_a_class),
		cmocka_unit_test(names_differ_from_each_other),
		cmocka_unit_test(a_value_outside_the_table_is_our_bug),
		cmocka_unit_test(errno_values_become_errors),
		cmocka_unit_test(
			must_ends_the_process_only_when_it_is_not_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
