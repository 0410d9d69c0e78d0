/* roca.c - see roca.h. Nothing here is secret: moduli are public. */
#include "crypto/roca.h"

#include <stdint.h>

enum {
	GENERATOR = 65537,
	PRIME_MAX = 701 /* the 126th: the last one in M from 1984 bits on */
};

static bool
is_prime(uint32_t n)
{
	for (uint32_t d = 2; d * d <= n; d++) {
		if (n % d == 0)
			return false;
	}
	return true;
}

static uint32_t
residue(struct slice n, uint32_t prime)
{
	uint32_t r = 0;

	for (size_t i = 0; i < n.len; i++)
		r = (r << 8 | n.p[i]) % prime;
	return r;
}

/* Powers of a number that the prime does not divide come back to 1. */
static bool
is_power(uint32_t r, uint32_t prime)
{
	uint32_t power = 1;

	do {
		if (r == power)
			return true;
		power = power * (GENERATOR % prime) % prime;
	} while (power != 1);
	return false;
}

bool
roca_has_form(struct slice n)
{
	for (uint32_t prime = 2; prime <= PRIME_MAX; prime++) {
		if (is_prime(prime) && !is_power(residue(n, prime), prime))
			return false;
	}
	return true;
}
