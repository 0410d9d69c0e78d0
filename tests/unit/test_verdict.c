/* test_verdict.c - requests and tokens are believed for what lib/crypto says of
 * their signature, all of it as it came, and for nothing else. Vectors of
 * signatures can therefore ask lib/crypto (tests/flow/test_wycheproof.py): what
 * they sign is no request and no token. The linker puts us in its place. */
#include "unit.h"

#include "crypto/pem.h"
#include "jose/jwt.h"
#include "pki/csr.h"

enum {
	NOW_SEC = 1800000000
};

/* What the one in our place is to say, and what it was asked. */
static struct {
	enum err says;
	unsigned asked;
	enum sig_alg alg;
	struct slice message;
	uint8_t signature[64];
} verdict;

static const enum err all_verdicts[] = {ERR_OK, ERR_SIGNATURE, ERR_MISMATCH,
					ERR_UNSUPPORTED};

enum err __wrap_pubkey_verify(const struct pubkey *k, enum sig_alg alg,
			      struct slice message, struct slice signature);
enum err __wrap_pubkey_verify_raw_ecdsa(const struct pubkey *k,
					enum sig_alg alg, struct slice message,
					struct slice signature);

enum err
__wrap_pubkey_verify(const struct pubkey *k, enum sig_alg alg,
		     struct slice message, struct slice signature)
{
	assert_non_null(k);
	assert_int_equal(signature.len, sizeof(verdict.signature));
	verdict.asked++;
	verdict.alg = alg;
	verdict.message = message;
	memcpy(verdict.signature, signature.p, signature.len);
	return verdict.says;
}

enum err
__wrap_pubkey_verify_raw_ecdsa(const struct pubkey *k, enum sig_alg alg,
			       struct slice message, struct slice signature)
{
	return __wrap_pubkey_verify(k, alg, message, signature);
}

static void
assert_asked(enum sig_alg alg, struct slice message, const uint8_t *signature)
{
	assert_int_equal(verdict.asked, 1);
	assert_int_equal(verdict.alg, alg);
	assert_ptr_equal(verdict.message.p, message.p);
	assert_int_equal(verdict.message.len, message.len);
	assert_memory_equal(verdict.signature, signature,
			    sizeof(verdict.signature));
	verdict.asked = 0;
}

static void
a_request_is_what_is_said_of_it(void **state)
{
	static const uint8_t signature[64] = {1, 2, 3};
	const struct csr csr = {
		.info = SLICE_LIT("what is signed"),
		.alg = SIG_RSA_PSS_SHA384,
		.signature = SLICE_ARRAY(signature),
	};
	struct pubkey *key;
	struct buf spki;
	struct why why;

	(void)state;
	buf_init(&spki, 256);
	/* RFC 8032 7.1, the first key. */
	assert_int_equal(
		pubkey_build_ed25519_spki(
			SLICE_LIT("\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b"
				  "\xfe\xd3\xc9\x64\x07\x3a\x0e\xe1\x72\xf3"
				  "\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07"
				  "\x51\x1a"),
			&spki),
		ERR_OK);
	assert_int_equal(pubkey_parse(buf_get(&spki), NULL, &key), ERR_OK);
	for (size_t i = 0; i < COUNT_OF(all_verdicts); i++) {
		verdict.says = all_verdicts[i];
		assert_int_equal(csr_verify(&csr, key, &why), all_verdicts[i]);
		assert_asked(SIG_RSA_PSS_SHA384, csr.info, signature);
	}
	pubkey_free(key);
	buf_fini(&spki);
}

static void
make_token(const char *alg, const uint8_t *signature, struct buf *out)
{
	char header[32];

	(void)snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", alg);
	buf_init(out, 1024);
	(void)base64url_write(out, slice_of_str(header));
	(void)buf_put_str(out, ".");
	(void)base64url_write(out, SLICE_LIT("{\"exp\":1800000600}"));
	(void)buf_put_str(out, ".");
	(void)base64url_write(out, slice_of(signature, 64));
	assert_false(buf_has_failed(out));
}

static void
a_token_is_what_is_said_of_it(void **state)
{
	/* Of RFC 7515 A.3 and RFC 8037 A.2. */
	static const struct {
		const char *alg, *jwks;
		enum sig_alg sig;
	} rows[] = {
		{"ES256",
		 "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
		 "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"
		 "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}",
		 SIG_ECDSA_SHA256},
		{"EdDSA",
		 "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
		 "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
		 SIG_ED25519},
	};
	static const uint8_t signature[64] = {4, 5, 6};
	static const struct jwt_opts opts = {0};
	struct why why;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows) * COUNT_OF(all_verdicts); i++) {
		const size_t row = i / COUNT_OF(all_verdicts);
		struct jwks *set;
		struct buf token;
		struct jwt t;
		enum err e;

		verdict.says = all_verdicts[i % COUNT_OF(all_verdicts)];
		make_token(rows[row].alg, signature, &token);
		assert_int_equal(
			jwks_parse(slice_of_str(rows[row].jwks), NULL, &set),
			ERR_OK);
		assert_int_equal(jwt_read(buf_get(&token), NULL, &t), ERR_OK);
		e = jwt_verify(&t, set, &opts, wall_of_sec(NOW_SEC), &why);
		assert_int_equal(e, verdict.says == ERR_OK ? ERR_OK
							   : ERR_SIGNATURE);
		assert_asked(rows[row].sig, t.signed_text, signature);
		jwt_fini(&t);
		jwks_unref(set);
		buf_fini(&token);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_what_is_said_of_it),
		cmocka_unit_test(a_token_is_what_is_said_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
