/* Tests of tls/tls.h: keys that answer later. */
#include "tls/tls.h"

#include "tls_pair.h"

/* -- keys that answer later */

static void
handshakes_wait_for_keys_that_answer_later(void **state)
{
	struct late_key client_key, server_key;
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_set_late_key(&p, &p.server, &server_key);
	pair_set_late_key(&p, &p.client, &client_key);
	pair_run(&p, HOST);
	assert_non_null(server_key.op);
	assert_int_equal(p.server.done + p.client.done, 0);
	late_answer(&server_key, ERR_OK);
	assert_int_equal(p.server.outputs, 1);
	pump(&p);
	assert_non_null(client_key.op);
	assert_int_equal(p.server.done + p.client.done, 0);
	late_answer(&client_key, ERR_OK);
	pump(&p);
	assert_ready(&p);
	assert_peer(&p.server, WEB);
	assert_talk(&p);
	pair_fini(&p);
}

static void
a_key_that_does_not_sign_fails_the_handshake(void **state)
{
	struct late_key late;
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_set_late_key(&p, &p.server, &late);
	pair_run(&p, HOST);
	late_answer(&late, ERR_UNAVAILABLE);
	assert_int_equal(p.server.outputs, 1);
	assert_true(tls_conn_get_output(p.server.conn).len != 0);
	feed(&p.server, SLICE_NONE);
	assert_failed(&p.server, ERR_UNAVAILABLE,
		      "TLS: our key (late) did not sign: not available now");
	pump(&p);
	assert_int_equal(p.client.err, ERR_REFUSED);
	pair_fini(&p);
}

static void
freeing_a_connection_cancels_its_signature(void **state)
{
	struct late_key late;
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_set_late_key(&p, &p.server, &late);
	pair_run(&p, HOST);
	assert_non_null(late.op);
	tls_conn_free(TAKE(p.server.conn));
	assert_int_equal(late.cancelled, 1);
	assert_null(late.op);
	pair_fini(&p);
}

static void
bytes_that_come_while_a_key_signs_are_bounded(void **state)
{
	struct late_key late;
	struct pair p;
	uint8_t junk[1024] = {0};

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_set_late_key(&p, &p.server, &late);
	pair_run(&p, HOST);
	assert_non_null(late.op);
	for (size_t i = 0; i < 300 && p.server.err == ERR_OK; i++)
		feed(&p.server, SLICE_ARRAY(junk));
	assert_failed(&p.server, ERR_LIMIT, "while our key was signing");
	/* The answer that comes after all changes nothing. */
	late_answer(&late, ERR_OK);
	assert_int_equal(p.server.outputs, 0);
	assert_int_equal(p.server.done, 0);
	pair_fini(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TLS_TEST(handshakes_wait_for_keys_that_answer_later),
		TLS_TEST(a_key_that_does_not_sign_fails_the_handshake),
		TLS_TEST(freeing_a_connection_cancels_its_signature),
		TLS_TEST(bytes_that_come_while_a_key_signs_are_bounded),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
