/* os_notify.c - the service manager's protocols, sd_notify(3) and
 * sd_listen_fds(3): two environment variables each, so that libsystemd is not
 * needed. */
#include "os/os.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	OS_LISTEN_FIRST = 3,
	OS_LISTEN_MAX = 256
};

void
os_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len;
	int fd;

	if (path == NULL)
		return;
	len = strlen(path);
	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	/* Who does not listen misses it: nothing of ours depends on it. */
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		     (const struct sockaddr *)&to,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	(void)close(fd);
}

int
os_listen_fds(void)
{
	uint64_t pid;
	uint64_t cnt;

	if (slice_parse_u64(slice_of_str(getenv("LISTEN_PID")), &pid) !=
		    ERR_OK ||
	    slice_parse_u64(slice_of_str(getenv("LISTEN_FDS")), &cnt) != ERR_OK)
		return 0;
	/* The variables are inherited, the descriptors are not. */
	if (pid != (uint64_t)getpid() || cnt > OS_LISTEN_MAX)
		return 0;
	for (int i = 0; i < (int)cnt; i++)
		(void)fcntl(OS_LISTEN_FIRST + i, F_SETFD, FD_CLOEXEC);
	return (int)cnt;
}
