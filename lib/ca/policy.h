/* policy.h - what this authority certifies. Authority and signer both hold a
 * copy and both check: a role before the signer may have been taken over.
 * Pure: no clock, no files. */
#ifndef CA_POLICY_H
#define CA_POLICY_H

#include "base/clock.h"
#include "base/slice.h"
#include "base/why.h"
#include "pki/build.h"
#include "pki/key_policy.h"

enum ca_policy_san {
	CA_SAN_REFUSE =
		0, /* a CSR must ask for the caller's identity, or none */
	CA_SAN_IGNORE
};

/* Everything is borrowed from whoever made it. */
struct ca_policy {
	struct slice trust_domain;
	int64_t default_ttl_ms;
	int64_t max_ttl_ms;
	int64_t backdate_ms;
	int64_t serving_ttl_ms;
	const char *const *serving_names;
	size_t serving_name_cnt;
	struct key_policy keys;
	enum ca_policy_san san_mode;
};

/* The life to grant: 0 asks for the default. ERR_REFUSED when negative, above
 * the maximum (Istio's text) or overflowing. */
MUST_USE enum err ca_policy_grant_ttl(const struct ca_policy *p,
				      int64_t asked_sec, struct why *why,
				      int64_t *ttl_ms_out);

/* From when on the issuer's certificate is valid, and until when its chain. */
struct ca_policy_issuer {
	struct wall not_before;
	struct wall not_after;
};

/* Times of a certificate asked for at `now`: notBefore is backdated, both are
 * cut to those of the issuer. ERR_EXPIRED when the issuer's chain ends before
 * now, ERR_UNAVAILABLE when it begins later: then it is the clock. */
MUST_USE enum err ca_policy_grant_times(const struct ca_policy *p,
					int64_t ttl_ms, struct wall now,
					struct ca_policy_issuer issuer,
					struct why *why,
					struct wall *not_before_out,
					struct wall *not_after_out);

/* A workload's identity: a SPIFFE ID with a path, in our trust domain. */
MUST_USE enum err ca_policy_check_identity(const struct ca_policy *p,
					   struct slice identity,
					   struct why *why);

/* What the CSR asks for against what the caller is; wanted may be empty. */
MUST_USE enum err ca_policy_check_wanted(const struct ca_policy *p,
					 struct slice identity,
					 struct slice wanted, struct why *why);

/* All that a signer checks again before it signs: profile, identity, key,
 * times. */
struct ca_policy_leaf {
	enum build_profile profile;
	struct slice identity;
	struct slice spki;
	struct wall not_before;
	struct wall not_after;
};
MUST_USE enum err ca_policy_check_leaf(const struct ca_policy *p,
				       const struct ca_policy_leaf *leaf,
				       struct wall now,
				       struct ca_policy_issuer issuer,
				       bool *is_rsa_out, struct why *why);

#endif
