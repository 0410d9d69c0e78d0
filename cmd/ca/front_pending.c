/* front_pending.c - the requests that are at the authority: a table of slots,
 * whose numbers come back with the answers.
 *
 * The id of a request is its slot and how often that was used before: an answer
 * that comes after its caller has gone finds nobody, and never a stranger. A
 * request that gets no answer is refused, by its deadline or because the
 * authority went away. */
#include "base/mem.h"
#include "ca/front_int.h"

enum {
	SWEEP_MS = 1000
};

static void
pending_grow(struct front *f)
{
	uint32_t cap = f->pending_cap == 0 ? 64 : f->pending_cap * 2;

	f->pending = mem_grow_array(f->pending, f->pending_cap, cap,
				    sizeof(*f->pending));
	for (uint32_t i = f->pending_cap; i < cap; i++)
		f->pending[i].next_free = i + 1 < cap ? i + 1 : UINT32_MAX;
	f->pending_free = f->pending_cap;
	f->pending_cap = cap;
}

uint64_t
pending_add(struct front *f, struct issue *is)
{
	struct pending *p;

	if (f->pending_free == UINT32_MAX)
		pending_grow(f);
	is->slot = f->pending_free;
	p = &f->pending[is->slot];
	f->pending_free = p->next_free;
	p->issue = is;
	f->pending_cnt++;
	return (uint64_t)p->generation << 32 | is->slot;
}

void
pending_remove(struct front *f, struct issue *is)
{
	struct pending *p;

	if (is->slot == UINT32_MAX)
		return;
	p = &f->pending[is->slot];
	p->issue = NULL;
	p->generation = (p->generation + 1) & INT32_MAX;
	p->next_free = f->pending_free;
	f->pending_free = is->slot;
	is->slot = UINT32_MAX;
	f->pending_cnt--;
}

struct issue *
pending_find(struct front *f, uint64_t id)
{
	uint32_t slot = (uint32_t)id;

	if (slot >= f->pending_cap ||
	    f->pending[slot].generation != (uint32_t)(id >> 32))
		return NULL;
	return f->pending[slot].issue;
}

static void front_sweep(void *arg);

void
front_start_sweep(struct front *f)
{
	if (f->sweep == NULL && (f->pending_cnt > 0 || f->parked != NULL))
		must(ev_timer_start(f->loop, SWEEP_MS, front_sweep, f,
				    &f->sweep) == ERR_OK);
}

/* Callers without a deadline get ours: an authority that hangs holds nobody
 * for ever. */
static void
front_sweep(void *arg)
{
	struct front *f = arg;
	struct mono now = mono_now();

	for (uint32_t i = 0; i < f->pending_cap; i++) {
		struct issue *is = f->pending[i].issue;

		if (is != NULL && mono_is_before(is->deadline, now))
			issue_refuse(is, ERR_TIMEOUT,
				     "the authority did not answer in time");
	}
	front_jwks_expire(f, now);
	front_start_sweep(f);
}

void
front_fail_pending(struct front *f)
{
	for (uint32_t i = 0; i < f->pending_cap; i++) {
		if (f->pending[i].issue != NULL)
			issue_refuse(f->pending[i].issue, ERR_UNAVAILABLE,
				     "the authority was restarted, try again");
	}
}
