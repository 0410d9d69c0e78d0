/* chain_int.h - shared by bundle.c, chain.c, chain_rules.c and
 * name_constraints.c; not for other modules. */
#ifndef PKI_CHAIN_INT_H
#define PKI_CHAIN_INT_H

#include "crypto/path.h"
#include "pki/chain.h"

struct pki_bundle {
	unsigned refs;
	uint64_t generation;
	struct buf trust_domain;
	struct cert_list list;
	struct slice *ders; /* into list */
	struct cert *certs; /* parsed, into list */
	struct path_anchors *anchors;
	struct buf pem;
};

/* One path that the library found good: leaf first, anchor last. */
struct chain_path {
	const struct cert *certs[CHAIN_CERTS_MAX + 1];
	size_t index[CHAIN_CERTS_MAX + 1]; /* in the chain, or the bundle */
	size_t cnt;
	bool is_pinned; /* the leaf itself is the anchor; cnt is 1 */
	const struct chain_opts *opts;
	struct slice trust_domain; /* of the bundle */
};

/* All rules, purpose and names. Warnings go into result. */
MUST_USE enum err chain_rules_check(const struct chain_path *p, struct why *why,
				    struct chain_result *result);

/* Form: RFC 5280 4.2.1.10, and stricter. nc: contents of
 * the SEQUENCE. */
MUST_USE enum err name_constraints_check_form(struct slice nc, struct why *why);
/* The part about URIs. */
MUST_USE enum err name_constraints_check_uri(struct slice nc, struct slice uri,
					     struct why *why);

#endif
