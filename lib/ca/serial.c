/* serial.c - see serial.h. */
#include "ca/serial.h"

#include <string.h>

#include "base/mem.h"
#include "base/rand.h"

enum {
	SERIAL_PREFIX_LEN = 6,
	SERIAL_RANDOM_LEN = STORE_SERIAL_LEN - SERIAL_PREFIX_LEN,
	SERIAL_BATCH = 64 /* one system call for so many */
};

/* 2004: the first octet is never 0, so that DER keeps all 19. */
static const uint64_t serial_prefix_min = UINT64_C(1) << 40;
/* A clock past the year 4199 is broken, and not followed: it would use the
 * numbers up. */
static const uint64_t serial_clock_max = UINT64_C(1) << 46;
static const uint64_t serial_prefix_max = (UINT64_C(1) << 47) - 1;

struct ca_serial {
	uint64_t prefix; /* of the newest serial */
	size_t unused;   /* random bytes that are left, at the end */
	uint8_t random[SERIAL_BATCH * SERIAL_RANDOM_LEN];
};

struct ca_serial *
ca_serial_new(const uint8_t last[STORE_SERIAL_LEN])
{
	struct ca_serial *s = MEM_NEW(struct ca_serial);

	for (size_t i = 0; i < SERIAL_PREFIX_LEN; i++)
		s->prefix = s->prefix << 8 | last[i];
	if (s->prefix < serial_prefix_min)
		s->prefix = serial_prefix_min;
	return s;
}

void
ca_serial_free(struct ca_serial *s)
{
	mem_free(s);
}

void
ca_serial_next(struct ca_serial *s, struct wall now,
	       uint8_t out[STORE_SERIAL_LEN])
{
	uint64_t ms = now.ms < 0 ? 0 : (uint64_t)now.ms;

	must(s->prefix < serial_prefix_max);
	s->prefix++;
	if (ms > s->prefix && ms < serial_clock_max)
		s->prefix = ms;
	if (s->unused == 0) {
		rand_bytes(s->random, sizeof(s->random));
		s->unused = sizeof(s->random);
	}
	for (unsigned i = 0; i < SERIAL_PREFIX_LEN; i++)
		out[i] = (uint8_t)(s->prefix >>
				   (8 * (SERIAL_PREFIX_LEN - 1 - i)));
	memcpy(out + SERIAL_PREFIX_LEN,
	       s->random + sizeof(s->random) - s->unused, SERIAL_RANDOM_LEN);
	s->unused -= SERIAL_RANDOM_LEN;
}
