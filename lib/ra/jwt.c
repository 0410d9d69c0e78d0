/* jwt.c - bearer tokens of configured issuers, and the memory of those that
 * were verified.
 *
 * Verifying an RS256 token costs a third of an issue. A token that was good is
 * remembered by its SHA-256 until it expires or any key set changes; the
 * memory is a table of sets of four, a full set forgets its oldest. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/hash.h"
#include "pki/spiffe_id.h"
#include "ra/ra_int.h"

enum {
	TOKEN_WAYS = 4,
	TOKEN_SETS = RA_TOKEN_CACHE_MAX / TOKEN_WAYS
};

/* One string holds identity and caller: most are short, the bounds are not. */
struct ra_token {
	uint8_t hash[HASH_SHA256_LEN];
	struct wall found;
	struct wall expires;
	uint64_t used; /* 0: free */
	char *identity;
	char *caller;
};

struct ra_tokens {
	struct ra_token rows[TOKEN_SETS][TOKEN_WAYS];
	uint64_t clock;
	uint64_t hits;
	uint64_t misses;
};

struct ra_tokens *
ra_tokens_new(void)
{
	return MEM_NEW(struct ra_tokens);
}

static void
ra_token_clear(struct ra_token *t)
{
	mem_free(t->identity);
	mem_free(t->caller);
	*t = (struct ra_token){0};
}

void
ra_tokens_forget(struct ra_tokens *t)
{
	for (size_t s = 0; s < TOKEN_SETS; s++) {
		for (size_t w = 0; w < TOKEN_WAYS; w++)
			ra_token_clear(&t->rows[s][w]);
	}
}

void
ra_tokens_free(struct ra_tokens *t)
{
	if (t == NULL)
		return;
	ra_tokens_forget(t);
	mem_free(t);
}

void
ra_tokens_get_counts(const struct ra_tokens *t, uint64_t *hits_out,
		     uint64_t *misses_out)
{
	*hits_out = t->hits;
	*misses_out = t->misses;
}

static struct ra_token *
ra_tokens_get_set(struct ra_tokens *t, const uint8_t *hash)
{
	return t->rows[(hash[0] | hash[1] << 8) % TOKEN_SETS];
}

static bool
ra_tokens_find(struct ra_tokens *t, const uint8_t *hash, struct wall now,
	       struct ra_result *out)
{
	struct ra_token *set = ra_tokens_get_set(t, hash);

	for (size_t w = 0; w < TOKEN_WAYS; w++) {
		struct ra_token *row = &set[w];

		if (row->used == 0 ||
		    memcmp(row->hash, hash, sizeof(row->hash)) != 0)
			continue;
		/* Or the clock went back: perhaps before the token's nbf. */
		if (!wall_is_before(now, row->expires) ||
		    wall_is_before(now, row->found)) {
			ra_token_clear(row);
			return false;
		}
		row->used = ++t->clock;
		out->identity_len = strlen(row->identity);
		memcpy(out->identity, row->identity, out->identity_len + 1);
		(void)snprintf(out->caller, sizeof(out->caller), "%s",
			       row->caller);
		return true;
	}
	return false;
}

static void
ra_tokens_add(struct ra_tokens *t, const uint8_t *hash, struct wall found,
	      struct wall expires, const struct ra_result *r)
{
	struct ra_token *set = ra_tokens_get_set(t, hash);
	struct ra_token *row = &set[0];

	for (size_t w = 1; w < TOKEN_WAYS; w++) {
		if (set[w].used < row->used)
			row = &set[w];
	}
	ra_token_clear(row);
	memcpy(row->hash, hash, sizeof(row->hash));
	row->found = found;
	row->expires = expires;
	row->used = ++t->clock;
	row->identity = mem_dup_str(r->identity);
	row->caller = mem_dup_str(r->caller);
}

static struct slice
ra_jwt_claim(const struct jwt *jwt, const char *path)
{
	return json_flat_str(&jwt->claims,
			     json_flat_get_path(&jwt->claims, path));
}

/* The subject system:serviceaccount:NS:SA says who it is, as Istio has it.
 * Projected tokens say it again in a claim of their own: an issuer that lets
 * somebody choose one of the two must not give away the other. */
static enum err
ra_jwt_k8s_names(const struct jwt *jwt, struct slice *ns, struct slice *sa,
		 struct why *why)
{
	struct slice sub = ra_jwt_claim(jwt, "sub");
	struct slice claim_ns = ra_jwt_claim(jwt, "'kubernetes.io'.namespace");
	struct slice claim_sa =
		ra_jwt_claim(jwt, "'kubernetes.io'.serviceaccount.name");
	struct slice part;

	if (!slice_has_prefix(sub, "system:serviceaccount:"))
		return why_set(
			why, ERR_MISMATCH,
			"the token names no service account: sub must be "
			"system:serviceaccount:NAMESPACE:NAME");
	(void)slice_split(&sub, ':', &part);
	(void)slice_split(&sub, ':', &part);
	(void)slice_split(&sub, ':', ns);
	*sa = sub;
	if ((claim_ns.len > 0 && !slice_is_eq(claim_ns, *ns)) ||
	    (claim_sa.len > 0 && !slice_is_eq(claim_sa, *sa)))
		return why_set(why, ERR_MISMATCH,
			       "the token's sub and its kubernetes.io claim "
			       "name different service accounts");
	return ERR_OK;
}

