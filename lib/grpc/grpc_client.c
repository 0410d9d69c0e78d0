/* grpc_client.c - the client's side of a connection.
 *
 * A request ends when the server's side of its stream does, or when the stream
 * or the connection breaks: on_finish, and the object is gone. The stream may
 * live a little longer without it. */
#include "grpc/grpc.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/version.h"
#include "grpc/grpc_int.h"

enum {
	OWN_HEADERS = 7,
	METADATA_MAX = 16
};

struct grpc_request {
	struct grpc_client *client;
	struct h2_stream *stream;
	const struct grpc_request_cbs *cbs;
	void *arg;
	struct grpc_reader in;
	bool is_grpc;    /* response headers say so */
	bool has_status; /* grpc-status has come */
	bool half_closed;
	enum grpc_status status;
	uint64_t retry_ms;
	char text[GRPC_TEXT_MAX];
};

struct grpc_client {
	struct h2 *h2;
	char *authority;
	bool tls;
	bool goaway;
	bool freeing;
	bool failed;
	const char *gone; /* why the connection ends, during free */
};

/* -- the end of a request ---------------------------------------------- */

static void
request_free(struct grpc_request *r)
{
	grpc_reader_fini(&r->in);
	mem_free(r);
}

/* Lets the stream go on without us. */
static void
detach(struct grpc_request *r)
{
	h2_stream_set_app(r->stream, NULL);
	r->stream = NULL;
}

static void
finish(struct grpc_request *r, enum grpc_status status, const char *text)
{
	detach(r);
	r->cbs->on_finish(r->arg, r, status, text);
	request_free(r);
}

static void
abandon(struct grpc_request *r, enum grpc_status status, const char *text)
{
	h2_stream_reset(r->stream, H2_CANCEL);
	finish(r, status, text);
}

void
grpc_request_cancel(struct grpc_request **rp)
{
	struct grpc_request *r = TAKE(*rp);

	if (r == NULL)
		return;
	h2_stream_reset(r->stream, H2_CANCEL);
	detach(r);
	request_free(r);
}

/* -- headers ----------------------------------------------------------- */

static enum grpc_status
status_of_http(uint64_t http)
{
	switch (http) {
	case 400:
		return GRPC_INTERNAL;
	case 401:
		return GRPC_UNAUTHENTICATED;
	case 403:
		return GRPC_PERMISSION_DENIED;
	case 404:
		return GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return GRPC_UNAVAILABLE;
	default:
		return GRPC_UNKNOWN;
	}
}

static void
take_status(struct grpc_request *r, const struct h2_header *h, size_t cnt)
{
	uint64_t v;

	for (size_t i = 0; i < cnt; i++) {
		if (slice_is_str(h[i].name, "grpc-status")) {
			if (slice_parse_u64(h[i].value, &v) != ERR_OK ||
			    v > GRPC_UNAUTHENTICATED)
				v = GRPC_UNKNOWN;
			r->status = (enum grpc_status)v;
			r->has_status = true;
		} else if (slice_is_str(h[i].name, "grpc-message")) {
			grpc_text_decode(h[i].value, r->text);
		} else if (slice_is_str(h[i].name, "grpc-retry-pushback-ms")) {
			r->retry_ms = grpc_retry_parse(h[i].value);
		}
	}
}

/* The first headers: is there a gRPC server at all? The status for the case
 * that there is none is kept, in case that nothing better comes. */
static void
take_first(struct grpc_request *r, const struct h2_header *h, size_t cnt)
{
	struct slice http = SLICE_NONE;
	struct slice type = SLICE_NONE;
	uint64_t v = 0;

	for (size_t i = 0; i < cnt; i++) {
		if (slice_is_str(h[i].name, ":status"))
			http = h[i].value;
		else if (slice_is_str(h[i].name, "content-type"))
			type = h[i].value;
	}
	if (slice_parse_u64(http, &v) != ERR_OK)
		v = 0;
	if (v == 200 && slice_has_prefix(type, "application/grpc")) {
		r->is_grpc = true;
		return;
	}
	r->status = status_of_http(v);
	(void)snprintf(r->text, sizeof(r->text),
		       "the server answered with HTTP status %u, content type "
		       "\"%.*s\", not with gRPC",
		       (unsigned)v, type.len > 80 ? 80 : (int)type.len,
		       (const char *)type.p);
}

