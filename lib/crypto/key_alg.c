/* key_alg.c - the tables of keys and signature algorithms, see key.h.
 *
 * AlgorithmIdentifiers are compared byte for byte: an algorithm has one
 * encoding (RFC 5758 3.2, RFC 8410 3, RFC 4055 with the three parameter sets
 * that CAs use), and what is encoded otherwise is not ours. The one leniency
 * is RFC 4055 5: readers take PKCS#1 v1.5 without its NULL too. */
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/nid.h>

#include "crypto/key_int.h"

/* SLICE_LIT is no constant expression in C17, these are. */
#define LIT(text)                                         \
	{                                                 \
		(const uint8_t *)(text), sizeof(text) - 1 \
	}
#define NO_BYTES        \
	{               \
		NULL, 0 \
	}

/* SEQUENCE { OID, NULL } of a PKCS#1 v1.5 algorithm 1.2.840.113549.1.1.n, and
 * the same without NULL. */
#define RSA_DER(n) \
	LIT("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" n "\x05\x00")
#define RSA_BARE(n) LIT("\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" n)
/* id-RSASSA-PSS with hash 2.16.840.1.101.3.4.2.h, MGF1 of the same hash, and a
 * salt as long as the digest. */
#define PSS_HASH(h) \
	"\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" h "\x05\x00"
#define PSS_DER(h, salt)                                              \
	LIT("\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01"        \
	    "\x0a\x30\x34\xa0\x0f" PSS_HASH(                          \
		    h) "\xa1\x1c\x30"                                 \
		       "\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" \
		       "\x08" PSS_HASH(h) "\xa2\x03\x02\x01" salt)
#define ECDSA_DER(n) LIT("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" n)

static const struct sig_row sig_rows[] = {
	{SIG_ECDSA_SHA256, SIG_FAMILY_ECDSA, HASH_SHA256, "ECDSA-SHA256",
	 ECDSA_DER("\x02"), NO_BYTES},
	{SIG_ECDSA_SHA384, SIG_FAMILY_ECDSA, HASH_SHA384, "ECDSA-SHA384",
	 ECDSA_DER("\x03"), NO_BYTES},
	{SIG_ECDSA_SHA512, SIG_FAMILY_ECDSA, HASH_SHA512, "ECDSA-SHA512",
	 ECDSA_DER("\x04"), NO_BYTES},
	{SIG_RSA_SHA256, SIG_FAMILY_RSA_PKCS1, HASH_SHA256, "RSA-SHA256",
	 RSA_DER("\x0b"), RSA_BARE("\x0b")},
	{SIG_RSA_SHA384, SIG_FAMILY_RSA_PKCS1, HASH_SHA384, "RSA-SHA384",
	 RSA_DER("\x0c"), RSA_BARE("\x0c")},
	{SIG_RSA_SHA512, SIG_FAMILY_RSA_PKCS1, HASH_SHA512, "RSA-SHA512",
	 RSA_DER("\x0d"), RSA_BARE("\x0d")},
	{SIG_RSA_PSS_SHA256, SIG_FAMILY_RSA_PSS, HASH_SHA256, "RSA-PSS-SHA256",
	 PSS_DER("\x01", "\x20"), NO_BYTES},
	{SIG_RSA_PSS_SHA384, SIG_FAMILY_RSA_PSS, HASH_SHA384, "RSA-PSS-SHA384",
	 PSS_DER("\x02", "\x30"), NO_BYTES},
	{SIG_RSA_PSS_SHA512, SIG_FAMILY_RSA_PSS, HASH_SHA512, "RSA-PSS-SHA512",
	 PSS_DER("\x03", "\x40"), NO_BYTES},
	{SIG_ED25519, SIG_FAMILY_ED25519, HASH_NONE, "Ed25519",
	 LIT("\x30\x05\x06\x03\x2b\x65\x70"), NO_BYTES},
};

#define OID_EC "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
#define OID_P256 "\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define OID_P384 "\x2b\x81\x04\x00\x22"
#define OID_P521 "\x2b\x81\x04\x00\x23"
#define ALG_P256 OID_EC "\x06\x08" OID_P256
#define ALG_P384 OID_EC "\x06\x05" OID_P384
#define ALG_P521 OID_EC "\x06\x05" OID_P521
#define ALG_ED25519 "\x06\x03\x2b\x65\x70"

