/* rand.c - see rand.h. */
#include "base/rand.h"

#include <errno.h>
#include <sys/random.h>

#include "base/err.h"

void
rand_bytes(uint8_t *out, size_t len)
{
	while (len > 0) {
		ssize_t got = getrandom(out, len, 0);

		if (got < 0) {
			must(errno == EINTR);
			continue;
		}
		out += got;
		len -= (size_t)got;
	}
}
