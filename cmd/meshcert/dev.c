/* dev.c - meshcert dev: authority and agent on this machine, with one command
 * and no configuration, until ^C.
 *
 * The authority is started first; when it is ready it is asked, as its
 * operator would, for a join token, which the agent gets as its token file.
 * Both write logs into the folder. When either ends, so does the other. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "ev/ev.h"
#include "grpc/pbmem.h"
#include "meshcert/admin.h"
#include "meshcert/cmd.h"
#include "meshcert/sibling.h"
#include "os/os.h"
#include "pki/spiffe_id.h"
#include "proto/admin.pb-c.h"

enum {
	DEV_READY_MS = 20000,
	DEV_LOOK_MS = 50,
	DEV_END_MS = 10000,
	DEV_CHILDREN = 2
};

struct dev_opts {
	struct cmd_common common;
	const char *dir;
	const char *identity;
	const char *ttl;
};

static const struct opt dev_opts[] = {
	{"dir", 'd', OPT_TEXT, offsetof(struct dev_opts, dir), "DIR",
	 "where everything is kept, kept from run to run; "
	 "/tmp/meshcert-dev-UID when absent"},
	{"identity", 'i', OPT_TEXT, offsetof(struct dev_opts, identity),
	 "SPIFFE-ID",
	 "the workload's; spiffe://cluster.local/ns/default/sa/default when "
	 "absent"},
	{"ttl", 't', OPT_TEXT, offsetof(struct dev_opts, ttl), "DURATION",
	 "how long certificates live, to watch them rotate; 24h when absent"},
	CMD_OPTS_END,
};

struct dev_child {
	const char *name;
	char *log;
	pid_t pid; /* -1: not running */
	struct ev_child *watch;
	struct dev *dev;
};

struct dev {
	const struct dev_opts *opts;
	char *dir;
	char *data;
	struct spiffe_id id;
	char *ca_addr; /* once it is known */
	char *http_addr;
	char *status_addr;
	struct dev_child children[DEV_CHILDREN]; /* authority, agent */
	struct ev_loop *loop;
	struct ev_signal *signals[2];
	struct ev_timer *kill_timer;
	struct why why;
	bool stopping;
	bool failed;
};

static void
dev_sleep(void)
{
	struct timespec t = {0, DEV_LOOK_MS * 1000000L};

	(void)nanosleep(&t, NULL);
}

/* A program that ends while it is waited for has written why. */
static enum err
dev_check_alive(struct dev *d, struct dev_child *c)
{
	int status;

	if (waitpid(c->pid, &status, WNOHANG) != c->pid)
		return ERR_OK;
	c->pid = -1;
	return why_set(&d->why, ERR_UNAVAILABLE, "%s has ended; %s says why",
		       c->name, c->log);
}

/* ---- folder -------------------------------------------------------------- */

/* Under /tmp others may have put something there. */
static enum err
dev_make_dir(struct dev *d)
{
	struct stat st;
	enum err e;

	if (d->opts->dir != NULL)
		d->dir = mem_dup_str(d->opts->dir);
	else
		d->dir =
			mem_printf("/tmp/meshcert-dev-%u", (unsigned)geteuid());
	d->data = mem_printf("%s/ca", d->dir);
	if (strlen(d->dir) > 70)
		return why_set(&d->why, ERR_LIMIT,
			       "%s: the path is too long for the sockets in "
			       "it; 70 characters are allowed",
			       d->dir);
	e = os_dir_make(d->dir, 0755, (uid_t)-1, (gid_t)-1, &d->why);
	if (e != ERR_OK)
		return e;
	if (lstat(d->dir, &st) != 0 || !S_ISDIR(st.st_mode) ||
	    st.st_uid != geteuid())
		return why_set(&d->why, ERR_FORBIDDEN,
			       "%s is not a folder of ours: choose another "
			       "one with --dir",
			       d->dir);
	return ERR_OK;
}

/* ---- authority ----------------------------------------------------------- */

static enum err
dev_start_ca(struct dev *d)
{
	char *data = mem_printf("data_dir=%s", d->data);
	char *domain =
		mem_printf("trust_domain=%.*s", SLICE_FMT(d->id.trust_domain));
	char *addresses = mem_printf("%s/addresses.json", d->data);
	const char *argv[] = {"meshcert-ca",
			      "--set",
			      data,
			      "--set",
			      domain,
			      "--set",
			      "listen.grpc=127.0.0.1:0",
			      "--set",
			      "listen.http=127.0.0.1:0",
			      NULL};
	struct dev_child *c = &d->children[0];
	enum err e;

	/* The last run's would be taken for this one's. */
	(void)unlink(addresses);
	e = sibling_start(argv, c->log, &d->why, &c->pid);
	mem_free(data);
	mem_free(domain);
	mem_free(addresses);
	return e;
}

