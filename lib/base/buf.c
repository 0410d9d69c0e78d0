/* buf.c - see buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"

enum {
	BUF_FIRST = 64
};

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void
buf_init_secret(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max, .secret = true};
}

void
buf_fini(struct buf *b)
{
	if (b->secret && b->p != NULL)
		secret_wipe(b->p, b->cap);
	free(b->p);
	*b = (struct buf){.max = 0};
}

void
buf_reset(struct buf *b)
{
	b->start = b->end = 0;
	b->failed = false;
}

void
buf_release(struct buf *b)
{
	const struct buf empty = {.max = b->max, .secret = b->secret};

	buf_fini(b);
	*b = empty;
}

size_t
buf_len(const struct buf *b)
{
	return b->end - b->start;
}

struct slice
buf_get(const struct buf *b)
{
	return slice_of(b->p == NULL ? NULL : b->p + b->start, buf_len(b));
}

bool
buf_has_failed(const struct buf *b)
{
	return b->failed;
}

static void
buf_move_to_front(struct buf *b)
{
	if (b->start == 0)
		return;
	memmove(b->p, b->p + b->start, buf_len(b));
	b->end -= b->start;
	b->start = 0;
}

static size_t
buf_next_cap(const struct buf *b, size_t need)
{
	size_t cap = b->cap < BUF_FIRST ? BUF_FIRST : b->cap;

	while (cap < need)
		cap *= 2;
	return cap > b->max ? b->max : cap;
}

/* The old storage is wiped, which realloc would not do. */
static uint8_t *
buf_grow_secret(const struct buf *b, size_t cap)
{
	uint8_t *grown = malloc(cap);

	must(grown != NULL);
	if (b->p != NULL) {
		memcpy(grown, b->p, b->end);
		secret_wipe(b->p, b->cap);
		free(b->p);
	}
	return grown;
}

static uint8_t *
buf_grow(const struct buf *b, size_t cap)
{
	uint8_t *grown;

	if (cap == 0)
		cap = 1;
	if (b->secret)
		return buf_grow_secret(b, cap);
	grown = realloc(b->p, cap);
	must(grown != NULL);
	return grown;
}

enum err
buf_reserve(struct buf *b, size_t len, uint8_t **p_out)
{
	size_t used = buf_len(b);

	*p_out = NULL;
	if (len > b->max || used > b->max - len) {
		b->failed = true;
		return ERR_LIMIT;
	}
	if (b->cap - b->end < len || b->p == NULL) {
		if (b->p != NULL)
			buf_move_to_front(b);
		if (b->cap - b->end < len || b->p == NULL) {
			size_t cap = buf_next_cap(b, used + len);

			b->p = buf_grow(b, cap);
			b->cap = cap;
		}
	}
	*p_out = b->p + b->end;
	return ERR_OK;
}

void
buf_commit(struct buf *b, size_t len)
{
	must(len <= b->cap - b->end);
	b->end += len;
}

enum err
buf_put(struct buf *b, struct slice bytes)
{
	uint8_t *p;
	enum err ret = buf_reserve(b, bytes.len, &p);

	if (ret != ERR_OK)
		return ret;
	if (bytes.len > 0)
		memcpy(p, bytes.p, bytes.len);
	b->end += bytes.len;
	return ERR_OK;
}

enum err
buf_put_str(struct buf *b, const char *text)
{
	return buf_put(b, slice_of_str(text));
}

static enum err
buf_put_uint(struct buf *b, uint64_t v, size_t bytes)
{
	uint8_t raw[8];

	for (size_t i = 0; i < bytes; i++)
		raw[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
	return buf_put(b, slice_of(raw, bytes));
}

enum err
buf_put_u8(struct buf *b, uint8_t v)
{
	return buf_put_uint(b, v, sizeof(v));
}

enum err
buf_put_u32(struct buf *b, uint32_t v)
{
	return buf_put_uint(b, v, sizeof(v));
}

enum err
buf_put_u64(struct buf *b, uint64_t v)
{
	return buf_put_uint(b, v, sizeof(v));
}

enum err
buf_put_counted(struct buf *b, struct slice bytes)
{
	uint8_t *p;
	enum err ret;

	if (bytes.len > UINT32_MAX - 4) {
		b->failed = true;
		return ERR_LIMIT;
	}
	/* All or nothing: a length without its bytes would be a lie. */
	if ((ret = buf_reserve(b, bytes.len + 4, &p)) != ERR_OK)
		return ret;
	if ((ret = buf_put_u32(b, (uint32_t)bytes.len)) != ERR_OK)
		return ret;
	return buf_put(b, bytes);
}

enum err
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list args;
	char small[256];
	char *large = NULL;
	int len;
	enum err ret;

	va_start(args, fmt);
	len = vsnprintf(small, sizeof(small), fmt, args);
	va_end(args);
	must(len >= 0);
	if ((size_t)len < sizeof(small))
		return buf_put(b, slice_of(small, (size_t)len));
	va_start(args, fmt);
	len = vasprintf(&large, fmt, args);
	va_end(args);
	must(len >= 0);
	ret = buf_put(b, slice_of(large, (size_t)len));
	free(large);
	return ret;
}

enum err
buf_put_hex(struct buf *b, struct slice bytes)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *p;
	enum err ret;

	if (bytes.len > b->max / 2) {
		b->failed = true;
		return ERR_LIMIT;
	}
	if ((ret = buf_reserve(b, bytes.len * 2, &p)) != ERR_OK)
		return ret;
	for (size_t i = 0; i < bytes.len; i++) {
		p[2 * i] = (uint8_t)digits[bytes.p[i] >> 4];
		p[2 * i + 1] = (uint8_t)digits[bytes.p[i] & 15];
	}
	b->end += bytes.len * 2;
	return ERR_OK;
}

void
buf_consume(struct buf *b, size_t len)
{
	if (len >= buf_len(b))
		b->start = b->end = 0;
	else
		b->start += len;
}

void
buf_truncate(struct buf *b, size_t len)
{
	if (len < buf_len(b))
		b->end = b->start + len;
}

char *
buf_dup_str(const struct buf *b)
{
	return mem_dup_slice_str(buf_get(b));
}
