/* conf_print.c - the printing half of conf.h: the effective configuration, a
 * commented file to begin with, and the table itself. */
#include "base/conf_int.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

enum {
	CONF_WIDTH = 78,
	CONF_VALUE_MAX = 1 << 20
};

struct conf_printer {
	struct buf *out;
	size_t base;       /* levels that the table itself stands at */
	bool is_commented; /* every line: rows of a table that is an example */
	bool shows_secrets;
};

/* What each key prints as: the sections before it are printed already. */
typedef void conf_print_cb(const struct conf_printer *p,
			   const struct conf_key *k, const void *target,
			   size_t depth);

static void
conf_put_start(const struct conf_printer *p, size_t depth, bool is_commented)
{
	if (is_commented || p->is_commented)
		(void)buf_put_u8(p->out, '#');
	for (size_t i = 0; i < p->base + depth; i++)
		(void)buf_put_str(p->out, "  ");
}

static const char *
conf_get_last_name(const struct conf_key *k)
{
	const char *dot = strrchr(k->name, '.');

	return dot == NULL ? k->name : dot + 1;
}

/* Prints "section:" for each level of the name that the key before it does not
 * share; returns the depth of the key itself. */
static size_t
conf_put_sections(const struct conf_printer *p, const char *before,
		  const char *name)
{
	size_t depth = 0;
	size_t from = 0;

	for (size_t i = 0; name[i] != '\0'; i++) {
		if (name[i] != '.')
			continue;
		if (strncmp(before, name, i + 1) != 0) {
			conf_put_start(p, depth, false);
			(void)buf_put(p->out, slice_of(name + from, i - from));
			(void)buf_put_str(p->out, ":\n");
		}
		from = i + 1;
		depth++;
	}
	return depth;
}

static void
conf_walk(const struct conf_printer *p, const struct conf_key *keys,
	  const void *target, conf_print_cb *print)
{
	const char *before = "";

	for (const struct conf_key *k = keys; k->name != NULL; k++) {
		size_t depth = conf_put_sections(p, before, k->name);

		print(p, k, target, depth);
		before = k->name;
	}
}

/* -- values ------------------------------------------------------------ */

/* The largest unit that divides: "24h", "90m", and duration_parse reads it. */
static void
conf_put_duration(struct buf *out, int64_t ms)
{
	if (ms != 0 && ms % 3600000 == 0)
		(void)buf_printf(out, "%" PRId64 "h", ms / 3600000);
	else if (ms != 0 && ms % 60000 == 0)
		(void)buf_printf(out, "%" PRId64 "m", ms / 60000);
	else if (ms % 1000 == 0)
		(void)buf_printf(out, "%" PRId64 "s", ms / 1000);
	else
		(void)buf_printf(out, "%" PRId64 "ms", ms);
}

static void
conf_put_size(struct buf *out, int64_t v)
{
	static const char units[] = {'k', 'M', 'G'};
	size_t i = 0;

	while (i < sizeof(units) && v != 0 && v % 1024 == 0) {
		v /= 1024;
		i++;
	}
	(void)buf_printf(out, "%" PRId64, v);
	if (i > 0)
		(void)buf_put_u8(out, (uint8_t)units[i - 1]);
}

/* Text in double quotes: JSON's escapes are YAML's too. */
static void
conf_put_quoted(struct buf *out, const char *text)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_str(&w, slice_of_str(text));
}

static void
conf_put_list(struct buf *out, const struct conf_list *list)
{
	(void)buf_put_u8(out, '[');
	for (size_t i = 0; i < list->cnt; i++) {
		if (i > 0)
			(void)buf_put_str(out, ", ");
		conf_put_quoted(out, list->items[i]);
	}
	(void)buf_put_u8(out, ']');
}

static int64_t
conf_get_number(const void *field)
{
	const int64_t *v = field;

	return *v;
}

