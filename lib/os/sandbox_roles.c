/* sandbox_roles.c - what each role promises: the whole list, on this page.
 *
 * A role that is not here cannot be started confined. System calls stand here
 * by name; a name that an architecture does not know counts for nothing there.
 * Calls whose arguments matter (socket, clone, mmap, fcntl, ...) are not here
 * but in sandbox_seccomp.c, with the arguments that are allowed. */
#include <stddef.h>

#include "os/sandbox_int.h"

/* Memory, time, waiting, descriptors that are already open, ending. */
static const char *const calls_base[] = {
	"read", "readv", "pread64", "preadv", "write", "writev", "pwrite64",
	"pwritev", "close", "close_range", "dup", "dup2", "dup3", "lseek",
	"fstat", "newfstatat", "stat", "lstat", "statx", "fstatfs",
	/* memory; memfd_secret and ftruncate are those of struct secret */
	"brk", "munmap", "mremap", "madvise", "mlock", "mlock2", "munlock",
	"memfd_secret", "ftruncate", "membarrier",
	/* time and waiting */
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
	"gettimeofday", "time", "epoll_create1", "epoll_ctl", "epoll_wait",
	"epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6",
	"eventfd2", "pipe2", "timerfd_create", "timerfd_settime", "futex",
	"sched_yield", "sched_getaffinity", "restart_syscall",
	/* signals to itself */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending",
	"sigaltstack", "exit", "exit_group",
	/* who it is */
	"getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid",
	"getrandom", "getrusage", "sysinfo", "uname", "getcwd", "getrlimit",
	"rseq", "set_robust_list", "get_robust_list", "set_tid_address",
	"umask",
	/* links to other roles, and connections that it was given */
	"recvmsg", "recvfrom", "recvmmsg", "sendmsg", "sendto", "sendmmsg",
	"shutdown", "getsockopt", "setsockopt", "getsockname", "getpeername",
	NULL};

static const char *const calls_accept[] = {"accept", "accept4", "listen", NULL};

/* Landlock says which files. */
static const char *const calls_read[] = {"open",
					 "openat",
					 "openat2",
					 "access",
					 "faccessat",
					 "faccessat2",
					 "readlink",
					 "readlinkat",
					 "getdents64",
					 "fadvise64",
					 "inotify_init1",
					 "inotify_add_watch",
					 "inotify_rm_watch",
					 NULL};

static const char *const calls_write[] = {
	"fsync",    "fdatasync", "sync_file_range", "rename",
	"renameat", "renameat2", "unlink",          "unlinkat",
	"fchmod",   "fallocate", "flock",           "msync",
	"mkdir",    "mkdirat",   "rmdir",           NULL};

static const char *const calls_connect[] = {"connect", "socketpair", NULL};

/* Folders of the operator: links too, and others' files made ours by link. */
static const char *const calls_output[] = {"symlink", "symlinkat", "link",
					   "linkat", NULL};

/* A socket of its own, a child that looks a name up; seccomp: the second
 * filter that ends the making of sockets (sandbox_seccomp_settle). */
static const char *const calls_agent[] = {"bind",     "listen",  "accept",
					  "accept4",  "chown",   "wait4",
					  "fchownat", "seccomp", NULL};

/* What SQLite and libc open on their way. */
static const char *const system_base[] = {"/dev/null", "/dev/urandom",
					  "/etc/localtime", NULL};

/* Roots, and finding hosts. Files, not all of /etc: a CA's key may be there.
 * Whoever replaces resolv.conf by another file (and no service such as
 * systemd-resolved does that below /run) restarts the authority. */
