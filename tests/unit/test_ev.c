/* test_ev.c - streams, listeners and connections over real sockets. */
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

enum {
	OUT_MAX = 1 << 20
};

/* One end of a conversation and what happened to it. */
struct end {
	struct ev_loop *loop;
	struct ev_stream *stream;
	char got[4096];
	size_t got_len;
	size_t total;
	int drained;
	int closed;
	enum err why;
	bool close_on_read;
};

struct fixture {
	struct ev_loop *loop;
	struct end a;
	struct end b;
	struct patience patience;
};

static int
setup(void **state)
{
	struct fixture *f = MEM_NEW(struct fixture);

	assert_int_equal(ev_loop_new(&f->loop), ERR_OK);
	f->a.loop = f->b.loop = f->loop;
	patience_start(f->loop, &f->patience);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	patience_end(&f->patience);
	ev_stream_close(&f->a.stream, 0);
	ev_stream_close(&f->b.stream, 0);
	ev_loop_free(f->loop);
	mem_free(f);
	return 0;
}

static void
end_on_read(void *arg, struct slice bytes)
{
	struct end *e = arg;
	size_t room = sizeof(e->got) - e->got_len;
	size_t len = bytes.len < room ? bytes.len : room;

	memcpy(e->got + e->got_len, bytes.p, len);
	e->got_len += len;
	e->total += bytes.len;
	if (e->close_on_read)
		ev_stream_close(&e->stream, 0);
}

static void
end_on_drain(void *arg)
{
	((struct end *)arg)->drained++;
}

static void
end_on_close(void *arg, enum err why)
{
	struct end *e = arg;

	e->closed++;
	e->why = why;
}

static const struct ev_stream_cbs end_cbs = {end_on_read, end_on_drain,
					     end_on_close};

static void
end_start(struct end *e)
{
	ev_stream_start(e->stream, &end_cbs, e, OUT_MAX);
}

static void
make_pair(struct fixture *f)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(ev_stream_from_fd(f->loop, fds[0], &f->a.stream),
			 ERR_OK);
	assert_int_equal(ev_stream_from_fd(f->loop, fds[1], &f->b.stream),
			 ERR_OK);
	end_start(&f->a);
	end_start(&f->b);
}

static void
flag_timer(void *arg)
{
	++*(int *)arg;
}

/* -- streams ------------------------------------------------------------ */

static void
bytes_arrive_and_the_end_is_told_once(void **state)
{
	struct fixture *f = *state;

	make_pair(f);
	assert_int_equal(ev_stream_write(f->a.stream, SLICE_LIT("hello")),
			 ERR_OK);
	assert_int_equal(f->b.got_len, 0);
	wait_for(f, f->b.got_len == 5);
	assert_memory_equal(f->b.got, "hello", 5);
	ev_stream_close(&f->a.stream, 0);
	assert_null(f->a.stream);
	wait_for(f, f->b.closed);
	assert_int_equal(f->b.why, ERR_CLOSED);
	for (int i = 0; i < 3; i++)
		ev_loop_step(f->loop, false);
	assert_int_equal(f->b.closed, 1);
	assert_int_equal(ev_stream_write(f->b.stream, SLICE_LIT("x")),
			 ERR_CLOSED);
}

static void
a_slow_reader_gets_all_and_drain_is_told(void **state)
{
	struct fixture *f = *state;
	size_t len = 900 * 1024;
	uint8_t *big = mem_new(len);

	make_pair(f);
	ev_stream_pause(f->b.stream, true);
	assert_int_equal(ev_stream_write(f->a.stream, slice_of(big, len)),
			 ERR_OK);
	assert_true(ev_stream_out_len(f->a.stream) > 0);
	for (int i = 0; i < 3; i++)
		ev_loop_step(f->loop, false);
	assert_int_equal(f->b.total, 0);
	ev_stream_pause(f->b.stream, false);
	wait_for(f, f->b.total == len);
	wait_for(f, f->a.drained == 1);
	assert_int_equal(ev_stream_out_len(f->a.stream), 0);
	mem_free(big);
}

