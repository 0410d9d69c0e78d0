/* spki.c - kind and size of a public key, from the outside. Chains are checked
 * for key sizes where the library parses the keys itself; a second parse of
 * the points would cost more than all rules together. */
#include "crypto/der.h"
#include "pki/pki_int.h"

#define OID_EC "\x2a\x86\x48\xce\x3d\x02\x01"
#define OID_RSA "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define OID_ED25519 "\x2b\x65\x70"
#define OID_P256 "\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define OID_P384 "\x2b\x81\x04\x00\x22"
#define OID_P521 "\x2b\x81\x04\x00\x23"

static void
size_ec(struct slice params, struct spki_size *out)
{
	struct slice curve;

	if (der_read(&params, DER_OID, &curve) != ERR_OK)
		return; /* explicit parameters */
	if (slice_is_eq(curve, SLICE_LIT(OID_P256)))
		*out = (struct spki_size){.kind = KEY_EC_P256, .bits = 256};
	else if (slice_is_eq(curve, SLICE_LIT(OID_P384)))
		*out = (struct spki_size){.kind = KEY_EC_P384, .bits = 384};
	else if (slice_is_eq(curve, SLICE_LIT(OID_P521)))
		*out = (struct spki_size){.kind = KEY_EC_P521, .bits = 521};
}

static enum err
size_rsa(struct slice bits, struct spki_size *out)
{
	struct slice body, n;
	enum err ret;
	unsigned len;

	if ((ret = der_read(&bits, DER_SEQUENCE, &body)) != ERR_OK)
		return ret;
	if ((ret = der_read(&body, DER_INTEGER, &n)) != ERR_OK)
		return ret;
	while (n.len > 0 && n.p[0] == 0)
		n = slice_sub(n, 1, n.len);
	if (n.len == 0 || n.len > CERT_MAX)
		return ERR_SYNTAX;
	len = (unsigned)n.len * 8;
	for (uint8_t top = n.p[0]; (top & 0x80) == 0; top = (uint8_t)(top << 1))
		len--;
	*out = (struct spki_size){KEY_RSA, len, n};
	return ERR_OK;
}

enum err
spki_get_size(struct slice spki, struct spki_size *out)
{
	struct slice body, alg, oid, bits;

	*out = (struct spki_size){0};
	if (der_read(&spki, DER_SEQUENCE, &body) != ERR_OK || spki.len != 0 ||
	    der_read(&body, DER_SEQUENCE, &alg) != ERR_OK ||
	    der_read(&alg, DER_OID, &oid) != ERR_OK ||
	    der_read_bits(&body, &bits) != ERR_OK || body.len != 0)
		return ERR_SYNTAX;
	if (slice_is_eq(oid, SLICE_LIT(OID_RSA)))
		return size_rsa(bits, out);
	if (slice_is_eq(oid, SLICE_LIT(OID_EC)))
		size_ec(alg, out);
	else if (slice_is_eq(oid, SLICE_LIT(OID_ED25519)))
		*out = (struct spki_size){.kind = KEY_ED25519, .bits = 256};
	return ERR_OK;
}
