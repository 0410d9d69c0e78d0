/* queue.c - see queue.h. Lines exist while something waits in them: there are
 * never more than requests. */
#include "ca/queue.h"

#include "base/mem.h"

enum {
	BUCKETS = 1024,
	KEPT_PART = 4, /* of the queue, for the first class */
	SOON_PART = 8,
	SOON_MS = 600000
};

static const unsigned class_turns[CA_QUEUE_CLASSES] = {3, 1};

/* One caller's in one class. */
struct ca_queue_line {
	struct ca_queue_item *head, *tail;
	struct ca_queue_line *next, *prev; /* in the ring of its class */
	struct ca_queue_line *chain;       /* in its bucket */
	uint64_t caller;
	enum ca_queue_class class;
	size_t cnt;
};

struct ca_queue {
	struct ca_queue_line *turn[CA_QUEUE_CLASSES]; /* ring: whose turn */
	unsigned turns[CA_QUEUE_CLASSES];             /* left in this round */
	struct ca_queue_line *buckets[BUCKETS];
	size_t cnt;
	size_t max;
};

struct ca_queue *
ca_queue_new(size_t max)
{
	struct ca_queue *q = MEM_NEW(struct ca_queue);

	q->max = max;
	return q;
}

void
ca_queue_free(struct ca_queue *q)
{
	must(q == NULL || q->cnt == 0);
	mem_free(q);
}

void
ca_queue_set_max(struct ca_queue *q, size_t max)
{
	q->max = max;
}

size_t
ca_queue_count(const struct ca_queue *q)
{
	return q->cnt;
}

enum ca_queue_class
ca_queue_class_of(struct wall ends, struct wall now, int64_t life_ms)
{
	int64_t soon_ms = life_ms / SOON_PART;

	if (soon_ms > SOON_MS)
		soon_ms = SOON_MS;
	return wall_diff_ms(ends, now) > soon_ms ? CA_QUEUE_RENEWAL
						 : CA_QUEUE_FIRST;
}

size_t
ca_queue_max_of(size_t max, enum ca_queue_class c)
{
	return c == CA_QUEUE_FIRST ? max : max - max / KEPT_PART;
}

/* ---- lines -------------------------------------------------------------- */

static struct ca_queue_line **
queue_find(struct ca_queue *q, enum ca_queue_class c, uint64_t caller)
{
	struct ca_queue_line **at = &q->buckets[caller % BUCKETS];

	while (*at != NULL && ((*at)->caller != caller || (*at)->class != c))
		at = &(*at)->chain;
	return at;
}

/* The newest line waits until all others had their turn. */
static struct ca_queue_line *
queue_add_line(struct ca_queue *q, enum ca_queue_class c, uint64_t caller,
	       struct ca_queue_line **at)
{
	struct ca_queue_line *line = MEM_NEW(struct ca_queue_line);
	struct ca_queue_line *first = q->turn[c];

	line->caller = caller;
	line->class = c;
	*at = line;
	if (first == NULL) {
		q->turn[c] = line->next = line->prev = line;
		return line;
	}
	line->next = first;
	line->prev = first->prev;
	first->prev->next = line;
	first->prev = line;
	return line;
}

static void
queue_drop_line(struct ca_queue *q, struct ca_queue_line *line)
{
	*queue_find(q, line->class, line->caller) = line->chain;
	if (q->turn[line->class] == line)
		q->turn[line->class] = line->next == line ? NULL : line->next;
	line->next->prev = line->prev;
	line->prev->next = line->next;
	mem_free(line);
}

/* ---- items -------------------------------------------------------------- */

enum err
ca_queue_put(struct ca_queue *q, struct ca_queue_item *item,
	     enum ca_queue_class c, uint64_t caller)
{
	struct ca_queue_line **at = queue_find(q, c, caller);
	struct ca_queue_line *line = *at;
	size_t mine = line == NULL ? 0 : line->cnt;
	size_t max = ca_queue_max_of(q->max, c);

	must(item->line == NULL);
	if (q->cnt >= max || mine >= max - q->cnt)
		return mine == 0 ? ERR_BUSY : ERR_EXCESS;
	if (line == NULL)
		line = queue_add_line(q, c, caller, at);
	item->line = line;
	item->next = NULL;
	item->prev = line->tail;
	if (line->tail == NULL)
		line->head = item;
	else
		line->tail->next = item;
	line->tail = item;
	line->cnt++;
	q->cnt++;
	return ERR_OK;
}

void
ca_queue_remove(struct ca_queue *q, struct ca_queue_item *item)
{
	struct ca_queue_line *line = TAKE(item->line);

	if (line == NULL)
		return;
	if (item->prev == NULL)
		line->head = item->next;
	else
		item->prev->next = item->next;
	if (item->next == NULL)
		line->tail = item->prev;
	else
		item->next->prev = item->prev;
	item->next = item->prev = NULL;
	q->cnt--;
	if (--line->cnt == 0)
		queue_drop_line(q, line);
}

/* A class without requests gives its turns to the other; when all turns of
 * those that have some are used, a new round begins. */
static enum ca_queue_class
queue_pick_class(struct ca_queue *q)
{
	for (;;) {
		for (int c = 0; c < CA_QUEUE_CLASSES; c++) {
			if (q->turn[c] == NULL || q->turns[c] == 0)
				continue;
			q->turns[c]--;
			return (enum ca_queue_class)c;
		}
		for (int c = 0; c < CA_QUEUE_CLASSES; c++)
			q->turns[c] = class_turns[c];
	}
}

struct ca_queue_item *
ca_queue_take(struct ca_queue *q)
{
	struct ca_queue_line *line;
	struct ca_queue_item *item;
	enum ca_queue_class c;

	if (q->cnt == 0)
		return NULL;
	c = queue_pick_class(q);
	line = q->turn[c];
	item = line->head;
	q->turn[c] = line->next;
	ca_queue_remove(q, item);
	return item;
}
