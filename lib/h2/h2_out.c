/* h2_out.c - what goes to the peer. DATA is not copied into nghttp2: it asks
 * how much there is (on_read) and we put frame header and bytes into the
 * output ourselves (on_send_data). */
#include "h2/h2.h"

#include <string.h>

#include "base/mem.h"
#include "h2/h2_int.h"

enum {
	NV_MAX = 48, /* headers of one message that we send */
	FRAME_HEADER = 9,
	/* HPACK's cost for a header and for a block, beside the text. */
	NV_EXTRA = 8,
	BLOCK_EXTRA = 16,
	CREDIT_DATA = 2, /* a window update and a ping may follow DATA */
	COST_RESET = 3,
	/* A header block is decoded to its end, also when its first header is
	 * bad: no honest client sends five of them. */
	COST_MALFORMED = 200
};

/* -- output ------------------------------------------------------------ */

static size_t
sink_room(const struct h2 *h)
{
	const size_t len = buf_len(h->sink);

	if (buf_len(&h->spill) > 0 || len >= h->sink_max)
		return 0;
	return h->sink_max - len;
}

/* So that it grows once for what is put in parts. */
static void
sink_reserve(struct h2 *h, size_t len)
{
	uint8_t *p;

	if (len <= sink_room(h))
		must(buf_reserve(h->sink, len, &p) == ERR_OK);
}

/* What does not fit waits in the spill: at most the rest of one frame (and
 * what nghttp2 packs into the same call). */
static void
sink_put(struct h2 *h, struct slice bytes)
{
	const size_t now = bytes.len < sink_room(h) ? bytes.len : sink_room(h);

	(void)buf_put(h->sink, slice_sub(bytes, 0, now));
	(void)buf_put(&h->spill, slice_sub(bytes, now, bytes.len));
}

static void
spill_drain(struct h2 *h, struct buf *out, size_t max)
{
	const size_t len = buf_len(out);
	size_t n = buf_len(&h->spill);

	if (n == 0 || len >= max)
		return;
	if (n > max - len)
		n = max - len;
	(void)buf_put(out, slice_sub(buf_get(&h->spill), 0, n));
	buf_consume(&h->spill, n);
	if (buf_len(&h->spill) == 0)
		buf_release(&h->spill);
}

static void
stream_resume(struct h2_stream *s)
{
	if (!s->deferred)
		return;
	s->deferred = false;
	s->blocked = false;
	(void)nghttp2_session_resume_data(s->h->ng, s->id);
}

static void
unblock(struct h2 *h)
{
	if (!h->blocked)
		return;
	h->blocked = false;
	for (struct h2_stream *s = h->streams; s != NULL; s = s->next) {
		if (s->blocked)
			stream_resume(s);
	}
}

bool
h2_take_output(struct h2 *h, struct buf *out, size_t max)
{
	const uint8_t *p;
	ssize_t n;

	must(h->busy == 0);
	if (max > out->max)
		max = out->max;
	spill_drain(h, out, max);
	h->sink = out;
	h->sink_max = max;
	if (sink_room(h) > 0)
		unblock(h);
	h->busy++;
	while (sink_room(h) > 0) {
		n = nghttp2_session_mem_send(h->ng, &p);
		if (n < 0 && h->failed == ERR_OK)
			h->failed = h2_err_of(n);
		h->out_failed |= n < 0;
		if (n <= 0)
			break;
		sink_put(h, slice_of(p, (size_t)n));
	}
	h->busy--;
	h->sink = NULL;
	return h2_wants_write(h);
}

bool
h2_wants_write(const struct h2 *h)
{
	if (buf_len(&h->spill) > 0)
		return true;
	/* What is left will never come: its connection is to end. */
	return !h->out_failed &&
	       (h->blocked || nghttp2_session_want_write(h->ng) != 0);
}

/* -- headers ----------------------------------------------------------- */

/* nghttp2's struct wants pointers to bytes that are not const; it does not
 * write to them. */
static uint8_t *
unconst(const uint8_t *p)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} u = {p};

	return u.out;
}

/* All must fit into one frame, coded or not: for a second one nghttp2 would
 * ask for another frame buffer, and there is only one (h2_frame_mem.c). */
static enum err
to_nv(const struct h2_header *headers, size_t cnt, nghttp2_nv *nv)
{
	size_t len = BLOCK_EXTRA;

	if (cnt > NV_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < cnt; i++) {
		const struct slice n = headers[i].name;
		const struct slice v = headers[i].value;

		if (nghttp2_check_header_value(v.p, v.len) == 0)
			return ERR_SYNTAX;
		if (n.len > H2_FRAME_MAX || v.len > H2_FRAME_MAX)
			return ERR_LIMIT;
		len += n.len + v.len + NV_EXTRA;
		if (len > H2_FRAME_MAX)
			return ERR_LIMIT;
		nv[i] = (nghttp2_nv){unconst(n.p), unconst(v.p), n.len, v.len,
				     NGHTTP2_NV_FLAG_NONE};
	}
	return ERR_OK;
}