static const struct key_row key_rows[] = {
	{KEY_EC_P256, 256, 32, LIT(OID_P256), LIT(ALG_P256),
	 LIT("\x30\x59\x30\x13" ALG_P256 "\x03\x42\x00"), EC_group_p256},
	{KEY_EC_P384, 384, 48, LIT(OID_P384), LIT(ALG_P384),
	 LIT("\x30\x76\x30\x10" ALG_P384 "\x03\x62\x00"), EC_group_p384},
	{KEY_EC_P521, 521, 66, LIT(OID_P521), LIT(ALG_P521),
	 LIT("\x30\x81\x9b\x30\x10" ALG_P521 "\x03\x81\x86\x00"),
	 EC_group_p521},
	{KEY_ED25519, 256, 0, NO_BYTES, LIT(ALG_ED25519),
	 LIT("\x30\x2a\x30\x05" ALG_ED25519 "\x03\x21\x00"), NULL},
};

const struct sig_row *
sig_row_get(enum sig_alg alg)
{
	for (size_t i = 0; i < COUNT_OF(sig_rows); i++) {
		if (sig_rows[i].alg == alg)
			return &sig_rows[i];
	}
	return NULL;
}

bool
sig_row_is_for(const struct sig_row *row, enum key_kind kind)
{
	switch (kind) {
	case KEY_EC_P256:
	case KEY_EC_P384:
	case KEY_EC_P521:
		return row->family == SIG_FAMILY_ECDSA;
	case KEY_RSA:
		return row->family == SIG_FAMILY_RSA_PKCS1 ||
		       row->family == SIG_FAMILY_RSA_PSS;
	case KEY_ED25519:
		return row->family == SIG_FAMILY_ED25519;
	case KEY_NONE:
		break;
	}
	return false;
}

int
hash_nid(enum hash_alg hash)
{
	switch (hash) {
	case HASH_SHA256:
		return NID_sha256;
	case HASH_SHA384:
		return NID_sha384;
	case HASH_SHA512:
		return NID_sha512;
	case HASH_SHA1:
	case HASH_NONE:
		break;
	}
	return NID_undef;
}

const EVP_MD *
hash_evp(enum hash_alg hash)
{
	switch (hash) {
	case HASH_SHA256:
		return EVP_sha256();
	case HASH_SHA384:
		return EVP_sha384();
	case HASH_SHA512:
		return EVP_sha512();
	case HASH_SHA1:
	case HASH_NONE:
		break;
	}
	return NULL;
}

const struct key_row *
key_row_get(enum key_kind kind)
{
	for (size_t i = 0; i < COUNT_OF(key_rows); i++) {
		if (key_rows[i].kind == kind)
			return &key_rows[i];
	}
	return NULL;
}

const struct key_row *
key_row_of_group(const EC_GROUP *group)
{
	int nid = group == NULL ? NID_undef : EC_GROUP_get_curve_name(group);

	switch (nid) {
	case NID_X9_62_prime256v1:
		return key_row_get(KEY_EC_P256);
	case NID_secp384r1:
		return key_row_get(KEY_EC_P384);
	case NID_secp521r1:
		return key_row_get(KEY_EC_P521);
	default:
		return NULL;
	}
}

const struct key_row *
key_row_of_alg(struct slice alg)
{
	for (size_t i = 0; i < COUNT_OF(key_rows); i++) {
		if (slice_is_eq(key_rows[i].alg, alg))
			return &key_rows[i];
	}
	return NULL;
}

struct slice
key_rsa_alg_get(void)
{
	return SLICE_LIT(
		"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00");
}

const char *
key_kind_name(enum key_kind k)
{
	switch (k) {
	case KEY_EC_P256:
		return "P-256";
	case KEY_EC_P384:
		return "P-384";
	case KEY_EC_P521:
		return "P-521";
	case KEY_RSA:
		return "RSA";
	case KEY_ED25519:
		return "Ed25519";
	case KEY_NONE:
		break;
	}
	return "none";
}

const char *
sig_alg_name(enum sig_alg a)
{
	const struct sig_row *row = sig_row_get(a);

	return row == NULL ? "none" : row->name;
}

struct slice
sig_alg_get_der(enum sig_alg alg)
{
	const struct sig_row *row = sig_row_get(alg);

	return row == NULL ? SLICE_NONE : row->der;
}

enum sig_alg
sig_alg_of_der(struct slice algorithm_identifier)
{
	if (algorithm_identifier.len == 0)
		return SIG_NONE;
	for (size_t i = 0; i < COUNT_OF(sig_rows); i++) {
		if (slice_is_eq(sig_rows[i].der, algorithm_identifier) ||
		    slice_is_eq(sig_rows[i].der_lenient, algorithm_identifier))
			return sig_rows[i].alg;
	}
	return SIG_NONE;
}
