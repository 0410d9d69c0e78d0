/* test_grpc.c - server engine against client engine, in memory. */
#include "base/mem.h"
#include "grpc_pair.h"
#include "unit.h"

static void
unary_call_brings_message_and_status(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};

	pair_open(&p, &limits);
	(void)start(&p, "/t.T/Echo", "hello", true, &got);
	carry(&p);
	assert_string_equal(p.seen.message, "hello");
	assert_string_equal(p.seen.token, "2:Bearer abc");
	assert_string_equal(got.message, "hello!");
	assert_int_equal(got.open_cnt, 1);
	assert_int_equal(got.finish_cnt, 1);
	assert_int_equal(got.status, GRPC_OK);
	assert_int_equal(p.seen.end_cnt, 1);
	assert_int_equal(grpc_server_call_count(p.server), 0);
	assert_int_equal(p.server_err, ERR_OK);
	assert_int_equal(p.client_err, ERR_OK);
	pair_close(&p);
	assert_int_equal(got.finish_cnt, 1);
}

static void
any_cut_of_the_bytes_gives_the_same_answer(void **state UNUSED)
{
	for (size_t chunk = 1; chunk < 40; chunk++) {
		struct pair p;
		struct got got = {0};

		pair_open(&p, &limits);
		p.chunk = chunk;
		(void)start(&p, "/t.T/Echo", "hello", true, &got);
		carry(&p);
		assert_string_equal(got.message, "hello!");
		assert_int_equal(got.status, GRPC_OK);
		pair_close(&p);
	}
}

static void
many_calls_share_a_connection(void **state UNUSED)
{
	struct pair p;
	struct got got[64] = {0};

	pair_open(&p, &limits);
	for (unsigned round = 0; round < 20; round++) {
		for (size_t i = 0; i < COUNT_OF(got); i++)
			(void)start(&p, "/t.T/Echo", "x", true, &got[i]);
		carry(&p);
	}
	for (size_t i = 0; i < COUNT_OF(got); i++) {
		assert_int_equal(got[i].finish_cnt, 20);
		assert_int_equal(got[i].status, GRPC_OK);
	}
	assert_int_equal(p.seen.end_cnt, 20 * COUNT_OF(got));
	assert_int_equal(p.server_err, ERR_OK);
	pair_close(&p);
}

static void
status_texts_survive_the_wire(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};

	pair_open(&p, &limits);
	(void)start(&p, "/t.T/Refuse", "x", true, &got);
	carry(&p);
	assert_int_equal(got.status, GRPC_INVALID_ARGUMENT);
	/* The line feed came, and is not shown. */
	assert_string_equal(got.text, "50% of \"\xc3\xa4\"?");
	assert_int_equal(got.message_cnt, 0);
	pair_close(&p);
}

/* What is inside grpc-status-details-bin, others' clients read: a flow test
 * looks at it. */
static void
a_refusal_can_say_when_to_come_again(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};

	pair_open(&p, &limits);
	(void)start(&p, "/t.T/Later", "x", true, &got);
	carry(&p);
	assert_int_equal(got.status, GRPC_RESOURCE_EXHAUSTED);
	assert_string_equal(got.text, "too many");
	assert_int_equal(got.retry_ms, 1500);
	(void)start(&p, "/t.T/Refuse", "x", true, &got);
	carry(&p);
	assert_int_equal(got.retry_ms, 0);
	pair_close(&p);
}

static void
unknown_method_is_unimplemented(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};

	pair_open(&p, &limits);
	(void)start(&p, "/t.T/Nothing", "x", true, &got);
	carry(&p);
	assert_int_equal(got.status, GRPC_UNIMPLEMENTED);
	assert_string_equal(got.text, "unknown method /t.T/Nothing");
	assert_int_equal(p.seen.open_cnt, 0);
	pair_close(&p);
}

