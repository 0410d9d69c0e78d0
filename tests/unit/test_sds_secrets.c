/* test_sds_secrets.c - snapshots against an encoder that is not ours, and the
 * table with its watchers. */
#include "proto/discovery.pb-c.h"
#include "proto/secret.pb-c.h"
#include "sds_pair.h"

static struct test_ca ca;

static int
setup(void **state UNUSED)
{
	test_ca_init(&ca, "test root");
	return 0;
}

static int
teardown(void **state UNUSED)
{
	test_ca_fini(&ca);
	return 0;
}

static struct sds_secret *
certificate(const char *name)
{
	struct pair p = {.ca = ca};

	return pair_certificate(&p, name, "spiffe://td.test/ns/a/sa/b");
}

static struct sds_secret *
validation(const char *name)
{
	struct pair p = {.ca = ca};

	return pair_validation(&p, name);
}

/* ---- packing ------------------------------------------------------------- */

/* DiscoveryResponse as protobuf-c packs it. */
static size_t
pack_with_library(const char *version, struct slice secret, const char *nonce,
		  uint8_t *out)
{
	char url[] = SDS_TYPE_URL;
	Google__Protobuf__Any any;
	Google__Protobuf__Any *anys[] = {&any};
	Xds__DiscoveryResponse rs;
	char *v = mem_dup_str(version);
	char *n = mem_dup_str(nonce);
	uint8_t *copy = mem_new(secret.len);
	size_t len;

	google__protobuf__any__init(&any);
	xds__discovery_response__init(&rs);
	memcpy(copy, secret.p, secret.len);
	any.type_url = url;
	any.value.data = copy;
	any.value.len = secret.len;
	rs.version_info = v;
	rs.type_url = url;
	rs.nonce = n;
	rs.resources = anys;
	rs.n_resources = 1;
	len = xds__discovery_response__pack(&rs, out);
	mem_free(v);
	mem_free(n);
	mem_free(copy);
	return len;
}

static void
the_library_packs_as_the_reference_vector_does(void **state UNUSED)
{
	static const uint8_t secret[] = "\x0a\x07"
					"default\x12\x0f\x0a\x06\x12\x04"
					"CERT\x12\x05\x12\x03KEY";
	static const char head[] = "\x0a\x01"
				   "7\x12\x62\x0a\x44" SDS_TYPE_URL "\x12\x1a";
	static const char tail[] = "\x22\x44" SDS_TYPE_URL "\x2a\x02"
				   "a1";
	uint8_t got[1024];
	uint8_t want[1024];
	const size_t len = pack_with_library(
		"7", slice_of(secret, sizeof(secret) - 1), "a1", got);

	memcpy(want, head, sizeof(head) - 1);
	memcpy(want + sizeof(head) - 1, secret, sizeof(secret) - 1);
	memcpy(want + sizeof(head) + sizeof(secret) - 2, tail,
	       sizeof(tail) - 1);
	assert_int_equal(len, 177);
	assert_memory_equal(got, want, 177);
}

static void
a_response_is_what_the_library_would_pack(void **state UNUSED)
{
	struct sds_secret *s = certificate("default");
	uint8_t want[16384];
	uint8_t got[16384];
	const struct slice body = sds_secret_get_response(s);
	const uint8_t *end;
	const size_t len =
		pack_with_library(sds_secret_get_version(s),
				  sds_secret_get_packed(s), "77", want);

	memcpy(got, body.p, body.len);
	end = pack_bytes(got + body.len, 5, SLICE_LIT("77"));
	assert_int_equal(end - got, len);
	assert_memory_equal(got, want, len);
	sds_secret_unref(s);
}

static void
a_certificate_holds_chain_and_key_as_pem(void **state UNUSED)
{
	struct sds_secret *s = certificate("default");
	const struct slice packed = sds_secret_get_packed(s);
	Xds__Secret *m = xds__secret__unpack(NULL, packed.len, packed.p);
	struct cert_list chain;
	struct slice pem;

	assert_non_null(m);
	assert_string_equal(m->name, "default");
	assert_int_equal(m->type_case, XDS__SECRET__TYPE_TLS_CERTIFICATE);
	pem = slice_of(m->tls_certificate->certificate_chain->inline_bytes.data,
		       m->tls_certificate->certificate_chain->inline_bytes.len);
	assert_int_equal(cert_list_read_pem(pem, 4, NULL, &chain), ERR_OK);
	assert_int_equal(chain.cnt, 1);
	assert_true(slice_is_eq(cert_list_get(&chain, 0),
				sds_secret_get_cert(s, 0)));
	assert_true(slice_has_prefix(
		slice_of(m->tls_certificate->private_key->inline_bytes.data,
			 m->tls_certificate->private_key->inline_bytes.len),
		"-----BEGIN PRIVATE KEY-----\n"));
	assert_true(slice_is_str(sds_secret_get_spiffe_id(s),
				 "spiffe://td.test/ns/a/sa/b"));
	cert_list_free(&chain);
	xds__secret__free_unpacked(m, NULL);
	sds_secret_unref(s);
}

