/* jwt.c - verifying a JSON Web Token in compact form. RFC 7515 7.1, 7519,
 * 8725.
 *
 * The order is the defence: form, then header (algorithm by allow-list, no key
 * of the token's own), then key and signature, and only then the claims are
 * parsed at all. Nothing of the token's text goes into why: tokens are
 * secrets, and what stands in them was written by strangers. */
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

struct jwt_parts {
	struct slice header64, claims64, signature64;
	struct slice signed_text; /* header.claims */
};

static enum err
jwt_split(struct slice token, struct why *why, struct jwt_parts *p)
{
	struct slice rest = token;

	if (token.len > JWT_MAX)
		return why_set(why, ERR_LIMIT,
			       "JWT: %zu bytes, at most %d are taken",
			       token.len, JWT_MAX);
	if (!slice_split(&rest, '.', &p->header64) ||
	    !slice_split(&rest, '.', &p->claims64) || rest.len == 0 ||
	    slice_find(rest, '.') != rest.len || p->header64.len == 0 ||
	    p->claims64.len == 0)
		return why_set(why, ERR_SYNTAX,
			       "JWT: not three parts with dots between (a "
			       "signed token in compact form)");
	p->signature64 = rest;
	p->signed_text =
		slice_sub(token, 0, p->header64.len + 1 + p->claims64.len);
	return ERR_OK;
}

/* One part as JSON. The parser's text is not passed on: it may quote. */
static enum err
jwt_parse_part(struct slice text64, const char *name, struct why *why,
	       struct json **out)
{
	struct buf text;
	enum err e;

	*out = NULL;
	buf_init(&text, JWT_MAX);
	if ((e = base64url_read(text64, &text)) != ERR_OK) {
		e = why_set(why, ERR_SYNTAX, "JWT: %s is not base64url", name);
		goto out;
	}
	e = json_parse(buf_get(&text), NULL, out);
	if (e == ERR_OK && !json_is_object(*out)) {
		json_free(TAKE(*out));
		e = ERR_SYNTAX;
	}
	if (e != ERR_OK)
		e = why_set(why, ERR_SYNTAX,
			    "JWT: %s is not one JSON object without "
			    "duplicates",
			    name);
out:
	buf_fini(&text);
	return e;
}

/* RFC 8725 3.1, 3.10: no algorithm but ours, no key that the token brings. */
static enum err
jwt_check_header(const struct json *h, struct why *why,
		 const struct jose_alg **alg_out)
{
	static const char *const refused[] = {"jwk", "jku", "x5u", "x5c",
					      "crit"};
	const struct json *alg = json_get(h, "alg");

	if (!json_is_string(alg))
		return why_set(why, ERR_SYNTAX, "JWT: header has no \"alg\"");
	*alg_out = jose_alg_find(json_str(alg));
	if (*alg_out == NULL)
		return why_set(why, ERR_UNSUPPORTED,
			       "JWT: \"alg\" is none of RS256, RS384, RS512, "
			       "PS256, ES256, ES384, EdDSA");
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		if (json_get(h, refused[i]) != NULL)
			return why_set(why, ERR_UNSUPPORTED,
				       "JWT: header has \"%s\", which is not "
				       "taken",
				       refused[i]);
	}
	return ERR_OK;
}

