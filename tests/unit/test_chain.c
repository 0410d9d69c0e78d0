/* test_chain.c - lib/pki/chain.h: each rule on both sides. The good chain
 * passes; a case changes one thing and names what is said. */
#include "unit.h"

#include "chain_world.h"
#include "pki/chain_int.h"
#include "roca_sample.h"

static enum err
made_and_verified(struct world *w)
{
	make(w);
	return verify_at(w, 60);
}

/* Refused with this text; and, where rule is one that may warn, accepted with a
 * warning when it does. */
static void
expect_refused(struct world *w, enum err want, const char *says, int rule)
{
	enum err e = made_and_verified(w);

	if (e != want || strstr(w->why.text, says) == NULL)
		fail_msg("%s instead of %s \"%s\": \"%s\"", err_name(e),
			 err_name(want), says, w->why.text);
	if (rule < 0)
		return;
	assert_non_null(strstr(w->why.text, chain_rule_names[rule]));
	if ((CHAIN_WARN_ALL & 1U << rule) == 0)
		return; /* always refuses */
	w->opts.warn_rules = 1U << rule;
	e = verify_at(w, 60);
	if (e != ERR_OK)
		fail_msg("not only a warning: %s", w->why.text);
	assert_int_equal(w->result.warned_rules, 1U << rule);
	assert_non_null(strstr(w->result.warning.text, says));
}

static void
a_good_chain_passes_with_its_facts(void **state)
{
	struct world *w = *state;

	assert_int_equal(made_and_verified(w), ERR_OK);
	assert_int_equal(w->result.path_len, 3);
	assert_int_equal(w->result.anchor, 0);
	assert_int_equal(w->result.warned_rules, 0);
	assert_int_equal(wall_sec(w->result.earliest_not_after),
			 MADE_NOW + MADE_DAY);
}

static void
the_earliest_end_is_that_of_any_certificate(void **state)
{
	struct world *w = *state;

	w->specs[ROOT].to = 3600;
	assert_int_equal(made_and_verified(w), ERR_OK);
	assert_int_equal(wall_sec(w->result.earliest_not_after),
			 MADE_NOW + 3600);
	assert_int_equal(verify_at(w, 3601), ERR_EXPIRED);
}

static void
times_are_those_of_the_argument(void **state)
{
	struct world *w = *state;

	make(w);
	assert_int_equal(verify_at(w, MADE_DAY - 1), ERR_OK);
	assert_int_equal(verify_at(w, MADE_DAY), ERR_EXPIRED);
	assert_int_equal(verify_at(w, MADE_DAY + 1), ERR_EXPIRED);
	assert_int_equal(verify_at(w, -1), ERR_NOT_YET_VALID);
}

static void
a_chain_of_another_root_is_not_trusted(void **state)
{
	struct world *w = *state;

	w->specs[MID].signer = w->keys[OTHER];
	w->specs[MID].aki = false;
	expect_refused(w, ERR_SIGNATURE, "", -1);
	w->specs[MID].issuer = "another root";
	expect_refused(w, ERR_UNTRUSTED, "CN=another root) is neither", -1);
}

static void
a_changed_byte_breaks_the_signature(void **state)
{
	struct world *w = *state;
	struct buf *leaf = &w->ders[LEAF];

	make(w);
	/* The last byte of the signature. */
	leaf->p[leaf->end - 1] ^= 1;
	assert_int_equal(verify_at(w, 60), ERR_SIGNATURE);
	leaf->p[leaf->end - 1] ^= 1;
	assert_int_equal(verify_at(w, 60), ERR_OK);
}

/* The leaf with this modulus; says NULL: good. */
static void
expect_modulus(struct world *w, struct slice n, const char *says)
{
	struct buf spki;

	buf_init(&spki, 4096);
	must(pubkey_build_rsa_spki(n, SLICE_LIT("\x01\x00\x01"), &spki) ==
	     ERR_OK);
	w->specs[LEAF].spki = buf_get(&spki);
	if (says == NULL)
		assert_int_equal(made_and_verified(w), ERR_OK);
	else
		expect_refused(w, ERR_REFUSED, says, CHAIN_RULE_KEY_SIZE);
	buf_fini(&spki);
}

