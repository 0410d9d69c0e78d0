/* rand.h - random bytes from the kernel. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Fit for keys and tokens. Aborts where the kernel has none. */
void rand_bytes(uint8_t *out, size_t len);

#endif
