/* Tests of jose/jwt.h: good tokens of every algorithm, and a table of bad ones
 * with the error and the text that each must get. Keys are made here. */
#include "jose/jwt.h"

#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/key.h"
#include "crypto/pem.h"
#include "unit.h"

enum {
	NOW_SEC = 1800000000
};

enum which {
	K_RSA,
	K_RSA_OTHER,
	K_P256,
	K_P384,
	K_ED25519,
	K_CNT
};

static struct privkey *keys[K_CNT];
static struct jwks *all_keys; /* kid "rsa", "p256", "p384", "ed" */

static struct wall
now(void)
{
	return wall_of_sec(NOW_SEC);
}

/* -- making tokens and key sets */

/* An ECDSA signature from DER to r||s of len bytes each. */
static void
raw_of_der(struct slice der, size_t len, struct buf *out)
{
	struct slice seq, n;

	assert_int_equal(der_read(&der, DER_SEQUENCE, &seq), ERR_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(der_read(&seq, DER_INTEGER, &n), ERR_OK);
		while (n.len > 0 && n.p[0] == 0)
			n = slice_sub(n, 1, n.len);
		for (size_t pad = n.len; pad < len; pad++)
			(void)buf_put_u8(out, 0);
		(void)buf_put(out, n);
	}
}

static void
sign(enum which w, enum sig_alg alg, bool der_form, struct slice message,
     struct buf *out)
{
	struct buf der;

	buf_init(&der, 4096);
	assert_int_equal(privkey_sign(keys[w], alg, message, &der), ERR_OK);
	if (!der_form && w == K_P256)
		raw_of_der(buf_get(&der), 32, out);
	else if (!der_form && w == K_P384)
		raw_of_der(buf_get(&der), 48, out);
	else
		(void)buf_put(out, buf_get(&der));
	buf_fini(&der);
}

struct recipe {
	const char *header;
	const char *claims;
	enum which key;
	enum sig_alg alg;
	bool der_form;
};

static void
make_token(const struct recipe *r, struct buf *out)
{
	struct buf sig;

	buf_init(&sig, 4096);
	buf_reset(out);
	(void)base64url_write(out, slice_of_str(r->header));
	(void)buf_put_str(out, ".");
	(void)base64url_write(out, slice_of_str(r->claims));
	sign(r->key, r->alg, r->der_form, buf_get(out), &sig);
	(void)buf_put_str(out, ".");
	(void)base64url_write(out, buf_get(&sig));
	buf_fini(&sig);
}

/* The bytes of the public key inside its SPKI. */
static struct slice
key_bits(const struct privkey *k, struct buf *spki)
{
	struct slice in, seq, alg, bits;

	buf_reset(spki);
	assert_int_equal(privkey_get_spki(k, spki), ERR_OK);
	in = buf_get(spki);
	assert_int_equal(der_read(&in, DER_SEQUENCE, &seq), ERR_OK);
	assert_int_equal(der_read(&seq, DER_SEQUENCE, &alg), ERR_OK);
	assert_int_equal(der_read_bits(&seq, &bits), ERR_OK);
	return bits;
}

static void
put_member(struct buf *out, const char *name, struct slice bytes)
{
	(void)buf_printf(out, ",\"%s\":\"", name);
	(void)base64url_write(out, bytes);
	(void)buf_put_str(out, "\"");
}

/* One JWK; extra is put in as it is: ,"kid":"a". */
static void
put_jwk(struct buf *out, enum which w, const char *extra)
{
	struct buf spki;
	struct slice bits, seq, n, e;

	buf_init(&spki, 4096);
	bits = key_bits(keys[w], &spki);
	switch (privkey_kind(keys[w])) {
	case KEY_RSA:
		(void)buf_put_str(out, "{\"kty\":\"RSA\"");
		assert_int_equal(der_read(&bits, DER_SEQUENCE, &seq), ERR_OK);
		assert_int_equal(der_read(&seq, DER_INTEGER, &n), ERR_OK);
		assert_int_equal(der_read(&seq, DER_INTEGER, &e), ERR_OK);
		put_member(out, "n", slice_sub(n, n.p[0] == 0, n.len));
		put_member(out, "e", e);
		break;
	case KEY_ED25519:
		(void)buf_put_str(out, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"");
		put_member(out, "x", bits);
		break;
	default:
		(void)buf_printf(out, "{\"kty\":\"EC\",\"crv\":\"%s\"",
				 w == K_P256 ? "P-256" : "P-384");
		n = slice_sub(bits, 1, (bits.len - 1) / 2);
		e = slice_sub(bits, 1 + n.len, n.len);
		put_member(out, "x", n);
		put_member(out, "y", e);
		break;
	}
	(void)buf_printf(out, "%s}", extra);
	buf_fini(&spki);
}

