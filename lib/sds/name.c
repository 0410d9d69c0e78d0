/* name.c - which names a client may ask for: see sds.h. */
#include <string.h>

#include "pki/spiffe_id.h"
#include "sds/sds.h"

static bool
is_path(struct slice s)
{
	return s.len > 0 && slice_is_printable(s) &&
	       slice_find(s, '~') == s.len;
}

static enum err
check_file_cert(struct slice rest, struct why *why)
{
	struct slice cert;

	if (!slice_split(&rest, '~', &cert) || !is_path(cert) || !is_path(rest))
		return why_set(why, ERR_SYNTAX,
			       "a file certificate's name is "
			       "file-cert:<certificate>~<key>");
	return ERR_OK;
}

static enum err
check_file_root(struct slice rest, struct why *why)
{
	if (!is_path(rest))
		return why_set(why, ERR_SYNTAX,
			       "a file root's name is file-root:<file> or "
			       "file-root:system");
	return ERR_OK;
}

enum err
sds_name_check(struct slice name, struct why *why)
{
	struct spiffe_id id;

	if (name.len == 0 || name.len > SDS_NAME_MAX)
		return why_set(why, ERR_LIMIT,
			       "a name has 1 to %d bytes, this one %zu",
			       SDS_NAME_MAX, name.len);
	if (slice_is_str(name, "default") || slice_is_str(name, "ROOTCA"))
		return ERR_OK;
	if (slice_has_prefix(name, "file-cert:"))
		return check_file_cert(slice_sub(name, 10, name.len), why);
	if (slice_has_prefix(name, "file-root:"))
		return check_file_root(slice_sub(name, 10, name.len), why);
	if (slice_has_prefix(name, "spiffe://"))
		return spiffe_id_parse(name, why, &id);
	if (spiffe_trust_domain_check(name, NULL) == ERR_OK)
		return ERR_OK;
	return why_set(why, ERR_REFUSED,
		       "served are default, ROOTCA, file-cert:..., "
		       "file-root:..., SPIFFE IDs and trust domains");
}
