/* os_spawn.c - new processes. The child reports what fails before exec through
 * a pipe that exec closes: nothing read means that the program runs.
 *
 * Descriptors: the numbers that the child wants may be in use by others that
 * it wants too. So all go up first, above every wanted number, and then down
 * to their places. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

/* In the order in which the child does it. */
enum os_step {
	OS_STEP_FDS = 0,
	OS_STEP_USER,
	OS_STEP_PARENT,
	OS_STEP_EXEC
};

static const char *const os_step_text[] = {
	[OS_STEP_FDS] = "cannot pass its descriptors",
	[OS_STEP_USER] = "cannot become its user",
	[OS_STEP_PARENT] = "its parent died",
	[OS_STEP_EXEC] = "cannot be executed",
};

struct os_report {
	enum os_step step;
	int errnum;
};

/* What the child needs, made before the fork: it allocates nothing. */
struct os_child {
	const struct os_spawn *s;
	const char *path;
	int *high; /* fd_cnt numbers */
	int last;  /* highest number that it wants */
	int report_fd;
	int exe_fd; /* the program, opened with the parent's rights */
	pid_t parent;
};

/* exec keeps ignored signals ignored and blocked ones blocked. And a handler of
 * the parent must not run in the child: it may write to pipes that they share,
 * so that all are blocked from before the fork to here. */
static void
os_reset_signals(void)
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &sa, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool
os_is_wanted(const struct os_spawn *s, int fd)
{
	for (size_t i = 0; i < s->fd_cnt; i++) {
		if (s->fds[i].as == fd)
			return true;
	}
	return false;
}

static int
os_place_fds(struct os_child *c)
{
	const struct os_spawn *s = c->s;
	int above = c->last + 3;

	for (size_t i = 0; i < s->fd_cnt; i++) {
		c->high[i] = fcntl(s->fds[i].fd, F_DUPFD_CLOEXEC, above);
		if (c->high[i] < 0)
			return -1;
	}
	c->report_fd = fcntl(c->report_fd, F_DUPFD_CLOEXEC, above);
	c->exe_fd = fcntl(c->exe_fd, F_DUPFD_CLOEXEC, above);
	if (c->report_fd < 0 || c->exe_fd < 0)
		return -1;
	for (size_t i = 0; i < s->fd_cnt; i++) {
		if (dup2(c->high[i], s->fds[i].as) < 0)
			return -1;
	}
	/* Pipe and program go right above, so that all behind can be closed. */
	if (dup3(c->report_fd, c->last + 1, O_CLOEXEC) < 0 ||
	    dup3(c->exe_fd, c->last + 2, O_CLOEXEC) < 0)
		return -1;
	c->report_fd = c->last + 1;
	c->exe_fd = c->last + 2;
	os_close_from(c->last + 3);
	for (int fd = STDERR_FILENO + 1; fd <= c->last; fd++) {
		if (!os_is_wanted(s, fd))
			(void)close(fd);
	}
	return 0;
}

static int
os_become_user(const struct os_spawn *s)
{
	enum err ret;

	if (!s->drop)
		return 0;
	errno = 0;
	ret = os_user_drop(s->user, NULL);
	if (ret != ERR_OK && errno == 0)
		errno = EINVAL;
	return ret == ERR_OK ? 0 : -1;
}

static int
os_bind_to_parent(const struct os_child *c)
{
	if (!c->s->die_with_parent)
		return 0;
	/* A change of user clears it: hence after that. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return -1;
	if (getppid() != c->parent) {
		errno = ESRCH;
		return -1;
	}
	return 0;
}

/* execve takes pointers to non-const for reasons of history; it changes
 * nothing behind them. */
static char *const *
os_unconst(const char *const *list)
{
	union {
		const char *const *in;
		char *const *out;
	} u = {.in = list};

	return u.out;
}

NORETURN static void
os_run_child(struct os_child *c)
{
	struct os_report report = {.step = OS_STEP_FDS};

	os_reset_signals();
	if (os_place_fds(c) != 0)
		goto out;
	report.step = OS_STEP_USER;
	if (os_become_user(c->s) != 0)
		goto out;
	report.step = OS_STEP_PARENT;
	if (os_bind_to_parent(c) != 0)
		goto out;
	report.step = OS_STEP_EXEC;
	/* By descriptor: the new user may not be able to walk to the path. */
	(void)execveat(c->exe_fd, "", os_unconst(c->s->argv),
		       c->s->envp == NULL ? environ : os_unconst(c->s->envp),
		       AT_EMPTY_PATH);
out:
	report.errnum = errno;
	if (write(c->report_fd, &report, sizeof(report)) < 0)
		_exit(126);
	_exit(127);
}

/* Waits for exec or for a report. */
static enum err
os_read_report(const struct os_child *c, int fd, pid_t pid, struct why *why)
{
	struct os_report report;
	ssize_t got;

	do {
		got = read(fd, &report, sizeof(report));
	} while (got < 0 && errno == EINTR);
	if (got == 0)
		return ERR_OK;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	if (got != (ssize_t)sizeof(report))
		return why_set(why, ERR_IO, "%s: did not start", c->path);
	return why_set(why, err_from_errno(report.errnum), "%s: %s: %s",
		       c->path, os_step_text[report.step],
		       strerror(report.errnum));
}

static enum err
os_fork(struct os_child *c, int report_fds[2], pid_t *pid_out, struct why *why)
{
	sigset_t all;
	sigset_t before;
	pid_t pid;
	enum err ret;

	c->parent = getpid();
	c->report_fd = report_fds[1];
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		os_run_child(c);
	ret = err_from_errno(pid < 0 ? errno : 0);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)close(report_fds[1]);
	report_fds[1] = -1;
	if (pid < 0)
		return why_set(why, ret, "%s: cannot fork", c->path);
	ret = os_read_report(c, report_fds[0], pid, why);
	if (ret == ERR_OK)
		*pid_out = pid;
	return ret;
}

enum err
os_spawn(const struct os_spawn *s, pid_t *pid_out, struct why *why)
{
	struct os_child c = {.s = s, .last = STDERR_FILENO, .exe_fd = -1};
	int report_fds[2];
	enum err ret;

	*pid_out = -1;
	c.path = s->path == NULL ? "/proc/self/exe" : s->path;
	for (size_t i = 0; i < s->fd_cnt; i++) {
		must(s->fds[i].as >= 0);
		if (s->fds[i].as > c.last)
			c.last = s->fds[i].as;
	}
	c.exe_fd = open(c.path, O_PATH | O_CLOEXEC);
	if (c.exe_fd < 0)
		return why_set(why, err_from_errno(errno), "%s: %s: %s", c.path,
			       os_step_text[OS_STEP_EXEC], strerror(errno));
	if (pipe2(report_fds, O_CLOEXEC) != 0) {
		(void)close(c.exe_fd);
		return why_set(why, err_from_errno(errno),
			       "%s: cannot make a pipe: %s", c.path,
			       strerror(errno));
	}
	c.high = MEM_NEW_ARRAY(int, s->fd_cnt);
	ret = os_fork(&c, report_fds, pid_out, why);
	mem_free(c.high);
	(void)close(report_fds[0]);
	(void)close(c.exe_fd);
	return ret;
}
