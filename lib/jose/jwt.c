/* jwt.c - verifying a JSON Web Token in compact form. RFC 7515 7.1, 7519,
 * 8725.
 *
 * The order is the defence: form, then header (algorithm by allow-list, no key
 * of the token's own), then key and signature, and only then is anything of
 * the claims believed. They are read before, once, because their issuer says
 * whose keys to ask: by a reader whose work is bounded. Nothing of the token's
 * text goes into why: tokens are secrets, and what stands in them was written
 * by strangers. */
#include "jose/jwt.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/pem.h"
#include "jose/jose_int.h"

enum {
	JWT_TRIES_MAX = 8,
	JWT_LEEWAY_MAX_SEC = 60
};
/* 9999-12-31: more is no date, and would overflow milliseconds. */
#define JWT_SEC_MAX INT64_C(253402300799)

static enum err
jwt_split(struct slice token, struct why *why, struct jwt *t)
{
	struct slice rest = token;

	if (token.len > JWT_MAX)
		return why_set(why, ERR_LIMIT,
			       "JWT: %zu bytes, at most %d are taken",
			       token.len, JWT_MAX);
	if (!slice_split(&rest, '.', &t->header64) ||
	    !slice_split(&rest, '.', &t->claims64) || rest.len == 0 ||
	    slice_find(rest, '.') != rest.len || t->header64.len == 0 ||
	    t->claims64.len == 0)
		return why_set(why, ERR_SYNTAX,
			       "JWT: not three parts with dots between (a "
			       "signed token in compact form)");
	t->signature64 = rest;
	t->signed_text =
		slice_sub(token, 0, t->header64.len + 1 + t->claims64.len);
	return ERR_OK;
}

/* One part as JSON. The reader's text is not passed on. */
static enum err
jwt_parse_part(struct slice text64, const char *name, struct why *why,
	       struct buf *text, struct json_flat *out)
{
	enum err e;

	if (base64url_read(text64, text) != ERR_OK)
		return why_set(why, ERR_SYNTAX, "JWT: %s is not base64url",
			       name);
	e = json_flat_parse(text, NULL, out);
	if (e == ERR_LIMIT)
		return why_set(why, e,
			       "JWT: %s is not one JSON object of at most %d "
			       "values on 32 levels",
			       name, JSON_FLAT_VALUES_MAX);
	if (e != ERR_OK || !json_flat_is(json_flat_root(out), JSON_FLAT_OBJECT))
		return why_set(why, ERR_SYNTAX,
			       "JWT: %s is not one JSON object without "
			       "duplicates",
			       name);
	return ERR_OK;
}

static const struct json_value *
jwt_claim(const struct jwt *t, const char *name)
{
	return json_flat_get(&t->claims, json_flat_root(&t->claims), name);
}

static const struct json_value *
jwt_header(const struct jwt *t, const char *name)
{
	return json_flat_get(&t->header, json_flat_root(&t->header), name);
}

/* RFC 8725 3.1, 3.10: no algorithm but ours, no key that the token brings. */
static enum err
jwt_check_header(const struct jwt *t, struct why *why,
		 const struct jose_alg **alg_out)
{
	static const char *const refused[] = {"jwk", "jku", "x5u", "x5c",
					      "crit"};
	const struct json_value *alg = jwt_header(t, "alg");

	if (!json_flat_is(alg, JSON_FLAT_STRING))
		return why_set(why, ERR_SYNTAX, "JWT: header has no \"alg\"");
	*alg_out = jose_alg_find(json_flat_str(&t->header, alg));
	if (*alg_out == NULL)
		return why_set(why, ERR_UNSUPPORTED,
			       "JWT: \"alg\" is none of RS256, RS384, RS512, "
			       "PS256, ES256, ES384, EdDSA");
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		if (jwt_header(t, refused[i]) != NULL)
			return why_set(why, ERR_UNSUPPORTED,
				       "JWT: header has \"%s\", which is not "
				       "taken",
				       refused[i]);
	}
	return ERR_OK;
}

static enum err
jwt_read_kid(struct jwt *t, struct why *why)
{
	const struct json_value *kid = jwt_header(t, "kid");
	struct slice text = json_flat_str(&t->header, kid);

	t->kid[0] = '\0';
	if (kid == NULL)
		return ERR_OK;
	/* Empty, too, where it is no text. */
	if (text.len == 0 || text.len >= sizeof(t->kid) ||
	    !slice_is_printable(text))
		return why_set(why, ERR_SYNTAX,
			       "JWT: \"kid\" is no printable text of 1 to %zu "
			       "bytes",
			       sizeof(t->kid) - 1);
	memcpy(t->kid, text.p, text.len);
	t->kid[text.len] = '\0';
	return ERR_OK;
}

