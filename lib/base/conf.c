/* conf.c - see conf.h: from the tree of conf_yaml.c into the program's struct,
 * by its table. */
#include "base/conf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/conf_int.h"
#include "base/mem.h"
#include "base/utf8.h"

/* -- the tree ---------------------------------------------------------- */

/* What conf_apply_map hands down. */
struct conf_apply {
	const struct conf_key *keys;
	void *target;
	const char *shown;   /* before key names in messages: "rows[2]." */
	const char *section; /* before key names in the table: "listen." */
	const char *file;
	struct why *why;
};

static enum err conf_apply_map(const struct conf_apply *a,
			       const struct conf_node *map);

static const struct conf_key *
conf_find(const struct conf_key *keys, const char *name)
{
	for (; keys->name != NULL; keys++) {
		if (strcmp(keys->name, name) == 0)
			return keys;
	}
	return NULL;
}

static bool
conf_is_section(const struct conf_key *keys, const char *name)
{
	size_t len = strlen(name);

	for (; keys->name != NULL; keys++) {
		if (strncmp(keys->name, name, len) == 0 &&
		    keys->name[len] == '.')
			return true;
	}
	return false;
}

static size_t
conf_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edit distance of two names, as far as it matters for a hint. */
static size_t
conf_distance(const char *a, const char *b)
{
	size_t row[CONF_NAME_MAX + 1];
	size_t a_len = strlen(a);
	size_t b_len = strlen(b);

	if (a_len > CONF_NAME_MAX || b_len > CONF_NAME_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t above = row[j];
			size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;

			row[j] = conf_min(conf_min(above, row[j - 1]) + 1,
					  diagonal + cost);
			diagonal = above;
		}
	}
	return row[b_len];
}

static enum err
conf_fail_unknown(const struct conf_where *w, const struct conf_key *keys,
		  const char *name)
{
	const char *best = NULL;
	size_t best_distance = 3;

	for (; keys->name != NULL; keys++) {
		size_t distance = conf_distance(name, keys->name);

		if (distance < best_distance) {
			best_distance = distance;
			best = keys->name;
		}
	}
	if (best == NULL)
		return conf_fail(w, "there is no such key");
	return conf_fail(w, "there is no such key; did you mean %s?", best);
}

static enum err
conf_apply_list(const struct conf_key *k, struct conf_list *field,
		const struct conf_node *node, const struct conf_where *w)
{
	struct conf_list fresh = {NULL, 0};

	for (const struct conf_node *n = node->first; n != NULL; n = n->next) {
		if (n->kind != CONF_NODE_SCALAR || n->is_empty) {
			conf_list_free(&fresh);
			return conf_fail(w, "every item must be a text");
		}
		conf_list_add(&fresh, slice_of_str(n->text));
	}
	return conf_list_give(k, field, &fresh, w);
}

static enum err
conf_apply_row(const struct conf_key *k, void *row,
	       const struct conf_node *node, const struct conf_where *w)
{
	struct conf_apply sub = {.keys = k->sub,
				 .target = row,
				 .shown = w->key,
				 .section = "",
				 .file = w->file,
				 .why = w->why};

	conf_set_defaults(k->sub, row);
	if (node->is_empty)
		return ERR_OK;
	if (node->kind != CONF_NODE_MAP)
		return conf_fail(w, "must hold \"key: value\" lines");
	return conf_apply_map(&sub, node);
}

static enum err
conf_apply_table(const struct conf_key *k, struct conf_table *table,
		 const struct conf_node *node, const struct conf_where *w)
{
	char shown[4 * CONF_NAME_MAX];
	struct conf_where at = *w;
	enum err ret = ERR_OK;

	if (!conf_is_within(k, (int64_t)node->cnt))
		return conf_fail(
			w, "found %zu rows, allowed is %" PRId64 " to %" PRId64,
			node->cnt, k->min, k->max);
	/* Counted before they are filled, so that conf_free sees half a row. */
	table->rows = mem_new_array(node->cnt, k->sub_size);
	at.key = shown;
	for (const struct conf_node *n = node->first;
	     n != NULL && ret == ERR_OK; n = n->next) {
		(void)snprintf(shown, sizeof(shown), "%s[%zu]", w->key,
			       table->cnt);
		at.line = n->line;
		ret = conf_apply_row(
			k, (uint8_t *)table->rows + k->sub_size * table->cnt++,
			n, &at);
	}
	return ret;
}

static enum err
conf_apply_value(const struct conf_key *k, void *target,
		 const struct conf_node *node, const struct conf_where *w)
{
	void *field = conf_get_field(k, target);
	bool wants_seq = k->type == CONF_LIST || k->type == CONF_TABLE;

	if (node->is_empty)
		return conf_fail(w, "has no value; leave the line out for the "
				    "default");
	if (wants_seq && node->kind != CONF_NODE_SEQ)
		return conf_fail(w, "must be a list (lines beginning with -)");
	if (k->type == CONF_LIST)
		return conf_apply_list(k, field, node, w);
	if (k->type == CONF_TABLE)
		return conf_apply_table(k, field, node, w);
	if (node->kind != CONF_NODE_SCALAR)
		return conf_fail(w, "must be one value, not a %s",
				 node->kind == CONF_NODE_MAP ? "section"
							     : "list");
	return conf_put_text(k, field, node->text, w);
}

