/* pbscan.h - protobuf wire format without decoding.
 *
 * Two uses: pbscan_check bounds a message before protobuf-c (which has no
 * limits of its own) builds it in memory; pbscan_next walks the fields of one
 * message where building it would cost more than reading it. */
#ifndef GRPC_PBSCAN_H
#define GRPC_PBSCAN_H

#include <protobuf-c/protobuf-c.h>

#include "base/slice.h"
#include "base/why.h"

enum pbscan_wire {
	PBSCAN_VARINT = 0,
	PBSCAN_64BIT = 1,
	PBSCAN_BYTES = 2,
	PBSCAN_32BIT = 5
};

struct pbscan_field {
	uint32_t number;
	enum pbscan_wire wire;
	uint64_t value;     /* of numbers */
	struct slice bytes; /* of strings, bytes and messages */
};

/* Takes the next field off *in. ERR_NOT_FOUND: none is left. ERR_SYNTAX: not
 * the wire format (nothing is consumed then). */
MUST_USE enum err pbscan_next(struct slice *in, struct pbscan_field *out);
/* The last field with this number and wire type, as proto3 wants it for a
 * single field; ERR_NOT_FOUND where there is none. */
MUST_USE enum err pbscan_find(struct slice in, uint32_t number,
			      enum pbscan_wire wire, struct pbscan_field *out);

struct pbscan_limits {
	unsigned depth_max; /* messages inside messages; the outermost is 1 */
	size_t field_max;   /* fields of all messages together */
};

/* Checks a message of this type and all that are in it: well formed, within
 * the limits, strings are UTF-8 without NUL bytes (C would cut them there).
 * ERR_SYNTAX or ERR_LIMIT; the text names message, field and limit. */
MUST_USE enum err pbscan_check(const ProtobufCMessageDescriptor *type,
			       struct slice bytes,
			       const struct pbscan_limits *limits,
			       struct why *why);

#endif
