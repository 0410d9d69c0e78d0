/* Tests of tls/tls.h: handshakes, data, swaps, ends. */
#include "tls/tls.h"

#include "tls_pair.h"

/* -- handshakes that work */

static void
both_sides_learn_who_the_other_is_and_talk(void **state)
{
	struct pair p;
	char text[128];

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_run(&p, HOST);
	assert_ready(&p);
	assert_peer(&p.server, WEB);
	assert_peer(&p.client, DB);
	tls_conn_describe(p.server.conn, text);
	assert_string_equal(text, "TLSv1.3 X25519MLKEM768 "
				  "TLS_AES_128_GCM_SHA256 h2");
	assert_talk(&p);
	pair_fini(&p);
}

static void
tls_1_2_works_with_the_same_checks(void **state)
{
	static const struct tls_ctx_opts opts = {
		.role = TLS_CLIENT, .version = TLS_VERSION_1_2, .alpn = h2};
	struct pair p;
	char text[128];

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_set_opts(&p.client, &opts);
	pair_set_trust(&p.client, trust_of(&ca, "a.test", 0));
	pair_set_identity(&p.client,
			  identity_of(&ca, KEY_EC_P256,
				      &(struct test_leaf){.uri = WEB}, NULL));
	pair_run(&p, HOST);
	assert_ready(&p);
	assert_peer(&p.server, WEB);
	assert_peer(&p.client, DB);
	tls_conn_describe(p.client.conn, text);
	assert_string_equal(text, "TLSv1.2 X25519 "
				  "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 h2");
	assert_talk(&p);
	pair_fini(&p);
}

static void
keys_of_every_kind_can_be_shown(void **state)
{
	static const enum key_kind kinds[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA,
					      KEY_ED25519};
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		pair_set_identity(&p.server,
				  identity_of(&ca, kinds[i],
					      &(struct test_leaf){
						      .profile = BUILD_SERVING,
						      .dns = HOST},
					      NULL));
		pair_set_identity(&p.client,
				  identity_of(&ca, kinds[i],
					      &(struct test_leaf){.uri = WEB},
					      NULL));
		pair_run(&p, HOST);
		if (p.server.done != 1)
			fail_msg("%s: %s, %s", key_kind_name(kinds[i]),
				 p.server.why.text, p.client.why.text);
		assert_talk(&p);
	}
	pair_fini(&p);
}

static void
bytes_may_come_one_by_one(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	p.step = 1;
	pair_run(&p, HOST);
	assert_ready(&p);
	assert_talk(&p);
	pair_fini(&p);
}

static void
much_data_arrives_whole_and_in_order(void **state)
{
	static const size_t len = 3 << 20;
	struct pair p;
	uint8_t *bytes = (uint8_t *)mem_new(len);

	(void)state;
	rand_bytes(bytes, len);
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_run(&p, HOST);
	p.step = 7001;
	assert_int_equal(tls_conn_write(p.client.conn, slice_of(bytes, len)),
			 ERR_OK);
	pump(&p);
	assert_true(slice_is_eq(buf_get(&p.server.data), slice_of(bytes, len)));
	mem_free(bytes);
	pair_fini(&p);
}

static void
what_is_written_early_is_sent_after_the_handshake(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_start(&p, HOST);
	assert_int_equal(tls_conn_write(p.client.conn, SLICE_LIT("early")),
			 ERR_OK);
	pump(&p);
	assert_ready(&p);
	assert_true(slice_is_str(buf_get(&p.server.data), "early"));
	pair_fini(&p);
}

static void
output_that_nobody_takes_is_bounded(void **state)
{
	struct pair p;
	uint8_t *bytes = (uint8_t *)mem_new(5 << 20);

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_run(&p, HOST);
	assert_int_equal(
		tls_conn_write(p.client.conn, slice_of(bytes, 5 << 20)),
		ERR_OK);
	assert_int_equal(
		tls_conn_write(p.client.conn, slice_of(bytes, 5 << 20)),
		ERR_LIMIT);
	tls_conn_consume(p.client.conn, tls_conn_get_output(p.client.conn).len);
	assert_int_equal(tls_conn_write(p.client.conn, SLICE_LIT("x")), ERR_OK);
	mem_free(bytes);
	pair_fini(&p);
}

/* -- swapping while connections live */

