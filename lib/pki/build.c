/* build.c - building certificates, see build.h.
 *
 * Extensions that never change stand here as DER, those of one issuer are made
 * once in build_issuer_new; what is left for each certificate is copying,
 * one SHA-1 over the key and two times.
 *
 * Names of our CAs: O=<trust domain>, CN="meshcert root 1a2b3c4d" or
 * "meshcert issuing 1a2b3c4d" with the first octets of the key identifier, so
 * that two CAs of one domain never share a name. */
#include "pki/build.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/hash.h"
#include "pki/cert.h"
#include "pki/spiffe_id.h"

enum {
	KEY_ID_LEN = 20,
	ORGANIZATION_MAX = 64, /* RFC 5280 A.1: ub-organization-name */
	CA_TEXT_MAX = 64
};

/* Extensions whole: OID, critical, value. */
#define EXT_LEAF_BASIC                             \
	"\x30\x0c\x06\x03\x55\x1d\x13\x01\x01\xff" \
	"\x04\x02\x30\x00"
#define EXT_CA_BASIC(pathlen)                      \
	"\x30\x12\x06\x03\x55\x1d\x13\x01\x01\xff" \
	"\x04\x08\x30\x06\x01\x01\xff\x02\x01" pathlen
#define EXT_KU(unused, bits)                       \
	"\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff" \
	"\x04\x04\x03\x02" unused bits
#define KU_SIGNATURE EXT_KU("\x07", "\x80")
#define KU_SIGNATURE_ENCIPHERMENT EXT_KU("\x05", "\xa0")
#define KU_CA EXT_KU("\x01", "\x06")
#define OID_SERVER_AUTH "\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"
#define OID_CLIENT_AUTH "\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02"
#define EKU_BOTH                               \
	"\x30\x1d\x06\x03\x55\x1d\x25\x04\x16" \
	"\x30\x14" OID_SERVER_AUTH OID_CLIENT_AUTH
#define EKU_SERVER \
	"\x30\x13\x06\x03\x55\x1d\x25\x04\x0c\x30\x0a" OID_SERVER_AUTH
/* SubjectKeyIdentifier up to its 20 octets. */
#define EXT_SKI_HEAD "\x30\x1d\x06\x03\x55\x1d\x0e\x04\x16\x04\x14"

struct build_issuer {
	struct derw *w; /* reused for each certificate */
	enum sig_alg alg;
	bool is_self;    /* makes roots: no name, no AKI */
	struct buf name; /* DER */
	struct buf aki;  /* whole extension */
};

/* -- the issuer */

static enum err
prepare_aki(struct build_issuer *b, struct slice key_id)
{
	struct slice der;
	enum err ret;

	derw_reset(b->w);
	derw_open(b->w, DER_SEQUENCE);
	derw_oid(b->w, SLICE_LIT("\x55\x1d\x23"));
	derw_open(b->w, DER_OCTET_STRING);
	derw_open(b->w, DER_SEQUENCE);
	derw_element(b->w, DER_CONTEXT(0), key_id);
	derw_close(b->w);
	derw_close(b->w);
	derw_close(b->w);
	if ((ret = derw_finish(b->w, &der)) != ERR_OK)
		return ret;
	return buf_put(&b->aki, der);
}

static enum err
prepare_issuer(struct build_issuer *b, struct slice der, struct why *why)
{
	uint8_t computed[KEY_ID_LEN];
	struct slice key_id;
	struct cert c;
	enum err ret;

	if ((ret = cert_parse(der, why, &c)) != ERR_OK)
		return why_prefix(why, ret, "issuer");
	if (!c.is_ca)
		return why_set(why, ERR_REFUSED,
			       "issuer: its certificate is no CA certificate "
			       "(basicConstraints CA:TRUE is missing)");
	key_id = c.ski;
	if (!c.has_ski) {
		ret = build_key_id(c.spki, computed);
		if (ret != ERR_OK)
			return why_set(why, ret,
				       "issuer: malformed public key");
		key_id = SLICE_ARRAY(computed);
	}
	if ((ret = buf_put(&b->name, c.subject)) != ERR_OK)
		return ret;
	return prepare_aki(b, key_id);
}

enum err
build_issuer_new(struct slice cert, enum sig_alg alg, struct why *why,
		 struct build_issuer **out)
{
	struct build_issuer *b = NULL;
	enum err ret;

	*out = NULL;
	if (alg == SIG_NONE)
		return why_set(why, ERR_UNSUPPORTED,
			       "issuer: no signature algorithm");
	b = MEM_NEW(struct build_issuer);
	b->w = derw_new(BUILD_CERT_MAX);
	b->alg = alg;
	b->is_self = cert.len == 0;
	buf_init(&b->name, BUILD_CERT_MAX);
	buf_init(&b->aki, 256);
	if (!b->is_self && (ret = prepare_issuer(b, cert, why)) != ERR_OK) {
		build_issuer_free(b);
		return ret;
	}
	*out = b;
	return ERR_OK;
}

void
build_issuer_free(struct build_issuer *b)
{
	if (b == NULL)
		return;
	derw_free(b->w);
	buf_fini(&b->name);
	buf_fini(&b->aki);
	mem_free(b);
}

