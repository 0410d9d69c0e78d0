/* supervisor_upgrade.c - SIGUSR2: the program that stands at our path now takes
 * over. It is asked first whether it takes the configuration; then the roles
 * end, the listening sockets stay open, and the new program runs in this
 * process, with the sockets handed over as systemd does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "ca/supervisor_int.h"
#include "os/os.h"

enum {
	ARGS_MAX = 160, /* twice the --set options that main takes, and more */
	PASS_FD = 100
};

/* The file that stands at our path now. */
static bool
supervisor_find_self(char *self, size_t cap)
{
	ssize_t len = readlink("/proc/self/exe", self, cap - 1);

	if (len <= 0)
		return false;
	self[len] = '\0';
	/* A replaced file is shown with this behind its name. */
	if (slice_has_suffix(slice_of_str(self), " (deleted)"))
		self[len - 10] = '\0';
	return true;
}

/* The arguments that we were started with. */
static size_t
supervisor_build_args(const struct supervisor *s, const char *args[ARGS_MAX])
{
	size_t cnt = 0;

	args[cnt++] = CA_PROGRAM;
	if (s->args->config != NULL) {
		args[cnt++] = "--config";
		args[cnt++] = s->args->config;
	}
	for (const char *const *set = s->args->set; *set != NULL; set++) {
		args[cnt++] = "--set";
		args[cnt++] = *set;
	}
	args[cnt] = NULL;
	return cnt;
}

static void
supervisor_on_checked(void *arg, pid_t pid, int exit_code, int term_signal)
{
	struct supervisor *s = arg;

	(void)pid;
	s->check = NULL;
	if (exit_code != 0 || term_signal != 0) {
		log_error("supervisor.upgrade",
			  "the program at our path does not take the "
			  "configuration (exit %d, signal %d): this one goes "
			  "on",
			  exit_code, term_signal);
		return;
	}
	s->upgrade = true;
	supervisor_stop(s);
}

/* A program that cannot even read its configuration must not replace one that
 * serves: it is asked first. */
void
supervisor_start_upgrade(struct supervisor *s)
{
	const char *args[ARGS_MAX];
	size_t cnt = supervisor_build_args(s, args);
	char self[4096];
	struct os_spawn spawn = {.path = self, .argv = args};
	struct why why = {0};
	pid_t pid = 0;
	enum err ret = ERR_NOT_FOUND;

	if (s->check != NULL)
		return;
	args[cnt++] = "--check";
	args[cnt] = NULL;
	if (supervisor_find_self(self, sizeof(self)))
		ret = os_spawn(&spawn, &pid, &why);
	if (ret == ERR_OK)
		ret = ev_child_watch(s->loop, pid, supervisor_on_checked, s,
				     &s->check);
	if (ret != ERR_OK)
		log_error("supervisor.upgrade", "%s: this program goes on",
			  why_text(&why, ret));
}

/* Lays the sockets out as systemd does: from 3 on, with their names. */
static bool
supervisor_pass_sockets(const struct supervisor *s)
{
	char names[64] = "";
	char cnt[16];
	char pid[16];
	int n = 0;

	for (int i = 0; i < LISTEN_CNT; i++) {
		if (s->listen[i] < 0)
			continue;
		/* First out of the way of those that follow. */
		if (dup2(s->listen[i], PASS_FD + n) < 0)
			return false;
		(void)snprintf(names + strlen(names),
			       sizeof(names) - strlen(names), "%s%s",
			       n == 0 ? "" : ":",
			       supervisor_listen_names[i] + 7);
		n++;
	}
	for (int i = 0; i < n; i++) {
		if (dup2(PASS_FD + i, 3 + i) < 0)
			return false;
	}
	os_close_from(3 + n);
	(void)snprintf(cnt, sizeof(cnt), "%d", n);
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	return setenv("LISTEN_FDS", cnt, 1) == 0 &&
	       setenv("LISTEN_PID", pid, 1) == 0 &&
	       setenv("LISTEN_FDNAMES", names, 1) == 0;
}

/* The same process id, the same sockets, the program that now stands at our
 * path. */
int
supervisor_exec(struct supervisor *s)
{
	const char *args[ARGS_MAX];
	char self[4096];

	if (!supervisor_find_self(self, sizeof(self)) ||
	    !supervisor_pass_sockets(s))
		return 1;
	supervisor_build_args(s, args);
	(void)execv(self, (char *const *)(uintptr_t)args);
	log_error("supervisor.upgrade", "%s could not be started", self);
	return 1;
}