static void
message_at_the_limit_is_taken_and_above_is_refused(void **state UNUSED)
{
	static char text[REQUEST_MAX + 2];
	struct pair p;
	struct got got = {0};

	pair_open(&p, &limits);
	memset(text, 'a', REQUEST_MAX);
	(void)start(&p, "/t.T/Echo", text, true, &got);
	carry(&p);
	assert_int_equal(got.status, GRPC_OK);
	assert_int_equal(got.message_len, REQUEST_MAX + 1);
	text[REQUEST_MAX] = 'a';
	(void)start(&p, "/t.T/Echo", text, true, &got);
	carry(&p);
	assert_int_equal(got.status, GRPC_RESOURCE_EXHAUSTED);
	assert_string_equal(got.text, "message is longer than 4096 bytes");
	assert_int_equal(p.seen.message_cnt, 1);
	pair_close(&p);
}

static void
request_without_message_is_refused(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};
	struct grpc_request *r;

	pair_open(&p, &limits);
	r = start(&p, "/t.T/Echo", "", false, &got);
	grpc_request_half_close(r);
	carry(&p);
	assert_int_equal(got.status, GRPC_INTERNAL);
	assert_string_equal(got.text, "the request holds no message");
	pair_close(&p);
}

static void
streams_go_both_ways_until_one_ends(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};
	struct grpc_request *r;

	pair_open(&p, &limits);
	r = start(&p, "/t.T/Keep", "one", false, &got);
	carry(&p);
	assert_string_equal(p.seen.message, "one");
	assert_int_equal(grpc_request_send(r, SLICE_LIT("two")), ERR_OK);
	carry(&p);
	assert_string_equal(p.seen.message, "two");
	assert_int_equal(grpc_call_send(p.seen.call, SLICE_LIT("A")), ERR_OK);
	assert_int_equal(grpc_call_send(p.seen.call, SLICE_LIT("B")), ERR_OK);
	carry(&p);
	assert_int_equal(got.message_cnt, 2);
	assert_string_equal(got.message, "B");
	assert_int_equal(p.seen.drain_cnt, 1);
	grpc_request_half_close(r);
	carry(&p);
	assert_int_equal(p.seen.half_close_cnt, 1);
	assert_int_equal(got.finish_cnt, 0);
	grpc_call_finish(p.seen.call, GRPC_OK, NULL);
	carry(&p);
	assert_int_equal(got.finish_cnt, 1);
	assert_int_equal(got.status, GRPC_OK);
	assert_int_equal(p.seen.end_cnt, 1);
	pair_close(&p);
}

static void
server_may_end_while_the_client_still_sends(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};

	pair_open(&p, &limits);
	(void)start(&p, "/t.T/Keep", "one", false, &got);
	carry(&p);
	assert_int_equal(grpc_call_send(p.seen.call, SLICE_LIT("A")), ERR_OK);
	grpc_call_finish(p.seen.call, GRPC_PERMISSION_DENIED, "go away");
	carry(&p);
	assert_int_equal(got.finish_cnt, 1);
	assert_int_equal(got.status, GRPC_PERMISSION_DENIED);
	assert_string_equal(got.message, "A");
	/* The stream is gone on both sides: nothing waits for anything. */
	grpc_server_shutdown(p.server);
	carry(&p);
	assert_true(grpc_server_is_finished(p.server));
	pair_close(&p);
}

static void
cancelled_request_ends_the_call(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};
	struct grpc_request *r;

	pair_open(&p, &limits);
	r = start(&p, "/t.T/Keep", "one", false, &got);
	carry(&p);
	assert_int_equal(grpc_server_call_count(p.server), 1);
	grpc_request_cancel(&r);
	assert_null(r);
	carry(&p);
	assert_int_equal(p.seen.end_cnt, 1);
	assert_int_equal(grpc_server_call_count(p.server), 0);
	assert_int_equal(got.finish_cnt, 0);
	pair_close(&p);
}

static void
request_cancelled_in_its_own_callback_is_gone(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};

	pair_open(&p, &limits);
	got.cancel = start(&p, "/t.T/Keep", "one", false, &got);
	carry(&p);
	assert_int_equal(grpc_call_send(p.seen.call, SLICE_LIT("A")), ERR_OK);
	assert_int_equal(grpc_call_send(p.seen.call, SLICE_LIT("B")), ERR_OK);
	carry(&p);
	assert_int_equal(got.message_cnt, 1);
	assert_int_equal(got.finish_cnt, 0);
	assert_int_equal(p.seen.end_cnt, 1);
	pair_close(&p);
}

