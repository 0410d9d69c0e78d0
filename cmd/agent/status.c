/* status.c - see status.h. The members of /status, for `meshcert status` and
 * `meshcert secret`:
 *
 *   program, version, pid, started, mode ("ca", "files", "foreign"), ready,
 *   not_ready (why), identity, trust_domain, socket, secrets_locked
 *   ca      address, asking, has_certificate, received, not_after, next,
 *           failures, failing_since, error, advice, warning
 *   clock   now, set (times), set_at, set_by_ms, problem
 *   output  dir, error
 *   files   of each: name, served, and where it fails error, failing_since
 *   secrets, streams   as sds/sds.h has them */
#include "agent/status.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "agent/output.h"
#include "agent/renew.h"
#include "agent/socket.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/version.h"
#include "crypto/path.h"
#include "http/http.h"

struct agent_status {
	struct agent *a;
	struct http_server *http;
	struct sds_watch first; /* of `default`, until it is there */
	bool started;
	uint64_t startup_ms; /* from the start to the first certificate */
};

/* ---- ready ---------------------------------------------------------------
 */

/* NULL: ready. Else why not, for people. */
static const char *
status_not_ready(const struct agent *a)
{
	const struct sds_secret *s;

	if (a->socket == NULL)
		return "the socket is not there yet";
	if (a->mode == AGENT_MODE_FOREIGN)
		return NULL;
	s = sds_secrets_get(a->secrets, AGENT_NAME_DEFAULT);
	if (s == NULL)
		return "there is no certificate yet; /status says what is "
		       "tried";
	if (!wall_is_before(wall_now(), sds_secret_get_not_after(s)))
		return "the certificate has expired; /status says why it is "
		       "not renewed";
	return NULL;
}

static void
status_on_ready(void *app, const struct http_request *rq,
		struct http_response *rs)
{
	const struct agent_status *s = app;
	const char *problem = status_not_ready(s->a);

	(void)rq;
	rs->status = problem == NULL ? 200 : 503;
	(void)buf_printf(&rs->body, "%s%s\n",
			 problem == NULL ? "ready" : "not ready: ",
			 problem == NULL ? "" : problem);
}

static void
status_on_live(void *app, const struct http_request *rq,
	       struct http_response *rs)
{
	(void)app;
	(void)rq;
	rs->status = 200;
	(void)buf_put_str(&rs->body, "ok\n");
}

static void
status_on_version(void *app, const struct http_request *rq,
		  struct http_response *rs)
{
	(void)app;
	(void)rq;
	rs->status = 200;
	(void)buf_printf(&rs->body, "%s %s (%s)\n", AGENT_PROGRAM, VERSION_TEXT,
			 crypto_library_version());
}

/* ---- metrics -------------------------------------------------------------
 */

static void
write_label(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			(void)buf_put_u8(out, '\\');
		(void)buf_put_u8(out, *text == '\n' ? ' ' : (uint8_t)*text);
	}
}

/* Istio's name: one line for each secret, whoever made it. */
static void
write_expiry(const struct agent *a, struct buf *out)
{
	static const char name[] = "istio_agent_cert_expiry_seconds";
	struct wall now = wall_now();

	(void)buf_printf(out,
			 "# HELP %s Seconds until the first certificate of a "
			 "secret ends.\n# TYPE %s gauge\n",
			 name, name);
	for (size_t i = 0; i < sds_secrets_count(a->secrets); i++) {
		const struct sds_secret *s = sds_secrets_at(a->secrets, i);

		(void)buf_printf(out, "%s{resource_name=\"", name);
		write_label(out, sds_secret_get_name(s));
		(void)buf_printf(
			out, "\"} %" PRId64 "\n",
			wall_diff_ms(sds_secret_get_not_after(s), now) / 1000);
	}
}

/* Istio's name; nothing before there is a certificate. */
static void
write_startup(const struct agent_status *s, struct buf *out)
{
	static const char name[] = "istio_agent_startup_duration_seconds";

	if (s->started)
		(void)buf_printf(out,
				 "# HELP %s Seconds from the start to the "
				 "first certificate.\n# TYPE %s gauge\n"
				 "%s %" PRIu64 ".%03u\n",
				 name, name, name, s->startup_ms / 1000,
				 (unsigned)(s->startup_ms % 1000));
}

