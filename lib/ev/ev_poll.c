/* ev_poll.c - readiness of descriptors that the caller reads and writes. */
#include "ev/ev.h"

#include "base/mem.h"
#include "ev/ev_int.h"

struct ev_poll {
	uv_poll_t uv;
	ev_poll_cb *cb;
	void *arg;
	int events;
};

static void
poll_on_closed(uv_handle_t *h)
{
	mem_free(h->data);
}

static void poll_on_event(uv_poll_t *h, int status, int events);

static void
poll_arm(struct ev_poll *p)
{
	if (p->events == 0)
		(void)uv_poll_stop(&p->uv);
	else
		must(uv_poll_start(&p->uv, p->events, poll_on_event) == 0);
}

static void
poll_on_event(uv_poll_t *h, int status, int events)
{
	struct ev_poll *p = h->data;

	/* On an error libuv stops the handle. The owner learns of the error by
	 * its own read or write, and there may be bytes left to read first. */
	if (status < 0) {
		events = p->events;
		poll_arm(p);
	}
	p->cb(p->arg, (events & UV_READABLE) != 0, (events & UV_WRITABLE) != 0);
}

/* see ev.h */
enum err
ev_poll_start(struct ev_loop *loop, int fd, ev_poll_cb *cb, void *arg,
	      struct ev_poll **out)
{
	struct ev_poll *p;
	int r;

	*out = NULL;
	p = MEM_NEW(struct ev_poll);
	p->cb = cb;
	p->arg = arg;
	if ((r = uv_poll_init(&loop->uv, &p->uv, fd)) != 0) {
		mem_free(p);
		return err_from_errno(-r);
	}
	p->uv.data = p;
	*out = p;
	return ERR_OK;
}

/* see ev.h */
void
ev_poll_want(struct ev_poll *p, bool readable, bool writable)
{
	int events =
		(readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);

	if (events == p->events)
		return;
	p->events = events;
	poll_arm(p);
}

/* see ev.h */
void
ev_poll_cancel(struct ev_poll **p)
{
	struct ev_poll *gone = TAKE(*p);

	if (gone != NULL)
		uv_close((uv_handle_t *)&gone->uv, poll_on_closed);
}