static void
deadline_ends_the_call(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};
	struct grpc_request *r;
	struct mono next;

	pair_open(&p, &limits);
	p.now.ns = 1000000000;
	assert_int_equal(grpc_client_start(p.client, "/t.T/Keep", NULL, 0,
					   SLICE_LIT("x"), true, 250,
					   RESPONSE_MAX, &request_cbs, &got,
					   &r),
			 ERR_OK);
	carry(&p);
	assert_true(grpc_server_expire(p.server, p.now, &next));
	assert_int_equal(next.ns, 1250000000);
	assert_int_equal(p.seen.end_cnt, 0);
	assert_false(grpc_server_expire(p.server, next, &next));
	assert_int_equal(p.seen.end_cnt, 1);
	carry(&p);
	assert_int_equal(got.status, GRPC_DEADLINE_EXCEEDED);
	pair_close(&p);
}

/* A client that opens a call and sends nothing would hold its connection for
 * ever. */
static void
server_sets_a_limit_where_the_client_sets_none(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};
	struct grpc_request *r;
	struct mono next;

	pair_open(&p, &limits);
	p.now.ns = 1000000000;
	assert_int_equal(grpc_client_start(p.client, "/t.T/Keep", NULL, 0,
					   SLICE_NONE, false, 0, RESPONSE_MAX,
					   &request_cbs, &got, &r),
			 ERR_OK);
	carry(&p);
	assert_false(grpc_server_expire(p.server, p.now, &next));
	grpc_call_limit(p.seen.call, 250);
	/* A later one changes nothing. */
	grpc_call_limit(p.seen.call, 500);
	assert_true(grpc_server_expire(p.server, p.now, &next));
	assert_int_equal(next.ns, 1250000000);
	assert_false(grpc_server_expire(p.server, next, &next));
	assert_int_equal(p.seen.end_cnt, 1);
	carry(&p);
	assert_int_equal(got.status, GRPC_DEADLINE_EXCEEDED);
	pair_close(&p);
}

static void
slow_reader_makes_the_server_busy_and_drains_later(void **state UNUSED)
{
	static uint8_t big[40 * 1024];
	struct pair p;
	struct got got = {0};
	unsigned sent = 0;

	pair_open(&p, &limits);
	(void)start(&p, "/t.T/Keep", "x", true, &got);
	carry(&p);
	while (grpc_call_send(p.seen.call, SLICE_ARRAY(big)) == ERR_OK)
		sent++;
	assert_int_equal(sent, 3); /* of 128 KiB */
	assert_int_equal(grpc_call_send(p.seen.call, SLICE_ARRAY(big)),
			 ERR_BUSY);
	assert_true(grpc_call_out_len(p.seen.call) > sizeof(big));
	carry(&p);
	assert_int_equal(got.message_cnt, 3);
	assert_int_equal(got.message_len, sizeof(big));
	assert_int_equal(grpc_call_out_len(p.seen.call), 0);
	assert_true(p.seen.drain_cnt >= 1);
	pair_close(&p);
}

static void
output_is_taken_in_small_pieces_without_loss(void **state UNUSED)
{
	static uint8_t big[100 * 1024];
	struct pair p;
	struct got got[3] = {0};

	pair_open(&p, &limits);
	for (size_t i = 0; i < COUNT_OF(got); i++) {
		(void)start(&p, "/t.T/Keep", "x", true, &got[i]);
		carry(&p);
		assert_int_equal(grpc_call_send(p.seen.call, SLICE_ARRAY(big)),
				 ERR_OK);
		grpc_call_finish(p.seen.call, GRPC_OK, "fine");
	}
	p.chunk = 1000;
	carry(&p);
	for (size_t i = 0; i < COUNT_OF(got); i++) {
		assert_int_equal(got[i].message_len, sizeof(big));
		assert_string_equal(got[i].text, "fine");
	}
	pair_close(&p);
}

/* All sessions of a thread share a frame buffer: nothing of one may show up in
 * the output of another, however they take turns. */
