/* metrics.h - what meshcert-agent counts. The table is in metrics.c; the names
 * that Istio's agent has are kept. */
#ifndef AGENT_METRICS_H
#define AGENT_METRICS_H

#include "base/err.h"
#include "base/metric.h"

enum agent_metric {
	/* Istio's names */
	AM_OUTGOING = 0,       /* label: 0, csr */
	AM_OUTGOING_FAILED,    /* label: 0, csr */
	AM_OUTGOING_RETRIES,   /* label: 0, csr */
	AM_OUTGOING_LATENCY,   /* milliseconds, sum; label: 0, csr */
	AM_FILE_WATCH_FAILED,  /* a file could not be watched */
	AM_FILE_SECRET_FAILED, /* a file certificate could not be used */
	AM_SCRAPES,
	/* ours */
	AM_ISSUED,        /* certificates put in place */
	AM_REFUSED,       /* answers of the CA that were not good */
	AM_REQUEST_CAUSE, /* failed requests; label: err_index() */
	AM_REQUEST_TIME,  /* histogram: CSR to answer */
	AM_CERT_EXPIRY_TIMESTAMP,
	AM_ROOT_EXPIRY_TIMESTAMP,
	AM_FILE_EXPIRY_TIMESTAMP, /* of the first file certificate to end */
	AM_RENEW_TIMESTAMP,       /* when the next renewal is planned */
	AM_STREAMS,               /* open, SDS and Workload API */
	AM_CONNECTIONS,           /* open, on the workload socket */
	AM_SDS_PUSHES,
	AM_SDS_NACKS,
	AM_PEERS_REFUSED, /* connections by users that are not allowed, or
			     too many */
	AM_OUTPUT_WRITES,
	AM_OUTPUT_FAILED,
	AM_CHAIN_WARNINGS, /* labels: bits of enum chain_rule */
	AM_CLOCK_SET,      /* the wall clock was set */
	AM_CNT
};

extern const struct metric agent_metrics[];

#endif
