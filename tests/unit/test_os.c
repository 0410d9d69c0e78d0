/* test_os.c - files, users, processes; as root and as anybody. The program is
 * its own child: with an argument it is what os_spawn starts. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "base/mem.h"
#include "os/os.h"

enum {
	OTHER_UID = 12345,
	OTHER_GID = 12346
};

static char folder[] = "/tmp/test_os.XXXXXX";

/* Path in the test's folder; a few are kept. */
static const char *
in_folder(const char *name)
{
	static char paths[4][200];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

/* -- files ------------------------------------------------------------- */

static void
a_file_is_replaced_as_a_whole_with_its_mode(void **state)
{
	const char *path = in_folder("file");
	struct stat st;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(
		os_file_write_atomic(path, SLICE_LIT("first"), 0600, NULL),
		ERR_OK);
	assert_int_equal(
		os_file_write_atomic(path, SLICE_LIT("second"), 0640, NULL),
		ERR_OK);
	assert_int_equal(os_file_read(path, &out, NULL), ERR_OK);
	assert_true(slice_is_str(buf_get(&out), "second"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	buf_fini(&out);
}

/* By one that waits for a writer, the alarm would end this test. */
static void
a_pipe_in_a_files_place_stops_nobody(void **state)
{
	const char *path = in_folder("pipe");
	struct secret *secret = NULL;
	struct why why = {{0}};
	struct buf out;
	char shell[40];
	int ends[2];

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(mkfifo(path, 0600), 0);
	(void)alarm(20);
	assert_int_equal(os_file_read(path, &out, &why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, "pipe"));
	assert_int_equal(os_file_read_secret(path, 100, &secret, &why),
			 ERR_UNSUPPORTED);
	/* As a shell's <(command). */
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "text", 4), 4);
	(void)close(ends[1]);
	(void)snprintf(shell, sizeof(shell), "/dev/fd/%d", ends[0]);
	assert_int_equal(os_file_read(shell, &out, &why), ERR_OK);
	assert_true(slice_is_str(buf_get(&out), "text"));
	(void)alarm(0);
	(void)close(ends[0]);
	assert_int_equal(unlink(path), 0);
	buf_fini(&out);
}

static void
a_failed_write_leaves_the_old_file_and_no_rest(void **state)
{
	const char *path = in_folder("dir");
	struct why why = {{0}};
	char pattern[300];
	glob_t found = {0};

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_not_equal(
		os_file_write_atomic(path, SLICE_LIT("x"), 0600, &why), ERR_OK);
	assert_non_null(strstr(why.text, path));
	(void)snprintf(pattern, sizeof(pattern), "%s.*", path);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
	globfree(&found);
	assert_int_equal(
		os_file_write_atomic("/nonexistent/x", SLICE_NONE, 0600, &why),
		ERR_NOT_FOUND);
}

static void
files_above_the_maximum_are_refused(void **state)
{
	const char *path = in_folder("six");
	struct secret *s;
	struct why why = {{0}};
	struct buf out;

	(void)state;
	assert_int_equal(
		os_file_write_atomic(path, SLICE_LIT("sixsix"), 0600, NULL),
		ERR_OK);
	buf_init(&out, 6);
	assert_int_equal(os_file_read(path, &out, NULL), ERR_OK);
	buf_fini(&out);
	buf_init(&out, 5);
	assert_int_equal(os_file_read(path, &out, &why), ERR_LIMIT);
	assert_non_null(strstr(why.text, "larger than 5 bytes"));
	buf_fini(&out);
	assert_int_equal(os_file_read_secret(path, 6, &s, NULL), ERR_OK);
	assert_true(secret_is_eq(s, SLICE_LIT("sixsix")));
	secret_free(s);
	assert_int_equal(os_file_read_secret(path, 5, &s, &why), ERR_LIMIT);
	assert_null(s);
}

static void
what_cannot_be_read_is_named(void **state)
{
	struct secret *s;
	struct why why = {{0}};
	struct buf out;
	int fd;

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(os_file_read("/nonexistent/x", &out, &why),
			 ERR_NOT_FOUND);
	assert_string_equal(why.text, "/nonexistent/x: cannot open it: No such "
				      "file or directory");
	assert_int_equal(os_file_read_secret(folder, 10, &s, &why), ERR_IO);
	assert_null(s);
	assert_int_equal(os_file_open("/nonexistent/x", &fd, NULL),
			 ERR_NOT_FOUND);
	assert_int_equal(fd, -1);
	assert_true(os_file_exists(folder));
	assert_false(os_file_exists("/nonexistent/x"));
	buf_fini(&out);
}

static void
secrets_are_read_from_pipes_too(void **state)
{
	struct secret *s;
	char path[40];
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "pin", 3), 3);
	(void)close(fds[1]);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	assert_int_equal(os_file_read_secret(path, 10, &s, NULL), ERR_OK);
	assert_true(secret_is_eq(s, SLICE_LIT("pin")));
	secret_free(s);
	(void)close(fds[0]);
}

