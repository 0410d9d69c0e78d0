/* privkey.c - private keys in this process: making, reading, writing, signing.
 * See key.h.
 *
 * What is a secret here: input, output and every buffer of ours is a struct
 * secret (locked, not dumped, wiped), and so is what the library keeps of a
 * key: its numbers are made, read and, for RSA, first used between
 * key_memory_enter and key_memory_leave. What it works with while it signs is
 * on the stack or the heap for the length of the call and wiped (OPENSSL_free
 * cleanses always). Writing goes straight into secret memory, by a CBB over a
 * fixed buffer.
 *
 * RFC 5208 and 5958 (PKCS#8), 5915 (EC), 8017 A.1.2 (RSA), 8410 (Ed25519). */
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/curve25519.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/key_int.h"
#include "crypto/pem.h"

enum {
	RSA_NEW_BITS_MIN = 2048,
	RSA_NEW_BITS_MAX = 8192
};

#define LABEL_PKCS8 "PRIVATE KEY"
#define LABEL_EC "EC PRIVATE KEY"
#define LABEL_RSA "RSA PRIVATE KEY"

struct privkey {
	enum key_kind kind;
	unsigned bits;
	EC_KEY *ec;
	RSA *rsa;
	struct secret *ed25519; /* seed and public key, as the library's */
};

/* -- making */

static enum err
make_ec(struct privkey *k, const struct key_row *row)
{
	k->ec = EC_KEY_new();
	must(k->ec != NULL);
	must(EC_KEY_set_group(k->ec, row->group()) == 1);
	return EC_KEY_generate_key(k->ec) == 1 ? ERR_OK : ERR_BUG;
}

static enum err
make_rsa(struct privkey *k, unsigned bits)
{
	BIGNUM *e = NULL;
	enum err ret;

	if (bits < RSA_NEW_BITS_MIN || bits > RSA_NEW_BITS_MAX || bits % 8 != 0)
		return ERR_UNSUPPORTED;
	e = BN_new();
	k->rsa = RSA_new();
	must(e != NULL && k->rsa != NULL);
	must(BN_set_word(e, RSA_F4) == 1);
	ret = RSA_generate_key_ex(k->rsa, (int)bits, e, NULL) == 1 ? ERR_OK
								   : ERR_BUG;
	BN_free(e);
	return ret;
}

static enum err
make_ed25519(struct privkey *k)
{
	uint8_t public_key[ED25519_PUBLIC_KEY_LEN];
	enum err ret;

	ret = secret_new(ED25519_PRIVATE_KEY_LEN, &k->ed25519);
	if (ret != ERR_OK)
		return ret;
	ED25519_keypair(public_key, secret_get_writable(k->ed25519));
	return ERR_OK;
}

/* Fills in kind and bits of a key that was made or read. */
static enum err
settle(struct privkey *k)
{
	const struct key_row *row;

	if (k->rsa != NULL) {
		k->kind = KEY_RSA;
		k->bits = RSA_bits(k->rsa);
		return k->bits >= RSA_BITS_MIN && k->bits <= RSA_BITS_MAX
			       ? ERR_OK
			       : ERR_UNSUPPORTED;
	}
	row = k->ec != NULL ? key_row_of_group(EC_KEY_get0_group(k->ec))
			    : key_row_get(KEY_ED25519);
	if (row == NULL)
		return ERR_UNSUPPORTED;
	if (k->ec != NULL)
		EC_KEY_set_conv_form(k->ec, POINT_CONVERSION_UNCOMPRESSED);
	k->kind = row->kind;
	k->bits = row->bits;
	return ERR_OK;
}

enum err
privkey_new(enum key_kind kind, unsigned rsa_bits, struct privkey **out)
{
	const struct key_row *row = key_row_get(kind);
	struct privkey *k = MEM_NEW(struct privkey);
	enum err ret = ERR_UNSUPPORTED;

	*out = NULL;
	key_memory_enter();
	if (kind == KEY_RSA)
		ret = make_rsa(k, rsa_bits);
	else if (kind == KEY_ED25519)
		ret = make_ed25519(k);
	else if (row != NULL)
		ret = make_ec(k, row);
	key_memory_leave();
	if (ret != ERR_OK || (ret = settle(k)) != ERR_OK) {
		ERR_clear_error();
		goto out;
	}
	*out = TAKE(k);
out:
	privkey_free(k);
	return ret;
}

