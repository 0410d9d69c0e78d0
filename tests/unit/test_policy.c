/* test_policy.c - lib/ca/policy.h. */
#include "base/buf.h"
#include "ca/policy.h"
#include "unit.h"

static const int64_t hour = 3600000;
static const struct wall t0 = {INT64_C(1795000000000)};

static struct ca_policy
policy(void)
{
	return (struct ca_policy){
		.trust_domain = SLICE_LIT("cluster.local"),
		.default_ttl_ms = 24 * 3600000,
		.max_ttl_ms = INT64_C(2160) * 3600000,
		.backdate_ms = 120000,
		.serving_ttl_ms = 48 * 3600000,
		.keys = {.rsa_bits_min = 2048, .rsa_bits_max = 8192},
	};
}

static struct wall
at(int64_t ms)
{
	return (struct wall){t0.ms + ms};
}

/* An issuer that began long ago. */
static struct ca_policy_issuer
ends(int64_t ms)
{
	return (struct ca_policy_issuer){at(-1000000 * hour), at(ms)};
}

static void
zero_is_the_default_ttl_and_the_max_is_granted(void **state)
{
	struct ca_policy p = policy();
	int64_t ttl;

	(void)state;
	assert_int_equal(ca_policy_grant_ttl(&p, 0, NULL, &ttl), ERR_OK);
	assert_int_equal(ttl, 24 * hour);
	assert_int_equal(ca_policy_grant_ttl(&p, 1, NULL, &ttl), ERR_OK);
	assert_int_equal(ttl, 1000);
	assert_int_equal(ca_policy_grant_ttl(&p, 2160 * 3600, NULL, &ttl),
			 ERR_OK);
	assert_int_equal(ttl, 2160 * hour);
}

static void
a_ttl_above_the_max_is_refused_with_istios_text(void **state)
{
	static const struct {
		int64_t sec;
		const char *text;
	} cases[] = {
		{8000000, "requested TTL 2222h13m20s is greater than the max "
			  "allowed TTL 2160h0m0s"},
		{2160 * 3600 + 1, "requested TTL 2160h0m1s is greater than the "
				  "max allowed TTL 2160h0m0s"},
		{INT64_MAX, "requested TTL 2562047788015215h30m7s is greater "
			    "than the max allowed TTL 2160h0m0s"},
		{INT64_MAX / 1000, "requested TTL 2562047788015h12m55s is "
				   "greater than the max allowed TTL "
				   "2160h0m0s"},
	};
	struct ca_policy p = policy();
	struct why why;
	int64_t ttl;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(
			ca_policy_grant_ttl(&p, cases[i].sec, &why, &ttl),
			ERR_REFUSED);
		assert_string_equal(why.text, cases[i].text);
		assert_int_equal(ttl, 0);
	}
}

static void
a_negative_ttl_is_refused(void **state)
{
	struct ca_policy p = policy();
	struct why why;
	int64_t ttl;

	(void)state;
	assert_int_equal(ca_policy_grant_ttl(&p, -1, &why, &ttl), ERR_REFUSED);
	assert_string_equal(why.text,
			    "requested TTL of -1 seconds is negative");
	assert_int_equal(ca_policy_grant_ttl(&p, INT64_MIN, &why, &ttl),
			 ERR_REFUSED);
}

static void
times_are_backdated_whole_seconds_within_the_issuers_life(void **state)
{
	struct ca_policy p = policy();
	struct wall from, to;
	struct why why;

	(void)state;
	assert_int_equal(ca_policy_grant_times(&p, hour, at(789),
					       ends(1000 * hour), &why, &from,
					       &to),
			 ERR_OK);
	assert_int_equal(from.ms, t0.ms - 120000);
	assert_int_equal(to.ms, t0.ms + hour);
	/* Cut to the issuer's end. */
	assert_int_equal(ca_policy_grant_times(&p, hour, at(0), ends(hour / 2),
					       &why, &from, &to),
			 ERR_OK);
	assert_int_equal(to.ms, t0.ms + hour / 2);
	assert_int_equal(ca_policy_grant_times(&p, INT64_MAX, at(0), ends(hour),
					       &why, &from, &to),
			 ERR_OK);
	assert_int_equal(to.ms, t0.ms + hour);
	/* The issuer's last moment has passed. */
	assert_int_equal(ca_policy_grant_times(&p, hour, at(0), ends(0), &why,
					       &from, &to),
			 ERR_EXPIRED);
	assert_non_null(strstr(why.text, "2026-11-18T11:06:40"));
	assert_int_equal(to.ms, 0);
}

