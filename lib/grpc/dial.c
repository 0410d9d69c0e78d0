/* dial.c - the client's connections on the loop: see serve.h. */
#include <stdio.h>

#include "base/mem.h"
#include "grpc/serve.h"
#include "grpc/wire.h"

enum {
	OUT_MAX = 256 * 1024
};

struct dial_conn {
	struct wire wire;
	struct grpc_client *client;
	struct ev_loop *loop;
	struct ev_connect *connect;
	struct ev_timer *timeout;
	struct tls_ctx *tls;
	char *addr;
	char *server_name;
	void (*on_ready)(void *arg, struct dial_conn *c);
	void (*on_close)(void *arg, enum err e, const char *detail);
	void *arg;
	bool linked; /* the wire runs */
	bool quiet;  /* closed by the owner: no callbacks */
	bool gone;   /* on_close is running or done */
};

static void
dial_destroy(struct dial_conn *c, const char *why)
{
	ev_connect_cancel(&c->connect);
	ev_timer_cancel(&c->timeout);
	grpc_client_free(c->client, why);
	mem_free(c->addr);
	mem_free(c->server_name);
	mem_free(c);
}

/* The end, however it came. */
static void
dial_gone(void *arg, enum err e, const char *detail)
{
	struct dial_conn *c = arg;
	char *text = c->quiet ? mem_dup_str(detail)
			      : mem_printf("%s: %s", c->addr, detail);

	c->gone = true;
	/* Its requests end first: who asked may still look at the owner. */
	grpc_client_free(TAKE(c->client), text);
	if (!c->quiet)
		c->on_close(c->arg, e, text);
	dial_destroy(c, text);
	mem_free(text);
}

/* -- the wire ---------------------------------------------------------- */

static enum err
dial_feed(void *arg, struct slice bytes)
{
	struct dial_conn *c = arg;

	return grpc_client_feed(c->client, bytes, mono_now());
}

static bool
dial_take(void *arg, struct buf *out, size_t max)
{
	struct dial_conn *c = arg;

	return grpc_client_take_output(c->client, out, max);
}

static enum err
dial_ready(void *arg)
{
	struct dial_conn *c = arg;

	ev_timer_cancel(&c->timeout);
	if (!c->quiet)
		c->on_ready(c->arg, c);
	return ERR_OK;
}

static void
dial_turn(void *arg UNUSED)
{
}

static bool
dial_is_finished(void *arg)
{
	const struct dial_conn *c = arg;

	return grpc_client_is_finished(c->client);
}

static const struct wire_ops dial_ops = {
	.feed = dial_feed,
	.take = dial_take,
	.on_ready = dial_ready,
	.on_turn = dial_turn,
	.is_finished = dial_is_finished,
	.on_gone = dial_gone,
};

/* -- connecting -------------------------------------------------------- */

static void
on_connect(void *arg, enum err e, const char *detail, struct ev_stream *stream)
{
	struct dial_conn *c = arg;

	c->connect = NULL;
	if (e != ERR_OK) {
		dial_gone(c, e, detail);
		return;
	}
	e = wire_start(&c->wire, stream, c->tls, c->server_name, OUT_MAX);
	if (e != ERR_OK) {
		dial_gone(c, e, "TLS cannot start");
		return;
	}
	c->linked = true;
}

static void
on_timeout(void *arg)
{
	struct dial_conn *c = arg;

	if (c->linked)
		wire_end(&c->wire, ERR_TIMEOUT,
			 "the TLS handshake took too long");
	else
		dial_gone(c, ERR_TIMEOUT, "no connection in time");
}

enum err
dial_start(struct ev_loop *loop, const struct dial_opts *o,
	   struct dial_conn **out)
{
	enum err ret;
	struct dial_conn *c = MEM_NEW(struct dial_conn);

	*out = NULL;
	c->loop = loop;
	c->tls = o->tls;
	c->addr = mem_dup_str(o->addr);
	if (o->server_name != NULL)
		c->server_name = mem_dup_str(o->server_name);
	c->on_ready = o->on_ready;
	c->on_close = o->on_close;
	c->arg = o->arg;
	c->wire.loop = loop;
	c->wire.ops = &dial_ops;
	c->wire.arg = c;
	ret = grpc_client_new(o->authority != NULL ? o->authority : o->addr,
			      o->tls != NULL, &o->limits, &c->client);
	if (ret == ERR_OK && o->timeout_ms > 0)
		ret = ev_timer_start(loop, o->timeout_ms, on_timeout, c,
				     &c->timeout);
	if (ret == ERR_OK)
		ret = ev_connect_start(loop, o->addr, o->timeout_ms, on_connect,
				       c, &c->connect);
	if (ret != ERR_OK) {
		dial_destroy(c, "");
		return ret;
	}
	*out = c;
	return ERR_OK;
}

struct grpc_client *
dial_get_client(struct dial_conn *c)
{
	return c->client;
}

void
dial_wake(struct dial_conn *c)
{
	if (c->linked)
		wire_wake(&c->wire);
}

void
dial_close(struct dial_conn **cp, const char *why)
{
	struct dial_conn *c = TAKE(*cp);

	if (c == NULL)
		return;
	c->quiet = true;
	if (c->gone)
		return;
	if (c->linked)
		wire_end(&c->wire, ERR_CANCELLED, why);
	else
		dial_gone(c, ERR_CANCELLED, why);
}
