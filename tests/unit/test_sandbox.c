/* test_sandbox.c - each role tries what it must not, in a process of its own
 * that has entered the role's sandbox; with the sandbox off it succeeds at all
 * of it, so a refusal is the sandbox's. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
	ALL = 31,
	NOBODY = 0
};

static const char *const role_names[] = {"front", "public", "fetch",
					 "authority", "signer"};

/* What a try ended in. */
enum outcome {
	DONE = 0,
	REFUSED,
	KILLED,
	STRANGE
};

static const char *const outcome_text[] = {
	"done", "refused", "killed by the sandbox", "ended strangely"};

static char folder[] = "/tmp/test_sandbox.XXXXXX";
static struct sockaddr_in tcp_addr;
static struct sockaddr_un unix_addr;

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
	{"fork", try_fork, NOBODY, REFUSED},
	{"start a thread", try_thread, FETCH, REFUSED},
	{"be traced", try_ptrace, NOBODY, KILLED},
	{"signal others", try_signal_parent, NOBODY, KILLED},
	{"have others signalled", try_own_a_descriptor_of_others, NOBODY,
	 REFUSED},
	{"connect by TCP", try_connect_tcp, FETCH, REFUSED},
	{"connect to a socket on the host", try_connect_unix, NOBODY, REFUSED},
	{"ask the kernel about the network", try_netlink, NOBODY, REFUSED},
	{"take a port", try_listen, NOBODY, REFUSED},
	{"run memory that it wrote", try_code_of_its_own, FETCH, REFUSED},
	{"become another user", try_another_user, NOBODY, KILLED},
	{"change a limit", try_core_files, NOBODY, REFUSED},
	{"read the CA key", try_read_key, SIGNER, REFUSED},
	{"read the record", try_read_record, AUTHORITY, REFUSED},
	{"read the audit log", try_read_audit, AUTHORITY, REFUSED},
	{"read key sets", try_read_keys_of_tokens, FRONT | FETCH, REFUSED},
	{"read another file", try_read_other, NOBODY, REFUSED},
	{"read the system's users", try_read_passwords, NOBODY, REFUSED},
	{"write beside the CA key", try_write_key, SIGNER, REFUSED},
	{"link the CA key", try_link_key, NOBODY, REFUSED},
	{"write beside the record", try_write_record, AUTHORITY, REFUSED},
	{"write beside the audit log", try_write_audit, AUTHORITY, REFUSED},
	{"write the published roots", try_write_roots, AUTHORITY, REFUSED},
	{"write beside key sets", try_write_given, NOBODY, REFUSED},
	{"write elsewhere", try_write_other, NOBODY, REFUSED},
	{"hold a secret", try_secret, ALL, DONE},
	{"use memory", try_memory, ALL, DONE},
};

/* -- trying -------------------------------------------------------------- */

static struct sandbox_ask
ask_of(enum sandbox_mode mode)
{
	static char data[200], given[200];
	struct sandbox_ask ask = {.mode = mode, .data_dir = data};

	(void)snprintf(data, sizeof(data), "%s/data", folder);
	(void)snprintf(given, sizeof(given), "%s/given", folder);
	ask.read[ask.read_cnt++] = given;
	return ask;
}

/* The process that is the role. */
NORETURN static void
be_role(const char *role, enum sandbox_mode mode, int (*run)(void))
{
	struct sandbox_ask ask = ask_of(mode);
	struct why missing = {0};
	struct why why = {0};

	if (sandbox_enter(role, &ask, &missing, &why) != ERR_OK) {
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
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		be_role(role, mode, run);
	assert_int_equal(waitpid(pid, &status, 0), pid);
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

static int
look_at_limits(void)
{
	struct rlimit core, procs;

	if (getrlimit(RLIMIT_CORE, &core) != 0 ||
	    getrlimit(RLIMIT_NPROC, &procs) != 0)
		return -1;
	errno = ERANGE;
	return core.rlim_max == 0 && procs.rlim_max == 0 ? 0 : -1;
}

static void
a_role_may_leave_no_core_file_and_start_no_process(void **state)
{
	(void)state;
	skip_without_sandbox();
	assert_int_equal(try_as("front", SANDBOX_REQUIRED, look_at_limits),
			 DONE);
	assert_int_equal(try_as("front", SANDBOX_OFF, look_at_limits), STRANGE);
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
	static const char *const dirs[] = {"data",        "data/store",
					   "data/audit",  "data/issuer",
					   "data/public", "given"};
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
			a_role_may_leave_no_core_file_and_start_no_process),
		cmocka_unit_test(a_role_without_promises_is_refused),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
