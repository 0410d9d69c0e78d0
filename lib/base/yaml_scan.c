/* yaml_scan.c - see yaml_scan.h. libyaml's events with a stack of keys; no
 * tree is made. */
#include "base/yaml_scan.h"

#include <yaml.h>

#include "base/mem.h"
#include "base/secret.h"

struct yaml_level {
	bool is_map;
	char *key; /* the one whose value comes next; NULL: a key comes */
};

struct yaml_state {
	yaml_parser_t yaml;
	struct why *why;
	enum err (*cb)(void *arg, const struct yaml_scan_text *t);
	void *arg;
	size_t document;
	struct yaml_level levels[YAML_SCAN_DEPTH_MAX];
	size_t depth;
};

static struct yaml_level *
yaml_top(struct yaml_state *s)
{
	return s->depth == 0 ? NULL : &s->levels[s->depth - 1];
}

/* A value ended: in a map the next scalar is a key. */
static void
yaml_value_done(struct yaml_state *s)
{
	struct yaml_level *top = yaml_top(s);

	if (top != NULL)
		mem_free(TAKE(top->key));
}

static enum err
yaml_open(struct yaml_state *s, bool is_map)
{
	if (s->depth == YAML_SCAN_DEPTH_MAX)
		return why_set(s->why, ERR_LIMIT,
			       "nested deeper than %d levels",
			       YAML_SCAN_DEPTH_MAX);
	s->levels[s->depth++] = (struct yaml_level){is_map, NULL};
	return ERR_OK;
}

static void
yaml_close(struct yaml_state *s)
{
	yaml_value_done(s);
	s->depth--;
	yaml_value_done(s);
}

static enum err
yaml_on_scalar(struct yaml_state *s, const yaml_event_t *event)
{
	struct slice text =
		slice_of(event->data.scalar.value, event->data.scalar.length);
	const char *path[YAML_SCAN_DEPTH_MAX];
	struct yaml_scan_text t = {s->document, path, s->depth, text};
	struct yaml_level *top = yaml_top(s);
	enum err ret;

	if (top != NULL && top->is_map && top->key == NULL) {
		top->key = mem_dup_slice_str(
			slice_sub(text, 0, slice_find(text, '\0')));
		return ERR_OK;
	}
	for (size_t i = 0; i < s->depth; i++)
		path[i] = s->levels[i].key == NULL ? "" : s->levels[i].key;
	ret = s->cb(s->arg, &t);
	secret_wipe(event->data.scalar.value, event->data.scalar.length);
	yaml_value_done(s);
	return ret;
}

static enum err
yaml_on_event(struct yaml_state *s, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_END_EVENT:
		s->document++;
		return ERR_OK;
	case YAML_SCALAR_EVENT:
		return yaml_on_scalar(s, event);
	case YAML_MAPPING_START_EVENT:
		return yaml_open(s, true);
	case YAML_SEQUENCE_START_EVENT:
		return yaml_open(s, false);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		yaml_close(s);
		return ERR_OK;
	case YAML_ALIAS_EVENT:
		yaml_value_done(s);
		return ERR_OK;
	default: /* the stream itself */
		return ERR_OK;
	}
}

/* see yaml_scan.h */
enum err
yaml_scan(struct slice text, struct why *why,
	  enum err (*cb)(void *arg, const struct yaml_scan_text *t), void *arg)
{
	struct yaml_state *s = MEM_NEW(struct yaml_state);
	bool is_end = false;
	enum err ret = ERR_OK;

	s->why = why;
	s->cb = cb;
	s->arg = arg;
	must(yaml_parser_initialize(&s->yaml));
	yaml_parser_set_encoding(&s->yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&s->yaml, text.len == 0 ? (const uint8_t *)"" : text.p,
		text.len);
	while (ret == ERR_OK && !is_end) {
		yaml_event_t event;

		if (!yaml_parser_parse(&s->yaml, &event)) {
			ret = why_set(why, ERR_SYNTAX, "line %zu: %s",
				      s->yaml.problem_mark.line + 1,
				      s->yaml.problem == NULL
					      ? "not YAML"
					      : s->yaml.problem);
			break;
		}
		is_end = event.type == YAML_STREAM_END_EVENT;
		ret = yaml_on_event(s, &event);
		yaml_event_delete(&event);
	}
	while (s->depth > 0)
		yaml_close(s);
	yaml_parser_delete(&s->yaml);
	mem_free(s);
	return ret;
}