static enum err
parse_set(const struct buf *text, struct why *why, struct jwks **out)
{
	return jwks_parse(buf_get(text), why, out);
}

/* A set of one key. */
static struct jwks *
set_of(enum which w, const char *extra)
{
	struct jwks *set;
	struct buf text;
	struct why why = {""};

	buf_init(&text, JWKS_MAX);
	(void)buf_put_str(&text, "{\"keys\":[");
	put_jwk(&text, w, extra);
	(void)buf_put_str(&text, "]}");
	if (parse_set(&text, &why, &set) != ERR_OK)
		fail_msg("jwks: %s", why.text);
	buf_fini(&text);
	return set;
}

static int
setup(void **state)
{
	static const struct {
		enum key_kind kind;
		unsigned bits;
	} kinds[K_CNT] = {{KEY_RSA, 2048},
			  {KEY_RSA, 2048},
			  {KEY_EC_P256, 0},
			  {KEY_EC_P384, 0},
			  {KEY_ED25519, 0}};
	struct buf text;

	(void)state;
	for (int i = 0; i < K_CNT; i++)
		assert_int_equal(
			privkey_new(kinds[i].kind, kinds[i].bits, &keys[i]),
			ERR_OK);
	buf_init(&text, JWKS_MAX);
	(void)buf_put_str(&text, "{\"keys\":[");
	put_jwk(&text, K_RSA, ",\"kid\":\"rsa\",\"use\":\"sig\"");
	(void)buf_put_str(&text, ",");
	put_jwk(&text, K_P256, ",\"kid\":\"p256\"");
	(void)buf_put_str(&text, ",");
	put_jwk(&text, K_P384, ",\"kid\":\"p384\",\"key_ops\":[\"verify\"]");
	(void)buf_put_str(&text, ",");
	put_jwk(&text, K_ED25519, ",\"kid\":\"ed\",\"alg\":\"EdDSA\"");
	(void)buf_put_str(&text, "]}");
	assert_int_equal(parse_set(&text, NULL, &all_keys), ERR_OK);
	buf_fini(&text);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (int i = 0; i < K_CNT; i++)
		privkey_free(keys[i]);
	jwks_unref(all_keys);
	return 0;
}

static const char *const audiences[] = {"istio-ca", "other", NULL};
static const struct jwt_opts opts = {
	.issuer = "https://issuer.test",
	.audiences = audiences,
	.leeway_sec = 0,
};

#define CLAIMS                                                   \
	"{\"iss\":\"https://issuer.test\",\"aud\":\"istio-ca\"," \
	"\"exp\":1800000060,\"iat\":1799999000,\"sub\":\"secret-subject\"}"

static enum err
verify_text(struct slice token, const struct jwks *set,
	    const struct jwt_opts *o, struct why *why)
{
	struct jwt t;
	enum err e = jwt_read(token, why, &t);

	if (e != ERR_OK)
		return e;
	e = jwt_verify(&t, set, o, now(), why);
	jwt_fini(&t);
	return e;
}

static enum err
verify(const struct buf *token, const struct jwks *set,
       const struct jwt_opts *o, struct why *why)
{
	return verify_text(buf_get(token), set, o, why);
}

/* -- good ones */

