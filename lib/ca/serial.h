/* serial.h - serial numbers: 6 bytes that only grow, then 13 random ones.
 *
 * The first bytes are milliseconds since 1970, at least one more than those of
 * the serial before, whatever the clock does: so rows of the store are added
 * at its end, and no serial comes twice. They show the order of issue, and
 * about when; 104 random bits cannot be guessed (RFC 5280 4.1.2.2, CA/B 7.1
 * want 64). The top bit is 0: a positive number of 19 octets. */
#ifndef CA_SERIAL_H
#define CA_SERIAL_H

#include "base/clock.h"
#include "store/store.h"

struct ca_serial;
/* last: the largest serial that was ever used (store_max_serial), zeros when
 * there is none. */
struct ca_serial *ca_serial_new(const uint8_t last[STORE_SERIAL_LEN]);
void ca_serial_free(struct ca_serial *s);
/* The next serial; greater than every one before it. */
void ca_serial_next(struct ca_serial *s, struct wall now,
		    uint8_t out[STORE_SERIAL_LEN]);

#endif