static void
only_workloads_of_our_trust_domain_have_an_identity_here(void **state)
{
	static const struct {
		const char *id;
		const char *text; /* NULL: good */
	} cases[] = {
		{"spiffe://cluster.local/ns/a/sa/b", NULL},
		{"spiffe://cluster.local/x", NULL},
		{"spiffe://cluster.local", "has no path"},
		{"spiffe://cluster.local/", "identity spiffe://"},
		{"spiffe://cluster.locals/ns/a/sa/b",
		 "is not in the trust domain cluster.local"},
		{"spiffe://evil.cluster.local/ns/a/sa/b",
		 "is not in the trust domain"},
		{"spiffe://Cluster.local/ns/a/sa/b", "identity spiffe://"},
		{"spiffe://cluster.local/ns/../sa/b", "identity spiffe://"},
		{"spiffe://cluster.local/a,DNS:b", "identity spiffe://"},
		{"https://cluster.local/ns/a/sa/b", "identity https://"},
		{"", "identity"},
	};
	struct ca_policy p = policy();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct why why = {0};
		enum err ret = ca_policy_check_identity(
			&p, slice_of_str(cases[i].id), &why);

		assert_int_equal(ret,
				 cases[i].text == NULL ? ERR_OK : ERR_REFUSED);
		if (cases[i].text != NULL &&
		    strstr(why.text, cases[i].text) == NULL)
			fail_msg("%s: %s", cases[i].id, why.text);
	}
}

static void
a_csr_may_ask_for_the_callers_name_or_none(void **state)
{
	struct slice me = SLICE_LIT("spiffe://cluster.local/ns/a/sa/me");
	struct slice other = SLICE_LIT("spiffe://cluster.local/ns/a/sa/other");
	struct ca_policy p = policy();
	struct why why;

	(void)state;
	assert_int_equal(ca_policy_check_wanted(&p, me, me, &why), ERR_OK);
	assert_int_equal(ca_policy_check_wanted(&p, me, SLICE_NONE, &why),
			 ERR_OK);
	assert_int_equal(ca_policy_check_wanted(&p, me, other, &why),
			 ERR_REFUSED);
	assert_string_equal(why.text,
			    "CSR: SAN asks for spiffe://cluster.local/ns/a/sa/"
			    "other, the caller is spiffe://cluster.local/ns/a/"
			    "sa/me: ask for that one or for none");
	p.san_mode = CA_SAN_IGNORE;
	assert_int_equal(ca_policy_check_wanted(&p, me, other, &why), ERR_OK);
}

/* -- what the signer checks ---------------------------------------------- */

static struct buf p256, rsa2048, ed25519;

static int
make_keys(void **state)
{
	static const struct {
		enum key_kind kind;
		struct buf *spki;
	} kinds[] = {{KEY_EC_P256, &p256},
		     {KEY_RSA, &rsa2048},
		     {KEY_ED25519, &ed25519}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct privkey *key;

		buf_init(kinds[i].spki, 4096);
		assert_int_equal(privkey_new(kinds[i].kind, 2048, &key),
				 ERR_OK);
		assert_int_equal(privkey_get_spki(key, kinds[i].spki), ERR_OK);
		privkey_free(key);
	}
	return 0;
}

static int
free_keys(void **state)
{
	(void)state;
	buf_fini(&p256);
	buf_fini(&rsa2048);
	buf_fini(&ed25519);
	return 0;
}

static struct ca_policy_leaf
leaf(void)
{
	return (struct ca_policy_leaf){
		.profile = BUILD_WORKLOAD,
		.identity = SLICE_LIT("spiffe://cluster.local/ns/a/sa/b"),
		.spki = buf_get(&p256),
		.not_before = at(-120000),
		.not_after = at(24 * hour),
	};
}

static enum err
check(const struct ca_policy_leaf *l, struct why *why)
{
	struct ca_policy p = policy();
	bool is_rsa;

	why->text[0] = '\0';
	return ca_policy_check_leaf(&p, l, t0, ends(3000 * hour), &is_rsa, why);
}

static void
assert_fails(const struct ca_policy_leaf *l, enum err e, const char *text)
{
	struct why why;

	assert_int_equal(check(l, &why), e);
	if (strstr(why.text, text) == NULL)
		fail_msg("\"%s\" is not in: %s", text, why.text);
}

static void
assert_refused(const struct ca_policy_leaf *l, const char *text)
{
	assert_fails(l, ERR_REFUSED, text);
}

/* No fault of any caller. */
static void
assert_clocks_differ(const struct ca_policy_leaf *l, const char *text)
{
	assert_fails(l, ERR_UNAVAILABLE, text);
}

static void
a_leaf_never_begins_before_its_issuer(void **state)
{
	const struct ca_policy_issuer fresh = {at(0), at(1000 * hour)};
	struct ca_policy p = policy();
	struct ca_policy_leaf l = leaf();
	struct wall from, to;
	struct why why;
	bool is_rsa;

	(void)state;
	assert_int_equal(ca_policy_grant_times(&p, hour, at(1000), fresh, &why,
					       &from, &to),
			 ERR_OK);
	assert_int_equal(from.ms, t0.ms);
	/* A clock that went back behind the issuer's beginning. */
	assert_int_equal(ca_policy_grant_times(&p, hour, at(-1), fresh, &why,
					       &from, &to),
			 ERR_UNAVAILABLE);
	assert_non_null(strstr(why.text, "clock says"));
	assert_int_equal(to.ms, 0);
	/* The signer looks again. */
	assert_int_equal(ca_policy_check_leaf(&p, &l, t0, fresh, &is_rsa, &why),
			 ERR_UNAVAILABLE);
	assert_non_null(strstr(why.text, "before the issuer's"));
	l.not_before = at(0);
	assert_int_equal(ca_policy_check_leaf(&p, &l, t0, fresh, &is_rsa, &why),
			 ERR_OK);
}

