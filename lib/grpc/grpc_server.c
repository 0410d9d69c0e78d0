/* grpc_server.c - the server's side of a connection.
 *
 * A call lives from its headers to the close of its HTTP/2 stream. For the
 * application it is over earlier: when it is finished, reset, or late; on_end
 * tells, once, and from then on only the engine touches it. */
#include "grpc/grpc.h"

#include <string.h>

#include "base/mem.h"
#include "grpc/grpc_int.h"

enum {
	TRAILERS_MAX = 8, /* own ones of one call */
	TRAILER_BYTES_MAX = 4096,
	EXCESS_RETRY_MS = 1000
};

struct grpc_call {
	struct grpc_server *server;
	struct h2_stream *stream;
	const struct grpc_method *method;
	void *app;
	struct grpc_call *next;
	struct grpc_call *prev;
	/* The request's headers, during on_open only. */
	const struct h2_header *headers;
	size_t header_cnt;
	struct grpc_reader in;
	size_t kept;         /* by the application */
	size_t counted;      /* of both, in the budget */
	struct buf trailers; /* name NUL value NUL ... */
	struct mono deadline;
	bool has_deadline;
	bool responded;
	bool has_message;
	bool over; /* on_end was called */
};

struct grpc_server {
	struct h2 *h2;
	const struct grpc_method *methods;
	void *app;
	struct grpc_budget *budget; /* NULL: none */
	size_t held;                /* of all calls */
	struct grpc_call *calls;    /* those that are not over */
	size_t call_cnt;
	uint64_t call_total;
	struct mono now;
	struct mono next_deadline; /* no call's is earlier */
	bool has_deadline;
};

/* -- answering --------------------------------------------------------- */

#define HEADER(n, v) ((struct h2_header){SLICE_LIT(n), SLICE_LIT(v)})

static enum err
respond(struct grpc_call *c)
{
	const struct h2_header headers[] = {
		HEADER(":status", "200"),
		HEADER("content-type", "application/grpc"),
	};
	enum err ret;

	if (c->responded)
		return ERR_OK;
	ret = h2_stream_respond(c->stream, headers, COUNT_OF(headers), false);
	if (ret == ERR_OK)
		c->responded = true;
	return ret;
}

static struct slice
status_text(enum grpc_status s)
{
	static const char *const digits[] = {"0",  "1",  "2",  "3",  "4",  "5",
					     "6",  "7",  "8",  "9",  "10", "11",
					     "12", "13", "14", "15", "16"};

	return slice_of_str((size_t)s < COUNT_OF(digits) ? digits[s] : "2");
}

/* The trailers of the application behind those of gRPC. */
static size_t
own_trailers(const struct grpc_call *c, struct h2_header *out, size_t cap)
{
	struct slice rest = buf_get(&c->trailers);
	size_t n = 0;

	while (n < cap && slice_split(&rest, 0, &out[n].name) &&
	       slice_split(&rest, 0, &out[n].value))
		n++;
	return n;
}

static enum err
send_status(struct grpc_call *c, enum grpc_status status, const char *text)
{
	SCRATCH uint8_t encoded[GRPC_ENCODED_MAX];
	struct h2_header h[4 + TRAILERS_MAX] = {
		HEADER(":status", "200"),
		HEADER("content-type", "application/grpc"),
	};
	const size_t first = c->responded ? 2 : 0;
	size_t n = 2;

	h[n++] = (struct h2_header){SLICE_LIT("grpc-status"),
				    status_text(status)};
	if (text != NULL && text[0] != '\0')
		h[n++] = (struct h2_header){
			SLICE_LIT("grpc-message"),
			slice_of(encoded, grpc_text_encode(text, encoded))};
	n += own_trailers(c, &h[n], COUNT_OF(h) - n);
	/* Without a message before, headers and trailers are one. */
	if (!c->responded)
		return h2_stream_respond(c->stream, h, n, true);
	return h2_stream_finish(c->stream, &h[first], n - first);
}

/* -- the budget -------------------------------------------------------- */

