/* test_ra.c - lib/ra/ra.h: who is asking. Tokens are signed here with an
 * Ed25519 key, whose signature needs no change of form. */
#include "ra/ra.h"

#include <stdio.h>

#include "crypto/pem.h"
#include "crypto_help.h"

#define ISSUER "https://issuer.test"
#define SUB "system:serviceaccount:shop:cart"
#define CART "spiffe://cluster.local/ns/shop/sa/cart"

static const int64_t now_sec = 1800000000;
static const char *const audiences[] = {"istio-ca", NULL};
static const char *const usual[] = {"client_cert", "jwt", "join_token", NULL};
static const struct ra_jwt_issuer issuers[] = {
	{.issuer = ISSUER, .audiences = audiences},
	{.issuer = "https://claims.test",
	 .audiences = audiences,
	 .from_claim = true,
	 .claim = "mesh.id"},
};

static struct privkey *key;

static int
setup(void **state)
{
	(void)state;
	return privkey_new(KEY_ED25519, 0, &key) == ERR_OK ? 0 : 1;
}

static int
teardown(void **state)
{
	(void)state;
	privkey_free(key);
	return 0;
}

/* A set with our public key under this key id. */
static struct jwks *
make_set(const char *kid)
{
	struct jwks *set = NULL;
	struct buf spki, text;
	struct slice raw;

	buf_init(&spki, HELP_MAX);
	buf_init(&text, HELP_MAX);
	assert_int_equal(privkey_get_spki(key, &spki), ERR_OK);
	/* RFC 8410: the key is the last 32 bytes. */
	raw = buf_get(&spki);
	raw = slice_sub(raw, raw.len - 32, 32);
	(void)buf_printf(&text,
			 "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
			 "\"kid\":\"%s\",\"x\":\"",
			 kid);
	(void)base64url_write(&text, raw);
	(void)buf_put_str(&text, "\"}]}");
	assert_int_equal(jwks_parse(buf_get(&text), NULL, &set), ERR_OK);
	buf_fini(&spki);
	buf_fini(&text);
	return set;
}

static struct ra *
make_ra(const char *const *order)
{
	const struct ra_opts opts = {
		.order = order,
		.trust_domain = SLICE_LIT("cluster.local"),
		.issuers = issuers,
		.issuer_cnt = COUNT_OF(issuers),
	};
	struct ra *ra = NULL;
	struct jwks *set = make_set("k1");

	assert_int_equal(ra_new(&opts, NULL, &ra), ERR_OK);
	ra_set_jwks(ra, 0, set);
	ra_set_jwks(ra, 1, set);
	jwks_unref(set);
	return ra;
}

/* "Bearer " and a token; more: members behind exp. */
static struct slice
bearer(struct buf *out, const char *kid, const char *iss, const char *more)
{
	struct buf sig, part;

	buf_init(&sig, HELP_MAX);
	buf_init(&part, HELP_MAX);
	if (out->max == 0)
		buf_init(out, HELP_MAX);
	buf_reset(out);
	(void)buf_printf(&part, "{\"alg\":\"EdDSA\",\"kid\":\"%s\"}", kid);
	(void)buf_put_str(out, "Bearer ");
	(void)base64url_write(out, buf_get(&part));
	buf_reset(&part);
	(void)buf_printf(&part,
			 "{\"iss\":\"%s\",\"aud\":\"istio-ca\","
			 "\"exp\":1800000100%s}",
			 iss, more);
	(void)buf_put_str(out, ".");
	(void)base64url_write(out, buf_get(&part));
	assert_int_equal(privkey_sign(key, SIG_ED25519,
				      slice_sub(buf_get(out), 7, SIZE_MAX),
				      &sig),
			 ERR_OK);
	(void)buf_put_str(out, ".");
	(void)base64url_write(out, buf_get(&sig));
	buf_fini(&sig);
	buf_fini(&part);
	return buf_get(out);
}

static struct slice
good_bearer(struct buf *out)
{
	return bearer(out, "k1", ISSUER, ",\"sub\":\"" SUB "\"");
}

