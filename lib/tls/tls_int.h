/* tls_int.h - shared inside lib/tls. */
#ifndef TLS_TLS_INT_H
#define TLS_TLS_INT_H

#include <openssl/ssl.h>

#include "tls/tls.h"

enum {
	TLS_OUT_MAX = 8 << 20,      /* not yet taken output of one connection */
	TLS_EARLY_MAX = 256 * 1024, /* written before the handshake is done */
	TLS_WAIT_MAX = 256 * 1024   /* received while a key is signing */
};

struct tls_identity {
	size_t refs;
	CRYPTO_BUFFER **certs;
	size_t cnt;
	struct custody_key *key;
};

struct tls_ctx {
	size_t refs;
	enum tls_role role;
	enum tls_peer_cert peer;
	enum tls_version version;
	struct buf alpn; /* wire form: length, name, ... */
	SSL_CTX *ssl;    /* rebuilt with each identity: the library keeps a
			    slot for each kind of key, and would mix old and
			    new ones */
	struct tls_identity *identity;
	struct tls_trust *trust;
};

/* A verified peer: shared by the cache and all connections of that peer. */
struct tls_verified {
	size_t refs;
	struct tls_peer peer;
	uint8_t bytes[]; /* what the slices point into */
};

/* Where a signature of our key stands. */
enum tls_sign_state {
	TLS_SIGN_NONE = 0,
	TLS_SIGN_WAITS,
	TLS_SIGN_DONE,
	TLS_SIGN_FAILED
};

/* What only a handshake needs; freed when it is done. */
struct tls_hs {
	struct tls_ctx *ctx;
	struct tls_identity *identity;
	struct tls_trust *trust;
	char *server_name;
	struct wall (*now)(void);
	/* the signature under way */
	enum tls_sign_state sign_state;
	bool in_sign_start;
	struct custody_op *sign_op;
	struct buf signature;
	struct buf early;   /* written by the user, to be sent when done */
	struct buf waiting; /* received while the key signs */
	/* a refusal by one of our callbacks: comes before what the library
	 * says */
	enum err err;
	struct why why;
};

struct tls_conn {
	SSL *ssl;
	struct tls_hs *hs; /* NULL when the handshake is done */
	struct tls_conn_cbs cbs;
	void *arg;
	struct tls_verified *verified; /* NULL: no certificate */
	struct slice in;               /* what the BIO reads from */
	struct buf out;
	struct why *why; /* of a failure; allocated then */
	enum err err;
	unsigned busy;           /* inside a function that calls back */
	unsigned key_update_cnt; /* by the peer */
	bool ready;
	bool dead; /* freed inside a callback */
};

/* tls_ctx.c */
struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx);

/* tls_conn.c: drives the handshake on after the key answered. May free c. */
void tls_conn_resume(struct tls_conn *c);

/* tls_key.c */
const SSL_PRIVATE_KEY_METHOD *tls_key_method(void);
/* Signature algorithms that a key of this kind makes. */
const uint16_t *tls_key_prefs(enum key_kind kind, size_t *cnt_out);
void tls_key_cancel(struct tls_hs *hs);

/* tls_verify.c */
enum ssl_verify_result_t tls_verify_peer(SSL *ssl, uint8_t *alert_out);

/* tls_trust.c */
struct tls_question {
	const struct slice *chain;
	size_t cnt;
	enum chain_purpose purpose;
	bool spiffe;
	struct wall at;
};
/* From the cache, or by chain_verify. *out is a reference of the caller. */
MUST_USE enum err tls_trust_verify(struct tls_trust *t,
				   const struct tls_question *q,
				   struct why *why, struct tls_verified **out);
struct slice tls_trust_get_domain(const struct tls_trust *t);
void tls_verified_unref(struct tls_verified *v);

/* tls_error.c: what the library's error queue says, for a person. */
enum err tls_error_take(const SSL *ssl, struct why *why);
/* The alert that tells the peer about an error of chain or name. */
uint8_t tls_alert_of(enum err e);

#endif
