/* authority.c - the role that decides and records. It holds policy, serials,
 * the store and the audit log; never the network, never the CA key.
 *
 * A request comes from a front, waits for those that come with it or soon after
 * (record.gather), and goes with them through one transaction
 * (authority_batch.c). Only then is it sent to the signer; the answer goes to
 * the front, its completion into the next transaction. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/mem.h"
#include "ca/authority_int.h"
#include "ca/roles.h"
#include "crypto/hash.h"
#include "crypto/pem.h"
#include "os/os.h"
#include "pki/cert.h"
#include "pki/spiffe_id.h"

/* ---- requests ---------------------------------------------------------- */

void
authority_request_free(struct request *rq)
{
	if (rq == NULL)
		return;
	buf_fini(&rq->payload);
	buf_fini(&rq->identity);
	mem_free(rq);
}

bool
authority_has_asker(const struct authority *a, const struct request *rq)
{
	const struct front_link *f = &a->fronts[rq->front];

	return f->ipc != NULL && f->epoch == rq->front_epoch;
}

void
authority_answer(struct authority *a, struct request *rq, enum err e,
		 struct slice text, struct slice cert, uint32_t generation)
{
	struct front_link *f = &a->fronts[rq->front];
	const struct msg_result m = {.e = e,
				     .generation = generation,
				     .retry_ms = rq->retry_ms,
				     .text = text,
				     .cert = cert};

	if (e != ERR_OK)
		metric_add(a->metrics, M_FAILURES, err_index(e), 1);
	if (authority_has_asker(a, rq)) {
		buf_reset(&a->out);
		msg_result_write(&a->out, &m);
		(void)ipc_send(f->ipc, MSG_RESULT, rq->front_id,
			       buf_get(&a->out));
	}
	if (rq->is_counted)
		f->under_way--;
	authority_request_free(rq);
}

static size_t
signing_slot(uint64_t id)
{
	return (size_t)(id % 1024);
}

void
authority_signing_add(struct authority *a, struct request *rq)
{
	size_t slot;

	rq->sign_id = ++a->next_sign_id;
	slot = signing_slot(rq->sign_id);
	rq->next = a->signing[slot];
	a->signing[slot] = rq;
	a->signing_cnt++;
}

struct request *
authority_signing_take(struct authority *a, uint64_t id)
{
	struct request **at = &a->signing[signing_slot(id)];

	for (; *at != NULL; at = &(*at)->next) {
		struct request *rq = *at;

		if (rq->sign_id != id)
			continue;
		*at = rq->next;
		rq->next = NULL;
		a->signing_cnt--;
		return rq;
	}
	return NULL;
}

static void
authority_work_now(void *arg)
{
	struct authority *a = arg;
	size_t waiting;

	ev_timer_cancel(&a->gather);
	authority_batch(a);
	waiting = ca_queue_count(a->queue);
	metric_set(a->metrics, M_QUEUE, 0, (int64_t)(waiting + a->signing_cnt));
	if (waiting > 0 && !authority_is_held_up(a))
		authority_wake(a);
	else if (a->stopping && waiting == 0 && a->signing_cnt == 0)
		role_exit(a->role);
}

/* A batch costs as much as ten certificates in it, whatever their number. The
 * first after a pause is made at once; who comes soon after its beginning waits
 * for others, until record.gather has passed or the batch is full. */
static bool
authority_gathers(struct authority *a)
{
	const uint64_t all_ns = (uint64_t)a->conf.record_gather_ms * 1000000;
	const uint64_t spent_ns = mono_now().ns - a->batch_began.ns;
	const size_t waiting = ca_queue_count(a->queue);

	if (waiting == 0 || waiting >= BATCH_MAX || a->stopping ||
	    spent_ns >= all_ns)
		return false;
	/* A timer counts from the next millisecond on. */
	if (a->gather == NULL)
		must(ev_timer_start(a->loop, (all_ns - spent_ns) / 1000000,
				    authority_work_now, a,
				    &a->gather) == ERR_OK);
	return true;
}