/* Counts what the call holds now. */
static void
call_count(struct grpc_call *c)
{
	struct grpc_server *g = c->server;
	const size_t before = c->counted;
	const size_t now = grpc_reader_held(&c->in) + c->kept;

	c->counted = now;
	g->held = g->held - before + now;
	if (g->budget != NULL)
		g->budget->held = g->budget->held - before + now;
}

static bool
has_room(const struct grpc_server *g)
{
	const struct grpc_budget *b = g->budget;

	if (b == NULL)
		return true;
	if (g->held > b->conn_max || b->held > b->total_max)
		return false;
	return g->held <= GRPC_BUDGET_SMALL ||
	       b->held <= b->total_max - b->total_max / 4;
}

/* A piece was taken, before which the call held less, or not. Pieces are small
 * next to the budget: it is looked at behind them, and what is too much is let
 * go at once. */
static void
call_check_budget(struct grpc_call *c, size_t before)
{
	struct grpc_server *g = c->server;

	call_count(c);
	if (c->over || c->counted <= before || has_room(g))
		return;
	if (c->method->on_excess != NULL)
		c->method->on_excess(g->app, c);
	else
		grpc_call_finish_later(c, GRPC_RESOURCE_EXHAUSTED,
				       "too many bytes of unfinished requests",
				       EXCESS_RETRY_MS);
}

void
grpc_call_set_kept(struct grpc_call *c, size_t len)
{
	c->kept = len;
	call_count(c);
}

void
grpc_server_set_budget(struct grpc_server *g, struct grpc_budget *b)
{
	g->budget = b;
}

static void
unlink_call(struct grpc_call *c)
{
	struct grpc_server *g = c->server;

	if (c->next != NULL)
		c->next->prev = c->prev;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		g->calls = c->next;
	g->call_cnt--;
}

static void
call_over(struct grpc_call *c)
{
	if (c->over)
		return;
	c->over = true;
	grpc_call_set_kept(c, 0);
	unlink_call(c);
	if (c->method->on_end != NULL)
		c->method->on_end(c->server->app, c);
}

void
grpc_call_finish(struct grpc_call *c, enum grpc_status status, const char *text)
{
	if (c->over)
		return;
	if (send_status(c, status, text) != ERR_OK)
		h2_stream_reset(c->stream, H2_INTERNAL_ERROR);
	call_over(c);
}

enum err
grpc_call_send2(struct grpc_call *c, struct slice first, struct slice second)
{
	enum err ret;
	uint8_t prefix[GRPC_PREFIX] = {0};
	struct slice parts[] = {SLICE_ARRAY(prefix), first, second};

	if (c->over)
		return ERR_CLOSED;
	if (first.len > UINT32_MAX || second.len > UINT32_MAX - first.len)
		return ERR_LIMIT;
	if ((ret = respond(c)) != ERR_OK)
		return ret;
	grpc_frame_prefix(prefix, first.len + second.len);
	return h2_stream_send_parts(c->stream, parts, COUNT_OF(parts));
}

enum err
grpc_call_send(struct grpc_call *c, struct slice message)
{
	return grpc_call_send2(c, message, SLICE_NONE);
}

void
grpc_call_add_trailer(struct grpc_call *c, const char *name, const char *value)
{
	const size_t len = strlen(name) + strlen(value) + 2;

	if (buf_len(&c->trailers) + len > TRAILER_BYTES_MAX)
		return;
	(void)buf_put(&c->trailers, slice_of(name, strlen(name) + 1));
	(void)buf_put(&c->trailers, slice_of(value, strlen(value) + 1));
}

size_t
grpc_call_out_len(const struct grpc_call *c)
{
	return c->over ? 0 : h2_stream_out_len(c->stream);
}

/* -- asking ------------------------------------------------------------ */

