/* test_grpc_wire.c - what is on the wire: requests that are not gRPC, framing,
 * timeouts, statuses. */
#include "grpc/grpc.h"
#include "unit.h"

enum {
	CHUNK = 64 * 1024,
	REQUEST_MAX = 4096
};

static const struct h2_limits limits = {
	.streams_max = 100,
	.header_bytes_max = 8192,
	.stream_out_max = 128 * 1024,
	.window = 65535,
	.header_table = 4096,
	.cheap_frames_max = 50,
};

static void
on_open(void *app, struct grpc_call *call UNUSED)
{
	unsigned *open_cnt = app;

	(*open_cnt)++;
}

static void
on_echo(void *app UNUSED, struct grpc_call *call, struct slice message)
{
	assert_int_equal(grpc_call_send(call, message), ERR_OK);
	grpc_call_finish(call, GRPC_OK, NULL);
}

static const struct grpc_method methods[] = {
	{.path = "/t.T/Echo",
	 .request_max = REQUEST_MAX,
	 .on_open = on_open,
	 .on_message = on_echo},
	{0},
};

/* A client on h2 itself, that need not speak gRPC. */
struct raw {
	struct h2 *h2;
	char status[8];
	char grpc_status[8];
	unsigned header_cnt;
	unsigned close_cnt;
};

static enum err
raw_headers(void *arg, struct h2_stream *s UNUSED, const struct h2_header *h,
	    size_t cnt, bool trailers UNUSED, bool end UNUSED)
{
	struct raw *r = arg;

	r->header_cnt++;
	for (size_t i = 0; i < cnt; i++) {
		if (slice_is_str(h[i].name, ":status"))
			(void)snprintf(r->status, sizeof(r->status), "%.*s",
				       SLICE_FMT(h[i].value));
		if (slice_is_str(h[i].name, "grpc-status"))
			(void)snprintf(r->grpc_status, sizeof(r->grpc_status),
				       "%.*s", SLICE_FMT(h[i].value));
	}
	return ERR_OK;
}

static enum err
raw_data(void *arg UNUSED, struct h2_stream *s UNUSED, struct slice b UNUSED)
{
	return ERR_OK;
}

static void
raw_end(void *arg UNUSED, struct h2_stream *s UNUSED)
{
}

static void
raw_close(void *arg, struct h2_stream *s UNUSED, uint32_t code UNUSED)
{
	struct raw *r = arg;

	r->close_cnt++;
}

static void
raw_ask(struct raw *r, const char *method, const char *type, const char *te,
	const char *timeout, struct slice body)
{
	static const struct h2_cbs cbs = {.on_headers = raw_headers,
					  .on_data = raw_data,
					  .on_end = raw_end,
					  .on_close = raw_close};
	struct h2_header h[7] = {
		{SLICE_LIT(":method"), slice_of_str(method)},
		{SLICE_LIT(":scheme"), SLICE_LIT("http")},
		{SLICE_LIT(":path"), SLICE_LIT("/t.T/Echo")},
		{SLICE_LIT(":authority"), SLICE_LIT("localhost")},
		{SLICE_LIT("content-type"), slice_of_str(type)},
	};
	size_t cnt = 5;
	struct grpc_server *g;
	struct h2_stream *s;
	const struct mono now = {0};
	unsigned open_cnt = 0;
	struct buf b;
	bool any = true;

	if (te != NULL)
		h[cnt++] =
			(struct h2_header){SLICE_LIT("te"), slice_of_str(te)};
	if (timeout != NULL)
		h[cnt++] = (struct h2_header){SLICE_LIT("grpc-timeout"),
					      slice_of_str(timeout)};
	*r = (struct raw){0};
	buf_init(&b, CHUNK);
	assert_int_equal(grpc_server_new(methods, &limits, &open_cnt, &g),
			 ERR_OK);
	assert_int_equal(h2_new(false, &limits, &cbs, r, &r->h2), ERR_OK);
	assert_int_equal(h2_request(r->h2, h, cnt, false, NULL, &s), ERR_OK);
	if (body.len > 0)
		assert_int_equal(h2_stream_send_parts(s, &body, 1), ERR_OK);
	assert_int_equal(h2_stream_finish(s, NULL, 0), ERR_OK);
	while (any) {
		(void)h2_take_output(r->h2, &b, CHUNK);
		any = buf_len(&b) > 0;
		(void)grpc_server_feed(g, buf_get(&b), now);
		buf_reset(&b);
		(void)grpc_server_take_output(g, &b, CHUNK);
		any = any || buf_len(&b) > 0;
		assert_int_equal(h2_feed(r->h2, buf_get(&b), now), ERR_OK);
		buf_reset(&b);
	}
	assert_int_equal(r->close_cnt, 1);
	h2_free(r->h2);
	grpc_server_free(g);
	buf_fini(&b);
}

#define GRPC_TYPE "application/grpc"

