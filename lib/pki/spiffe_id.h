/* spiffe_id.h - SPIFFE IDs as the standard has them, refused where they are
 * not canonical (never folded). SPIFFE-ID.md; checklist ID-1..ID-16. */
#ifndef PKI_SPIFFE_ID_H
#define PKI_SPIFFE_ID_H

#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"

enum {
	SPIFFE_ID_MAX = 2048,
	SPIFFE_TRUST_DOMAIN_MAX = 255
};

struct spiffe_id {
	struct slice text;         /* the whole URI */
	struct slice trust_domain; /* host part */
	struct slice path; /* with the leading '/', empty for the domain */
};

/* Slices point into text. ERR_SYNTAX with the rule; ERR_LIMIT. */
MUST_USE enum err spiffe_id_parse(struct slice text, struct why *why,
				  struct spiffe_id *out);
MUST_USE enum err spiffe_trust_domain_check(struct slice name, struct why *why);
/* spiffe://TD/ns/NS/sa/SA, checked. out is appended to. */
MUST_USE enum err spiffe_id_build_k8s(struct slice trust_domain,
				      struct slice ns, struct slice sa,
				      struct why *why, struct buf *out);
/* Splits a path of that shape; ERR_MISMATCH for any other. */
MUST_USE enum err spiffe_id_get_k8s(const struct spiffe_id *id,
				    struct slice *ns_out, struct slice *sa_out);

#endif
