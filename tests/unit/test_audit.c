/* test_audit.c - lib/store/audit.h. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "store/audit.h"
#include "temp_dir.h"

struct fixture {
	char dir[TEMP_DIR_MAX];
	struct audit *a;
	struct audit_head head;
	struct why why;
};

static const struct wall now = {INT64_C(1790000000123)};
static const uint64_t big = 1 << 30;

static int
setup(void **state)
{
	struct fixture *f = MEM_NEW(struct fixture);

	temp_dir_make(f->dir);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	audit_close(f->a);
	temp_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

static void
reopen(struct fixture *f, uint64_t rotate)
{
	audit_close(f->a);
	f->a = NULL;
	assert_int_equal(audit_open(f->dir, rotate, &f->head, &f->why, &f->a),
			 ERR_OK);
}

/* Adds lines with "k":from.. and flushes them with a sync. */
static void
add(struct fixture *f, unsigned from, unsigned cnt)
{
	char fields[64];

	for (unsigned i = from; i < from + cnt; i++) {
		(void)snprintf(fields, sizeof(fields),
			       "\"event\":\"issued\",\"k\":%04u", i + 1000);
		assert_int_equal(audit_add(f->a, now, slice_of_str(fields)),
				 ERR_OK);
	}
	assert_int_equal(audit_flush(f->a, true, &f->why), ERR_OK);
	f->head = audit_get_head(f->a);
}

static void
load(struct fixture *f, const char *name, struct buf *out)
{
	char *path = temp_dir_path(f->dir, name);
	uint8_t bytes[4096];
	size_t got;
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	buf_init(out, 16 << 20);
	while ((got = fread(bytes, 1, sizeof(bytes), file)) > 0)
		assert_int_equal(buf_put(out, slice_of(bytes, got)), ERR_OK);
	(void)fclose(file);
	mem_free(path);
}