static void
a_write_above_the_limit_is_refused_whole(void **state)
{
	struct fixture *f = *state;
	size_t len = OUT_MAX;
	uint8_t *big = mem_new(len);
	size_t waits;

	make_pair(f);
	ev_stream_pause(f->b.stream, true);
	assert_int_equal(ev_stream_write(f->a.stream, slice_of(big, len)),
			 ERR_OK);
	waits = ev_stream_out_len(f->a.stream);
	assert_int_equal(ev_stream_write(f->a.stream, slice_of(big, len)),
			 ERR_LIMIT);
	assert_int_equal(ev_stream_out_len(f->a.stream), waits);
	ev_stream_pause(f->b.stream, false);
	wait_for(f, f->b.total == len);
	mem_free(big);
}

static void
what_the_peer_sent_before_it_broke_is_still_read(void **state)
{
	struct fixture *f = *state;
	uint8_t *big = mem_new(150000);

	make_pair(f);
	/* b closes with unread bytes: the kernel reports an error to a. */
	assert_int_equal(ev_stream_write(f->a.stream, SLICE_LIT("unread")),
			 ERR_OK);
	assert_int_equal(ev_stream_write(f->b.stream, slice_of(big, 150000)),
			 ERR_OK);
	assert_int_equal(ev_stream_out_len(f->b.stream), 0);
	ev_stream_close(&f->b.stream, 0);
	wait_for(f, f->a.closed);
	assert_int_equal(f->a.total, 150000);
	mem_free(big);
}

/* It reads nothing until its output is taken, which will never be. */
static void
a_paused_stream_learns_that_its_peer_is_gone(void **state)
{
	struct fixture *f = *state;
	uint8_t *big = mem_new(OUT_MAX);

	make_pair(f);
	assert_int_equal(ev_stream_write(f->a.stream, slice_of(big, OUT_MAX)),
			 ERR_OK);
	assert_true(ev_stream_out_len(f->a.stream) > 0);
	ev_stream_pause(f->a.stream, true);
	ev_stream_close(&f->b.stream, 0);
	wait_for(f, f->a.closed);
	assert_int_equal(f->a.closed, 1);
	mem_free(big);
}

/* Both become readable in one turn; whoever is first closes the other. */
static void
read_and_close_other(void *arg, struct slice bytes)
{
	struct fixture *f = arg;

	assert_int_equal(bytes.len, 4);
	f->a.total++;
	ev_stream_close(&f->a.stream, 0);
	ev_stream_close(&f->b.stream, 0);
}

static void
a_stream_closed_in_a_turn_gets_no_event_of_that_turn(void **state)
{
	static const struct ev_stream_cbs cbs = {read_and_close_other, NULL,
						 end_on_close};
	struct fixture *f = *state;
	struct ev_stream **const streams[] = {&f->a.stream, &f->b.stream};
	int far[2];

	for (size_t i = 0; i < COUNT_OF(streams); i++) {
		int fds[2];

		assert_int_equal(
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
			0);
		far[i] = fds[1];
		assert_int_equal(ev_stream_from_fd(f->loop, fds[0], streams[i]),
				 ERR_OK);
		ev_stream_start(*streams[i], &cbs, f, OUT_MAX);
		assert_int_equal(write(far[i], "both", 4), 4);
	}
	wait_for(f, f->a.total > 0);
	ev_loop_step(f->loop, false);
	assert_int_equal(f->a.total, 1);
	(void)close(far[0]);
	(void)close(far[1]);
}

static void
close_with_linger_sends_what_waits(void **state)
{
	struct fixture *f = *state;
	size_t len = OUT_MAX;
	uint8_t *big = mem_new(len);

	make_pair(f);
	assert_int_equal(ev_stream_write(f->a.stream, slice_of(big, len)),
			 ERR_OK);
	assert_int_equal(ev_stream_write(f->b.stream, SLICE_LIT("late")),
			 ERR_OK);
	ev_stream_close(&f->a.stream, 5000);
	wait_for(f, f->b.closed);
	assert_int_equal(f->b.total, len);
	assert_int_equal(f->a.got_len, 0);
	mem_free(big);
}

