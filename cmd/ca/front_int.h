/* front_int.h - the parts of the front role.
 *
 *   front.c          connections, links, life of the process
 *   front_conns.c    which connections are kept when there is no room
 *   front_issue.c    one request: caller, CSR, authority, answer
 *   front_pending.c  the requests that are at the authority
 *   front_turns.c    whose request is worked on next
 *   front_serving.c  the chain that is answered with; our own certificate
 *   front_jwks.c     key sets of token issuers; requests that wait for one
 *   front_health.c   gRPC health */
#ifndef CA_FRONT_INT_H
#define CA_FRONT_INT_H

#include "base/metric.h"
#include "base/secret.h"
#include "ca/conf.h"
#include "ca/limit.h"
#include "ca/metrics.h"
#include "ca/msg.h"
#include "ca/queue.h"
#include "ca/seen.h"
#include "ev/ev.h"
#include "grpc/serve.h"
#include "ipc/ipc.h"
#include "ipc/role.h"
#include "ra/ra.h"
#include "tls/tls.h"

enum {
	REQUEST_ID_LEN = 32,
	REQUEST_IDS = 64, /* one system call for so many */
	FRONT_METHODS_MAX = 4
};

/* What follows the leaf in an answer, ready-made. */
struct chain_tail {
	uint32_t generation;
	struct buf reply; /* protobuf entries: issuing chain, root bundle */
	struct buf
		ders[MSG_CHAIN_CERTS_MAX]; /* issuing chain, for our own TLS */
	size_t der_cnt;
};

struct connection {
	struct front *front;
	struct serve_conn *serve;
	struct connection *prev, *next;
	struct conn_list *list;     /* that it is in */
	size_t issue_cnt;           /* requests under way */
	uint64_t caller;            /* newest that was known: front_turns.c */
	unsigned strangers;         /* callers not known, one after the other */
	struct issue *waiting;      /* for their turn, oldest first */
	struct issue *waiting_tail; /* only the oldest is in front.turns */
	size_t waiting_cnt;
	char peer[EV_ADDR_TEXT_MAX];
};

/* Longest unused first. */
struct conn_list {
	struct connection *head, *tail;
};

/* One CreateCertificate under way; lives as long as its call. */
struct issue {
	struct ca_queue_item turn; /* first */
	struct issue *wait_next, *wait_prev;
	bool waits; /* in the connection's list */
	struct front *front;
	struct connection *conn;
	struct grpc_call *call;
	uint32_t slot; /* in front.pending; UINT32_MAX: not asked */
	struct mono started;
	struct mono deadline;
	char request_id[REQUEST_ID_LEN + 1];
	uint64_t retry_ms; /* of a refusal; 0: nothing is known */
	struct ra_result who;
	bool authenticated;
	bool got_message;
	/* While it waits for a key set: */
	struct issue *parked_next;
	int parked_for; /* issuer index, -1: not parked */
	struct secret *authorization;
	struct buf message;
};

