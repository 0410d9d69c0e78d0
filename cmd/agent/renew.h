/* renew.h - the workload's own certificate: got, put in place, renewed. */
#ifndef AGENT_RENEW_H
#define AGENT_RENEW_H

#include "agent/agent.h"

/* Starts at once. The certificate goes into a->secrets as `default`, under its
 * SPIFFE ID, and its roots as `ROOTCA` and "spiffe://<trust domain>". */
struct agent_renew *agent_renew_new(struct agent *a);
void agent_renew_free(struct agent_renew *r);
/* Asks for a new certificate now (SIGUSR1, tests). Not while it is asking. */
void agent_renew_now(struct agent_renew *r);
/* Around a change of the configuration: what is under way ends, and begins
 * anew with resume. A planned renewal stays where it is. */
void agent_renew_stop(struct agent_renew *r);
void agent_renew_resume(struct agent_renew *r);
/* The clock was set: plans made by it are made again, and what failed may have
 * failed by it. */
void agent_renew_on_clock(struct agent_renew *r);
/* One of the names above. */
bool agent_renew_serves(const struct agent_renew *r, const char *name);

/* For status pages. */
struct agent_renew_state {
	bool has_certificate;
	bool asking;
	struct wall received;   /* when the one in force came */
	struct wall not_before; /* when its leaf begins */
	struct wall not_after;  /* when it ends */
	struct wall next;       /* when the next attempt is planned */
	unsigned failures;      /* in a row */
	struct wall failing_since;
	const char *error;  /* of the last failure; borrowed; "" : none */
	const char *advice; /* what to do about it; "": see the error */
	const char *warning;
};
void agent_renew_get_state(const struct agent_renew *r,
			   struct agent_renew_state *out);

#endif