static void
rule_key_size(void **state)
{
	uint8_t n[257];

	memset(n, 0xff, sizeof(n));
	expect_modulus(*state, slice_of(n, 128), "an RSA key of 1024 bits");
	expect_modulus(*state, slice_of(n, 255), "an RSA key of 2040 bits");
	expect_modulus(*state, slice_of(n, 256), NULL);
	expect_modulus(*state, slice_of(n, 257), NULL);
	n[0] = 0x7f;
	expect_modulus(
		*state, slice_of(n, 257),
		"an RSA key of 2055 bits; 2048 to 16384, divisible by 8");
	expect_modulus(*state, SLICE_ARRAY(roca_sample),
		       "ROCA, CVE-2017-15361");
}

/* secp256k1, with any point. The library would say no, too, but not why: the
 * rule itself. */
static void
rule_key_size_knows_the_kinds_of_keys(void **state)
{
	struct world *w = *state;
	struct chain_path p = {.opts = &w->opts, .cnt = 1};
	struct cert leaf;
	uint8_t spki[23 + 65] = "\x30\x56\x30\x10\x06\x07\x2a\x86\x48\xce\x3d"
				"\x02\x01\x06\x05\x2b\x81\x04\x00\x0a\x03\x42";

	spki[23] = 0x04;
	w->specs[LEAF].spki = slice_of(spki, sizeof(spki));
	expect_refused(w, ERR_UNTRUSTED, "", -1);
	assert_int_equal(cert_parse(buf_get(&w->ders[LEAF]), NULL, &leaf),
			 ERR_OK);
	p.certs[0] = &leaf;
	assert_int_equal(chain_rules_check(&p, &w->why, &w->result),
			 ERR_REFUSED);
	assert_non_null(strstr(w->why.text, "a key that is no RSA, P-256"));
}

static void
rule_key_ids(void **state)
{
	struct world *w = *state;

	w->specs[LEAF].aki = false;
	expect_refused(w, ERR_REFUSED, "no authority key identifier",
		       CHAIN_RULE_KEY_IDS);
	w->opts.warn_rules = 0;
	w->specs[LEAF].aki = true;
	w->specs[MID].ski = false;
	expect_refused(w, ERR_REFUSED, "certificate 1 (CN=mid): rule key-ids",
		       CHAIN_RULE_KEY_IDS);
	w->opts.warn_rules = 0;
	w->specs[MID].ski = true;
	w->specs[LEAF].ski = false; /* a leaf may be without */
	w->specs[ROOT].aki = false; /* so may an anchor */
	w->specs[ROOT].ski = false;
	assert_int_equal(made_and_verified(w), ERR_OK);
}

static void
rule_criticality(void **state)
{
	struct world *w = *state;

	w->specs[MID].basic_lax = true;
	expect_refused(w, ERR_REFUSED, "basicConstraints is not critical",
		       CHAIN_RULE_CRITICALITY);
	w->opts.warn_rules = 0;
	w->specs[MID].basic_lax = false;
	w->specs[ROOT].basic_lax = true; /* anchors are exempt */
	w->specs[LEAF].san_lax = true;
	w->opts.spiffe = false;
	expect_refused(w, ERR_REFUSED, "SAN is not critical",
		       CHAIN_RULE_CRITICALITY);
	w->opts.warn_rules = 0;
	w->specs[LEAF].subject = "a leaf";
	assert_int_equal(made_and_verified(w), ERR_OK);
	w->specs[LEAF].issuer = NULL;
	w->specs[MID].subject = NULL;
	expect_refused(w, ERR_REFUSED, "a CA without subject",
		       CHAIN_RULE_CRITICALITY);
}

static void
rule_criticality_of_constraints(void **state)
{
	struct world *w = *state;

	w->specs[MID].has_constraints = true;
	w->specs[MID].constraints = SLICE_LIT("\xa0\x06\x30\x04\x86\x02td");
	w->specs[MID].constraints_lax = true;
	expect_refused(w, ERR_REFUSED, "nameConstraints is not critical",
		       CHAIN_RULE_CRITICALITY);
	w->opts.warn_rules = 0;
	w->specs[MID].constraints_lax = false;
	assert_int_equal(made_and_verified(w), ERR_OK);
	/* inhibitAnyPolicy 0, not critical */
	w->specs[MID].extra = SLICE_LIT("\x30\x0a\x06\x03\x55\x1d\x36\x04\x03"
					"\x02\x01\x00");
	expect_refused(w, ERR_REFUSED, "inhibitAnyPolicy",
		       CHAIN_RULE_CRITICALITY);
}

