/* ev_poll.c - readiness of descriptors that the caller reads and writes. */
#include "ev/ev.h"

#include "base/mem.h"
#include "ev/ev_int.h"

struct ev_poll {
	struct ev_source source; /* first: see poll_on_event */
	struct ev_garbage garbage;
	struct ev_loop *loop;
	ev_poll_cb *cb;
	void *arg;
};

/* The owner learns of an error by its own read or write, and there may be
 * bytes left to read first: so it comes as what is waited for. */
static void
poll_on_event(struct ev_source *s, uint32_t events)
{
	struct ev_poll *p = (struct ev_poll *)s;

	if ((events & (EPOLLERR | EPOLLHUP)) != 0)
		events |= s->wanted;
	events &= s->wanted;
	p->cb(p->arg, (events & EPOLLIN) != 0, (events & EPOLLOUT) != 0);
}

/* see ev.h */
enum err
ev_poll_start(struct ev_loop *loop, int fd, ev_poll_cb *cb, void *arg,
	      struct ev_poll **out)
{
	struct ev_poll *p = MEM_NEW(struct ev_poll);

	p->loop = loop;
	p->cb = cb;
	p->arg = arg;
	ev_source_init(&p->source, fd, poll_on_event);
	*out = p;
	return ERR_OK;
}

/* see ev.h */
void
ev_poll_want(struct ev_poll *p, bool readable, bool writable)
{
	must(ev_source_want(p->loop, &p->source,
			    (readable ? EPOLLIN : 0u) |
				    (writable ? EPOLLOUT : 0u)) == ERR_OK);
}

/* see ev.h */
void
ev_poll_cancel(struct ev_poll **pp)
{
	struct ev_poll *p = TAKE(*pp);

	if (p == NULL)
		return;
	ev_source_drop(p->loop, &p->source);
	ev_garbage_put(p->loop, &p->garbage, p);
}
