/* test_sandbox.c - each role tries what it must not, in a process of its own
 * that has entered the role's sandbox; with the sandbox off it succeeds at all
 * of it, so a refusal is the sandbox's. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "base/mem.h"
#include "base/secret.h"
#include "os/os.h"
#include "os/sandbox.h"

enum {
	FRONT = 1,
	PUBLIC = 2,
	FETCH = 4,
	AUTHORITY = 8,
	SIGNER = 16,
	AGENT = 32,
	ALL = 63,
	NOBODY = 0
};

/* The agent's row, before it settles: what it makes at its start only. */
#define STARTING "starting agent"

static const char *const role_names[] = {"front",     "public", "fetch",
					 "authority", "signer", "agent"};

/* What a try ended in. */
enum outcome {
	DONE = 0,
	REFUSED,
	KILLED,
	STRANGE,
	/* Only to be wanted: killed; the agent, who may end its own children,
	 * is refused. */
	NOT_OTHERS
};

static const char *const outcome_text[] = {
	"done", "refused", "killed by the sandbox", "ended strangely"};

static char folder[] = "/tmp/test_sandbox.XXXXXX";
static struct sockaddr_in tcp_addr;
static struct sockaddr_un unix_addr;
static pid_t victim; /* a process of the same user, not of the sandbox */

static const char *
in_folder(const char *name)
{
	static char paths[4][200];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

/* -- what is tried: 0, or -1 with errno ---------------------------------- */

static int
try_exec(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}

static int
try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 || waitpid(pid, NULL, 0) != pid ? -1 : 0;
}

static void *
thread_main(void *arg)
{
	return arg;
}

static int
try_thread(void)
{
	pthread_t t;
	int r = pthread_create(&t, NULL, thread_main, NULL);

	if (r != 0) {
		errno = r == EAGAIN ? EPERM : r;
		return -1;
	}
	return pthread_join(t, NULL);
}

static int
try_ptrace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int
try_signal_parent(void)
{
	return kill(getppid(), 0);
}

static int
try_kill_others(void)
{
	return kill(victim, SIGKILL);
}

static int
try_kill_all(void)
{
	/* Not all of the machine: the group of this try. */
	if (setpgid(0, 0) != 0)
		return -1;
	return kill(-getpid(), SIGCONT);
}

static int
try_kill_own_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)poll(NULL, 0, -1);
		_exit(0);
	}
	if (pid < 0 || kill(pid, SIGKILL) != 0)
		return -1;
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static int
try_own_a_descriptor_of_others(void)
{
	int fds[2];

	return pipe2(fds, 0) != 0 ? -1 : fcntl(fds[0], F_SETOWN, getppid());
}

static int
try_connect(int family, const void *addr, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -1 : connect(fd, addr, len);
}

static int
try_connect_tcp(void)
{
	return try_connect(AF_INET, &tcp_addr, sizeof(tcp_addr));
}

static int
try_connect_unix(void)
{
	return try_connect(AF_UNIX, &unix_addr, sizeof(unix_addr));
}

static int
try_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static int
try_listen(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -1
		      : bind(fd, (const struct sockaddr *)&any, sizeof(any));
}