static void
rule_leaf_not_ca(void **state)
{
	struct world *w = *state;

	w->opts.spiffe = false;
	w->specs[LEAF].is_ca = true;
	w->specs[LEAF].subject = "leaf";
	w->specs[LEAF].usage = KU_LEAF | KU_CA;
	expect_refused(w, ERR_REFUSED, "a CA certificate where a leaf",
		       CHAIN_RULE_LEAF_NOT_CA);
	w->opts.warn_rules = 0;
	/* The chain of a CA is what is asked for. */
	w->opts.purpose = CHAIN_ANY;
	assert_int_equal(made_and_verified(w), ERR_OK);
	w->specs[LEAF].is_ca = false;
	expect_refused(w, ERR_REFUSED, "keyCertSign", CHAIN_RULE_LEAF_NOT_CA);
	w->opts.warn_rules = 0;
	w->specs[LEAF].usage = KU_LEAF;
	assert_int_equal(made_and_verified(w), ERR_OK);
	w->specs[LEAF].has_constraints = true;
	w->specs[LEAF].constraints = SLICE_LIT("\xa0\x06\x30\x04\x86\x02td");
	expect_refused(w, ERR_REFUSED, "a leaf with nameConstraints",
		       CHAIN_RULE_LEAF_NOT_CA);
}

static void
rule_name_constraints(void **state)
{
	static const struct {
		struct slice nc;
		const char *says;
	} bad[] = {
		{{NULL, 0}, "neither permitted nor excluded"},
		{{(const uint8_t *)"\xa0\x00", 2}, "an empty list"},
		{{(const uint8_t *)"\xa1\x00", 2}, "an empty list"},
		{{(const uint8_t *)"\xa0\x07\x30\x05\x82\x03.td", 9},
		 "leading dot"},
		{{(const uint8_t *)"\xa0\x09\x30\x07\x86\x02td\x80\x01\x00",
		  11},
		 "malformed subtree"},
	};
	struct why why = {""};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		assert_int_equal(name_constraints_check_form(bad[i].nc, &why),
				 ERR_REFUSED);
		if (strstr(why.text, bad[i].says) == NULL)
			fail_msg("%zu: %s", i, why.text);
	}
	assert_int_equal(name_constraints_check_form(
				 SLICE_LIT("\xa0\x06\x30\x04\x86\x02td"
					   "\xa1\x06\x30\x04\x82\x02xx"),
				 &why),
			 ERR_OK);
}

static void
rule_name_constraints_stands_in_the_text(void **state)
{
	struct world *w = *state;

	w->specs[MID].has_constraints = true;
	w->specs[MID].constraints = SLICE_LIT("\xa0\x07\x30\x05\x82\x03.td");
	expect_refused(w, ERR_REFUSED,
		       "certificate 1 (CN=mid): rule name-constraints",
		       CHAIN_RULE_NAME_CONSTRAINTS);
}

static void
rule_dns_charset(void **state)
{
	static const char *const good[] = {"a.b", "*.a-1.b", "x", "A.b"};
	static const char *const bad[] = {"a_b",  "a..b",  ".a", "a.",
					  "a*.b", "*.*.a", "a b"};
	struct world *w = *state;

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		w->specs[LEAF].dns = good[i];
		assert_int_equal(made_and_verified(w), ERR_OK);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		w->specs[LEAF].dns = bad[i];
		w->opts.warn_rules = 0;
		expect_refused(w, ERR_REFUSED, bad[i], CHAIN_RULE_DNS_CHARSET);
	}
}

static void
rule_serial(void **state)
{
	struct world *w = *state;
	uint8_t serial[21];

	memset(serial, 0x11, sizeof(serial));
	w->specs[LEAF].serial = slice_of(serial, 20);
	assert_int_equal(made_and_verified(w), ERR_OK);
	w->specs[LEAF].serial = slice_of(serial, 21);
	expect_refused(w, ERR_REFUSED, "21 octets", CHAIN_RULE_SERIAL);
	w->opts.warn_rules = 0;
	w->specs[LEAF].serial = SLICE_LIT("\x80");
	expect_refused(w, ERR_REFUSED, "not positive", CHAIN_RULE_SERIAL);
	w->opts.warn_rules = 0;
	w->specs[LEAF].serial = slice_of("\0", 1);
	expect_refused(w, ERR_REFUSED, "not positive", CHAIN_RULE_SERIAL);
	w->opts.warn_rules = 0;
	w->specs[LEAF].serial = SLICE_NONE;
	w->specs[ROOT].serial = slice_of("\0", 1);
	assert_int_equal(made_and_verified(w), ERR_OK);
}