void
privkey_free(struct privkey *k)
{
	if (k == NULL)
		return;
	EC_KEY_free(k->ec);
	RSA_free(k->rsa);
	secret_free(k->ed25519);
	mem_free(k);
}

/* -- reading */

static enum err
parse_ec(struct privkey *k, struct slice der, const struct key_row *row,
	 struct why *why)
{
	CBS cbs;

	CBS_init(&cbs, der.p, der.len);
	/* Checks that the public key in it, if any, belongs to it. */
	k->ec = EC_KEY_parse_private_key(&cbs,
					 row == NULL ? NULL : row->group());
	if (k->ec == NULL || CBS_len(&cbs) != 0)
		return why_set(why, ERR_SYNTAX,
			       "private key: malformed or inconsistent "
			       "ECPrivateKey (RFC 5915)");
	return ERR_OK;
}

static enum err
parse_rsa(struct privkey *k, struct slice der, struct why *why)
{
	CBS cbs;

	CBS_init(&cbs, der.p, der.len);
	k->rsa = RSA_parse_private_key(&cbs);
	if (k->rsa == NULL || CBS_len(&cbs) != 0)
		return why_set(why, ERR_SYNTAX,
			       "private key: malformed or inconsistent "
			       "RSAPrivateKey (RFC 8017 A.1.2)");
	return ERR_OK;
}

static enum err
parse_ed25519(struct privkey *k, struct slice der, struct why *why)
{
	uint8_t public_key[ED25519_PUBLIC_KEY_LEN];
	struct slice seed;
	enum err ret;

	if (der_read(&der, DER_OCTET_STRING, &seed) != ERR_OK || der.len != 0 ||
	    seed.len != ED25519_SEED_LEN)
		return why_set(why, ERR_SYNTAX,
			       "private key: malformed Ed25519 key (RFC 8410 "
			       "7)");
	ret = secret_new(ED25519_PRIVATE_KEY_LEN, &k->ed25519);
	if (ret != ERR_OK)
		return ret;
	ED25519_keypair_from_seed(public_key, secret_get_writable(k->ed25519),
				  seed.p);
	return ERR_OK;
}

/* What may stand behind the key in PKCS#8: attributes [0] and, in version 1,
 * the public key [1] (RFC 5958 2). They are not used. */
static enum err
check_pkcs8_rest(struct slice rest, uint64_t version)
{
	struct slice skipped;

	if (der_has_tag(rest, DER_CONTEXT_CONS(0)) &&
	    der_read_element(&rest, NULL, &skipped) != ERR_OK)
		return ERR_SYNTAX;
	if (version == 1 && der_has_tag(rest, DER_CONTEXT(1)) &&
	    der_read_element(&rest, NULL, &skipped) != ERR_OK)
		return ERR_SYNTAX;
	return rest.len == 0 ? ERR_OK : ERR_SYNTAX;
}

/* body: behind the version. */
static enum err
parse_pkcs8(struct privkey *k, uint64_t version, struct slice body,
	    struct why *why)
{
	const struct key_row *row;
	struct slice alg;
	struct slice key;

	if (version > 1 || der_read(&body, DER_SEQUENCE, &alg) != ERR_OK ||
	    der_read(&body, DER_OCTET_STRING, &key) != ERR_OK ||
	    check_pkcs8_rest(body, version) != ERR_OK)
		return why_set(why, ERR_SYNTAX,
			       "private key: malformed PKCS#8 (RFC 5958)");
	if (slice_is_eq(alg, key_rsa_alg_get()))
		return parse_rsa(k, key, why);
	row = key_row_of_alg(alg);
	if (row == NULL)
		return why_set(why, ERR_UNSUPPORTED,
			       "private key: PKCS#8 algorithm is not EC P-256, "
			       "P-384 or P-521, RSA, or Ed25519");
	if (row->kind == KEY_ED25519)
		return parse_ed25519(k, key, why);
	return parse_ec(k, key, row, why);
}

