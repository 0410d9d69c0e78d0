/* policy.c - see policy.h. */
#include "ca/policy.h"

#include <stdio.h>

#include "crypto/key.h"
#include "pki/spiffe_id.h"

/* How far the clocks that a request meets may differ, and how long it may have
 * waited between the authority's decision and the signer's check. */
static const int64_t policy_slack_ms = 60000;
static const int64_t policy_wait_ms = 600000;

/* -- life ---------------------------------------------------------------- */

/* As Go prints durations, for any number of seconds. */
static void
policy_ttl_format(int64_t sec, char out[DURATION_TEXT_MAX])
{
	int64_t ms;

	if (__builtin_mul_overflow(sec, (int64_t)1000, &ms))
		(void)snprintf(out, DURATION_TEXT_MAX, "%lldh%lldm%llds",
			       (long long)(sec / 3600),
			       (long long)(sec % 3600 / 60),
			       (long long)(sec % 60));
	else
		duration_format(ms, out);
}

enum err
ca_policy_grant_ttl(const struct ca_policy *p, int64_t asked_sec,
		    struct why *why, int64_t *ttl_ms_out)
{
	char asked[DURATION_TEXT_MAX], max[DURATION_TEXT_MAX];
	int64_t ms;

	*ttl_ms_out = 0;
	if (asked_sec == 0) {
		*ttl_ms_out = p->default_ttl_ms;
		return ERR_OK;
	}
	if (asked_sec < 0)
		return why_set(why, ERR_REFUSED,
			       "requested TTL of %lld seconds is negative",
			       (long long)asked_sec);
	/* Scripts rely on Istio's text. */
	if (__builtin_mul_overflow(asked_sec, (int64_t)1000, &ms) ||
	    ms > p->max_ttl_ms) {
		policy_ttl_format(asked_sec, asked);
		duration_format(p->max_ttl_ms, max);
		return why_set(why, ERR_REFUSED,
			       "requested TTL %s is greater than the max "
			       "allowed TTL %s",
			       asked, max);
	}
	*ttl_ms_out = ms;
	return ERR_OK;
}

enum err
ca_policy_grant_times(const struct ca_policy *p, int64_t ttl_ms,
		      struct wall now, struct ca_policy_issuer issuer,
		      struct why *why, struct wall *not_before_out,
		      struct wall *not_after_out)
{
	char end[WALL_TEXT_MAX];
	char is[WALL_TEXT_MAX];
	struct wall from, to;

	*not_before_out = *not_after_out = (struct wall){0};
	if (wall_is_before(now, issuer.not_before)) {
		wall_format(issuer.not_before, end);
		wall_format(now, is);
		return why_set(why, ERR_UNAVAILABLE,
			       "the authority's clock says %s, its CA "
			       "certificate begins at %s: nothing is signed "
			       "until that clock is right",
			       is, end);
	}
	if (!wall_is_before(now, issuer.not_after)) {
		wall_format(issuer.not_after, end);
		return why_set(why, ERR_EXPIRED,
			       "the issuer's chain ended at %s: nothing can be "
			       "signed until there is a new CA certificate",
			       end);
	}
	from.ms = now.ms - p->backdate_ms;
	if (wall_is_before(from, issuer.not_before))
		from = issuer.not_before;
	if (__builtin_add_overflow(now.ms, ttl_ms, &to.ms) ||
	    wall_is_before(issuer.not_after, to))
		to = issuer.not_after;
	/* Certificates hold whole seconds: the record says the same. */
	*not_before_out = wall_of_sec(wall_sec(from));
	*not_after_out = wall_of_sec(wall_sec(to));
	return ERR_OK;
}

/* -- identity ------------------------------------------------------------ */

/* Text from a peer is shown only where nothing can hide in it. */
static struct slice
policy_show(struct slice s)
{
	if (!slice_is_printable(s))
		return SLICE_LIT("(not printable)");
	return slice_sub(s, 0, 120);
}

enum err
ca_policy_check_identity(const struct ca_policy *p, struct slice identity,
			 struct why *why)
{
	struct slice show = policy_show(identity);
	struct spiffe_id id;
	enum err ret = spiffe_id_parse(identity, why, &id);

