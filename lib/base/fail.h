/* fail.h - named failpoints: places in the code where a test makes this
 * process die, wait, or see an error. Only in builds with FAIL=1
 * (build/gcc-fail); in all others nothing of it is left, a test looks.
 *
 * MESHCERT_FAIL names a file, made by the test, that all processes of the
 * program map: a table with a row for each point that was visited, named
 * "ROLE:POINT" (what stands behind --role, else the program's name). A test
 * writes into a row what shall happen at the n-th visit from now, and reads
 * how often it was visited. Each visit is also a line of FILE.log (if that is
 * there): nanoseconds of the monotonic clock, process, row's name.
 *
 * tests/fault/libc.c adds points under the calls of the C library: "libc.sync",
 * "libc.write", ... in every library that we use. tests/support/fail.py is the
 * test's side. */
#ifndef BASE_FAIL_H
#define BASE_FAIL_H

#include <stdbool.h>

enum fail_action {
	FAIL_NONE = 0,
	FAIL_ERROR = 1, /* with an errno where that is meant */
	FAIL_KILL = 2,  /* SIGKILL to itself: never seen by the caller */
	FAIL_PAUSE = 3, /* waits until the test takes the action back: same */
	FAIL_SHORT = 4  /* less than what was asked for */
};

#ifdef FAILPOINTS
/* A point is passed. True: its caller shall behave as after an error. Each name
 * stands once in the sources, beside its call: the tests look for it there. */
bool fail_point(const char *name);

/* A point that is passed often: a place to remember its row. */
struct fail_site {
	const char *name;
	struct fail_row *row;
	bool is_quiet; /* counted, but no line in the log */
};
/* arg_out: the errno that the test wants. */
enum fail_action fail_site_pass(struct fail_site *site, int *arg_out);
/* A number that a test has set, 0 before that: the clock's offset. */
int fail_site_get(struct fail_site *site);
#else
static inline bool
fail_point(const char *name)
{
	(void)name;
	return false;
}
#endif

#endif
