/* test_store.c - lib/store/store.h. */
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/store.h"
#include "temp_dir.h"

struct fixture {
	char dir[TEMP_DIR_MAX];
	char path[96];
	struct store *s;
	struct why why;
};

static int
setup(void **state)
{
	struct fixture *f = MEM_NEW(struct fixture);

	temp_dir_make(f->dir);
	(void)snprintf(f->path, sizeof(f->path), "%s/record.db", f->dir);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->s);
	temp_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

static void
reopen(struct fixture *f)
{
	store_close(f->s);
	f->s = NULL;
	assert_int_equal(store_open(f->path, &f->why, &f->s), ERR_OK);
}

/* A certificate whose serial begins with n: n in order is order of serials. */
static struct store_cert
make_cert(unsigned n)
{
	struct store_cert c = {
		.profile = 1,
		.auth = 2,
		.identity = SLICE_LIT("spiffe://cluster.local/ns/a/sa/b"),
		.caller = SLICE_LIT("jwt iss=https://k8s sub=b"),
		.not_before = {INT64_C(1790000000000)},
		.not_after = {INT64_C(1790086400000)},
		.asked_at = {INT64_C(1790000120000)},
		.request_id = SLICE_LIT("0123abcd"),
	};

	c.serial[0] = (uint8_t)(n >> 8);
	c.serial[1] = (uint8_t)n;
	c.serial[18] = (uint8_t)(n * 7);
	memset(c.key_hash, (int)(n & 0xff), sizeof(c.key_hash));
	return c;
}

static void
add_group(struct fixture *f, unsigned from, unsigned cnt)
{
	assert_int_equal(store_begin(f->s, &f->why), ERR_OK);
	for (unsigned i = from; i < from + cnt; i++) {
		struct store_cert c = make_cert(i);

		assert_int_equal(store_add_intent(f->s, &c), ERR_OK);
	}
	assert_int_equal(store_commit(f->s, &f->why), ERR_OK);
}

static enum store_state
state_of(struct fixture *f, unsigned n)
{
	struct store_cert want = make_cert(n), got;
	struct buf strings;
	enum store_state state;

	buf_init(&strings, 4096);
	assert_int_equal(store_find(f->s, want.serial, &strings, &got), ERR_OK);
	state = got.state;
	buf_fini(&strings);
	return state;
}

static uint64_t
intents(struct fixture *f)
{
	struct store_counts counts;

	assert_int_equal(store_count(f->s, &counts), ERR_OK);
	return counts.intents;
}

static void
all_fields_of_an_intent_come_back_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct store_cert c = make_cert(7), got;
	struct buf strings;

	reopen(f);
	add_group(f, 7, 1);
	reopen(f);
	buf_init(&strings, 4096);
	assert_int_equal(store_find(f->s, c.serial, &strings, &got), ERR_OK);
	assert_memory_equal(got.serial, c.serial, STORE_SERIAL_LEN);
	assert_int_equal(got.state, STORE_INTENT);
	assert_int_equal(got.profile, 1);
	assert_int_equal(got.auth, 2);
	assert_true(slice_is_eq(got.identity, c.identity));
	assert_true(slice_is_eq(got.caller, c.caller));
	assert_true(slice_is_eq(got.request_id, c.request_id));
	assert_memory_equal(got.key_hash, c.key_hash, sizeof(c.key_hash));
	assert_int_equal(got.not_before.ms, c.not_before.ms);
	assert_int_equal(got.not_after.ms, c.not_after.ms);
	assert_int_equal(got.asked_at.ms, c.asked_at.ms);
	for (size_t i = 0; i < sizeof(got.cert_hash); i++)
		assert_int_equal(got.cert_hash[i], 0);
	c.serial[18] ^= 1;
	assert_int_equal(store_find(f->s, c.serial, &strings, &got),
			 ERR_NOT_FOUND);
	buf_fini(&strings);
}

