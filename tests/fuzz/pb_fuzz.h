/* pb_fuzz.h - what all protobuf targets do: check, unpack, pack again. */
#ifndef PB_FUZZ_H
#define PB_FUZZ_H

#include "grpc/pbmem.h"
#include "grpc/pbscan.h"

/* What pbscan_check lets pass unpacks within the arena or fails cleanly, and
 * what was unpacked can be packed. */
static inline void
pb_fuzz(const ProtobufCMessageDescriptor *type, struct slice in)
{
	static const struct pbscan_limits limits = {8, 200};
	struct pbmem mem;
	struct buf out;
	struct why why;
	ProtobufCMessage *m;

	if (pbscan_check(type, in, &limits, &why) != ERR_OK)
		return;
	pbmem_init(&mem, 64 * 1024);
	m = protobuf_c_message_unpack(type, pbmem_get(&mem), in.len, in.p);
	if (m != NULL) {
		buf_init(&out, 1 << 20);
		must(pbmem_pack(m, &out) == ERR_OK);
		buf_fini(&out);
	}
	pbmem_fini(&mem);
}

#endif
