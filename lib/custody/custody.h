/* custody.h - where a private key lives, and how it signs.
 *
 * Whoever signs holds a struct custody_key and never sees key bytes. Signing
 * is asynchronous everywhere: a key may be in this process (memory), in a
 * token or in another process. The callback runs exactly once unless the
 * operation is cancelled; for keys in memory it runs inside custody_sign_start
 * (the one exception to "never from inside start", because a handshake must
 * not take a turn of the loop for 15 microseconds).
 *
 * Later kinds (file, pkcs11, remote) implement struct custody_ops. */
#ifndef CUSTODY_CUSTODY_H
#define CUSTODY_CUSTODY_H

#include "base/slice.h"
#include "base/why.h"
#include "crypto/key.h"

struct custody_key;

typedef void custody_sign_cb(void *arg, enum err e, struct slice signature);

struct custody_op; /* a signature under way; NULL when already done */

struct custody_ops {
	const char *kind; /* "memory" */
	enum err (*sign_start)(void *self, enum sig_alg alg,
			       struct slice message, custody_sign_cb *cb,
			       void *arg, struct custody_op **pending);
	void (*sign_cancel)(void *self, struct custody_op **pending);
	void (*free)(void *self);
};

/* Wraps another kind. self is given. spki is copied. */
struct custody_key *custody_new(const struct custody_ops *ops, void *self,
				struct slice spki, enum key_kind kind,
				unsigned bits, enum sig_alg default_alg);
/* A key in this process's secret memory. key is given. */
MUST_USE enum err custody_memory_new(struct privkey *key,
				     struct custody_key **out);
/* The key behind a memory custody, borrowed; NULL for the other kinds. For
 * the agent, which must hand the key to Envoy. */
const struct privkey *custody_get_privkey(const struct custody_key *k);

/* The last unref frees the key; operations under way must be done or
 * cancelled before. */
struct custody_key *custody_ref(struct custody_key *k);
void custody_unref(struct custody_key *k);

/* What the key is; borrowed, lives as long as the key. */
struct slice custody_get_spki(const struct custody_key *k);
enum key_kind custody_get_kind(const struct custody_key *k);
unsigned custody_get_bits(const struct custody_key *k);
enum sig_alg custody_get_default_alg(const struct custody_key *k);
/* The kind of custody: "memory". Static text. */
const char *custody_get_place(const struct custody_key *k);

/* message is borrowed for the call, signature (DER for ECDSA) for the
 * callback. pending is a place that stays until the callback or the cancel:
 * *pending is set before the callback may run later and cleared (NULL) before
 * it runs. When the start fails the callback never runs. The callback may
 * unref k, and may free whatever holds *pending. */
MUST_USE enum err custody_sign_start(struct custody_key *k, enum sig_alg alg,
				     struct slice message, custody_sign_cb *cb,
				     void *arg, struct custody_op **pending);
/* The callback does not run any more. *pending NULL: nothing happens. */
void custody_sign_cancel(struct custody_key *k, struct custody_op **pending);
/* For keys that answer at once (memory): the signature into out.
 * ERR_UNSUPPORTED for others. */
MUST_USE enum err custody_sign_now(struct custody_key *k, enum sig_alg alg,
				   struct slice message, struct buf *out);

#endif
