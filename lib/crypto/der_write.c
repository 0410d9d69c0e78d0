/* der_write.c - writing DER into one growing buffer, see der.h.
 *
 * derw_open writes the tag and leaves one byte for the length. derw_close
 * fills it in; where the contents are 128 bytes or more it first moves them to
 * make room. What we write is some hundred bytes, so that a move costs less
 * than counting lengths in a first pass would. */
#include "crypto/der.h"

#include <openssl/posix_time.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

enum {
	DERW_DEPTH_MAX = 16,
	LENGTH_MAX = 5 /* octets of a length: 0x84 and four */
};

struct derw {
	struct buf out;
	size_t open[DERW_DEPTH_MAX]; /* where each one's contents begin */
	unsigned depth;
	bool has_failed;
};

struct derw *
derw_new(size_t max)
{
	struct derw *w = MEM_NEW(struct derw);

	buf_init(&w->out, max);
	return w;
}

void
derw_free(struct derw *w)
{
	if (w == NULL)
		return;
	buf_fini(&w->out);
	mem_free(w);
}

void
derw_reset(struct derw *w)
{
	buf_reset(&w->out);
	w->depth = 0;
	w->has_failed = false;
}

/* The octets of a DER length; returns how many. */
static size_t
length_octets(size_t len, uint8_t out[LENGTH_MAX])
{
	size_t cnt = 0;

	if (len < 0x80) {
		out[0] = (uint8_t)len;
		return 1;
	}
	for (size_t rest = len; rest > 0; rest >>= 8)
		cnt++;
	out[0] = (uint8_t)(0x80 | cnt);
	for (size_t i = 0; i < cnt; i++)
		out[1 + i] = (uint8_t)(len >> (8 * (cnt - 1 - i)));
	return cnt + 1;
}

static void
put(struct derw *w, struct slice bytes)
{
	if (buf_put(&w->out, bytes) != ERR_OK)
		w->has_failed = true;
}

static void
put_header(struct derw *w, unsigned tag, size_t len)
{
	uint8_t header[1 + LENGTH_MAX];

	if (tag > 0xff || len > UINT32_MAX) {
		w->has_failed = true;
		return;
	}
	header[0] = (uint8_t)tag;
	put(w, slice_of(header, 1 + length_octets(len, header + 1)));
}

void
derw_open(struct derw *w, unsigned tag)
{
	if (w->depth == DERW_DEPTH_MAX)
		w->has_failed = true;
	if (w->has_failed)
		return;
	put_header(w, tag, 0);
	w->open[w->depth++] = buf_len(&w->out);
}

void
derw_close(struct derw *w)
{
	uint8_t octets[LENGTH_MAX];
	uint8_t *room = NULL;
	uint8_t *body;
	size_t cnt;
	size_t len;

	if (w->depth == 0)
		w->has_failed = true;
	if (w->has_failed)
		return;
	len = buf_len(&w->out) - w->open[w->depth - 1];
	if (len > UINT32_MAX) {
		w->has_failed = true;
		return;
	}
	cnt = length_octets(len, octets);
	if (cnt > 1) {
		if (buf_reserve(&w->out, cnt - 1, &room) != ERR_OK) {
			w->has_failed = true;
			return;
		}
		body = room - len;
		memmove(body + cnt - 1, body, len);
		buf_commit(&w->out, cnt - 1);
	} else {
		body = w->out.p + w->out.end - len;
	}
	memcpy(body - 1, octets, cnt);
	w->depth--;
}

void
derw_raw(struct derw *w, struct slice der)
{
	put(w, der);
}

void
derw_element(struct derw *w, unsigned tag, struct slice body)
{
	put_header(w, tag, body.len);
	put(w, body);
}

void
derw_bool(struct derw *w, bool v)
{
	uint8_t octet = v ? 0xff : 0x00;

	derw_element(w, DER_BOOLEAN, slice_of(&octet, 1));
}

void
derw_u64(struct derw *w, uint64_t v)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(v >> (8 * (sizeof(bytes) - 1 - i)));
	derw_uint(w, SLICE_ARRAY(bytes));
}

void
derw_uint(struct derw *w, struct slice bytes)
{
	static const uint8_t zero = 0;

	while (bytes.len > 0 && bytes.p[0] == 0)
		bytes = slice_sub(bytes, 1, bytes.len);
	/* A zero octet keeps the number positive, and stands for 0 itself. */
	if (bytes.len == 0 || (bytes.p[0] & 0x80) != 0) {
		put_header(w, DER_INTEGER, bytes.len + 1);
		put(w, slice_of(&zero, 1));
	} else {
		put_header(w, DER_INTEGER, bytes.len);
	}
	put(w, bytes);
}

void
derw_oid(struct derw *w, struct slice oid_body)
{
	derw_element(w, DER_OID, oid_body);
}

void
derw_bits(struct derw *w, struct slice bytes, unsigned unused_bits)
{
	uint8_t unused = (uint8_t)unused_bits;

	if (unused_bits > 7 || (bytes.len == 0 && unused_bits != 0)) {
		w->has_failed = true;
		return;
	}
	/* DER: the bits that are not used are zero. */
	if (bytes.len > 0 &&
	    (bytes.p[bytes.len - 1] & ((1U << unused_bits) - 1)) != 0) {
		w->has_failed = true;
		return;
	}
	put_header(w, DER_BIT_STRING, bytes.len + 1);
	put(w, slice_of(&unused, 1));
	put(w, bytes);
}

void
derw_time(struct derw *w, struct wall t)
{
	char text[64];
	struct tm tm;
	int year;
	int len;

	/* Years 0000 to 9999; the library refuses others. */
	if (!OPENSSL_posix_to_tm(wall_sec(t), &tm)) {
		w->has_failed = true;
		return;
	}
	year = tm.tm_year + 1900;
	if (year >= 1950 && year < 2050)
		len = snprintf(text, sizeof(text), "%02d", year % 100);
	else
		len = snprintf(text, sizeof(text), "%04d", year);
	len += snprintf(text + len, sizeof(text) - (size_t)len,
			"%02d%02d%02d%02d%02dZ", tm.tm_mon + 1, tm.tm_mday,
			tm.tm_hour, tm.tm_min, tm.tm_sec);
	derw_element(w,
		     year >= 1950 && year < 2050 ? DER_UTC_TIME
						 : DER_GENERALIZED_TIME,
		     slice_of(text, (size_t)len));
}

enum err
derw_finish(struct derw *w, struct slice *out)
{
	*out = SLICE_NONE;
	if (w->depth != 0)
		return ERR_BUG;
	if (w->has_failed)
		return buf_has_failed(&w->out) ? ERR_LIMIT : ERR_BUG;
	*out = buf_get(&w->out);
	return ERR_OK;
}