static void
a_good_token_of_every_algorithm_is_taken(void **state)
{
	static const struct recipe good[] = {
		{"{\"alg\":\"RS256\",\"kid\":\"rsa\"}", CLAIMS, K_RSA,
		 SIG_RSA_SHA256, false},
		{"{\"alg\":\"RS384\",\"kid\":\"rsa\"}", CLAIMS, K_RSA,
		 SIG_RSA_SHA384, false},
		{"{\"alg\":\"RS512\",\"kid\":\"rsa\"}", CLAIMS, K_RSA,
		 SIG_RSA_SHA512, false},
		{"{\"alg\":\"PS256\",\"kid\":\"rsa\"}", CLAIMS, K_RSA,
		 SIG_RSA_PSS_SHA256, false},
		{"{\"alg\":\"ES256\",\"kid\":\"p256\"}", CLAIMS, K_P256,
		 SIG_ECDSA_SHA256, false},
		{"{\"alg\":\"ES384\",\"kid\":\"p384\"}", CLAIMS, K_P384,
		 SIG_ECDSA_SHA384, false},
		{"{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", CLAIMS, K_ED25519,
		 SIG_ED25519, false},
		{"{\"alg\":\"ES256\",\"typ\":\"JWT\"}", CLAIMS, K_P256,
		 SIG_ECDSA_SHA256, false},
		{"{\"alg\":\"ES256\"}",
		 "{\"iss\":\"https://issuer.test\",\"aud\":[\"x\",\"other\"],"
		 "\"exp\":1800000001,\"nbf\":1800000000}",
		 K_P256, SIG_ECDSA_SHA256, false},
	};
	struct buf token;

	(void)state;
	buf_init(&token, 65536);
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct why why = {""};

		make_token(&good[i], &token);
		if (verify(&token, all_keys, &opts, &why) != ERR_OK)
			fail_msg("%s: %s", good[i].header, why.text);
	}
	buf_fini(&token);
}

static void
claims_end_and_kid_of_a_good_token_are_given(void **state)
{
	static const struct recipe r = {"{\"alg\":\"RS256\",\"kid\":\"rsa\"}",
					CLAIMS, K_RSA, SIG_RSA_SHA256, false};
	struct buf token;
	struct jwt t;

	(void)state;
	buf_init(&token, 65536);
	make_token(&r, &token);
	assert_int_equal(jwt_read(buf_get(&token), NULL, &t), ERR_OK);
	assert_int_equal(jwt_verify(&t, all_keys, &opts, now(), NULL), ERR_OK);
	assert_string_equal(t.kid, "rsa");
	assert_int_equal(wall_sec(t.expires), 1800000060);
	assert_true(slice_is_str(
		json_flat_str(&t.claims, json_flat_get_path(&t.claims, "sub")),
		"secret-subject"));
	jwt_fini(&t);
	buf_fini(&token);
}

/* -- bad ones */

#define ES "{\"alg\":\"ES256\",\"kid\":\"p256\"}"
#define ISS "\"iss\":\"https://issuer.test\""
#define AUD "\"aud\":\"istio-ca\""
#define EXP "\"exp\":1800000060"

