/* authority_audit.c - what happened, for the security officer: one line for
 * each request that was decided, chained by hashes (store/audit.h).
 *
 * Lines are written with each batch. Once a second, while there are new ones,
 * they are synced, the head (count and hash of the last line) is signed by the
 * signer and put into the store: a tail that is cut off later shows at the next
 * start. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "ca/authority_int.h"

#define AUDIT_HEAD "audit.head"

enum {
	HEAD_INTERVAL_MS = 1000
};

static void
audit_note(struct authority *a, enum err e, const struct why *why)
{
	if (e == ERR_OK && a->audit_state != ERR_OK)
		log_info("authority.audit", "the audit log can be written "
					    "again");
	if (e != ERR_OK && a->audit_state == ERR_OK)
		log_error("authority.audit", "%s%s", why_text(why, e),
			  a->conf.audit_on_full == CA_AUDIT_REFUSE
				  ? "; nothing is signed until it can be "
				    "written (audit.on_full: refuse)"
				  : "");
	if (e != ERR_OK)
		metric_add(a->metrics, M_AUDIT_FAILURES, 0, 1);
	if ((a->audit_state == ERR_OK) != (e == ERR_OK))
		a->audit_since = wall_now();
	a->audit_state = e;
	/* Nothing would be signed any more. The next life of this role reads
	 * what is there, and goes on from it or tells what is missing. */
	if (audit_is_broken(a->audit) &&
	    a->conf.audit_on_full == CA_AUDIT_REFUSE) {
		log_error("authority.audit",
			  "this role ends, to be started again and to read "
			  "the log from the disk");
		role_exit(a->role);
	}
	(void)snprintf(a->audit_text, sizeof(a->audit_text), "%s",
		       e == ERR_OK ? "" : why_text(why, e));
}

/* ---- opening ----------------------------------------------------------- */

/* The head as the record has it; as a message too, for the signer to check. */
static enum err
audit_read_head(struct authority *a, struct audit_head *out)
{
	struct msg_head m = {0};
	struct buf raw;
	struct slice in;
	struct slice hash;
	enum err ret;

	*out = (struct audit_head){0};
	buf_init(&raw, 1024);
	ret = store_get(a->store, AUDIT_HEAD, &raw);
	in = buf_get(&raw);
	if (ret == ERR_OK &&
	    (slice_read_u64(&in, &out->count) != ERR_OK ||
	     slice_read_bytes(&in, sizeof(out->hash), &hash) != ERR_OK ||
	     slice_read_counted(&in, &m.signature) != ERR_OK))
		ret = ERR_SYNTAX;
	buf_init(&a->head_found, 1024);
	if (ret == ERR_OK) {
		memcpy(out->hash, hash.p, hash.len);
		m.count = out->count;
		m.hash = hash;
		msg_head_write(&a->head_found, &m);
	}
	buf_fini(&raw);
	return ret == ERR_NOT_FOUND ? ERR_OK : ret;
}

static void
audit_report_mismatch(struct authority *a, const struct why *why)
{
	struct buf line;
	struct jsonw w;

	log_error("authority.audit",
		  "%s: lines were removed or changed; what is left is kept and "
		  "new lines go on from it. Compare with your copies.",
		  why->text);
	buf_init(&line, AUDIT_EVENT_MAX);
	jsonw_init(&w, &line);
	jsonw_pair_str(&w, "event", SLICE_LIT("audit_mismatch"));
	jsonw_pair_str(&w, "reason", slice_of_str(why->text));
	authority_audit_event(a, buf_get(&line));
	buf_fini(&line);
	/* Stays in the status until an operator has looked: see status. */
	(void)snprintf(a->audit_mismatch, sizeof(a->audit_mismatch), "%s",
		       why->text);
}

/* A chain that is broken inside the newest file cannot be gone on from: the
 * file is kept under another name, for the officer who compares. */
static enum err
audit_set_aside(const char *dir, struct why *why)
{
	char *from = mem_printf("%s/audit.jsonl", dir);
	char *to = mem_printf("%s/damaged-%lld.jsonl", dir,
			      (long long)wall_now().ms);
	enum err ret = ERR_OK;

	if (rename(from, to) != 0)
		ret = why_set(why, ERR_IO, "%s cannot be moved to %s", from,
			      to);
	else
		log_error("authority.audit", "%s: damaged, kept as %s", from,
			  to);
	mem_free(from);
	mem_free(to);
	return ret;
}

enum err
authority_audit_open(struct authority *a, struct why *why)
{
	char *dir = ca_conf_path(&a->conf, "audit");
	struct audit_head expected;
	enum err ret;

	if ((ret = audit_read_head(a, &expected)) != ERR_OK) {
		why_set(why, ret,
			"the record: reading the head of the audit "
			"log");
		goto out;
	}
	ret = audit_open(dir, (uint64_t)a->conf.audit_rotate_bytes, &expected,
			 why, &a->audit);
	if (ret == ERR_MISMATCH) {
		struct why found = *why;

		ret = audit_open(dir, (uint64_t)a->conf.audit_rotate_bytes,
				 NULL, why, &a->audit);
		if (ret == ERR_MISMATCH &&
		    (ret = audit_set_aside(dir, why)) == ERR_OK)
			ret = audit_open(dir,
					 (uint64_t)a->conf.audit_rotate_bytes,
					 NULL, why, &a->audit);
		if (ret == ERR_OK)
			audit_report_mismatch(a, &found);
	}
out:
	mem_free(dir);
	return ret;
}

