/* rand.h - random bytes from the kernel; aborts where there are none. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(uint8_t *out, size_t len);
/* Uniform in [0, below); below must not be 0. */
uint64_t rand_below(uint64_t below);

#endif