static void
folders_are_made_with_their_parents_and_mended(void **state)
{
	const char *path = in_folder("a/b/c");
	struct why why = {{0}};
	struct stat st;
	uid_t uid = geteuid() == 0 ? OTHER_UID : geteuid();
	gid_t gid = geteuid() == 0 ? OTHER_GID : getegid();

	(void)state;
	assert_int_equal(os_dir_make(path, 0755, (uid_t)-1, 0, &why), ERR_OK);
	assert_int_equal(os_dir_make(path, 0700, uid, gid, &why), ERR_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(os_file_write_atomic(in_folder("plain"), SLICE_NONE,
					      0600, NULL),
			 ERR_OK);
	assert_int_not_equal(
		os_dir_make(in_folder("plain"), 0700, (uid_t)-1, 0, &why),
		ERR_OK);
	assert_int_not_equal(
		os_dir_make(in_folder("plain/x"), 0700, (uid_t)-1, 0, &why),
		ERR_OK);
}

/* -- users ------------------------------------------------------------- */

static void
users_are_found_or_replaced_by_the_fallback(void **state)
{
	struct os_user user;

	(void)state;
	assert_int_equal(os_user_find("root", 5, &user), ERR_OK);
	assert_int_equal(user.uid, 0);
	assert_int_equal(os_user_find("no-such-user", 77, &user), ERR_OK);
	assert_int_equal(user.uid, 77);
	assert_int_equal(user.gid, 77);
	assert_int_equal(os_user_find("no-such-user", 0, &user), ERR_NOT_FOUND);
}

static void
nobody_drops_to_root_or_to_someone_else(void **state)
{
	struct os_user root = {0, 0};
	struct os_user other = {OTHER_UID, OTHER_GID};
	struct why why = {{0}};

	(void)state;
	assert_int_equal(os_user_drop(root, &why), ERR_CONFIG);
	if (geteuid() == 0)
		return;
	assert_int_equal(os_user_drop(other, &why), ERR_FORBIDDEN);
}

/* -- processes --------------------------------------------------------- */

/* What the child of os_spawn does: its exit status is the answer. */
static int
run_child(const char *what)
{
	char bytes[3] = {0};
	gid_t groups[64];

	if (strcmp(what, "fds") == 0) {
		/* 3 and 4 arrived swapped; 5 and above are not there. */
		if (read(3, bytes, 1) != 1 || read(4, bytes + 1, 1) != 1)
			return 1;
		for (int fd = 5; fd < 1000; fd++) {
			if (fcntl(fd, F_GETFD) >= 0)
				return 2;
		}
		return strcmp(bytes, "34") == 0 ? 0 : 3;
	}
	if (strcmp(what, "user") == 0)
		return getuid() == OTHER_UID && getegid() == OTHER_GID &&
				       getgroups(64, groups) == 0 &&
				       setuid(0) != 0 &&
				       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) ==
					       1
			       ? 0
			       : 1;
	if (strcmp(what, "signals") == 0) {
		struct sigaction sa;
		sigset_t set;

		(void)sigaction(SIGPIPE, NULL, &sa);
		(void)sigprocmask(SIG_BLOCK, NULL, &set);
		return sa.sa_handler == SIG_DFL && !sigismember(&set, SIGTERM)
			       ? 0
			       : 1;
	}
	if (strcmp(what, "env") == 0)
		return getenv("ONLY") != NULL && getenv("PATH") == NULL ? 0 : 1;
	return 99;
}

