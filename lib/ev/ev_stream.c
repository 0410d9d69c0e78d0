/* ev_stream.c - byte streams over connected sockets.
 *
 * Built on readiness and not on uv_stream: one code for TCP and Unix sockets,
 * 200 bytes for an idle stream, one recv or send for each wake-up, and no write
 * requests to keep alive. All streams of a loop read into one
 * buffer; output that the kernel did not take is the only memory that a
 * stream holds besides.
 *
 * The end. `broken` says that the kernel reported an error or a write failed;
 * what the peer had sent before is still read and handed over, then on_close
 * follows. A close with linger goes LINGER: flush, shut the sending side, read
 * and drop until the peer's end. Without that, closing a TCP socket that has
 * unread bytes sends a reset, which may destroy our last answer on its way. */
#include "ev/ev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "ev/ev_int.h"

enum {
	/* Before ev_stream_start says its own. */
	OUT_MAX_AT_FIRST = 1024 * 1024,
	/* Reads of one wake-up of a lingering stream. */
	DISCARD_READS_MAX = 8
};

enum stream_state {
	STREAM_NEW = 0, /* not started: nothing is read */
	STREAM_OPEN,
	STREAM_ENDED, /* on_close was called */
	STREAM_LINGER,
	STREAM_GONE /* freed at the end of the turn */
};

struct ev_stream {
	struct ev_source source; /* first: see stream_on_event */
	struct ev_garbage garbage;
	struct ev_loop *loop;
	struct ev_stream_cbs cbs;
	void *arg;
	struct buf out;
	struct ev_defer later; /* to read what is left of a broken stream */
	struct ev_timer *linger;
	struct ev_stream *next; /* in the loop's list of lingering ones */
	struct ev_addr peer;
	struct ev_peer_cred cred; /* pid 0: not known */
	enum stream_state state;
	enum err write_err;
	bool paused;
	bool broken;
	bool peer_ended;
	bool shut;
};

static void stream_read(struct ev_stream *s);

static void
stream_destroy(struct ev_stream *s)
{
	struct ev_stream **at;

	if (s->state == STREAM_GONE)
		return;
	if (s->state == STREAM_LINGER) {
		for (at = &s->loop->lingering; *at != s; at = &(*at)->next)
			continue;
		*at = s->next;
	}
	s->state = STREAM_GONE;
	ev_defer_cancel(&s->later);
	ev_timer_cancel(&s->linger);
	buf_fini(&s->out);
	ev_source_drop(s->loop, &s->source);
	(void)close(s->source.fd);
	s->source.fd = -1;
	ev_garbage_put(s->loop, &s->garbage, s);
}

static uint32_t
stream_wanted(const struct ev_stream *s)
{
	uint32_t events = 0;

	if (s->broken || s->state == STREAM_ENDED || s->state == STREAM_GONE)
		return 0;
	if (s->write_err == ERR_OK && buf_len(&s->out) > 0)
		events |= EPOLLOUT;
	if (s->state == STREAM_OPEN && !s->paused)
		events |= EPOLLIN;
	if (s->state == STREAM_LINGER && s->shut)
		events |= EPOLLIN;
	return events;
}

static void stream_read_later(void *arg);

static void
stream_arm(struct ev_stream *s)
{
	if (s->state == STREAM_GONE ||
	    ev_source_want(s->loop, &s->source, stream_wanted(s)) == ERR_OK)
		return;
	/* The kernel has no memory to watch it: this connection ends. */
	s->broken = true;
	s->write_err = ERR_NO_MEMORY;
	ev_defer_queue(s->loop, &s->later, stream_read_later, s);
}

static void
stream_end(struct ev_stream *s, enum err why)
{
	s->state = STREAM_ENDED;
	s->peer_ended = true;
	stream_arm(s);
	s->cbs.on_close(s->arg, why);
}

static void
stream_read_later(void *arg)
{
	struct ev_stream *s = arg;

	if (s->state == STREAM_OPEN && !s->paused)
		stream_read(s);
	else if (s->state == STREAM_OPEN && s->write_err != ERR_OK)
		stream_end(s, s->write_err);
}

/* Who reads nothing until its output is gone waits in vain when that failed:
 * it is told, whatever the peer may have sent before. */
static void
stream_break(struct ev_stream *s)
{
	s->broken = true;
	stream_arm(s);
	if (s->state == STREAM_OPEN && (!s->paused || s->write_err != ERR_OK))
		ev_defer_queue(s->loop, &s->later, stream_read_later, s);
}

static enum err
stream_errno(void)
{
	if (errno == EPIPE || errno == ECONNRESET)
		return ERR_CLOSED;
	return err_from_errno(errno);
}

