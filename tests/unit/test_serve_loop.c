/* test_serve_loop.c - whole gRPC connections on the loop, over loopback
 * sockets: calls, streams, back-pressure, endings. Limits of time are in
 * test_serve.c. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "grpc/serve.h"
#include "patience.h"

enum {
	BIG = 3 * 1024 * 1024
};

struct fix {
	struct ev_loop *loop;
	struct ev_listener *listener;
	struct patience patience;
	char addr[EV_ADDR_TEXT_MAX];
	struct serve_opts opts;
	struct serve_conn *conn;
	struct dial_conn *dial;
	/* what the server saw */
	unsigned ready_cnt;
	unsigned close_cnt;
	unsigned end_cnt;
	enum err close_err;
	char close_detail[200];
	struct grpc_call *kept;
	enum err refuse; /* what on_ready returns */
	/* what the client saw */
	unsigned dial_ready_cnt;
	unsigned dial_close_cnt;
	enum err dial_err;
	char dial_detail[300];
	unsigned finish_cnt;
	enum grpc_status status;
	char text[300];
	size_t message_len;
	char message[32];
};

static uint8_t big[BIG];

/* -- server ------------------------------------------------------------ */

static void
on_open(void *app, struct grpc_call *call)
{
	struct fix *f = serve_conn_get_app(app);

	assert_ptr_equal(app, f->conn);
	f->kept = call;
}

static void
on_echo(void *app UNUSED, struct grpc_call *call, struct slice message)
{
	assert_int_equal(grpc_call_send(call, message), ERR_OK);
	grpc_call_finish(call, GRPC_OK, NULL);
}

static void
on_big(void *app UNUSED, struct grpc_call *call, struct slice message UNUSED)
{
	assert_int_equal(grpc_call_send(call, SLICE_ARRAY(big)), ERR_OK);
	grpc_call_finish(call, GRPC_OK, NULL);
}

static void
on_keep(void *app UNUSED, struct grpc_call *call UNUSED,
	struct slice message UNUSED)
{
}

static void
on_drop(void *app, struct grpc_call *call UNUSED, struct slice message UNUSED)
{
	serve_conn_drop(app, ERR_DENIED, "dropped inside of a callback");
}

static void
on_end(void *app, struct grpc_call *call UNUSED)
{
	struct fix *f = serve_conn_get_app(app);

	f->end_cnt++;
}

static const struct grpc_method methods[] = {
	{.path = "/t.T/Echo",
	 .request_max = 4096,
	 .on_open = on_open,
	 .on_message = on_echo,
	 .on_end = on_end},
	{.path = "/t.T/Big",
	 .request_max = 4096,
	 .on_open = on_open,
	 .on_message = on_big,
	 .on_end = on_end},
	{.path = "/t.T/Keep",
	 .request_max = 4096,
	 .on_open = on_open,
	 .on_message = on_keep,
	 .on_end = on_end},
	{.path = "/t.T/Drop",
	 .request_max = 4096,
	 .on_open = on_open,
	 .on_message = on_drop,
	 .on_end = on_end},
	{0},
};

static enum err
on_ready(void *app, struct serve_conn *c)
{
	struct fix *f = app;

	f->ready_cnt++;
	f->conn = c;
	return f->refuse;
}

static void
on_close(void *app, struct serve_conn *c UNUSED, enum err e, const char *detail)
{
	struct fix *f = app;

	f->close_cnt++;
	f->close_err = e;
	f->conn = NULL;
	(void)snprintf(f->close_detail, sizeof(f->close_detail), "%s", detail);
}

static void
on_accept(void *arg, struct ev_stream *stream)
{
	struct fix *f = arg;
	struct serve_conn *c;

	assert_int_equal(serve_conn_start(f->loop, stream, &f->opts, &c),
			 ERR_OK);
}

/* -- client ------------------------------------------------------------ */

static void
dial_ready(void *arg, struct dial_conn *c UNUSED)
{
	struct fix *f = arg;

	f->dial_ready_cnt++;
}