static const struct {
	const char *header;
	const char *claims;
	enum which key;
	enum sig_alg alg;
	bool der_form;
	enum err err;
	const char *text;
} bad[] = {
	{"{\"alg\":\"none\"}", CLAIMS, K_P256, SIG_ECDSA_SHA256, false,
	 ERR_UNSUPPORTED, "\"alg\" is none of"},
	{"{\"alg\":\"NONE\"}", CLAIMS, K_P256, SIG_ECDSA_SHA256, false,
	 ERR_UNSUPPORTED, "\"alg\" is none of"},
	{"{\"alg\":\"HS256\",\"kid\":\"rsa\"}", CLAIMS, K_RSA, SIG_RSA_SHA256,
	 false, ERR_UNSUPPORTED, "\"alg\" is none of"},
	{"{\"alg\":\"es256\",\"kid\":\"p256\"}", CLAIMS, K_P256,
	 SIG_ECDSA_SHA256, false, ERR_UNSUPPORTED, "\"alg\" is none of"},
	{"{\"kid\":\"p256\"}", CLAIMS, K_P256, SIG_ECDSA_SHA256, false,
	 ERR_SYNTAX, "no \"alg\""},
	{"{\"alg\":7}", CLAIMS, K_P256, SIG_ECDSA_SHA256, false, ERR_SYNTAX,
	 "no \"alg\""},
	{"{\"alg\":\"ES256\",\"jwk\":{}}", CLAIMS, K_P256, SIG_ECDSA_SHA256,
	 false, ERR_UNSUPPORTED, "header has \"jwk\""},
	{"{\"alg\":\"ES256\",\"jku\":\"https://evil\"}", CLAIMS, K_P256,
	 SIG_ECDSA_SHA256, false, ERR_UNSUPPORTED, "header has \"jku\""},
	{"{\"alg\":\"ES256\",\"x5u\":\"https://evil\"}", CLAIMS, K_P256,
	 SIG_ECDSA_SHA256, false, ERR_UNSUPPORTED, "header has \"x5u\""},
	{"{\"alg\":\"ES256\",\"x5c\":[]}", CLAIMS, K_P256, SIG_ECDSA_SHA256,
	 false, ERR_UNSUPPORTED, "header has \"x5c\""},
	{"{\"alg\":\"ES256\",\"crit\":[\"exp\"]}", CLAIMS, K_P256,
	 SIG_ECDSA_SHA256, false, ERR_UNSUPPORTED, "header has \"crit\""},
	{"{\"alg\":\"none\",\"alg\":\"ES256\"}", CLAIMS, K_P256,
	 SIG_ECDSA_SHA256, false, ERR_SYNTAX, "header is not one JSON object"},
	{"[\"alg\"]", CLAIMS, K_P256, SIG_ECDSA_SHA256, false, ERR_SYNTAX,
	 "header is not one JSON object"},
	/* the key of another kind: no confusion */
	{"{\"alg\":\"ES256\",\"kid\":\"rsa\"}", CLAIMS, K_P256,
	 SIG_ECDSA_SHA256, false, ERR_UNSUPPORTED, "not for the key"},
	{"{\"alg\":\"RS256\",\"kid\":\"ed\"}", CLAIMS, K_RSA, SIG_RSA_SHA256,
	 false, ERR_UNSUPPORTED, "not for the key"},
	{"{\"alg\":\"ES384\",\"kid\":\"p256\"}", CLAIMS, K_P384,
	 SIG_ECDSA_SHA384, false, ERR_UNSUPPORTED, "not for the key"},
	{"{\"alg\":\"PS256\",\"kid\":\"rsa\"}", CLAIMS, K_RSA, SIG_RSA_SHA256,
	 false, ERR_SIGNATURE, "does not verify"},
	{"{\"alg\":\"RS256\",\"kid\":\"rsa\"}", CLAIMS, K_RSA_OTHER,
	 SIG_RSA_SHA256, false, ERR_SIGNATURE, "does not verify (RS256, 1 key"},
	/* which key: the set was rotated, or kid is an attack */
	{"{\"alg\":\"RS256\",\"kid\":\"rsa-2\"}", CLAIMS, K_RSA, SIG_RSA_SHA256,
	 false, ERR_NOT_FOUND, "not among the 4 keys"},
	{"{\"alg\":\"RS256\",\"kid\":\"../../etc/passwd\"}", CLAIMS, K_RSA,
	 SIG_RSA_SHA256, false, ERR_NOT_FOUND, "not among the 4 keys"},
	{"{\"alg\":\"RS256\",\"kid\":\"' OR 1=1 --\"}", CLAIMS, K_RSA,
	 SIG_RSA_SHA256, false, ERR_NOT_FOUND, "not among the 4 keys"},
	{"{\"alg\":\"RS256\",\"kid\":\"a\\nb\"}", CLAIMS, K_RSA, SIG_RSA_SHA256,
	 false, ERR_SYNTAX, "\"kid\" is no printable text"},
	{"{\"alg\":\"RS256\",\"kid\":7}", CLAIMS, K_RSA, SIG_RSA_SHA256, false,
	 ERR_SYNTAX, "\"kid\" is no printable text"},
	/* form of the signature */
	{ES, CLAIMS, K_P256, SIG_ECDSA_SHA256, true, ERR_SIGNATURE,
	 "does not verify"},
	/* claims */
	{ES, "[1]", K_P256, SIG_ECDSA_SHA256, false, ERR_SYNTAX,
	 "claims is not one JSON object"},
	{ES, "{" ISS "," AUD "}", K_P256, SIG_ECDSA_SHA256, false, ERR_SYNTAX,
	 "no \"exp\""},
	{ES, "{" ISS "," AUD ",\"exp\":\"1800000060\"}", K_P256,
	 SIG_ECDSA_SHA256, false, ERR_SYNTAX, "\"exp\" is no date"},
	{ES, "{" ISS "," AUD ",\"exp\":-1}", K_P256, SIG_ECDSA_SHA256, false,
	 ERR_SYNTAX, "\"exp\" is no date"},
	{ES, "{" ISS "," AUD ",\"exp\":9223372036854775807}", K_P256,
	 SIG_ECDSA_SHA256, false, ERR_SYNTAX, "\"exp\" is no date"},
	{ES, "{" ISS "," AUD ",\"exp\":1e300}", K_P256, SIG_ECDSA_SHA256, false,
	 ERR_SYNTAX, "\"exp\" is no date"},
	{ES, "{" ISS "," AUD ",\"exp\":1800000000}", K_P256, SIG_ECDSA_SHA256,
	 false, ERR_EXPIRED, "expired at 2027-01-15T08:00:00"},
	{ES, "{" ISS "," AUD ",\"exp\":1799999999}", K_P256, SIG_ECDSA_SHA256,
	 false, ERR_EXPIRED, "expired at 2027-01-15T07:59:59"},
	{ES, "{" ISS "," AUD "," EXP ",\"nbf\":1800000001}", K_P256,
	 SIG_ECDSA_SHA256, false, ERR_NOT_YET_VALID, "\"nbf\""},
	{ES, "{" ISS "," AUD "," EXP ",\"nbf\":\"x\"}", K_P256,
	 SIG_ECDSA_SHA256, false, ERR_SYNTAX, "\"nbf\" is no date"},
	{ES, "{" ISS "," AUD "," EXP ",\"iat\":1800000001}", K_P256,
	 SIG_ECDSA_SHA256, false, ERR_NOT_YET_VALID, "\"iat\""},
	{ES, "{" AUD "," EXP "}", K_P256, SIG_ECDSA_SHA256, false, ERR_MISMATCH,
	 "\"iss\" is missing, expected https://issuer.test"},
	{ES, "{\"iss\":\"https://issuer.test/\"," AUD "," EXP "}", K_P256,
	 SIG_ECDSA_SHA256, false, ERR_MISMATCH, "\"iss\" is another issuer"},
	{ES, "{\"iss\":[\"https://issuer.test\"]," AUD "," EXP "}", K_P256,
	 SIG_ECDSA_SHA256, false, ERR_MISMATCH, "\"iss\" is another issuer"},
	{ES, "{" ISS "," EXP "}", K_P256, SIG_ECDSA_SHA256, false, ERR_MISMATCH,
	 "\"aud\" is missing, expected istio-ca"},
	{ES, "{" ISS ",\"aud\":[]," EXP "}", K_P256, SIG_ECDSA_SHA256, false,
	 ERR_MISMATCH, "\"aud\" is for somebody else"},
	{ES, "{" ISS ",\"aud\":\"istio-ca2\"," EXP "}", K_P256,
	 SIG_ECDSA_SHA256, false, ERR_MISMATCH, "\"aud\" is for somebody"},
	{ES, "{" ISS ",\"aud\":{\"istio-ca\":1}," EXP "}", K_P256,
	 SIG_ECDSA_SHA256, false, ERR_MISMATCH, "\"aud\" is for somebody"},
	{ES, "{" ISS ",\"aud\":[7,null,\"istio\"]," EXP "}", K_P256,
	 SIG_ECDSA_SHA256, false, ERR_MISMATCH, "\"aud\" is for somebody"},
};

