/* issuer_int.h - what the files of the issuer share. */
#ifndef CA_ISSUER_INT_H
#define CA_ISSUER_INT_H

#include "ca/issuer.h"

enum {
	ISSUER_PEM_MAX = 1 << 18,
	ISSUER_POOL_MAX = 16
};

/* What an issuer is made of; all borrowed. */
struct issuer_parts {
	struct slice cert;
	const char *cert_name; /* for texts: "ca-cert.pem" */
	const char *key_name;
	const struct cert_list *pool; /* candidates above it; NULL: none */
	const struct cert_list *roots;
	struct custody_key *key;
	struct slice trust_domain;
	uint32_t warn_rules; /* chain rules that only warn */
};

/* Checks all and makes the issuer: the only way to one. */
MUST_USE enum err issuer_assemble(const struct issuer_parts *p, struct wall now,
				  struct why *why, struct issuer **out);

/* A certificate signed by key: tbs, signature, DER into out. */
MUST_USE enum err issuer_sign(const struct build_issuer *b,
			      struct custody_key *key,
			      const struct build_request *rq, struct why *why,
			      struct buf *out);
/* A serial that the store does not know: of CA certificates and trials. */
void issuer_new_serial(struct wall now, uint8_t out[BUILD_SERIAL_LEN]);

#endif
