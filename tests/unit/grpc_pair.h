/* grpc_pair.h - a server engine and a client engine, joined in memory.
 * Include it once. */
#ifndef GRPC_PAIR_H
#define GRPC_PAIR_H

#include "grpc/grpc.h"
#include "unit.h"

enum {
	CHUNK = 64 * 1024,
	REQUEST_MAX = 4096,
	RESPONSE_MAX = 256 * 1024
};

struct seen {
	unsigned open_cnt;
	unsigned message_cnt;
	unsigned half_close_cnt;
	unsigned end_cnt;
	unsigned drain_cnt;
	char message[REQUEST_MAX + 1];
	char token[64];
	struct grpc_call *call;
};

struct got {
	unsigned open_cnt;
	unsigned message_cnt;
	unsigned finish_cnt;
	size_t message_len;
	char message[64];
	enum grpc_status status;
	uint64_t retry_ms;
	char text[1200];
	struct grpc_request *cancel; /* in on_message */
};

struct pair {
	struct grpc_server *server;
	struct grpc_client *client;
	struct mono now;
	size_t chunk; /* bytes carried at once */
	struct seen seen;
	enum err server_err;
	enum err client_err;
};

/* -- the server's methods ---------------------------------------------- */

static void
on_open(void *app, struct grpc_call *call)
{
	struct pair *p = app;
	size_t cnt;
	const struct slice token =
		grpc_call_get_header(call, "authorization", &cnt);

	p->seen.open_cnt++;
	p->seen.call = call;
	if (cnt > 0)
		(void)snprintf(p->seen.token, sizeof(p->seen.token), "%zu:%.*s",
			       cnt, SLICE_FMT(token));
}

static void
on_echo(void *app, struct grpc_call *call, struct slice message)
{
	struct pair *p = app;

	p->seen.message_cnt++;
	(void)snprintf(p->seen.message, sizeof(p->seen.message), "%.*s",
		       SLICE_FMT(message));
	grpc_call_add_trailer(call, "x-request-id", "r-1");
	assert_int_equal(grpc_call_send2(call, message, SLICE_LIT("!")),
			 ERR_OK);
	grpc_call_finish(call, GRPC_OK, NULL);
}

static void
on_keep(void *app, struct grpc_call *call, struct slice message)
{
	struct pair *p = app;

	p->seen.message_cnt++;
	grpc_call_set_kept(call, message.len);
	(void)snprintf(p->seen.message, sizeof(p->seen.message), "%.*s",
		       SLICE_FMT(message));
}

static void
on_refuse(void *app UNUSED, struct grpc_call *call, struct slice message UNUSED)
{
	grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "50% of \"\xc3\xa4\"\n");
}

static void
on_later(void *app UNUSED, struct grpc_call *call, struct slice message UNUSED)
{
	grpc_call_finish_later(call, GRPC_RESOURCE_EXHAUSTED, "too many", 1500);
}

static void
on_half_close(void *app, struct grpc_call *call UNUSED)
{
	struct pair *p = app;

	p->seen.half_close_cnt++;
}

static void
on_end(void *app, struct grpc_call *call UNUSED)
{
	struct pair *p = app;

	p->seen.end_cnt++;
}

static void
on_drain(void *app, struct grpc_call *call UNUSED)
{
	struct pair *p = app;

	p->seen.drain_cnt++;
}

static const struct grpc_method methods[] = {
	{.path = "/t.T/Echo",
	 .request_max = REQUEST_MAX,
	 .on_open = on_open,
	 .on_message = on_echo,
	 .on_end = on_end},
	{.path = "/t.T/Keep",
	 .request_max = REQUEST_MAX,
	 .on_open = on_open,
	 .on_message = on_keep,
	 .on_half_close = on_half_close,
	 .on_end = on_end,
	 .on_drain = on_drain},
	{.path = "/t.T/Refuse",
	 .request_max = REQUEST_MAX,
	 .on_open = on_open,
	 .on_message = on_refuse,
	 .on_end = on_end},
	{.path = "/t.T/Later",
	 .request_max = REQUEST_MAX,
	 .on_message = on_later},
	{0},
};

/* -- the client -------------------------------------------------------- */

static void
got_open(void *arg, struct grpc_request *r UNUSED)
{
	struct got *g = arg;

	g->open_cnt++;
}

static void
got_message(void *arg, struct grpc_request *r UNUSED, struct slice message)
{
	struct got *g = arg;

	g->message_cnt++;
	g->message_len = message.len;
	(void)snprintf(g->message, sizeof(g->message), "%.*s",
		       message.len > 60 ? 60 : (int)message.len,
		       (const char *)message.p);
	if (g->cancel != NULL)
		grpc_request_cancel(&g->cancel);
}

static void
got_finish(void *arg, struct grpc_request *r, enum grpc_status status,
	   const char *text)
{
	struct got *g = arg;

	g->retry_ms = grpc_request_get_retry_ms(r);
	g->finish_cnt++;
	g->status = status;
	(void)snprintf(g->text, sizeof(g->text), "%s", text);
}

static const struct grpc_request_cbs request_cbs = {got_open, got_message,
						    got_finish};

static const struct h2_limits limits = {
	.streams_max = 100,
	.header_bytes_max = 8192,
	.stream_out_max = 128 * 1024,
	.window = 65535,
	.header_table = 4096,
	.cheap_frames_max = 50,
};

static void
pair_open(struct pair *p, const struct h2_limits *l)
{
	*p = (struct pair){.chunk = CHUNK};
	assert_int_equal(grpc_server_new(methods, l, p, &p->server), ERR_OK);
	assert_int_equal(grpc_client_new("localhost", false, l, &p->client),
			 ERR_OK);
}

static void
pair_close(struct pair *p)
{
	grpc_client_free(p->client, "test is over");
	grpc_server_free(p->server);
}

static bool
carry_up(struct pair *p)
{
	struct buf b;
	bool any;

	buf_init(&b, CHUNK);
	(void)grpc_client_take_output(p->client, &b, p->chunk);
	any = buf_len(&b) > 0;
	if (any && p->server_err == ERR_OK)
		p->server_err =
			grpc_server_feed(p->server, buf_get(&b), p->now);
	buf_fini(&b);
	return any;
}

static bool
carry_down(struct pair *p)
{
	struct buf b;
	bool any;

	buf_init(&b, CHUNK);
	(void)grpc_server_take_output(p->server, &b, p->chunk);
	any = buf_len(&b) > 0;
	if (any && p->client_err == ERR_OK)
		p->client_err =
			grpc_client_feed(p->client, buf_get(&b), p->now);
	buf_fini(&b);
	return any;
}

static void
carry(struct pair *p)
{
	bool any = true;

	while (any) {
		any = carry_up(p);
		any = carry_down(p) || any;
	}
}

static struct grpc_request *
start(struct pair *p, const char *path, const char *message, bool half_close,
      struct got *got)
{
	const struct h2_header h[] = {
		{SLICE_LIT("authorization"), SLICE_LIT("Bearer abc")},
		{SLICE_LIT("authorization"), SLICE_LIT("Bearer def")},
	};
	struct grpc_request *r;

	assert_int_equal(grpc_client_start(p->client, path, h, COUNT_OF(h),
					   slice_of_str(message), half_close, 0,
					   RESPONSE_MAX, &request_cbs, got, &r),
			 ERR_OK);
	return r;
}

#endif