static void
authority_work(void *arg)
{
	if (!authority_gathers(arg))
		authority_work_now(arg);
}

void
authority_wake(struct authority *a)
{
	ev_defer_queue_late(a->loop, &a->work, authority_work, a);
}

/* ---- fronts ------------------------------------------------------------ */

static enum err
front_on_message(void *arg, uint16_t type, uint64_t id, struct slice payload,
		 int fd)
{
	(void)fd;
	if (type != MSG_ISSUE)
		return ERR_PROTOCOL;
	return authority_take_issue(arg, id, payload);
}

static void
front_on_close(void *arg, enum err why)
{
	struct front_link *f = arg;

	if (why != ERR_CLOSED)
		log_warn("authority.front", "front.%u: link ended: %s",
			 f->index, err_text(why));
	ipc_close(&f->ipc);
}

static const struct ipc_cbs front_cbs = {
	.on_message = front_on_message,
	.on_close = front_on_close,
};

static const struct ipc_limits link_limits = {
	.frame_max = MSG_FRAME_MAX,
	.queue_max = MSG_QUEUE_MAX,
};

static void
authority_link_front(struct authority *a, unsigned index, int fd)
{
	struct front_link *f;

	if (index >= FRONTS_MAX) {
		(void)close(fd);
		return;
	}
	f = &a->fronts[index];
	ipc_close(&f->ipc);
	f->authority = a;
	f->index = index;
	(void)snprintf(f->name, sizeof(f->name), "front.%u", index);
	f->epoch++;
	if (ipc_new(a->loop, fd, "authority-front", &link_limits, &front_cbs, f,
		    &f->ipc) != ERR_OK)
		return;
	if (buf_len(&a->chain_msg) > 0)
		(void)ipc_send(f->ipc, MSG_CHAIN, 0, buf_get(&a->chain_msg));
}

/* ---- the signer -------------------------------------------------------- */

/* The roots as a file, for those who set up clients. */
static void
authority_publish_roots(struct authority *a, const struct msg_chain *m)
{
	char *path = ca_conf_path(&a->conf, "public/root-cert.pem");
	struct why why = {0};
	struct buf pem;

	buf_init(&pem, MSG_FRAME_MAX);
	for (size_t i = 0; i < m->root_cnt; i++)
		(void)pem_write(&pem, "CERTIFICATE", m->ders[m->chain_cnt + i]);
	if (os_file_write_atomic(path, buf_get(&pem), 0644, &why) != ERR_OK)
		log_warn("authority.roots", "%s", why.text);
	buf_fini(&pem);
	mem_free(path);
}

static void
authority_note_ca_keys(struct authority *a, const struct msg_chain *m)
{
	uint8_t hash[HASH_SHA256_LEN];
	struct why why = {0};
	struct cert c;

	buf_reset(&a->ca_keys);
	for (size_t i = 0; i < m->chain_cnt + m->root_cnt; i++) {
		if (cert_parse(m->ders[i], &why, &c) != ERR_OK)
			continue; /* the signer read it already */
		hash_sha256(c.spki, hash);
		must(buf_put(&a->ca_keys, SLICE_ARRAY(hash)) == ERR_OK);
	}
}

static enum err
authority_take_chain(struct authority *a, struct slice payload)
{
	struct msg_chain m;
	enum err ret;

	if ((ret = msg_chain_read(payload, &m)) != ERR_OK)
		return ret;
	authority_audit_check_head(a);
	buf_reset(&a->chain_msg);
	a->issuer_since = wall_now();
	(void)snprintf(a->warning, sizeof(a->warning), "%.*s",
		       SLICE_FMT(m.warning));
	/* No issuer is in force; the warning says why. */
	if (m.root_cnt == 0)
		return ERR_OK;
	must(buf_put(&a->chain_msg, payload) == ERR_OK);
	authority_note_ca_keys(a, &m);
	a->issuer.not_before = m.not_before;
	a->issuer.not_after = m.not_after;
	authority_publish_roots(a, &m);
	fail_point("authority.roots_published");
	metric_set(a->metrics, M_CHAIN_EXPIRY_TIMESTAMP, 0,
		   wall_sec(m.not_after));
	for (size_t i = 0; i < FRONTS_MAX; i++) {
		if (a->fronts[i].ipc != NULL)
			(void)ipc_send(a->fronts[i].ipc, MSG_CHAIN, 0, payload);
	}
	role_ready(a->role);
	return ERR_OK;
}

