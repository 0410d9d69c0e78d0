/* csr.c - certificate requests, see csr.h. */
#include "pki/csr.h"

#include <arpa/inet.h>

#include "crypto/der.h"
#include "crypto/pem.h"
#include "custody/custody.h"
#include "pki/pki_int.h"

enum {
	CSR_ATTR_MAX = 16
};

/* Bodies of OIDs; SLICE_LIT cannot stand at file scope. */
#define OID_EXTENSION_REQUEST "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"
#define OID_SAN "\x55\x1d\x11"

/* -- reading */

static enum err
refuse(struct why *why, const char *what)
{
	return why_set(why, ERR_SYNTAX, "CSR: %s", what);
}

/* What no workload is ever given is refused at once, with a text; everything
 * else that is asked for is passed over. */
static enum err
check_ext(const struct ext *e, struct csr *csr, struct why *why)
{
	struct ext_basic basic;
	struct ext_eku eku;
	unsigned usage = 0;
	enum err ret;

	switch (ext_get_id(e)) {
	case EXT_SAN:
		if ((ret = san_parse(e->value, why, &csr->san)) != ERR_OK)
			return why_prefix(why, ret, "CSR");
		csr->san.critical = e->critical;
		return ERR_OK;
	case EXT_BASIC:
		if (ext_read_basic(e->value, &basic) != ERR_OK)
			return refuse(why, "malformed basicConstraints");
		if (basic.is_ca)
			return why_set(why, ERR_REFUSED,
				       "CSR: it asks for a CA certificate "
				       "(basicConstraints CA:TRUE); only leaf "
				       "certificates are issued");
		return ERR_OK;
	case EXT_KEY_USAGE:
		if (ext_read_key_usage(e->value, &usage) != ERR_OK)
			return refuse(why, "malformed keyUsage");
		if ((usage & (CERT_KU_CERT_SIGN | CERT_KU_CRL_SIGN)) != 0)
			return why_set(why, ERR_REFUSED,
				       "CSR: it asks for keyUsage keyCertSign "
				       "or cRLSign; only leaf certificates are "
				       "issued");
		return ERR_OK;
	case EXT_EKU:
		if (ext_read_eku(e->value, &eku) != ERR_OK)
			return refuse(why, "malformed extKeyUsage");
		if (eku.any || eku.ocsp_signing)
			return why_set(why, ERR_REFUSED,
				       "CSR: it asks for extKeyUsage %s, which "
				       "is not issued",
				       eku.any ? "anyExtendedKeyUsage"
					       : "OCSPSigning");
		return ERR_OK;
	default:
		return ERR_OK;
	}
}

/* values: contents of the attribute's SET. */
static enum err
parse_extension_request(struct slice values, struct csr *csr, struct why *why)
{
	struct ext_list exts;
	struct slice body;
	enum err ret;

	if (der_read(&values, DER_SEQUENCE, &body) != ERR_OK || values.len != 0)
		return refuse(why, "the extension request is not exactly one "
				   "list of extensions");
	if ((ret = ext_list_parse(body, "CSR", why, &exts)) != ERR_OK)
		return ret;
	for (size_t i = 0; i < exts.cnt; i++) {
		ret = check_ext(&exts.items[i], csr, why);
		if (ret != ERR_OK)
			return ret;
	}
	return ERR_OK;
}

static enum err
parse_attributes(struct slice in, struct csr *csr, struct why *why)
{
	struct slice seen[CSR_ATTR_MAX];
	struct slice attr, values;
	size_t cnt = 0;
	enum err ret;

	for (; in.len > 0; cnt++) {
		if (cnt == CSR_ATTR_MAX)
			return why_set(why, ERR_LIMIT,
				       "CSR: more than %d attributes",
				       CSR_ATTR_MAX);
		if (der_read(&in, DER_SEQUENCE, &attr) != ERR_OK ||
		    der_read(&attr, DER_OID, &seen[cnt]) != ERR_OK ||
		    der_read(&attr, DER_SET, &values) != ERR_OK ||
		    attr.len != 0)
			return refuse(why, "an attribute is malformed DER");
		for (size_t i = 0; i < cnt; i++) {
			if (slice_is_eq(seen[i], seen[cnt]))
				return refuse(why, "duplicate attribute");
		}
		if (!slice_is_eq(seen[cnt], SLICE_LIT(OID_EXTENSION_REQUEST)))
			continue;
		ret = parse_extension_request(values, csr, why);
		if (ret != ERR_OK)
			return ret;
	}
	return ERR_OK;
}