/* Is there a value that the file could hold? */
static bool
conf_is_set(const struct conf_key *k, const void *field)
{
	if (k->type == CONF_STRING)
		return *(char *const *)field != NULL;
	if (k->type == CONF_LIST)
		return conf_is_within(
			k, (int64_t)((const struct conf_list *)field)->cnt);
	if (k->type == CONF_TABLE)
		return conf_is_within(
			k, (int64_t)((const struct conf_table *)field)->cnt);
	if (k->type == CONF_BOOL || k->type == CONF_ENUM)
		return true;
	return conf_is_within(k, conf_get_number(field));
}

static void
conf_put_value(struct buf *out, const struct conf_key *k, const void *field)
{
	switch (k->type) {
	case CONF_STRING:
		conf_put_quoted(out, *(char *const *)field);
		break;
	case CONF_INT:
		(void)buf_printf(out, "%" PRId64, conf_get_number(field));
		break;
	case CONF_BOOL:
		(void)buf_put_str(out, *(const bool *)field ? "true" : "false");
		break;
	case CONF_DURATION:
		conf_put_duration(out, conf_get_number(field));
		break;
	case CONF_SIZE:
		conf_put_size(out, conf_get_number(field));
		break;
	case CONF_ENUM:
		(void)buf_put_str(out, k->names[*(const int *)field]);
		break;
	case CONF_LIST:
		conf_put_list(out, field);
		break;
	case CONF_TABLE: /* conf_put_rows */
		break;
	}
}

/* -- the effective configuration --------------------------------------- */

static conf_print_cb conf_print_key;

static void
conf_put_rows(const struct conf_printer *p, const struct conf_key *k,
	      const struct conf_table *table, size_t depth)
{
	struct conf_printer sub = *p;

	(void)buf_put_str(p->out, table->cnt == 0 ? " []\n" : "\n");
	sub.base += depth + 2;
	for (size_t i = 0; i < table->cnt; i++) {
		conf_put_start(p, depth + 1, false);
		(void)buf_put_str(p->out, "-\n");
		conf_walk(&sub, k->sub,
			  (const uint8_t *)table->rows + k->sub_size * i,
			  conf_print_key);
	}
}

static void
conf_print_key(const struct conf_printer *p, const struct conf_key *k,
	       const void *target, size_t depth)
{
	const void *field = conf_get_const_field(k, target);

	conf_put_start(p, depth, false);
	if (!conf_is_set(k, field)) {
		(void)buf_printf(p->out, "# %s: not set\n",
				 conf_get_last_name(k));
		return;
	}
	(void)buf_printf(p->out, "%s:", conf_get_last_name(k));
	if (k->type == CONF_TABLE) {
		conf_put_rows(p, k, field, depth);
		return;
	}
	(void)buf_put_u8(p->out, ' ');
	if (k->secret && !p->shows_secrets)
		(void)buf_put_str(p->out, "\"(set)\"");
	else
		conf_put_value(p->out, k, field);
	(void)buf_put_u8(p->out, '\n');
}

enum err
conf_print(const struct conf_key *keys, const void *target, struct buf *out)
{
	struct conf_printer p = {.out = out};

	conf_walk(&p, keys, target, conf_print_key);
	return buf_has_failed(out) ? ERR_LIMIT : ERR_OK;
}

/* -- a file to begin with ---------------------------------------------- */

/* Comment lines of at most CONF_WIDTH columns. */
static void
conf_put_help(const struct conf_printer *p, const char *help, size_t depth)
{
	struct slice rest = slice_trim(slice_of_str(help));
	size_t room = CONF_WIDTH - 3 - 2 * (p->base + depth);

	while (rest.len > 0) {
		size_t len = rest.len;

		if (len > room) {
			for (len = room; len > 0 && rest.p[len] != ' ';)
				len--;
			if (len == 0)
				len = slice_find(rest, ' ');
		}
		conf_put_start(p, depth, false);
		(void)buf_put_str(p->out, "# ");
		(void)buf_put(p->out, slice_sub(rest, 0, len));
		(void)buf_put_u8(p->out, '\n');
		rest = slice_trim(slice_sub(rest, len, rest.len));
	}
}

