/* ev_child.c - how our children ended. Only watched process ids are waited
 * for: a wait for any child would take the results of others. */
#include "ev/ev.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "ev/ev_int.h"

struct ev_child {
	struct ev_loop *loop;
	struct ev_child *next;
	struct ev_child **owner; /* the caller's variable */
	ev_child_cb *cb;
	void *arg;
	struct ev_defer first_look;
	pid_t pid;
};

static void
child_unlink(struct ev_child *c)
{
	struct ev_child **at = &c->loop->children;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	ev_defer_cancel(&c->first_look);
}

/* True when the child has ended: c is gone then. */
static bool
child_look(struct ev_child *c)
{
	int status = 0;
	pid_t r;
	ev_child_cb *cb = c->cb;
	void *arg = c->arg;
	pid_t pid = c->pid;

	do {
		r = waitpid(pid, &status, WNOHANG);
	} while (r < 0 && errno == EINTR);
	if (r == 0)
		return false;
	child_unlink(c);
	*c->owner = NULL;
	mem_free(c);
	/* Not our child, or reaped by somebody else: ended, nobody knows how.
	 */
	if (r < 0)
		cb(arg, pid, -1, 0);
	else if (WIFSIGNALED(status))
		cb(arg, pid, -1, WTERMSIG(status));
	else
		cb(arg, pid, WEXITSTATUS(status), 0);
	return true;
}

static void
child_on_signal(uv_signal_t *h, int signum)
{
	struct ev_loop *loop = h->data;
	struct ev_child *c = loop->children;

	(void)signum;
	/* A callback may change the list: start again after each. */
	while (c != NULL)
		c = child_look(c) ? loop->children : c->next;
}

static void
child_first_look(void *arg)
{
	(void)child_look(arg);
}

static enum err
child_signal_start(struct ev_loop *loop)
{
	int r;

	if (loop->sigchld != NULL)
		return ERR_OK;
	loop->sigchld = MEM_NEW(uv_signal_t);
	if ((r = uv_signal_init(&loop->uv, loop->sigchld)) != 0) {
		mem_free(TAKE(loop->sigchld));
		return err_from_errno(-r);
	}
	loop->sigchld->data = loop;
	must(uv_signal_start(loop->sigchld, child_on_signal, SIGCHLD) == 0);
	ev_loop_wake_uv(loop);
	return ERR_OK;
}

/* see ev.h */
enum err
ev_child_watch(struct ev_loop *loop, pid_t pid, ev_child_cb *cb, void *arg,
	       struct ev_child **out)
{
	struct ev_child *c;
	enum err ret;

	*out = NULL;
	if ((ret = child_signal_start(loop)) != ERR_OK)
		return ret;
	c = MEM_NEW(struct ev_child);
	c->loop = loop;
	c->owner = out;
	c->cb = cb;
	c->arg = arg;
	c->pid = pid;
	c->next = loop->children;
	loop->children = c;
	*out = c;
	/* It may have ended before we listened for its signal. */
	ev_defer_queue(loop, &c->first_look, child_first_look, c);
	return ERR_OK;
}

/* see ev.h */
void
ev_child_cancel(struct ev_child **cp)
{
	struct ev_child *c = TAKE(*cp);

	if (c == NULL)
		return;
	child_unlink(c);
	mem_free(c);
}

static void
child_on_signal_closed(uv_handle_t *h)
{
	mem_free(h);
}

/* see ev_int.h */
void
ev_child_close_all(struct ev_loop *loop)
{
	must(loop->children == NULL);
	if (loop->sigchld != NULL)
		uv_close((uv_handle_t *)TAKE(loop->sigchld),
			 child_on_signal_closed);
}
