/* workload.h - the SPIFFE Workload API over the agent's table of secrets.
 *
 * FetchX509SVID and FetchX509Bundles stream the whole state at once and again
 * with each change. The other methods of the service are UNIMPLEMENTED with a
 * text. Each call must carry `workload.spiffe.io: true` (a guard against
 * requests that somebody was tricked into sending).
 *
 * The method table goes beside that of sds/sds.h; the serve_opts.app of the
 * connection is the struct sds_server. "default" is the identity, "ROOTCA" the
 * bundle of its trust domain. */
#ifndef WORKLOAD_WORKLOAD_H
#define WORKLOAD_WORKLOAD_H

#include "grpc/grpc.h"
#include "sds/sds.h"

enum {
	WORKLOAD_METHODS = 7,
	WORKLOAD_REQUEST_MAX = 64 * 1024
};

/* Without the NULL entry that ends a table. */
extern const struct grpc_method workload_methods[WORKLOAD_METHODS];

#endif
