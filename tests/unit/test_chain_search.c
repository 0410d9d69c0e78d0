/* test_chain_search.c - lib/pki/chain.h: which of the paths is taken, how much
 * is done to find one, and bundles. */
#include "unit.h"

#include <openssl/evp.h>

#include "chain_world.h"

enum {
	TWINS = 20,
	TIERS = 15
};

/* -- the search */

static enum err
verify_list(struct world *w, const struct slice *chain, size_t cnt)
{
	w->why = (struct why){""};
	return chain_verify(w->bundle, chain, cnt, &w->opts,
			    wall_of_sec(MADE_NOW + 60), &w->why, &w->result);
}

static void
order_and_superfluous_certificates_do_not_matter(void **state)
{
	struct world *w = *state;
	struct slice chain[4];

	w->specs[LEAF].issuer = "low";
	w->specs[LEAF].signer = w->keys[OTHER];
	make(w);
	struct made low = w->specs[MID];
	struct buf der;

	low.subject = "low";
	low.issuer = "mid";
	low.key = w->keys[OTHER];
	low.signer = w->keys[MID];
	made_build(&low, &der);
	chain[0] = buf_get(&w->ders[LEAF]);
	chain[1] = buf_get(&w->ders[ROOT]);
	chain[2] = buf_get(&w->ders[MID]);
	chain[3] = buf_get(&der);
	assert_int_equal(verify_list(w, chain, 4), ERR_OK);
	assert_int_equal(w->result.path_len, 4);
	assert_int_equal(verify_list(w, chain, 3), ERR_UNTRUSTED);
	assert_non_null(strstr(w->why.text, "its issuer (CN=low) is neither"));
	buf_fini(&der);
}

/* Two CAs of one name and without key identifiers; the wrong one comes first,
 * which is where the library alone would stop. */
static void
a_second_ca_of_the_same_name_is_tried_too(void **state)
{
	struct world *w = *state;
	struct made twin = w->specs[MID];
	struct slice chain[3];
	struct buf der;

	twin.key = w->keys[OTHER];
	twin.ski = false;
	w->specs[MID].ski = false;
	w->specs[LEAF].aki = false;
	w->opts.warn_rules = 1U << CHAIN_RULE_KEY_IDS;
	make(w);
	made_build(&twin, &der);
	chain[0] = buf_get(&w->ders[LEAF]);
	chain[1] = buf_get(&der);
	chain[2] = buf_get(&w->ders[MID]);
	assert_int_equal(verify_list(w, chain, 3), ERR_OK);
	assert_int_equal(w->result.path_len, 3);
	assert_int_equal(verify_list(w, chain, 2), ERR_SIGNATURE);
	buf_fini(&der);
}

/* -- bombs: what peers can make us do is counted where it is done, in the
 * library (Makefile: --wrap), not by the search's own counters */

static unsigned checked_cnt;

int __real_EVP_DigestVerify(EVP_MD_CTX *ctx, const uint8_t *sig, size_t sig_len,
			    const uint8_t *data, size_t len);
int __wrap_EVP_DigestVerify(EVP_MD_CTX *ctx, const uint8_t *sig, size_t sig_len,
			    const uint8_t *data, size_t len);

int
__wrap_EVP_DigestVerify(EVP_MD_CTX *ctx, const uint8_t *sig, size_t sig_len,
			const uint8_t *data, size_t len)
{
	checked_cnt++;
	return __real_EVP_DigestVerify(ctx, sig, sig_len, data, len);
}

/* Verifies, and holds the work against the bounds. */
static enum err
verify_bomb(struct world *w, const struct slice *chain, size_t cnt)
{
	enum err e;

	checked_cnt = 0;
	e = verify_list(w, chain, cnt);
	print_message("%zu certificates, %zu anchors: %s after %u paths and %u "
		      "signatures, of which the library checked %u\n",
		      cnt, pki_bundle_count(w->bundle), err_name(e),
		      w->result.paths, w->result.signatures, checked_cnt);
	assert_true(w->result.paths <= CHAIN_PATHS_MAX);
	assert_true(w->result.signatures <= CHAIN_SIGNATURES_MAX);
	assert_true(checked_cnt <= w->result.signatures);
	return e;
}

static void
the_count_of_the_library_is_not_blind(void **state)
{
	struct world *w = *state;

	make(w);
	checked_cnt = 0;
	assert_int_equal(verify_at(w, 60), ERR_OK);
	assert_int_equal(checked_cnt, 2);
}

