/* authority_admit.c - which request is taken, in which order, and what is said
 * of those that are not.
 *
 * All fronts' requests pass here, so a front that was taken over is held by the
 * same limits. First the limit of the caller (lib/ca/limit.h), then the queue
 * (lib/ca/queue.h), out of which requests go at the rate of all callers, and
 * no faster than the signer takes them: the fair queue is where they wait, not
 * the signer's socket. Past its deadline a request is dropped before any work.
 *
 * Who is refused here may come a million times: such refusals are no lines of
 * their own in the audit log, but counted, a few lines every ten seconds. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "ca/authority_int.h"
#include "crypto/hash.h"
#include "pki/spiffe_id.h"

enum {
	SUMMARY_MS = 10000,
	BUSY_RETRY_MS = 1000
};

/* Join tokens that are none come from anybody: a line each, up to this. */
static const struct ca_rate unproven_lines = {.per_sec = 10, .burst = 1000};

static const char *const refusal_reasons[] = {
	[REFUSAL_RATE] = "over its rate (limit.identity_rate)",
	[REFUSAL_SHARE] = "its share of the queue was full (limit.queue)",
	[REFUSAL_BUSY] = "the queue was full (limit.queue)",
	[REFUSAL_LATE] = "the caller's deadline had passed before its turn",
	[REFUSAL_GONE] = "the front that asked had died before its turn",
	[REFUSAL_UNPROVEN] = "join tokens that are not valid",
	[REFUSAL_MANY] = "for several reasons: see the metrics",
};

/* ---- counted refusals --------------------------------------------------- */

static void
refusals_write_one(struct authority *a, const struct refusal *r)
{
	struct jsonw w;

	buf_reset(&a->line);
	jsonw_init(&w, &a->line);
	jsonw_pair_str(&w, "event", SLICE_LIT("refused_many"));
	jsonw_pair_str(&w, "identity", slice_of_str(r->name));
	jsonw_pair_str(&w, "reason", slice_of_str(refusal_reasons[r->cause]));
	jsonw_pair_int(&w, "count", (int64_t)r->cnt);
	authority_audit_event(a, buf_get(&a->line));
	log_peer("authority.refused_many", "identity=%s: %llu requests: %s",
		 r->name, (unsigned long long)r->cnt,
		 refusal_reasons[r->cause]);
}

void
authority_write_refusals(struct authority *a)
{
	ev_timer_cancel(&a->refusal_timer);
	for (size_t i = 0; i < a->refusal_cnt; i++)
		refusals_write_one(a, &a->refusals[i]);
	a->refusal_cnt = 0;
	authority_audit_flush(a);
}

static void
refusals_on_timer(void *arg)
{
	authority_write_refusals(arg);
}

/* Its row; the last one is for all that find no room. */
static struct refusal *
refusals_find(struct authority *a, const char *name, enum refusal_cause cause)
{
	struct refusal *r;

	for (size_t i = 0; i < a->refusal_cnt; i++) {
		r = &a->refusals[i];
		if (r->cause == cause && strcmp(r->name, name) == 0)
			return r;
	}
	if (a->refusal_cnt == REFUSALS_MAX)
		return &a->refusals[REFUSALS_MAX - 1];
	r = &a->refusals[a->refusal_cnt++];
	if (a->refusal_cnt == REFUSALS_MAX) {
		cause = REFUSAL_MANY;
		name = "(others)";
	}
	*r = (struct refusal){.cause = cause};
	(void)snprintf(r->name, sizeof(r->name), "%s", name);
	return r;
}

static void
refusals_add(struct authority *a, const struct request *rq,
	     enum refusal_cause cause)
{
	char name[REFUSAL_NAME_MAX];

	(void)snprintf(name, sizeof(name), "%.*s", SLICE_FMT(rq->name));
	refusals_find(a, name, cause)->cnt++;
	if (a->refusal_timer == NULL)
		must(ev_timer_start(a->loop, SUMMARY_MS, refusals_on_timer, a,
				    &a->refusal_timer) == ERR_OK);
}

bool
authority_audits_refusal(struct authority *a, const struct request *rq)
{
	if (rq->issue.auth != MSG_AUTH_JOIN_TOKEN ||
	    ca_bucket_take(&a->unproven, &unproven_lines, mono_now()) == 0)
		return true;
	refusals_add(a, rq, REFUSAL_UNPROVEN);
	return false;
}

/* ---- who, and how urgent ------------------------------------------------ */

/* What limits and turns are counted by. A join token's identity is not known
 * yet: its host's address stands for it. */
static struct slice
admit_name(const struct front_link *f, const struct msg_issue *m)
{
	struct slice host = m->peer;

	if (m->profile == BUILD_SERVING)
		return slice_of_str(f->name);
	if (m->auth != MSG_AUTH_JOIN_TOKEN)
		return m->identity;
	while (host.len > 0 && host.p[host.len - 1] != ':')
		host.len--;
	return host;
}

static enum ca_queue_class
admit_class(const struct authority *a, const struct request *rq)
{
	struct wall ends = rq->issue.ends;

	if (rq->issue.auth == MSG_AUTH_JWT)
		ends = ca_seen_get(a->seen, rq->issue.caller);
	return ca_queue_class_of(ends, rq->asked_at, a->policy.default_ttl_ms);
}

/* ---- taking ------------------------------------------------------------- */

/* One front cannot fill the queue alone: a quarter stays for the others. */
static bool
admit_has_room(const struct authority *a, const struct front_link *f)
{
	size_t max = (size_t)a->conf.limit_queue;
	size_t others = 0;

	for (size_t i = 0; i < FRONTS_MAX; i++)
		others += &a->fronts[i] != f && a->fronts[i].ipc != NULL;
	return others == 0 || f->under_way < max - max / 4;
}

