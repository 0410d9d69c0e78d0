/* csr.h - PKCS#10 certificate requests. RFC 2986.
 *
 * What is asked for is read strictly and reported; what is granted is for
 * others to decide. */
#ifndef PKI_CSR_H
#define PKI_CSR_H

#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"
#include "crypto/key.h"
#include "pki/san.h"

enum {
	CSR_MAX = 16384
};

struct csr {
	struct slice info;    /* the signed bytes */
	struct slice subject; /* DER Name */
	struct slice spki;    /* DER SubjectPublicKeyInfo */
	enum sig_alg alg;
	struct slice signature;
	struct san san;        /* of the extension request; all counts 0 when
				  there is none */
	bool subject_is_empty; /* no attribute, or only empty values (O="") */
};

/* Slices point into der, which must be used up. ERR_SYNTAX, ERR_LIMIT,
 * ERR_UNSUPPORTED (signature algorithm), with the rule. ERR_REFUSED when it
 * asks to be a CA (CA:TRUE, keyCertSign, cRLSign) or for anyExtendedKeyUsage or
 * OCSPSigning; other extensions are passed over. */
MUST_USE enum err csr_parse(struct slice der, struct why *why, struct csr *out);
/* PEM "CERTIFICATE REQUEST" or "NEW CERTIFICATE REQUEST": exactly one, nothing
 * but white space around it. der_out is emptied first. */
MUST_USE enum err csr_read_pem(struct slice pem, struct buf *der_out,
			       struct why *why);
/* Proof of possession: the request's own signature. key: parsed from spki. */
MUST_USE enum err csr_verify(const struct csr *csr, const struct pubkey *key,
			     struct why *why);

/* Builds and signs one, PEM. identity: one URI SAN, critical, or empty: none.
 * dns: NULL-ended list or NULL. Subject empty. (What clients of ours send.) */
struct custody_key;
MUST_USE enum err csr_build_pem(struct custody_key *key, struct slice identity,
				const char *const *dns, struct buf *out);

#endif
