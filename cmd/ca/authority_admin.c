/* authority_admin.c - the admin socket: meshcert.admin.v1 over gRPC on a Unix
 * socket, for root and for the user that runs the authority. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ca/authority_int.h"
#include "grpc/pbmem.h"
#include "grpc/serve.h"
#include "proto/admin.pb-c.h"
#include "ra/ra.h"

enum {
	ADMIN_MESSAGE_MAX = 16384,
	ADMIN_CONNECTIONS_MAX = 32,
	TOKEN_TTL_DEFAULT_SEC = 600,
	STATUS_LINES_MAX = 16
};

struct authority_admin {
	struct serve_opts opts;
	struct serve_conn *conns[ADMIN_CONNECTIONS_MAX];
};

/* ---- tokens ------------------------------------------------------------ */

static void
admin_audit_token(struct authority *a, const struct store_token *t)
{
	struct buf line;
	struct jsonw w;
	char expires[WALL_TEXT_MAX];

	wall_format(t->expires, expires);
	buf_init(&line, ADMIN_MESSAGE_MAX);
	jsonw_init(&w, &line);
	jsonw_pair_str(&w, "event", SLICE_LIT("token_created"));
	jsonw_pair_str(&w, "identity", t->identity);
	jsonw_pair_str(&w, "caller", t->created_by);
	jsonw_pair_hex(&w, "token_sha256", SLICE_ARRAY(t->hash));
	jsonw_pair_str(&w, "expires", slice_of_str(expires));
	authority_audit_event(a, buf_get(&line));
	authority_audit_flush(a);
	buf_fini(&line);
}

static enum err
admin_make_token(struct authority *a, struct store_token *t,
		 char text[RA_JOIN_TEXT_MAX], int64_t ttl_sec, struct why *why)
{
	enum err ret;

	if (ttl_sec == 0)
		ttl_sec = TOKEN_TTL_DEFAULT_SEC;
	if (ttl_sec < 0 || ttl_sec > a->conf.token_max_ttl_ms / 1000)
		return why_set(why, ERR_REFUSED,
			       "a token's life of %" PRId64
			       " s is not between 1 and %" PRId64
			       " s (token.max_ttl)",
			       ttl_sec, a->conf.token_max_ttl_ms / 1000);
	ret = ca_policy_check_identity(&a->policy, t->identity, why);
	if (ret != ERR_OK)
		return ret;
	ra_join_token_make(text, t->hash);
	t->created = wall_now();
	t->expires = wall_add_sec(t->created, ttl_sec);
	(void)!store_token_purge(a->store, wall_add_sec(t->created, -86400));
	ret = store_token_add(a->store, t);
	return ret == ERR_OK
		       ? ERR_OK
		       : why_set(why, ret, "the record: %s", err_text(ret));
}

static void
admin_send(struct grpc_call *call, const ProtobufCMessage *msg)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	if (pbmem_pack(msg, &out) == ERR_OK &&
	    grpc_call_send(call, buf_get(&out)) == ERR_OK)
		grpc_call_finish(call, GRPC_OK, "");
	else
		grpc_call_finish(call, GRPC_INTERNAL, "answer too long");
	buf_fini(&out);
}

static void
admin_describe_peer(struct serve_conn *c, char out[64])
{
	struct ev_peer_cred cred = {0};

	(void)!ev_stream_get_peer_cred(serve_conn_get_stream(c), &cred);
	(void)snprintf(out, 64, "uid=%u pid=%d", (unsigned)cred.uid,
		       (int)cred.pid);
}

static void
admin_on_create_token(void *app, struct grpc_call *call, struct slice message)
{
	struct serve_conn *c = app;
	struct authority *a = serve_conn_get_app(c);
	Meshcert__Admin__V1__CreateTokenResponse rs;
	Meshcert__Admin__V1__CreateTokenRequest *rq;
	struct store_token t = {0};
	struct why why = {0};
	char text[RA_JOIN_TEXT_MAX];
	char expires[WALL_TEXT_MAX];
	char who[64];
	struct pbmem mem;
	enum err ret = ERR_SYNTAX;

	meshcert__admin__v1__create_token_response__init(&rs);
	meshcert__admin__v1__create_token_response__init(&rs);
	pbmem_init(&mem, ADMIN_MESSAGE_MAX);
	rq = meshcert__admin__v1__create_token_request__unpack(
		pbmem_get(&mem), message.len, message.p);
	admin_describe_peer(c, who);
	t.created_by = slice_of_str(who);
	if (rq != NULL) {
		t.identity = slice_of_str(rq->identity);
		ret = admin_make_token(a, &t, text, rq->ttl_seconds, &why);
	}
	if (ret == ERR_OK) {
		admin_audit_token(a, &t);
		wall_format(t.expires, expires);
		meshcert__admin__v1__create_token_response__init(&rs);
		rs.token = text;
		rs.expires = expires;
		admin_send(call, &rs.base);
		secret_wipe(text, sizeof(text));
	} else {
		grpc_call_finish(call, grpc_status_of_err(ret),
				 why_text(&why, ret));
	}
	pbmem_fini(&mem);
}

