/* key_int.h - shared by the files of key.h; not for other modules. */
#ifndef CRYPTO_KEY_INT_H
#define CRYPTO_KEY_INT_H

#include <openssl/ec_key.h>
#include <openssl/rsa.h>

#include "crypto/hash.h"
#include "crypto/key.h"

enum {
	ED25519_LEN = 32,
	EC_COORD_MAX = 66, /* P-521 */
	EC_POINT_MAX = 1 + 2 * EC_COORD_MAX,
	RSA_BITS_MIN = 1024,
	RSA_BITS_MAX = 16384
};

enum sig_family {
	SIG_FAMILY_NONE = 0,
	SIG_FAMILY_ECDSA,
	SIG_FAMILY_RSA_PKCS1,
	SIG_FAMILY_RSA_PSS,
	SIG_FAMILY_ED25519
};

/* One row for each enum sig_alg. */
struct sig_row {
	enum sig_alg alg;
	enum sig_family family;
	enum hash_alg hash;
	const char *name;
	struct slice der;         /* the AlgorithmIdentifier */
	struct slice der_lenient; /* RSA without its NULL; may be empty */
};

/* NULL for SIG_NONE and what is no enum sig_alg. */
const struct sig_row *sig_row_get(enum sig_alg alg);
bool sig_row_is_for(const struct sig_row *row, enum key_kind kind);
/* What failed, after the library's queue was emptied. Where it failed for
 * memory, that says nothing about a key, a signature or a certificate: nobody
 * is blamed for it, the process ends as with mem_new. */
enum err key_fail(enum err e);
/* A digest's name in the library's numbers, and its EVP_MD. */
int hash_nid(enum hash_alg hash);
const EVP_MD *hash_evp(enum hash_alg hash);

/* key_memory.c: what the library allocates in between is locked, not dumped and
 * wiped, as a struct secret is. For making and reading keys; nests. */
void key_memory_enter(void);
void key_memory_leave(void);

/* One row for each kind of key whose SPKI is a fixed prefix and the bytes of
 * the key: the curves and Ed25519. */
struct key_row {
	enum key_kind kind;
	unsigned bits;
	size_t coord_len;    /* curves */
	struct slice oid;    /* of the curve: contents */
	struct slice alg;    /* contents of the AlgorithmIdentifier */
	struct slice prefix; /* SPKI up to the bytes of the key */
	const EC_GROUP *(*group)(void);
};

const struct key_row *key_row_get(enum key_kind kind);
/* The curve of a group; NULL when it is none of ours. */
const struct key_row *key_row_of_group(const EC_GROUP *group);
/* By the contents of an AlgorithmIdentifier; NULL when none of ours. */
const struct key_row *key_row_of_alg(struct slice alg);
/* Contents of the AlgorithmIdentifier of rsaEncryption. */
struct slice key_rsa_alg_get(void);

#endif
