/* h2.h - HTTP/2 sessions without I/O. The only door to nghttp2.
 *
 * Feed what was read (already decrypted), take what is to be written. Streams
 * carry an application pointer. Bodies are sent from a queue per stream under
 * flow control; received bodies are handed over at once and their window is
 * given back by h2_stream_consumed, so that a slow reader holds its sender.
 *
 * Known attacks are cut here: limits of header bytes, streams, resets, pings,
 * settings, empty and tiny frames, and frames that are to be ignored (see
 * struct h2_limits); ERR_LIMIT from h2_feed ends the connection after a GOAWAY.
 * RFC 9113. */
#ifndef H2_H2_H
#define H2_H2_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/slice.h"

struct h2;
struct h2_stream;

struct h2_header {
	struct slice name; /* lower case */
	struct slice value;
};

struct h2_limits {
	uint32_t streams_max;      /* concurrent, offered in SETTINGS */
	size_t header_bytes_max;   /* all names and values of one message */
	size_t stream_out_max;     /* bytes queued to send per stream */
	size_t out_max;            /* the same for all streams together; 0: 16
				      times stream_out_max */
	uint32_t window;           /* bytes a stream may receive unread */
	uint32_t header_table;     /* SETTINGS_HEADER_TABLE_SIZE */
	uint32_t cheap_frames_max; /* resets, pings, settings, tiny frames and
				     the like that a peer may send per 10 s
				     beyond two per request */
};

struct h2_cbs {
	/* All headers of a message have come. end: no body follows. For a
	 * server the first call on a stream is a new request: set the
	 * application pointer. For a client: response headers, then perhaps
	 * trailers (trailers true). An error resets the stream. */
	enum err (*on_headers)(void *arg, struct h2_stream *s,
			       const struct h2_header *headers, size_t cnt,
			       bool trailers, bool end);
	enum err (*on_data)(void *arg, struct h2_stream *s, struct slice bytes);
	/* The peer finished its side. */
	void (*on_end)(void *arg, struct h2_stream *s);
	/* The stream is gone, once, always; code: HTTP/2 error code. */
	void (*on_close)(void *arg, struct h2_stream *s, uint32_t code);
	/* The send queue of the stream ran empty, or there is room again after
	 * the connection was full. May be NULL. */
	void (*on_drain)(void *arg, struct h2_stream *s);
	/* The peer said GOAWAY: no new requests on this connection. May be
	 * NULL. */
	void (*on_goaway)(void *arg, uint32_t code);
};

MUST_USE enum err h2_new(bool server, const struct h2_limits *limits,
			 const struct h2_cbs *cbs, void *arg, struct h2 **out);
/* on_close is called for each stream that is left. Not from inside a callback
 * of this session. */
void h2_free(struct h2 *h);
/* Everything is taken. now: for the rates. After an error there may still be
 * output (a GOAWAY). */
enum err h2_feed(struct h2 *h, struct slice bytes, struct mono now);
/* Appends what is ready to be sent, as much as fits below `max` bytes of
 * `out`. True when more is left. */
bool h2_take_output(struct h2 *h, struct buf *out, size_t max);
bool h2_wants_write(const struct h2 *h);
/* GOAWAY; living streams may end. */
void h2_shutdown(struct h2 *h);
/* Nothing left to read or write: the connection can be closed. */
bool h2_is_finished(const struct h2 *h);

/* Client: a request can still be started here (no GOAWAY, stream ids left). */
bool h2_can_request(const struct h2 *h);
/* Client: a new request. end: no body. ERR_LIMIT here and below: more than 48
 * headers, or more text than one frame of 16 kB holds. */
MUST_USE enum err h2_request(struct h2 *h, const struct h2_header *headers,
			     size_t cnt, bool end, void *app,
			     struct h2_stream **out);
/* Server: response headers, once per stream; end: no body. */
enum err h2_stream_respond(struct h2_stream *s, const struct h2_header *headers,
			   size_t cnt, bool end);
/* Queues body bytes (copied), several parts as one: all or none. ERR_BUSY when
 * the queue of the stream is full, or those of all streams together are;
 * on_drain says when to try again. ERR_LIMIT: larger than the queue can ever
 * hold. */
enum err h2_stream_send_parts(struct h2_stream *s, const struct slice *parts,
			      size_t cnt);
/* Ends our side when the queue is empty, with trailers (cnt > 0) or without. */
enum err h2_stream_finish(struct h2_stream *s, const struct h2_header *trailers,
			  size_t cnt);
void h2_stream_reset(struct h2_stream *s, uint32_t code);
/* Server: the request was of no use. Many such are like other cheap frames. */
void h2_stream_charge(struct h2_stream *s);
void h2_stream_consumed(struct h2_stream *s, size_t len);
size_t h2_stream_out_len(const struct h2_stream *s);
void h2_stream_set_app(struct h2_stream *s, void *app);
void *h2_stream_get_app(const struct h2_stream *s);

enum {
	H2_NO_ERROR = 0,
	H2_PROTOCOL_ERROR = 1,
	H2_INTERNAL_ERROR = 2,
	H2_REFUSED_STREAM = 7,
	H2_CANCEL = 8,
	H2_ENHANCE_YOUR_CALM = 11
};

#endif
