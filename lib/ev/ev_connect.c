/* ev_connect.c - connecting by address or name.
 *
 * A name is looked up first (ev_resolve), then its addresses are tried in
 * turn; each gets an equal share of the time that is left. The first step is
 * deferred, so the callback never runs inside ev_connect_start. */
#include "ev/ev.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "ev/ev_int.h"

enum {
	DETAIL_MAX = 400,
	/* A Unix listener whose queue is full refuses at once: ask again. */
	UNIX_RETRY_MS = 20
};

struct ev_connect {
	struct ev_loop *loop;
	ev_connect_cb *cb;
	void *arg;
	struct ev_connect **pending;
	char *addr;
	char host[256];
	uint16_t port;
	struct mono deadline;
	struct ev_addr addrs[EV_ADDRS_MAX];
	size_t cnt;
	size_t next;
	struct ev_defer first;
	struct ev_timer *timer; /* of the lookup or of this try */
	struct ev_resolve *resolve;
	struct ev_poll *poll;
	int fd;
	enum err last;
	char detail[DETAIL_MAX];
};

static void connect_next(struct ev_connect *c);

/* Gives up the current try. */
static void
connect_reset(struct ev_connect *c)
{
	ev_timer_cancel(&c->timer);
	ev_poll_cancel(&c->poll);
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

static void
connect_free(struct ev_connect *c)
{
	connect_reset(c);
	ev_resolve_cancel(&c->resolve);
	ev_defer_cancel(&c->first);
	mem_free(c->addr);
	mem_free(c);
}

static void
connect_finish(struct ev_connect *c, enum err e, struct ev_stream *s)
{
	*c->pending = NULL;
	c->cb(c->arg, e, e == ERR_OK ? c->addr : c->detail, s);
	connect_free(c);
}

static void
connect_note(struct ev_connect *c, enum err e, const char *problem)
{
	char at[EV_ADDR_TEXT_MAX] = "";

	c->last = e;
	if (c->next > 0)
		ev_addr_text(&c->addrs[c->next - 1], at);
	if (at[0] != '\0' && strcmp(at, c->addr) != 0)
		(void)snprintf(c->detail, sizeof(c->detail), "%s (%s): %s",
			       c->addr, at, problem);
	else
		(void)snprintf(c->detail, sizeof(c->detail), "%s: %s", c->addr,
			       problem);
}

/* This try failed: the next address, or the end. */
static void
connect_failed(struct ev_connect *c, enum err e, const char *problem)
{
	connect_note(c, e, problem);
	connect_reset(c);
	connect_next(c);
}

static void
connect_on_timeout(void *arg)
{
	struct ev_connect *c = arg;

	if (c->resolve != NULL) {
		connect_note(c, ERR_TIMEOUT, "the name lookup timed out");
		connect_finish(c, ERR_TIMEOUT, NULL);
		return;
	}
	connect_failed(c, ERR_TIMEOUT, "connecting timed out");
}

static void
connect_done(struct ev_connect *c)
{
	struct ev_stream *s = NULL;
	struct ev_addr unix_peer = {.family = AF_UNIX};
	enum err e;

	ev_poll_cancel(&c->poll);
	if (c->next > 0)
		ev_sock_tune(c->fd);
	e = ev_stream_new(c->loop, c->fd,
			  c->next > 0 ? &c->addrs[c->next - 1] : &unix_peer,
			  &s);
	c->fd = -1;
	if (e != ERR_OK)
		connect_note(c, e, err_text(e));
	connect_finish(c, e, s);
}

static void
connect_on_writable(void *arg, bool readable, bool writable)
{
	struct ev_connect *c = arg;
	int problem = 0;
	socklen_t len = sizeof(problem);

	(void)readable;
	(void)writable;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &problem, &len) != 0)
		problem = errno;
	if (problem != 0)
		connect_failed(c, err_from_errno(problem), strerror(problem));
	else
		connect_done(c);
}

static enum err
connect_wait(struct ev_connect *c, uint64_t share_ms)
{
	enum err ret;

	if ((ret = ev_poll_start(c->loop, c->fd, connect_on_writable, c,
				 &c->poll)) != ERR_OK)
		return ret;
	ev_poll_want(c->poll, false, true);
	return ev_timer_start(c->loop, share_ms, connect_on_timeout, c,
			      &c->timer);
}

static uint64_t
connect_left_ms(const struct ev_connect *c)
{
	return mono_diff_ms(c->deadline, mono_now());
}

