/* hash.c - see hash.h. */
#include "crypto/hash.h"

#include <openssl/sha.h>
#include <openssl/siphash.h>

size_t
hash_len(enum hash_alg alg)
{
	switch (alg) {
	case HASH_SHA1:
		return SHA_DIGEST_LENGTH;
	case HASH_SHA256:
		return SHA256_DIGEST_LENGTH;
	case HASH_SHA384:
		return SHA384_DIGEST_LENGTH;
	case HASH_SHA512:
		return SHA512_DIGEST_LENGTH;
	case HASH_NONE:
		break;
	}
	return 0;
}

void
hash_bytes(enum hash_alg alg, struct slice in, uint8_t *out)
{
	switch (alg) {
	case HASH_SHA1:
		SHA1(in.p, in.len, out);
		return;
	case HASH_SHA256:
		SHA256(in.p, in.len, out);
		return;
	case HASH_SHA384:
		SHA384(in.p, in.len, out);
		return;
	case HASH_SHA512:
		SHA512(in.p, in.len, out);
		return;
	case HASH_NONE:
		break;
	}
	must(alg != HASH_NONE);
}

void
hash_sha256(struct slice in, uint8_t out[HASH_SHA256_LEN])
{
	SHA256(in.p, in.len, out);
}

void
hash_sha256_parts(const struct slice *parts, size_t cnt,
		  uint8_t out[HASH_SHA256_LEN])
{
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	for (size_t i = 0; i < cnt; i++)
		SHA256_Update(&ctx, parts[i].p, parts[i].len);
	SHA256_Final(out, &ctx);
}

uint64_t
hash_sip(const uint64_t key[2], struct slice in)
{
	return SIPHASH_24(key, in.p, in.len);
}
