/* key.h - public and private keys, signatures.
 *
 * A struct pubkey is parsed once and used for many verifications. Private keys
 * in memory are struct privkey; everything that signs goes through
 * custody/custody.h, which also knows keys that are elsewhere.
 *
 * Signatures of X.509 structures: enum sig_alg is the pair of key and digest,
 * with its AlgorithmIdentifier DER (RFC 3279, 4055, 5758, 8410). */
#ifndef CRYPTO_KEY_H
#define CRYPTO_KEY_H

#include "base/buf.h"
#include "base/secret.h"
#include "base/slice.h"
#include "base/why.h"

enum key_kind {
	KEY_NONE = 0,
	KEY_EC_P256,
	KEY_EC_P384,
	KEY_EC_P521, /* foreign certificates only */
	KEY_RSA,
	KEY_ED25519
};

enum sig_alg {
	SIG_NONE = 0,
	SIG_ECDSA_SHA256,
	SIG_ECDSA_SHA384,
	SIG_ECDSA_SHA512,
	SIG_RSA_SHA256, /* PKCS#1 v1.5 */
	SIG_RSA_SHA384,
	SIG_RSA_SHA512,
	SIG_RSA_PSS_SHA256, /* salt as long as the digest */
	SIG_RSA_PSS_SHA384,
	SIG_RSA_PSS_SHA512,
	SIG_ED25519
};

const char *key_kind_name(enum key_kind k); /* "P-256", "RSA", ... */
const char *sig_alg_name(enum sig_alg a);   /* "ECDSA-SHA256", ... */

/* -- public keys */
struct pubkey;
/* SubjectPublicKeyInfo, DER, used up completely. Points must be uncompressed
 * and on the curve, Ed25519 keys of no small order (anybody can sign for those)
 * and canonical; RSA 1024 to 16384 bits. Stricter rules are policy
 * (pki/key_policy.h). ERR_SYNTAX, or ERR_UNSUPPORTED for algorithms, curves
 * and sizes that are not ours. */
MUST_USE enum err pubkey_parse(struct slice spki, struct why *why,
			       struct pubkey **out);
void pubkey_free(struct pubkey *k);
enum key_kind pubkey_kind(const struct pubkey *k);
unsigned pubkey_bits(const struct pubkey *k);
/* RSA public exponent, 0 for others (or when above 64 bits: UINT64_MAX). */
uint64_t pubkey_rsa_exponent(const struct pubkey *k);
/* An RSA modulus of a broken generator (crypto/roca.h). */
bool pubkey_has_roca_form(const struct pubkey *k);
/* "P-256", "RSA-2048", "Ed25519" */
enum {
	KEY_TEXT_MAX = 24
};
void pubkey_describe(const struct pubkey *k, char out[KEY_TEXT_MAX]);
/* ERR_SIGNATURE when it does not verify, ERR_MISMATCH when the algorithm is
 * not for this kind of key, ERR_UNSUPPORTED for an RSA exponent of 1 or of
 * more than 33 bits. ECDSA signatures are DER. */
MUST_USE enum err pubkey_verify(const struct pubkey *k, enum sig_alg alg,
				struct slice message, struct slice signature);
/* The same for ECDSA signatures as fixed-length r||s (RFC 7518 3.4). */
MUST_USE enum err pubkey_verify_raw_ecdsa(const struct pubkey *k,
					  enum sig_alg alg,
					  struct slice message,
					  struct slice signature);
/* From JWK members (big-endian numbers): SPKI DER, appended to out. Lengths
 * are checked here, points and numbers by pubkey_parse. */
MUST_USE enum err pubkey_build_ec_spki(enum key_kind kind, struct slice x,
				       struct slice y, struct buf *out);
MUST_USE enum err pubkey_build_rsa_spki(struct slice n, struct slice e,
					struct buf *out);
MUST_USE enum err pubkey_build_ed25519_spki(struct slice x, struct buf *out);

/* -- private keys */
struct privkey;
/* rsa_bits: RSA only, 2048 to 8192 and divisible by 8; ERR_UNSUPPORTED
 * otherwise. The key lives in secret memory as far as the library lets us; see
 * custody for where it is kept for long. */
MUST_USE enum err privkey_new(enum key_kind kind, unsigned rsa_bits,
			      struct privkey **out);
/* PKCS#8, RFC 5915 EC or PKCS#1 RSA, in DER (a secret). */
MUST_USE enum err privkey_parse(struct slice der, struct why *why,
				struct privkey **out);
/* One PEM block "PRIVATE KEY", "EC PRIVATE KEY" or "RSA PRIVATE KEY"; blocks
 * that are no keys are passed over, a second key is ERR_SYNTAX. An encrypted
 * one is ERR_UNSUPPORTED with a text. */
MUST_USE enum err privkey_parse_pem(struct slice pem, struct why *why,
				    struct privkey **out);
void privkey_free(struct privkey *k);
enum key_kind privkey_kind(const struct privkey *k);
unsigned privkey_bits(const struct privkey *k);
/* SPKI DER, appended to out. */
MUST_USE enum err privkey_get_spki(const struct privkey *k, struct buf *out);
/* The algorithm that this key signs X.509 structures with (P-384: SHA-384). */
enum sig_alg privkey_default_alg(const struct privkey *k);
/* The signature (ECDSA: DER) is appended to out. ERR_MISMATCH when the
 * algorithm is not for this kind of key. */
MUST_USE enum err privkey_sign(const struct privkey *k, enum sig_alg alg,
			       struct slice message, struct buf *out);

enum privkey_form {
	PRIVKEY_PKCS8_DER,
	PRIVKEY_PKCS8_PEM,      /* "PRIVATE KEY" */
	PRIVKEY_TRADITIONAL_PEM /* "EC PRIVATE KEY", "RSA PRIVATE KEY" */
};
/* ERR_UNSUPPORTED: Ed25519 has no traditional form. */
MUST_USE enum err privkey_export(const struct privkey *k,
				 enum privkey_form form, struct secret **out);

/* -- algorithm identifiers */
/* The whole AlgorithmIdentifier SEQUENCE. */
struct slice sig_alg_get_der(enum sig_alg alg);
/* From a whole AlgorithmIdentifier; SIG_NONE when it is not one of ours
 * (SHA-1, MD5 and DSA are not). */
enum sig_alg sig_alg_of_der(struct slice algorithm_identifier);

#endif
