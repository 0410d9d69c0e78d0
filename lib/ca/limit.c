/* limit.c - see limit.h. */
#include "ca/limit.h"

#include "base/mem.h"
#include "base/rand.h"
#include "crypto/hash.h"

enum {
	WAYS = 8,
	NS_PER_MS = 1000000
};

#define NS_PER_SEC UINT64_C(1000000000)

struct limit_row {
	uint64_t name; /* hash of the caller */
	struct ca_bucket bucket;
};

struct ca_limit {
	struct limit_row *rows;
	size_t mask; /* of sets */
	uint64_t key[2];
	uint64_t takeovers;
};

/* ---- one bucket --------------------------------------------------------- */

static uint64_t
rate_step_ns(const struct ca_rate *rate)
{
	return NS_PER_SEC / rate->per_sec;
}

uint64_t
ca_bucket_take(struct ca_bucket *b, const struct ca_rate *rate, struct mono now)
{
	uint64_t step, ahead;

	if (rate->per_sec == 0)
		return 0;
	step = rate_step_ns(rate);
	ahead = (b->full_at > now.ns ? b->full_at - now.ns : 0) + step;
	if (ahead > step * rate->burst)
		return (ahead - step * rate->burst + NS_PER_MS - 1) / NS_PER_MS;
	b->full_at = now.ns + ahead;
	return 0;
}

/* ---- the table ---------------------------------------------------------- */

struct ca_limit *
ca_limit_new(size_t rows)
{
	struct ca_limit *l = MEM_NEW(struct ca_limit);

	must(rows >= WAYS && (rows & (rows - 1)) == 0);
	l->rows = MEM_NEW_ARRAY(struct limit_row, rows);
	l->mask = rows / WAYS - 1;
	rand_bytes((uint8_t *)l->key, sizeof(l->key));
	return l;
}

void
ca_limit_free(struct ca_limit *l)
{
	if (l == NULL)
		return;
	mem_free(l->rows);
	mem_free(l);
}

/* The caller's own row, or the one of its set that is nearest to full. */
static struct limit_row *
limit_find(const struct ca_limit *l, uint64_t name)
{
	struct limit_row *set = &l->rows[(name & l->mask) * WAYS];
	struct limit_row *least = &set[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].name == name)
			return &set[i];
		if (set[i].bucket.full_at < least->bucket.full_at)
			least = &set[i];
	}
	return least;
}

uint64_t
ca_limit_take(struct ca_limit *l, struct slice caller,
	      const struct ca_rate *rate, struct mono now)
{
	uint64_t name, wait_ms;
	struct limit_row *row;
	bool owes;

	if (rate->per_sec == 0)
		return 0;
	name = hash_sip(l->key, caller);
	row = limit_find(l, name);
	owes = row->bucket.full_at > now.ns;
	wait_ms = ca_bucket_take(&row->bucket, rate, now);
	if (wait_ms == 0 && row->name != name) {
		row->name = name;
		l->takeovers += owes;
	}
	return wait_ms;
}

uint64_t
ca_limit_get_takeovers(const struct ca_limit *l)
{
	return l->takeovers;
}
