/* answer.c - see answer.h. */
#include "agent/answer.h"

#include "base/mem.h"
#include "grpc/pbscan.h"

enum {
	CHAIN_MAX = 16
};

enum err
answer_split(struct slice message, struct slice entries[ANSWER_ENTRIES_MAX],
	     size_t *cnt_out, struct why *why)
{
	struct pbscan_field f;
	size_t cnt = 0;
	enum err ret;

	*cnt_out = 0;
	while ((ret = pbscan_next(&message, &f)) == ERR_OK) {
		if (f.number != 1 || f.wire != PBSCAN_BYTES)
			continue;
		if (cnt == ANSWER_ENTRIES_MAX)
			return why_set(why, ERR_LIMIT,
				       "the answer has more than %d "
				       "certificates",
				       ANSWER_ENTRIES_MAX);
		entries[cnt++] = f.bytes;
	}
	if (ret != ERR_NOT_FOUND)
		return why_set(why, ret,
			       "the answer is no IstioCertificateResponse");
	if (cnt < 2)
		return why_set(why, ERR_PROTOCOL,
			       "invalid empty CertChain: the answer has %zu "
			       "entries, a leaf and the roots are wanted",
			       cnt);
	*cnt_out = cnt;
	return ERR_OK;
}

void
answer_fini(struct answer *a)
{
	cert_list_free(&a->chain);
	pki_bundle_unref(a->roots);
	*a = (struct answer){0};
}

static bool
is_anchor(const struct pki_bundle *roots, struct slice der)
{
	for (size_t i = 0; i < pki_bundle_count(roots); i++) {
		if (slice_is_eq(pki_bundle_get(roots, i), der))
			return true;
	}
	return false;
}

/* Each entry but the last; roots among them (Istio's sample chains have one)
 * are left out: peers have them. */
static enum err
answer_read_chain(const struct slice *entries, size_t cnt, struct why *why,
		  struct answer *a)
{
	for (size_t i = 0; i < cnt; i++) {
		struct cert_list part = {0};
		enum err ret;

		ret = cert_list_read_pem(entries[i], CHAIN_MAX, why, &part);
		if (ret != ERR_OK)
			return why_prefix(why, ret, "entry %zu of the chain",
					  i);
		for (size_t k = 0; k < part.cnt && ret == ERR_OK; k++) {
			struct slice der = cert_list_get(&part, k);

			if (a->chain.cnt == 0 || !is_anchor(a->roots, der))
				ret = cert_list_add(&a->chain, der);
		}
		cert_list_free(&part);
		if (ret != ERR_OK)
			return why_set(why, ret, "entry %zu of the chain: %s",
				       i, err_text(ret));
		if (a->chain.cnt > CHAIN_MAX)
			return why_set(why, ERR_LIMIT,
				       "the chain has more than %d "
				       "certificates",
				       CHAIN_MAX);
	}
	return ERR_OK;
}

static enum err
answer_check_leaf(const struct answer_wanted *wanted, const struct cert *leaf,
		  struct why *why)
{
	struct spiffe_id id;
	char when[WALL_TEXT_MAX], now[WALL_TEXT_MAX];
	enum err ret;

	if ((ret = svid_check_leaf(leaf, why, &id)) != ERR_OK)
		return ret;
	if (!slice_is_eq(id.text, wanted->identity))
		return why_set(why, ERR_MISMATCH,
			       "the certificate is for %.*s, we are %.*s: the "
			       "CA takes our token or certificate for "
			       "somebody else's, or our identity is "
			       "configured wrongly",
			       SLICE_FMT(id.text), SLICE_FMT(wanted->identity));
	if (!slice_is_eq(leaf->spki, wanted->spki))
		return why_set(why, ERR_MISMATCH,
			       "the certificate is for another key than the "
			       "one that was sent");
	if (wall_is_before(wanted->now, leaf->not_after))
		return ERR_OK;
	wall_format(leaf->not_after, when);
	wall_format(wanted->now, now);
	return why_set(why, ERR_EXPIRED,
		       "the certificate ended at %s, it is %s here: compare "
		       "the clocks of this host and of the CA",
		       when, now);
}