/* One read. True: more may be tried at once. */
static bool
stream_read_once(struct ev_stream *s)
{
	ssize_t n = recv(s->source.fd, s->loop->read_buf, EV_READ_MAX, 0);

	if (n > 0) {
		s->cbs.on_read(s->arg, slice_of(s->loop->read_buf, (size_t)n));
		return true;
	}
	if (n == 0) {
		stream_end(s, ERR_CLOSED);
		return false;
	}
	if (errno == EINTR)
		return true;
	if (errno != EAGAIN) {
		stream_end(s, stream_errno());
		return false;
	}
	if (s->write_err != ERR_OK) {
		stream_end(s, s->write_err);
		return false;
	}
	s->broken = false;
	stream_arm(s);
	return false;
}

/* A healthy stream reads once for each wake-up, so that all get their turn; a
 * broken one gets no more wake-ups and is read to its end. */
static void
stream_read(struct ev_stream *s)
{
	while (s->state == STREAM_OPEN && !s->paused) {
		if (!stream_read_once(s) || !s->broken)
			return;
	}
}

/* LINGER, sending side shut: waits for the peer's end. */
static void
stream_discard(struct ev_stream *s)
{
	for (int i = 0; i < DISCARD_READS_MAX; i++) {
		ssize_t n =
			recv(s->source.fd, s->loop->read_buf, EV_READ_MAX, 0);

		if (n > 0)
			continue;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && !s->broken)
			return;
		stream_destroy(s);
		return;
	}
}

static void
stream_shut(struct ev_stream *s)
{
	if (s->peer_ended || shutdown(s->source.fd, SHUT_WR) != 0) {
		stream_destroy(s);
		return;
	}
	s->shut = true;
	stream_arm(s);
}

/* Sends; returns how much the kernel took, 0 when it is full, sets write_err.
 */
static size_t
stream_send(struct ev_stream *s, struct slice bytes)
{
	ssize_t n;

	do {
		n = send(s->source.fd, bytes.p, bytes.len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return (size_t)n;
	if (errno != EAGAIN)
		s->write_err = stream_errno();
	return 0;
}

static void
stream_flush(struct ev_stream *s)
{
	buf_consume(&s->out, stream_send(s, buf_get(&s->out)));
	if (s->write_err != ERR_OK) {
		buf_release(&s->out);
		if (s->state == STREAM_LINGER)
			stream_destroy(s);
		else
			stream_break(s);
		return;
	}
	if (buf_len(&s->out) > 0)
		return;
	buf_release(&s->out);
	stream_arm(s);
	if (s->state == STREAM_LINGER)
		stream_shut(s);
	else if (s->state == STREAM_OPEN && s->cbs.on_drain != NULL)
		s->cbs.on_drain(s->arg);
}

static void
stream_on_event(struct ev_source *source, uint32_t events)
{
	struct ev_stream *s = (struct ev_stream *)source;

	/* Nothing can be sent any more; what has come is read. */
	if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
		s->broken = true;
		stream_arm(s);
		events = EPOLLIN | EPOLLOUT;
	}
	if ((events & EPOLLOUT) != 0 && buf_len(&s->out) > 0)
		stream_flush(s);
	if ((events & EPOLLIN) != 0 && s->state == STREAM_OPEN)
		stream_read(s);
	else if ((events & EPOLLIN) != 0 && s->state == STREAM_LINGER)
		stream_discard(s);
}

static struct ev_peer_cred
stream_ask_cred(int fd)
{
	struct ucred c = {.pid = 0};
	socklen_t len = sizeof(c);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) != 0)
		return (struct ev_peer_cred){0, (uid_t)-1, (gid_t)-1};
	return (struct ev_peer_cred){c.pid, c.uid, c.gid};
}

/* see ev_int.h */
enum err
ev_stream_new(struct ev_loop *loop, int fd, const struct ev_addr *peer,
	      struct ev_stream **out)
{
	struct ev_stream *s;

	*out = NULL;
	/* The admission point of connections: refuse, do not abort. */
	if ((s = mem_try_new(sizeof(*s))) == NULL) {
		(void)close(fd);
		return ERR_NO_MEMORY;
	}
	ev_source_init(&s->source, fd, stream_on_event);
	s->loop = loop;
	s->peer = *peer;
	s->cred = (struct ev_peer_cred){0, (uid_t)-1, (gid_t)-1};
	if (peer->family == AF_UNIX)
		s->cred = stream_ask_cred(fd);
	buf_init_secret(&s->out, OUT_MAX_AT_FIRST);
	*out = s;
	return ERR_OK;
}

/* see ev.h */
enum err
ev_stream_from_fd(struct ev_loop *loop, int fd, struct ev_stream **out)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct ev_addr peer = {.family = 0};

	*out = NULL;
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
		ev_addr_from_sockaddr(&peer, (struct sockaddr *)&ss);
	else if (errno == ENOTSOCK || errno == EBADF)
		return err_from_errno(errno);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	ev_sock_unblock(fd);
	if (peer.family != AF_UNIX)
		ev_sock_tune(fd);
	return ev_stream_new(loop, fd, &peer, out);
}

