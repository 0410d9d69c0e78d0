/* test_secret.c - where secrets live, and that they go. */
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "base/secret.h"

/* The rounds of a loop over sizes that cross units, chunks and pages. */
static const size_t sizes[] = {0, 1, 63, 64, 65, 8192, 8193, 16384, 100000};

static void
secrets_hold_their_bytes_apart_from_each_other(void **state)
{
	struct secret *s[600];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(s); i++) {
		assert_int_equal(secret_new(i * 3, &s[i]), ERR_OK);
		memset(secret_get_writable(s[i]), (int)(i & 0xff), i * 3);
	}
	for (size_t i = 0; i < COUNT_OF(s); i++) {
		struct slice bytes = secret_get(s[i]);

		assert_int_equal(bytes.len, i * 3);
		for (size_t k = 0; k < bytes.len; k++)
			assert_int_equal(bytes.p[k], i & 0xff);
	}
	for (size_t i = 0; i < COUNT_OF(s); i += 2)
		secret_free(s[i]);
	for (size_t i = 1; i < COUNT_OF(s); i += 2)
		secret_free(s[i]);
	secret_free(NULL);
}

static void
memory_is_zeroed_again_after_its_first_owner(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		for (int round = 0; round < 2; round++) {
			struct secret *s;

			assert_int_equal(secret_new(sizes[i], &s), ERR_OK);
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(secret_get(s).p[k], 0);
			memset(secret_get_writable(s), 0xff, sizes[i]);
			secret_free(s);
		}
	}
}

static void
what_is_freed_or_cut_off_is_wiped_at_once(void **state)
{
	struct secret *keeper;
	struct secret *s;
	const uint8_t *p;

	(void)state;
	assert_int_equal(secret_new(1, &keeper), ERR_OK);
	assert_int_equal(secret_dup(SLICE_LIT("hunter2"), &s), ERR_OK);
	p = secret_get(s).p;
	assert_memory_equal(p, "hunter2", 7);
	secret_truncate(s, 3);
	assert_int_equal(secret_len(s), 3);
	assert_memory_equal(p, "hun\0\0\0\0", 7);
	secret_truncate(s, 5);
	assert_int_equal(secret_len(s), 3);
	secret_free(s);
	/* keeper holds the page, so that it may be looked at. */
	assert_memory_equal(p, "\0\0\0", 3);
	secret_free(keeper);
}

