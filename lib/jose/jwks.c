/* jwks.c - JSON Web Key Sets. RFC 7517, RFC 7518 6, RFC 8037 2.
 *
 * A set in the field holds keys for other uses too, and keys of tomorrow's
 * kinds: RFC 7517 5 says to pass over what one does not understand. So each
 * key either becomes usable or is passed over with a reason; the first reason
 * is told when no key is left. */
#include "jose/jwt.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "crypto/pem.h"
#include "jose/jose_int.h"

enum {
	JWK_RSA_BITS_MIN = 2048, /* RFC 7518 3.3 */
	JWK_RSA_BITS_MAX = 8192, /* bounds the work for one token */
	JWK_MEMBER_MAX = 2048,
	JWK_KID_MAX = 255
};

static const struct jose_alg jose_algs[] = {
	{"RS256", SIG_RSA_SHA256, KEY_RSA, 0},
	{"ES256", SIG_ECDSA_SHA256, KEY_EC_P256, 64},
	{"RS384", SIG_RSA_SHA384, KEY_RSA, 0},
	{"RS512", SIG_RSA_SHA512, KEY_RSA, 0},
	{"PS256", SIG_RSA_PSS_SHA256, KEY_RSA, 0},
	{"ES384", SIG_ECDSA_SHA384, KEY_EC_P384, 96},
	{"EdDSA", SIG_ED25519, KEY_ED25519, 0},
};

const struct jose_alg *
jose_alg_find(struct slice name)
{
	for (size_t i = 0; i < COUNT_OF(jose_algs); i++) {
		if (slice_is_str(name, jose_algs[i].name))
			return &jose_algs[i];
	}
	return NULL;
}

/* A base64url member; out is emptied first. */
static enum err
jwk_read_bytes(const struct json *obj, const char *name, struct buf *out,
	       struct why *why)
{
	const struct json *v = json_get(obj, name);

	buf_reset(out);
	if (!json_is_string(v))
		return why_set(why, ERR_SYNTAX, "\"%s\" is missing", name);
	if (base64url_read(json_str(v), out) != ERR_OK)
		return why_set(why, ERR_SYNTAX,
			       "\"%s\" is not base64url, or too long", name);
	return ERR_OK;
}

/* RFC 7518 6.2.1.2: coordinates have the full length of the field. */
static enum err
jwk_read_coordinate(const struct json *obj, const char *name, size_t len,
		    struct buf *out, struct why *why)
{
	enum err e = jwk_read_bytes(obj, name, out, why);

	if (e == ERR_OK && buf_len(out) != len)
		return why_set(why, ERR_SYNTAX,
			       "\"%s\" has %zu bytes, must have %zu", name,
			       buf_len(out), len);
	return e;
}

struct jwk_scratch {
	struct buf a, b, spki;
};

static enum err
jwk_build_ec(const struct json *obj, struct jwk_scratch *s, struct why *why)
{
	struct slice crv = json_str(json_get(obj, "crv"));
	enum key_kind kind;
	size_t len;
	enum err e;

	if (slice_is_str(crv, "P-256")) {
		kind = KEY_EC_P256;
		len = 32;
	} else if (slice_is_str(crv, "P-384")) {
		kind = KEY_EC_P384;
		len = 48;
	} else {
		return why_set(why, ERR_UNSUPPORTED,
			       "\"crv\" is neither P-256 nor P-384");
	}
	if ((e = jwk_read_coordinate(obj, "x", len, &s->a, why)) != ERR_OK ||
	    (e = jwk_read_coordinate(obj, "y", len, &s->b, why)) != ERR_OK)
		return e;
	e = pubkey_build_ec_spki(kind, buf_get(&s->a), buf_get(&s->b),
				 &s->spki);
	return e == ERR_OK ? e : why_set(why, e, "bad point");
}

