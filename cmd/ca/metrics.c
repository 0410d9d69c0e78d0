/* metrics.c - see metrics.h. */
#include "ca/metrics.h"

#include "pki/chain.h"

static const char *const sign_errs[] = {"CA_NOT_READY", "CSR_ERROR",
					"TTL_ERROR",    "CERT_GEN_ERROR",
					"UNKNOWN",      NULL};
static const char *const ra_kinds[] = {"none", "client_cert", "jwt",
				       "join_token", NULL};
static const char *const causes[] = {"ok",
#define X(id, name, class, text) name,
#include "base/err_list.h"
#undef X
				     NULL};

const struct metric ca_metrics[] = {
	[M_CSR] = {"citadel_server_csr_count", METRIC_COUNTER, NULL, NULL,
		   "Certificate requests received."},
	[M_AUTH_FAILURE] = {"citadel_server_authentication_failure_count",
			    METRIC_COUNTER, NULL, NULL,
			    "Requests whose caller could not be "
			    "authenticated."},
	[M_CSR_PARSE_ERR] = {"citadel_server_csr_parsing_err_count",
			     METRIC_COUNTER, NULL, NULL,
			     "Requests whose CSR could not be read."},
	[M_ID_ERR] = {"citadel_server_id_extraction_err_count", METRIC_COUNTER,
		      NULL, NULL,
		      "Requests that asked for another identity than the "
		      "caller's."},
	[M_SIGN_ERR] = {"citadel_server_csr_sign_err_count", METRIC_COUNTER,
			"error", sign_errs, "Requests that were not signed."},
	[M_ISSUED] = {"citadel_server_success_cert_issuance_count",
		      METRIC_COUNTER, NULL, NULL, "Certificates issued."},
	[M_ROOT_EXPIRY_TIMESTAMP] =
		{"citadel_server_root_cert_expiry_timestamp", METRIC_GAUGE_MAX,
		 NULL, NULL, "When the root ends, in seconds since 1970."},
	[M_CHAIN_EXPIRY_TIMESTAMP] =
		{"citadel_server_cert_chain_expiry_timestamp", METRIC_GAUGE_MAX,
		 NULL, NULL,
		 "When the first certificate of the issuing chain ends."},
	[M_FAILURES] = {"meshcert_ca_failures_total", METRIC_COUNTER, "cause",
			causes, "Failed requests by cause."},
	[M_AUTH] = {"meshcert_ca_authenticated_total", METRIC_COUNTER, "method",
		    ra_kinds, "Authenticated requests by method."},
	[M_CONNECTIONS] = {"meshcert_ca_connections", METRIC_GAUGE_SUM, NULL,
			   NULL, "Open connections of the fronts."},
	[M_CONNECTIONS_TOTAL] = {"meshcert_ca_connections_total",
				 METRIC_COUNTER, NULL, NULL,
				 "Connections accepted."},
	[M_HANDSHAKE_FAILURES] = {"meshcert_ca_connection_failures_total",
				  METRIC_COUNTER, NULL, NULL,
				  "Connections that ended by an error."},
	[M_TIME_REQUEST] = {"meshcert_ca_request_seconds", METRIC_HISTOGRAM,
			    NULL, NULL, "A request, from header to answer."},
	[M_TIME_AUTH] = {"meshcert_ca_authenticate_seconds", METRIC_HISTOGRAM,
			 NULL, NULL, "Finding out who the caller is."},
	[M_TIME_CSR] = {"meshcert_ca_csr_seconds", METRIC_HISTOGRAM, NULL, NULL,
			"Reading the CSR and checking its proof."},
	[M_TIME_RECORD] = {"meshcert_ca_record_seconds", METRIC_HISTOGRAM, NULL,
			   NULL, "Making a batch of intents durable."},
	[M_TIME_SIGN] = {"meshcert_ca_sign_seconds", METRIC_HISTOGRAM, NULL,
			 NULL, "From the durable intent to the certificate."},
	[M_QUEUE] = {"meshcert_ca_queue", METRIC_GAUGE_SUM, NULL, NULL,
		     "Requests that wait for record or signature."},
	[M_BATCHES] = {"meshcert_ca_record_batches_total", METRIC_COUNTER, NULL,
		       NULL, "Transactions of intents."},
	[M_INTENTS] = {"meshcert_ca_record_intents_total", METRIC_COUNTER, NULL,
		       NULL, "Intents recorded."},
	[M_SYNC] = {"meshcert_ca_record_failures_total", METRIC_COUNTER, NULL,
		    NULL, "Transactions that could not be made durable."},
	[M_AUDIT_LINES] = {"meshcert_ca_audit_lines_total", METRIC_COUNTER,
			   NULL, NULL, "Lines of the audit log."},
	[M_AUDIT_FAILURES] = {"meshcert_ca_audit_failures_total",
			      METRIC_COUNTER, NULL, NULL,
			      "Times the audit log could not be written."},
	[M_JWKS_FETCH] = {"pilot_jwks_resolver_network_fetch_success_total",
			  METRIC_COUNTER, NULL, NULL,
			  "Token key sets fetched."},
	[M_JWKS_FETCH_FAILED] = {"pilot_jwks_resolver_network_fetch_fail_total",
				 METRIC_COUNTER, NULL, NULL,
				 "Token key sets that could not be fetched."},
	[M_JWKS_AGE_TIMESTAMP] = {"meshcert_ca_jwks_updated_timestamp",
				  METRIC_GAUGE_MAX, NULL, NULL,
				  "When a token key set was last read."},
	[M_TOKEN_CACHE_HITS] = {"meshcert_ca_token_cache_hits_total",
				METRIC_COUNTER, NULL, NULL,
				"Tokens answered from memory."},
	[M_READY] = {"meshcert_ca_fronts_ready", METRIC_GAUGE_SUM, NULL, NULL,
		     "Fronts that serve."},
	[M_ISSUER_RELOAD_FAILED] = {"meshcert_ca_issuer_reload_failed",
				    METRIC_GAUGE_MAX, NULL, NULL,
				    "1: the plugged-in CA on disk is bad, the "
				    "one before it is in force."},
	[M_CHAIN_WARNINGS] = {"meshcert_ca_chain_warnings_total",
			      METRIC_COUNTER, "rule", chain_rule_names,
			      "Chains taken although they break a rule "
			      "(chain.warn)."},
	{NULL, METRIC_COUNTER, NULL, NULL, NULL},
};

unsigned
ca_metric_cause(enum err e)
{
	return (unsigned)e < ERR_COUNT ? (unsigned)e : (unsigned)ERR_BUG;
}

void
ca_metric_count_warned(struct metric_block *b, uint32_t rules)
{
	for (unsigned r = 0; r < CHAIN_RULE_CNT; r++) {
		if ((rules & 1U << r) != 0)
			metric_add(b, M_CHAIN_WARNINGS, r, 1);
	}
}
