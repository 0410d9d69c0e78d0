/* server.c - the small HTTP/1 server of http.h.
 *
 * One request of a connection is answered at a time; reading pauses while an
 * answer waits for a slow client. Every connection has one timer: ten seconds
 * for a request to arrive, a minute to be idle or to take an answer. An idle
 * connection holds no buffer. */
#include "http/http.h"

#include <http_parser.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"

enum {
	REQUEST_MS = 10000,
	IDLE_MS = 60000,
	LINGER_MS = 5000,
	HEAD_MAX = 1024
};

struct http_conn {
	struct http_server *server;
	struct http_conn *next;
	struct http_conn **at; /* what points to this one */
	struct ev_stream *stream;
	struct ev_timer *timer;
	struct buf in;
	size_t need; /* parsing before this much is there is in vain */
	bool in_request;
	bool last; /* close when the answer is out */
};

struct http_server {
	struct ev_loop *loop;
	struct ev_listener *listener;
	const struct http_route *routes;
	void *app;
	struct http_conn *conns;
	size_t conn_cnt;
	size_t body_max; /* of all routes */
};

/* -- connections -------------------------------------------------------- */

static void
conn_drop(struct http_conn *c, uint64_t linger_ms)
{
	*c->at = c->next;
	if (c->next != NULL)
		c->next->at = c->at;
	c->server->conn_cnt--;
	ev_timer_cancel(&c->timer);
	ev_stream_close(&c->stream, linger_ms);
	buf_fini(&c->in);
	mem_free(c);
}

static void
conn_on_timeout(void *arg)
{
	conn_drop(arg, 0);
}

static void
conn_set_timer(struct http_conn *c, uint64_t ms)
{
	ev_timer_cancel(&c->timer);
	must(ev_timer_start(c->server->loop, ms, conn_on_timeout, c,
			    &c->timer) == ERR_OK);
}

/* -- answers ------------------------------------------------------------ */

static const char *
status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
#define XX(num, name, string) {num, #string},
		HTTP_STATUS_MAP(XX)
#undef XX
	};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		if (texts[i].status == status)
			return texts[i].text;
	}
	return "Unknown";
}