/* A key without a kid may be the one for any token. */
static bool
jwt_kid_fits(const struct jwt *t, const struct jwk *k)
{
	return t->kid[0] == '\0' || k->kid == NULL ||
	       strcmp(t->kid, k->kid) == 0;
}

static enum err
jwt_try_key(const struct jwk *k, const struct jose_alg *alg,
	    struct slice message, struct slice signature)
{
	if (alg->raw_signature_len == 0)
		return pubkey_verify(k->key, alg->sig, message, signature);
	if (signature.len != alg->raw_signature_len)
		return ERR_SIGNATURE;
	return pubkey_verify_raw_ecdsa(k->key, alg->sig, message, signature);
}

static enum err
jwt_verify_signature(const struct jwks *keys, const struct jose_alg *alg,
		     const struct jwt *t, struct slice signature,
		     struct why *why)
{
	size_t named = 0, tried = 0;

	for (size_t i = 0; i < keys->cnt && tried < JWT_TRIES_MAX; i++) {
		const struct jwk *k = &keys->keys[i];

		if (!jwt_kid_fits(t, k))
			continue;
		named++;
		if (k->kind != alg->kind || (k->only != NULL && k->only != alg))
			continue;
		tried++;
		if (jwt_try_key(k, alg, t->signed_text, signature) == ERR_OK)
			return ERR_OK;
	}
	if (named == 0)
		return why_set(why, ERR_NOT_FOUND,
			       "JWT: its key (\"kid\") is not among the %zu "
			       "keys of the set",
			       keys->cnt);
	if (tried == 0 && t->kid[0] != '\0')
		return why_set(why, ERR_UNSUPPORTED,
			       "JWT: \"alg\" %s is not for the key that the "
			       "token names",
			       alg->name);
	if (tried == 0)
		return why_set(why, ERR_NOT_FOUND,
			       "JWT: no key for %s among the %zu keys of the "
			       "set",
			       alg->name, keys->cnt);
	return why_set(why, ERR_SIGNATURE,
		       "JWT: signature does not verify (%s, %zu key%s tried)",
		       alg->name, tried, tried == 1 ? "" : "s");
}

/* NumericDate as whole seconds. *out is untouched when it is absent. */
static enum err
jwt_read_date(const struct jwt *t, const char *name, struct why *why,
	      bool *has_out, int64_t *out)
{
	const struct json_value *v = jwt_claim(t, name);

	*has_out = v != NULL;
	if (v == NULL)
		return ERR_OK;
	if (!json_flat_int(&t->claims, v, out) || *out < 0 ||
	    *out > JWT_SEC_MAX)
		return why_set(why, ERR_SYNTAX,
			       "JWT: \"%s\" is no date in whole seconds", name);
	return ERR_OK;
}

static enum err
jwt_check_dates(struct jwt *t, int64_t leeway, struct wall now, struct why *why)
{
	bool has_exp, has_nbf, has_iat;
	int64_t exp = 0, nbf = 0, iat = 0;
	char at[WALL_TEXT_MAX];
	enum err e;

	if ((e = jwt_read_date(t, "exp", why, &has_exp, &exp)) ||
	    (e = jwt_read_date(t, "nbf", why, &has_nbf, &nbf)) ||
	    (e = jwt_read_date(t, "iat", why, &has_iat, &iat)))
		return e;
	if (!has_exp)
		return why_set(why, ERR_SYNTAX,
			       "JWT: no \"exp\", tokens without an end are "
			       "not taken");
	t->expires = wall_of_sec(exp);
	wall_format(t->expires, at);
	if (!wall_is_before(now, wall_of_sec(exp + leeway)))
		return why_set(why, ERR_EXPIRED, "JWT: expired at %s", at);
	if (has_nbf && wall_is_before(now, wall_of_sec(nbf - leeway))) {
		wall_format(wall_of_sec(nbf), at);
		return why_set(why, ERR_NOT_YET_VALID,
			       "JWT: not valid before %s (\"nbf\"; or our "
			       "clock is slow)",
			       at);
	}
	if (has_iat && wall_is_before(now, wall_of_sec(iat - leeway))) {
		wall_format(wall_of_sec(iat), at);
		return why_set(why, ERR_NOT_YET_VALID,
			       "JWT: issued in the future, %s (\"iat\"; or "
			       "our clock is slow)",
			       at);
	}
	return ERR_OK;
}