/* The element behind the version tells the three forms apart. */
static enum err
parse_any(struct privkey *k, struct slice der, struct why *why)
{
	struct slice in = der;
	struct slice body;
	uint64_t version = 0;

	if (der_read(&in, DER_SEQUENCE, &body) != ERR_OK || in.len != 0 ||
	    der_read_u64(&body, &version) != ERR_OK)
		return why_set(why, ERR_SYNTAX,
			       "private key: not a PKCS#8, EC or RSA key in "
			       "DER");
	if (der_has_tag(body, DER_SEQUENCE))
		return parse_pkcs8(k, version, body, why);
	if (der_has_tag(body, DER_OCTET_STRING))
		return parse_ec(k, der, NULL, why);
	return parse_rsa(k, der, why);
}

enum err
privkey_parse(struct slice der, struct why *why, struct privkey **out)
{
	struct privkey *k = MEM_NEW(struct privkey);
	enum err ret;

	*out = NULL;
	key_memory_enter();
	ret = parse_any(k, der, why);
	key_memory_leave();
	if (ret != ERR_OK)
		goto out;
	if ((ret = settle(k)) != ERR_OK) {
		(void)why_set(why, ret,
			      "private key: curve or size is not supported; "
			      "use P-256, P-384 or RSA of %d bits and more",
			      (int)RSA_NEW_BITS_MIN);
		goto out;
	}
	*out = TAKE(k);
out:
	ERR_clear_error();
	privkey_free(k);
	return ret;
}

static bool
is_key_label(struct slice label)
{
	return slice_is_str(label, LABEL_PKCS8) ||
	       slice_is_str(label, LABEL_EC) || slice_is_str(label, LABEL_RSA);
}

/* The first private key of the text. Other blocks (EC PARAMETERS, the
 * certificate) are passed over. */
static enum err
find_key_block(struct slice *pem, struct secret **der, struct why *why)
{
	struct slice label = SLICE_NONE;
	struct slice seen = SLICE_NONE;
	enum err ret;

	for (;;) {
		ret = pem_read_secret(pem, &label, der, why);
		if (ret == ERR_NOT_FOUND && seen.len > 0)
			return why_set(why, ERR_NOT_FOUND,
				       "private key: the PEM has no private "
				       "key, its last block is %.*s",
				       SLICE_FMT(seen));
		if (ret != ERR_OK || is_key_label(label))
			return ret;
		secret_free(*der);
		*der = NULL;
		if (slice_is_str(label, "ENCRYPTED PRIVATE KEY"))
			return why_set(why, ERR_UNSUPPORTED,
				       "private key: it is encrypted; decrypt "
				       "it first (openssl pkey -in FILE)");
		seen = label;
	}
}

enum err
privkey_parse_pem(struct slice pem, struct why *why, struct privkey **out)
{
	struct secret *second = NULL;
	struct secret *der = NULL;
	enum err ret;

	*out = NULL;
	if ((ret = find_key_block(&pem, &der, why)) != ERR_OK)
		goto out;
	if (find_key_block(&pem, &second, NULL) == ERR_OK) {
		ret = why_set(why, ERR_SYNTAX,
			      "private key: the PEM holds more than one key");
		goto out;
	}
	ret = privkey_parse(secret_get(der), why, out);
out:
	secret_free(der);
	secret_free(second);
	return ret;
}

/* -- asking */

enum key_kind
privkey_kind(const struct privkey *k)
{
	return k->kind;
}

unsigned
privkey_bits(const struct privkey *k)
{
	return k->bits;
}

enum sig_alg
privkey_default_alg(const struct privkey *k)
{
	switch (k->kind) {
	case KEY_EC_P256:
		return SIG_ECDSA_SHA256;
	case KEY_EC_P384:
		return SIG_ECDSA_SHA384;
	case KEY_EC_P521:
		return SIG_ECDSA_SHA512;
	case KEY_RSA:
		return SIG_RSA_SHA256;
	case KEY_ED25519:
		return SIG_ED25519;
	case KEY_NONE:
		break;
	}
	return SIG_NONE;
}

