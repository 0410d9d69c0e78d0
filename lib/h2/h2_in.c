/* h2_in.c - what nghttp2 tells us of the peer's frames. Streams get their
 * object when their first header block is whole and within the limits. */
#include "h2/h2.h"

#include "base/mem.h"
#include "h2/h2_int.h"

enum {
	BLOCK_FIRST = 16, /* headers that most messages do not pass */
	COST_FRAME = 1,
	CREDIT_USEFUL = 2,
	/* A little more than is allowed gets an answer that says so. What goes
	 * on and on, or means kilobytes with each byte of it (HPACK), ends the
	 * connection in the midst of its block. */
	DROPPED_MAX = 1000,
	OVER_PART = 2
};

/* -- header blocks ----------------------------------------------------- */

void
h2_in_clear(struct h2 *h)
{
	struct h2_block *b = &h->in;

	for (size_t i = 0; i < 2 * b->cnt; i++)
		nghttp2_rcbuf_decref(b->refs[i]);
	mem_free(b->headers);
	mem_free(b->refs);
	*b = (struct h2_block){0};
}

static int
on_begin_headers(nghttp2_session *ng UNUSED, const nghttp2_frame *f UNUSED,
		 void *arg)
{
	h2_in_clear(arg);
	return 0;
}

static void
block_grow(struct h2_block *b)
{
	const size_t cap = b->cap == 0 ? BLOCK_FIRST : 2 * b->cap;

	b->headers =
		mem_grow_array(b->headers, b->cap, cap, sizeof(b->headers[0]));
	b->refs = mem_grow_array(b->refs, 2 * b->cap, 2 * cap,
				 sizeof(b->refs[0]));
	b->cap = cap;
}

