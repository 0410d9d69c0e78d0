/* grpc.h - gRPC over h2: method table, framing, status, deadlines.
 *
 * Server and client, unary and streams in both directions, without I/O; the
 * protocol is the public "gRPC over HTTP/2" document. Messages are never
 * compressed; a compressed one is UNIMPLEMENTED. One message per call is the
 * unary case and nothing special.
 *
 * A server connection is made of a method table that all connections share.
 * Texts of statuses are percent-encoded here. */
#ifndef GRPC_GRPC_H
#define GRPC_GRPC_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/slice.h"
#include "base/why.h"
#include "h2/h2.h"

enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16
};
const char *grpc_status_name(enum grpc_status s); /* "INVALID_ARGUMENT" */
/* By the error's class, with the obvious exceptions. */
enum grpc_status grpc_status_of_err(enum err e);

/* -- server ------------------------------------------------------------ */

struct grpc_server; /* one connection */
struct grpc_call;

struct grpc_method {
	const char *path;   /* "/package.Service/Method" */
	size_t request_max; /* bytes of one message; longer is
			       RESOURCE_EXHAUSTED */
	/* Headers have come. A method may refuse by grpc_call_finish. May be
	 * NULL. */
	void (*on_open)(void *app, struct grpc_call *call);
	/* One whole message, borrowed for the call. */
	void (*on_message)(void *app, struct grpc_call *call,
			   struct slice message);
	/* The client sends no more. May be NULL. */
	void (*on_half_close)(void *app, struct grpc_call *call);
	/* The call is over (answered, reset, deadline passed, connection
	 * gone): once, always, the last thing the application sees of it.
	 * May be NULL. */
	void (*on_end)(void *app, struct grpc_call *call);
	/* What was sent with grpc_call_send has left the queue. May be NULL. */
	void (*on_drain)(void *app, struct grpc_call *call);
	/* The budget has no room for the call: it is to be finished now.
	 * NULL: RESOURCE_EXHAUSTED, to come again after a second. */
	void (*on_excess)(void *app, struct grpc_call *call);
};

/* Memory for requests that are not whole, or kept (grpc_call_set_kept), shared
 * by connections. Storage is counted as it grows with what has come, not what
 * a prefix announces. The call that asks for more than there is loses. What
 * is above three quarters of total_max is for connections that hold
 * GRPC_BUDGET_SMALL at most: whoever fills the rest does not keep out others
 * with ordinary requests. */
struct grpc_budget {
	size_t total_max;
	size_t conn_max; /* one connection's part */
	size_t held;     /* now */
};
enum {
	GRPC_BUDGET_SMALL = 4096
};

/* methods: NULL-path-ended table, lives as long as the connection. app is what
 * the callbacks get (the program's connection object). A path that is not in
 * the table is UNIMPLEMENTED "unknown method ...". */
MUST_USE enum err grpc_server_new(const struct grpc_method *methods,
				  const struct h2_limits *limits, void *app,
				  struct grpc_server **out);
/* Before the first call; it outlives the connection. Without one, only
 * request_max bounds each call. */
void grpc_server_set_budget(struct grpc_server *g, struct grpc_budget *b);
void grpc_server_free(struct grpc_server *g);
enum err grpc_server_feed(struct grpc_server *g, struct slice bytes,
			  struct mono now);
bool grpc_server_take_output(struct grpc_server *g, struct buf *out,
			     size_t max);
/* No new calls; those under way end. */
void grpc_server_shutdown(struct grpc_server *g);
bool grpc_server_is_finished(const struct grpc_server *g);
size_t grpc_server_call_count(const struct grpc_server *g);
/* Calls that were ever begun here. */
uint64_t grpc_server_call_total(const struct grpc_server *g);
/* Ends calls whose deadline (grpc-timeout) is past: DEADLINE_EXCEEDED. Returns
 * false when no call has a deadline, else the next one in *next_out. */
bool grpc_server_expire(struct grpc_server *g, struct mono now,
			struct mono *next_out);

/* Request metadata by lower-case name: the first value, or an empty slice.
 * Valid until on_open returns; keep a copy. cnt_out (may be NULL): how many
 * values there were. */
struct slice grpc_call_get_header(const struct grpc_call *call,
				  const char *name, size_t *cnt_out);
