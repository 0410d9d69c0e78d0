/* h2.c - sessions: making, feeding, ending, and the rate of cheap frames. What
 * comes in is in h2_in.c, what goes out in h2_out.c. RFC 9113. */
#include "h2/h2.h"

#include "base/mem.h"
#include "h2/h2_int.h"

enum {
	OUTBOUND_ACK_MAX = 200,
	SETTINGS_MAX = 16,
	CONTINUATION_MAX = 8,
	COST_USELESS = 4,    /* what it earned, and as much again */
	OUT_MAX_STREAMS = 16 /* that may have full queues, unless said */
};

enum err
h2_err_of(ssize_t ng_err)
{
	switch (ng_err) {
	case NGHTTP2_ERR_NOMEM:
		return ERR_NO_MEMORY;
	case NGHTTP2_ERR_FLOODED:
		return ERR_LIMIT;
	case NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE:
		return ERR_UNAVAILABLE;
	case NGHTTP2_ERR_INVALID_STATE:
	case NGHTTP2_ERR_INVALID_STREAM_ID:
	case NGHTTP2_ERR_STREAM_CLOSED:
		return ERR_CLOSED;
	case NGHTTP2_ERR_CALLBACK_FAILURE:
		return ERR_BUG;
	default:
		return ERR_PROTOCOL;
	}
}

static void
set_options(nghttp2_option *o, const struct h2_limits *l)
{
	/* Windows are given back by h2_stream_consumed only. */
	nghttp2_option_set_no_auto_window_update(o, 1);
	/* Closed streams are kept for a priority tree that we do not use. */
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_outbound_ack(o, OUTBOUND_ACK_MAX);
	nghttp2_option_set_max_settings(o, SETTINGS_MAX);
	nghttp2_option_set_max_continuations(o, CONTINUATION_MAX);
	nghttp2_option_set_max_reserved_remote_streams(o, 0);
	nghttp2_option_set_max_deflate_dynamic_table_size(o, l->header_table);
	/* Ours (h2_charge) is the narrower one and covers more. */
	nghttp2_option_set_stream_reset_rate_limit(o, UINT32_MAX, UINT32_MAX);
}

static enum err
session_new(struct h2 *h)
{
	int rv;
	nghttp2_mem mem;
	nghttp2_session_callbacks *cbs = NULL;
	nghttp2_option *opt = NULL;

	if (nghttp2_session_callbacks_new(&cbs) != 0)
		return ERR_NO_MEMORY;
	if (nghttp2_option_new(&opt) != 0) {
		nghttp2_session_callbacks_del(cbs);
		return ERR_NO_MEMORY;
	}
	h2_in_set_callbacks(cbs);
	h2_out_set_callbacks(cbs);
	set_options(opt, &h->limits);
	/* A client's headers hold its token: nghttp2 copies them. */
	h2_frame_mem_get(!h->server, &mem);
	if (h->server)
		rv = nghttp2_session_server_new3(&h->ng, cbs, h, opt, &mem);
	else
		rv = nghttp2_session_client_new3(&h->ng, cbs, h, opt, &mem);
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cbs);
	return rv == 0 ? ERR_OK : h2_err_of(rv);
}

/* nghttp2 puts the client's magic into the frame buffer when it makes the
 * session. The buffer is shared (h2_frame_mem.c): take it out at once. */
static enum err
magic_take(struct h2 *h)
{
	const uint8_t *p;
	ssize_t n;

	if (h->server)
		return ERR_OK;
	n = nghttp2_session_mem_send(h->ng, &p);
	if (n < 0)
		return h2_err_of(n);
	return buf_put(&h->spill, slice_of(p, (size_t)n));
}

static enum err
settings_send(struct h2 *h)
{
	const struct h2_limits *l = &h->limits;
	const uint32_t list_max = l->header_bytes_max < UINT32_MAX / 2
					  ? (uint32_t)l->header_bytes_max
					  : UINT32_MAX / 2;
	int rv;
	nghttp2_settings_entry s[6];
	size_t n = 0;

	s[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
					  l->window};
	s[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
					  list_max};
	s[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_HEADER_TABLE_SIZE,
					  l->header_table};
	if (h->server) {
		s[n++] = (nghttp2_settings_entry){
			NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
			l->streams_max};
		s[n++] = (nghttp2_settings_entry){
			NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1};
	} else {
		s[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH,
						  0};
	}
	rv = nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, s, n);
	if (rv == 0 && l->window > NGHTTP2_INITIAL_CONNECTION_WINDOW_SIZE)
		rv = nghttp2_session_set_local_window_size(
			h->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)l->window);
	return rv == 0 ? ERR_OK : h2_err_of(rv);
}

