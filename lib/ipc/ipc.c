/* ipc.c - a channel: frames over a Unix stream socket.
 *
 * Reads go straight into the channel's own buffer and frames are handed over
 * from there without a copy. Writes are collected and go out once for each
 * turn of the loop, so that a burst costs one system call on either side.
 *
 * Descriptors. The kernel ties a descriptor to the first byte of a sendmsg,
 * but a receiver may get bytes that were sent before in the same recvmsg. So a
 * frame says itself that it has one (FD_FLAG in its type), and the receiver
 * gives descriptors to such frames in order of arrival. On the sending side
 * such a frame begins a sendmsg of its own. */
#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum {
	READ_LEN = 65536,
	READS_PER_TURN = 4,
	FD_FLAG = 0x8000,
	FDS_MAX = 64,
	/* A queue that grew above this gives its memory back when empty. */
	OUT_KEEP_MAX = 256 * 1024,
	LINGER_MS = 1000
};

/* A descriptor that waits: for its frame, or for the socket to take it. */
struct ipc_fd {
	int fd;
	uint64_t at; /* sending: position of its frame in the stream */
};

struct ipc_fds {
	struct ipc_fd items[FDS_MAX];
	size_t cnt;
};

struct ipc {
	struct ev_loop *loop;
	struct ev_poll *poll;
	struct ipc_limits limits;
	struct ipc_cbs cbs;
	void *arg;
	char *name;
	struct buf in;
	struct buf out;
	struct ev_defer flush;
	uint64_t sent;          /* bytes that the kernel took so far */
	struct ipc_fds *in_fds; /* both only with want_fds */
	struct ipc_fds *out_fds;
	int fd;
	unsigned depth; /* callbacks that run: memory must stay */
	bool out_broken;
	bool ended;  /* on_close was or is being called */
	bool closed; /* by the owner */
};

/* -- descriptors -------------------------------------------------------- */

static enum err
fds_push(struct ipc_fds *fds, int fd, uint64_t at)
{
	if (fds == NULL || fds->cnt == FDS_MAX)
		return ERR_BUSY;
	fds->items[fds->cnt++] = (struct ipc_fd){fd, at};
	return ERR_OK;
}

static int
fds_shift(struct ipc_fds *fds)
{
	int fd;

	if (fds == NULL || fds->cnt == 0)
		return -1;
	fd = fds->items[0].fd;
	fds->cnt--;
	memmove(fds->items, fds->items + 1, fds->cnt * sizeof(fds->items[0]));
	return fd;
}

static void
fds_free(struct ipc_fds *fds)
{
	if (fds == NULL)
		return;
	while (fds->cnt > 0)
		(void)close(fds_shift(fds));
	mem_free(fds);
}

/* -- the end ------------------------------------------------------------ */

static void
ipc_destroy(struct ipc *ch)
{
	ev_poll_cancel(&ch->poll);
	ev_defer_cancel(&ch->flush);
	if (ch->fd >= 0)
		(void)close(ch->fd);
	fds_free(ch->in_fds);
	fds_free(ch->out_fds);
	buf_fini(&ch->in);
	buf_fini(&ch->out);
	mem_free(ch->name);
	mem_free(ch);
}

static void
ipc_leave(struct ipc *ch)
{
	ch->depth--;
	if (ch->depth == 0 && ch->closed)
		ipc_destroy(ch);
}

static void
ipc_end(struct ipc *ch, enum err why)
{
	if (ch->ended || ch->closed)
		return;
	ch->ended = true;
	ev_poll_cancel(&ch->poll);
	ev_defer_cancel(&ch->flush);
	ch->cbs.on_close(ch->arg, why);
}

/* -- sending ------------------------------------------------------------ */

/* The bytes that may go out in one call, and the descriptor that goes with
 * the first of them (-1: none). */
static struct slice
ipc_next_out(const struct ipc *ch, int *fd_out)
{
	struct slice bytes = buf_get(&ch->out);
	const struct ipc_fds *fds = ch->out_fds;
	size_t i = 0;

	*fd_out = -1;
	if (fds == NULL || fds->cnt == 0)
		return bytes;
	if (fds->items[0].at == ch->sent) {
		*fd_out = fds->items[0].fd;
		i = 1;
	}
	if (i < fds->cnt)
		bytes = slice_sub(bytes, 0,
				  (size_t)(fds->items[i].at - ch->sent));
	return bytes;
}