static int
try_code_of_its_own(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int
try_another_user(void)
{
	return setuid(getuid());
}

static int
try_core_files(void)
{
	struct rlimit l;

	/* Not the value of before: any limit at all. */
	return getrlimit(RLIMIT_STACK, &l) != 0 ? -1
						: setrlimit(RLIMIT_STACK, &l);
}

static int
read_file(const char *name)
{
	return open(in_folder(name), O_RDONLY | O_CLOEXEC);
}

/* As os_file_write_atomic does, and then away with it. */
static int
write_file(const char *name)
{
	const char *path = in_folder(name);

	if (os_file_write_atomic(path, SLICE_LIT("x"), 0600, NULL) != ERR_OK)
		return -1;
	return unlink(path);
}

static int
try_read_key(void)
{
	return read_file("data/issuer/ca-key.pem");
}

static int
try_read_record(void)
{
	return read_file("data/store/record.db");
}

static int
try_read_audit(void)
{
	return read_file("data/audit/audit.log");
}

static int
try_read_keys_of_tokens(void)
{
	return read_file("given/jwks.json");
}

static int
try_read_other(void)
{
	return read_file("other");
}

static int
try_read_passwords(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int
try_write_key(void)
{
	return write_file("data/issuer/new");
}

static int
try_write_record(void)
{
	return write_file("data/store/new");
}

static int
try_write_audit(void)
{
	return write_file("data/audit/new");
}

static int
try_write_roots(void)
{
	return write_file("data/public/new");
}

static int
try_write_given(void)
{
	return write_file("given/new");
}

static int
try_write_other(void)
{
	return write_file("new");
}

static int
try_write_output(void)
{
	return write_file("out/new");
}

static int
try_link_output(void)
{
	const char *path = in_folder("out/link");

	return symlink("new", path) != 0 ? -1 : unlink(path);
}

static int
try_socket_elsewhere(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s",
		       in_folder("own socket"));
	if (fd < 0 ||
	    bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0)
		return -1;
	return unlink(addr.sun_path);
}

static int
try_socket_in_output(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s",
		       in_folder("out/socket"));
	if (fd < 0 ||
	    bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0)
		return -1;
	return unlink(addr.sun_path);
}

/* Where programs put temporary files: none of ours has any. */
static int
try_temporary_folders(void)
{
	static const char *const folders[] = {"/tmp", "/var/tmp", "/dev/shm",
					      "/run", "."};
	int done = -1;

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		char *path = mem_printf("%s/test_sandbox.%ld", folders[i],
					(long)getpid());
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			      0600);

		if (fd >= 0 && unlink(path) == 0)
			done = 0;
		mem_free(path);
	}
	return done;
}

static int
try_link_key(void)
{
	const char *to = in_folder("data/issuer/link");
	int r = link(in_folder("data/issuer/ca-key.pem"), to);

	return r != 0 ? r : unlink(to);
}

static int
try_secret(void)
{
	struct secret *s = NULL;

	if (secret_new(20000, &s) != ERR_OK)
		return -1;
	memset(secret_get_writable(s), 1, 20000);
	secret_free(s);
	return 0;
}

static int
try_memory(void)
{
	void *big = mem_new(1 << 24);

	memset(big, 1, 1 << 24);
	mem_free(big);
	os_mem_trim();
	return 0;
}

static const struct attempt {
	const char *name;
	int (*run)(void);
	unsigned allowed; /* roles */
	enum outcome otherwise;
} attempts[] = {
	{"start a program", try_exec, NOBODY, KILLED},
	{"fork", try_fork, AGENT, REFUSED},
	{"start a thread", try_thread, FETCH, REFUSED},
	{"be traced", try_ptrace, NOBODY, KILLED},
	{"signal others", try_signal_parent, NOBODY, NOT_OTHERS},
	{"kill others", try_kill_others, NOBODY, NOT_OTHERS},
	{"signal many", try_kill_all, NOBODY, REFUSED},
	{"kill its child", try_kill_own_child, AGENT, REFUSED},
	{"have others signalled", try_own_a_descriptor_of_others, NOBODY,
	 REFUSED},
	{"connect by TCP", try_connect_tcp, FETCH | AGENT, REFUSED},
	{"connect to a socket on the host", try_connect_unix, NOBODY, REFUSED},
	{"ask the kernel about the network", try_netlink, NOBODY, REFUSED},
	{"take a port", try_listen, NOBODY, REFUSED},
	{"run memory that it wrote", try_code_of_its_own, FETCH, REFUSED},
	{"become another user", try_another_user, NOBODY, KILLED},
	{"change a limit", try_core_files, NOBODY, REFUSED},
	{"read the CA key", try_read_key, SIGNER, REFUSED},
	{"read the record", try_read_record, AUTHORITY, REFUSED},
	{"read the audit log", try_read_audit, AUTHORITY, REFUSED},
	{"read what it was told to", try_read_keys_of_tokens,
	 FRONT | FETCH | AGENT, REFUSED},
	{"read another file", try_read_other, NOBODY, REFUSED},
	{"read the system's users", try_read_passwords, NOBODY, REFUSED},
	{"write beside the CA key", try_write_key, SIGNER, REFUSED},
	{"link the CA key", try_link_key, NOBODY, REFUSED},
	{"write beside the record", try_write_record, AUTHORITY, REFUSED},
	{"write beside the audit log", try_write_audit, AUTHORITY, REFUSED},
	{"write the published roots", try_write_roots, AUTHORITY, REFUSED},
	{"write beside key sets", try_write_given, NOBODY, REFUSED},
	{"write elsewhere", try_write_other, NOBODY, REFUSED},
	{"write where it was told to", try_write_output, AGENT, REFUSED},
	{"put a link there", try_link_output, AGENT, REFUSED},
	{"make a socket there", try_socket_in_output, NOBODY, REFUSED},
	{"make a socket elsewhere", try_socket_elsewhere, NOBODY, REFUSED},
	{"write to temporary folders", try_temporary_folders, NOBODY, REFUSED},
	{"hold a secret", try_secret, ALL, DONE},
	{"use memory", try_memory, ALL, DONE},
};

