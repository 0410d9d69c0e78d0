/* authority_int.h - the parts of the authority role.
 *
 *   authority.c        links, messages, life of the process
 *   authority_admit.c  limits, the queue, whose turn it is
 *   authority_batch.c  a batch of requests: policy, serials, durable intents
 *   authority_admin.c  the admin socket: join tokens, status
 *   authority_audit.c  audit lines, their head and its signature */
#ifndef CA_AUTHORITY_INT_H
#define CA_AUTHORITY_INT_H

#include "base/metric.h"
#include "ca/conf.h"
#include "ca/limit.h"
#include "ca/metrics.h"
#include "ca/msg.h"
#include "ca/policy.h"
#include "ca/queue.h"
#include "ca/seen.h"
#include "ca/serial.h"
#include "ev/ev.h"
#include "ipc/ipc.h"
#include "ipc/role.h"
#include "store/audit.h"
#include "store/store.h"

enum {
	FRONTS_MAX = 64,
	BATCH_MAX = 64,
	/* At the signer at once: enough that it never waits, few enough that
	 * whoever comes now is not behind a backlog. */
	SIGNING_MAX = 256,
	REFUSALS_MAX = 16,
	REFUSAL_NAME_MAX = 512,
	/* Fields of one audit line: all at their longest, each byte escaped. */
	AUDIT_EVENT_MAX = 32000
};

/* A request under way. From arrival to the answer it is in exactly one place:
 * the queue, the batch, or the table of those being signed. */
struct request {
	struct ca_queue_item waiting; /* first */
	struct request *next;
	uint64_t sign_id; /* key in the table of those being signed */
	unsigned front;
	bool is_counted;      /* in the front's under_way */
	uint32_t front_epoch; /* which life of that front asked */
	uint64_t front_id;
	struct buf payload; /* the message; issue's slices point into it */
	struct msg_issue issue;
	struct slice name; /* what its limits and turns are counted by */
	uint32_t retry_ms;
	struct buf identity; /* as granted */
	struct wall asked_at;
	struct wall not_before, not_after;
	struct mono arrived;
	struct mono durable;
	uint8_t serial[STORE_SERIAL_LEN];
	uint8_t key_hash[STORE_KEY_HASH_LEN];
};

/* A completion that waits for the next transaction. */
struct completion {
	uint8_t serial[STORE_SERIAL_LEN];
	enum store_state state;
	uint8_t cert_hash[32];
};

struct front_link {
	struct ipc *ipc;
	size_t under_way; /* requests of it, of any of its lives */
	uint32_t epoch;
	unsigned index;
	char name[16]; /* "front.0" */
	struct authority *authority;
};

/* Why requests were refused that get no audit line of their own. */
enum refusal_cause {
	REFUSAL_RATE = 0,
	REFUSAL_SHARE,
	REFUSAL_BUSY,
	REFUSAL_LATE,
	REFUSAL_GONE,
	REFUSAL_UNPROVEN,
	REFUSAL_MANY
};

struct refusal {
	enum refusal_cause cause;
	uint64_t cnt;
	char name[REFUSAL_NAME_MAX];
};

struct authority {
	struct role *role;
	struct ev_loop *loop;
	struct ca_conf conf;
	struct ca_policy policy;
	struct metric_block *metrics;
	struct store *store;
	struct ca_serial *serials;
	struct front_link fronts[FRONTS_MAX];
	struct ipc *signer;
	struct ev_timer *alone; /* runs while there is no signer */
	struct buf chain_msg;   /* newest MSG_CHAIN, empty: no issuer yet */
	struct buf out, line;   /* scratch of a message, of an audit line */
	struct buf ca_keys;     /* SHA-256 of the keys of chain_msg, one after
				 * the other: they are certified for nobody */
	struct ca_policy_issuer issuer; /* of chain_msg */
	char warning[WHY_MAX];          /* of the issuer */

