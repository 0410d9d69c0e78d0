/* libc.c - failpoints under the C library's calls, in builds with FAIL=1 only.
 *
 * These definitions stand in the program itself, so that the dynamic linker
 * prefers them for every library of the process, too: SQLite's syncs, libuv's
 * writes, the memory of AWS-LC. Each does what the C library does, by the
 * kernel's own call, unless a test wants it otherwise.
 *
 *   libc.alloc   libc.open    libc.read   libc.write   libc.sync
 *   libc.rename  libc.resize  libc.recv   libc.send    libc.accept
 *   libc.watch (a descriptor that epoll shall watch)
 *
 * libc.clock: its number is added, in seconds, to the wall clock. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/fail.h"

/* The C library's own, under names that it keeps for this. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

static struct fail_site site_alloc = {.name = "libc.alloc", .is_quiet = true};
static struct fail_site site_open = {.name = "libc.open", .is_quiet = true};
static struct fail_site site_read = {.name = "libc.read", .is_quiet = true};
static struct fail_site site_write = {.name = "libc.write", .is_quiet = true};
static struct fail_site site_recv = {.name = "libc.recv", .is_quiet = true};
static struct fail_site site_send = {.name = "libc.send", .is_quiet = true};
static struct fail_site site_accept = {.name = "libc.accept", .is_quiet = true};
static struct fail_site site_watch = {.name = "libc.watch", .is_quiet = true};
static struct fail_site site_sync = {.name = "libc.sync"};
static struct fail_site site_rename = {.name = "libc.rename"};
static struct fail_site site_resize = {.name = "libc.resize"};
static struct fail_site site_clock = {.name = "libc.clock"};

/* True: fails, with errno as the test wants it. */
static bool
libc_fails(struct fail_site *site)
{
	int cause;

	if (fail_site_pass(site, &cause) != FAIL_ERROR)
		return false;
	errno = cause != 0 ? cause : EIO;
	return true;
}

/* The same for calls with a length, which may become shorter. */
static bool
libc_fails_len(struct fail_site *site, size_t *len)
{
	int cause;
	enum fail_action action = fail_site_pass(site, &cause);

	if (action == FAIL_SHORT && *len > 1)
		*len /= 2;
	if (action != FAIL_ERROR)
		return false;
	errno = cause != 0 ? cause : EIO;
	return true;
}

/* ---- memory ------------------------------------------------------------ */

static bool
libc_no_memory(void)
{
	int cause;

	if (fail_site_pass(&site_alloc, &cause) != FAIL_ERROR)
		return false;
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return libc_no_memory() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return libc_no_memory() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *p, size_t size)
{
	return libc_no_memory() ? NULL : __libc_realloc(p, size);
}

/* ---- files ------------------------------------------------------------- */

static int
libc_open(int dir, const char *path, int flags, mode_t mode)
{
	if (libc_fails(&site_open))
		return -1;
	return (int)syscall(SYS_openat, dir, path, flags, mode);
}

/* The mode stands behind flags that may make a file. */
#define LIBC_OPEN(dir, path, flags)                           \
	__extension__({                                       \
		va_list args_;                                \
		mode_t mode_ = 0;                             \
		va_start(args_, flags);                       \
		if (((flags) & (O_CREAT | __O_TMPFILE)) != 0) \
			mode_ = (mode_t)va_arg(args_, int);   \
		va_end(args_);                                \
		libc_open((dir), (path), (flags), mode_);     \
	})

int
open(const char *path, int flags, ...)
{
	return LIBC_OPEN(AT_FDCWD, path, flags);
}

int
open64(const char *path, int flags, ...)
{
	return LIBC_OPEN(AT_FDCWD, path, flags);
}

ssize_t
read(int fd, void *p, size_t len)
{
	if (libc_fails_len(&site_read, &len))
		return -1;
	return syscall(SYS_read, fd, p, len);
}

ssize_t
pread64(int fd, void *p, size_t len, off64_t at)
{
	if (libc_fails_len(&site_read, &len))
		return -1;
	return syscall(SYS_pread64, fd, p, len, at);
}

