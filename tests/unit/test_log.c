/* test_log.c - lines on stderr, seen through a pipe. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "unit.h"

#include "base/json.h"
#include "base/log.h"

static char captured[1 << 16];
static int pipe_fds[2];
static int old_stderr;

static void
capture_begin(void)
{
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	old_stderr = dup(STDERR_FILENO);
	assert_true(dup2(pipe_fds[1], STDERR_FILENO) >= 0);
}

static const char *
capture_end(void)
{
	ssize_t got;

	assert_true(dup2(old_stderr, STDERR_FILENO) >= 0);
	(void)close(old_stderr);
	got = read(pipe_fds[0], captured, sizeof(captured) - 1);
	captured[got < 0 ? 0 : got] = '\0';
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	return captured;
}

static size_t
count_lines(const char *text)
{
	size_t cnt = 0;

	for (; *text != '\0'; text++)
		cnt += *text == '\n';
	return cnt;
}

static int
setup(void **state)
{
	(void)state;
	log_init("meshcert-test", "front.0");
	log_set_level(LOG_INFO);
	log_set_format(LOG_TEXT);
	return 0;
}

static void
a_line_says_when_how_bad_who_and_what(void **state)
{
	const char *text;

	(void)state;
	capture_begin();
	log_warn("issue", "serial=%s n=%d", "0a", 7);
	text = capture_end();
	assert_int_equal(strlen(text),
			 strlen("2026-11-22T02:38:51.123Z warn front.0 issue "
				"serial=0a n=7\n"));
	assert_non_null(strstr(text, "Z warn front.0 issue serial=0a n=7\n"));
}

static void
control_characters_are_escaped(void **state)
{
	const char *text;

	(void)state;
	capture_begin();
	log_info("e", "%s", "a\nfake line\x1b[2J\\\x7f\xff");
	text = capture_end();
	assert_non_null(strstr(text, "a\\nfake line\\x1b[2J\\\\\\x7f\\xff\n"));
	assert_int_equal(count_lines(text), 1);
}

static void
lines_below_the_level_are_not_written(void **state)
{
	const char *text;

	(void)state;
	capture_begin();
	log_debug("no", "x");
	log_set_level(LOG_ERROR);
	log_warn("no", "x");
	log_peer("no", "x");
	log_set_level(LOG_DEBUG);
	log_debug("yes", "%s", "");
	text = capture_end();
	assert_null(strstr(text, "no"));
	assert_non_null(strstr(text, "debug front.0 yes\n"));
}

static void
json_lines_are_json(void **state)
{
	struct json *root;

	(void)state;
	log_set_format(LOG_JSON);
	capture_begin();
	log_error("a b", "x=\"%s\"\n", "\xff");
	assert_int_equal(json_parse(slice_of_str(capture_end()), NULL, &root),
			 ERR_OK);
	assert_int_equal(json_count(root), 6);
	assert_true(slice_is_str(json_str(json_get(root, "level")), "error"));
	assert_true(slice_is_str(json_str(json_get(root, "program")),
				 "meshcert-test"));
	assert_true(slice_is_str(json_str(json_get(root, "role")), "front.0"));
	assert_true(slice_is_str(json_str(json_get(root, "event")), "a b"));
	assert_true(slice_is_str(json_str(json_get(root, "message")),
				 "x=\"\xef\xbf\xbd\"\n"));
	json_free(root);
}

static void
a_long_line_is_cut_to_what_one_write_carries(void **state)
{
	char long_text[9000];
	const char *text;

	(void)state;
	memset(long_text, 1, sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	capture_begin();
	log_info("big", "%s", long_text);
	text = capture_end();
	assert_true(strlen(text) <= PIPE_BUF && strlen(text) > PIPE_BUF / 2);
	assert_non_null(strstr(text, "\\x01...\n"));
}

static void
lines_that_peers_cause_are_bounded_by_event(void **state)
{
	const char *text;

	(void)state;
	capture_begin();
	for (int i = 0; i < 3 * LOG_PEER_BURST; i++)
		log_peer("noisy", "n=%d", i);
	log_peer("quiet", "n=1");
	text = capture_end();
	assert_int_equal(count_lines(text), LOG_PEER_BURST + 1);
	assert_non_null(strstr(text, " quiet n=1\n"));
	assert_non_null(strstr(text, " noisy n=19\n"));
	assert_null(strstr(text, " noisy n=20\n"));
}

static void
what_was_left_out_is_told_when_the_event_makes_room(void **state)
{
	static const char *const others[] = {
		"e01", "e02", "e03", "e04", "e05", "e06", "e07", "e08", "e09",
		"e10", "e11", "e12", "e13", "e14", "e15", "e16", "e17", "e18",
		"e19", "e20", "e21", "e22", "e23", "e24", "e25", "e26", "e27",
		"e28", "e29", "e30", "e31", "e32", "e33", "e34", "e35", "e36"};
	const char *text;

	(void)state;
	capture_begin();
	for (int i = 0; i < LOG_PEER_BURST + 5; i++)
		log_peer("burst", "n=%d", i);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		log_peer(others[i], "x");
	text = capture_end();
	assert_non_null(strstr(text, " burst left_out=5 "));
}

static void
logging_keeps_errno(void **state)
{
	(void)state;
	capture_begin();
	(void)close(STDERR_FILENO);
	errno = ENOENT;
	log_info("e", "x");
	log_peer("kept", "x");
	assert_int_equal(errno, ENOENT);
	(void)capture_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_line_says_when_how_bad_who_and_what,
				       setup),
		cmocka_unit_test_setup(control_characters_are_escaped, setup),
		cmocka_unit_test_setup(lines_below_the_level_are_not_written,
				       setup),
		cmocka_unit_test_setup(json_lines_are_json, setup),
		cmocka_unit_test_setup(
			a_long_line_is_cut_to_what_one_write_carries, setup),
		cmocka_unit_test_setup(
			lines_that_peers_cause_are_bounded_by_event, setup),
		cmocka_unit_test_setup(
			what_was_left_out_is_told_when_the_event_makes_room,
			setup),
		cmocka_unit_test_setup(logging_keeps_errno, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
