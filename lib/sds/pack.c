/* pack.c - see secrets_int.h. Written by hand, because the bytes hold keys and
 * go straight into secret memory, and because a push must not build a message.
 */
#include <string.h>

#include "sds/secrets_int.h"

static size_t
varint_len(size_t v)
{
	size_t n = 1;

	while (v >= 0x80) {
		v >>= 7;
		n++;
	}
	return n;
}

size_t
pack_len(size_t bytes)
{
	return 1 + varint_len(bytes) + bytes;
}

uint8_t *
pack_head(uint8_t *p, unsigned number, size_t len)
{
	*p++ = (uint8_t)(number << 3 | 2);
	while (len >= 0x80) {
		*p++ = (uint8_t)(len | 0x80);
		len >>= 7;
	}
	*p++ = (uint8_t)len;
	return p;
}

uint8_t *
pack_bytes(uint8_t *p, unsigned number, struct slice bytes)
{
	p = pack_head(p, number, bytes.len);
	if (bytes.len > 0)
		memcpy(p, bytes.p, bytes.len);
	return p + bytes.len;
}