enum err
h2_new(bool server, const struct h2_limits *limits, const struct h2_cbs *cbs,
       void *arg, struct h2 **out)
{
	enum err ret;
	struct h2 *h;

	*out = NULL;
	if (limits->window > INT32_MAX)
		return ERR_LIMIT;
	h = mem_try_new(sizeof(*h));
	if (h == NULL)
		return ERR_NO_MEMORY;
	h->server = server;
	h->limits = *limits;
	if (h->limits.out_max == 0)
		h->limits.out_max = OUT_MAX_STREAMS * limits->stream_out_max;
	h->cbs = *cbs;
	h->arg = arg;
	buf_init_secret(&h->spill, SIZE_MAX / 2);
	h2_scan_init(h);
	if ((ret = session_new(h)) != ERR_OK)
		goto out;
	if ((ret = magic_take(h)) != ERR_OK)
		goto out;
	if ((ret = settings_send(h)) != ERR_OK)
		goto out;
	*out = TAKE(h);
	ret = ERR_OK;
out:
	h2_free(h);
	return ret;
}

void
h2_free(struct h2 *h)
{
	if (h == NULL)
		return;
	must(h->busy == 0);
	h->dead = true;
	while (h->streams != NULL)
		h2_stream_drop(h->streams, H2_CANCEL);
	h2_in_clear(h);
	nghttp2_session_del(h->ng);
	buf_fini(&h->spill);
	mem_free(h);
}

/* nghttp2 answers a protocol error by a GOAWAY of its own and from then on
 * wants nothing more to read. */
static bool
is_terminated(const struct h2 *h)
{
	return !h->shutting && !h->peer_goaway &&
	       nghttp2_session_want_read(h->ng) == 0;
}

enum err
h2_feed(struct h2 *h, struct slice bytes, struct mono now)
{
	ssize_t n;

	if (h->failed != ERR_OK)
		return h->failed;
	must(h->busy == 0);
	h->now = now;
	h2_scan(h, bytes);
	if (h->failed != ERR_OK)
		return h->failed;
	h->busy++;
	n = nghttp2_session_mem_recv(h->ng, bytes.p, bytes.len);
	h->busy--;
	if (h->failed != ERR_OK)
		return h->failed;
	if (n < 0)
		h->failed = h2_err_of(n);
	else if (is_terminated(h))
		h->failed = ERR_PROTOCOL;
	return h->failed;
}

void
h2_charge(struct h2 *h, uint64_t cost)
{
	if (h->failed != ERR_OK)
		return;
	if (mono_diff_ms(h->now, h->window_start) >= H2_RATE_MS) {
		h->window_start = h->now;
		h->cheap = 0;
		h->credit = 0;
	}
	h->cheap += cost;
	if (h->cheap <= h->credit + h->limits.cheap_frames_max)
		return;
	h->failed = ERR_LIMIT;
	(void)nghttp2_session_terminate_session(h->ng, H2_ENHANCE_YOUR_CALM);
}

void
h2_stream_charge(struct h2_stream *s)
{
	h2_charge(s->h, COST_USELESS);
}

void
h2_shutdown(struct h2 *h)
{
	if (h->shutting || h->dead)
		return;
	h->shutting = true;
	(void)nghttp2_submit_goaway(
		h->ng, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(h->ng),
		NGHTTP2_NO_ERROR, NULL, 0);
}

bool
h2_is_finished(const struct h2 *h)
{
	return !h2_wants_write(h) &&
	       (h->failed != ERR_OK || nghttp2_session_want_read(h->ng) == 0);
}

/* -- streams ----------------------------------------------------------- */

struct h2_stream *
h2_stream_new(struct h2 *h, int32_t id, void *app)
{
	struct h2_stream *s = mem_try_new(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->h = h;
	s->id = id;
	s->app = app;
	buf_init_secret(&s->out, h->limits.stream_out_max);
	s->next = h->streams;
	if (s->next != NULL)
		s->next->prev = s;
	h->streams = s;
	return s;
}

void
h2_stream_drop(struct h2_stream *s, uint32_t code)
{
	struct h2 *h = s->h;

	if (s->next != NULL)
		s->next->prev = s->prev;
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		h->streams = s->next;
	/* A client's stream whose request was never announced to nghttp2 has
	 * no id, and nobody knows of it. */
	if (s->id > 0)
		h->cbs.on_close(h->arg, s, code);
	h->out_len -= buf_len(&s->out);
	buf_fini(&s->out);
	mem_free(s->trailers);
	mem_free(s);
}

void
h2_stream_set_app(struct h2_stream *s, void *app)
{
	s->app = app;
}

void *
h2_stream_get_app(const struct h2_stream *s)
{
	return s->app;
}

size_t
h2_stream_out_len(const struct h2_stream *s)
{
	return buf_len(&s->out);
}

void
h2_stream_consumed(struct h2_stream *s, size_t len)
{
	if (s->h->dead || s->reset || s->remote_end)
		return;
	(void)nghttp2_session_consume_stream(s->h->ng, s->id, len);
}