struct pending {
	struct issue *issue; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

struct jwks_source {
	char *file; /* or NULL */
	char *url;
	char *ca_file;
	int64_t refresh_ms;
	struct ev_watch *watch;
	struct ev_timer *timer;
	struct mono asked; /* last fetch */
	bool asking;
	bool warned;
	struct front *front;
	size_t index;
};

struct front {
	struct role *role;
	struct ev_loop *loop;
	struct ca_conf conf;
	struct metric_block *metrics;
	struct ra *ra;
	uint64_t token_hits; /* of ra's memory, counted so far */
	struct ra_jwt_issuer *issuers;
	struct jwks_source *sources;
	size_t source_cnt;
	struct issue *parked;
	struct ipc *authority;
	struct ev_timer *alone; /* runs while there is no authority */
	struct ipc *fetch;
	struct tls_ctx *tls;
	struct chain_tail *chain;     /* newest; NULL: none yet */
	struct chain_tail *chain_old; /* the one before it */
	struct custody_key *serving_key;
	struct ev_timer *serving_timer;
	struct buf serving_cert_pem;
	struct secret *serving_key_pem;
	bool serving_asked;
	bool serving_wanted; /* a new one, and it is not there yet */
	struct wall serving_begins, serving_renew_at;
	int listen_fd;
	struct ev_listener *listener;
	struct serve_opts serve;
	struct grpc_budget budget;
	struct grpc_method methods[FRONT_METHODS_MAX];
	struct conn_list strangers; /* connections without a known caller yet */
	struct conn_list known;     /* with one, and no request under way */
	struct conn_list busy;
	size_t conn_cnt, conn_max;
	struct ca_limit *callers;
	struct ca_queue *turns;
	uint64_t turns_key[2]; /* of the hashes that name callers in it */
	size_t waiting_cnt;
	struct ev_defer work;
	struct ca_seen *seen;
	struct pending *pending;
	uint32_t pending_cap, pending_free;
	size_t pending_cnt;
	struct ev_timer *sweep;
	struct buf csr_der, out; /* scratch of one callback */
	uint8_t ids[REQUEST_IDS * REQUEST_ID_LEN / 2]; /* random, to be used */
	size_t ids_left;
	bool ready;
	bool stopping;
};

/* The id of our own serving certificate's request to the authority. */
#define SERVING_REQUEST_ID UINT64_MAX

/* front.c */
/* Begins to accept, once there is all that answers need. */
void front_serve(struct front *f);

/* front_conns.c */
/* False: it is not taken, there is no room. */
bool front_make_room(struct front *f);
void conns_add(struct conn_list *list, struct connection *c);
void conns_remove(struct connection *c);
/* A caller was known on it, or not; the latter may end it. */
void connection_note_caller(struct connection *c, bool known, uint64_t caller);
/* One of its requests is over. */
void connection_note_end(struct connection *c);

/* front_turns.c */
/* The request is whole: it waits in is->message for its turn. ERR_EXCESS,
 * ERR_BUSY: it does not. */
MUST_USE enum err front_wait_turn(struct issue *is);
/* Nothing happens where it does not wait. */
void front_leave_turn(struct issue *is);
/* A number for who asks. */
uint64_t issue_caller(const struct issue *is);
void front_turns_open(struct front *f);

/* front_issue.c */
/* Its turn has come. */
void issue_work(struct issue *is);
void issue_refuse(struct issue *is, enum err e, const char *text);
/* The methods, with the limits of the configuration. */
void front_set_methods(struct front *f);
void front_take_result(struct front *f, uint64_t id,
		       const struct msg_result *m);
/* Entries of an IstioCertificateResponse, appended to out. */
void reply_put_cert(struct buf *out, struct slice der);
void reply_put_text(struct buf *out, struct slice text);
/* Authenticates again what waited for a key set. */
void issue_unpark(struct issue *is);
/* Refuses what waited for a key set too long. */
void issue_give_up(struct issue *is);

/* front_pending.c */
/* The id for the authority. */
uint64_t pending_add(struct front *f, struct issue *is);
/* Nothing happens where it is not there. */
void pending_remove(struct front *f, struct issue *is);
/* NULL: it has gone. */
struct issue *pending_find(struct front *f, uint64_t id);
/* Looks after those that wait, each second, while there are any. */
void front_start_sweep(struct front *f);
/* The authority is gone: whoever waits is told to come again. */
void front_fail_pending(struct front *f);

/* front_health.c: its methods */
void health_on_open(void *app, struct grpc_call *call);
void health_on_check(void *app, struct grpc_call *call, struct slice message);
void health_on_watch(void *app, struct grpc_call *call, struct slice message);

/* front_serving.c */
MUST_USE enum err front_take_chain(struct front *f, const struct msg_chain *m);
const struct chain_tail *front_find_chain(const struct front *f,
					  uint32_t generation);
void front_take_serving(struct front *f, const struct msg_result *m);
void front_ask_serving(struct front *f);
void front_take_serving_file(struct front *f, const char *name, int fd);
void front_serving_free(struct front *f);

/* front_jwks.c */
MUST_USE enum err front_jwks_open(struct front *f, struct why *why);
/* Called when fetch is linked (again). */
void front_jwks_start(struct front *f);
void front_jwks_take(struct front *f, uint64_t id, const struct msg_fetched *m);
/* Parks a request whose token's key is unknown, when fetching may help. */
bool front_jwks_park(struct front *f, struct issue *is, struct slice header);
/* Gives up those whose deadline has passed. */
void front_jwks_expire(struct front *f, struct mono now);
void front_jwks_forget(struct front *f, struct issue *is);
void front_jwks_free(struct front *f);

#endif