static enum err
jwt_read_kid(const struct json *h, struct why *why, struct jwt *t)
{
	const struct json *kid = json_get(h, "kid");
	struct slice text = json_str(kid);

	if (kid == NULL)
		return ERR_OK;
	if (!json_is_string(kid) || text.len == 0 ||
	    text.len >= sizeof(t->kid) || !slice_is_printable(text))
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
		     const struct jwt *t, struct slice message,
		     struct slice signature, struct why *why)
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
		if (jwt_try_key(k, alg, message, signature) == ERR_OK)
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
jwt_read_date(const struct json *claims, const char *name, struct why *why,
	      bool *has_out, int64_t *out)
{
	const struct json *v = json_get(claims, name);

	*has_out = v != NULL;
	if (v == NULL)
		return ERR_OK;
	if (!json_int(v, out) || *out < 0 || *out > JWT_SEC_MAX)
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

	if ((e = jwt_read_date(t->claims, "exp", why, &has_exp, &exp)) ||
	    (e = jwt_read_date(t->claims, "nbf", why, &has_nbf, &nbf)) ||
	    (e = jwt_read_date(t->claims, "iat", why, &has_iat, &iat)))
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
jwt_check_audience(const struct json *aud, const char *const *wanted,
		   struct why *why)
{
	if (json_is_string(aud) && jwt_is_wanted(json_str(aud), wanted))
		return ERR_OK;
	for (size_t i = 0; json_is_array(aud) && i < json_count(aud); i++) {
		const struct json *one = json_at(aud, i);

		if (json_is_string(one) && jwt_is_wanted(json_str(one), wanted))
			return ERR_OK;
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
	const struct json *iss = json_get(t->claims, "iss");
	int64_t leeway = opts->leeway_sec;
	enum err e;

	if (leeway < 0)
		leeway = 0;
	if (leeway > JWT_LEEWAY_MAX_SEC)
		leeway = JWT_LEEWAY_MAX_SEC;
	if ((e = jwt_check_dates(t, leeway, now, why)) != ERR_OK)
		return e;
	if (opts->issuer != NULL &&
	    !(json_is_string(iss) && slice_is_str(json_str(iss), opts->issuer)))
		return why_set(why, ERR_MISMATCH,
			       "JWT: \"iss\" is %s, expected %s",
			       iss == NULL ? "missing" : "another issuer",
			       opts->issuer);
	if (opts->audiences == NULL)
		return ERR_OK;
	return jwt_check_audience(json_get(t->claims, "aud"), opts->audiences,
				  why);
}

enum err
jwt_verify(struct slice token, const struct jwks *keys,
	   const struct jwt_opts *opts, struct wall now, struct why *why,
	   struct jwt *out)
{
	struct jwt t = {.claims = NULL};
	const struct jose_alg *alg = NULL;
	struct json *header = NULL;
	struct jwt_parts p;
	struct buf sig;
	enum err e;

	memset(out, 0, sizeof(*out));
	buf_init(&sig, JWT_MAX);
	if ((e = jwt_split(token, why, &p)) != ERR_OK)
		goto out;
	if ((e = jwt_parse_part(p.header64, "header", why, &header)) != ERR_OK)
		goto out;
	if ((e = jwt_check_header(header, why, &alg)) != ERR_OK)
		goto out;
	if ((e = jwt_read_kid(header, why, &t)) != ERR_OK)
		goto out;
	if (base64url_read(p.signature64, &sig) != ERR_OK) {
		e = why_set(why, ERR_SYNTAX, "JWT: signature is not base64url");
		goto out;
	}
	e = jwt_verify_signature(keys, alg, &t, p.signed_text, buf_get(&sig),
				 why);
	if (e != ERR_OK)
		goto out;
	if ((e = jwt_parse_part(p.claims64, "claims", why, &t.claims)) !=
	    ERR_OK)
		goto out;
	if ((e = jwt_check_claims(&t, opts, now, why)) != ERR_OK)
		goto out;
	*out = t;
	t.claims = NULL;
out:
	buf_fini(&sig);
	json_free(header);
	json_free(t.claims);
	return e;
}

bool
jwt_names_issuer(struct slice token, const char *issuer)
{
	struct json *claims = NULL;
	struct jwt_parts p;
	bool same = false;

	if (jwt_split(token, NULL, &p) == ERR_OK &&
	    jwt_parse_part(p.claims64, "claims", NULL, &claims) == ERR_OK)
		same = slice_is_str(json_str(json_get(claims, "iss")), issuer);
	json_free(claims);
	return same;
}

void
jwt_fini(struct jwt *t)
{
	json_free(TAKE(t->claims));
}