/* Its ports, once it has written them. */
static bool
dev_read_addresses(struct dev *d)
{
	char *path = mem_printf("%s/addresses.json", d->data);
	struct json *root = NULL;
	struct buf text;

	buf_init(&text, 65536);
	if (os_file_read(path, &text, NULL) == ERR_OK &&
	    json_parse(buf_get(&text), NULL, &root) == ERR_OK) {
		d->ca_addr =
			mem_dup_slice_str(json_str(json_get(root, "grpc")));
		d->http_addr =
			mem_dup_slice_str(json_str(json_get(root, "http")));
	}
	json_free(root);
	buf_fini(&text);
	mem_free(path);
	return d->ca_addr != NULL;
}

static bool
dev_is_ok(const char *addr, const char *path)
{
	struct buf body;
	int status = 0;
	bool ok;

	buf_init(&body, 65536);
	ok = call_get(addr, path, DEV_READY_MS, NULL, &status, &body) ==
		     ERR_OK &&
	     status == 200;
	buf_fini(&body);
	return ok;
}

static enum err
dev_await_ca(struct dev *d)
{
	struct dev_child *c = &d->children[0];
	struct mono end = mono_add_ms(mono_now(), DEV_READY_MS);
	enum err e;

	while (mono_is_before(mono_now(), end)) {
		if ((e = dev_check_alive(d, c)) != ERR_OK)
			return e;
		if (d->ca_addr != NULL || dev_read_addresses(d)) {
			if (dev_is_ok(d->http_addr, "/ready"))
				return ERR_OK;
		}
		dev_sleep();
	}
	return why_set(&d->why, ERR_TIMEOUT,
		       "the authority is not ready after %d s; %s says why",
		       DEV_READY_MS / 1000, c->log);
}

/* ---- agent --------------------------------------------------------------- */

static enum err
dev_write_token(struct dev *d, const char *path)
{
	Meshcert__Admin__V1__CreateTokenRequest rq;
	Meshcert__Admin__V1__CreateTokenResponse *rs;
	char *addr = admin_get_addr(NULL, d->data);
	char *identity = mem_dup_slice_str(d->id.text);
	struct call_answer answer = {0};
	struct pbmem mem;
	enum err e;

	pbmem_init(&mem, 16384);
	meshcert__admin__v1__create_token_request__init(&rq);
	rq.identity = identity;
	e = admin_call(addr, "/meshcert.admin.v1.Admin/CreateToken", &rq.base,
		       &d->why, &answer);
	if (e == ERR_OK && answer.status != GRPC_OK)
		e = why_set(&d->why, ERR_REFUSED, "a token for %s: %s",
			    identity, answer.text.text);
	if (e == ERR_OK) {
		struct slice bytes = secret_get(answer.message);

		rs = meshcert__admin__v1__create_token_response__unpack(
			pbmem_get(&mem), bytes.len, bytes.p);
		e = rs == NULL ? why_set(&d->why, ERR_SYNTAX,
					 "the authority's answer cannot be "
					 "read")
			       : os_file_write_atomic(path,
						      slice_of_str(rs->token),
						      0600, &d->why);
	}
	secret_wipe(mem.first, sizeof(mem.first));
	pbmem_fini(&mem);
	secret_free(answer.message);
	mem_free(identity);
	mem_free(addr);
	return e;
}

/* A port that is free now: the agent's log alone would tell which one it got
 * from the system. */
static enum err
dev_find_port(struct dev *d)
{
	char text[EV_ADDR_TEXT_MAX];
	enum err e;
	int fd;

	e = ev_bind("127.0.0.1:0", false, 0600, &d->why, &fd);
	if (e != ERR_OK)
		return e;
	ev_bound_text(fd, text);
	(void)close(fd);
	d->status_addr = mem_dup_str(text);
	return ERR_OK;
}

