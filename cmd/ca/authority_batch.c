/* authority_batch.c - many requests, one transaction, one sync.
 *
 * Order: policy (costs nothing, refuses most that will be refused), serials,
 * intents and join tokens in one transaction with the completions of what was
 * signed since, commit. Nothing is sent to the signer before the commit has
 * returned. A transaction that fails answers all of its requests and leaves
 * the completions for the next one. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/mem.h"
#include "ca/authority_int.h"
#include "crypto/hash.h"
#include "pki/spiffe_id.h"
#include "ra/ra.h"

enum {
	/* Completions wait so long for a batch to ride with. */
	COMPLETION_WAIT_MS = 200,
	COMPLETION_RETRY_MS = 2000,
	COMPLETIONS_MAX = 1 << 20
};

static void
batch_refuse(struct authority *a, struct request *rq, enum err e,
	     const struct why *why)
{
	struct slice text = slice_of_str(why_text(why, e));

	if (authority_audits_refusal(a, rq))
		authority_audit_issue(a, rq, e, text);
	authority_answer(a, rq, e, text, SLICE_NONE, 0);
}

/* ---- before the transaction -------------------------------------------- */

static enum err
batch_check_state(struct authority *a, struct why *why)
{
	enum err ret;

	if (a->signer == NULL || buf_len(&a->chain_msg) == 0)
		return why_set(why, ERR_UNAVAILABLE,
			       "the signer is not ready yet");
	if ((ret = authority_audit_gate(a)) != ERR_OK)
		return why_set(why, ERR_UNAVAILABLE,
			       "the audit log cannot be written");
	return ERR_OK;
}

static enum err
batch_check_identity(struct authority *a, struct request *rq, struct why *why)
{
	const struct msg_issue *m = &rq->issue;
	enum err ret;

	if (m->profile == BUILD_SERVING)
		return m->auth == MSG_AUTH_SELF
			       ? ERR_OK
			       : why_set(why, ERR_DENIED,
					 "only a front asks for the serving "
					 "certificate");
	if (m->profile != BUILD_WORKLOAD)
		return why_set(why, ERR_DENIED, "profile %d is not issued",
			       (int)m->profile);
	/* What the record says of the proof must be one that there is. */
	if (!msg_auth_is_proof(m->auth))
		return why_set(why, ERR_DENIED,
			       "no authenticator %u proves a workload",
			       (unsigned)m->auth);
	/* A join token's identity is known only inside the transaction. */
	if (m->auth == MSG_AUTH_JOIN_TOKEN)
		return m->token_hash.len == RA_TOKEN_HASH_LEN
			       ? ERR_OK
			       : why_set(why, ERR_PROTOCOL, "no token hash");
	ret = ca_policy_check_identity(&a->policy, m->identity, why);
	if (ret != ERR_OK)
		return ret;
	ret = ca_policy_check_wanted(&a->policy, m->identity, m->wanted, why);
	if (ret != ERR_OK)
		return ret;
	return buf_put(&rq->identity, m->identity);
}

static enum err
batch_check_times(struct authority *a, struct request *rq, struct why *why)
{
	int64_t ttl_ms = a->policy.serving_ttl_ms;
	enum err ret;

	if (rq->issue.profile == BUILD_WORKLOAD) {
		ret = ca_policy_grant_ttl(&a->policy, rq->issue.ttl_sec, why,
					  &ttl_ms);
		if (ret != ERR_OK)
			return ret;
	}
	return ca_policy_grant_times(&a->policy, ttl_ms, rq->asked_at,
				     a->issuer, why, &rq->not_before,
				     &rq->not_after);
}

/* Only who has the key of a CA could ask for this; as a leaf it would be two
 * roles in one key. */
static enum err
batch_check_key(struct authority *a, struct request *rq, struct why *why)
{
	struct slice known = buf_get(&a->ca_keys);
	struct slice one;

	hash_sha256(rq->issue.spki, rq->key_hash);
	while (slice_read_bytes(&known, HASH_SHA256_LEN, &one) == ERR_OK) {
		if (slice_is_eq(one, SLICE_ARRAY(rq->key_hash)))
			return why_set(why, ERR_REFUSED,
				       "CSR: the key is that of a CA "
				       "certificate of this issuer: a workload "
				       "needs one of its own");
	}
	return ERR_OK;
}

static enum err
batch_check(struct authority *a, struct request *rq, struct why *why)
{
	enum err ret;

	if ((ret = batch_check_state(a, why)) != ERR_OK)
		return ret;
	if ((ret = batch_check_identity(a, rq, why)) != ERR_OK)
		return ret;
	if ((ret = batch_check_times(a, rq, why)) != ERR_OK)
		return ret;
	return batch_check_key(a, rq, why);
}

/* ---- inside ------------------------------------------------------------ */

