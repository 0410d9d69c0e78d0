/* plan.c - see plan.h. */
#include "agent/plan.h"

enum {
	PPM = 1000000
};

static int64_t
min_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
max_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* a * ppm / 1e6 without overflow; a is not negative, ppm is 0..1e6. */
static int64_t
part_of(int64_t a, int64_t ppm)
{
	return a / PPM * ppm + a % PPM * ppm / PPM;
}

int64_t
plan_renew_ms(const struct plan_renewal *p, struct wall created,
	      struct wall expire, struct wall now, uint64_t random)
{
	int64_t life = max_of(wall_diff_ms(expire, created), 0);
	int64_t left = max_of(wall_diff_ms(expire, now), 0);
	int64_t r = p->ratio_ppm, floor, delay;

	if (p->jitter_ppm > 0)
		r += (int64_t)(random % (uint64_t)(2 * p->jitter_ppm + 1)) -
		     p->jitter_ppm;
	r = max_of(0, min_of(r, PPM));
	delay = max_of(left - part_of(life, r), 0);
	floor = min_of(p->floor_ms, left / 2);
	return max_of(delay, floor);
}

struct wall
plan_base(struct wall received, struct wall not_before, struct wall not_after,
	  int64_t asked_ms)
{
	struct wall asked = {not_after.ms - asked_ms};

	return (struct wall){
		max_of(received.ms, max_of(not_before.ms, asked.ms))};
}

/* The longest pause while so much is left of what is in force. */
static int64_t
longest_pause(const struct plan_retry *p, int64_t left_ms)
{
	if (left_ms <= 0)
		return p->max_ms;
	return min_of(p->max_ms, max_of(left_ms / 8, p->min_ms));
}

int64_t
plan_retry_ms(const struct plan_retry *p, unsigned n, int64_t left_ms,
	      uint64_t random)
{
	int64_t pause = p->min_ms;

	for (unsigned i = 1; i < n && pause < p->max_ms; i++)
		pause *= 2;
	pause = min_of(pause, longest_pause(p, left_ms));
	return pause - (int64_t)(random % (uint64_t)(pause / 2 + 1));
}

int64_t
plan_asked_retry_ms(const struct plan_retry *p, unsigned n, int64_t left_ms,
		    uint64_t asked_ms, uint64_t random)
{
	int64_t own = plan_retry_ms(p, n, left_ms, random);
	int64_t longest = longest_pause(p, left_ms);
	int64_t asked =
		asked_ms > (uint64_t)longest ? longest : (int64_t)asked_ms;

	asked += (int64_t)(random % (uint64_t)(asked / 4 + 1));
	return max_of(own, asked);
}