const struct grpc_method *grpc_call_get_method(const struct grpc_call *call);
void grpc_call_set_app(struct grpc_call *call, void *state);
void *grpc_call_get_app(const struct grpc_call *call);
/* When the client gives up; false: never. */
bool grpc_call_get_deadline(const struct grpc_call *call, struct mono *out);
/* The call ends with DEADLINE_EXCEEDED after this time at the latest. For
 * clients that open a call and neither send nor end it. */
void grpc_call_limit(struct grpc_call *call, uint64_t ms);
/* Bytes of its request that the application keeps, for the budget. Zero
 * again as soon as they are not needed. */
void grpc_call_set_kept(struct grpc_call *call, size_t len);
/* Adds a trailer ("x-request-id"); before grpc_call_finish. */
void grpc_call_add_trailer(struct grpc_call *call, const char *name,
			   const char *value);
/* One message (copied). ERR_BUSY: the client reads too slowly. */
enum err grpc_call_send(struct grpc_call *call, struct slice message);
/* The same with two parts, so that a shared body and a small own tail need not
 * be joined. */
enum err grpc_call_send2(struct grpc_call *call, struct slice first,
			 struct slice second);
/* Ends the call. on_end follows, possibly inside this call. */
void grpc_call_finish(struct grpc_call *call, enum grpc_status status,
		      const char *text);
/* The same, and says after which time to ask again: for RESOURCE_EXHAUSTED and
 * UNAVAILABLE. */
void grpc_call_finish_later(struct grpc_call *call, enum grpc_status status,
			    const char *text, uint64_t retry_ms);
/* Bytes of answers that the peer has not taken yet. */
size_t grpc_call_out_len(const struct grpc_call *call);

/* -- client ------------------------------------------------------------ */

struct grpc_client; /* one connection */
struct grpc_request;

struct grpc_request_cbs {
	/* May be NULL. Response headers (metadata) have come. */
	void (*on_open)(void *arg, struct grpc_request *r);
	void (*on_message)(void *arg, struct grpc_request *r,
			   struct slice message);
	/* Once, always; r is gone afterwards. text is the server's, decoded. */
	void (*on_finish)(void *arg, struct grpc_request *r,
			  enum grpc_status status, const char *text);
};

MUST_USE enum err grpc_client_new(const char *authority, bool tls,
				  const struct h2_limits *limits,
				  struct grpc_client **out);
/* Requests left end with UNAVAILABLE and `why`. */
void grpc_client_free(struct grpc_client *g, const char *why);
enum err grpc_client_feed(struct grpc_client *g, struct slice bytes,
			  struct mono now);
bool grpc_client_take_output(struct grpc_client *g, struct buf *out,
			     size_t max);
/* The connection has ended and everything is written. */
bool grpc_client_is_finished(const struct grpc_client *g);
/* The server said GOAWAY or the streams ran out: make a new connection. */
bool grpc_client_is_usable(const struct grpc_client *g);

/* Starts a call and sends `first` (may be empty with half_close false: no
 * message). headers: metadata. response_max: longest message taken.
 * timeout_ms 0: none; otherwise sent as grpc-timeout (the caller's timer
 * cancels). */
MUST_USE enum err grpc_client_start(struct grpc_client *g, const char *path,
				    const struct h2_header *headers, size_t cnt,
				    struct slice first, bool half_close,
				    uint64_t timeout_ms, size_t response_max,
				    const struct grpc_request_cbs *cbs,
				    void *arg, struct grpc_request **out);
/* In on_finish: after how many milliseconds the server wants to be asked
 * again; 0: it did not say. */
uint64_t grpc_request_get_retry_ms(const struct grpc_request *r);
enum err grpc_request_send(struct grpc_request *r, struct slice message);
void grpc_request_half_close(struct grpc_request *r);
/* No callbacks after. */
void grpc_request_cancel(struct grpc_request **r);

/* -- engine parts, for tests and fuzzing ------------------------------- */

/* Takes one length-prefixed message off *in (RFC-less framing: flag, 32-bit
 * length). ERR_NOT_FOUND: incomplete; ERR_LIMIT: longer than max;
 * ERR_UNSUPPORTED: compressed. */
MUST_USE enum err grpc_frame_read(struct slice *in, size_t max,
				  struct slice *message);
/* "100m", "5S": milliseconds. */
MUST_USE enum err grpc_timeout_parse(struct slice text, uint64_t *ms_out);

#endif