/* A request that is refused for what it asks must not use the token up. */
static enum err
batch_check_token(struct authority *a, struct request *rq, struct why *why)
{
	enum err ret;

	ret = store_token_get_identity(a->store, rq->issue.token_hash.p,
				       &rq->identity);
	if (ret == ERR_NOT_FOUND)
		return why_set(why, ERR_UNAUTHENTICATED,
			       "join token: there is no such token");
	if (ret != ERR_OK)
		return ret;
	ret = ca_policy_check_identity(&a->policy, buf_get(&rq->identity), why);
	if (ret != ERR_OK)
		return ret;
	return ca_policy_check_wanted(&a->policy, buf_get(&rq->identity),
				      rq->issue.wanted, why);
}

static enum err
batch_use_token(struct authority *a, struct request *rq, struct why *why)
{
	struct buf again;
	enum err ret;

	ret = batch_check_token(a, rq, why);
	if (ret != ERR_OK)
		return ret;
	buf_init(&again, SPIFFE_ID_MAX);
	ret = store_token_use(a->store, rq->issue.token_hash.p, rq->key_hash,
			      rq->asked_at, a->conf.token_repeat_ms, &again);
	buf_fini(&again);
	if (ret == ERR_EXPIRED)
		return why_set(why, ERR_UNAUTHENTICATED,
			       "join token: it has expired");
	if (ret == ERR_USED)
		return why_set(why, ERR_UNAUTHENTICATED,
			       "join token: it was used already, with another "
			       "key");
	return ret;
}

static enum err
batch_add_intent(struct authority *a, struct request *rq)
{
	struct store_cert c = {
		.profile = (uint8_t)rq->issue.profile,
		.auth = (uint8_t)rq->issue.auth,
		.identity = buf_get(&rq->identity),
		.caller = rq->issue.caller,
		.not_before = rq->not_before,
		.not_after = rq->not_after,
		.asked_at = rq->asked_at,
		.request_id = rq->issue.request_id,
	};

	ca_serial_next(a->serials, rq->asked_at, rq->serial);
	memcpy(c.serial, rq->serial, sizeof(c.serial));
	memcpy(c.key_hash, rq->key_hash, sizeof(c.key_hash));
	return store_add_intent(a->store, &c);
}

static enum err
batch_record_one(struct authority *a, struct request *rq, struct why *why)
{
	enum err ret;

	if (rq->issue.auth == MSG_AUTH_JOIN_TOKEN) {
		ret = batch_use_token(a, rq, why);
		if (ret != ERR_OK)
			return ret;
	}
	ret = batch_add_intent(a, rq);
	return ret == ERR_OK
		       ? ERR_OK
		       : why_set(why, ret, "the record: %s", err_text(ret));
}

static enum err
batch_write_completions(struct authority *a)
{
	for (size_t i = 0; i < a->done_cnt; i++) {
		const struct completion *c = &a->done[i];
		enum err ret = store_complete(a->store, c->serial, c->state,
					      c->cert_hash);

		/* Its intent is gone, by another hand than ours. It must not
		 * hold up all that come later. */
		if (ret == ERR_NOT_FOUND)
			log_error("authority.record",
				  "an intent that was signed is not in the "
				  "record any more: was a backup put back "
				  "while the authority ran?");
		else if (ret != ERR_OK)
			return ret;
	}
	return ERR_OK;
}

static void
batch_note_store(struct authority *a, enum err e, const struct why *why)
{
	if (e != ERR_OK) {
		metric_add(a->metrics, M_SYNC, 0, 1);
		log_error("authority.record",
			  "%s; nothing is signed until the record can be "
			  "written",
			  why_text(why, e));
	} else if (a->store_state != ERR_OK) {
		log_info("authority.record", "the record can be written again");
	}
	if ((a->store_state == ERR_OK) != (e == ERR_OK))
		a->store_since = wall_now();
	a->store_state = e;
	(void)snprintf(a->store_text, sizeof(a->store_text), "%s",
		       e == ERR_OK ? "" : why_text(why, e));
}

/* ---- the batch --------------------------------------------------------- */

struct batch {
	struct request *rq[BATCH_MAX];
	size_t cnt;
};

static void
batch_take(struct authority *a, struct batch *b)
{
	struct request *rq;

	while (b->cnt < BATCH_MAX && (rq = authority_next(a)) != NULL) {
		struct why why = {0};
		enum err ret = batch_check(a, rq, &why);

		if (ret == ERR_OK)
			b->rq[b->cnt++] = rq;
		else
			batch_refuse(a, rq, ret, &why);
	}
}

/* Requests that fail alone are answered and leave the batch; an error of the
 * store itself fails the transaction. */
static enum err
batch_fill(struct authority *a, struct batch *b, struct why *why)
{
	size_t kept = 0;
	enum err ret;

	if ((ret = batch_write_completions(a)) != ERR_OK)
		return why_set(why, ret, "completions: %s", err_text(ret));
	fail_point("authority.completions_written");
	for (size_t i = 0; i < b->cnt; i++) {
		struct why one = {0};

		ret = batch_record_one(a, b->rq[i], &one);
		if (err_class(ret) == ERR_CLASS_ENV || ret == ERR_BUG) {
			/* What stands behind stays in the batch, to be
			 * answered with it. */
			memmove(&b->rq[kept], &b->rq[i],
				(b->cnt - i) * sizeof(b->rq[0]));
			b->cnt = kept + b->cnt - i;
			*why = one;
			return ret;
		}
		if (ret == ERR_OK)
			b->rq[kept++] = b->rq[i];
		else
			batch_refuse(a, b->rq[i], ret, &one);
	}
	b->cnt = kept;
	return ERR_OK;
}

