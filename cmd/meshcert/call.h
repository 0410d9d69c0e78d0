/* call.h - one question to a server, and its answer: gRPC, or a page by
 * HTTP/1. Each runs an event loop of its own until the answer is there. */
#ifndef MESHCERT_CALL_H
#define MESHCERT_CALL_H

#include "base/secret.h"
#include "grpc/grpc.h"
#include "tls/tls.h"

struct call {
	const char *addr; /* "host:port", "unix:/path" */
	const char *authority;
	struct tls_ctx *tls; /* NULL: plaintext */
	const char *server_name;
	const char *path; /* "/package.Service/Method" */
	const struct h2_header *headers;
	size_t header_cnt;
	struct slice request;
	bool is_stream; /* our side stays open; the first message is the answer
			 */
	uint64_t timeout_ms;
};

struct call_answer {
	enum grpc_status status;
	struct why text;        /* the server's, when status is not OK */
	struct secret *message; /* owned: secret_free. It may hold keys */
	bool asked;             /* the request went out; set on failure, too */
};

/* ERR_OK: the server answered, see status. Otherwise it was not reached (why
 * names the address) and nothing is owned. */
MUST_USE enum err call_run(const struct call *c, struct why *why,
			   struct call_answer *out);

/* GET over HTTP/1.1 (addr as above): the body of the answer and its status.
 * body is initialised by the caller, with its maximum. */
MUST_USE enum err call_get(const char *addr, const char *path,
			   uint64_t timeout_ms, struct why *why, int *status,
			   struct buf *body);

#endif