static void
sessions_that_take_turns_do_not_mix(void **state UNUSED)
{
	struct pair p[5];
	struct got got[COUNT_OF(p)] = {0};
	bool any = true;
	char text[16];

	for (size_t i = 0; i < COUNT_OF(p); i++) {
		pair_open(&p[i], &limits);
		p[i].chunk = 3 + 7 * i;
	}
	for (size_t i = 0; i < COUNT_OF(p); i++) {
		(void)snprintf(text, sizeof(text), "pair %zu", i);
		(void)start(&p[i], "/t.T/Echo", text, true, &got[i]);
	}
	while (any) {
		any = false;
		for (size_t i = 0; i < COUNT_OF(p); i++)
			any = carry_up(&p[i]) || any;
		for (size_t i = 0; i < COUNT_OF(p); i++)
			any = carry_down(&p[i]) || any;
	}
	for (size_t i = 0; i < COUNT_OF(p); i++) {
		(void)snprintf(text, sizeof(text), "pair %zu!", i);
		assert_string_equal(got[i].message, text);
		assert_int_equal(got[i].status, GRPC_OK);
		pair_close(&p[i]);
	}
}

static void
shutdown_lets_calls_end_and_refuses_new_ones(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};
	struct grpc_request *r;

	pair_open(&p, &limits);
	(void)start(&p, "/t.T/Keep", "x", true, &got);
	carry(&p);
	grpc_server_shutdown(p.server);
	carry(&p);
	assert_false(grpc_client_is_usable(p.client));
	assert_int_equal(grpc_client_start(p.client, "/t.T/Echo", NULL, 0,
					   SLICE_NONE, true, 0, RESPONSE_MAX,
					   &request_cbs, &got, &r),
			 ERR_UNAVAILABLE);
	assert_false(grpc_server_is_finished(p.server));
	grpc_call_finish(p.seen.call, GRPC_OK, NULL);
	carry(&p);
	assert_int_equal(got.status, GRPC_OK);
	assert_int_equal(got.finish_cnt, 1);
	assert_true(grpc_server_is_finished(p.server));
	pair_close(&p);
}

static void
freed_connections_end_their_calls_once(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};
	struct got unsent = {0};

	pair_open(&p, &limits);
	(void)start(&p, "/t.T/Keep", "x", false, &got);
	carry(&p);
	(void)start(&p, "/t.T/Keep", "x", false, &unsent);
	grpc_client_free(p.client, "connection refused");
	assert_int_equal(got.finish_cnt, 1);
	assert_int_equal(unsent.finish_cnt, 1);
	assert_int_equal(got.status, GRPC_UNAVAILABLE);
	assert_string_equal(got.text, "connection refused");
	assert_int_equal(p.seen.end_cnt, 0);
	grpc_server_free(p.server);
	assert_int_equal(p.seen.end_cnt, 1);
}

static void
too_many_headers_are_answered_with_http_431(void **state UNUSED)
{
	static char value[5000];
	struct pair p;
	struct got got = {0};
	struct grpc_request *r;
	struct h2_header h[2];

	pair_open(&p, &limits);
	memset(value, 'v', sizeof(value));
	for (size_t i = 0; i < COUNT_OF(h); i++)
		h[i] = (struct h2_header){SLICE_LIT("x-large"),
					  slice_of(value, sizeof(value))};
	for (size_t cnt = 1; cnt <= 2; cnt++) {
		assert_int_equal(grpc_client_start(p.client, "/t.T/Echo", h,
						   cnt, SLICE_LIT("x"), true, 0,
						   RESPONSE_MAX, &request_cbs,
						   &got, &r),
				 ERR_OK);
		carry(&p);
		assert_int_equal(got.finish_cnt, cnt);
		assert_int_equal(got.status, cnt == 1 ? GRPC_OK : GRPC_UNKNOWN);
	}
	assert_non_null(strstr(got.text, "HTTP status 431"));
	/* The connection is as good as before. */
	(void)start(&p, "/t.T/Echo", "x", true, &got);
	carry(&p);
	assert_int_equal(got.status, GRPC_OK);
	pair_close(&p);
}

/* One block for frames is shared by all sessions (h2_frame_mem.c): headers that
 * need a second one must never be sent. */
