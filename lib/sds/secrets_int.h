/* secrets_int.h - inside of sds: the parts of answers that all streams share.
 *
 * A response is a shared body and a small own tail: the nonce. Both bodies are
 * made once, with the snapshot, and hold the packed Secret. */
#ifndef SDS_SECRETS_INT_H
#define SDS_SECRETS_INT_H

#include "sds/secrets.h"

#define SDS_TYPE_URL \
	"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

/* DiscoveryResponse but for the nonce: version_info, resources, type_url.
 * Secret; borrowed while the snapshot lives. */
struct slice sds_secret_get_response(const struct sds_secret *s);
/* DeltaDiscoveryResponse but for the nonce. */
struct slice sds_secret_get_delta_response(const struct sds_secret *s);

/* ---- packing: protobuf fields with numbers below 16 ---------------------- */

/* Length of a field of this many bytes, with tag and length. */
size_t pack_len(size_t bytes);
/* Tag and length of a field whose `len` bytes follow. Returns behind them. */
uint8_t *pack_head(uint8_t *p, unsigned number, size_t len);
/* The whole field. */
uint8_t *pack_bytes(uint8_t *p, unsigned number, struct slice bytes);

#endif
