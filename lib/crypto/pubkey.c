/* pubkey.c - public keys and the checking of signatures, see key.h.
 *
 * Each CSR, certificate and token passes through here, so nothing decodes
 * twice and nothing goes through EVP: an SPKI is a table lookup and a point
 * (or two numbers), a verification is the digest and the library's verify.
 * The library leaves its errors in a queue of the thread, where libssl would
 * find them later; whoever fails here empties it. */
#include <openssl/bn.h>
#include <openssl/curve25519.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/key_int.h"
#include "crypto/roca.h"

struct pubkey {
	enum key_kind kind;
	unsigned bits;
	EC_KEY *ec;
	RSA *rsa; /* NULL for an exponent that we do not compute with */
	uint64_t rsa_exponent;
	bool has_roca_form;
	uint8_t ed25519[ED25519_LEN];
};

/* see key_int.h */
enum err
key_fail(enum err e)
{
	uint32_t error;

	while ((error = ERR_get_error()) != 0)
		must(ERR_GET_REASON(error) != ERR_R_MALLOC_FAILURE);
	return e;
}

/* -- reading */

static enum err
parse_ec(struct pubkey *k, const struct key_row *row, struct slice point,
	 struct why *why)
{
	EC_POINT *p = NULL;
	enum err ret = ERR_SYNTAX;

	/* RFC 5480 2.2 lets implementations do without compressed points; the
	 * length tells a point from all other forms. */
	if (point.len != 1 + 2 * row->coord_len || point.p[0] != 0x04)
		return why_set(why, ERR_SYNTAX,
			       "public key: %s needs an uncompressed point of "
			       "%zu bytes, found %zu bytes of form 0x%02x",
			       key_kind_name(row->kind), 1 + 2 * row->coord_len,
			       point.len, point.len == 0 ? 0U : point.p[0]);
	k->ec = EC_KEY_new();
	must(k->ec != NULL);
	must(EC_KEY_set_group(k->ec, row->group()) == 1);
	p = EC_POINT_new(row->group());
	must(p != NULL);
	if (!EC_POINT_oct2point(row->group(), p, point.p, point.len, NULL) ||
	    !EC_KEY_set_public_key(k->ec, p)) {
		(void)why_set(why, ERR_SYNTAX,
			      "public key: the point is not on curve %s",
			      key_kind_name(row->kind));
		goto out;
	}
	k->kind = row->kind;
	k->bits = row->bits;
	ret = ERR_OK;
out:
	EC_POINT_free(p);
	return ret;
}

/* Points of a small order: with one of them as a public key anybody can sign
 * some messages, with the neutral one all messages, so a signature proves
 * nothing. Encodings of y that are not below the prime are refused, too: they
 * would be second names of the same keys. */