static void
headers_longer_than_a_frame_are_refused_by_their_sender(void **state UNUSED)
{
	static char value[20000];
	struct h2_limits wide = limits;
	struct pair p;
	struct got got = {0};
	struct grpc_request *r = NULL;
	struct h2_header h = {SLICE_LIT("x-large"), SLICE_NONE};

	wide.header_bytes_max = 64 * 1024;
	pair_open(&p, &wide);
	/* As HPACK's Huffman code would make this longer, it goes as it is. */
	memset(value, '|', sizeof(value));
	h.value = slice_of(value, sizeof(value));
	assert_int_equal(grpc_client_start(
				 p.client, "/t.T/Echo", &h, 1, SLICE_LIT("x"),
				 true, 0, RESPONSE_MAX, &request_cbs, &got, &r),
			 ERR_LIMIT);
	assert_null(r);
	h.value.len = 15000;
	assert_int_equal(grpc_client_start(
				 p.client, "/t.T/Echo", &h, 1, SLICE_LIT("x"),
				 true, 0, RESPONSE_MAX, &request_cbs, &got, &r),
			 ERR_OK);
	carry(&p);
	assert_int_equal(p.server_err, ERR_OK);
	assert_int_equal(got.finish_cnt, 1);
	assert_int_equal(got.status, GRPC_OK);
	pair_close(&p);
}

/* Each stream has room, all together have not: a client that opens many and
 * takes nothing. */
static void
streams_share_a_bound_of_queued_answers(void **state UNUSED)
{
	static uint8_t big[100 * 1024];
	struct h2_limits shared = limits;
	struct pair p;
	struct got got[4] = {0};
	struct grpc_call *calls[4];
	struct grpc_request *r[4];

	shared.out_max = 3 * sizeof(big);
	pair_open(&p, &shared);
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		r[i] = start(&p, "/t.T/Keep", "x", true, &got[i]);
		carry(&p);
		calls[i] = p.seen.call;
	}
	for (size_t i = 0; i < COUNT_OF(calls); i++)
		assert_int_equal(grpc_call_send(calls[i], SLICE_ARRAY(big)),
				 i < 2 ? ERR_OK : ERR_BUSY);
	/* The refused ones are told when there is room, though they had
	 * nothing in their queues. */
	p.seen.drain_cnt = 0;
	carry(&p);
	assert_int_equal(p.seen.drain_cnt, 4);
	for (size_t i = 2; i < COUNT_OF(calls); i++)
		assert_int_equal(grpc_call_send(calls[i], SLICE_ARRAY(big)),
				 ERR_OK);
	assert_int_equal(grpc_call_send(calls[0], SLICE_ARRAY(big)), ERR_BUSY);
	/* A stream that goes away gives its share back. */
	p.seen.drain_cnt = 0;
	grpc_request_cancel(&r[2]);
	grpc_request_cancel(&r[3]);
	(void)carry_up(&p);
	assert_int_equal(p.seen.drain_cnt, 1);
	assert_int_equal(grpc_call_send(calls[0], SLICE_ARRAY(big)), ERR_OK);
	pair_close(&p);
}

static void
rapid_resets_end_the_connection(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};
	unsigned i;

	pair_open(&p, &limits);
	for (i = 0; i < 1000 && p.server_err == ERR_OK; i++) {
		struct grpc_request *r =
			start(&p, "/t.T/Keep", "x", false, &got);

		(void)carry_up(&p);
		grpc_request_cancel(&r);
		(void)carry_up(&p);
	}
	assert_int_equal(p.server_err, ERR_LIMIT);
	assert_in_range(i, 20, 100);
	carry(&p);
	assert_true(grpc_server_is_finished(p.server));
	assert_false(grpc_client_is_usable(p.client));
	pair_close(&p);
}

static void
slow_resets_are_no_attack(void **state UNUSED)
{
	struct pair p;
	struct got got = {0};

	pair_open(&p, &limits);
	for (unsigned i = 0; i < 200; i++) {
		struct grpc_request *r =
			start(&p, "/t.T/Keep", "x", false, &got);

		(void)carry_up(&p);
		grpc_request_cancel(&r);
		carry(&p);
		p.now = mono_add_ms(p.now, 1000);
	}
	assert_int_equal(p.server_err, ERR_OK);
	assert_int_equal(p.seen.end_cnt, 200);
	pair_close(&p);
}