static bool
jwt_is_wanted(struct slice aud, const char *const *wanted)
{
	for (; *wanted != NULL; wanted++) {
		if (slice_is_str(aud, *wanted))
			return true;
	}
	return false;
}

/* RFC 7519 4.1.3: a text or an array of texts. */
static enum err
jwt_check_audience(const struct jwt *t, const char *const *wanted,
		   struct why *why)
{
	const struct json_flat *f = &t->claims;
	const struct json_value *aud = jwt_claim(t, "aud");
	const struct json_value *one = aud;

	if (json_flat_is(aud, JSON_FLAT_ARRAY))
		one = json_flat_first(f, aud);
	while (one != NULL) {
		if (json_flat_is(one, JSON_FLAT_STRING) &&
		    jwt_is_wanted(json_flat_str(f, one), wanted))
			return ERR_OK;
		one = one == aud ? NULL : json_flat_next(f, aud, one);
	}
	return why_set(why, ERR_MISMATCH, "JWT: \"aud\" is %s, expected %s%s",
		       aud == NULL ? "missing" : "for somebody else",
		       wanted[0] == NULL ? "(none is allowed)" : wanted[0],
		       wanted[0] != NULL && wanted[1] != NULL
			       ? " (or another of the list)"
			       : "");
}

static enum err
jwt_check_claims(struct jwt *t, const struct jwt_opts *opts, struct wall now,
		 struct why *why)
{
	const struct json_value *iss = jwt_claim(t, "iss");
	int64_t leeway = opts->leeway_sec;
	enum err e;

	if (leeway < 0)
		leeway = 0;
	if (leeway > JWT_LEEWAY_MAX_SEC)
		leeway = JWT_LEEWAY_MAX_SEC;
	if ((e = jwt_check_dates(t, leeway, now, why)) != ERR_OK)
		return e;
	if (opts->issuer != NULL && !jwt_names_issuer(t, opts->issuer))
		return why_set(why, ERR_MISMATCH,
			       "JWT: \"iss\" is %s, expected %s",
			       iss == NULL ? "missing" : "another issuer",
			       opts->issuer);
	if (opts->audiences == NULL)
		return ERR_OK;
	return jwt_check_audience(t, opts->audiences, why);
}

enum err
jwt_read(struct slice token, struct why *why, struct jwt *out)
{
	enum err e;

	buf_init(&out->header_text, JWT_MAX);
	buf_init(&out->claims_text, JWT_MAX);
	if ((e = jwt_split(token, why, out)) != ERR_OK)
		goto out;
	e = jwt_parse_part(out->header64, "header", why, &out->header_text,
			   &out->header);
	if (e == ERR_OK)
		e = jwt_parse_part(out->claims64, "claims", why,
				   &out->claims_text, &out->claims);
out:
	if (e != ERR_OK)
		jwt_fini(out);
	return e;
}

bool
jwt_names_issuer(const struct jwt *t, const char *issuer)
{
	const struct json_value *iss = jwt_claim(t, "iss");

	return json_flat_is(iss, JSON_FLAT_STRING) &&
	       slice_is_str(json_flat_str(&t->claims, iss), issuer);
}

enum err
jwt_verify(struct jwt *t, const struct jwks *keys, const struct jwt_opts *opts,
	   struct wall now, struct why *why)
{
	const struct jose_alg *alg = NULL;
	struct buf sig;
	enum err e;

	buf_init(&sig, JWT_MAX);
	if ((e = jwt_check_header(t, why, &alg)) != ERR_OK)
		goto out;
	if ((e = jwt_read_kid(t, why)) != ERR_OK)
		goto out;
	if (base64url_read(t->signature64, &sig) != ERR_OK) {
		e = why_set(why, ERR_SYNTAX, "JWT: signature is not base64url");
		goto out;
	}
	e = jwt_verify_signature(keys, alg, t, buf_get(&sig), why);
	if (e == ERR_OK)
		e = jwt_check_claims(t, opts, now, why);
out:
	buf_fini(&sig);
	return e;
}

void
jwt_fini(struct jwt *t)
{
	buf_fini(&t->header_text);
	buf_fini(&t->claims_text);
}