/* The time to check at: now, or the latest notBefore where our clock is late.
 */
static enum err
answer_find_time(const struct answer *a, struct wall *at, struct why *why)
{
	for (size_t i = 0; i < a->chain.cnt; i++) {
		struct cert c;
		enum err ret;

		ret = cert_parse(cert_list_get(&a->chain, i), why, &c);
		if (ret != ERR_OK)
			return ret;
		if (wall_is_before(*at, c.not_before))
			*at = c.not_before;
	}
	for (size_t i = 0; i < pki_bundle_count(a->roots); i++) {
		struct cert c;

		if (cert_parse(pki_bundle_get(a->roots, i), NULL, &c) != ERR_OK)
			continue;
		/* A root of tomorrow says nothing about the clock. */
		if (wall_is_before(*at, c.not_before) &&
		    pki_bundle_count(a->roots) == 1)
			*at = c.not_before;
	}
	return ERR_OK;
}

static enum err
answer_verify(const struct answer_wanted *wanted, struct why *why,
	      struct answer *a)
{
	const struct chain_opts opts = {
		.purpose = CHAIN_ANY,
		.spiffe = true,
		.warn_rules = wanted->warn_rules,
	};
	struct chain_result result = {0};
	struct slice ders[CHAIN_MAX];
	struct wall at = wanted->now;
	enum err ret;

	if ((ret = answer_find_time(a, &at, why)) != ERR_OK)
		return ret;
	for (size_t i = 0; i < a->chain.cnt; i++)
		ders[i] = cert_list_get(&a->chain, i);
	ret = chain_verify(a->roots, ders, a->chain.cnt, &opts, at, why,
			   &result);
	if (ret != ERR_OK)
		return why_prefix(why, ret,
				  "the chain does not verify to the roots "
				  "that came with it");
	a->not_after = result.earliest_not_after;
	a->warned_rules = result.warned_rules;
	if (result.warned_rules != 0)
		a->warning = result.warning;
	return ERR_OK;
}

/* Proxies trust whatever stands here. A leaf would be trusted for itself
 * alone, and nobody else any more. */
static enum err
answer_check_roots(const struct pki_bundle *roots, struct why *why)
{
	for (size_t i = 0; i < pki_bundle_count(roots); i++) {
		struct cert c;
		enum err ret = cert_parse(pki_bundle_get(roots, i), why, &c);

		if (ret == ERR_OK && !c.is_ca)
			ret = why_set(why, ERR_UNTRUSTED,
				      "certificate %zu of them is not a CA's",
				      i + 1);
		if (ret != ERR_OK)
			return ret;
	}
	return ERR_OK;
}

enum err
answer_check(const struct slice *entries, size_t cnt,
	     const struct answer_wanted *wanted, struct why *why,
	     struct answer *out)
{
	struct answer a = {0};
	struct cert leaf;
	enum err ret;

	*out = (struct answer){0};
	if (cnt < 2)
		return why_set(why, ERR_PROTOCOL,
			       "the answer has %zu entries; a leaf and the "
			       "roots are wanted",
			       cnt);
	ret = pki_bundle_read_pem(wanted->trust_domain, entries[cnt - 1], why,
				  &a.roots);
	if (ret == ERR_OK)
		ret = answer_check_roots(a.roots, why);
	if (ret != ERR_OK) {
		why_prefix(why, ret, "the roots (last entry)");
		goto out;
	}
	if ((ret = answer_read_chain(entries, cnt - 1, why, &a)) != ERR_OK)
		goto out;
	ret = cert_parse(cert_list_get(&a.chain, 0), why, &leaf);
	if (ret != ERR_OK)
		goto out;
	if ((ret = answer_check_leaf(wanted, &leaf, why)) != ERR_OK)
		goto out;
	a.not_before = leaf.not_before;
	if ((ret = answer_verify(wanted, why, &a)) != ERR_OK)
		goto out;
	*out = a;
	a = (struct answer){0};
out:
	answer_fini(&a);
	return ret;
}