static enum err
parse_info(struct slice in, struct csr *csr, struct why *why)
{
	struct slice attributes;
	uint64_t version = 0;
	unsigned tag = 0;

	if (der_read_u64(&in, &version) != ERR_OK || version != 0)
		return refuse(why, "the version is not 0 (PKCS#10 v1)");
	if (der_read_element(&in, &tag, &csr->subject) != ERR_OK ||
	    name_check(csr->subject, &csr->subject_is_empty) != ERR_OK)
		return refuse(why, "the subject is malformed DER");
	if (der_read_element(&in, &tag, &csr->spki) != ERR_OK ||
	    tag != DER_SEQUENCE)
		return refuse(why, "the public key is malformed DER");
	if (der_read(&in, DER_CONTEXT_CONS(0), &attributes) != ERR_OK)
		return refuse(why, "the attributes are missing or malformed "
				   "DER");
	if (in.len != 0)
		return refuse(why, "bytes follow the attributes");
	return parse_attributes(attributes, csr, why);
}

enum err
csr_parse(struct slice der, struct why *why, struct csr *out)
{
	struct slice in = der;
	struct csr csr = {0};
	struct slice body, info, alg;
	unsigned tag = 0;
	char text[128];
	enum err ret;

	*out = csr;
	if (der.len > CSR_MAX)
		return why_set(why, ERR_LIMIT,
			       "CSR: %zu bytes, at most %d are taken", der.len,
			       CSR_MAX);
	if (der_read(&in, DER_SEQUENCE, &body) != ERR_OK)
		return refuse(why, "not a DER sequence");
	if (in.len != 0)
		return refuse(why, "bytes follow the request");
	if (der_read_element(&body, &tag, &csr.info) != ERR_OK ||
	    tag != DER_SEQUENCE || der_read_element(&body, &tag, &alg) ||
	    tag != DER_SEQUENCE || der_read_bits(&body, &csr.signature) ||
	    body.len != 0)
		return refuse(why, "not the three parts of PKCS#10 in DER");
	info = csr.info;
	if (der_read(&info, DER_SEQUENCE, &body) != ERR_OK)
		return refuse(why, "not the three parts of PKCS#10 in DER");
	if ((ret = parse_info(body, &csr, why)) != ERR_OK)
		return ret;
	csr.alg = sig_alg_of_der(alg);
	if (csr.alg == SIG_NONE) {
		alg_format(alg, text);
		return why_set(why, ERR_UNSUPPORTED,
			       "CSR: signature algorithm %s is not supported; "
			       "ECDSA, RSA (SHA-2) and Ed25519 are",
			       text);
	}
	*out = csr;
	return ERR_OK;
}

static bool
is_blank(struct slice s)
{
	return slice_trim(s).len == 0;
}

enum err
csr_read_pem(struct slice pem, struct buf *der_out, struct why *why)
{
	struct slice in = slice_trim(pem);
	struct slice label;
	enum err ret;

	buf_reset(der_out);
	if (pem.len > 2 * CSR_MAX)
		return why_set(why, ERR_LIMIT,
			       "CSR: PEM text of %zu bytes, at most %d are "
			       "taken",
			       pem.len, 2 * CSR_MAX);
	if (!slice_has_prefix(in, "-----BEGIN "))
		return refuse(why, "not PEM: it does not begin with "
				   "-----BEGIN CERTIFICATE REQUEST-----");
	if ((ret = pem_read(&in, &label, der_out, why)) != ERR_OK) {
		buf_reset(der_out);
		return why_prefix(why, ret == ERR_NOT_FOUND ? ERR_SYNTAX : ret,
				  "CSR");
	}
	if (!slice_is_str(label, "CERTIFICATE REQUEST") &&
	    !slice_is_str(label, "NEW CERTIFICATE REQUEST")) {
		buf_reset(der_out);
		return why_set(why, ERR_SYNTAX,
			       "CSR: a PEM block \"%.*s\"; \"CERTIFICATE "
			       "REQUEST\" is wanted",
			       SLICE_FMT(slice_sub(label, 0, 64)));
	}
	if (!is_blank(in)) {
		buf_reset(der_out);
		return refuse(why, "more follows the one PEM block");
	}
	return ERR_OK;
}

