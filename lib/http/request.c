/* request.c - one HTTP/1 request out of bytes. No I/O.
 *
 * The parser library is handed the whole of what arrived each time; it keeps
 * nothing between calls, so the slices it reports lie in the caller's buffer.
 * RFC 9112. */
#include "http/http.h"

#include <http_parser.h>
#include <stdio.h>
#include <string.h>

struct request_state {
	struct http_parsed *out;
	struct slice url;
	size_t body_max;
	uint64_t body_len; /* as announced */
	unsigned hosts;
	bool headers_done;
	bool complete;
};

static int
request_on_url(http_parser *p, const char *at, size_t len)
{
	struct request_state *st = p->data;

	st->url = slice_of(at, len);
	return 0;
}

static int
request_on_field(http_parser *p, const char *at, size_t len)
{
	struct request_state *st = p->data;

	if (slice_is_eq_nocase(slice_of(at, len), SLICE_LIT("host")))
		st->hosts++;
	return 0;
}

static int
request_on_headers(http_parser *p)
{
	struct request_state *st = p->data;

	st->headers_done = true;
	/* Chunks would have to be copied together; no client of ours sends
	 * them. */
	if ((p->flags & F_CHUNKED) != 0) {
		st->out->status = 411;
		return -1;
	}
	if ((p->flags & F_CONTENTLENGTH) != 0 &&
	    p->content_length > st->body_max) {
		st->out->status = 413;
		return -1;
	}
	if ((p->flags & F_CONTENTLENGTH) != 0)
		st->body_len = p->content_length;
	return 0;
}

static int
request_on_body(http_parser *p, const char *at, size_t len)
{
	struct request_state *st = p->data;

	st->out->rq.body = slice_of(at, len);
	return 0;
}

static int
request_on_complete(http_parser *p)
{
	struct request_state *st = p->data;

	st->complete = true;
	st->out->keep_alive = http_should_keep_alive(p) != 0;
	/* What follows is the next request. */
	http_parser_pause(p, 1);
	return 0;
}

/* "/path?query", or the absolute form that proxies use. */
static enum err
request_split_url(struct request_state *st)
{
	struct http_request *rq = &st->out->rq;
	struct slice url = st->url;
	struct http_parser_url parts;

	if (url.len == 0)
		return ERR_SYNTAX;
	if (url.p[0] != '/' && !slice_is_str(url, "*")) {
		http_parser_url_init(&parts);
		if (http_parser_parse_url((const char *)url.p, url.len, 0,
					  &parts) != 0 ||
		    (parts.field_set & 1u << UF_HOST) == 0)
			return ERR_SYNTAX;
		if ((parts.field_set & 1u << UF_PATH) == 0)
			url = SLICE_LIT("/");
		else
			url = slice_sub(url, parts.field_data[UF_PATH].off,
					url.len);
	}
	/* A fragment is not sent by clients; it ends what we look at. */
	url = slice_sub(url, 0, slice_find(url, '#'));
	(void)slice_split(&url, '?', &rq->path);
	rq->query = url;
	return ERR_OK;
}

static enum err
request_fail(struct http_parsed *out, int status, enum err e)
{
	if (out->status == 0)
		out->status = status;
	return e;
}

/* The parser stopped: for our sake, for more bytes, or for an error. */
static enum err
request_judge(struct request_state *st, const http_parser *p, size_t used)
{
	struct http_parsed *out = st->out;
	enum http_errno e = HTTP_PARSER_ERRNO(p);

	if (out->status == 413)
		return ERR_LIMIT;
	if (!st->complete && e == HPE_HEADER_OVERFLOW)
		return request_fail(out, 431, ERR_LIMIT);
	if (!st->complete && e != HPE_OK)
		return request_fail(out, e == HPE_INVALID_VERSION ? 505 : 400,
				    ERR_SYNTAX);
	if (!st->headers_done)
		return used > HTTP_HEADERS_MAX
			       ? request_fail(out, 431, ERR_LIMIT)
			       : ERR_NOT_FOUND;
	if (p->http_major != 1)
		return request_fail(out, 505, ERR_SYNTAX);
	/* RFC 9112 3.2: exactly one Host in HTTP/1.1. */
	if (st->hosts > 1 || (p->http_minor > 0 && st->hosts == 0))
		return request_fail(out, 400, ERR_SYNTAX);
	if (st->complete)
		return ERR_OK;
	out->need = used - out->rq.body.len + (size_t)st->body_len;
	return ERR_NOT_FOUND;
}

/* see http.h */
enum err
http_request_parse(struct slice *in, size_t body_max, struct http_parsed *out)
{
	static const http_parser_settings settings = {
		.on_url = request_on_url,
		.on_header_field = request_on_field,
		.on_headers_complete = request_on_headers,
		.on_body = request_on_body,
		.on_message_complete = request_on_complete,
	};
	struct request_state st = {.out = out, .body_max = body_max};
	http_parser parser;
	size_t used;
	enum err ret;

	memset(out, 0, sizeof(*out));
	if (in->len == 0)
		return ERR_NOT_FOUND;
	http_parser_init(&parser, HTTP_REQUEST);
	parser.data = &st;
	used = http_parser_execute(&parser, &settings, (const char *)in->p,
				   in->len);
	if ((ret = request_judge(&st, &parser, used)) != ERR_OK)
		return ret;
	if (used - out->rq.body.len > HTTP_HEADERS_MAX)
		return request_fail(out, 431, ERR_LIMIT);
	if (request_split_url(&st) != ERR_OK)
		return request_fail(out, 400, ERR_SYNTAX);
	(void)snprintf(out->method, sizeof(out->method), "%s",
		       http_method_str((enum http_method)parser.method));
	out->rq.is_head = parser.method == HTTP_HEAD;
	*in = slice_sub(*in, used, in->len);
	return ERR_OK;
}