static void
a_completion_sets_the_end_once_and_only_for_an_intent(void **state)
{
	struct fixture *f = *state;
	struct store_cert c = make_cert(1), got, other = make_cert(9);
	struct store_counts counts;
	uint8_t hash[32];
	struct buf strings;

	reopen(f);
	memset(hash, 0xab, sizeof(hash));
	add_group(f, 1, 3);
	assert_int_equal(store_begin(f->s, &f->why), ERR_OK);
	assert_int_equal(store_complete(f->s, c.serial, STORE_ISSUED, hash),
			 ERR_OK);
	assert_int_equal(store_complete(f->s, c.serial, STORE_FAILED, hash),
			 ERR_NOT_FOUND);
	assert_int_equal(store_complete(f->s, other.serial, STORE_ISSUED, hash),
			 ERR_NOT_FOUND);
	c = make_cert(2);
	assert_int_equal(store_complete(f->s, c.serial, STORE_FAILED, hash),
			 ERR_OK);
	assert_int_equal(store_commit(f->s, &f->why), ERR_OK);
	reopen(f);
	assert_int_equal(state_of(f, 1), STORE_ISSUED);
	assert_int_equal(state_of(f, 2), STORE_FAILED);
	assert_int_equal(state_of(f, 3), STORE_INTENT);
	buf_init(&strings, 4096);
	c = make_cert(1);
	assert_int_equal(store_find(f->s, c.serial, &strings, &got), ERR_OK);
	assert_memory_equal(got.cert_hash, hash, sizeof(hash));
	buf_fini(&strings);
	assert_int_equal(store_count(f->s, &counts), ERR_OK);
	assert_int_equal(counts.intents, 3);
	assert_int_equal(counts.issued, 1);
	assert_int_equal(counts.failed, 1);
}

static void
an_aborted_group_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_cert c = make_cert(40), got;
	struct buf strings;

	reopen(f);
	buf_init(&strings, 4096);
	add_group(f, 1, 32);
	assert_int_equal(store_begin(f->s, &f->why), ERR_OK);
	assert_int_equal(store_add_intent(f->s, &c), ERR_OK);
	assert_int_equal(store_find(f->s, c.serial, &strings, &got), ERR_OK);
	assert_int_equal(intents(f), 33);
	store_abort(f->s);
	assert_int_equal(intents(f), 32);
	assert_int_equal(store_find(f->s, c.serial, &strings, &got),
			 ERR_NOT_FOUND);
	reopen(f);
	assert_int_equal(intents(f), 32);
	buf_fini(&strings);
}

static void
a_serial_cannot_be_used_twice_and_the_group_fails_as_a_whole(void **state)
{
	struct fixture *f = *state;
	struct store_cert fresh = make_cert(5), dup = make_cert(2), got;
	struct buf strings;

	reopen(f);
	buf_init(&strings, 4096);
	add_group(f, 1, 3);
	assert_int_equal(store_begin(f->s, &f->why), ERR_OK);
	assert_int_equal(store_add_intent(f->s, &fresh), ERR_OK);
	assert_int_equal(store_add_intent(f->s, &dup), ERR_EXISTS);
	assert_int_equal(store_commit(f->s, &f->why), ERR_EXISTS);
	assert_non_null(strstr(f->why.text, "an earlier change"));
	store_abort(f->s);
	assert_int_equal(store_find(f->s, fresh.serial, &strings, &got),
			 ERR_NOT_FOUND);
	add_group(f, 5, 1);
	assert_int_equal(intents(f), 4);
	buf_fini(&strings);
}

/* A process that ends without a word, as by kill -9. */
static void
a_committed_group_survives_a_kill_and_an_open_one_does_not(void **state)
{
	struct fixture *f = *state;
	struct store_cert c = make_cert(100), got;
	struct buf strings;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *s;

		if (store_open(f->path, NULL, &s) != ERR_OK ||
		    store_begin(s, NULL) != ERR_OK)
			_exit(1);
		for (unsigned i = 1; i <= 8; i++) {
			struct store_cert own = make_cert(i);

			if (store_add_intent(s, &own) != ERR_OK)
				_exit(2);
		}
		if (store_commit(s, NULL) != ERR_OK ||
		    store_begin(s, NULL) != ERR_OK ||
		    store_add_intent(s, &c) != ERR_OK)
			_exit(3);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	reopen(f);
	buf_init(&strings, 4096);
	assert_int_equal(intents(f), 8);
	for (unsigned i = 1; i <= 8; i++)
		assert_int_equal(state_of(f, i), STORE_INTENT);
	assert_int_equal(store_find(f->s, c.serial, &strings, &got),
			 ERR_NOT_FOUND);
	buf_fini(&strings);
}