static void
linger_is_bounded(void **state)
{
	struct fixture *f = *state;
	size_t len = OUT_MAX;
	uint8_t *big = mem_new(len);

	make_pair(f);
	ev_stream_pause(f->b.stream, true);
	assert_int_equal(ev_stream_write(f->a.stream, slice_of(big, len)),
			 ERR_OK);
	ev_stream_close(&f->a.stream, 30);
	for (int i = 0; i < 2; i++) {
		struct ev_timer *t;
		int fired = 0;

		assert_int_equal(
			ev_timer_start(f->loop, 50, flag_timer, &fired, &t),
			ERR_OK);
		wait_for(f, fired);
	}
	ev_stream_pause(f->b.stream, false);
	wait_for(f, f->b.closed);
	assert_true(f->b.total < len);
	mem_free(big);
}

static void
a_stream_may_be_closed_inside_its_read(void **state)
{
	struct fixture *f = *state;

	make_pair(f);
	f->b.close_on_read = true;
	assert_int_equal(ev_stream_write(f->a.stream, SLICE_LIT("x")), ERR_OK);
	wait_for(f, f->a.closed);
	assert_null(f->b.stream);
	assert_int_equal(f->b.closed, 0);
}

/* -- listening and connecting ------------------------------------------- */

struct meeting {
	struct fixture *f;
	struct ev_listener *listener;
	struct ev_connect *connect;
	char addr[EV_ADDR_TEXT_MAX];
	int accepted;
	int answered;
	enum err result;
	char detail[500];
};

static void
meeting_on_accept(void *arg, struct ev_stream *s)
{
	struct meeting *m = arg;

	m->accepted++;
	if (m->f->b.stream != NULL) {
		ev_stream_close(&s, 0);
		return;
	}
	m->f->b.stream = s;
	end_start(&m->f->b);
}

static void
meeting_on_connect(void *arg, enum err e, const char *detail,
		   struct ev_stream *s)
{
	struct meeting *m = arg;

	assert_null(m->connect);
	m->answered++;
	m->result = e;
	(void)snprintf(m->detail, sizeof(m->detail), "%s", detail);
	if (e == ERR_OK) {
		m->f->a.stream = s;
		end_start(&m->f->a);
	}
}

static void
meeting_listen(struct meeting *m, const char *addr)
{
	struct why why = {.text = ""};
	int fd;

	if (ev_bind(addr, false, 0600, &why, &fd) != ERR_OK)
		fail_msg("%s", why.text);
	ev_bound_text(fd, m->addr);
	assert_int_equal(ev_listen_fd(m->f->loop, fd, meeting_on_accept, m,
				      &m->listener),
			 ERR_OK);
}

static void
meeting_connect(struct meeting *m, const char *addr, uint64_t timeout_ms)
{
	assert_int_equal(ev_connect_start(m->f->loop, addr, timeout_ms,
					  meeting_on_connect, m, &m->connect),
			 ERR_OK);
	assert_int_equal(m->answered, 0);
	assert_non_null(m->connect);
	wait_for(m->f, m->answered);
}

static void
meeting_talk(struct meeting *m)
{
	wait_for(m->f, m->accepted);
	assert_int_equal(ev_stream_write(m->f->a.stream, SLICE_LIT("ping")),
			 ERR_OK);
	wait_for(m->f, m->f->b.got_len == 4);
	assert_int_equal(ev_stream_write(m->f->b.stream, SLICE_LIT("pong")),
			 ERR_OK);
	wait_for(m->f, m->f->a.got_len == 4);
}

static void
tcp_on_loopback_connects_and_talks(void **state)
{
	struct meeting m = {.f = *state};
	char text[EV_ADDR_TEXT_MAX];

	meeting_listen(&m, "127.0.0.1:0");
	meeting_connect(&m, m.addr, 2000);
	assert_int_equal(m.result, ERR_OK);
	meeting_talk(&m);
	ev_stream_get_peer_text(m.f->a.stream, text);
	assert_string_equal(text, m.addr);
	ev_stream_get_peer_text(m.f->b.stream, text);
	assert_memory_equal(text, "127.0.0.1:", 10);
	ev_listener_close(&m.listener);
}