static void
a_good_leaf_passes_and_its_kind_of_key_is_told(void **state)
{
	struct ca_policy p = policy();
	struct ca_policy_leaf l = leaf();
	struct why why;
	bool is_rsa = true;

	(void)state;
	assert_int_equal(ca_policy_check_leaf(&p, &l, t0, ends(3000 * hour),
					      &is_rsa, &why),
			 ERR_OK);
	assert_false(is_rsa);
	l.spki = buf_get(&rsa2048);
	assert_int_equal(ca_policy_check_leaf(&p, &l, t0, ends(3000 * hour),
					      &is_rsa, &why),
			 ERR_OK);
	assert_true(is_rsa);
	l.profile = BUILD_SERVING;
	l.identity = SLICE_NONE;
	assert_int_equal(check(&l, &why), ERR_OK);
}

static void
a_signer_refuses_ca_profiles_and_foreign_names(void **state)
{
	static const enum build_profile bad[] = {BUILD_NONE, BUILD_ROOT,
						 BUILD_ISSUING, 77};
	struct ca_policy_leaf l;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		l = leaf();
		l.profile = bad[i];
		assert_refused(&l, "never a CA certificate");
	}
	l = leaf();
	l.identity = SLICE_LIT("spiffe://other/ns/a/sa/b");
	assert_refused(&l, "is not in the trust domain");
	l.profile = BUILD_SERVING;
	assert_refused(&l, "configured names only");
	l.identity = leaf().identity;
	assert_refused(&l, "configured names only");
	l = leaf();
	l.identity = SLICE_NONE;
	assert_refused(&l, "identity");
}

static void
a_signer_refuses_times_that_the_policy_would_not_grant(void **state)
{
	struct ca_policy_leaf l = leaf();
	struct why why;

	(void)state;
	l.not_after = at(2160 * hour);
	assert_int_equal(check(&l, &why), ERR_OK);
	l.not_after = at(2161 * hour);
	assert_clocks_differ(&l,
			     "further away than the max allowed TTL 2160h0m0s");
	l.not_after = at(3001 * hour);
	assert_clocks_differ(&l, "past the end of the issuer's chain");
	l.not_after = at(0);
	assert_clocks_differ(&l, "notAfter is in the past");
	l = leaf();
	l.not_before = at(-hour);
	assert_clocks_differ(&l, "notBefore lies further back");
	l.not_before = at(hour);
	assert_clocks_differ(&l, "notBefore is in the future");
	l = leaf();
	l.not_before.ms = INT64_MIN;
	assert_clocks_differ(&l, "notBefore lies further back");
	l = leaf();
	l.profile = BUILD_SERVING;
	l.identity = SLICE_NONE;
	l.not_after = at(48 * hour);
	assert_int_equal(check(&l, &why), ERR_OK);
	l.not_after = at(49 * hour);
	assert_clocks_differ(&l, "max allowed TTL 48h0m0s");
}

static void
a_signer_refuses_keys_that_are_not_allowed_or_no_keys(void **state)
{
	struct ca_policy p = policy();
	struct ca_policy_leaf l = leaf();
	struct why why;
	bool is_rsa;

	(void)state;
	l.spki = buf_get(&ed25519);
	assert_int_equal(check(&l, &why), ERR_REFUSED);
	p.keys.allow_ed25519 = true;
	assert_int_equal(ca_policy_check_leaf(&p, &l, t0, ends(3000 * hour),
					      &is_rsa, &why),
			 ERR_OK);
	p.keys.rsa_bits_min = 3072;
	l.spki = buf_get(&rsa2048);
	assert_int_equal(ca_policy_check_leaf(&p, &l, t0, ends(3000 * hour),
					      &is_rsa, &why),
			 ERR_REFUSED);
	l.spki = SLICE_LIT("no key at all");
	assert_int_not_equal(check(&l, &why), ERR_OK);
	assert_true(why.text[0] != '\0');
}

int
main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(zero_is_the_default_ttl_and_the_max_is_granted),
		T(a_ttl_above_the_max_is_refused_with_istios_text),
		T(a_negative_ttl_is_refused),
		T(times_are_backdated_whole_seconds_within_the_issuers_life),
		T(only_workloads_of_our_trust_domain_have_an_identity_here),
		T(a_csr_may_ask_for_the_callers_name_or_none),
		T(a_leaf_never_begins_before_its_issuer),
		T(a_good_leaf_passes_and_its_kind_of_key_is_told),
		T(a_signer_refuses_ca_profiles_and_foreign_names),
		T(a_signer_refuses_times_that_the_policy_would_not_grant),
		T(a_signer_refuses_keys_that_are_not_allowed_or_no_keys),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