/* The library may be older or newer than SHA-1's end: the rule itself. */
static void
rule_sig_alg(void **state)
{
	struct world *w = *state;
	struct chain_opts opts = {.purpose = CHAIN_ANY};
	struct chain_path p = {.opts = &opts, .cnt = 2, .index = {0, 0}};
	struct cert leaf, root;

	w->specs[LEAF].alg = SLICE_LIT("\x30\x09\x06\x07\x2a\x86\x48\xce\x3d"
				       "\x04\x01"); /* ecdsa-with-SHA1 */
	w->specs[LEAF].signer = w->keys[ROOT];
	make(w);
	assert_int_equal(cert_parse(buf_get(&w->ders[LEAF]), NULL, &leaf),
			 ERR_OK);
	assert_int_equal(cert_parse(buf_get(&w->ders[ROOT]), NULL, &root),
			 ERR_OK);
	p.certs[0] = &leaf;
	p.certs[1] = &root;
	assert_int_equal(chain_rules_check(&p, &w->why, &w->result),
			 ERR_REFUSED);
	assert_non_null(strstr(w->why.text, "rule sig-alg: signature "
					    "algorithm 1.2.840.10045.4.1"));
	opts.warn_rules = CHAIN_WARN_ALL;
	assert_int_equal(chain_rules_check(&p, &w->why, &w->result),
			 ERR_REFUSED);
	/* As an anchor it is taken for what it is. */
	opts.warn_rules = 0;
	p.cnt = 1;
	p.is_pinned = true;
	assert_int_equal(chain_rules_check(&p, &w->why, &w->result), ERR_OK);
}

static void
rules_that_guard_identities_cannot_be_warnings(void **state)
{
	static const char *const soft[] = {"key-ids", "criticality",
					   "leaf-not-ca", "dns-charset",
					   "serial"};
	static const char *const hard[] = {"sig-alg", "key-size",
					   "name-constraints"};
	uint32_t rules = 0;
	struct why why;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(soft); i++)
		assert_int_equal(chain_rule_add_warn(slice_of_str(soft[i]),
						     &why, &rules),
				 ERR_OK);
	assert_int_equal(rules, CHAIN_WARN_ALL);
	for (size_t i = 0; i < COUNT_OF(hard); i++) {
		assert_int_equal(chain_rule_add_warn(slice_of_str(hard[i]),
						     &why, &rules),
				 ERR_CONFIG);
		assert_non_null(strstr(why.text, hard[i]));
		assert_non_null(strstr(why.text, "cannot be a warning"));
	}
	assert_int_equal(COUNT_OF(soft) + COUNT_OF(hard), CHAIN_RULE_CNT);
	assert_int_equal(
		chain_rule_add_warn(SLICE_LIT("key_ids"), &why, &rules),
		ERR_CONFIG);
	assert_non_null(strstr(why.text, "no rule \"key_ids\"; key-ids,"));
	assert_int_equal(rules, CHAIN_WARN_ALL);
}

static void
what_only_warns_does_not_hide_other_rules(void **state)
{
	struct world *w = *state;

	w->specs[LEAF].aki = false;
	w->specs[LEAF].serial = SLICE_LIT("\x80");
	w->opts.warn_rules = 1U << CHAIN_RULE_KEY_IDS;
	assert_int_equal(made_and_verified(w), ERR_REFUSED);
	assert_non_null(strstr(w->why.text, "rule serial"));
	w->opts.warn_rules |= 1U << CHAIN_RULE_SERIAL;
	assert_int_equal(verify_at(w, 60), ERR_OK);
	assert_int_equal(w->result.warned_rules, w->opts.warn_rules);
	assert_non_null(strstr(w->result.warning.text, "rule key-ids"));
}