static void
an_empty_host_takes_both_ip_versions(void **state)
{
	struct meeting m = {.f = *state};
	char addr[EV_ADDR_TEXT_MAX];
	char text[EV_ADDR_TEXT_MAX];

	meeting_listen(&m, ":0");
	(void)snprintf(addr, sizeof(addr), "127.0.0.1%s", strrchr(m.addr, ':'));
	meeting_connect(&m, addr, 2000);
	assert_int_equal(m.result, ERR_OK);
	meeting_talk(&m);
	/* Shown as people write it, not as ::ffff:127.0.0.1. */
	ev_stream_get_peer_text(m.f->b.stream, text);
	assert_memory_equal(text, "127.0.0.1:", 10);
	ev_listener_close(&m.listener);
}

static void
a_host_name_is_looked_up(void **state)
{
	struct meeting m = {.f = *state};
	char addr[EV_ADDR_TEXT_MAX];

	/* "localhost" may be ::1 first: then the second address must be tried.
	 */
	meeting_listen(&m, "127.0.0.1:0");
	(void)snprintf(addr, sizeof(addr), "localhost%s", strrchr(m.addr, ':'));
	meeting_connect(&m, addr, 5000);
	assert_string_equal(m.detail, addr);
	assert_int_equal(m.result, ERR_OK);
	meeting_talk(&m);
	ev_listener_close(&m.listener);
}

static void
an_unknown_host_name_is_an_error_that_names_it(void **state)
{
	struct meeting m = {.f = *state};

	meeting_connect(&m, "no-such-host.invalid:1", 5000);
	assert_int_not_equal(m.result, ERR_OK);
	assert_non_null(strstr(m.detail, "no-such-host.invalid"));
}

static void
meeting_cancel(void *arg)
{
	struct meeting *m = arg;

	assert_non_null(m->connect);
	ev_connect_cancel(&m->connect);
}