static enum err
batch_record(struct authority *a, struct batch *b, struct why *why)
{
	enum err ret;

	if ((ret = store_begin(a->store, why)) != ERR_OK)
		return ret;
	fail_point("authority.batch_begun");
	if ((ret = batch_fill(a, b, why)) != ERR_OK) {
		store_abort(a->store);
		return ret;
	}
	fail_point("authority.before_commit");
	if ((ret = store_commit(a->store, why)) != ERR_OK) {
		store_abort(a->store);
		return ret;
	}
	fail_point("authority.committed");
	a->done_cnt = 0;
	ev_timer_cancel(&a->done_timer);
	metric_add(a->metrics, M_BATCHES, 0, 1);
	metric_add(a->metrics, M_INTENTS, 0, b->cnt);
	return ERR_OK;
}

static void
batch_send(struct authority *a, struct request *rq)
{
	struct msg_sign m = {
		.profile = rq->issue.profile,
		.not_before = rq->not_before,
		.not_after = rq->not_after,
		.identity = buf_get(&rq->identity),
		.spki = rq->issue.spki,
	};
	struct why why = {0};
	enum err ret;

	memcpy(m.serial, rq->serial, sizeof(m.serial));
	buf_reset(&a->out);
	msg_sign_write(&a->out, &m);
	authority_signing_add(a, rq);
	fail_point("authority.before_send");
	ret = ipc_send(a->signer, MSG_SIGN, rq->sign_id, buf_get(&a->out));
	fail_point("authority.sent");
	if (ret == ERR_OK)
		return;
	/* It surely was not signed. */
	(void)why_set(&why, ERR_UNAVAILABLE, "the signer's queue: %s",
		      err_text(ret));
	(void)authority_signing_take(a, rq->sign_id);
	authority_completed(a, rq, STORE_FAILED, SLICE_NONE);
	batch_refuse(a, rq, ERR_UNAVAILABLE, &why);
}

void
authority_batch(struct authority *a)
{
	struct batch b = {.cnt = 0};
	struct why why = {0};
	struct mono start;
	enum err ret;

	batch_take(a, &b);
	if (b.cnt == 0) {
		authority_audit_flush(a);
		return;
	}
	start = a->batch_began = mono_now();
	ret = batch_record(a, &b, &why);
	if (ret != ERR_OK || a->store_state != ERR_OK)
		batch_note_store(a, ret, &why);
	metric_observe_ns(a->metrics, M_TIME_RECORD, 0,
			  mono_now().ns - start.ns);
	for (size_t i = 0; i < b.cnt; i++) {
		b.rq[i]->durable = mono_now();
		if (ret == ERR_OK)
			batch_send(a, b.rq[i]);
		else
			batch_refuse(a, b.rq[i], ERR_UNAVAILABLE, &why);
	}
	authority_audit_flush(a);
}

/* ---- completions ------------------------------------------------------- */

void
authority_flush_completions(struct authority *a)
{
	struct batch none = {.cnt = 0};
	struct why why = {0};
	enum err ret;

	if (a->done_cnt == 0)
		return;
	ret = batch_record(a, &none, &why);
	if (ret != ERR_OK || a->store_state != ERR_OK)
		batch_note_store(a, ret, &why);
}

static void
completions_on_timer(void *arg)
{
	struct authority *a = arg;

	authority_flush_completions(a);
	/* A disk that is full now may have room again without any request. */
	if (a->done_cnt > 0 && a->done_timer == NULL)
		must(ev_timer_start(a->loop, COMPLETION_RETRY_MS,
				    completions_on_timer, a,
				    &a->done_timer) == ERR_OK);
}

void
authority_completed(struct authority *a, const struct request *rq,
		    enum store_state state, struct slice cert)
{
	struct completion *c;

	/* Beyond this the disk has been full for long: the record keeps
	 * "unknown", which is the safe reading. */
	if (a->done_cnt == COMPLETIONS_MAX)
		return;
	if (a->done_cnt == a->done_cap) {
		size_t cap = a->done_cap == 0 ? BATCH_MAX : a->done_cap * 2;

		a->done = mem_grow_array(a->done, a->done_cap, cap,
					 sizeof(*a->done));
		a->done_cap = cap;
	}
	c = &a->done[a->done_cnt++];
	*c = (struct completion){.state = state};
	memcpy(c->serial, rq->serial, sizeof(c->serial));
	if (state == STORE_ISSUED)
		hash_sha256(cert, c->cert_hash);
	fail_point("authority.completion_noted");
	if (a->done_timer == NULL)
		must(ev_timer_start(a->loop, COMPLETION_WAIT_MS,
				    completions_on_timer, a,
				    &a->done_timer) == ERR_OK);
}
