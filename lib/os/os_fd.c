/* os_fd.c - descriptors of os.h: pairs, anonymous files, passing them on; and
 * what the machine has. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum err
os_socketpair(int fds_out[2])
{
	fds_out[0] = fds_out[1] = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       fds_out) != 0)
		return err_from_errno(errno);
	return ERR_OK;
}

enum err
os_memfd(const char *name, size_t size, int *fd_out)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	enum err ret;

	*fd_out = -1;
	if (fd < 0)
		return err_from_errno(errno);
	/* Whoever is given a read-only descriptor could else open the same file
	 * again for writing, through /proc/self/fd. */
	if (fchmod(fd, 0600) != 0 || ftruncate(fd, (off_t)size) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
		    0) {
		ret = err_from_errno(errno);
		(void)close(fd);
		return ret;
	}
	*fd_out = fd;
	return ERR_OK;
}

/* One descriptor as ancillary data, aligned as it must be. */
union os_fd_space {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static bool
os_is_again(int errnum)
{
	return errnum == EAGAIN || errnum == EWOULDBLOCK;
}

enum err
os_send_fd(int sock, struct slice bytes, int fd)
{
	union os_fd_space control = {.space = {0}};
	struct iovec iov;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t put;

	/* Without a byte the kernel would drop the descriptor. */
	must(bytes.len > 0 && bytes.len <= PIPE_BUF);
	/* iovec is for reading and writing; sendmsg only reads. */
	memcpy(&iov.iov_base, &bytes.p, sizeof(bytes.p));
	iov.iov_len = bytes.len;
	if (fd >= 0) {
		struct cmsghdr *c = &control.header;

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int));
	}
	do {
		put = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (put < 0 && errno == EINTR);
	if (put < 0)
		return os_is_again(errno) ? ERR_BUSY : err_from_errno(errno);
	return (size_t)put == bytes.len ? ERR_OK : ERR_IO;
}

static int
os_take_fd(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS && c->cmsg_len >= CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

enum err
os_recv_fd(int sock, uint8_t *p, size_t cap, size_t *len_out, int *fd_out)
{
	union os_fd_space control = {.space = {0}};
	struct iovec iov = {.iov_base = p, .iov_len = cap};
	/* Not CMSG_SPACE: its padding would let in a second descriptor. */
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = CMSG_LEN(sizeof(int))};
	ssize_t got;

	*len_out = 0;
	*fd_out = -1;
	do {
		got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return os_is_again(errno) ? ERR_BUSY : err_from_errno(errno);
	*fd_out = os_take_fd(&msg);
	if ((msg.msg_flags & MSG_CTRUNC) != 0) {
		if (*fd_out >= 0)
			(void)close(*fd_out);
		*fd_out = -1;
		return ERR_PROTOCOL;
	}
	*len_out = (size_t)got;
	return got == 0 ? ERR_CLOSED : ERR_OK;
}

void
os_close_from(int first)
{
	struct rlimit limit;

	must(first >= 0);
	if (close_range((unsigned)first, UINT_MAX, 0) == 0)
		return;
	/* Kernels before 5.9, and sandboxes that do not know the call. */
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX)
		limit.rlim_cur = 65536;
	for (int fd = first; fd < (int)limit.rlim_cur; fd++)
		(void)close(fd);
}

size_t
os_files_raise(void)
{
	struct rlimit limit;
	rlim_t was;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	was = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		limit.rlim_cur = was;
	return limit.rlim_cur > INT_MAX ? INT_MAX : (size_t)limit.rlim_cur;
}

unsigned
os_cpu_count(void)
{
	cpu_set_t set;
	int cnt;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	cnt = CPU_COUNT(&set);
	return cnt < 1 ? 1 : (unsigned)cnt;
}

void
os_mem_keep(size_t len)
{
	(void)mallopt(M_TRIM_THRESHOLD, (int)len);
	(void)mallopt(M_MMAP_THRESHOLD, (int)len);
}

void
os_mem_trim(void)
{
	(void)malloc_trim(0);
}
