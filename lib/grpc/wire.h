/* wire.h - inside of grpc: the bytes of one connection, for serve.c and
 * dial.c. Stream, TLS and an engine are joined; all that happens in one turn
 * of the loop goes out in one write; ends are carried out when nobody of us is
 * on the stack any more. */
#ifndef GRPC_WIRE_H
#define GRPC_WIRE_H

#include "ev/ev.h"
#include "tls/tls.h"

struct wire_ops {
	enum err (*feed)(void *arg, struct slice bytes);
	bool (*take)(void *arg, struct buf *out, size_t max);
	/* Once, when the engine's bytes can go. An error ends it. */
	enum err (*on_ready)(void *arg);
	/* In each turn in which something happened, before its output. */
	void (*on_turn)(void *arg);
	/* Nothing will come or go any more: it is closed (ERR_CLOSED). */
	bool (*is_finished)(void *arg);
	/* Once, the last: everything here is closed, free the owner. */
	void (*on_gone)(void *arg, enum err e, const char *detail);
};

struct wire {
	struct ev_loop *loop;
	struct ev_stream *stream;
	struct tls_conn *tls;
	const struct wire_ops *ops;
	void *arg;
	struct ev_defer turn;
	size_t take_max;
	unsigned busy;
	bool ready; /* on_ready was called */
	bool ended;
	bool gone;
	enum err end_err;
	char *end_detail;
};

/* Takes the stream, also on failure (then there are no callbacks). tls may be
 * NULL; server_name is the client's. */
MUST_USE enum err wire_start(struct wire *w, struct ev_stream *stream,
			     struct tls_ctx *tls, const char *server_name,
			     size_t out_max);
/* Something is to be written, or looked at: in this turn of the loop. */
void wire_wake(struct wire *w);
/* The same before this returns, unless one of us is on the stack or it is to
 * come anyhow. on_gone may be called from it. */
void wire_push(struct wire *w);
/* on_gone follows, inside this call when nobody of us is on the stack. */
void wire_end(struct wire *w, enum err e, const char *detail);

#endif