void
authority_audit_close(struct authority *a)
{
	struct why why = {0};

	ev_timer_cancel(&a->audit_timer);
	if (a->audit == NULL)
		return;
	if (audit_flush(a->audit, true, &why) != ERR_OK)
		log_error("authority.audit", "%s", why.text);
	audit_close(a->audit);
	a->audit = NULL;
}

/* ---- lines ------------------------------------------------------------- */

void
authority_audit_event(struct authority *a, struct slice fields)
{
	/* What finds no room is counted by the log itself, in a later line. */
	if (audit_add(a->audit, wall_now(), fields) == ERR_OK)
		metric_add(a->metrics, M_AUDIT_LINES, 0, 1);
	else
		metric_add(a->metrics, M_AUDIT_FAILURES, 0, 1);
	a->audit_dirty = true;
}

void
authority_audit_issue(struct authority *a, const struct request *rq, enum err e,
		      struct slice text)
{
	const struct msg_issue *m = &rq->issue;
	struct slice identity = buf_len(&rq->identity) > 0
					? buf_get(&rq->identity)
					: m->identity;
	struct jsonw w;

	buf_reset(&a->line);
	jsonw_init(&w, &a->line);
	jsonw_pair_str(&w, "event",
		       e == ERR_OK ? SLICE_LIT("issued")
				   : SLICE_LIT("refused"));
	jsonw_pair_str(&w, "identity",
		       m->profile == BUILD_SERVING
			       ? SLICE_LIT("(authority's own names)")
			       : identity);
	jsonw_pair_str(&w, "auth", slice_of_str(msg_auth_name(m->auth)));
	jsonw_pair_str(&w, "caller", m->caller);
	jsonw_pair_str(&w, "peer", m->peer);
	jsonw_pair_str(&w, "request_id", m->request_id);
	if (e == ERR_OK) {
		jsonw_pair_hex(&w, "serial", SLICE_ARRAY(rq->serial));
		jsonw_pair_hex(&w, "key_sha256", SLICE_ARRAY(rq->key_hash));
		jsonw_pair_time(&w, "not_before", rq->not_before);
		jsonw_pair_time(&w, "not_after", rq->not_after);
	} else {
		jsonw_pair_str(&w, "error", slice_of_str(err_name(e)));
		jsonw_pair_str(&w, "reason", text);
	}
	authority_audit_event(a, buf_get(&a->line));
}

/* ---- head -------------------------------------------------------------- */

static void
audit_on_timer(void *arg)
{
	struct authority *a = arg;
	struct why why = {0};
	struct audit_head head;
	struct msg_head m;
	struct buf out;
	enum err ret;

	ret = audit_flush(a->audit, true, &why);
	audit_note(a, ret, &why);
	fail_point("authority.audit_synced");
	if (ret != ERR_OK || a->signer == NULL)
		return;
	head = audit_get_head(a->audit);
	m = (struct msg_head){.count = head.count,
			      .hash = SLICE_ARRAY(head.hash)};
	buf_init(&out, 256);
	msg_head_write(&out, &m);
	(void)ipc_send(a->signer, MSG_SIGN_HEAD, 0, buf_get(&out));
	buf_fini(&out);
}

void
authority_audit_check_head(struct authority *a)
{
	if (a->signer != NULL && buf_len(&a->head_found) > 0 &&
	    ipc_send(a->signer, MSG_SIGN_HEAD, 0, buf_get(&a->head_found)) ==
		    ERR_OK)
		buf_fini(&a->head_found);
}

void
authority_audit_head_signed(struct authority *a, const struct msg_head *m)
{
	struct why why = {0};
	struct buf raw;

	if (m->signature.len == 0) {
		(void)why_set(&why, ERR_SIGNATURE,
			      "the record's head of the audit log (line %llu) "
			      "was not signed by this signer",
			      (unsigned long long)m->count);
		audit_report_mismatch(a, &why);
		authority_audit_flush(a);
		return;
	}
	buf_init(&raw, 1024);
	(void)buf_put_u64(&raw, m->count);
	(void)buf_put(&raw, m->hash);
	(void)buf_put_counted(&raw, m->signature);
	if (m->hash.len != 32 ||
	    store_set(a->store, AUDIT_HEAD, buf_get(&raw)) != ERR_OK)
		log_warn("authority.audit", "the head of the audit log could "
					    "not be stored");
	fail_point("authority.head_stored");
	buf_fini(&raw);
}

void
authority_audit_flush(struct authority *a)
{
	struct why why = {0};
	enum err ret;

	if (!a->audit_dirty)
		return;
	ret = audit_flush(a->audit, false, &why);
	audit_note(a, ret, &why);
	a->audit_dirty = ret != ERR_OK;
	fail_point("authority.audit_written");
	if (ret == ERR_OK && a->audit_timer == NULL)
		must(ev_timer_start(a->loop, HEAD_INTERVAL_MS, audit_on_timer,
				    a, &a->audit_timer) == ERR_OK);
}

enum err
authority_audit_gate(struct authority *a)
{
	if (a->audit_state == ERR_OK || a->conf.audit_on_full == CA_AUDIT_SIGN)
		return ERR_OK;
	/* Space may be there again. */
	authority_audit_flush(a);
	return a->audit_state;
}