/* RFC 9110 5.6.7, without the locale. */
static void
put_date(struct buf *out)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = (time_t)wall_sec(wall_now());
	struct tm tm;

	if (gmtime_r(&now, &tm) == NULL)
		return;
	(void)buf_printf(out,
			 "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
			 days + (size_t)tm.tm_wday * 3, tm.tm_mday,
			 months + (size_t)tm.tm_mon * 3, tm.tm_year + 1900,
			 tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* What a path answers to, for 405; empty when there is no such path. */
static void
put_allowed(const struct http_server *s, struct slice path, struct buf *out)
{
	for (const struct http_route *r = s->routes; r->method != NULL; r++) {
		if (!slice_is_str(path, r->path))
			continue;
		(void)buf_printf(out, "%s%s%s", buf_len(out) > 0 ? ", " : "",
				 r->method,
				 strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
	}
}

/* Writes one answer. False: the connection is gone. */
static bool
conn_answer(struct http_conn *c, const struct http_response *rs,
	    struct slice allowed, bool is_head)
{
	struct buf out;
	enum err e = ERR_OK;

	buf_init(&out, HEAD_MAX + buf_len(&rs->body));
	(void)buf_printf(&out, "HTTP/1.1 %d %s\r\n", rs->status,
			 status_text(rs->status));
	put_date(&out);
	(void)buf_printf(&out, "Content-Type: %s\r\nContent-Length: %zu\r\n",
			 rs->content_type, buf_len(&rs->body));
	(void)buf_put_str(&out, "X-Content-Type-Options: nosniff\r\n");
	if (allowed.len > 0)
		(void)buf_printf(&out, "Allow: %.*s\r\n", SLICE_FMT(allowed));
	if (c->last)
		(void)buf_put_str(&out, "Connection: close\r\n");
	(void)buf_put_str(&out, "\r\n");
	if (!is_head)
		(void)buf_put(&out, buf_get(&rs->body));
	e = buf_has_failed(&out) ? ERR_LIMIT
				 : ev_stream_write(c->stream, buf_get(&out));
	buf_fini(&out);
	if (e == ERR_OK && !c->last)
		return true;
	conn_drop(c, e == ERR_OK ? LINGER_MS : 0);
	return false;
}

/* An answer without a handler. */
static bool
conn_refuse(struct http_conn *c, int status, struct slice allowed, bool is_head)
{
	struct http_response rs = {
		.status = status,
		.content_type = "text/plain; charset=utf-8",
	};
	bool alive;

	buf_init(&rs.body, 256);
	(void)buf_printf(&rs.body, "%d %s\n", status, status_text(status));
	alive = conn_answer(c, &rs, allowed, is_head);
	buf_fini(&rs.body);
	return alive;
}

static bool
conn_handle(struct http_conn *c, const struct http_route *route,
	    const struct http_request *rq)
{
	struct http_response rs = {
		.status = 200,
		.content_type = "text/plain; charset=utf-8",
	};
	bool alive;

	buf_init(&rs.body, HTTP_BODY_OUT_MAX);
	route->handle(c->server->app, rq, &rs);
	if (buf_has_failed(&rs.body)) {
		log_error("http",
			  "path=%s the answer is longer than %d bytes and was "
			  "not sent",
			  route->path, HTTP_BODY_OUT_MAX);
		alive = conn_refuse(c, 500, SLICE_NONE, rq->is_head);
	} else {
		alive = conn_answer(c, &rs, SLICE_NONE, rq->is_head);
	}
	buf_fini(&rs.body);
	return alive;
}

/* -- requests ----------------------------------------------------------- */

static const struct http_route *
route_find(const struct http_server *s, const struct http_parsed *p)
{
	const char *method = p->rq.is_head ? "GET" : p->method;

	for (const struct http_route *r = s->routes; r->method != NULL; r++) {
		if (strcmp(r->method, method) == 0 &&
		    slice_is_str(p->rq.path, r->path))
			return r;
	}
	return NULL;
}

static bool
conn_dispatch(struct http_conn *c, const struct http_parsed *p)
{
	const struct http_route *route = route_find(c->server, p);
	struct buf allowed;
	bool alive;

	c->last = !p->keep_alive;
	if (route != NULL && p->rq.body.len > route->body_max)
		return conn_refuse(c, 413, SLICE_NONE, p->rq.is_head);
	if (route != NULL)
		return conn_handle(c, route, &p->rq);
	buf_init(&allowed, 256);
	put_allowed(c->server, p->rq.path, &allowed);
	alive = conn_refuse(c, buf_len(&allowed) > 0 ? 405 : 404,
			    buf_get(&allowed), p->rq.is_head);
	buf_fini(&allowed);
	return alive;
}

/* Nothing is under way: wait for the next request. */
static void
conn_rest(struct http_conn *c)
{
	c->in_request = false;
	buf_release(&c->in);
	conn_set_timer(c, IDLE_MS);
}

static bool
conn_is_local(const struct http_conn *c)
{
	char text[EV_ADDR_TEXT_MAX];
	struct slice peer;

	ev_stream_get_peer_text(c->stream, text);
	peer = slice_of_str(text);
	return slice_has_prefix(peer, "127.") ||
	       slice_has_prefix(peer, "[::1]:") ||
	       slice_has_prefix(peer, "unix:");
}

/* Answers what has arrived whole. */
static void
conn_process(struct http_conn *c)
{
	while (buf_len(&c->in) > 0) {
		struct slice in = buf_get(&c->in);
		size_t all = in.len;
		struct http_parsed p;
		enum err e;

		/* The client does not take the last answer: no next one. */
		if (ev_stream_out_len(c->stream) > 0) {
			ev_stream_pause(c->stream, true);
			conn_set_timer(c, IDLE_MS);
			return;
		}
		e = http_request_parse(&in, c->server->body_max, &p);
		c->need = p.need;
		if (e == ERR_NOT_FOUND && !c->in_request) {
			c->in_request = true;
			conn_set_timer(c, REQUEST_MS);
		}
		if (e == ERR_NOT_FOUND)
			return;
		if (e != ERR_OK) {
			c->last = true;
			(void)conn_refuse(c, p.status, SLICE_NONE, false);
			return;
		}
		p.rq.is_local = conn_is_local(c);
		if (!conn_dispatch(c, &p))
			return;
		buf_consume(&c->in, all - in.len);
		c->in_request = false;
	}
	conn_rest(c);
}

static void
conn_on_read(void *arg, struct slice bytes)
{
	struct http_conn *c = arg;
	bool more_of_headers = c->in_request && buf_len(&c->in) > 0;

	if (buf_put(&c->in, bytes) != ERR_OK) {
		c->last = true;
		(void)conn_refuse(c, 431, SLICE_NONE, false);
		return;
	}
	/* A client that sends byte by byte must not make us parse each time.
	 * Only a line's end can complete the headers. */
	if (buf_len(&c->in) < c->need)
		return;
	if (more_of_headers && c->need == 0 &&
	    buf_len(&c->in) <= HTTP_HEADERS_MAX &&
	    slice_find(bytes, '\n') == bytes.len)
		return;
	conn_process(c);
}

static void
conn_on_drain(void *arg)
{
	struct http_conn *c = arg;

	ev_stream_pause(c->stream, false);
	conn_process(c);
}

static void
conn_on_close(void *arg, enum err why)
{
	(void)why;
	conn_drop(arg, 0);
}

static const struct ev_stream_cbs conn_cbs = {conn_on_read, conn_on_drain,
					      conn_on_close};

/* -- the server --------------------------------------------------------- */

static void
server_on_accept(void *arg, struct ev_stream *stream)
{
	struct http_server *s = arg;
	struct http_conn *c = NULL;

	if (s->conn_cnt < HTTP_CONNECTIONS_MAX)
		c = mem_try_new(sizeof(*c));
	if (c == NULL) {
		log_peer("http",
			 "a connection was refused: %zu of at most %d are open",
			 s->conn_cnt, HTTP_CONNECTIONS_MAX);
		ev_stream_close(&stream, 0);
		return;
	}
	c->server = s;
	c->stream = stream;
	c->next = s->conns;
	c->at = &s->conns;
	if (s->conns != NULL)
		s->conns->at = &c->next;
	s->conns = c;
	s->conn_cnt++;
	/* A read of the loop at once, besides what one request may have. */
	buf_init(&c->in, 65536 + HTTP_HEADERS_MAX + s->body_max);
	conn_set_timer(c, REQUEST_MS);
	ev_stream_start(stream, &conn_cbs, c, HEAD_MAX + HTTP_BODY_OUT_MAX);
}

/* see http.h */
enum err
http_server_new(struct ev_loop *loop, int listen_fd,
		const struct http_route *routes, void *app,
		struct http_server **out)
{
	struct http_server *s;
	enum err ret;

	*out = NULL;
	s = MEM_NEW(struct http_server);
	s->loop = loop;
	s->routes = routes;
	s->app = app;
	for (const struct http_route *r = routes; r->method != NULL; r++) {
		if (r->body_max > s->body_max)
			s->body_max = r->body_max;
	}
	if ((ret = ev_listen_fd(loop, listen_fd, server_on_accept, s,
				&s->listener)) != ERR_OK) {
		mem_free(s);
		return ret;
	}
	*out = s;
	return ERR_OK;
}

/* see http.h */
void
http_server_free(struct http_server *s)
{
	if (s == NULL)
		return;
	ev_listener_close(&s->listener);
	while (s->conns != NULL)
		conn_drop(s->conns, 0);
	mem_free(s);
}