enum err
csr_verify(const struct csr *csr, const struct pubkey *key, struct why *why)
{
	enum err ret = pubkey_verify(key, csr->alg, csr->info, csr->signature);
	char text[KEY_TEXT_MAX];

	if (ret == ERR_OK)
		return ERR_OK;
	pubkey_describe(key, text);
	if (ret == ERR_SIGNATURE)
		return why_set(why, ret,
			       "CSR: its own signature (%s) does not verify "
			       "with its key (%s): no proof that the caller "
			       "has the private key",
			       sig_alg_name(csr->alg), text);
	return why_set(why, ret, "CSR: a signature %s by a key %s: %s",
		       sig_alg_name(csr->alg), text, err_text(ret));
}

/* -- building */

static void
put_dns(struct derw *w, const char *name)
{
	uint8_t ip[16];

	if (inet_pton(AF_INET, name, ip) == 1)
		derw_element(w, DER_CONTEXT(7), slice_of(ip, 4));
	else if (inet_pton(AF_INET6, name, ip) == 1)
		derw_element(w, DER_CONTEXT(7), slice_of(ip, 16));
	else
		derw_element(w, DER_CONTEXT(2), slice_of_str(name));
}

static void
put_san(struct derw *w, struct slice identity, const char *const *dns)
{
	derw_open(w, DER_SEQUENCE); /* Attribute */
	derw_oid(w, SLICE_LIT(OID_EXTENSION_REQUEST));
	derw_open(w, DER_SET);
	derw_open(w, DER_SEQUENCE); /* Extensions */
	derw_open(w, DER_SEQUENCE); /* Extension */
	derw_oid(w, SLICE_LIT(OID_SAN));
	derw_bool(w, true); /* critical: the subject is empty */
	derw_open(w, DER_OCTET_STRING);
	derw_open(w, DER_SEQUENCE);
	if (identity.len != 0)
		derw_element(w, DER_CONTEXT(6), identity);
	for (; dns != NULL && *dns != NULL; dns++)
		put_dns(w, *dns);
	for (int i = 0; i < 6; i++)
		derw_close(w);
}

static enum err
sign_and_write(struct derw *w, struct custody_key *key, struct slice info,
	       struct buf *out)
{
	enum sig_alg alg = custody_get_default_alg(key);
	struct slice der;
	struct buf copy, sig;
	enum err ret;

	buf_init(&copy, CSR_MAX);
	buf_init(&sig, CSR_MAX);
	if ((ret = buf_put(&copy, info)) != ERR_OK)
		goto out;
	ret = custody_sign_now(key, alg, buf_get(&copy), &sig);
	if (ret != ERR_OK)
		goto out;
	derw_reset(w);
	derw_open(w, DER_SEQUENCE);
	derw_raw(w, buf_get(&copy));
	derw_raw(w, sig_alg_get_der(alg));
	derw_bits(w, buf_get(&sig), 0);
	derw_close(w);
	if ((ret = derw_finish(w, &der)) != ERR_OK)
		goto out;
	ret = pem_write(out, "CERTIFICATE REQUEST", der);
out:
	buf_fini(&copy);
	buf_fini(&sig);
	return ret;
}

enum err
csr_build_pem(struct custody_key *key, struct slice identity,
	      const char *const *dns, struct buf *out)
{
	struct derw *w = derw_new(CSR_MAX);
	struct slice info;
	enum err ret;

	derw_open(w, DER_SEQUENCE);
	derw_u64(w, 0);
	derw_element(w, DER_SEQUENCE, SLICE_NONE);
	derw_raw(w, custody_get_spki(key));
	derw_open(w, DER_CONTEXT_CONS(0));
	if (identity.len != 0 || (dns != NULL && dns[0] != NULL))
		put_san(w, identity, dns);
	derw_close(w);
	derw_close(w);
	ret = derw_finish(w, &info);
	if (ret == ERR_OK)
		ret = sign_and_write(w, key, info, out);
	derw_free(w);
	return ret;
}
