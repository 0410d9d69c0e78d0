/* test_metric.c - counting in shared blocks, and the sum as text. */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "base/metric.h"
#include "os/os.h"

enum {
	M_REQUESTS,
	M_ERRORS,
	M_OPEN,
	M_AGE,
	M_SECONDS,
	M_STAGES
};

static const char *const causes[] = {"bad\"\\cause", "other", NULL};

static const struct metric table[] = {
	[M_REQUESTS] = {"requests_total", METRIC_COUNTER, NULL, NULL, "All."},
	[M_ERRORS] = {"errors_total", METRIC_COUNTER, "cause", causes,
		      "By\ncause."},
	[M_OPEN] = {"open", METRIC_GAUGE_SUM, NULL, NULL, "Open now."},
	[M_AGE] = {"age", METRIC_GAUGE_MAX, NULL, NULL, "Oldest."},
	[M_SECONDS] = {"seconds", METRIC_HISTOGRAM, NULL, NULL, "Time."},
	[M_STAGES] = {"stages", METRIC_HISTOGRAM, "stage", causes, "Times."},
	{NULL, METRIC_COUNTER, NULL, NULL, NULL}};

struct fixture {
	struct metric_block *a;
	struct metric_block *b;
	struct buf out;
	char *text;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	buf_init(&f->out, 65536);
	return metric_block_map(table, -1, true, &f->a) == ERR_OK &&
			       metric_block_map(table, -1, true, &f->b) ==
				       ERR_OK
		       ? 0
		       : -1;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	metric_block_unmap(f->a);
	metric_block_unmap(f->b);
	metric_block_unmap(NULL);
	buf_fini(&f->out);
	free(f->text);
	free(f);
	return 0;
}

static const char *
text_of(struct fixture *f)
{
	const struct metric_block *blocks[] = {f->a, f->b};

	assert_int_equal(metric_write(table, blocks, 2, &f->out), ERR_OK);
	free(f->text);
	f->text = buf_dup_str(&f->out);
	return f->text;
}

static void
counters_and_gauges_of_all_roles_are_summed(void **state)
{
	struct fixture *f = *state;
	const char *text;

	metric_add(f->a, M_REQUESTS, 0, 3);
	metric_add(f->b, M_REQUESTS, 0, 4);
	metric_add(f->a, M_ERRORS, 0, 1);
	metric_set(f->a, M_OPEN, 0, 5);
	metric_set(f->b, M_OPEN, 0, -2);
	metric_set(f->a, M_AGE, 0, 9);
	metric_set(f->b, M_AGE, 0, 7);
	assert_int_equal(metric_get(f->a, M_REQUESTS, 0), 3);
	text = text_of(f);
	assert_non_null(strstr(text, "# HELP requests_total All.\n"
				     "# TYPE requests_total counter\n"
				     "requests_total 7\n"));
	assert_non_null(strstr(text, "# HELP errors_total By\\ncause.\n"));
	assert_non_null(strstr(text,
			       "errors_total{cause=\"bad\\\"\\\\cause\"} 1\n"
			       "errors_total{cause=\"other\"} 0\n"));
	assert_non_null(strstr(text, "# TYPE open gauge\nopen 3\n"));
	assert_non_null(strstr(text, "\nage 9\n"));
}

static void
buckets_are_cumulative_and_their_ends_belong_to_them(void **state)
{
	struct fixture *f = *state;
	const char *text;

	metric_observe_ns(f->a, M_SECONDS, 0, 10000);
	metric_observe_ns(f->a, M_SECONDS, 0, 10001);
	metric_observe_ns(f->b, M_SECONDS, 0, 3000000000u);
	metric_observe_ns(f->b, M_SECONDS, 0, 11000000000u);
	metric_observe_ns(f->b, M_STAGES, 1, 1);
	assert_int_equal(metric_get(f->a, M_SECONDS, 0), 2);
	text = text_of(f);
	assert_non_null(strstr(text, "# TYPE seconds histogram\n"
				     "seconds_bucket{le=\"1e-05\"} 1\n"
				     "seconds_bucket{le=\"3e-05\"} 2\n"));
	assert_non_null(strstr(text, "seconds_bucket{le=\"1\"} 2\n"
				     "seconds_bucket{le=\"3\"} 3\n"
				     "seconds_bucket{le=\"10\"} 3\n"
				     "seconds_bucket{le=\"+Inf\"} 4\n"
				     "seconds_sum 14.000020001\n"
				     "seconds_count 4\n"));
	assert_non_null(strstr(
		text, "stages_bucket{stage=\"other\",le=\"1e-05\"} 1\n"));
	assert_non_null(strstr(text, "stages_count{stage=\"other\"} 1\n"));
}

static void
a_reader_sees_what_another_process_counted(void **state)
{
	struct metric_block *reader;
	pid_t pid;
	int fd;

	(void)state;
	assert_int_equal(os_memfd("metric", metric_block_size(table), &fd),
			 ERR_OK);
	assert_int_equal(metric_block_map(table, fd, false, &reader), ERR_OK);
	pid = fork();
	if (pid == 0) {
		struct metric_block *writer;

		if (metric_block_map(table, fd, true, &writer) != ERR_OK)
			_exit(1);
		metric_add(writer, M_REQUESTS, 0, 42);
		metric_block_unmap(writer);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(metric_get(reader, M_REQUESTS, 0), 42);
	metric_block_unmap(reader);
	/* Its reader cannot be killed by cutting the file. */
	assert_int_not_equal(ftruncate(fd, 0), 0);
	(void)close(fd);
}

static void
files_that_are_short_or_not_sealed_are_refused(void **state)
{
	struct metric_block *b;
	int fd = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, 65536), 0);
	assert_int_equal(metric_block_map(table, fd, false, &b), ERR_MISMATCH);
	assert_null(b);
	(void)close(fd);
	assert_int_equal(os_memfd("short", metric_block_size(table) - 1, &fd),
			 ERR_OK);
	assert_int_equal(metric_block_map(table, fd, false, &b), ERR_MISMATCH);
	(void)close(fd);
}

static void
a_text_that_does_not_fit_is_an_error(void **state)
{
	struct fixture *f = *state;
	const struct metric_block *blocks[] = {f->a};
	struct buf small;

	buf_init(&small, 100);
	assert_int_equal(metric_write(table, blocks, 1, &small), ERR_LIMIT);
	buf_fini(&small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			counters_and_gauges_of_all_roles_are_summed, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			buckets_are_cumulative_and_their_ends_belong_to_them,
			setup, teardown),
		cmocka_unit_test(a_reader_sees_what_another_process_counted),
		cmocka_unit_test(
			files_that_are_short_or_not_sealed_are_refused),
		cmocka_unit_test_setup_teardown(
			a_text_that_does_not_fit_is_an_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
