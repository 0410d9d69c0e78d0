/* sandbox_seccomp.c - which system calls a role may make, by seccomp. The only
 * file that knows libseccomp.
 *
 * Rules without arguments cost a call next to nothing: the kernel keeps a map
 * of calls that are always allowed. Those with arguments are few, and none but
 * fcntl and mmap is on a path that is taken often. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/os.h"
#include "os/sandbox_int.h"

enum {
	/* Newer than the headers of Debian 12. */
	FILTER_PR_SET_VMA = 0x53564d41,
	FILTER_F_ADD_SEALS = 1033,
	FILTER_F_GET_SEALS = 1034
};

/* A call that is allowed when one argument is exactly this. */
struct filter_value {
	const char *call;
	unsigned arg;
	uint64_t value;
};

/* fcntl: nothing that sends signals to owners of descriptors. */
static const struct filter_value filter_values[] = {
	{"fcntl", 1, F_DUPFD},
	{"fcntl", 1, F_DUPFD_CLOEXEC},
	{"fcntl", 1, F_GETFD},
	{"fcntl", 1, F_SETFD},
	{"fcntl", 1, F_GETFL},
	{"fcntl", 1, F_SETFL},
	{"fcntl", 1, F_GETLK},
	{"fcntl", 1, F_SETLK},
	{"fcntl", 1, F_SETLKW},
	{"fcntl", 1, F_OFD_GETLK},
	{"fcntl", 1, F_OFD_SETLK},
	{"fcntl", 1, F_OFD_SETLKW},
	{"fcntl", 1, FILTER_F_ADD_SEALS},
	{"fcntl", 1, FILTER_F_GET_SEALS},
	{"ioctl", 1, FIONBIO},
	{"ioctl", 1, FIONREAD},
	{"ioctl", 1, FIOCLEX},
	{"ioctl", 1, TCGETS},
	{"prctl", 0, PR_SET_NAME},
	{"prctl", 0, PR_SET_PDEATHSIG},
	{"prctl", 0, FILTER_PR_SET_VMA},
	/* Limits can be read, its own only. */
	{"prlimit64", 2, 0},
};

bool
sandbox_seccomp_is_there(void)
{
	const uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* Names that this architecture or this libseccomp does not know are no error:
 * nobody can make such a call here, or it falls under the default. */
static int
filter_add(scmp_filter_ctx ctx, uint32_t action, const char *name, unsigned cnt,
	   const struct scmp_arg_cmp *args)
{
	int nr = seccomp_syscall_resolve_name(name);

	if (nr < 0)
		return 0;
	return seccomp_rule_add_array(ctx, action, nr, cnt, args);
}

static int
filter_add_list(scmp_filter_ctx ctx, uint32_t action, const char *const *names)
{
	int r = 0;

	for (; r == 0 && names != NULL && *names != NULL; names++)
		r = filter_add(ctx, action, *names, 0, NULL);
	return r;
}

static int
filter_add_value(scmp_filter_ctx ctx, const char *name, unsigned arg,
		 uint64_t value)
{
	const struct scmp_arg_cmp cmp = {
		.arg = arg, .op = SCMP_CMP_EQ, .datum_a = value};

	return filter_add(ctx, SCMP_ACT_ALLOW, name, 1, &cmp);
}

/* Of the argument's bits in mask, exactly these are set. */
static int
filter_add_masked(scmp_filter_ctx ctx, const char *name, unsigned arg,
		  uint64_t mask, uint64_t bits)
{
	const struct scmp_arg_cmp cmp = {.arg = arg,
					 .op = SCMP_CMP_MASKED_EQ,
					 .datum_a = mask,
					 .datum_b = bits};

	return filter_add(ctx, SCMP_ACT_ALLOW, name, 1, &cmp);
}

/* Memory that can be run comes from shared libraries only, and where all of
 * them are loaded, from nowhere. */
static int
filter_add_memory(scmp_filter_ctx ctx, const struct sandbox_role *role)
{
	static const char *const calls[] = {"mmap", "mprotect", NULL};
	int r = 0;

	if (role->has_modules)
		return filter_add_list(ctx, SCMP_ACT_ALLOW, calls);
	for (size_t i = 0; r == 0 && calls[i] != NULL; i++)
		r = filter_add_masked(ctx, calls[i], 2, PROT_EXEC, 0);
	return r;
}

static int
filter_add_threads(scmp_filter_ctx ctx, const struct sandbox_role *role)
{
	int r;

	/* Its flags are behind a pointer, where no filter sees them: libc
	 * falls back to clone. */
	r = filter_add(ctx, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
	if (r != 0 || !role->has_threads)
		return r;
	return filter_add_masked(ctx, "clone", 0, CLONE_THREAD, CLONE_THREAD);
}

static int
filter_add_sockets(scmp_filter_ctx ctx, const struct sandbox_role *role)
{
	int r;

	if (!role->connects)
		return 0;
	r = filter_add_value(ctx, "socket", 0, AF_INET);
	if (r == 0)
		r = filter_add_value(ctx, "socket", 0, AF_INET6);
	if (r == 0 && role->has_unix)
		r = filter_add_value(ctx, "socket", 0, AF_UNIX);
	return r;
}

/* What only an intruder does, but for what this role does itself. */
static int
filter_add_hostile(scmp_filter_ctx ctx, const struct sandbox_role *role)
{
	int r = filter_add_list(ctx, SCMP_ACT_KILL_PROCESS,
				sandbox_hostile_to_all);

	for (size_t i = 0; r == 0 && sandbox_hostile[i] != NULL; i++) {
		if (role->has_children &&
		    strcmp(sandbox_hostile[i], "kill") == 0)
			continue;
		r = filter_add(ctx, SCMP_ACT_KILL_PROCESS, sandbox_hostile[i],
			       0, NULL);
	}
	return r;
}

/* fork as libc makes it, and the end of a child that takes too long: one
 * process, not a group or all of them. Whose it is, Landlock sees to (from 6.12
 * on): only those of the same sandbox. */
static int
filter_add_children(scmp_filter_ctx ctx, const struct sandbox_role *role)
{
	const struct scmp_arg_cmp to_one[] = {
		{.arg = 0,
		 .op = SCMP_CMP_MASKED_EQ,
		 .datum_a = UINT64_C(1) << 31,
		 .datum_b = 0},
		{.arg = 1, .op = SCMP_CMP_EQ, .datum_a = SIGKILL},
	};
	int r;

	if (!role->has_children)
		return 0;
	r = filter_add_value(ctx, "clone", 0,
			     CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID |
				     SIGCHLD);
	return r != 0 ? r
		      : filter_add(ctx, SCMP_ACT_ALLOW, "kill",
				   COUNT_OF(to_one), to_one);
}

static int
filter_fill(scmp_filter_ctx ctx, const struct sandbox_role *role)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < SANDBOX_CALLS_MAX; i++)
		r = filter_add_list(ctx, SCMP_ACT_ALLOW, role->calls[i]);
	for (size_t i = 0; r == 0 && i < COUNT_OF(filter_values); i++)
		r = filter_add_value(ctx, filter_values[i].call,
				     filter_values[i].arg,
				     filter_values[i].value);
	/* abort() is a signal to itself. */
	if (r == 0)
		r = filter_add_value(ctx, "tgkill", 0, (uint64_t)getpid());
	if (r == 0)
		r = filter_add_memory(ctx, role);
	if (r == 0)
		r = filter_add_threads(ctx, role);
	if (r == 0)
		r = filter_add_sockets(ctx, role);
	if (r == 0)
		r = filter_add_children(ctx, role);
	if (r == 0)
		r = filter_add_hostile(ctx, role);
	return r;
}

