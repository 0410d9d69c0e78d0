/* ev_listen.c - accepting connections, and making listening sockets. */
#include "ev/ev.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "ev/ev_int.h"

enum {
	ACCEPTS_PER_TURN = 16,
	RETRY_MS = 50
};

struct ev_listener {
	struct ev_source source; /* first: see listener_on_event */
	struct ev_garbage garbage;
	struct ev_loop *loop;
	ev_accept_cb *cb;
	void *arg;
	struct ev_timer *retry;
	int budget; /* connections to be taken in one turn */
	bool closed;
};

static void listener_on_retry(void *arg);

/* Out of descriptors or memory: the connection stays in the kernel's queue,
 * and asking again at once would only burn the CPU. */
static void
listener_pause(struct ev_listener *l)
{
	must(ev_source_want(l->loop, &l->source, 0) == ERR_OK);
	if (l->retry == NULL)
		must(ev_timer_start(l->loop, RETRY_MS, listener_on_retry, l,
				    &l->retry) == ERR_OK);
}

static void
listener_on_retry(void *arg)
{
	struct ev_listener *l = arg;

	if (ev_source_want(l->loop, &l->source, EPOLLIN) != ERR_OK)
		listener_pause(l);
}

/* True: there may be more. */
static bool
listener_accept(struct ev_listener *l)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNIX};
	socklen_t len = sizeof(ss);
	struct ev_addr peer;
	struct ev_stream *s;
	int fd = accept4(l->source.fd, (struct sockaddr *)&ss, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EAGAIN)
			return false;
		/* This one connection failed before we took it. */
		if (errno == EINTR || errno == ECONNABORTED || errno == EPERM)
			return true;
		/* Descriptors of connections that are over are a reserve. */
		if ((errno == EMFILE || errno == ENFILE) &&
		    ev_stream_cut_lingering(l->loop))
			return true;
		listener_pause(l);
		return false;
	}
	ev_addr_from_sockaddr(&peer, (struct sockaddr *)&ss);
	if (ev_stream_new(l->loop, fd, &peer, &s) != ERR_OK) {
		listener_pause(l);
		return false;
	}
	l->cb(l->arg, s);
	return true;
}

/* To ask in vain costs as much as to accept. So one at first, more as long as
 * there are more. */
static void
listener_on_event(struct ev_source *s, uint32_t events)
{
	struct ev_listener *l = (struct ev_listener *)s;

	if ((events & EPOLLERR) != 0) {
		listener_pause(l);
		return;
	}
	for (int i = 0; i < l->budget && !l->closed; i++) {
		if (!listener_accept(l)) {
			l->budget = 1;
			return;
		}
	}
	if (l->budget < ACCEPTS_PER_TURN)
		l->budget *= 2;
}

/* see ev.h */
enum err
ev_listen_fd(struct ev_loop *loop, int fd, ev_accept_cb *cb, void *arg,
	     struct ev_listener **out)
{
	struct ev_listener *l;
	int listening = 0;
	socklen_t len = sizeof(listening);
	enum err ret;

	*out = NULL;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0)
		return err_from_errno(errno);
	if (!listening)
		return ERR_UNSUPPORTED;
	/* Accepted sockets inherit these. */
	ev_sock_tune(fd);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	ev_sock_unblock(fd);
	l = MEM_NEW(struct ev_listener);
	l->loop = loop;
	l->cb = cb;
	l->arg = arg;
	l->budget = 1;
	ev_source_init(&l->source, fd, listener_on_event);
	if ((ret = ev_source_want(loop, &l->source, EPOLLIN)) != ERR_OK) {
		mem_free(l);
		return ret;
	}
	*out = l;
	return ERR_OK;
}

/* see ev.h */
void
ev_listener_close(struct ev_listener **lp)
{
	struct ev_listener *l = TAKE(*lp);

	if (l == NULL)
		return;
	l->closed = true;
	ev_timer_cancel(&l->retry);
	ev_source_drop(l->loop, &l->source);
	(void)close(l->source.fd);
	ev_garbage_put(l->loop, &l->garbage, l);
}

/* -- making sockets ----------------------------------------------------- */

/* A socket file that nobody listens on any more is in the way. */
static enum err
unix_clear(const char *path, const struct sockaddr_un *sun, struct why *why)
{
	struct stat st;
	int fd;
	int r;
	int problem;

	if (lstat(path, &st) != 0)
		return ERR_OK;
	if (!S_ISSOCK(st.st_mode))
		return why_set(why, ERR_EXISTS,
			       "unix:%s: the path exists and is not a socket; "
			       "remove it or choose another path",
			       path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			 0)) < 0)
		return why_set(why, err_from_errno(errno), "socket: %s",
			       strerror(errno));
	r = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	problem = errno;
	(void)close(fd);
	if (r == 0 || problem == EAGAIN)
		return why_set(why, ERR_EXISTS,
			       "unix:%s: another process listens there; stop "
			       "it or choose another path",
			       path);
	if (problem != ECONNREFUSED)
		return why_set(why, err_from_errno(problem),
			       "unix:%s: cannot tell whether somebody listens "
			       "there: %s",
			       path, strerror(problem));
	if (unlink(path) != 0)
		return why_set(why, err_from_errno(errno),
			       "unix:%s: cannot remove the dead socket: %s",
			       path, strerror(errno));
	return ERR_OK;
}