static enum err
authority_take_signed(struct authority *a, uint64_t id, struct slice payload)
{
	struct msg_signed m;
	struct request *rq;
	enum err ret;

	if ((ret = msg_signed_read(payload, &m)) != ERR_OK)
		return ret;
	rq = authority_signing_take(a, id);
	if (rq == NULL)
		return ERR_PROTOCOL;
	fail_point("authority.signed_taken");
	metric_observe_ns(a->metrics, M_TIME_SIGN, 0,
			  mono_now().ns - rq->durable.ns);
	authority_completed(a, rq, m.e == ERR_OK ? STORE_ISSUED : STORE_FAILED,
			    m.cert);
	if (m.e == ERR_OK && rq->issue.auth == MSG_AUTH_JWT)
		ca_seen_add(a->seen, rq->issue.caller, rq->not_after);
	authority_audit_issue(a, rq, m.e, m.text);
	if (m.e == ERR_OK && rq->issue.profile == BUILD_WORKLOAD)
		metric_add(a->metrics, M_ISSUED, 0, 1);
	authority_answer(a, rq, m.e, m.text, m.cert, m.generation);
	fail_point("authority.answered");
	return ERR_OK;
}

static enum err
signer_on_message(void *arg, uint16_t type, uint64_t id, struct slice payload,
		  int fd)
{
	struct authority *a = arg;
	struct msg_head head;
	enum err ret;

	(void)fd;
	switch (type) {
	case MSG_CHAIN:
		return authority_take_chain(a, payload);
	case MSG_SIGNED:
		return authority_take_signed(a, id, payload);
	case MSG_HEAD_SIGNED:
		if ((ret = msg_head_read(payload, &head)) != ERR_OK)
			return ret;
		authority_audit_head_signed(a, &head);
		return ERR_OK;
	default:
		return ERR_PROTOCOL;
	}
}

static void
signer_on_batch_end(void *arg)
{
	struct authority *a = arg;

	authority_audit_flush(a);
	if (a->stopping || ca_queue_count(a->queue) > 0)
		authority_wake(a);
}

/* What was at the signer may have been signed or not: the record keeps the
 * intent as unknown, which counts as issued; the caller asks again. */
static void
authority_fail_signing(struct authority *a)
{
	for (size_t i = 0; i < COUNT_OF(a->signing); i++) {
		while (a->signing[i] != NULL) {
			struct request *rq = authority_signing_take(
				a, a->signing[i]->sign_id);

			authority_answer(a, rq, ERR_UNAVAILABLE,
					 SLICE_LIT("the signer was restarted"),
					 SLICE_NONE, 0);
		}
	}
	authority_wake(a);
}

static void
authority_on_alone(void *arg)
{
	struct authority *a = arg;

	log_error("authority.signer",
		  "no link to the signer is left: this role ends, to be "
		  "started and linked again");
	role_exit(a->role);
}

static void
signer_on_close(void *arg, enum err why)
{
	struct authority *a = arg;

	log_warn("authority.signer", "link ended: %s", err_text(why));
	ipc_close(&a->signer);
	a->issuer_since = wall_now();
	authority_fail_signing(a);
	must(ev_timer_start(a->loop, role_relink_ms(why), authority_on_alone, a,
			    &a->alone) == ERR_OK);
}

static const struct ipc_cbs signer_cbs = {
	.on_message = signer_on_message,
	.on_batch_end = signer_on_batch_end,
	.on_close = signer_on_close,
};

/* ---- life -------------------------------------------------------------- */

static enum err
authority_on_config(void *app, struct role *r, struct slice text,
		    struct why *why)
{
	struct authority *a = app;
	enum err ret;