static void
dial_closed(void *arg, enum err e, const char *detail)
{
	struct fix *f = arg;

	f->dial = NULL;
	f->dial_close_cnt++;
	f->dial_err = e;
	(void)snprintf(f->dial_detail, sizeof(f->dial_detail), "%s", detail);
}

static void
got_message(void *arg, struct grpc_request *r UNUSED, struct slice message)
{
	struct fix *f = arg;

	f->message_len = message.len;
	(void)snprintf(f->message, sizeof(f->message), "%.*s",
		       message.len > 20 ? 20 : (int)message.len,
		       (const char *)message.p);
}

static void
got_finish(void *arg, struct grpc_request *r UNUSED, enum grpc_status status,
	   const char *text)
{
	struct fix *f = arg;

	f->finish_cnt++;
	f->status = status;
	(void)snprintf(f->text, sizeof(f->text), "%s", text);
}

static const struct grpc_request_cbs request_cbs = {
	.on_message = got_message,
	.on_finish = got_finish,
};

static const struct h2_limits limits = {
	.streams_max = 100,
	.header_bytes_max = 8192,
	.stream_out_max = BIG + 1024,
	.window = 65535,
	.header_table = 4096,
	.cheap_frames_max = 100,
};

static void
dial(struct fix *f)
{
	const struct dial_opts o = {
		.addr = f->addr,
		.limits = limits,
		.timeout_ms = PATIENCE_MS / 2,
		.on_ready = dial_ready,
		.on_close = dial_closed,
		.arg = f,
	};

	assert_int_equal(dial_start(f->loop, &o, &f->dial), ERR_OK);
	wait_for(f, f->dial_ready_cnt + f->dial_close_cnt > 0);
}

static struct grpc_request *
start(struct fix *f, const char *path, uint64_t timeout_ms)
{
	struct grpc_request *r;

	assert_int_equal(grpc_client_start(dial_get_client(f->dial), path, NULL,
					   0, SLICE_LIT("hello"), true,
					   timeout_ms, BIG, &request_cbs, f,
					   &r),
			 ERR_OK);
	dial_wake(f->dial);
	return r;
}

static void
wait_finish(struct fix *f, unsigned cnt)
{
	wait_for(f, f->finish_cnt >= cnt);
}

static void
wait_server_close(struct fix *f)
{
	wait_for(f, f->close_cnt > 0);
}

/* -- fixture ----------------------------------------------------------- */

static int
setup(void **state)
{
	struct fix *f = MEM_NEW(struct fix);
	struct why why;
	int fd;

	*state = f;
	assert_int_equal(ev_loop_new(&f->loop), ERR_OK);
	patience_start(f->loop, &f->patience);
	assert_int_equal(ev_bind("127.0.0.1:0", false, 0, &why, &fd), ERR_OK);
	ev_bound_text(fd, f->addr);
	assert_int_equal(ev_listen_fd(f->loop, fd, on_accept, f, &f->listener),
			 ERR_OK);
	f->opts = (struct serve_opts){
		.methods = methods,
		.limits = limits,
		.out_max = 128 * 1024,
		.on_ready = on_ready,
		.on_close = on_close,
		.app = f,
	};
	return 0;
}

static int
teardown(void **state)
{
	struct fix *f = *state;

	dial_close(&f->dial, "the test is over");
	if (f->conn != NULL)
		serve_conn_drop(f->conn, ERR_CANCELLED, "the test is over");
	ev_listener_close(&f->listener);
	patience_end(&f->patience);
	ev_loop_free(f->loop);
	mem_free(f);
	return 0;
}

/* -- tests ------------------------------------------------------------- */

static void
unary_calls_are_answered(void **state)
{
	struct fix *f = *state;

	dial(f);
	for (unsigned i = 0; i < 10; i++)
		(void)start(f, "/t.T/Echo", 0);
	wait_finish(f, 10);
	assert_int_equal(f->status, GRPC_OK);
	assert_string_equal(f->message, "hello");
	assert_int_equal(f->end_cnt, 10);
	assert_int_equal(f->ready_cnt, 1);
}

