/* answer.h - is what the CA sent the certificate that we asked for? Checked
 * whole, before anything of it is used. */
#ifndef AGENT_ANSWER_H
#define AGENT_ANSWER_H

#include "base/clock.h"
#include "pki/cert.h"
#include "pki/chain.h"

enum {
	ANSWER_ENTRIES_MAX = 16
};

/* Takes IstioCertificateResponse apart: its PEM texts, leaf first, the roots
 * last; slices into message. Two at least. */
MUST_USE enum err answer_split(struct slice message,
			       struct slice entries[ANSWER_ENTRIES_MAX],
			       size_t *cnt_out, struct why *why);

struct answer {
	struct cert_list chain; /* leaf first, without roots */
	struct pki_bundle *roots;
	struct wall not_before; /* of the leaf */
	struct wall not_after;  /* earliest of the path */
	uint32_t warned_rules;
	struct why warning; /* empty, or a rule that was only warned of */
};

struct answer_wanted {
	struct slice identity; /* SPIFFE ID that the leaf must have */
	struct slice trust_domain;
	struct slice spki; /* the key that the leaf must be for */
	struct wall now;
	uint32_t warn_rules; /* of its chain: only warn (pki/chain.h) */
};

/* entries: PEM texts, at least two; the last one is the root bundle. What it
 * must be: the leaf is for our key and has our identity and nothing more, the
 * bundle holds CAs only, the chain verifies to it, and has not expired. A
 * notBefore in the future is accepted (then the clocks differ, which the caller
 * logs). out: owned by the caller, answer_fini; empty on failure. */
MUST_USE enum err answer_check(const struct slice *entries, size_t cnt,
			       const struct answer_wanted *wanted,
			       struct why *why, struct answer *out);
void answer_fini(struct answer *a);

#endif