/* see ev.h */
void
ev_stream_start(struct ev_stream *s, const struct ev_stream_cbs *cbs, void *arg,
		size_t out_max)
{
	must(s->state == STREAM_NEW);
	s->cbs = *cbs;
	s->arg = arg;
	s->out.max = out_max;
	s->state = STREAM_OPEN;
	if (s->broken || s->write_err != ERR_OK)
		stream_break(s);
	else
		stream_arm(s);
}

/* see ev.h */
enum err
ev_stream_write(struct ev_stream *s, struct slice bytes)
{
	size_t used = buf_len(&s->out);
	enum err ret;

	if (s->state == STREAM_ENDED || s->write_err != ERR_OK)
		return ERR_CLOSED;
	/* Whole or not at all: half a message would corrupt the stream. */
	if (used > s->out.max || bytes.len > s->out.max - used)
		return ERR_LIMIT;
	if (bytes.len == 0)
		return ERR_OK;
	if (used == 0) {
		size_t sent = stream_send(s, bytes);

		if (s->write_err != ERR_OK) {
			stream_break(s);
			return s->write_err;
		}
		bytes = slice_sub(bytes, sent, bytes.len);
		if (bytes.len == 0)
			return ERR_OK;
	}
	if ((ret = buf_put(&s->out, bytes)) != ERR_OK)
		return ret;
	stream_arm(s);
	return ERR_OK;
}

/* see ev.h */
size_t
ev_stream_out_len(const struct ev_stream *s)
{
	return buf_len(&s->out);
}

/* see ev.h */
void
ev_stream_pause(struct ev_stream *s, bool paused)
{
	if (s->paused == paused)
		return;
	s->paused = paused;
	if (!paused && s->broken)
		stream_break(s);
	else
		stream_arm(s);
}

static void
stream_on_linger(void *arg)
{
	stream_destroy(arg);
}

/* see ev.h */
void
ev_stream_close(struct ev_stream **sp, uint64_t linger_ms)
{
	struct ev_stream *s = TAKE(*sp);

	if (s == NULL)
		return;
	if (linger_ms == 0 || s->broken || s->write_err != ERR_OK ||
	    (s->peer_ended && buf_len(&s->out) == 0) ||
	    ev_timer_start(s->loop, linger_ms, stream_on_linger, s,
			   &s->linger) != ERR_OK) {
		stream_destroy(s);
		return;
	}
	ev_defer_cancel(&s->later);
	s->state = STREAM_LINGER;
	s->next = s->loop->lingering;
	s->loop->lingering = s;
	if (buf_len(&s->out) == 0)
		stream_shut(s);
	else
		stream_arm(s);
}

static bool
loop_has_output(const struct ev_loop *loop)
{
	for (const struct ev_stream *s = loop->lingering; s != NULL;
	     s = s->next) {
		if (buf_len(&s->out) > 0)
			return true;
	}
	return false;
}

/* see ev_int.h. Output that somebody was promised still goes out; the linger
 * timers bound it. */
void
ev_stream_cut_all(struct ev_loop *loop)
{
	while (loop_has_output(loop))
		ev_loop_turn(loop, true);
	while (loop->lingering != NULL)
		stream_destroy(loop->lingering);
}

/* see ev_int.h */
bool
ev_stream_cut_lingering(struct ev_loop *loop)
{
	bool any = false;

	for (struct ev_stream *s = loop->lingering, *next; s != NULL;
	     s = next) {
		next = s->next;
		if (buf_len(&s->out) > 0)
			continue;
		stream_destroy(s);
		any = true;
	}
	return any;
}

/* see ev.h */
void
ev_stream_get_peer_text(const struct ev_stream *s, char out[EV_ADDR_TEXT_MAX])
{
	struct ev_peer_cred cred;

	if (s->peer.family != AF_UNIX)
		ev_addr_text(&s->peer, out);
	else if (ev_stream_get_peer_cred(s, &cred) != ERR_OK)
		(void)snprintf(out, EV_ADDR_TEXT_MAX, "unix");
	else
		(void)snprintf(out, EV_ADDR_TEXT_MAX, "unix:pid=%ld,uid=%lu",
			       (long)cred.pid, (unsigned long)cred.uid);
}

/* see ev.h */
enum err
ev_stream_get_peer_cred(const struct ev_stream *s, struct ev_peer_cred *out)
{
	*out = s->cred;
	if (s->peer.family != AF_UNIX)
		return ERR_UNSUPPORTED;
	return s->cred.pid == 0 ? ERR_IO : ERR_OK;
}
