/* conf_int.h - what the files of conf share; not for others. */
#ifndef BASE_CONF_INT_H
#define BASE_CONF_INT_H

#include "base/conf.h"

enum {
	CONF_TEXT_MAX = 1 << 20,
	CONF_DEPTH_MAX = 8,
	CONF_NAME_MAX = 128
};

enum conf_node_kind {
	CONF_NODE_SCALAR = 1,
	CONF_NODE_MAP,
	CONF_NODE_SEQ
};

/* One value of the YAML text. */
struct conf_node {
	enum conf_node_kind kind;
	unsigned line;
	char *key;     /* in a map */
	char *text;    /* scalars */
	bool is_empty; /* a scalar that is not there: "key:" */
	struct conf_node *parent;
	struct conf_node *first;
	struct conf_node *last;
	struct conf_node *next;
	size_t cnt; /* children */
};

/* Reads the text into a tree whose root is a map; conf_node_free. */
MUST_USE enum err conf_yaml_parse(struct slice text, const char *name,
				  struct why *why, struct conf_node **out);
void conf_node_free(struct conf_node *node);

/* What a message needs to say where we are. */
struct conf_where {
	const char *file; /* NULL: conf_set */
	unsigned line;
	const char *key; /* whole name */
	bool is_secret;
	struct why *why;
};

/* Refuses: "FILE:LINE: key: ...". Always ERR_CONFIG. */
enum err conf_fail(const struct conf_where *w, const char *fmt, ...)
	PRINTF_LIKE(2, 3);

/* Bounds of the row; true where it has none. */
bool conf_is_within(const struct conf_key *k, int64_t v);
/* Checks the text and puts it into the field; the old value stays where it is
 * refused. All types but CONF_TABLE. */
enum err conf_put_text(const struct conf_key *k, void *field, const char *value,
		       const struct conf_where *w);
void conf_list_add(struct conf_list *list, struct slice item);
void conf_list_free(struct conf_list *list);
/* Takes `fresh`: in place of the old list, or freed where its length is
 * refused. */
enum err conf_list_give(const struct conf_key *k, struct conf_list *field,
			struct conf_list *fresh, const struct conf_where *w);

/* Where the value of a key stands in the target. */
void *conf_get_field(const struct conf_key *k, void *target);
const void *conf_get_const_field(const struct conf_key *k, const void *target);
/* Size of the struct as far as the table knows it. */
size_t conf_get_target_len(const struct conf_key *keys);
/* Fills a zeroed target. */
void conf_set_defaults(const struct conf_key *keys, void *target);

#endif
