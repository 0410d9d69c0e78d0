/* test_path.c - path validation on chains that are built here, with the keys
 * and dates that each case needs. */
#include "crypto/path.h"

#include "crypto/der.h"
#include "crypto/key.h"

#include "crypto_help.h"

#include <stdlib.h>

#define OID_CN "\x55\x04\x03"
#define OID_BASIC_CONSTRAINTS "\x55\x1d\x13"
#define OID_KEY_USAGE "\x55\x1d\x0f"
#define OID_SKI "\x55\x1d\x0e"
#define OID_AKI "\x55\x1d\x23"
#define OID_UNKNOWN "\x2a\x03\x04"

enum {
	DAY = 86400,
	NOW = 1800000000,
	KEY_CNT = 4,
	CHAIN_MAX = 40,
	BUDGET = 300
};

/* What a certificate of a case says. */
struct spec {
	const char *subject, *issuer;
	size_t key, signer; /* indexes of keys */
	bool is_ca;
	int path_len; /* -1: none */
	int64_t from, to;
	const char *critical; /* contents of an extra critical extension */
	bool signs;           /* keyCertSign, though no CA */
	bool has_ids;         /* key identifiers: the index of the key */
};

#define LEAF(issuer_, signer_)                                                \
	{                                                                     \
		"leaf", issuer_, 0, signer_, false, -1, NOW - DAY, NOW + DAY, \
			NULL, false, false                                    \
	}
#define CA(name_, issuer_, key_, signer_)                                      \
	{                                                                      \
		name_, issuer_, key_, signer_, true, -1, NOW - DAY, NOW + DAY, \
			NULL, false, false                                     \
	}

struct world {
	struct privkey *keys[KEY_CNT];
	struct buf spki[KEY_CNT];
	struct derw *w;
	struct derw *tbs;
};

static void
put_name(struct derw *w, const char *cn)
{
	derw_open(w, DER_SEQUENCE);
	derw_open(w, DER_SET);
	derw_open(w, DER_SEQUENCE);
	derw_oid(w, SLICE_LIT(OID_CN));
	derw_element(w, DER_UTF8_STRING, slice_of_str(cn));
	derw_close(w);
	derw_close(w);
	derw_close(w);
}

static void
open_extension(struct derw *w, struct slice oid)
{
	derw_open(w, DER_SEQUENCE);
	derw_oid(w, oid);
	derw_bool(w, true);
	derw_open(w, DER_OCTET_STRING);
}

static void
close_extension(struct derw *w)
{
	derw_close(w);
	derw_close(w);
}

static void
put_key_ids(struct derw *w, const struct spec *s)
{
	uint8_t key = (uint8_t)s->key;
	uint8_t signer = (uint8_t)s->signer;

	derw_open(w, DER_SEQUENCE);
	derw_oid(w, SLICE_LIT(OID_SKI));
	derw_open(w, DER_OCTET_STRING);
	derw_element(w, DER_OCTET_STRING, slice_of(&key, 1));
	close_extension(w);
	derw_open(w, DER_SEQUENCE);
	derw_oid(w, SLICE_LIT(OID_AKI));
	derw_open(w, DER_OCTET_STRING);
	derw_open(w, DER_SEQUENCE);
	derw_element(w, DER_CONTEXT(0), slice_of(&signer, 1));
	derw_close(w);
	close_extension(w);
}

static void
put_extensions(struct derw *w, const struct spec *s)
{
	derw_open(w, DER_CONTEXT_CONS(3));
	derw_open(w, DER_SEQUENCE);
	open_extension(w, SLICE_LIT(OID_BASIC_CONSTRAINTS));
	derw_open(w, DER_SEQUENCE);
	if (s->is_ca)
		derw_bool(w, true);
	if (s->path_len >= 0)
		derw_u64(w, (uint64_t)s->path_len);
	derw_close(w);
	close_extension(w);
	open_extension(w, SLICE_LIT(OID_KEY_USAGE));
	if (s->is_ca || s->signs)
		derw_bits(w, SLICE_LIT("\x06"), 1);
	else
		derw_bits(w, SLICE_LIT("\x80"), 7);
	close_extension(w);
	if (s->has_ids)
		put_key_ids(w, s);
	if (s->critical != NULL) {
		open_extension(w, SLICE_LIT(OID_UNKNOWN));
		derw_raw(w, slice_of_str(s->critical));
		close_extension(w);
	}
	derw_close(w);
	derw_close(w);
}

