/* agent.c - the parts of the agent put together: what the start chooses, the
 * names of the table, signals, the end. */
#include "agent/agent.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/confine.h"
#include "agent/output.h"
#include "agent/renew.h"
#include "agent/socket.h"
#include "agent/status.h"
#include "base/mem.h"
#include "base/version.h"
#include "crypto/path.h"
#include "os/os.h"

enum {
	SIGNALS = 4
};

struct agent_run {
	struct agent a;
	struct socket_probe *probe;
	struct ev_signal *signals[SIGNALS];
	int exit_code;
};

/* ---- default certificates from files ------------------------------------- */

/* The folder's three files, or NULL. */
static bool
find_files(const char *dir, const char *const names[3], char *found[3])
{
	bool every = true;

	for (size_t i = 0; i < 3; i++) {
		found[i] = mem_printf("%s/%s", dir, names[i]);
		if (!os_file_exists(found[i]))
			mem_free(TAKE(found[i]));
		every &= found[i] != NULL;
	}
	return every;
}

static bool
is_same_dir(const char *a, const char *b)
{
	struct stat sa, sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 &&
	       sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static void
set_defaults(struct agent *a, char *found[3])
{
	mem_free(a->defaults.chain);
	mem_free(a->defaults.key);
	mem_free(a->defaults.root);
	a->defaults =
		(struct agent_default_files){found[0], found[1], found[2]};
	found[0] = found[1] = found[2] = NULL;
}

/* Istio's order: the platform's workload certificates, then mounted ones. A
 * folder that we write ourselves is no source. */
static enum err
choose_mode(struct agent *a, struct why *why)
{
	static const char *const istio[] = {"cert-chain.pem", "key.pem",
					    "root-cert.pem"};
	static const char *const gke[] = {"certificates.pem", "private_key.pem",
					  "ca_certificates.pem"};
	static const char creds[] =
		"./var/run/secrets/workload-spiffe-credentials";
	static const char mounted[] = "./etc/certs";
	const struct agent_conf *c = &a->conf;
	bool is_gke = c->ca_provider == AGENT_PROVIDER_GKE;
	char *found[3];
	bool every;

	a->mode = AGENT_MODE_CA;
	every = find_files(creds, is_gke ? gke : istio, found);
	if (every || is_gke) {
		a->mode = AGENT_MODE_FILES;
		set_defaults(a, found);
		return every ? ERR_OK
			     : why_set(why, ERR_CONFIG,
				       "ca.provider is GkeWorkloadCertificate "
				       "but %s does not hold %s, %s and %s",
				       creds, gke[0], gke[1], gke[2]);
	}
	mem_free(found[0]);
	mem_free(found[1]);
	mem_free(found[2]);
	every = find_files(mounted, istio, found);
	if (c->output_dir != NULL && is_same_dir(mounted, c->output_dir))
		every = false;
	else if (found[0] != NULL && found[1] != NULL)
		set_defaults(a, found);
	mem_free(found[0]);
	mem_free(found[1]);
	mem_free(found[2]);
	if (every || c->files_mounted || c->ca_provider == AGENT_PROVIDER_NONE)
		a->mode = AGENT_MODE_FILES;
	return ERR_OK;
}

/* ---- names --------------------------------------------------------------- */

static bool
agent_on_resolve(void *arg, const char *name)
{
	struct agent *a = arg;
	char *td;
	bool served;

	if (a->renew != NULL && agent_renew_serves(a->renew, name))
		return true;
	if (a->mode == AGENT_MODE_FILES) {
		td = mem_printf("spiffe://%s", a->conf.trust_domain);
		served = strcmp(name, AGENT_NAME_DEFAULT) == 0 ||
			 strcmp(name, AGENT_NAME_ROOT) == 0 ||
			 strcmp(name, a->conf.identity) == 0 ||
			 strcmp(name, td) == 0;
		mem_free(td);
		if (served)
			return true;
	}
	return agent_files_resolve(a->files, name);
}

static void
agent_on_release(void *arg, const char *name)
{
	struct agent *a = arg;

	agent_files_release(a->files, name);
}

/* ---- start --------------------------------------------------------------- */

static void
agent_fail(struct agent_run *r, const char *what, const struct why *why,
	   enum err e)
{
	log_error("start", "%s: %s", what, why_text(why, e));
	r->exit_code = 1;
	ev_loop_stop(r->a.loop);
}

/* The request to the CA goes out first: its answer is what all wait for. */
static void
agent_serve(struct agent_run *r, const char *path)
{
	struct agent *a = &r->a;
	struct why why = {0};
	enum err ret;

	if (a->mode == AGENT_MODE_CA)
		a->renew = agent_renew_new(a);
	if (a->defaults.chain != NULL || a->defaults.root != NULL)
		agent_files_start_defaults(a->files);
	ret = agent_socket_new(a, path, &why, &a->socket);
	if (ret != ERR_OK) {
		agent_fail(r, path, &why, ret);
		return;
	}
	if (a->mode != AGENT_MODE_FOREIGN && a->conf.output_dir != NULL &&
	    *a->conf.output_dir != '\0') {
		ret = agent_output_new(a, &why, &a->output);
		if (ret != ERR_OK) {
			agent_fail(r, "output.dir", &why, ret);
			return;
		}
	}
	/* After it no socket for the service manager is to be had. */
	os_notify("READY=1");
	if ((ret = agent_confine_settle(a, &why)) != ERR_OK)
		agent_fail(r, "sandbox", &why, ret);
}

static void
agent_on_probe(void *arg, enum socket_found found)
{
	struct agent_run *r = arg;
	const struct agent_conf *c = &r->a.conf;
	struct why why = {0};

	r->probe = NULL;
	if (found == SOCKET_CLOSED) {
		agent_fail(r, c->listen_socket, &why,
			   why_set(&why, ERR_EXISTS,
				   "somebody serves there and lets this user "
				   "not in: let it (socket.allow of another "
				   "agent), stop it, or choose another "
				   "listen.socket"));
		return;
	}
	if (found == SOCKET_DEAD) {
		log_warn("socket", "%s: a dead socket, replaced",
			 c->listen_socket);
		(void)unlink(c->listen_socket);
		agent_serve(r, c->listen_socket);
		return;
	}
	if (!c->socket_foreign) {
		agent_fail(
			r, c->listen_socket, &why,
			why_set(&why, ERR_EXISTS,
				"an SDS server serves there already and "
				"socket.foreign is false: stop it, or choose "
				"another listen.socket"));
		return;
	}
	r->a.mode = AGENT_MODE_FOREIGN;
	log_info("socket",
		 "%s: an SDS server (SPIRE, another agent) serves there; only "
		 "file certificates are served here",
		 c->listen_socket);
	agent_serve(r, c->listen_files_socket);
}

/* Istio's start-up choice: see reference in doc/architecture.md. */
static enum err
agent_choose_socket(struct agent_run *r, struct why *why)
{
	const char *path = r->a.conf.listen_socket;
	struct stat st;

	if (lstat(path, &st) != 0) {
		if (r->a.conf.socket_custom)
			return why_set(
				why, ERR_CONFIG,
				"WORKLOAD_IDENTITY_SOCKET_FILE names %s, which "
				"is not there: start the SDS server that makes "
				"it first, or unset the variable",
				path);
		agent_serve(r, path);
		return ERR_OK;
	}
	if (!S_ISSOCK(st.st_mode))
		return why_set(why, ERR_CONFIG,
			       "listen.socket: %s is there and is not a socket",
			       path);
	return socket_probe_start(r->a.loop, path, agent_on_probe, r,
				  &r->probe);
}

/* What is looked at anew each time that it is needed; paths are not, because
 * the sandbox knows those of the start only. */
static bool
agent_may_reload(const char *name)
{
	static const char *const names[] = {
		"log.",           "ca.address",
		"ca.server_name", "ca.renew_by_cert",
		"ca.cluster_id",  "ca.cert_signer",
		"ca.headers",     "ca.timeout",
		"ca.retry_",      "ca.unauthenticated_for",
		"chain.",         "cert.",
		"key.",           "files.debounce",
		"output.mode"};

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (strncmp(name, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

/* All or nothing. Environment and options are those of the start, and still
 * go over the file. */
static void
agent_reload(struct agent *a)
{
	struct agent_conf fresh = {0};
	struct agent_conf old;
	struct why why = {0};
	enum err ret = a->source->load(a->source->arg, &fresh, &why);

	if (ret == ERR_OK)
		ret = conf_check_change(agent_conf_keys, &a->conf, &fresh,
					agent_may_reload, &why);
	if (ret != ERR_OK) {
		log_error("reload",
			  "%s; the configuration before it stays in force",
			  why_text(&why, ret));
	} else {
		log_info("reload", "configuration read again");
		agent_conf_apply_log(&fresh);
		/* A request under way looks at the old one. */
		if (a->renew != NULL)
			agent_renew_stop(a->renew);
		old = a->conf;
		a->conf = fresh;
		fresh = old;
		if (a->renew != NULL)
			agent_renew_resume(a->renew);
	}
	agent_conf_free(&fresh);
}

static void
agent_on_signal(void *arg, int signum)
{
	struct agent_run *r = arg;

	if (signum == SIGUSR1) {
		log_info("signal", "SIGUSR1: a new certificate is asked for");
		if (r->a.renew != NULL)
			agent_renew_now(r->a.renew);
		return;
	}
	if (signum == SIGHUP) {
		agent_reload(&r->a);
		return;
	}
	ev_loop_stop(r->a.loop);
}

/* What is served stays; what counts with the wall clock counts again. */
static void
agent_on_clock(void *arg, int64_t by_ms)
{
	struct agent *a = arg;
	char by[DURATION_TEXT_MAX], now[WALL_TEXT_MAX];

	a->clock.set_cnt++;
	a->clock.by_ms = by_ms;
	a->clock.at = wall_now();
	metric_add(a->metrics, AM_CLOCK_SET, 0, 1);
	duration_format(by_ms < 0 ? -by_ms : by_ms, by);
	wall_format(a->clock.at, now);
	log_warn("clock",
		 "the clock of this host went %s by %s: it was set%s. It is "
		 "%s now; certificates are looked at again",
		 by_ms < 0 ? "back" : "forward", by,
		 by_ms < 0 ? "" : ", or the host slept", now);
	if (a->renew != NULL)
		agent_renew_on_clock(a->renew);
	agent_files_on_clock(a->files);
}

static enum err
agent_open(struct agent_run *r, struct why *why)
{
	static const int signums[SIGNALS] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP};
	struct agent *a = &r->a;
	enum err ret;

	if ((ret = agent_confine_start(a, why)) != ERR_OK)
		return ret;
	if ((ret = ev_loop_new(&a->loop)) != ERR_OK ||
	    (ret = metric_block_map(agent_metrics, -1, true, &a->metrics)) !=
		    ERR_OK)
		return why_set(why, ret, "event loop: %s", err_text(ret));
	for (size_t i = 0; i < SIGNALS; i++) {
		ret = ev_signal_start(a->loop, signums[i], agent_on_signal, r,
				      &r->signals[i]);
		if (ret != ERR_OK)
			return why_set(why, ret, "signals: %s", err_text(ret));
	}
	ev_clock_watch(a->loop, agent_on_clock, a, &a->clock.watch);
	a->secrets = sds_secrets_new(agent_on_resolve, agent_on_release, a);
	if ((ret = choose_mode(a, why)) != ERR_OK ||
	    (ret = agent_files_new(a, why, &a->files)) != ERR_OK ||
	    (ret = agent_status_new(a, why, &a->status)) != ERR_OK ||
	    (ret = agent_confine(a, why)) != ERR_OK)
		return ret;
	return agent_choose_socket(r, why);
}

static void
agent_close(struct agent_run *r)
{
	struct agent *a = &r->a;

	socket_probe_cancel(&r->probe);
	agent_status_free(a->status);
	agent_output_free(a->output);
	agent_renew_free(a->renew);
	agent_socket_free(a->socket);
	agent_files_free(a->files);
	for (size_t i = 0; i < SIGNALS; i++)
		ev_signal_cancel(&r->signals[i]);
	ev_clock_cancel(&a->clock.watch);
	mem_free(a->defaults.chain);
	mem_free(a->defaults.key);
	mem_free(a->defaults.root);
	sds_secrets_free(a->secrets);
	metric_block_unmap(a->metrics);
	ev_loop_free(a->loop);
	agent_conf_free(&a->conf);
}

int
agent_run(struct agent_conf *conf, const struct agent_source *source)
{
	struct agent_run *r = MEM_NEW(struct agent_run);
	struct why why = {0};
	enum err ret;
	int code;

	r->a.conf = *conf;
	r->a.source = source;
	r->a.started = mono_now();
	r->a.files_max = os_files_raise();
	log_init(AGENT_PROGRAM, "");
	agent_conf_apply_log(conf);
	secret_process_init();
	/* What whoever started us left open is not ours; what we make is
	 * writable for nobody else. */
	os_close_from(STDERR_FILENO + 1);
	(void)umask(022);
	log_info("start", "%s %s (%s) identity=%s", AGENT_PROGRAM, VERSION_TEXT,
		 crypto_library_version(), conf->identity);
	ret = agent_open(r, &why);
	if (ret != ERR_OK) {
		log_error("start", "%s", why_text(&why, ret));
		r->exit_code = ret == ERR_CONFIG ? 2 : 1;
	} else if (r->exit_code == 0) {
		ev_loop_run(r->a.loop);
	}
	agent_close(r);
	code = r->exit_code;
	mem_free(r);
	return code;
}