static enum err
ask_at(struct ra *ra, struct slice header, const struct tls_peer *peer,
       int64_t sec, struct why *why, struct ra_result *out)
{
	const struct ra_input in = {
		.peer = peer,
		.authorization = header,
		.authorization_cnt = header.len > 0 ? 1 : 0,
		.now = wall_of_sec(sec),
	};

	why->text[0] = '\0';
	*out = (struct ra_result){0};
	return ra_authenticate(ra, &in, why, out);
}

static void
assert_is(struct ra *ra, struct slice header, const struct tls_peer *peer,
	  enum ra_kind kind, const char *identity)
{
	struct ra_result who;
	struct why why;

	if (ask_at(ra, header, peer, now_sec, &why, &who) != ERR_OK)
		fail_msg("%s", why.text);
	assert_int_equal(who.kind, kind);
	assert_string_equal(who.identity, identity);
	assert_int_equal(who.identity_len, strlen(identity));
}

static void
assert_nobody(struct ra *ra, struct slice header, const struct tls_peer *peer,
	      const char *text)
{
	struct ra_result who;
	struct why why;

	assert_int_equal(ask_at(ra, header, peer, now_sec, &why, &who),
			 ERR_UNAUTHENTICATED);
	assert_int_equal(who.kind, RA_NONE);
	if (strstr(why.text, text) == NULL)
		fail_msg("\"%s\" is not in: %s", text, why.text);
}

static struct tls_peer
peer(const char *id)
{
	return (struct tls_peer){
		.verified = true,
		.spiffe_id = slice_of_str(id),
		.serial = SLICE_LIT("\x01\x02"),
		.not_after = wall_of_sec(now_sec + 60),
	};
}

/* ---- tests ------------------------------------------------------------- */

static void
who_shows_nothing_is_nobody(void **state)
{
	struct ra *ra = make_ra(usual);
	struct tls_peer p = peer(CART);

	(void)state;
	assert_nobody(ra, SLICE_NONE, NULL, "nothing says who the caller is");
	/* A certificate that was not verified says nothing. */
	p.verified = false;
	assert_nobody(ra, SLICE_NONE, &p, "nothing says who the caller is");
	ra_free(ra);
}

static void
a_verified_certificate_is_its_own_identity_until_it_ends(void **state)
{
	struct ra *ra = make_ra(usual);
	struct tls_peer p = peer(CART);
	struct ra_result who;
	struct why why;

	(void)state;
	assert_is(ra, SLICE_NONE, &p, RA_CLIENT_CERT, CART);
	assert_int_equal(ask_at(ra, SLICE_NONE, &p, now_sec + 59, &why, &who),
			 ERR_OK);
	assert_non_null(strstr(who.caller, "serial="));
	assert_int_equal(ask_at(ra, SLICE_NONE, &p, now_sec + 60, &why, &who),
			 ERR_UNAUTHENTICATED);
	assert_non_null(strstr(why.text, "expired"));
	ra_free(ra);
}

static void
identities_of_others_or_of_nobody_are_refused(void **state)
{
	static const char *const bad[] = {
		"spiffe://other.test/ns/shop/sa/cart", "spiffe://cluster.local",
		"spiffe://cluster.local.evil.test/a", "https://x/y", ""};
	struct ra *ra = make_ra(usual);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		const struct tls_peer p = peer(bad[i]);

		assert_nobody(ra, SLICE_NONE, &p, "client_cert: ");
	}
	ra_free(ra);
}

static void
a_token_names_the_service_account_or_the_claim(void **state)
{
	struct ra *ra = make_ra(usual);
	struct buf b = {0};

	(void)state;
	assert_is(ra, good_bearer(&b), NULL, RA_JWT, CART);
	assert_is(ra,
		  bearer(&b, "k1", "https://claims.test",
			 ",\"mesh\":{\"id\":\"spiffe://cluster.local/vm\"}"),
		  NULL, RA_JWT, "spiffe://cluster.local/vm");
	assert_nobody(ra,
		      bearer(&b, "k1", "https://claims.test",
			     ",\"mesh\":{\"id\":\"spiffe://other.test/vm\"}"),
		      NULL, "trust domain");
	assert_nobody(
		ra,
		bearer(&b, "k1", "https://claims.test", ",\"sub\":\"" SUB "\""),
		NULL, "mesh.id");
	assert_nobody(ra, bearer(&b, "k1", "https://else.test", ""), NULL,
		      "names none of the 2 configured issuers");
	buf_fini(&b);
	ra_free(ra);
}

