/* ext.c - extensions, of certificates and of requests, see pki_int.h. */
#include "crypto/der.h"
#include "pki/pki_int.h"

static enum err
ext_read(struct slice *in, struct ext *out)
{
	struct slice body;
	enum err ret;

	*out = (struct ext){0};
	if ((ret = der_read(in, DER_SEQUENCE, &body)) != ERR_OK)
		return ret;
	if ((ret = der_read(&body, DER_OID, &out->oid)) != ERR_OK)
		return ret;
	if (der_has_tag(body, DER_BOOLEAN)) {
		if ((ret = der_read_bool(&body, &out->critical)) != ERR_OK)
			return ret;
		if (!out->critical)
			return ERR_SYNTAX; /* DER: a default is left out */
	}
	if ((ret = der_read(&body, DER_OCTET_STRING, &out->value)) != ERR_OK)
		return ret;
	return out->oid.len == 0 || body.len != 0 ? ERR_SYNTAX : ERR_OK;
}

static bool
ext_list_has(const struct ext_list *l, struct slice oid)
{
	for (size_t i = 0; i < l->cnt; i++) {
		if (slice_is_eq(l->items[i].oid, oid))
			return true;
	}
	return false;
}

enum err
ext_list_parse(struct slice in, const char *what, struct why *why,
	       struct ext_list *out)
{
	char oid[DER_OID_TEXT_MAX];
	struct ext e;

	out->cnt = 0;
	if (in.len == 0)
		return why_set(why, ERR_SYNTAX,
			       "%s: an empty list of extensions", what);
	while (in.len > 0) {
		if (out->cnt == EXT_MAX)
			return why_set(why, ERR_LIMIT,
				       "%s: more than %d extensions", what,
				       EXT_MAX);
		if (ext_read(&in, &e) != ERR_OK)
			return why_set(why, ERR_SYNTAX,
				       "%s: extension %zu is malformed DER",
				       what, out->cnt + 1);
		if (ext_list_has(out, e.oid)) {
			der_oid_format(e.oid, oid);
			return why_set(why, ERR_SYNTAX,
				       "%s: duplicate extension %s (RFC 5280 "
				       "4.2)",
				       what, oid);
		}
		out->items[out->cnt++] = e;
	}
	return ERR_OK;
}

enum ext_id
ext_get_id(const struct ext *e)
{
	static const uint8_t ids[] = {
		EXT_SKI,
		EXT_KEY_USAGE,
		EXT_SAN,
		EXT_BASIC,
		EXT_AKI,
		EXT_NAME_CONSTRAINTS,
		EXT_EKU,
		EXT_POLICIES,
		EXT_INHIBIT_ANY,
		EXT_POLICY_MAPPINGS,
		EXT_POLICY_CONSTRAINTS,
	};

	/* id-ce: 2.5.29 */
	if (e->oid.len != 3 || e->oid.p[0] != 0x55 || e->oid.p[1] != 0x1d)
		return EXT_OTHER;
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		if (ids[i] == e->oid.p[2])
			return (enum ext_id)ids[i];
	}
	return EXT_OTHER;
}

enum err
ext_read_key_usage(struct slice value, unsigned *bits_out)
{
	struct slice body;
	uint8_t unused = 0;
	unsigned bits = 0;
	enum err ret;

	*bits_out = 0;
	if ((ret = der_read(&value, DER_BIT_STRING, &body)) != ERR_OK)
		return ret;
	if (value.len != 0 || slice_read_u8(&body, &unused) != ERR_OK ||
	    unused > 7 || body.len == 0 || body.len > 2)
		return ERR_SYNTAX;
	if ((body.p[body.len - 1] & ((1U << unused) - 1)) != 0)
		return ERR_SYNTAX;
	for (unsigned i = 0; i < body.len * 8; i++) {
		if ((body.p[i / 8] & (0x80U >> (i % 8))) != 0)
			bits |= 1U << i;
	}
	if (bits == 0) /* RFC 5280 4.2.1.3: at least one is set */
		return ERR_SYNTAX;
	*bits_out = bits;
	return ERR_OK;
}

enum err
ext_read_basic(struct slice value, struct ext_basic *out)
{
	struct ext_basic b = {0};
	struct slice body;
	enum err ret;

	*out = b;
	if ((ret = der_read(&value, DER_SEQUENCE, &body)) != ERR_OK)
		return ret;
	if (der_has_tag(body, DER_BOOLEAN)) {
		if ((ret = der_read_bool(&body, &b.is_ca)) != ERR_OK)
			return ret;
		if (!b.is_ca)
			return ERR_SYNTAX; /* DER: a default is left out */
	}
	if (body.len != 0) {
		b.has_pathlen = true;
		if ((ret = der_read_u64(&body, &b.pathlen)) != ERR_OK)
			return ret;
	}
	/* RFC 5280 4.2.1.9: no path length without CA. */
	if (value.len != 0 || body.len != 0 || (b.has_pathlen && !b.is_ca))
		return ERR_SYNTAX;
	*out = b;
	return ERR_OK;
}

enum err
ext_read_eku(struct slice value, struct ext_eku *out)
{
	const struct slice kp = SLICE_LIT("\x2b\x06\x01\x05\x05\x07\x03");
	struct ext_eku e = {0};
	struct slice body;
	struct slice oid;
	enum err ret;

	*out = e;
	if ((ret = der_read(&value, DER_SEQUENCE, &body)) != ERR_OK)
		return ret;
	if (value.len != 0 || body.len == 0)
		return ERR_SYNTAX;
	while (body.len != 0) {
		if ((ret = der_read(&body, DER_OID, &oid)) != ERR_OK)
			return ret;
		if (oid.len == 0)
			return ERR_SYNTAX;
		if (slice_is_eq(oid, SLICE_LIT("\x55\x1d\x25\x00")))
			e.any = true;
		if (oid.len != kp.len + 1 ||
		    !slice_is_eq(slice_sub(oid, 0, kp.len), kp))
			continue;
		e.server = e.server || oid.p[kp.len] == 1;
		e.client = e.client || oid.p[kp.len] == 2;
		e.ocsp_signing = e.ocsp_signing || oid.p[kp.len] == 9;
	}
	*out = e;
	return ERR_OK;
}