static void
a_delta_response_names_resource_and_versions(void **state UNUSED)
{
	struct sds_secret *s = validation("ROOTCA");
	const struct slice body = sds_secret_get_delta_response(s);
	Xds__DeltaDiscoveryResponse *m =
		xds__delta_discovery_response__unpack(NULL, body.len, body.p);
	Xds__Secret *secret;

	assert_non_null(m);
	assert_string_equal(m->system_version_info, sds_secret_get_version(s));
	assert_string_equal(m->type_url, SDS_TYPE_URL);
	assert_int_equal(m->n_resources, 1);
	assert_string_equal(m->resources[0]->version,
			    sds_secret_get_version(s));
	assert_string_equal(m->resources[0]->name, "ROOTCA");
	secret = xds__secret__unpack(NULL, m->resources[0]->resource->value.len,
				     m->resources[0]->resource->value.data);
	assert_non_null(secret);
	assert_int_equal(secret->type_case,
			 XDS__SECRET__TYPE_VALIDATION_CONTEXT);
	xds__secret__free_unpacked(secret, NULL);
	xds__delta_discovery_response__free_unpacked(m, NULL);
	sds_secret_unref(s);
}

static void
an_alias_is_the_same_secret_under_another_name(void **state UNUSED)
{
	struct sds_secret *s = certificate("default");
	struct sds_secret *a;
	Xds__Secret *m;

	assert_int_equal(sds_secret_alias(s, "spiffe://td.test/ns/a/sa/b", &a),
			 ERR_OK);
	m = xds__secret__unpack(NULL, sds_secret_get_packed(a).len,
				sds_secret_get_packed(a).p);
	assert_non_null(m);
	assert_string_equal(m->name, "spiffe://td.test/ns/a/sa/b");
	assert_string_equal(sds_secret_get_version(a),
			    sds_secret_get_version(s));
	assert_true(slice_is_eq(sds_secret_get_key_pkcs8(a),
				sds_secret_get_key_pkcs8(s)));
	assert_true(slice_is_eq(sds_secret_get_spiffe_id(a),
				sds_secret_get_spiffe_id(s)));
	xds__secret__free_unpacked(m, NULL);
	sds_secret_unref(s);
	/* It stands on its own. */
	assert_true(slice_is_str(sds_secret_get_spiffe_id(a),
				 "spiffe://td.test/ns/a/sa/b"));
	sds_secret_unref(a);
}

static void
a_key_that_is_not_the_leafs_is_refused(void **state UNUSED)
{
	struct sds_secret *a = certificate("a");
	struct privkey *other;
	struct secret *pem;
	struct sds_secret *s;
	struct why why;
	struct slice chain[] = {sds_secret_get_cert(a, 0)};

	assert_int_equal(privkey_new(KEY_EC_P256, 0, &other), ERR_OK);
	assert_int_equal(privkey_export(other, PRIVKEY_PKCS8_PEM, &pem),
			 ERR_OK);
	assert_int_equal(sds_secret_new_certificate(
				 &(struct sds_certificate){.name = "x",
							   .chain = chain,
							   .chain_cnt = 1,
							   .key_pem = pem},
				 &why, &s),
			 ERR_MISMATCH);
	assert_null(s);
	assert_non_null(strstr(why.text, "not that of the first certificate"));
	secret_free(pem);
	privkey_free(other);
	sds_secret_unref(a);
}

static void
the_version_follows_the_content(void **state UNUSED)
{
	struct sds_secret *a = validation("ROOTCA");
	struct sds_secret *b = validation("ROOTCA");
	struct sds_secret *c = certificate("default");
	struct sds_secret *d = certificate("default");

	assert_string_equal(sds_secret_get_version(a),
			    sds_secret_get_version(b));
	assert_string_not_equal(sds_secret_get_version(c),
				sds_secret_get_version(d));
	sds_secret_unref(a);
	sds_secret_unref(b);
	sds_secret_unref(c);
	sds_secret_unref(d);
}

/* ---- the table ----------------------------------------------------------- */

struct seen {
	struct sds_watch watch;
	unsigned cnt;
	struct sds_secret *last;
	struct seen *cancels; /* in the callback */
};

