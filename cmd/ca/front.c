/* front.c - the role that talks to the network: TLS, HTTP/2, callers, CSRs. It
 * never holds the CA key, nor the record. When it dies, its connections go with
 * it and nothing else. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/mem.h"
#include "ca/front_int.h"
#include "ca/roles.h"
#include "os/os.h"
#include "pki/csr.h"

enum {
	OUT_MAX = 1 << 20,
	OWN_FILES = 64, /* links, watches, sockets that linger */
	TRIM_AFTER = 200,
	/* Answers of one turn and their records: given back to the kernel
	 * and asked for again they cost page faults. */
	HEAP_KEEP_MAX = 4 << 20
};

/* ---- connections ------------------------------------------------------- */

static void
connection_remove(struct connection *c)
{
	struct front *f = c->front;

	conns_remove(c);
	f->conn_cnt--;
	metric_set(f->metrics, M_CONNECTIONS, 0, (int64_t)f->conn_cnt);
	/* After a burst the memory of its connections goes back. */
	if (f->conn_cnt == 0 && f->pending_cap > TRIM_AFTER)
		os_mem_trim();
	mem_free(c);
	if (f->stopping && f->conn_cnt == 0)
		role_exit(f->role);
}

static void
front_on_conn_close(void *app, struct serve_conn *serve, enum err e,
		    const char *detail)
{
	struct front *f = app;
	struct connection *c = serve_conn_get_state(serve);

	if (c == NULL)
		return;
	if (e != ERR_OK && e != ERR_CLOSED && e != ERR_CANCELLED) {
		metric_add(f->metrics, M_HANDSHAKE_FAILURES, 0, 1);
		log_peer("front.connection", "peer=%s: %s", c->peer,
			 detail != NULL ? detail : err_text(e));
	}
	connection_remove(c);
}

static void
front_on_accept(void *arg, struct ev_stream *stream)
{
	struct front *f = arg;
	struct connection *c = NULL;

	metric_add(f->metrics, M_CONNECTIONS_TOTAL, 0, 1);
	fail_point("front.accepted");
	if (front_make_room(f))
		c = mem_try_new(sizeof(*c));
	if (c == NULL) {
		ev_stream_close(&stream, 0);
		return;
	}
	c->front = f;
	ev_stream_get_peer_text(stream, c->peer);
	if (serve_conn_start(f->loop, stream, &f->serve, &c->serve) != ERR_OK) {
		mem_free(c);
		return;
	}
	serve_conn_set_state(c->serve, c);
	conns_add(&f->strangers, c);
	f->conn_cnt++;
	metric_set(f->metrics, M_CONNECTIONS, 0, (int64_t)f->conn_cnt);
}

void
front_serve(struct front *f)
{
	if (f->listener != NULL || f->stopping || f->listen_fd < 0)
		return;
	/* Without an issuer every request would be refused: who comes now
	 * waits in the socket's queue. */
	if (f->chain == NULL || !tls_ctx_has_identity(f->tls))
		return;
	if (ev_listen_fd(f->loop, f->listen_fd, front_on_accept, f,
			 &f->listener) != ERR_OK) {
		log_error("front.listen", "the listening socket is unusable");
		role_exit(f->role);
		return;
	}
	f->listen_fd = -1;
	f->ready = true;
	metric_set(f->metrics, M_READY, 0, 1);
	role_ready(f->role);
}

/* ---- links ------------------------------------------------------------- */

static enum err
authority_on_message(void *arg, uint16_t type, uint64_t id,
		     struct slice payload, int fd)
{
	struct front *f = arg;
	struct msg_result result;
	struct msg_chain chain;
	enum err ret;

	(void)fd;
	switch (type) {
	case MSG_RESULT:
		if ((ret = msg_result_read(payload, &result)) == ERR_OK)
			front_take_result(f, id, &result);
		return ret;
	case MSG_CHAIN:
		if ((ret = msg_chain_read(payload, &chain)) == ERR_OK)
			ret = front_take_chain(f, &chain);
		return ret;
	default:
		return ERR_PROTOCOL;
	}
}

static void
front_on_alone(void *arg)
{
	struct front *f = arg;

	log_error("front.authority",
		  "no link to the authority is left: this front ends, to be "
		  "started and linked again");
	role_exit(f->role);
}

static void
authority_on_close(void *arg, enum err why)
{
	struct front *f = arg;

	log_warn("front.authority", "link ended: %s", err_text(why));
	ipc_close(&f->authority);
	f->serving_asked = false;
	front_fail_pending(f);
	must(ev_timer_start(f->loop, role_relink_ms(why), front_on_alone, f,
			    &f->alone) == ERR_OK);
}

