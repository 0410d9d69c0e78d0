/* ra.h - who is asking? The registration authority's side of a request.
 *
 * Authenticators are tried in the configured order; the first that succeeds
 * gives the identity. A failure says why, for log and audit: to the caller it
 * stays opaque. One file per authenticator: client_cert.c, jwt.c,
 * join_token.c. No network, no clock: key sets are handed in, and an unknown
 * key id is reported so that the owner may fetch the set again.
 *
 * To add one: doc/architecture.md, "How to". */
#ifndef RA_RA_H
#define RA_RA_H

#include "base/clock.h"
#include "base/slice.h"
#include "base/why.h"
#include "jose/jwt.h"
#include "tls/tls.h"

enum {
	RA_IDENTITY_MAX = 2048,
	RA_CALLER_MAX = 512,
	RA_TOKEN_HASH_LEN = 32,
	RA_ISSUERS_MAX = 32,
	RA_TOKEN_CACHE_MAX = 4096 /* verified tokens remembered */
};

/* The labels of a metric; messages and the record have enum msg_auth. */
enum ra_kind {
	RA_NONE = 0,
	RA_CLIENT_CERT,
	RA_JWT,
	RA_JOIN_TOKEN,
	RA_KIND_CNT
};
/* By number, NULL-ended: "none", "client_cert", ... */
extern const char *const ra_kind_names[RA_KIND_CNT + 1];
/* RA_NONE where no authenticator has the name. */
enum ra_kind ra_find_kind(const char *name);

/* An issuer of tokens. Strings are borrowed while the ra lives. */
struct ra_jwt_issuer {
	const char *issuer;
	const char *const *audiences; /* NULL-ended */
	bool from_claim;              /* else from Kubernetes' claims */
	const char *claim;
	int64_t leeway_sec;
};

struct ra_opts {
	const char *const *order; /* NULL-ended: "client_cert", "jwt", ... */
	struct slice trust_domain;
	const struct ra_jwt_issuer *issuers;
	size_t issuer_cnt;
};

struct ra;
/* ERR_CONFIG for an unknown name in order. The slices and strings of opts are
 * borrowed while the ra lives. */
MUST_USE enum err ra_new(const struct ra_opts *opts, struct why *why,
			 struct ra **out);
void ra_free(struct ra *ra);
/* The keys of one issuer; a reference is taken. Tokens remembered are
 * forgotten. */
void ra_set_jwks(struct ra *ra, size_t issuer, struct jwks *keys);
bool ra_has_jwks(const struct ra *ra, size_t issuer);
/* Verified tokens answered from memory, and those verified. */
void ra_get_token_counts(const struct ra *ra, uint64_t *hits_out,
			 uint64_t *misses_out);

struct ra_input {
	const struct tls_peer *peer; /* NULL without TLS */
	struct slice authorization;  /* the header's value */
	size_t authorization_cnt;    /* how many such headers came */
	struct wall now;
};

struct ra_result {
	enum ra_kind kind;
	char identity[RA_IDENTITY_MAX + 1]; /* empty for a join token */
	size_t identity_len;
	char caller[RA_CALLER_MAX]; /* for the record, printable */
	bool has_token_hash;
	uint8_t token_hash[RA_TOKEN_HASH_LEN];
	/* On failure: the issuer whose key set lacked the token's key, so
	 * that fetching it may help; -1: none. */
	int want_jwks;
};

/* ERR_UNAUTHENTICATED; why holds the cause of each authenticator that had
 * something to look at. */
MUST_USE enum err ra_authenticate(struct ra *ra, const struct ra_input *in,
				  struct why *why, struct ra_result *out);

/* Join tokens look like "mjt_" and 43 characters of base64url (32 random
 * bytes); only their SHA-256 is kept. out has room for RA_JOIN_TEXT_MAX. */
enum {
	RA_JOIN_TEXT_MAX = 64
};
void ra_join_token_make(char out[RA_JOIN_TEXT_MAX],
			uint8_t hash_out[RA_TOKEN_HASH_LEN]);

#endif