/* "One of a, b." or "1s to 10m." for a person. */
static void
conf_put_bounds(struct buf *out, const struct conf_key *k)
{
	struct conf_key number = *k;

	if (k->type == CONF_ENUM) {
		(void)buf_put_str(out, "One of ");
		for (size_t i = 0; k->names[i] != NULL; i++)
			(void)buf_printf(out, "%s%s", i == 0 ? "" : ", ",
					 k->names[i]);
		(void)buf_put_str(out, ".");
		return;
	}
	if (k->min == 0 && k->max == 0)
		return;
	if (k->type != CONF_DURATION && k->type != CONF_SIZE)
		number.type = CONF_INT;
	conf_put_value(out, &number, &k->min);
	(void)buf_put_str(out, " to ");
	if (k->max == INT64_MAX)
		(void)buf_put_str(out, "any");
	else
		conf_put_value(out, &number, &k->max);
	if (k->type == CONF_STRING)
		(void)buf_put_str(out, " characters");
	else if (k->type == CONF_LIST || k->type == CONF_TABLE)
		(void)buf_put_str(out, " items");
	(void)buf_put_str(out, ".");
}

static conf_print_cb conf_print_commented_key;

/* An example of one row, all commented. */
static void
conf_put_example_row(const struct conf_printer *p, const struct conf_key *k,
		     size_t depth)
{
	struct conf_printer sub = *p;
	void *row = mem_new(k->sub_size);

	conf_put_start(p, depth, true);
	(void)buf_printf(p->out, "%s:\n", conf_get_last_name(k));
	conf_put_start(p, depth + 1, true);
	(void)buf_put_str(p->out, "-\n");
	sub.base += depth + 2;
	sub.is_commented = true;
	conf_set_defaults(k->sub, row);
	conf_walk(&sub, k->sub, row, conf_print_commented_key);
	conf_free(k->sub, row);
	mem_free(row);
}

static void
conf_print_help(const struct conf_printer *p, const struct conf_key *k,
		size_t depth)
{
	struct buf help;
	char *text;

	buf_init(&help, 4096);
	(void)buf_put_str(&help, k->help == NULL ? "" : k->help);
	if (buf_len(&help) > 0)
		(void)buf_put_u8(&help, ' ');
	conf_put_bounds(&help, k);
	text = buf_dup_str(&help);
	conf_put_help(p, text, depth);
	mem_free(text);
	buf_fini(&help);
}

static void
conf_print_commented_key(const struct conf_printer *p, const struct conf_key *k,
			 const void *target, size_t depth)
{
	const void *field = conf_get_const_field(k, target);

	conf_print_help(p, k, depth);
	if (k->type == CONF_TABLE) {
		conf_put_example_row(p, k, depth);
		return;
	}
	conf_put_start(p, depth, true);
	(void)buf_printf(p->out, "%s:", conf_get_last_name(k));
	if (conf_is_set(k, field)) {
		(void)buf_put_u8(p->out, ' ');
		conf_put_value(p->out, k, field);
	}
	(void)buf_put_u8(p->out, '\n');
}

static bool
conf_is_default(const struct conf_key *k, const void *field,
		const void *default_field)
{
	struct buf is;
	struct buf was;
	bool equal;

	if (k->type == CONF_TABLE)
		return ((const struct conf_table *)field)->cnt == 0;
	if (!conf_is_set(k, field) || !conf_is_set(k, default_field))
		return !conf_is_set(k, field);
	buf_init(&is, CONF_TEXT_MAX);
	buf_init(&was, CONF_TEXT_MAX);
	conf_put_value(&is, k, field);
	conf_put_value(&was, k, default_field);
	equal = slice_is_eq(buf_get(&is), buf_get(&was));
	buf_fini(&is);
	buf_fini(&was);
	return equal;
}

enum err
conf_print_changed(const struct conf_key *keys, const void *target,
		   struct buf *out)
{
	struct conf_printer p = {.out = out, .shows_secrets = true};
	void *defaults = mem_new(conf_get_target_len(keys));
	const char *before = "";

