/* pki_int.h - shared by the files of pki; not for other modules. */
#ifndef PKI_PKI_INT_H
#define PKI_PKI_INT_H

#include "base/slice.h"
#include "base/why.h"
#include "pki/cert.h"

/* -- extensions: of certificates and of extension requests */
enum {
	EXT_MAX = 32
};

struct ext {
	struct slice oid; /* contents */
	bool critical;
	struct slice value;
};

struct ext_list {
	struct ext items[EXT_MAX];
	size_t cnt;
};

/* in: contents of the SEQUENCE OF Extension, at least one. Each OID once.
 * what: "CSR", "certificate". */
MUST_USE enum err ext_list_parse(struct slice in, const char *what,
				 struct why *why, struct ext_list *out);

/* Extensions under id-ce (2.5.29) are told apart by the last octet. */
enum ext_id {
	EXT_OTHER = 0,
	EXT_SKI = 14,
	EXT_KEY_USAGE = 15,
	EXT_SAN = 17,
	EXT_BASIC = 19,
	EXT_NAME_CONSTRAINTS = 30,
	EXT_POLICIES = 32,
	EXT_POLICY_MAPPINGS = 33,
	EXT_AKI = 35,
	EXT_POLICY_CONSTRAINTS = 36,
	EXT_EKU = 37,
	EXT_INHIBIT_ANY = 54
};
enum ext_id ext_get_id(const struct ext *e);

/* Values of single extensions. */
MUST_USE enum err ext_read_key_usage(struct slice value, unsigned *bits_out);
struct ext_basic {
	bool is_ca, has_pathlen;
	uint64_t pathlen;
};
MUST_USE enum err ext_read_basic(struct slice value, struct ext_basic *out);
struct ext_eku {
	bool server, client, any, ocsp_signing;
};
MUST_USE enum err ext_read_eku(struct slice value, struct ext_eku *out);

/* -- names */
struct name_attr {
	struct slice oid;
	unsigned tag;
	struct slice value;
	bool is_first; /* of its RDN */
};
struct name_cursor {
	struct slice rdns;
	struct slice rdn;
};
/* name: whole DER element. */
MUST_USE enum err name_cursor_init(struct name_cursor *c, struct slice name);
/* ERR_NOT_FOUND at the end. */
MUST_USE enum err name_cursor_next(struct name_cursor *c,
				   struct name_attr *out);
/* Well-formed; is_empty_out (may be NULL): no value that has a byte. */
MUST_USE enum err name_check(struct slice name, bool *is_empty_out);
/* RFC 5280 7.1, as far as it finds issuers: bytes, or text without regard to
 * case, string type and outer blanks. The library has the last word. */
bool name_is_same(struct slice a, struct slice b);
/* SEQUENCE without contents. */
bool name_is_null(struct slice name);

/* -- certificates */
/* An algorithm that is not ours, for a message: its OID. */
void alg_format(struct slice alg_der, char out[128]);
/* Kind and size of a key without parsing its point or number. bits 0: unknown
 * kind. */
struct spki_size {
	enum key_kind kind;
	unsigned bits;
	struct slice modulus; /* of RSA */
};
MUST_USE enum err spki_get_size(struct slice spki, struct spki_size *out);

#endif