static enum err
on_headers(void *arg UNUSED, struct h2_stream *s, const struct h2_header *h,
	   size_t cnt, bool trailers, bool end)
{
	struct grpc_request *r = h2_stream_get_app(s);

	if (r == NULL)
		return ERR_OK;
	if (!trailers)
		take_first(r, h, cnt);
	if (trailers || end)
		take_status(r, h, cnt);
	if (!trailers && !end && r->is_grpc && r->cbs->on_open != NULL)
		r->cbs->on_open(r->arg, r);
	return ERR_OK;
}

/* -- bodies ------------------------------------------------------------ */

static enum err
on_data(void *arg UNUSED, struct h2_stream *s, struct slice bytes)
{
	struct grpc_request *r;
	struct slice message;
	struct why why;
	enum grpc_status status;
	enum err e;

	h2_stream_consumed(s, bytes.len);
	/* A callback may cancel the request. */
	while ((r = h2_stream_get_app(s)) != NULL && r->is_grpc) {
		e = grpc_reader_next(&r->in, &bytes, &message);
		if (e == ERR_NOT_FOUND)
			return ERR_OK;
		if (e != ERR_OK) {
			status = grpc_reader_refusal(&r->in, e, &why);
			abandon(r, status, why.text);
			return ERR_OK;
		}
		r->cbs->on_message(r->arg, r, message);
	}
	return ERR_OK;
}

static void
on_end(void *arg UNUSED, struct h2_stream *s)
{
	struct grpc_request *r = h2_stream_get_app(s);
	char text[GRPC_TEXT_MAX];

	if (r == NULL)
		return;
	/* The server needs no more of ours. */
	if (!r->half_closed)
		h2_stream_reset(s, H2_NO_ERROR);
	if (r->is_grpc && !r->has_status) {
		finish(r, GRPC_INTERNAL, "the answer has no grpc-status");
		return;
	}
	if (r->status == GRPC_OK && !grpc_reader_is_empty(&r->in)) {
		finish(r, GRPC_INTERNAL,
		       "the answer ends in the middle of a message");
		return;
	}
	memcpy(text, r->text, sizeof(text));
	finish(r, r->status, text);
}

static enum grpc_status
status_of_code(uint32_t code)
{
	switch (code) {
	case H2_REFUSED_STREAM:
		return GRPC_UNAVAILABLE;
	case H2_CANCEL:
		return GRPC_CANCELLED;
	case H2_ENHANCE_YOUR_CALM:
		return GRPC_RESOURCE_EXHAUSTED;
	default:
		return GRPC_INTERNAL;
	}
}

static void
on_close(void *arg, struct h2_stream *s, uint32_t code)
{
	struct grpc_client *g = arg;
	struct grpc_request *r = h2_stream_get_app(s);
	char text[80];

	if (r == NULL)
		return;
	if (g->freeing) {
		finish(r, GRPC_UNAVAILABLE, g->gone);
		return;
	}
	(void)snprintf(text, sizeof(text),
		       "the server reset the stream (HTTP/2 error %u)",
		       (unsigned)code);
	finish(r, status_of_code(code), text);
}

static void
on_goaway(void *arg, uint32_t code UNUSED)
{
	struct grpc_client *g = arg;

	g->goaway = true;
}

/* -- requests ---------------------------------------------------------- */

static enum err
send_message(struct grpc_request *r, struct slice message)
{
	uint8_t prefix[GRPC_PREFIX] = {0};
	struct slice parts[] = {SLICE_ARRAY(prefix), message};

	if (message.len > UINT32_MAX)
		return ERR_LIMIT;
	grpc_frame_prefix(prefix, message.len);
	return h2_stream_send_parts(r->stream, parts, COUNT_OF(parts));
}

uint64_t
grpc_request_get_retry_ms(const struct grpc_request *r)
{
	return r->retry_ms;
}

enum err
grpc_request_send(struct grpc_request *r, struct slice message)
{
	return r->half_closed ? ERR_CLOSED : send_message(r, message);
}

void
grpc_request_half_close(struct grpc_request *r)
{
	if (r->half_closed)
		return;
	r->half_closed = true;
	(void)h2_stream_finish(r->stream, NULL, 0);
}

