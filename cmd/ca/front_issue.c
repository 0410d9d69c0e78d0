/* front_issue.c - one CreateCertificate, from its headers to its answer.
 *
 * istio.v1.auth.IstioCertificateService as Istio's CA answers it (texts, codes
 * and the shape of the chain are those that its clients rely on): who is
 * asking (ra), what does the CSR ask for (pki), then the authority decides.
 * Causes go to log and metrics under the request id; what the caller reads of
 * an authentication failure stays opaque. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "ca/front_int.h"
#include "crypto/pem.h"
#include "grpc/pbmem.h"
#include "grpc/pbscan.h"
#include "pki/csr.h"
#include "pki/key_policy.h"
#include "proto/istio_ca.pb-c.h"

enum {
	ISSUE_MEM_MAX = 256 * 1024,
	RETRY_MS = 1000, /* when nothing better is known */
	METADATA_DEPTH_MAX = 16,
	METADATA_FIELDS_MAX = 256
};

#define TEXT_UNAUTHENTICATED "request authenticate failure"
#define TEXT_IMPERSONATION "request impersonation authentication failure"

/* ---- ending ------------------------------------------------------------ */

static enum ca_sign_err
issue_sign_err(enum err e)
{
	switch (err_class(e)) {
	case ERR_CLASS_PEER:
		return SIGN_CSR_ERROR;
	case ERR_CLASS_POLICY:
		return e == ERR_EXPIRED ? SIGN_CERT_GEN_ERROR : SIGN_CSR_ERROR;
	case ERR_CLASS_ENV:
	case ERR_CLASS_LIMIT:
		return SIGN_CA_NOT_READY;
	default:
		return SIGN_UNKNOWN;
	}
}

/* A refusal of what was asked for is INVALID_ARGUMENT in this API; what may
 * heal by waiting is UNAVAILABLE. */
static enum grpc_status
issue_status(enum err e)
{
	switch (e) {
	case ERR_UNAUTHENTICATED:
		return GRPC_UNAUTHENTICATED;
	case ERR_TIMEOUT:
		return GRPC_DEADLINE_EXCEEDED;
	case ERR_EXPIRED:
	case ERR_BUG:
		return GRPC_INTERNAL;
	case ERR_DENIED:
		return GRPC_PERMISSION_DENIED;
	case ERR_EXCESS:
		return GRPC_RESOURCE_EXHAUSTED;
	default:
		break;
	}
	switch (err_class(e)) {
	case ERR_CLASS_PEER:
	case ERR_CLASS_POLICY:
		return GRPC_INVALID_ARGUMENT;
	case ERR_CLASS_LIMIT:
		return e == ERR_BUSY ? GRPC_UNAVAILABLE : GRPC_INVALID_ARGUMENT;
	case ERR_CLASS_ENV:
		return GRPC_UNAVAILABLE;
	default:
		return GRPC_INTERNAL;
	}
}

static void
issue_finish(struct issue *is, enum grpc_status status, const char *text)
{
	struct serve_conn *serve = is->conn->serve;
	uint64_t retry_ms = is->retry_ms == 0 ? RETRY_MS : is->retry_ms;

	if (status != GRPC_OK)
		grpc_call_add_trailer(is->call, "x-request-id", is->request_id);
	metric_observe_ns(is->front->metrics, M_TIME_REQUEST, 0,
			  mono_now().ns - is->started.ns);
	if (status == GRPC_UNAVAILABLE || status == GRPC_RESOURCE_EXHAUSTED)
		grpc_call_finish_later(is->call, status, text, retry_ms);
	else
		grpc_call_finish(is->call, status, text);
	serve_conn_wake(serve);
}

static void
issue_log_refusal(const struct issue *is, const char *stage, const char *text)
{
	log_peer(stage, "request=%s peer=%s identity=%s caller=\"%s\": %s",
		 is->request_id, is->conn->peer,
		 is->authenticated ? is->who.identity : "-", is->who.caller,
		 text);
}

