/* key_policy.h - which public keys may be certified. */
#ifndef PKI_KEY_POLICY_H
#define PKI_KEY_POLICY_H

#include "base/why.h"
#include "crypto/key.h"

struct key_policy {
	unsigned rsa_bits_min; /* 2048 */
	unsigned rsa_bits_max; /* 8192 */
	bool allow_ed25519;
};

/* P-256 and P-384 always; RSA within the bounds, length divisible by 8, odd
 * exponent of 65537 or more, no modulus of ROCA's form. ERR_REFUSED with what
 * was found. */
MUST_USE enum err key_policy_check(const struct key_policy *p,
				   const struct pubkey *key, struct why *why);

#endif
