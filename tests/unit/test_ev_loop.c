/* test_ev_loop.c - the event loop: timers, deferred work, signals, files and
 * processes. Sockets: test_ev.c. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "ev/ev.h"
#include "patience.h"
#include "temp_dir.h"

struct fixture {
	struct ev_loop *loop;
	struct patience patience;
};

static int
setup(void **state)
{
	struct fixture *f = MEM_NEW(struct fixture);

	assert_int_equal(ev_loop_new(&f->loop), ERR_OK);
	patience_start(f->loop, &f->patience);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	patience_end(&f->patience);
	ev_loop_free(f->loop);
	mem_free(f);
	return 0;
}

static void
flag_timer(void *arg)
{
	++*(int *)arg;
}

/* -- timers and deferred work ------------------------------------------- */

static void
a_timer_never_fires_early(void **state)
{
	struct fixture *f = *state;

	for (uint64_t ms = 0; ms < 12; ms++) {
		struct ev_timer *t;
		int fired = 0;
		struct mono start;

		/* The loop's idea of now grows old meanwhile. */
		usleep(1700);
		start = mono_now();
		assert_int_equal(
			ev_timer_start(f->loop, ms, flag_timer, &fired, &t),
			ERR_OK);
		assert_non_null(t);
		wait_for(f, fired);
		assert_null(t);
		assert_true(mono_now().ns - start.ns >= ms * 1000000);
	}
}

static void
a_cancelled_timer_does_not_fire(void **state)
{
	struct fixture *f = *state;
	struct ev_timer *cancelled;
	struct ev_timer *other;
	int fired = 0;
	int done = 0;

	assert_int_equal(
		ev_timer_start(f->loop, 1, flag_timer, &fired, &cancelled),
		ERR_OK);
	assert_int_equal(ev_timer_start(f->loop, 20, flag_timer, &done, &other),
			 ERR_OK);
	ev_timer_cancel(&cancelled);
	assert_null(cancelled);
	ev_timer_cancel(&cancelled);
	wait_for(f, done);
	assert_int_equal(fired, 0);
}

struct chain {
	struct ev_loop *loop;
	struct ev_defer d;
	struct ev_defer other;
	int runs;
	int other_runs;
	int left;
};

static void
chain_run(void *arg)
{
	struct chain *c = arg;

	c->runs++;
	if (c->left-- > 0)
		ev_defer_queue(c->loop, &c->d, chain_run, c);
}

static void
chain_other(void *arg)
{
	((struct chain *)arg)->other_runs++;
}

static void
deferred_work_runs_before_the_loop_sleeps(void **state)
{
	struct fixture *f = *state;
	struct chain c = {.loop = f->loop, .left = 5};

	ev_defer_queue(f->loop, &c.d, chain_run, &c);
	ev_defer_queue(f->loop, &c.d, chain_run, &c);
	assert_int_equal(c.runs, 0);
	ev_loop_step(f->loop, false);
	/* Once, and then the five that it queued itself. */
	assert_int_equal(c.runs, 6);
}

static void
deferred_work_can_be_cancelled(void **state)
{
	struct fixture *f = *state;
	struct chain c = {.loop = f->loop};

	ev_defer_queue(f->loop, &c.other, chain_other, &c);
	ev_defer_queue(f->loop, &c.d, chain_run, &c);
	ev_defer_cancel(&c.d);
	ev_defer_cancel(&c.d);
	ev_loop_step(f->loop, false);
	assert_int_equal(c.runs, 0);
	assert_int_equal(c.other_runs, 1);
	/* The queue's tail is right after the last was taken out. */
	ev_defer_queue(f->loop, &c.d, chain_run, &c);
	ev_loop_step(f->loop, false);
	assert_int_equal(c.runs, 1);
}

struct late {
	struct ev_defer d;
	int events; /* that were handled */
	int events_before;
	int runs;
};

static void
late_run(void *arg)
{
	struct late *l = arg;

	l->runs++;
	l->events_before = l->events;
}

/* Reads nothing: it stays readable. */
static void
late_on_poll(void *arg, bool readable, bool writable)
{
	struct late *l = arg;

	assert_true(readable && !writable);
	l->events++;
}

