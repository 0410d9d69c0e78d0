/* seen.h - who has a certificate already, as far as this process remembers:
 * without a clock. It tells a renewal by token from a first issue.
 *
 * A table of fixed size, found by a hash with a secret key. What falls out of
 * it is taken for somebody new, which only moves it ahead in the queue. */
#ifndef CA_SEEN_H
#define CA_SEEN_H

#include "base/clock.h"
#include "base/slice.h"

enum {
	CA_SEEN_ROWS = 65536 /* a megabyte, of which used pages only */
};

struct ca_seen;
/* rows: a power of two. */
struct ca_seen *ca_seen_new(size_t rows);
void ca_seen_free(struct ca_seen *s);
/* The caller was given a certificate that ends then. */
void ca_seen_add(struct ca_seen *s, struct slice caller, struct wall ends);
/* When its newest certificate ends; 1970 for one that is not known. */
struct wall ca_seen_get(const struct ca_seen *s, struct slice caller);

#endif
