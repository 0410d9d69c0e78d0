/* jsonw.c - the writing half of json.h: straight into a buf, no tree. That it
 * did not fit shows in buf_has_failed of the buf. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "base/utf8.h"

void
jsonw_init(struct jsonw *w, struct buf *out)
{
	*w = (struct jsonw){.out = out};
}

static void
jsonw_comma(struct jsonw *w)
{
	if (w->need_comma)
		(void)buf_put_u8(w->out, ',');
	w->need_comma = true;
}

static void
jsonw_open(struct jsonw *w, uint8_t bracket)
{
	jsonw_comma(w);
	(void)buf_put_u8(w->out, bracket);
	w->need_comma = false;
}

static void
jsonw_close(struct jsonw *w, uint8_t bracket)
{
	(void)buf_put_u8(w->out, bracket);
	w->need_comma = true;
}

void
jsonw_object_open(struct jsonw *w)
{
	jsonw_open(w, '{');
}

void
jsonw_object_close(struct jsonw *w)
{
	jsonw_close(w, '}');
}

void
jsonw_array_open(struct jsonw *w)
{
	jsonw_open(w, '[');
}

void
jsonw_array_close(struct jsonw *w)
{
	jsonw_close(w, ']');
}

void
jsonw_key(struct jsonw *w, const char *key)
{
	jsonw_str(w, slice_of_str(key));
	(void)buf_put_u8(w->out, ':');
	w->need_comma = false;
}

/* Length of the run at the front that needs no escape. */
static size_t
jsonw_plain_len(struct slice s)
{
	size_t i = 0;

	while (i < s.len && s.p[i] >= 0x20 && s.p[i] < 0x7f && s.p[i] != '"' &&
	       s.p[i] != '\\')
		i++;
	return i;
}

static void
jsonw_escape(struct buf *out, uint32_t cp)
{
	switch (cp) {
	case '"':
		(void)buf_put_str(out, "\\\"");
		break;
	case '\\':
		(void)buf_put_str(out, "\\\\");
		break;
	case '\n':
		(void)buf_put_str(out, "\\n");
		break;
	case '\r':
		(void)buf_put_str(out, "\\r");
		break;
	case '\t':
		(void)buf_put_str(out, "\\t");
		break;
	default:
		(void)buf_printf(out, "\\u%04x", (unsigned)cp);
		break;
	}
}

/* One character that jsonw_plain_len stopped at; returns its bytes. */
static size_t
jsonw_put_special(struct buf *out, struct slice s)
{
	uint32_t cp;
	size_t len = utf8_get(s, &cp);

	if (len == 0) {
		(void)buf_put_str(out, "\xef\xbf\xbd");
		return 1;
	}
	/* C1 controls too: a terminal that shows the JSON may obey them. */
	if (cp < 0xa0)
		jsonw_escape(out, cp);
	else
		(void)buf_put(out, slice_sub(s, 0, len));
	return len;
}

void
jsonw_str(struct jsonw *w, struct slice s)
{
	jsonw_comma(w);
	(void)buf_put_u8(w->out, '"');
	while (s.len > 0) {
		size_t len = jsonw_plain_len(s);

		if (len > 0)
			(void)buf_put(w->out, slice_sub(s, 0, len));
		else
			len = jsonw_put_special(w->out, s);
		s = slice_sub(s, len, s.len);
	}
	(void)buf_put_u8(w->out, '"');
}

void
jsonw_int(struct jsonw *w, int64_t v)
{
	jsonw_comma(w);
	(void)buf_printf(w->out, "%" PRId64, v);
}

void
jsonw_bool(struct jsonw *w, bool v)
{
	jsonw_comma(w);
	(void)buf_put_str(w->out, v ? "true" : "false");
}

void
jsonw_pair_str(struct jsonw *w, const char *key, struct slice s)
{
	jsonw_key(w, key);
	jsonw_str(w, s);
}

void
jsonw_pair_int(struct jsonw *w, const char *key, int64_t v)
{
	jsonw_key(w, key);
	jsonw_int(w, v);
}

void
jsonw_pair_bool(struct jsonw *w, const char *key, bool v)
{
	jsonw_key(w, key);
	jsonw_bool(w, v);
}

void
jsonw_pair_hex(struct jsonw *w, const char *key, struct slice bytes)
{
	jsonw_key(w, key);
	jsonw_comma(w);
	(void)buf_put_u8(w->out, '"');
	(void)buf_put_hex(w->out, bytes);
	(void)buf_put_u8(w->out, '"');
}

void
jsonw_pair_time(struct jsonw *w, const char *key, struct wall t)
{
	char text[WALL_TEXT_MAX];

	if (t.ms == 0)
		return;
	wall_format(t, text);
	jsonw_pair_str(w, key, slice_of_str(text));
}