static void
every_bad_token_is_refused_with_its_reason(void **state)
{
	struct buf token;

	(void)state;
	buf_init(&token, 65536);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct recipe r = {bad[i].header, bad[i].claims, bad[i].key,
				   bad[i].alg, bad[i].der_form};
		struct why why = {""};
		enum err e;

		make_token(&r, &token);
		e = verify(&token, all_keys, &opts, &why);
		if (e != bad[i].err || strstr(why.text, bad[i].text) == NULL)
			fail_msg("%s %s: %s, \"%s\"; expected %s, \"%s\"",
				 bad[i].header, bad[i].claims, err_name(e),
				 why.text, err_name(bad[i].err), bad[i].text);
		assert_null(strstr(why.text, "secret-subject"));
		assert_null(strstr(why.text, "evil"));
	}
	buf_fini(&token);
}

static void
tokens_of_broken_form_are_refused(void **state)
{
	static const struct {
		const char *text;
		enum err err;
	} broken[] = {
		{"", ERR_SYNTAX},
		{".", ERR_SYNTAX},
		{"..", ERR_SYNTAX},
		{"a.b", ERR_SYNTAX},
		{"e30.e30.", ERR_SYNTAX},
		{"e30.e30.AA", ERR_SYNTAX},       /* {} without alg */
		{"e30.e30.AA.AA.AA", ERR_SYNTAX}, /* five parts: JWE */
		{"e30=.e30.AA", ERR_SYNTAX},      /* padded */
		{"e3 0.e30.AA", ERR_SYNTAX},
		{"eyJhbGciOiJFUzI1NiJ9.e30.A", ERR_SYNTAX},
		{"eyJhbGciOiJFUzI1NiJ9.e30.AB", ERR_SYNTAX}, /* loose bits */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(broken); i++) {
		struct why why = {""};

		if (verify_text(slice_of_str(broken[i].text), all_keys, &opts,
				&why) != broken[i].err)
			fail_msg("%s: %s", broken[i].text, why.text);
		assert_true(strncmp(why.text, "JWT: ", 5) == 0);
	}
}