/* -- trying -------------------------------------------------------------- */

static struct sandbox_ask
ask_of(enum sandbox_mode mode)
{
	static char data[200], given[200], out[200];
	struct sandbox_ask ask = {.mode = mode, .data_dir = data};

	(void)snprintf(data, sizeof(data), "%s/data", folder);
	(void)snprintf(given, sizeof(given), "%s/given", folder);
	(void)snprintf(out, sizeof(out), "%s/out", folder);
	ask.read[ask.read_cnt++] = given;
	ask.write[ask.write_cnt++] = out;
	return ask;
}

/* The process that is the role. */
NORETURN static void
be_role(const char *role, enum sandbox_mode mode, int (*run)(void))
{
	struct sandbox_ask ask = ask_of(mode);
	struct why missing = {0};
	struct why why = {0};

	const bool starting = strcmp(role, STARTING) == 0;

	if (sandbox_enter(starting ? "agent" : role, &ask, &missing, &why) !=
		    ERR_OK ||
	    (!starting && strcmp(role, "agent") == 0 &&
	     sandbox_settle(mode, &why) != ERR_OK)) {
		print_message("%s: %s\n", role, why.text);
		_exit(3);
	}
	if (run() >= 0)
		_exit(0);
	_exit(errno == EPERM || errno == EACCES || errno == EXDEV ? 1 : 3);
}

static int
wait_for(const char *role, enum sandbox_mode mode, int (*run)(void))
{
	int status = 0;
	pid_t pid;

	victim = fork();
	if (victim == 0) {
		(void)poll(NULL, 0, -1);
		_exit(0);
	}
	pid = fork();
	assert_true(victim > 0 && pid >= 0);
	if (pid == 0)
		be_role(role, mode, run);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(kill(victim, SIGKILL), 0);
	assert_int_equal(waitpid(victim, NULL, 0), victim);
	return status;
}

static enum outcome
try_as(const char *role, enum sandbox_mode mode, int (*run)(void))
{
	int status = wait_for(role, mode, run);

	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : STRANGE;
	return WEXITSTATUS(status) <= 1 ? (enum outcome)WEXITSTATUS(status)
					: STRANGE;
}

static void
skip_without_sandbox(void)
{
	struct why missing = {0};

	if (sandbox_probe(&missing) == ERR_OK)
		return;
	print_message("skipped because %s\n", missing.text);
	skip();
}