static enum err
dev_start_agent(struct dev *d)
{
	struct dev_child *c = &d->children[1];
	char *token = mem_printf("%s/join-token", d->dir);
	const char *ttl = d->opts->ttl != NULL ? d->opts->ttl : "24h";
	char *sets[] = {
		mem_printf("identity.spiffe_id=%.*s", SLICE_FMT(d->id.text)),
		mem_printf("identity.trust_domain=%.*s",
			   SLICE_FMT(d->id.trust_domain)),
		mem_printf("ca.address=%s", d->ca_addr),
		mem_printf("ca.root_file=%s/public/root-cert.pem", d->data),
		mem_printf("ca.token_file=%s", token),
		mem_printf("listen.socket=%s/agent.sock", d->dir),
		mem_printf("listen.files_socket=%s/files.sock", d->dir),
		mem_printf("listen.status=%s", d->status_addr),
		mem_printf("cert.ttl=%s", ttl),
		mem_printf("output.dir=%s/certs", d->dir),
		mem_dup_str("socket.foreign=false"),
	};
	const char *argv[2 * COUNT_OF(sets) + 2] = {"meshcert-agent"};
	char *certs = mem_printf("%s/certs", d->dir);
	enum err e;

	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		argv[2 * i + 1] = "--set";
		argv[2 * i + 2] = sets[i];
	}
	e = os_dir_make(certs, 0700, (uid_t)-1, (gid_t)-1, &d->why);
	if (e == ERR_OK)
		e = dev_write_token(d, token);
	if (e == ERR_OK)
		e = sibling_start(argv, c->log, &d->why, &c->pid);
	for (size_t i = 0; i < COUNT_OF(sets); i++)
		mem_free(sets[i]);
	mem_free(token);
	mem_free(certs);
	return e;
}

static enum err
dev_await_agent(struct dev *d)
{
	struct dev_child *c = &d->children[1];
	struct mono end = mono_add_ms(mono_now(), DEV_READY_MS);
	enum err e;

	while (mono_is_before(mono_now(), end)) {
		if ((e = dev_check_alive(d, c)) != ERR_OK)
			return e;
		if (dev_is_ok(d->status_addr, "/healthz/ready"))
			return ERR_OK;
		dev_sleep();
	}
	return why_set(&d->why, ERR_TIMEOUT,
		       "the agent has no certificate after %d s; %s says why",
		       DEV_READY_MS / 1000, c->log);
}

/* ---- while it runs ------------------------------------------------------- */

static void
dev_on_kill_timer(void *arg)
{
	struct dev *d = arg;

	for (size_t i = 0; i < DEV_CHILDREN; i++) {
		if (d->children[i].pid > 0)
			(void)kill(d->children[i].pid, SIGKILL);
	}
}

static void
dev_stop(struct dev *d)
{
	bool any = false;

	if (d->loop == NULL)
		return;
	for (size_t i = 0; i < DEV_CHILDREN; i++) {
		if (d->children[i].pid <= 0)
			continue;
		any = true;
		if (!d->stopping)
			(void)kill(d->children[i].pid, SIGTERM);
	}
	if (!d->stopping && any)
		(void)!ev_timer_start(d->loop, DEV_END_MS, dev_on_kill_timer, d,
				      &d->kill_timer);
	d->stopping = true;
	if (!any)
		ev_loop_stop(d->loop);
}

static void
dev_on_child(void *arg, pid_t pid, int exit_code, int term_signal)
{
	struct dev_child *c = arg;
	struct dev *d = c->dev;

	(void)pid;
	c->pid = -1;
	if (!d->stopping) {
		d->failed = true;
		(void)why_set(&d->why, ERR_UNAVAILABLE,
			      "%s has ended (%s %d); %s says why", c->name,
			      term_signal != 0 ? "signal" : "exit code",
			      term_signal != 0 ? term_signal : exit_code,
			      c->log);
	}
	dev_stop(d);
}

static void
dev_on_signal(void *arg, int signum)
{
	(void)signum;
	dev_stop(arg);
}

/* Before anything is started, so that a ^C in between ends it, too. */
static enum err
dev_open_loop(struct dev *d)
{
	static const int signums[] = {SIGINT, SIGTERM};
	enum err e;

	e = ev_loop_new(&d->loop);
	for (size_t i = 0; e == ERR_OK && i < COUNT_OF(signums); i++)
		e = ev_signal_start(d->loop, signums[i], dev_on_signal, d,
				    &d->signals[i]);
	return e == ERR_OK ? e
			   : why_set(&d->why, e, "event loop: %s", err_text(e));
}

static void
dev_wait(struct dev *d)
{
	for (size_t i = 0; i < DEV_CHILDREN; i++) {
		struct dev_child *c = &d->children[i];

		if (c->pid > 0 && ev_child_watch(d->loop, c->pid, dev_on_child,
						 c, &c->watch) != ERR_OK)
			d->stopping = true;
	}
	ev_loop_run(d->loop);
}

