/* test_http.c - the request parser, and the server over loopback. */
#include "base/mem.h"
#include "http/http.h"
#include "patience.h"

enum {
	GOT_MAX = 64 * 1024,
	BIG_LEN = 8 * 1024 * 1024
};

/* -- the parser --------------------------------------------------------- */

static enum err
parse(const char *text, size_t body_max, struct http_parsed *p)
{
	struct slice in = slice_of_str(text);

	return http_request_parse(&in, body_max, p);
}

static void
a_request_is_taken_apart(void **state)
{
	struct http_parsed p;

	(void)state;
	assert_int_equal(
		parse("GET /metrics?x=1&y HTTP/1.1\r\nHost: a\r\n\r\n", 0, &p),
		ERR_OK);
	assert_string_equal(p.method, "GET");
	assert_true(slice_is_str(p.rq.path, "/metrics"));
	assert_true(slice_is_str(p.rq.query, "x=1&y"));
	assert_true(p.keep_alive);
	assert_false(p.rq.is_head);
	assert_int_equal(parse("HEAD http://a/b HTTP/1.1\r\nHost: a\r\n"
			       "Connection: close\r\n\r\n",
			       0, &p),
			 ERR_OK);
	assert_true(slice_is_str(p.rq.path, "/b"));
	assert_true(p.rq.is_head);
	assert_false(p.keep_alive);
}

static void
pipelined_requests_come_one_by_one(void **state)
{
	struct slice in =
		SLICE_LIT("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3"
			  "\r\n\r\nabcGET /b HTTP/1.0\r\n\r\nGET /c");
	struct http_parsed p;

	(void)state;
	assert_int_equal(http_request_parse(&in, 3, &p), ERR_OK);
	assert_string_equal(p.method, "POST");
	assert_true(slice_is_str(p.rq.body, "abc"));
	assert_int_equal(http_request_parse(&in, 3, &p), ERR_OK);
	assert_true(slice_is_str(p.rq.path, "/b"));
	assert_false(p.keep_alive);
	assert_int_equal(http_request_parse(&in, 3, &p), ERR_NOT_FOUND);
	assert_true(slice_is_str(in, "GET /c"));
}

static void
an_incomplete_request_says_how_much_it_needs(void **state)
{
	static const char text[] = "POST /a HTTP/1.1\r\nHost: a\r\n"
				   "Content-Length: 3\r\n\r\nabc";
	struct http_parsed p;

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		struct slice in = slice_of(text, len);
		bool has_headers = len >= sizeof(text) - 1 - 3;

		assert_int_equal(http_request_parse(&in, 3, &p), ERR_NOT_FOUND);
		assert_int_equal(in.len, len);
		assert_int_equal(p.need, has_headers ? sizeof(text) - 1 : 0);
	}
}

static void
bad_requests_get_the_right_status(void **state)
{
	static const struct {
		const char *text;
		enum err e;
		int status;
	} cases[] = {
		{"\x16\x03\x01 nonsense\r\n\r\n", ERR_SYNTAX, 400},
		{"GET / HTTP/1.1\r\n\r\n", ERR_SYNTAX, 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", ERR_SYNTAX,
		 400},
		{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", ERR_SYNTAX, 400},
		{"GET / HTTP/3.0\r\nHost: a\r\n\r\n", ERR_SYNTAX, 505},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n",
		 ERR_LIMIT, 413},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
		 ERR_SYNTAX, 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
		 "Content-Length: 2\r\n\r\n",
		 ERR_SYNTAX, 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
		 "\r\n0\r\n\r\n",
		 ERR_SYNTAX, 411},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
		 "Content-Length: 3\r\n\r\n",
		 ERR_SYNTAX, 400},
	};
	struct http_parsed p;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(parse(cases[i].text, 5, &p), cases[i].e);
		assert_int_equal(p.status, cases[i].status);
	}
	assert_int_equal(parse("POST / HTTP/1.1\r\nHost: a\r\n"
			       "Content-Length: 5\r\n\r\nabcde",
			       5, &p),
			 ERR_OK);
}

