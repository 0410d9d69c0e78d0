/* ev.h - the event loop. The only door to libuv.
 *
 * One loop per process, one thread. Contract of everything that is started:
 *   - start failed: the callback never runs;
 *   - cancelled or closed: the callback never runs;
 *   - otherwise as documented; never from inside the start call.
 * Memory that a callback may still look at is freed by ev when it is over;
 * users never see close callbacks and may free their own objects at once.
 * *_cancel and *_close take the address of the handle, set it NULL, and accept
 * a NULL handle. Nothing here starts threads: no uv_queue_work, no
 * uv_getaddrinfo (see ev_resolve). */
#ifndef EV_EV_H
#define EV_EV_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/slice.h"
#include "base/why.h"

struct ev_loop;

MUST_USE enum err ev_loop_new(struct ev_loop **out);
/* Everything started on it must have been closed. */
void ev_loop_free(struct ev_loop *loop);
/* Runs until ev_loop_stop. */
void ev_loop_run(struct ev_loop *loop);
/* Runs what is ready, waits for one event at most when wait is true. Tests. */
void ev_loop_step(struct ev_loop *loop, bool wait);
void ev_loop_stop(struct ev_loop *loop);
/* A buffer of 64 kB at most, for bytes on their way inside of one callback. Who
 * takes it empties it again, and wipes what was in it. */
enum {
	EV_SCRATCH_MAX = 65536
};
struct buf *ev_loop_get_scratch(struct ev_loop *loop);

/* -- timers: one shot, monotonic. The pending variable is set NULL before the
 * callback runs. A timer fires not before its time. */
struct ev_timer;
typedef void ev_timer_cb(void *arg);
MUST_USE enum err ev_timer_start(struct ev_loop *loop, uint64_t after_ms,
				 ev_timer_cb *cb, void *arg,
				 struct ev_timer **pending);
void ev_timer_cancel(struct ev_timer **pending);

/* -- the wall clock: tells that it was set, by a second or more, or that the
 * machine slept (the monotonic clock stands still then). by_ms: how much it
 * went forward beyond the time that passed; negative: back. The callback comes
 * when the kernel says so, at the latest when the loop next wakes up for
 * something; not from inside the start. Timers keep their time: who counts
 * with the wall clock counts again. */
struct ev_clock;
typedef void ev_clock_cb(void *arg, int64_t by_ms);
void ev_clock_watch(struct ev_loop *loop, ev_clock_cb *cb, void *arg,
		    struct ev_clock **out);
void ev_clock_cancel(struct ev_clock **c);

/* -- deferred work: runs once, after all events of this turn of the loop were
 * handled and before it sleeps. Queued twice, it runs once. This is how many
 * small writes become one: mark, then flush here. The struct is embedded in
 * the owner, zeroed at first. */
typedef void ev_defer_cb(void *arg);
struct ev_defer {
	ev_defer_cb *cb;
	void *arg;
	struct ev_defer *next;
	struct ev_loop *loop; /* not NULL: queued */
};
void ev_defer_queue(struct ev_loop *loop, struct ev_defer *d, ev_defer_cb *cb,
		    void *arg);
/* Runs when nothing else is to be done: no descriptor was ready, or EV_LATE_MS
 * have passed. Work whose price is for a batch of any size (a commit, a write
 * that wakes another process) waits here for the rest of its batch, and alone
 * for nothing. Queued again while it runs, it runs in the next turn. */
enum {
	EV_LATE_MS = 1
};
void ev_defer_queue_late(struct ev_loop *loop, struct ev_defer *d,
			 ev_defer_cb *cb, void *arg);
/* The same in the next turn, after its events were handled: for work in
 * portions that leaves the others their share. */
void ev_defer_queue_next(struct ev_loop *loop, struct ev_defer *d,
			 ev_defer_cb *cb, void *arg);
void ev_defer_cancel(struct ev_defer *d);

/* -- signals */
struct ev_signal;
typedef void ev_signal_cb(void *arg, int signum);
MUST_USE enum err ev_signal_start(struct ev_loop *loop, int signum,
				  ev_signal_cb *cb, void *arg,
				  struct ev_signal **out);
void ev_signal_cancel(struct ev_signal **s);

/* -- descriptors that somebody else reads or writes (ipc control channels) */
struct ev_poll;
typedef void ev_poll_cb(void *arg, bool readable, bool writable);
MUST_USE enum err ev_poll_start(struct ev_loop *loop, int fd, ev_poll_cb *cb,
				void *arg, struct ev_poll **out);
void ev_poll_want(struct ev_poll *p, bool readable, bool writable);
/* Does not close the descriptor. */
void ev_poll_cancel(struct ev_poll **p);

/* -- changes below a path: the callback says that something may have changed,
 * the owner looks. Events within a short time come as one. Directories and
 * files; a path that does not exist is ERR_NOT_FOUND. */
