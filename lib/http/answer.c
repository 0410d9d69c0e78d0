/* answer.c - see answer.h. */
#include "http/answer.h"

#include <http_parser.h>

#include "base/mem.h"

struct http_answer {
	http_parser parser;
	struct buf *body;
	int status;
	bool done;
	bool too_long;
};

static int
answer_on_headers(http_parser *p)
{
	struct http_answer *a = p->data;

	/* 100 Continue and its like come before the answer. */
	if (p->status_code >= 200)
		a->status = (int)p->status_code;
	return 0;
}

static int
answer_on_body(http_parser *p, const char *at, size_t len)
{
	struct http_answer *a = p->data;

	a->too_long = buf_put(a->body, slice_of(at, len)) != ERR_OK;
	return a->too_long;
}

static int
answer_on_complete(http_parser *p)
{
	struct http_answer *a = p->data;

	a->done = a->status != 0;
	if (a->done)
		http_parser_pause(p, 1);
	return 0;
}

static const http_parser_settings answer_settings = {
	.on_headers_complete = answer_on_headers,
	.on_body = answer_on_body,
	.on_message_complete = answer_on_complete,
};

/* see answer.h */
struct http_answer *
http_answer_new(struct buf *body)
{
	struct http_answer *a = MEM_NEW(struct http_answer);

	http_parser_init(&a->parser, HTTP_RESPONSE);
	a->parser.data = a;
	a->body = body;
	return a;
}

void
http_answer_free(struct http_answer *a)
{
	mem_free(a);
}

/* see answer.h */
enum err
http_answer_feed(struct http_answer *a, struct slice bytes, struct why *why)
{
	enum http_errno e;

	if (a->done || bytes.len == 0)
		return ERR_OK;
	(void)http_parser_execute(&a->parser, &answer_settings,
				  (const char *)bytes.p, bytes.len);
	if (a->done)
		return ERR_OK;
	e = HTTP_PARSER_ERRNO(&a->parser);
	if (a->too_long)
		return why_set(why, ERR_LIMIT,
			       "the answer's body is longer than %zu bytes",
			       a->body->max);
	if (e != HPE_OK)
		return why_set(why, ERR_SYNTAX, "no HTTP answer: %s",
			       http_errno_description(e));
	return ERR_OK;
}

/* see answer.h */
enum err
http_answer_end(struct http_answer *a, struct why *why)
{
	if (a->done)
		return ERR_OK;
	/* A body without a length ends with the connection. */
	(void)http_parser_execute(&a->parser, &answer_settings, NULL, 0);
	if (a->done)
		return ERR_OK;
	return why_set(why, ERR_CLOSED,
		       "the connection ended before the answer was whole");
}

/* see answer.h */
bool
http_answer_is_done(const struct http_answer *a)
{
	return a->done;
}

/* see answer.h */
int
http_answer_status(const struct http_answer *a)
{
	return a->status;
}
