/* store.h - what was asked for, issued and refused: the record.
 * The only door to SQLite.
 *
 * One writer (the authority). An intent is durable before anything is signed;
 * many intents share one transaction and one sync. Completions ride in the
 * next transaction. An intent whose end was never recorded is "unknown" and
 * counts as issued. Calls block for the disk: the caller batches.
 * WAL, synchronous FULL. Format: doc/store.md. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/slice.h"
#include "base/why.h"

enum {
	STORE_SERIAL_LEN = 19,
	STORE_KEY_HASH_LEN = 32,
	STORE_SCHEMA_VERSION = 1
};

enum store_state {
	STORE_INTENT = 0, /* unknown until completed */
	STORE_ISSUED = 1,
	STORE_FAILED = 2 /* the signer refused or failed: no certificate */
};

struct store_cert {
	uint8_t serial[STORE_SERIAL_LEN];
	enum store_state state;
	uint8_t profile;
	uint8_t auth;          /* which authenticator */
	struct slice identity; /* SPIFFE ID, or DNS names for serving */
	struct slice caller;   /* who asked, as the authenticator names it */
	uint8_t key_hash[STORE_KEY_HASH_LEN]; /* SHA-256 of the SPKI */
	struct wall not_before, not_after, asked_at;
	uint8_t cert_hash[32]; /* SHA-256 of the DER; zero until issued */
	struct slice request_id;
};

struct store;
/* path: the database file; made if absent. ERR_CONFIG for a newer schema or a
 * foreign file, ERR_BUSY when another process has it open. */
MUST_USE enum err store_open(const char *path, struct why *why,
			     struct store **out);
void store_close(struct store *s);

/* One transaction: begin, any number of changes, commit (durable on return) or
 * abort. ERR_DISK_FULL, ERR_IO. After an error of a change, abort: commit
 * refuses. */
MUST_USE enum err store_begin(struct store *s, struct why *why);
MUST_USE enum err store_commit(struct store *s, struct why *why);
void store_abort(struct store *s);
/* ERR_EXISTS: this serial was used. */
MUST_USE enum err store_add_intent(struct store *s, const struct store_cert *c);
/* ERR_NOT_FOUND, which does no harm: no such intent, or it has an end. */
MUST_USE enum err store_complete(struct store *s,
				 const uint8_t serial[STORE_SERIAL_LEN],
				 enum store_state state,
				 const uint8_t cert_hash[32]);

/* -- join tokens: kept as hashes, consumed in the intent's transaction */
struct store_token {
	uint8_t hash[32]; /* SHA-256 of the token */
	struct slice identity;
	struct wall created, expires;
	struct slice created_by; /* "uid=0 pid=12" */
};
MUST_USE enum err store_token_add(struct store *s, const struct store_token *t);
/* Inside a transaction. Finds the token, checks expiry and use, marks it used
 * by this key. The same key may repeat within repeat_ms of the first use.
 * identity_out: appended to (a buf). ERR_NOT_FOUND, ERR_EXPIRED, ERR_USED. */
MUST_USE enum err store_token_use(struct store *s, const uint8_t hash[32],
				  const uint8_t key_hash[32], struct wall now,
				  int64_t repeat_ms, struct buf *identity_out);
/* Whom a token is for, whatever its state: asked before it is used, so that a
 * request that will be refused does not use it up. Appended to out.
 * ERR_NOT_FOUND. */
MUST_USE enum err store_token_get_identity(struct store *s,
					   const uint8_t hash[32],
					   struct buf *out);
MUST_USE enum err store_token_purge(struct store *s, struct wall before);

/* -- small named values: audit head, generation numbers */
MUST_USE enum err store_set(struct store *s, const char *name,
			    struct slice value);
/* ERR_NOT_FOUND when there is none. */
MUST_USE enum err store_get(struct store *s, const char *name, struct buf *out);

/* -- reading */
MUST_USE enum err store_find(struct store *s,
			     const uint8_t serial[STORE_SERIAL_LEN],
			     struct buf *strings, struct store_cert *out);
struct store_counts {
	uint64_t intents, issued, failed;
};
MUST_USE enum err store_count(struct store *s, struct store_counts *out);
/* The largest serial there is, zero when empty: serials never go back. */
MUST_USE enum err store_max_serial(struct store *s,
				   uint8_t out[STORE_SERIAL_LEN]);

#endif