static void
requests_that_are_not_grpc_are_told_so(void **state UNUSED)
{
	static const uint8_t good[] = {0, 0, 0, 0, 1, 'x'};
	static const uint8_t squeezed[] = {1, 0, 0, 0, 1, 'x'};
	static const uint8_t odd[] = {7, 0, 0, 0, 1, 'x'};
	static const uint8_t cut[] = {0, 0, 0, 0, 2, 'x'};
	const struct {
		const char *method;
		const char *type;
		const char *te;
		const char *timeout;
		struct slice body;
		const char *status;
		const char *grpc_status;
	} cases[] = {
		{"POST", GRPC_TYPE, "trailers", NULL, SLICE_ARRAY(good), "200",
		 "0"},
		{"POST", GRPC_TYPE "+proto", "trailers", "1S",
		 SLICE_ARRAY(good), "200", "0"},
		{"GET", GRPC_TYPE, "trailers", NULL, SLICE_ARRAY(good), "405",
		 ""},
		{"POST", "application/json", "trailers", NULL,
		 SLICE_ARRAY(good), "415", ""},
		{"POST", GRPC_TYPE "x", "trailers", NULL, SLICE_ARRAY(good),
		 "415", ""},
		{"POST", GRPC_TYPE, NULL, NULL, SLICE_ARRAY(good), "200", "13"},
		{"POST", GRPC_TYPE, "trailers", "1x", SLICE_ARRAY(good), "200",
		 "3"},
		{"POST", GRPC_TYPE, "trailers", NULL, SLICE_ARRAY(squeezed),
		 "200", "12"},
		{"POST", GRPC_TYPE, "trailers", NULL, SLICE_ARRAY(odd), "200",
		 "13"},
		{"POST", GRPC_TYPE, "trailers", NULL, SLICE_ARRAY(cut), "200",
		 "13"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct raw r;

		raw_ask(&r, cases[i].method, cases[i].type, cases[i].te,
			cases[i].timeout, cases[i].body);
		assert_string_equal(r.status, cases[i].status);
		assert_string_equal(r.grpc_status, cases[i].grpc_status);
	}
}

static void
garbage_is_a_protocol_error(void **state UNUSED)
{
	const struct mono now = {0};
	struct grpc_server *g;

	assert_int_equal(grpc_server_new(methods, &limits, NULL, &g), ERR_OK);
	assert_int_equal(
		grpc_server_feed(g, SLICE_LIT("GET / HTTP/1.1\r\n\r\n"), now),
		ERR_PROTOCOL);
	grpc_server_free(g);
}

/* -- parts ------------------------------------------------------------- */

static void
timeouts_are_read_in_every_unit(void **state UNUSED)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {{"1H", 3600000},
		    {"2M", 120000},
		    {"5S", 5000},
		    {"100m", 100},
		    {"1u", 1},
		    {"1500u", 2},
		    {"1n", 1},
		    {"0m", 0},
		    {"99999999H", 359999996400000}};
	static const char *const bad[] = {"",    "S",    "1",          "1s",
					  "-1S", "1.5S", "100000000S", " 1S"};
	uint64_t ms;

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_int_equal(
			grpc_timeout_parse(slice_of_str(good[i].text), &ms),
			ERR_OK);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_not_equal(
			grpc_timeout_parse(slice_of_str(bad[i]), &ms), ERR_OK);
}

static void
frames_are_read_back(void **state UNUSED)
{
	struct slice in;
	struct slice message;

	/* Compressed or not, four bytes of length, the message. */
	in = SLICE_LIT("\0\0\0\0\3abc\0\0\0\0\0");
	assert_int_equal(grpc_frame_read(&in, 2, &message), ERR_LIMIT);
	assert_int_equal(grpc_frame_read(&in, 3, &message), ERR_OK);
	assert_true(slice_is_str(message, "abc"));
	assert_int_equal(grpc_frame_read(&in, 3, &message), ERR_OK);
	assert_int_equal(message.len, 0);
	assert_int_equal(grpc_frame_read(&in, 3, &message), ERR_NOT_FOUND);
}

static void
errors_have_the_status_of_their_class(void **state UNUSED)
{
	assert_int_equal(grpc_status_of_err(ERR_OK), GRPC_OK);
	assert_int_equal(grpc_status_of_err(ERR_SYNTAX), GRPC_INVALID_ARGUMENT);
	assert_int_equal(grpc_status_of_err(ERR_DENIED),
			 GRPC_PERMISSION_DENIED);
	assert_int_equal(grpc_status_of_err(ERR_UNAUTHENTICATED),
			 GRPC_UNAUTHENTICATED);
	assert_int_equal(grpc_status_of_err(ERR_IO), GRPC_UNAVAILABLE);
	assert_int_equal(grpc_status_of_err(ERR_BUSY), GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(grpc_status_of_err(ERR_BUG), GRPC_INTERNAL);
	assert_string_equal(grpc_status_name(GRPC_UNAUTHENTICATED),
			    "UNAUTHENTICATED");
	assert_string_equal(grpc_status_name((enum grpc_status)99), "UNKNOWN");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_that_are_not_grpc_are_told_so),
		cmocka_unit_test(garbage_is_a_protocol_error),
		cmocka_unit_test(timeouts_are_read_in_every_unit),
		cmocka_unit_test(frames_are_read_back),
		cmocka_unit_test(errors_have_the_status_of_their_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
