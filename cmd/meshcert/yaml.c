/* yaml.c - see yaml.h. One pass over the text with a depth, no tree: the input
 * is what our own writer made. */
#include "meshcert/yaml.h"

struct yaml {
	struct slice in;
	struct buf *out;
	bool as_yaml;
};

static void yaml_put_value(struct yaml *y, unsigned depth, bool is_nested);

static bool
yaml_is_next(const struct yaml *y, char c)
{
	return y->in.len > 0 && y->in.p[0] == (uint8_t)c;
}

static void
yaml_skip(struct yaml *y, size_t len)
{
	y->in = slice_sub(y->in, len, y->in.len);
}

static void
yaml_put_line(struct yaml *y, unsigned depth)
{
	(void)buf_printf(y->out, "\n%*s", (int)(2 * depth), "");
}

/* A string with its quotes, a number or a word. */
static struct slice
yaml_take_scalar(struct yaml *y)
{
	bool is_string = yaml_is_next(y, '"');
	size_t n = is_string;
	struct slice found;

	for (; n < y->in.len; n++) {
		uint8_t c = y->in.p[n];

		if (is_string && c == '\\')
			n++;
		else if (is_string && c == '"')
			break;
		else if (!is_string && (c == ',' || c == '}' || c == ']'))
			break;
	}
	n = is_string && n < y->in.len ? n + 1 : n;
	found = slice_sub(y->in, 0, n);
	yaml_skip(y, found.len);
	return found;
}

/* Plain where nothing but letters and underscores are in it. */
static void
yaml_put_key(struct yaml *y, struct slice key)
{
	struct slice body = slice_sub(key, 1, key.len < 2 ? 0 : key.len - 2);

	for (size_t i = 0; i < body.len; i++) {
		uint8_t c = body.p[i];

		if ((c < 'a' || c > 'z') && c != '_')
			body = key;
	}
	(void)buf_put(y->out, y->as_yaml ? body : key);
	(void)buf_put_str(y->out, ":");
}

/* One member or item; in YAML the first of a nested list stands on the line of
 * its dash. */
static void
yaml_put_item(struct yaml *y, unsigned depth, bool is_array, bool on_line)
{
	if (!on_line)
		yaml_put_line(y, depth);
	if (is_array && y->as_yaml)
		(void)buf_put_str(y->out, "- ");
	if (!is_array) {
		yaml_put_key(y, yaml_take_scalar(y));
		yaml_skip(y, 1);
		if (!y->as_yaml ||
		    (!yaml_is_next(y, '{') && !yaml_is_next(y, '[')))
			(void)buf_put_u8(y->out, ' ');
	}
	yaml_put_value(y, depth, is_array);
}

static void
yaml_put_container(struct yaml *y, unsigned depth, bool is_nested)
{
	bool is_array = yaml_is_next(y, '[');
	const char *ends = is_array ? "]" : "}";
	bool on_line = y->as_yaml && is_nested;

	yaml_skip(y, 1);
	if (yaml_is_next(y, ends[0])) {
		yaml_skip(y, 1);
		(void)buf_put_str(y->out, y->as_yaml && !is_nested ? " " : "");
		(void)buf_put_str(y->out, is_array ? "[]" : "{}");
		return;
	}
	if (!y->as_yaml)
		(void)buf_put_u8(y->out, is_array ? '[' : '{');
	while (y->in.len > 0) {
		yaml_put_item(y, depth + 1, is_array, on_line);
		on_line = false;
		if (!yaml_is_next(y, ','))
			break;
		yaml_skip(y, 1);
		if (!y->as_yaml)
			(void)buf_put_u8(y->out, ',');
	}
	yaml_skip(y, 1);
	if (y->as_yaml)
		return;
	yaml_put_line(y, depth);
	(void)buf_put_str(y->out, ends);
}

static void
yaml_put_value(struct yaml *y, unsigned depth, bool is_nested)
{
	if (yaml_is_next(y, '{') || yaml_is_next(y, '['))
		yaml_put_container(y, depth, is_nested);
	else
		(void)buf_put(y->out, yaml_take_scalar(y));
}

/* see yaml.h */
void
yaml_of_json(struct slice json, bool as_yaml, struct buf *out)
{
	struct yaml y = {slice_trim(json), out, as_yaml};
	struct buf body;

	/* The first line of a container begins with a newline. */
	buf_init(&body, out->max);
	y.out = &body;
	yaml_put_value(&y, as_yaml ? (unsigned)-1 : 0, false);
	(void)buf_put(out, slice_trim(buf_get(&body)));
	(void)buf_put_u8(out, '\n');
	buf_fini(&body);
}
