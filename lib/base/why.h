/* why.h - the reason of a refusal, for a person.
 *
 * A checker that fails fills it once, where the cause is known: object, rule,
 * what was found ("CSR: SAN asks for spiffe://a/x, the caller is
 * spiffe://a/y"). Upper layers never repeat it; they may put a prefix before
 * it. Text from a peer goes through why_quote or "%.*s" of printable slices
 * only; why_set replaces control characters anyway. */
#ifndef BASE_WHY_H
#define BASE_WHY_H

#include "base/err.h"
#include "base/slice.h"

enum {
	WHY_MAX = 400
};

struct why {
	char text[WHY_MAX];
};

/* Sets the text (cut to fit, control and non-ASCII bytes become '?') and
 * returns `e`, so that a check can end in: return why_set(why, ERR_X, ...).
 * why may be NULL. */
enum err why_set(struct why *why, enum err e, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* Puts "prefix: " before the text that is there. Returns `e`. */
enum err why_prefix(struct why *why, enum err e, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* Control and non-ASCII bytes become '?': for what a terminal is to show. */
void why_clean(char *text);

/* The text, or the error's own text when nothing was set. */
const char *why_text(const struct why *why, enum err e);

#endif