void
issue_refuse(struct issue *is, enum err e, const char *text)
{
	char full[WHY_MAX + 64];
	struct front *f = is->front;

	issue_log_refusal(is, "issue.refused", text);
	if (e == ERR_UNAUTHENTICATED) {
		metric_add(f->metrics, M_AUTH_FAILURE, 0, 1);
		issue_finish(is, GRPC_UNAUTHENTICATED, TEXT_UNAUTHENTICATED);
		return;
	}
	metric_add(f->metrics, M_SIGN_ERR,
		   strstr(text, "TTL") != NULL ? SIGN_TTL_ERROR
					       : issue_sign_err(e),
		   1);
	(void)snprintf(full, sizeof(full), "CSR signing error (%s)", text);
	issue_finish(is, issue_status(e), full);
}

/* Refused here: the authority, which counts its own, never saw it. */
static void
issue_refuse_early(struct issue *is, enum err e, const struct why *why)
{
	metric_add(is->front->metrics, M_FAILURES, err_index(e), 1);
	issue_refuse(is, e, why_text(why, e));
}

/* ---- to the authority -------------------------------------------------- */

/* What stands in no row here is no proof to the authority. */
static const enum msg_auth issue_auths[RA_KIND_CNT] = {
	[RA_CLIENT_CERT] = MSG_AUTH_CLIENT_CERT,
	[RA_JWT] = MSG_AUTH_JWT,
	[RA_JOIN_TOKEN] = MSG_AUTH_JOIN_TOKEN,
};

static void
issue_ask(struct issue *is, const struct csr *csr, int64_t ttl_sec)
{
	struct front *f = is->front;
	const struct tls_peer *peer = serve_conn_get_peer(is->conn->serve);
	const struct msg_issue m = {
		.profile = BUILD_WORKLOAD,
		.auth = issue_auths[is->who.kind],
		.ttl_sec = ttl_sec,
		.deadline = is->deadline,
		.ends = is->who.kind == RA_CLIENT_CERT ? peer->not_after
						       : (struct wall){0},
		.identity = slice_of(is->who.identity, is->who.identity_len),
		.wanted = csr->san.uri,
		.caller = slice_of_str(is->who.caller),
		.peer = slice_of_str(is->conn->peer),
		.request_id = slice_of(is->request_id, REQUEST_ID_LEN),
		.token_hash = is->who.has_token_hash
				      ? SLICE_ARRAY(is->who.token_hash)
				      : SLICE_NONE,
		.spki = csr->spki,
	};

	if (f->authority == NULL) {
		issue_refuse(is, ERR_UNAVAILABLE,
			     "the authority is being restarted, try again");
		return;
	}
	buf_reset(&f->out);
	msg_issue_write(&f->out, &m);
	if (ipc_send(f->authority, MSG_ISSUE, pending_add(f, is),
		     buf_get(&f->out)) != ERR_OK)
		issue_refuse(is, ERR_BUSY,
			     "too many requests wait, try again later");
	else
		front_start_sweep(f);
	fail_point("front.asked");
}

/* ---- the request ------------------------------------------------------- */

/* A CSR may ask for the caller's own URI, or for nothing. Other kinds of names
 * are never granted: refused, unless such wishes are to be ignored. */
static enum err
issue_check_san(const struct issue *is, const struct csr *csr, struct why *why)
{
	if (is->front->conf.csr_san == CA_SAN_IGNORE ||
	    csr->san.cnt == csr->san.uri_cnt) {
		if (csr->san.uri_cnt <= 1 ||
		    is->front->conf.csr_san == CA_SAN_IGNORE)
			return ERR_OK;
	}
	return why_set(
		why, ERR_REFUSED,
		"CSR: it asks for %u names, of them %u URIs; at most one "
		"URI, %s, can be granted (csr.san: ignore passes over "
		"the others)",
		csr->san.cnt, csr->san.uri_cnt,
		is->who.identity_len > 0 ? is->who.identity
					 : "the token's identity");
}