static void
admit_refuse_rate(struct authority *a, struct request *rq, uint64_t wait_ms)
{
	struct why why = {0};

	(void)why_set(&why, ERR_EXCESS,
		      "%.*s: more than %lld requests a second "
		      "(limit.identity_rate); next one in %llu ms",
		      SLICE_FMT(rq->name),
		      (long long)a->conf.limit_identity_rate,
		      (unsigned long long)wait_ms);
	refusals_add(a, rq, REFUSAL_RATE);
	rq->retry_ms = wait_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)wait_ms;
	authority_answer(a, rq, ERR_EXCESS, slice_of_str(why.text), SLICE_NONE,
			 0);
}

static void
admit_refuse_queue(struct authority *a, struct request *rq, enum err e)
{
	refusals_add(a, rq, e == ERR_EXCESS ? REFUSAL_SHARE : REFUSAL_BUSY);
	rq->retry_ms = BUSY_RETRY_MS;
	authority_answer(a, rq, e,
			 e == ERR_EXCESS
				 ? SLICE_LIT("this caller has its share of the "
					     "authority's queue waiting")
				 : SLICE_LIT("the authority's queue is full"),
			 SLICE_NONE, 0);
}

static struct request *
request_new(const struct front_link *f, uint64_t id, struct slice payload)
{
	struct request *rq = MEM_NEW(struct request);

	buf_init(&rq->payload, MSG_FRAME_MAX);
	buf_init(&rq->identity, SPIFFE_ID_MAX);
	rq->front = f->index;
	rq->front_epoch = f->epoch;
	rq->front_id = id;
	rq->arrived = mono_now();
	rq->asked_at = wall_now();
	must(buf_put(&rq->payload, payload) == ERR_OK);
	return rq;
}

enum err
authority_take_issue(struct front_link *f, uint64_t id, struct slice payload)
{
	struct authority *a = f->authority;
	struct request *rq = request_new(f, id, payload);
	const struct ca_rate rate = ca_conf_identity_rate(&a->conf);
	uint64_t wait_ms;
	enum err ret;

	ret = msg_issue_read(buf_get(&rq->payload), &rq->issue);
	if (ret != ERR_OK) {
		authority_request_free(rq);
		return ret;
	}
	rq->name = admit_name(f, &rq->issue);
	wait_ms = ca_limit_take(a->callers, rq->name, &rate, rq->arrived);
	if (wait_ms > 0) {
		admit_refuse_rate(a, rq, wait_ms);
		return ERR_OK;
	}
	ret = admit_has_room(a, f)
		      ? ca_queue_put(a->queue, &rq->waiting, admit_class(a, rq),
				     hash_sip(a->queue_key, rq->name))
		      : ERR_BUSY;
	if (ret != ERR_OK) {
		admit_refuse_queue(a, rq, ret);
		return ERR_OK;
	}
	rq->is_counted = true;
	f->under_way++;
	fail_point("authority.queued");
	authority_wake(a);
	return ERR_OK;
}

/* ---- the next ----------------------------------------------------------- */

static void
admit_on_pace(void *arg)
{
	authority_wake(arg);
}

/* Whether the rate of all callers allows one more now. One that was allowed
 * and not used, because nobody was left in time, stays allowed. */
static bool
admit_is_allowed(struct authority *a)
{
	const struct ca_rate rate = ca_conf_rate(&a->conf);
	uint64_t wait_ms;

	if (a->allowed)
		return true;
	wait_ms = ca_bucket_take(&a->overall, &rate, mono_now());
	a->allowed = wait_ms == 0;
	if (!a->allowed && a->pace == NULL)
		must(ev_timer_start(a->loop, wait_ms, admit_on_pace, a,
				    &a->pace) == ERR_OK);
	return a->allowed;
}

static void
admit_drop_late(struct authority *a, struct request *rq)
{
	refusals_add(a, rq, REFUSAL_LATE);
	authority_answer(a, rq, ERR_TIMEOUT,
			 SLICE_LIT("the caller's deadline has passed"),
			 SLICE_NONE, 0);
}

/* Nobody is left to take the answer. */
static void
admit_drop_orphan(struct authority *a, struct request *rq)
{
	refusals_add(a, rq, REFUSAL_GONE);
	authority_answer(a, rq, ERR_CANCELLED, SLICE_NONE, SLICE_NONE, 0);
}

struct request *
authority_next(struct authority *a)
{
	struct mono now = mono_now();

	while (ca_queue_count(a->queue) > 0 && a->signing_cnt < SIGNING_MAX &&
	       admit_is_allowed(a)) {
		struct request *rq = (struct request *)ca_queue_take(a->queue);

		if (rq->issue.deadline.ns != 0 &&
		    mono_is_before(rq->issue.deadline, now)) {
			admit_drop_late(a, rq);
			continue;
		}
		if (!authority_has_asker(a, rq)) {
			admit_drop_orphan(a, rq);
			continue;
		}
		a->allowed = false;
		return rq;
	}
	return NULL;
}

bool
authority_is_held_up(const struct authority *a)
{
	return a->signing_cnt >= SIGNING_MAX || a->pace != NULL;
}

void
authority_admit_open(struct authority *a)
{
	a->callers = ca_limit_new(CA_LIMIT_ROWS);
	a->seen = ca_seen_new(CA_SEEN_ROWS);
	a->queue = ca_queue_new((size_t)a->conf.limit_queue);
	rand_bytes((uint8_t *)a->queue_key, sizeof(a->queue_key));
}

void
authority_admit_reload(struct authority *a)
{
	ca_queue_set_max(a->queue, (size_t)a->conf.limit_queue);
	/* The rates are read with each request; the new one may be wider. */
	ev_timer_cancel(&a->pace);
	authority_wake(a);
}
