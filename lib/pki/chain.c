/* chain.c - the search for a good path, see chain.h.
 *
 * The library follows one path and does not come back where two CAs share a
 * name. So the candidates are found here, depth first by names and key
 * identifiers, and each is given to the library alone, the shortest first.
 * Peers choose the certificates, so work is bounded: each link looked at and
 * each certificate that the library looks at counts against one budget. */
#include "pki/chain.h"

#include "pki/chain_int.h"
#include "pki/pki_int.h"

struct search {
	const struct pki_bundle *bundle;
	const struct chain_opts *opts;
	struct wall at;
	const struct slice *ders;
	struct cert certs[CHAIN_CERTS_MAX];
	size_t cnt;
	size_t path[CHAIN_CERTS_MAX]; /* indexes, leaf first */
	size_t path_len;
	unsigned budget; /* signatures that may still be looked at */
	unsigned paths;
	bool is_spent;
	enum err err; /* of the failure to report */
	bool is_rule; /* it came from our rules: says more than "no path" */
	size_t tip;   /* where the longest path without issuer ended */
	size_t tip_len;
	struct why why;
	struct chain_result *result;
};

static bool
may_issue(const struct cert *issuer, const struct cert *child)
{
	if (!name_is_same(child->issuer, issuer->subject))
		return false;
	/* The library holds key identifiers to be part of the name. */
	return child->aki.len == 0 || !issuer->has_ski ||
	       slice_is_eq(child->aki, issuer->ski);
}

static bool
has_anchor_for(const struct search *s, const struct cert *child)
{
	for (size_t i = 0; i < s->bundle->list.cnt; i++) {
		if (may_issue(&s->bundle->certs[i], child) ||
		    slice_is_eq(s->bundle->ders[i], child->der))
			return true;
	}
	return false;
}

static void
note_failure(struct search *s, enum err e, const struct why *why, bool is_rule)
{
	if (s->err != ERR_OK && (s->is_rule || !is_rule))
		return;
	s->err = e;
	s->why = *why;
	s->is_rule = is_rule;
}

/* -- one candidate */

static void
make_path(const struct search *s, size_t used, size_t anchor,
	  struct chain_path *p)
{
	const struct cert *top = &s->bundle->certs[anchor];

	*p = (struct chain_path){.opts = s->opts};
	p->trust_domain = pki_bundle_get_trust_domain(s->bundle);
	for (; p->cnt < used && p->cnt < s->path_len; p->cnt++) {
		p->index[p->cnt] = s->path[p->cnt];
		p->certs[p->cnt] = &s->certs[s->path[p->cnt]];
	}
	if (p->cnt == 1 && slice_is_eq(p->certs[0]->der, top->der)) {
		p->is_pinned = true;
		return;
	}
	p->index[p->cnt] = anchor;
	p->certs[p->cnt++] = top;
}

static void
fill_result(const struct chain_path *p, size_t anchor, struct chain_result *r)
{
	r->path_len = p->cnt;
	r->anchor = anchor;
	r->earliest_not_after = p->certs[0]->not_after;
	for (size_t i = 1; i < p->cnt; i++) {
		if (wall_is_before(p->certs[i]->not_after,
				   r->earliest_not_after))
			r->earliest_not_after = p->certs[i]->not_after;
	}
}

/* The path as it stands, to an anchor. */
static bool
try_path(struct search *s)
{
	struct slice ders[CHAIN_CERTS_MAX];
	struct chain_result result = {0};
	struct chain_path p;
	size_t used = 0, anchor = 0;
	struct why why = {0};
	enum err ret;

	if (s->paths == CHAIN_PATHS_MAX || s->budget < s->path_len) {
		s->is_spent = true;
		return false;
	}
	s->paths++;
	for (size_t i = 0; i < s->path_len; i++)
		ders[i] = s->ders[s->path[i]];
	ret = path_verify(s->bundle->anchors, ders, s->path_len, s->at,
			  &s->budget, &why, &used, &anchor);
	if (ret != ERR_OK) {
		note_failure(s, ret, &why, false);
		return false;
	}
	make_path(s, used, anchor, &p);
	if ((ret = chain_rules_check(&p, &why, &result)) != ERR_OK) {
		note_failure(s, ret, &why, true);
		return false;
	}
	fill_result(&p, anchor, &result);
	*s->result = result;
	return true;
}

