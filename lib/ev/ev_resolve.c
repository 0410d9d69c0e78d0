/* ev_resolve.c - host names to addresses without threads.
 *
 * getaddrinfo blocks, and libuv would start four threads for it. A short-lived
 * child does the lookup instead and writes the result to a pipe in one piece.
 * The child closes every other descriptor first, so that a slow name server
 * does not keep our listening sockets open; secrets are not copied into it
 * (MADV_WIPEONFORK). The object lives until the child was reaped, also after a
 * cancel. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "ev/ev_int.h"

/* What the child writes: below PIPE_BUF, so one write is one read. */
struct resolve_result {
	int gai_error;
	int saved_errno;
	size_t cnt;
	struct ev_addr addrs[EV_ADDRS_MAX];
};

struct ev_resolve {
	struct ev_loop *loop;
	struct ev_resolve *next;
	ev_resolve_cb *cb;
	void *arg;
	struct ev_resolve **pending; /* NULL: cancelled or answered */
	struct ev_poll *poll;
	struct ev_child *child;
	pid_t pid;
	int fd;
};

static void
resolve_in_child(const char *host, struct resolve_result *res)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
				 .ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;

	res->gai_error = getaddrinfo(host, NULL, &hints, &list);
	/* AI_ADDRCONFIG does not count loopback: with nothing else, ask for
	 * all. */
	if (res->gai_error != 0) {
		hints.ai_flags = 0;
		res->gai_error = getaddrinfo(host, NULL, &hints, &list);
	}
	res->saved_errno = errno;
	if (res->gai_error != 0)
		return;
	for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		if (res->cnt == EV_ADDRS_MAX)
			break;
		ev_addr_from_sockaddr(&res->addrs[res->cnt++], ai->ai_addr);
	}
	freeaddrinfo(list);
}

NORETURN static void
resolve_child_main(const char *host, int out)
{
	const struct sigaction normal = {.sa_handler = SIG_DFL};
	struct resolve_result res;
	sigset_t none;
	ssize_t n;

	memset(&res, 0, sizeof(res));
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* libuv's handlers would write into the parent's pipe. */
	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &normal, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (out != 3 && dup2(out, 3) != 3)
		_exit(1);
	if (close_range(4, ~0u, 0) != 0)
		_exit(1);
	resolve_in_child(host, &res);
	n = write(3, &res, sizeof(res));
	_exit(n == (ssize_t)sizeof(res) ? 0 : 1);
}

static void
resolve_detach(struct ev_resolve *r)
{
	r->pending = NULL;
	ev_poll_cancel(&r->poll);
	if (r->fd >= 0)
		(void)close(r->fd);
	r->fd = -1;
}

static void
resolve_free(struct ev_resolve *r)
{
	struct ev_resolve **at = &r->loop->resolves;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	resolve_detach(r);
	ev_child_cancel(&r->child);
	mem_free(r);
}

static const char *
resolve_problem(const struct resolve_result *res, ssize_t n)
{
	if (n != (ssize_t)sizeof(*res))
		return "the lookup process ended without an answer";
	if (res->gai_error == EAI_SYSTEM)
		return strerror(res->saved_errno);
	if (res->gai_error != 0)
		return gai_strerror(res->gai_error);
	return res->cnt == 0 ? "no address" : NULL;
}

static void
resolve_on_readable(void *arg, bool readable, bool writable)
{
	struct ev_resolve *r = arg;
	struct resolve_result res;
	ssize_t n;

	(void)readable;
	(void)writable;
	memset(&res, 0, sizeof(res));
	n = read(r->fd, &res, sizeof(res));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	*r->pending = NULL;
	resolve_detach(r);
	r->cb(r->arg, resolve_problem(&res, n), res.addrs, res.cnt);
}

static void
resolve_on_child(void *arg, pid_t pid, int exit_code, int term_signal)
{
	struct ev_resolve *r = arg;

	(void)pid;
	(void)exit_code;
	(void)term_signal;
	/* The answer may still be in the pipe; else the pipe's end is. */
	if (r->pending != NULL)
		resolve_on_readable(r, true, false);
	resolve_free(r);
}

static pid_t
resolve_fork(const char *host, int fds[2])
{
	sigset_t all;
	sigset_t old;
	pid_t pid;

	/* No handler may run in the child before it dropped them. */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		resolve_child_main(host, fds[1]);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

/* see ev_int.h */
enum err
ev_resolve_start(struct ev_loop *loop, const char *host, ev_resolve_cb *cb,
		 void *arg, struct ev_resolve **pending)
{
	struct ev_resolve *r;
	int fds[2];
	enum err ret;

	*pending = NULL;
	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_from_errno(errno);
	r = MEM_NEW(struct ev_resolve);
	r->loop = loop;
	r->fd = fds[0];
	r->next = loop->resolves;
	loop->resolves = r;
	if ((r->pid = resolve_fork(host, fds)) < 0) {
		ret = err_from_errno(errno);
		(void)close(fds[1]);
		resolve_free(r);
		return ret;
	}
	(void)close(fds[1]);
	if ((ret = ev_child_watch(loop, r->pid, resolve_on_child, r,
				  &r->child)) != ERR_OK)
		goto out;
	if ((ret = ev_poll_start(loop, r->fd, resolve_on_readable, r,
				 &r->poll)) != ERR_OK)
		goto out;
	ev_poll_want(r->poll, true, false);
	r->cb = cb;
	r->arg = arg;
	r->pending = pending;
	*pending = r;
out:
	if (ret != ERR_OK) {
		(void)kill(r->pid, SIGKILL);
		(void)waitpid(r->pid, NULL, 0);
		resolve_free(r);
	}
	return ret;
}

/* see ev_int.h */
void
ev_resolve_cancel(struct ev_resolve **pending)
{
	struct ev_resolve *r = TAKE(*pending);

	if (r == NULL)
		return;
	resolve_detach(r);
	(void)kill(r->pid, SIGKILL);
}

/* see ev_int.h */
void
ev_resolve_close_all(struct ev_loop *loop)
{
	while (loop->resolves != NULL) {
		struct ev_resolve *r = loop->resolves;

		(void)kill(r->pid, SIGKILL);
		(void)waitpid(r->pid, NULL, 0);
		resolve_free(r);
	}
}
