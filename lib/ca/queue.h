/* queue.h - requests that wait: bounded, fair between callers, in two classes.
 *
 * Intrusive and without a clock. Each caller has a line of its own, oldest
 * first; lines are served in turn, so that one with a thousand requests gets
 * no more turns than one with a single request. Of four turns three belong to
 * the first class and one to the second, while both have something waiting:
 * neither starves the other.
 *
 * A full queue is not first come, first served: a caller may have no more
 * waiting than there is room left for all. So one caller alone fills half of
 * it, two a third each, and a newcomer finds room. The last quarter is for the
 * first class only: however many callers renew, who has nothing finds room. */
#ifndef CA_QUEUE_H
#define CA_QUEUE_H

#include "base/clock.h"
#include "base/err.h"

enum ca_queue_class {
	CA_QUEUE_FIRST = 0, /* whoever has no certificate, or soon none */
	CA_QUEUE_RENEWAL,   /* whoever has one for a while yet */
	CA_QUEUE_CLASSES
};

/* By when the certificate ends that the caller has (1970: it has none), and by
 * how long they live. The last eighth of a life, at most ten minutes, is as
 * urgent as having none. */
enum ca_queue_class ca_queue_class_of(struct wall ends, struct wall now,
				      int64_t life_ms);

/* How much of a queue of this size the class may fill. */
size_t ca_queue_max_of(size_t max, enum ca_queue_class c);

struct ca_queue_line;

/* Embedded in what waits, zeroed. */
struct ca_queue_item {
	struct ca_queue_item *next, *prev;
	struct ca_queue_line *line; /* not NULL: it waits */
};

struct ca_queue;
struct ca_queue *ca_queue_new(size_t max);
/* Nothing may wait in it any more. */
void ca_queue_free(struct ca_queue *q);
/* Those that wait already stay. */
void ca_queue_set_max(struct ca_queue *q, size_t max);
size_t ca_queue_count(const struct ca_queue *q);

/* caller: a keyed hash of who it is. ERR_BUSY: the queue is full. ERR_EXCESS:
 * this caller has its share of it waiting already. */
MUST_USE enum err ca_queue_put(struct ca_queue *q, struct ca_queue_item *item,
			       enum ca_queue_class c, uint64_t caller);
/* Whose turn it is; NULL when nothing waits. */
struct ca_queue_item *ca_queue_take(struct ca_queue *q);
/* Takes one out of turn; nothing happens where it does not wait. */
void ca_queue_remove(struct ca_queue *q, struct ca_queue_item *item);

#endif
