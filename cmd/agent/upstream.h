/* upstream.h - one attempt to get a certificate from a CA with Istio's API.
 *
 * Each attempt has a connection of its own, made with the roots, the client
 * certificate and the token as they are on disk at that moment: whatever was
 * replaced there is in force with the next attempt. The connection begins
 * before the CSR exists, so that the key is made while it is under way. */
#ifndef AGENT_UPSTREAM_H
#define AGENT_UPSTREAM_H

#include "agent/agent.h"
#include "agent/answer.h"
#include "agent/conf.h"
#include "ev/ev.h"
#include "grpc/grpc.h"
#include "tls/tls.h"

struct upstream;

/* What the CA said. */
struct upstream_answer {
	enum grpc_status status;
	uint64_t retry_ms; /* when it wants to be asked again; 0: not said */
	/* GRPC_OK: PEM texts, leaf first, the last one is the root bundle; two
	 * at least. Borrowed for the call. */
	struct slice entries[ANSWER_ENTRIES_MAX];
	size_t entry_cnt;
};

/* Once, unless cancelled; the attempt is gone then. ERR_OK: there is an answer.
 * Else detail says what went wrong; answer->status is the CA's word, if it gave
 * one (GRPC_UNKNOWN: none). */
typedef void upstream_cb(void *arg, enum err e, const char *detail,
			 const struct upstream_answer *answer);

/* Begins to connect, with the agent's loop, configuration and counters. own:
 * the certificate in force, NULL: none; shown as conf.ca_renew_by_cert says.
 * why: what on disk or in the configuration is not good. */
MUST_USE enum err upstream_start(struct agent *a, struct tls_identity *own,
				 upstream_cb *cb, void *arg, struct why *why,
				 struct upstream **out);
/* What to send when the connection is there. Once; copied. */
void upstream_send(struct upstream *u, struct slice csr_pem);
void upstream_cancel(struct upstream **u);

/* For tests and --check: is the address one that is spoken to without TLS; the
 * name that the CA's certificate must have (owned by the caller). */
bool upstream_is_plaintext(const char *address);
char *upstream_dup_server_name(const struct agent_conf *conf);

#endif