static void
save(struct fixture *f, const char *name, struct slice bytes)
{
	char *path = temp_dir_path(f->dir, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	if (bytes.len > 0)
		assert_int_equal(fwrite(bytes.p, 1, bytes.len, file),
				 bytes.len);
	assert_int_equal(fclose(file), 0);
	mem_free(path);
}

static enum err
verify(struct fixture *f)
{
	struct audit_head head;
	enum err ret;

	f->why.text[0] = '\0';
	ret = audit_verify(f->dir, &f->head, &f->why, &head);
	if (ret == ERR_OK)
		assert_memory_equal(&head, &f->head, sizeof(head));
	return ret;
}

static void
assert_says(struct fixture *f, const char *text)
{
	if (strstr(f->why.text, text) == NULL)
		fail_msg("\"%s\" is not in: %s", text, f->why.text);
}

/* Byte range of line n (from 1) of a file with equal or other lines. */
static struct slice
line_of(const struct buf *b, unsigned n)
{
	struct slice rest = buf_get(b);

	for (;;) {
		size_t end = slice_find(rest, '\n') + 1;

		assert_true(end <= rest.len);
		if (--n == 0)
			return slice_sub(rest, 0, end);
		rest = slice_sub(rest, end, rest.len);
	}
}

static void
each_line_is_json_and_carries_the_hash_of_the_line_before(void **state)
{
	static const char hex[] = "0123456789abcdef";
	struct fixture *f = *state;
	uint8_t hash[32] = {0};
	struct buf text;

	reopen(f, big);
	add(f, 0, 3);
	load(f, "audit.jsonl", &text);
	for (unsigned n = 1; n <= 3; n++) {
		struct slice line = line_of(&text, n), prev;
		struct json *root;
		int64_t v;

		assert_int_equal(json_parse(slice_sub(line, 0, line.len - 1),
					    &f->why, &root),
				 ERR_OK);
		assert_true(json_int(json_get(root, "n"), &v));
		assert_int_equal(v, n);
		assert_true(slice_is_str(json_str(json_get(root, "time")),
					 "2026-09-21T14:13:20.123Z"));
		assert_true(slice_is_str(json_str(json_get(root, "event")),
					 "issued"));
		prev = json_str(json_get(root, "prev"));
		assert_int_equal(prev.len, 64);
		for (size_t i = 0; i < 64; i++)
			assert_int_equal(
				prev.p[i],
				hex[hash[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15]);
		json_free(root);
		hash_sha256(line, hash);
	}
	assert_int_equal(f->head.count, 3);
	assert_memory_equal(f->head.hash, hash, sizeof(hash));
	assert_int_equal(verify(f), ERR_OK);
	buf_fini(&text);
}

static void
nothing_is_in_the_head_before_it_is_synced(void **state)
{
	struct fixture *f = *state;

	reopen(f, big);
	assert_int_equal(audit_add(f->a, now, SLICE_LIT("\"k\":1")), ERR_OK);
	assert_int_equal(audit_get_head(f->a).count, 0);
	assert_int_equal(audit_flush(f->a, false, &f->why), ERR_OK);
	assert_int_equal(audit_get_head(f->a).count, 0);
	assert_int_equal(audit_flush(f->a, true, &f->why), ERR_OK);
	assert_int_equal(audit_get_head(f->a).count, 1);
}

static void
a_restart_goes_on_with_the_chain(void **state)
{
	struct fixture *f = *state;

	reopen(f, big);
	add(f, 0, 2);
	reopen(f, big);
	add(f, 2, 2);
	assert_int_equal(f->head.count, 4);
	assert_int_equal(verify(f), ERR_OK);
}

static void
a_log_longer_than_the_store_remembers_is_fine(void **state)
{
	struct fixture *f = *state;
	struct audit_head early, last;

	reopen(f, big);
	add(f, 0, 2);
	early = f->head;
	add(f, 2, 2);
	last = f->head;
	f->head = early;
	reopen(f, big);
	assert_int_equal(audit_get_head(f->a).count, 4);
	assert_int_equal(audit_verify(f->dir, &early, &f->why, &f->head),
			 ERR_OK);
	assert_memory_equal(&f->head, &last, sizeof(last));
}

static unsigned
count_files(struct fixture *f)
{
	DIR *d = opendir(f->dir);
	const struct dirent *e;
	unsigned cnt = 0;

	while ((e = readdir(d)) != NULL)
		cnt += e->d_name[0] != '.';
	(void)closedir(d);
	return cnt;
}

static void
files_rotate_and_the_chain_goes_on_across_them(void **state)
{
	struct fixture *f = *state;
	struct audit_head early = {0};
	char *path;
	struct stat st;

	reopen(f, 1000);
	for (unsigned i = 0; i < 40; i++) {
		add(f, i, 1);
		if (i == 20)
			early = f->head;
		if (i == 30)
			reopen(f, 1000);
	}
	assert_true(count_files(f) > 5);
	assert_int_equal(verify(f), ERR_OK);
	assert_int_equal(f->head.count, 40);
	path = temp_dir_path(f->dir, "audit-000000000001.jsonl");
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= 1000);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* The remembered line stands in an older file. */
	f->head = early;
	reopen(f, 1000);
	assert_int_equal(audit_get_head(f->a).count, 40);
	/* And the first file is missed when it is gone. */
	assert_int_equal(unlink(path), 0);
	f->head = audit_get_head(f->a);
	assert_int_equal(verify(f), ERR_MISMATCH);
	assert_says(f, "stands where line 1 must be");
	mem_free(path);
}

static void
a_crash_between_the_steps_of_a_rotation_is_mended(void **state)
{
	struct fixture *f = *state;
	char *from, *to;

	reopen(f, big);
	add(f, 0, 3);
	from = temp_dir_path(f->dir, "audit.jsonl");
	to = temp_dir_path(f->dir, "audit-000000000001.jsonl");
	assert_int_equal(rename(from, to), 0);
	reopen(f, big);
	add(f, 3, 2);
	assert_int_equal(count_files(f), 2);
	assert_int_equal(f->head.count, 5);
	assert_int_equal(verify(f), ERR_OK);
	/* The new file was made and nothing written. */
	assert_int_equal(unlink(from), 0);
	save(f, "audit.jsonl", SLICE_NONE);
	f->head = (struct audit_head){0};
	reopen(f, big);
	assert_int_equal(audit_get_head(f->a).count, 3);
	add(f, 3, 2);
	assert_int_equal(verify(f), ERR_OK);
	mem_free(from);
	mem_free(to);
}

static void
half_a_line_after_a_power_cut_is_cut_off_and_noted(void **state)
{
	struct fixture *f = *state;
	struct buf text, again;
	struct slice third;

	reopen(f, big);
	add(f, 0, 2);
	load(f, "audit.jsonl", &text);
	assert_int_equal(buf_put(&text, SLICE_LIT("{\"n\":3,\"prev\":\"00")),
			 ERR_OK);
	save(f, "audit.jsonl", buf_get(&text));
	assert_int_equal(verify(f), ERR_MISMATCH);
	assert_says(f, "half a line of 17 bytes");
	reopen(f, big);
	add(f, 2, 1);
	assert_int_equal(f->head.count, 4);
	load(f, "audit.jsonl", &again);
	third = line_of(&again, 3);
	assert_true(slice_has_suffix(
		third, "\"event\":\"half_line_cut\",\"bytes\":17}\n"));
	assert_int_equal(verify(f), ERR_OK);
	buf_fini(&text);
	buf_fini(&again);
}

static void
a_cut_tail_is_detected_and_the_rest_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct buf text, after;
	size_t keep;

	reopen(f, big);
	add(f, 0, 5);
	load(f, "audit.jsonl", &text);
	keep = buf_len(&text) - line_of(&text, 5).len;
	/* At a line's end, and within the last line. */
	for (size_t more = 0; more < 30; more += 29) {
		save(f, "audit.jsonl",
		     slice_sub(buf_get(&text), 0, keep + more));
		audit_close(f->a);
		f->a = NULL;
		assert_int_equal(
			audit_open(f->dir, big, &f->head, &f->why, &f->a),
			ERR_MISMATCH);
		assert_says(f, "ends at line 4, but the record remembers 5 "
			       "lines: its tail was cut off");
		assert_says(f, "keep a copy");
		load(f, "audit.jsonl", &after);
		assert_int_equal(buf_len(&after), keep + more);
		buf_fini(&after);
		assert_int_equal(verify(f), ERR_MISMATCH);
	}
	/* All of it gone. */
	save(f, "audit.jsonl", SLICE_NONE);
	assert_int_equal(audit_open(f->dir, big, &f->head, &f->why, &f->a),
			 ERR_MISMATCH);
	assert_says(f, "ends at line 0");
	/* By contrast: with nothing remembered it is a new log. */
	f->head = (struct audit_head){0};
	reopen(f, big);
	buf_fini(&text);
}

