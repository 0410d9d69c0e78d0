/* test_serve.c - server connections on the loop: what ends them. */
#include "unit.h"

#include <unistd.h>

#include "base/mem.h"
#include "grpc/serve.h"

enum {
	IDLE_MS = 100,
	PING_MS = 10,
	PATIENCE_MS = 5000
};

struct scene {
	struct ev_loop *loop;
	struct ev_listener *listener;
	struct ev_stream *client;
	struct ev_connect *connect;
	struct ev_timer *ping;
	char addr[96];
	struct slice opening; /* sent first */
	struct serve_opts opts;
	bool closed;
	unsigned pings;
};

/* The preface and empty SETTINGS. */
#define PREFACE                            \
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" \
	"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
/* POST /t.T/M, application/grpc, te: trailers; on stream 1, which stays open.
 */
#define CALL                                   \
	"\x00\x00\x2d\x01\x04\x00\x00\x00\x01" \
	"\x83\x86\x04\x06/t.T/M\x01\x01h"      \
	"\x0f\x10\x10"                         \
	"application/grpc"                     \
	"\x00\x02te\x08trailers"

static void
on_message(void *app UNUSED, struct grpc_call *call UNUSED,
	   struct slice message UNUSED)
{
}

static void
on_open_limited(void *app UNUSED, struct grpc_call *call)
{
	grpc_call_limit(call, IDLE_MS);
}

static const struct grpc_method methods[] = {
	{.path = "/t.T/M",
	 .request_max = 100,
	 .on_open = on_open_limited,
	 .on_message = on_message},
	{.path = NULL},
};

static void
on_server_close(void *app, struct serve_conn *c UNUSED, enum err e UNUSED,
		const char *detail UNUSED)
{
	struct scene *s = app;

	s->closed = true;
}

static void
on_accept(void *arg, struct ev_stream *stream)
{
	struct scene *s = arg;

	assert_int_equal(serve_conn_start(s->loop, stream, &s->opts, NULL),
			 ERR_OK);
}

/* -- the client: bytes, so that it may be as rude as it likes */

static void
on_ping(void *arg)
{
	static const uint8_t ping[17] = {0, 0, 8, 6};
	struct scene *s = arg;

	if (ev_stream_write(s->client, SLICE_ARRAY(ping)) == ERR_OK)
		s->pings++;
	assert_int_equal(ev_timer_start(s->loop, PING_MS, on_ping, s, &s->ping),
			 ERR_OK);
}

static void
on_read(void *arg UNUSED, struct slice bytes UNUSED)
{
}

static void
on_client_close(void *arg UNUSED, enum err e UNUSED)
{
}

static void
on_connect(void *arg, enum err e, const char *detail UNUSED,
	   struct ev_stream *stream)
{
	static const struct ev_stream_cbs cbs = {on_read, NULL,
						 on_client_close};
	struct scene *s = arg;

	assert_int_equal(e, ERR_OK);
	s->client = stream;
	ev_stream_start(stream, &cbs, s, 65536);
	assert_int_equal(ev_stream_write(stream, s->opening), ERR_OK);
	on_ping(s);
}

static void
scene_run(struct scene *s, struct slice opening)
{
	char *dir = mem_dup_str("/tmp/test_serve.XXXXXX");
	struct why why = {""};
	struct mono end = mono_add_ms(mono_now(), PATIENCE_MS);
	bool in_time;
	int fd;

	*s = (struct scene){.opening = opening};
	s->opts = (struct serve_opts){
		.methods = methods,
		.limits = {.streams_max = 10,
			   .header_bytes_max = 4096,
			   .stream_out_max = 65536,
			   .window = 65535,
			   .cheap_frames_max = 10000},
		.idle_timeout_ms = IDLE_MS,
		.out_max = 65536,
		.on_close = on_server_close,
		.app = s,
	};
	assert_non_null(mkdtemp(dir));
	(void)snprintf(s->addr, sizeof(s->addr), "unix:%s/s", dir);
	assert_int_equal(ev_loop_new(&s->loop), ERR_OK);
	assert_int_equal(ev_bind(s->addr, false, 0600, &why, &fd), ERR_OK);
	assert_int_equal(ev_listen_fd(s->loop, fd, on_accept, s, &s->listener),
			 ERR_OK);
	assert_int_equal(ev_connect_start(s->loop, s->addr, PATIENCE_MS,
					  on_connect, s, &s->connect),
			 ERR_OK);
	while (!s->closed && mono_is_before(mono_now(), end))
		ev_loop_step(s->loop, true);
	in_time = s->closed;
	ev_timer_cancel(&s->ping);
	ev_stream_close(&s->client, 0);
	ev_listener_close(&s->listener);
	(void)unlink(s->addr + 5);
	(void)rmdir(dir);
	mem_free(dir);
	ev_loop_step(s->loop, false);
	assert_true(in_time);
	ev_loop_free(s->loop);
}

static void
client_that_only_pings_is_idle(void **state UNUSED)
{
	struct scene s;

	scene_run(&s, SLICE_LIT(PREFACE));
	/* It was not cut at once either. */
	assert_true(s.pings >= 2);
}

static void
client_that_opens_a_call_and_sends_nothing_ends(void **state UNUSED)
{
	struct scene s;

	scene_run(&s, SLICE_LIT(PREFACE CALL));
	assert_true(s.pings >= 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_that_only_pings_is_idle),
		cmocka_unit_test(
			client_that_opens_a_call_and_sends_nothing_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
