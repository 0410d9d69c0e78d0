/* output.h - OUTPUT_CERTS: key.pem, cert-chain.pem and root-cert.pem in a
 * folder, always of one set.
 *
 * The folder holds a hidden folder for each set, a link "..data" to the one in
 * force, and three links through "..data", as the kubelet does it: one rename
 * swaps all three. Who reads through the path that "..data" has at one moment
 * sees one set; who opens the three by name may meet a swap between two opens,
 * and finds the next set whole. */
#ifndef AGENT_OUTPUT_H
#define AGENT_OUTPUT_H

#include "agent/agent.h"

/* Writes with each change of `default` and `ROOTCA`; tried again where it
 * failed. */
MUST_USE enum err agent_output_new(struct agent *a, struct why *why,
				   struct agent_output **out);
void agent_output_free(struct agent_output *o);
/* "" : the last writing went well. Borrowed. */
const char *agent_output_get_error(const struct agent_output *o);

/* One set. */
struct output_set {
	struct slice key;
	struct slice chain;
	struct slice root;
};
/* serial: a name for the hidden folder that is not in use yet. */
MUST_USE enum err output_write(const char *dir, const char *serial,
			       const struct output_set *set, mode_t mode,
			       struct why *why);

#endif
