/* Tests of tls/tls.h: whose certificate is taken, and the cache of chains. */
#include "tls/tls.h"

#include "tls_pair.h"

/* -- client certificates */

static void
no_client_certificate_is_fine_where_it_is_optional(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_OPTIONAL);
	tls_ctx_set_identity(p.client.ctx, NULL);
	assert_false(tls_ctx_has_identity(p.client.ctx));
	pair_run(&p, HOST);
	assert_ready(&p);
	assert_false(tls_conn_get_peer(p.server.conn)->verified);
	assert_int_equal(tls_conn_get_peer(p.server.conn)->spiffe_id.len, 0);
	assert_talk(&p);
	pair_fini(&p);
}

static void
no_client_certificate_is_refused_where_it_is_required(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	tls_ctx_set_identity(p.client.ctx, NULL);
	pair_run(&p, HOST);
	assert_failed(&p.server, ERR_UNAUTHENTICATED,
		      "TLS: client gave no certificate, one is required");
	assert_int_equal(p.client.err, ERR_REFUSED);
	assert_string_equal(p.client.why.text,
			    "TLS: peer sent alert certificate_required");
	pair_fini(&p);
}

static void
an_asked_for_nothing_server_learns_nothing(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_NONE);
	pair_run(&p, HOST);
	assert_ready(&p);
	assert_false(tls_conn_get_peer(p.server.conn)->verified);
	pair_fini(&p);
}

static void
a_bad_client_certificate_is_refused_even_if_optional(void **state)
{
	static const struct {
		struct test_ca *by;
		struct test_leaf leaf;
		enum err err;
		const char *alert;
	} bad[] = {
		{&foreign_ca, {.uri = WEB}, ERR_UNTRUSTED, "unknown_ca"},
		{&ca,
		 {.uri = WEB, .not_before = -7200, .not_after = -3600},
		 ERR_EXPIRED,
		 "certificate_expired"},
		{&ca,
		 {.uri = WEB, .not_before = 3600, .not_after = 7200},
		 ERR_NOT_YET_VALID,
		 "certificate_expired"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct pair p;
		char alert[80];

		pair_init(&p, TLS_PEER_OPTIONAL);
		pair_set_identity(&p.client, identity_of(bad[i].by, KEY_EC_P256,
							 &bad[i].leaf, NULL));
		pair_run(&p, HOST);
		assert_failed(&p.server, bad[i].err,
			      "TLS: client certificate: ");
		snprintf(alert, sizeof(alert), "TLS: peer sent alert %s",
			 bad[i].alert);
		assert_string_equal(p.client.why.text, alert);
		assert_false(tls_conn_get_peer(p.server.conn)->verified);
		pair_fini(&p);
	}
}

static void
an_identity_of_another_trust_domain_is_refused(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_set_identity(
		&p.client,
		identity_of(&ca, KEY_EC_P256,
			    &(struct test_leaf){
				    .uri = "spiffe://b.test/ns/x/sa/web"},
			    NULL));
	pair_run(&p, HOST);
	assert_int_not_equal(p.server.err, ERR_OK);
	assert_int_equal(p.server.done, 0);
	assert_non_null(strstr(p.server.why.text, "TLS: client certificate"));
	pair_fini(&p);
}

static void
a_context_without_trust_refuses_certificates(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_OPTIONAL);
	tls_ctx_set_trust(p.server.ctx, NULL);
	pair_run(&p, HOST);
	assert_failed(&p.server, ERR_UNAVAILABLE,
		      "TLS: client certificate: we have no trust bundle yet");
	pair_fini(&p);
}

/* -- server certificates */

