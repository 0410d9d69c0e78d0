/* path.h - the library's path validation (RFC 5280 6), one chain at a time.
 *
 * Only the door: the rules that stand on top, candidate paths and bounds are
 * pki/chain.h, which is what everybody else calls. */
#ifndef CRYPTO_PATH_H
#define CRYPTO_PATH_H

#include "base/clock.h"
#include "base/slice.h"
#include "base/why.h"

/* A set of trust anchors, parsed once. Immutable. */
struct path_anchors;
MUST_USE enum err path_anchors_new(const struct slice *ders, size_t cnt,
				   struct why *why, struct path_anchors **out);
void path_anchors_free(struct path_anchors *a);

/* chain[0] is the leaf; the rest are the intermediates of this one candidate
 * path. Validity at `at`; no name check, no CRLs. On success *used_out is how
 * many of the chain's certificates were used (1 + intermediates): always the
 * first ones, in this order; and anchor_out (may be NULL) the index of the
 * anchor among ders.
 * *budget: how many signatures may still be looked at; what was spent is taken
 * from it, in multiples of cnt. Too little left: ERR_LIMIT.
 * ERR_EXPIRED, ERR_NOT_YET_VALID, ERR_UNTRUSTED, ERR_SIGNATURE, ERR_SYNTAX. */
MUST_USE enum err path_verify(const struct path_anchors *anchors,
			      const struct slice *chain, size_t cnt,
			      struct wall at, unsigned *budget, struct why *why,
			      size_t *used_out, size_t *anchor_out);

/* "AWS-LC 5.12.0" */
const char *crypto_library_version(void);

#endif
