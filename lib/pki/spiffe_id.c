/* spiffe_id.c - SPIFFE IDs, see spiffe_id.h. One table of bytes does most of
 * the work: whatever is outside the two small sets (percent signs, ports, user
 * names, queries, fragments) falls with it. */
#include "pki/spiffe_id.h"

static const char scheme[] = "spiffe://";

static bool
is_domain_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
	       c == '-' || c == '_';
}

static bool
is_path_byte(uint8_t c)
{
	return is_domain_byte(c) || (c >= 'A' && c <= 'Z');
}

/* A byte for a message: itself in quotes, or its number. */
static const char *
byte_text(uint8_t c, char out[8])
{
	static const char hex[] = "0123456789abcdef";

	if (c > 0x20 && c < 0x7f) {
		out[0] = '\'';
		out[1] = (char)c;
		out[2] = '\'';
		out[3] = '\0';
		return out;
	}
	out[0] = '0';
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 0xf];
	out[4] = '\0';
	return out;
}

enum err
spiffe_trust_domain_check(struct slice name, struct why *why)
{
	char text[8];

	if (name.len == 0)
		return why_set(why, ERR_SYNTAX,
			       "SPIFFE ID: the trust domain is empty");
	if (name.len > SPIFFE_TRUST_DOMAIN_MAX)
		return why_set(why, ERR_LIMIT,
			       "SPIFFE ID: the trust domain has %zu bytes, at "
			       "most %d are allowed",
			       name.len, SPIFFE_TRUST_DOMAIN_MAX);
	for (size_t i = 0; i < name.len; i++) {
		if (!is_domain_byte(name.p[i]))
			return why_set(why, ERR_SYNTAX,
				       "SPIFFE ID: %s in the trust domain; "
				       "only a-z, 0-9, '.', '-' and '_' are "
				       "allowed (no port, no user name)",
				       byte_text(name.p[i], text));
	}
	return ERR_OK;
}

static enum err
segment_check(struct slice segment, struct why *why)
{
	char text[8];

	if (segment.len == 0)
		return why_set(why, ERR_SYNTAX,
			       "SPIFFE ID: the path has an empty segment or "
			       "ends in '/'");
	if (slice_is_str(segment, ".") || slice_is_str(segment, ".."))
		return why_set(why, ERR_SYNTAX,
			       "SPIFFE ID: the path has a segment '%.*s'",
			       SLICE_FMT(segment));
	for (size_t i = 0; i < segment.len; i++) {
		if (!is_path_byte(segment.p[i]))
			return why_set(why, ERR_SYNTAX,
				       "SPIFFE ID: %s in the path; only "
				       "letters, digits, '.', '-' and '_' are "
				       "allowed",
				       byte_text(segment.p[i], text));
	}
	return ERR_OK;
}

/* path: empty, or from its leading '/' on. */
static enum err
path_check(struct slice path, struct why *why)
{
	struct slice rest = path;
	struct slice segment;
	size_t end;
	enum err ret;

	while (rest.len > 0) {
		rest = slice_sub(rest, 1, rest.len);
		end = slice_find(rest, '/');
		segment = slice_sub(rest, 0, end);
		if ((ret = segment_check(segment, why)) != ERR_OK)
			return ret;
		rest = slice_sub(rest, end, rest.len);
	}
	return ERR_OK;
}

enum err
spiffe_id_parse(struct slice text, struct why *why, struct spiffe_id *out)
{
	struct spiffe_id id = {.text = text};
	struct slice rest;
	size_t end;
	enum err ret;

	*out = (struct spiffe_id){0};
	if (text.len > SPIFFE_ID_MAX)
		return why_set(why, ERR_LIMIT,
			       "SPIFFE ID: it has %zu bytes, at most %d are "
			       "allowed",
			       text.len, SPIFFE_ID_MAX);
	if (!slice_has_prefix(text, scheme))
		return why_set(why, ERR_SYNTAX,
			       "SPIFFE ID: it does not begin with spiffe:// "
			       "in lower case");
	rest = slice_sub(text, sizeof(scheme) - 1, text.len);
	end = slice_find(rest, '/');
	id.trust_domain = slice_sub(rest, 0, end);
	id.path = slice_sub(rest, end, rest.len);
	ret = spiffe_trust_domain_check(id.trust_domain, why);
	if (ret != ERR_OK)
		return ret;
	if ((ret = path_check(id.path, why)) != ERR_OK)
		return ret;
	*out = id;
	return ERR_OK;
}

/* A name that becomes one segment of the path. */
static enum err
name_check(struct slice name, const char *what, struct why *why)
{
	enum err ret = segment_check(name, why);

	return ret == ERR_OK ? ERR_OK : why_prefix(why, ret, "%s", what);
}

enum err
spiffe_id_build_k8s(struct slice trust_domain, struct slice ns, struct slice sa,
		    struct why *why, struct buf *out)
{
	const struct slice parts[] = {
		SLICE_LIT("spiffe://"), trust_domain, SLICE_LIT("/ns/"), ns,
		SLICE_LIT("/sa/"),      sa,
	};
	size_t before = buf_len(out);
	size_t len = 0;
	enum err ret;

	if ((ret = spiffe_trust_domain_check(trust_domain, why)) != ERR_OK)
		return ret;
	if ((ret = name_check(ns, "namespace", why)) != ERR_OK)
		return ret;
	if ((ret = name_check(sa, "service account", why)) != ERR_OK)
		return ret;
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		len += parts[i].len;
	if (len > SPIFFE_ID_MAX)
		return why_set(why, ERR_LIMIT,
			       "SPIFFE ID: it would have %zu bytes, at most "
			       "%d are allowed",
			       len, SPIFFE_ID_MAX);
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		if ((ret = buf_put(out, parts[i])) != ERR_OK) {
			buf_truncate(out, before);
			return ret;
		}
	}
	return ERR_OK;
}

enum err
spiffe_id_get_k8s(const struct spiffe_id *id, struct slice *ns_out,
		  struct slice *sa_out)
{
	struct slice rest = id->path;
	struct slice part[5];
	size_t cnt = 0;

	*ns_out = SLICE_NONE;
	*sa_out = SLICE_NONE;
	while (cnt < COUNT_OF(part) && slice_split(&rest, '/', &part[cnt]))
		cnt++;
	/* "", ns, NS, sa, SA */
	if (cnt != COUNT_OF(part) || rest.len != 0 || part[0].len != 0 ||
	    !slice_is_str(part[1], "ns") || !slice_is_str(part[3], "sa"))
		return ERR_MISMATCH;
	*ns_out = part[2];
	*sa_out = part[4];
	return ERR_OK;
}
