/* answer.h - the client's side of one HTTP/1.1 exchange: an answer out of
 * bytes. No I/O. RFC 9112. */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include "base/buf.h"
#include "base/why.h"

struct http_answer;

/* body: where the body goes, initialised with its maximum; kept until
 * http_answer_free. */
struct http_answer *http_answer_new(struct buf *body);
void http_answer_free(struct http_answer *a);
/* ERR_SYNTAX: no HTTP; ERR_LIMIT: the body is longer than its maximum. Bytes
 * behind the answer are passed over. */
MUST_USE enum err http_answer_feed(struct http_answer *a, struct slice bytes,
				   struct why *why);
/* The connection ended: ERR_CLOSED when the answer is not whole. */
MUST_USE enum err http_answer_end(struct http_answer *a, struct why *why);
bool http_answer_is_done(const struct http_answer *a);
/* 200, 404, ...; 0 before the answer's first line has come. */
int http_answer_status(const struct http_answer *a);

#endif