/* ---- status ------------------------------------------------------------ */

struct status {
	Meshcert__Admin__V1__StatusLine lines[STATUS_LINES_MAX];
	Meshcert__Admin__V1__StatusLine *list[STATUS_LINES_MAX];
	char text[STATUS_LINES_MAX][WHY_MAX];
	char since[STATUS_LINES_MAX][WALL_TEXT_MAX];
	size_t cnt;
};

static void status_add(struct status *s, int level, const char *topic,
		       const char *action, const char *fmt, ...)
	PRINTF_LIKE(5, 6);

static void
status_add(struct status *s, int level, const char *topic, const char *action,
	   const char *fmt, ...)
{
	Meshcert__Admin__V1__StatusLine *l;
	va_list args;

	must(s->cnt < STATUS_LINES_MAX);
	l = &s->lines[s->cnt];
	meshcert__admin__v1__status_line__init(l);
	va_start(args, fmt);
	(void)vsnprintf(s->text[s->cnt], WHY_MAX, fmt, args);
	va_end(args);
	l->level = (Meshcert__Admin__V1__StatusLevel)level;
	l->topic = (char *)(uintptr_t)topic;
	l->action = (char *)(uintptr_t)action;
	l->text = s->text[s->cnt];
	s->list[s->cnt++] = l;
}

/* Of the line that was added last. */
static void
status_set_since(struct status *s, struct wall since)
{
	if (since.ms == 0 || s->cnt == 0)
		return;
	wall_format(since, s->since[s->cnt - 1]);
	s->lines[s->cnt - 1].since = s->since[s->cnt - 1];
}

enum {
	OK = MESHCERT__ADMIN__V1__STATUS_LEVEL__STATUS_OK,
	WARN = MESHCERT__ADMIN__V1__STATUS_LEVEL__STATUS_WARN,
	BAD = MESHCERT__ADMIN__V1__STATUS_LEVEL__STATUS_BAD
};

static void
status_add_issuer(const struct authority *a, struct status *s)
{
	int64_t left_ms = wall_diff_ms(a->issuer.not_after, wall_now());
	char until[WALL_TEXT_MAX];

	if (a->signer == NULL || buf_len(&a->chain_msg) == 0) {
		status_add(s, BAD, "issuer",
			   a->warning[0] != '\0' ? "see meshcert-ca(8), "
						   "PLUGGED-IN CA"
						 : "look at the signer's log",
			   "%s",
			   a->warning[0] != '\0'
				   ? a->warning
				   : "the signer is not ready: nothing can be "
				     "issued");
		status_set_since(s, a->issuer_since);
		return;
	}
	wall_format(a->issuer.not_after, until);
	if (left_ms <= 0)
		status_add(s, BAD, "issuer", "bring a new CA certificate",
			   "the issuing chain has ended at %s", until);
	else if (left_ms < a->conf.cert_max_ttl_ms)
		status_add(s, WARN, "issuer", "renew the CA certificate",
			   "the issuing chain ends at %s: certificates are cut "
			   "to it",
			   until);
	else
		status_add(s, OK, "issuer", "",
			   "the issuing chain is good "
			   "until %s",
			   until);
	if (a->warning[0] != '\0')
		status_add(s, WARN, "issuer",
			   "see meshcert-ca(8), PLUGGED-IN CA", "%s",
			   a->warning);
	status_set_since(s, a->issuer_since);
}

static void
status_add_record(const struct authority *a, struct status *s)
{
	struct store_counts n = {0};

	if (a->store_state != ERR_OK)
		status_add(s, BAD, "record",
			   "make room on the disk of data_dir; it goes on by "
			   "itself",
			   "%s", a->store_text);
	else if (store_count(a->store, &n) == ERR_OK)
		status_add(s, OK, "record", "",
			   "%" PRIu64 " issued, %" PRIu64 " failed, %" PRIu64
			   " without a recorded end",
			   n.issued, n.failed, n.intents - n.issued - n.failed);
	status_set_since(s, a->store_since);
}

