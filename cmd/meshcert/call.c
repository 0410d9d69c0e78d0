/* call.c - one gRPC call: see call.h. */
#include "meshcert/call.h"

#include "base/mem.h"
#include "grpc/serve.h"

enum {
	CALL_ANSWER_MAX = 16 << 20
};

struct call_state {
	const struct call *c;
	struct ev_loop *loop;
	struct dial_conn *conn;
	struct grpc_request *request;
	struct ev_timer *timer;
	struct call_answer *out;
	struct why *why;
	bool answered; /* by a status or, in a stream, by a message */
	enum err err;
};

static void
call_end(struct call_state *s, enum err e)
{
	s->err = e;
	ev_loop_stop(s->loop);
}

static void
call_on_message(void *arg, struct grpc_request *r, struct slice message)
{
	struct call_state *s = arg;

	(void)r;
	if (s->out->message != NULL)
		return;
	if (secret_dup(message, &s->out->message) != ERR_OK) {
		call_end(s, why_set(s->why, ERR_NO_MEMORY,
				    "no memory for the answer"));
		return;
	}
	if (s->c->is_stream) {
		s->answered = true;
		s->out->status = GRPC_OK;
		call_end(s, ERR_OK);
	}
}

static void
call_on_finish(void *arg, struct grpc_request *r, enum grpc_status status,
	       const char *text)
{
	struct call_state *s = arg;

	(void)r;
	s->request = NULL;
	if (s->answered || s->err != ERR_OK)
		return;
	/* A connection that is lost ends its calls this way, too: on_close
	 * says more. */
	s->answered = true;
	s->out->status = status;
	(void)why_set(&s->out->text, ERR_OK, "%s", text);
	call_end(s, ERR_OK);
}

static void
call_on_ready(void *arg, struct dial_conn *conn)
{
	static const struct grpc_request_cbs cbs = {
		.on_message = call_on_message, .on_finish = call_on_finish};
	struct call_state *s = arg;
	const struct call *c = s->c;
	enum err e;

	/* The deadline of a stream is for its first message, which is not what
	 * the server would understand. */
	e = grpc_client_start(dial_get_client(conn), c->path, c->headers,
			      c->header_cnt, c->request, !c->is_stream,
			      c->is_stream ? 0 : c->timeout_ms, CALL_ANSWER_MAX,
			      &cbs, s, &s->request);
	if (e != ERR_OK)
		call_end(s, why_set(s->why, e,
				    "%s: the request cannot be "
				    "sent: %s",
				    c->addr, err_text(e)));
	else
		dial_wake(conn);
	s->out->asked = e == ERR_OK;
}

static void
call_on_close(void *arg, enum err e, const char *detail)
{
	struct call_state *s = arg;

	s->conn = NULL;
	s->request = NULL;
	/* The call ended in the same breath, because of this. */
	if (s->answered && s->out->status != GRPC_UNAVAILABLE)
		return;
	call_end(s,
		 why_set(s->why, e == ERR_OK ? ERR_CLOSED : e, "%s", detail));
}

static void
call_on_timeout(void *arg)
{
	struct call_state *s = arg;

	call_end(s, why_set(s->why, ERR_TIMEOUT, "%s: no answer within %llu ms",
			    s->c->addr, (unsigned long long)s->c->timeout_ms));
}

static enum err
call_start(struct call_state *s)
{
	struct dial_opts opts = {
		.addr = s->c->addr,
		.authority =
			s->c->authority != NULL ? s->c->authority : "localhost",
		.tls = s->c->tls,
		.server_name = s->c->server_name,
		.limits = {.streams_max = 16,
			   .header_bytes_max = 65536,
			   .stream_out_max = 1 << 20,
			   .window = 1 << 20,
			   .header_table = 4096,
			   .cheap_frames_max = 10000},
		.timeout_ms = s->c->timeout_ms,
		.on_ready = call_on_ready,
		.on_close = call_on_close,
		.arg = s,
	};
	enum err e;

	e = dial_start(s->loop, &opts, &s->conn);
	if (e != ERR_OK)
		return why_set(s->why, e,
			       "%s: this is no address to connect to (%s); "
			       "\"host:port\" or \"unix:/path\" is needed",
			       s->c->addr, err_text(e));
	return ev_timer_start(s->loop, s->c->timeout_ms, call_on_timeout, s,
			      &s->timer);
}

/* see call.h */
enum err
call_run(const struct call *c, struct why *why, struct call_answer *out)
{
	struct call_state s = {.c = c, .out = out, .why = why};
	enum err e;

	*out = (struct call_answer){.status = GRPC_UNKNOWN};
	if ((e = ev_loop_new(&s.loop)) != ERR_OK)
		return why_set(why, e, "event loop: %s", err_text(e));
	e = call_start(&s);
	if (e == ERR_OK) {
		ev_loop_run(s.loop);
		e = s.err;
	}
	ev_timer_cancel(&s.timer);
	grpc_request_cancel(&s.request);
	dial_close(&s.conn, "done");
	ev_loop_free(s.loop);
	if (e == ERR_OK && out->status == GRPC_OK && out->message == NULL)
		e = why_set(why, ERR_PROTOCOL, "%s: an answer without a body",
			    c->addr);
	if (e != ERR_OK)
		secret_free(TAKE(out->message));
	return e;
}