static void
the_purpose_must_be_in_the_leaf(void **state)
{
	struct world *w = *state;

	w->opts.spiffe = false;
	w->specs[LEAF].eku = "c";
	expect_refused(w, ERR_REFUSED, "does not include serverAuth", -1);
	w->opts.purpose = CHAIN_TLS_CLIENT;
	assert_int_equal(verify_at(w, 60), ERR_OK);
	w->specs[LEAF].eku = "s";
	expect_refused(w, ERR_REFUSED, "does not include clientAuth", -1);
	w->opts.purpose = CHAIN_ANY;
	assert_int_equal(verify_at(w, 60), ERR_OK);
	w->opts.purpose = CHAIN_TLS_CLIENT;
	w->specs[LEAF].eku = "a"; /* any is none in a leaf */
	expect_refused(w, ERR_REFUSED, "does not include clientAuth", -1);
	w->specs[LEAF].eku = NULL;
	assert_int_equal(made_and_verified(w), ERR_OK);
}

static void
the_purpose_must_be_in_the_issuers_too(void **state)
{
	struct world *w = *state;

	w->specs[MID].eku = "c";
	expect_refused(w, ERR_REFUSED,
		       "certificate 1 (CN=mid): its "
		       "extKeyUsage",
		       -1);
	w->specs[MID].eku = "a";
	assert_int_equal(made_and_verified(w), ERR_OK);
	w->specs[MID].eku = "sc";
	assert_int_equal(made_and_verified(w), ERR_OK);
}

static void
tls_wants_digital_signature(void **state)
{
	struct world *w = *state;

	w->opts.spiffe = false;
	w->specs[LEAF].usage = CERT_KU_KEY_ENCIPHERMENT;
	expect_refused(w, ERR_REFUSED, "lacks digitalSignature", -1);
	w->specs[LEAF].usage = 0;
	assert_int_equal(made_and_verified(w), ERR_OK);
}

static void
the_identity_must_be_of_the_bundles_domain(void **state)
{
	struct world *w = *state;

	w->specs[LEAF].uri = "spiffe://other/ns/a/sa/b";
	expect_refused(w, ERR_UNTRUSTED,
		       "of trust domain other, the bundle "
		       "is that of td",
		       -1);
	w->opts.spiffe = false;
	assert_int_equal(verify_at(w, 60), ERR_OK);
}

static void
a_chain_for_spiffe_ends_in_a_proper_svid(void **state)
{
	struct world *w = *state;

	w->specs[LEAF].uri2 = "spiffe://td/x";
	expect_refused(w, ERR_REFUSED, "2 URI SANs", -1);
	w->specs[LEAF].uri2 = NULL;
	w->specs[LEAF].usage_lax = true;
	expect_refused(w, ERR_REFUSED, "keyUsage is not critical", -1);
	w->specs[LEAF].usage_lax = false;
	w->specs[LEAF].uri = "spiffe://td";
	expect_refused(w, ERR_REFUSED, "has no path", -1);
}

static void
the_host_must_be_among_the_names(void **state)
{
	struct world *w = *state;

	w->specs[LEAF].dns = "*.x.svc";
	w->opts.host = "db.x.svc";
	assert_int_equal(made_and_verified(w), ERR_OK);
	w->opts.host = "a.db.x.svc";
	assert_int_equal(verify_at(w, 60), ERR_MISMATCH);
	assert_non_null(strstr(w->why.text, "no SAN for the host a.db.x.svc"));
	/* A common name is none. */
	w->specs[LEAF].subject = "a.db.x.svc";
	assert_int_equal(made_and_verified(w), ERR_MISMATCH);
}

static void
uri_constraints_bind_the_identities_below(void **state)
{
	struct world *w = *state;
	struct made *mid = &w->specs[MID];

	mid->has_constraints = true;
	mid->constraints = SLICE_LIT("\xa0\x09\x30\x07\x86\x05other");
	expect_refused(w, ERR_UNTRUSTED, "", -1);
	mid->constraints = SLICE_LIT("\xa0\x06\x30\x04\x86\x02td");
	assert_int_equal(made_and_verified(w), ERR_OK);
	mid->constraints = SLICE_LIT("\xa1\x06\x30\x04\x86\x02td");
	expect_refused(w, ERR_UNTRUSTED, "", -1);
}