static void
answer_larger_than_all_buffers_comes_whole(void **state)
{
	struct fix *f = *state;

	dial(f);
	(void)start(f, "/t.T/Big", 0);
	wait_finish(f, 1);
	assert_int_equal(f->status, GRPC_OK);
	assert_int_equal(f->message_len, BIG);
}

static void
late_call_ends_with_deadline_exceeded(void **state)
{
	struct fix *f = *state;

	dial(f);
	(void)start(f, "/t.T/Keep", 20);
	wait_finish(f, 1);
	assert_int_equal(f->status, GRPC_DEADLINE_EXCEEDED);
	assert_int_equal(f->end_cnt, 1);
}

static void
answer_from_outside_of_a_callback_goes_after_a_wake(void **state)
{
	struct fix *f = *state;

	dial(f);
	(void)start(f, "/t.T/Keep", 0);
	wait_for(f, f->kept != NULL);
	assert_int_equal(grpc_call_send(f->kept, SLICE_LIT("late")), ERR_OK);
	grpc_call_finish(f->kept, GRPC_OK, NULL);
	serve_conn_wake(f->conn);
	wait_finish(f, 1);
	assert_string_equal(f->message, "late");
}

/* One call on the connection: written at once. Two: at the end of the turn. */
static void
push_goes_at_once_where_one_call_is_open(void **state)
{
	struct fix *f = *state;

	for (unsigned calls = 1; calls <= 2; calls++) {
		size_t waits;

		f->kept = NULL;
		if (calls == 1)
			dial(f);
		(void)start(f, "/t.T/Keep", 0);
		wait_for(f, f->kept != NULL);
		assert_int_equal(grpc_call_send(f->kept, SLICE_LIT("pushed")),
				 ERR_OK);
		serve_conn_push(f->conn);
		waits = grpc_call_out_len(f->kept);
		assert_int_equal(waits > 0, calls == 2);
		f->message_len = 0;
		wait_for(f, f->message_len > 0);
		assert_string_equal(f->message, "pushed");
	}
}

/* RFC 9113 3.4: the settings of both go in one write of ours. */
static void
server_is_silent_until_the_client_spoke(void **state)
{
	static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				    "\0\0\0\4\0\0\0\0\0";
	struct fix *f = *state;
	struct ev_stream *stream;
	uint8_t got[256];
	int fds[2];
	ssize_t n;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(ev_stream_from_fd(f->loop, fds[0], &stream), ERR_OK);
	on_accept(f, stream);
	wait_for(f, f->ready_cnt > 0);
	assert_int_equal(recv(fds[1], got, sizeof(got), MSG_DONTWAIT), -1);
	assert_int_equal(write(fds[1], hello, sizeof(hello) - 1),
			 (ssize_t)sizeof(hello) - 1);
	wait_for(f, (n = recv(fds[1], got, sizeof(got), MSG_DONTWAIT)) >= 0);
	/* SETTINGS, and the ACK behind it. */
	assert_int_equal(got[3], 4);
	assert_true(n > 9 && got[n - 9 + 3] == 4 && got[n - 9 + 4] == 1);
	(void)close(fds[1]);
	wait_server_close(f);
}

static void
idle_connection_is_closed_and_a_used_one_is_not(void **state)
{
	struct fix *f = *state;

	f->opts.idle_timeout_ms = 40;
	dial(f);
	(void)start(f, "/t.T/Keep", 300);
	wait_finish(f, 1);
	/* The open call kept it for 300 ms. */
	assert_int_equal(f->status, GRPC_DEADLINE_EXCEEDED);
	assert_int_equal(f->close_cnt, 0);
	wait_server_close(f);
	wait_for(f, f->dial_close_cnt > 0);
	assert_int_equal(f->dial_err, ERR_CLOSED);
}

