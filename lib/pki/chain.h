/* chain.h - is this chain good? Trust bundles and path validation.
 *
 * The library validates one candidate path (crypto/path.h); here are the rules
 * that stand on top (chain_rules.c: signature algorithms, key sizes,
 * key identifiers, criticality, name constraints on URIs, serials), the search
 * for candidate paths with its bounds, and the SPIFFE rules. No files, no
 * clock, no network. RFC 5280 6, X509-SVID.md. */
#ifndef PKI_CHAIN_H
#define PKI_CHAIN_H

#include "base/clock.h"
#include "base/slice.h"
#include "base/why.h"
#include "pki/cert.h"
#include "pki/spiffe_id.h"

enum {
	CHAIN_CERTS_MAX = 32,
	CHAIN_SIGNATURES_MAX = 300,
	CHAIN_PATHS_MAX = 64
};

/* -- trust anchors of one trust domain (or of a plain CA file). Immutable,
 * counted; each has a generation number of its own for caches. */
struct pki_bundle;
/* trust_domain: empty: not a SPIFFE bundle (any names). Duplicates are merged.
 * At least one anchor. */
MUST_USE enum err pki_bundle_new(struct slice trust_domain,
				 const struct slice *ders, size_t cnt,
				 struct why *why, struct pki_bundle **out);
MUST_USE enum err pki_bundle_read_pem(struct slice trust_domain,
				      struct slice pem, struct why *why,
				      struct pki_bundle **out);
struct pki_bundle *pki_bundle_ref(struct pki_bundle *b);
void pki_bundle_unref(struct pki_bundle *b);
size_t pki_bundle_count(const struct pki_bundle *b);
struct slice pki_bundle_get(const struct pki_bundle *b, size_t i);
struct slice pki_bundle_get_trust_domain(const struct pki_bundle *b);
uint64_t pki_bundle_get_generation(const struct pki_bundle *b);
/* All anchors as PEM, in order; borrowed while the bundle lives. */
struct slice pki_bundle_get_pem(const struct pki_bundle *b);

/* -- rules. Anchors are exempt but for key size, name constraints and DNS
 * names. With CHAIN_ANY and without spiffe chain[0] may be a CA: the chain of
 * a CA is checked that way.
 *
 * Those that say how well a CA works can be warnings for foreign chains. The
 * first three never, as without them anybody may become somebody: a signature
 * or a key that can be forged, a constraint that is not understood. Nor what is
 * no rule here: signatures, validity, trust anchor, CA flags, purpose, names
 * (doc/decisions/0005). */
enum chain_rule {
	CHAIN_RULE_SIG_ALG = 0,
	CHAIN_RULE_KEY_SIZE, /* and moduli of ROCA's form */
	CHAIN_RULE_NAME_CONSTRAINTS,
	CHAIN_RULE_KEY_IDS,
	CHAIN_RULE_CRITICALITY,
	CHAIN_RULE_LEAF_NOT_CA,
	CHAIN_RULE_DNS_CHARSET,
	CHAIN_RULE_SERIAL,
	CHAIN_RULE_CNT
};
enum {
	/* Bit sets of 1 << chain_rule: what may be a warning. */
	CHAIN_WARN_ALL = (1 << CHAIN_RULE_CNT) - (1 << CHAIN_RULE_KEY_IDS)
};
/* "sig-alg", ...; in the enum's order, NULL-ended: labels of a metric. */
extern const char *const chain_rule_names[CHAIN_RULE_CNT + 1];
/* Adds the named rule to the set of those that only warn. ERR_CONFIG, with the
 * names that there are: no rule, or one that always refuses. */
MUST_USE enum err chain_rule_add_warn(struct slice name, struct why *why,
				      uint32_t *rules);

enum chain_purpose {
	CHAIN_ANY = 0,
	CHAIN_TLS_SERVER, /* the leaf is a server's */
	CHAIN_TLS_CLIENT
};

struct chain_opts {
	enum chain_purpose purpose;
	bool spiffe;         /* leaf must be an X.509-SVID of the bundle's
				trust domain */
	const char *host;    /* DNS name or IP the leaf must have; or NULL */
	uint32_t warn_rules; /* of CHAIN_WARN_ALL: warn only */
};

struct chain_result {
	struct wall earliest_not_after; /* of all certificates of the path,
					   anchor included */
	size_t path_len;                /* certificates used, anchor included */
	size_t anchor;                  /* index in the bundle */
	uint32_t warned_rules;
	struct why warning; /* the first one */
	/* Valid after a failure, too: what was spent of CHAIN_PATHS_MAX and
	 * CHAIN_SIGNATURES_MAX. */
	unsigned paths, signatures;
};

/* at: a certificate is good from its notBefore to the second before its
 * notAfter (the library's reading, a second stricter than RFC 5280 4.1.2.5).
 * chain[0] is the leaf; the others may come in any order and may be too many.
 * on failure why names the certificate (index and name) and the rule. */
MUST_USE enum err chain_verify(const struct pki_bundle *bundle,
			       const struct slice *chain, size_t cnt,
			       const struct chain_opts *opts, struct wall at,
			       struct why *why, struct chain_result *out);

#endif