static void
a_changed_line_is_named_wherever_it_is(void **state)
{
	struct fixture *f = *state;
	struct buf text;
	char want[64];
	uint8_t *p;

	reopen(f, big);
	add(f, 0, 4);
	load(f, "audit.jsonl", &text);
	for (unsigned n = 1; n <= 4; n++) {
		struct slice line = line_of(&text, n);

		p = text.p + text.start + (line.p - buf_get(&text).p) +
		    line.len - 3;
		*p ^= 1;
		save(f, "audit.jsonl", buf_get(&text));
		assert_int_equal(verify(f), ERR_MISMATCH);
		(void)snprintf(want, sizeof(want), "line %u was changed", n);
		assert_says(f, want);
		audit_close(f->a);
		f->a = NULL;
		assert_int_equal(
			audit_open(f->dir, big, &f->head, &f->why, &f->a),
			ERR_MISMATCH);
		assert_says(f, want);
		*p ^= 1;
	}
	save(f, "audit.jsonl", buf_get(&text));
	assert_int_equal(verify(f), ERR_OK);
	buf_fini(&text);
}

static void
a_line_that_is_no_audit_line_is_named(void **state)
{
	struct fixture *f = *state;
	struct buf text;

	reopen(f, big);
	add(f, 0, 2);
	load(f, "audit.jsonl", &text);
	assert_int_equal(buf_put_str(&text, "{\"hello\":1}\n"), ERR_OK);
	save(f, "audit.jsonl", buf_get(&text));
	assert_int_equal(verify(f), ERR_MISMATCH);
	assert_says(f, "line 3 has not the form of an audit line");
	buf_fini(&text);
}

