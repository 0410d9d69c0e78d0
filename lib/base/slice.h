/* slice.h - borrowed bytes, and a cursor to read them.
 *
 * A slice never owns; it lives as long as what it points into. An empty slice
 * may have a NULL pointer. Text that comes from outside stays a slice; char *
 * is for text that a person wrote or reads.
 *
 * The slice_read_* functions consume from the front: the slice itself is the
 * cursor. On failure nothing is consumed. The last line of a parser checks
 * that the slice is empty. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct slice {
	const uint8_t *p;
	size_t len;
};

/* For printf: "%.*s", SLICE_FMT(s). Only for text known to be printable. */
#define SLICE_FMT(s) (int)(s).len, (const char *)(s).p

#define SLICE_NONE ((struct slice){NULL, 0})
/* A string literal as a slice, without its NUL. */
#define SLICE_LIT(text) \
	((struct slice){(const uint8_t *)(text), sizeof(text) - 1})
/* An array as a slice. */
#define SLICE_ARRAY(a) ((struct slice){(a), sizeof(a)})

struct slice slice_of(const void *p, size_t len);
/* text may be NULL: an empty slice. */
struct slice slice_of_str(const char *text);

bool slice_is_eq(struct slice a, struct slice b);
bool slice_is_str(struct slice a, const char *text);
bool slice_is_eq_nocase(struct slice a, struct slice b); /* ASCII */
bool slice_has_prefix(struct slice a, const char *prefix);
bool slice_has_suffix(struct slice a, const char *suffix);
/* memcmp order, shorter first. */
int slice_cmp(struct slice a, struct slice b);
/* The part from `from` on, at most `len` bytes; bounds are cut, never passed.
 */
struct slice slice_sub(struct slice a, size_t from, size_t len);
/* First position of the byte, or a.len. */
size_t slice_find(struct slice a, uint8_t byte);
/* Spaces, tabs, CR and LF off both ends. */
struct slice slice_trim(struct slice a);
/* All bytes are printable ASCII (0x20..0x7e). */
bool slice_is_printable(struct slice a);

/* Splits at the first `sep`: *head_out is what is before it, *s goes on after
 * it. Without `sep`, head is everything and *s is empty. Returns false when *s
 * was empty already. */
bool slice_split(struct slice *s, uint8_t sep, struct slice *head_out);

/* Unsigned decimal number, whole slice, no sign, no spaces. */
MUST_USE enum err slice_parse_u64(struct slice s, uint64_t *out);

/* Cursor: big-endian integers and counted bytes, ERR_SYNTAX when too short. */
MUST_USE enum err slice_read_u8(struct slice *s, uint8_t *out);
MUST_USE enum err slice_read_u16(struct slice *s, uint16_t *out);
MUST_USE enum err slice_read_u32(struct slice *s, uint32_t *out);
MUST_USE enum err slice_read_u64(struct slice *s, uint64_t *out);
MUST_USE enum err slice_read_bytes(struct slice *s, size_t len,
				   struct slice *out);
/* Bytes behind a 32-bit length, as buf_put_counted writes them. */
MUST_USE enum err slice_read_counted(struct slice *s, struct slice *out);

#endif
