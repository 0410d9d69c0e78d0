/* key_policy.c - which public keys may be certified, see key_policy.h. */
#include "pki/key_policy.h"

enum {
	RSA_EXPONENT_MIN = 65537
};

static enum err
check_rsa(const struct key_policy *p, const struct pubkey *key, struct why *why)
{
	unsigned bits = pubkey_bits(key);
	uint64_t e = pubkey_rsa_exponent(key);

	if (bits < p->rsa_bits_min || bits > p->rsa_bits_max)
		return why_set(why, ERR_REFUSED,
			       "key policy: an RSA key of %u bits; %u to %u "
			       "are allowed",
			       bits, p->rsa_bits_min, p->rsa_bits_max);
	if (bits % 8 != 0)
		return why_set(why, ERR_REFUSED,
			       "key policy: an RSA key of %u bits; the length "
			       "must be divisible by 8",
			       bits);
	if (e < RSA_EXPONENT_MIN || e % 2 == 0)
		return why_set(why, ERR_REFUSED,
			       "key policy: an RSA key with the public "
			       "exponent %llu; it must be odd and at least %d",
			       (unsigned long long)e, RSA_EXPONENT_MIN);
	if (pubkey_has_roca_form(key))
		return why_set(why, ERR_REFUSED,
			       "key policy: an RSA key of the form that a "
			       "broken generator made (ROCA, CVE-2017-15361): "
			       "its private key can be computed; make a new "
			       "key with other software");
	/* key.h: what does not fit is reported as this. */
	if (e == UINT64_MAX)
		return why_set(why, ERR_REFUSED,
			       "key policy: an RSA key with a public exponent "
			       "of more than 64 bits");
	return ERR_OK;
}

enum err
key_policy_check(const struct key_policy *p, const struct pubkey *key,
		 struct why *why)
{
	enum key_kind kind = pubkey_kind(key);

	switch (kind) {
	case KEY_EC_P256:
	case KEY_EC_P384:
		return ERR_OK;
	case KEY_RSA:
		return check_rsa(p, key, why);
	case KEY_ED25519:
		if (p->allow_ed25519)
			return ERR_OK;
		return why_set(why, ERR_REFUSED,
			       "key policy: an Ed25519 key; the configuration "
			       "does not allow them");
	case KEY_EC_P521:
	case KEY_NONE:
		break;
	}
	return why_set(why, ERR_REFUSED,
		       "key policy: a %s key; P-256, P-384 and RSA of %u to %u "
		       "bits are allowed",
		       key_kind_name(kind), p->rsa_bits_min, p->rsa_bits_max);
}