struct slice
grpc_call_get_header(const struct grpc_call *c, const char *name,
		     size_t *cnt_out)
{
	struct slice found = SLICE_NONE;
	const struct slice want = slice_of_str(name);
	size_t cnt = 0;

	for (size_t i = 0; i < c->header_cnt; i++) {
		if (!slice_is_eq(c->headers[i].name, want))
			continue;
		if (cnt++ == 0)
			found = c->headers[i].value;
	}
	if (cnt_out != NULL)
		*cnt_out = cnt;
	return found;
}

const struct grpc_method *
grpc_call_get_method(const struct grpc_call *c)
{
	return c->method;
}

void
grpc_call_set_app(struct grpc_call *c, void *state)
{
	c->app = state;
}

void *
grpc_call_get_app(const struct grpc_call *c)
{
	return c->app;
}

bool
grpc_call_get_deadline(const struct grpc_call *c, struct mono *out)
{
	*out = c->deadline;
	return c->has_deadline;
}

/* -- new calls --------------------------------------------------------- */

/* What decides about a request, found in one walk over its headers. */
struct request {
	struct slice method;
	struct slice path;
	struct slice content_type;
	struct slice te;
	struct slice encoding;
	struct slice timeout;
};

static void
request_read(const struct h2_header *h, size_t cnt, struct request *r)
{
	const struct {
		struct slice name;
		struct slice *to;
	} wanted[] = {
		{SLICE_LIT(":method"), &r->method},
		{SLICE_LIT(":path"), &r->path},
		{SLICE_LIT("content-type"), &r->content_type},
		{SLICE_LIT("te"), &r->te},
		{SLICE_LIT("grpc-encoding"), &r->encoding},
		{SLICE_LIT("grpc-timeout"), &r->timeout},
	};

	*r = (struct request){0};
	for (size_t i = 0; i < cnt; i++) {
		for (size_t k = 0; k < COUNT_OF(wanted); k++) {
			if (slice_is_eq(h[i].name, wanted[k].name))
				*wanted[k].to = h[i].value;
		}
	}
}

static bool
is_grpc_type(struct slice type)
{
	const size_t len = sizeof("application/grpc") - 1;

	if (!slice_has_prefix(type, "application/grpc"))
		return false;
	return type.len == len || type.p[len] == '+' || type.p[len] == ';';
}

static const struct grpc_method *
method_find(const struct grpc_server *g, struct slice path)
{
	for (const struct grpc_method *m = g->methods; m->path != NULL; m++) {
		if (slice_is_str(path, m->path))
			return m;
	}
	return NULL;
}

/* Not a gRPC client: a status that HTTP knows. */
static enum err
refuse_http(struct h2_stream *s, const char *status)
{
	const struct h2_header headers[] = {
		{SLICE_LIT(":status"), slice_of_str(status)},
		HEADER("content-length", "0"),
	};

	h2_stream_charge(s);
	return h2_stream_respond(s, headers, COUNT_OF(headers), true);
}

static enum err
refuse_call(struct h2_stream *s, enum grpc_status status, const char *text)
{
	/* Never linked, never seen by the application. */
	struct grpc_call c = {.stream = s};

	h2_stream_charge(s);
	return send_status(&c, status, text);
}

static enum err
refuse_path(struct h2_stream *s, struct slice path)
{
	struct why why;

	(void)why_set(&why, ERR_NOT_FOUND, "unknown method %.*s",
		      path.len > 200 ? 200 : (int)path.len,
		      (const char *)path.p);
	return refuse_call(s, GRPC_UNIMPLEMENTED, why.text);
}

static enum err
call_new(struct grpc_server *g, struct h2_stream *s,
	 const struct grpc_method *m, struct grpc_call **out)
{
	struct grpc_call *c = mem_try_new(sizeof(*c));

	*out = c;
	if (c == NULL)
		return ERR_NO_MEMORY;
	c->server = g;
	c->stream = s;
	c->method = m;
	grpc_reader_init(&c->in, m->request_max);
	buf_init(&c->trailers, TRAILER_BYTES_MAX);
	c->next = g->calls;
	if (c->next != NULL)
		c->next->prev = c;
	g->calls = c;
	g->call_cnt++;
	g->call_total++;
	h2_stream_set_app(s, c);
	return ERR_OK;
}

