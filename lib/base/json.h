/* json.h - JSON: reading bounded documents, writing lines. The only door to
 * jansson.
 *
 * Reading: duplicates refused, depth at most 32, the whole text must be one
 * value. A struct json is a value in an owned tree; members are borrowed. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/slice.h"
#include "base/why.h"

struct json;

/* The whole text is one value. *out is owned by the caller. */
MUST_USE enum err json_parse(struct slice text, struct why *why,
			     struct json **out);
void json_free(struct json *root);

/* All getters: NULL, empty or false when absent or of another type. */
const struct json *json_get(const struct json *obj, const char *key);
/* "a.b.c": a path of keys; a key with dots in it may be written 'a.b'.c, in
 * single quotes (kubernetes.io). */
const struct json *json_get_path(const struct json *obj, const char *path);
size_t json_count(const struct json *array_or_object);
const struct json *json_at(const struct json *array, size_t i);
bool json_is_object(const struct json *v);
bool json_is_array(const struct json *v);
bool json_is_string(const struct json *v);
/* Strings may hold NUL; the slice is borrowed while the tree lives. (Not
 * json_string: jansson exports a function of that name.) */
struct slice json_str(const struct json *v);
/* Integers, or reals without a fraction that fit. */
bool json_int(const struct json *v, int64_t *out);
bool json_bool(const struct json *v, bool *out);

/* -- writing: appends to a buf; commas are put by the writer. */
struct jsonw {
	struct buf *out;
	bool need_comma;
};
void jsonw_init(struct jsonw *w, struct buf *out);
void jsonw_object_open(struct jsonw *w);
void jsonw_object_close(struct jsonw *w);
void jsonw_array_open(struct jsonw *w);
void jsonw_array_close(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *key);
/* Bytes that are not UTF-8 are written as U+FFFD. */
void jsonw_str(struct jsonw *w, struct slice s);
void jsonw_int(struct jsonw *w, int64_t v);
void jsonw_bool(struct jsonw *w, bool v);
/* "key": value pairs in one call. */
void jsonw_pair_str(struct jsonw *w, const char *key, struct slice s);
void jsonw_pair_int(struct jsonw *w, const char *key, int64_t v);
void jsonw_pair_bool(struct jsonw *w, const char *key, bool v);
void jsonw_pair_hex(struct jsonw *w, const char *key, struct slice bytes);
/* As wall_format writes it; nothing at all for 0, which is no time. */
void jsonw_pair_time(struct jsonw *w, const char *key, struct wall t);

#endif
