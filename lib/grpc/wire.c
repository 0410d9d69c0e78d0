/* wire.c - see wire.h. */
#include "grpc/wire.h"

#include "base/mem.h"
#include "base/secret.h"

enum {
	TAKE_MAX = 64 * 1024,
	TAKE_MIN = 4096,
	/* Records, and a handshake's messages, beside the payload. */
	TLS_ROOM = 8192,
	LINGER_MS = 2000
};

static struct slice
pending(struct wire *w, const struct buf *plain)
{
	return w->tls != NULL ? tls_conn_get_output(w->tls) : buf_get(plain);
}

/* Hands to the kernel what is ready. False: no more can go now. */
static bool
write_out(struct wire *w, const struct buf *plain)
{
	struct slice bytes = pending(w, plain);
	enum err e = ev_stream_write(w->stream, bytes);

	if (w->tls != NULL)
		tls_conn_consume(w->tls, bytes.len);
	if (e != ERR_OK) {
		wire_end(w, e, "the answer could not be written");
		return false;
	}
	return ev_stream_out_len(w->stream) == 0;
}

/* The engine's next output into out, and on its way. False: that is all, or all
 * that can go now. */
static bool
flush_some(struct wire *w, struct buf *out)
{
	bool more = w->ops->take(w->arg, out, w->take_max);
	enum err e = ERR_OK;

	if (buf_len(out) == 0)
		return false;
	if (w->tls != NULL)
		e = tls_conn_write(w->tls, buf_get(out));
	if (e != ERR_OK)
		wire_end(w, e, "TLS: the answer cannot be encrypted");
	return e == ERR_OK && write_out(w, out) && more;
}

/* The engine's output, as much as the kernel takes. */
static void
flush(struct wire *w)
{
	struct buf *out = ev_loop_get_scratch(w->loop);
	bool more = true;

	if (w->tls != NULL && !write_out(w, out))
		more = false;
	while (more && w->ready && !w->gone &&
	       ev_stream_out_len(w->stream) == 0) {
		more = flush_some(w, out);
		/* An answer may hold a key. */
		if (out->end > 0)
			secret_wipe(out->p, out->end);
		buf_reset(out);
	}
	/* Who does not take its answers may not ask for more. */
	ev_stream_pause(w->stream, ev_stream_out_len(w->stream) > 0);
}

static void
carry_out_end(struct wire *w)
{
	char *detail = TAKE(w->end_detail);
	uint64_t linger_ms = LINGER_MS;

	w->gone = true;
	if (w->tls != NULL) {
		tls_conn_shutdown(w->tls);
		if (ev_stream_write(w->stream, tls_conn_get_output(w->tls)) !=
		    ERR_OK)
			linger_ms = 0;
	}
	ev_defer_cancel(&w->turn);
	ev_stream_close(&w->stream, linger_ms);
	tls_conn_free(TAKE(w->tls));
	w->ops->on_gone(w->arg, w->end_err, detail);
	mem_free(detail); /* w is gone */
}

static void
leave(struct wire *w)
{
	if (--w->busy == 0 && w->ended && !w->gone)
		carry_out_end(w);
}

void
wire_end(struct wire *w, enum err e, const char *detail)
{
	if (w->ended)
		return;
	w->ended = true;
	w->end_err = e;
	w->end_detail = mem_dup_str(detail);
	if (w->busy == 0)
		carry_out_end(w);
}

static void
announce(struct wire *w)
{
	enum err e;

	if (w->ready || w->ended ||
	    (w->tls != NULL && !tls_conn_is_ready(w->tls)))
		return;
	w->ready = true;
	if ((e = w->ops->on_ready(w->arg)) != ERR_OK)
		wire_end(w, e, "refused");
}

static void feed(struct wire *w, struct slice bytes);

static void
on_turn(void *arg)
{
	struct wire *w = arg;

	w->busy++;
	announce(w);
	if (!w->ended)
		w->ops->on_turn(w->arg);
	flush(w);
	if (!w->ended && w->ops->is_finished(w->arg)) {
		/* The engine may have ended it for what the peer sent. */
		feed(w, SLICE_NONE);
		wire_end(w, ERR_CLOSED, "ended");
	}
	leave(w);
}

