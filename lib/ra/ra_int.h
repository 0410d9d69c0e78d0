/* ra_int.h - shared by the authenticators. */
#ifndef RA_RA_INT_H
#define RA_RA_INT_H

#include "ra/ra.h"

struct ra_tokens; /* cache of verified tokens, jwt.c */

struct ra_issuer {
	struct ra_jwt_issuer conf;
	struct jwks *keys; /* NULL: not there yet */
};

struct ra {
	struct slice trust_domain;
	enum ra_kind kinds[8]; /* in their order */
	size_t kind_cnt;
	struct ra_issuer *issuers;
	size_t issuer_cnt;
	struct ra_tokens *tokens;
};

/* ERR_NOT_FOUND: nothing for this authenticator in the request. On success out
 * has kind, identity and caller. */
typedef enum err ra_authenticator(struct ra *ra, const struct ra_input *in,
				  struct why *why, struct ra_result *out);
ra_authenticator ra_client_cert, ra_jwt, ra_join_token;

/* The token of an "authorization: Bearer" header, empty when there is none. */
struct slice ra_bearer(const struct ra_input *in);
/* Copies a checked SPIFFE ID of our trust domain into the result. */
enum err ra_take_identity(const struct ra *ra, struct slice id, struct why *why,
			  struct ra_result *out);

struct ra_tokens *ra_tokens_new(void);
void ra_tokens_free(struct ra_tokens *t);
void ra_tokens_forget(struct ra_tokens *t);
void ra_tokens_get_counts(const struct ra_tokens *t, uint64_t *hits_out,
			  uint64_t *misses_out);

/* What a join token begins with. */
#define RA_JOIN_PREFIX "mjt_"

#endif