static void
moved_removed_and_repeated_lines_are_detected(void **state)
{
	static const unsigned orders[][5] = {
		{1, 3, 2, 4, 0}, {1, 2, 4, 0}, {2, 3, 4, 0}, {1, 2, 2, 3, 4}};
	static const char *const says[] = {
		"line 3 stands where line 2 must be",
		"line 4 stands where line 3 must be",
		"line 2 stands where line 1 must be",
		"line 2 stands where line 3 must be"};
	struct fixture *f = *state;
	struct buf text, moved;

	reopen(f, big);
	add(f, 0, 4);
	load(f, "audit.jsonl", &text);
	buf_init(&moved, 1 << 16);
	for (size_t i = 0; i < COUNT_OF(orders); i++) {
		buf_reset(&moved);
		for (size_t k = 0; k < 5 && orders[i][k] != 0; k++)
			assert_int_equal(
				buf_put(&moved, line_of(&text, orders[i][k])),
				ERR_OK);
		save(f, "audit.jsonl", buf_get(&moved));
		assert_int_equal(verify(f), ERR_MISMATCH);
		assert_says(f, says[i]);
	}
	buf_fini(&text);
	buf_fini(&moved);
}

/* So it is when the disk has been full for long. */
static void
lines_that_found_no_room_are_counted_in_the_log(void **state)
{
	struct fixture *f = *state;
	struct buf wide, text;
	unsigned n;

	reopen(f, big);
	buf_init(&wide, 1 << 16);
	assert_int_equal(buf_put_str(&wide, "\"a\":\""), ERR_OK);
	while (buf_len(&wide) < 32767)
		assert_int_equal(buf_put_u8(&wide, 'x'), ERR_OK);
	assert_int_equal(buf_put_u8(&wide, '"'), ERR_OK);
	while (audit_add(f->a, now, buf_get(&wide)) == ERR_OK)
		continue;
	assert_int_equal(audit_add(f->a, now, SLICE_LIT("\"b\":1")), ERR_LIMIT);
	assert_int_equal(audit_flush(f->a, true, &f->why), ERR_OK);
	assert_int_equal(audit_add(f->a, now, SLICE_LIT("\"c\":1")), ERR_OK);
	assert_int_equal(audit_add(f->a, now, SLICE_LIT("\"d\":1")), ERR_OK);
	assert_int_equal(audit_flush(f->a, true, &f->why), ERR_OK);
	f->head = audit_get_head(f->a);
	assert_int_equal(verify(f), ERR_OK);
	load(f, "audit.jsonl", &text);
	n = (unsigned)audit_get_head(f->a).count;
	assert_true(
		slice_has_suffix(line_of(&text, n - 2),
				 "\"event\":\"lines_lost\",\"count\":2}\n"));
	assert_true(slice_has_suffix(line_of(&text, n - 1), ",\"c\":1}\n"));
	assert_true(slice_has_suffix(line_of(&text, n), ",\"d\":1}\n"));
	buf_fini(&text);
	buf_fini(&wide);
}