/* The certificate into out, which is initialized here. */
static void
make_cert(struct world *world, const struct spec *s, struct buf *out)
{
	const struct privkey *signer = world->keys[s->signer];
	enum sig_alg alg = privkey_default_alg(signer);
	struct derw *w = world->tbs;
	struct slice der;
	struct buf sig;

	derw_reset(w);
	derw_open(w, DER_SEQUENCE);
	derw_open(w, DER_CONTEXT_CONS(0));
	derw_u64(w, 2);
	derw_close(w);
	derw_u64(w, 1);
	derw_raw(w, sig_alg_get_der(alg));
	put_name(w, s->issuer);
	derw_open(w, DER_SEQUENCE);
	derw_time(w, wall_of_sec(s->from));
	derw_time(w, wall_of_sec(s->to));
	derw_close(w);
	put_name(w, s->subject);
	derw_raw(w, buf_get(&world->spki[s->key]));
	put_extensions(w, s);
	derw_close(w);
	assert_int_equal(derw_finish(w, &der), ERR_OK);
	buf_init(&sig, HELP_MAX);
	assert_int_equal(privkey_sign(signer, alg, der, &sig), ERR_OK);
	derw_reset(world->w);
	derw_open(world->w, DER_SEQUENCE);
	derw_raw(world->w, der);
	derw_raw(world->w, sig_alg_get_der(alg));
	derw_bits(world->w, buf_get(&sig), 0);
	derw_close(world->w);
	assert_int_equal(derw_finish(world->w, &der), ERR_OK);
	buf_init(out, HELP_MAX);
	assert_int_equal(buf_put(out, der), ERR_OK);
	buf_fini(&sig);
}

static int
setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	for (size_t i = 0; i < KEY_CNT; i++) {
		assert_int_equal(privkey_new(KEY_EC_P256, 0, &world->keys[i]),
				 ERR_OK);
		buf_init(&world->spki[i], HELP_MAX);
		assert_int_equal(
			privkey_get_spki(world->keys[i], &world->spki[i]),
			ERR_OK);
	}
	world->w = derw_new(HELP_MAX);
	world->tbs = derw_new(HELP_MAX);
	*state = world;
	return 0;
}

static int
teardown(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < KEY_CNT; i++) {
		privkey_free(world->keys[i]);
		buf_fini(&world->spki[i]);
	}
	derw_free(world->w);
	derw_free(world->tbs);
	free(world);
	return 0;
}

struct outcome {
	enum err e;
	struct why why;
	size_t used, anchor;
};

/* Verifies a chain against anchors, both made as their specs say. */
static struct outcome
run(struct world *world, const struct spec *anchors, size_t anchor_cnt,
    const struct spec *chain, size_t chain_cnt)
{
	struct buf a_buf[CHAIN_MAX];
	struct buf c_buf[CHAIN_MAX];
	struct slice a_der[CHAIN_MAX] = {0};
	struct slice c_der[CHAIN_MAX] = {0};
	struct path_anchors *a = NULL;
	unsigned budget = BUDGET;
	struct outcome o = {0};

	for (size_t i = 0; i < anchor_cnt; i++) {
		make_cert(world, &anchors[i], &a_buf[i]);
		a_der[i] = buf_get(&a_buf[i]);
	}
	for (size_t i = 0; i < chain_cnt; i++) {
		make_cert(world, &chain[i], &c_buf[i]);
		c_der[i] = buf_get(&c_buf[i]);
	}
	assert_int_equal(path_anchors_new(a_der, anchor_cnt, NULL, &a), ERR_OK);
	o.e = path_verify(a, c_der, chain_cnt, wall_of_sec(NOW), &budget,
			  &o.why, &o.used, &o.anchor);
	path_anchors_free(a);
	for (size_t i = 0; i < anchor_cnt; i++)
		buf_fini(&a_buf[i]);
	for (size_t i = 0; i < chain_cnt; i++)
		buf_fini(&c_buf[i]);
	return o;
}