/* -- search */

/* The same certificate, or the same CA by another certificate: a path through
 * it twice is a loop. */
static bool
is_in_path(const struct search *s, size_t candidate)
{
	const struct cert *c = &s->certs[candidate];

	for (size_t i = 0; i < s->path_len; i++) {
		const struct cert *have = &s->certs[s->path[i]];

		if (s->path[i] == candidate ||
		    (slice_is_eq(have->spki, c->spki) &&
		     slice_is_eq(have->subject, c->subject)))
			return true;
	}
	return false;
}

static bool
find_from(struct search *s)
{
	size_t tip = s->path[s->path_len - 1];
	bool is_dead_end = true;

	if (has_anchor_for(s, &s->certs[tip])) {
		is_dead_end = false;
		if (try_path(s))
			return true;
	}
	for (size_t i = 1; i < s->cnt && s->path_len < CHAIN_CERTS_MAX; i++) {
		if (s->is_spent)
			return false;
		if (!may_issue(&s->certs[i], &s->certs[tip]) ||
		    is_in_path(s, i))
			continue;
		is_dead_end = false;
		if (s->budget == 0) {
			s->is_spent = true;
			return false;
		}
		s->budget--;
		s->path[s->path_len++] = i;
		/* At most CHAIN_CERTS_MAX deep. */
		if (find_from(s))
			return true;
		s->path_len--;
	}
	if (is_dead_end && s->path_len > s->tip_len) {
		s->tip_len = s->path_len;
		s->tip = tip;
	}
	return false;
}

static enum err
report(const struct search *s, struct why *why)
{
	char subject[CERT_TEXT_MAX], issuer[CERT_TEXT_MAX];
	const struct cert *c = &s->certs[s->tip];

	if (s->is_spent && !s->is_rule)
		return why_set(why, ERR_LIMIT,
			       "chain: no good path after %u paths and %u "
			       "links; certificates of the same name lead "
			       "nowhere",
			       s->paths, CHAIN_SIGNATURES_MAX - s->budget);
	if (s->err != ERR_OK)
		return why_set(why, s->err, "%s", s->why.text);
	cert_name_format(c->subject, subject);
	cert_name_format(c->issuer, issuer);
	return why_set(why, ERR_UNTRUSTED,
		       "certificate %zu (%.100s): its issuer (%.100s) is "
		       "neither in the chain nor among the %zu trust anchors",
		       s->tip, subject[0] != '\0' ? subject : "no subject",
		       issuer, s->bundle->list.cnt);
}

enum err
chain_verify(const struct pki_bundle *bundle, const struct slice *chain,
	     size_t cnt, const struct chain_opts *opts, struct wall at,
	     struct why *why, struct chain_result *out)
{
	struct search s = {
		.bundle = bundle,
		.opts = opts,
		.at = at,
		.ders = chain,
		.cnt = cnt,
		.path_len = 1,
		.budget = CHAIN_SIGNATURES_MAX,
		.result = out,
	};
	enum err ret;

	*out = (struct chain_result){0};
	if (cnt == 0)
		return why_set(why, ERR_SYNTAX, "chain: no certificate");
	if (cnt > CHAIN_CERTS_MAX)
		return why_set(why, ERR_LIMIT,
			       "chain: %zu certificates, at most %d are taken",
			       cnt, CHAIN_CERTS_MAX);
	for (size_t i = 0; i < cnt; i++) {
		ret = cert_parse(chain[i], why, &s.certs[i]);
		if (ret != ERR_OK)
			return why_prefix(why, ret, "certificate %zu", i);
	}
	ret = find_from(&s) ? ERR_OK : report(&s, why);
	out->paths = s.paths;
	out->signatures = CHAIN_SIGNATURES_MAX - s.budget;
	return ret;
}