	if (ret != ERR_OK)
		return why_prefix(why, ERR_REFUSED, "identity %.*s",
				  SLICE_FMT(show));
	if (!slice_is_eq(id.trust_domain, p->trust_domain))
		return why_set(why, ERR_REFUSED,
			       "identity %.*s is not in the trust domain %.*s "
			       "of this authority",
			       SLICE_FMT(show), SLICE_FMT(p->trust_domain));
	if (id.path.len < 2)
		return why_set(why, ERR_REFUSED,
			       "identity %.*s has no path: the trust domain's "
			       "own ID is for no workload",
			       SLICE_FMT(show));
	return ERR_OK;
}

enum err
ca_policy_check_wanted(const struct ca_policy *p, struct slice identity,
		       struct slice wanted, struct why *why)
{
	struct slice is = policy_show(identity);
	struct slice asks = policy_show(wanted);

	if (wanted.len == 0 || slice_is_eq(wanted, identity) ||
	    p->san_mode == CA_SAN_IGNORE)
		return ERR_OK;
	return why_set(why, ERR_REFUSED,
		       "CSR: SAN asks for %.*s, the caller is %.*s: ask for "
		       "that one or for none",
		       SLICE_FMT(asks), SLICE_FMT(is));
}

/* -- the whole leaf ------------------------------------------------------ */

static enum err
policy_check_key(const struct ca_policy *p, struct slice spki, bool *is_rsa_out,
		 struct why *why)
{
	struct pubkey *key = NULL;
	enum err ret = pubkey_parse(spki, why, &key);

	if (ret == ERR_OK) {
		*is_rsa_out = pubkey_kind(key) == KEY_RSA;
		ret = key_policy_check(&p->keys, key, why);
	}
	pubkey_free(key);
	return ret;
}

static enum err
policy_check_times(const struct ca_policy *p, const struct ca_policy_leaf *leaf,
		   struct wall now, struct ca_policy_issuer issuer,
		   struct why *why)
{
	int64_t max = leaf->profile == BUILD_SERVING ? p->serving_ttl_ms
						     : p->max_ttl_ms;
	int64_t back = wall_diff_ms(now, leaf->not_before);
	int64_t left = wall_diff_ms(leaf->not_after, now);
	char text[DURATION_TEXT_MAX];
	char too_long[DURATION_TEXT_MAX + 64];
	const char *rule = NULL;

	if (wall_is_before(issuer.not_after, leaf->not_after))
		rule = "notAfter is past the end of the issuer's chain";
	else if (left <= 0)
		rule = "notAfter is in the past";
	else if (back < -policy_slack_ms)
		rule = "notBefore is in the future";
	else if (back > p->backdate_ms + policy_wait_ms)
		rule = "notBefore lies further back than cert.backdate allows";
	else if (wall_is_before(leaf->not_before, issuer.not_before))
		rule = "notBefore is before the issuer's";
	if (rule == NULL && left > policy_slack_ms &&
	    left - policy_slack_ms > max) {
		duration_format(max, text);
		(void)snprintf(too_long, sizeof(too_long),
			       "notAfter is further away than the max allowed "
			       "TTL %s",
			       text);
		rule = too_long;
	}
	/* They are the authority's, no caller can do anything about them. */
	return rule == NULL
		       ? ERR_OK
		       : why_set(why, ERR_UNAVAILABLE,
				 "times: %s: by the signer's clock and "
				 "configuration, which are not those of the "
				 "authority",
				 rule);
}

enum err
ca_policy_check_leaf(const struct ca_policy *p,
		     const struct ca_policy_leaf *leaf, struct wall now,
		     struct ca_policy_issuer issuer, bool *is_rsa_out,
		     struct why *why)
{
	enum err ret;

	*is_rsa_out = false;
	switch (leaf->profile) {
	case BUILD_WORKLOAD:
		ret = ca_policy_check_identity(p, leaf->identity, why);
		break;
	case BUILD_SERVING:
		ret = leaf->identity.len == 0
			      ? ERR_OK
			      : why_set(why, ERR_REFUSED,
					"the authority's own certificate has "
					"the configured names only");
		break;
	default:
		ret = why_set(why, ERR_REFUSED,
			      "profile %d: only leaves are signed on request, "
			      "never a CA certificate",
			      (int)leaf->profile);
		break;
	}
	if (ret == ERR_OK)
		ret = policy_check_times(p, leaf, now, issuer, why);
	if (ret == ERR_OK)
		ret = policy_check_key(p, leaf->spki, is_rsa_out, why);
	return ret;
}
