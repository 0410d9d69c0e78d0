/* name.c - X.501 names: walking, comparing, text for people. */
#include <stdio.h>

#include "base/buf.h"
#include "crypto/der.h"
#include "pki/pki_int.h"

enum {
	NAME_ATTR_MAX = 64
};

enum err
name_cursor_init(struct name_cursor *c, struct slice name)
{
	enum err ret;

	*c = (struct name_cursor){0};
	if ((ret = der_read(&name, DER_SEQUENCE, &c->rdns)) != ERR_OK)
		return ret;
	return name.len == 0 ? ERR_OK : ERR_SYNTAX;
}

enum err
name_cursor_next(struct name_cursor *c, struct name_attr *out)
{
	struct slice body;
	enum err ret;

	*out = (struct name_attr){0};
	if (c->rdn.len == 0) {
		if (c->rdns.len == 0)
			return ERR_NOT_FOUND;
		if ((ret = der_read(&c->rdns, DER_SET, &c->rdn)) != ERR_OK)
			return ret;
		if (c->rdn.len == 0)
			return ERR_SYNTAX;
		out->is_first = true;
	}
	if ((ret = der_read(&c->rdn, DER_SEQUENCE, &body)) != ERR_OK)
		return ret;
	if ((ret = der_read(&body, DER_OID, &out->oid)) != ERR_OK)
		return ret;
	if ((ret = der_read_any(&body, &out->tag, &out->value)) != ERR_OK)
		return ret;
	return body.len == 0 && out->oid.len != 0 ? ERR_OK : ERR_SYNTAX;
}

enum err
name_check(struct slice name, bool *is_empty_out)
{
	struct name_cursor c;
	struct name_attr a;
	bool is_empty = true;
	size_t cnt = 0;
	enum err ret;

	if ((ret = name_cursor_init(&c, name)) != ERR_OK)
		return ret;
	while ((ret = name_cursor_next(&c, &a)) == ERR_OK) {
		if (++cnt > NAME_ATTR_MAX)
			return ERR_LIMIT;
		is_empty = is_empty && a.value.len == 0;
	}
	if (ret != ERR_NOT_FOUND)
		return ret;
	if (is_empty_out != NULL)
		*is_empty_out = is_empty;
	return ERR_OK;
}

static bool
is_text_tag(unsigned tag)
{
	return tag == DER_UTF8_STRING || tag == DER_PRINTABLE_STRING ||
	       tag == DER_IA5_STRING || tag == 0x14; /* TeletexString */
}

static bool
attr_is_same(const struct name_attr *a, const struct name_attr *b)
{
	if (a->is_first != b->is_first || !slice_is_eq(a->oid, b->oid))
		return false;
	if (a->tag == b->tag && slice_is_eq(a->value, b->value))
		return true;
	return is_text_tag(a->tag) && is_text_tag(b->tag) &&
	       slice_is_eq_nocase(slice_trim(a->value), slice_trim(b->value));
}

bool
name_is_same(struct slice a, struct slice b)
{
	struct name_cursor ca, cb;
	struct name_attr aa, ab;
	enum err ea, eb;

	if (slice_is_eq(a, b))
		return true;
	if (name_cursor_init(&ca, a) != ERR_OK ||
	    name_cursor_init(&cb, b) != ERR_OK)
		return false;
	for (;;) {
		ea = name_cursor_next(&ca, &aa);
		eb = name_cursor_next(&cb, &ab);
		if (ea != ERR_OK || eb != ERR_OK)
			return ea == ERR_NOT_FOUND && eb == ERR_NOT_FOUND;
		if (!attr_is_same(&aa, &ab))
			return false;
	}
}

bool
name_is_null(struct slice name)
{
	return name.len == 2 && name.p[0] == DER_SEQUENCE && name.p[1] == 0;
}

/* -- text */

static void
put_attr_type(struct buf *out, struct slice oid)
{
	static const struct {
		uint8_t last; /* of 2.5.4.x */
		const char *text;
	} rows[] = {{3, "CN"}, {5, "serialNumber"}, {6, "C"},
		    {7, "L"},  {8, "ST"},           {9, "STREET"},
		    {10, "O"}, {11, "OU"},          {12, "title"}};
	char text[DER_OID_TEXT_MAX];

	if (oid.len == 3 && oid.p[0] == 0x55 && oid.p[1] == 0x04) {
		for (size_t i = 0; i < COUNT_OF(rows); i++) {
			if (rows[i].last != oid.p[2])
				continue;
			(void)buf_put_str(out, rows[i].text);
			return;
		}
	}
	if (slice_is_eq(oid, SLICE_LIT("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01"
				       "\x19"))) {
		(void)buf_put_str(out, "DC");
		return;
	}
	der_oid_format(oid, text);
	(void)buf_put_str(out, text);
}

/* RFC 4514 2.4; everything that is no plain ASCII as \xx. */
static void
put_attr_value(struct buf *out, const struct name_attr *a)
{
	if (!is_text_tag(a->tag)) {
		(void)buf_put_str(out, "#");
		(void)buf_put_hex(out, a->value);
		return;
	}
	for (size_t i = 0; i < a->value.len; i++) {
		uint8_t c = a->value.p[i];
		bool is_edge = i == 0 || i == a->value.len - 1;

		if (c < 0x20 || c > 0x7e)
			(void)buf_printf(out, "\\%02x", c);
		else if (c == '"' || c == '+' || c == ',' || c == ';' ||
			 c == '<' || c == '>' || c == '\\' ||
			 (c == '#' && i == 0) || (c == ' ' && is_edge))
			(void)buf_printf(out, "\\%c", c);
		else
			(void)buf_put_u8(out, c);
	}
}

void
cert_name_format(struct slice name, char out[CERT_TEXT_MAX])
{
	struct name_attr attrs[NAME_ATTR_MAX];
	struct name_cursor c;
	struct slice text;
	size_t cnt = 0;
	struct buf b;

	buf_init(&b, CERT_TEXT_MAX - 1);
	if (name_check(name, NULL) != ERR_OK ||
	    name_cursor_init(&c, name) != ERR_OK) {
		(void)snprintf(out, CERT_TEXT_MAX, "(malformed name)");
		return;
	}
	while (cnt < NAME_ATTR_MAX &&
	       name_cursor_next(&c, &attrs[cnt]) == ERR_OK)
		cnt++;
	/* RFC 4514 2.1: the last RDN first. A cut text is good enough. */
	for (size_t i = cnt; i-- > 0;) {
		put_attr_type(&b, attrs[i].oid);
		(void)buf_put_str(&b, "=");
		put_attr_value(&b, &attrs[i]);
		if (i > 0)
			(void)buf_put_str(&b, attrs[i].is_first ? "," : "+");
	}
	text = buf_get(&b);
	(void)snprintf(out, CERT_TEXT_MAX, "%.*s", SLICE_FMT(text));
	buf_fini(&b);
}