static void
the_largest_serial_is_found_whatever_the_order(void **state)
{
	struct fixture *f = *state;
	struct store_cert c = make_cert(300);
	uint8_t max[STORE_SERIAL_LEN], zero[STORE_SERIAL_LEN] = {0};

	reopen(f);
	assert_int_equal(store_max_serial(f->s, max), ERR_OK);
	assert_memory_equal(max, zero, sizeof(max));
	add_group(f, 300, 1);
	add_group(f, 20, 5);
	assert_int_equal(store_max_serial(f->s, max), ERR_OK);
	assert_memory_equal(max, c.serial, sizeof(max));
}

static void
only_the_owner_can_read_the_files(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char wal[128];

	reopen(f);
	add_group(f, 1, 1);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	(void)snprintf(wal, sizeof(wal), "%s-wal", f->path);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
a_second_writer_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store *second;

	reopen(f);
	assert_int_equal(store_open(f->path, &f->why, &second), ERR_BUSY);
	assert_null(second);
	assert_non_null(strstr(f->why.text, "another process has it open"));
	store_close(f->s);
	f->s = NULL;
	assert_int_equal(store_open(f->path, &f->why, &f->s), ERR_OK);
}

static void
exec_plain(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
a_newer_schema_is_refused_and_left_alone(void **state)
{
	struct fixture *f = *state;

	reopen(f);
	add_group(f, 1, 2);
	store_close(f->s);
	f->s = NULL;
	exec_plain(f->path, "PRAGMA user_version = 2");
	assert_int_equal(store_open(f->path, &f->why, &f->s), ERR_CONFIG);
	assert_non_null(strstr(f->why.text, "written by a newer meshcert "
					    "(schema 2, this one knows 1)"));
	assert_non_null(strstr(f->why.text, f->path));
	exec_plain(f->path, "PRAGMA user_version = 1");
	reopen(f);
	assert_int_equal(intents(f), 2);
}

static void
a_database_of_another_program_is_refused(void **state)
{
	struct fixture *f = *state;
	FILE *file;

	exec_plain(f->path, "CREATE TABLE songs (name TEXT)");
	assert_int_equal(store_open(f->path, &f->why, &f->s), ERR_CONFIG);
	assert_non_null(strstr(f->why.text, "another program"));
	file = fopen(f->path, "w");
	assert_non_null(file);
	for (int i = 0; i < 4096; i++)
		assert_int_equal(fputc('x', file), 'x');
	assert_int_equal(fclose(file), 0);
	assert_int_equal(store_open(f->path, &f->why, &f->s), ERR_CONFIG);
	assert_non_null(strstr(f->why.text, "no record of meshcert"));
}

static void
a_missing_folder_is_named(void **state)
{
	struct fixture *f = *state;
	struct store *s;

	assert_int_equal(store_open("/nowhere/at/all/record.db", &f->why, &s),
			 ERR_NOT_FOUND);
	assert_non_null(strstr(f->why.text, "/nowhere/at/all/record.db"));
}

static void
named_values_are_replaced_and_kept(void **state)
{
	struct fixture *f = *state;
	struct buf b;

	reopen(f);
	buf_init(&b, 100);
	assert_int_equal(store_get(f->s, "head", &b), ERR_NOT_FOUND);
	assert_int_equal(store_set(f->s, "head", SLICE_LIT("one")), ERR_OK);
	assert_int_equal(store_set(f->s, "head", SLICE_LIT("two")), ERR_OK);
	assert_int_equal(store_set(f->s, "none", SLICE_NONE), ERR_OK);
	reopen(f);
	assert_int_equal(store_get(f->s, "head", &b), ERR_OK);
	assert_true(slice_is_str(buf_get(&b), "two"));
	buf_reset(&b);
	assert_int_equal(store_get(f->s, "none", &b), ERR_OK);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(store_begin(f->s, &f->why), ERR_OK);
	assert_int_equal(store_set(f->s, "head", SLICE_LIT("three")), ERR_OK);
	store_abort(f->s);
	assert_int_equal(store_get(f->s, "head", &b), ERR_OK);
	assert_true(slice_is_str(buf_get(&b), "two"));
	buf_fini(&b);
}

/* -- join tokens --------------------------------------------------------- */

static const struct wall t0 = {INT64_C(1790000000000)};
static const int64_t minute = 60000;

static struct wall
after(int64_t ms)
{
	return (struct wall){t0.ms + ms};
}

static struct store_token
make_token(uint8_t n)
{
	struct store_token t = {
		.identity = SLICE_LIT("spiffe://cluster.local/host/a"),
		.created = {INT64_C(1790000000000)},
		.expires = {INT64_C(1790000000000) + 600000},
		.created_by = SLICE_LIT("uid=0 pid=12"),
	};

	memset(t.hash, n, sizeof(t.hash));
	return t;
}

/* Uses token `n` with key `key` in a transaction of its own. */
static enum err
use(struct fixture *f, uint8_t n, uint8_t key, struct wall at)
{
	struct store_token t = make_token(n);
	uint8_t key_hash[32];
	struct buf id;
	enum err ret;

	memset(key_hash, key, sizeof(key_hash));
	buf_init(&id, 4096);
	assert_int_equal(store_begin(f->s, &f->why), ERR_OK);
	ret = store_token_use(f->s, t.hash, key_hash, at, minute, &id);
	if (ret == ERR_OK)
		assert_true(slice_is_eq(buf_get(&id), t.identity));
	else
		assert_int_equal(buf_len(&id), 0);
	assert_int_equal(store_commit(f->s, &f->why), ERR_OK);
	buf_fini(&id);
	return ret;
}

static void
of_a_hundred_keys_exactly_one_may_use_a_token(void **state)
{
	struct fixture *f = *state;
	struct store_token t = make_token(1);
	unsigned good = 0;

	reopen(f);
	assert_int_equal(store_token_add(f->s, &t), ERR_OK);
	assert_int_equal(store_token_add(f->s, &t), ERR_EXISTS);
	for (uint8_t key = 1; key <= 100; key++) {
		enum err e = use(f, 1, key, after(1000));

		assert_true(e == ERR_OK || e == ERR_USED);
		good += e == ERR_OK;
	}
	assert_int_equal(good, 1);
	assert_int_equal(use(f, 2, 1, after(1000)), ERR_NOT_FOUND);
}

static void
the_same_key_may_repeat_for_a_minute_also_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct store_token t = make_token(1);

	reopen(f);
	assert_int_equal(store_token_add(f->s, &t), ERR_OK);
	assert_int_equal(use(f, 1, 5, after(1000)), ERR_OK);
	reopen(f);
	assert_int_equal(use(f, 1, 5, after(1000 + minute)), ERR_OK);
	assert_int_equal(use(f, 1, 6, after(1001)), ERR_USED);
	assert_int_equal(use(f, 1, 5, after(1001 + minute)), ERR_USED);
	/* A repeat does not begin a new minute, a late clock is forgiven. */
	assert_int_equal(use(f, 1, 5, after(0)), ERR_OK);
	assert_int_equal(use(f, 1, 5, after(-2 * minute)), ERR_USED);
}