static void
status_add_audit(const struct authority *a, struct status *s)
{
	if (a->audit_state != ERR_OK)
		status_add(s, BAD, "audit",
			   audit_is_broken(a->audit)
				   ? "look at the disk of data_dir, then "
				     "restart meshcert-ca: until then nothing "
				     "is written to the audit log"
				   : "make room on the disk of data_dir; it "
				     "goes on by itself",
			   "%s", a->audit_text);
	else if (a->audit_mismatch[0] != '\0')
		status_add(s, BAD, "audit",
			   "compare the log with your copies; restart the "
			   "authority to clear this",
			   "%s", a->audit_mismatch);
	else
		status_add(s, OK, "audit", "", "%" PRIu64 " lines",
			   audit_get_head(a->audit).count);
	status_set_since(s, a->audit_since);
}

static void
status_add_fronts(const struct authority *a, struct status *s)
{
	unsigned cnt = 0;

	for (size_t i = 0; i < FRONTS_MAX; i++)
		cnt += a->fronts[i].ipc != NULL;
	status_add(s, cnt > 0 ? OK : BAD, "fronts",
		   cnt > 0 ? "" : "look at the fronts' log",
		   "%u connected, %zu requests under way", cnt,
		   ca_queue_count(a->queue) + a->signing_cnt);
}

static void
admin_on_status(void *app, struct grpc_call *call, struct slice message)
{
	struct authority *a = serve_conn_get_app(app);
	Meshcert__Admin__V1__StatusResponse rs;
	struct status *s = MEM_NEW(struct status);

	(void)message;
	meshcert__admin__v1__status_response__init(&rs);
	status_add_issuer(a, s);
	status_add_record(a, s);
	status_add_audit(a, s);
	status_add_fronts(a, s);
	rs.n_lines = s->cnt;
	rs.lines = s->list;
	admin_send(call, &rs.base);
	mem_free(s);
}

/* ---- connections ------------------------------------------------------- */

static const struct grpc_method admin_methods[] = {
	{.path = "/meshcert.admin.v1.Admin/CreateToken",
	 .request_max = ADMIN_MESSAGE_MAX,
	 .on_message = admin_on_create_token},
	{.path = "/meshcert.admin.v1.Admin/Status",
	 .request_max = ADMIN_MESSAGE_MAX,
	 .on_message = admin_on_status},
	{.path = NULL},
};

static void
admin_on_close(void *app, struct serve_conn *c, enum err e, const char *detail)
{
	struct authority_admin *s = ((struct authority *)app)->admin_state;

	(void)e;
	(void)detail;
	for (size_t i = 0; i < ADMIN_CONNECTIONS_MAX; i++) {
		if (s->conns[i] == c)
			s->conns[i] = NULL;
	}
}

static bool
admin_is_allowed(const struct ev_stream *stream)
{
	struct ev_peer_cred cred;

	if (ev_stream_get_peer_cred(stream, &cred) != ERR_OK)
		return false;
	return cred.uid == 0 || cred.uid == geteuid();
}

static void
admin_on_accept(void *arg, struct ev_stream *stream)
{
	struct authority *a = arg;
	struct authority_admin *s = a->admin_state;
	char peer[EV_ADDR_TEXT_MAX];

	ev_stream_get_peer_text(stream, peer);
	for (size_t i = 0; i < ADMIN_CONNECTIONS_MAX; i++) {
		if (s->conns[i] != NULL)
			continue;
		if (!admin_is_allowed(stream))
			break;
		if (serve_conn_start(a->loop, stream, &s->opts, &s->conns[i]) !=
		    ERR_OK)
			s->conns[i] = NULL;
		return;
	}
	log_peer("authority.admin",
		 "%s: refused: only root and uid %u may use the admin socket "
		 "(or it has too many connections)",
		 peer, (unsigned)geteuid());
	ev_stream_close(&stream, 0);
}

enum err
authority_admin_open(struct authority *a, struct why *why)
{
	struct authority_admin *s;

	if (a->admin_fd < 0)
		return why_set(why, ERR_BUG, "no admin socket was given");
	s = MEM_NEW(struct authority_admin);
	s->opts = (struct serve_opts){
		.methods = admin_methods,
		.limits = {.streams_max = 8,
			   .header_bytes_max = 8192,
			   .stream_out_max = 1 << 20,
			   .window = 65535,
			   .header_table = 4096,
			   .cheap_frames_max = 1000},
		.idle_timeout_ms = 600000,
		.out_max = 2 << 20,
		.on_close = admin_on_close,
		.app = a,
	};
	a->admin_state = s;
	return ev_listen_fd(a->loop, a->admin_fd, admin_on_accept, a,
			    &a->admin);
}

void
authority_admin_close(struct authority *a)
{
	struct authority_admin *s = a->admin_state;

	ev_listener_close(&a->admin);
	for (size_t i = 0; s != NULL && i < ADMIN_CONNECTIONS_MAX; i++) {
		if (s->conns[i] != NULL)
			serve_conn_drop(s->conns[i], ERR_CANCELLED,
					"the authority stops");
	}
}