static void
dev_close(struct dev *d)
{
	for (size_t i = 0; i < DEV_CHILDREN; i++) {
		ev_child_cancel(&d->children[i].watch);
		mem_free(d->children[i].log);
	}
	ev_timer_cancel(&d->kill_timer);
	for (size_t i = 0; i < COUNT_OF(d->signals); i++)
		ev_signal_cancel(&d->signals[i]);
	if (d->loop != NULL)
		ev_loop_free(d->loop);
	mem_free(d->dir);
	mem_free(d->data);
	mem_free(d->ca_addr);
	mem_free(d->http_addr);
	mem_free(d->status_addr);
}

/* ---- the command --------------------------------------------------------- */

/* Lines that a shell can read. */
static int
dev_print(const struct cmd *cmd, const struct dev *d)
{
	struct buf out;
	int code;

	buf_init(&out, CMD_OUT_MAX);
	(void)buf_printf(
		&out,
		"# authority and agent run until ^C; logs and data: %s\n"
		"# the workload is %.*s\n"
		"export SPIFFE_ENDPOINT_SOCKET=unix:%s/agent.sock\n"
		"export SDS_SOCKET=%s/agent.sock\n"
		"export CA_ADDR=%s\n"
		"export CA_ROOT_CA=%s/public/root-cert.pem\n"
		"export MESHCERT_CERTS=%s/certs\n"
		"# meshcert secret --socket %s/agent.sock\n"
		"# meshcert status --data-dir %s --agent %s\n"
		"# meshcert token create --data-dir %s --identity "
		"spiffe://%.*s/...\n",
		d->dir, SLICE_FMT(d->id.text), d->dir, d->dir, d->ca_addr,
		d->data, d->dir, d->dir, d->data, d->status_addr, d->data,
		SLICE_FMT(d->id.trust_domain));
	code = cmd_print(cmd, &out);
	buf_fini(&out);
	return code;
}

static enum err
dev_start(struct dev *d)
{
	enum err e;

	if ((e = dev_make_dir(d)) != ERR_OK)
		return e;
	d->children[0] = (struct dev_child){
		"meshcert-ca", mem_printf("%s/ca.log", d->dir), -1, NULL, d};
	d->children[1] = (struct dev_child){"meshcert-agent",
					    mem_printf("%s/agent.log", d->dir),
					    -1, NULL, d};
	if ((e = dev_open_loop(d)) != ERR_OK)
		return e;
	if ((e = dev_start_ca(d)) != ERR_OK)
		return e;
	if ((e = dev_await_ca(d)) != ERR_OK)
		return e;
	if ((e = dev_find_port(d)) != ERR_OK)
		return e;
	if ((e = dev_start_agent(d)) != ERR_OK)
		return e;
	return dev_await_agent(d);
}

static int
dev_run(const struct cmd *cmd, void *target, int argc, char **argv)
{
	struct dev d = {.opts = target, .children = {{.pid = -1}, {.pid = -1}}};
	const char *identity = d.opts->identity;
	int64_t ttl_ms;
	int code;
	enum err e;

	if (argc > 0)
		return cmd_usage(cmd, "%.60s: arguments are not expected",
				 argv[0]);
	if (identity == NULL)
		identity = "spiffe://cluster.local/ns/default/sa/default";
	e = spiffe_id_parse(slice_of_str(identity), &d.why, &d.id);
	if (e != ERR_OK)
		return cmd_usage(cmd, "--identity: %s", d.why.text);
	code = cmd_read_duration(cmd, "ttl", d.opts->ttl, &ttl_ms);
	if (code != CMD_GOOD)
		return code;
	e = dev_start(&d);
	if (e == ERR_OK)
		code = dev_print(cmd, &d);
	else
		dev_stop(&d);
	if (d.children[0].pid > 0 || d.children[1].pid > 0)
		dev_wait(&d);
	if (e != ERR_OK || d.failed)
		code = cmd_fail(cmd, CMD_BAD, "%s", d.why.text);
	dev_close(&d);
	return code;
}

const struct cmd cmd_dev = {
	.name = "dev",
	.args = "",
	.summary = "authority and agent on this machine, with one command",
	.about = "dev starts an authority and an agent on loopback, with all "
		 "at its default,\n"
		 "and joins the agent by a token. It prints the environment "
		 "that a client\n"
		 "needs (eval it) and runs until ^C. Certificates are served "
		 "over SDS and the\n"
		 "SPIFFE Workload API, and kept as files in DIR/certs.",
	.opts = dev_opts,
	.size = sizeof(struct dev_opts),
	.run = dev_run,
};
