/* name_constraints.c - the form of name constraints, and those on URIs.
 *
 * The library enforces all kinds but is not trusted with URIs, which are our
 * identities. RFC 5280 4.2.1.10: a constraint is a host; with a leading dot it
 * is for everything below that host. Trust domains that look like addresses
 * are names like others (SPIFFE-ID.md 2.1). */
#include "crypto/der.h"
#include "pki/chain_int.h"

enum {
	TAG_PERMITTED = 0xa0,
	TAG_EXCLUDED = 0xa1,
	TAG_DNS = 0x82,
	TAG_URI = 0x86
};

struct subtree {
	unsigned tag;
	struct slice base;
};

/* minimum and maximum are not for us: RFC 5280 has them 0 and absent. */
static enum err
subtree_next(struct slice *in, struct subtree *out)
{
	struct slice body;
	enum err ret;

	if ((ret = der_read(in, DER_SEQUENCE, &body)) != ERR_OK)
		return ret;
	if ((ret = der_read_any(&body, &out->tag, &out->base)) != ERR_OK)
		return ret;
	return body.len == 0 ? ERR_OK : ERR_SYNTAX;
}

static enum err
refuse(struct why *why, const char *what)
{
	return why_set(why, ERR_REFUSED, "name constraints: %s", what);
}

static enum err
check_list(struct slice list, struct why *why)
{
	struct subtree t;

	if (list.len == 0)
		return refuse(why, "an empty list of subtrees");
	while (list.len != 0) {
		if (subtree_next(&list, &t) != ERR_OK)
			return refuse(why, "a malformed subtree (minimum and "
					   "maximum are not allowed)");
		if (t.tag == TAG_DNS && slice_has_prefix(t.base, "."))
			return refuse(why, "a dNSName with a leading dot");
	}
	return ERR_OK;
}

/* Both lists; one that is absent is SLICE_NONE. */
static enum err
read_lists(struct slice nc, struct slice *permitted, struct slice *excluded,
	   bool *any)
{
	*permitted = SLICE_NONE;
	*excluded = SLICE_NONE;
	*any = nc.len != 0;
	if (der_has_tag(nc, TAG_PERMITTED) &&
	    der_read(&nc, TAG_PERMITTED, permitted) != ERR_OK)
		return ERR_SYNTAX;
	if (der_has_tag(nc, TAG_EXCLUDED) &&
	    der_read(&nc, TAG_EXCLUDED, excluded) != ERR_OK)
		return ERR_SYNTAX;
	return nc.len == 0 ? ERR_OK : ERR_SYNTAX;
}

enum err
name_constraints_check_form(struct slice nc, struct why *why)
{
	bool has_permitted = der_has_tag(nc, TAG_PERMITTED);
	struct slice permitted, excluded;
	bool any = false;
	enum err ret;

	if (read_lists(nc, &permitted, &excluded, &any) != ERR_OK)
		return refuse(why, "malformed DER");
	if (!any)
		return refuse(why, "neither permitted nor excluded subtrees");
	if (has_permitted && (ret = check_list(permitted, why)) != ERR_OK)
		return ret;
	/* What is absent has no place; an empty list has one. */
	if (excluded.p != NULL && (ret = check_list(excluded, why)) != ERR_OK)
		return ret;
	return ERR_OK;
}

/* -- URIs */

static bool
is_host_end(uint8_t c)
{
	return c == '/' || c == '?' || c == '#';
}

/* The host of "scheme://[user@]host[:port]..."; empty when there is none or
 * it is an address (RFC 5280: such URIs fit no constraint). */
static struct slice
uri_get_host(struct slice uri)
{
	size_t colon = slice_find(uri, ':');
	struct slice rest = slice_sub(uri, colon, uri.len);
	size_t len = 0, at;

	if (!slice_has_prefix(rest, "://"))
		return SLICE_NONE;
	rest = slice_sub(rest, 3, rest.len);
	while (len < rest.len && !is_host_end(rest.p[len]))
		len++;
	rest = slice_sub(rest, 0, len);
	while ((at = slice_find(rest, '@')) < rest.len)
		rest = slice_sub(rest, at + 1, rest.len);
	if (slice_has_prefix(rest, "["))
		return SLICE_NONE;
	return slice_sub(rest, 0, slice_find(rest, ':'));
}

static bool
host_is_within(struct slice host, struct slice base)
{
	if (!slice_has_prefix(base, "."))
		return slice_is_eq_nocase(host, base);
	return host.len > base.len &&
	       slice_is_eq_nocase(
		       slice_sub(host, host.len - base.len, base.len), base);
}

/* How many of the list are URI subtrees, and whether one fits. What an empty
 * base means is written nowhere: it permits nothing, and excludes all. */
static enum err
match_list(struct slice list, struct slice host, bool empty_fits, size_t *cnt,
	   bool *fits)
{
	struct subtree t;
	enum err ret;

	*cnt = 0;
	*fits = false;
	while (list.len != 0) {
		if ((ret = subtree_next(&list, &t)) != ERR_OK)
			return ret;
		if (t.tag != TAG_URI)
			continue;
		(*cnt)++;
		*fits = *fits ||
			(t.base.len == 0 ? empty_fits
					 : host_is_within(host, t.base));
	}
	return ERR_OK;
}

enum err
name_constraints_check_uri(struct slice nc, struct slice uri, struct why *why)
{
	struct slice permitted, excluded;
	struct slice host = uri_get_host(uri);
	struct slice shown = slice_sub(uri, 0, 128);
	size_t permitted_cnt = 0, excluded_cnt = 0;
	bool is_permitted = false, is_excluded = false, any = false;

	if (read_lists(nc, &permitted, &excluded, &any) != ERR_OK ||
	    match_list(permitted, host, false, &permitted_cnt, &is_permitted) !=
		    ERR_OK ||
	    match_list(excluded, host, true, &excluded_cnt, &is_excluded) !=
		    ERR_OK)
		return refuse(why, "malformed DER");
	if (permitted_cnt + excluded_cnt == 0)
		return ERR_OK;
	if (host.len == 0)
		return why_set(why, ERR_REFUSED,
			       "name constraints: the URI %.*s has no host "
			       "name to hold against them",
			       SLICE_FMT(shown));
	if (is_excluded || (permitted_cnt != 0 && !is_permitted))
		return why_set(why, ERR_REFUSED,
			       "name constraints: they do not allow the URI "
			       "%.*s",
			       SLICE_FMT(shown));
	return ERR_OK;
}