/* Our own part, without the library in front of it. */
static void
uri_constraints_are_hosts(void **state)
{
	static const struct {
		const char *uri;
		enum err want;
	} rows[] = {
		{"spiffe://td/x", ERR_OK},
		{"spiffe://TD/x", ERR_OK},
		{"https://user@td:80/x", ERR_OK},
		{"spiffe://a.td/x", ERR_REFUSED},
		{"spiffe://atd/x", ERR_REFUSED},
		{"spiffe://other/td", ERR_REFUSED},
		{"spiffe://td@other/x", ERR_REFUSED},
		{"spiffe://other#td", ERR_REFUSED},
		{"urn:td", ERR_REFUSED},
		{"https://[::1]/", ERR_REFUSED},
		{"a.sub", ERR_REFUSED},
		{"spiffe://x.sub/y", ERR_OK},
		{"spiffe://sub/y", ERR_REFUSED},
		{"spiffe://bad.sub/y", ERR_REFUSED},
	};
	/* permitted td, .sub; excluded bad.sub */
	struct slice nc = SLICE_LIT("\xa0\x0e\x30\x04\x86\x02td\x30\x06\x86"
				    "\x04.sub\xa1\x0b\x30\x09\x86\x07"
				    "bad.sub");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		enum err e = name_constraints_check_uri(
			nc, slice_of_str(rows[i].uri), NULL);

		if (e != rows[i].want)
			fail_msg("%s: %s", rows[i].uri, err_name(e));
	}
	/* An empty host: nothing is permitted, or everything excluded. */
	assert_int_equal(name_constraints_check_uri(
				 SLICE_LIT("\xa0\x04\x30\x02\x86\x00"),
				 SLICE_LIT("spiffe://td/x"), NULL),
			 ERR_REFUSED);
	assert_int_equal(name_constraints_check_uri(
				 SLICE_LIT("\xa1\x04\x30\x02\x86\x00"),
				 SLICE_LIT("spiffe://td/x"), NULL),
			 ERR_REFUSED);
	/* Constraints of other kinds say nothing about URIs. */
	assert_int_equal(name_constraints_check_uri(
				 SLICE_LIT("\xa0\x06\x30\x04\x82\x02xx"),
				 SLICE_LIT("urn:td"), NULL),
			 ERR_OK);
}

static void
an_issuer_must_be_a_ca(void **state)
{
	struct world *w = *state;

	w->specs[MID].is_ca = false;
	w->specs[MID].basic = true;
	expect_refused(w, ERR_UNTRUSTED, "", -1);
	w->specs[MID].is_ca = true;
	w->specs[MID].usage = KU_LEAF;
	expect_refused(w, ERR_UNTRUSTED, "", -1);
	w->specs[MID].usage = KU_CA;
	w->specs[ROOT].pathlen = 1; /* 0 */
	expect_refused(w, ERR_UNTRUSTED, "", -1);
	w->specs[ROOT].pathlen = 2; /* 1 */
	assert_int_equal(made_and_verified(w), ERR_OK);
}

static void
unknown_critical_extensions_are_refused(void **state)
{
	struct world *w = *state;

	w->specs[LEAF].extra = SLICE_LIT("\x30\x0c\x06\x03\x2a\x03\x04\x01"
					 "\x01\xff\x04\x02\x05\x00");
	expect_refused(w, ERR_UNTRUSTED, "", -1);
	w->specs[LEAF].extra = SLICE_LIT("\x30\x09\x06\x03\x2a\x03\x04\x04"
					 "\x02\x05\x00");
	assert_int_equal(made_and_verified(w), ERR_OK);
}

/* People put intermediate and root into one file of anchors. */
static void
an_anchor_below_an_anchor_counts_with_its_rules(void **state)
{
	struct world *w = *state;
	struct slice anchors[2], chain[2];

	/* The middle one ends first. */
	w->specs[MID].to = MADE_DAY / 2;
	w->specs[MID].from = -60;
	make(w);
	pki_bundle_unref(TAKE(w->bundle));
	for (size_t order = 0; order < 2; order++) {
		anchors[order] = buf_get(&w->ders[ROOT]);
		anchors[1 - order] = buf_get(&w->ders[MID]);
		chain[0] = buf_get(&w->ders[LEAF]);
		chain[1] = buf_get(&w->ders[MID]);
		assert_int_equal(pki_bundle_new(SLICE_LIT("td"), anchors, 2,
						&w->why, &w->bundle),
				 ERR_OK);
		for (size_t cnt = 1; cnt <= 2; cnt++) {
			enum err e =
				chain_verify(w->bundle, chain, cnt, &w->opts,
					     wall_of_sec(MADE_NOW + 60),
					     &w->why, &w->result);

			if (e != ERR_OK)
				fail_msg("%zu sent: %s", cnt, w->why.text);
			assert_int_equal(wall_sec(w->result.earliest_not_after),
					 MADE_NOW + MADE_DAY / 2);
		}
		pki_bundle_unref(TAKE(w->bundle));
	}
}

