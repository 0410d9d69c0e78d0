/* ev_int.h - what the files of ev share. Not for other folders. */
#ifndef EV_EV_INT_H
#define EV_EV_INT_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

#include "ev/ev.h"

enum {
	EV_READ_MAX = 65536,
	EV_ADDRS_MAX = 16
};

struct ev_resolve;

struct ev_loop {
	uv_loop_t uv;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle; /* active while deferred work is left over */
	struct ev_defer *defer_head;
	struct ev_defer **defer_tail;
	struct ev_timer *timer_spare; /* stopped, ready for use again */
	unsigned timer_spare_cnt;
	uv_signal_t *sigchld;
	struct ev_child *children;
	struct ev_stream *lingering;
	struct ev_resolve *resolves;
	uint64_t ran;       /* timers and deferred work so far */
	uint64_t step_mark; /* ran when ev_loop_step began to wait */
	bool step_waits;
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
/* Takes the socket over, also when it fails. peer: copied. */
MUST_USE enum err ev_stream_new(struct ev_loop *loop, int fd,
				const struct ev_addr *peer,
				struct ev_stream **out);
void ev_stream_cut_all(struct ev_loop *loop);

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