	a->role = r;
	a->loop = role_get_loop(r);
	a->store_since = a->audit_since = a->issuer_since = wall_now();
	ret = ca_conf_parse(text, "configuration", &a->conf, why);
	if (ret != ERR_OK)
		return ret;
	ca_conf_apply_log(&a->conf);
	a->policy = ca_conf_policy(&a->conf);
	authority_admit_open(a);
	/* Until the shared block is given, numbers go to a private one. */
	return metric_block_map(ca_metrics, -1, true, &a->metrics);
}

static void
authority_on_give(void *app, struct role *r, const char *name, int fd)
{
	struct authority *a = app;
	char peer[32];
	unsigned index;

	(void)r;
	if (strcmp(name, "metrics") == 0) {
		metric_block_unmap(a->metrics);
		must(metric_block_map(ca_metrics, fd, true, &a->metrics) ==
		     ERR_OK);
	} else if (strcmp(name, "listen.admin") == 0) {
		a->admin_fd = fd;
		return;
	} else if (role_is_link(name, peer, &index) &&
		   strcmp(peer, "front") == 0) {
		authority_link_front(a, index, fd);
		return;
	} else if (role_is_link(name, peer, &index) &&
		   strcmp(peer, "signer") == 0) {
		ev_timer_cancel(&a->alone);
		ipc_close(&a->signer);
		authority_fail_signing(a);
		(void)!ipc_new(a->loop, fd, "authority-signer", &link_limits,
			       &signer_cbs, a, &a->signer);
		return;
	}
	(void)close(fd);
}

static enum err
authority_on_start(void *app, struct role *r, struct why *why)
{
	struct authority *a = app;
	char *path = ca_conf_path(&a->conf, "store/record.db");
	uint8_t last[STORE_SERIAL_LEN];
	enum err ret;

	(void)r;
	if ((ret = store_open(path, why, &a->store)) != ERR_OK)
		goto out;
	if ((ret = store_max_serial(a->store, last)) != ERR_OK) {
		why_set(why, ret, "%s: reading the last serial", path);
		goto out;
	}
	a->serials = ca_serial_new(last);
	if ((ret = authority_audit_open(a, why)) != ERR_OK)
		goto out;
	ret = authority_admin_open(a, why);
out:
	mem_free(path);
	return ret;
}

static void
authority_on_reload(void *app, struct role *r, struct slice text)
{
	struct authority *a = app;
	struct ca_conf fresh;
	struct why why = {0};

	(void)r;
	if (ca_conf_parse(text, "configuration", &fresh, &why) != ERR_OK) {
		log_error("authority.reload", "%s", why.text);
		return;
	}
	ca_conf_free(&a->conf);
	a->conf = fresh;
	a->policy = ca_conf_policy(&a->conf);
	ca_conf_apply_log(&a->conf);
	authority_admit_reload(a);
}

static void
authority_on_stop(void *app, struct role *r)
{
	struct authority *a = app;

	(void)r;
	a->stopping = true;
	authority_wake(a);
}

static const struct role_ops authority_ops = {
	.program = CA_PROGRAM,
	.name = "authority",
	.on_config = authority_on_config,
	.on_give = authority_on_give,
	.on_start = authority_on_start,
	.on_reload = authority_on_reload,
	.on_stop = authority_on_stop,
};

int
ca_authority_main(unsigned index)
{
	struct authority *a = MEM_NEW(struct authority);
	int code;

	a->admin_fd = -1;
	buf_init(&a->chain_msg, MSG_FRAME_MAX);
	buf_init(&a->ca_keys, MSG_CHAIN_CERTS_MAX * HASH_SHA256_LEN);
	buf_init(&a->out, MSG_FRAME_MAX);
	buf_init(&a->line, AUDIT_EVENT_MAX);
	code = role_run(&authority_ops, index, a);
	authority_admin_close(a);
	if (a->store != NULL)
		authority_flush_completions(a);
	if (a->audit != NULL)
		authority_write_refusals(a);
	authority_audit_close(a);
	store_close(a->store);
	return code;
}
