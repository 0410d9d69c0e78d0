/* ipc.h - messages between our own processes.
 *
 * A channel is one end of a Unix stream socket that both ends trust no more
 * than they must. A frame is a 32-bit length of what follows, a 16-bit type, a
 * 64-bit id, then the payload; all big-endian. The maximum of a frame is fixed
 * per channel; a longer one, or a type that the receiver's table does not
 * list, ends the channel: our own program never sends that.
 *
 * Sending only queues; all that was queued in one turn of the event loop goes
 * out in one write (of a patient channel: in some turns). Back-pressure:
 * ipc_send fails with ERR_BUSY above the channel's limit, and the caller
 * answers its client so.
 *
 * Descriptors travel on control channels only (ipc_send_fd): a channel that
 * was made with want_fds. */
#ifndef IPC_IPC_H
#define IPC_IPC_H

#include "base/slice.h"
#include "ev/ev.h"

struct ipc;

enum {
	IPC_HEADER_LEN = 14
};

struct ipc_cbs {
	/* payload is borrowed for the call; fd is -1 or owned by the callee.
	 * An error ends the channel (on_close follows). */
	enum err (*on_message)(void *arg, uint16_t type, uint64_t id,
			       struct slice payload, int fd);
	/* After a burst of messages was handed over: time to work on a batch.
	 * May be NULL. */
	void (*on_batch_end)(void *arg);
	/* Once; after it only ipc_close. */
	void (*on_close)(void *arg, enum err why);
};

struct ipc_limits {
	size_t frame_max; /* largest payload */
	size_t queue_max; /* bytes that may wait to be sent */
	bool want_fds;
	/* Writes wait until the loop has nothing else to do (ev.h: late work):
	 * for links whose other end does better with larger bursts. */
	bool is_patient;
};

/* Takes over fd, also when it fails. name is for the log ("front.0-authority"),
 * copied. */
MUST_USE enum err ipc_new(struct ev_loop *loop, int fd, const char *name,
			  const struct ipc_limits *limits,
			  const struct ipc_cbs *cbs, void *arg,
			  struct ipc **out);
/* Queued messages are still written (for 1 s at most); no callbacks after. */
void ipc_close(struct ipc **ch);

/* ERR_BUSY: too much waits already; ERR_LIMIT: longer than frame_max;
 * ERR_CLOSED: the other end is gone (on_close tells). */
enum err ipc_send(struct ipc *ch, uint16_t type, uint64_t id,
		  struct slice payload);
/* fd is duplicated by the kernel; the caller keeps its own. */
enum err ipc_send_fd(struct ipc *ch, uint16_t type, uint64_t id,
		     struct slice payload, int fd);
/* Writes now what is queued. */
void ipc_flush(struct ipc *ch);

/* -- the engine below, without I/O: tested and fuzzed ------------------- */

/* Takes one whole frame off the front of *in. ERR_OK with a frame;
 * ERR_NOT_FOUND when it is not complete yet; ERR_PROTOCOL when it is too long
 * or too short. */
struct ipc_frame {
	uint16_t type;
	uint64_t id;
	struct slice payload;
};
MUST_USE enum err ipc_frame_read(struct slice *in, size_t frame_max,
				 struct ipc_frame *out);
enum err ipc_frame_write(struct buf *out, uint16_t type, uint64_t id,
			 struct slice payload);

#endif
