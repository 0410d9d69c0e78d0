/* The agent's set of output files: whole, closed to others, put where it
 * should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ftw.h>

#include "base/attr.h"

/* A program's file, not of the library. */
#include "../../cmd/agent/output_write.c"

static char top[64], out[96], victim[96];

static int
setup(void **state UNUSED)
{
	(void)snprintf(top, sizeof(top), "/tmp/meshcert-output-XXXXXX");
	must(mkdtemp(top) != NULL);
	(void)snprintf(out, sizeof(out), "%s/out", top);
	(void)snprintf(victim, sizeof(victim), "%s/victim", top);
	must(mkdir(out, 0755) == 0 && mkdir(victim, 0755) == 0);
	must(chmod(victim, 0755) == 0);
	return 0;
}

static int
remove_one(const char *path, const struct stat *st UNUSED, int flag UNUSED,
	   struct FTW *at UNUSED)
{
	return remove(path);
}

static int
teardown(void **state UNUSED)
{
	return nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static enum err
write_set(const char *serial, const char *text, struct why *why)
{
	const struct output_set set = {slice_of_str(text), slice_of_str(text),
				       slice_of_str(text)};

	return output_write(out, serial, &set, 0600, why);
}

static size_t
entries_of(const char *dir)
{
	DIR *d = opendir(dir);
	size_t cnt = 0;

	must(d != NULL);
	while (readdir(d) != NULL)
		cnt++;
	(void)closedir(d);
	return cnt - 2;
}

static void
a_set_is_swapped_and_closed_to_others(void **state UNUSED)
{
	char *path = mem_printf("%s/key.pem", out);
	struct why why = {""};
	struct stat st;
	mode_t old = umask(0);

	assert_int_equal(write_set("1", "first", &why), ERR_OK);
	assert_int_equal(write_set("2", "second", &why), ERR_OK);
	(void)umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 6);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Three names, the link to the set, and one set. */
	assert_int_equal(entries_of(out), 5);
	mem_free(path);
}

static void
a_link_in_the_way_gets_neither_key_nor_mode(void **state UNUSED)
{
	char *path = mem_printf("%s/" SET_PREFIX "3", out);
	struct why why = {""};
	struct stat st;

	assert_int_equal(symlink(victim, path), 0);
	assert_int_not_equal(write_set("3", "third", &why), ERR_OK);
	assert_non_null(strstr(why.text, SET_PREFIX "3"));
	assert_int_equal(entries_of(victim), 0);
	assert_int_equal(stat(victim, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	/* The next try has another name and works. */
	assert_int_equal(write_set("4", "fourth", &why), ERR_OK);
	mem_free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_is_swapped_and_closed_to_others),
		cmocka_unit_test(a_link_in_the_way_gets_neither_key_nor_mode),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