static ssize_t
ipc_sendmsg(int sock, struct slice bytes, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	/* sendmsg does not write to them. */
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes.p,
			    .iov_len = bytes.len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *cmsg;

	if (fd < 0)
		return send(sock, bytes.p, bytes.len,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
	memset(&control, 0, sizeof(control));
	msg.msg_control = control.space;
	msg.msg_controllen = sizeof(control.space);
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* see ipc.h */
void
ipc_flush(struct ipc *ch)
{
	while (buf_len(&ch->out) > 0 && !ch->out_broken && !ch->ended) {
		int fd;
		struct slice bytes = ipc_next_out(ch, &fd);
		ssize_t n = ipc_sendmsg(ch->fd, bytes, fd);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			/* The reading side finds the end, and first what the
			 * peer sent before it. */
			ch->out_broken = true;
			buf_reset(&ch->out);
			break;
		}
		if (fd >= 0)
			(void)close(fds_shift(ch->out_fds));
		ch->sent += (uint64_t)n;
		buf_consume(&ch->out, (size_t)n);
	}
	if (buf_len(&ch->out) == 0 && ch->out.cap > OUT_KEEP_MAX)
		buf_release(&ch->out);
	if (ch->poll != NULL)
		ev_poll_want(ch->poll, true, buf_len(&ch->out) > 0);
}

static void
ipc_on_flush(void *arg)
{
	ipc_flush(arg);
}

static enum err
ipc_queue(struct ipc *ch, uint16_t type, uint64_t id, struct slice payload)
{
	enum err ret;

	if (ch->ended || ch->out_broken)
		return ERR_CLOSED;
	if (payload.len > ch->limits.frame_max)
		return ERR_LIMIT;
	ret = ipc_frame_write(&ch->out, type, id, payload);
	if (ret == ERR_LIMIT)
		return ERR_BUSY;
	if (ret == ERR_OK && ch->limits.is_patient)
		ev_defer_queue_late(ch->loop, &ch->flush, ipc_on_flush, ch);
	else if (ret == ERR_OK)
		ev_defer_queue(ch->loop, &ch->flush, ipc_on_flush, ch);
	return ret;
}

/* see ipc.h */
enum err
ipc_send(struct ipc *ch, uint16_t type, uint64_t id, struct slice payload)
{
	if (ch->limits.want_fds && (type & FD_FLAG) != 0)
		return ERR_BUG;
	return ipc_queue(ch, type, id, payload);
}

/* see ipc.h */
enum err
ipc_send_fd(struct ipc *ch, uint16_t type, uint64_t id, struct slice payload,
	    int fd)
{
	uint64_t at;
	enum err ret;
	int kept;

	if (!ch->limits.want_fds || (type & FD_FLAG) != 0)
		return ERR_BUG;
	if (ch->out_fds->cnt == FDS_MAX)
		ipc_flush(ch);
	at = ch->sent + buf_len(&ch->out);
	/* The caller may close its own before this one goes out. */
	if ((kept = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return err_from_errno(errno);
	if ((ret = fds_push(ch->out_fds, kept, at)) == ERR_OK &&
	    (ret = ipc_queue(ch, type | FD_FLAG, id, payload)) != ERR_OK)
		ch->out_fds->cnt--;
	if (ret != ERR_OK)
		(void)close(kept);
	return ret;
}

/* -- receiving ---------------------------------------------------------- */

static enum err
ipc_take_fds(struct ipc *ch, struct msghdr *msg)
{
	enum err ret = ERR_OK;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL;
	     c = CMSG_NXTHDR(msg, c)) {
		int fds[FDS_MAX];
		size_t cnt;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		cnt = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		must(cnt <= FDS_MAX);
		memcpy(fds, CMSG_DATA(c), cnt * sizeof(int));
		for (size_t i = 0; i < cnt; i++) {
			if (fds_push(ch->in_fds, fds[i], 0) == ERR_OK)
				continue;
			(void)close(fds[i]);
			ret = ERR_PROTOCOL;
		}
	}
	if ((msg->msg_flags & MSG_CTRUNC) != 0)
		ret = ERR_PROTOCOL;
	return ret;
}

static ssize_t
ipc_recvmsg(struct ipc *ch, uint8_t *p, size_t cap, enum err *ret)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * 4)];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = p, .iov_len = cap};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (!ch->limits.want_fds)
		return recv(ch->fd, p, cap, MSG_DONTWAIT);
	msg.msg_control = control.space;
	msg.msg_controllen = sizeof(control.space);
	n = recvmsg(ch->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n > 0)
		*ret = ipc_take_fds(ch, &msg);
	return n;
}

