/* serve.h - gRPC connections on the event loop: stream + (TLS) + grpc engine.
 *
 * What front, admin socket, agent socket and clients all need, written once:
 * bytes go stream -> tls -> grpc and back, one write per turn of the loop,
 * reading pauses while the peer does not take its answers, deadlines and idle
 * and handshake timeouts run, and conn_drop is right in every state. */
#ifndef GRPC_SERVE_H
#define GRPC_SERVE_H

#include "ev/ev.h"
#include "grpc/grpc.h"
#include "tls/tls.h"

struct serve_conn;

struct serve_opts {
	const struct grpc_method *methods;
	struct h2_limits limits;
	struct grpc_budget *budget;    /* NULL: none */
	struct tls_ctx *tls;           /* NULL: plaintext */
	uint64_t handshake_timeout_ms; /* TLS; 0: none */
	uint64_t idle_timeout_ms;      /* no call open; 0: none */
	size_t out_max;                /* bytes waiting for a slow reader */
	/* The connection is ready for calls. An error closes it. May be NULL */
	enum err (*on_ready)(void *app, struct serve_conn *c);
	/* Gone; once, always. detail says why, for the log. May be NULL. */
	void (*on_close)(void *app, struct serve_conn *c, enum err e,
			 const char *detail);
	void *app; /* given to on_ready, on_close, and to grpc_method callbacks
		      as their `app` is the struct serve_conn: use
		      serve_conn_get_app */
};

/* Takes the stream (also on failure). The connection frees itself when it
 * ends. opts is kept and must outlive all its connections. */
enum err serve_conn_start(struct ev_loop *loop, struct ev_stream *stream,
			  const struct serve_opts *opts,
			  struct serve_conn **out);
void serve_conn_drop(struct serve_conn *c, enum err e, const char *detail);
/* GOAWAY, then ends when its calls are over. */
void serve_conn_shutdown(struct serve_conn *c);
void *serve_conn_get_app(const struct serve_conn *c);
/* NULL without TLS. */
const struct tls_peer *serve_conn_get_peer(const struct serve_conn *c);
struct ev_stream *serve_conn_get_stream(const struct serve_conn *c);
/* State that the application hangs on one connection. */
void serve_conn_set_state(struct serve_conn *c, void *state);
void *serve_conn_get_state(const struct serve_conn *c);
/* The connection that a call belongs to is the `app` of its method callbacks.
 * After grpc_call_send or grpc_call_finish outside of a callback of this
 * connection, this gets the bytes on their way at the end of the turn. */
void serve_conn_wake(struct serve_conn *c);
/* The same for who pushes one thing to many connections: those with one call
 * are written to at once, while what is to be sent and the connection are in
 * the processor's cache. The connection and its calls may be gone after it. */
void serve_conn_push(struct serve_conn *c);

/* -- client side: one connection to one server. */
struct dial_conn;
struct dial_opts {
	const char *addr;        /* as ev_connect_start */
	const char *authority;   /* NULL: addr */
	struct tls_ctx *tls;     /* NULL: plaintext */
	const char *server_name; /* TLS: as tls_conn_new */
	struct h2_limits limits;
	uint64_t timeout_ms; /* to be ready */
	/* Exactly one of: ready, or closed. Then closed once when it ends. In
	 * on_close the object is gone: clear the pointer to it. Requests that
	 * were under way have ended before. */
	void (*on_ready)(void *arg, struct dial_conn *c);
	void (*on_close)(void *arg, enum err e, const char *detail);
	void *arg;
};
/* opts' strings are copied; tls must outlive the connecting. */
MUST_USE enum err dial_start(struct ev_loop *loop, const struct dial_opts *opts,
			     struct dial_conn **out);
struct grpc_client *dial_get_client(struct dial_conn *c);
void dial_wake(struct dial_conn *c);
/* No on_close after. Requests under way still end with on_finish, inside this
 * call or, from inside a callback of this connection, soon after it: cancel
 * first those whose owner goes away. */
void dial_close(struct dial_conn **c, const char *why);

#endif