static enum err
issue_check_key(const struct issue *is, const struct csr *csr, struct why *why)
{
	const struct key_policy policy = {
		.rsa_bits_min = (unsigned)is->front->conf.csr_rsa_bits_min,
		.rsa_bits_max = (unsigned)is->front->conf.csr_rsa_bits_max,
		.allow_ed25519 = is->front->conf.csr_allow_ed25519,
	};
	struct pubkey *key = NULL;
	enum err ret;

	ret = pubkey_parse(csr->spki, why, &key);
	if (ret == ERR_OK)
		ret = key_policy_check(&policy, key, why);
	if (ret == ERR_OK)
		ret = csr_verify(csr, key, why);
	pubkey_free(key);
	return ret;
}

static enum err
issue_read_csr(struct issue *is, struct slice pem, struct csr *csr,
	       struct why *why)
{
	struct front *f = is->front;
	enum err ret;

	if ((ret = csr_read_pem(pem, &f->csr_der, why)) != ERR_OK)
		return ret;
	if ((ret = csr_parse(buf_get(&f->csr_der), why, csr)) != ERR_OK)
		return ret;
	return issue_check_key(is, csr, why);
}

static struct slice
metadata_get(const Google__Protobuf__Struct *meta, const char *key)
{
	for (size_t i = 0; meta != NULL && i < meta->n_fields; i++) {
		const Google__Protobuf__Value *v = meta->fields[i]->value;

		if (strcmp(meta->fields[i]->key, key) == 0 && v != NULL &&
		    v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE)
			return slice_of_str(v->string_value);
	}
	return SLICE_NONE;
}

static void
issue_handle(struct issue *is,
	     const Istio__V1__Auth__IstioCertificateRequest *rq)
{
	struct front *f = is->front;
	struct why why = {0};
	struct mono start = mono_now();
	struct csr csr;
	enum err ret;

	if (metadata_get(rq->metadata, "ImpersonatedIdentity").len > 0) {
		metric_add(f->metrics, M_AUTH_FAILURE, 0, 1);
		issue_log_refusal(is, "issue.impersonation",
				  "no node account may impersonate here");
		issue_finish(is, GRPC_UNAUTHENTICATED, TEXT_IMPERSONATION);
		return;
	}
	ret = issue_read_csr(is, slice_of_str(rq->csr), &csr, &why);
	if (ret != ERR_OK) {
		metric_add(f->metrics, M_CSR_PARSE_ERR, 0, 1);
		issue_refuse_early(is, ret, &why);
		return;
	}
	if ((ret = issue_check_san(is, &csr, &why)) != ERR_OK) {
		metric_add(f->metrics, M_ID_ERR, 0, 1);
		issue_refuse_early(is, ret, &why);
		return;
	}
	metric_observe_ns(f->metrics, M_TIME_CSR, 0, mono_now().ns - start.ns);
	fail_point("front.csr_checked");
	issue_ask(is, &csr, rq->validity_duration);
}

static void
issue_take_message(struct issue *is, struct slice message)
{
	static const struct pbscan_limits limits = {
		.depth_max = METADATA_DEPTH_MAX,
		.field_max = METADATA_FIELDS_MAX,
	};
	Istio__V1__Auth__IstioCertificateRequest *rq = NULL;
	struct why why = {0};
	struct pbmem mem;

	pbmem_init(&mem, ISSUE_MEM_MAX);
	/* Depth and size are bounded before anything is decoded. */
	if (pbscan_check(
		    &istio__v1__auth__istio_certificate_request__descriptor,
		    message, &limits, &why) == ERR_OK)
		rq = istio__v1__auth__istio_certificate_request__unpack(
			pbmem_get(&mem), message.len, message.p);
	if (rq == NULL) {
		metric_add(is->front->metrics, M_CSR_PARSE_ERR, 0, 1);
		issue_refuse_early(is, ERR_SYNTAX, &why);
	} else {
		issue_handle(is, rq);
	}
	pbmem_fini(&mem);
}