static enum err
conf_apply_section(const struct conf_apply *a, const char *name,
		   const struct conf_node *node, const struct conf_where *w)
{
	char section[4 * CONF_NAME_MAX];
	struct conf_apply sub = *a;

	if (node->is_empty)
		return ERR_OK;
	if (node->kind != CONF_NODE_MAP)
		return conf_fail(w, "is a section: its keys stand indented "
				    "below it");
	(void)snprintf(section, sizeof(section), "%s.", name);
	sub.section = section;
	return conf_apply_map(&sub, node);
}

static enum err
conf_apply_child(const struct conf_apply *a, const struct conf_node *map,
		 const struct conf_node *node)
{
	char name[2 * CONF_NAME_MAX];
	char shown[4 * CONF_NAME_MAX];
	struct conf_where w = {a->file, node->line, shown, false, a->why};
	const struct conf_key *k;
	bool is_section;

	(void)snprintf(name, sizeof(name), "%.127s%.127s", a->section,
		       node->key);
	(void)snprintf(shown, sizeof(shown), "%s%s%s", a->shown,
		       a->shown[0] == '\0' ? "" : ".", name);
	k = conf_find(a->keys, name);
	is_section = conf_is_section(a->keys, name);
	/* A dot in a key of the file would be a second way to write it. */
	if (strchr(node->key, '.') != NULL)
		return conf_fail(&w, "dots are for sections: write the last "
				     "part indented below the first");
	if (k == NULL && !is_section)
		return conf_fail_unknown(&w, a->keys, name);
	/* Those before it are known and differ: there are few. */
	for (const struct conf_node *n = map->first; n != node; n = n->next) {
		if (strcmp(n->key, node->key) == 0)
			return conf_fail(&w, "is there twice, first in line %u",
					 n->line);
	}
	if (k == NULL)
		return conf_apply_section(a, name, node, &w);
	w.is_secret = k->secret;
	return conf_apply_value(k, a->target, node, &w);
}

static enum err
conf_apply_map(const struct conf_apply *a, const struct conf_node *map)
{
	enum err ret = ERR_OK;

	for (const struct conf_node *n = map->first; n != NULL && ret == ERR_OK;
	     n = n->next)
		ret = conf_apply_child(a, map, n);
	return ret;
}

/* -- what conf.h promises ---------------------------------------------- */

enum err
conf_parse(const struct conf_key *keys, struct slice text, const char *name,
	   void *target, struct why *why)
{
	struct conf_apply a = {.keys = keys,
			       .target = target,
			       .shown = "",
			       .section = "",
			       .file = name,
			       .why = why};
	struct conf_node *root;
	enum err ret = conf_yaml_parse(text, name, why, &root);

	if (ret != ERR_OK)
		return ret;
	conf_set_defaults(keys, target);
	ret = conf_apply_map(&a, root);
	conf_node_free(root);
	if (ret != ERR_OK)
		conf_free(keys, target);
	return ret;
}

/* What no file could say, as libyaml would refuse it or a reader not see it. */
static bool
conf_is_text(struct slice s)
{
	uint32_t cp;
	size_t len;

	for (; s.len > 0; s = slice_sub(s, len, s.len)) {
		len = utf8_get(s, &cp);
		if (len == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
			return false;
	}
	return true;
}

enum err
conf_set(const struct conf_key *keys, void *target, const char *key,
	 const char *value, struct why *why)
{
	const struct conf_key *k = conf_find(keys, key);
	struct conf_where w = {.key = key, .why = why};

	if (k == NULL)
		return conf_fail_unknown(&w, keys, key);
	w.is_secret = k->secret;
	if (!conf_is_text(slice_of_str(value)))
		return conf_fail(&w, "holds control characters, or bytes that "
				     "are no UTF-8");
	return conf_put_text(k, conf_get_field(k, target), value, &w);
}

static void
conf_table_free(const struct conf_key *k, struct conf_table *table)
{
	for (size_t i = 0; i < table->cnt; i++)
		conf_free(k->sub, (uint8_t *)table->rows + k->sub_size * i);
	mem_free(table->rows);
	*table = (struct conf_table){NULL, 0};
}

void
conf_free(const struct conf_key *keys, void *target)
{
	for (const struct conf_key *k = keys; k->name != NULL; k++) {
		void *field = conf_get_field(k, target);

		if (k->type == CONF_STRING) {
			char **text = field;

			mem_free(*text);
			*text = NULL;
		} else if (k->type == CONF_LIST) {
			conf_list_free(field);
		} else if (k->type == CONF_TABLE) {
			conf_table_free(k, field);
		}
	}
}
