/* tls.h - TLS engines over bytes: contexts, connections, peer verification.
 * The only door to libssl.
 *
 * TLS 1.2 (ECDHE with AEAD) and 1.3; groups X25519MLKEM768, X25519, P-256,
 * P-384; no tickets, no resumption, no early data, no renegotiation, 100 key
 * updates of a peer at most. Keys are
 * behind custody (asynchronous). Certificates are not parsed by libssl
 * (TLS_with_buffers_method): we verify chains with pki/chain through a bounded
 * cache whose entries die with the earliest notAfter of the whole chain and
 * with the trust's generation. Only digests of peers' certificates are kept
 * after the handshake.
 *
 * A struct tls_conn has no socket: feed it what was read, take what is to be
 * written. */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/slice.h"
#include "base/why.h"
#include "custody/custody.h"
#include "pki/chain.h"

/* -- what we show: chain and key. Immutable, counted. */
struct tls_identity;
/* chain[0] is the leaf (DER); its key must be `key` (a reference is taken). */
MUST_USE enum err tls_identity_new(const struct slice *chain, size_t cnt,
				   struct custody_key *key, struct why *why,
				   struct tls_identity **out);
struct tls_identity *tls_identity_ref(struct tls_identity *id);
void tls_identity_unref(struct tls_identity *id);

/* -- whom we trust, with the cache of verified chains. Immutable but for the
 * cache, counted. One thread. */
struct tls_trust;
/* Takes a reference to the bundle. cache_max: chains remembered (0: none). */
struct tls_trust *tls_trust_new(struct pki_bundle *bundle, size_t cache_max);
struct tls_trust *tls_trust_ref(struct tls_trust *t);
void tls_trust_unref(struct tls_trust *t);
/* Before it is used: rules of chains that only warn (pki/chain.h), for peers
 * whose certificates others made. on_warning, once for each chain that is
 * verified anew and breaks one. */
typedef void tls_warning_cb(void *arg, const struct chain_result *result);
void tls_trust_set_warn_rules(struct tls_trust *t, uint32_t rules,
			      tls_warning_cb *on_warning, void *arg);
void tls_trust_get_counts(const struct tls_trust *t, uint64_t *hits_out,
			  uint64_t *misses_out);

/* -- contexts. Identity and trust can be swapped while connections live;
 * running handshakes finish with what they began with. */
enum tls_role {
	TLS_CLIENT,
	TLS_SERVER
};
enum tls_peer_cert {
	TLS_PEER_NONE,     /* a server that asks for none */
	TLS_PEER_OPTIONAL, /* verified if given; a bad one fails the handshake
			    */
	TLS_PEER_REQUIRED  /* clients always require the server's */
};
enum tls_version {
	TLS_VERSION_ANY = 0, /* 1.2 and 1.3 */
	TLS_VERSION_1_2,
	TLS_VERSION_1_3
};
struct tls_ctx_opts {
	enum tls_role role;
	enum tls_peer_cert peer;
	enum tls_version version; /* only this one */
	const char *const
		*alpn; /* NULL-ended, in order of preference; a peer
			  without any of them is refused by a server */
};
struct tls_ctx;
MUST_USE enum err tls_ctx_new(const struct tls_ctx_opts *opts,
			      struct tls_ctx **out);
void tls_ctx_free(struct tls_ctx *ctx); /* connections may outlive it */
void tls_ctx_set_identity(struct tls_ctx *ctx, struct tls_identity *id);
void tls_ctx_set_trust(struct tls_ctx *ctx, struct tls_trust *trust);
bool tls_ctx_has_identity(const struct tls_ctx *ctx);

/* -- connections */
struct tls_conn;

/* What a connection knows of its verified peer; all slices live as long as the
 * connection. */
struct tls_peer {
	bool verified;          /* a certificate was given, and it is good */
	struct slice spiffe_id; /* its one URI SAN when that is a SPIFFE ID */
	struct slice serial;    /* of the leaf, as in DER */
	uint8_t leaf_sha256[32];
	struct wall not_after; /* of the leaf */
};

struct tls_conn_cbs {
	/* Decrypted bytes, borrowed for the call. Inside any of these the
	 * connection may be freed. */
	void (*on_data)(void *arg, struct slice bytes);
	void (*on_handshake_done)(void *arg);
	/* Something became ready to be taken with tls_conn_take_output outside
	 * of a feed (an asynchronous key answered). May be NULL. When the
	 * handshake failed then, tls_conn_feed with no bytes tells why. */
	void (*on_output)(void *arg);
	/* What the peer presented (DER, leaf first), before it is verified:
	 * for tools that show it. The connection must not be freed in it. May
	 * be NULL. */
	void (*on_peer_chain)(void *arg, const struct slice *chain, size_t cnt);
};

/* server_name: clients, for SNI and the name check (a DNS name, an IP address
 * in text, or "spiffe://..." to expect that identity; with several separated by
 * commas any of them is accepted, SNI is the first DNS name). NULL for
 * servers. now: asked at each verification; the wall clock of the caller. */
MUST_USE enum err tls_conn_new(struct tls_ctx *ctx, const char *server_name,
			       struct wall (*now)(void),
			       const struct tls_conn_cbs *cbs, void *arg,
			       struct tls_conn **out);
void tls_conn_free(struct tls_conn *c);
/* Clients: makes the first flight. */
enum err tls_conn_start(struct tls_conn *c, struct why *why);
/* Bytes from the network, all taken. ERR_CLOSED: the peer's close_notify.
 * ERR_CANCELLED: c was freed inside a callback and must not be touched. Any
 * error ends the connection, and later calls give it again; an alert may still
 * be in the output. The why of a failed handshake names certificate, rule and
 * difference. */
enum err tls_conn_feed(struct tls_conn *c, struct slice bytes, struct why *why);
/* Encrypts; before the handshake is done it is kept (at most 256 KB) and sent
 * then. ERR_LIMIT: too much output waits to be taken; nothing was done. */
enum err tls_conn_write(struct tls_conn *c, struct slice bytes);
/* What is to be written to the network: borrowed until the next call on c;
 * tls_conn_consume what was taken. */
struct slice tls_conn_get_output(const struct tls_conn *c);
void tls_conn_consume(struct tls_conn *c, size_t len);
/* close_notify into the output. */
void tls_conn_shutdown(struct tls_conn *c);
bool tls_conn_is_ready(const struct tls_conn *c); /* handshake done */
const struct tls_peer *tls_conn_get_peer(const struct tls_conn *c);
/* "TLSv1.3", "X25519MLKEM768", "TLS_AES_128_GCM_SHA256", "h2" for logs. */
void tls_conn_describe(const struct tls_conn *c, char out[128]);

#endif