	struct ca_limit *callers;
	struct ca_queue *queue;
	uint64_t queue_key[2]; /* of the hashes that name callers in it */
	struct ca_seen *seen;
	struct ca_bucket overall;
	bool allowed;          /* taken from overall, not used yet */
	struct ev_timer *pace; /* runs while overall is empty */
	struct ca_bucket unproven;
	struct refusal refusals[REFUSALS_MAX];
	size_t refusal_cnt;
	struct ev_timer *refusal_timer;
	struct ev_defer work;
	struct ev_timer *gather; /* runs while requests wait for others */
	struct mono batch_began; /* the last */

	struct request *signing[1024]; /* hash table by sign_id */
	size_t signing_cnt;
	uint64_t next_sign_id;

	struct completion *done; /* array, grows */
	size_t done_cnt, done_cap;
	struct ev_timer *done_timer;

	struct audit *audit;
	struct buf head_found; /* message: the record's head, to be checked */
	struct ev_timer *audit_timer;
	bool audit_dirty;
	enum err audit_state; /* ERR_OK, or why it cannot be written */
	char audit_text[WHY_MAX];
	char audit_mismatch[WHY_MAX]; /* lines were lost before this start */
	enum err store_state;
	char store_text[WHY_MAX];
	/* Since when these are as they are. */
	struct wall audit_since, store_since, issuer_since;

	int admin_fd;
	struct ev_listener *admin;
	struct authority_admin *admin_state;
	bool stopping;
};

/* authority.c */
/* There may be something to do. */
void authority_wake(struct authority *a);
/* False: the front that asked has died, even if it came back. */
bool authority_has_asker(const struct authority *a, const struct request *rq);
void authority_request_free(struct request *rq);
void authority_answer(struct authority *a, struct request *rq, enum err e,
		      struct slice text, struct slice cert,
		      uint32_t generation);
void authority_signing_add(struct authority *a, struct request *rq);
/* NULL: none of this id is being signed. */
struct request *authority_signing_take(struct authority *a, uint64_t id);

/* authority_admit.c */
void authority_admit_open(struct authority *a);
/* The configuration has changed. */
void authority_admit_reload(struct authority *a);
/* A front's MSG_ISSUE. An error: the front breaks the rules. */
MUST_USE enum err authority_take_issue(struct front_link *f, uint64_t id,
				       struct slice payload);
/* Whose turn it is; NULL: nobody's now. */
struct request *authority_next(struct authority *a);
/* What waits must go on waiting; authority_wake is called when it need not. */
bool authority_is_held_up(const struct authority *a);
/* Whether a refusal is to have an audit line of its own; else it was counted.
 */
bool authority_audits_refusal(struct authority *a, const struct request *rq);
/* Writes the counts into the audit log (at a stop). */
void authority_write_refusals(struct authority *a);

/* authority_batch.c: takes at most BATCH_MAX of the waiting requests through
 * policy and record, and sends them to the signer. */
void authority_batch(struct authority *a);
/* Records completions when no batch comes along soon. */
void authority_completed(struct authority *a, const struct request *rq,
			 enum store_state state, struct slice cert);
/* Writes waiting completions now (at a stop). */
void authority_flush_completions(struct authority *a);

/* authority_audit.c */
MUST_USE enum err authority_audit_open(struct authority *a, struct why *why);
void authority_audit_close(struct authority *a);
void authority_audit_issue(struct authority *a, const struct request *rq,
			   enum err e, struct slice text);
void authority_audit_event(struct authority *a, struct slice fields);
/* Writes what is buffered; later, and at most once a second, syncs and has the
 * head signed. */
void authority_audit_flush(struct authority *a);
void authority_audit_head_signed(struct authority *a, const struct msg_head *m);
/* The signer is there: it shall tell whether it signed the head that stood in
 * the record when we started. */
void authority_audit_check_head(struct authority *a);
/* ERR_OK, or why nothing may be signed now (audit.on_full: refuse). */
enum err authority_audit_gate(struct authority *a);

/* authority_admin.c */
MUST_USE enum err authority_admin_open(struct authority *a, struct why *why);
void authority_admin_close(struct authority *a);

#endif