/* ---- who is asking ----------------------------------------------------- */

/* ra counts for itself: it knows no metrics. */
static void
front_count_tokens(struct front *f)
{
	uint64_t hits;
	uint64_t misses;

	ra_get_token_counts(f->ra, &hits, &misses);
	metric_add(f->metrics, M_TOKEN_CACHE_HITS, 0, hits - f->token_hits);
	f->token_hits = hits;
}

static enum err
issue_authenticate(struct issue *is, struct slice authorization, size_t cnt,
		   struct why *why)
{
	struct front *f = is->front;
	const struct ra_input in = {
		.peer = serve_conn_get_peer(is->conn->serve),
		.authorization = authorization,
		.authorization_cnt = cnt,
		.now = wall_now(),
	};
	struct mono start = mono_now();
	enum err ret = ra_authenticate(f->ra, &in, why, &is->who);

	metric_observe_ns(f->metrics, M_TIME_AUTH, 0, mono_now().ns - start.ns);
	front_count_tokens(f);
	is->authenticated = ret == ERR_OK;
	if (ret == ERR_OK)
		metric_add(f->metrics, M_AUTH, is->who.kind, 1);
	fail_point("front.authenticated");
	/* What a join token is worth, only the authority knows. */
	if (is->who.kind != RA_JOIN_TOKEN)
		connection_note_caller(is->conn, ret == ERR_OK,
				       issue_caller(is));
	return ret;
}

/* The authority decides about limits, for all fronts together. Here the same
 * limit saves the work of a request that it would refuse. */
static bool
issue_is_within_rate(struct issue *is)
{
	struct front *f = is->front;
	const struct ca_rate rate = ca_conf_identity_rate(&f->conf);
	struct why why = {0};
	uint64_t wait_ms;

	if (is->who.identity_len == 0)
		return true;
	wait_ms = ca_limit_take(
		f->callers, slice_of(is->who.identity, is->who.identity_len),
		&rate, is->started);
	if (wait_ms == 0)
		return true;
	(void)why_set(&why, ERR_EXCESS,
		      "%s: more than %lld requests a second "
		      "(limit.identity_rate); next one in %llu ms",
		      is->who.identity, (long long)f->conf.limit_identity_rate,
		      (unsigned long long)wait_ms);
	is->retry_ms = wait_ms;
	issue_refuse_early(is, ERR_EXCESS, &why);
	return false;
}

void
issue_work(struct issue *is)
{
	/* The request may end inside; while it is at the authority, nothing
	 * of the message is needed. */
	struct buf message = is->message;

	buf_init(&is->message, 0);
	grpc_call_set_kept(is->call, 0);
	issue_take_message(is, buf_get(&message));
	buf_fini(&message);
}

/* Who is asking is known, the message is here. */
static void
issue_take_whole(struct issue *is)
{
	const struct why why = {"too many requests wait"};
	enum err ret;

	if (!issue_is_within_rate(is))
		return;
	ret = front_wait_turn(is);
	if (ret != ERR_OK)
		issue_refuse_early(is, ret, &why);
}

