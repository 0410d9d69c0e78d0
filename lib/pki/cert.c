/* cert.c - reading certificates, see cert.h. */
#include "pki/cert.h"

#include <stdio.h>

#include "crypto/der.h"
#include "pki/pki_int.h"
#include "pki/spiffe_id.h"

enum {
	VERSION_3 = 2,
	SERIAL_ENCODED_MAX = 64, /* foreign ones; the rule of 20 is chain.h's */
	KEY_ID_MAX = 64
};

static enum err
refuse(struct why *why, const char *what)
{
	return why_set(why, ERR_SYNTAX, "certificate: %s", what);
}

/* -- extensions */

static enum err
read_ski(struct slice value, struct cert *c)
{
	c->has_ski = true;
	if (der_read(&value, DER_OCTET_STRING, &c->ski) != ERR_OK ||
	    value.len != 0 || c->ski.len == 0 || c->ski.len > KEY_ID_MAX)
		return ERR_SYNTAX;
	return ERR_OK;
}

static enum err
read_aki(struct slice value, struct cert *c)
{
	struct slice body, skipped;
	enum err ret;

	c->has_aki = true;
	if ((ret = der_read(&value, DER_SEQUENCE, &body)) != ERR_OK)
		return ret;
	if (der_has_tag(body, DER_CONTEXT(0))) {
		ret = der_read(&body, DER_CONTEXT(0), &c->aki);
		if (ret != ERR_OK || c->aki.len > KEY_ID_MAX)
			return ERR_SYNTAX;
	}
	if (der_has_tag(body, DER_CONTEXT_CONS(1)) &&
	    der_read(&body, DER_CONTEXT_CONS(1), &skipped) != ERR_OK)
		return ERR_SYNTAX;
	if (der_has_tag(body, DER_CONTEXT(2)) &&
	    der_read(&body, DER_CONTEXT(2), &skipped) != ERR_OK)
		return ERR_SYNTAX;
	return value.len == 0 && body.len == 0 ? ERR_OK : ERR_SYNTAX;
}

static enum err
read_basic(const struct ext *e, struct cert *c)
{
	struct ext_basic b;
	enum err ret = ext_read_basic(e->value, &b);

	c->has_basic = true;
	c->basic_critical = e->critical;
	c->is_ca = b.is_ca;
	c->has_pathlen = b.has_pathlen;
	c->pathlen = b.pathlen;
	return ret;
}

static enum err
read_eku(struct slice value, struct cert *c)
{
	struct ext_eku eku;
	enum err ret = ext_read_eku(value, &eku);

	c->has_ext_key_usage = true;
	c->eku_server = eku.server;
	c->eku_client = eku.client;
	c->eku_any = eku.any;
	return ret;
}

static enum err
read_name_constraints(const struct ext *e, struct cert *c)
{
	struct slice in = e->value;

	c->has_name_constraints = true;
	c->name_constraints_critical = e->critical;
	if (der_read(&in, DER_SEQUENCE, &c->name_constraints) != ERR_OK ||
	    in.len != 0)
		return ERR_SYNTAX;
	return ERR_OK;
}

static void
note_unknown(const struct ext *e, struct cert *c)
{
	if (!e->critical || c->has_unknown_critical)
		return;
	c->has_unknown_critical = true;
	c->unknown_critical_oid = e->oid;
}

/* why is set where the reader of the extension knows more. */
static enum err
read_ext(const struct ext *e, struct cert *c, struct why *why)
{
	enum err ret;

	switch (ext_get_id(e)) {
	case EXT_SKI:
		return read_ski(e->value, c);
	case EXT_AKI:
		return read_aki(e->value, c);
	case EXT_BASIC:
		return read_basic(e, c);
	case EXT_KEY_USAGE:
		c->has_key_usage = true;
		c->key_usage_critical = e->critical;
		return ext_read_key_usage(e->value, &c->key_usage);
	case EXT_EKU:
		return read_eku(e->value, c);
	case EXT_SAN:
		c->has_san = true;
		ret = san_parse(e->value, why, &c->san);
		c->san.critical = e->critical;
		return ret;
	case EXT_NAME_CONSTRAINTS:
		return read_name_constraints(e, c);
	case EXT_POLICY_CONSTRAINTS:
	case EXT_INHIBIT_ANY:
		c->has_lax_policy = c->has_lax_policy || !e->critical;
		return ERR_OK;
	case EXT_POLICIES:
	case EXT_POLICY_MAPPINGS:
		return ERR_OK; /* the library's */
	case EXT_OTHER:
		break;
	}
	note_unknown(e, c);
	return ERR_OK;
}

