/* slice.c - see slice.h. */
#include "base/slice.h"

#include <string.h>

struct slice
slice_of(const void *p, size_t len)
{
	return (struct slice){p, len};
}

struct slice
slice_of_str(const char *text)
{
	return slice_of(text, text == NULL ? 0 : strlen(text));
}

bool
slice_is_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool
slice_is_str(struct slice a, const char *text)
{
	return slice_is_eq(a, slice_of_str(text));
}

static uint8_t
slice_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool
slice_is_eq_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (slice_lower(a.p[i]) != slice_lower(b.p[i]))
			return false;
	}
	return true;
}

bool
slice_has_prefix(struct slice a, const char *prefix)
{
	return slice_is_str(slice_sub(a, 0, strlen(prefix)), prefix);
}

bool
slice_has_suffix(struct slice a, const char *suffix)
{
	size_t len = strlen(suffix);

	return a.len >= len &&
	       slice_is_str(slice_sub(a, a.len - len, len), suffix);
}

int
slice_cmp(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len == 0 ? 0 : memcmp(a.p, b.p, len);

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

struct slice
slice_sub(struct slice a, size_t from, size_t len)
{
	if (from > a.len)
		from = a.len;
	if (len > a.len - from)
		len = a.len - from;
	return slice_of(a.p == NULL ? NULL : a.p + from, len);
}

size_t
slice_find(struct slice a, uint8_t byte)
{
	const uint8_t *hit = a.len == 0 ? NULL : memchr(a.p, byte, a.len);

	return hit == NULL ? a.len : (size_t)(hit - a.p);
}

static bool
slice_is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice
slice_trim(struct slice a)
{
	while (a.len > 0 && slice_is_space(a.p[0]))
		a = slice_sub(a, 1, a.len);
	while (a.len > 0 && slice_is_space(a.p[a.len - 1]))
		a.len--;
	return a;
}

bool
slice_is_printable(struct slice a)
{
	for (size_t i = 0; i < a.len; i++) {
		if (a.p[i] < 0x20 || a.p[i] > 0x7e)
			return false;
	}
	return true;
}

bool
slice_split(struct slice *s, uint8_t sep, struct slice *head_out)
{
	size_t at = slice_find(*s, sep);

	*head_out = slice_sub(*s, 0, at);
	if (s->len == 0)
		return false;
	*s = slice_sub(*s, at < s->len ? at + 1 : at, s->len);
	return true;
}

enum err
slice_parse_u64(struct slice s, uint64_t *out)
{
	uint64_t value = 0;

	*out = 0;
	if (s.len == 0 || s.len > 20)
		return ERR_SYNTAX;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit = (uint64_t)s.p[i] - '0';

		if (digit > 9)
			return ERR_SYNTAX;
		if (value > (UINT64_MAX - digit) / 10)
			return ERR_LIMIT;
		value = value * 10 + digit;
	}
	*out = value;
	return ERR_OK;
}

static enum err
slice_read_uint(struct slice *s, size_t bytes, uint64_t *out)
{
	uint64_t value = 0;

	*out = 0;
	if (s->len < bytes)
		return ERR_SYNTAX;
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | s->p[i];
	*s = slice_sub(*s, bytes, s->len);
	*out = value;
	return ERR_OK;
}

enum err
slice_read_u8(struct slice *s, uint8_t *out)
{
	uint64_t value;
	enum err ret = slice_read_uint(s, sizeof(*out), &value);

	*out = (uint8_t)value;
	return ret;
}

enum err
slice_read_u16(struct slice *s, uint16_t *out)
{
	uint64_t value;
	enum err ret = slice_read_uint(s, sizeof(*out), &value);

	*out = (uint16_t)value;
	return ret;
}

enum err
slice_read_u32(struct slice *s, uint32_t *out)
{
	uint64_t value;
	enum err ret = slice_read_uint(s, sizeof(*out), &value);

	*out = (uint32_t)value;
	return ret;
}

enum err
slice_read_u64(struct slice *s, uint64_t *out)
{
	return slice_read_uint(s, sizeof(*out), out);
}

enum err
slice_read_bytes(struct slice *s, size_t len, struct slice *out)
{
	*out = SLICE_NONE;
	if (s->len < len)
		return ERR_SYNTAX;
	*out = slice_sub(*s, 0, len);
	*s = slice_sub(*s, len, s->len);
	return ERR_OK;
}

enum err
slice_read_counted(struct slice *s, struct slice *out)
{
	struct slice rest = *s;
	uint32_t len;
	enum err ret;

	*out = SLICE_NONE;
	if ((ret = slice_read_u32(&rest, &len)) != ERR_OK)
		return ret;
	if ((ret = slice_read_bytes(&rest, len, out)) != ERR_OK)
		return ret;
	*s = rest;
	return ERR_OK;
}
