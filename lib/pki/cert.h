/* cert.h - reading certificates, strictly. RFC 5280 4.
 *
 * One pass over the DER; everything is a slice into it. Semantic rules are
 * separate functions: chain.h for paths, svid_check for SPIFFE leaves. */
#ifndef PKI_CERT_H
#define PKI_CERT_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/slice.h"
#include "base/why.h"
#include "crypto/key.h"
#include "pki/san.h"

enum {
	CERT_MAX = 65536,
	CERT_SERIAL_MAX = 20
};

enum cert_key_usage { /* bits as numbered in RFC 5280 4.2.1.3 */
	CERT_KU_DIGITAL_SIGNATURE = 1 << 0,
	CERT_KU_KEY_ENCIPHERMENT = 1 << 2,
	CERT_KU_KEY_AGREEMENT = 1 << 4,
	CERT_KU_CERT_SIGN = 1 << 5,
	CERT_KU_CRL_SIGN = 1 << 6
};

struct cert {
	struct slice der;    /* the whole certificate */
	struct slice tbs;    /* the signed bytes */
	struct slice serial; /* INTEGER contents, as encoded */
	struct slice issuer; /* DER Name */
	struct slice subject;
	struct wall not_before;
	struct wall not_after;
	struct slice spki;
	struct slice alg_der; /* outer AlgorithmIdentifier = inner one */
	enum sig_alg alg;     /* SIG_NONE: not one we allow */
	struct slice signature;
	/* extensions; has_* tells presence */
	bool has_basic, basic_critical, is_ca, has_pathlen;
	uint64_t pathlen;
	bool has_key_usage, key_usage_critical;
	unsigned key_usage;
	bool has_ext_key_usage, eku_server, eku_client, eku_any;
	bool has_san;
	struct san san;
	bool has_ski, has_aki;
	struct slice ski; /* key identifier */
	struct slice aki; /* keyid; may be empty when has_aki */
	bool has_name_constraints, name_constraints_critical;
	struct slice name_constraints; /* contents */
	bool has_lax_policy; /* policyConstraints or inhibitAnyPolicy that is
				not critical */
	bool is_v1;          /* old roots; has no extensions then */
	bool has_unknown_critical;
	struct slice unknown_critical_oid;
};

/* Slices point into der, which must be used up. Errors name the rule. */
MUST_USE enum err cert_parse(struct slice der, struct why *why,
			     struct cert *out);

/* The rules of X509-SVID.md for a leaf (X-1, X-3, X-5, X-10..X-13, X-15); the
 * identity in *id_out (its text points into the certificate). */
struct spiffe_id;
MUST_USE enum err svid_check_leaf(const struct cert *c, struct why *why,
				  struct spiffe_id *id_out);

/* One line for people: identity or subject, serial in hex, validity. */
enum {
	CERT_TEXT_MAX = 512
};
void cert_describe(const struct cert *c, char out[CERT_TEXT_MAX]);
/* Name as RFC 4514 text, control characters escaped. */
void cert_name_format(struct slice name, char out[CERT_TEXT_MAX]);
/* "0af1..." lower-case hex of a serial. */
void cert_serial_format(struct slice serial, char out[2 * CERT_SERIAL_MAX + 8]);

/* -- lists of certificates in PEM */
struct cert_list {
	struct buf *ders; /* array, owned */
	size_t cnt;
};
/* All CERTIFICATE blocks (others are passed over), at most `max`; each must
 * parse. ERR_NOT_FOUND when there is none. */
MUST_USE enum err cert_list_read_pem(struct slice pem, size_t max,
				     struct why *why, struct cert_list *out);
enum err cert_list_add(struct cert_list *l, struct slice der);
void cert_list_free(struct cert_list *l);
struct slice cert_list_get(const struct cert_list *l, size_t i);
enum err cert_list_write_pem(const struct cert_list *l, struct buf *out);

#endif
