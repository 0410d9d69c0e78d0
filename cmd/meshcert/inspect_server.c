/* inspect_server.c - the chain that a TLS server presents. The handshake goes
 * no further than its certificate: whom we would trust is meshcert verify's
 * question. */
#include "base/mem.h"
#include "ev/ev.h"
#include "meshcert/inspect_int.h"
#include "tls/tls.h"

struct server {
	struct inspect *in;
	const char *addr;
	const char *server_name;
	struct ev_loop *loop;
	struct ev_connect *connect;
	struct ev_stream *stream;
	struct ev_timer *timer;
	struct tls_ctx *ctx;
	struct tls_conn *conn;
	struct why *why;
	size_t cnt; /* certificates seen */
	bool done;
	enum err err;
};

static void
server_end(struct server *s, enum err e)
{
	if (s->done)
		return;
	s->done = true;
	s->err = e;
	ev_loop_stop(s->loop);
}

static void
server_on_chain(void *arg, const struct slice *chain, size_t cnt)
{
	struct server *s = arg;

	for (size_t i = 0; i < cnt; i++)
		inspect_put_cert(s->in, s->addr, i, chain[i]);
	s->cnt = cnt;
}

static void
server_on_data(void *arg, struct slice bytes)
{
	(void)arg;
	(void)bytes;
}

static void
server_on_done(void *arg)
{
	server_end(arg, ERR_OK);
}

static void
server_flush(struct server *s)
{
	struct slice out = tls_conn_get_output(s->conn);

	if (out.len > 0 && ev_stream_write(s->stream, out) == ERR_OK)
		tls_conn_consume(s->conn, out.len);
}

static void
server_on_output(void *arg)
{
	server_flush(arg);
}

static void
server_on_read(void *arg, struct slice bytes)
{
	struct server *s = arg;
	enum err e = tls_conn_feed(s->conn, bytes, s->why);

	server_flush(s);
	/* We trust nobody, so that the handshake ends behind the chain. */
	if (e != ERR_OK)
		server_end(s, s->cnt > 0
				      ? ERR_OK
				      : why_prefix(s->why, e, "%s", s->addr));
}

static void
server_on_close(void *arg, enum err why)
{
	struct server *s = arg;

	server_end(s, s->cnt > 0 ? ERR_OK
				 : why_set(s->why, why,
					   "%s: the connection ended before a "
					   "certificate came: is this a TLS "
					   "server?",
					   s->addr));
}

static void
server_on_connect(void *arg, enum err e, const char *detail,
		  struct ev_stream *stream)
{
	static const struct tls_conn_cbs cbs = {
		.on_data = server_on_data,
		.on_handshake_done = server_on_done,
		.on_output = server_on_output,
		.on_peer_chain = server_on_chain,
	};
	static const struct ev_stream_cbs stream_cbs = {
		.on_read = server_on_read, .on_close = server_on_close};
	struct server *s = arg;

	if (e != ERR_OK) {
		server_end(s, why_set(s->why, e, "%s", detail));
		return;
	}
	s->stream = stream;
	ev_stream_start(stream, &stream_cbs, s, 1 << 20);
	e = tls_conn_new(s->ctx, s->server_name, wall_now, &cbs, s, &s->conn);
	if (e == ERR_OK)
		e = tls_conn_start(s->conn, s->why);
	if (e == ERR_OK)
		server_flush(s);
	else
		server_end(s, why_prefix(s->why, e, "%s", s->addr));
}

static void
server_on_timeout(void *arg)
{
	struct server *s = arg;

	server_end(s, why_set(s->why, ERR_TIMEOUT,
			      "%s: no certificate within %d ms", s->addr,
			      CMD_TIMEOUT_MS));
}

/* see inspect_int.h */
enum err
inspect_server(struct inspect *in, const char *addr, const char *server_name,
	       struct why *why)
{
	static const char *const alpn[] = {"h2", "http/1.1", NULL};
	struct tls_ctx_opts opts = {
		.role = TLS_CLIENT, .peer = TLS_PEER_REQUIRED, .alpn = alpn};
	struct server s = {
		.in = in, .addr = addr, .server_name = server_name, .why = why};
	enum err e;

	if ((e = tls_ctx_new(&opts, &s.ctx)) != ERR_OK)
		return why_set(why, e, "TLS: %s", err_text(e));
	e = ev_loop_new(&s.loop);
	if (e == ERR_OK)
		e = ev_connect_start(s.loop, addr, CMD_TIMEOUT_MS,
				     server_on_connect, &s, &s.connect);
	if (e == ERR_OK)
		e = ev_timer_start(s.loop, CMD_TIMEOUT_MS, server_on_timeout,
				   &s, &s.timer);
	if (e == ERR_OK) {
		ev_loop_run(s.loop);
		e = s.err;
	} else {
		(void)why_set(why, e, "%s: this is no HOST:PORT", addr);
	}
	ev_timer_cancel(&s.timer);
	ev_connect_cancel(&s.connect);
	tls_conn_free(s.conn);
	ev_stream_close(&s.stream, 0);
	tls_ctx_free(s.ctx);
	if (s.loop != NULL)
		ev_loop_free(s.loop);
	return e;
}
