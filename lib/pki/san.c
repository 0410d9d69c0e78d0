/* san.c - subject alternative names, see san.h. */
#include "pki/san.h"

#include <arpa/inet.h>

#include "crypto/der.h"

/* Choices of GeneralName. */
enum {
	NAME_OTHER = 0xa0,
	NAME_EMAIL = 0x81,
	NAME_DNS = 0x82,
	NAME_X400 = 0xa3,
	NAME_DIRECTORY = 0xa4,
	NAME_EDI = 0xa5,
	NAME_URI = 0x86,
	NAME_IP = 0x87,
	NAME_REGISTERED = 0x88
};

enum {
	HOST_MAX = 253 /* bytes of a DNS name */
};

static enum err
name_read(struct slice *in, struct san_name *out, unsigned *tag_out)
{
	enum err ret = der_read_any(in, tag_out, &out->value);

	if (ret != ERR_OK)
		return ret;
	switch (*tag_out) {
	case NAME_EMAIL:
		out->kind = SAN_EMAIL;
		break;
	case NAME_DNS:
		out->kind = SAN_DNS;
		break;
	case NAME_URI:
		out->kind = SAN_URI;
		break;
	case NAME_IP:
		out->kind = SAN_IP;
		break;
	case NAME_OTHER:
	case NAME_X400:
	case NAME_DIRECTORY:
	case NAME_EDI:
	case NAME_REGISTERED:
		out->kind = SAN_OTHER;
		break;
	default:
		return ERR_SYNTAX;
	}
	return ERR_OK;
}

static const char *
kind_text(enum san_kind kind)
{
	switch (kind) {
	case SAN_EMAIL:
		return "e-mail address";
	case SAN_DNS:
		return "DNS name";
	case SAN_URI:
		return "URI";
	case SAN_IP:
		return "IP address";
	case SAN_OTHER:
		break;
	}
	return "name";
}

static enum err
name_check(const struct san_name *name, unsigned nr, struct why *why)
{
	if (name->kind == SAN_OTHER)
		return ERR_OK;
	if (name->kind == SAN_IP) {
		if (name->value.len == 4 || name->value.len == 16)
			return ERR_OK;
		return why_set(why, ERR_SYNTAX,
			       "SAN: name %u is an IP address of %zu bytes "
			       "(4 or 16 are allowed)",
			       nr, name->value.len);
	}
	if (name->value.len == 0)
		return why_set(why, ERR_SYNTAX, "SAN: name %u, a %s, is empty",
			       nr, kind_text(name->kind));
	for (size_t i = 0; i < name->value.len; i++) {
		uint8_t c = name->value.p[i];

		if (c == 0 || c >= 0x80)
			return why_set(why, ERR_SYNTAX,
				       "SAN: name %u, a %s, has the byte "
				       "0x%02x, which is not allowed there",
				       nr, kind_text(name->kind), c);
	}
	return ERR_OK;
}

enum err
san_parse(struct slice ext_value, struct why *why, struct san *out)
{
	struct slice in = ext_value;
	struct san san = {0};
	struct san_name name;
	struct slice rest;
	unsigned tag = 0;
	enum err ret;

	*out = (struct san){0};
	if (der_read(&in, DER_SEQUENCE, &san.raw) != ERR_OK || in.len != 0)
		return why_set(why, ERR_SYNTAX,
			       "SAN: not one DER sequence of names");
	if (san.raw.len == 0)
		return why_set(why, ERR_SYNTAX,
			       "SAN: the extension is there without a name");
	for (rest = san.raw; rest.len > 0;) {
		if (san.cnt == SAN_MAX)
			return why_set(why, ERR_LIMIT,
				       "SAN: more than %d names", SAN_MAX);
		if (name_read(&rest, &name, &tag) != ERR_OK)
			return why_set(why, ERR_SYNTAX,
				       "SAN: name %u is malformed DER",
				       san.cnt + 1);
		san.cnt++;
		if ((ret = name_check(&name, san.cnt, why)) != ERR_OK)
			return ret;
		if (name.kind == SAN_URI && san.uri_cnt++ == 0)
			san.uri = name.value;
	}
	*out = san;
	return ERR_OK;
}

bool
san_next(struct slice *cursor, struct san_name *out)
{
	unsigned tag = 0;

	*out = (struct san_name){0};
	if (cursor->len == 0)
		return false;
	if (name_read(cursor, out, &tag) == ERR_OK)
		return true;
	/* Only where the cursor was not made by san_parse. */
	*cursor = SLICE_NONE;
	return false;
}

/* One label of the pattern may be a whole "*", the left-most, standing for
 * exactly one label; what follows it has at least two labels. */
static bool
dns_is_match(struct slice pattern, struct slice host)
{
	struct slice tail;
	size_t dot;

	if (slice_is_eq_nocase(pattern, host))
		return slice_find(pattern, '*') == pattern.len;
	if (!slice_has_prefix(pattern, "*."))
		return false;
	tail = slice_sub(pattern, 1, pattern.len);
	if (slice_find(tail, '*') != tail.len ||
	    slice_find(slice_sub(tail, 1, tail.len), '.') == tail.len - 1)
		return false;
	dot = slice_find(host, '.');
	return dot > 0 &&
	       slice_is_eq_nocase(tail, slice_sub(host, dot, host.len));
}

static bool
has_ip(const struct san *san, struct slice ip)
{
	struct slice cursor = san->raw;
	struct san_name name;

	while (san_next(&cursor, &name)) {
		if (name.kind == SAN_IP && slice_is_eq(name.value, ip))
			return true;
	}
	return false;
}

bool
san_has_host(const struct san *san, const char *host)
{
	struct slice cursor = san->raw;
	struct slice want = slice_of_str(host);
	struct san_name name;
	uint8_t ip[16];

	/* An address is never compared with DNS names. */
	if (host != NULL && inet_pton(AF_INET, host, ip) == 1)
		return has_ip(san, slice_of(ip, 4));
	if (host != NULL && inet_pton(AF_INET6, host, ip) == 1)
		return has_ip(san, slice_of(ip, 16));
	if (slice_has_suffix(want, ".")) /* the root may be written out */
		want = slice_sub(want, 0, want.len - 1);
	if (want.len == 0 || want.len > HOST_MAX)
		return false;
	while (san_next(&cursor, &name)) {
		if (name.kind == SAN_DNS && dns_is_match(name.value, want))
			return true;
	}
	return false;
}

bool
san_has_uri(const struct san *san, struct slice uri)
{
	struct slice cursor = san->raw;
	struct san_name name;

	while (san_next(&cursor, &name)) {
		if (name.kind == SAN_URI && slice_is_eq(name.value, uri))
			return true;
	}
	return false;
}