static void
a_token_above_the_limit_is_refused_unread(void **state)
{
	char *text = (char *)mem_new(1 << 20);
	struct why why = {""};

	(void)state;
	memset(text, 'A', 1 << 20);
	assert_int_equal(
		verify_text(slice_of(text, 1 << 20), all_keys, &opts, &why),
		ERR_LIMIT);
	assert_string_equal(why.text,
			    "JWT: 1048576 bytes, at most 16384 are taken");
	mem_free(text);
}

/* The header of the claims is under the signature, each byte of it. */
static void
a_token_changed_anywhere_is_refused(void **state)
{
	static const struct recipe r = {ES, CLAIMS, K_P256, SIG_ECDSA_SHA256,
					false};
	struct buf token;
	size_t len;

	(void)state;
	buf_init(&token, 65536);
	make_token(&r, &token);
	assert_int_equal(verify(&token, all_keys, &opts, NULL), ERR_OK);
	len = buf_len(&token);
	for (size_t i = 0; i < len; i++) {
		uint8_t was = token.p[token.start + i];

		token.p[token.start + i] = was == 'A' ? 'B' : 'A';
		assert_int_not_equal(verify(&token, all_keys, &opts, NULL),
				     ERR_OK);
		token.p[token.start + i] = was;
	}
	assert_int_equal(verify(&token, all_keys, &opts, NULL), ERR_OK);
	buf_fini(&token);
}

static void
an_ecdsa_signature_of_zeros_or_wrong_length_is_refused(void **state)
{
	static const size_t lens[] = {0, 1, 63, 64, 65, 96, 128};
	uint8_t zeros[128] = {0};
	struct buf token;

	(void)state;
	buf_init(&token, 65536);
	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		buf_reset(&token);
		(void)base64url_write(&token, slice_of_str(ES));
		(void)buf_put_str(&token, ".");
		(void)base64url_write(&token, slice_of_str(CLAIMS));
		(void)buf_put_str(&token, ".");
		(void)base64url_write(&token, slice_of(zeros, lens[i]));
		assert_int_equal(verify(&token, all_keys, &opts, NULL),
				 lens[i] == 0 ? ERR_SYNTAX : ERR_SIGNATURE);
	}
	buf_fini(&token);
}

static void
leeway_stretches_both_ends_and_is_bounded(void **state)
{
	static const struct {
		const char *claims;
		int64_t leeway;
		enum err err;
	} cases[] = {
		{"{\"exp\":1799999990}", 10, ERR_EXPIRED},
		{"{\"exp\":1799999991}", 10, ERR_OK},
		{"{\"exp\":1799999939}", 3600, ERR_EXPIRED},
		{"{\"exp\":1799999941}", 3600, ERR_OK},
		{"{\"exp\":1799999999}", -5, ERR_EXPIRED},
		{"{\"exp\":1800000100,\"nbf\":1800000010}", 10, ERR_OK},
		{"{\"exp\":1800000100,\"nbf\":1800000011}", 10,
		 ERR_NOT_YET_VALID},
		{"{\"exp\":1800000100,\"iat\":1800000011}", 10,
		 ERR_NOT_YET_VALID},
		{"{\"exp\":1800000100,\"iat\":0,\"nbf\":0}", 10, ERR_OK},
	};
	struct buf token;

	(void)state;
	buf_init(&token, 65536);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct recipe r = {ES, cases[i].claims, K_P256,
				   SIG_ECDSA_SHA256, false};
		struct jwt_opts o = {.leeway_sec = cases[i].leeway};

		make_token(&r, &token);
		if (verify(&token, all_keys, &o, NULL) != cases[i].err)
			fail_msg("case %zu", i);
	}
	buf_fini(&token);
}

/* -- key sets */

