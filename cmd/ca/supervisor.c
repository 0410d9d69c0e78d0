/* supervisor.c - the process that was started: configuration, ports, folders
 * and the roles. It sees no bytes from the network and reads no keys: a
 * plugged-in CA's files are opened here (as root they may be readable for
 * nobody else) and handed to the signer unread.
 *
 * Signals: TERM and INT stop cleanly, HUP reads the configuration again, USR2
 * replaces the program by a newer one: roles end, the listening sockets stay
 * open, and the new program takes them over. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/version.h"
#include "ca/conf.h"
#include "ca/metrics.h"
#include "ca/roles.h"
#include "ca/supervisor_int.h"
#include "crypto/path.h"
#include "ev/ev.h"
#include "ipc/supervise.h"
#include "os/os.h"

enum {
	/* Files of others that could not be read. */
	AGAIN_FIRST_MS = 1000,
	AGAIN_MAX_MS = 60000
};

static void supervisor_on_again(void *arg);

const char *const supervisor_listen_names[LISTEN_CNT] = {
	"listen.grpc", "listen.http", "listen.admin"};

static const struct supervise_link links[] = {
	{"front", "authority"},
	{"authority", "signer"},
	{"front", "fetch"},
	{NULL, NULL},
};

/* ---- configuration ----------------------------------------------------- */

/* The file's text with the --set options behind it, as the roles get it. */
static enum err
supervisor_read_config(const struct supervisor *s, struct buf *out,
		       struct why *why)
{
	enum err ret = ERR_OK;

	if (s->args->config != NULL)
		ret = os_file_read(s->args->config, out, why);
	return ret;
}

static enum err
supervisor_load(struct supervisor *s, struct buf *text, struct ca_conf *conf,
		struct why *why)
{
	const char *name =
		s->args->config == NULL ? "defaults" : s->args->config;
	struct buf effective;
	enum err ret;

	ret = supervisor_read_config(s, text, why);
	if (ret != ERR_OK)
		return ret;
	if ((ret = ca_conf_parse(buf_get(text), name, conf, why)) != ERR_OK)
		return ret;
	for (const char *const *set = s->args->set; *set != NULL; set++) {
		ret = ca_conf_set(conf, *set, why);
		if (ret != ERR_OK)
			return ret;
	}
	/* Roles get what is effective, so that options count for them too. */
	buf_init(&effective, CONFIG_MAX);
	ret = conf_print(ca_conf_keys, conf, &effective);
	buf_reset(text);
	if (ret == ERR_OK)
		ret = buf_put(text, buf_get(&effective));
	buf_fini(&effective);
	return ret;
}

