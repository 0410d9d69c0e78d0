/* der.h - reading and writing DER (X.690) with bounds checked by the library.
 *
 * Reading: a slice is the cursor. Each der_read_* takes one element off the
 * front or fails with ERR_SYNTAX and takes nothing. Only definite, minimal
 * lengths are accepted. Writing: a struct derw collects nested elements. */
#ifndef CRYPTO_DER_H
#define CRYPTO_DER_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/slice.h"

/* Tags: the identifier octet, for low tag numbers. */
enum {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_NULL = 0x05,
	DER_OID = 0x06,
	DER_ENUMERATED = 0x0a,
	DER_UTF8_STRING = 0x0c,
	DER_PRINTABLE_STRING = 0x13,
	DER_IA5_STRING = 0x16,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31
};
#define DER_CONTEXT(n) (0x80 | (n))      /* primitive  [n] */
#define DER_CONTEXT_CONS(n) (0xa0 | (n)) /* constructed [n] */

/* Contents of the next element, which must have this tag. */
MUST_USE enum err der_read(struct slice *in, unsigned tag, struct slice *body);
/* The next element whole, with tag and length. tag_out may be NULL. */
MUST_USE enum err der_read_element(struct slice *in, unsigned *tag_out,
				   struct slice *element);
/* Any next element: tag and contents. */
MUST_USE enum err der_read_any(struct slice *in, unsigned *tag_out,
			       struct slice *body);
bool der_has_tag(struct slice in, unsigned tag);
MUST_USE enum err der_read_bool(struct slice *in, bool *out);
/* INTEGER that fits; negative or too large: ERR_SYNTAX. */
MUST_USE enum err der_read_u64(struct slice *in, uint64_t *out);
/* BIT STRING with no unused bits. */
MUST_USE enum err der_read_bits(struct slice *in, struct slice *out);
/* UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 allows them. */
MUST_USE enum err der_read_time(struct slice *in, struct wall *out);

/* OID contents (without tag and length) as dotted text. */
enum {
	DER_OID_TEXT_MAX = 128
};
void der_oid_format(struct slice oid, char out[DER_OID_TEXT_MAX]);

struct derw;
/* max: most bytes it may hold. Reusable by derw_reset. */
struct derw *derw_new(size_t max);
void derw_free(struct derw *w);
void derw_reset(struct derw *w);
/* Errors stick; derw_finish tells. Nesting at most 16 deep. */
void derw_open(struct derw *w, unsigned tag);
void derw_close(struct derw *w);
void derw_raw(struct derw *w, struct slice der); /* ready-made elements */
void derw_element(struct derw *w, unsigned tag, struct slice body);
void derw_bool(struct derw *w, bool v);
void derw_u64(struct derw *w, uint64_t v);
/* Unsigned big-endian bytes as a positive INTEGER. */
void derw_uint(struct derw *w, struct slice bytes);
void derw_oid(struct derw *w, struct slice oid_body);
void derw_bits(struct derw *w, struct slice bytes, unsigned unused_bits);
/* UTCTime before 2050, GeneralizedTime from then on. Seconds. */
void derw_time(struct derw *w, struct wall t);
/* Borrowed until the next call on w. */
MUST_USE enum err derw_finish(struct derw *w, struct slice *out);

#endif