static bool
is_weak_ed25519(const uint8_t key[ED25519_LEN])
{
	static const uint8_t order_8[2][ED25519_LEN] = {
		{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0,
		 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39,
		 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
		{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f,
		 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6,
		 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}};
	const size_t last = ED25519_LEN - 1;
	uint8_t y[ED25519_LEN], fill;

	memcpy(y, key, sizeof(y));
	y[last] &= 0x7f; /* the sign of x */
	if (memcmp(y, order_8[0], sizeof(y)) == 0 ||
	    memcmp(y, order_8[1], sizeof(y)) == 0)
		return true;
	/* The rest: 0 (order 4), 1 (order 1), and the prime, 2^255 - 19, less
	 * one (order 2) or more. */
	fill = y[1];
	if ((fill != 0x00 && fill != 0xff) || y[last] != (fill & 0x7f))
		return false;
	for (size_t i = 1; i < last; i++) {
		if (y[i] != fill)
			return false;
	}
	return fill == 0xff ? y[0] >= 0xec : y[0] <= 0x01;
}

static enum err
parse_ed25519(struct pubkey *k, struct slice key, struct why *why)
{
	if (key.len != ED25519_LEN)
		return why_set(why, ERR_SYNTAX,
			       "public key: Ed25519 needs 32 bytes, found %zu",
			       key.len);
	if (is_weak_ed25519(key.p))
		return why_set(why, ERR_SYNTAX,
			       "public key: Ed25519 with a point of small "
			       "order, or one that is not encoded canonically: "
			       "signatures of it prove nothing");
	memcpy(k->ed25519, key.p, ED25519_LEN);
	k->kind = KEY_ED25519;
	k->bits = key_row_get(KEY_ED25519)->bits;
	return ERR_OK;
}

/* A positive DER INTEGER as its magnitude. */
static enum err
read_number(struct slice *in, struct slice *out)
{
	struct slice body;
	enum err ret;

	if ((ret = der_read(in, DER_INTEGER, &body)) != ERR_OK)
		return ret;
	if (body.len == 0 || (body.p[0] & 0x80) != 0)
		return ERR_SYNTAX;
	if (body.p[0] == 0) {
		body = slice_sub(body, 1, body.len);
		if (body.len == 0 || (body.p[0] & 0x80) == 0)
			return ERR_SYNTAX;
	}
	*out = body;
	return ERR_OK;
}

static unsigned
number_bits(struct slice n)
{
	unsigned top = 0;

	if (n.len == 0 || n.len > UINT32_MAX / 8)
		return 0;
	while (top < 8 && n.p[0] >> top != 0)
		top++;
	return (unsigned)(n.len - 1) * 8 + top;
}

/* The exponents that are computed with: odd, 3 and more, at most 33 bits. 1
 * makes each message its own signature, and a long one would buy seconds of
 * our time with one request. They are kept for the policy to name. */
static enum err
make_rsa(struct pubkey *k, struct slice n, struct slice e)
{
	BIGNUM *bn_n = NULL;
	BIGNUM *bn_e = NULL;

	if (e.len > 5 || number_bits(e) > 33 || k->rsa_exponent < 3)
		return ERR_OK;
	bn_n = BN_bin2bn(n.p, n.len, NULL);
	bn_e = BN_bin2bn(e.p, e.len, NULL);
	must(bn_n != NULL && bn_e != NULL);
	k->rsa = RSA_new_public_key(bn_n, bn_e);
	BN_free(bn_n);
	BN_free(bn_e);
	return k->rsa == NULL ? ERR_SYNTAX : ERR_OK;
}

static enum err
parse_rsa(struct pubkey *k, struct slice key, struct why *why)
{
	struct slice body;
	struct slice n;
	struct slice e;

	if (der_read(&key, DER_SEQUENCE, &body) != ERR_OK || key.len != 0 ||
	    read_number(&body, &n) != ERR_OK ||
	    read_number(&body, &e) != ERR_OK || body.len != 0)
		return why_set(why, ERR_SYNTAX,
			       "public key: malformed RSAPublicKey (RFC 3279 "
			       "2.3.1)");
	k->bits = number_bits(n);
	if (k->bits < RSA_BITS_MIN || k->bits > RSA_BITS_MAX)
		return why_set(why, ERR_UNSUPPORTED,
			       "public key: RSA of %u bits; %d to %d are read",
			       k->bits, (int)RSA_BITS_MIN, (int)RSA_BITS_MAX);
	if ((n.p[n.len - 1] & 1) == 0 || (e.p[e.len - 1] & 1) == 0)
		return why_set(
			why, ERR_SYNTAX, "public key: RSA with an even %s",
			(n.p[n.len - 1] & 1) == 0 ? "modulus" : "exponent");
	if (e.len > n.len || (e.len == n.len && slice_cmp(e, n) >= 0))
		return why_set(why, ERR_SYNTAX,
			       "public key: RSA exponent not below the "
			       "modulus");
	for (size_t i = 0; i < e.len && e.len <= 8; i++)
		k->rsa_exponent = k->rsa_exponent << 8 | e.p[i];
	if (e.len > 8)
		k->rsa_exponent = UINT64_MAX;
	k->has_roca_form = roca_has_form(n);
	k->kind = KEY_RSA;
	if (make_rsa(k, n, e) != ERR_OK)
		return why_set(why, ERR_SYNTAX,
			       "public key: RSA numbers that the library "
			       "refuses");
	return ERR_OK;
}

static enum err
refuse_alg(struct slice alg, struct why *why)
{
	char text[DER_OID_TEXT_MAX];
	struct slice oid;

	if (der_read(&alg, DER_OID, &oid) != ERR_OK)
		return why_set(why, ERR_SYNTAX,
			       "public key: malformed AlgorithmIdentifier");
	der_oid_format(oid, text);
	return why_set(why, ERR_UNSUPPORTED,
		       "public key: algorithm %s, or its parameters, are not "
		       "supported; use EC P-256 or P-384, RSA, or Ed25519",
		       text);
}

static enum err
parse_spki(struct pubkey *k, struct slice spki, struct why *why)
{
	const struct key_row *row;
	struct slice body;
	struct slice alg;
	struct slice key;

	if (der_read(&spki, DER_SEQUENCE, &body) != ERR_OK || spki.len != 0 ||
	    der_read(&body, DER_SEQUENCE, &alg) != ERR_OK ||
	    der_read_bits(&body, &key) != ERR_OK || body.len != 0)
		return why_set(why, ERR_SYNTAX,
			       "public key: malformed SubjectPublicKeyInfo");
	row = key_row_of_alg(alg);
	if (row != NULL && row->kind == KEY_ED25519)
		return parse_ed25519(k, key, why);
	if (row != NULL)
		return parse_ec(k, row, key, why);
	if (slice_is_eq(alg, key_rsa_alg_get()))
		return parse_rsa(k, key, why);
	return refuse_alg(alg, why);
}

enum err
pubkey_parse(struct slice spki, struct why *why, struct pubkey **out)
{
	struct pubkey *k = MEM_NEW(struct pubkey);
	enum err ret;

	*out = NULL;
	if ((ret = parse_spki(k, spki, why)) != ERR_OK) {
		ret = key_fail(ret);
		goto out;
	}
	*out = TAKE(k);
out:
	pubkey_free(k);
	return ret;
}

void
pubkey_free(struct pubkey *k)
{
	if (k == NULL)
		return;
	EC_KEY_free(k->ec);
	RSA_free(k->rsa);
	mem_free(k);
}

/* -- asking */

enum key_kind
pubkey_kind(const struct pubkey *k)
{
	return k->kind;
}

unsigned
pubkey_bits(const struct pubkey *k)
{
	return k->bits;
}

uint64_t
pubkey_rsa_exponent(const struct pubkey *k)
{
	return k->rsa_exponent;
}

bool
pubkey_has_roca_form(const struct pubkey *k)
{
	return k->has_roca_form;
}

void
pubkey_describe(const struct pubkey *k, char out[KEY_TEXT_MAX])
{
	if (k->kind == KEY_RSA)
		(void)snprintf(out, KEY_TEXT_MAX, "RSA-%u", k->bits);
	else
		(void)snprintf(out, KEY_TEXT_MAX, "%s", key_kind_name(k->kind));
}

/* -- verifying */

static enum err
verify_ecdsa(const struct pubkey *k, const struct sig_row *row,
	     struct slice message, const ECDSA_SIG *sig)
{
	uint8_t digest[HASH_MAX_LEN];

	hash_bytes(row->hash, message, digest);
	if (ECDSA_do_verify(digest, hash_len(row->hash), sig, k->ec) != 1)
		return key_fail(ERR_SIGNATURE);
	return ERR_OK;
}

static enum err
verify_ecdsa_der(const struct pubkey *k, const struct sig_row *row,
		 struct slice message, struct slice signature)
{
	ECDSA_SIG *sig = ECDSA_SIG_from_bytes(signature.p, signature.len);
	enum err ret;

	if (sig == NULL)
		return key_fail(ERR_SIGNATURE);
	ret = verify_ecdsa(k, row, message, sig);
	ECDSA_SIG_free(sig);
	return ret;
}

static enum err
verify_rsa(const struct pubkey *k, const struct sig_row *row,
	   struct slice message, struct slice signature)
{
	uint8_t digest[HASH_MAX_LEN];
	size_t len = hash_len(row->hash);
	const EVP_MD *md = hash_evp(row->hash);
	int ok;

	if (k->rsa == NULL)
		return ERR_UNSUPPORTED;
	hash_bytes(row->hash, message, digest);
	if (row->family == SIG_FAMILY_RSA_PKCS1)
		ok = RSA_verify(hash_nid(row->hash), digest, len, signature.p,
				signature.len, k->rsa);
	else
		ok = RSA_verify_pss_mgf1(k->rsa, digest, len, md, md, (int)len,
					 signature.p, signature.len);
	return ok == 1 ? ERR_OK : key_fail(ERR_SIGNATURE);
}

static enum err
verify_ed25519(const struct pubkey *k, struct slice message,
	       struct slice signature)
{
	if (signature.len != ED25519_SIGNATURE_LEN)
		return ERR_SIGNATURE;
	if (ED25519_verify(message.p, message.len, signature.p, k->ed25519) !=
	    1)
		return key_fail(ERR_SIGNATURE);
	return ERR_OK;
}

enum err
pubkey_verify(const struct pubkey *k, enum sig_alg alg, struct slice message,
	      struct slice signature)
{
	const struct sig_row *row = sig_row_get(alg);

	if (row == NULL || !sig_row_is_for(row, k->kind))
		return ERR_MISMATCH;
	if (row->family == SIG_FAMILY_ECDSA)
		return verify_ecdsa_der(k, row, message, signature);
	if (row->family == SIG_FAMILY_ED25519)
		return verify_ed25519(k, message, signature);
	return verify_rsa(k, row, message, signature);
}

enum err
pubkey_verify_raw_ecdsa(const struct pubkey *k, enum sig_alg alg,
			struct slice message, struct slice signature)
{
	const struct sig_row *row = sig_row_get(alg);
	enum err ret = ERR_SIGNATURE;
	ECDSA_SIG *sig = NULL;
	BIGNUM *r;
	BIGNUM *s;
	size_t len;

	if (row == NULL || row->family != SIG_FAMILY_ECDSA ||
	    !sig_row_is_for(row, k->kind))
		return ERR_MISMATCH;
	len = key_row_get(k->kind)->coord_len;
	if (signature.len != 2 * len)
		return ERR_SIGNATURE;
	sig = ECDSA_SIG_new();
	r = BN_bin2bn(signature.p, len, NULL);
	s = BN_bin2bn(signature.p + len, len, NULL);
	must(sig != NULL && r != NULL && s != NULL);
	must(ECDSA_SIG_set0(sig, r, s) == 1);
	ret = verify_ecdsa(k, row, message, sig);
	ECDSA_SIG_free(sig);
	return ret;
}

/* -- building from JWK members */

enum err
pubkey_build_ec_spki(enum key_kind kind, struct slice x, struct slice y,
		     struct buf *out)
{
	const struct key_row *row = key_row_get(kind);

	if (row == NULL || row->group == NULL)
		return ERR_UNSUPPORTED;
	/* RFC 7518 6.2.1.2: the full size of a coordinate. */
	if (x.len != row->coord_len || y.len != row->coord_len)
		return ERR_SYNTAX;
	(void)buf_put(out, row->prefix);
	(void)buf_put_u8(out, 0x04);
	(void)buf_put(out, x);
	return buf_put(out, y);
}

enum err
pubkey_build_rsa_spki(struct slice n, struct slice e, struct buf *out)
{
	struct derw *w = NULL;
	struct slice der;
	enum err ret;

	if (n.len == 0 || e.len == 0 || n.len > RSA_BITS_MAX / 8 + 1 ||
	    e.len > n.len)
		return ERR_SYNTAX;
	w = derw_new(3 * RSA_BITS_MAX / 8);
	derw_open(w, DER_SEQUENCE);
	derw_element(w, DER_SEQUENCE, key_rsa_alg_get());
	derw_open(w, DER_BIT_STRING);
	derw_raw(w, SLICE_LIT("\x00"));
	derw_open(w, DER_SEQUENCE);
	derw_uint(w, n);
	derw_uint(w, e);
	derw_close(w);
	derw_close(w);
	derw_close(w);
	if ((ret = derw_finish(w, &der)) == ERR_OK)
		ret = buf_put(out, der);
	derw_free(w);
	return ret;
}

enum err
pubkey_build_ed25519_spki(struct slice x, struct buf *out)
{
	if (x.len != ED25519_LEN)
		return ERR_SYNTAX;
	(void)buf_put(out, key_row_get(KEY_ED25519)->prefix);
	return buf_put(out, x);
}
