/* join_token.c - one-time tokens for hosts without any token issuer. Here they
 * are only recognised and hashed; whom a token is for, whether it is still
 * good and not yet used, is known to the record alone. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/rand.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/pem.h"
#include "ra/ra_int.h"

enum {
	JOIN_RANDOM_LEN = 32,
	JOIN_TEXT_LEN = 4 + 43 /* prefix, base64url of 32 bytes */
};

enum err
ra_join_token(struct ra *ra, const struct ra_input *in, struct why *why,
	      struct ra_result *out)
{
	struct slice token = ra_bearer(in);

	(void)ra;
	if (!slice_has_prefix(token, RA_JOIN_PREFIX))
		return ERR_NOT_FOUND;
	if (token.len != JOIN_TEXT_LEN)
		return why_set(why, ERR_SYNTAX,
			       "the join token is cut or has something added: "
			       "%zu characters instead of %d",
			       token.len, JOIN_TEXT_LEN);
	hash_sha256(token, out->token_hash);
	out->has_token_hash = true;
	out->kind = RA_JOIN_TOKEN;
	/* Enough to find the token in the record, useless to use it. */
	(void)snprintf(out->caller, sizeof(out->caller),
		       "join_token sha256=%02x%02x%02x%02x...",
		       out->token_hash[0], out->token_hash[1],
		       out->token_hash[2], out->token_hash[3]);
	return ERR_OK;
}

void
ra_join_token_make(char out[RA_JOIN_TEXT_MAX],
		   uint8_t hash_out[RA_TOKEN_HASH_LEN])
{
	uint8_t raw[JOIN_RANDOM_LEN];
	struct buf text;

	rand_bytes(raw, sizeof(raw));
	buf_init(&text, RA_JOIN_TEXT_MAX - 1);
	(void)buf_put_str(&text, RA_JOIN_PREFIX);
	(void)base64url_write(&text, SLICE_ARRAY(raw));
	must(!buf_has_failed(&text) && buf_len(&text) == JOIN_TEXT_LEN);
	memcpy(out, buf_get(&text).p, JOIN_TEXT_LEN);
	out[JOIN_TEXT_LEN] = '\0';
	hash_sha256(buf_get(&text), hash_out);
	secret_wipe(raw, sizeof(raw));
	secret_wipe(text.p, text.cap);
	buf_fini(&text);
}