static int
drop_header(struct h2 *h)
{
	if (++h->in.dropped < DROPPED_MAX &&
	    h->in.bytes / OVER_PART <= h->limits.header_bytes_max)
		return 0;
	h->failed = ERR_LIMIT;
	(void)nghttp2_session_terminate_session(h->ng, H2_ENHANCE_YOUR_CALM);
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int
on_header(nghttp2_session *ng UNUSED, const nghttp2_frame *f UNUSED,
	  nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags UNUSED,
	  void *arg)
{
	struct h2 *h = arg;
	struct h2_block *b = &h->in;
	const nghttp2_vec n = nghttp2_rcbuf_get_buf(name);
	const nghttp2_vec v = nghttp2_rcbuf_get_buf(value);

	b->bytes += n.len + v.len;
	if (b->over)
		return drop_header(h);
	if (b->bytes > h->limits.header_bytes_max ||
	    b->cnt == H2_HEADER_CNT_MAX) {
		const size_t bytes = b->bytes;

		h2_in_clear(h);
		b->over = true;
		b->bytes = bytes;
		return 0;
	}
	if (b->cnt == b->cap)
		block_grow(b);
	nghttp2_rcbuf_incref(name);
	nghttp2_rcbuf_incref(value);
	b->refs[2 * b->cnt] = name;
	b->refs[2 * b->cnt + 1] = value;
	b->headers[b->cnt++] = (struct h2_header){slice_of(n.base, n.len),
						  slice_of(v.base, v.len)};
	return 0;
}

static bool
is_informational(const struct h2_block *b)
{
	return b->cnt > 0 && slice_is_str(b->headers[0].name, ":status") &&
	       b->headers[0].value.len == 3 && b->headers[0].value.p[0] == '1';
}

/* -- streams ----------------------------------------------------------- */

static uint32_t
code_of_err(enum err e)
{
	switch (err_class(e)) {
	case ERR_CLASS_PEER:
		return H2_PROTOCOL_ERROR;
	case ERR_CLASS_LIMIT:
		return e == ERR_LIMIT ? H2_ENHANCE_YOUR_CALM
				      : H2_REFUSED_STREAM;
	default:
		return H2_INTERNAL_ERROR;
	}
}

/* The request is larger than we take. A status says more than a reset. */
static void
refuse_too_large(struct h2 *h, int32_t id, struct h2_stream *s)
{
	static uint8_t name[] = ":status";
	static uint8_t value[] = "431";
	const nghttp2_nv nv = {name, value, sizeof(name) - 1, sizeof(value) - 1,
			       NGHTTP2_NV_FLAG_NONE};

	h2_charge(h, COST_FRAME);
	if (h->server && s == NULL &&
	    nghttp2_submit_response(h->ng, id, &nv, 1, NULL) == 0)
		return;
	if (s != NULL)
		h2_stream_reset(s, H2_ENHANCE_YOUR_CALM);
	else
		(void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, id,
						H2_ENHANCE_YOUR_CALM);
}

static struct h2_stream *
request_new(struct h2 *h, int32_t id)
{
	struct h2_stream *s = h2_stream_new(h, id, NULL);

	if (s != NULL &&
	    nghttp2_session_set_stream_user_data(h->ng, id, s) == 0) {
		h->credit += CREDIT_USEFUL;
		return s;
	}
	if (s != NULL) {
		s->id = 0; /* was never announced */
		h2_stream_drop(s, H2_INTERNAL_ERROR);
	}
	(void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, id,
					H2_REFUSED_STREAM);
	return NULL;
}

static void
headers_done(struct h2 *h, const nghttp2_frame *f, struct h2_stream *s)
{
	enum err e;
	const bool end = (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	bool trailers;

	if (h->in.over) {
		refuse_too_large(h, f->hd.stream_id, s);
		return;
	}
	if (s == NULL && h->server)
		s = request_new(h, f->hd.stream_id);
	if (s == NULL || s->reset)
		return;
	if (!h->server && !s->has_final && is_informational(&h->in)) {
		h2_charge(h, COST_FRAME);
		return;
	}
	trailers = s->has_final;
	s->has_final = true;
	s->remote_end = end;
	e = h->cbs.on_headers(h->arg, s, h->in.headers, h->in.cnt, trailers,
			      end);
	if (e != ERR_OK)
		h2_stream_reset(s, code_of_err(e));
	else if (end && !s->reset)
		h->cbs.on_end(h->arg, s);
}

static void
data_done(struct h2 *h, const nghttp2_frame *f, struct h2_stream *s)
{
	if ((f->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 || s == NULL)
		return;
	s->remote_end = true;
	if (!s->reset)
		h->cbs.on_end(h->arg, s);
}

static int
on_frame_recv(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *s;

	if (h->failed != ERR_OK)
		return 0;
	switch (f->hd.type) {
	case NGHTTP2_HEADERS:
		s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
		headers_done(h, f, s);
		h2_in_clear(h);
		break;
	case NGHTTP2_DATA:
		s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
		data_done(h, f, s);
		break;
	case NGHTTP2_GOAWAY:
		h->peer_goaway = true;
		if (h->cbs.on_goaway != NULL)
			h->cbs.on_goaway(h->arg, f->goaway.error_code);
		break;
	default:
		break;
	}
	return 0;
}

static int
on_data_chunk(nghttp2_session *ng, uint8_t flags UNUSED, int32_t id,
	      const uint8_t *data, size_t len, void *arg)
{
	struct h2 *h = arg;
	enum err e;
	struct h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);

	/* The windows of streams hold slow ones back; the connection's is
	 * given back at once, so that none of them stops the others. */
	(void)nghttp2_session_consume_connection(ng, len);
	if (s == NULL || s->reset || h->failed != ERR_OK)
		return 0;
	e = h->cbs.on_data(h->arg, s, slice_of(data, len));
	if (e != ERR_OK)
		h2_stream_reset(s, code_of_err(e));
	return 0;
}

static int
on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);

	if (s != NULL)
		h2_stream_drop(s, code);
	h2_feed_starved(arg);
	return 0;
}

void
h2_in_set_callbacks(nghttp2_session_callbacks *cbs)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(
		cbs, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(cbs, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cbs,
							     on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
		cbs, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cbs,
							       on_stream_close);
}
