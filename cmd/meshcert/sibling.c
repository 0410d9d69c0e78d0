/* sibling.c - see sibling.h. */
#include "meshcert/sibling.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/os.h"

/* see sibling.h */
enum err
sibling_find(const char *name, struct why *why, char **out)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	*out = NULL;
	if (len <= 0)
		return why_set(why, ERR_NOT_FOUND, "/proc/self/exe: %s",
			       strerror(errno));
	self[len] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL)
		*slash = '\0';
	*out = mem_printf("%s/%s", self, name);
	if (access(*out, X_OK) == 0)
		return ERR_OK;
	(void)why_set(why, ERR_NOT_FOUND,
		      "%s: %s; it belongs beside meshcert: install both", *out,
		      strerror(errno));
	mem_free(TAKE(*out));
	return ERR_NOT_FOUND;
}

static enum err
sibling_spawn(const char *const *argv, int out_fd, bool is_service,
	      struct why *why, pid_t *pid_out)
{
	const struct os_pass_fd fds[] = {{out_fd, 1}, {out_fd, 2}};
	const char *path = getenv("PATH");
	char *path_env = mem_printf("PATH=%s", path == NULL ? "" : path);
	const char *envp[] = {path_env, NULL};
	struct os_spawn s = {.argv = argv,
			     .envp = envp,
			     .fds = fds,
			     .fd_cnt = is_service ? 2 : 1,
			     .die_with_parent = true};
	char *program = NULL;
	enum err e;

	e = sibling_find(argv[0], why, &program);
	s.path = program;
	if (e == ERR_OK)
		e = os_spawn(&s, pid_out, why);
	mem_free(program);
	mem_free(path_env);
	return e;
}

/* see sibling.h */
enum err
sibling_read(const char *const *argv, struct why *why, struct buf *out)
{
	int fds[2];
	int status = 0;
	pid_t pid = -1;
	enum err e;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return why_set(why, err_from_errno(errno), "pipe: %s",
			       strerror(errno));
	e = sibling_spawn(argv, fds[1], false, why, &pid);
	(void)close(fds[1]);
	if (e == ERR_OK) {
		e = os_fd_read(fds[0], out);
		if (e != ERR_OK)
			(void)why_set(why, e, "%s: %s", argv[0], err_text(e));
	}
	(void)close(fds[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* It has said why on our standard error. */
	if (e == ERR_OK && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		e = why_set(why, ERR_CONFIG, "%s has failed", argv[0]);
	return e;
}

/* see sibling.h */
enum err
sibling_start(const char *const *argv, const char *log_path, struct why *why,
	      pid_t *pid_out)
{
	int fd =
		open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	enum err e;

	if (fd < 0)
		return why_set(why, err_from_errno(errno), "%s: %s", log_path,
			       strerror(errno));
	e = sibling_spawn(argv, fd, true, why, pid_out);
	(void)close(fd);
	return e;
}