static void
a_key_is_used_only_for_its_own_algorithm(void **state)
{
	static const struct recipe rs = {"{\"alg\":\"RS256\"}", CLAIMS, K_RSA,
					 SIG_RSA_SHA256, false};
	static const struct recipe ps = {"{\"alg\":\"PS256\"}", CLAIMS, K_RSA,
					 SIG_RSA_PSS_SHA256, false};
	struct jwks *only_ps = set_of(K_RSA, ",\"alg\":\"PS256\"");
	struct jwks *any = set_of(K_RSA, "");
	struct buf token;

	(void)state;
	buf_init(&token, 65536);
	make_token(&rs, &token);
	assert_int_equal(verify(&token, any, &opts, NULL), ERR_OK);
	assert_int_equal(verify(&token, only_ps, &opts, NULL), ERR_NOT_FOUND);
	make_token(&ps, &token);
	assert_int_equal(verify(&token, any, &opts, NULL), ERR_OK);
	assert_int_equal(verify(&token, only_ps, &opts, NULL), ERR_OK);
	buf_fini(&token);
	jwks_unref(only_ps);
	jwks_unref(any);
}

static void
of_two_keys_with_one_kid_the_right_one_is_found(void **state)
{
	static const struct recipe r = {"{\"alg\":\"RS256\",\"kid\":\"a\"}",
					CLAIMS, K_RSA, SIG_RSA_SHA256, false};
	struct buf text, token;
	struct jwks *set;

	(void)state;
	buf_init(&text, JWKS_MAX);
	buf_init(&token, 65536);
	(void)buf_put_str(&text, "{\"keys\":[");
	put_jwk(&text, K_RSA_OTHER, ",\"kid\":\"a\"");
	(void)buf_put_str(&text, ",");
	put_jwk(&text, K_RSA, ",\"kid\":\"a\"");
	(void)buf_put_str(&text, "]}");
	assert_int_equal(parse_set(&text, NULL, &set), ERR_OK);
	assert_int_equal(jwks_count(set), 2);
	make_token(&r, &token);
	assert_int_equal(verify(&token, set, &opts, NULL), ERR_OK);
	jwks_unref(set);
	buf_fini(&token);
	buf_fini(&text);
}

/* Bounds the work that one token without a kid can cause. */
static void
at_most_eight_keys_are_tried(void **state)
{
	static const struct recipe r = {"{\"alg\":\"RS256\"}", CLAIMS, K_RSA,
					SIG_RSA_SHA256, false};
	struct buf text, token;
	struct why why = {""};
	struct jwks *set;

	(void)state;
	buf_init(&token, 65536);
	make_token(&r, &token);
	for (int before = 7; before <= 8; before++) {
		buf_init(&text, JWKS_MAX);
		(void)buf_put_str(&text, "{\"keys\":[");
		for (int i = 0; i < before; i++) {
			put_jwk(&text, K_RSA_OTHER, "");
			(void)buf_put_str(&text, ",");
		}
		put_jwk(&text, K_RSA, "");
		(void)buf_put_str(&text, "]}");
		assert_int_equal(parse_set(&text, NULL, &set), ERR_OK);
		assert_int_equal(verify(&token, set, &opts, &why),
				 before == 7 ? ERR_OK : ERR_SIGNATURE);
		jwks_unref(set);
		buf_fini(&text);
	}
	assert_non_null(strstr(why.text, "8 keys tried"));
	buf_fini(&token);
}

