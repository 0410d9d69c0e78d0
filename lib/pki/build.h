/* build.h - building the certificates that we issue. RFC 5280 4.
 *
 * Only the bytes to be signed and the finished certificate: who may get what
 * was decided before, and checked again by the signer. Parts that do not
 * change from one certificate to the next are prepared once in a
 * struct build_issuer. */
#ifndef PKI_BUILD_H
#define PKI_BUILD_H

#include "base/clock.h"
#include "base/slice.h"
#include "base/why.h"
#include "crypto/key.h"

enum {
	BUILD_SERIAL_LEN = 19,
	BUILD_CERT_MAX = 16384
};

enum build_profile {
	BUILD_NONE = 0,
	BUILD_WORKLOAD, /* as Istio's CA: KU digitalSignature (keyEncipherment
			   for RSA), EKU server and client, CA false, one
			   critical URI SAN, SKI, AKI, empty subject */
	BUILD_SERVING,  /* the authority's own: DNS names, EKU server auth,
			   and its SPIFFE ID when given */
	BUILD_ROOT,     /* self-signed CA: keyCertSign, cRLSign */
	BUILD_ISSUING   /* CA below the root, pathLen 0 */
};

/* What does not change: issuer's name, AKI, algorithm. */
struct build_issuer;
/* cert: the issuing CA's certificate, DER; NULL slice for BUILD_ROOT, where
 * subject and key are the new certificate's own. */
MUST_USE enum err build_issuer_new(struct slice cert, enum sig_alg alg,
				   struct why *why, struct build_issuer **out);
void build_issuer_free(struct build_issuer *b);

struct build_request {
	enum build_profile profile;
	uint8_t serial[BUILD_SERIAL_LEN];
	struct wall not_before;
	struct wall not_after;
	struct slice spki; /* DER */
	bool spki_is_rsa;
	struct slice uri;        /* one URI SAN, or empty */
	const struct slice *dns; /* DNS names; IP text is put as IP */
	size_t dns_cnt;
	struct slice common_name;        /* CAs: O=<this> ... see build.c */
	struct slice permitted_uri_host; /* CAs: name constraint, or empty */
	bool is_tier; /* ROOT: an issuing CA stands below it */
};

/* The to-be-signed bytes into tbs_out (emptied first). */
MUST_USE enum err build_tbs(const struct build_issuer *issuer,
			    const struct build_request *rq, struct why *why,
			    struct buf *tbs_out);
/* tbs + algorithm + signature = the certificate, DER. */
MUST_USE enum err build_finish(const struct build_issuer *issuer,
			       struct slice tbs, struct slice signature,
			       struct buf *cert_out);
/* SHA-1 of the key bits (RFC 5280 4.2.1.2 (1)). */
MUST_USE enum err build_key_id(struct slice spki, uint8_t out[20]);

#endif
