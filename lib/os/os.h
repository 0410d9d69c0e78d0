/* os.h - what a program asks of the operating system: files, users, processes,
 * the service manager. No event loop here; everything is immediate. */
#ifndef OS_OS_H
#define OS_OS_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/slice.h"
#include "base/why.h"

/* -- files ------------------------------------------------------------- */

/* Whole file into out (initialised by the caller with its maximum; ERR_LIMIT
 * when larger). why names the path and the cause. A pipe is refused but below
 * /dev and /proc: nobody may stop a program by putting one there. */
MUST_USE enum err os_file_read(const char *path, struct buf *out,
			       struct why *why);
/* The same for private keys and tokens. */
MUST_USE enum err os_file_read_secret(const char *path, size_t max,
				      struct secret **out, struct why *why);
MUST_USE enum err os_fd_read(int fd, struct buf *out);
/* ERR_LIMIT: more than max bytes; ERR_BUSY: it grew meanwhile. */
MUST_USE enum err os_fd_read_secret(int fd, size_t max, struct secret **out);
/* Writes a new file beside it (mode as given), syncs, renames over it, syncs
 * the folder: readers see the old or the new one, also after a power cut. */
MUST_USE enum err os_file_write_atomic(const char *path, struct slice bytes,
				       mode_t mode, struct why *why);
/* mkdir -p; the last folder gets mode and, where uid is not (uid_t)-1, the
 * owner. An existing last folder must be a folder; its mode is corrected. */
MUST_USE enum err os_dir_make(const char *path, mode_t mode, uid_t uid,
			      gid_t gid, struct why *why);
bool os_file_exists(const char *path);
/* The folder that holds the path, by its text; owned by the caller. */
char *os_dup_parent(const char *path);
/* Opens for reading, close-on-exec. */
MUST_USE enum err os_file_open(const char *path, int *fd_out, struct why *why);

/* -- users ------------------------------------------------------------- */

struct os_user {
	uid_t uid;
	gid_t gid;
};

/* A user by name; where it does not exist, fallback_uid (0: ERR_NOT_FOUND) is
 * used as uid and gid. */
MUST_USE enum err os_user_find(const char *name, uid_t fallback_uid,
			       struct os_user *out);
/* Drops all groups, then gid, then uid for good; sets no-new-privs. Checks
 * that there is no way back. An ordinary user may "become" itself only. */
MUST_USE enum err os_user_drop(struct os_user user, struct why *why);
/* Neither this process nor any that comes of it gains rights by executing a
 * program (no-new-privs). */
MUST_USE enum err os_privs_seal(struct why *why);

/* -- processes --------------------------------------------------------- */

/* One descriptor to pass to a child under a fixed number. */
struct os_pass_fd {
	int fd;
	int as;
};

struct os_spawn {
	const char *path;             /* executable; NULL: this one again */
	const char *const *argv;      /* NULL-ended, argv[0] included */
	const char *const *envp;      /* NULL: this process's environment */
	const struct os_pass_fd *fds; /* all others but 0, 1 and 2, which
				       * stay unless they are named here, are
				       * closed in the child */
	size_t fd_cnt;
	bool drop; /* become `user` before exec */
	struct os_user user;
	bool die_with_parent; /* PR_SET_PDEATHSIG SIGKILL */
};

/* fork and exec. The program is opened before the user is dropped, so it may
 * lie where only the caller can walk to; it must be no script. Errors of the
 * child before exec come back as the result. Signals are unblocked and at their
 * defaults in the child. */
MUST_USE enum err os_spawn(const struct os_spawn *s, pid_t *pid_out,
			   struct why *why);

/* SOCK_STREAM, close-on-exec, non-blocking. */
MUST_USE enum err os_socketpair(int fds_out[2]);
/* An anonymous file of this size, close-on-exec, sealed: nobody who gets it
 * can make it shorter under a reader. Only our own user may open it again: a
 * role of another user that got it read-only cannot write to it. */
MUST_USE enum err os_memfd(const char *name, size_t size, int *fd_out);
/* Sends bytes with at most one descriptor (-1: none); receives them. The
 * socket must be a stream whose writes are whole messages below PIPE_BUF. */
MUST_USE enum err os_send_fd(int sock, struct slice bytes, int fd);
/* *fd_out is -1 or owned by the caller. *len_out 0 with ERR_CLOSED at the end;
 * ERR_BUSY when nothing is there; ERR_PROTOCOL when more than one came. */
MUST_USE enum err os_recv_fd(int sock, uint8_t *p, size_t cap, size_t *len_out,
			     int *fd_out);
/* Closes every descriptor from `first` on. */
void os_close_from(int first);
/* How many descriptors this process may have, after raising that as far as the
 * system lets it: the usual 1024 are from the time of select(2). */
size_t os_files_raise(void);
unsigned os_cpu_count(void);
/* Lets so many freed bytes stay with the process: for one whose large buffers
 * come and go many times a second. */
void os_mem_keep(size_t len);
/* Gives freed memory back (malloc_trim). */
void os_mem_trim(void);

/* -- service manager (sd_notify protocol; nothing to do without it) ------ */

void os_notify(const char *state); /* "READY=1", "STOPPING=1", ... */
/* Listening sockets passed by systemd (LISTEN_FDS): count, first is 3. */
int os_listen_fds(void);

#endif