static const struct ipc_cbs authority_cbs = {
	.on_message = authority_on_message,
	.on_close = authority_on_close,
};

static enum err
fetch_on_message(void *arg, uint16_t type, uint64_t id, struct slice payload,
		 int fd)
{
	struct msg_fetched m;
	enum err ret;

	(void)fd;
	if (type != MSG_FETCHED)
		return ERR_PROTOCOL;
	if ((ret = msg_fetched_read(payload, &m)) == ERR_OK)
		front_jwks_take(arg, id, &m);
	return ret;
}

static void
fetch_on_close(void *arg, enum err why)
{
	struct front *f = arg;

	log_warn("front.fetch", "link ended: %s", err_text(why));
	ipc_close(&f->fetch);
}

static const struct ipc_cbs fetch_cbs = {
	.on_message = fetch_on_message,
	.on_close = fetch_on_close,
};

static const struct ipc_limits link_limits = {
	.frame_max = MSG_FRAME_MAX,
	.queue_max = MSG_QUEUE_MAX,
};

/* What is asked together is recorded together: one sync, not three. */
static const struct ipc_limits authority_limits = {
	.frame_max = MSG_FRAME_MAX,
	.queue_max = MSG_QUEUE_MAX,
	.is_patient = true,
};

static void
front_link(struct front *f, const char *peer, int fd)
{
	if (strcmp(peer, "authority") == 0) {
		ev_timer_cancel(&f->alone);
		ipc_close(&f->authority);
		front_fail_pending(f);
		f->serving_asked = false;
		(void)!ipc_new(f->loop, fd, "front-authority",
			       &authority_limits, &authority_cbs, f,
			       &f->authority);
	} else if (strcmp(peer, "fetch") == 0) {
		ipc_close(&f->fetch);
		(void)!ipc_new(f->loop, fd, "front-fetch", &link_limits,
			       &fetch_cbs, f, &f->fetch);
		front_jwks_start(f);
	} else {
		(void)close(fd);
	}
}

/* ---- life -------------------------------------------------------------- */

/* A front without descriptors could not even refuse: it never opens more than
 * it may, less what it needs itself. */
static void
front_set_conn_max(struct front *f)
{
	size_t files = os_files_raise();
	size_t most = files > 2 * OWN_FILES ? files - OWN_FILES : files / 2;

	f->conn_max = (size_t)f->conf.limit_connections;
	if (f->conn_max <= most)
		return;
	log_warn("front.files",
		 "limit.connections is %zu, but a process may open %zu files "
		 "only (ulimit -n, LimitNOFILE): %zu connections are taken",
		 f->conn_max, files, most);
	f->conn_max = most;
}

static enum err
front_on_config(void *app, struct role *r, struct slice text, struct why *why)
{
	static const char *const alpn[] = {"h2", NULL};
	static const struct tls_ctx_opts opts = {
		.role = TLS_SERVER, .peer = TLS_PEER_OPTIONAL, .alpn = alpn};
	struct front *f = app;
	enum err ret;

	f->role = r;
	f->loop = role_get_loop(r);
	ret = ca_conf_parse(text, "configuration", &f->conf, why);
	if (ret != ERR_OK)
		return ret;
	ca_conf_apply_log(&f->conf);
	front_turns_open(f);
	front_set_conn_max(f);
	/* Until the shared block is given, numbers go to a private one. */
	must(metric_block_map(ca_metrics, -1, true, &f->metrics) == ERR_OK);
	if ((ret = tls_ctx_new(&opts, &f->tls)) != ERR_OK)
		return why_set(why, ret, "TLS context");
	front_set_methods(f);
	f->serve = (struct serve_opts){
		.methods = f->methods,
		.limits = {.streams_max = (uint32_t)f->conf.limit_streams,
			   .header_bytes_max = (size_t)f->conf.limit_headers,
			   .stream_out_max = OUT_MAX,
			   .window = 65535,
			   .header_table = 4096,
			   .cheap_frames_max = 1000},
		.budget = &f->budget,
		.tls = f->tls,
		.handshake_timeout_ms = (uint64_t)f->conf.limit_handshake_ms,
		.idle_timeout_ms = (uint64_t)f->conf.limit_idle_ms,
		.out_max = OUT_MAX,
		.on_close = front_on_conn_close,
		.app = f,
	};
	return front_jwks_open(f, why);
}