/* Many CAs that all might have issued each other: bounded, and told so. */
static void
a_maze_of_equal_names_ends(void **state)
{
	struct world *w = *state;
	struct slice chain[TWINS + 1];
	struct buf ders[TWINS];
	struct made twin = w->specs[MID];
	struct privkey *key = NULL;

	twin.issuer = "mid";
	twin.ski = twin.aki = false;
	w->specs[LEAF].aki = false;
	make(w);
	chain[0] = buf_get(&w->ders[LEAF]);
	for (size_t i = 0; i < TWINS; i++) {
		must(privkey_new(KEY_EC_P256, 0, &key) == ERR_OK);
		twin.key = key;
		made_build(&twin, &ders[i]);
		chain[i + 1] = buf_get(&ders[i]);
		privkey_free(key);
	}
	assert_int_equal(verify_bomb(w, chain, TWINS + 1), ERR_LIMIT);
	assert_non_null(strstr(w->why.text, "no good path after"));
	for (size_t i = 0; i < TWINS; i++)
		buf_fini(&ders[i]);
}

/* Fifteen tiers of two CAs each, all signatures good, and a rule that is broken
 * at the very top: 2^15 paths that are good up to there. Somebody who has a CA
 * below one of our anchors could make it. */
static void
make_tiers(struct world *w, struct buf *ders, struct privkey *keys[TIERS])
{
	char names[TIERS + 1][8] = {"root"};
	size_t cnt = 0;

	for (size_t i = 0; i < TIERS; i++) {
		struct made ca = w->specs[MID];

		(void)snprintf(names[i + 1], sizeof(names[i + 1]), "t%zu", i);
		must(privkey_new(KEY_EC_P256, 0, &keys[i]) == ERR_OK);
		ca.subject = names[i + 1];
		ca.issuer = names[i];
		ca.key = keys[i];
		ca.signer = i == 0 ? w->keys[ROOT] : keys[i - 1];
		ca.basic_lax = i == 0;
		for (uint8_t twin = 1; twin <= 2; twin++) {
			ca.serial = slice_of(&twin, 1);
			made_build(&ca, &ders[cnt++]);
		}
	}
	w->specs[LEAF].issuer = names[TIERS];
	w->specs[LEAF].signer = keys[TIERS - 1];
	make(w);
	w->specs[LEAF].issuer = "mid";
}

static void
tiers_of_twins_end(void **state)
{
	struct world *w = *state;
	struct privkey *keys[TIERS];
	struct slice chain[2 * TIERS + 1];
	struct buf ders[2 * TIERS];

	make_tiers(w, ders, keys);
	chain[0] = buf_get(&w->ders[LEAF]);
	for (size_t i = 0; i < COUNT_OF(ders); i++)
		chain[i + 1] = buf_get(&ders[i]);
	assert_int_equal(verify_bomb(w, chain, COUNT_OF(chain)), ERR_REFUSED);
	assert_non_null(strstr(w->why.text, "basicConstraints is not "
					    "critical"));
	assert_true(w->result.signatures > CHAIN_SIGNATURES_MAX / 2);
	/* The same maze with a way out. */
	w->opts.warn_rules = 1U << CHAIN_RULE_CRITICALITY;
	assert_int_equal(verify_bomb(w, chain, COUNT_OF(chain)), ERR_OK);
	assert_int_equal(w->result.path_len, TIERS + 2);
	for (size_t i = 0; i < COUNT_OF(ders); i++)
		buf_fini(&ders[i]);
	for (size_t i = 0; i < TIERS; i++)
		privkey_free(keys[i]);
}

/* Roots of one name, as after rotations: each is tried for each path. */
static void
many_roots_of_one_name_end(void **state)
{
	struct world *w = *state;
	struct slice anchors[TWINS], chain[TWINS];
	struct buf roots[TWINS], mids[TWINS];
	struct made root, mid;
	struct privkey *key = NULL;

	w->specs[LEAF].aki = false;
	make(w);
	root = w->specs[ROOT];
	mid = w->specs[MID];
	root.ski = root.aki = mid.ski = mid.aki = false;
	mid.signer = w->keys[OTHER]; /* of no root */
	chain[0] = buf_get(&w->ders[LEAF]);
	for (uint8_t i = 0; i < TWINS; i++) {
		must(privkey_new(KEY_EC_P256, 0, &key) == ERR_OK);
		root.key = root.signer = key;
		mid.serial = slice_of(&i, 1);
		made_build(&root, &roots[i]);
		made_build(&mid, &mids[i]);
		anchors[i] = buf_get(&roots[i]);
		if (i > 0)
			chain[i] = buf_get(&mids[i]);
		privkey_free(key);
	}
	pki_bundle_unref(TAKE(w->bundle));
	assert_int_equal(pki_bundle_new(SLICE_LIT("td"), anchors, TWINS,
					&w->why, &w->bundle),
			 ERR_OK);
	assert_int_equal(verify_bomb(w, chain, TWINS), ERR_LIMIT);
	assert_true(w->result.signatures > CHAIN_SIGNATURES_MAX / 2);
	for (size_t i = 0; i < TWINS; i++) {
		buf_fini(&roots[i]);
		buf_fini(&mids[i]);
	}
}

