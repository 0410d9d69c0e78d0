/* status.h - the status port: HTTP, for kubelets, Prometheus and people.
 *
 *   /healthz/ready   200 when the workload has a certificate that is valid
 *   /healthz/live    200
 *   /metrics, /stats/prometheus
 *   /status          JSON: all there is to know, never a key (see status.c)
 *   /version */
#ifndef AGENT_STATUS_H
#define AGENT_STATUS_H

#include "agent/agent.h"

/* Takes listen.status: "" gives NULL. */
MUST_USE enum err agent_status_new(struct agent *a, struct why *why,
				   struct agent_status **out);
void agent_status_free(struct agent_status *s);

#endif