static int
status_of(struct os_spawn *s, const char *what)
{
	const char *argv[] = {"test_os", what, NULL};
	struct why why = {{0}};
	int status = 0;
	pid_t pid;

	s->argv = argv;
	if (os_spawn(s, &pid, &why) != ERR_OK)
		fail_msg("%s", why.text);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
descriptors_reach_their_places_even_when_swapped(void **state)
{
	struct os_spawn s = {.die_with_parent = true};
	struct os_pass_fd fds[2];
	int a[2];
	int b[2];
	int low[2];

	(void)state;
	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	/* The very numbers that the child wants, the other way round. */
	low[0] = dup(a[0]);
	low[1] = dup(b[0]);
	assert_int_equal(write(a[1], "3", 1), 1);
	assert_int_equal(write(b[1], "4", 1), 1);
	assert_int_equal(dup2(low[0], 4), 4);
	assert_int_equal(dup2(low[1], 3), 3);
	fds[0] = (struct os_pass_fd){4, 3};
	fds[1] = (struct os_pass_fd){3, 4};
	s.fds = fds;
	s.fd_cnt = 2;
	assert_int_equal(status_of(&s, "fds"), 0);
	for (int fd = 3; fd < 20; fd++)
		(void)close(fd);
}

static void
a_child_is_another_user_without_a_way_back(void **state)
{
	struct os_spawn s = {.drop = true,
			     .user = {OTHER_UID, OTHER_GID},
			     .die_with_parent = true};

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(status_of(&s, "user"), 0);
	s.drop = false;
	assert_int_equal(status_of(&s, "user"), 1);
}

static void
a_child_starts_with_signals_at_their_defaults(void **state)
{
	struct os_spawn s = {.die_with_parent = true};
	sigset_t set;
	sigset_t before;

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, &before);
	assert_int_equal(status_of(&s, "signals"), 0);
	(void)sigprocmask(SIG_SETMASK, NULL, &set);
	assert_true(sigismember(&set, SIGTERM));
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
}

static void
the_environment_is_the_given_one(void **state)
{
	const char *envp[] = {"ONLY=1", NULL};
	struct os_spawn s = {.envp = envp};

	(void)state;
	assert_int_equal(status_of(&s, "env"), 0);
}

static void
what_fails_before_exec_is_the_result(void **state)
{
	const char *argv[] = {"x", NULL};
	struct os_spawn s = {.path = "/nonexistent/x", .argv = argv};
	struct os_pass_fd bad = {999, 3};
	struct why why = {{0}};
	pid_t pid;

	(void)state;
	assert_int_equal(os_spawn(&s, &pid, &why), ERR_NOT_FOUND);
	assert_int_equal(pid, -1);
	assert_string_equal(why.text, "/nonexistent/x: cannot be executed: No "
				      "such file or directory");
	s.path = NULL;
	s.fds = &bad;
	s.fd_cnt = 1;
	assert_int_not_equal(os_spawn(&s, &pid, &why), ERR_OK);
	assert_non_null(strstr(why.text, "cannot pass its descriptors"));
	s.fd_cnt = 0;
	s.drop = true;
	assert_int_not_equal(os_spawn(&s, &pid, &why), ERR_OK);
	assert_non_null(strstr(why.text, "cannot become its user"));
	/* None is left as a zombie. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* -- descriptors ------------------------------------------------------- */

static void
a_descriptor_travels_with_its_bytes(void **state)
{
	uint8_t bytes[16];
	struct stat st;
	size_t len;
	int pair[2];
	int fd;
	int got;

	(void)state;
	assert_int_equal(os_socketpair(pair), ERR_OK);
	assert_int_equal(os_recv_fd(pair[1], bytes, 16, &len, &got), ERR_BUSY);
	assert_int_equal(os_memfd("t", 3, &fd), ERR_OK);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(pwrite(fd, "abc", 3, 0), 3);
	assert_int_equal(os_send_fd(pair[0], SLICE_LIT("hi"), fd), ERR_OK);
	assert_int_equal(os_send_fd(pair[0], SLICE_LIT("ho"), -1), ERR_OK);
	(void)close(fd);
	assert_int_equal(os_recv_fd(pair[1], bytes, 16, &len, &got), ERR_OK);
	assert_true(got >= 0);
	assert_true((fcntl(got, F_GETFD) & FD_CLOEXEC) != 0);
	assert_memory_equal(bytes, "hi", 2);
	assert_int_equal(pread(got, bytes, 16, 0), 3);
	assert_memory_equal(bytes, "abc", 3);
	(void)close(got);
	assert_int_equal(os_recv_fd(pair[1], bytes, 16, &len, &got), ERR_OK);
	assert_int_equal(got, -1);
	(void)close(pair[0]);
	assert_int_equal(os_recv_fd(pair[1], bytes, 16, &len, &got),
			 ERR_CLOSED);
	assert_int_equal(os_send_fd(pair[1], SLICE_LIT("x"), -1), ERR_CLOSED);
	(void)close(pair[1]);
}

static int
count_fds(void)
{
	int cnt = 0;

	for (int fd = 0; fd < 256; fd++)
		cnt += fcntl(fd, F_GETFD) >= 0;
	return cnt;
}

static void
a_second_descriptor_is_refused_and_none_leaks(void **state)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control = {.space = {0}};
	char byte = 'x';
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	const int two[2] = {0, 1};
	uint8_t bytes[4];
	size_t len;
	int before;
	int pair[2];
	int got;

	(void)state;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(two));
	memcpy(CMSG_DATA(&control.header), two, sizeof(two));
	assert_int_equal(os_socketpair(pair), ERR_OK);
	before = count_fds();
	assert_int_equal(sendmsg(pair[0], &msg, 0), 1);
	assert_int_equal(os_recv_fd(pair[1], bytes, 4, &len, &got),
			 ERR_PROTOCOL);
	assert_int_equal(got, -1);
	assert_int_equal(count_fds(), before);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void