static void
too_many_certificates_are_refused_unread(void **state)
{
	struct world *w = *state;
	struct slice chain[CHAIN_CERTS_MAX + 1];

	make(w);
	for (size_t i = 0; i < COUNT_OF(chain); i++)
		chain[i] = buf_get(&w->ders[i == 0 ? LEAF : MID]);
	assert_int_equal(verify_list(w, chain, CHAIN_CERTS_MAX), ERR_OK);
	assert_int_equal(verify_list(w, chain, CHAIN_CERTS_MAX + 1), ERR_LIMIT);
	assert_int_equal(verify_list(w, chain, 0), ERR_SYNTAX);
}

static void
malformed_certificates_are_named_by_their_place(void **state)
{
	struct world *w = *state;
	struct slice chain[2];

	make(w);
	chain[0] = buf_get(&w->ders[LEAF]);
	chain[1] = SLICE_LIT("\x30\x00");
	assert_int_equal(verify_list(w, chain, 2), ERR_SYNTAX);
	assert_non_null(strstr(w->why.text, "certificate 1:"));
}

/* -- bundles */

static void
duplicates_in_a_bundle_are_merged(void **state)
{
	struct world *w = *state;
	struct pki_bundle *b = NULL;
	struct slice ders[3];

	make(w);
	ders[0] = ders[2] = buf_get(&w->ders[ROOT]);
	ders[1] = buf_get(&w->ders[MID]);
	assert_int_equal(pki_bundle_new(SLICE_LIT("td"), ders, 3, NULL, &b),
			 ERR_OK);
	assert_int_equal(pki_bundle_count(b), 2);
	assert_true(slice_is_eq(pki_bundle_get(b, 0), ders[0]));
	assert_true(slice_is_eq(pki_bundle_get(b, 1), ders[1]));
	assert_true(slice_is_str(pki_bundle_get_trust_domain(b), "td"));
	assert_int_not_equal(pki_bundle_get_generation(b),
			     pki_bundle_get_generation(w->bundle));
	pki_bundle_unref(b);
}

static void
a_bundle_survives_its_pem(void **state)
{
	struct world *w = *state;
	struct pki_bundle *b = NULL;

	make(w);
	assert_int_equal(pki_bundle_read_pem(SLICE_NONE,
					     pki_bundle_get_pem(w->bundle),
					     NULL, &b),
			 ERR_OK);
	assert_true(slice_is_eq(pki_bundle_get(b, 0), buf_get(&w->ders[ROOT])));
	assert_true(slice_is_eq(pki_bundle_get_pem(b),
				pki_bundle_get_pem(w->bundle)));
	pki_bundle_unref(pki_bundle_ref(b));
	assert_int_equal(pki_bundle_count(b), 1);
	pki_bundle_unref(b);
}

static void
a_bundle_without_good_anchors_is_refused(void **state)
{
	struct world *w = *state;
	struct slice bad = SLICE_LIT("\x30\x00");
	struct pki_bundle *b = NULL;
	struct slice root;

	make(w);
	root = buf_get(&w->ders[ROOT]);
	assert_int_equal(pki_bundle_new(SLICE_NONE, NULL, 0, &w->why, &b),
			 ERR_NOT_FOUND);
	assert_int_equal(pki_bundle_new(SLICE_NONE, &bad, 1, &w->why, &b),
			 ERR_SYNTAX);
	assert_non_null(strstr(w->why.text, "trust bundle: anchor 1"));
	assert_int_equal(pki_bundle_new(SLICE_LIT("TD"), &root, 1, &w->why, &b),
			 ERR_SYNTAX);
	assert_int_equal(pki_bundle_read_pem(SLICE_NONE, SLICE_LIT("hello"),
					     &w->why, &b),
			 ERR_NOT_FOUND);
	assert_null(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(order_and_superfluous_certificates_do_not_matter),
		TEST(a_second_ca_of_the_same_name_is_tried_too),
		TEST(the_count_of_the_library_is_not_blind),
		TEST(a_maze_of_equal_names_ends),
		TEST(tiers_of_twins_end),
		TEST(many_roots_of_one_name_end),
		TEST(too_many_certificates_are_refused_unread),
		TEST(malformed_certificates_are_named_by_their_place),
		TEST(duplicates_in_a_bundle_are_merged),
		TEST(a_bundle_survives_its_pem),
		TEST(a_bundle_without_good_anchors_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
