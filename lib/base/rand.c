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

uint64_t
rand_below(uint64_t below)
{
	uint64_t limit;
	uint64_t v;

	must(below > 0);
	/* Values past the last full multiple would favour small results. */
	limit = UINT64_MAX - UINT64_MAX % below;
	do {
		rand_bytes((uint8_t *)&v, sizeof(v));
	} while (v >= limit);
	return v % below;
}