/* How many attempts of this role end in what they must not. */
static unsigned
count_wrong(size_t role, enum sandbox_mode mode)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < COUNT_OF(attempts); i++) {
		const struct attempt *a = &attempts[i];
		enum outcome want = DONE;
		enum outcome got = try_as(role_names[role], mode, a->run);

		if (mode != SANDBOX_OFF && (a->allowed & (1U << role)) == 0)
			want = a->otherwise;
		if (want == NOT_OTHERS)
			want = (1U << role) == AGENT ? REFUSED : KILLED;
		if (got == want)
			continue;
		print_message("%s: %s: %s, but must be %s\n", role_names[role],
			      a->name, outcome_text[got], outcome_text[want]);
		wrong++;
	}
	return wrong;
}

static void
each_role_is_kept_from_what_it_promised_never_to_do(void **state)
{
	unsigned wrong = 0;

	(void)state;
	skip_without_sandbox();
	for (size_t i = 0; i < COUNT_OF(role_names); i++)
		wrong += count_wrong(i, SANDBOX_REQUIRED);
	assert_int_equal(wrong, 0);
}

static void
without_the_sandbox_each_role_can_do_all_of_it(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(role_names); i++)
		wrong += count_wrong(i, SANDBOX_OFF);
	assert_int_equal(wrong, 0);
}

static int
run_abort(void)
{
	abort();
}

static void
a_failed_assertion_still_ends_a_role_as_such(void **state)
{
	(void)state;
	skip_without_sandbox();
	for (size_t i = 0; i < COUNT_OF(role_names); i++) {
		int status =
			wait_for(role_names[i], SANDBOX_REQUIRED, run_abort);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
}

static void
the_agent_makes_its_socket_and_then_no_more(void **state)
{
	static int (*const runs[])(void) = {try_socket_in_output,
					    try_connect_unix};

	(void)state;
	skip_without_sandbox();
	for (size_t i = 0; i < COUNT_OF(runs); i++) {
		assert_int_equal(try_as(STARTING, SANDBOX_REQUIRED, runs[i]),
				 DONE);
		assert_int_equal(try_as("agent", SANDBOX_REQUIRED, runs[i]),
				 REFUSED);
	}
	/* Not anywhere, and no port, at any time. */
	assert_int_equal(
		try_as(STARTING, SANDBOX_REQUIRED, try_socket_elsewhere),
		REFUSED);
	assert_int_equal(try_as(STARTING, SANDBOX_REQUIRED, try_listen),
			 REFUSED);
}

static int
try_mount(void)
{
	return mount("none", in_folder("out"), "tmpfs", 0, NULL) == 0
		       ? umount(in_folder("out"))
		       : -1;
}

static int
try_ring(void)
{
	uint8_t params[256] = {0};

	return (int)syscall(SYS_io_uring_setup, 1, params);
}

/* Whoever has one does by it what no filter sees; libuv has one where it can.
 */
static void
no_ring_is_made_from_the_start_on(void **state)
{
	static const char *const roles[] = {"supervisor", "agent.start",
					    "front", "agent"};

	(void)state;
	skip_without_sandbox();
	for (size_t i = 0; i < COUNT_OF(roles); i++)
		assert_int_equal(try_as(roles[i], SANDBOX_REQUIRED, try_ring),
				 REFUSED);
	/* Not every kernel, and no careful container, lets anybody. */
	if (try_ring() >= 0)
		assert_int_equal(try_as("agent", SANDBOX_OFF, try_ring), DONE);
}

/* It starts all others, so what it keeps itself from is short. */
static void
a_supervisor_leaves_other_processes_and_the_kernel_alone(void **state)
{
	static int (*const works[])(void) = {
		try_exec,          try_fork,        try_thread,
		try_signal_parent, try_kill_others, try_connect_tcp,
		try_connect_unix,  try_listen,      try_another_user,
		try_write_other,   try_secret};
	static int (*const ends[])(void) = {try_ptrace, try_mount};

	(void)state;
	skip_without_sandbox();
	for (size_t i = 0; i < COUNT_OF(works); i++)
		assert_int_equal(
			try_as("supervisor", SANDBOX_REQUIRED, works[i]), DONE);
	for (size_t i = 0; i < COUNT_OF(ends); i++)
		assert_int_equal(
			try_as("supervisor", SANDBOX_REQUIRED, ends[i]),
			KILLED);
	assert_int_equal(try_as("supervisor", SANDBOX_OFF, try_ptrace), DONE);
}

static int
look_at_core_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_CORE, &l) != 0)
		return -1;
	errno = ERANGE;
	return l.rlim_max == 0 ? 0 : -1;
}