static void
an_expired_token_is_refused_but_its_repeat_is_not(void **state)
{
	struct fixture *f = *state;
	struct store_token t = make_token(1), u = make_token(2);

	reopen(f);
	assert_int_equal(store_token_add(f->s, &t), ERR_OK);
	assert_int_equal(store_token_add(f->s, &u), ERR_OK);
	assert_int_equal(use(f, 1, 5, t.expires), ERR_EXPIRED);
	assert_int_equal(use(f, 1, 5, after(599999)), ERR_OK);
	assert_int_equal(use(f, 1, 5, after(600001)), ERR_OK);
	assert_int_equal(use(f, 2, 5, after(600001)), ERR_EXPIRED);
}

static void
a_use_that_was_aborted_did_not_happen(void **state)
{
	struct fixture *f = *state;
	struct store_token t = make_token(1);
	uint8_t key[32] = {1};
	struct buf id;

	reopen(f);
	buf_init(&id, 4096);
	assert_int_equal(store_token_add(f->s, &t), ERR_OK);
	assert_int_equal(store_begin(f->s, &f->why), ERR_OK);
	assert_int_equal(
		store_token_use(f->s, t.hash, key, after(1), minute, &id),
		ERR_OK);
	store_abort(f->s);
	buf_fini(&id);
	assert_int_equal(use(f, 1, 9, after(2)), ERR_OK);
}