enum err
build_key_id(struct slice spki, uint8_t out[20])
{
	struct slice body, alg, bits;

	if (der_read(&spki, DER_SEQUENCE, &body) != ERR_OK || spki.len != 0 ||
	    der_read(&body, DER_SEQUENCE, &alg) != ERR_OK ||
	    der_read_bits(&body, &bits) != ERR_OK || body.len != 0)
		return ERR_SYNTAX;
	hash_bytes(HASH_SHA1, bits, out);
	return ERR_OK;
}

/* -- what is asked for */

static bool
is_ca(const struct build_request *rq)
{
	return rq->profile == BUILD_ROOT || rq->profile == BUILD_ISSUING;
}

static enum err
refuse(struct why *why, const char *what)
{
	return why_set(why, ERR_REFUSED, "certificate to be issued: %s", what);
}

static enum err
check_identity(const struct build_request *rq, struct why *why)
{
	struct spiffe_id id;
	enum err ret;

	if (rq->uri.len == 0)
		return rq->profile == BUILD_WORKLOAD
			       ? refuse(why, "a workload without a SPIFFE ID")
			       : ERR_OK;
	if ((ret = spiffe_id_parse(rq->uri, why, &id)) != ERR_OK)
		return why_prefix(why, ret, "certificate to be issued");
	if (is_ca(rq) && id.path.len != 0)
		return refuse(why, "a CA whose SPIFFE ID has a path");
	if (!is_ca(rq) && id.path.len == 0)
		return refuse(why, "a leaf whose SPIFFE ID has no path");
	return ERR_OK;
}

static enum err
check_request(const struct build_issuer *issuer, const struct build_request *rq,
	      struct why *why)
{
	const uint8_t zero[BUILD_SERIAL_LEN] = {0};

	if (rq->profile < BUILD_WORKLOAD || rq->profile > BUILD_ISSUING)
		return refuse(why, "unknown profile");
	if (issuer->is_self != (rq->profile == BUILD_ROOT))
		return refuse(why, "a root has no issuer, all others need one");
	if ((rq->serial[0] & 0x80) != 0 ||
	    memcmp(rq->serial, zero, sizeof(zero)) == 0)
		return refuse(why, "the serial number is not positive");
	if (!wall_is_before(rq->not_before, rq->not_after))
		return refuse(why, "it would end before it begins");
	if (rq->profile == BUILD_WORKLOAD && rq->dns_cnt != 0)
		return refuse(why, "a workload with DNS names");
	if (rq->profile == BUILD_SERVING && rq->dns_cnt == 0)
		return refuse(why, "a serving certificate without names");
	if (is_ca(rq) && (rq->common_name.len == 0 ||
			  rq->common_name.len > SPIFFE_TRUST_DOMAIN_MAX))
		return refuse(why, "a CA without a name, or with one that is "
				   "too long");
	return check_identity(rq, why);
}

/* -- writing */

static void
put_lit(struct derw *w, const char *bytes, size_t len)
{
	derw_raw(w, slice_of(bytes, len));
}
#define PUT_LIT(w, lit) put_lit((w), (lit), sizeof(lit) - 1)

static void
put_attr(struct derw *w, uint8_t type, struct slice value)
{
	const uint8_t oid[] = {0x55, 0x04, type};

	derw_open(w, DER_SET);
	derw_open(w, DER_SEQUENCE);
	derw_oid(w, SLICE_ARRAY(oid));
	derw_element(w, DER_UTF8_STRING, value);
	derw_close(w);
	derw_close(w);
}

/* The subject of a CA, see above. O is cut to what X.520 allows: the key
 * identifier keeps names apart. */
static void
put_ca_name(struct derw *w, const struct build_request *rq,
	    const uint8_t key_id[KEY_ID_LEN])
{
	char text[CA_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "meshcert %s %02x%02x%02x%02x",
		       rq->profile == BUILD_ROOT ? "root" : "issuing",
		       key_id[0], key_id[1], key_id[2], key_id[3]);
	derw_open(w, DER_SEQUENCE);
	put_attr(w, 10, slice_sub(rq->common_name, 0, ORGANIZATION_MAX));
	put_attr(w, 3, slice_of_str(text));
	derw_close(w);
}

static void
put_dns(struct derw *w, struct slice name)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t ip[16];

	if (name.len != 0 && name.len < sizeof(text)) {
		memcpy(text, name.p, name.len);
		text[name.len] = '\0';
		if (inet_pton(AF_INET, text, ip) == 1) {
			derw_element(w, DER_CONTEXT(7), slice_of(ip, 4));
			return;
		}
		if (inet_pton(AF_INET6, text, ip) == 1) {
			derw_element(w, DER_CONTEXT(7), slice_of(ip, 16));
			return;
		}
	}
	derw_element(w, DER_CONTEXT(2), name);
}

