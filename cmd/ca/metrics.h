/* metrics.h - what meshcert-ca counts. The table is in metrics.c; the names
 * that Istio's CA has are kept. */
#ifndef CA_METRICS_H
#define CA_METRICS_H

#include "base/err.h"
#include "base/metric.h"

enum ca_metric {
	M_CSR = 0,
	M_AUTH_FAILURE,
	M_CSR_PARSE_ERR,
	M_ID_ERR,
	M_SIGN_ERR, /* label: enum ca_sign_err */
	M_ISSUED,
	M_ROOT_EXPIRY_TIMESTAMP,
	M_CHAIN_EXPIRY_TIMESTAMP,
	M_FAILURES, /* label: err_index() */
	M_AUTH,     /* label: enum ra_kind */
	M_CONNECTIONS,
	M_CONNECTIONS_TOTAL,
	M_HANDSHAKE_FAILURES,
	M_TIME_REQUEST, /* histograms, per stage */
	M_TIME_AUTH,
	M_TIME_CSR,
	M_TIME_RECORD,
	M_TIME_SIGN,
	M_QUEUE,
	M_BATCHES,
	M_INTENTS,
	M_SYNC,
	M_AUDIT_LINES,
	M_AUDIT_FAILURES,
	M_JWKS_FETCH,
	M_JWKS_FETCH_FAILED,
	M_JWKS_AGE_TIMESTAMP,
	M_TOKEN_CACHE_HITS,
	M_READY,
	M_ISSUER_RELOAD_FAILED,
	M_CHAIN_WARNINGS, /* labels: bits of enum chain_rule */
	M_CNT
};

enum ca_sign_err {
	SIGN_CA_NOT_READY = 0,
	SIGN_CSR_ERROR,
	SIGN_TTL_ERROR,
	SIGN_CERT_GEN_ERROR,
	SIGN_UNKNOWN
};

extern const struct metric ca_metrics[];

#endif
