/* probe.c - who has the workload socket at the start? (see socket.h)
 *
 * A gRPC answer of any kind to FetchSecrets, even a refusal, is a living SDS
 * server: SPIRE's, Istio's, another of ours. A refused connection or silence
 * for a second is a dead one. Who ends the connection before an answer, or lets
 * us not connect, is alive: its socket is not ours to take away. */
#include "agent/socket.h"

#include "base/mem.h"
#include "grpc/serve.h"
#include "os/os.h"

enum {
	PROBE_MS = 1000
};

struct socket_probe {
	struct ev_loop *loop;
	socket_probe_cb *cb;
	void *arg;
	struct dial_conn *conn;
	struct grpc_request *request;
	struct ev_timer *timer;
	struct ev_defer done;
	bool connected;
	bool denied;
	bool answered;
	bool closed;
};

static void
probe_free(struct socket_probe *p)
{
	if (p == NULL)
		return;
	ev_timer_cancel(&p->timer);
	ev_defer_cancel(&p->done);
	if (p->request != NULL)
		grpc_request_cancel(&p->request);
	dial_close(&p->conn, "looked");
	mem_free(p);
}

/* The end of a connection ends its requests too: that is no answer. */
static void
probe_on_done(void *arg)
{
	struct socket_probe *p = arg;
	socket_probe_cb *cb = p->cb;
	void *owner = p->arg;
	enum socket_found found = SOCKET_DEAD;

	if (p->answered && !p->closed)
		found = SOCKET_FOREIGN;
	else if ((p->connected && p->closed) || p->denied)
		found = SOCKET_CLOSED;
	probe_free(p);
	cb(owner, found);
}

static void
probe_end(struct socket_probe *p)
{
	ev_defer_queue(p->loop, &p->done, probe_on_done, p);
}

static void
probe_on_timeout(void *arg)
{
	probe_end(arg);
}

static void
probe_on_message(void *arg, struct grpc_request *r, struct slice message)
{
	(void)arg;
	(void)r;
	(void)message;
}

static void
probe_on_finish(void *arg, struct grpc_request *r, enum grpc_status status,
		const char *text)
{
	struct socket_probe *p = arg;

	(void)r;
	log_debug("socket.probe", "%s: %s", grpc_status_name(status), text);
	p->request = NULL;
	p->answered = true;
	probe_end(p);
}

static void
probe_on_ready(void *arg, struct dial_conn *c)
{
	static const struct grpc_request_cbs cbs = {
		.on_message = probe_on_message,
		.on_finish = probe_on_finish,
	};
	struct socket_probe *p = arg;

	p->connected = true;
	if (grpc_client_start(dial_get_client(c),
			      "/envoy.service.secret.v3."
			      "SecretDiscoveryService/FetchSecrets",
			      NULL, 0, SLICE_NONE, true, PROBE_MS,
			      SDS_REQUEST_MAX, &cbs, p, &p->request) != ERR_OK)
		probe_end(p);
	else
		dial_wake(c);
}

static void
probe_on_close(void *arg, enum err e, const char *detail)
{
	struct socket_probe *p = arg;

	log_debug("socket.probe", "%s", detail);
	p->denied = e == ERR_FORBIDDEN;
	p->conn = NULL;
	p->closed = true;
	probe_end(p);
}

static enum err
probe_dial(struct socket_probe *p, const char *path)
{
	char *addr = mem_printf("unix:%s", path);
	struct dial_opts opts = {
		.addr = addr,
		.authority = "localhost",
		.timeout_ms = PROBE_MS,
		.on_ready = probe_on_ready,
		.on_close = probe_on_close,
		.arg = p,
	};
	enum err ret;

	sds_limits_set(&opts.limits);
	ret = dial_start(p->loop, &opts, &p->conn);
	mem_free(addr);
	return ret;
}

enum err
socket_probe_start(struct ev_loop *loop, const char *path, socket_probe_cb *cb,
		   void *arg, struct socket_probe **out)
{
	struct socket_probe *p = MEM_NEW(struct socket_probe);
	enum err ret;

	*out = NULL;
	p->loop = loop;
	p->cb = cb;
	p->arg = arg;
	ret = ev_timer_start(loop, PROBE_MS, probe_on_timeout, p, &p->timer);
	if (ret == ERR_OK)
		ret = probe_dial(p, path);
	if (ret != ERR_OK) {
		probe_free(p);
		return ret;
	}
	*out = p;
	return ERR_OK;
}

void
socket_probe_cancel(struct socket_probe **p)
{
	probe_free(TAKE(*p));
}
