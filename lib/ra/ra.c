/* ra.c - see ra.h: the order of authenticators, and what they share. */
#include "ra/ra.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "pki/spiffe_id.h"
#include "ra/ra_int.h"

const char *const ra_kind_names[RA_KIND_CNT + 1] = {
	[RA_NONE] = "none",
	[RA_CLIENT_CERT] = "client_cert",
	[RA_JWT] = "jwt",
	[RA_JOIN_TOKEN] = "join_token",
};

static ra_authenticator *const ra_authenticators[RA_KIND_CNT] = {
	[RA_CLIENT_CERT] = ra_client_cert,
	[RA_JWT] = ra_jwt,
	[RA_JOIN_TOKEN] = ra_join_token,
};

enum ra_kind
ra_find_kind(const char *name)
{
	for (unsigned k = RA_NONE + 1; k < RA_KIND_CNT; k++) {
		if (strcmp(ra_kind_names[k], name) == 0)
			return (enum ra_kind)k;
	}
	return RA_NONE;
}

enum err
ra_new(const struct ra_opts *opts, struct why *why, struct ra **out)
{
	struct ra *ra = MEM_NEW(struct ra);
	enum err ret = ERR_CONFIG;

	*out = NULL;
	ra->trust_domain = opts->trust_domain;
	for (const char *const *n = opts->order; *n != NULL; n++) {
		enum ra_kind k = ra_find_kind(*n);

		if (k == RA_NONE || ra->kind_cnt == COUNT_OF(ra->kinds)) {
			why_set(why, ret, "unknown authenticator %s", *n);
			goto out;
		}
		ra->kinds[ra->kind_cnt++] = k;
	}
	if (opts->issuer_cnt > RA_ISSUERS_MAX) {
		why_set(why, ret, "at most %d token issuers", RA_ISSUERS_MAX);
		goto out;
	}
	ra->issuers = MEM_NEW_ARRAY(struct ra_issuer, opts->issuer_cnt);
	ra->issuer_cnt = opts->issuer_cnt;
	for (size_t i = 0; i < opts->issuer_cnt; i++)
		ra->issuers[i].conf = opts->issuers[i];
	ra->tokens = ra_tokens_new();
	*out = TAKE(ra);
	ret = ERR_OK;
out:
	ra_free(ra);
	return ret;
}

void
ra_free(struct ra *ra)
{
	if (ra == NULL)
		return;
	for (size_t i = 0; i < ra->issuer_cnt; i++)
		jwks_unref(ra->issuers[i].keys);
	mem_free(ra->issuers);
	ra_tokens_free(ra->tokens);
	mem_free(ra);
}

void
ra_set_jwks(struct ra *ra, size_t issuer, struct jwks *keys)
{
	must(issuer < ra->issuer_cnt);
	jwks_unref(ra->issuers[issuer].keys);
	ra->issuers[issuer].keys = jwks_ref(keys);
	/* A key that was withdrawn must not live on in the cache. */
	ra_tokens_forget(ra->tokens);
}

bool
ra_has_jwks(const struct ra *ra, size_t issuer)
{
	return issuer < ra->issuer_cnt && ra->issuers[issuer].keys != NULL;
}

void
ra_get_token_counts(const struct ra *ra, uint64_t *hits_out,
		    uint64_t *misses_out)
{
	ra_tokens_get_counts(ra->tokens, hits_out, misses_out);
}

struct slice
ra_bearer(const struct ra_input *in)
{
	static const char prefix[] = "Bearer ";

	/* With two headers nobody can say which one was meant. */
	if (in->authorization_cnt != 1 ||
	    !slice_has_prefix(in->authorization, prefix))
		return SLICE_NONE;
	return slice_sub(in->authorization, sizeof(prefix) - 1, SIZE_MAX);
}

enum err
ra_take_identity(const struct ra *ra, struct slice id, struct why *why,
		 struct ra_result *out)
{
	struct spiffe_id parsed;
	enum err ret;

	if ((ret = spiffe_id_parse(id, why, &parsed)) != ERR_OK)
		return ret;
	if (parsed.path.len == 0)
		return why_set(why, ERR_DENIED,
			       "identity %.*s has no path: it names the trust "
			       "domain itself",
			       SLICE_FMT(id));
	if (!slice_is_eq(parsed.trust_domain, ra->trust_domain))
		return why_set(why, ERR_DENIED,
			       "identity %.*s is of another trust domain than "
			       "%.*s",
			       SLICE_FMT(id), SLICE_FMT(ra->trust_domain));
	memcpy(out->identity, id.p, id.len);
	out->identity[id.len] = '\0';
	out->identity_len = id.len;
	return ERR_OK;
}

static void
ra_note_failure(struct why *all, const char *name, const struct why *one,
		enum err e)
{
	char joined[WHY_MAX * 2];

	(void)snprintf(joined, sizeof(joined), "%s%s%s: %s", all->text,
		       all->text[0] == '\0' ? "" : "; ", name,
		       why_text(one, e));
	(void)why_set(all, e, "%s", joined);
}

enum err
ra_authenticate(struct ra *ra, const struct ra_input *in, struct why *why,
		struct ra_result *out)
{
	struct why all = {0};

	out->want_jwks = -1;
	for (size_t i = 0; i < ra->kind_cnt; i++) {
		const enum ra_kind kind = ra->kinds[i];
		struct why one = {0};
		enum err ret;

		out->kind = RA_NONE;
		out->identity_len = 0;
		out->identity[0] = out->caller[0] = '\0';
		out->has_token_hash = false;
		ret = ra_authenticators[kind](ra, in, &one, out);
		if (ret == ERR_OK)
			return ERR_OK;
		if (ret != ERR_NOT_FOUND)
			ra_note_failure(&all, ra_kind_names[kind], &one, ret);
	}
	out->kind = RA_NONE;
	if (all.text[0] == '\0')
		return why_set(
			why, ERR_UNAUTHENTICATED,
			"no client certificate, no bearer token: nothing "
			"says who the caller is");
	return why_set(why, ERR_UNAUTHENTICATED, "%s", all.text);
}
