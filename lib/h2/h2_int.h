/* h2_int.h - inside of h2: what session, input and output share. */
#ifndef H2_H2_INT_H
#define H2_H2_INT_H

#include <nghttp2/nghttp2.h>

#include "h2/h2.h"

enum {
	H2_HEADER_CNT_MAX = 100,
	H2_RATE_MS = 10000,
	H2_FRAME_MAX = 16384,
	H2_HEAD_LEN = 9
};

/* Trailers that wait for the end of the queue; strings behind the array. */
struct h2_kept {
	size_t cnt;
	struct h2_header headers[];
};

struct h2_stream {
	struct h2 *h;
	struct h2_stream *next;
	struct h2_stream *prev;
	void *app;
	struct buf out;
	struct h2_kept *trailers;
	int32_t id;
	bool responded;  /* server: response headers are submitted */
	bool has_final;  /* client: response headers (not 1xx) have come */
	bool finishing;  /* our side ends when the queue is empty */
	bool deferred;   /* nghttp2 waits for h2_stream_resume */
	bool blocked;    /* deferred because the output was full */
	bool starved;    /* was refused for what other streams have queued */
	bool remote_end; /* the peer finished its side */
	bool reset;      /* we reset it: no callbacks but on_close */
};

/* The header block that is being received: references into nghttp2's own
 * reference-counted strings, nothing is copied. */
struct h2_block {
	struct h2_header *headers;
	nghttp2_rcbuf **refs; /* two per header */
	size_t cnt;
	size_t cap;
	size_t bytes;
	bool over; /* a limit was met; the rest is decoded and dropped */
	size_t dropped;
};

/* Where the frames of what comes in begin. */
struct h2_scan {
	uint8_t head[H2_HEAD_LEN];
	size_t have; /* of head */
	size_t skip; /* bytes to the next head */
};

struct h2 {
	nghttp2_session *ng;
	bool server;
	bool shutting;    /* we said GOAWAY */
	bool peer_goaway; /* they did */
	bool dead;        /* h2_free is at work */
	bool blocked;     /* some stream is */
	unsigned busy;    /* inside nghttp2 */
	enum err failed;
	bool out_failed; /* nghttp2 cannot go on sending: no memory */
	struct h2_limits limits;
	struct h2_cbs cbs;
	void *arg;
	struct h2_stream *streams;
	size_t out_len; /* queued on all streams */
	bool starved;   /* some stream is */
	struct h2_block in;
	struct h2_scan scan;
	/* Output of the running h2_take_output, and what did not fit. */
	struct buf *sink;
	size_t sink_max;
	struct buf spill;
	/* The rate of cheap frames. */
	struct mono now;
	struct mono window_start;
	uint64_t cheap;
	uint64_t credit;
};

/* h2.c */
struct h2_stream *h2_stream_new(struct h2 *h, int32_t id, void *app);
void h2_stream_drop(struct h2_stream *s, uint32_t code);
void h2_charge(struct h2 *h, uint64_t cost);
enum err h2_err_of(ssize_t ng_err);

/* h2_in.c */
void h2_in_set_callbacks(nghttp2_session_callbacks *cbs);
void h2_in_clear(struct h2 *h);

/* h2_scan.c */
void h2_scan_init(struct h2 *h);
/* Charges for the frames that begin in these bytes. */
void h2_scan(struct h2 *h, struct slice bytes);

/* h2_out.c */
void h2_feed_starved(struct h2 *h);
void h2_out_set_callbacks(nghttp2_session_callbacks *cbs);

/* h2_frame_mem.c: the frame buffer that all sessions of a thread share. */
void h2_frame_mem_get(bool wipes, nghttp2_mem *out);

#endif