static void
purge_takes_what_ended_and_leaves_the_rest(void **state)
{
	struct fixture *f = *state;
	struct store_token early = make_token(1), late = make_token(2);

	reopen(f);
	late.expires = after(2000000);
	assert_int_equal(store_token_add(f->s, &early), ERR_OK);
	assert_int_equal(store_token_add(f->s, &late), ERR_OK);
	assert_int_equal(store_token_purge(f->s, after(700000)), ERR_OK);
	assert_int_equal(use(f, 1, 1, after(1)), ERR_NOT_FOUND);
	assert_int_equal(use(f, 2, 1, after(1900000)), ERR_OK);
	/* Used a moment ago: kept for the repeat. */
	assert_int_equal(store_token_purge(f->s, after(1900000)), ERR_OK);
	assert_int_equal(use(f, 2, 1, after(1900001)), ERR_OK);
	assert_int_equal(store_token_purge(f->s, after(2000001)), ERR_OK);
	assert_int_equal(use(f, 2, 1, after(1900002)), ERR_NOT_FOUND);
}

/* -- full disk ----------------------------------------------------------- */

static void
set_file_limit(rlim_t bytes)
{
	struct rlimit lim;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &lim), 0);
	lim.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
}

static int
count_rows(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	int cnt;

	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM cert", -1,
					    &st, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	cnt = sqlite3_column_int(st, 0);
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	return cnt;
}

/* What is gathered for one write is in the file when the commit returns, also
 * where it is more than is gathered; not before. */
static void
others_read_what_was_committed_and_nothing_else(void **state)
{
	enum {
		LARGE = 4000
	};
	struct fixture *f = *state;
	struct store_cert open_one = make_cert(LARGE + 2);
	sqlite3 *other = NULL;

	reopen(f);
	add_group(f, 1, 1);
	assert_int_equal(
		sqlite3_open_v2(f->path, &other, SQLITE_OPEN_READONLY, NULL),
		SQLITE_OK);
	assert_int_equal(count_rows(other), 1);
	add_group(f, 2, LARGE);
	assert_int_equal(count_rows(other), LARGE + 1);
	assert_int_equal(store_begin(f->s, &f->why), ERR_OK);
	assert_int_equal(store_add_intent(f->s, &open_one), ERR_OK);
	assert_int_equal(count_rows(other), LARGE + 1);
	assert_int_equal(store_commit(f->s, &f->why), ERR_OK);
	assert_int_equal(count_rows(other), LARGE + 2);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

static void
a_full_disk_fails_the_commit_and_the_record_stays_whole(void **state)
{
	struct fixture *f = *state;
	enum err ret = ERR_OK;
	uint64_t before;
	unsigned n = 1;

	reopen(f);
	add_group(f, n++, 1);
	(void)signal(SIGXFSZ, SIG_IGN);
	set_file_limit(65536);
	while (n < 2000) {
		struct store_cert c = make_cert(n++);

		before = intents(f);
		assert_int_equal(store_begin(f->s, &f->why), ERR_OK);
		ret = store_add_intent(f->s, &c);
		if (ret == ERR_OK)
			ret = store_commit(f->s, &f->why);
		if (ret != ERR_OK)
			break;
	}
	assert_int_equal(ret, ERR_DISK_FULL);
	assert_non_null(strstr(f->why.text, "make room"));
	store_abort(f->s);
	assert_int_equal(intents(f), before);
	set_file_limit(RLIM_INFINITY);
	add_group(f, n, 4);
	reopen(f);
	assert_int_equal(intents(f), before + 4);
	for (unsigned i = 1; i <= before; i++)
		assert_int_equal(state_of(f, i), STORE_INTENT);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(all_fields_of_an_intent_come_back_after_a_restart),
		T(a_completion_sets_the_end_once_and_only_for_an_intent),
		T(an_aborted_group_leaves_nothing),
		T(a_serial_cannot_be_used_twice_and_the_group_fails_as_a_whole),
		T(a_committed_group_survives_a_kill_and_an_open_one_does_not),
		T(the_largest_serial_is_found_whatever_the_order),
		T(only_the_owner_can_read_the_files),
		T(others_read_what_was_committed_and_nothing_else),
		T(a_second_writer_is_refused),
		T(a_newer_schema_is_refused_and_left_alone),
		T(a_database_of_another_program_is_refused),
		T(a_missing_folder_is_named),
		T(named_values_are_replaced_and_kept),
		T(of_a_hundred_keys_exactly_one_may_use_a_token),
		T(the_same_key_may_repeat_for_a_minute_also_after_a_restart),
		T(an_expired_token_is_refused_but_its_repeat_is_not),
		T(a_use_that_was_aborted_did_not_happen),
		T(purge_takes_what_ended_and_leaves_the_rest),
		T(a_full_disk_fails_the_commit_and_the_record_stays_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
