/* sds.h - Envoy's secret discovery service over a table of secrets.
 *
 * StreamSecrets, DeltaSecrets and FetchSecrets as entries of a gRPC method
 * table. One struct sds_server serves any number of connections and holds what
 * a person wants to know of them: who asks for what, which version was sent,
 * which was accepted, and with what text one was refused.
 *
 * The serve_opts.app of each connection that has these methods (or those of
 * workload/workload.h) is the struct sds_server; what the program needs in its
 * own callbacks is sds_server_get_app.
 *
 *	static struct grpc_method table[SDS_METHODS + WORKLOAD_METHODS + 1];
 *	memcpy(table, sds_methods, sizeof(sds_methods));
 *	memcpy(table + SDS_METHODS, workload_methods, sizeof(...));
 *	opts.methods = table; opts.app = server;
 *	sds_limits_set(&opts.limits);
 *
 * Envoy's rules (xDS protocol): a refused secret is not sent again until its
 * content changes; a stale nonce is ignored; a name that nobody serves is
 * remembered and sent when it appears, and never hurts the others. */
#ifndef SDS_SDS_H
#define SDS_SDS_H

#include "base/json.h"
#include "grpc/grpc.h"
#include "sds/secrets.h"

enum {
	SDS_METHODS = 3,
	SDS_REQUEST_MAX = 256 * 1024, /* Istio's node metadata is large */
	SDS_NAMES_MAX = 256,          /* of one stream */
	/* Of one server, over all its connections: a peer that is let in may
	 * be broken, and must not fill the memory. */
	SDS_STREAMS_MAX = 16384,
	SDS_WATCHES_MAX = 32768,
	SDS_NAME_BYTES_MAX = 4 << 20
};

/* Without the NULL entry that ends a table. */
extern const struct grpc_method sds_methods[SDS_METHODS];

struct sds_server;

/* secrets must outlive it. app: see sds_server_get_app. */
struct sds_server *sds_server_new(struct sds_secrets *secrets, void *app);
/* All its connections must be gone. */
void sds_server_free(struct sds_server *s);
void *sds_server_get_app(const struct sds_server *s);
struct sds_secrets *sds_server_get_secrets(const struct sds_server *s);

/* Limits that suit this service: streams, windows, no header table. */
void sds_limits_set(struct h2_limits *limits);

/* Since the start, but for the first two. */
struct sds_counts {
	uint64_t streams; /* open now, those of the Workload API included */
	uint64_t watches; /* names that they ask for now */
	uint64_t pushes;  /* secrets sent */
	uint64_t acks;
	uint64_t nacks;
	uint64_t stale;   /* requests ignored for their nonce */
	uint64_t unknown; /* names asked for that nobody serves */
	uint64_t refused; /* requests that were no good */
};
struct sds_counts sds_server_get_counts(const struct sds_server *s);
/* A stream of another service on the same connections (the Workload API's):
 * counted with ours. False: there are too many, refuse it. */
MUST_USE bool sds_server_take_stream(struct sds_server *s);
void sds_server_drop_stream(struct sds_server *s);

/* Names that a client may ask for at all: "default", "ROOTCA",
 * "file-cert:C~K", "file-root:F", SPIFFE IDs, trust domain names. Whether a
 * file may be read is for whoever resolves it. */
MUST_USE enum err sds_name_check(struct slice name, struct why *why);

/* Writes two members into the open object: "secrets" (what there is: name,
 * kind, source, version, PEM of each certificate; never a key) and "streams"
 * (peer, node, each name with its state, versions, times, the refusal). */
void sds_status_write_json(const struct sds_server *s, struct jsonw *w);

#endif