static void
headers_above_the_limit_are_refused(void **state)
{
	char text[HTTP_HEADERS_MAX + 200];
	struct http_parsed p;
	int len;

	(void)state;
	for (int over = 0; over < 2; over++) {
		int pad = HTTP_HEADERS_MAX - 41 + over;

		len = snprintf(text, sizeof(text),
			       "GET / HTTP/1.1\r\nHost: a\r\nPad: %0*d\r\n\r\n",
			       pad, 0);
		/* The whole is exactly the limit, then one byte more. */
		pad += HTTP_HEADERS_MAX + over - len;
		(void)snprintf(text, sizeof(text),
			       "GET / HTTP/1.1\r\nHost: a\r\nPad: %0*d\r\n\r\n",
			       pad, 0);
		assert_int_equal(strlen(text), HTTP_HEADERS_MAX + over);
		assert_int_equal(parse(text, 0, &p), over ? ERR_LIMIT : ERR_OK);
		assert_int_equal(p.status, over ? 431 : 0);
	}
	/* Without an end as well. */
	text[HTTP_HEADERS_MAX - 1] = 'x';
	text[HTTP_HEADERS_MAX] = 'x';
	text[HTTP_HEADERS_MAX + 1] = '\0';
	memset(text + HTTP_HEADERS_MAX - 8, 'x', 8);
	assert_int_equal(parse(text, 0, &p), ERR_LIMIT);
	assert_int_equal(p.status, 431);
}

/* -- the server --------------------------------------------------------- */

struct fixture {
	struct ev_loop *loop;
	struct http_server *server;
	struct patience patience;
	struct ev_connect *connect;
	struct ev_stream *client;
	bool closed;
	char addr[EV_ADDR_TEXT_MAX];
	char got[GOT_MAX];
	size_t got_len;
	size_t total;
	int calls;
};

static void
handle_hello(void *app, const struct http_request *rq, struct http_response *rs)
{
	((struct fixture *)app)->calls++;
	(void)rq;
	(void)buf_put_str(&rs->body, "hello\n");
}

static void
handle_echo(void *app, const struct http_request *rq, struct http_response *rs)
{
	(void)app;
	rs->status = 201;
	rs->content_type = "application/octet-stream";
	(void)buf_put(&rs->body, rq->body);
}

static void
handle_big(void *app, const struct http_request *rq, struct http_response *rs)
{
	uint8_t *p;

	(void)app;
	(void)rq;
	assert_int_equal(buf_reserve(&rs->body, BIG_LEN, &p), ERR_OK);
	memset(p, 'x', BIG_LEN);
	buf_commit(&rs->body, BIG_LEN);
}

static void
handle_too_big(void *app, const struct http_request *rq,
	       struct http_response *rs)
{
	uint8_t *p;

	(void)app;
	(void)rq;
	(void)!buf_reserve(&rs->body, HTTP_BODY_OUT_MAX + 1, &p);
}

static const struct http_route routes[] = {
	{"GET", "/hello", 0, handle_hello},
	{"POST", "/echo", 10, handle_echo},
	{"POST", "/long", 100, handle_echo},
	{"GET", "/big", 0, handle_big},
	{"GET", "/too-big", 0, handle_too_big},
	{NULL, NULL, 0, NULL},
};

static void
client_on_read(void *arg, struct slice bytes)
{
	struct fixture *f = arg;
	size_t room = GOT_MAX - 1 - f->got_len;
	size_t len = bytes.len < room ? bytes.len : room;

	memcpy(f->got + f->got_len, bytes.p, len);
	f->got_len += len;
	f->total += bytes.len;
}

static void
client_on_close(void *arg, enum err why)
{
	(void)why;
	((struct fixture *)arg)->closed = true;
}

static void
client_on_connect(void *arg, enum err e, const char *detail,
		  struct ev_stream *s)
{
	static const struct ev_stream_cbs cbs = {client_on_read, NULL,
						 client_on_close};
	struct fixture *f = arg;

	(void)detail;
	assert_int_equal(e, ERR_OK);
	f->client = s;
	ev_stream_start(s, &cbs, f, 1 << 20);
}

static void
client_open(struct fixture *f)
{
	ev_stream_close(&f->client, 0);
	f->closed = false;
	f->got_len = f->total = 0;
	memset(f->got, 0, sizeof(f->got));
	assert_int_equal(ev_connect_start(f->loop, f->addr, 5000,
					  client_on_connect, f, &f->connect),
			 ERR_OK);
	wait_for(f, f->client != NULL);
}

