/* sds_int.h - inside of sds: requests, streams, what a stream asks for. */
#ifndef SDS_SDS_INT_H
#define SDS_SDS_INT_H

#include "ev/ev.h"
#include "grpc/serve.h"
#include "sds/sds.h"
#include "sds/secrets_int.h"

/* ---- requests (request.c) ------------------------------------------------ */

/* DiscoveryRequest or DeltaDiscoveryRequest as far as we read it; slices point
 * into the message. */
struct sds_request {
	struct slice raw;
	bool delta;
	struct slice node_id;
	struct slice type_url;
	struct slice nonce;
	size_t name_cnt; /* named or subscribed */
	size_t drop_cnt; /* unsubscribed (delta) */
	bool has_error;
	uint64_t error_code;
	struct slice error_text;
	struct slice first_name;
};

/* Walks the message once; nothing is allocated. ERR_SYNTAX, or ERR_LIMIT for
 * more than SDS_NAMES_MAX names. */
MUST_USE enum err sds_request_parse(struct slice message, bool delta,
				    struct why *why, struct sds_request *out);
/* Iterates over names (drop false) or names unsubscribed (drop true): *cursor
 * starts as r->raw. False at the end. */
bool sds_request_next(const struct sds_request *r, bool drop,
		      struct slice *cursor, struct slice *name);
/* The type is ours, or left out. */
bool sds_request_is_secret(const struct sds_request *r);

/* ---- streams (sds_core.c) ------------------------------------------------ */

enum sds_state {
	SDS_STATE_WAITING = 0, /* known, not there yet */
	SDS_STATE_SENT,
	SDS_STATE_ACKED,
	SDS_STATE_NACKED,
	SDS_STATE_UNKNOWN, /* nobody serves it (yet) */
	SDS_STATE_REFUSED  /* a name that may not be asked for */
};

/* One name that a stream asks for. */
struct sds_sub {
	struct sds_watch watch; /* not started when refused */
	struct sds_stream *stream;
	struct sds_sub *next;
	uint64_t nonce; /* of what was sent last; 0: nothing was */
	struct wall sent_at;
	struct wall answered_at;
	char *nack; /* Envoy's text, NULL: none */
	char sent[SDS_VERSION_MAX];
	char acked[SDS_VERSION_MAX];
	uint8_t state;
	bool pending; /* to be sent when the queue is empty */
	bool seen;    /* while names are compared */
	char name[];
};

struct sds_stream {
	struct sds_server *server;
	struct serve_conn *conn;
	struct grpc_call *call;
	struct sds_stream *prev, *next;
	struct sds_sub *subs;
	size_t sub_cnt;
	char *node_id; /* NULL: no request yet */
	uint64_t nonce;
	struct wall since;
	struct ev_peer_cred peer; /* pid 0: not known */
	bool delta;
};

struct sds_server {
	struct sds_secrets *secrets;
	void *app;
	struct sds_stream *streams;
	struct sds_counts counts;
	size_t name_bytes; /* of all names asked for */
};

/* What the three methods share. */
void sds_stream_open(struct serve_conn *conn, struct grpc_call *call,
		     bool delta);
void sds_stream_end(void *app, struct grpc_call *call);
void sds_stream_half_close(void *app, struct grpc_call *call);
void sds_stream_drain(void *app, struct grpc_call *call);
/* Reads a request whose node and type are as they must be; else the call is
 * finished, or the request is one to be passed over: false. A stream keeps the
 * node. */
bool sds_stream_admit(struct sds_stream *st, struct slice message,
		      struct sds_request *r);
struct sds_sub *sds_sub_find(const struct sds_stream *st, struct slice name);
/* A new name: watched and sent, or remembered. ERR_LIMIT: too many. */
enum err sds_sub_add(struct sds_stream *st, struct slice name);
/* Unlinks what *at points to and frees it. */
void sds_sub_drop(struct sds_sub **at);
/* Sends what there is to say of it, now or when the queue is empty. */
void sds_sub_send(struct sds_sub *sub);
/* Takes ACK or NACK in. True: it was an answer to something that we sent. */
bool sds_stream_take_answer(struct sds_stream *st, const struct sds_request *r);

void sds_stream_on_message(void *app, struct grpc_call *call,
			   struct slice message);
void sds_delta_on_message(void *app, struct grpc_call *call,
			  struct slice message);
void sds_fetch_on_message(void *app, struct grpc_call *call,
			  struct slice message);

/* Refuses a call: counted, logged, finished. */
void sds_call_refuse(struct sds_server *s, struct grpc_call *call,
		     enum grpc_status status, const char *text);

#endif
