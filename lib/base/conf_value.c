/* conf_value.c - one value of the configuration: text to field, by its row of
 * the table, and the messages where it is refused. */
#include "base/conf_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum err
conf_fail(const struct conf_where *w, const char *fmt, ...)
{
	char text[WHY_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (w->file == NULL)
		return why_set(w->why, ERR_CONFIG, "%s: %s", w->key, text);
	return why_set(w->why, ERR_CONFIG, "%s:%u: %s: %s", w->file, w->line,
		       w->key, text);
}

/* "found X" with the value, or without where it is a secret. */
static enum err
conf_fail_found(const struct conf_where *w, const char *value,
		const char *allowed)
{
	if (w->is_secret)
		return conf_fail(w, "the value (hidden) is not %s", allowed);
	return conf_fail(w, "found \"%.80s\", allowed is %s", value, allowed);
}

void *
conf_get_field(const struct conf_key *k, void *target)
{
	return (uint8_t *)target + k->offset;
}

const void *
conf_get_const_field(const struct conf_key *k, const void *target)
{
	return (const uint8_t *)target + k->offset;
}

static size_t
conf_get_type_len(enum conf_type type)
{
	switch (type) {
	case CONF_STRING:
		return sizeof(char *);
	case CONF_BOOL:
		return sizeof(bool);
	case CONF_ENUM:
		return sizeof(int);
	case CONF_LIST:
		return sizeof(struct conf_list);
	case CONF_TABLE:
		return sizeof(struct conf_table);
	case CONF_INT:
	case CONF_DURATION:
	case CONF_SIZE:
		break;
	}
	return sizeof(int64_t);
}

size_t
conf_get_target_len(const struct conf_key *keys)
{
	size_t len = 0;

	for (const struct conf_key *k = keys; k->name != NULL; k++) {
		size_t end = k->offset + conf_get_type_len(k->type);

		len = end > len ? end : len;
	}
	return len;
}

bool
conf_is_within(const struct conf_key *k, int64_t v)
{
	if (k->min == 0 && k->max == 0)
		return true;
	return v >= k->min && v <= k->max;
}

static enum err
conf_read_int(struct slice text, int64_t *out)
{
	bool is_negative = text.len > 0 && text.p[0] == '-';
	uint64_t v;

	*out = 0;
	if (slice_parse_u64(slice_sub(text, is_negative, text.len), &v) !=
		    ERR_OK ||
	    v > INT64_MAX)
		return ERR_CONFIG;
	*out = is_negative ? -(int64_t)v : (int64_t)v;
	return ERR_OK;
}

static enum err
conf_read_size(struct slice text, int64_t *out)
{
	static const char units[] = "kMGT";
	const char *unit = NULL;
	uint64_t v;
	unsigned shift = 0;

	*out = 0;
	if (text.len > 0 && text.p[text.len - 1] != '\0')
		unit = strchr(units, text.p[text.len - 1]);
	if (unit != NULL) {
		shift = 10 * (unsigned)(unit - units + 1);
		text.len--;
	}
	if (slice_parse_u64(text, &v) != ERR_OK ||
	    v > (uint64_t)INT64_MAX >> shift)
		return ERR_CONFIG;
	*out = (int64_t)(v << shift);
	return ERR_OK;
}

static enum err
conf_put_number(const struct conf_key *k, int64_t *field, const char *value,
		const struct conf_where *w)
{
	struct slice text = slice_of_str(value);
	char allowed[160];
	char min[DURATION_TEXT_MAX];
	char max[DURATION_TEXT_MAX];
	int64_t v;
	enum err ret;

	if (k->type == CONF_DURATION) {
		if (duration_parse(text, &v) != ERR_OK)
			return conf_fail_found(
				w, value, "a duration like 90m, 24h or 30s");
		duration_format(k->min, min);
		duration_format(k->max, max);
	} else {
		ret = k->type == CONF_SIZE ? conf_read_size(text, &v)
					   : conf_read_int(text, &v);
		if (ret != ERR_OK)
			return conf_fail_found(w, value,
					       k->type == CONF_SIZE
						       ? "a size like 64k or 1M"
						       : "a whole number");
		(void)snprintf(min, sizeof(min), "%" PRId64, k->min);
		(void)snprintf(max, sizeof(max), "%" PRId64, k->max);
	}
	if (!conf_is_within(k, v)) {
		(void)snprintf(allowed, sizeof(allowed), "%s to %s", min, max);
		return conf_fail_found(w, value, allowed);
	}
	*field = v;
	return ERR_OK;
}

static enum err
conf_put_string(const struct conf_key *k, char **field, const char *value,
		const struct conf_where *w)
{
	size_t len = strlen(value);

	if (!conf_is_within(k, (int64_t)len))
		return conf_fail(w,
				 "found %zu characters, allowed is %" PRId64
				 " to %" PRId64,
				 len, k->min, k->max);
	mem_free(*field);
	*field = len == 0 ? NULL : mem_dup_str(value);
	return ERR_OK;
}

static enum err
conf_put_bool(bool *field, const char *value, const struct conf_where *w)
{
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return conf_fail_found(w, value, "true or false");
	*field = value[0] == 't';
	return ERR_OK;
}

static enum err
conf_put_enum(const struct conf_key *k, int *field, const char *value,
	      const struct conf_where *w)
{
	struct buf names;
	char *allowed;
	enum err ret;

	for (int i = 0; k->names[i] != NULL; i++) {
		if (strcmp(value, k->names[i]) == 0) {
			*field = i;
			return ERR_OK;
		}
	}
	buf_init(&names, WHY_MAX);
	for (size_t i = 0; k->names[i] != NULL; i++)
		(void)buf_printf(&names, "%s%s", i == 0 ? "" : " | ",
				 k->names[i]);
	allowed = buf_dup_str(&names);
	ret = conf_fail_found(w, value, allowed);
	mem_free(allowed);
	buf_fini(&names);
	return ret;
}

void
conf_list_free(struct conf_list *list)
{
	for (size_t i = 0; i < list->cnt; i++)
		mem_free(list->items[i]);
	mem_free(list->items);
	*list = (struct conf_list){NULL, 0};
}

void
conf_list_add(struct conf_list *list, struct slice item)
{
	list->items = mem_grow_array(list->items,
				     list->items == NULL ? 0 : list->cnt + 1,
				     list->cnt + 2, sizeof(char *));
	list->items[list->cnt++] = mem_dup_slice_str(item);
}

enum err
conf_list_give(const struct conf_key *k, struct conf_list *field,
	       struct conf_list *fresh, const struct conf_where *w)
{
	if (!conf_is_within(k, (int64_t)fresh->cnt)) {
		size_t cnt = fresh->cnt;

		conf_list_free(fresh);
		return conf_fail(w,
				 "found %zu items, allowed is %" PRId64
				 " to %" PRId64,
				 cnt, k->min, k->max);
	}
	if (fresh->items == NULL)
		fresh->items = MEM_NEW_ARRAY(char *, 1);
	conf_list_free(field);
	*field = *fresh;
	return ERR_OK;
}

static struct slice
conf_unquote(struct slice item)
{
	bool is_quoted = item.len >= 2 && item.p[0] == '"' &&
			 item.p[item.len - 1] == '"';

	return is_quoted ? slice_sub(item, 1, item.len - 2) : item;
}

/* "a, b" or "[a, b]", as a default or an environment variable has it. */
static enum err
conf_put_list_text(const struct conf_key *k, struct conf_list *field,
		   const char *value, const struct conf_where *w)
{
	struct slice rest = slice_trim(slice_of_str(value));
	struct conf_list fresh = {NULL, 0};
	struct slice item;

	if (slice_has_prefix(rest, "[") && slice_has_suffix(rest, "]"))
		rest = slice_trim(slice_sub(rest, 1, rest.len - 2));
	while (slice_split(&rest, ',', &item))
		conf_list_add(&fresh, conf_unquote(slice_trim(item)));
	return conf_list_give(k, field, &fresh, w);
}

enum err
conf_put_text(const struct conf_key *k, void *field, const char *value,
	      const struct conf_where *w)
{
	switch (k->type) {
	case CONF_STRING:
		return conf_put_string(k, field, value, w);
	case CONF_BOOL:
		return conf_put_bool(field, value, w);
	case CONF_ENUM:
		return conf_put_enum(k, field, value, w);
	case CONF_LIST:
		return conf_put_list_text(k, field, value, w);
	case CONF_INT:
	case CONF_DURATION:
	case CONF_SIZE:
		return conf_put_number(k, field, value, w);
	case CONF_TABLE:
		break;
	}
	return conf_fail(w, "can only be set in the file");
}

void
conf_set_defaults(const struct conf_key *keys, void *target)
{
	static const struct conf_key empty_list = {.type = CONF_LIST};

	for (const struct conf_key *k = keys; k->name != NULL; k++) {
		struct conf_where w = {.key = k->name};
		void *field = conf_get_field(k, target);

		/* A table with a bad default is a bug of ours. A list without
		 * one is empty, whatever its bounds say. */
		if (k->deflt != NULL)
			must(conf_put_text(k, field, k->deflt, &w) == ERR_OK);
		else if (k->type == CONF_LIST)
			must(conf_put_text(&empty_list, field, "", &w) ==
			     ERR_OK);
	}
}