void
wire_wake(struct wire *w)
{
	if (!w->gone)
		ev_defer_queue(w->loop, &w->turn, on_turn, w);
}

void
wire_push(struct wire *w)
{
	if (w->gone || w->busy > 0 || w->turn.loop != NULL)
		wire_wake(w);
	else
		on_turn(w);
}

/* -- input ------------------------------------------------------------- */

static void
feed(struct wire *w, struct slice bytes)
{
	enum err e;

	if (w->ended)
		return;
	e = w->ops->feed(w->arg, bytes);
	if (e == ERR_LIMIT)
		wire_end(w, e,
			 "HTTP/2: the peer sends too many frames that "
			 "ask for nothing, or too large ones");
	else if (e != ERR_OK)
		wire_end(w, e, "HTTP/2: protocol error of the peer");
}

/* Output of the last moment (GOAWAY, alert) still goes; then the end that
 * feed noted is carried out. */
static void
after_input(struct wire *w)
{
	if (w->ended)
		flush(w);
	else
		wire_wake(w);
	leave(w);
}

static void
on_read(void *arg, struct slice bytes)
{
	struct wire *w = arg;
	struct why why = {{0}};
	enum err e;

	w->busy++;
	if (w->tls == NULL) {
		feed(w, bytes);
	} else {
		e = tls_conn_feed(w->tls, bytes, &why);
		if (e == ERR_CLOSED)
			wire_end(w, e, "closed by the peer");
		else if (e != ERR_OK)
			wire_end(w, e, why_text(&why, e));
	}
	after_input(w);
}

static void
on_tls_data(void *arg, struct slice bytes)
{
	struct wire *w = arg;

	/* The first request may come with the end of the handshake. */
	announce(w);
	feed(w, bytes);
}

static void
on_tls_done(void *arg)
{
	wire_wake(arg);
}

static void
on_tls_output(void *arg)
{
	struct wire *w = arg;

	/* A key answered, between turns. A failure shows at the next feed:
	 * provoke it, so that nobody waits for the peer to speak. */
	w->busy++;
	if (!tls_conn_is_ready(w->tls)) {
		struct why why = {{0}};
		enum err e = tls_conn_feed(w->tls, SLICE_NONE, &why);

		if (e != ERR_OK)
			wire_end(w, e, why_text(&why, e));
	}
	after_input(w);
}

static void
on_stream_drain(void *arg)
{
	wire_wake(arg);
}

static void
on_stream_close(void *arg, enum err e)
{
	struct wire *w = arg;

	wire_end(w, e,
		 e == ERR_CLOSED ? "closed by the peer"
				 : "the connection broke");
}

/* -- start ------------------------------------------------------------- */

static enum err
start_tls(struct wire *w, struct tls_ctx *ctx, const char *server_name)
{
	static const struct tls_conn_cbs cbs = {
		.on_data = on_tls_data,
		.on_handshake_done = on_tls_done,
		.on_output = on_tls_output,
	};

	return tls_conn_new(ctx, server_name, wall_now, &cbs, w, &w->tls);
}

enum err
wire_start(struct wire *w, struct ev_stream *stream, struct tls_ctx *tls,
	   const char *server_name, size_t out_max)
{
	static const struct ev_stream_cbs cbs = {
		.on_read = on_read,
		.on_drain = on_stream_drain,
		.on_close = on_stream_close,
	};
	enum err ret;

	w->stream = stream;
	w->take_max = out_max < TAKE_MAX ? out_max : TAKE_MAX;
	if (w->take_max < TAKE_MIN)
		w->take_max = TAKE_MIN;
	if (tls != NULL) {
		ret = start_tls(w, tls, server_name);
		if (ret == ERR_OK && server_name != NULL)
			ret = tls_conn_start(w->tls, NULL);
		if (ret != ERR_OK) {
			tls_conn_free(TAKE(w->tls));
			ev_stream_close(&w->stream, 0);
			return ret;
		}
	}
	ev_stream_start(stream, &cbs, w, w->take_max + TLS_ROOM + out_max);
	wire_wake(w);
	return ERR_OK;
}