static void
on_change(void *arg, struct sds_secret *s)
{
	struct seen *seen = arg;

	seen->cnt++;
	seen->last = s;
	if (seen->cancels != NULL)
		sds_watch_cancel(&seen->cancels->watch);
}

static void
seen_init(struct seen *s)
{
	*s = (struct seen){0};
	s->watch.on_change = on_change;
	s->watch.arg = s;
}

static void
watchers_hear_of_new_content_only(void **state UNUSED)
{
	struct pair p = {.resolvable = "ROOTCA"};
	struct sds_secrets *t = sds_secrets_new(pair_resolve, pair_release, &p);
	struct sds_secret *a = validation("ROOTCA");
	struct sds_secret *same = validation("ROOTCA");
	struct seen s;

	seen_init(&s);
	assert_int_equal(sds_watch_start(t, "ROOTCA", &s.watch), ERR_OK);
	assert_int_equal(p.resolved_cnt, 1);
	assert_null(sds_secrets_get(t, "ROOTCA"));
	sds_secrets_set(t, a);
	assert_int_equal(s.cnt, 1);
	assert_ptr_equal(s.last, a);
	sds_secrets_set(t, same);
	assert_int_equal(s.cnt, 1);
	sds_secrets_remove(t, "ROOTCA");
	assert_int_equal(s.cnt, 2);
	assert_null(s.last);
	sds_watch_cancel(&s.watch);
	assert_int_equal(p.released_cnt, 1);
	sds_secret_unref(a);
	sds_secret_unref(same);
	sds_secrets_free(t);
}

static void
an_unserved_name_is_refused_but_can_be_remembered(void **state UNUSED)
{
	struct pair p = {0};
	struct sds_secrets *t = sds_secrets_new(pair_resolve, NULL, &p);
	struct sds_secret *a = certificate("late");
	struct seen s;

	seen_init(&s);
	assert_int_equal(sds_watch_start(t, "late", &s.watch), ERR_NOT_FOUND);
	sds_watch_remember(t, "late", &s.watch);
	assert_string_equal(sds_watch_get_name(&s.watch), "late");
	sds_secrets_set(t, a);
	assert_int_equal(s.cnt, 1);
	sds_watch_cancel(&s.watch);
	sds_secret_unref(a);
	sds_secrets_free(t);
}

static void
a_callback_may_cancel_any_watch(void **state UNUSED)
{
	for (unsigned self = 0; self < 2; self++) {
		struct sds_secrets *t = sds_secrets_new(NULL, NULL, NULL);
		struct sds_secret *a = validation("ROOTCA");
		struct seen s[3];

		for (size_t i = 0; i < 3; i++) {
			seen_init(&s[i]);
			sds_watch_remember(t, "ROOTCA", &s[i].watch);
		}
		/* The newest is told first. */
		s[2].cancels = self ? &s[2] : &s[1];
		sds_secrets_set(t, a);
		assert_int_equal(s[2].cnt, 1);
		assert_int_equal(s[1].cnt, self ? 1 : 0);
		assert_int_equal(s[0].cnt, 1);
		for (size_t i = 0; i < 3; i++)
			sds_watch_cancel(&s[i].watch);
		sds_secret_unref(a);
		sds_secrets_free(t);
	}
}