static void
a_server_is_taken_under_any_expected_name_only(void **state)
{
	static const struct {
		const char *expected;
		bool good;
	} cases[] = {
		{HOST, true},
		{"DB.x.svc", true},
		{"db.x.svc.cluster.local", false},
		{"x.svc", false},
		{"127.0.0.1", false},
		{"a.example,db.x.svc", true},
		{"a.example, b.example", false},
		{DB, true},
		{WEB, false},
		{"spiffe://b.test/ns/x/sa/db", false},
		{"a.example," DB, true},
		{"a.example,spiffe://b.test/ns/x/sa/db", false},
		{",", false},
	};
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		pair_run(&p, cases[i].expected);
		if ((p.client.done == 1) != cases[i].good)
			fail_msg("%s: %s", cases[i].expected,
				 p.client.why.text);
		if (!cases[i].good) {
			assert_int_equal(p.client.err, ERR_MISMATCH);
			assert_non_null(
				strstr(p.client.why.text, cases[i].expected));
			assert_non_null(strstr(p.client.why.text,
					       "TLS: server certificate"));
			assert_int_equal(p.server.done, 0);
		}
	}
	pair_fini(&p);
}

static void
a_server_of_a_foreign_ca_is_refused(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_set_trust(&p.client, trust_of(&foreign_ca, "", 16));
	pair_run(&p, HOST);
	assert_failed(&p.client, ERR_UNTRUSTED, "TLS: server certificate: ");
	assert_string_equal(p.server.why.text,
			    "TLS: peer sent alert unknown_ca");
	pair_fini(&p);
}

static void
a_client_must_expect_somebody(void **state)
{
	struct pair p;
	struct tls_conn *c;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	assert_int_equal(tls_conn_new(p.client.ctx, NULL, test_clock, &cbs,
				      &p.client, &c),
			 ERR_CONFIG);
	assert_int_equal(
		tls_conn_new(p.client.ctx, "", test_clock, &cbs, &p.client, &c),
		ERR_CONFIG);
	assert_null(c);
	pair_fini(&p);
}

/* -- the cache of chains */

static struct tls_trust *
counted_trust(struct pair *p, size_t cache_max)
{
	struct tls_trust *t = trust_of(&ca, "a.test", cache_max);

	tls_ctx_set_trust(p->server.ctx, t);
	return t;
}

static void
assert_counts(const struct tls_trust *t, uint64_t hits, uint64_t misses)
{
	uint64_t h, m;

	tls_trust_get_counts(t, &h, &m);
	assert_int_equal(h, hits);
	assert_int_equal(m, misses);
}

static void
a_chain_seen_before_is_answered_from_the_cache(void **state)
{
	struct pair p;
	struct tls_trust *t;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	t = counted_trust(&p, 16);
	for (unsigned i = 0; i < 3; i++) {
		pair_run(&p, HOST);
		assert_ready(&p);
		assert_peer(&p.server, WEB);
		assert_counts(t, i, 1);
	}
	tls_trust_unref(t);
	t = counted_trust(&p, 16); /* a new bundle begins anew */
	pair_run(&p, HOST);
	assert_counts(t, 0, 1);
	tls_trust_unref(t);
	pair_fini(&p);
}

static void
a_cached_chain_dies_with_its_earliest_end(void **state)
{
	struct pair p;
	struct tls_trust *t;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_set_identity(&p.client,
			  identity_of(&ca, KEY_EC_P256,
				      &(struct test_leaf){.uri = WEB,
							  .not_before = -60,
							  .not_after = 60},
				      NULL));
	t = counted_trust(&p, 16);
	pair_run(&p, HOST);
	assert_ready(&p);
	clock_sec = TEST_NOW_SEC + 58;
	pair_run(&p, HOST);
	assert_ready(&p);
	assert_counts(t, 1, 1);
	clock_sec = TEST_NOW_SEC + 61;
	pair_run(&p, HOST);
	assert_failed(&p.server, ERR_EXPIRED, "TLS: client certificate: ");
	assert_counts(t, 1, 2);
	tls_trust_unref(t);
	pair_fini(&p);
}