#define X32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void
a_key_set_without_usable_keys_is_refused_with_why(void **state)
{
	static const struct {
		const char *text;
		enum err err;
		const char *reason;
	} sets[] = {
		{"", ERR_SYNTAX, "JWKS"},
		{"[]", ERR_SYNTAX, "no object with an array"},
		{"{}", ERR_SYNTAX, "no object with an array"},
		{"{\"keys\":{}}", ERR_SYNTAX, "no object with an array"},
		{"{\"keys\":[]}", ERR_NOT_FOUND, "none of its 0 keys"},
		{"{\"keys\":[7]}", ERR_NOT_FOUND, "keys[0]: not an object"},
		{"{\"keys\":[{}]}", ERR_NOT_FOUND, "\"kty\" is none of"},
		{"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", ERR_NOT_FOUND,
		 "\"kty\" is none of"},
		{"{\"keys\":[{\"kty\":\"RSA\",\"use\":\"enc\"}]}",
		 ERR_NOT_FOUND, "\"use\" is not sig"},
		{"{\"keys\":[{\"kty\":\"RSA\",\"key_ops\":[\"sign\"]}]}",
		 ERR_NOT_FOUND, "\"key_ops\" has no verify"},
		{"{\"keys\":[{\"kty\":\"RSA\",\"alg\":\"HS256\"}]}",
		 ERR_NOT_FOUND, "\"alg\" is none"},
		{"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\"}]}", ERR_NOT_FOUND,
		 "\"e\" is missing"},
		{"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"A+B/\",\"e\":\"AQAB\"}]"
		 "}",
		 ERR_NOT_FOUND, "\"n\" is not base64url"},
		{"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-521\"}]}",
		 ERR_NOT_FOUND, "neither P-256 nor P-384"},
		{"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\","
		 "\"y\":\"" X32 "\"}]}",
		 ERR_NOT_FOUND, "\"x\" has 3 bytes, must have 32"},
		{"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" X32
		 "\"}]}",
		 ERR_NOT_FOUND, "\"crv\" is not Ed25519"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		struct why why = {""};
		struct jwks *set;

		if (jwks_parse(slice_of_str(sets[i].text), &why, &set) !=
			    sets[i].err ||
		    strstr(why.text, sets[i].reason) == NULL)
			fail_msg("%s: %s", sets[i].text, why.text);
		assert_null(set);
	}
}

static void
a_point_off_the_curve_is_no_key(void **state)
{
	struct jwks *set;

	(void)state;
	assert_int_equal(jwks_parse(SLICE_LIT("{\"keys\":[{\"kty\":\"EC\","
					      "\"crv\":\"P-256\",\"x\":\"" X32
					      "\",\"y\":\"" X32 "\"}]}"),
				    NULL, &set),
			 ERR_NOT_FOUND);
}

static void
unusable_keys_beside_good_ones_are_passed_over(void **state)
{
	struct buf text;
	struct jwks *set;

	(void)state;
	buf_init(&text, JWKS_MAX);
	(void)buf_put_str(&text, "{\"keys\":[{\"kty\":\"oct\"},{},");
	put_jwk(&text, K_P256, ",\"use\":\"enc\"");
	(void)buf_put_str(&text, ",");
	put_jwk(&text, K_P384, ",\"kid\":\"x\",\"x5t\":\"ignored\"");
	(void)buf_put_str(&text, "],\"more\":1}");
	assert_int_equal(parse_set(&text, NULL, &set), ERR_OK);
	assert_int_equal(jwks_count(set), 1);
	jwks_unref(set);
	buf_fini(&text);
}

static void
key_sets_above_the_limits_are_refused(void **state)
{
	struct buf text;
	struct why why = {""};
	struct jwks *set;

	(void)state;
	buf_init(&text, 4 * JWKS_MAX);
	(void)buf_put_str(&text, "{\"keys\":[1");
	for (int i = 0; i < JWKS_KEYS_MAX; i++)
		(void)buf_put_str(&text, ",1");
	(void)buf_put_str(&text, "]}");
	assert_int_equal(parse_set(&text, &why, &set), ERR_LIMIT);
	assert_non_null(strstr(why.text, "257 keys"));
	while (buf_len(&text) <= JWKS_MAX)
		(void)buf_put_str(&text, "                                ");
	assert_int_equal(parse_set(&text, &why, &set), ERR_LIMIT);
	assert_non_null(strstr(why.text, "at most 1048576"));
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_token_of_every_algorithm_is_taken),
		cmocka_unit_test(claims_end_and_kid_of_a_good_token_are_given),
		cmocka_unit_test(every_bad_token_is_refused_with_its_reason),
		cmocka_unit_test(tokens_of_broken_form_are_refused),
		cmocka_unit_test(a_token_above_the_limit_is_refused_unread),
		cmocka_unit_test(a_token_changed_anywhere_is_refused),
		cmocka_unit_test(
			an_ecdsa_signature_of_zeros_or_wrong_length_is_refused),
		cmocka_unit_test(leeway_stretches_both_ends_and_is_bounded),
		cmocka_unit_test(a_key_is_used_only_for_its_own_algorithm),
		cmocka_unit_test(
			of_two_keys_with_one_kid_the_right_one_is_found),
		cmocka_unit_test(at_most_eight_keys_are_tried),
		cmocka_unit_test(
			a_key_set_without_usable_keys_is_refused_with_why),
		cmocka_unit_test(a_point_off_the_curve_is_no_key),
		cmocka_unit_test(
			unusable_keys_beside_good_ones_are_passed_over),
		cmocka_unit_test(key_sets_above_the_limits_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