static enum err
jwk_build_rsa(const struct json *obj, struct jwk_scratch *s, struct why *why)
{
	enum err e;

	if ((e = jwk_read_bytes(obj, "n", &s->a, why)) != ERR_OK ||
	    (e = jwk_read_bytes(obj, "e", &s->b, why)) != ERR_OK)
		return e;
	e = pubkey_build_rsa_spki(buf_get(&s->a), buf_get(&s->b), &s->spki);
	return e == ERR_OK ? e : why_set(why, e, "bad modulus or exponent");
}

static enum err
jwk_build_okp(const struct json *obj, struct jwk_scratch *s, struct why *why)
{
	enum err e;

	if (!slice_is_str(json_str(json_get(obj, "crv")), "Ed25519"))
		return why_set(why, ERR_UNSUPPORTED, "\"crv\" is not Ed25519");
	if ((e = jwk_read_coordinate(obj, "x", 32, &s->a, why)) != ERR_OK)
		return e;
	e = pubkey_build_ed25519_spki(buf_get(&s->a), &s->spki);
	return e == ERR_OK ? e : why_set(why, e, "bad key");
}

static enum err
jwk_build_spki(const struct json *obj, struct jwk_scratch *s, struct why *why)
{
	struct slice kty = json_str(json_get(obj, "kty"));

	if (slice_is_str(kty, "RSA"))
		return jwk_build_rsa(obj, s, why);
	if (slice_is_str(kty, "EC"))
		return jwk_build_ec(obj, s, why);
	if (slice_is_str(kty, "OKP"))
		return jwk_build_okp(obj, s, why);
	return why_set(why, ERR_UNSUPPORTED,
		       "\"kty\" is none of RSA, EC and OKP");
}

static bool
jwk_ops_have_verify(const struct json *ops)
{
	for (size_t i = 0; i < json_count(ops); i++) {
		if (slice_is_str(json_str(json_at(ops, i)), "verify"))
			return true;
	}
	return false;
}

/* RFC 7517 4.2, 4.3: is it for verifying at all? */
static enum err
jwk_check_use(const struct json *obj, struct why *why)
{
	const struct json *use = json_get(obj, "use");
	const struct json *ops = json_get(obj, "key_ops");

	if (use != NULL && !slice_is_str(json_str(use), "sig"))
		return why_set(why, ERR_UNSUPPORTED, "\"use\" is not sig");
	if (ops != NULL && !(json_is_array(ops) && jwk_ops_have_verify(ops)))
		return why_set(why, ERR_UNSUPPORTED,
			       "\"key_ops\" has no verify");
	return ERR_OK;
}

static enum err
jwk_check_key(const struct jwk *k, struct why *why)
{
	unsigned bits = pubkey_bits(k->key);
	uint64_t e = pubkey_rsa_exponent(k->key);

	if (k->only != NULL && k->only->kind != k->kind)
		return why_set(why, ERR_UNSUPPORTED,
			       "\"alg\" is not for this kind of key");
	if (k->kind != KEY_RSA)
		return ERR_OK;
	if (bits < JWK_RSA_BITS_MIN || bits > JWK_RSA_BITS_MAX)
		return why_set(why, ERR_UNSUPPORTED,
			       "RSA key of %u bits, %d to %d are taken", bits,
			       JWK_RSA_BITS_MIN, JWK_RSA_BITS_MAX);
	if (e < 3 || e > UINT32_MAX || (e & 1) == 0)
		return why_set(why, ERR_UNSUPPORTED,
			       "RSA exponent is even, below 3 or above 2^32");
	return ERR_OK;
}

static enum err
jwk_read_names(const struct json *obj, struct jwk *k, struct why *why)
{
	const struct json *alg = json_get(obj, "alg");
	const struct json *kid = json_get(obj, "kid");
	struct slice text = json_str(kid);

	if (alg != NULL) {
		k->only = jose_alg_find(json_str(alg));
		if (k->only == NULL)
			return why_set(why, ERR_UNSUPPORTED,
				       "\"alg\" is none that we take");
	}
	if (kid == NULL)
		return ERR_OK;
	if (!json_is_string(kid) || text.len > JWK_KID_MAX ||
	    slice_find(text, 0) != text.len)
		return why_set(why, ERR_SYNTAX,
			       "\"kid\" is no text of at most %d bytes",
			       JWK_KID_MAX);
	k->kid = mem_dup_slice_str(text);
	return ERR_OK;
}

