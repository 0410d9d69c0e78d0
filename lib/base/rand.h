/* rand.h - random bytes from the kernel; aborts where there are none. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(uint8_t *out, size_t len);

#endif
