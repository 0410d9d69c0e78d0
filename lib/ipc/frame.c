/* frame.c - the frame of ipc.h: length, type, id, payload. No I/O. */
#include "ipc/ipc.h"

#include <string.h>

enum {
	LENGTH_LEN = 4,
	/* Counted by the length: the type and the id. */
	COUNTED_LEN = IPC_HEADER_LEN - LENGTH_LEN
};

static uint32_t
frame_get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static void
frame_put_u32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* see ipc.h */
enum err
ipc_frame_read(struct slice *in, size_t frame_max, struct ipc_frame *out)
{
	const uint8_t *p = in->p;
	size_t len;

	*out = (struct ipc_frame){.type = 0};
	if (in->len < LENGTH_LEN)
		return ERR_NOT_FOUND;
	len = frame_get_u32(p);
	/* Judged before the rest is there: nobody waits for 4 GB. */
	if (len < COUNTED_LEN || len - COUNTED_LEN > frame_max)
		return ERR_PROTOCOL;
	if (in->len - LENGTH_LEN < len)
		return ERR_NOT_FOUND;
	out->type = (uint16_t)(p[4] << 8 | p[5]);
	out->id = (uint64_t)frame_get_u32(p + 6) << 32 | frame_get_u32(p + 10);
	out->payload = slice_sub(*in, IPC_HEADER_LEN, len - COUNTED_LEN);
	*in = slice_sub(*in, LENGTH_LEN + len, in->len);
	return ERR_OK;
}

/* see ipc.h */
enum err
ipc_frame_write(struct buf *out, uint16_t type, uint64_t id,
		struct slice payload)
{
	uint8_t *p;
	enum err ret;

	if (payload.len > UINT32_MAX - IPC_HEADER_LEN)
		return ERR_LIMIT;
	if ((ret = buf_reserve(out, IPC_HEADER_LEN + payload.len, &p)) !=
	    ERR_OK)
		return ret;
	frame_put_u32(p, (uint32_t)(COUNTED_LEN + payload.len));
	p[4] = (uint8_t)(type >> 8);
	p[5] = (uint8_t)type;
	frame_put_u32(p + 6, (uint32_t)(id >> 32));
	frame_put_u32(p + 10, (uint32_t)id);
	if (payload.len > 0)
		memcpy(p + IPC_HEADER_LEN, payload.p, payload.len);
	buf_commit(out, IPC_HEADER_LEN + payload.len);
	return ERR_OK;
}