static int
look_at_process_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NPROC, &l) != 0)
		return -1;
	errno = ERANGE;
	return l.rlim_max == 0 ? 0 : -1;
}

static void
no_role_may_leave_a_core_file_and_few_may_start_processes(void **state)
{
	const unsigned may_start = FETCH | AGENT;

	(void)state;
	skip_without_sandbox();
	for (size_t i = 0; i < COUNT_OF(role_names); i++) {
		bool may = (may_start & (1U << i)) != 0;

		assert_int_equal(try_as(role_names[i], SANDBOX_REQUIRED,
					look_at_core_limit),
				 DONE);
		assert_int_equal(try_as(role_names[i], SANDBOX_REQUIRED,
					look_at_process_limit),
				 may ? STRANGE : DONE);
	}
	assert_int_equal(try_as("front", SANDBOX_OFF, look_at_core_limit),
			 STRANGE);
}

static void
a_role_without_promises_is_refused(void **state)
{
	struct sandbox_ask ask = ask_of(SANDBOX_AUTO);
	struct why missing = {0};
	struct why why = {0};

	(void)state;
	assert_int_equal(sandbox_enter("nobody", &ask, &missing, &why),
			 ERR_BUG);
	assert_non_null(strstr(why.text, "nobody"));
}

/* -- what is there to be reached ----------------------------------------- */

static int
listen_on(int family, struct sockaddr *addr, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, addr, len) != 0 || listen(fd, 64) != 0 ||
	    getsockname(fd, addr, &len) != 0)
		return -1;
	return fd;
}

static int
make_folder(void **state)
{
	static const char *const dirs[] = {
		"data",        "data/store", "data/audit", "data/issuer",
		"data/public", "given",      "out"};
	static const char *const files[] = {
		"data/issuer/ca-key.pem", "data/store/record.db",
		"data/audit/audit.log", "given/jwks.json", "other"};

	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	for (size_t i = 0; i < COUNT_OF(dirs); i++) {
		if (mkdir(in_folder(dirs[i]), 0700) != 0)
			return -1;
	}
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		if (os_file_write_atomic(in_folder(files[i]), SLICE_LIT("x"),
					 0600, NULL) != ERR_OK)
			return -1;
	}
	tcp_addr.sin_family = AF_INET;
	tcp_addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	unix_addr.sun_family = AF_UNIX;
	(void)snprintf(unix_addr.sun_path, sizeof(unix_addr.sun_path), "%s",
		       in_folder("socket"));
	/* They stay open to the end: nobody has to accept. */
	if (listen_on(AF_INET, (struct sockaddr *)&tcp_addr, sizeof(tcp_addr)) <
	    0)
		return -1;
	return listen_on(AF_UNIX, (struct sockaddr *)&unix_addr,
			 sizeof(unix_addr)) < 0
		       ? -1
		       : 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
remove_folder(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			each_role_is_kept_from_what_it_promised_never_to_do),
		cmocka_unit_test(
			without_the_sandbox_each_role_can_do_all_of_it),
		cmocka_unit_test(a_failed_assertion_still_ends_a_role_as_such),
		cmocka_unit_test(
			no_role_may_leave_a_core_file_and_few_may_start_processes),
		cmocka_unit_test(the_agent_makes_its_socket_and_then_no_more),
		cmocka_unit_test(
			a_supervisor_leaves_other_processes_and_the_kernel_alone),
		cmocka_unit_test(no_ring_is_made_from_the_start_on),
		cmocka_unit_test(a_role_without_promises_is_refused),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
