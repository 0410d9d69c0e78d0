/* sds_core.c - streams and what they ask for; shared by SotW and delta.
 *
 * A push costs one small tail (the nonce) and the copy of the shared body into
 * the stream's queue. A stream never has two secrets in its queue: what comes
 * while a slow proxy has not taken the last one is marked, and the newest is
 * sent when the queue is empty. So no old key waits there. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "sds/sds_int.h"

enum {
	NACK_TEXT_MAX = 1024,
	TAIL_MAX = 32,  /* the nonce's field */
	NONCE_MAX = 20, /* digits of 64 bits */
	NODE_TEXT_MAX = 256
};

/* ---- the server ---------------------------------------------------------- */

struct sds_server *
sds_server_new(struct sds_secrets *secrets, void *app)
{
	struct sds_server *s = MEM_NEW(struct sds_server);

	s->secrets = secrets;
	s->app = app;
	return s;
}

void
sds_server_free(struct sds_server *s)
{
	if (s == NULL)
		return;
	must(s->streams == NULL);
	mem_free(s);
}

void *
sds_server_get_app(const struct sds_server *s)
{
	return s->app;
}

struct sds_secrets *
sds_server_get_secrets(const struct sds_server *s)
{
	return s->secrets;
}

struct sds_counts
sds_server_get_counts(const struct sds_server *s)
{
	return s->counts;
}

/* see sds.h */
bool
sds_server_take_stream(struct sds_server *s)
{
	if (s->counts.streams >= SDS_STREAMS_MAX)
		return false;
	s->counts.streams++;
	return true;
}

/* see sds.h */
void
sds_server_drop_stream(struct sds_server *s)
{
	must(s->counts.streams > 0);
	s->counts.streams--;
}

void
sds_limits_set(struct h2_limits *limits)
{
	*limits = (struct h2_limits){
		.streams_max = 4096,
		.header_bytes_max = 16 * 1024,
		.stream_out_max = 2 * 1024 * 1024,
		.window = 64 * 1024,
		.header_table = 0,
		.cheap_frames_max = 1000,
	};
}

void
sds_call_refuse(struct sds_server *s, struct grpc_call *call,
		enum grpc_status status, const char *text)
{
	s->counts.refused++;
	log_peer("sds request refused", "method=%s status=%s: %s",
		 grpc_call_get_method(call)->path, grpc_status_name(status),
		 text);
	grpc_call_finish(call, status, text);
}

/* ---- sending ------------------------------------------------------------- */

static const char *
node_of(const struct sds_stream *st)
{
	return st->node_id == NULL ? "" : st->node_id;
}

