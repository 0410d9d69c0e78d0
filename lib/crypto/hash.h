/* hash.h - digests. FIPS 180-4. */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include "base/slice.h"

enum {
	HASH_SHA256_LEN = 32,
	HASH_MAX_LEN = 64
};

enum hash_alg {
	HASH_NONE = 0,
	HASH_SHA1, /* key identifiers and OCSP CertIDs only; never a signature
		    */
	HASH_SHA256,
	HASH_SHA384,
	HASH_SHA512
};

size_t hash_len(enum hash_alg alg);
/* out has room for hash_len(alg). */
void hash_bytes(enum hash_alg alg, struct slice in, uint8_t *out);
void hash_sha256(struct slice in, uint8_t out[HASH_SHA256_LEN]);

/* SipHash-2-4: a quick hash for tables whose keys others choose. Not a digest.
 */
uint64_t hash_sip(const uint64_t key[2], struct slice in);

/* Several parts as one message. */
void hash_sha256_parts(const struct slice *parts, size_t cnt,
		       uint8_t out[HASH_SHA256_LEN]);

#endif
