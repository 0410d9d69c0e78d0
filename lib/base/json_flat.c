/* json_flat.c - see json_flat.h. One walk over the text, without recursion:
 * the containers that are open are a stack of at most JSON_DEPTH_MAX. */
#include "base/json_flat.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_int.h"
#include "base/utf8.h"

struct reader {
	struct json_flat *flat;
	size_t at, len;
	const char *problem; /* NULL: none yet */
	uint16_t open[JSON_DEPTH_MAX];
	size_t depth;
	bool is_limit;
};

static bool
fail(struct reader *r, const char *problem)
{
	if (r->problem == NULL)
		r->problem = problem;
	return false;
}

static bool
fail_limit(struct reader *r, const char *problem)
{
	r->is_limit = true;
	return fail(r, problem);
}

/* 0 at the end: no JSON has a NUL outside of strings. */
static uint8_t
peek(const struct reader *r)
{
	return r->at < r->len ? r->flat->text[r->at] : 0;
}

static void
skip_blank(struct reader *r)
{
	while (r->at < r->len) {
		uint8_t c = r->flat->text[r->at];

		if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
			return;
		r->at++;
	}
}

/* -- strings ------------------------------------------------------------- */

static bool
read_hex4(struct reader *r, uint32_t *out)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++, r->at++) {
		uint8_t c = peek(r);

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return fail(r, "a bad escape");
	}
	*out = v;
	return true;
}

