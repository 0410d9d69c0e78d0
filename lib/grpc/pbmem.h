/* pbmem.h - memory of one protobuf message: a bounded arena.
 *
 * protobuf-c takes all that a message needs from it; pbmem_fini frees it at
 * once and *_free_unpacked is never called. What would pass the maximum makes
 * the unpacking fail (NULL), so that a peer cannot choose how much memory its
 * message takes.
 *
 *	struct pbmem mem;
 *	pbmem_init(&mem, 64 * 1024);
 *	req = istio__v1__auth__istio_certificate_request__unpack(
 *		pbmem_get(&mem), bytes.len, bytes.p);
 *	...
 *	pbmem_fini(&mem);
 *
 * Messages from outside go through pbscan_check before they are unpacked. */
#ifndef GRPC_PBMEM_H
#define GRPC_PBMEM_H

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"

enum {
	PBMEM_FIRST = 2048 /* small messages need no heap */
};

struct pbmem_block;

struct pbmem {
	ProtobufCAllocator alloc;
	size_t left_max; /* bytes that may still be taken from the heap */
	struct pbmem_block *blocks;
	uint8_t *p; /* free part of the newest block */
	size_t left;
	_Alignas(16) uint8_t first[PBMEM_FIRST];
};

/* max: bytes of heap beyond the first, embedded block. The struct must not be
 * moved after this. */
void pbmem_init(struct pbmem *m, size_t max);
void pbmem_fini(struct pbmem *m);
/* What the generated *_unpack functions take. */
ProtobufCAllocator *pbmem_get(struct pbmem *m);

/* Appends the packed message. ERR_LIMIT when it does not fit. */
MUST_USE enum err pbmem_pack(const ProtobufCMessage *msg, struct buf *out);

#endif