/* The library passes over a namesake that may not sign, and takes the real
 * issuer behind it: the rules must judge that one. */
static void
a_namesake_does_not_stand_in_for_the_issuer(void **state)
{
	struct world *w = *state;
	struct made fake = w->specs[MID];
	struct slice chain[3];
	struct buf der;
	enum err e;

	buf_init(&der, MADE_MAX);
	w->specs[MID].eku = "c";
	make(w);
	fake.issuer = "mid";
	fake.spki = SLICE_NONE;
	fake.signer = w->keys[OTHER];
	fake.usage = KU_LEAF;
	fake.eku = "sc";
	fake.ski = true;
	fake.aki = false;
	fake.key = w->keys[OTHER];
	/* Its key identifier is made from its key: the leaf names none. */
	w->specs[LEAF].aki = false;
	w->opts.warn_rules = 1U << CHAIN_RULE_KEY_IDS;
	make(w);
	made_build(&fake, &der);
	chain[0] = buf_get(&w->ders[LEAF]);
	chain[1] = buf_get(&der);
	chain[2] = buf_get(&w->ders[MID]);
	e = chain_verify(w->bundle, chain, 3, &w->opts,
			 wall_of_sec(MADE_NOW + 60), &w->why, &w->result);
	if (e != ERR_REFUSED || strstr(w->why.text, "extKeyUsage") == NULL)
		fail_msg("%s: \"%s\"", err_name(e), w->why.text);
	buf_fini(&der);
}

static void
a_pinned_leaf_is_its_own_path(void **state)
{
	struct world *w = *state;
	struct slice leaf;

	make(w);
	leaf = buf_get(&w->ders[LEAF]);
	pki_bundle_unref(TAKE(w->bundle));
	assert_int_equal(
		pki_bundle_new(SLICE_LIT("td"), &leaf, 1, NULL, &w->bundle),
		ERR_OK);
	assert_int_equal(verify_at(w, 60), ERR_OK);
	assert_int_equal(w->result.path_len, 1);
	assert_int_equal(verify_at(w, 2 * MADE_DAY), ERR_EXPIRED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_chain_passes_with_its_facts),
		TEST(the_earliest_end_is_that_of_any_certificate),
		TEST(times_are_those_of_the_argument),
		TEST(a_chain_of_another_root_is_not_trusted),
		TEST(a_changed_byte_breaks_the_signature),
		TEST(rule_key_size),
		TEST(rule_key_size_knows_the_kinds_of_keys),
		TEST(rule_key_ids),
		TEST(rule_criticality),
		TEST(rule_criticality_of_constraints),
		TEST(rule_leaf_not_ca),
		TEST(rule_name_constraints),
		TEST(rule_name_constraints_stands_in_the_text),
		TEST(rule_dns_charset),
		TEST(rule_serial),
		TEST(rule_sig_alg),
		TEST(rules_that_guard_identities_cannot_be_warnings),
		TEST(what_only_warns_does_not_hide_other_rules),
		TEST(the_purpose_must_be_in_the_leaf),
		TEST(the_purpose_must_be_in_the_issuers_too),
		TEST(tls_wants_digital_signature),
		TEST(the_identity_must_be_of_the_bundles_domain),
		TEST(a_chain_for_spiffe_ends_in_a_proper_svid),
		TEST(the_host_must_be_among_the_names),
		TEST(uri_constraints_bind_the_identities_below),
		TEST(uri_constraints_are_hosts),
		TEST(an_issuer_must_be_a_ca),
		TEST(unknown_critical_extensions_are_refused),
		TEST(an_anchor_below_an_anchor_counts_with_its_rules),
		TEST(a_namesake_does_not_stand_in_for_the_issuer),
		TEST(a_pinned_leaf_is_its_own_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