static void
set_deadline(struct grpc_call *c, uint64_t ms)
{
	struct grpc_server *g = c->server;

	c->deadline = mono_add_ms(g->now, ms);
	c->has_deadline = true;
	if (!g->has_deadline || mono_is_before(c->deadline, g->next_deadline))
		g->next_deadline = c->deadline;
	g->has_deadline = true;
}

void
grpc_call_limit(struct grpc_call *c, uint64_t ms)
{
	const struct mono at = mono_add_ms(c->server->now, ms);

	if (!c->over && (!c->has_deadline || mono_is_before(at, c->deadline)))
		set_deadline(c, ms);
}

static enum err
on_headers(void *arg, struct h2_stream *s, const struct h2_header *headers,
	   size_t cnt, bool trailers, bool end UNUSED)
{
	struct grpc_server *g = arg;
	enum err ret;
	struct request r;
	const struct grpc_method *m;
	struct grpc_call *c;
	uint64_t ms = 0;

	if (trailers)
		return ERR_OK;
	request_read(headers, cnt, &r);
	if (!slice_is_str(r.method, "POST"))
		return refuse_http(s, "405");
	if (!is_grpc_type(r.content_type))
		return refuse_http(s, "415");
	if (!slice_is_str(r.te, "trailers"))
		return refuse_call(s, GRPC_INTERNAL,
				   "te: trailers is missing; a proxy on the "
				   "way may not know gRPC");
	if ((m = method_find(g, r.path)) == NULL)
		return refuse_path(s, r.path);
	if (r.encoding.len > 0 && !slice_is_str(r.encoding, "identity"))
		return refuse_call(s, GRPC_UNIMPLEMENTED,
				   "compressed messages are not supported");
	if (r.timeout.len > 0 && grpc_timeout_parse(r.timeout, &ms) != ERR_OK)
		return refuse_call(s, GRPC_INVALID_ARGUMENT,
				   "malformed grpc-timeout");
	if ((ret = call_new(g, s, m, &c)) != ERR_OK)
		return ret;
	if (r.timeout.len > 0)
		set_deadline(c, ms);
	c->headers = headers;
	c->header_cnt = cnt;
	if (m->on_open != NULL)
		m->on_open(g->app, c);
	c->headers = NULL;
	c->header_cnt = 0;
	return ERR_OK;
}

/* -- bodies ------------------------------------------------------------ */

static void
refuse_message(struct grpc_call *c, enum err e)
{
	struct why why;
	const enum grpc_status status = grpc_reader_refusal(&c->in, e, &why);

	grpc_call_finish(c, status, why.text);
}

static enum err
on_data(void *arg, struct h2_stream *s, struct slice bytes)
{
	struct grpc_server *g = arg;
	struct grpc_call *c = h2_stream_get_app(s);
	struct slice message;
	size_t before;
	enum err e = ERR_OK;

	h2_stream_consumed(s, bytes.len);
	if (c == NULL)
		return ERR_OK;
	before = c->counted;
	while (!c->over) {
		e = grpc_reader_next(&c->in, &bytes, &message);
		if (e != ERR_OK)
			break;
		c->has_message = true;
		c->method->on_message(g->app, c, message);
	}
	if (!c->over && e != ERR_NOT_FOUND)
		refuse_message(c, e);
	call_check_budget(c, before);
	/* Nobody reads on in it. */
	if (c->over) {
		buf_release(&c->in.part);
		call_count(c);
	}
	return ERR_OK;
}

static void
on_half_close(void *arg, struct h2_stream *s)
{
	struct grpc_server *g = arg;
	struct grpc_call *c = h2_stream_get_app(s);
	struct slice none = SLICE_NONE;
	struct slice message;

	if (c == NULL || c->over)
		return;
	/* Lets go of a message that was handed over and still lies there. */
	if (grpc_reader_next(&c->in, &none, &message) != ERR_NOT_FOUND ||
	    !grpc_reader_is_empty(&c->in)) {
		grpc_call_finish(c, GRPC_INTERNAL,
				 "the request ends inside of a message");
		return;
	}
	if (c->method->on_half_close != NULL)
		c->method->on_half_close(g->app, c);
	else if (!c->has_message)
		grpc_call_finish(c, GRPC_INTERNAL,
				 "the request holds no message");
}