static void
a_new_identity_is_for_new_connections(void **state)
{
	struct pair p;
	struct tls_conn *old_client, *old_server;
	uint8_t first[32];

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_run(&p, HOST);
	assert_ready(&p);
	memcpy(first, tls_conn_get_peer(p.client.conn)->leaf_sha256, 32);
	old_client = TAKE(p.client.conn);
	old_server = TAKE(p.server.conn);
	/* Of another kind, so that nothing of the old one may be left. */
	pair_set_identity(
		&p.server,
		identity_of(&ca, KEY_RSA,
			    &(struct test_leaf){.profile = BUILD_SERVING,
						.dns = HOST},
			    NULL));
	pair_run(&p, HOST);
	assert_ready(&p);
	assert_memory_not_equal(tls_conn_get_peer(p.client.conn)->leaf_sha256,
				first, 32);
	side_reset(&p.client);
	side_reset(&p.server);
	p.client.conn = old_client;
	p.server.conn = old_server;
	assert_talk(&p);
	assert_memory_equal(tls_conn_get_peer(p.client.conn)->leaf_sha256,
			    first, 32);
	pair_fini(&p);
}

static void
a_running_handshake_ends_with_what_it_began_with(void **state)
{
	struct late_key late;
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_set_late_key(&p, &p.server, &late);
	pair_run(&p, HOST);
	tls_ctx_set_identity(p.server.ctx, NULL);
	pair_set_trust(&p.server, trust_of(&foreign_ca, "b.test", 4));
	tls_ctx_free(TAKE(p.server.ctx));
	late_answer(&late, ERR_OK);
	pump(&p);
	assert_ready(&p);
	assert_peer(&p.server, WEB);
	pair_fini(&p);
}

static void
a_server_without_certificate_says_so(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	tls_ctx_set_identity(p.server.ctx, NULL);
	pair_run(&p, HOST);
	assert_failed(&p.server, ERR_UNAVAILABLE,
		      "TLS: we have no certificate yet");
	assert_int_equal(p.client.err, ERR_REFUSED);
	pair_fini(&p);
}

static void
certificate_and_key_must_belong_together(void **state)
{
	struct privkey *key, *other;
	struct custody_key *custody;
	struct tls_identity *id;
	struct why why = {""};
	struct slice der;
	struct buf cert;

	(void)state;
	must(privkey_new(KEY_EC_P256, 0, &key) == ERR_OK);
	must(privkey_new(KEY_EC_P256, 0, &other) == ERR_OK);
	test_ca_issue(&ca, key, &(struct test_leaf){.uri = WEB}, &cert);
	must(custody_memory_new(other, &custody) == ERR_OK);
	der = buf_get(&cert);
	assert_int_equal(tls_identity_new(&der, 1, custody, &why, &id),
			 ERR_MISMATCH);
	assert_null(id);
	assert_non_null(strstr(why.text, "not for this key"));
	assert_int_equal(tls_identity_new(&der, 0, custody, &why, &id),
			 ERR_LIMIT);
	der = SLICE_LIT("junk");
	assert_int_equal(tls_identity_new(&der, 1, custody, &why, &id),
			 ERR_SYNTAX);
	custody_unref(custody);
	privkey_free(key);
	buf_fini(&cert);
}

/* -- ends */

static void
close_notify_tells_the_other_side(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_run(&p, HOST);
	assert_int_equal(tls_conn_write(p.client.conn, SLICE_LIT("bye")),
			 ERR_OK);
	tls_conn_shutdown(p.client.conn);
	pump(&p);
	assert_int_equal(p.server.err, ERR_CLOSED);
	assert_true(slice_is_str(buf_get(&p.server.data), "bye"));
	assert_int_equal(tls_conn_feed(p.server.conn, SLICE_NONE, NULL),
			 ERR_CLOSED);
	pair_fini(&p);
}

static void
a_connection_may_be_freed_inside_its_callbacks(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	p.server.free_on_done = true;
	pair_run(&p, HOST);
	assert_null(p.server.conn);
	assert_int_equal(p.server.err, ERR_CANCELLED);
	p.server.free_on_done = false;
	pair_run(&p, HOST);
	assert_ready(&p);
	p.server.free_on_data = true;
	assert_int_equal(tls_conn_write(p.client.conn, SLICE_LIT("one")),
			 ERR_OK);
	assert_int_equal(tls_conn_write(p.client.conn, SLICE_LIT("two")),
			 ERR_OK);
	pump(&p);
	assert_null(p.server.conn);
	assert_int_equal(p.server.err, ERR_CANCELLED);
	assert_true(slice_is_str(buf_get(&p.server.data), "one"));
	pair_fini(&p);
}