static struct h2_kept *
keep_headers(const struct h2_header *headers, size_t cnt)
{
	struct h2_kept *k;
	size_t len = sizeof(*k) + cnt * sizeof(k->headers[0]);
	uint8_t *p;

	for (size_t i = 0; i < cnt; i++)
		len += headers[i].name.len + headers[i].value.len;
	k = mem_new(len);
	k->cnt = cnt;
	p = (uint8_t *)&k->headers[cnt];
	for (size_t i = 0; i < cnt; i++) {
		const struct h2_header *h = &headers[i];

		memcpy(p, h->name.p, h->name.len);
		k->headers[i].name = slice_of(p, h->name.len);
		p += h->name.len;
		if (h->value.len > 0)
			memcpy(p, h->value.p, h->value.len);
		k->headers[i].value = slice_of(p, h->value.len);
		p += h->value.len;
	}
	return k;
}

/* -- bodies ------------------------------------------------------------ */

static ssize_t
end_of_body(struct h2_stream *s, uint32_t *flags)
{
	SCRATCH nghttp2_nv nv[NV_MAX];

	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (s->trailers == NULL)
		return 0;
	if (to_nv(s->trailers->headers, s->trailers->cnt, nv) != ERR_OK ||
	    nghttp2_submit_trailer(s->h->ng, s->id, nv, s->trailers->cnt) != 0)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	return 0;
}

static ssize_t
on_read(nghttp2_session *ng UNUSED, int32_t id UNUSED, uint8_t *p UNUSED,
	size_t len, uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *s = source->ptr;
	size_t n = buf_len(&s->out);
	ssize_t rv;

	if (n == 0 && !s->finishing) {
		s->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n > 0 && sink_room(h) == 0) {
		s->deferred = true;
		s->blocked = true;
		h->blocked = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n > len)
		return (ssize_t)len;
	if (s->finishing && (rv = end_of_body(s, flags)) != 0)
		return rv;
	return (ssize_t)n;
}

/* Half of what all may queue is free again: who was refused may try. */
void
h2_feed_starved(struct h2 *h)
{
	if (!h->starved || h->out_len > h->limits.out_max / 2)
		return;
	h->starved = false;
	for (struct h2_stream *s = h->streams; s != NULL; s = s->next) {
		if (!s->starved)
			continue;
		s->starved = false;
		if (!s->finishing && !s->reset && h->cbs.on_drain != NULL)
			h->cbs.on_drain(h->arg, s);
	}
}

static int
on_send_data(nghttp2_session *ng UNUSED, nghttp2_frame *f UNUSED,
	     const uint8_t *framehd, size_t len, nghttp2_data_source *source,
	     void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *s = source->ptr;

	sink_reserve(h, FRAME_HEADER + len);
	sink_put(h, slice_of(framehd, FRAME_HEADER));
	sink_put(h, slice_sub(buf_get(&s->out), 0, len));
	buf_consume(&s->out, len);
	h->out_len -= len;
	if (len > 0 && buf_len(&s->out) == 0) {
		buf_release(&s->out);
		s->starved = false;
		if (!s->finishing && !s->reset && h->cbs.on_drain != NULL)
			h->cbs.on_drain(h->arg, s);
	}
	h2_feed_starved(h);
	return 0;
}

static void
end_sent(struct h2 *h, struct h2_stream *s, int32_t id)
{
	/* RFC 9113 8.1: the answer is whole, the rest of the request is not
	 * wanted. A stream without object was refused by us (431). */
	if (!h->server || (s != NULL && (s->remote_end || s->reset)))
		return;
	if (s != NULL)
		s->reset = true;
	if (nghttp2_session_get_stream_remote_close(h->ng, id) == 0)
		(void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, id,
						H2_NO_ERROR);
}

static uint64_t
reset_cost(const struct h2_stream *s, uint32_t code)
{
	return s == NULL && code == H2_PROTOCOL_ERROR ? COST_MALFORMED
						      : COST_RESET;
}