static void
shutdown_waits_for_the_calls(void **state)
{
	struct fix *f = *state;

	dial(f);
	(void)start(f, "/t.T/Keep", 0);
	wait_for(f, f->kept != NULL);
	serve_conn_shutdown(f->conn);
	wait_for(f, !grpc_client_is_usable(dial_get_client(f->dial)));
	assert_int_equal(f->close_cnt, 0);
	grpc_call_finish(f->kept, GRPC_OK, "");
	serve_conn_wake(f->conn);
	wait_finish(f, 1);
	assert_int_equal(f->status, GRPC_OK);
	wait_server_close(f);
}

static void
drop_inside_of_a_callback_ends_call_and_connection_once(void **state)
{
	struct fix *f = *state;

	dial(f);
	(void)start(f, "/t.T/Drop", 0);
	wait_finish(f, 1);
	assert_int_equal(f->status, GRPC_UNAVAILABLE);
	wait_server_close(f);
	assert_int_equal(f->close_cnt, 1);
	assert_int_equal(f->end_cnt, 1);
	assert_int_equal(f->close_err, ERR_DENIED);
	assert_string_equal(f->close_detail, "dropped inside of a callback");
	assert_null(f->dial);
	/* Who reads it knows which server it was. */
	assert_non_null(strstr(f->text, f->addr));
}

static void
connection_refused_by_on_ready_is_closed(void **state)
{
	struct fix *f = *state;

	f->refuse = ERR_BUSY;
	dial(f);
	wait_server_close(f);
	assert_int_equal(f->close_err, ERR_BUSY);
	wait_for(f, f->dial_close_cnt > 0);
}

static void
nobody_listening_is_told_with_the_address(void **state)
{
	struct fix *f = *state;

	ev_listener_close(&f->listener);
	dial(f);
	assert_int_equal(f->dial_ready_cnt, 0);
	assert_int_equal(f->dial_close_cnt, 1);
	assert_non_null(strstr(f->dial_detail, f->addr));
}

static void
closing_client_ends_its_requests_and_the_server_s_calls(void **state)
{
	struct fix *f = *state;

	dial(f);
	(void)start(f, "/t.T/Keep", 0);
	wait_for(f, f->kept != NULL);
	dial_close(&f->dial, "no longer needed");
	assert_int_equal(f->finish_cnt, 1);
	assert_int_equal(f->status, GRPC_UNAVAILABLE);
	assert_string_equal(f->text, "no longer needed");
	assert_int_equal(f->dial_close_cnt, 0);
	wait_server_close(f);
	assert_int_equal(f->end_cnt, 1);
	assert_int_equal(f->close_err, ERR_CLOSED);
}

static void
nonsense_is_cut_off(void **state)
{
	struct fix *f = *state;
	int fds[2];
	struct ev_stream *s;
	struct serve_conn *c;
	static const char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(ev_stream_from_fd(f->loop, fds[0], &s), ERR_OK);
	assert_int_equal(serve_conn_start(f->loop, s, &f->opts, &c), ERR_OK);
	assert_int_equal(write(fds[1], text, sizeof(text) - 1),
			 sizeof(text) - 1);
	wait_server_close(f);
	assert_int_equal(f->close_err, ERR_PROTOCOL);
	(void)close(fds[1]);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(unary_calls_are_answered),
		T(answer_larger_than_all_buffers_comes_whole),
		T(late_call_ends_with_deadline_exceeded),
		T(answer_from_outside_of_a_callback_goes_after_a_wake),
		T(push_goes_at_once_where_one_call_is_open),
		T(server_is_silent_until_the_client_spoke),
		T(idle_connection_is_closed_and_a_used_one_is_not),
		T(shutdown_waits_for_the_calls),
		T(drop_inside_of_a_callback_ends_call_and_connection_once),
		T(connection_refused_by_on_ready_is_closed),
		T(nobody_listening_is_told_with_the_address),
		T(closing_client_ends_its_requests_and_the_server_s_calls),
		T(nonsense_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
