/* test_key_policy.c - lib/pki/key_policy.h: allowed and refused keys. */
#include "unit.h"

#include "crypto/roca.h"
#include "pki/key_policy.h"
#include "roca_sample.h"

static const struct key_policy usual = {2048, 8192, false};

static enum err
check(const struct key_policy *p, struct slice spki, struct why *why)
{
	struct pubkey *key = NULL;
	enum err e;

	*why = (struct why){""};
	assert_int_equal(pubkey_parse(spki, why, &key), ERR_OK);
	e = key_policy_check(p, key, why);
	pubkey_free(key);
	return e;
}

static enum err
check_kind(const struct key_policy *p, enum key_kind kind, struct why *why)
{
	struct privkey *key = NULL;
	struct buf spki;
	enum err e;

	buf_init(&spki, 4096);
	assert_int_equal(privkey_new(kind, 2048, &key), ERR_OK);
	assert_int_equal(privkey_get_spki(key, &spki), ERR_OK);
	e = check(p, buf_get(&spki), why);
	privkey_free(key);
	buf_fini(&spki);
	return e;
}

/* A modulus of so many bits, all ones. */
static enum err
check_rsa(unsigned bits, struct slice e, struct why *why)
{
	uint8_t n[2048];
	struct buf spki;
	enum err ret;

	memset(n, 0xff, sizeof(n));
	n[0] = (uint8_t)(0xff >> (7 - (bits + 7) % 8));
	buf_init(&spki, 8192);
	assert_int_equal(
		pubkey_build_rsa_spki(slice_of(n, (bits + 7) / 8), e, &spki),
		ERR_OK);
	ret = check(&usual, buf_get(&spki), why);
	buf_fini(&spki);
	return ret;
}

static void
curves_that_everybody_has_are_allowed(void **state)
{
	struct why why;

	(void)state;
	assert_int_equal(check_kind(&usual, KEY_EC_P256, &why), ERR_OK);
	assert_int_equal(check_kind(&usual, KEY_EC_P384, &why), ERR_OK);
	assert_int_equal(check_kind(&usual, KEY_RSA, &why), ERR_OK);
}

static void
p521_is_refused(void **state)
{
	struct why why;

	(void)state;
	assert_int_equal(check_kind(&usual, KEY_EC_P521, &why), ERR_REFUSED);
	assert_non_null(strstr(why.text, "a P-521 key"));
}

static void
ed25519_is_a_choice(void **state)
{
	struct key_policy p = usual;
	struct why why;

	(void)state;
	assert_int_equal(check_kind(&p, KEY_ED25519, &why), ERR_REFUSED);
	assert_non_null(strstr(why.text, "Ed25519"));
	p.allow_ed25519 = true;
	assert_int_equal(check_kind(&p, KEY_ED25519, &why), ERR_OK);
}

static void
rsa_lengths_have_bounds(void **state)
{
	struct slice e = SLICE_LIT("\x01\x00\x01");
	struct why why;

	(void)state;
	assert_int_equal(check_rsa(2048, e, &why), ERR_OK);
	assert_int_equal(check_rsa(8192, e, &why), ERR_OK);
	assert_int_equal(check_rsa(2040, e, &why), ERR_REFUSED);
	assert_non_null(strstr(why.text, "2040 bits; 2048 to 8192"));
	assert_int_equal(check_rsa(8200, e, &why), ERR_REFUSED);
	assert_int_equal(check_rsa(2049, e, &why), ERR_REFUSED);
	assert_non_null(strstr(why.text, "divisible by 8"));
}

static void
small_exponents_are_refused(void **state)
{
	struct why why;

	(void)state;
	assert_int_equal(check_rsa(2048, SLICE_LIT("\x03"), &why), ERR_REFUSED);
	assert_non_null(strstr(why.text, "exponent 3"));
	assert_int_equal(check_rsa(2048, SLICE_LIT("\x01\x00\x03"), &why),
			 ERR_OK);
}

static enum err
check_modulus(const uint8_t n[256], struct why *why)
{
	struct buf spki;
	enum err ret;

	buf_init(&spki, 4096);
	assert_int_equal(pubkey_build_rsa_spki(slice_of(n, 256),
					       SLICE_LIT("\x01\x00\x01"),
					       &spki),
			 ERR_OK);
	ret = check(&usual, buf_get(&spki), why);
	buf_fini(&spki);
	return ret;
}

static void
moduli_of_the_broken_generator_are_refused(void **state)
{
	uint8_t other[sizeof(roca_sample)];
	struct why why;

	(void)state;
	assert_int_equal(check_modulus(roca_sample, &why), ERR_REFUSED);
	assert_non_null(strstr(why.text, "ROCA, CVE-2017-15361"));
	/* The next odd number is none of them. */
	memcpy(other, roca_sample, sizeof(other));
	other[sizeof(other) - 1] += 2;
	assert_int_equal(check_modulus(other, &why), ERR_OK);
}

/* 1 is a power of 65537; of the small primes as factors it has none. */
static void
the_form_is_that_of_all_small_primes(void **state)
{
	(void)state;
	assert_true(roca_has_form(SLICE_LIT("\x01")));
	assert_true(roca_has_form(SLICE_LIT("\x01\x00\x01")));
	assert_false(roca_has_form(SLICE_LIT("\x02")));
	/* 701, the last prime, which no power of anything else divides. */
	assert_false(roca_has_form(SLICE_LIT("\x02\xbd")));
	assert_false(roca_has_form(SLICE_NONE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(curves_that_everybody_has_are_allowed),
		cmocka_unit_test(p521_is_refused),
		cmocka_unit_test(ed25519_is_a_choice),
		cmocka_unit_test(rsa_lengths_have_bounds),
		cmocka_unit_test(small_exponents_are_refused),
		cmocka_unit_test(moduli_of_the_broken_generator_are_refused),
		cmocka_unit_test(the_form_is_that_of_all_small_primes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