static void
secrets_are_listed_in_order_of_names(void **state UNUSED)
{
	struct sds_secrets *t = sds_secrets_new(NULL, NULL, NULL);
	const char *const names[] = {"m", "b", "z", "a", "q"};
	const char *const sorted[] = {"a", "b", "m", "q", "z"};
	struct seen only_watched;

	for (size_t i = 0; i < 5; i++) {
		struct sds_secret *s = validation(names[i]);

		sds_secrets_set(t, s);
		sds_secret_unref(s);
	}
	seen_init(&only_watched);
	sds_watch_remember(t, "c", &only_watched.watch);
	assert_int_equal(sds_secrets_count(t), 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(sds_secret_get_name(sds_secrets_at(t, i)),
				    sorted[i]);
	assert_null(sds_secrets_at(t, 5));
	sds_watch_cancel(&only_watched.watch);
	sds_secrets_free(t);
}

/* ---- requests ------------------------------------------------------------ */

#define URL_FIELD "\x22\x44" SDS_TYPE_URL

static void
the_reference_requests_are_read(void **state UNUSED)
{
	static const char first[] = "\x12\x08\x0a\x02n1\x12\x02"
				    "c1\x1a\x07"
				    "default" URL_FIELD;
	static const char ack[] = "\x0a\x01"
				  "7\x1a\x07"
				  "default" URL_FIELD "\x2a\x02"
				  "a1";
	static const char nack[] = "\x0a\x01"
				   "6\x1a\x07"
				   "default" URL_FIELD "\x2a\x02"
				   "a2\x32\x0b\x08\x0d\x12\x07"
				   "bad key";
	struct sds_request r;

	assert_int_equal(sizeof(first) - 1, 89);
	assert_int_equal(sizeof(ack) - 1, 86);
	assert_int_equal(sizeof(nack) - 1, 99);
	assert_int_equal(sds_request_parse(SLICE_LIT(first), false, NULL, &r),
			 ERR_OK);
	assert_true(slice_is_str(r.node_id, "n1"));
	assert_true(sds_request_is_secret(&r));
	assert_int_equal(r.name_cnt, 1);
	assert_true(slice_is_str(r.first_name, "default"));
	assert_int_equal(r.nonce.len, 0);
	assert_false(r.has_error);
	assert_int_equal(sds_request_parse(SLICE_LIT(ack), false, NULL, &r),
			 ERR_OK);
	assert_true(slice_is_str(r.nonce, "a1"));
	assert_false(r.has_error);
	assert_int_equal(sds_request_parse(SLICE_LIT(nack), false, NULL, &r),
			 ERR_OK);
	assert_true(slice_is_str(r.nonce, "a2"));
	assert_true(r.has_error);
	assert_int_equal(r.error_code, 13);
	assert_true(slice_is_str(r.error_text, "bad key"));
	/* One byte less is not a message any more. */
	assert_int_equal(sds_request_parse(slice_sub(SLICE_LIT(nack), 0,
						     sizeof(nack) - 2),
					   false, NULL, &r),
			 ERR_SYNTAX);
}

static void
too_many_names_are_refused(void **state UNUSED)
{
	struct buf b;
	struct sds_request r;
	struct why why;

	buf_init(&b, 4096);
	for (unsigned i = 0; i < SDS_NAMES_MAX; i++)
		assert_int_equal(buf_put_str(&b, "\x1a\x01"
						 "a"),
				 ERR_OK);
	assert_int_equal(sds_request_parse(buf_get(&b), false, &why, &r),
			 ERR_OK);
	assert_int_equal(buf_put_str(&b, "\x1a\x01"
					 "b"),
			 ERR_OK);
	assert_int_equal(sds_request_parse(buf_get(&b), false, &why, &r),
			 ERR_LIMIT);
	buf_fini(&b);
}

static void
only_names_of_the_list_may_be_asked_for(void **state UNUSED)
{
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
		{"default", true},
		{"ROOTCA", true},
		/* SPIRE's; we have no bundles of other domains. */
		{"ALL", false},
		{"file-cert:/etc/certs/a.pem~/etc/certs/a.key", true},
		{"file-root:/etc/certs/ca.pem", true},
		{"file-root:system", true},
		{"spiffe://td.test", true},
		{"spiffe://td.test/ns/a/sa/b", true},
		{"td.test", true},
		{"", false},
		{"file-cert:/etc/certs/a.pem", false},
		{"file-cert:~", false},
		{"file-cert:a~b~c", false},
		{"file-cert:/a\n~/b", false},
		{"file-root:", false},
		{"file-root:a~b", false},
		{"kubernetes://gateway-cert", false},
		{"spiffe://TD.test", false},
		{"spiffe://td.test/", false},
		{"Default", false},
		{"rootca:x", false},
		{"*", false},
		{"../etc/passwd", false},
	};
	struct why why;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		why.text[0] = '\0';
		assert_int_equal(sds_name_check(slice_of_str(cases[i].name),
						&why) == ERR_OK,
				 cases[i].ok);
		assert_int_equal(why.text[0] == '\0', cases[i].ok);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_library_packs_as_the_reference_vector_does),
		cmocka_unit_test(a_response_is_what_the_library_would_pack),
		cmocka_unit_test(a_certificate_holds_chain_and_key_as_pem),
		cmocka_unit_test(a_delta_response_names_resource_and_versions),
		cmocka_unit_test(
			an_alias_is_the_same_secret_under_another_name),
		cmocka_unit_test(a_key_that_is_not_the_leafs_is_refused),
		cmocka_unit_test(the_version_follows_the_content),
		cmocka_unit_test(watchers_hear_of_new_content_only),
		cmocka_unit_test(
			an_unserved_name_is_refused_but_can_be_remembered),
		cmocka_unit_test(a_callback_may_cancel_any_watch),
		cmocka_unit_test(secrets_are_listed_in_order_of_names),
		cmocka_unit_test(the_reference_requests_are_read),
		cmocka_unit_test(too_many_names_are_refused),
		cmocka_unit_test(only_names_of_the_list_may_be_asked_for),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
