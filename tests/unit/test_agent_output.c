/* The agent's set of output files: whole, closed to others, put where it
 * should be. */
#include <ftw.h>

#include "base/attr.h"
#include "unit.h"

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

/* A set that was being written when the agent was killed. */
static void
what_a_crash_left_goes_with_the_next_set(void **state UNUSED)
{
	char *left = mem_printf("%s/..set-left", out);
	char *half = mem_printf("%s/key.pem.XyZ123", left);
	char *mine = mem_printf("%s/..set-whole/key.pem", out);
	struct why why = {""};
	struct stat st;
	FILE *f;

	assert_int_equal(mkdir(left, 0700), 0);
	f = fopen(half, "w");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(write_set("whole", "first", &why), ERR_OK);
	assert_int_equal(lstat(left, &st), -1);
	assert_int_equal(lstat(mine, &st), 0);
	mem_free(left);
	mem_free(half);
	mem_free(mine);
}

/* A set cannot be put in place: the one in force stays, and no folder of the
 * attempts piles up. */
static void
what_failed_leaves_nothing_behind(void **state UNUSED)
{
	char *in_the_way = mem_printf("%s/..tmp-..data", out);
	char *below = mem_printf("%s/x", in_the_way);
	char *mine = mem_printf("%s/..data/key.pem", out);
	struct why why = {""};
	struct stat st;
	size_t before;

	assert_int_equal(write_set("good", "first", &why), ERR_OK);
	before = entries_of(out);
	assert_int_equal(mkdir(in_the_way, 0700), 0);
	assert_int_equal(mkdir(below, 0700), 0);
	for (int i = 2; i < 10; i++) {
		char serial[12];

		(void)snprintf(serial, sizeof(serial), "%d", i);
		assert_int_not_equal(write_set(serial, "second", &why), ERR_OK);
		assert_int_equal(entries_of(out), before + 1);
	}
	assert_int_equal(stat(mine, &st), 0);
	assert_int_equal(st.st_size, 5);
	mem_free(in_the_way);
	mem_free(below);
	mem_free(mine);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_is_swapped_and_closed_to_others),
		cmocka_unit_test(a_link_in_the_way_gets_neither_key_nor_mode),
		cmocka_unit_test(what_a_crash_left_goes_with_the_next_set),
		cmocka_unit_test(what_failed_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