static void
the_first_in_order_that_succeeds_wins(void **state)
{
	static const char *const reverse[] = {"jwt", "client_cert", NULL};
	static const char *const only[] = {"jwt", NULL};
	const struct tls_peer p = peer("spiffe://cluster.local/by-cert");
	struct ra *ra = make_ra(usual);
	struct buf b = {0};

	(void)state;
	assert_is(ra, good_bearer(&b), &p, RA_CLIENT_CERT,
		  "spiffe://cluster.local/by-cert");
	ra_free(ra);
	ra = make_ra(reverse);
	assert_is(ra, good_bearer(&b), &p, RA_JWT, CART);
	/* A failure before it does no harm. */
	assert_is(ra, SLICE_LIT("Bearer x.y.z"), &p, RA_CLIENT_CERT,
		  "spiffe://cluster.local/by-cert");
	ra_free(ra);
	ra = make_ra(only);
	assert_nobody(ra, SLICE_NONE, &p, "nothing says");
	ra_free(ra);
	buf_fini(&b);
}

static void
every_cause_is_told(void **state)
{
	const struct tls_peer p = peer("spiffe://other.test/x");
	struct ra *ra = make_ra(usual);

	(void)state;
	assert_nobody(ra, SLICE_LIT("Bearer x.y.z"), &p, "client_cert: ");
	assert_nobody(ra, SLICE_LIT("Bearer x.y.z"), &p, "; jwt: ");
	ra_free(ra);
}

static void
a_header_that_is_not_one_bearer_token_is_refused(void **state)
{
	struct ra *ra = make_ra(usual);
	struct buf b = {0};
	struct ra_input in = {.now = wall_of_sec(now_sec),
			      .authorization_cnt = 2};
	struct ra_result who = {0};
	struct why why = {0};

	(void)state;
	assert_nobody(ra, SLICE_LIT("Basic eDp5"), NULL, "Bearer");
	assert_nobody(ra, SLICE_LIT("Bearer "), NULL, "Bearer");
	assert_nobody(ra, SLICE_LIT("bearer x.y.z"), NULL, "Bearer");
	in.authorization = good_bearer(&b);
	assert_int_equal(ra_authenticate(ra, &in, &why, &who),
			 ERR_UNAUTHENTICATED);
	assert_non_null(strstr(why.text, "2 authorization headers"));
	buf_fini(&b);
	ra_free(ra);
}

static void
an_unknown_key_names_the_issuer_to_fetch_from(void **state)
{
	struct ra *ra = make_ra(usual);
	struct ra_result who;
	struct why why;
	struct buf b = {0};

	(void)state;
	assert_int_equal(
		ask_at(ra, bearer(&b, "k2", ISSUER, ",\"sub\":\"" SUB "\""),
		       NULL, now_sec, &why, &who),
		ERR_UNAUTHENTICATED);
	assert_int_equal(who.want_jwks, 0);
	/* A known key whose token is bad: fetching would not help. */
	assert_int_equal(ask_at(ra, bearer(&b, "k1", ISSUER, ",\"sub\":\"x\""),
				NULL, now_sec, &why, &who),
			 ERR_UNAUTHENTICATED);
	assert_int_equal(who.want_jwks, -1);
	buf_fini(&b);
	ra_free(ra);
}

static void
a_good_token_is_remembered_until_it_ends_or_keys_change(void **state)
{
	struct ra *ra = make_ra(usual);
	struct jwks *other = make_set("k9");
	struct ra_result who;
	struct why why;
	struct buf b = {0};
	uint64_t hits, misses;

	(void)state;
	assert_is(ra, good_bearer(&b), NULL, RA_JWT, CART);
	assert_is(ra, buf_get(&b), NULL, RA_JWT, CART);
	ra_get_token_counts(ra, &hits, &misses);
	assert_int_equal(hits, 1);
	assert_int_equal(misses, 1);
	assert_int_equal(
		ask_at(ra, buf_get(&b), NULL, now_sec + 3600, &why, &who),
		ERR_UNAUTHENTICATED);
	assert_is(ra, buf_get(&b), NULL, RA_JWT, CART);
	ra_set_jwks(ra, 0, other);
	assert_nobody(ra, buf_get(&b), NULL, "jwt: ");
	jwks_unref(other);
	buf_fini(&b);
	ra_free(ra);
}

