/* test_privkey.c - private keys: made, written, read back, signing. */
#include "crypto/key.h"

#include "crypto_help.h"
#include "vectors_crypto.h"

static struct privkey *
key_of_pem(const char *pem)
{
	struct privkey *k = NULL;
	struct why why = {0};

	if (privkey_parse_pem(slice_of_str(pem), &why, &k) != ERR_OK)
		fail_msg("%s", why.text);
	return k;
}

static struct pubkey *
public_of(const struct privkey *k)
{
	struct pubkey *pub = NULL;
	struct buf spki;

	buf_init(&spki, HELP_MAX);
	assert_int_equal(privkey_get_spki(k, &spki), ERR_OK);
	assert_int_equal(pubkey_parse(buf_get(&spki), NULL, &pub), ERR_OK);
	buf_fini(&spki);
	return pub;
}

static void
assert_same_key(const struct privkey *a, const struct privkey *b)
{
	struct buf spki_a;
	struct buf spki_b;

	buf_init(&spki_a, HELP_MAX);
	buf_init(&spki_b, HELP_MAX);
	assert_int_equal(privkey_get_spki(a, &spki_a), ERR_OK);
	assert_int_equal(privkey_get_spki(b, &spki_b), ERR_OK);
	assert_true(slice_is_eq(buf_get(&spki_a), buf_get(&spki_b)));
	buf_fini(&spki_a);
	buf_fini(&spki_b);
}

static void
keys_that_openssl_wrote_are_read(void **state)
{
	static const struct {
		const char *pem, *spki;
		enum key_kind kind;
		unsigned bits;
	} rows[] = {
		{PEM_RSA_PKCS8, HEX_RSA_SPKI, KEY_RSA, 2048},
		{PEM_RSA_PKCS1, HEX_RSA_SPKI, KEY_RSA, 2048},
		{PEM_P384_SEC1_WITH_PARAMETERS, HEX_P384_SPKI, KEY_EC_P384,
		 384},
		{PEM_P384_PKCS8, HEX_P384_SPKI, KEY_EC_P384, 384},
		{PEM_ED25519_PKCS8, HEX_ED25519_SPKI, KEY_ED25519, 256},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct privkey *k = key_of_pem(rows[i].pem);
		struct buf spki;

		buf_init(&spki, HELP_MAX);
		assert_int_equal(privkey_kind(k), rows[i].kind);
		assert_int_equal(privkey_bits(k), rows[i].bits);
		assert_int_equal(privkey_get_spki(k, &spki), ERR_OK);
		assert_slice_is_hex(buf_get(&spki), rows[i].spki);
		buf_fini(&spki);
		privkey_free(k);
	}
}

static void
pkcs8_is_written_as_openssl_writes_it(void **state)
{
	static const char *const rows[] = {PEM_RSA_PKCS8, PEM_P384_PKCS8,
					   PEM_ED25519_PKCS8};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct privkey *k = key_of_pem(rows[i]);
		struct secret *pem = NULL;

		assert_int_equal(privkey_export(k, PRIVKEY_PKCS8_PEM, &pem),
				 ERR_OK);
		assert_true(slice_is_str(secret_get(pem), rows[i]));
		secret_free(pem);
		privkey_free(k);
	}
}

static void
traditional_forms_are_written_as_openssl_writes_them(void **state)
{
	struct privkey *rsa = key_of_pem(PEM_RSA_PKCS8);
	struct privkey *ec = key_of_pem(PEM_P384_PKCS8);
	struct privkey *ed = key_of_pem(PEM_ED25519_PKCS8);
	struct slice wanted = slice_of_str(PEM_P384_SEC1_WITH_PARAMETERS);
	struct secret *pem = NULL;
	struct slice written;

	(void)state;
	assert_int_equal(privkey_export(rsa, PRIVKEY_TRADITIONAL_PEM, &pem),
			 ERR_OK);
	assert_true(slice_is_str(secret_get(pem), PEM_RSA_PKCS1));
	secret_free(pem);
	assert_int_equal(privkey_export(ec, PRIVKEY_TRADITIONAL_PEM, &pem),
			 ERR_OK);
	written = secret_get(pem);
	/* OpenSSL puts a block of the parameters before it. */
	assert_true(written.len < wanted.len);
	assert_true(
		slice_is_eq(written, slice_sub(wanted, wanted.len - written.len,
					       written.len)));
	secret_free(pem);
	assert_int_equal(privkey_export(ed, PRIVKEY_TRADITIONAL_PEM, &pem),
			 ERR_UNSUPPORTED);
	assert_null(pem);
	privkey_free(rsa);
	privkey_free(ec);
	privkey_free(ed);
}