static enum err
read_exts(struct slice in, struct cert *c, struct why *why)
{
	char oid[DER_OID_TEXT_MAX];
	struct ext_list exts;
	struct slice body;
	enum err ret;

	if (der_read(&in, DER_SEQUENCE, &body) != ERR_OK || in.len != 0)
		return refuse(why, "the extensions are malformed DER");
	if ((ret = ext_list_parse(body, "certificate", why, &exts)) != ERR_OK)
		return ret;
	for (size_t i = 0; i < exts.cnt; i++) {
		const struct ext *e = &exts.items[i];

		if ((ret = read_ext(e, c, why)) == ERR_OK)
			continue;
		if (ext_get_id(e) == EXT_SAN)
			return why_prefix(why, ret, "certificate");
		der_oid_format(e->oid, oid);
		return why_set(why, ret,
			       "certificate: extension %s is malformed", oid);
	}
	return ERR_OK;
}

/* -- the fixed fields */

static enum err
read_version(struct slice *in, struct cert *c)
{
	struct slice body;
	uint64_t version = 0;

	if (!der_has_tag(*in, DER_CONTEXT_CONS(0))) {
		c->is_v1 = true; /* old roots; no extensions then */
		return ERR_OK;
	}
	if (der_read(in, DER_CONTEXT_CONS(0), &body) != ERR_OK ||
	    der_read_u64(&body, &version) != ERR_OK || body.len != 0 ||
	    version != VERSION_3)
		return ERR_SYNTAX;
	return ERR_OK;
}

static enum err
read_serial(struct slice *in, struct cert *c)
{
	struct slice s;

	if (der_read(in, DER_INTEGER, &s) != ERR_OK || s.len == 0 ||
	    s.len > SERIAL_ENCODED_MAX)
		return ERR_SYNTAX;
	if (s.len > 1 && ((s.p[0] == 0 && (s.p[1] & 0x80) == 0) ||
			  (s.p[0] == 0xff && (s.p[1] & 0x80) != 0)))
		return ERR_SYNTAX; /* not the shortest */
	c->serial = s;
	return ERR_OK;
}

static enum err
read_name(struct slice *in, struct slice *out)
{
	unsigned tag = 0;

	if (der_read_element(in, &tag, out) != ERR_OK)
		return ERR_SYNTAX;
	return name_check(*out, NULL);
}

static enum err
read_validity(struct slice *in, struct cert *c)
{
	struct slice body;

	if (der_read(in, DER_SEQUENCE, &body) != ERR_OK ||
	    der_read_time(&body, &c->not_before) != ERR_OK ||
	    der_read_time(&body, &c->not_after) != ERR_OK || body.len != 0)
		return ERR_SYNTAX;
	return ERR_OK;
}

static enum err
read_tail(struct slice in, struct cert *c, struct why *why)
{
	struct slice body;

	/* Unique identifiers, which nobody uses. */
	for (unsigned n = 1; n <= 2; n++) {
		if (der_has_tag(in, DER_CONTEXT(n)) &&
		    der_read(&in, DER_CONTEXT(n), &body) != ERR_OK)
			return refuse(why, "a unique identifier is malformed "
					   "DER");
	}
	if (in.len == 0)
		return ERR_OK;
	if (c->is_v1)
		return refuse(why, "version 1 with extensions");
	if (der_read(&in, DER_CONTEXT_CONS(3), &body) != ERR_OK || in.len != 0)
		return refuse(why, "the extensions are malformed DER");
	return read_exts(body, c, why);
}

static enum err
read_tbs(struct cert *c, struct why *why)
{
	struct slice tbs = c->tbs, in, alg;
	unsigned tag = 0;

	if (der_read(&tbs, DER_SEQUENCE, &in) != ERR_OK)
		return refuse(why, "malformed DER");
	if (read_version(&in, c) != ERR_OK)
		return refuse(why, "the version is not 3");
	if (read_serial(&in, c) != ERR_OK)
		return refuse(why, "the serial number is malformed DER");
	if (der_read_element(&in, &tag, &alg) != ERR_OK)
		return refuse(why, "the signature algorithm is malformed DER");
	if (!slice_is_eq(alg, c->alg_der))
		return refuse(why, "the two signature algorithms differ (RFC "
				   "5280 4.1.1.2)");
	if (read_name(&in, &c->issuer) != ERR_OK)
		return refuse(why, "the issuer's name is malformed DER");
	if (read_validity(&in, c) != ERR_OK)
		return refuse(why, "the validity is malformed (RFC 5280 "
				   "4.1.2.5)");
	if (read_name(&in, &c->subject) != ERR_OK)
		return refuse(why, "the subject is malformed DER");
	if (der_read_element(&in, &tag, &c->spki) != ERR_OK ||
	    tag != DER_SEQUENCE)
		return refuse(why, "the public key is malformed DER");
	return read_tail(in, c, why);
}

