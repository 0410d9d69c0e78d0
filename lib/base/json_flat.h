/* json_flat.h - JSON read in place, without a tree and without an allocation:
 * for small documents that come with each request (tokens), where the tree of
 * json.h costs ten times as much.
 *
 * Takes and refuses what json_parse takes and refuses (a fuzz target compares
 * them; a NUL outside of strings is always refused), within narrower bounds:
 * text of 65,535 bytes, 256 values. The text is changed (escapes are resolved
 * where they stand) and must live as long as the values. */
#ifndef BASE_JSON_FLAT_H
#define BASE_JSON_FLAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"

enum {
	JSON_FLAT_VALUES_MAX = 256,
	JSON_FLAT_TEXT_MAX = 65535
};

enum json_flat_type {
	JSON_FLAT_OBJECT,
	JSON_FLAT_ARRAY,
	JSON_FLAT_STRING,
	JSON_FLAT_NUMBER,
	JSON_FLAT_WORD /* true, false, null */
};

/* A value; those inside of it follow it, up to `end`. */
struct json_value {
	uint16_t key_at, key_len; /* in the text; of members of objects */
	uint16_t at, len;         /* string: what is in the quotes */
	uint16_t end;             /* index behind the last value inside */
	uint8_t type;
};

struct json_flat {
	uint8_t *text;
	size_t cnt;
	struct json_value values[JSON_FLAT_VALUES_MAX]; /* the first is all */
};

/* The whole text is one value. ERR_SYNTAX; ERR_LIMIT: deeper than 32 levels,
 * too long, or too many values. why: never quotes the text. */
MUST_USE enum err json_flat_parse(struct buf *text, struct why *why,
				  struct json_flat *out);

/* The getters take and give NULL, as those of json.h do. */
const struct json_value *json_flat_root(const struct json_flat *f);
const struct json_value *json_flat_get(const struct json_flat *f,
				       const struct json_value *obj,
				       const char *key);
/* A path as json_get_path takes it, from the root. */
const struct json_value *json_flat_get_path(const struct json_flat *f,
					    const char *path);
/* The first value inside an array or object, and the one behind v in it. */
const struct json_value *json_flat_first(const struct json_flat *f,
					 const struct json_value *v);
const struct json_value *json_flat_next(const struct json_flat *f,
					const struct json_value *in,
					const struct json_value *v);
bool json_flat_is(const struct json_value *v, enum json_flat_type type);
/* Empty when it is no string. Borrowed; may hold NUL. */
struct slice json_flat_str(const struct json_flat *f,
			   const struct json_value *v);
/* Integers, or reals without a fraction that fit. */
bool json_flat_int(const struct json_flat *f, const struct json_value *v,
		   int64_t *out);

#endif
