/* h2_scan.c - what each frame of the peer costs, before anything is done for
 * it. nghttp2 does not tell of all: those of unknown types, or on streams that
 * are gone, it passes over in silence, at a cost all the same. So frame headers
 * (RFC 9113, 4.1) are read here first. */
#include <string.h>

#include "h2/h2_int.h"

enum {
	MAGIC_LEN = 24,
	COST_FRAME = 1,
	COST_RESET = 3, /* the two that the request earned, and its own */
	/* A body in pieces of this size is meant to cost. gRPC's prefix may
	 * come alone. */
	TINY = 16
};

void
h2_scan_init(struct h2 *h)
{
	h->scan.skip = h->server ? MAGIC_LEN : 0;
}

/* Requests cost and earn when they are whole (request_new). */
static uint64_t
scan_cost(const struct h2 *h, const uint8_t *head, size_t len)
{
	const uint8_t type = head[3];
	const uint8_t flags = head[4];

	switch (type) {
	case NGHTTP2_HEADERS:
		return 0;
	case NGHTTP2_DATA:
		if ((flags & NGHTTP2_FLAG_PADDED) != 0)
			return COST_FRAME;
		return len < TINY && (flags & NGHTTP2_FLAG_END_STREAM) == 0
			       ? COST_FRAME
			       : 0;
	case NGHTTP2_RST_STREAM:
		return h->server ? COST_RESET : COST_FRAME;
	default:
		return COST_FRAME;
	}
}

void
h2_scan(struct h2 *h, struct slice bytes)
{
	struct h2_scan *s = &h->scan;

	while (bytes.len > 0) {
		size_t n = bytes.len < s->skip ? bytes.len : s->skip;
		size_t len;

		s->skip -= n;
		bytes = slice_sub(bytes, n, SIZE_MAX);
		n = H2_HEAD_LEN - s->have;
		n = bytes.len < n ? bytes.len : n;
		if (n > 0)
			memcpy(s->head + s->have, bytes.p, n);
		s->have += n;
		bytes = slice_sub(bytes, n, SIZE_MAX);
		if (s->have < H2_HEAD_LEN)
			return;
		len = (size_t)s->head[0] << 16 | (size_t)s->head[1] << 8 |
		      s->head[2];
		h2_charge(h, scan_cost(h, s->head, len));
		s->skip = len;
		s->have = 0;
	}
}