static void
expect(struct outcome o, enum err e, const char *says)
{
	if (o.e != e || strstr(o.why.text, says) == NULL)
		fail_msg("%s: %s", err_name(o.e), o.why.text);
	if (e != ERR_OK)
		assert_int_equal(o.used, 0);
}

static void
a_leaf_under_an_anchor_is_trusted(void **state)
{
	const struct spec anchors[] = {CA("other", "other", 3, 3),
				       CA("root", "root", 1, 1)};
	const struct spec chain[] = {LEAF("root", 1)};
	struct outcome o = run(*state, anchors, 2, chain, 1);

	expect(o, ERR_OK, "");
	assert_int_equal(o.used, 1);
	assert_int_equal(o.anchor, 1);
}

static void
a_leaf_under_intermediates_is_trusted(void **state)
{
	const struct spec anchors[] = {CA("root", "root", 1, 1)};
	const struct spec chain[] = {LEAF("b", 3), CA("b", "a", 3, 2),
				     CA("a", "root", 2, 1)};
	struct outcome o = run(*state, anchors, 1, chain, 3);

	expect(o, ERR_OK, "");
	assert_int_equal(o.used, 3);
}

static void
a_root_that_is_sent_along_is_not_counted(void **state)
{
	const struct spec anchors[] = {CA("root", "root", 1, 1)};
	const struct spec chain[] = {LEAF("a", 2), CA("a", "root", 2, 1),
				     CA("root", "root", 1, 1)};
	struct outcome o = run(*state, anchors, 1, chain, 3);

	expect(o, ERR_OK, "");
	assert_int_equal(o.used, 2);
}

static void
an_intermediate_can_be_an_anchor(void **state)
{
	const struct spec anchors[] = {CA("a", "root", 2, 1)};
	const struct spec chain[] = {LEAF("a", 2)};
	struct outcome o = run(*state, anchors, 1, chain, 1);

	expect(o, ERR_OK, "");
	assert_int_equal(o.used, 1);
}

static void
a_leaf_of_nobody_known_is_not_trusted(void **state)
{
	const struct spec anchors[] = {CA("root", "root", 1, 1)};
	const struct spec chain[] = {LEAF("a", 2)};
	const struct spec other[] = {LEAF("elsewhere", 2),
				     CA("elsewhere", "elsewhere", 2, 2)};

	expect(run(*state, anchors, 1, chain, 1), ERR_UNTRUSTED,
	       "its issuer (/CN=a) is neither in the chain nor among the 1");
	expect(run(*state, anchors, 1, other, 2), ERR_UNTRUSTED,
	       "depth 1 (subject /CN=elsewhere): it is self-signed");
	expect(run(*state, anchors, 0, chain, 1), ERR_UNTRUSTED, "among the 0");
}

static void
a_self_signed_leaf_is_not_trusted(void **state)
{
	const struct spec anchors[] = {CA("root", "root", 1, 1)};
	const struct spec chain[] = {LEAF("leaf", 0)};

	expect(run(*state, anchors, 1, chain, 1), ERR_UNTRUSTED, "depth 0");
}

static void
a_signature_of_another_key_is_refused(void **state)
{
	const struct spec anchors[] = {CA("root", "root", 1, 1)};
	const struct spec leaf[] = {LEAF("root", 2)};
	const struct spec middle[] = {LEAF("a", 2), CA("a", "root", 2, 3)};

	expect(run(*state, anchors, 1, leaf, 1), ERR_SIGNATURE, "depth 0");
	expect(run(*state, anchors, 1, middle, 2), ERR_SIGNATURE, "depth 1");
}

static void
dates_are_checked_against_the_time_that_is_given(void **state)
{
	const struct spec anchors[] = {CA("root", "root", 1, 1)};
	struct spec chain[] = {LEAF("a", 2), CA("a", "root", 2, 1)};

	expect(run(*state, anchors, 1, chain, 2), ERR_OK, "");
	chain[0].to = NOW - 1;
	expect(run(*state, anchors, 1, chain, 2), ERR_EXPIRED,
	       "depth 0 (subject /CN=leaf): expired at 2027-01-15T07:59:59");
	chain[0].to = NOW + DAY;
	chain[0].from = NOW + 1;
	expect(run(*state, anchors, 1, chain, 2), ERR_NOT_YET_VALID,
	       "not valid before 2027-01-15T08:00:01");
	chain[0].from = NOW - DAY;
	chain[1].to = NOW - 1;
	expect(run(*state, anchors, 1, chain, 2), ERR_EXPIRED, "depth 1");
	chain[1].to = NOW + DAY;
	chain[1].from = NOW + 1;
	expect(run(*state, anchors, 1, chain, 2), ERR_NOT_YET_VALID, "depth 1");
}

