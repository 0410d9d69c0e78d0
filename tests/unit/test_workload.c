/* test_workload.c - the Workload API over a Unix socket. */
#include "proto/workload.pb-c.h"
#include "sds_pair.h"

#define SVID "/SpiffeWorkloadAPI/FetchX509SVID"
#define BUNDLES "/SpiffeWorkloadAPI/FetchX509Bundles"

static struct pair p;

static int
setup(void **state UNUSED)
{
	pair_init(&p);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	pair_fini(&p);
	return 0;
}

static void
set_all(void)
{
	pair_set_default(&p);
	pair_set(&p, pair_validation(&p, "ROOTCA"));
}

static Workload__X509SVIDResponse *
svid_of(struct pair_call *c, size_t n)
{
	Workload__X509SVIDResponse *m;

	PAIR_UNTIL(&p, c->cnt >= n || c->finished);
	assert_true(c->cnt >= n);
	m = workload__x509_svidresponse__unpack(NULL,
						buf_len(&c->messages[n - 1]),
						buf_get(&c->messages[n - 1]).p);
	assert_non_null(m);
	return m;
}

static void
a_call_without_the_guard_is_refused(void **state UNUSED)
{
	const struct h2_header bad[] = {
		{SLICE_LIT("workload.spiffe.io"), SLICE_LIT("True")},
		{SLICE_LIT("workload.spiffe.io"), SLICE_LIT("")},
		{SLICE_LIT("x"), SLICE_LIT("true")},
	};

	for (size_t i = 0; i < WORKLOAD_METHODS * COUNT_OF(bad); i++) {
		struct pair_call c = {.cnt = 0};

		assert_int_equal(
			grpc_client_start(
				dial_get_client(p.dial),
				workload_methods[i % WORKLOAD_METHODS].path,
				&bad[i / WORKLOAD_METHODS], 1, SLICE_NONE, true,
				0, PAIR_RESPONSE_MAX, &pair_cbs, &c, &c.rq),
			ERR_OK);
		dial_wake(p.dial);
		PAIR_UNTIL(&p, c.finished);
		assert_int_equal(c.status, GRPC_INVALID_ARGUMENT);
		assert_non_null(strstr(c.text, "security header missing"));
		call_end(&p, &c);
	}
}

static void
an_identity_comes_with_chain_key_and_bundle(void **state UNUSED)
{
	struct pair_call c;
	Workload__X509SVIDResponse *m;
	Workload__X509SVID *svid;
	struct sds_secret *s;

	set_all();
	s = sds_secrets_get(p.secrets, "default");
	call_start(&p, &c, SVID, SLICE_NONE, true);
	m = svid_of(&c, 1);
	assert_int_equal(m->n_svids, 1);
	svid = m->svids[0];
	assert_string_equal(svid->spiffe_id, "spiffe://td.test/ns/a/sa/b");
	assert_true(
		slice_is_eq(slice_of(svid->x509_svid.data, svid->x509_svid.len),
			    sds_secret_get_cert(s, 0)));
	assert_true(slice_is_eq(
		slice_of(svid->x509_svid_key.data, svid->x509_svid_key.len),
		sds_secret_get_key_pkcs8(s)));
	assert_true(slice_is_eq(slice_of(svid->bundle.data, svid->bundle.len),
				buf_get(&p.ca.cert)));
	workload__x509_svidresponse__free_unpacked(m, NULL);
	call_end(&p, &c);
}

static void
a_new_certificate_comes_by_itself(void **state UNUSED)
{
	struct pair_call svids;
	struct pair_call bundles;
	Workload__X509SVIDResponse *m;

	set_all();
	call_start(&p, &svids, SVID, SLICE_NONE, true);
	call_start(&p, &bundles, BUNDLES, SLICE_NONE, true);
	PAIR_UNTIL(&p, svids.cnt == 1 && bundles.cnt == 1);
	pair_set_default(&p);
	m = svid_of(&svids, 2);
	assert_true(slice_is_eq(
		slice_of(m->svids[0]->x509_svid.data,
			 m->svids[0]->x509_svid.len),
		sds_secret_get_cert(sds_secrets_get(p.secrets, "default"), 0)));
	workload__x509_svidresponse__free_unpacked(m, NULL);
	/* The bundles did not change. */
	assert_int_equal(bundles.cnt, 1);
	/* Withdrawn: both end. */
	sds_secrets_remove(p.secrets, "default");
	PAIR_UNTIL(&p, svids.finished && bundles.finished);
	assert_int_equal(svids.status, GRPC_PERMISSION_DENIED);
	assert_int_equal(bundles.status, GRPC_PERMISSION_DENIED);
	assert_int_equal(bundles.cnt, 1);
	call_end(&p, &svids);
	call_end(&p, &bundles);
}

