/* serve.c - the server's connections on the loop: see serve.h.
 *
 * Timers are lazy: a request neither starts nor stops one. The guard (first
 * the handshake's, then the idle one) looks when it fires whether there was
 * work since; the deadline timer is moved only to earlier. */
#include "grpc/serve.h"

#include <stdio.h>

#include "base/mem.h"
#include "grpc/wire.h"

struct serve_conn {
	struct wire wire;
	const struct serve_opts *opts;
	struct grpc_server *server;
	void *state;
	struct ev_timer *guard;
	struct ev_timer *deadline;
	struct mono deadline_at;
	struct mono active; /* a call was open then */
	uint64_t seen;      /* calls, up to then */
	bool heard;         /* the peer said something */
	bool announced;     /* on_close is owed */
};

static void arm_guard(struct serve_conn *c, uint64_t after_ms);

/* -- timers ------------------------------------------------------------ */

static void
shut_idle(struct serve_conn *c)
{
	grpc_server_shutdown(c->server);
	wire_wake(&c->wire);
	/* If the peer does not take even that, the next one cuts it. */
	arm_guard(c, c->opts->idle_timeout_ms);
}

static void
on_guard(void *arg)
{
	struct serve_conn *c = arg;
	const uint64_t idle_max = c->opts->idle_timeout_ms;
	const uint64_t idle = mono_diff_ms(mono_now(), c->active);

	if (!c->wire.ready) {
		wire_end(&c->wire, ERR_TIMEOUT,
			 "the TLS handshake took too long");
		return;
	}
	if (grpc_server_call_count(c->server) > 0) {
		c->active = mono_now();
		arm_guard(c, idle_max);
	} else if (idle < idle_max) {
		arm_guard(c, idle_max - idle);
	} else if (idle < 2 * idle_max) {
		shut_idle(c);
	} else {
		wire_end(&c->wire, ERR_TIMEOUT, "idle");
	}
}

static void
arm_guard(struct serve_conn *c, uint64_t after_ms)
{
	ev_timer_cancel(&c->guard);
	if (after_ms > 0 && ev_timer_start(c->wire.loop, after_ms, on_guard, c,
					   &c->guard) != ERR_OK)
		wire_end(&c->wire, ERR_NO_MEMORY, "no timer");
}

static void
on_deadline(void *arg)
{
	struct serve_conn *c = arg;

	wire_wake(&c->wire);
}

static void
check_deadlines(struct serve_conn *c)
{
	const struct mono now = mono_now();
	struct mono next;

	if (!grpc_server_expire(c->server, now, &next))
		return;
	if (c->deadline != NULL && !mono_is_before(next, c->deadline_at))
		return;
	ev_timer_cancel(&c->deadline);
	c->deadline_at = next;
	if (ev_timer_start(c->wire.loop, mono_diff_ms(next, now) + 1,
			   on_deadline, c, &c->deadline) != ERR_OK)
		wire_end(&c->wire, ERR_NO_MEMORY, "no timer");
}

/* -- the wire ---------------------------------------------------------- */

static enum err
serve_feed(void *arg, struct slice bytes)
{
	struct serve_conn *c = arg;
	const struct mono now = mono_now();
	const bool was_busy = grpc_server_call_count(c->server) > 0;
	const enum err ret = grpc_server_feed(c->server, bytes, now);
	const uint64_t seen = grpc_server_call_total(c->server);

	/* Pings are no work: who only sends them is idle. */
	if (was_busy || seen != c->seen)
		c->active = now;
	c->seen = seen;
	c->heard = true;
	return ret;
}

static bool
serve_take(void *arg, struct buf *out, size_t max)
{
	struct serve_conn *c = arg;

	/* A client speaks first, without waiting (RFC 9113 3.4): our settings
	 * go together with the answer to its own. */
	if (!c->heard)
		return false;
	return grpc_server_take_output(c->server, out, max);
}

static enum err
serve_ready(void *arg)
{
	struct serve_conn *c = arg;

	c->active = mono_now();
	arm_guard(c, c->opts->idle_timeout_ms);
	if (c->opts->on_ready == NULL)
		return ERR_OK;
	return c->opts->on_ready(c->opts->app, c);
}

static void
serve_turn(void *arg)
{
	check_deadlines(arg);
}

static bool
serve_is_finished(void *arg)
{
	const struct serve_conn *c = arg;

	return grpc_server_is_finished(c->server);
}

static void
serve_gone(void *arg, enum err e, const char *detail)
{
	struct serve_conn *c = arg;

	ev_timer_cancel(&c->guard);
	ev_timer_cancel(&c->deadline);
	grpc_server_free(c->server);
	if (c->announced && c->opts->on_close != NULL)
		c->opts->on_close(c->opts->app, c, e, detail);
	mem_free(c);
}

static const struct wire_ops serve_ops = {
	.feed = serve_feed,
	.take = serve_take,
	.on_ready = serve_ready,
	.on_turn = serve_turn,
	.is_finished = serve_is_finished,
	.on_gone = serve_gone,
};

/* -- the interface ----------------------------------------------------- */

enum err
serve_conn_start(struct ev_loop *loop, struct ev_stream *stream,
		 const struct serve_opts *opts, struct serve_conn **out)
{
	enum err ret;
	struct serve_conn *c = mem_try_new(sizeof(*c));

	if (out != NULL)
		*out = NULL;
	if (c == NULL) {
		ev_stream_close(&stream, 0);
		return ERR_NO_MEMORY;
	}
	c->opts = opts;
	c->active = mono_now();
	c->wire.loop = loop;
	c->wire.ops = &serve_ops;
	c->wire.arg = c;
	ret = grpc_server_new(opts->methods, &opts->limits, c, &c->server);
	if (ret != ERR_OK) {
		ev_stream_close(&stream, 0);
		goto out;
	}
	grpc_server_set_budget(c->server, opts->budget);
	ret = wire_start(&c->wire, stream, opts->tls, NULL, opts->out_max);
	if (ret != ERR_OK)
		goto out;
	c->announced = true;
	c->wire.busy++; /* an end is left to the first turn */
	if (opts->tls != NULL)
		arm_guard(c, opts->handshake_timeout_ms);
	c->wire.busy--;
	if (out != NULL)
		*out = c;
	return ERR_OK;
out:
	grpc_server_free(c->server);
	mem_free(c);
	return ret;
}

void
serve_conn_drop(struct serve_conn *c, enum err e, const char *detail)
{
	wire_end(&c->wire, e, detail);
}

void
serve_conn_shutdown(struct serve_conn *c)
{
	grpc_server_shutdown(c->server);
	wire_wake(&c->wire);
}

void *
serve_conn_get_app(const struct serve_conn *c)
{
	return c->opts->app;
}

const struct tls_peer *
serve_conn_get_peer(const struct serve_conn *c)
{
	return c->wire.tls == NULL ? NULL : tls_conn_get_peer(c->wire.tls);
}

struct ev_stream *
serve_conn_get_stream(const struct serve_conn *c)
{
	return c->wire.stream;
}

void
serve_conn_set_state(struct serve_conn *c, void *state)
{
	c->state = state;
}

void *
serve_conn_get_state(const struct serve_conn *c)
{
	return c->state;
}

void
serve_conn_wake(struct serve_conn *c)
{
	wire_wake(&c->wire);
}

void
serve_conn_push(struct serve_conn *c)
{
	if (grpc_server_call_count(c->server) == 1)
		wire_push(&c->wire);
	else
		wire_wake(&c->wire);
}