static struct slice
number_bytes(const BIGNUM *bn, uint8_t *room)
{
	return slice_of(room, BN_bn2bin(bn, room));
}

static enum err
get_rsa_spki(const RSA *rsa, struct buf *out)
{
	uint8_t *room = mem_new(2 * RSA_BITS_MAX / 8);
	struct slice n = number_bytes(RSA_get0_n(rsa), room);
	struct slice e = number_bytes(RSA_get0_e(rsa), room + n.len);
	enum err ret = pubkey_build_rsa_spki(n, e, out);

	mem_free(room);
	return ret;
}

enum err
privkey_get_spki(const struct privkey *k, struct buf *out)
{
	const struct key_row *row = key_row_get(k->kind);
	uint8_t point[EC_POINT_MAX];
	size_t len;

	if (k->kind == KEY_RSA)
		return get_rsa_spki(k->rsa, out);
	if (k->kind == KEY_ED25519)
		return pubkey_build_ed25519_spki(
			slice_sub(secret_get(k->ed25519), ED25519_SEED_LEN,
				  ED25519_LEN),
			out);
	len = EC_POINT_point2oct(row->group(), EC_KEY_get0_public_key(k->ec),
				 POINT_CONVERSION_UNCOMPRESSED, point,
				 sizeof(point), NULL);
	if (len != 1 + 2 * row->coord_len)
		return ERR_BUG;
	(void)buf_put(out, row->prefix);
	return buf_put(out, slice_of(point, len));
}

/* -- signing */

static enum err
sign_ecdsa(const struct privkey *k, const struct sig_row *row,
	   struct slice message, struct buf *out)
{
	uint8_t digest[HASH_MAX_LEN];
	uint8_t *room = NULL;
	unsigned len = 0;
	enum err ret;

	ret = buf_reserve(out, ECDSA_size(k->ec), &room);
	if (ret != ERR_OK)
		return ret;
	hash_bytes(row->hash, message, digest);
	if (!ECDSA_sign(0, digest, hash_len(row->hash), room, &len, k->ec))
		return ERR_BUG;
	buf_commit(out, len);
	return ERR_OK;
}

static enum err
sign_rsa(const struct privkey *k, const struct sig_row *row,
	 struct slice message, struct buf *out)
{
	uint8_t digest[HASH_MAX_LEN];
	const EVP_MD *md = hash_evp(row->hash);
	size_t size = RSA_size(k->rsa);
	uint8_t *room = NULL;
	unsigned len = 0;
	size_t pss_len = 0;
	enum err ret;
	int ok;

	if ((ret = buf_reserve(out, size, &room)) != ERR_OK)
		return ret;
	hash_bytes(row->hash, message, digest);
	/* The first signature makes copies of the key that stay. */
	key_memory_enter();
	if (row->family == SIG_FAMILY_RSA_PKCS1) {
		ok = RSA_sign(hash_nid(row->hash), digest, hash_len(row->hash),
			      room, &len, k->rsa);
	} else {
		ok = RSA_sign_pss_mgf1(k->rsa, &pss_len, room, size, digest,
				       hash_len(row->hash), md, md,
				       RSA_PSS_SALTLEN_DIGEST);
		len = (unsigned)pss_len;
	}
	key_memory_leave();
	/* The one way to fail with a good key: too short for PSS. */
	if (ok != 1)
		return ERR_UNSUPPORTED;
	buf_commit(out, len);
	return ERR_OK;
}

static enum err
sign_ed25519(const struct privkey *k, struct slice message, struct buf *out)
{
	uint8_t *room = NULL;
	enum err ret;

	ret = buf_reserve(out, ED25519_SIGNATURE_LEN, &room);
	if (ret != ERR_OK)
		return ret;
	if (!ED25519_sign(room, message.p, message.len,
			  secret_get(k->ed25519).p))
		return ERR_BUG;
	buf_commit(out, ED25519_SIGNATURE_LEN);
	return ERR_OK;
}