static void
on_close(void *arg UNUSED, struct h2_stream *s, uint32_t code UNUSED)
{
	struct grpc_call *c = h2_stream_get_app(s);

	if (c == NULL)
		return;
	call_over(c);
	grpc_reader_fini(&c->in);
	call_count(c);
	buf_fini(&c->trailers);
	mem_free(c);
}

static void
on_drain(void *arg, struct h2_stream *s)
{
	struct grpc_server *g = arg;
	struct grpc_call *c = h2_stream_get_app(s);

	if (c != NULL && !c->over && c->method->on_drain != NULL)
		c->method->on_drain(g->app, c);
}

/* -- the connection ---------------------------------------------------- */

enum err
grpc_server_new(const struct grpc_method *methods,
		const struct h2_limits *limits, void *app,
		struct grpc_server **out)
{
	static const struct h2_cbs cbs = {
		.on_headers = on_headers,
		.on_data = on_data,
		.on_end = on_half_close,
		.on_close = on_close,
		.on_drain = on_drain,
	};
	enum err ret;
	struct grpc_server *g = mem_try_new(sizeof(*g));

	*out = NULL;
	if (g == NULL)
		return ERR_NO_MEMORY;
	g->methods = methods;
	g->app = app;
	ret = h2_new(true, limits, &cbs, g, &g->h2);
	if (ret != ERR_OK) {
		grpc_server_free(g);
		return ret;
	}
	*out = g;
	return ERR_OK;
}

void
grpc_server_free(struct grpc_server *g)
{
	if (g == NULL)
		return;
	h2_free(g->h2);
	mem_free(g);
}

enum err
grpc_server_feed(struct grpc_server *g, struct slice bytes, struct mono now)
{
	g->now = now;
	return h2_feed(g->h2, bytes, now);
}

bool
grpc_server_take_output(struct grpc_server *g, struct buf *out, size_t max)
{
	return h2_take_output(g->h2, out, max);
}

void
grpc_server_shutdown(struct grpc_server *g)
{
	h2_shutdown(g->h2);
}

bool
grpc_server_is_finished(const struct grpc_server *g)
{
	return h2_is_finished(g->h2);
}

size_t
grpc_server_call_count(const struct grpc_server *g)
{
	return g->call_cnt;
}

uint64_t
grpc_server_call_total(const struct grpc_server *g)
{
	return g->call_total;
}

/* A call that is late, or NULL; else the earliest deadline is known anew. */
static struct grpc_call *
find_late(struct grpc_server *g, struct mono now)
{
	g->has_deadline = false;
	for (struct grpc_call *c = g->calls; c != NULL; c = c->next) {
		if (!c->has_deadline)
			continue;
		if (!mono_is_before(now, c->deadline))
			return c;
		if (!g->has_deadline ||
		    mono_is_before(c->deadline, g->next_deadline))
			g->next_deadline = c->deadline;
		g->has_deadline = true;
	}
	return NULL;
}

static void
end_late(struct grpc_call *c)
{
	/* A client that does not read will not read a status either. */
	if (h2_stream_out_len(c->stream) > 0)
		h2_stream_reset(c->stream, H2_CANCEL);
	grpc_call_finish(c, GRPC_DEADLINE_EXCEEDED, "deadline exceeded");
}

bool
grpc_server_expire(struct grpc_server *g, struct mono now,
		   struct mono *next_out)
{
	struct grpc_call *c;

	if (g->has_deadline && !mono_is_before(now, g->next_deadline)) {
		/* on_end may end other calls too: search anew each time. */
		while ((c = find_late(g, now)) != NULL)
			end_late(c);
	}
	*next_out = g->next_deadline;
	return g->has_deadline;
}
