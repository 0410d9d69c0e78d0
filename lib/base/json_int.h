/* json_int.h - what the two readers of JSON share. */
#ifndef BASE_JSON_INT_H
#define BASE_JSON_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum {
	JSON_DEPTH_MAX = 32
};

/* Takes one step off the path: up to a dot, or what is in single quotes.
 * Returns false where quotes are not closed or not followed by a dot. */
bool json_path_step(struct slice *path, struct slice *step_out);
/* False when it has a fraction or does not fit. */
bool json_real_to_int(double real, int64_t *out);

#endif
