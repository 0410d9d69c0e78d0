/* call_get.c - one page over HTTP/1: see call.h. */
#include <stdio.h>

#include "base/mem.h"
#include "ev/ev.h"
#include "http/answer.h"
#include "meshcert/call.h"

struct get {
	const char *addr;
	const char *path;
	struct ev_loop *loop;
	struct ev_connect *connect;
	struct ev_stream *stream;
	struct ev_timer *timer;
	struct http_answer *answer;
	struct why *why;
	enum err err;
	bool done;
};

static void
get_end(struct get *g, enum err e)
{
	if (g->done)
		return;
	g->done = true;
	g->err = e;
	ev_loop_stop(g->loop);
}

static void
get_on_read(void *arg, struct slice bytes)
{
	struct get *g = arg;
	enum err e = http_answer_feed(g->answer, bytes, g->why);

	if (e != ERR_OK)
		get_end(g, why_prefix(g->why, e, "%s%s", g->addr, g->path));
	else if (http_answer_is_done(g->answer))
		get_end(g, ERR_OK);
}

static void
get_on_close(void *arg, enum err why)
{
	struct get *g = arg;
	enum err e;

	if (why != ERR_CLOSED) {
		get_end(g,
			why_set(g->why, why, "%s: %s", g->addr, err_text(why)));
		return;
	}
	e = http_answer_end(g->answer, g->why);
	if (e != ERR_OK)
		(void)why_prefix(g->why, e, "%s%s", g->addr, g->path);
	get_end(g, e);
}

static void
get_on_connect(void *arg, enum err e, const char *detail,
	       struct ev_stream *stream)
{
	static const struct ev_stream_cbs cbs = {.on_read = get_on_read,
						 .on_close = get_on_close};
	struct get *g = arg;
	char *text;

	if (e != ERR_OK) {
		get_end(g, why_set(g->why, e, "%s: %s", g->addr, detail));
		return;
	}
	g->stream = stream;
	ev_stream_start(stream, &cbs, g, 16384);
	text = mem_printf("GET %s HTTP/1.1\r\nHost: localhost\r\n"
			  "Accept: */*\r\nConnection: close\r\n\r\n",
			  g->path);
	e = ev_stream_write(stream, slice_of_str(text));
	mem_free(text);
	if (e != ERR_OK)
		get_end(g, why_set(g->why, e, "%s: %s", g->addr, err_text(e)));
}

static void
get_on_timeout(void *arg)
{
	struct get *g = arg;

	get_end(g, why_set(g->why, ERR_TIMEOUT, "%s%s: no answer in time",
			   g->addr, g->path));
}

/* see call.h */
enum err
call_get(const char *addr, const char *path, uint64_t timeout_ms,
	 struct why *why, int *status, struct buf *body)
{
	struct get g = {.addr = addr, .path = path, .why = why};
	enum err e;

	*status = 0;
	if ((e = ev_loop_new(&g.loop)) != ERR_OK)
		return why_set(why, e, "event loop: %s", err_text(e));
	g.answer = http_answer_new(body);
	e = ev_connect_start(g.loop, addr, timeout_ms, get_on_connect, &g,
			     &g.connect);
	if (e != ERR_OK)
		(void)why_set(why, e,
			      "%s: this is no address to connect to; "
			      "\"host:port\" or \"unix:/path\" is needed",
			      addr);
	if (e == ERR_OK)
		e = ev_timer_start(g.loop, timeout_ms, get_on_timeout, &g,
				   &g.timer);
	if (e == ERR_OK) {
		ev_loop_run(g.loop);
		e = g.err;
		*status = http_answer_status(g.answer);
	}
	ev_timer_cancel(&g.timer);
	ev_connect_cancel(&g.connect);
	ev_stream_close(&g.stream, 0);
	http_answer_free(g.answer);
	ev_loop_free(g.loop);
	return e;
}