static void
fields_that_would_break_the_lines_are_refused(void **state)
{
	struct fixture *f = *state;
	struct buf wide;
	enum err ret = ERR_OK;
	unsigned n = 0;

	reopen(f, big);
	assert_int_equal(audit_add(f->a, now, SLICE_LIT("\"a\":\n1")),
			 ERR_SYNTAX);
	assert_int_equal(audit_add(f->a, now, SLICE_NONE), ERR_SYNTAX);
	buf_init(&wide, 1 << 16);
	assert_int_equal(buf_put_str(&wide, "\"a\":\""), ERR_OK);
	while (buf_len(&wide) < 32767)
		assert_int_equal(buf_put_u8(&wide, 'x'), ERR_OK);
	assert_int_equal(buf_put_u8(&wide, '"'), ERR_OK);
	while (ret == ERR_OK && n < 10000) {
		ret = audit_add(f->a, now, buf_get(&wide));
		n += ret == ERR_OK;
	}
	assert_int_equal(ret, ERR_LIMIT);
	assert_true(n > 100 && n < 300);
	assert_int_equal(audit_flush(f->a, true, &f->why), ERR_OK);
	f->head = audit_get_head(f->a);
	assert_int_equal(f->head.count, n);
	assert_int_equal(verify(f), ERR_OK);
	assert_int_equal(buf_put_u8(&wide, ' '), ERR_OK);
	assert_int_equal(audit_add(f->a, now, buf_get(&wide)), ERR_LIMIT);
	buf_fini(&wide);
}

static void
set_file_limit(rlim_t bytes)
{
	struct rlimit lim;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &lim), 0);
	lim.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
}

static void
a_full_disk_keeps_what_waits_and_leaves_no_half_line(void **state)
{
	struct fixture *f = *state;
	struct buf text;

	reopen(f, big);
	add(f, 0, 2);
	load(f, "audit.jsonl", &text);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(audit_add(f->a, now, SLICE_LIT("\"k\":3")), ERR_OK);
	assert_int_equal(audit_add(f->a, now, SLICE_LIT("\"k\":4")), ERR_OK);
	/* Room for the third line and a piece of the fourth. */
	set_file_limit(buf_len(&text) + 160);
	assert_int_equal(audit_flush(f->a, true, &f->why), ERR_DISK_FULL);
	assert_says(f, "make room");
	assert_int_equal(audit_get_head(f->a).count, 2);
	assert_int_equal(verify(f), ERR_OK);
	set_file_limit(RLIM_INFINITY);
	add(f, 5, 1);
	assert_int_equal(f->head.count, 5);
	assert_int_equal(verify(f), ERR_OK);
	buf_fini(&text);
}

static void
a_missing_folder_is_named(void **state)
{
	struct fixture *f = *state;
	struct audit *a;

	assert_int_equal(audit_open("/nowhere/at/all", big, NULL, &f->why, &a),
			 ERR_NOT_FOUND);
	assert_says(f, "/nowhere/at/all");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_line_is_json_and_carries_the_hash_of_the_line_before),
		T(nothing_is_in_the_head_before_it_is_synced),
		T(a_restart_goes_on_with_the_chain),
		T(a_log_longer_than_the_store_remembers_is_fine),
		T(files_rotate_and_the_chain_goes_on_across_them),
		T(a_crash_between_the_steps_of_a_rotation_is_mended),
		T(half_a_line_after_a_power_cut_is_cut_off_and_noted),
		T(a_cut_tail_is_detected_and_the_rest_is_left_alone),
		T(a_changed_line_is_named_wherever_it_is),
		T(a_line_that_is_no_audit_line_is_named),
		T(moved_removed_and_repeated_lines_are_detected),
		T(fields_that_would_break_the_lines_are_refused),
		T(lines_that_found_no_room_are_counted_in_the_log),
		T(a_full_disk_keeps_what_waits_and_leaves_no_half_line),
		T(a_missing_folder_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