static void
jwk_fini(struct jwk *k)
{
	pubkey_free(k->key);
	mem_free(k->kid);
	memset(k, 0, sizeof(*k));
}

/* On failure k is empty. */
static enum err
jwk_read(const struct json *obj, struct jwk_scratch *s, struct jwk *k,
	 struct why *why)
{
	enum err e;

	if (!json_is_object(obj))
		return why_set(why, ERR_SYNTAX, "not an object");
	if ((e = jwk_check_use(obj, why)) != ERR_OK ||
	    (e = jwk_read_names(obj, k, why)) != ERR_OK)
		goto out;
	buf_reset(&s->spki);
	if ((e = jwk_build_spki(obj, s, why)) != ERR_OK)
		goto out;
	if ((e = pubkey_parse(buf_get(&s->spki), why, &k->key)) != ERR_OK)
		goto out;
	k->kind = pubkey_kind(k->key);
	e = jwk_check_key(k, why);
out:
	if (e != ERR_OK)
		jwk_fini(k);
	return e;
}

static enum err
jwks_read(const struct json *list, struct jwks *set, struct why *why)
{
	struct jwk_scratch s;
	struct why first = {""}, one;
	size_t cnt = json_count(list);

	buf_init(&s.a, JWK_MEMBER_MAX);
	buf_init(&s.b, JWK_MEMBER_MAX);
	buf_init(&s.spki, 2 * JWK_MEMBER_MAX);
	set->keys = MEM_NEW_ARRAY(struct jwk, cnt);
	for (size_t i = 0; i < cnt; i++) {
		one.text[0] = '\0';
		if (jwk_read(json_at(list, i), &s, &set->keys[set->cnt],
			     &one) == ERR_OK)
			set->cnt++;
		else if (first.text[0] == '\0')
			(void)why_set(&first, ERR_SYNTAX, "keys[%zu]: %s", i,
				      one.text);
	}
	buf_fini(&s.a);
	buf_fini(&s.b);
	buf_fini(&s.spki);
	if (set->cnt != 0)
		return ERR_OK;
	return why_set(why, ERR_NOT_FOUND,
		       "JWKS: none of its %zu keys can verify tokens%s%s", cnt,
		       cnt == 0 ? "" : "; ", first.text);
}

enum err
jwks_parse(struct slice text, struct why *why, struct jwks **out)
{
	struct json *root = NULL;
	struct jwks *set = NULL;
	const struct json *list;
	enum err e;

	*out = NULL;
	if (text.len > JWKS_MAX)
		return why_set(why, ERR_LIMIT,
			       "JWKS: %zu bytes, at most %d are taken",
			       text.len, JWKS_MAX);
	if ((e = json_parse(text, why, &root)) != ERR_OK)
		return why_prefix(why, e, "JWKS");
	list = json_get(root, "keys");
	if (!json_is_array(list)) {
		e = why_set(why, ERR_SYNTAX,
			    "JWKS: no object with an array \"keys\"");
		goto out;
	}
	if (json_count(list) > JWKS_KEYS_MAX) {
		e = why_set(why, ERR_LIMIT,
			    "JWKS: %zu keys, at most %d are taken",
			    json_count(list), JWKS_KEYS_MAX);
		goto out;
	}
	set = MEM_NEW(struct jwks);
	set->refs = 1;
	if ((e = jwks_read(list, set, why)) == ERR_OK)
		*out = TAKE(set);
out:
	jwks_unref(set);
	json_free(root);
	return e;
}

struct jwks *
jwks_ref(struct jwks *k)
{
	if (k != NULL)
		k->refs++;
	return k;
}

void
jwks_unref(struct jwks *k)
{
	if (k == NULL || --k->refs != 0)
		return;
	for (size_t i = 0; i < k->cnt; i++)
		jwk_fini(&k->keys[i]);
	mem_free(k->keys);
	mem_free(k);
}

size_t
jwks_count(const struct jwks *k)
{
	return k->cnt;
}
