/* http.h - HTTP/1.1 for what is not gRPC: metrics, health, later CRL and OCSP.
 * The only door to the HTTP/1 parser.
 *
 * A small server on the event loop: GET and HEAD (POST where a route takes a
 * body), keep-alive, fixed limits (request line and headers 8 kB, body as the
 * route says), timeouts. Routes are a table. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/buf.h"
#include "ev/ev.h"

enum {
	HTTP_HEADERS_MAX = 8192,
	HTTP_BODY_OUT_MAX = 32 * 1024 * 1024,
	HTTP_CONNECTIONS_MAX = 256
};

struct http_request {
	struct slice path; /* without the query */
	struct slice query;
	struct slice body;
	bool is_head;
	/* The peer is on this host: loopback or a Unix socket. Set by the
	 * server, not by the parser. */
	bool is_local;
};

/* Given to the handler as 200, text/plain; a body that did not fit its
 * maximum (HTTP_BODY_OUT_MAX) becomes a 500. */
struct http_response {
	int status;
	const char *content_type; /* static */
	struct buf body;          /* initialised, bounded */
};

struct http_route {
	const char *method; /* "GET", "POST" */
	const char *path;
	size_t body_max;
	void (*handle)(void *app, const struct http_request *rq,
		       struct http_response *rs);
};

struct http_server;
/* A GET route answers HEAD too. Requests without a route get 404 or 405.
 * routes: ended by a NULL method. Takes over the listening socket. */
MUST_USE enum err http_server_new(struct ev_loop *loop, int listen_fd,
				  const struct http_route *routes, void *app,
				  struct http_server **out);
void http_server_free(struct http_server *s);

/* The engine, for tests and fuzzing: parses one request off the front of *in.
 * ERR_NOT_FOUND: incomplete. ERR_SYNTAX, ERR_LIMIT: status is the answer. */
struct http_parsed {
	char method[8];
	struct http_request rq; /* slices into in */
	bool keep_alive;
	size_t need; /* with ERR_NOT_FOUND: bytes of the whole request, if known
		      */
	int status;  /* on failure: 400, 411, 413, 431, 505 */
};
MUST_USE enum err http_request_parse(struct slice *in, size_t body_max,
				     struct http_parsed *out);

#endif
