/* plan.h - when to renew and when to try again. Arithmetic only: clocks and
 * random numbers come in as arguments. */
#ifndef AGENT_PLAN_H
#define AGENT_PLAN_H

#include "base/clock.h"

struct plan_renewal {
	int64_t ratio_ppm;  /* part of the life that is left at renewal */
	int64_t jitter_ppm; /* at most so much more or less */
	int64_t floor_ms;   /* never sooner, or half of what is left */
};

/* Milliseconds from now to the renewal, as Istio's agent counts: r = ratio and
 * a jitter of -jitter to +jitter, cut to 0..1; the renewal is at
 * expire - r * (expire - created). created is the time of receipt, not
 * notBefore. random: uniform in all 64 bits. */
int64_t plan_renew_ms(const struct plan_renewal *p, struct wall created,
		      struct wall expire, struct wall now, uint64_t random);

/* The time to count a renewal from: that of receipt, or later where the clock
 * here is late. Counted by a late clock, a certificate would seem to live for
 * longer than it does, and be over for its peers before its renewal. A clock is
 * late when the certificate has not begun, or when it seems to live for longer
 * than asked_ms, the life that was asked for. (A CA that gives more than that
 * is asked again as if it had not.) */
struct wall plan_base(struct wall received, struct wall not_before,
		      struct wall not_after, int64_t asked_ms);

struct plan_retry {
	int64_t min_ms;
	int64_t max_ms;
};

/* Milliseconds to wait after the n-th failure in a row (1 is the first): min,
 * doubled each time up to max, of which a random part of up to half is taken
 * off. left_ms: what is left of the certificate in force; while there is one,
 * the pause is at most an eighth of it (but never below min), so that its last
 * minutes are not slept away. 0: none. */
int64_t plan_retry_ms(const struct plan_retry *p, unsigned n, int64_t left_ms,
		      uint64_t random);

/* The same where the CA said to come again after asked_ms (0: it did not): the
 * later of the two, and up to a quarter of asked_ms more by chance, so that
 * those who were told the same do not come together. No CA's wish is longer
 * than max, nor than an eighth of what is left. */
int64_t plan_asked_retry_ms(const struct plan_retry *p, unsigned n,
			    int64_t left_ms, uint64_t asked_ms,
			    uint64_t random);

#endif