static size_t
put_utf8(uint8_t *p, uint32_t cp)
{
	if (cp < 0x80) {
		p[0] = (uint8_t)cp;
		return 1;
	}
	if (cp < 0x800) {
		p[0] = (uint8_t)(0xc0 | cp >> 6);
		p[1] = (uint8_t)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		p[0] = (uint8_t)(0xe0 | cp >> 12);
		p[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
		p[2] = (uint8_t)(0x80 | (cp & 0x3f));
		return 3;
	}
	p[0] = (uint8_t)(0xf0 | cp >> 18);
	p[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
	p[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
	p[3] = (uint8_t)(0x80 | (cp & 0x3f));
	return 4;
}

/* Behind "\u". Halves of a pair come together or not at all. */
static bool
read_code_point(struct reader *r, uint32_t *out)
{
	uint32_t low;

	if (!read_hex4(r, out))
		return false;
	if (*out < 0xd800 || *out > 0xdfff)
		return true;
	if (*out > 0xdbff || r->len - r->at < 6 ||
	    r->flat->text[r->at] != '\\' || r->flat->text[r->at + 1] != 'u')
		return fail(r, "half a surrogate pair");
	r->at += 2;
	if (!read_hex4(r, &low))
		return false;
	if (low < 0xdc00 || low > 0xdfff)
		return fail(r, "half a surrogate pair");
	*out = 0x10000 + ((*out - 0xd800) << 10 | (low - 0xdc00));
	return true;
}

/* Behind the backslash; what it means goes to text[*to], never further than
 * the escape itself reached. */
static bool
read_escape(struct reader *r, size_t *to)
{
	static const char from[] = "\"\\/bfnrt";
	static const char into[] = "\"\\/\b\f\n\r\t";
	uint8_t c = peek(r);
	const char *known = c == 0 ? NULL : strchr(from, c);
	uint32_t cp;

	r->at++;
	if (known != NULL) {
		r->flat->text[(*to)++] = (uint8_t)into[known - from];
		return true;
	}
	if (c != 'u')
		return fail(r, "a bad escape");
	if (!read_code_point(r, &cp))
		return false;
	*to += put_utf8(&r->flat->text[*to], cp);
	return true;
}

static bool
copy_character(struct reader *r, size_t *to)
{
	uint8_t *text = r->flat->text;
	uint32_t cp;
	size_t n = utf8_get(slice_of(text + r->at, r->len - r->at), &cp);

	if (n == 0)
		return fail(r, "bytes that are not UTF-8");
	memmove(text + *to, text + r->at, n);
	*to += n;
	r->at += n;
	return true;
}

/* At the opening quote. */
static bool
read_string(struct reader *r, uint16_t *at_out, uint16_t *len_out)
{
	uint8_t *text = r->flat->text;
	size_t start = ++r->at;
	size_t to = start;

	for (;;) {
		uint8_t c = peek(r);

		if (c == '"')
			break;
		if (c < 0x20)
			return fail(r, r->at < r->len
					       ? "a control character in a "
						 "string"
					       : "a string without end");
		if (c == '\\') {
			r->at++;
			if (!read_escape(r, &to))
				return false;
		} else if (c < 0x80) {
			text[to++] = c;
			r->at++;
		} else if (!copy_character(r, &to)) {
			return false;
		}
	}
	r->at++;
	*at_out = (uint16_t)start;
	*len_out = (uint16_t)(to - start);
	return true;
}

/* -- numbers and words --------------------------------------------------- */

static bool
skip_digits(struct reader *r)
{
	size_t start = r->at;

	while (peek(r) >= '0' && peek(r) <= '9')
		r->at++;
	return r->at > start ? true : fail(r, "a number without digits");
}

/* What is no number for us (too large) is refused, as json_parse does. The
 * text has a NUL behind its end. */
static bool
check_number(struct reader *r, const char *text, bool is_real)
{
	double real;

	errno = 0;
	if (!is_real) {
		(void)strtoll(text, NULL, 10);
		return errno == 0 ? true : fail(r, "an integer too large");
	}
	real = strtod(text, NULL);
	return isfinite(real) ? true : fail(r, "a real number too large");
}

static bool
read_number(struct reader *r, struct json_value *v)
{
	size_t start = r->at;
	bool is_real = false;

	if (peek(r) == '-')
		r->at++;
	if (peek(r) == '0')
		r->at++;
	else if (!skip_digits(r))
		return false;
	if (peek(r) == '.') {
		is_real = true;
		r->at++;
		if (!skip_digits(r))
			return false;
	}
	if ((peek(r) | 0x20) == 'e') {
		is_real = true;
		r->at++;
		if (peek(r) == '+' || peek(r) == '-')
			r->at++;
		if (!skip_digits(r))
			return false;
	}
	v->type = JSON_FLAT_NUMBER;
	v->at = (uint16_t)start;
	v->len = (uint16_t)(r->at - start);
	/* Eighteen digits always fit. */
	if (!is_real && v->len <= 18)
		return true;
	return check_number(r, (const char *)r->flat->text + start, is_real);
}

static bool
read_word(struct reader *r, struct json_value *v)
{
	static const char *const words[] = {"true", "false", "null"};
	const struct slice rest =
		slice_of(r->flat->text + r->at, r->len - r->at);

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (!slice_has_prefix(rest, words[i]))
			continue;
		v->type = JSON_FLAT_WORD;
		v->at = (uint16_t)r->at;
		v->len = (uint16_t)strlen(words[i]);
		r->at += v->len;
		return true;
	}
	return fail(r, "no value where one must be");
}

/* -- structure ----------------------------------------------------------- */

static struct json_value *
value_new(struct reader *r)
{
	struct json_flat *f = r->flat;

	if (f->cnt == JSON_FLAT_VALUES_MAX) {
		(void)fail_limit(r, "more than 256 values");
		return NULL;
	}
	f->values[f->cnt] = (struct json_value){.end = (uint16_t)(f->cnt + 1)};
	return &f->values[f->cnt++];
}

static struct slice
key_of(const struct json_flat *f, const struct json_value *v)
{
	return slice_of(f->text + v->key_at, v->key_len);
}

/* The last value of an object has a name of its own. */
static bool
check_key(struct reader *r, const struct json_value *obj,
	  const struct json_value *fresh)
{
	const struct json_flat *f = r->flat;
	const struct slice key = key_of(f, fresh);

	if (slice_find(key, 0) != key.len)
		return fail(r, "a NUL in a name");
	for (const struct json_value *v = obj + 1; v < fresh;
	     v = &f->values[v->end]) {
		if (slice_is_eq(key_of(f, v), key))
			return fail(r, "a name twice in one object");
	}
	return true;
}

static bool
read_key(struct reader *r, const struct json_value *obj, struct json_value *v)
{
	if (peek(r) != '"')
		return fail(r, "no name where one must be");
	if (!read_string(r, &v->key_at, &v->key_len) || !check_key(r, obj, v))
		return false;
	skip_blank(r);
	if (peek(r) != ':')
		return fail(r, "no colon behind a name");
	r->at++;
	skip_blank(r);
	return true;
}

/* At a bracket. An empty container is whole at once. */
static bool
open_container(struct reader *r, struct json_value *v)
{
	const uint8_t opening = peek(r);

	if (r->depth == JSON_DEPTH_MAX)
		return fail_limit(r, "deeper than 32 levels");
	v->type = opening == '{' ? JSON_FLAT_OBJECT : JSON_FLAT_ARRAY;
	v->at = (uint16_t)r->at++;
	skip_blank(r);
	if (peek(r) == (opening == '{' ? '}' : ']'))
		r->at++;
	else
		r->open[r->depth++] = (uint16_t)(v - r->flat->values);
	return true;
}

static bool
read_value(struct reader *r)
{
	const struct json_value *in =
		r->depth == 0 ? NULL : &r->flat->values[r->open[r->depth - 1]];
	struct json_value *v = value_new(r);
	uint8_t c;

	if (v == NULL)
		return false;
	if (in != NULL && in->type == JSON_FLAT_OBJECT && !read_key(r, in, v))
		return false;
	c = peek(r);
	if (c == '{' || c == '[')
		return open_container(r, v);
	if (c == '"') {
		v->type = JSON_FLAT_STRING;
		return read_string(r, &v->at, &v->len);
	}
	if (c == '-' || (c >= '0' && c <= '9'))
		return read_number(r, v);
	return read_word(r, v);
}

/* Behind a value: the containers that end here. */
static bool
close_containers(struct reader *r)
{
	while (r->depth > 0) {
		struct json_value *in = &r->flat->values[r->open[r->depth - 1]];
		const uint8_t closing =
			in->type == JSON_FLAT_OBJECT ? '}' : ']';

		skip_blank(r);
		if (peek(r) == ',') {
			r->at++;
			skip_blank(r);
			return true;
		}
		if (peek(r) != closing)
			return fail(r, "neither comma nor closing bracket");
		r->at++;
		in->end = (uint16_t)r->flat->cnt;
		r->depth--;
	}
	return true;
}

static bool
read_all(struct reader *r)
{
	size_t depth;

	skip_blank(r);
	do {
		depth = r->depth;
		if (!read_value(r))
			return false;
		/* A container that was just opened goes on with a value. */
		if (r->depth == depth && !close_containers(r))
			return false;
	} while (r->depth > 0);
	skip_blank(r);
	return r->at == r->len ? true : fail(r, "more behind the value");
}

enum err
json_flat_parse(struct buf *text, struct why *why, struct json_flat *out)
{
	struct reader r = {.flat = out, .len = buf_len(text)};

	out->cnt = 0;
	if (r.len > JSON_FLAT_TEXT_MAX)
		return why_set(why, ERR_LIMIT,
			       "JSON: %zu bytes, at most %d are taken", r.len,
			       JSON_FLAT_TEXT_MAX);
	/* Numbers at the very end are read up to this NUL. */
	if (buf_put_u8(text, 0) != ERR_OK)
		return why_set(why, ERR_LIMIT, "JSON: no room for its end");
	buf_truncate(text, r.len);
	out->text = text->p + text->start;
	if (read_all(&r))
		return ERR_OK;
	out->cnt = 0;
	return why_set(why, r.is_limit ? ERR_LIMIT : ERR_SYNTAX,
		       "JSON: byte %zu: %s", r.at, r.problem);
}

/* -- getters ------------------------------------------------------------- */

const struct json_value *
json_flat_root(const struct json_flat *f)
{
	return f->cnt == 0 ? NULL : &f->values[0];
}

const struct json_value *
json_flat_first(const struct json_flat *f, const struct json_value *v)
{
	return v == NULL || &f->values[v->end] == v + 1 ? NULL : v + 1;
}

const struct json_value *
json_flat_next(const struct json_flat *f, const struct json_value *in,
	       const struct json_value *v)
{
	return v->end == in->end ? NULL : &f->values[v->end];
}

static const struct json_value *
get_slice(const struct json_flat *f, const struct json_value *obj,
	  struct slice key)
{
	if (!json_flat_is(obj, JSON_FLAT_OBJECT))
		return NULL;
	for (const struct json_value *v = json_flat_first(f, obj); v != NULL;
	     v = json_flat_next(f, obj, v)) {
		if (slice_is_eq(key_of(f, v), key))
			return v;
	}
	return NULL;
}

const struct json_value *
json_flat_get(const struct json_flat *f, const struct json_value *obj,
	      const char *key)
{
	return get_slice(f, obj, slice_of_str(key));
}

const struct json_value *
json_flat_get_path(const struct json_flat *f, const char *path)
{
	struct slice rest = slice_of_str(path);
	const struct json_value *v = json_flat_root(f);

	if (rest.len == 0)
		return NULL;
	while (v != NULL && rest.len > 0) {
		struct slice step;

		if (!json_path_step(&rest, &step))
			return NULL;
		v = get_slice(f, v, step);
	}
	return v;
}

bool
json_flat_is(const struct json_value *v, enum json_flat_type type)
{
	return v != NULL && v->type == type;
}

struct slice
json_flat_str(const struct json_flat *f, const struct json_value *v)
{
	return json_flat_is(v, JSON_FLAT_STRING)
		       ? slice_of(f->text + v->at, v->len)
		       : SLICE_NONE;
}

bool
json_flat_int(const struct json_flat *f, const struct json_value *v,
	      int64_t *out)
{
	const char *text;
	char *end;

	*out = 0;
	if (!json_flat_is(v, JSON_FLAT_NUMBER))
		return false;
	text = (const char *)f->text + v->at;
	*out = strtoll(text, &end, 10);
	if (end == text + v->len)
		return true;
	*out = 0;
	return json_real_to_int(strtod(text, NULL), out);
}