static const char *const system_net[] = {"/etc/resolv.conf",
					 "/etc/hosts",
					 "/etc/nsswitch.conf",
					 "/etc/host.conf",
					 "/etc/gai.conf",
					 "/etc/services",
					 "/run/systemd/resolve",
					 "/run/resolvconf",
					 "/etc/ssl/certs",
					 "/etc/ssl/cert.pem",
					 "/etc/ssl/ca-bundle.pem",
					 "/usr/local/etc/ssl/cert.pem",
					 "/etc/pki/tls/certs",
					 "/etc/pki/tls/cacert.pem",
					 "/etc/pki/ca-trust",
					 "/etc/ca-certificates",
					 "/usr/share/ca-certificates",
					 "/usr/local/share/ca-certificates",
					 NULL};

/* For libcurl, which loads some of its libraries late. */
static const char *const system_libs[] = {"/etc/ssl/openssl.cnf",
					  "/etc/ld.so.cache",
					  "/lib",
					  "/lib64",
					  "/usr/lib",
					  "/usr/lib64",
					  NULL};

const struct sandbox_role sandbox_roles[] = {
	{
		/* The network's bytes; files: only key sets of issuers. */
		.name = "front",
		.calls = {calls_base, calls_accept, calls_read},
		.system = {system_base},
		.reads_given = true,
	},
	{
		/* No file at all. */
		.name = "public",
		.calls = {calls_base, calls_accept},
	},
	{
		/* Goes out, keeps nothing. */
		.name = "fetch",
		.calls = {calls_base, calls_read, calls_connect},
		.system = {system_base, system_net, system_libs},
		.reads_given = true,
		.connects = true,
		.has_threads = true,
		.has_modules = true,
	},
	{
		/* The record and the audit log; its only network is the admin
		 * socket that it was given. */
		.name = "authority",
		.calls = {calls_base, calls_accept, calls_read, calls_write},
		.own = {"store", "audit", "public"},
		.system = {system_base},
		.fds_max = 1024,
	},
	{
		/* The key. */
		.name = "signer",
		.calls = {calls_base, calls_read, calls_write},
		.own = {"issuer"},
		.system = {system_base},
		.fds_max = 256,
	},
	{
		/* meshcert-agent, whole: the workload's key, the CA, proxies.
		 * Its one child at a time looks up the CA's name, in the same
		 * sandbox. */
		.name = "agent",
		.calls = {calls_base, calls_read, calls_write, calls_connect,
			  calls_output, calls_agent},
		.system = {system_base, system_net},
		.reads_given = true,
		.writes_given = true,
		.connects = true,
		.has_unix = true,
		.has_children = true,
	},
	{
		/* The same, before it makes its event loop. */
		.name = "agent.start",
		.has_children = true,
		.is_open = true,
	},
	{
		/* Starts all the others, which inherit this: it promises only
		 * what none of them, and no newer program, ever does. */
		.name = "supervisor",
		.has_children = true,
		.is_open = true,
	},
	{.name = NULL},
};

const char *const sandbox_hostile[] = {
	/* another program, signals, another user */
	"execve",
	"execveat",
	"fork",
	"vfork",
	"kill",
	"tkill",
	"rt_sigqueueinfo",
	"rt_tgsigqueueinfo",
	"setuid",
	"setgid",
	"setreuid",
	"setregid",
	"setresuid",
	"setresgid",
	"setgroups",
	"setfsuid",
	"setfsgid",
	"capset",
	NULL};

const char *const sandbox_hostile_to_all[] = {
	/* another process's memory and descriptors */
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise",
	"pidfd_open", "pidfd_getfd", "pidfd_send_signal", "kcmp",
	/* another view of the system */
	"chroot", "pivot_root", "mount", "umount2", "move_mount", "open_tree",
	"fsopen", "fsmount", "setns", "unshare", "personality",
	"open_by_handle_at", "mknod", "mknodat",
	/* the kernel */
	"init_module", "finit_module", "delete_module", "kexec_load",
	"kexec_file_load", "bpf", "perf_event_open", "userfaultfd", "keyctl",
	"add_key", "request_key", "iopl", "ioperm", "modify_ldt", "reboot",
	"swapon", "swapoff", "acct", "quotactl", "syslog", "settimeofday",
	"clock_settime", "adjtimex", "clock_adjtime", NULL};
