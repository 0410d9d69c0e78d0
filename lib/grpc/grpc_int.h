/* grpc_int.h - inside of grpc: what server and client share. */
#ifndef GRPC_GRPC_INT_H
#define GRPC_GRPC_INT_H

#include "grpc/grpc.h"

enum {
	GRPC_PREFIX = 5,      /* flag and length before each message */
	GRPC_TEXT_MAX = 1024, /* of a status text, before encoding */
	GRPC_ENCODED_MAX = 3 * GRPC_TEXT_MAX
};

/* The bytes before a message of this length. */
void grpc_frame_prefix(uint8_t out[GRPC_PREFIX], size_t len);

/* Receives messages from pieces of a body. A whole message inside of one piece
 * is handed over without a copy. */
struct grpc_reader {
	struct buf part;
	size_t max;
};
void grpc_reader_init(struct grpc_reader *r, size_t message_max);
void grpc_reader_fini(struct grpc_reader *r);
/* Takes the next whole message out of *piece and what was kept before.
 * *message_out is borrowed until the next call. ERR_NOT_FOUND: all of the
 * piece is taken and no message is whole; else as grpc_frame_read. */
MUST_USE enum err grpc_reader_next(struct grpc_reader *r, struct slice *piece,
				   struct slice *message_out);
/* Nothing of an unfinished message is kept. */
bool grpc_reader_is_empty(const struct grpc_reader *r);
/* Storage of what is kept. */
size_t grpc_reader_held(const struct grpc_reader *r);
/* The status and text for what grpc_reader_next refused. */
enum grpc_status grpc_reader_refusal(const struct grpc_reader *r, enum err e,
				     struct why *why);

/* Percent-encoding of grpc-message: printable ASCII but '%' stays. out holds
 * GRPC_ENCODED_MAX bytes; longer texts are cut. Returns the length. */
size_t grpc_text_encode(const char *text, uint8_t *out);
/* Decodes, cut to GRPC_TEXT_MAX - 1 bytes, control characters become '?'. */
void grpc_text_decode(struct slice in, char out[GRPC_TEXT_MAX]);

/* Milliseconds of a grpc-retry-pushback-ms; 0 for one that names none. */
uint64_t grpc_retry_parse(struct slice value);

/* "grpc-timeout" for this many milliseconds. */
void grpc_timeout_format(uint64_t ms, char out[16]);

#endif
