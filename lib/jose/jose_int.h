/* jose_int.h - shared inside lib/jose. */
#ifndef JOSE_JOSE_INT_H
#define JOSE_JOSE_INT_H

#include "crypto/key.h"
#include "jose/jwt.h"

/* One row for each algorithm that we take. */
struct jose_alg {
	const char *name;
	enum sig_alg sig;
	enum key_kind kind;       /* the only kind of key that it goes with */
	size_t raw_signature_len; /* ECDSA: r||s; 0: not ECDSA */
};

/* NULL: not one of ours. */
const struct jose_alg *jose_alg_find(struct slice name);

struct jwk {
	struct pubkey *key;
	enum key_kind kind;
	const struct jose_alg *only; /* its "alg", or NULL: any that fits */
	char *kid;                   /* NULL: none; may hold no NUL */
};

struct jwks {
	size_t refs;
	size_t cnt;
	struct jwk *keys;
};

#endif