struct ev_watch;
typedef void ev_watch_cb(void *arg);
MUST_USE enum err ev_watch_start(struct ev_loop *loop, const char *path,
				 ev_watch_cb *cb, void *arg,
				 struct ev_watch **out);
void ev_watch_cancel(struct ev_watch **w);

/* -- byte streams: TCP and Unix sockets.
 *
 * Reading: bytes are lent for the call from one buffer that the whole loop
 * shares; an idle connection holds no read buffer. Writing: what the kernel
 * does not take at once is kept, up to out_max bytes (then ERR_LIMIT and
 * nothing of this write is kept); on_drain tells when all is gone. on_close
 * is called once, for the peer's end or an error; after it only
 * ev_stream_close is allowed, which the owner must call. Calling
 * ev_stream_close from inside a callback is fine. */
struct ev_stream;
struct ev_stream_cbs {
	void (*on_read)(void *arg, struct slice bytes);
	void (*on_drain)(void *arg); /* may be NULL */
	void (*on_close)(void *arg,
			 enum err why); /* ERR_CLOSED: the peer's end */
};

/* Who is at the other end of a Unix socket (SO_PEERCRED). */
struct ev_peer_cred {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/* cbs is copied. */
void ev_stream_start(struct ev_stream *s, const struct ev_stream_cbs *cbs,
		     void *arg, size_t out_max);
/* ERR_LIMIT when bytes and what waits already are more than out_max. */
MUST_USE enum err ev_stream_write(struct ev_stream *s, struct slice bytes);
/* Bytes that wait to be written. */
size_t ev_stream_out_len(const struct ev_stream *s);
/* Stops or resumes reading (back-pressure). */
void ev_stream_pause(struct ev_stream *s, bool paused);
/* Pending output is written before the connection ends; no callbacks after
 * this call. Bounded: after `linger_ms` it is cut. 0 cuts at once. */
void ev_stream_close(struct ev_stream **s, uint64_t linger_ms);
/* "127.0.0.1:40123", "[::1]:40123", "unix:pid=12,uid=0". Always NUL-ended. */
enum {
	EV_ADDR_TEXT_MAX = 80
};
void ev_stream_get_peer_text(const struct ev_stream *s,
			     char out[EV_ADDR_TEXT_MAX]);
MUST_USE enum err ev_stream_get_peer_cred(const struct ev_stream *s,
					  struct ev_peer_cred *out);

/* Takes over a connected socket (closed with the stream, and when this fails
 * for another cause than a descriptor that is no socket). */
MUST_USE enum err ev_stream_from_fd(struct ev_loop *loop, int fd,
				    struct ev_stream **out);

/* Connecting. Exactly one callback unless cancelled: ERR_OK with a stream that
 * the callback owns, or an error. `addr` is "host:port", "[v6]:port", or
 * "unix:/path". Host names are resolved (all addresses are tried in turn, each
 * given a share of the time). */
struct ev_connect;
typedef void ev_connect_cb(void *arg, enum err e, const char *detail,
			   struct ev_stream *stream);
MUST_USE enum err ev_connect_start(struct ev_loop *loop, const char *addr,
				   uint64_t timeout_ms, ev_connect_cb *cb,
				   void *arg, struct ev_connect **pending);
void ev_connect_cancel(struct ev_connect **pending);

/* -- listening. The callback owns the stream. When descriptors run out, closed
 * streams that linger give theirs; where there is none, accepting pauses for a
 * moment and goes on by itself. */
struct ev_listener;
typedef void ev_accept_cb(void *arg, struct ev_stream *stream);
/* Takes over a listening socket (from ev_bind, the supervisor or systemd). */
MUST_USE enum err ev_listen_fd(struct ev_loop *loop, int fd, ev_accept_cb *cb,
			       void *arg, struct ev_listener **out);
void ev_listener_close(struct ev_listener **l);

/* Makes a listening, non-blocking, close-on-exec socket. addr: "host:port"
 * with a numeric host, "[::]:port" (IPv4 too), ":port" (as [::]:port, or IPv4
 * where there is no IPv6), "unix:/path" (an existing socket file that nobody
 * listens on is replaced; mode as given). reuse_port: several processes share
 * the port. */
MUST_USE enum err ev_bind(const char *addr, bool reuse_port, mode_t unix_mode,
			  struct why *why, int *fd_out);
/* "127.0.0.1:15012" of a bound socket: what port the system chose. */
void ev_bound_text(int fd, char out[EV_ADDR_TEXT_MAX]);

/* -- child processes: how they ended. */
struct ev_child;
typedef void ev_child_cb(void *arg, pid_t pid, int exit_code, int term_signal);
/* Calls back once when this child of ours ended (it is reaped); *out stays in
 * place until then and is NULL before the callback runs. Exit code -1 with
 * signal 0: it was not ours. A cancelled child is not reaped. */
MUST_USE enum err ev_child_watch(struct ev_loop *loop, pid_t pid,
				 ev_child_cb *cb, void *arg,
				 struct ev_child **out);
void ev_child_cancel(struct ev_child **c);

#endif
