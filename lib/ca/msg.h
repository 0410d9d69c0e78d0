/* msg.h - the typed messages between the roles of the authority.
 *
 * Everything that one role can ask of another stands here; there is no other
 * way. Encoding: fixed fields big-endian, byte strings behind a 32-bit length,
 * in the order of the tables in msg.c. Readers take slices into the payload
 * and refuse anything left over. doc/ipc.md has the byte tables.
 *
 *   front -> authority     MSG_ISSUE
 *   authority -> front     MSG_RESULT, MSG_CHAIN
 *   authority -> signer    MSG_SIGN, MSG_SIGN_HEAD
 *   signer -> authority    MSG_SIGNED, MSG_CHAIN, MSG_HEAD_SIGNED
 *   front -> fetch         MSG_FETCH
 *   fetch -> front         MSG_FETCHED */
#ifndef CA_MSG_H
#define CA_MSG_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/slice.h"
#include "pki/build.h"
#include "store/store.h"

enum {
	MSG_FRAME_MAX = 1 << 20,
	MSG_QUEUE_MAX = 16 << 20,
	/* ISSUER_CHAIN_MAX and ISSUER_ROOTS_MAX together. */
	MSG_CHAIN_CERTS_MAX = 24
};

/* Bytes of single fields. No honest role sends more; a role that was taken
 * over can so neither fill the authority's memory with its queue, nor the
 * record and the audit log with long lines. */
enum {
	MSG_IDENTITY_MAX = 2048,
	MSG_CSR_MAX = 16384, /* what comes out of a CSR */
	MSG_CALLER_MAX = 512,
	MSG_PEER_MAX = 128,
	MSG_REQUEST_ID_MAX = 64,
	MSG_TOKEN_HASH_LEN = 32
};

enum msg_type {
	MSG_ISSUE = 1,
	MSG_RESULT,
	MSG_CHAIN,
	MSG_SIGN,
	MSG_SIGNED,
	MSG_SIGN_HEAD,
	MSG_HEAD_SIGNED,
	MSG_FETCH,
	MSG_FETCHED
};

/* How a caller proved who it is; the numbers stand in the store. */
enum msg_auth {
	MSG_AUTH_NONE = 0,
	MSG_AUTH_CLIENT_CERT = 1,
	MSG_AUTH_JWT = 2,
	MSG_AUTH_JOIN_TOKEN = 3,
	MSG_AUTH_SELF = 4 /* a front, for its own serving certificate */
};
/* "client_cert"; static. Any value is accepted. */
const char *msg_auth_name(enum msg_auth a);
/* One of the ways in which a workload proves who it is. Any value is accepted:
 * it comes from a role that may have been taken over. */
bool msg_auth_is_proof(enum msg_auth a);

/* A front asks for a certificate. With a join token the identity is empty: only
 * the authority knows whom the token is for. For BUILD_SERVING there is
 * nothing to ask: the names are the authority's configuration. */
struct msg_issue {
	enum build_profile profile; /* BUILD_WORKLOAD or BUILD_SERVING */
	enum msg_auth auth;
	int64_t ttl_sec;       /* as asked: 0 is the default */
	struct mono deadline;  /* 0 ns: none */
	struct wall ends;      /* of the certificate that the caller shows; 0:
				  it shows none */
	struct slice identity; /* SPIFFE ID of the caller */
	struct slice wanted;   /* SPIFFE ID that the CSR asks for, or empty */
	struct slice caller;   /* for the record: "jwt iss=... sub=..." */
	struct slice peer;     /* network address */
	struct slice request_id;
	struct slice token_hash; /* 32 bytes, or empty */
	struct slice spki;
};

struct msg_result {
	enum err e;
	uint32_t generation; /* of the chain that signed it */
	uint32_t retry_ms;   /* ask again after this; 0: nothing is known */
	struct slice text;   /* why, when e is not ERR_OK */
	struct slice cert;   /* DER */
};

enum {
	MSG_CHAIN_NO_CRL_SIGN = 1
};

/* Who signs now. ders: the issuer's certificate and those above it without the
 * root, then the roots. A self-signed issuer stands among the roots only.
 * Without any root no issuer is in force, and the warning says why. */
struct msg_chain {
	uint32_t generation;
	uint32_t flags;
	struct wall not_before; /* of the issuer's certificate */
	struct wall not_after;  /* earliest of all */
	struct slice warning;   /* for status and log; empty: none */
	size_t chain_cnt;
	size_t root_cnt;
	struct slice ders[MSG_CHAIN_CERTS_MAX];
};

struct msg_sign {
	enum build_profile profile;
	uint8_t serial[STORE_SERIAL_LEN];
	struct wall not_before, not_after;
	struct slice identity; /* empty for BUILD_SERVING */
	struct slice spki;
};

struct msg_signed {
	enum err e;
	uint32_t generation;
	struct slice text;
	struct slice cert;
};

/* The head of the audit log, to be signed with the audit key. */
struct msg_head {
	uint64_t count;
	struct slice hash;      /* 32 bytes */
	struct slice signature; /* to the signer: empty, or one to be checked;
				   from it: empty when that was not ours */
};

struct msg_fetch {
	uint32_t size_max;
	uint32_t timeout_ms;
	struct slice url;
	struct slice ca_file; /* empty: the system's roots */
};

struct msg_fetched {
	enum err e;
	uint32_t http_status;
	struct slice text;
	struct slice body;
};

/* Writers append to out, whose failure flag tells when it did not fit. Readers
 * answer ERR_PROTOCOL for anything that a writer would not have made. */
void msg_issue_write(struct buf *out, const struct msg_issue *m);
MUST_USE enum err msg_issue_read(struct slice in, struct msg_issue *m);
void msg_result_write(struct buf *out, const struct msg_result *m);
MUST_USE enum err msg_result_read(struct slice in, struct msg_result *m);
void msg_chain_write(struct buf *out, const struct msg_chain *m);
MUST_USE enum err msg_chain_read(struct slice in, struct msg_chain *m);
void msg_sign_write(struct buf *out, const struct msg_sign *m);
MUST_USE enum err msg_sign_read(struct slice in, struct msg_sign *m);
void msg_signed_write(struct buf *out, const struct msg_signed *m);
MUST_USE enum err msg_signed_read(struct slice in, struct msg_signed *m);
void msg_head_write(struct buf *out, const struct msg_head *m);
MUST_USE enum err msg_head_read(struct slice in, struct msg_head *m);
void msg_fetch_write(struct buf *out, const struct msg_fetch *m);
MUST_USE enum err msg_fetch_read(struct slice in, struct msg_fetch *m);
void msg_fetched_write(struct buf *out, const struct msg_fetched *m);
MUST_USE enum err msg_fetched_read(struct slice in, struct msg_fetched *m);

#endif