static void
put_san(struct derw *w, const struct build_request *rq)
{
	derw_open(w, DER_SEQUENCE);
	derw_oid(w, SLICE_LIT("\x55\x1d\x11"));
	if (!is_ca(rq))
		derw_bool(w, true); /* the subject is empty */
	derw_open(w, DER_OCTET_STRING);
	derw_open(w, DER_SEQUENCE);
	if (rq->uri.len != 0)
		derw_element(w, DER_CONTEXT(6), rq->uri);
	for (size_t i = 0; i < rq->dns_cnt; i++)
		put_dns(w, rq->dns[i]);
	derw_close(w);
	derw_close(w);
	derw_close(w);
}

static void
put_name_constraints(struct derw *w, struct slice host)
{
	derw_open(w, DER_SEQUENCE);
	derw_oid(w, SLICE_LIT("\x55\x1d\x1e"));
	derw_bool(w, true);
	derw_open(w, DER_OCTET_STRING);
	derw_open(w, DER_SEQUENCE);
	derw_open(w, DER_CONTEXT_CONS(0)); /* permittedSubtrees */
	derw_open(w, DER_SEQUENCE);
	derw_element(w, DER_CONTEXT(6), host);
	derw_close(w);
	derw_close(w);
	derw_close(w);
	derw_close(w);
	derw_close(w);
}

static void
put_usage(struct derw *w, const struct build_request *rq)
{
	if (is_ca(rq)) {
		PUT_LIT(w, KU_CA);
		if (rq->profile == BUILD_ROOT && rq->is_tier)
			PUT_LIT(w, EXT_CA_BASIC("\x01"));
		else
			PUT_LIT(w, EXT_CA_BASIC("\x00"));
		return;
	}
	if (rq->spki_is_rsa)
		PUT_LIT(w, KU_SIGNATURE_ENCIPHERMENT);
	else
		PUT_LIT(w, KU_SIGNATURE);
	/* X509-SVID.md 4.4: with a SPIFFE ID it is both. */
	if (rq->uri.len != 0)
		PUT_LIT(w, EKU_BOTH);
	else
		PUT_LIT(w, EKU_SERVER);
	PUT_LIT(w, EXT_LEAF_BASIC);
}

static void
put_exts(const struct build_issuer *issuer, const struct build_request *rq,
	 const uint8_t key_id[KEY_ID_LEN])
{
	struct derw *w = issuer->w;

	derw_open(w, DER_CONTEXT_CONS(3));
	derw_open(w, DER_SEQUENCE);
	put_usage(w, rq);
	PUT_LIT(w, EXT_SKI_HEAD);
	derw_raw(w, slice_of(key_id, KEY_ID_LEN));
	derw_raw(w, buf_get(&issuer->aki));
	if (rq->uri.len != 0 || rq->dns_cnt != 0)
		put_san(w, rq);
	if (is_ca(rq) && rq->permitted_uri_host.len != 0)
		put_name_constraints(w, rq->permitted_uri_host);
	derw_close(w);
	derw_close(w);
}

enum err
build_tbs(const struct build_issuer *issuer, const struct build_request *rq,
	  struct why *why, struct buf *tbs_out)
{
	struct derw *w = issuer->w;
	uint8_t key_id[KEY_ID_LEN];
	struct slice der;
	enum err ret;

	buf_reset(tbs_out);
	if ((ret = check_request(issuer, rq, why)) != ERR_OK)
		return ret;
	if ((ret = build_key_id(rq->spki, key_id)) != ERR_OK)
		return why_set(why, ret,
			       "certificate to be issued: malformed public "
			       "key");
	derw_reset(w);
	derw_open(w, DER_SEQUENCE);
	PUT_LIT(w, "\xa0\x03\x02\x01\x02"); /* version 3 */
	derw_uint(w, SLICE_ARRAY(rq->serial));
	derw_raw(w, sig_alg_get_der(issuer->alg));
	if (issuer->is_self)
		put_ca_name(w, rq, key_id);
	else
		derw_raw(w, buf_get(&issuer->name));
	derw_open(w, DER_SEQUENCE);
	derw_time(w, rq->not_before);
	derw_time(w, rq->not_after);
	derw_close(w);
	if (is_ca(rq))
		put_ca_name(w, rq, key_id);
	else
		PUT_LIT(w, "\x30\x00"); /* no subject */
	derw_raw(w, rq->spki);
	put_exts(issuer, rq, key_id);
	derw_close(w);
	ret = derw_finish(w, &der);
	if (ret == ERR_OK)
		ret = buf_put(tbs_out, der);
	if (ret == ERR_OK)
		return ERR_OK;
	return why_set(why, ret, "certificate to be issued: %s", err_text(ret));
}

enum err
build_finish(const struct build_issuer *issuer, struct slice tbs,
	     struct slice signature, struct buf *cert_out)
{
	struct derw *w = issuer->w;
	struct slice der;
	enum err ret;

	buf_reset(cert_out);
	derw_reset(w);
	derw_open(w, DER_SEQUENCE);
	derw_raw(w, tbs);
	derw_raw(w, sig_alg_get_der(issuer->alg));
	derw_bits(w, signature, 0);
	derw_close(w);
	if ((ret = derw_finish(w, &der)) != ERR_OK)
		return ret;
	return buf_put(cert_out, der);
}