static void
new_keys_of_each_kind_survive_writing_and_reading(void **state)
{
	static const enum key_kind kinds[] = {
		KEY_EC_P256, KEY_EC_P384, KEY_EC_P521, KEY_RSA, KEY_ED25519};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct privkey *back = NULL;
		struct privkey *k = NULL;
		struct secret *s = NULL;

		assert_int_equal(privkey_new(kinds[i], 2048, &k), ERR_OK);
		assert_int_equal(privkey_kind(k), kinds[i]);
		for (int form = PRIVKEY_PKCS8_DER;
		     form <= PRIVKEY_TRADITIONAL_PEM; form++) {
			if (kinds[i] == KEY_ED25519 &&
			    form == PRIVKEY_TRADITIONAL_PEM)
				continue;
			assert_int_equal(
				privkey_export(k, (enum privkey_form)form, &s),
				ERR_OK);
			assert_int_equal(
				form == PRIVKEY_PKCS8_DER
					? privkey_parse(secret_get(s), NULL,
							&back)
					: privkey_parse_pem(secret_get(s), NULL,
							    &back),
				ERR_OK);
			assert_same_key(k, back);
			privkey_free(back);
			secret_free(s);
		}
		privkey_free(k);
	}
}

static void
sizes_and_kinds_that_are_not_ours_are_not_made(void **state)
{
	struct privkey *k = NULL;

	(void)state;
	assert_int_equal(privkey_new(KEY_NONE, 0, &k), ERR_UNSUPPORTED);
	assert_int_equal(privkey_new(KEY_RSA, 0, &k), ERR_UNSUPPORTED);
	assert_int_equal(privkey_new(KEY_RSA, 1024, &k), ERR_UNSUPPORTED);
	assert_int_equal(privkey_new(KEY_RSA, 2047, &k), ERR_UNSUPPORTED);
	assert_int_equal(privkey_new(KEY_RSA, 2052, &k), ERR_UNSUPPORTED);
	assert_int_equal(privkey_new(KEY_RSA, 8200, &k), ERR_UNSUPPORTED);
	assert_null(k);
}

static void
two_new_keys_are_not_the_same(void **state)
{
	struct privkey *a = NULL;
	struct privkey *b = NULL;
	struct pubkey *pub;
	struct buf sig;

	(void)state;
	buf_init(&sig, HELP_MAX);
	assert_int_equal(privkey_new(KEY_EC_P256, 0, &a), ERR_OK);
	assert_int_equal(privkey_new(KEY_EC_P256, 0, &b), ERR_OK);
	assert_int_equal(
		privkey_sign(a, SIG_ECDSA_SHA256, SLICE_LIT("m"), &sig),
		ERR_OK);
	pub = public_of(b);
	assert_int_equal(pubkey_verify(pub, SIG_ECDSA_SHA256, SLICE_LIT("m"),
				       buf_get(&sig)),
			 ERR_SIGNATURE);
	pubkey_free(pub);
	pub = public_of(a);
	assert_int_equal(pubkey_verify(pub, SIG_ECDSA_SHA256, SLICE_LIT("m"),
				       buf_get(&sig)),
			 ERR_OK);
	pubkey_free(pub);
	privkey_free(a);
	privkey_free(b);
	buf_fini(&sig);
}

static void
each_key_signs_with_its_algorithms_and_no_others(void **state)
{
	static const char *const pems[] = {PEM_RSA_PKCS8, PEM_P384_PKCS8,
					   PEM_ED25519_PKCS8};
	static const unsigned counts[] = {6, 3, 1};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pems); i++) {
		struct privkey *k = key_of_pem(pems[i]);
		struct pubkey *pub = public_of(k);
		unsigned cnt = 0;
		struct buf sig;

		buf_init(&sig, HELP_MAX);
		for (int a = SIG_NONE; a <= SIG_ED25519; a++) {
			enum sig_alg alg = (enum sig_alg)a;
			enum err e;

			buf_reset(&sig);
			e = privkey_sign(k, alg, SLICE_LIT("m"), &sig);
			if (e == ERR_MISMATCH)
				continue;
			assert_int_equal(e, ERR_OK);
			assert_int_equal(pubkey_verify(pub, alg, SLICE_LIT("m"),
						       buf_get(&sig)),
					 ERR_OK);
			assert_int_equal(pubkey_verify(pub, alg, SLICE_LIT("n"),
						       buf_get(&sig)),
					 ERR_SIGNATURE);
			cnt++;
		}
		assert_int_equal(cnt, counts[i]);
		buf_fini(&sig);
		pubkey_free(pub);
		privkey_free(k);
	}
}

static void
the_default_algorithm_is_as_strong_as_the_key(void **state)
{
	struct privkey *rsa = key_of_pem(PEM_RSA_PKCS8);
	struct privkey *ec = key_of_pem(PEM_P384_PKCS8);
	struct privkey *ed = key_of_pem(PEM_ED25519_PKCS8);

	(void)state;
	assert_int_equal(privkey_default_alg(rsa), SIG_RSA_SHA256);
	assert_int_equal(privkey_default_alg(ec), SIG_ECDSA_SHA384);
	assert_int_equal(privkey_default_alg(ed), SIG_ED25519);
	privkey_free(rsa);
	privkey_free(ec);
	privkey_free(ed);
}

