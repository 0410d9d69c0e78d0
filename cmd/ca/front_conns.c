/* front_conns.c - which connections are kept when there is no room for all.
 *
 * Whoever opens connections and proves nothing must not keep out those who
 * can: when the front is full, the oldest connection without a known caller
 * ends (half-open ones among them), so that those who knock push each other
 * out. Where all have a known caller, the one that was not used for the
 * longest time ends. Only when every one has a request under way is the
 * newcomer refused, unless nearly all are one caller's (limit.identity_share):
 * then one of those makes room, and no single identity can fill a front. */
#include "base/log.h"
#include "ca/front_int.h"

enum {
	/* Callers that are not known, one after the other on one connection.
	 * After so many the next one costs a handshake. */
	STRANGERS_MAX = 100
};

void
conns_add(struct conn_list *list, struct connection *c)
{
	c->list = list;
	c->next = NULL;
	c->prev = list->tail;
	if (list->tail == NULL)
		list->head = c;
	else
		list->tail->next = c;
	list->tail = c;
}

void
conns_remove(struct connection *c)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		c->list->head = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	else
		c->list->tail = c->prev;
	c->prev = c->next = NULL;
	c->list = NULL;
}

/* A known caller uses it. */
static void
connection_use(struct connection *c)
{
	struct front *f = c->front;

	conns_remove(c);
	conns_add(c->issue_cnt > 0 ? &f->busy : &f->known, c);
}

void
connection_note_end(struct connection *c)
{
	if (--c->issue_cnt == 0 && c->list == &c->front->busy)
		connection_use(c);
}

void
connection_note_caller(struct connection *c, bool known, uint64_t caller)
{
	if (known) {
		c->strangers = 0;
		c->caller = caller;
		connection_use(c);
	} else if (++c->strangers >= STRANGERS_MAX) {
		log_peer("front.strangers",
			 "peer=%s: %u requests, none by a known caller: the "
			 "connection ends",
			 c->peer, c->strangers);
		serve_conn_shutdown(c->serve);
	}
}

/* The longest unused connection of the caller that has more than its share,
 * which is half of all at least: so the majority vote of Boyer and Moore finds
 * that caller. Only run where the front is full of requests. */
static struct connection *
front_find_hog(const struct front *f)
{
	struct connection *first = NULL;
	uint64_t caller = 0;
	size_t votes = 0, cnt = 0;

	for (const struct connection *c = f->busy.head; c != NULL;
	     c = c->next) {
		if (votes == 0)
			caller = c->caller;
		if (c->caller == caller)
			votes++;
		else
			votes--;
	}
	for (struct connection *c = f->busy.head; c != NULL; c = c->next) {
		if (c->caller != caller)
			continue;
		if (first == NULL)
			first = c;
		cnt++;
	}
	return cnt * 100 > f->conn_cnt * (size_t)f->conf.limit_identity_share
		       ? first
		       : NULL;
}

/* Who must go; NULL: nobody. */
static struct connection *
front_find_victim(const struct front *f)
{
	if (f->strangers.head != NULL)
		return f->strangers.head;
	if (f->known.head != NULL)
		return f->known.head;
	return front_find_hog(f);
}

bool
front_make_room(struct front *f)
{
	struct connection *c;

	if (f->conn_cnt < f->conn_max)
		return true;
	c = front_find_victim(f);
	log_peer("front.full",
		 "%zu connections are open (limit.connections %lld): %s%s",
		 f->conn_cnt, (long long)f->conf.limit_connections,
		 c == NULL ? "each has a request under way, one more is refused"
			   : "room is made by ending that of ",
		 c == NULL ? "" : c->peer);
	if (c == NULL)
		return false;
	serve_conn_drop(c->serve, ERR_LIMIT,
			"ended to make room: it was unused for the longest "
			"time, or its caller has nearly all connections "
			"(limit.identity_share)");
	return f->conn_cnt < f->conn_max;
}
