/* clock.h - wall clock and monotonic time, as types that do not mix.
 *
 * struct wall is what certificates and people use: milliseconds since 1970,
 * UTC, may jump. struct mono is for timers and deadlines: nanoseconds since
 * some start, never jumps. Engines get both as arguments; only programs, ev
 * and tests read the clocks. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct wall {
	int64_t ms;
};

struct mono {
	uint64_t ns;
};

/* The clocks themselves; protocol code gets their values as arguments. */
struct wall wall_now(void);
struct mono mono_now(void);

struct wall wall_of_sec(int64_t sec);
int64_t wall_sec(struct wall t);                      /* rounded down */
struct wall wall_add_sec(struct wall t, int64_t sec); /* saturates */
bool wall_is_before(struct wall a, struct wall b);
/* a - b in milliseconds. */
int64_t wall_diff_ms(struct wall a, struct wall b);

struct mono mono_add_ms(struct mono t, uint64_t ms); /* saturates */
/* a - b in milliseconds, 0 if b is later. */
uint64_t mono_diff_ms(struct mono a, struct mono b);
bool mono_is_before(struct mono a, struct mono b);

enum {
	WALL_TEXT_MAX = 32
};
/* RFC 3339 in UTC with milliseconds: 2026-11-22T02:38:51.123Z. */
void wall_format(struct wall t, char out[WALL_TEXT_MAX]);
/* RFC 3339, UTC only, fraction optional. */
MUST_USE enum err wall_parse(struct slice text, struct wall *out);

/* Durations as operators write them: "24h", "90m", "1h30m", "500ms", "10s",
 * "90d". Milliseconds. ERR_SYNTAX, ERR_LIMIT on overflow. */
MUST_USE enum err duration_parse(struct slice text, int64_t *ms_out);
enum {
	DURATION_TEXT_MAX = 64
};
/* As Go prints them: "24h0m0s", "1m30s", "500ms". */
void duration_format(int64_t ms, char out[DURATION_TEXT_MAX]);

#endif