static void
late_work_runs_behind_events_and_is_not_starved_by_them(void **state)
{
	struct fixture *f = *state;
	struct ev_poll *poll;
	struct late l = {.runs = 0};
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(
		ev_poll_start(f->loop, fds[0], late_on_poll, &l, &poll),
		ERR_OK);
	ev_poll_want(poll, true, false);
	ev_defer_queue_late(f->loop, &l.d, late_run, &l);
	ev_defer_queue_late(f->loop, &l.d, late_run, &l);
	wait_for(f, l.runs > 0);
	assert_true(l.events_before > 0);
	assert_int_equal(l.runs, 1);
	ev_poll_cancel(&poll);
	/* Nothing to wait for: at once. */
	ev_defer_queue_late(f->loop, &l.d, late_run, &l);
	ev_loop_step(f->loop, true);
	assert_int_equal(l.runs, 2);
	ev_defer_queue_late(f->loop, &l.d, late_run, &l);
	ev_defer_cancel(&l.d);
	ev_loop_step(f->loop, false);
	assert_int_equal(l.runs, 2);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

struct repeated {
	struct ev_loop *loop;
	struct ev_defer d;
	int runs;
	int runs_before; /* until an event was handled */
};

static void
repeated_run(void *arg)
{
	struct repeated *r = arg;

	if (++r->runs < 100)
		ev_defer_queue_late(r->loop, &r->d, repeated_run, r);
}

static void
repeated_on_poll(void *arg, bool readable, bool writable)
{
	struct repeated *r = arg;
	const bool is_first = r->runs_before < 0;

	assert_true(readable && !writable);
	if (is_first)
		r->runs_before = r->runs;
}

/* A batch behind the other would keep from hearing what comes meanwhile. */
static void
late_work_that_queues_itself_again_comes_behind_the_events(void **state)
{
	struct fixture *f = *state;
	struct repeated r = {.loop = f->loop, .runs_before = -1};
	struct ev_poll *poll;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(
		ev_poll_start(f->loop, fds[0], repeated_on_poll, &r, &poll),
		ERR_OK);
	ev_poll_want(poll, true, false);
	ev_defer_queue_late(f->loop, &r.d, repeated_run, &r);
	ev_loop_step(f->loop, true);
	assert_int_equal(r.runs, 1);
	assert_int_equal(write(fds[1], "x", 1), 1);
	ev_loop_step(f->loop, true);
	assert_int_equal(r.runs_before, 1);
	ev_poll_cancel(&poll);
	wait_for(f, r.runs == 100);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void
once_on_poll(void *arg, bool readable, bool writable)
{
	bool *heard = arg;

	assert_true(readable && !writable);
	*heard = true;
}

/* The child is slow, so that a loop that does not wait is found out. */
static void
a_loop_with_nothing_but_a_descriptor_sleeps(void **state)
{
	struct ev_loop *loop;
	struct ev_poll *poll;
	bool heard = false;
	int fds[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(ev_loop_new(&loop), ERR_OK);
	assert_int_equal(
		ev_poll_start(loop, fds[0], once_on_poll, &heard, &poll),
		ERR_OK);
	ev_poll_want(poll, true, false);
	ev_loop_step(loop, false);
	if ((pid = fork()) == 0) {
		(void)usleep(50000);
		_exit(write(fds[1], "x", 1) == 1 ? 0 : 1);
	}
	assert_true(pid > 0);
	ev_loop_step(loop, true);
	assert_true(heard);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	ev_poll_cancel(&poll);
	ev_loop_free(loop);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void
chain_run_next(void *arg)
{
	struct chain *c = arg;

	c->runs++;
	if (c->left-- > 0)
		ev_defer_queue_next(c->loop, &c->d, chain_run_next, c);
}

static void
work_in_portions_gets_one_each_turn_and_the_loop_does_not_sleep(void **state)
{
	struct fixture *f = *state;
	struct chain c = {.loop = f->loop, .left = 3};

	ev_defer_queue_next(f->loop, &c.d, chain_run_next, &c);
	for (int turn = 1; turn <= 4; turn++) {
		ev_loop_step(f->loop, true);
		assert_int_equal(c.runs, turn);
	}
	/* What waits for the next turn can be cancelled like any other, and
	 * the tail of its list is right after that. */
	ev_defer_queue_next(f->loop, &c.other, chain_other, &c);
	ev_defer_queue_next(f->loop, &c.d, chain_run_next, &c);
	ev_defer_cancel(&c.d);
	ev_defer_queue_next(f->loop, &c.d, chain_run_next, &c);
	ev_loop_step(f->loop, false);
	assert_int_equal(c.other_runs, 1);
	assert_int_equal(c.runs, 5);
}

static void
chain_flood(void *arg)
{
	struct chain *c = arg;

	c->runs++;
	ev_defer_queue(c->loop, &c->d, chain_flood, c);
}

static void
endless_deferred_work_does_not_starve_timers(void **state)
{
	struct fixture *f = *state;
	struct chain c = {.loop = f->loop};
	struct ev_timer *t;
	int fired = 0;

	ev_defer_queue(f->loop, &c.d, chain_flood, &c);
	assert_int_equal(ev_timer_start(f->loop, 5, flag_timer, &fired, &t),
			 ERR_OK);
	wait_for(f, fired);
	assert_true(c.runs > 1);
	ev_defer_cancel(&c.d);
}

/* -- signals, files, children ------------------------------------------- */

static void
on_signal(void *arg, int signum)
{
	*(int *)arg = signum;
}

static void
a_signal_is_told(void **state)
{
	struct fixture *f = *state;
	struct ev_signal *s;
	int got = 0;

	assert_int_equal(ev_signal_start(f->loop, SIGUSR1, on_signal, &got, &s),
			 ERR_OK);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	wait_for(f, got);
	assert_int_equal(got, SIGUSR1);
	ev_signal_cancel(&s);
}

static void
write_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

static void
a_changed_directory_calls_back_once_for_a_burst(void **state)
{
	struct fixture *f = *state;
	struct ev_watch *w;
	struct ev_timer *t;
	char dir[64];
	char path[128];
	int changes = 0;
	int fired = 0;

	temp_dir_make(dir);
	assert_int_equal(ev_watch_start(f->loop, dir, flag_timer, &changes, &w),
			 ERR_OK);
	for (int i = 0; i < 5; i++)
		write_file(dir, "a", "text");
	assert_int_equal(changes, 0);
	wait_for(f, changes);
	assert_int_equal(ev_timer_start(f->loop, 60, flag_timer, &fired, &t),
			 ERR_OK);
	wait_for(f, fired);
	assert_int_equal(changes, 1);
	(void)snprintf(path, sizeof(path), "%s/a", dir);
	assert_int_equal(unlink(path), 0);
	wait_for(f, changes == 2);
	ev_watch_cancel(&w);
	assert_null(w);
	assert_int_equal(rmdir(dir), 0);
}

static void
a_watched_file_is_followed_through_replacements(void **state)
{
	struct fixture *f = *state;
	struct ev_watch *w;
	char dir[64];
	char file[128];
	char next[128];
	int changes = 0;

	temp_dir_make(dir);
	write_file(dir, "f", "0");
	(void)snprintf(file, sizeof(file), "%s/f", dir);
	(void)snprintf(next, sizeof(next), "%s/next", dir);
	assert_int_equal(
		ev_watch_start(f->loop, file, flag_timer, &changes, &w),
		ERR_OK);
	for (int i = 1; i <= 3; i++) {
		write_file(dir, "next", "new");
		assert_int_equal(rename(next, file), 0);
		wait_for(f, changes >= i);
		changes = i;
	}
	/* The new file itself is watched. */
	write_file(dir, "f", "written in place");
	wait_for(f, changes > 3);
	ev_watch_cancel(&w);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void
a_path_that_does_not_exist_is_not_watched(void **state)
{
	struct fixture *f = *state;
	struct ev_watch *w;
	int changes = 0;

	assert_int_equal(ev_watch_start(f->loop, "/nonexistent/x", flag_timer,
					&changes, &w),
			 ERR_NOT_FOUND);
	assert_null(w);
}

struct ended {
	struct ev_child *child;
	pid_t pid;
	int count;
	int exit_code;
	int term_signal;
};

static void
on_child(void *arg, pid_t pid, int exit_code, int term_signal)
{
	struct ended *e = arg;

	assert_null(e->child);
	e->count++;
	e->pid = pid;
	e->exit_code = exit_code;
	e->term_signal = term_signal;
}

static pid_t
start_child(int exit_code, bool wait)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid != 0)
		return pid;
	if (wait)
		(void)pause();
	_exit(exit_code);
}

static void
how_children_end_is_told_to_each_watcher(void **state)
{
	struct fixture *f = *state;
	struct ended plain = {.count = 0};
	struct ended killed = {.count = 0};
	pid_t other = start_child(3, false);
	pid_t first = start_child(7, false);
	pid_t second = start_child(0, true);
	int status;

	assert_int_equal(
		ev_child_watch(f->loop, first, on_child, &plain, &plain.child),
		ERR_OK);
	assert_int_equal(ev_child_watch(f->loop, second, on_child, &killed,
					&killed.child),
			 ERR_OK);
	assert_int_equal(plain.count, 0);
	wait_for(f, plain.count);
	assert_int_equal(plain.pid, first);
	assert_int_equal(plain.exit_code, 7);
	assert_int_equal(killed.count, 0);
	assert_int_equal(kill(second, SIGKILL), 0);
	wait_for(f, killed.count);
	assert_int_equal(killed.term_signal, SIGKILL);
	/* A child that nobody watches is left to whoever started it. */
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(WEXITSTATUS(status), 3);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_timer_never_fires_early),
		CASE(a_cancelled_timer_does_not_fire),
		CASE(deferred_work_runs_before_the_loop_sleeps),
		CASE(deferred_work_can_be_cancelled),
		CASE(late_work_runs_behind_events_and_is_not_starved_by_them),
		CASE(late_work_that_queues_itself_again_comes_behind_the_events),
		CASE(a_loop_with_nothing_but_a_descriptor_sleeps),
		CASE(work_in_portions_gets_one_each_turn_and_the_loop_does_not_sleep),
		CASE(endless_deferred_work_does_not_starve_timers),
		CASE(a_signal_is_told),
		CASE(a_changed_directory_calls_back_once_for_a_burst),
		CASE(a_watched_file_is_followed_through_replacements),
		CASE(a_path_that_does_not_exist_is_not_watched),
		CASE(how_children_end_is_told_to_each_watcher),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