static enum err
bind_unix(const char *path, mode_t mode, struct why *why, int *fd_out)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	mode_t old;
	enum err ret;
	int fd;
	int r;

	if (path[0] == '\0' || strlen(path) >= sizeof(sun.sun_path))
		return why_set(why, ERR_CONFIG,
			       "unix:%s: the path must have 1 to %zu bytes",
			       path, sizeof(sun.sun_path) - 1);
	memcpy(sun.sun_path, path, strlen(path) + 1);
	if ((ret = unix_clear(path, &sun, why)) != ERR_OK)
		return ret;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			 0)) < 0)
		return why_set(why, err_from_errno(errno), "socket: %s",
			       strerror(errno));
	/* The right mode from the first moment on, so not chmod. */
	old = umask(0777 & ~mode);
	r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	(void)umask(old);
	if (r != 0 || listen(fd, SOMAXCONN) != 0) {
		ret = why_set(why, err_from_errno(errno), "unix:%s: %s", path,
			      strerror(errno));
		(void)close(fd);
		return ret;
	}
	*fd_out = fd;
	return ERR_OK;
}

static int
tcp_socket(const struct ev_addr *a, bool reuse_port)
{
	int one = 1;
	int zero = 0;
	int fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    (!reuse_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one,
				       sizeof(one)) == 0) &&
	    (a->family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
						 &zero, sizeof(zero)) == 0))
		return fd;
	(void)close(fd);
	return -1;
}

static enum err
bind_tcp(const char *text, const struct ev_addr *a, bool reuse_port,
	 struct why *why, int *fd_out)
{
	struct sockaddr_storage ss;
	socklen_t len = ev_addr_to_sockaddr(a, &ss);
	int fd = tcp_socket(a, reuse_port);
	int problem;

	if (fd >= 0 && bind(fd, (struct sockaddr *)&ss, len) == 0 &&
	    listen(fd, SOMAXCONN) == 0) {
		*fd_out = fd;
		return ERR_OK;
	}
	problem = errno;
	if (fd >= 0)
		(void)close(fd);
	return why_set(why, err_from_errno(problem), "%s: cannot listen: %s%s",
		       text, strerror(problem),
		       problem == EACCES ? "; ports below 1024 need root or "
					   "CAP_NET_BIND_SERVICE"
					 : "");
}

/* see ev.h */
enum err
ev_bind(const char *addr, bool reuse_port, mode_t unix_mode, struct why *why,
	int *fd_out)
{
	struct ev_addr a = {.family = AF_INET6};
	char host[256];
	uint16_t port;
	enum err ret;

	*fd_out = -1;
	if (strncmp(addr, "unix:", 5) == 0)
		return bind_unix(addr + 5, unix_mode, why, fd_out);
	if (ev_addr_split(addr, host, &port) != ERR_OK ||
	    (host[0] != '\0' && !ev_addr_set_numeric(&a, host)))
		return why_set(why, ERR_CONFIG,
			       "listen address \"%s\": must be IP:port, "
			       "[IPv6]:port, :port or unix:/path",
			       addr);
	a.port = port;
	ret = bind_tcp(addr, &a, reuse_port, why, fd_out);
	if (ret == ERR_OK || host[0] != '\0')
		return ret;
	/* No IPv6 in this kernel: ":port" means IPv4 then. */
	a = (struct ev_addr){.family = AF_INET, .port = port};
	return bind_tcp(addr, &a, reuse_port, why, fd_out);
}

/* see ev.h */
void
ev_bound_text(int fd, char out[EV_ADDR_TEXT_MAX])
{
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	struct sockaddr_un sun;
	socklen_t len = sizeof(ss);
	struct ev_addr a;

	(void)getsockname(fd, (struct sockaddr *)&ss, &len);
	if (ss.ss_family == AF_UNIX) {
		memcpy(&sun, &ss, sizeof(sun));
		(void)snprintf(out, EV_ADDR_TEXT_MAX, "unix:%.*s",
			       EV_ADDR_TEXT_MAX - 6, sun.sun_path);
		return;
	}
	ev_addr_from_sockaddr(&a, (struct sockaddr *)&ss);
	ev_addr_text(&a, out);
}
