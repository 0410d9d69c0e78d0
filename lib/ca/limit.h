/* limit.h - how many requests callers may make: engines without a clock.
 *
 * Each caller has a bucket of `burst` requests that fills again with `per_sec`.
 * A bucket is one number: the time at which it will be full ("generic cell
 * rate algorithm"); a request moves it on by the time of one, and is refused
 * where it would lie further ahead than a whole bucket takes to fill.
 *
 * The table of callers has a fixed size: rows in sets of eight, found by a hash
 * with a secret key, so that nobody can choose whose set they share. A caller
 * without a row takes over the one of its set that is nearest to full, together
 * with what that one owes. So nobody, with however many names, gets anybody's
 * bucket filled: who comes back finds at least the debt that it left. In
 * return a newcomer may inherit a little of it; it must be much for that to be
 * felt, and needs eight callers of one set near their limit. */
#ifndef CA_LIMIT_H
#define CA_LIMIT_H

#include "base/clock.h"
#include "base/slice.h"

struct ca_rate {
	uint64_t per_sec; /* 0: no limit; at most 1e6 */
	uint64_t burst;   /* at least 1; at most 1e9 */
};

/* -- one bucket: zeroed, it is full. */
struct ca_bucket {
	uint64_t full_at; /* ns, monotonic */
};
/* 0: taken. Else nothing was, and so many milliseconds (rounded up) must pass
 * before one can be. */
uint64_t ca_bucket_take(struct ca_bucket *b, const struct ca_rate *rate,
			struct mono now);

/* -- many callers. */
struct ca_limit;
enum {
	CA_LIMIT_ROWS = 32768 /* half a megabyte, of which used pages only */
};
/* rows: a power of two, at least 8. */
struct ca_limit *ca_limit_new(size_t rows);
void ca_limit_free(struct ca_limit *l);
/* As ca_bucket_take. caller: any bytes that name it. The rate may change from
 * call to call. */
uint64_t ca_limit_take(struct ca_limit *l, struct slice caller,
		       const struct ca_rate *rate, struct mono now);
/* Callers whose row was taken over while they owed something. */
uint64_t ca_limit_get_takeovers(const struct ca_limit *l);

#endif
