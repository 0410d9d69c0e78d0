/* fail.c - see fail.h. Only in builds with FAIL=1. It allocates nothing and
 * calls the kernel directly: tests/fault/libc.c stands on it. */
#include "base/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

enum {
	FAIL_ROWS = 256,
	FAIL_NAME_MAX = 72,
	FAIL_LOG_FD_MIN = 64,
	FAIL_POLL_NS = 1000000
};

enum fail_row_state {
	FAIL_ROW_FREE = 0,
	FAIL_ROW_TAKEN, /* its name is being written */
	FAIL_ROW_READY
};

/* Shared with tests/support/fail.py: 96 bytes. */
struct fail_row {
	char name[FAIL_NAME_MAX];
	_Atomic uint32_t state;
	_Atomic uint32_t visits;
	_Atomic uint32_t action;
	_Atomic int32_t left; /* visits until it happens; 0: at each */
	_Atomic int32_t arg;
	_Atomic uint32_t fired;
};

_Static_assert(sizeof(struct fail_row) == 96, "as in tests/support/fail.py");

/* Mutable, as the table is the process's one door to the test. */
static struct {
	struct fail_row *rows; /* NULL: no test is there */
	int log_fd;
	char role[32];
} fail_state = {.log_fd = -1};

static void
fail_set_role(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *role = argc == 0       ? "?"
			   : slash == NULL ? argv[0]
					   : slash + 1;

	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--role") == 0)
			role = argv[i + 1];
	}
	(void)snprintf(fail_state.role, sizeof(fail_state.role), "%s", role);
}

/* Before main, so before any sandbox. */
__attribute__((constructor)) static void
fail_open(int argc, char **argv, char **envp)
{
	const char *path = getenv("MESHCERT_FAIL");
	char log_path[4096];
	void *map;
	int fd;

	(void)envp;
	fail_set_role(argc, argv);
	if (path == NULL)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	must(fd >= 0);
	map = mmap(NULL, FAIL_ROWS * sizeof(struct fail_row),
		   PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(map != MAP_FAILED);
	(void)close(fd);
	(void)snprintf(log_path, sizeof(log_path), "%s.log", path);
	fd = open(log_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd >= 0) {
		/* Out of the way of those that are passed on by number. */
		fail_state.log_fd = fcntl(fd, F_DUPFD_CLOEXEC, FAIL_LOG_FD_MIN);
		(void)close(fd);
	}
	fail_state.rows = map;
}

static void
fail_log(const char *name)
{
	char line[160];
	struct timespec t;
	int len;

	if (fail_state.log_fd < 0)
		return;
	(void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	len = snprintf(line, sizeof(line), "%lld %d %s\n",
		       (long long)t.tv_sec * 1000000000 + t.tv_nsec,
		       (int)getpid(), name);
	(void)syscall(SYS_write, fail_state.log_fd, line, (size_t)len);
}

static struct fail_row *
fail_find(const char *name)
{
	char full[FAIL_NAME_MAX];

	if (fail_state.rows == NULL)
		return NULL;
	(void)snprintf(full, sizeof(full), "%s:%s", fail_state.role, name);
	for (size_t i = 0; i < FAIL_ROWS; i++) {
		struct fail_row *row = &fail_state.rows[i];
		uint32_t is_free = FAIL_ROW_FREE;

		if (atomic_compare_exchange_strong(&row->state, &is_free,
						   FAIL_ROW_TAKEN)) {
			memcpy(row->name, full, sizeof(full));
			atomic_store(&row->state, FAIL_ROW_READY);
		}
		/* Another process is just making it, perhaps this very one. */
		while (atomic_load(&row->state) == FAIL_ROW_TAKEN)
			continue;
		if (strcmp(row->name, full) == 0)
			return row;
	}
	must(!"the table of failpoints is full");
	return NULL;
}

static void
fail_pause(struct fail_row *row)
{
	const struct timespec moment = {.tv_nsec = FAIL_POLL_NS};

	while (atomic_load(&row->action) == FAIL_PAUSE)
		(void)syscall(SYS_nanosleep, &moment, NULL);
}

/* Whether this visit is the one; if not for each, the row is spent then. */
static bool
fail_is_due(struct fail_row *row)
{
	int32_t left = atomic_load(&row->left);

	if (left == 0)
		return true;
	do {
		if (left <= 0)
			return false; /* another process has just had it */
	} while (!atomic_compare_exchange_weak(
		&row->left, &left, left == 1 ? INT32_MIN : left - 1));
	return left == 1;
}

enum fail_action
fail_site_pass(struct fail_site *site, int *arg_out)
{
	struct fail_row *row;
	enum fail_action action;

	*arg_out = 0;
	if (fail_state.rows == NULL)
		return FAIL_NONE;
	if (site->row == NULL)
		site->row = fail_find(site->name);
	row = site->row;
	if (!site->is_quiet)
		fail_log(row->name);
	(void)atomic_fetch_add(&row->visits, 1);
	action = (enum fail_action)atomic_load(&row->action);
	if (action == FAIL_NONE || !fail_is_due(row))
		return FAIL_NONE;
	*arg_out = atomic_load(&row->arg);
	(void)atomic_fetch_add(&row->fired, 1);
	if (site->is_quiet)
		fail_log(row->name);
	if (action == FAIL_KILL)
		(void)raise(SIGKILL);
	if (action == FAIL_PAUSE)
		fail_pause(row);
	return action == FAIL_ERROR || action == FAIL_SHORT ? action
							    : FAIL_NONE;
}

int
fail_site_get(struct fail_site *site)
{
	if (fail_state.rows == NULL)
		return 0;
	if (site->row == NULL)
		site->row = fail_find(site->name);
	return atomic_load(&site->row->arg);
}

bool
fail_point(const char *name)
{
	struct fail_site site = {.name = name};
	int arg;

	return fail_site_pass(&site, &arg) != FAIL_NONE;
}