ssize_t
write(int fd, const void *p, size_t len)
{
	if (libc_fails_len(&site_write, &len))
		return -1;
	return syscall(SYS_write, fd, p, len);
}

ssize_t
pwrite64(int fd, const void *p, size_t len, off64_t at)
{
	if (libc_fails_len(&site_write, &len))
		return -1;
	return syscall(SYS_pwrite64, fd, p, len, at);
}

/* A short one takes half of its first part. */
static ssize_t
libc_vector(long call, struct fail_site *site, int fd, const struct iovec *iov,
	    int count)
{
	struct iovec half = iov[0];

	if (libc_fails_len(site, &half.iov_len))
		return -1;
	if (half.iov_len != iov[0].iov_len)
		return syscall(call, fd, &half, 1);
	return syscall(call, fd, iov, count);
}

ssize_t
readv(int fd, const struct iovec *iov, int count)
{
	return libc_vector(SYS_readv, &site_read, fd, iov, count);
}

ssize_t
writev(int fd, const struct iovec *iov, int count)
{
	return libc_vector(SYS_writev, &site_write, fd, iov, count);
}

int
fsync(int fd)
{
	return libc_fails(&site_sync) ? -1 : (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	return libc_fails(&site_sync) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int
rename(const char *from, const char *to)
{
	if (libc_fails(&site_rename))
		return -1;
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
ftruncate64(int fd, off64_t len)
{
	return libc_fails(&site_resize) ? -1
					: (int)syscall(SYS_ftruncate, fd, len);
}

int
ftruncate(int fd, off_t len)
{
	return ftruncate64(fd, len);
}

/* ---- sockets ----------------------------------------------------------- */

ssize_t
recv(int fd, void *p, size_t len, int flags)
{
	if (libc_fails_len(&site_recv, &len))
		return -1;
	return syscall(SYS_recvfrom, fd, p, len, flags, NULL, NULL);
}

ssize_t
send(int fd, const void *p, size_t len, int flags)
{
	if (libc_fails_len(&site_send, &len))
		return -1;
	return syscall(SYS_sendto, fd, p, len, flags, NULL, 0);
}

/* A copy of the message with half of its first part, where that is wanted. */
static ssize_t
libc_message(long call, struct fail_site *site, int fd, struct msghdr *msg,
	     int flags)
{
	struct msghdr less = *msg;
	struct iovec half;
	ssize_t n;

	if (msg->msg_iovlen == 0)
		return syscall(call, fd, msg, flags);
	half = msg->msg_iov[0];
	if (libc_fails_len(site, &half.iov_len))
		return -1;
	if (half.iov_len == msg->msg_iov[0].iov_len)
		return syscall(call, fd, msg, flags);
	less.msg_iov = &half;
	less.msg_iovlen = 1;
	n = syscall(call, fd, &less, flags);
	msg->msg_controllen = less.msg_controllen;
	msg->msg_flags = less.msg_flags;
	return n;
}

ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	return libc_message(SYS_recvmsg, &site_recv, fd, msg, flags);
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct msghdr copy = *msg;

	return libc_message(SYS_sendmsg, &site_send, fd, &copy, flags);
}

int
accept4(int fd, __SOCKADDR_ARG addr, socklen_t *restrict len, int flags)
{
	if (libc_fails(&site_accept))
		return -1;
	return (int)syscall(SYS_accept4, fd, addr.__sockaddr__, len, flags);
}

int
epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && libc_fails(&site_watch))
		return -1;
	return (int)syscall(SYS_epoll_ctl, set, op, fd, event);
}

/* ---- the wall clock ---------------------------------------------------- */

int
clock_gettime(clockid_t which, struct timespec *out)
{
	int r = (int)syscall(SYS_clock_gettime, which, out);

	if (r == 0 &&
	    (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
		out->tv_sec += fail_site_get(&site_clock);
	return r;
}

time_t
time(time_t *out)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	if (out != NULL)
		*out = t.tv_sec;
	return t.tv_sec;
}

int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &t);
	*out = (struct timeval){t.tv_sec, t.tv_nsec / 1000};
	return 0;
}
