/* jwt.h - verifying JSON Web Tokens. RFC 7515, 7517, 7518, 7519, 8725.
 *
 * RS256/384/512, PS256, ES256/384, EdDSA. `none`, HMAC, embedded keys (jwk,
 * x5c), key URLs (jku, x5u) and unknown `crit` are refused before anything
 * else. Knows no clock, no network: the key set is a parsed JWKS. */
#ifndef JOSE_JWT_H
#define JOSE_JWT_H

#include "base/clock.h"
#include "base/json_flat.h"
#include "base/slice.h"
#include "base/why.h"

enum {
	JWT_MAX = 16384,
	JWKS_MAX = 1 << 20,
	JWKS_KEYS_MAX = 256
};

/* -- key sets: immutable, counted */
struct jwks;
/* Keys that we cannot use (unknown kty, use "enc", symmetric) are passed over;
 * none left is ERR_NOT_FOUND. */
MUST_USE enum err jwks_parse(struct slice json, struct why *why,
			     struct jwks **out);
struct jwks *jwks_ref(struct jwks *k);
void jwks_unref(struct jwks *k);
size_t jwks_count(const struct jwks *k);

/* -- tokens */
struct jwt_opts {
	const char *issuer;           /* must equal iss; NULL: not checked */
	const char *const *audiences; /* NULL-ended; one of them must be in aud.
					 NULL: not checked */
	int64_t leeway_sec;           /* for exp, nbf, iat; 60 at most */
};

/* One token, read in place: large, and costly to clear. Owners clear nothing;
 * jwt_read fills it. */
struct jwt {
	struct slice header64, claims64, signature64;
	struct slice signed_text; /* header.claims */
	struct buf header_text, claims_text;
	struct json_flat header, claims;
	struct wall expires; /* exp; required. After jwt_verify */
	char kid[256];       /* likewise */
};

/* Its form only: three parts, of them two JSON objects. Whatever it says is
 * not verified. ERR_SYNTAX, ERR_LIMIT. The token is borrowed while out lives;
 * jwt_fini after success. The why never holds token text. */
MUST_USE enum err jwt_read(struct slice token, struct why *why,
			   struct jwt *out);
void jwt_fini(struct jwt *t);
/* Whether the token says that it is of this issuer: not verified, good for
 * choosing the keys to verify it with and for nothing else. */
bool jwt_names_issuer(const struct jwt *t, const char *issuer);

/* ERR_SYNTAX; ERR_UNSUPPORTED (algorithm); ERR_NOT_FOUND (no such key: worth
 * a refetch); ERR_SIGNATURE; ERR_EXPIRED; ERR_NOT_YET_VALID; ERR_MISMATCH
 * (issuer, audience). Without kid every fitting key of the set is tried, at
 * most 8. The why never holds token text. */
MUST_USE enum err jwt_verify(struct jwt *t, const struct jwks *keys,
			     const struct jwt_opts *opts, struct wall now,
			     struct why *why);

#endif