static int
on_frame_send(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *s;

	if (f->hd.type != NGHTTP2_DATA && f->hd.type != NGHTTP2_HEADERS &&
	    f->hd.type != NGHTTP2_RST_STREAM)
		return 0;
	s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	if (f->hd.type == NGHTTP2_RST_STREAM) {
		/* A reset that the peer provoked costs as much as its own. */
		if (h->server && (s == NULL || !s->reset))
			h2_charge(h, reset_cost(s, f->rst_stream.error_code));
		return 0;
	}
	if (f->hd.type == NGHTTP2_DATA)
		h->credit += CREDIT_DATA;
	if ((f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
		end_sent(h, s, f->hd.stream_id);
	return 0;
}

/* A request that could not be sent (GOAWAY came first, or it was cancelled)
 * has no stream in nghttp2 and gets no close callback. */
static int
on_frame_not_send(nghttp2_session *ng UNUSED, const nghttp2_frame *f,
		  int lib_error UNUSED, void *arg)
{
	struct h2 *h = arg;

	if (f->hd.type != NGHTTP2_HEADERS || h->server ||
	    f->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	for (struct h2_stream *s = h->streams; s != NULL; s = s->next) {
		if (s->id == f->hd.stream_id) {
			(void)nghttp2_session_set_stream_user_data(h->ng, s->id,
								   NULL);
			h2_stream_drop(s, s->reset ? H2_CANCEL
						   : H2_REFUSED_STREAM);
			break;
		}
	}
	return 0;
}

void
h2_out_set_callbacks(nghttp2_session_callbacks *cbs)
{
	nghttp2_session_callbacks_set_send_data_callback(cbs, on_send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(cbs,
							     on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(
		cbs, on_frame_not_send);
}

/* -- calls of the application ------------------------------------------ */

bool
h2_can_request(const struct h2 *h)
{
	return !h->server && !h->dead && !h->shutting && !h->peer_goaway &&
	       h->failed == ERR_OK &&
	       nghttp2_session_get_next_stream_id(h->ng) <= INT32_MAX;
}

enum err
h2_request(struct h2 *h, const struct h2_header *headers, size_t cnt, bool end,
	   void *app, struct h2_stream **out)
{
	enum err ret;
	SCRATCH nghttp2_nv nv[NV_MAX];
	nghttp2_data_provider body = {.read_callback = on_read};
	struct h2_stream *s;
	int32_t id;

	*out = NULL;
	if (!h2_can_request(h))
		return ERR_CLOSED;
	if ((ret = to_nv(headers, cnt, nv)) != ERR_OK)
		return ret;
	s = h2_stream_new(h, 0, app);
	if (s == NULL)
		return ERR_NO_MEMORY;
	body.source.ptr = s;
	id = nghttp2_submit_request(h->ng, NULL, nv, cnt, end ? NULL : &body,
				    s);
	if (id < 0) {
		h2_stream_drop(s, H2_INTERNAL_ERROR);
		return h2_err_of(id);
	}
	s->id = id;
	s->responded = true;
	s->finishing = end;
	h->credit += CREDIT_DATA;
	*out = s;
	return ERR_OK;
}

static bool
is_open(const struct h2_stream *s)
{
	return !s->h->dead && !s->reset && !s->finishing;
}

enum err
h2_stream_respond(struct h2_stream *s, const struct h2_header *headers,
		  size_t cnt, bool end)
{
	enum err ret;
	int rv;
	SCRATCH nghttp2_nv nv[NV_MAX];
	nghttp2_data_provider body = {.source.ptr = s,
				      .read_callback = on_read};

	if (!is_open(s) || s->responded)
		return ERR_CLOSED;
	if ((ret = to_nv(headers, cnt, nv)) != ERR_OK)
		return ret;
	rv = nghttp2_submit_response(s->h->ng, s->id, nv, cnt,
				     end ? NULL : &body);
	if (rv != 0)
		return h2_err_of(rv);
	s->responded = true;
	s->finishing = end;
	return ERR_OK;
}

enum err
h2_stream_send_parts(struct h2_stream *s, const struct slice *parts, size_t cnt)
{
	const size_t max = s->h->limits.stream_out_max;
	size_t len = 0;
	uint8_t *p;

	if (!is_open(s) || !s->responded)
		return ERR_CLOSED;
	for (size_t i = 0; i < cnt; i++)
		len += parts[i].len;
	if (len > max)
		return ERR_LIMIT;
	if (len > max - buf_len(&s->out))
		return ERR_BUSY;
	if (len + s->h->out_len > s->h->limits.out_max) {
		s->starved = s->h->starved = true;
		return ERR_BUSY;
	}
	s->h->out_len += len;
	must(buf_reserve(&s->out, len, &p) == ERR_OK);
	for (size_t i = 0; i < cnt; i++)
		must(buf_put(&s->out, parts[i]) == ERR_OK);
	stream_resume(s);
	return ERR_OK;
}

enum err
h2_stream_finish(struct h2_stream *s, const struct h2_header *trailers,
		 size_t cnt)
{
	enum err ret;
	SCRATCH nghttp2_nv nv[NV_MAX];

	if (!is_open(s) || !s->responded)
		return ERR_CLOSED;
	if ((ret = to_nv(trailers, cnt, nv)) != ERR_OK)
		return ret;
	if (cnt > 0)
		s->trailers = keep_headers(trailers, cnt);
	s->finishing = true;
	stream_resume(s);
	return ERR_OK;
}

void
h2_stream_reset(struct h2_stream *s, uint32_t code)
{
	if (s->h->dead || s->reset)
		return;
	s->reset = true;
	(void)nghttp2_submit_rst_stream(s->h->ng, NGHTTP2_FLAG_NONE, s->id,
					code);
}