static void
streams_above_the_limit_wait_for_their_turn(void **state UNUSED)
{
	struct h2_limits few = limits;
	struct pair p;
	struct got got[4] = {0};

	few.streams_max = 2;
	pair_open(&p, &few);
	carry(&p);
	for (size_t i = 0; i < COUNT_OF(got); i++)
		(void)start(&p, "/t.T/Keep", "x", true, &got[i]);
	carry(&p);
	assert_int_equal(grpc_server_call_count(p.server), 2);
	grpc_call_finish(p.seen.call, GRPC_OK, NULL);
	carry(&p);
	assert_int_equal(p.seen.open_cnt, 3);
	pair_close(&p);
}

/* -- foreign bytes ----------------------------------------------------- */

static void
ping_flood_ends_the_connection(void **state UNUSED)
{
	static const uint8_t ping[17] = {0, 0, 8, 6};
	struct pair p;
	struct mono now = {0};
	enum err e = ERR_OK;
	unsigned i;
	struct buf b;

	pair_open(&p, &limits);
	carry(&p);
	buf_init(&b, CHUNK);
	for (i = 0; i < 1000 && e == ERR_OK; i++) {
		e = grpc_server_feed(p.server, SLICE_ARRAY(ping), now);
		(void)grpc_server_take_output(p.server, &b, CHUNK);
		buf_reset(&b);
	}
	assert_int_equal(e, ERR_LIMIT);
	assert_in_range(i, 40, 51);
	buf_fini(&b);
	pair_close(&p);
}

static void
pings_are_answered(void **state UNUSED)
{
	static const uint8_t ping[17] = {0, 0, 8, 6, 0, 0, 0, 0, 0, 'a'};
	struct pair p;
	struct buf b;

	pair_open(&p, &limits);
	carry(&p);
	buf_init(&b, CHUNK);
	assert_int_equal(grpc_server_feed(p.server, SLICE_ARRAY(ping), p.now),
			 ERR_OK);
	(void)grpc_server_take_output(p.server, &b, CHUNK);
	assert_int_equal(buf_len(&b), sizeof(ping));
	assert_int_equal(buf_get(&b).p[4], 1); /* ACK */
	assert_int_equal(buf_get(&b).p[9], 'a');
	buf_fini(&b);
	pair_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unary_call_brings_message_and_status),
		cmocka_unit_test(any_cut_of_the_bytes_gives_the_same_answer),
		cmocka_unit_test(many_calls_share_a_connection),
		cmocka_unit_test(status_texts_survive_the_wire),
		cmocka_unit_test(a_refusal_can_say_when_to_come_again),
		cmocka_unit_test(unknown_method_is_unimplemented),
		cmocka_unit_test(
			message_at_the_limit_is_taken_and_above_is_refused),
		cmocka_unit_test(request_without_message_is_refused),
		cmocka_unit_test(streams_go_both_ways_until_one_ends),
		cmocka_unit_test(server_may_end_while_the_client_still_sends),
		cmocka_unit_test(cancelled_request_ends_the_call),
		cmocka_unit_test(request_cancelled_in_its_own_callback_is_gone),
		cmocka_unit_test(deadline_ends_the_call),
		cmocka_unit_test(
			server_sets_a_limit_where_the_client_sets_none),
		cmocka_unit_test(
			slow_reader_makes_the_server_busy_and_drains_later),
		cmocka_unit_test(output_is_taken_in_small_pieces_without_loss),
		cmocka_unit_test(sessions_that_take_turns_do_not_mix),
		cmocka_unit_test(shutdown_lets_calls_end_and_refuses_new_ones),
		cmocka_unit_test(freed_connections_end_their_calls_once),
		cmocka_unit_test(too_many_headers_are_answered_with_http_431),
		cmocka_unit_test(
			headers_longer_than_a_frame_are_refused_by_their_sender),
		cmocka_unit_test(streams_share_a_bound_of_queued_answers),
		cmocka_unit_test(rapid_resets_end_the_connection),
		cmocka_unit_test(slow_resets_are_no_attack),
		cmocka_unit_test(streams_above_the_limit_wait_for_their_turn),
		cmocka_unit_test(ping_flood_ends_the_connection),
		cmocka_unit_test(pings_are_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