static enum err
ra_jwt_identity(struct ra *ra, const struct ra_issuer *is,
		const struct jwt *jwt, struct why *why, struct ra_result *out)
{
	struct buf id;
	struct slice ns;
	struct slice sa;
	enum err ret;

	if (is->conf.from_claim) {
		struct slice text = ra_jwt_claim(jwt, is->conf.claim);

		if (text.len == 0)
			return why_set(why, ERR_MISMATCH,
				       "the token has no string claim %s",
				       is->conf.claim);
		return ra_take_identity(ra, text, why, out);
	}
	buf_init(&id, RA_IDENTITY_MAX);
	ret = ra_jwt_k8s_names(jwt, &ns, &sa, why);
	if (ret == ERR_OK)
		ret = spiffe_id_build_k8s(ra->trust_domain, ns, sa, why, &id);
	if (ret == ERR_OK)
		ret = ra_take_identity(ra, buf_get(&id), why, out);
	buf_fini(&id);
	return ret;
}

static void
ra_jwt_describe(const struct ra_issuer *is, const struct jwt *jwt,
		struct ra_result *out)
{
	struct slice sub = ra_jwt_claim(jwt, "sub");
	struct slice pod = ra_jwt_claim(jwt, "'kubernetes.io'.pod.name");

	if (!slice_is_printable(sub))
		sub = SLICE_LIT("(unprintable)");
	if (!slice_is_printable(pod))
		pod = SLICE_NONE;
	(void)snprintf(out->caller, sizeof(out->caller),
		       "jwt iss=%.150s sub=%.*s%s%.*s", is->conf.issuer,
		       (int)(sub.len > 200 ? 200 : sub.len),
		       (const char *)sub.p, pod.len > 0 ? " pod=" : "",
		       (int)(pod.len > 100 ? 100 : pod.len),
		       (const char *)pod.p);
}

static enum err
ra_jwt_try(struct ra *ra, size_t index, const struct ra_input *in,
	   struct jwt *jwt, struct why *why, struct ra_result *out)
{
	struct ra_issuer *is = &ra->issuers[index];
	const struct jwt_opts opts = {
		.issuer = is->conf.issuer,
		.audiences = is->conf.audiences,
		.leeway_sec = is->conf.leeway_sec,
	};
	enum err ret;

	if (is->keys == NULL) {
		out->want_jwks = (int)index;
		return why_set(why, ERR_UNAVAILABLE,
			       "the keys of issuer %s are not there yet",
			       is->conf.issuer);
	}
	ret = jwt_verify(jwt, is->keys, &opts, in->now, why);
	if (ret == ERR_NOT_FOUND)
		out->want_jwks = (int)index;
	if (ret != ERR_OK)
		return ret == ERR_NOT_FOUND ? ERR_UNTRUSTED : ret;
	ret = ra_jwt_identity(ra, is, jwt, why, out);
	if (ret == ERR_OK)
		ra_jwt_describe(is, jwt, out);
	return ret;
}

static enum err
ra_jwt_verify(struct ra *ra, const struct ra_input *in, struct slice token,
	      struct why *why, struct ra_result *out, struct wall *expires_out)
{
	SCRATCH struct jwt jwt;
	enum err ret = jwt_read(token, why, &jwt);

	if (ret != ERR_OK)
		return ret;
	ret = why_set(why, ERR_UNTRUSTED,
		      "the token names none of the %zu configured issuers",
		      ra->issuer_cnt);
	/* Only the keys of the issuer that it names are asked: those of others
	 * would neither fit nor, when fetched again, ever come to fit. */
	for (size_t i = 0; i < ra->issuer_cnt && ret != ERR_OK; i++) {
		if (jwt_names_issuer(&jwt, ra->issuers[i].conf.issuer))
			ret = ra_jwt_try(ra, i, in, &jwt, why, out);
	}
	if (ret == ERR_OK)
		*expires_out = jwt.expires;
	jwt_fini(&jwt);
	return ret;
}

enum err
ra_jwt(struct ra *ra, const struct ra_input *in, struct why *why,
       struct ra_result *out)
{
	struct slice token = ra_bearer(in);
	uint8_t hash[HASH_SHA256_LEN];
	struct wall expires = {0};
	enum err ret;

	if (in->authorization_cnt > 1)
		return why_set(why, ERR_SYNTAX,
			       "%zu authorization headers: which one counts?",
			       in->authorization_cnt);
	if (in->authorization_cnt == 1 && token.len == 0)
		return why_set(why, ERR_SYNTAX,
			       "the authorization header does not begin with "
			       "\"Bearer \"");
	if (token.len == 0 || slice_has_prefix(token, RA_JOIN_PREFIX))
		return ERR_NOT_FOUND;
	out->kind = RA_JWT;
	hash_sha256(token, hash);
	if (ra_tokens_find(ra->tokens, hash, in->now, out)) {
		ra->tokens->hits++;
		return ERR_OK;
	}
	ra->tokens->misses++;
	ret = ra_jwt_verify(ra, in, token, why, out, &expires);
	if (ret == ERR_OK)
		ra_tokens_add(ra->tokens, hash, in->now, expires, out);
	return ret;
}