static void
issue_make_id(struct front *f, char out[REQUEST_ID_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *raw;

	if (f->ids_left == 0) {
		rand_bytes(f->ids, sizeof(f->ids));
		f->ids_left = REQUEST_IDS;
	}
	raw = &f->ids[--f->ids_left * (REQUEST_ID_LEN / 2)];
	for (size_t i = 0; i < REQUEST_ID_LEN / 2; i++) {
		out[2 * i] = digits[raw[i] >> 4];
		out[2 * i + 1] = digits[raw[i] & 15];
	}
	out[REQUEST_ID_LEN] = '\0';
}

static void
issue_on_open(void *app, struct grpc_call *call)
{
	struct connection *conn = serve_conn_get_state(app);
	struct front *f = conn->front;
	struct issue *is = mem_try_new(sizeof(*is));
	struct why why = {0};
	struct slice header;
	size_t cnt;
	enum err ret;

	metric_add(f->metrics, M_CSR, 0, 1);
	if (is == NULL) {
		grpc_call_finish(call, GRPC_UNAVAILABLE, "out of memory");
		return;
	}
	is->front = f;
	is->conn = conn;
	is->call = call;
	is->slot = UINT32_MAX;
	is->parked_for = -1;
	is->started = mono_now();
	if (!grpc_call_get_deadline(call, &is->deadline))
		is->deadline = mono_add_ms(is->started,
					   (uint64_t)f->conf.limit_request_ms);
	/* Who opens a call and sends nothing would never be idle. */
	grpc_call_limit(call, 2 * (uint64_t)f->conf.limit_request_ms);
	issue_make_id(f, is->request_id);
	buf_init(&is->message, (size_t)f->conf.limit_message);
	grpc_call_set_app(call, is);
	conn->issue_cnt++;
	header = grpc_call_get_header(call, "authorization", &cnt);
	ret = issue_authenticate(is, header, cnt, &why);
	if (ret == ERR_OK)
		return;
	if (front_jwks_park(f, is, header))
		front_start_sweep(f);
	else
		issue_refuse_early(is, ERR_UNAUTHENTICATED, &why);
}

void
issue_give_up(struct issue *is)
{
	const struct why why = {"the token issuer's keys did not come in time"};

	issue_refuse_early(is, ERR_UNAUTHENTICATED, &why);
}

void
issue_unpark(struct issue *is)
{
	struct secret *header = TAKE(is->authorization);
	struct why why = {0};
	enum err ret;

	is->parked_for = -1;
	ret = issue_authenticate(is, secret_get(header), 1, &why);
	secret_free(header);
	if (ret != ERR_OK)
		issue_refuse_early(is, ERR_UNAUTHENTICATED, &why);
	else if (is->got_message)
		issue_take_whole(is);
}

static void
issue_on_message(void *app, struct grpc_call *call, struct slice message)
{
	struct issue *is = grpc_call_get_app(call);

	(void)app;
	if (is == NULL)
		return;
	if (is->got_message) {
		issue_finish(is, GRPC_INVALID_ARGUMENT,
			     "one message is all that this method takes");
		return;
	}
	is->got_message = true;
	/* No longer than limit.message: gRPC looked already. */
	must(buf_put(&is->message, message) == ERR_OK);
	grpc_call_set_kept(call, is->message.cap);
	if (is->authenticated)
		issue_take_whole(is);
}

static void
issue_on_half_close(void *app, struct grpc_call *call)
{
	struct issue *is = grpc_call_get_app(call);

	(void)app;
	if (is != NULL && !is->got_message)
		issue_finish(is, GRPC_INVALID_ARGUMENT, "there is no message");
}

static void
issue_on_excess(void *app, struct grpc_call *call)
{
	struct issue *is = grpc_call_get_app(call);
	const struct front *f = is->front;
	struct why why = {0};

	(void)app;
	(void)why_set(&why, ERR_EXCESS,
		      "too many bytes of unfinished requests: %zu on all "
		      "connections (limit.unfinished %zu), or more than %zu "
		      "on this one",
		      f->budget.held, f->budget.total_max, f->budget.conn_max);
	issue_refuse_early(is, ERR_EXCESS, &why);
}

static void
issue_on_end(void *app, struct grpc_call *call)
{
	struct issue *is = grpc_call_get_app(call);

	(void)app;
	if (is == NULL)
		return;
	grpc_call_set_app(call, NULL);
	front_leave_turn(is);
	connection_note_end(is->conn);
	pending_remove(is->front, is);
	front_jwks_forget(is->front, is);
	buf_fini(&is->message);
	mem_free(is);
}

/* ---- the answer -------------------------------------------------------- */

/* Field 1, a string of this length, of IstioCertificateResponse. */
static void
reply_open_entry(struct buf *out, size_t len)
{
	(void)buf_put_u8(out, 1 << 3 | 2);
	for (; len >= 0x80; len >>= 7)
		(void)buf_put_u8(out, (uint8_t)(len | 0x80));
	(void)buf_put_u8(out, (uint8_t)len);
}

void
reply_put_cert(struct buf *out, struct slice der)
{
	/* One certificate an entry, with the empty line that Istio adds. */
	reply_open_entry(out, pem_len("CERTIFICATE", der.len) + 1);
	(void)pem_write(out, "CERTIFICATE", der);
	(void)buf_put_str(out, "\n");
}

void
reply_put_text(struct buf *out, struct slice text)
{
	reply_open_entry(out, text.len);
	(void)buf_put(out, text);
}

static void
issue_answer(struct issue *is, const struct msg_result *m)
{
	struct front *f = is->front;
	const struct chain_tail *tail = front_find_chain(f, m->generation);
	enum err ret;

	if (tail == NULL) {
		issue_refuse(is, ERR_UNAVAILABLE,
			     "the issuer changed meanwhile, try again");
		return;
	}
	if (is->who.kind == RA_JWT)
		ca_seen_add(f->seen, slice_of_str(is->who.caller),
			    (struct wall){wall_now().ms +
					  f->conf.cert_default_ttl_ms});
	buf_reset(&f->out);
	reply_put_cert(&f->out, m->cert);
	ret = grpc_call_send2(is->call, buf_get(&f->out),
			      buf_get(&tail->reply));
	fail_point("front.answer_written");
	if (ret == ERR_OK)
		issue_finish(is, GRPC_OK, "");
	else
		issue_finish(is, GRPC_RESOURCE_EXHAUSTED,
			     "the caller does not read its answers");
}

void
front_take_result(struct front *f, uint64_t id, const struct msg_result *m)
{
	struct issue *is;
	char text[WHY_MAX];

	if (id == SERVING_REQUEST_ID) {
		front_take_serving(f, m);
		return;
	}
	is = pending_find(f, id);
	fail_point("front.result_taken");
	/* The caller may have gone meanwhile. */
	if (is == NULL)
		return;
	pending_remove(f, is);
	if (is->who.kind == RA_JOIN_TOKEN &&
	    (m->e == ERR_OK || m->e == ERR_UNAUTHENTICATED))
		connection_note_caller(is->conn, m->e == ERR_OK,
				       issue_caller(is));
	if (m->e == ERR_OK) {
		issue_answer(is, m);
		return;
	}
	is->retry_ms = m->retry_ms;
	(void)snprintf(text, sizeof(text), "%.*s", SLICE_FMT(m->text));
	issue_refuse(is, m->e, text);
}

/* ---- the methods ------------------------------------------------------- */

static const struct grpc_method front_methods[FRONT_METHODS_MAX] = {
	{.path = "/istio.v1.auth.IstioCertificateService/CreateCertificate",
	 /* request_max: limit.message */
	 .on_open = issue_on_open,
	 .on_message = issue_on_message,
	 .on_half_close = issue_on_half_close,
	 .on_end = issue_on_end,
	 .on_excess = issue_on_excess},
	{.path = "/grpc.health.v1.Health/Check",
	 .request_max = 1024,
	 .on_open = health_on_open,
	 .on_message = health_on_check},
	{.path = "/grpc.health.v1.Health/Watch",
	 .request_max = 1024,
	 .on_message = health_on_watch},
	{.path = NULL},
};

void
front_set_methods(struct front *f)
{
	memcpy(f->methods, front_methods, sizeof(f->methods));
	f->methods[0].request_max = (size_t)f->conf.limit_message;
	f->budget.total_max = (size_t)f->conf.limit_unfinished;
	f->budget.conn_max = ca_conf_unfinished_of_one(&f->conf);
}
