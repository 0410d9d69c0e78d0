/* taken.c - meshcert-ca with roles that somebody took over.
 *
 * The real supervisor starts it as it starts any role. A role that TAKEN_ROLES
 * names ("front.0 fetch.0") does nothing that ours does: it hands all that it
 * was given, its control channel, to whoever listens on TAKEN_SOCKET (a test),
 * and stays alive. Everything else is the program as it is. Only tests have
 * this file: a normal build has no such hook. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/control.h"
#include "os/os.h"

/* cmd/ca/main.c, under another name. */
int ca_main(int argc, char **argv);

static const char *
argument_of(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	}
	return "";
}

static int
hand_over(const char *name)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char text[96];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s",
		       getenv("TAKEN_SOCKET"));
	(void)snprintf(text, sizeof(text), "%s %ld %ld", name, (long)getpid(),
		       (long)geteuid());
	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 ||
	    os_send_fd(fd, slice_of_str(text), CONTROL_FD) != ERR_OK) {
		perror(name);
		return 1;
	}
	for (;;)
		(void)pause();
}

int
main(int argc, char **argv)
{
	const char *taken = getenv("TAKEN_ROLES");
	char name[64];

	(void)snprintf(name, sizeof(name), "%s.%s",
		       argument_of(argc, argv, "--role"),
		       argument_of(argc, argv, "--index"));
	if (taken != NULL && strlen(name) > 1 && strstr(taken, name) != NULL)
		return hand_over(name);
	return ca_main(argc, argv);
}