static void
a_late_key_may_end_in_freeing_the_connection(void **state)
{
	struct late_key late;
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_set_late_key(&p, &p.client, &late);
	p.client.free_on_done = true;
	pair_run(&p, HOST);
	late_answer(&late, ERR_OK);
	assert_null(p.client.conn);
	assert_int_equal(p.client.outputs, 0);
	pair_fini(&p);
}

static void
a_changed_record_ends_the_connection(void **state)
{
	struct pair p;
	uint8_t bytes[256];
	struct slice out;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_run(&p, HOST);
	assert_int_equal(tls_conn_write(p.client.conn, SLICE_LIT("ping")),
			 ERR_OK);
	out = tls_conn_get_output(p.client.conn);
	memcpy(bytes, out.p, out.len);
	bytes[out.len - 1] ^= 1;
	feed(&p.server, slice_of(bytes, out.len));
	assert_int_equal(p.server.err, ERR_PROTOCOL);
	if (strstr(p.server.why.text, "does not decrypt") == NULL)
		fail_msg("%s", p.server.why.text);
	assert_int_equal(buf_len(&p.server.data), 0);
	assert_int_equal(tls_conn_write(p.server.conn, SLICE_LIT("x")),
			 ERR_PROTOCOL);
	pair_fini(&p);
}

static void
a_peer_that_does_not_speak_tls_is_named(void **state)
{
	static const struct {
		const char *bytes;
		const char *text;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "plain HTTP"},
		{"CONNECT x:1 HTTP/1.1\r\n\r\n", "plain HTTP"},
		{"SSH-2.0-x\r\n", "does not speak TLS"},
	};
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		pair_start(&p, HOST);
		feed(&p.server, slice_of_str(cases[i].bytes));
		assert_failed(&p.server, ERR_PROTOCOL, cases[i].text);
	}
	pair_fini(&p);
}

static void
without_a_common_version_the_text_says_so(void **state)
{
	static const struct tls_ctx_opts old = {
		.role = TLS_CLIENT, .version = TLS_VERSION_1_2, .alpn = h2};
	static const struct tls_ctx_opts new = {
		.role = TLS_SERVER, .version = TLS_VERSION_1_3, .alpn = h2};
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_NONE);
	pair_set_opts(&p.client, &old);
	pair_set_opts(&p.server, &new);
	pair_set_identity(&p.server,
			  identity_of(&ca, KEY_EC_P256,
				      &(struct test_leaf){.uri = DB}, NULL));
	pair_run(&p, HOST);
	assert_failed(&p.server, ERR_UNSUPPORTED,
		      "TLS: no common protocol version");
	assert_string_equal(p.client.why.text,
			    "TLS: peer sent alert protocol_version");
	pair_fini(&p);
}

static void
a_peer_without_our_application_protocol_is_refused(void **state)
{
	static const char *const http11[] = {"http/1.1", NULL};
	static const struct {
		struct tls_ctx_opts opts;
		const char *text;
	} cases[] = {
		{{.role = TLS_CLIENT, .alpn = http11},
		 "no common application protocol"},
		{{.role = TLS_CLIENT}, "offers no application protocol"},
	};
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_OPTIONAL);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		pair_set_opts(&p.client, &cases[i].opts);
		pair_set_trust(&p.client, trust_of(&ca, "a.test", 0));
		pair_run(&p, HOST);
		assert_failed(&p.server, ERR_UNSUPPORTED, cases[i].text);
	}
	pair_fini(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TLS_TEST(both_sides_learn_who_the_other_is_and_talk),
		TLS_TEST(tls_1_2_works_with_the_same_checks),
		TLS_TEST(keys_of_every_kind_can_be_shown),
		TLS_TEST(bytes_may_come_one_by_one),
		TLS_TEST(much_data_arrives_whole_and_in_order),
		TLS_TEST(what_is_written_early_is_sent_after_the_handshake),
		TLS_TEST(output_that_nobody_takes_is_bounded),
		TLS_TEST(a_new_identity_is_for_new_connections),
		TLS_TEST(a_running_handshake_ends_with_what_it_began_with),
		TLS_TEST(a_server_without_certificate_says_so),
		TLS_TEST(certificate_and_key_must_belong_together),
		TLS_TEST(close_notify_tells_the_other_side),
		TLS_TEST(a_connection_may_be_freed_inside_its_callbacks),
		TLS_TEST(a_late_key_may_end_in_freeing_the_connection),
		TLS_TEST(a_changed_record_ends_the_connection),
		TLS_TEST(a_peer_that_does_not_speak_tls_is_named),
		TLS_TEST(without_a_common_version_the_text_says_so),
		TLS_TEST(a_peer_without_our_application_protocol_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
