/* front_turns.c - whose request is worked on next.
 *
 * Reading a CSR and checking its signature is most of what a front does, so
 * requests wait for it in a fair queue (lib/ca/queue.h): identities in turn,
 * and within one its connections in turn, because each has only its oldest
 * request there. Work is done in portions; between them the front reads, so
 * that it hears of newcomers, and of calls that were cancelled: for those no
 * work is done. */
#include <string.h>

#include "base/rand.h"
#include "ca/front_int.h"
#include "crypto/hash.h"

enum {
	PORTION = 16 /* about a millisecond */
};

static enum ca_queue_class
issue_class(const struct issue *is)
{
	const struct tls_peer *peer = serve_conn_get_peer(is->conn->serve);
	struct wall ends = {0};

	if (is->who.kind == RA_CLIENT_CERT && peer != NULL)
		ends = peer->not_after;
	else if (is->who.kind == RA_JWT)
		ends = ca_seen_get(is->front->seen,
				   slice_of_str(is->who.caller));
	return ca_queue_class_of(ends, wall_now(),
				 is->front->conf.cert_default_ttl_ms);
}

/* A join token's identity is not known: each such connection is a caller. */
uint64_t
issue_caller(const struct issue *is)
{
	struct slice name = slice_of(is->who.identity, is->who.identity_len);

	if (name.len == 0)
		name = slice_of_str(is->conn->peer);
	return hash_sip(is->front->turns_key, name);
}

/* The connection's oldest, if it has one, is where its turn can come. The
 * bound is kept by front_wait_turn. */
static void
connection_queue_oldest(struct connection *c)
{
	struct issue *is = c->waiting;

	if (is != NULL && is->turn.line == NULL)
		must(ca_queue_put(c->front->turns, &is->turn, issue_class(is),
				  issue_caller(is)) == ERR_OK);
}

void
front_leave_turn(struct issue *is)
{
	struct connection *c = is->conn;

	if (!is->waits)
		return;
	ca_queue_remove(is->front->turns, &is->turn);
	if (is->wait_prev == NULL)
		c->waiting = is->wait_next;
	else
		is->wait_prev->wait_next = is->wait_next;
	if (is->wait_next == NULL)
		c->waiting_tail = is->wait_prev;
	else
		is->wait_next->wait_prev = is->wait_prev;
	is->wait_next = is->wait_prev = NULL;
	is->waits = false;
	c->waiting_cnt--;
	c->front->waiting_cnt--;
	connection_queue_oldest(c);
}

static void
front_work(void *arg)
{
	struct front *f = arg;
	struct mono now = mono_now();

	for (int i = 0; i < PORTION; i++) {
		struct issue *is = (struct issue *)ca_queue_take(f->turns);

		if (is == NULL)
			return;
		front_leave_turn(is);
		if (mono_is_before(is->deadline, now))
			issue_refuse(is, ERR_TIMEOUT,
				     "the deadline passed before its turn");
		else
			issue_work(is);
	}
	if (ca_queue_count(f->turns) > 0)
		ev_defer_queue_next(f->loop, &f->work, front_work, f);
}

enum err
front_wait_turn(struct issue *is)
{
	struct front *f = is->front;
	struct connection *c = is->conn;
	size_t max =
		ca_queue_max_of((size_t)f->conf.limit_queue, issue_class(is));

	/* No more for one than there is room left for all of its class. */
	if (f->waiting_cnt >= max || c->waiting_cnt >= max - f->waiting_cnt)
		return c->waiting_cnt == 0 ? ERR_BUSY : ERR_EXCESS;
	is->waits = true;
	is->wait_prev = c->waiting_tail;
	if (c->waiting_tail == NULL)
		c->waiting = is;
	else
		c->waiting_tail->wait_next = is;
	c->waiting_tail = is;
	c->waiting_cnt++;
	f->waiting_cnt++;
	connection_queue_oldest(c);
	ev_defer_queue(f->loop, &f->work, front_work, f);
	return ERR_OK;
}

void
front_turns_open(struct front *f)
{
	f->turns = ca_queue_new(SIZE_MAX);
	f->callers = ca_limit_new(CA_LIMIT_ROWS);
	f->seen = ca_seen_new(CA_SEEN_ROWS);
	rand_bytes((uint8_t *)f->turns_key, sizeof(f->turns_key));
}