/* Decimal digits before `end`; returns the first. */
static uint8_t *
put_digits(uint8_t *end, uint64_t v)
{
	do {
		*--end = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return end;
}

/* first, then the nonce. */
static enum err
stream_send(struct sds_stream *st, struct slice first)
{
	enum err ret;
	uint8_t tail[TAIL_MAX];
	uint8_t text[NONCE_MAX];
	const uint8_t *digits = put_digits(text + NONCE_MAX, st->nonce + 1);
	const uint8_t *end = pack_bytes(
		tail, 5, slice_of(digits, (size_t)(text + NONCE_MAX - digits)));

	ret = grpc_call_send2(st->call, first,
			      slice_of(tail, (size_t)(end - tail)));
	if (ret != ERR_OK)
		return ret;
	st->nonce++;
	return ERR_OK;
}

/* "There is no such secret": delta only. Never together with one that is. */
static enum err
send_removed(struct sds_sub *sub)
{
	enum err ret;
	uint8_t *p;
	uint8_t *end;
	struct buf b;
	const struct slice name = slice_of_str(sub->name);
	const struct slice url = SLICE_LIT(SDS_TYPE_URL);
	const size_t len = pack_len(url.len) + pack_len(name.len);

	buf_init(&b, len);
	if ((ret = buf_reserve(&b, len, &p)) != ERR_OK)
		goto out;
	end = pack_bytes(p, 4, url);
	end = pack_bytes(end, 6, name);
	buf_commit(&b, (size_t)(end - p));
	ret = stream_send(sub->stream, buf_get(&b));
out:
	buf_fini(&b);
	return ret;
}

static enum err
send_secret(struct sds_sub *sub, struct sds_secret *s)
{
	enum err ret;

	ret = stream_send(sub->stream,
			  sub->stream->delta ? sds_secret_get_delta_response(s)
					     : sds_secret_get_response(s));
	if (ret != ERR_OK)
		return ret;
	sub->state = SDS_STATE_SENT;
	sub->sent_at = wall_now();
	memcpy(sub->sent, sds_secret_get_version(s), SDS_VERSION_MAX);
	sub->stream->server->counts.pushes++;
	return ERR_OK;
}

/* s NULL: there is none. Outside of a callback of the connection, all of it may
 * be gone after this. */
static void
sub_say(struct sds_sub *sub, struct sds_secret *s)
{
	struct sds_stream *st = sub->stream;
	enum err e = ERR_OK;

	sub->pending = false;
	if (s == NULL && (!st->delta || sub->state == SDS_STATE_WAITING))
		return;
	if (grpc_call_out_len(st->call) > 0) {
		sub->pending = true;
		return;
	}
	e = s != NULL ? send_secret(sub, s) : send_removed(sub);
	if (e == ERR_OK) {
		sub->nonce = st->nonce;
		serve_conn_push(st->conn);
	} else if (e == ERR_BUSY) {
		sub->pending = true;
	} else if (e != ERR_CLOSED) {
		log_error("sds push failed", "node=%s name=%s: %s", node_of(st),
			  sub->name, err_text(e));
	}
}

void
sds_sub_send(struct sds_sub *sub)
{
	sub_say(sub, sub->watch.entry == NULL
			     ? NULL
			     : sds_secrets_get(sub->stream->server->secrets,
					       sub->name));
}

static void
on_change(void *arg, struct sds_secret *s)
{
	struct sds_sub *sub = arg;

	if (s == NULL) {
		sub->state = SDS_STATE_UNKNOWN;
		sub->sent[0] = '\0';
	} else if (strcmp(sub->sent, sds_secret_get_version(s)) == 0) {
		/* It has it, or refused just this. */
		return;
	}
	sub_say(sub, s);
}

void
sds_stream_drain(void *app UNUSED, struct grpc_call *call)
{
	struct sds_stream *st = grpc_call_get_app(call);

	if (st == NULL)
		return;
	for (struct sds_sub *sub = st->subs; sub != NULL; sub = sub->next) {
		if (!sub->pending)
			continue;
		sds_sub_send(sub);
		if (grpc_call_out_len(call) > 0)
			return;
	}
}

/* ---- names --------------------------------------------------------------- */

struct sds_sub *
sds_sub_find(const struct sds_stream *st, struct slice name)
{
	for (struct sds_sub *sub = st->subs; sub != NULL; sub = sub->next) {
		if (slice_is_str(name, sub->name))
			return sub;
	}
	return NULL;
}

static void
note_unknown(struct sds_sub *sub, const char *text)
{
	const struct sds_stream *st = sub->stream;

	st->server->counts.unknown++;
	log_peer("sds name not served", "node=%s pid=%d name=%s: %s",
		 node_of(st), (int)st->peer.pid, sub->name, text);
}

static void
sub_start(struct sds_sub *sub)
{
	struct sds_secrets *t = sub->stream->server->secrets;
	struct why why;

	if (sds_name_check(slice_of_str(sub->name), &why) != ERR_OK) {
		sub->state = SDS_STATE_REFUSED;
		note_unknown(sub, why.text);
	} else if (sds_watch_start(t, sub->name, &sub->watch) != ERR_OK) {
		sub->state = SDS_STATE_UNKNOWN;
		sds_watch_remember(t, sub->name, &sub->watch);
		note_unknown(sub, "no such secret here (yet)");
	}
	sds_sub_send(sub);
}

static bool
has_room(const struct sds_stream *st, size_t name_len)
{
	const struct sds_server *s = st->server;

	return st->sub_cnt < SDS_NAMES_MAX &&
	       s->counts.watches < SDS_WATCHES_MAX &&
	       s->name_bytes + name_len <= SDS_NAME_BYTES_MAX;
}

enum err
sds_sub_add(struct sds_stream *st, struct slice name)
{
	struct sds_sub *sub;
	struct sds_sub **at;

	if (name.len > SDS_NAME_MAX || memchr(name.p, 0, name.len) != NULL) {
		st->server->counts.unknown++;
		log_peer("sds name not served",
			 "node=%s: a name of %zu bytes, or with a NUL byte",
			 node_of(st), name.len);
		return ERR_OK;
	}
	if (!has_room(st, name.len))
		return ERR_LIMIT;
	sub = mem_try_new(sizeof(*sub) + name.len + 1);
	if (sub == NULL)
		return ERR_NO_MEMORY;
	memcpy(sub->name, name.p, name.len);
	sub->stream = st;
	sub->seen = true;
	sub->watch.on_change = on_change;
	sub->watch.arg = sub;
	for (at = &st->subs; *at != NULL; at = &(*at)->next)
		;
	*at = sub;
	st->sub_cnt++;
	st->server->counts.watches++;
	st->server->name_bytes += name.len;
	sub_start(sub);
	return ERR_OK;
}

void
sds_sub_drop(struct sds_sub **at)
{
	struct sds_sub *sub = *at;

	*at = sub->next;
	sub->stream->sub_cnt--;
	sub->stream->server->counts.watches--;
	sub->stream->server->name_bytes -= strlen(sub->name);
	sds_watch_cancel(&sub->watch);
	mem_free(sub->nack);
	mem_free(sub);
}

/* ---- answers ------------------------------------------------------------- */

/* Text from the other side, printable and cut. */
static char *
text_keep(struct slice s)
{
	char *text = mem_new(NACK_TEXT_MAX);
	const size_t len =
		s.len < NACK_TEXT_MAX - 1 ? s.len : NACK_TEXT_MAX - 1;
	char *out;

	for (size_t i = 0; i < len; i++)
		text[i] = s.p[i] >= 0x20 && s.p[i] < 0x7f ? (char)s.p[i] : '?';
	out = mem_dup_str(text);
	mem_free(text);
	return out;
}

static void
take_nack(struct sds_stream *st, struct sds_sub *sub,
	  const struct sds_request *r)
{
	char *text = text_keep(r->error_text);

	st->server->counts.nacks++;
	log_peer("sds secret refused by the proxy",
		 "node=%s pid=%d name=%s version=%s code=%llu: %s", node_of(st),
		 (int)st->peer.pid, sub == NULL ? "?" : sub->name,
		 sub == NULL ? "?" : sub->sent,
		 (unsigned long long)r->error_code, text);
	if (sub == NULL) {
		mem_free(text);
		return;
	}
	mem_free(sub->nack);
	sub->nack = text;
	sub->state = SDS_STATE_NACKED;
	sub->answered_at = wall_now();
}

static void
take_ack(struct sds_stream *st, struct sds_sub *sub)
{
	if (sub->state != SDS_STATE_SENT)
		return;
	st->server->counts.acks++;
	sub->state = SDS_STATE_ACKED;
	sub->answered_at = wall_now();
	memcpy(sub->acked, sub->sent, sizeof(sub->acked));
	mem_free(TAKE(sub->nack));
}

bool
sds_stream_take_answer(struct sds_stream *st, const struct sds_request *r)
{
	struct sds_sub *sub;
	uint64_t nonce;

	if (slice_parse_u64(r->nonce, &nonce) != ERR_OK || nonce == 0)
		return false;
	for (sub = st->subs; sub != NULL; sub = sub->next) {
		if (sub->nonce == nonce)
			break;
	}
	if (sub == NULL)
		return false;
	if (r->has_error)
		take_nack(st, sub, r);
	else
		take_ack(st, sub);
	return true;
}

/* ---- streams ------------------------------------------------------------- */

bool
sds_stream_admit(struct sds_stream *st, struct slice message,
		 struct sds_request *r)
{
	struct why why;

	if (sds_request_parse(message, st->delta, &why, r) != ERR_OK) {
		sds_call_refuse(st->server, st->call, GRPC_INVALID_ARGUMENT,
				why.text);
		return false;
	}
	/* pilot-agent's own; Istio's agent passes it over too. */
	if (slice_has_suffix(r->type_url, "/istio.v1.HealthInformation"))
		return false;
	if (st->node_id == NULL && r->node_id.len == 0) {
		sds_call_refuse(st->server, st->call, GRPC_INVALID_ARGUMENT,
				"missing node information");
		return false;
	}
	if (!sds_request_is_secret(r)) {
		(void)why_set(
			&why, ERR_MISMATCH,
			"type_url is %.*s; only " SDS_TYPE_URL " is served",
			r->type_url.len > 150 ? 150 : (int)r->type_url.len,
			(const char *)r->type_url.p);
		sds_call_refuse(st->server, st->call, GRPC_INVALID_ARGUMENT,
				why.text);
		return false;
	}
	if (st->node_id == NULL)
		st->node_id =
			text_keep(slice_sub(r->node_id, 0, NODE_TEXT_MAX));
	return true;
}

void
sds_stream_open(struct serve_conn *conn, struct grpc_call *call, bool delta)
{
	struct sds_server *s = serve_conn_get_app(conn);
	struct ev_stream *peer = serve_conn_get_stream(conn);
	struct sds_stream *st;

	if (!sds_server_take_stream(s)) {
		sds_call_refuse(s, call, GRPC_RESOURCE_EXHAUSTED,
				"too many streams are open here");
		return;
	}
	st = mem_try_new(sizeof(*st));
	if (st == NULL) {
		sds_server_drop_stream(s);
		grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED,
				 "out of memory");
		return;
	}
	st->server = s;
	st->conn = conn;
	st->call = call;
	st->delta = delta;
	st->since = wall_now();
	if (peer != NULL && ev_stream_get_peer_cred(peer, &st->peer) != ERR_OK)
		st->peer = (struct ev_peer_cred){0};
	st->next = s->streams;
	if (st->next != NULL)
		st->next->prev = st;
	s->streams = st;
	grpc_call_set_app(call, st);
}

void
sds_stream_end(void *app UNUSED, struct grpc_call *call)
{
	struct sds_stream *st = grpc_call_get_app(call);

	if (st == NULL)
		return;
	grpc_call_set_app(call, NULL);
	while (st->subs != NULL)
		sds_sub_drop(&st->subs);
	if (st->next != NULL)
		st->next->prev = st->prev;
	if (st->prev != NULL)
		st->prev->next = st->next;
	else
		st->server->streams = st->next;
	sds_server_drop_stream(st->server);
	mem_free(st->node_id);
	mem_free(st);
}

void
sds_stream_half_close(void *app UNUSED, struct grpc_call *call)
{
	grpc_call_finish(call, GRPC_OK, NULL);
}