enum err
privkey_sign(const struct privkey *k, enum sig_alg alg, struct slice message,
	     struct buf *out)
{
	const struct sig_row *row = sig_row_get(alg);
	enum err ret;

	if (row == NULL || !sig_row_is_for(row, k->kind))
		return ERR_MISMATCH;
	if (row->family == SIG_FAMILY_ECDSA)
		ret = sign_ecdsa(k, row, message, out);
	else if (row->family == SIG_FAMILY_ED25519)
		ret = sign_ed25519(k, message, out);
	else
		ret = sign_rsa(k, row, message, out);
	if (ret != ERR_OK)
		ERR_clear_error();
	return ret;
}

/* -- writing */

/* The key as its traditional form, or as what PKCS#8 has in its OCTET STRING:
 * an EC key then leaves out the curve, as OpenSSL writes it. */
static bool
put_inner(CBB *cbb, const struct privkey *k, bool in_pkcs8)
{
	if (k->kind == KEY_RSA)
		return RSA_marshal_private_key(cbb, k->rsa) == 1;
	if (k->kind == KEY_ED25519)
		return CBB_add_asn1_octet_string(cbb, secret_get(k->ed25519).p,
						 ED25519_SEED_LEN) == 1;
	return EC_KEY_marshal_private_key(
		       cbb, k->ec, in_pkcs8 ? EC_PKEY_NO_PARAMETERS : 0) == 1;
}

static bool
put_pkcs8(CBB *cbb, const struct privkey *k)
{
	struct slice alg = k->kind == KEY_RSA ? key_rsa_alg_get()
					      : key_row_get(k->kind)->alg;
	CBB outer;
	CBB alg_cbb;
	CBB inner;

	return CBB_add_asn1(cbb, &outer, CBS_ASN1_SEQUENCE) &&
	       CBB_add_asn1_uint64(&outer, 0) &&
	       CBB_add_asn1(&outer, &alg_cbb, CBS_ASN1_SEQUENCE) &&
	       CBB_add_bytes(&alg_cbb, alg.p, alg.len) &&
	       CBB_add_asn1(&outer, &inner, CBS_ASN1_OCTETSTRING) &&
	       put_inner(&inner, k, true) && CBB_flush(cbb);
}

static enum err
export_der(const struct privkey *k, bool is_pkcs8, struct secret **out)
{
	/* An RSA key is nine numbers, together 4.5 times the modulus. */
	size_t room = 256 + (k->kind == KEY_RSA ? (size_t)RSA_size(k->rsa) * 5
						: 4 * EC_COORD_MAX);
	struct secret *s = NULL;
	size_t len = 0;
	enum err ret;
	bool ok;
	CBB cbb;

	*out = NULL;
	if ((ret = secret_new(room, &s)) != ERR_OK)
		return ret;
	must(CBB_init_fixed(&cbb, secret_get_writable(s), room) == 1);
	ok = is_pkcs8 ? put_pkcs8(&cbb, k) : put_inner(&cbb, k, false);
	if (!ok || !CBB_finish(&cbb, NULL, &len)) {
		CBB_cleanup(&cbb);
		ERR_clear_error();
		secret_free(s);
		return ERR_BUG;
	}
	secret_truncate(s, len);
	*out = s;
	return ERR_OK;
}

enum err
privkey_export(const struct privkey *k, enum privkey_form form,
	       struct secret **out)
{
	const char *label = LABEL_PKCS8;
	struct secret *der = NULL;
	enum err ret;

	*out = NULL;
	if (form == PRIVKEY_TRADITIONAL_PEM) {
		if (k->kind == KEY_ED25519)
			return ERR_UNSUPPORTED;
		label = k->kind == KEY_RSA ? LABEL_RSA : LABEL_EC;
	}
	ret = export_der(k, form != PRIVKEY_TRADITIONAL_PEM, &der);
	if (ret != ERR_OK || form == PRIVKEY_PKCS8_DER) {
		*out = TAKE(der);
		return ret;
	}
	ret = pem_write_secret(label, secret_get(der), out);
	secret_free(der);
	return ret;
}
