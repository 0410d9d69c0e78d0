/* metrics.c - see metrics.h. */
#include "agent/metrics.h"

#include "pki/chain.h"

static const char *const request_types[] = {"csr", NULL};

const struct metric agent_metrics[] = {
	[AM_OUTGOING] = {"istio_agent_num_outgoing_requests", METRIC_COUNTER,
			 "request_type", request_types,
			 "Requests sent to the CA."},
	[AM_OUTGOING_FAILED] = {"istio_agent_num_failed_outgoing_requests",
				METRIC_COUNTER, "request_type", request_types,
				"Requests to the CA that failed."},
	[AM_OUTGOING_RETRIES] = {"istio_agent_num_outgoing_retries",
				 METRIC_COUNTER, "request_type", request_types,
				 "Requests to the CA that were repeated."},
	[AM_OUTGOING_LATENCY] = {"istio_agent_outgoing_latency", METRIC_COUNTER,
				 "request_type", request_types,
				 "Milliseconds spent on requests to the CA."},
	[AM_FILE_WATCH_FAILED] = {"istio_agent_num_file_watcher_failures_total",
				  METRIC_COUNTER, NULL, NULL,
				  "Files that could not be watched."},
	[AM_FILE_SECRET_FAILED] = {"istio_agent_num_file_secret_failures_total",
				   METRIC_COUNTER, NULL, NULL,
				   "File certificates that could not be used."},
	[AM_SCRAPES] = {"istio_agent_scrapes_total", METRIC_COUNTER, NULL, NULL,
			"Times that these metrics were read."},
	[AM_ISSUED] = {"meshcert_agent_certificates_total", METRIC_COUNTER,
		       NULL, NULL, "Certificates of the CA put in place."},
	[AM_REFUSED] = {"meshcert_agent_answers_refused_total", METRIC_COUNTER,
			NULL, NULL,
			"Answers of the CA that did not pass the checks."},
	[AM_REQUEST_CAUSE] = {"meshcert_agent_failures_total", METRIC_COUNTER,
			      "cause", err_names,
			      "Failed attempts to get a certificate by cause."},
	[AM_REQUEST_TIME] = {"meshcert_agent_request_seconds", METRIC_HISTOGRAM,
			     NULL, NULL, "From the request to its answer."},
	[AM_CERT_EXPIRY_TIMESTAMP] =
		{"meshcert_agent_certificate_expiry_timestamp",
		 METRIC_GAUGE_MAX, NULL, NULL,
		 "When the workload certificate ends, seconds since 1970."},
	[AM_ROOT_EXPIRY_TIMESTAMP] =
		{"meshcert_agent_root_expiry_timestamp", METRIC_GAUGE_MAX, NULL,
		 NULL, "When the first trusted root ends, seconds since 1970."},
	[AM_FILE_EXPIRY_TIMESTAMP] =
		{"meshcert_agent_file_certificate_expiry_timestamp",
		 METRIC_GAUGE_MAX, NULL, NULL,
		 "When the first of the file certificates in use ends, "
		 "seconds since 1970."},
	[AM_RENEW_TIMESTAMP] = {"meshcert_agent_renewal_timestamp",
				METRIC_GAUGE_MAX, NULL, NULL,
				"When the next certificate is asked for, "
				"seconds since 1970."},
	[AM_STREAMS] = {"meshcert_agent_streams", METRIC_GAUGE_SUM, NULL, NULL,
			"Open SDS and Workload API streams."},
	[AM_CONNECTIONS] = {"meshcert_agent_connections", METRIC_GAUGE_SUM,
			    NULL, NULL,
			    "Open connections on the workload socket."},
	[AM_SDS_PUSHES] = {"meshcert_agent_sds_pushes_total", METRIC_COUNTER,
			   NULL, NULL, "Secrets sent to proxies."},
	[AM_SDS_NACKS] = {"meshcert_agent_sds_rejected_total", METRIC_COUNTER,
			  NULL, NULL, "Secrets that a proxy rejected."},
	[AM_PEERS_REFUSED] = {"meshcert_agent_peers_refused_total",
			      METRIC_COUNTER, NULL, NULL,
			      "Connections of users that are not allowed, or "
			      "too many."},
	[AM_OUTPUT_WRITES] = {"meshcert_agent_output_writes_total",
			      METRIC_COUNTER, NULL, NULL,
			      "Sets of files written."},
	[AM_OUTPUT_FAILED] = {"meshcert_agent_output_failures_total",
			      METRIC_COUNTER, NULL, NULL,
			      "Sets of files that could not be written."},
	[AM_CHAIN_WARNINGS] = {"meshcert_agent_chain_warnings_total",
			       METRIC_COUNTER, "rule", chain_rule_names,
			       "Chains taken although they break a rule "
			       "(chain.warn)."},
	[AM_CLOCK_SET] = {"meshcert_agent_clock_set_total", METRIC_COUNTER,
			  NULL, NULL,
			  "Times that the clock of this host was set by a "
			  "second or more, or the host slept."},
	[AM_CNT] = {NULL, METRIC_COUNTER, NULL, NULL, NULL},
};