static void
a_signature_that_does_not_fit_is_a_limit(void **state)
{
	struct privkey *k = key_of_pem(PEM_RSA_PKCS8);
	struct buf sig;

	(void)state;
	buf_init(&sig, 255);
	assert_int_equal(privkey_sign(k, SIG_RSA_SHA256, SLICE_LIT("m"), &sig),
			 ERR_LIMIT);
	assert_int_equal(buf_len(&sig), 0);
	privkey_free(k);
	buf_fini(&sig);
}

static void
key_files_that_cannot_be_used_say_why(void **state)
{
	static const struct {
		const char *pem, *says;
		enum err e;
	} rows[] = {
		{PEM_ENCRYPTED_PKCS8, "encrypted", ERR_UNSUPPORTED},
		{PEM_ENCRYPTED_SEC1, "encrypted", ERR_UNSUPPORTED},
		{"", "no \"-----BEGIN", ERR_NOT_FOUND},
		{"-----BEGIN CERTIFICATE-----\nMAA=\n"
		 "-----END CERTIFICATE-----\n",
		 "last block is CERTIFICATE", ERR_NOT_FOUND},
		{PEM_ED25519_PKCS8 PEM_P384_PKCS8, "more than one key",
		 ERR_SYNTAX},
		{"-----BEGIN PRIVATE KEY-----\nMAA=\n"
		 "-----END PRIVATE KEY-----\n",
		 "not a PKCS#8", ERR_SYNTAX},
		{"-----BEGIN CERTIFICATE-----\nMAA=\n"
		 "-----END CERTIFICATE-----\n" PEM_ED25519_PKCS8,
		 "", ERR_OK},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct privkey *k = NULL;
		struct why why = {0};

		assert_int_equal(
			privkey_parse_pem(slice_of_str(rows[i].pem), &why, &k),
			rows[i].e);
		assert_int_equal(k != NULL, rows[i].e == ERR_OK);
		if (strstr(why.text, rows[i].says) == NULL)
			fail_msg("row %zu: %s", i, why.text);
		privkey_free(k);
	}
}

static void
an_ec_key_with_another_public_key_in_it_is_refused(void **state)
{
	struct privkey *k = key_of_pem(PEM_P384_PKCS8);
	struct privkey *back = NULL;
	struct secret *der = NULL;
	uint8_t *p;

	(void)state;
	assert_int_equal(privkey_export(k, PRIVKEY_PKCS8_DER, &der), ERR_OK);
	assert_int_equal(privkey_parse(secret_get(der), NULL, &back), ERR_OK);
	privkey_free(back);
	/* The number itself stands at 35, SEQUENCE to OCTET STRING before. */
	p = secret_get_writable(der);
	p[40] ^= 1;
	assert_int_equal(privkey_parse(secret_get(der), NULL, &back),
			 ERR_SYNTAX);
	assert_null(back);
	secret_free(der);
	privkey_free(k);
}

static void
cut_or_lengthened_keys_are_refused(void **state)
{
	static const char *const pems[] = {PEM_RSA_PKCS8, PEM_P384_PKCS8,
					   PEM_ED25519_PKCS8};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pems); i++) {
		struct privkey *k = key_of_pem(pems[i]);
		struct privkey *back = NULL;
		struct secret *der = NULL;
		struct buf longer;

		assert_int_equal(privkey_export(k, PRIVKEY_PKCS8_DER, &der),
				 ERR_OK);
		for (size_t len = 0; len < secret_len(der); len++)
			assert_int_equal(
				privkey_parse(
					slice_sub(secret_get(der), 0, len),
					NULL, &back),
				ERR_SYNTAX);
		buf_init(&longer, HELP_MAX);
		(void)buf_put(&longer, secret_get(der));
		(void)buf_put_u8(&longer, 0);
		assert_int_equal(privkey_parse(buf_get(&longer), NULL, &back),
				 ERR_SYNTAX);
		assert_null(back);
		buf_fini(&longer);
		secret_free(der);
		privkey_free(k);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_that_openssl_wrote_are_read),
		cmocka_unit_test(pkcs8_is_written_as_openssl_writes_it),
		cmocka_unit_test(
			traditional_forms_are_written_as_openssl_writes_them),
		cmocka_unit_test(
			new_keys_of_each_kind_survive_writing_and_reading),
		cmocka_unit_test(
			sizes_and_kinds_that_are_not_ours_are_not_made),
		cmocka_unit_test(two_new_keys_are_not_the_same),
		cmocka_unit_test(
			each_key_signs_with_its_algorithms_and_no_others),
		cmocka_unit_test(the_default_algorithm_is_as_strong_as_the_key),
		cmocka_unit_test(a_signature_that_does_not_fit_is_a_limit),
		cmocka_unit_test(key_files_that_cannot_be_used_say_why),
		cmocka_unit_test(
			an_ec_key_with_another_public_key_in_it_is_refused),
		cmocka_unit_test(cut_or_lengthened_keys_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