/* What a ring does, no filter sees. And libuv (from 1.46 on) makes one with its
 * loop where it can, and ends the process where it may not use it later. */
static int
filter_fill_open(scmp_filter_ctx ctx)
{
	int r = filter_add(ctx, SCMP_ACT_ERRNO(EPERM), "io_uring_setup", 0,
			   NULL);

	return r != 0 ? r
		      : filter_add_list(ctx, SCMP_ACT_KILL_PROCESS,
					sandbox_hostile_to_all);
}

/* Takes the filter's state. The library built a tree of a few hundred
 * kilobytes, which goes back to the system. */
static enum err
filter_load(scmp_filter_ctx ctx, int r, struct why *why)
{
	/* A tree instead of a list; older libraries do not know it. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	os_mem_trim();
	if (r == 0)
		return ERR_OK;
	return why_set(why, ERR_BUG, "sandbox: seccomp: %s", strerror(-r));
}

enum err
sandbox_seccomp_enter(const struct sandbox_role *role, struct why *why)
{
	scmp_filter_ctx ctx = seccomp_init(
		role->is_open ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
	int r;

	if (ctx == NULL)
		return why_set(why, ERR_NO_MEMORY, "sandbox: seccomp");
	/* Calls of another architecture's table are an attack. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
			     SCMP_ACT_KILL_PROCESS);
	if (r == 0 && role->is_open)
		r = filter_fill_open(ctx);
	else if (r == 0)
		r = filter_fill(ctx, role);
	return filter_load(ctx, r, why);
}

/* A second filter on top of the first: the stricter one of both counts. */
enum err
sandbox_seccomp_settle(struct why *why)
{
	static const char *const calls[] = {"bind",     "listen",  "chown",
					    "fchownat", "seccomp", NULL};
	const uint32_t refused = SCMP_ACT_ERRNO(EPERM);
	const struct scmp_arg_cmp of_host = {
		.arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_UNIX};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (ctx == NULL)
		return why_set(why, ERR_NO_MEMORY, "sandbox: seccomp");
	/* Was set on entering, and prctl is closed since. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	if (r == 0)
		r = filter_add_list(ctx, refused, calls);
	if (r == 0)
		r = filter_add(ctx, refused, "socket", 1, &of_host);
	return filter_load(ctx, r, why);
}
