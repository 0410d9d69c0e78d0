/* roca.h - RSA moduli that a broken generator made (CVE-2017-15361).
 *
 * Infineon's RSALib made primes of the form k * M + (65537^a mod M), M being
 * the product of the first small primes, so that a modulus, too, is a power of
 * 65537 modulo each of those primes, and its key can be computed from it. M.
 * Nemec, M. Sys, P. Svenda, D. Klinec, V. Matyas: The Return of Coppersmith's
 * Attack (ACM CCS 2017), 2.1 and 2.3. */
#ifndef CRYPTO_ROCA_H
#define CRYPTO_ROCA_H

#include <stdbool.h>

#include "base/slice.h"

/* n: big-endian, 1984 bits or more, where M has the primes up to 701; shorter
 * moduli of that origin have fewer and are not found. One of 2^167 others looks
 * the same. Cheap: others fail at one of the first primes. */
bool roca_has_form(struct slice n);

#endif
