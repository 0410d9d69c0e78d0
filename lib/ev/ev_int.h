/* ev_int.h - what the files of ev share. Not for other folders. */
#ifndef EV_EV_INT_H
#define EV_EV_INT_H

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <uv.h>

#include "ev/ev.h"

enum {
	EV_READ_MAX = 65536,
	EV_ADDRS_MAX = 16,
	EV_BATCH = 256 /* events of one turn */
};

struct ev_resolve;

/* A descriptor in the loop's epoll set; embedded, ev_source_init first. The
 * callback gets EPOLL... bits. What it is embedded in may be given to
 * ev_garbage from inside any callback, not freed. */
struct ev_source {
	void (*on_event)(struct ev_source *s, uint32_t events);
	int fd;
	uint32_t wanted; /* 0: not in the set */
};

/* Memory to be freed at the end of the turn; embedded. */
struct ev_garbage {
	struct ev_garbage *next;
	void *owner;
};

struct ev_loop {
	struct ev_source uv_source; /* libuv's own epoll set; first */
	uv_loop_t uv;
	int epoll_fd;
	bool uv_due;  /* it has something to do */
	bool stopped; /* by ev_loop_stop */
	struct epoll_event batch[EV_BATCH];
	int batch_at; /* being handled, and behind it: */
	int batch_cnt;
	struct ev_garbage *garbage;
	struct ev_defer *defer_head;
	struct ev_defer **defer_tail;
	struct ev_defer *next_head; /* of the next turn */
	struct ev_defer **next_tail;
	struct ev_defer *late_head;
	struct ev_defer **late_tail;
	struct mono late_since;       /* of the first of them */
	struct ev_timer *timer_spare; /* stopped, ready for use again */
	unsigned timer_spare_cnt;
	uv_signal_t *sigchld;
	struct ev_child *children;
	struct ev_stream *lingering;
	struct ev_resolve *resolves;
	struct ev_clock *clocks;
	uint64_t ran; /* timers and deferred work so far */
	struct buf scratch;
	uint8_t read_buf[EV_READ_MAX];
};

/* An endpoint in few bytes: streams keep one. */
struct ev_addr {
	uint8_t ip[16]; /* 4 or 16 bytes by family */
	uint32_t scope;
	uint16_t port;
	uint8_t family; /* AF_INET, AF_INET6, AF_UNIX, or 0 */
};

/* "host:port", "[v6]:port", ":port": host is NUL-ended, empty for ":port". */
MUST_USE enum err ev_addr_split(const char *text, char host[256],
				uint16_t *port_out);
/* True when host is a number; port is left alone. */
bool ev_addr_set_numeric(struct ev_addr *a, const char *host);
void ev_addr_from_sockaddr(struct ev_addr *a, const struct sockaddr *sa);
socklen_t ev_addr_to_sockaddr(const struct ev_addr *a,
			      struct sockaddr_storage *ss);
void ev_addr_text(const struct ev_addr *a, char out[EV_ADDR_TEXT_MAX]);

/* Options that an accepted socket inherits from its listener. */
void ev_sock_tune(int fd);
/* For sockets that others made. */
void ev_sock_unblock(int fd);
/* Takes the non-blocking socket over, also when it fails. peer: copied. */
MUST_USE enum err ev_stream_new(struct ev_loop *loop, int fd,
				const struct ev_addr *peer,
				struct ev_stream **out);
void ev_stream_cut_all(struct ev_loop *loop);
/* Ends at once what only waits for its peer's end. False: there was none. */
bool ev_stream_cut_lingering(struct ev_loop *loop);

void ev_source_init(struct ev_source *s, int fd,
		    void (*on_event)(struct ev_source *s, uint32_t events));
/* Waits for EPOLLIN and EPOLLOUT as said, 0: not at all. Errors and hang-ups
 * come with either. Fails only for what epoll cannot watch, or without memory,
 * when it was not in the set before. */
MUST_USE enum err ev_source_want(struct ev_loop *loop, struct ev_source *s,
				 uint32_t events);
/* Out of the set, and no event of this turn reaches it any more. Before the
 * descriptor is closed: a child may hold a copy of it for a while. */
void ev_source_drop(struct ev_loop *loop, struct ev_source *s);
void ev_garbage_put(struct ev_loop *loop, struct ev_garbage *g, void *owner);
/* One turn: deferred work, events, timers, deferred work. */
void ev_loop_turn(struct ev_loop *loop, bool wait);
/* To be called after something was started in libuv. */
void ev_loop_wake_uv(struct ev_loop *loop);

/* Once a turn: was the wall clock set meanwhile? */
void ev_clock_look_all(struct ev_loop *loop);
void ev_timer_spare_close(struct ev_loop *loop);
void ev_child_close_all(struct ev_loop *loop);
void ev_defer_run(struct ev_loop *loop);

/* Looks a host name up in a child process of its own. The callback runs once
 * unless cancelled; addrs have no port and are borrowed for the call. */
typedef void ev_resolve_cb(void *arg, const char *problem,
			   const struct ev_addr *addrs, size_t cnt);
MUST_USE enum err ev_resolve_start(struct ev_loop *loop, const char *host,
				   ev_resolve_cb *cb, void *arg,
				   struct ev_resolve **pending);
void ev_resolve_cancel(struct ev_resolve **pending);
void ev_resolve_close_all(struct ev_loop *loop);

#endif
