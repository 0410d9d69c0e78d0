/* issuer.h - the CA that signs: its key, its certificate and the chain above.
 *
 * An issuer is immutable and was checked whole before it exists: the key
 * matches, the certificate is a CA that may sign, and a trial certificate for
 * our trust domain, signed by it, verifies up to the roots (so path lengths,
 * name constraints and dates of all the chain hold). A bad set never becomes
 * one; the caller keeps the issuer it has. Only the signer holds one. */
#ifndef CA_ISSUER_H
#define CA_ISSUER_H

#include "base/clock.h"
#include "base/slice.h"
#include "base/why.h"
#include "custody/custody.h"
#include "pki/build.h"
#include "pki/chain.h"

struct issuer;

enum {
	ISSUER_NO_CRL_SIGN = 1 << 0, /* the CA may not sign CRLs */
	ISSUER_CHAIN_MAX = 8,        /* certificates above, root included */
	ISSUER_ROOTS_MAX = 16
};

/* -- self-signed: kept in a folder of ours, files of mode 0600:
 * root-key.pem, root-cert.pem and, with two tiers, ca-key.pem, ca-cert.pem. */
struct issuer_self {
	struct slice trust_domain;
	enum key_kind key_kind; /* P-256, P-384 or RSA */
	unsigned rsa_bits;
	int64_t ttl_ms;
	bool two_tiers;
	int64_t issuing_ttl_ms; /* two tiers only */
	bool name_constraints;
};
/* Loads what is there, makes what is missing (the first start), and renews an
 * issuing CA of which less than a fifth is left, with the same key. The root
 * is never replaced: an expired or damaged one is an error that says what to
 * do. ERR_CONFIG, ERR_EXPIRED, ERR_MISMATCH, ERR_IO, ... */
MUST_USE enum err issuer_open_self(const char *dir,
				   const struct issuer_self *how,
				   struct wall now, struct why *why,
				   struct issuer **out);

/* -- files: a CA that others made, given as bytes. Names are those of Istio:
 * ca-cert.pem ca-key.pem cert-chain.pem root-cert.pem, or, where there is a
 * tls.crt: tls.crt tls.key ca.crt. Other names are passed over. cert-chain.pem
 * may be missing where ca-cert.pem was signed by a root. warn_rules: rules of
 * its chain that only warn (pki/chain.h). */
struct issuer_file {
	const char *name;
	struct slice bytes;
};
MUST_USE enum err issuer_open_files(const struct issuer_file *files, size_t cnt,
				    struct slice trust_domain,
				    uint32_t warn_rules, struct wall now,
				    struct why *why, struct issuer **out);
void issuer_free(struct issuer *i);

/* -- what it is; all borrowed while the issuer lives */
struct custody_key *issuer_get_key(const struct issuer *i);
enum sig_alg issuer_get_alg(const struct issuer *i);
const struct build_issuer *issuer_get_build(const struct issuer *i);
/* Earliest of the certificate, those above it and the root. */
struct wall issuer_get_not_after(const struct issuer *i);
/* Of its own certificate. */
struct wall issuer_get_not_before(const struct issuer *i);
/* The issuer's own certificate, DER. */
struct slice issuer_get_cert(const struct issuer *i);
/* What is sent behind a leaf: the issuer's certificate and those above it,
 * without the root. Empty for a root that signs leaves itself. */
size_t issuer_get_chain(const struct issuer *i,
			struct slice out[ISSUER_CHAIN_MAX]);
const struct pki_bundle *issuer_get_roots(const struct issuer *i);
unsigned issuer_get_flags(const struct issuer *i);
/* For status and log, "" when there is nothing to say. */
const char *issuer_get_warning(const struct issuer *i);
/* Rules that its chain breaks and that only warn; bits as in pki/chain.h. */
uint32_t issuer_get_warned_rules(const struct issuer *i);

/* -- other keys of the signer (the audit key): a PEM file, made when missing.
 */
MUST_USE enum err issuer_open_key(const char *path, enum key_kind kind,
				  unsigned rsa_bits, struct why *why,
				  struct custody_key **out);

#endif