static enum err
request_open(struct grpc_request *r, const char *path,
	     const struct h2_header *metadata, size_t cnt, uint64_t timeout_ms)
{
	struct grpc_client *g = r->client;
	char timeout[16];
	struct h2_header h[OWN_HEADERS + 1 + METADATA_MAX] = {
		{SLICE_LIT(":method"), SLICE_LIT("POST")},
		{SLICE_LIT(":scheme"), slice_of_str(g->tls ? "https" : "http")},
		{SLICE_LIT(":path"), slice_of_str(path)},
		{SLICE_LIT(":authority"), slice_of_str(g->authority)},
		{SLICE_LIT("content-type"), SLICE_LIT("application/grpc")},
		{SLICE_LIT("te"), SLICE_LIT("trailers")},
		{SLICE_LIT("user-agent"), SLICE_LIT("meshcert/" VERSION_TEXT)},
	};
	size_t n = OWN_HEADERS;

	if (cnt > METADATA_MAX)
		return ERR_LIMIT;
	if (timeout_ms > 0) {
		grpc_timeout_format(timeout_ms, timeout);
		h[n++] = (struct h2_header){SLICE_LIT("grpc-timeout"),
					    slice_of_str(timeout)};
	}
	for (size_t i = 0; i < cnt; i++)
		h[n++] = metadata[i];
	return h2_request(g->h2, h, n, false, r, &r->stream);
}

enum err
grpc_client_start(struct grpc_client *g, const char *path,
		  const struct h2_header *headers, size_t cnt,
		  struct slice first, bool half_close, uint64_t timeout_ms,
		  size_t response_max, const struct grpc_request_cbs *cbs,
		  void *arg, struct grpc_request **out)
{
	enum err ret;
	struct grpc_request *r;

	*out = NULL;
	if (!grpc_client_is_usable(g))
		return ERR_UNAVAILABLE;
	r = mem_try_new(sizeof(*r));
	if (r == NULL)
		return ERR_NO_MEMORY;
	r->client = g;
	r->cbs = cbs;
	r->arg = arg;
	grpc_reader_init(&r->in, response_max);
	ret = request_open(r, path, headers, cnt, timeout_ms);
	if (ret == ERR_OK && (first.len > 0 || half_close))
		ret = send_message(r, first);
	if (ret != ERR_OK) {
		if (r->stream != NULL)
			grpc_request_cancel(&r);
		else
			request_free(r);
		return ret;
	}
	if (half_close)
		grpc_request_half_close(r);
	*out = r;
	return ERR_OK;
}

/* -- the connection ---------------------------------------------------- */

enum err
grpc_client_new(const char *authority, bool tls, const struct h2_limits *limits,
		struct grpc_client **out)
{
	static const struct h2_cbs cbs = {
		.on_headers = on_headers,
		.on_data = on_data,
		.on_end = on_end,
		.on_close = on_close,
		.on_goaway = on_goaway,
	};
	enum err ret;
	struct grpc_client *g = MEM_NEW(struct grpc_client);

	*out = NULL;
	g->authority = mem_dup_str(authority);
	g->tls = tls;
	ret = h2_new(false, limits, &cbs, g, &g->h2);
	if (ret != ERR_OK) {
		grpc_client_free(g, "");
		return ret;
	}
	*out = g;
	return ERR_OK;
}

void
grpc_client_free(struct grpc_client *g, const char *why)
{
	if (g == NULL)
		return;
	g->freeing = true;
	g->gone = why;
	h2_free(g->h2);
	mem_free(g->authority);
	mem_free(g);
}

enum err
grpc_client_feed(struct grpc_client *g, struct slice bytes, struct mono now)
{
	enum err ret = h2_feed(g->h2, bytes, now);

	if (ret != ERR_OK)
		g->failed = true;
	return ret;
}

bool
grpc_client_take_output(struct grpc_client *g, struct buf *out, size_t max)
{
	return h2_take_output(g->h2, out, max);
}

bool
grpc_client_is_usable(const struct grpc_client *g)
{
	return !g->goaway && !g->freeing && !g->failed && h2_can_request(g->h2);
}

bool
grpc_client_is_finished(const struct grpc_client *g)
{
	return h2_is_finished(g->h2);
}