static void
a_clock_that_goes_back_is_not_answered_from_the_cache(void **state)
{
	struct pair p;
	struct tls_trust *t;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	pair_set_identity(&p.client,
			  identity_of(&ca, KEY_EC_P256,
				      &(struct test_leaf){.uri = WEB,
							  .not_before = -60,
							  .not_after = 60},
				      NULL));
	t = counted_trust(&p, 16);
	pair_run(&p, HOST);
	assert_ready(&p);
	clock_sec = TEST_NOW_SEC - 120;
	pair_run(&p, HOST);
	assert_failed(&p.server, ERR_NOT_YET_VALID,
		      "TLS: client certificate: ");
	assert_counts(t, 0, 2);
	tls_trust_unref(t);
	pair_fini(&p);
}

static void
the_cache_is_bounded_and_can_be_off(void **state)
{
	static const size_t sizes[] = {0, 1, 3, 4, 9};
	struct tls_identity *ids[20];
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	for (size_t i = 0; i < COUNT_OF(ids); i++)
		ids[i] = identity_of(&ca, KEY_EC_P256,
				     &(struct test_leaf){.uri = WEB}, NULL);
	for (size_t s = 0; s < COUNT_OF(sizes); s++) {
		struct tls_trust *t = counted_trust(&p, sizes[s]);
		uint64_t hits, misses;

		for (size_t i = 0; i < 2 * COUNT_OF(ids); i++) {
			size_t n = i < COUNT_OF(ids)
					   ? i
					   : 2 * COUNT_OF(ids) - 1 - i;

			tls_ctx_set_identity(p.client.ctx, ids[n]);
			pair_run(&p, HOST);
			assert_ready(&p);
		}
		tls_trust_get_counts(t, &hits, &misses);
		assert_true(hits <= sizes[s]);
		assert_true(sizes[s] == 0 || hits >= 1);
		assert_int_equal(hits + misses, 2 * COUNT_OF(ids));
		tls_trust_unref(t);
	}
	for (size_t i = 0; i < COUNT_OF(ids); i++)
		tls_identity_unref(ids[i]);
	pair_fini(&p);
}

/* One chain shown by both sides, one cache: good as a server's and remembered
 * as such, it is no client's all the same. */
static void
purposes_do_not_share_an_answer(void **state)
{
	struct test_leaf leaf = {.profile = BUILD_SERVING, .dns = HOST};
	struct tls_identity *id = identity_of(&ca, KEY_EC_P256, &leaf, NULL);
	struct tls_trust *t = trust_of(&ca, "", 16);
	struct pair p;

	(void)state;
	pair_init(&p, TLS_PEER_REQUIRED);
	tls_ctx_set_trust(p.server.ctx, t);
	tls_ctx_set_trust(p.client.ctx, t);
	tls_ctx_set_identity(p.server.ctx, id);
	tls_ctx_set_identity(p.client.ctx, id);
	pair_run(&p, HOST);
	assert_counts(t, 0, 2);
	assert_int_equal(p.client.done, 1);
	assert_int_equal(p.server.done, 0);
	assert_non_null(strstr(p.server.why.text, "TLS: client certificate"));
	tls_trust_unref(t);
	tls_identity_unref(id);
	pair_fini(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TLS_TEST(no_client_certificate_is_fine_where_it_is_optional),
		TLS_TEST(no_client_certificate_is_refused_where_it_is_required),
		TLS_TEST(an_asked_for_nothing_server_learns_nothing),
		TLS_TEST(a_bad_client_certificate_is_refused_even_if_optional),
		TLS_TEST(an_identity_of_another_trust_domain_is_refused),
		TLS_TEST(a_context_without_trust_refuses_certificates),
		TLS_TEST(a_server_is_taken_under_any_expected_name_only),
		TLS_TEST(a_server_of_a_foreign_ca_is_refused),
		TLS_TEST(a_client_must_expect_somebody),
		TLS_TEST(a_chain_seen_before_is_answered_from_the_cache),
		TLS_TEST(a_cached_chain_dies_with_its_earliest_end),
		TLS_TEST(a_clock_that_goes_back_is_not_answered_from_the_cache),
		TLS_TEST(the_cache_is_bounded_and_can_be_off),
		TLS_TEST(purposes_do_not_share_an_answer),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