static void
status_on_first(void *arg, struct sds_secret *secret)
{
	struct agent_status *s = arg;

	if (secret == NULL)
		return;
	s->started = true;
	s->startup_ms = mono_diff_ms(mono_now(), s->a->started);
	sds_watch_cancel(&s->first);
}

static void
status_take_counts(const struct agent *a)
{
	struct sds_counts c;

	if (a->socket == NULL)
		return;
	c = sds_server_get_counts(agent_socket_get_server(a->socket));
	metric_set(a->metrics, AM_STREAMS, 0, (int64_t)c.streams);
	metric_set(a->metrics, AM_CONNECTIONS, 0,
		   (int64_t)agent_socket_get_peer_count(a->socket));
	metric_set(a->metrics, AM_SDS_PUSHES, 0, (int64_t)c.pushes);
	metric_set(a->metrics, AM_SDS_NACKS, 0, (int64_t)c.nacks);
}

static void
status_on_metrics(void *app, const struct http_request *rq,
		  struct http_response *rs)
{
	const struct agent_status *s = app;
	const struct metric_block *const blocks[] = {s->a->metrics};

	(void)rq;
	metric_add(s->a->metrics, AM_SCRAPES, 0, 1);
	status_take_counts(s->a);
	rs->content_type = "text/plain; version=0.0.4; charset=utf-8";
	rs->status = 200;
	if (metric_write(agent_metrics, blocks, 1, &rs->body) != ERR_OK) {
		rs->status = 500;
		return;
	}
	write_expiry(s->a, &rs->body);
	write_startup(s, &rs->body);
}

/* ---- /status -------------------------------------------------------------
 */

static void
write_ca(const struct agent *a, struct jsonw *w)
{
	struct agent_renew_state st;

	if (a->renew == NULL)
		return;
	agent_renew_get_state(a->renew, &st);
	jsonw_key(w, "ca");
	jsonw_object_open(w);
	jsonw_pair_str(w, "address", slice_of_str(a->conf.ca_address));
	jsonw_pair_bool(w, "asking", st.asking);
	jsonw_pair_bool(w, "has_certificate", st.has_certificate);
	jsonw_pair_time(w, "received", st.received);
	jsonw_pair_time(w, "not_after", st.not_after);
	jsonw_pair_time(w, "next", st.next);
	jsonw_pair_int(w, "failures", st.failures);
	if (st.failures > 0) {
		jsonw_pair_time(w, "failing_since", st.failing_since);
		jsonw_pair_str(w, "error", slice_of_str(st.error));
		if (st.advice[0] != '\0')
			jsonw_pair_str(w, "advice", slice_of_str(st.advice));
	}
	if (st.warning[0] != '\0')
		jsonw_pair_str(w, "warning", slice_of_str(st.warning));
	jsonw_object_close(w);
}

/* How the clock of this host looks from here. A certificate that begins later
 * is the sign of one that is late: peers with the right time take it. */
static void
write_clock(const struct agent *a, struct jsonw *w)
{
	struct agent_renew_state st = {0};
	struct wall now = wall_now();
	char begins[WALL_TEXT_MAX], text[WALL_TEXT_MAX];
	char *problem;

	if (a->renew != NULL)
		agent_renew_get_state(a->renew, &st);
	jsonw_key(w, "clock");
	jsonw_object_open(w);
	jsonw_pair_time(w, "now", now);
	jsonw_pair_int(w, "set", (int64_t)a->clock.set_cnt);
	if (a->clock.set_cnt > 0) {
		jsonw_pair_time(w, "set_at", a->clock.at);
		jsonw_pair_int(w, "set_by_ms", a->clock.by_ms);
	}
	if (st.has_certificate && wall_is_before(now, st.not_before)) {
		wall_format(st.not_before, begins);
		wall_format(now, text);
		problem = mem_printf("the certificate begins at %s, it is %s "
				     "here",
				     begins, text);
		jsonw_pair_str(w, "problem", slice_of_str(problem));
		mem_free(problem);
	}
	jsonw_object_close(w);
}

static void
write_output(const struct agent *a, struct jsonw *w)
{
	if (a->output == NULL)
		return;
	jsonw_key(w, "output");
	jsonw_object_open(w);
	jsonw_pair_str(w, "dir", slice_of_str(a->conf.output_dir));
	jsonw_pair_str(w, "error",
		       slice_of_str(agent_output_get_error(a->output)));
	jsonw_object_close(w);
}