/* The signal that ends a child which reads or writes the byte; 0: none. */
static int
signal_of_touch(uint8_t *p)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		volatile uint8_t *at = p;

		(void)close(STDERR_FILENO);
		(void)signal(SIGSEGV, SIG_DFL);
		(void)signal(SIGBUS, SIG_DFL);
		*at = (uint8_t)(*at + 1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
a_page_behind_a_large_secret_ends_the_overflow(void **state)
{
	uint8_t plain[64] = {0};
	struct secret *s;

	(void)state;
	assert_int_equal(signal_of_touch(plain), 0);
	assert_int_equal(secret_new(16384, &s), ERR_OK);
	assert_int_equal(signal_of_touch(secret_get_writable(s) + 16384),
			 SIGSEGV);
	assert_int_equal(signal_of_touch(secret_get_writable(s) - 1), SIGSEGV);
	secret_free(s);
}

static void
a_forked_child_does_not_see_them(void **state)
{
	uint8_t plain[] = "hunter2";
	struct secret *s;
	int status = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(secret_dup(SLICE_LIT("hunter2"), &s), ERR_OK);
	pid = fork();
	if (pid == 0) {
		(void)close(STDERR_FILENO);
		(void)signal(SIGSEGV, SIG_DFL);
		if (memcmp(plain, "hunter2", 7) != 0)
			_exit(9);
		_exit(memcmp(secret_get(s).p, "hunter2", 7) == 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* Wiped in the child, or not there at all. */
	assert_true((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
		    (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
	assert_true(secret_is_eq(s, SLICE_LIT("hunter2")));
	secret_free(s);
}

/* Finds the line of smaps for the address and says whether the flag is on. */
static bool
has_vm_flag(const void *p, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	bool is_here = false;
	bool found = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned long from;
		unsigned long to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			is_here = from <= (uintptr_t)p && (uintptr_t)p < to;
		else if (is_here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	(void)fclose(f);
	return found;
}

static void
their_pages_are_left_out_of_cores(void **state)
{
	char *plain = malloc(64);
	struct secret *s;

	(void)state;
	assert_int_equal(secret_new(32, &s), ERR_OK);
	assert_false(has_vm_flag(plain, " dd"));
	assert_true(has_vm_flag(secret_get(s).p, " dd"));
	secret_free(s);
	free(plain);
}

static void
many_keys_fit_into_64_kilobytes_of_locked_memory(void **state)
{
	/* A limit that is lowered stays low: hence in a child. */
	pid_t pid = fork();
	int status = 0;

	(void)state;
	if (pid == 0) {
		struct rlimit limit = {65536, 65536};
		struct secret *s;

		if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
			_exit(1);
		if (geteuid() == 0 && setuid(12345) != 0)
			_exit(2);
		for (int i = 0; i < 400; i++) {
			if (secret_new(121, &s) != ERR_OK)
				_exit(3);
		}
		_exit(secret_is_locked() ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
blocks_for_a_library_are_secret_memory_too(void **state)
{
	uint8_t plain[32] = {0};
	struct secret *keeper;
	uint8_t *block;
	uint8_t *first;

	(void)state;
	assert_int_equal(secret_new(1, &keeper), ERR_OK);
	for (size_t len = 0; len < 8000; len += 61) {
		block = secret_block_new(len);
		assert_non_null(block);
		assert_int_equal((uintptr_t)block % 16, 0);
		assert_true(secret_block_is(block));
		assert_int_equal(secret_block_len(block), len);
		for (size_t i = 0; i < len; i++)
			assert_int_equal(block[i], 0);
		memset(block, 0xff, len);
		assert_true(has_vm_flag(block, " dd"));
		secret_block_free(block);
	}
	first = secret_block_new(32);
	memset(first, 0xff, 32);
	secret_block_free(first);
	/* keeper holds the page, so that it may be looked at. */
	assert_memory_equal(first, plain, sizeof(plain));
	assert_false(secret_block_is(plain));
	assert_false(secret_block_is(NULL));
	assert_null(secret_block_new(20000));
	secret_free(keeper);
}

static void
comparing_needs_equal_lengths_and_bytes(void **state)
{
	struct secret *s;

	(void)state;
	assert_int_equal(secret_dup(SLICE_LIT("abc"), &s), ERR_OK);
	assert_true(secret_is_eq(s, SLICE_LIT("abc")));
	assert_false(secret_is_eq(s, SLICE_LIT("abd")));
	assert_false(secret_is_eq(s, SLICE_LIT("ab")));
	assert_false(secret_is_eq(s, SLICE_LIT("abc\0")));
	assert_true(secret_bytes_eq(SLICE_NONE, SLICE_NONE));
	secret_free(s);
}

static void
sizes_are_bounded(void **state)
{
	struct secret *s;

	(void)state;
	assert_int_equal(secret_new(SIZE_MAX, &s), ERR_LIMIT);
	assert_null(s);
}

static void
a_process_that_holds_them_leaves_no_core(void **state)
{
	pid_t pid = fork();
	int status = 0;

	(void)state;
	if (pid == 0) {
		struct rlimit limit;

		if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1)
			_exit(1);
		secret_process_init();
		if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0)
			_exit(2);
		_exit(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			many_keys_fit_into_64_kilobytes_of_locked_memory),
		cmocka_unit_test(
			secrets_hold_their_bytes_apart_from_each_other),
		cmocka_unit_test(memory_is_zeroed_again_after_its_first_owner),
		cmocka_unit_test(what_is_freed_or_cut_off_is_wiped_at_once),
		cmocka_unit_test(
			a_page_behind_a_large_secret_ends_the_overflow),
		cmocka_unit_test(a_forked_child_does_not_see_them),
		cmocka_unit_test(their_pages_are_left_out_of_cores),
		cmocka_unit_test(blocks_for_a_library_are_secret_memory_too),
		cmocka_unit_test(comparing_needs_equal_lengths_and_bytes),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(a_process_that_holds_them_leaves_no_core),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