	conf_set_defaults(keys, defaults);
	for (const struct conf_key *k = keys; k->name != NULL; k++) {
		const void *field = conf_get_const_field(k, target);
		size_t depth;

		if (k != keys)
			(void)buf_put_u8(out, '\n');
		depth = conf_put_sections(&p, before, k->name);
		before = k->name;
		if (conf_is_default(k, field,
				    conf_get_const_field(k, defaults))) {
			conf_print_commented_key(&p, k, defaults, depth);
			continue;
		}
		conf_print_help(&p, k, depth);
		conf_print_key(&p, k, target, depth);
	}
	conf_free(keys, defaults);
	mem_free(defaults);
	return buf_has_failed(out) ? ERR_LIMIT : ERR_OK;
}

/* -- the table --------------------------------------------------------- */

static void
conf_print_json(struct jsonw *w, const struct conf_key *keys)
{
	static const char *const types[] = {
		[CONF_STRING] = "string", [CONF_INT] = "int",
		[CONF_BOOL] = "bool",     [CONF_DURATION] = "duration",
		[CONF_SIZE] = "size",     [CONF_ENUM] = "enum",
		[CONF_LIST] = "list",     [CONF_TABLE] = "table",
	};

	jsonw_array_open(w);
	for (const struct conf_key *k = keys; k->name != NULL; k++) {
		jsonw_object_open(w);
		jsonw_pair_str(w, "name", slice_of_str(k->name));
		jsonw_pair_str(w, "type", slice_of_str(types[k->type]));
		if (k->deflt != NULL)
			jsonw_pair_str(w, "default", slice_of_str(k->deflt));
		if (k->min != 0 || k->max != 0) {
			jsonw_pair_int(w, "min", k->min);
			jsonw_pair_int(w, "max", k->max);
		}
		if (k->type == CONF_ENUM) {
			jsonw_key(w, "names");
			jsonw_array_open(w);
			for (size_t i = 0; k->names[i] != NULL; i++)
				jsonw_str(w, slice_of_str(k->names[i]));
			jsonw_array_close(w);
		}
		jsonw_pair_bool(w, "secret", k->secret);
		jsonw_pair_str(w, "help", slice_of_str(k->help));
		if (k->type == CONF_TABLE) {
			jsonw_key(w, "keys");
			conf_print_json(w, k->sub);
		}
		jsonw_object_close(w);
	}
	jsonw_array_close(w);
}

enum err
conf_print_table(const struct conf_key *keys, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	conf_print_json(&w, keys);
	(void)buf_put_u8(out, '\n');
	return buf_has_failed(out) ? ERR_LIMIT : ERR_OK;
}

/* ---- comparing ---------------------------------------------------------- */

static bool
conf_is_same(const struct conf_key *k, const void *a, const void *b)
{
	const struct conf_key one[] = {*k, {.name = NULL}};
	struct buf text_a, text_b;
	struct conf_printer pa = {.out = &text_a, .shows_secrets = true};
	struct conf_printer pb = {.out = &text_b, .shows_secrets = true};
	bool same;

	buf_init_secret(&text_a, CONF_VALUE_MAX);
	buf_init_secret(&text_b, CONF_VALUE_MAX);
	conf_walk(&pa, one, a, conf_print_key);
	conf_walk(&pb, one, b, conf_print_key);
	same = !buf_has_failed(&text_a) && !buf_has_failed(&text_b) &&
	       slice_is_eq(buf_get(&text_a), buf_get(&text_b));
	buf_fini(&text_a);
	buf_fini(&text_b);
	return same;
}

enum err
conf_check_change(const struct conf_key *keys, const void *before,
		  const void *after, bool (*may_change)(const char *name),
		  struct why *why)
{
	struct buf names;
	enum err ret = ERR_OK;

	buf_init(&names, CONF_VALUE_MAX);
	for (const struct conf_key *k = keys; k->name != NULL; k++) {
		if (may_change(k->name) || conf_is_same(k, before, after))
			continue;
		(void)buf_printf(&names, "%s%s",
				 buf_len(&names) > 0 ? ", " : "", k->name);
	}
	if (buf_len(&names) > 0)
		ret = why_set(why, ERR_CONFIG,
			      "%.*s: changed, which needs a restart",
			      SLICE_FMT(buf_get(&names)));
	buf_fini(&names);
	return ret;
}