static void
write_head(const struct agent *a, struct jsonw *w)
{
	static const char *const modes[] = {"", "ca", "files", "foreign"};
	const char *problem = status_not_ready(a);
	int64_t up = (int64_t)mono_diff_ms(mono_now(), a->started);
	struct wall started = wall_now();

	started.ms -= up;
	jsonw_pair_str(w, "program", SLICE_LIT(AGENT_PROGRAM));
	jsonw_pair_str(w, "version", SLICE_LIT(VERSION_TEXT));
	jsonw_pair_int(w, "pid", getpid());
	jsonw_pair_time(w, "started", started);
	jsonw_pair_str(w, "mode", slice_of_str(modes[a->mode]));
	jsonw_pair_bool(w, "ready", problem == NULL);
	if (problem != NULL)
		jsonw_pair_str(w, "not_ready", slice_of_str(problem));
	jsonw_pair_str(w, "identity", slice_of_str(a->conf.identity));
	jsonw_pair_str(w, "trust_domain", slice_of_str(a->conf.trust_domain));
	jsonw_pair_bool(w, "secrets_locked", secret_is_locked());
	if (a->socket != NULL)
		jsonw_pair_str(w, "socket",
			       slice_of_str(agent_socket_get_path(a->socket)));
}

static void
status_on_status(void *app, const struct http_request *rq,
		 struct http_response *rs)
{
	const struct agent_status *s = app;
	struct jsonw w;

	/* Who talks to whom, and what fails: not for the whole network, while
	 * the pages that probes and scrapers need stay on the same port. */
	if (!rq->is_local) {
		rs->status = 403;
		(void)buf_put_str(&rs->body,
				  "this page is for this host only: ask at "
				  "127.0.0.1\n");
		return;
	}
	rs->status = 200;
	rs->content_type = "application/json";
	jsonw_init(&w, &rs->body);
	jsonw_object_open(&w);
	write_head(s->a, &w);
	write_ca(s->a, &w);
	write_clock(s->a, &w);
	write_output(s->a, &w);
	agent_files_write_json(s->a->files, &w);
	if (s->a->socket != NULL)
		sds_status_write_json(agent_socket_get_server(s->a->socket),
				      &w);
	jsonw_object_close(&w);
	if (buf_has_failed(&rs->body))
		rs->status = 500;
}

static const struct http_route status_routes[] = {
	{"GET", "/healthz/ready", 0, status_on_ready},
	{"GET", "/healthz/live", 0, status_on_live},
	{"GET", "/metrics", 0, status_on_metrics},
	{"GET", "/stats/prometheus", 0, status_on_metrics},
	{"GET", "/status", 0, status_on_status},
	{"GET", "/version", 0, status_on_version},
	{NULL, NULL, 0, NULL},
};

enum err
agent_status_new(struct agent *a, struct why *why, struct agent_status **out)
{
	const char *addr = a->conf.listen_status;
	struct agent_status *s;
	char text[EV_ADDR_TEXT_MAX];
	int fd;
	enum err ret;

	*out = NULL;
	if (addr == NULL || *addr == '\0')
		return ERR_OK;
	if ((ret = ev_bind(addr, false, 0600, why, &fd)) != ERR_OK)
		return why_prefix(why, ret, "listen.status");
	ev_bound_text(fd, text);
	s = MEM_NEW(struct agent_status);
	s->a = a;
	ret = http_server_new(a->loop, fd, status_routes, s, &s->http);
	if (ret != ERR_OK) {
		mem_free(s);
		return why_set(why, ret, "listen.status %s: %s", addr,
			       err_text(ret));
	}
	s->first.on_change = status_on_first;
	s->first.arg = s;
	sds_watch_remember(a->secrets, AGENT_NAME_DEFAULT, &s->first);
	status_on_first(s, sds_secrets_get(a->secrets, AGENT_NAME_DEFAULT));
	log_info("status", "http://%s/healthz/ready, /metrics, /status", text);
	*out = s;
	return ERR_OK;
}

void
agent_status_free(struct agent_status *s)
{
	if (s == NULL)
		return;
	http_server_free(s->http);
	sds_watch_cancel(&s->first);
	mem_free(s);
}