static void
an_issuer_that_is_no_ca_is_refused(void **state)
{
	const struct spec anchors[] = {CA("root", "root", 1, 1)};
	struct spec chain[] = {LEAF("a", 2), CA("a", "root", 2, 1)};

	chain[1].is_ca = false;
	expect(run(*state, anchors, 1, chain, 2), ERR_UNTRUSTED,
	       "lacks keyCertSign");
	chain[1].signs = true; /* keyCertSign without CA:TRUE */
	expect(run(*state, anchors, 1, chain, 2), ERR_UNTRUSTED,
	       "depth 1 (subject /CN=a): invalid CA certificate");
}

static void
the_length_of_the_path_is_limited_by_the_ca(void **state)
{
	struct spec anchors[] = {CA("root", "root", 1, 1)};
	struct spec chain[] = {LEAF("b", 3), CA("b", "a", 3, 2),
			       CA("a", "root", 2, 1)};

	anchors[0].path_len = 2;
	expect(run(*state, anchors, 1, chain, 3), ERR_OK, "");
	anchors[0].path_len = 1;
	expect(run(*state, anchors, 1, chain, 3), ERR_UNTRUSTED, "path length");
}

static void
a_self_issued_ca_does_not_escape_its_path_length(void **state)
{
	struct spec anchors[] = {CA("a", "a", 1, 1)};
	struct spec chain[] = {LEAF("b", 3), CA("b", "a", 3, 2),
			       CA("a", "a", 2, 1)}; /* a's key roll-over */

	anchors[0].has_ids = true;
	for (size_t i = 0; i < COUNT_OF(chain); i++)
		chain[i].has_ids = true;
	chain[2].path_len = 1;
	expect(run(*state, anchors, 1, chain, 3), ERR_OK, "");
	chain[2].path_len = 0;
	expect(run(*state, anchors, 1, chain, 3), ERR_UNTRUSTED,
	       "allows 0 CAs");
}

static void
critical_extensions_that_nobody_knows_are_refused(void **state)
{
	const struct spec anchors[] = {CA("root", "root", 1, 1)};
	struct spec chain[] = {LEAF("root", 1)};

	chain[0].critical = "\x05";
	expect(run(*state, anchors, 1, chain, 1), ERR_UNTRUSTED,
	       "unhandled critical extension");
}

static void
anchors_of_one_name_are_each_tried(void **state)
{
	/* A root that was renewed with a new key, as at a rotation. */
	const struct spec anchors[] = {CA("root", "root", 2, 2),
				       CA("root", "root", 3, 3),
				       CA("root", "root", 1, 1)};
	const struct spec leaf[] = {LEAF("root", 1)};
	const struct spec chain[] = {LEAF("a", 2), CA("a", "root", 2, 1)};
	const struct spec bad[] = {LEAF("root", 0)};
	struct outcome o = run(*state, anchors, 3, leaf, 1);

	expect(o, ERR_OK, "");
	assert_int_equal(o.anchor, 2);
	o = run(*state, anchors, 3, chain, 2);
	expect(o, ERR_OK, "");
	assert_int_equal(o.anchor, 2);
	assert_int_equal(o.used, 2);
	expect(run(*state, anchors, 3, bad, 1), ERR_SIGNATURE, "depth 0");
}

/* Two certificates, and an anchor of each of three names: once with all of
 * them, once with each alone. */