static int
setup(void **state)
{
	struct fixture *f = MEM_NEW(struct fixture);
	struct why why;
	int fd;

	assert_int_equal(ev_loop_new(&f->loop), ERR_OK);
	patience_start(f->loop, &f->patience);
	assert_int_equal(ev_bind("127.0.0.1:0", false, 0, &why, &fd), ERR_OK);
	ev_bound_text(fd, f->addr);
	assert_int_equal(http_server_new(f->loop, fd, routes, f, &f->server),
			 ERR_OK);
	client_open(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	ev_stream_close(&f->client, 0);
	http_server_free(f->server);
	patience_end(&f->patience);
	ev_loop_free(f->loop);
	mem_free(f);
	return 0;
}

static void
say(struct fixture *f, const char *text)
{
	assert_int_equal(ev_stream_write(f->client, slice_of_str(text)),
			 ERR_OK);
}

static bool
got_ends(const struct fixture *f, const char *end)
{
	return slice_has_suffix(slice_of(f->got, f->got_len), end);
}

static void
a_connection_serves_many_requests(void **state)
{
	struct fixture *f = *state;

	for (int i = 1; i <= 3; i++) {
		say(f, "GET /hello?x HTTP/1.1\r\nHost: a\r\n\r\n");
		wait_for(f, got_ends(f, "\r\n\r\nhello\n"));
		assert_int_equal(f->calls, i);
		assert_int_equal(strncmp(f->got, "HTTP/1.1 200 OK\r\n", 17), 0);
		assert_non_null(strstr(f->got, "\r\nContent-Length: 6\r\n"));
		f->got_len = 0;
	}
	/* Two at once, and one byte by byte. */
	say(f, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
	       "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for(f, f->calls == 5);
	for (const char *p = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"; *p;
	     p++) {
		char one[2] = {*p, 0};

		say(f, one);
		ev_loop_step(f->loop, false);
	}
	wait_for(f, f->calls == 6);
	assert_false(f->closed);
}

static void
head_has_the_length_and_no_body(void **state)
{
	struct fixture *f = *state;

	say(f, "HEAD /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	wait_for(f, f->closed);
	assert_true(got_ends(f, "\r\n\r\n"));
	assert_non_null(strstr(f->got, "\r\nContent-Length: 6\r\n"));
	assert_int_equal(f->calls, 1);
}

static void
a_body_is_taken_up_to_the_limit_of_its_route(void **state)
{
	struct fixture *f = *state;

	say(f, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
	       "01234");
	ev_loop_step(f->loop, false);
	say(f, "56789");
	wait_for(f, got_ends(f, "\r\n\r\n0123456789"));
	assert_non_null(strstr(f->got, "201 Created"));
	say(f, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"
	       "0123456789a");
	wait_for(f, strstr(f->got, "HTTP/1.1 413 ") != NULL);
	/* Above all routes: refused before it arrives. */
	client_open(f);
	say(f, "POST /long HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n");
	wait_for(f, f->closed);
	assert_non_null(strstr(f->got, "HTTP/1.1 413 "));
}

static void
what_has_no_route_is_404_and_a_wrong_method_405(void **state)
{
	struct fixture *f = *state;

	say(f, "GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for(f, strstr(f->got, "HTTP/1.1 404 Not Found\r\n") != NULL);
	say(f, "DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for(f, strstr(f->got, "HTTP/1.1 405 ") != NULL);
	assert_non_null(strstr(f->got, "\r\nAllow: GET, HEAD\r\n"));
	say(f, "HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for(f, strstr(f->got, "\r\nAllow: POST\r\n") != NULL);
	assert_int_equal(f->calls, 0);
	assert_false(f->closed);
}

static void
nonsense_is_answered_and_the_connection_ends(void **state)
{
	struct fixture *f = *state;

	say(f, "\x16\x03\x01\x02 and so on");
	wait_for(f, f->closed);
	assert_int_equal(strncmp(f->got, "HTTP/1.1 400 Bad Request\r\n", 26),
			 0);
	assert_non_null(strstr(f->got, "\r\nConnection: close\r\n"));
}

static void
a_slow_client_gets_a_big_answer_and_then_the_next(void **state)
{
	struct fixture *f = *state;

	say(f, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n"
	       "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	ev_stream_pause(f->client, true);
	for (int i = 0; i < 20; i++)
		ev_loop_step(f->loop, false);
	/* The second waits until the first is taken. */
	assert_int_equal(f->calls, 0);
	ev_stream_pause(f->client, false);
	wait_for(f, f->calls == 1);
	assert_true(f->total > 0);
	wait_for(f, f->total > BIG_LEN + 250);
}

static void
an_answer_above_its_maximum_is_an_error(void **state)
{
	struct fixture *f = *state;

	say(f, "GET /too-big HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for(f, strstr(f->got, "HTTP/1.1 500 ") != NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_taken_apart),
		cmocka_unit_test(pipelined_requests_come_one_by_one),
		cmocka_unit_test(an_incomplete_request_says_how_much_it_needs),
		cmocka_unit_test(bad_requests_get_the_right_status),
		cmocka_unit_test(headers_above_the_limit_are_refused),
		CASE(a_connection_serves_many_requests),
		CASE(head_has_the_length_and_no_body),
		CASE(a_body_is_taken_up_to_the_limit_of_its_route),
		CASE(what_has_no_route_is_404_and_a_wrong_method_405),
		CASE(nonsense_is_answered_and_the_connection_ends),
		CASE(a_slow_client_gets_a_big_answer_and_then_the_next),
		CASE(an_answer_above_its_maximum_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