static void
what_is_remembered_does_not_count_before_it_was_found(void **state)
{
	struct ra *ra = make_ra(usual);
	struct ra_result who;
	struct why why;
	struct buf b = {0};

	(void)state;
	assert_is(ra,
		  bearer(&b, "k1", ISSUER,
			 ",\"nbf\":1799999990,\"sub\":\"" SUB "\""),
		  NULL, RA_JWT, CART);
	/* The clock goes back. */
	assert_int_equal(
		ask_at(ra, buf_get(&b), NULL, now_sec - 3600, &why, &who),
		ERR_UNAUTHENTICATED);
	assert_non_null(strstr(why.text, "not valid before"));
	assert_is(ra, buf_get(&b), NULL, RA_JWT, CART);
	buf_fini(&b);
	ra_free(ra);
}

static void
a_join_token_is_known_by_its_form_and_kept_as_a_hash(void **state)
{
	struct ra *ra = make_ra(usual);
	char text[RA_JOIN_TEXT_MAX];
	char header[RA_JOIN_TEXT_MAX + 16];
	uint8_t hash[RA_TOKEN_HASH_LEN];
	struct ra_result who;
	struct why why;

	(void)state;
	ra_join_token_make(text, hash);
	(void)snprintf(header, sizeof(header), "Bearer %s", text);
	assert_int_equal(
		ask_at(ra, slice_of_str(header), NULL, now_sec, &why, &who),
		ERR_OK);
	assert_int_equal(who.kind, RA_JOIN_TOKEN);
	assert_int_equal(who.identity_len, 0);
	assert_true(who.has_token_hash);
	assert_memory_equal(who.token_hash, hash, sizeof(hash));
	assert_null(strstr(who.caller, text));
	/* Cut in copying: said so, not just unknown. */
	header[strlen(header) - 1] = '\0';
	assert_nobody(ra, slice_of_str(header), NULL, "cut");
	ra_free(ra);
}

static void
two_join_tokens_are_never_the_same(void **state)
{
	char a[RA_JOIN_TEXT_MAX], b[RA_JOIN_TEXT_MAX];
	uint8_t hash_a[RA_TOKEN_HASH_LEN], hash_b[RA_TOKEN_HASH_LEN];

	(void)state;
	ra_join_token_make(a, hash_a);
	ra_join_token_make(b, hash_b);
	assert_string_not_equal(a, b);
	assert_memory_not_equal(hash_a, hash_b, sizeof(hash_a));
}

static void
an_unknown_authenticator_is_a_configuration_error(void **state)
{
	static const char *const order[] = {"jwt", "magic", NULL};
	const struct ra_opts opts = {.order = order};
	struct why why = {0};
	struct ra *ra;

	(void)state;
	assert_int_equal(ra_new(&opts, &why, &ra), ERR_CONFIG);
	assert_null(ra);
	assert_non_null(strstr(why.text, "magic"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_shows_nothing_is_nobody),
		cmocka_unit_test(
			a_verified_certificate_is_its_own_identity_until_it_ends),
		cmocka_unit_test(identities_of_others_or_of_nobody_are_refused),
		cmocka_unit_test(
			a_token_names_the_service_account_or_the_claim),
		cmocka_unit_test(the_first_in_order_that_succeeds_wins),
		cmocka_unit_test(every_cause_is_told),
		cmocka_unit_test(
			a_header_that_is_not_one_bearer_token_is_refused),
		cmocka_unit_test(an_unknown_key_names_the_issuer_to_fetch_from),
		cmocka_unit_test(
			a_good_token_is_remembered_until_it_ends_or_keys_change),
		cmocka_unit_test(
			what_is_remembered_does_not_count_before_it_was_found),
		cmocka_unit_test(
			a_join_token_is_known_by_its_form_and_kept_as_a_hash),
		cmocka_unit_test(two_join_tokens_are_never_the_same),
		cmocka_unit_test(
			an_unknown_authenticator_is_a_configuration_error),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