static void
bundles_are_keyed_by_trust_domain(void **state UNUSED)
{
	struct pair_call c;
	Workload__X509BundlesResponse *m;

	set_all();
	call_start(&p, &c, BUNDLES, SLICE_NONE, true);
	PAIR_UNTIL(&p, c.cnt == 1);
	m = workload__x509_bundles_response__unpack(
		NULL, buf_len(&c.messages[0]), buf_get(&c.messages[0]).p);
	assert_non_null(m);
	assert_int_equal(m->n_bundles, 1);
	assert_string_equal(m->bundles[0]->key, "spiffe://td.test");
	assert_true(slice_is_eq(
		slice_of(m->bundles[0]->value.data, m->bundles[0]->value.len),
		buf_get(&p.ca.cert)));
	workload__x509_bundles_response__free_unpacked(m, NULL);
	call_end(&p, &c);
}

static void
before_there_is_a_certificate_clients_are_told_to_try_again(void **state UNUSED)
{
	static const char *const paths[] = {SVID, BUNDLES};

	sds_secrets_remove(p.secrets, "default");
	sds_secrets_remove(p.secrets, "ROOTCA");
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct pair_call c;

		/* This agent will have one. */
		p.resolvable = "default";
		pair_set(&p, pair_validation(&p, "ROOTCA"));
		call_start(&p, &c, paths[i], SLICE_NONE, true);
		PAIR_UNTIL(&p, c.finished);
		assert_int_equal(c.status, GRPC_UNAVAILABLE);
		call_end(&p, &c);
		/* This one will not. */
		p.resolvable = NULL;
		call_start(&p, &c, paths[i], SLICE_NONE, true);
		PAIR_UNTIL(&p, c.finished);
		assert_int_equal(c.status, GRPC_PERMISSION_DENIED);
		call_end(&p, &c);
	}
}

static void
a_certificate_without_a_spiffe_id_is_no_identity(void **state UNUSED)
{
	struct pair_call c;

	set_all();
	pair_set(&p, pair_certificate(&p, "default", NULL));
	call_start(&p, &c, SVID, SLICE_NONE, true);
	PAIR_UNTIL(&p, c.finished);
	assert_int_equal(c.status, GRPC_PERMISSION_DENIED);
	assert_int_equal(c.cnt, 0);
	call_end(&p, &c);
}

static void
other_profiles_are_not_implemented(void **state UNUSED)
{
	static const char *const paths[] = {
		"/SpiffeWorkloadAPI/FetchJWTSVID",
		"/SpiffeWorkloadAPI/FetchJWTBundles",
		"/SpiffeWorkloadAPI/ValidateJWTSVID",
		"/SpiffeWorkloadAPI/FetchWITSVID",
		"/SpiffeWorkloadAPI/FetchWITBundles",
	};

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct pair_call c;

		call_start(&p, &c, paths[i], SLICE_NONE, true);
		PAIR_UNTIL(&p, c.finished);
		assert_int_equal(c.status, GRPC_UNIMPLEMENTED);
		assert_non_null(strstr(c.text, "X.509"));
		call_end(&p, &c);
	}
}

static void
a_message_that_is_no_protobuf_is_refused(void **state UNUSED)
{
	struct pair_call c;

	set_all();
	call_start(&p, &c, SVID, SLICE_LIT("\x0a\x7f"), true);
	PAIR_UNTIL(&p, c.finished);
	assert_int_equal(c.status, GRPC_INVALID_ARGUMENT);
	assert_int_equal(c.cnt, 0);
	call_end(&p, &c);
}

static void
a_stream_is_counted_and_too_many_are_refused(void **state UNUSED)
{
	struct pair_call c;
	size_t taken = 0;

	set_all();
	call_start(&p, &c, SVID, SLICE_NONE, true);
	PAIR_UNTIL(&p, c.cnt == 1);
	assert_int_equal(sds_server_get_counts(p.server).streams, 1);
	call_end(&p, &c);
	PAIR_UNTIL(&p, sds_server_get_counts(p.server).streams == 0);
	while (sds_server_take_stream(p.server))
		taken++;
	call_start(&p, &c, SVID, SLICE_NONE, true);
	PAIR_UNTIL(&p, c.finished);
	assert_int_equal(c.status, GRPC_UNAVAILABLE);
	call_end(&p, &c);
	while (taken-- > 0)
		sds_server_drop_stream(p.server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_without_the_guard_is_refused),
		cmocka_unit_test(an_identity_comes_with_chain_key_and_bundle),
		cmocka_unit_test(a_new_certificate_comes_by_itself),
		cmocka_unit_test(bundles_are_keyed_by_trust_domain),
		cmocka_unit_test(
			before_there_is_a_certificate_clients_are_told_to_try_again),
		cmocka_unit_test(
			a_certificate_without_a_spiffe_id_is_no_identity),
		cmocka_unit_test(other_profiles_are_not_implemented),
		cmocka_unit_test(a_message_that_is_no_protobuf_is_refused),
		cmocka_unit_test(a_stream_is_counted_and_too_many_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