enum err
cert_parse(struct slice der, struct why *why, struct cert *out)
{
	struct slice in = der, body;
	struct cert c = {.der = der};
	unsigned tag = 0;
	enum err ret;

	*out = (struct cert){0};
	if (der.len > CERT_MAX)
		return why_set(why, ERR_LIMIT,
			       "certificate: %zu bytes, at most %d are taken",
			       der.len, CERT_MAX);
	if (der_read(&in, DER_SEQUENCE, &body) != ERR_OK)
		return refuse(why, "not a DER sequence");
	if (in.len != 0)
		return refuse(why, "bytes follow it");
	if (der_read_element(&body, &tag, &c.tbs) != ERR_OK ||
	    tag != DER_SEQUENCE ||
	    der_read_element(&body, &tag, &c.alg_der) != ERR_OK ||
	    tag != DER_SEQUENCE ||
	    der_read_bits(&body, &c.signature) != ERR_OK || body.len != 0)
		return refuse(why, "not the three parts of X.509 in DER");
	if ((ret = read_tbs(&c, why)) != ERR_OK)
		return ret;
	c.alg = sig_alg_of_der(c.alg_der);
	*out = c;
	return ERR_OK;
}

/* -- X.509-SVID */

static enum err
refuse_svid(struct why *why, const char *rule)
{
	return why_set(why, ERR_REFUSED, "X.509-SVID: %s", rule);
}

static enum err
check_svid_usage(const struct cert *c, struct why *why)
{
	if (c->is_ca)
		return refuse_svid(why, "it is a CA certificate "
					"(basicConstraints CA:TRUE)");
	if (!c->has_key_usage)
		return refuse_svid(why, "it has no keyUsage");
	if (!c->key_usage_critical)
		return refuse_svid(why, "its keyUsage is not critical");
	if ((c->key_usage & CERT_KU_DIGITAL_SIGNATURE) == 0)
		return refuse_svid(why, "its keyUsage lacks digitalSignature");
	if ((c->key_usage & (CERT_KU_CERT_SIGN | CERT_KU_CRL_SIGN)) != 0)
		return refuse_svid(why, "its keyUsage has keyCertSign or "
					"cRLSign");
	if (c->has_ext_key_usage && (!c->eku_server || !c->eku_client))
		return refuse_svid(why, "its extKeyUsage lacks serverAuth or "
					"clientAuth");
	return ERR_OK;
}

enum err
svid_check_leaf(const struct cert *c, struct why *why, struct spiffe_id *id_out)
{
	struct spiffe_id id;
	enum err ret;

	*id_out = (struct spiffe_id){0};
	if (c->san.uri_cnt != 1)
		return why_set(why, ERR_REFUSED,
			       "X.509-SVID: it has %u URI SANs, exactly one is "
			       "wanted",
			       c->san.uri_cnt);
	if ((ret = spiffe_id_parse(c->san.uri, why, &id)) != ERR_OK)
		return why_prefix(why, ERR_REFUSED, "X.509-SVID");
	if (id.path.len == 0)
		return refuse_svid(why, "its SPIFFE ID has no path: it names a "
					"trust domain, not a workload");
	if (name_is_null(c->subject) && !c->san.critical)
		return refuse_svid(why, "the subject is empty and the SAN is "
					"not critical");
	if ((ret = check_svid_usage(c, why)) != ERR_OK)
		return ret;
	*id_out = id;
	return ERR_OK;
}

/* -- text */

void
cert_serial_format(struct slice serial, char out[2 * CERT_SERIAL_MAX + 8])
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	/* The zero octet that keeps a number positive is not shown. */
	if (serial.len > 1 && serial.p[0] == 0)
		serial = slice_sub(serial, 1, serial.len);
	for (size_t i = 0; i < serial.len && i <= CERT_SERIAL_MAX; i++) {
		out[n++] = hex[serial.p[i] >> 4];
		out[n++] = hex[serial.p[i] & 0xf];
	}
	(void)snprintf(out + n, 4, "%s",
		       serial.len > CERT_SERIAL_MAX + 1 ? "..." : "");
}

void
cert_describe(const struct cert *c, char out[CERT_TEXT_MAX])
{
	char serial[2 * CERT_SERIAL_MAX + 8];
	char from[WALL_TEXT_MAX], to[WALL_TEXT_MAX];
	char subject[CERT_TEXT_MAX];
	struct slice who;

	cert_name_format(c->subject, subject);
	cert_serial_format(c->serial, serial);
	wall_format(c->not_before, from);
	wall_format(c->not_after, to);
	who = slice_of_str(subject);
	if (c->san.uri.len != 0 && slice_is_printable(c->san.uri))
		who = c->san.uri;
	else if (who.len == 0)
		who = SLICE_LIT("(no name)");
	who = slice_sub(who, 0, CERT_TEXT_MAX - 192);
	(void)snprintf(out, CERT_TEXT_MAX, "%.*s (serial %s, valid %s to %s)",
		       SLICE_FMT(who), serial, from, to);
}

void
alg_format(struct slice alg_der, char out[128])
{
	struct slice body, oid;

	if (der_read(&alg_der, DER_SEQUENCE, &body) == ERR_OK &&
	    der_read(&body, DER_OID, &oid) == ERR_OK)
		der_oid_format(oid, out);
	else
		(void)snprintf(out, 128, "(malformed)");
}