/* Tries one address after the other until one is under way. */
static void
connect_next(struct ev_connect *c)
{
	while (c->next < c->cnt) {
		struct sockaddr_storage ss;
		uint64_t left = connect_left_ms(c);
		socklen_t len = ev_addr_to_sockaddr(&c->addrs[c->next], &ss);
		size_t left_cnt = c->cnt - c->next++;
		enum err e;

		c->fd = socket(ss.ss_family,
			       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (c->fd < 0 ||
		    (connect(c->fd, (struct sockaddr *)&ss, len) != 0 &&
		     errno != EINPROGRESS)) {
			connect_note(c, err_from_errno(errno), strerror(errno));
			connect_reset(c);
			continue;
		}
		if ((e = connect_wait(c, left / left_cnt)) == ERR_OK)
			return;
		connect_note(c, e, err_text(e));
		connect_reset(c);
	}
	connect_finish(c, c->last, NULL);
}

static void
connect_unix(void *arg)
{
	struct ev_connect *c = arg;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const char *path = c->addr + 5;

	memcpy(sun.sun_path, path, strlen(path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd >= 0 &&
	    connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)) == 0) {
		connect_done(c);
		return;
	}
	connect_note(c, err_from_errno(errno), strerror(errno));
	if (errno == EAGAIN && connect_left_ms(c) > 0) {
		connect_reset(c);
		if (ev_timer_start(c->loop, UNIX_RETRY_MS, connect_unix, c,
				   &c->timer) == ERR_OK)
			return;
	}
	connect_finish(c, c->last == ERR_OK ? ERR_IO : c->last, NULL);
}

static void
connect_on_resolved(void *arg, const char *problem, const struct ev_addr *addrs,
		    size_t cnt)
{
	struct ev_connect *c = arg;

	ev_timer_cancel(&c->timer);
	if (problem != NULL) {
		char text[DETAIL_MAX - 100];

		(void)snprintf(text, sizeof(text),
			       "the host name was not found: %s", problem);
		connect_note(c, ERR_NOT_FOUND, text);
		connect_finish(c, ERR_NOT_FOUND, NULL);
		return;
	}
	for (size_t i = 0; i < cnt && i < EV_ADDRS_MAX; i++) {
		c->addrs[i] = addrs[i];
		c->addrs[i].port = c->port;
	}
	c->cnt = cnt;
	connect_next(c);
}

static void
connect_first(void *arg)
{
	struct ev_connect *c = arg;
	enum err e;

	if (c->cnt > 0) {
		connect_next(c);
		return;
	}
	if ((e = ev_timer_start(c->loop, connect_left_ms(c), connect_on_timeout,
				c, &c->timer)) == ERR_OK)
		e = ev_resolve_start(c->loop, c->host, connect_on_resolved, c,
				     &c->resolve);
	if (e == ERR_OK)
		return;
	connect_note(c, e, "cannot start the name lookup");
	connect_finish(c, e, NULL);
}

/* see ev.h */
enum err
ev_connect_start(struct ev_loop *loop, const char *addr, uint64_t timeout_ms,
		 ev_connect_cb *cb, void *arg, struct ev_connect **pending)
{
	struct ev_connect *c;
	bool is_unix = strncmp(addr, "unix:", 5) == 0;
	enum err ret = ERR_SYNTAX;

	*pending = NULL;
	c = MEM_NEW(struct ev_connect);
	c->loop = loop;
	c->cb = cb;
	c->arg = arg;
	c->pending = pending;
	c->addr = mem_dup_str(addr);
	c->fd = -1;
	c->last = ERR_TIMEOUT;
	c->deadline = mono_add_ms(mono_now(), timeout_ms);
	if (is_unix) {
		size_t len = strlen(addr + 5);

		if (len == 0 ||
		    len >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
			goto out;
	} else {
		if (ev_addr_split(addr, c->host, &c->port) != ERR_OK ||
		    c->host[0] == '\0' || c->port == 0)
			goto out;
		c->addrs[0].port = c->port;
		c->cnt = ev_addr_set_numeric(&c->addrs[0], c->host) ? 1 : 0;
	}
	ev_defer_queue(loop, &c->first, is_unix ? connect_unix : connect_first,
		       c);
	*pending = TAKE(c);
	ret = ERR_OK;
out:
	if (c != NULL)
		connect_free(c);
	return ret;
}

/* see ev.h */
void
ev_connect_cancel(struct ev_connect **pending)
{
	struct ev_connect *c = TAKE(*pending);

	if (c != NULL)
		connect_free(c);
}