static void
a_cancelled_lookup_does_not_call_back(void **state)
{
	struct meeting m = {.f = *state};
	struct ev_defer cancel = {.loop = NULL};
	struct ev_timer *t;
	int fired = 0;

	assert_int_equal(ev_connect_start(m.f->loop, "localhost:1", 5000,
					  meeting_on_connect, &m, &m.connect),
			 ERR_OK);
	/* Right behind the start of the lookup, before it can answer. */
	ev_defer_queue(m.f->loop, &cancel, meeting_cancel, &m);
	ev_loop_step(m.f->loop, false);
	assert_null(m.connect);
	assert_int_equal(ev_timer_start(m.f->loop, 50, flag_timer, &fired, &t),
			 ERR_OK);
	wait_for(m.f, fired);
	assert_int_equal(m.answered, 0);
	/* The child was reaped: we have none. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void
a_closed_port_is_refused_with_its_address(void **state)
{
	struct meeting m = {.f = *state};
	char addr[EV_ADDR_TEXT_MAX];

	meeting_listen(&m, "127.0.0.1:0");
	memcpy(addr, m.addr, sizeof(addr));
	ev_listener_close(&m.listener);
	meeting_connect(&m, addr, 2000);
	assert_int_equal(m.result, ERR_UNAVAILABLE);
	assert_non_null(strstr(m.detail, addr));
	assert_non_null(strstr(m.detail, "refused"));
}

static void
bad_addresses_are_refused_at_once(void **state)
{
	struct fixture *f = *state;
	struct ev_connect *c;
	static const char *const bad[] = {
		"",    "host",   "host:",  "host:x", "host:65536",
		":80", "::1:80", "host:0", "unix:"};

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		assert_int_not_equal(ev_connect_start(f->loop, bad[i], 100,
						      meeting_on_connect, NULL,
						      &c),
				     ERR_OK);
		assert_null(c);
	}
}

static void
a_unix_socket_knows_its_peer_and_replaces_a_dead_one(void **state)
{
	struct meeting m = {.f = *state};
	struct ev_peer_cred cred;
	struct why why;
	struct stat st;
	char dir[64];
	char addr[80];
	int fd;

	temp_dir_make(dir);
	(void)snprintf(addr, sizeof(addr), "unix:%s/s", dir);
	for (int i = 0; i < 2; i++) {
		meeting_listen(&m, addr);
		assert_int_equal(stat(addr + 5, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		/* A living one is not replaced, a dead one is. */
		assert_int_equal(ev_bind(addr, false, 0600, &why, &fd),
				 ERR_EXISTS);
		assert_non_null(strstr(why.text, "listens there"));
		if (i == 0)
			ev_listener_close(&m.listener);
	}
	meeting_connect(&m, addr, 1000);
	assert_int_equal(m.result, ERR_OK);
	wait_for(m.f, m.f->b.stream != NULL || m.accepted > 0);
	assert_int_equal(ev_stream_get_peer_cred(m.f->a.stream, &cred), ERR_OK);
	assert_int_equal(cred.pid, getpid());
	assert_int_equal(cred.uid, getuid());
	ev_listener_close(&m.listener);
	assert_int_equal(unlink(addr + 5), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void
a_file_that_is_no_socket_is_not_replaced(void **state)
{
	struct why why;
	char dir[64];
	char addr[80];
	int fd;

	(void)state;
	temp_dir_make(dir);
	(void)snprintf(addr, sizeof(addr), "unix:%s/f", dir);
	fd = open(addr + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(ev_bind(addr, false, 0600, &why, &fd), ERR_EXISTS);
	assert_int_equal(fd, -1);
	assert_int_equal(access(addr + 5, F_OK), 0);
	(void)unlink(addr + 5);
	(void)rmdir(dir);
}

static void
accepting_goes_on_after_descriptors_ran_out(void **state)
{
	struct meeting m = {.f = *state};
	struct rlimit was;
	struct rlimit few;
	struct ev_timer *t;
	int fired = 0;
	int next;

	meeting_listen(&m, "127.0.0.1:0");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	/* Room for the client's socket, none for the accepted one. */
	next = dup(0);
	assert_true(next > 0);
	(void)close(next);
	few = (struct rlimit){(rlim_t)next + 1, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	meeting_connect(&m, m.addr, 2000);
	assert_int_equal(m.result, ERR_OK);
	assert_int_equal(ev_timer_start(m.f->loop, 120, flag_timer, &fired, &t),
			 ERR_OK);
	wait_for(m.f, fired);
	assert_int_equal(m.accepted, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	meeting_talk(&m);
	assert_int_equal(m.accepted, 1);
	ev_listener_close(&m.listener);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(bytes_arrive_and_the_end_is_told_once),
		CASE(a_slow_reader_gets_all_and_drain_is_told),
		CASE(a_write_above_the_limit_is_refused_whole),
		CASE(what_the_peer_sent_before_it_broke_is_still_read),
		CASE(a_paused_stream_learns_that_its_peer_is_gone),
		CASE(a_stream_closed_in_a_turn_gets_no_event_of_that_turn),
		CASE(close_with_linger_sends_what_waits),
		CASE(linger_is_bounded),
		CASE(a_stream_may_be_closed_inside_its_read),
		CASE(tcp_on_loopback_connects_and_talks),
		CASE(an_empty_host_takes_both_ip_versions),
		CASE(a_host_name_is_looked_up),
		CASE(an_unknown_host_name_is_an_error_that_names_it),
		CASE(a_cancelled_lookup_does_not_call_back),
		CASE(a_closed_port_is_refused_with_its_address),
		CASE(bad_addresses_are_refused_at_once),
		CASE(a_unix_socket_knows_its_peer_and_replaces_a_dead_one),
		CASE(a_file_that_is_no_socket_is_not_replaced),
		CASE(accepting_goes_on_after_descriptors_ran_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