the_machine_has_a_processor(void **state)
{
	(void)state;
	assert_true(os_cpu_count() >= 1);
	os_mem_trim();
}

/* -- service manager --------------------------------------------------- */

static void
the_service_manager_is_told(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char got[64] = {0};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	(void)unsetenv("NOTIFY_SOCKET");
	os_notify("READY=1");
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", folder);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	(void)setenv("NOTIFY_SOCKET", at.sun_path, 1);
	os_notify("READY=1\nSTATUS=x");
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), 16);
	assert_string_equal(got, "READY=1\nSTATUS=x");
	(void)unsetenv("NOTIFY_SOCKET");
	(void)close(fd);
}

static void
passed_sockets_are_for_this_process_only(void **state)
{
	char pid[32];

	(void)state;
	assert_int_equal(os_listen_fds(), 0);
	(void)setenv("LISTEN_FDS", "2", 1);
	(void)setenv("LISTEN_PID", "1", 1);
	assert_int_equal(os_listen_fds(), 0);
	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	(void)setenv("LISTEN_PID", pid, 1);
	assert_int_equal(os_listen_fds(), 2);
	(void)setenv("LISTEN_FDS", "-1", 1);
	assert_int_equal(os_listen_fds(), 0);
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_PID");
}

static int
make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int
remove_folder(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
open_files_are_raised_to_the_hard_limit(void **state)
{
	struct rlimit was;
	struct rlimit few;
	struct rlimit now;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = (struct rlimit){32, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_true(os_files_raise() > 32);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	assert_true(now.rlim_cur == was.rlim_max);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_replaced_as_a_whole_with_its_mode),
		cmocka_unit_test(
			a_failed_write_leaves_the_old_file_and_no_rest),
		cmocka_unit_test(files_above_the_maximum_are_refused),
		cmocka_unit_test(a_pipe_in_a_files_place_stops_nobody),
		cmocka_unit_test(what_cannot_be_read_is_named),
		cmocka_unit_test(secrets_are_read_from_pipes_too),
		cmocka_unit_test(
			folders_are_made_with_their_parents_and_mended),
		cmocka_unit_test(users_are_found_or_replaced_by_the_fallback),
		cmocka_unit_test(nobody_drops_to_root_or_to_someone_else),
		cmocka_unit_test(
			descriptors_reach_their_places_even_when_swapped),
		cmocka_unit_test(a_child_is_another_user_without_a_way_back),
		cmocka_unit_test(a_child_starts_with_signals_at_their_defaults),
		cmocka_unit_test(the_environment_is_the_given_one),
		cmocka_unit_test(what_fails_before_exec_is_the_result),
		cmocka_unit_test(a_descriptor_travels_with_its_bytes),
		cmocka_unit_test(a_second_descriptor_is_refused_and_none_leaks),
		cmocka_unit_test(the_machine_has_a_processor),
		cmocka_unit_test(open_files_are_raised_to_the_hard_limit),
		cmocka_unit_test(the_service_manager_is_told),
		cmocka_unit_test(passed_sockets_are_for_this_process_only),
	};

	if (argc > 1)
		return run_child(argv[1]);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