/* One read. *more_out: the buffer was filled, so there may be more. */
static enum err
ipc_fill(struct ipc *ch, bool *more_out)
{
	enum err ret;
	uint8_t *p;
	ssize_t n;

	*more_out = false;
	if ((ret = buf_reserve(&ch->in, READ_LEN, &p)) != ERR_OK)
		return ret;
	do {
		n = ipc_recvmsg(ch, p, READ_LEN, &ret);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return ERR_OK;
	if (n < 0)
		return err_from_errno(errno);
	if (n == 0)
		return ERR_CLOSED;
	buf_commit(&ch->in, (size_t)n);
	/* With descriptors the kernel stops early, at each of them. */
	*more_out = n == READ_LEN || ch->limits.want_fds;
	return ret;
}

static enum err
ipc_hand_over(struct ipc *ch, const struct ipc_frame *f)
{
	uint16_t type = f->type;
	int fd = -1;

	if (ch->limits.want_fds && (type & FD_FLAG) != 0) {
		type = (uint16_t)(type & ~FD_FLAG);
		if ((fd = fds_shift(ch->in_fds)) < 0)
			return ERR_PROTOCOL;
	}
	return ch->cbs.on_message(ch->arg, type, f->id, f->payload, fd);
}

/* Hands over the whole frames that are there. */
static enum err
ipc_parse(struct ipc *ch, bool *any)
{
	struct slice in = buf_get(&ch->in);
	size_t all = in.len;
	struct ipc_frame f;
	enum err ret = ERR_OK;

	while (!ch->closed && !ch->ended) {
		ret = ipc_frame_read(&in, ch->limits.frame_max, &f);
		if (ret != ERR_OK)
			break;
		*any = true;
		if ((ret = ipc_hand_over(ch, &f)) != ERR_OK)
			break;
	}
	buf_consume(&ch->in, all - in.len);
	return ret == ERR_NOT_FOUND ? ERR_OK : ret;
}

static void
ipc_read(struct ipc *ch)
{
	bool any = false;
	bool more = true;
	enum err ret = ERR_OK;

	for (int i = 0; i < READS_PER_TURN && more && ret == ERR_OK; i++) {
		ret = ipc_fill(ch, &more);
		if (ret == ERR_OK)
			ret = ipc_parse(ch, &any);
		if (ch->closed || ch->ended)
			return;
	}
	if (any && ch->cbs.on_batch_end != NULL)
		ch->cbs.on_batch_end(ch->arg);
	if (ret == ERR_OK || ch->closed)
		return;
	if (ret != ERR_CLOSED)
		log_error("ipc",
			  "channel=%s the other end broke the rules of the "
			  "channel and is cut off: %s",
			  ch->name, err_text(ret));
	ipc_end(ch, ret);
}

static void
ipc_on_poll(void *arg, bool readable, bool writable)
{
	struct ipc *ch = arg;

	ch->depth++;
	if (writable)
		ipc_flush(ch);
	if (readable)
		ipc_read(ch);
	ipc_leave(ch);
}

/* -- making and closing ------------------------------------------------- */

/* see ipc.h */
enum err
ipc_new(struct ev_loop *loop, int fd, const char *name,
	const struct ipc_limits *limits, const struct ipc_cbs *cbs, void *arg,
	struct ipc **out)
{
	struct ipc *ch;
	size_t frame_len = limits->frame_max + IPC_HEADER_LEN;
	enum err ret;

	*out = NULL;
	ch = MEM_NEW(struct ipc);
	ch->loop = loop;
	ch->fd = fd;
	ch->name = mem_dup_str(name);
	ch->limits = *limits;
	ch->cbs = *cbs;
	ch->arg = arg;
	buf_init(&ch->in, frame_len + READ_LEN);
	buf_init(&ch->out,
		 limits->queue_max > frame_len ? limits->queue_max : frame_len);
	if (limits->want_fds) {
		ch->in_fds = MEM_NEW(struct ipc_fds);
		ch->out_fds = MEM_NEW(struct ipc_fds);
	}
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if ((ret = ev_poll_start(loop, fd, ipc_on_poll, ch, &ch->poll)) !=
	    ERR_OK) {
		ipc_destroy(ch);
		return ret;
	}
	ev_poll_want(ch->poll, true, false);
	*out = ch;
	return ERR_OK;
}

static void
linger_on_read(void *arg, struct slice bytes)
{
	(void)arg;
	(void)bytes;
}

static void
linger_on_close(void *arg, enum err why)
{
	(void)arg;
	(void)why;
}

/* What the socket did not take yet goes on as a stream that is being closed:
 * ev knows how to end that. Frames with descriptors cannot go this way; the
 * stream ends before the first of them. */
static void
ipc_linger(struct ipc *ch)
{
	static const struct ev_stream_cbs cbs = {linger_on_read, NULL,
						 linger_on_close};
	struct ev_stream *s = NULL;
	struct slice rest = buf_get(&ch->out);
	int fd = ch->fd;

	if (ch->out_fds != NULL && ch->out_fds->cnt > 0)
		rest = slice_sub(rest, 0,
				 (size_t)(ch->out_fds->items[0].at - ch->sent));
	ev_poll_cancel(&ch->poll);
	ch->fd = -1;
	if (ev_stream_from_fd(ch->loop, fd, &s) != ERR_OK)
		return;
	ev_stream_start(s, &cbs, NULL, rest.len);
	if (ev_stream_write(s, rest) == ERR_OK)
		ev_stream_close(&s, LINGER_MS);
	ev_stream_close(&s, 0);
}

/* see ipc.h */
void
ipc_close(struct ipc **chp)
{
	struct ipc *ch = TAKE(*chp);

	if (ch == NULL)
		return;
	ipc_flush(ch);
	ch->closed = true;
	ev_defer_cancel(&ch->flush);
	if (!ch->ended && buf_len(&ch->out) > 0)
		ipc_linger(ch);
	ev_poll_cancel(&ch->poll);
	if (ch->depth == 0)
		ipc_destroy(ch);
}