/* What roles take over while they run. */
static bool
supervisor_may_reload(const char *name)
{
	static const char *const names[] = {
		"drain",         "start",         "log.",   "cert.",
		"csr.",          "token.",        "limit.", "serving.ttl",
		"serving.names", "audit.on_full", "record."};

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (strncmp(name, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

/* All or nothing: roles of which some know the new value and others (those
 * that are restarted later) the old one would contradict each other. */
static void
supervisor_reload(struct supervisor *s)
{
	struct ca_conf fresh = {0};
	struct ca_conf old;
	struct why why = {0};
	struct buf text;
	enum err ret;

	buf_init(&text, CONFIG_MAX);
	ret = supervisor_load(s, &text, &fresh, &why);
	if (ret == ERR_OK)
		ret = conf_check_change(ca_conf_keys, &s->conf, &fresh,
					supervisor_may_reload, &why);
	if (ret != ERR_OK) {
		log_error("supervisor.reload",
			  "%s; the configuration before it stays in force",
			  why_text(&why, ret));
	} else {
		log_info("supervisor.reload", "configuration read again");
		ca_conf_apply_log(&fresh);
		old = s->conf;
		s->conf = fresh;
		fresh = old;
		s->opts.start_ms = (uint64_t)s->conf.start_ms;
		supervise_reload(s->roles_run, buf_get(&text));
	}
	ca_conf_free(&fresh);
	buf_fini(&text);
}

/* ---- sockets and folders ----------------------------------------------- */

static const char *
supervisor_listen_addr(const struct supervisor *s, size_t i, char *room,
		       size_t cap)
{
	switch (i) {
	case LISTEN_GRPC:
		return s->conf.listen_grpc;
	case LISTEN_HTTP:
		return s->conf.listen_http;
	default:
		if (s->conf.listen_admin != NULL && *s->conf.listen_admin)
			(void)snprintf(room, cap, "unix:%s",
				       s->conf.listen_admin);
		else
			(void)snprintf(room, cap, "unix:%s/admin.sock",
				       s->conf.data_dir);
		return room;
	}
}

/* Sockets that systemd or the program before us left open, in our order. */
static void
supervisor_inherit(struct supervisor *s)
{
	const char *names = getenv("LISTEN_FDNAMES");
	struct slice rest = slice_of_str(names);
	int cnt = os_listen_fds();

	for (int i = 0; i < cnt; i++) {
		struct slice name = SLICE_NONE;
		size_t at = (size_t)i;

		if (slice_split(&rest, ':', &name)) {
			for (size_t k = 0; k < LISTEN_CNT; k++) {
				if (slice_is_str(name,
						 supervisor_listen_names[k] +
							 7))
					at = k;
			}
		}
		if (at < LISTEN_CNT && s->listen[at] < 0)
			s->listen[at] = 3 + i;
	}
}

static enum err
supervisor_bind(struct supervisor *s, struct why *why)
{
	char room[512];

	supervisor_inherit(s);
	for (size_t i = 0; i < LISTEN_CNT; i++) {
		const char *addr =
			supervisor_listen_addr(s, i, room, sizeof(room));
		enum err ret;

		if (s->listen[i] >= 0 || addr == NULL || *addr == '\0')
			continue;
		ret = ev_bind(addr, false, 0600, why, &s->listen[i]);
		if (ret != ERR_OK)
			return why_prefix(why, ret, "%s",
					  supervisor_listen_names[i]);
	}
	return ERR_OK;
}

static enum err
supervisor_make_dirs(struct supervisor *s, struct why *why)
{
	static const struct {
		const char *leaf;
		int role;
		mode_t mode;
	} dirs[] = {
		{"store", ROLE_AUTHORITY, 0700},
		{"audit", ROLE_AUTHORITY, 0700},
		{"issuer", ROLE_SIGNER, 0700},
		/* What anybody may read: the roots. */
		{"public", ROLE_AUTHORITY, 0755},
	};
	enum err ret;

	/* Root's own: whoever owned it could put links in the place of the
	 * folders below, which are given away to roles. */
	ret = os_dir_make(s->conf.data_dir, 0755,
			  geteuid() == 0 ? 0 : (uid_t)-1,
			  geteuid() == 0 ? 0 : (gid_t)-1, why);
	for (size_t i = 0; ret == ERR_OK && i < COUNT_OF(dirs); i++) {
		const struct supervise_role *r = &s->roles[dirs[i].role];
		char *path = ca_conf_path(&s->conf, dirs[i].leaf);

		ret = os_dir_make(path, dirs[i].mode,
				  r->drop ? r->user.uid : (uid_t)-1,
				  r->drop ? r->user.gid : (gid_t)-1, why);
		mem_free(path);
	}
	return ret;
}

/* ---- roles ------------------------------------------------------------- */

static char *
supervisor_find_fetch(const struct supervisor *s)
{
	char self[4096];
	ssize_t len;
	char *path;

	if (s->conf.fetch_path != NULL && *s->conf.fetch_path != '\0')
		return mem_dup_str(s->conf.fetch_path);
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[len < 0 ? 0 : len] = '\0';
	if (strrchr(self, '/') != NULL)
		*strrchr(self, '/') = '\0';
	path = mem_printf("%s/meshcert-fetch", self);
	if (os_file_exists(path))
		return path;
	mem_free(path);
	return mem_printf("%s/../libexec/meshcert/meshcert-fetch", self);
}

static bool
supervisor_needs_fetch(const struct supervisor *s)
{
	for (size_t i = 0; i < s->conf.jwt.cnt; i++) {
		const char *url = ca_conf_get_jwt(&s->conf, i)->jwks_url;

		if (url != NULL && *url != '\0')
			return true;
	}
	return false;
}

static enum err
supervisor_set_user(const struct supervisor *s, struct supervise_role *r,
		    unsigned number, struct why *why)
{
	char *name;
	enum err ret;

	if (geteuid() != 0)
		return ERR_OK;
	name = mem_printf("%s%s", s->conf.user_prefix, r->name);
	ret = os_user_find(name, (uid_t)s->conf.uid_base + number, &r->user);
	if (ret != ERR_OK)
		why_set(why, ret, "user %s for role %s", name, r->name);
	r->drop = true;
	mem_free(name);
	return ret;
}

static enum err
supervisor_plan_roles(struct supervisor *s, struct why *why)
{
	unsigned fronts =
		s->conf.fronts == 0 ? os_cpu_count() : (unsigned)s->conf.fronts;

	s->roles[ROLE_SIGNER] = (struct supervise_role){
		.name = "signer", .count = 1, .has_metrics = true};
	s->roles[ROLE_AUTHORITY] = (struct supervise_role){
		.name = "authority", .count = 1, .has_metrics = true};
	s->roles[ROLE_PUBLIC] =
		(struct supervise_role){.name = "public", .count = 1};
	s->roles[ROLE_FETCH] = (struct supervise_role){
		.name = "fetch",
		.count = supervisor_needs_fetch(s) ? 1 : 0,
		.path = s->fetch_path,
		.on_demand = true};
	s->roles[ROLE_FRONT] =
		(struct supervise_role){.name = "front",
					.count = fronts > 64 ? 64 : fronts,
					.has_metrics = true};
	for (unsigned i = 0; i < ROLE_CNT; i++) {
		enum err ret = supervisor_set_user(s, &s->roles[i], i, why);

		if (ret != ERR_OK)
			return ret;
	}
	return ERR_OK;
}

/* ---- files of others, handed over unread ------------------------------- */

/* Nobody writes a file anew because it could not be read once. */
static void
supervisor_plan_again(void *arg)
{
	struct supervisor *s = arg;

	if (s->again != NULL)
		return;
	must(ev_timer_start(s->loop, s->again_ms, supervisor_on_again, s,
			    &s->again) == ERR_OK);
	log_error("supervisor.file",
		  "a file of issuer.dir, or serving.cert or serving.key, could "
		  "not be read: what was read before stays in force, tried "
		  "again in %llu s",
		  (unsigned long long)s->again_ms / 1000);
	s->again_ms *= 2;
	if (s->again_ms > AGAIN_MAX_MS)
		s->again_ms = AGAIN_MAX_MS;
}

/* Whether it was given, or is not there. */
static bool
supervisor_give_file(struct supervisor *s, struct supervised *one,
		     const char *role, const char *name, const char *path)
{
	struct why why = {0};
	enum err ret;
	int fd;

	ret = os_file_open(path, &fd, &why);
	/* Of a plugged-in CA's names most are not there. */
	if (ret == ERR_NOT_FOUND) {
		log_debug("supervisor.file", "%s", why.text);
		return true;
	}
	if (ret != ERR_OK) {
		log_error("supervisor.file", "%s", why_text(&why, ret));
		supervisor_plan_again(s);
		return false;
	}
	if (one != NULL)
		ret = supervise_give(one, name, fd);
	else
		ret = supervise_give_all(s->roles_run, role, name, fd);
	(void)close(fd);
	if (ret != ERR_OK)
		supervisor_plan_again(s);
	return ret == ERR_OK;
}

/* one NULL: to all living signers. The set begins and ends with descriptors
 * that mean nothing else, so that it is judged whole; one of which a file could
 * not be given has no end. */
static void
supervisor_give_issuer(struct supervisor *s, struct supervised *one)
{
	static const char *const files[] = {
		"ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem",
		"tls.crt",     "tls.key",    "ca.crt"};

	bool good = supervisor_give_file(s, one, "signer", "issuer.begin",
					 "/dev/null");

	for (size_t i = 0; good && i < COUNT_OF(files); i++) {
		char *path = mem_printf("%s/%s", s->conf.issuer_dir, files[i]);
		char *name = mem_printf("issuer.%s", files[i]);

		good = supervisor_give_file(s, one, "signer", name, path);
		mem_free(path);
		mem_free(name);
	}
	if (good)
		(void)supervisor_give_file(s, one, "signer", "issuer.end",
					   "/dev/null");
}

static void
supervisor_give_serving(struct supervisor *s, struct supervised *one)
{
	if (supervisor_give_file(s, one, "front", "serving.cert",
				 s->conf.serving_cert))
		(void)supervisor_give_file(s, one, "front", "serving.key",
					   s->conf.serving_key);
}

static void
supervisor_give_files(struct supervisor *s)
{
	if (s->conf.issuer_kind == CA_ISSUER_FILES)
		supervisor_give_issuer(s, NULL);
	if (s->conf.serving_kind == CA_SERVING_FILES)
		supervisor_give_serving(s, NULL);
}

static void
supervisor_on_again(void *arg)
{
	supervisor_give_files(arg);
}

static void
supervisor_on_issuer_change(void *arg)
{
	struct supervisor *s = arg;

	s->again_ms = AGAIN_FIRST_MS;
	supervisor_give_issuer(s, NULL);
}

static void
supervisor_on_serving_change(void *arg)
{
	struct supervisor *s = arg;

	s->again_ms = AGAIN_FIRST_MS;
	supervisor_give_serving(s, NULL);
}

static void
supervisor_watch_dir_of(struct supervisor *s, const char *file, ev_watch_cb *cb,
			struct ev_watch **watch)
{
	char *dir = os_dup_parent(file);

	if (ev_watch_start(s->loop, dir, cb, s, watch) != ERR_OK)
		log_warn(
			"supervisor.watch",
			"%s cannot be watched: changes count after SIGHUP only",
			dir);
	mem_free(dir);
}

static void
supervisor_watch_files(struct supervisor *s)
{
	if (s->conf.issuer_kind == CA_ISSUER_FILES) {
		char *any = mem_printf("%s/.", s->conf.issuer_dir);

		supervisor_watch_dir_of(s, any, supervisor_on_issuer_change,
					&s->issuer_watch);
		mem_free(any);
	}
	if (s->conf.serving_kind == CA_SERVING_FILES)
		supervisor_watch_dir_of(s, s->conf.serving_cert,
					supervisor_on_serving_change,
					&s->serving_watch);
}

/* ---- events ------------------------------------------------------------ */

static void
supervisor_on_spawn(void *arg, struct supervised *role, const char *name,
		    unsigned index)
{
	struct supervisor *s = arg;
	size_t socket = LISTEN_CNT;

	(void)index;
	if (strcmp(name, "front") == 0)
		socket = LISTEN_GRPC;
	else if (strcmp(name, "public") == 0)
		socket = LISTEN_HTTP;
	else if (strcmp(name, "authority") == 0)
		socket = LISTEN_ADMIN;
	if (socket < LISTEN_CNT && s->listen[socket] >= 0)
		(void)supervise_give(role, supervisor_listen_names[socket],
				     s->listen[socket]);
	if (strcmp(name, "signer") == 0 &&
	    s->conf.issuer_kind == CA_ISSUER_FILES)
		supervisor_give_issuer(s, role);
	if (strcmp(name, "front") == 0 &&
	    s->conf.serving_kind == CA_SERVING_FILES)
		supervisor_give_serving(s, role);
}

/* Where we listen, for people and scripts: the ports may be the system's
 * choice. */
static void
supervisor_write_addresses(struct supervisor *s)
{
	char *path = ca_conf_path(&s->conf, "addresses.json");
	struct why why = {0};
	struct buf text;
	struct jsonw w;

	buf_init(&text, 4096);
	jsonw_init(&w, &text);
	jsonw_object_open(&w);
	jsonw_pair_int(&w, "pid", getpid());
	for (size_t i = 0; i < LISTEN_CNT; i++) {
		char addr[EV_ADDR_TEXT_MAX];
		char room[512];

		if (s->listen[i] < 0)
			continue;
		ev_bound_text(s->listen[i], addr);
		jsonw_pair_str(
			&w, supervisor_listen_names[i] + 7,
			slice_of_str(i == LISTEN_ADMIN
					     ? supervisor_listen_addr(
						       s, i, room, sizeof(room))
					     : addr));
	}
	jsonw_object_close(&w);
	(void)buf_put_str(&text, "\n");
	if (os_file_write_atomic(path, buf_get(&text), 0644, &why) != ERR_OK)
		log_warn("supervisor.addresses", "%s", why.text);
	buf_fini(&text);
	mem_free(path);
}

static void
supervisor_on_ready(void *arg)
{
	struct supervisor *s = arg;
	char grpc[EV_ADDR_TEXT_MAX] = "-";
	char http[EV_ADDR_TEXT_MAX] = "-";

	ev_bound_text(s->listen[LISTEN_GRPC], grpc);
	if (s->listen[LISTEN_HTTP] >= 0)
		ev_bound_text(s->listen[LISTEN_HTTP], http);
	log_info("supervisor.ready", "trust_domain=%s grpc=%s http=%s data=%s",
		 s->conf.trust_domain, grpc, http, s->conf.data_dir);
	if (!s->was_ready)
		os_notify("READY=1");
	s->was_ready = true;
}

static void
supervisor_on_stopped(void *arg)
{
	struct supervisor *s = arg;

	ev_loop_stop(s->loop);
}

void
supervisor_stop(struct supervisor *s)
{
	log_info("supervisor.stop", "%s",
		 s->upgrade ? "a newer program takes over" : "stopping");
	os_notify(s->upgrade ? "RELOADING=1" : "STOPPING=1");
	supervise_stop(s->roles_run, (uint64_t)s->conf.drain_ms);
}

static void
supervisor_on_signal(void *arg, int signum)
{
	struct supervisor *s = arg;

	if (signum == SIGHUP) {
		os_notify("RELOADING=1");
		supervisor_reload(s);
		supervisor_give_files(s);
		os_notify("READY=1");
		return;
	}
	if (signum == SIGUSR2)
		supervisor_start_upgrade(s);
	else
		supervisor_stop(s);
}

/* ---- life -------------------------------------------------------------- */

static enum err
supervisor_open(struct supervisor *s, struct why *why)
{
	static const int signums[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2};
	enum err ret;

	s->fetch_path = supervisor_find_fetch(s);
	if ((ret = supervisor_plan_roles(s, why)) != ERR_OK)
		return ret;
	if ((ret = supervisor_plan_sandbox(s, why)) != ERR_OK)
		return ret;
	if ((ret = supervisor_make_dirs(s, why)) != ERR_OK)
		return ret;
	if ((ret = supervisor_bind(s, why)) != ERR_OK)
		return ret;
	if ((ret = ev_loop_new(&s->loop)) != ERR_OK)
		return why_set(why, ret, "event loop");
	for (size_t i = 0; i < COUNT_OF(signums); i++) {
		ret = ev_signal_start(s->loop, signums[i], supervisor_on_signal,
				      s, &s->signals[i]);
		if (ret != ERR_OK)
			return why_set(why, ret, "signals");
	}
	s->opts = (struct supervise_opts){
		.program = CA_PROGRAM,
		.roles = s->roles,
		.links = links,
		.metrics = ca_metrics,
		.metrics_reader = "public",
		.start_ms = (uint64_t)s->conf.start_ms,
		.on_spawn = supervisor_on_spawn,
		.on_again = supervisor_plan_again,
		.on_ready = supervisor_on_ready,
		.on_stopped = supervisor_on_stopped,
		.arg = s,
	};
	ret = supervise_new(s->loop, &s->opts, buf_get(&s->config_text),
			    &s->roles_run);
	if (ret != ERR_OK)
		return why_set(why, ret, "roles: %s", err_text(ret));
	supervisor_write_addresses(s);
	supervisor_watch_files(s);
	return supervise_start(s->roles_run, why);
}

static void
supervisor_close(struct supervisor *s)
{
	ev_child_cancel(&s->check);
	ev_watch_cancel(&s->issuer_watch);
	ev_watch_cancel(&s->serving_watch);
	ev_timer_cancel(&s->again);
	for (size_t i = 0; i < COUNT_OF(s->signals); i++)
		ev_signal_cancel(&s->signals[i]);
	supervise_free(s->roles_run);
	s->roles_run = NULL;
	supervisor_free_sandbox(s);
}

static int
supervisor_print(struct supervisor *s)
{
	struct buf text;

	if (s->args->print_config || s->args->print_template) {
		buf_init(&text, CONFIG_MAX);
		(void)(s->args->print_config ? conf_print : conf_print_changed)(
			ca_conf_keys, &s->conf, &text);
		(void)fwrite(buf_get(&text).p, 1, buf_len(&text), stdout);
		buf_fini(&text);
	} else {
		(void)printf("%s: the configuration is good\n", CA_PROGRAM);
	}
	return 0;
}

static int
supervisor_run(struct supervisor *s)
{
	const struct ca_args *args = s->args;
	struct why why = {0};
	enum err ret;

	ret = supervisor_load(s, &s->config_text, &s->conf, &why);
	if (ret != ERR_OK) {
		log_error("supervisor.config", "%s", why_text(&why, ret));
		return 2;
	}
	if (args->check || args->print_config || args->print_template)
		return supervisor_print(s);
	secret_process_init();
	os_close_from(STDERR_FILENO + 1 + os_listen_fds());
	(void)umask(022);
	ca_conf_apply_log(&s->conf);
	log_info("supervisor.start", "version=%s crypto=\"%s\" pid=%d",
		 VERSION_TEXT, crypto_library_version(), (int)getpid());
	if ((ret = supervisor_confine(s, &why)) != ERR_OK ||
	    (ret = supervisor_open(s, &why)) != ERR_OK) {
		log_error("supervisor.start", "%s", why_text(&why, ret));
		return 1;
	}
	ev_loop_run(s->loop);
	supervisor_close(s);
	return s->upgrade ? supervisor_exec(s) : s->exit_code;
}

int
ca_supervisor_main(const struct ca_args *args)
{
	struct supervisor *s = MEM_NEW(struct supervisor);
	int code;

	s->args = args;
	s->again_ms = AGAIN_FIRST_MS;
	for (size_t i = 0; i < LISTEN_CNT; i++)
		s->listen[i] = -1;
	log_init(CA_PROGRAM, "supervisor");
	buf_init(&s->config_text, CONFIG_MAX);
	code = supervisor_run(s);
	ca_conf_free(&s->conf);
	buf_fini(&s->config_text);
	mem_free(s);
	return code;
}