static void
the_budget_bounds_the_anchors_that_are_tried(void **state)
{
	const struct spec anchors[] = {CA("root", "root", 2, 2),
				       CA("root", "root", 3, 3),
				       CA("root", "root", 1, 1)};
	struct path_anchors *a = NULL;
	struct slice ders[3], chain[2];
	struct buf bufs[5];
	const struct spec bad[] = {LEAF("a", 2), CA("a", "root", 2, 0)};
	unsigned budget = BUDGET;
	struct why why = {0};
	size_t used;

	for (size_t i = 0; i < 3; i++) {
		make_cert(*state, &anchors[i], &bufs[i]);
		ders[i] = buf_get(&bufs[i]);
	}
	for (size_t i = 0; i < 2; i++) {
		make_cert(*state, &bad[i], &bufs[3 + i]);
		chain[i] = buf_get(&bufs[3 + i]);
	}
	assert_int_equal(path_anchors_new(ders, 3, &why, &a), ERR_OK);
	assert_int_equal(path_verify(a, chain, 2, wall_of_sec(NOW), &budget,
				     &why, &used, NULL),
			 ERR_SIGNATURE);
	assert_int_equal(budget, BUDGET - 8);
	budget = 3;
	assert_int_equal(path_verify(a, chain, 2, wall_of_sec(NOW), &budget,
				     &why, &used, NULL),
			 ERR_SIGNATURE);
	assert_int_equal(budget, 1);
	assert_int_equal(path_verify(a, chain, 2, wall_of_sec(NOW), &budget,
				     &why, &used, NULL),
			 ERR_LIMIT);
	path_anchors_free(a);
	for (size_t i = 0; i < COUNT_OF(bufs); i++)
		buf_fini(&bufs[i]);
}

static void
empty_long_and_malformed_chains_are_refused(void **state)
{
	const struct spec root = CA("root", "root", 1, 1);
	struct path_anchors *a = NULL;
	struct slice chain[33];
	unsigned budget = BUDGET;
	struct why why = {0};
	struct buf der;
	size_t used = 0;

	make_cert(*state, &root, &der);
	chain[0] = buf_get(&der);
	assert_int_equal(path_anchors_new(chain, 1, &why, &a), ERR_OK);
	assert_int_equal(path_verify(a, chain, 0, wall_of_sec(NOW), &budget,
				     &why, &used, NULL),
			 ERR_SYNTAX);
	for (size_t i = 0; i < COUNT_OF(chain); i++)
		chain[i] = chain[0];
	assert_int_equal(path_verify(a, chain, 33, wall_of_sec(NOW), &budget,
				     &why, &used, NULL),
			 ERR_LIMIT);
	(void)buf_put_u8(&der, 0);
	chain[1] = buf_get(&der);
	chain[0] = slice_sub(chain[1], 0, chain[1].len - 1);
	assert_int_equal(path_verify(a, chain, 2, wall_of_sec(NOW), &budget,
				     &why, &used, NULL),
			 ERR_SYNTAX);
	assert_non_null(strstr(why.text, "depth 1"));
	path_anchors_free(a);
	assert_int_equal(path_anchors_new(chain, 2, &why, &a), ERR_SYNTAX);
	assert_null(a);
	assert_non_null(strstr(why.text, "anchor 2 of 2"));
	buf_fini(&der);
}

static void
the_library_says_its_version(void **state)
{
	(void)state;
	assert_int_equal(strncmp(crypto_library_version(), "AWS-LC ", 7), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_under_an_anchor_is_trusted),
		cmocka_unit_test(a_leaf_under_intermediates_is_trusted),
		cmocka_unit_test(a_root_that_is_sent_along_is_not_counted),
		cmocka_unit_test(an_intermediate_can_be_an_anchor),
		cmocka_unit_test(a_leaf_of_nobody_known_is_not_trusted),
		cmocka_unit_test(a_self_signed_leaf_is_not_trusted),
		cmocka_unit_test(a_signature_of_another_key_is_refused),
		cmocka_unit_test(
			dates_are_checked_against_the_time_that_is_given),
		cmocka_unit_test(an_issuer_that_is_no_ca_is_refused),
		cmocka_unit_test(the_length_of_the_path_is_limited_by_the_ca),
		cmocka_unit_test(
			a_self_issued_ca_does_not_escape_its_path_length),
		cmocka_unit_test(
			critical_extensions_that_nobody_knows_are_refused),
		cmocka_unit_test(anchors_of_one_name_are_each_tried),
		cmocka_unit_test(the_budget_bounds_the_anchors_that_are_tried),
		cmocka_unit_test(empty_long_and_malformed_chains_are_refused),
		cmocka_unit_test(the_library_says_its_version),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
