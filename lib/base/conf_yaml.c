/* conf_yaml.c - YAML text to a tree of nodes with line numbers. libyaml reads;
 * what we do not want of YAML (anchors, tags, more documents, deep nesting) is
 * refused here, so that conf.c sees plain maps, sequences and texts. */
#include "base/conf_int.h"

#include <string.h>

#include <yaml.h>

#include "base/mem.h"

struct conf_reader {
	yaml_parser_t yaml;
	const char *name;
	struct why *why;
	struct conf_node *root;
	struct conf_node *at; /* the open collection */
	char *key;            /* read, its value is not */
	unsigned depth;
	bool is_done; /* the document has ended */
};

void
conf_node_free(struct conf_node *node)
{
	/* Depth is bounded by CONF_DEPTH_MAX. */
	while (node != NULL) {
		struct conf_node *next = node->next;

		conf_node_free(node->first);
		mem_free(node->key);
		mem_free(node->text);
		mem_free(node);
		node = next;
	}
}

static unsigned
conf_line(const yaml_event_t *event)
{
	return (unsigned)event->start_mark.line + 1;
}

static enum err
conf_yaml_fail(struct conf_reader *r, size_t line, const char *text)
{
	return why_set(r->why, ERR_CONFIG, "%s:%zu: %s", r->name, line, text);
}

/* Hangs a new node below the open collection. */
static enum err
conf_add(struct conf_reader *r, enum conf_node_kind kind,
	 const yaml_event_t *event, struct conf_node **out)
{
	struct conf_node *node;

	*out = NULL;
	if (r->root == NULL && kind != CONF_NODE_MAP)
		return conf_yaml_fail(
			r, conf_line(event),
			"the file must hold \"key: value\" lines");
	if (r->at != NULL && r->at->kind == CONF_NODE_MAP && r->key == NULL)
		return conf_yaml_fail(r, conf_line(event),
				      "a key must be a plain word");
	node = MEM_NEW(struct conf_node);
	node->kind = kind;
	node->line = conf_line(event);
	node->parent = r->at;
	if (r->at == NULL) {
		r->root = node;
	} else {
		if (r->at->kind == CONF_NODE_MAP)
			node->key = TAKE(r->key);
		if (r->at->last == NULL)
			r->at->first = node;
		else
			r->at->last->next = node;
		r->at->last = node;
		r->at->cnt++;
	}
	*out = node;
	return ERR_OK;
}

static enum err
conf_on_scalar(struct conf_reader *r, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	struct conf_node *node;
	enum err ret;

	if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL)
		return conf_yaml_fail(r, conf_line(event),
				      "anchors and tags are not allowed");
	if (strlen(text) != len)
		return conf_yaml_fail(r, conf_line(event),
				      "a NUL character is not allowed");
	if (r->at != NULL && r->at->kind == CONF_NODE_MAP && r->key == NULL) {
		if (len == 0 || len >= CONF_NAME_MAX)
			return conf_yaml_fail(r, conf_line(event),
					      "a key is empty or too long");
		r->key = mem_dup_str(text);
		return ERR_OK;
	}
	/* An empty file is one empty scalar to some writers of YAML. */
	ret = conf_add(r, CONF_NODE_SCALAR, event, &node);
	if (ret != ERR_OK)
		return ret;
	node->text = mem_dup_str(text);
	node->is_empty =
		len == 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return ERR_OK;
}

static enum err
conf_on_open(struct conf_reader *r, const yaml_event_t *event,
	     enum conf_node_kind kind)
{
	bool is_map = kind == CONF_NODE_MAP;
	const yaml_char_t *anchor = is_map ? event->data.mapping_start.anchor
					   : event->data.sequence_start.anchor;
	const yaml_char_t *tag = is_map ? event->data.mapping_start.tag
					: event->data.sequence_start.tag;
	struct conf_node *node;
	enum err ret;

	if (anchor != NULL || tag != NULL)
		return conf_yaml_fail(r, conf_line(event),
				      "anchors and tags are not allowed");
	if (r->depth == CONF_DEPTH_MAX)
		return conf_yaml_fail(r, conf_line(event),
				      "nested deeper than 8 levels");
	if ((ret = conf_add(r, kind, event, &node)) != ERR_OK)
		return ret;
	r->at = node;
	r->depth++;
	return ERR_OK;
}

static enum err
conf_on_close(struct conf_reader *r)
{
	must(r->at != NULL);
	r->at = r->at->parent;
	r->depth--;
	return ERR_OK;
}

static enum err
conf_on_document(struct conf_reader *r, const yaml_event_t *event)
{
	if (r->is_done)
		return conf_yaml_fail(r, conf_line(event),
				      "only one document (---) is allowed");
	if (event->data.document_start.version_directive != NULL ||
	    event->data.document_start.tag_directives.start !=
		    event->data.document_start.tag_directives.end)
		return conf_yaml_fail(r, conf_line(event),
				      "directives (%) are not allowed");
	return ERR_OK;
}

static enum err
conf_on_event(struct conf_reader *r, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return conf_on_document(r, event);
	case YAML_DOCUMENT_END_EVENT:
		r->is_done = true;
		return ERR_OK;
	case YAML_SCALAR_EVENT:
		return conf_on_scalar(r, event);
	case YAML_MAPPING_START_EVENT:
		return conf_on_open(r, event, CONF_NODE_MAP);
	case YAML_SEQUENCE_START_EVENT:
		return conf_on_open(r, event, CONF_NODE_SEQ);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return conf_on_close(r);
	case YAML_ALIAS_EVENT:
		return conf_yaml_fail(r, conf_line(event),
				      "aliases (*) are not allowed");
	default: /* the stream itself */
		return ERR_OK;
	}
}

static enum err
conf_read_events(struct conf_reader *r)
{
	bool is_end = false;
	enum err ret = ERR_OK;

	while (ret == ERR_OK && !is_end) {
		yaml_event_t event;

		if (!yaml_parser_parse(&r->yaml, &event))
			return conf_yaml_fail(r, r->yaml.problem_mark.line + 1,
					      r->yaml.problem == NULL
						      ? "not YAML"
						      : r->yaml.problem);
		is_end = event.type == YAML_STREAM_END_EVENT;
		ret = conf_on_event(r, &event);
		yaml_event_delete(&event);
	}
	return ret;
}

enum err
conf_yaml_parse(struct slice text, const char *name, struct why *why,
		struct conf_node **out)
{
	struct conf_reader r = {.name = name, .why = why};
	enum err ret;

	*out = NULL;
	if (text.len > CONF_TEXT_MAX)
		return why_set(why, ERR_CONFIG, "%s: larger than %d bytes",
			       name, CONF_TEXT_MAX);
	must(yaml_parser_initialize(&r.yaml));
	yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&r.yaml, text.len == 0 ? (const uint8_t *)"" : text.p,
		text.len);
	ret = conf_read_events(&r);
	yaml_parser_delete(&r.yaml);
	if (ret == ERR_OK && r.root == NULL) {
		/* Nothing but comments: all defaults. */
		r.root = MEM_NEW(struct conf_node);
		r.root->kind = CONF_NODE_MAP;
	}
	if (ret == ERR_OK)
		*out = TAKE(r.root);
	conf_node_free(r.root);
	mem_free(r.key);
	return ret;
}