static void
front_on_give(void *app, struct role *r, const char *name, int fd)
{
	struct front *f = app;
	char peer[32];
	unsigned index;

	(void)r;
	if (strcmp(name, "metrics") == 0) {
		metric_block_unmap(f->metrics);
		must(metric_block_map(ca_metrics, fd, true, &f->metrics) ==
		     ERR_OK);
		metric_set(f->metrics, M_READY, 0, 0);
		metric_set(f->metrics, M_CONNECTIONS, 0, 0);
		(void)close(fd);
	} else if (strcmp(name, "listen.grpc") == 0) {
		f->listen_fd = fd;
	} else if (strncmp(name, "serving.", 8) == 0) {
		front_take_serving_file(f, name, fd);
	} else if (role_is_link(name, peer, &index)) {
		front_link(f, peer, fd);
	} else {
		(void)close(fd);
	}
}

static enum err
front_on_start(void *app, struct role *r, struct why *why)
{
	struct front *f = app;

	(void)r;
	(void)why;
	/* Files may have been given before the socket was. */
	front_serve(f);
	return ERR_OK;
}

static void
front_on_reload(void *app, struct role *r, struct slice text)
{
	struct front *f = app;
	struct ca_conf fresh;
	struct why why = {0};

	(void)r;
	if (ca_conf_parse(text, "configuration", &fresh, &why) != ERR_OK) {
		log_error("front.reload", "%s", why.text);
		return;
	}
	ca_conf_apply_log(&fresh);
	/* The supervisor lets nothing else through that we use. Limits of a
	 * connection count for those that come now. */
	f->conf.csr_san = fresh.csr_san;
	f->conf.csr_rsa_bits_min = fresh.csr_rsa_bits_min;
	f->conf.csr_rsa_bits_max = fresh.csr_rsa_bits_max;
	f->conf.csr_allow_ed25519 = fresh.csr_allow_ed25519;
	f->conf.limit_connections = fresh.limit_connections;
	f->conf.limit_identity_share = fresh.limit_identity_share;
	f->conf.limit_queue = fresh.limit_queue;
	f->conf.limit_identity_rate = fresh.limit_identity_rate;
	f->conf.limit_identity_burst = fresh.limit_identity_burst;
	f->conf.cert_default_ttl_ms = fresh.cert_default_ttl_ms;
	front_set_conn_max(f);
	f->conf.limit_request_ms = fresh.limit_request_ms;
	f->conf.limit_message = fresh.limit_message;
	f->conf.limit_unfinished = fresh.limit_unfinished;
	f->conf.limit_streams = fresh.limit_streams;
	front_set_methods(f);
	f->serve.limits.streams_max = (uint32_t)fresh.limit_streams;
	f->serve.limits.header_bytes_max = (size_t)fresh.limit_headers;
	f->serve.handshake_timeout_ms = (uint64_t)fresh.limit_handshake_ms;
	f->serve.idle_timeout_ms = (uint64_t)fresh.limit_idle_ms;
	ca_conf_free(&fresh);
}

static void
front_shut(struct conn_list *list)
{
	for (struct connection *c = list->head, *next; c != NULL; c = next) {
		next = c->next;
		serve_conn_shutdown(c->serve);
	}
}

static void
front_on_stop(void *app, struct role *r)
{
	struct front *f = app;

	f->stopping = true;
	metric_set(f->metrics, M_READY, 0, 0);
	ev_listener_close(&f->listener);
	front_shut(&f->strangers);
	front_shut(&f->known);
	front_shut(&f->busy);
	if (f->conn_cnt == 0)
		role_exit(r);
}

static const struct role_ops front_ops = {
	.program = CA_PROGRAM,
	.name = "front",
	.on_config = front_on_config,
	.on_give = front_on_give,
	.on_start = front_on_start,
	.on_reload = front_on_reload,
	.on_stop = front_on_stop,
};

int
ca_front_main(unsigned index)
{
	struct front *f = MEM_NEW(struct front);
	int code;

	os_mem_keep(HEAP_KEEP_MAX);
	f->listen_fd = -1;
	f->pending_free = UINT32_MAX;
	buf_init(&f->csr_der, CSR_MAX);
	buf_init(&f->out, MSG_FRAME_MAX);
	buf_init(&f->serving_cert_pem, 1 << 18);
	code = role_run(&front_ops, index, f);
	front_serving_free(f);
	front_jwks_free(f);
	return code;
}
