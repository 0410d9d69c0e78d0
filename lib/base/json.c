/* json.c - see json.h. Reading is jansson with our bounds around it; a struct
 * json is its json_t under a name of ours. */
#include "base/json.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "base/json_int.h"
#include "base/mem.h"

/* Macros of jansson with the names of our functions. */
#undef json_is_object
#undef json_is_array
#undef json_is_string

static const json_t *
json_get_node(const struct json *v)
{
	return (const json_t *)v;
}

static const struct json *
json_of_node(const json_t *node)
{
	return (const struct json *)node;
}

/* jansson itself would recurse 2048 deep. Counting brackets outside strings is
 * exact for good JSON; whatever else is malformed, jansson refuses. */
static bool
json_is_too_deep(struct slice text)
{
	bool in_string = false;
	unsigned depth = 0;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.p[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '{' || c == '['))
			depth++;
		else if (!in_string && (c == '}' || c == ']') && depth > 0)
			depth--;
		if (depth > JSON_DEPTH_MAX)
			return true;
	}
	return false;
}

/* jansson's text quotes the input ("... near 'x'"): the input may be a token,
 * so that only the part before it is kept. */
static enum err
json_fail(struct why *why, json_error_t *error)
{
	char *near = strstr(error->text, " near ");

	if (near != NULL)
		*near = '\0';
	return why_set(why, ERR_SYNTAX, "JSON: line %d column %d: %s",
		       error->line, error->column, error->text);
}

enum err
json_parse(struct slice text, struct why *why, struct json **out)
{
	json_error_t error;
	json_t *root;

	*out = NULL;
	if (json_is_too_deep(text))
		return why_set(why, ERR_LIMIT,
			       "JSON: nested deeper than %d levels",
			       JSON_DEPTH_MAX);
	/* jansson tells a shortage of memory and bad input apart in some places
	 * only: what is good must not be refused, and a caller not be blamed.
	 */
	json_set_alloc_funcs(mem_new, mem_free);
	root = json_loadb(text.len == 0 ? "" : (const char *)text.p, text.len,
			  JSON_REJECT_DUPLICATES | JSON_DECODE_ANY |
				  JSON_ALLOW_NUL,
			  &error);
	if (root == NULL)
		return json_fail(why, &error);
	*out = (struct json *)root;
	return ERR_OK;
}

void
json_free(struct json *root)
{
	json_decref((json_t *)root);
}

static const struct json *
json_get_slice(const struct json *obj, struct slice key)
{
	const json_t *node = json_get_node(obj);

	if (key.p == NULL)
		key = SLICE_LIT("");
	return json_of_node(
		json_object_getn(node, (const char *)key.p, key.len));
}

const struct json *
json_get(const struct json *obj, const char *key)
{
	return json_get_slice(obj, slice_of_str(key));
}

/* see json_int.h */
bool
json_path_step(struct slice *path, struct slice *step_out)
{
	size_t end;

	if (path->len == 0 || path->p[0] != '\'') {
		(void)slice_split(path, '.', step_out);
		return true;
	}
	*path = slice_sub(*path, 1, path->len);
	end = slice_find(*path, '\'');
	if (end == path->len)
		return false;
	*step_out = slice_sub(*path, 0, end);
	*path = slice_sub(*path, end + 1, path->len);
	if (path->len == 0)
		return true;
	if (path->p[0] != '.')
		return false;
	*path = slice_sub(*path, 1, path->len);
	return true;
}

const struct json *
json_get_path(const struct json *obj, const char *path)
{
	struct slice rest = slice_of_str(path);
	const struct json *v = obj;

	if (rest.len == 0)
		return NULL;
	while (v != NULL && rest.len > 0) {
		struct slice step;

		if (!json_path_step(&rest, &step))
			return NULL;
		v = json_get_slice(v, step);
	}
	return v;
}

size_t
json_count(const struct json *array_or_object)
{
	const json_t *node = json_get_node(array_or_object);

	/* Each of them is 0 for the other type. */
	return json_array_size(node) + json_object_size(node);
}

const struct json *
json_at(const struct json *array, size_t i)
{
	return json_of_node(json_array_get(json_get_node(array), i));
}

static bool
json_has_type(const struct json *v, json_type type)
{
	return v != NULL && json_typeof(json_get_node(v)) == type;
}

bool
json_is_object(const struct json *v)
{
	return json_has_type(v, JSON_OBJECT);
}

bool
json_is_array(const struct json *v)
{
	return json_has_type(v, JSON_ARRAY);
}

bool
json_is_string(const struct json *v)
{
	return json_has_type(v, JSON_STRING);
}

struct slice
json_str(const struct json *v)
{
	const json_t *node = json_get_node(v);

	/* Both give nothing for other types. */
	return slice_of(json_string_value(node), json_string_length(node));
}

/* see json_int.h */
bool
json_real_to_int(double real, int64_t *out)
{
	if (!(real >= -0x1p63 && real < 0x1p63) || trunc(real) < real ||
	    trunc(real) > real)
		return false;
	*out = (int64_t)real;
	return true;
}

bool
json_int(const struct json *v, int64_t *out)
{
	*out = 0;
	if (json_has_type(v, JSON_INTEGER)) {
		*out = json_integer_value(json_get_node(v));
		return true;
	}
	return json_has_type(v, JSON_REAL) &&
	       json_real_to_int(json_real_value(json_get_node(v)), out);
}

bool
json_bool(const struct json *v, bool *out)
{
	*out = json_has_type(v, JSON_TRUE);
	return *out || json_has_type(v, JSON_FALSE);
}
