/* socket.c - see socket.h.
 *
 * The keys of the workload go through this socket, so two gates stand before
 * it: the mode of the file, and the credentials of the peer, which the kernel
 * vouches for. */
#include "agent/socket.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "grpc/serve.h"
#include "os/os.h"
#include "proto/health.pb-c.h"
#include "workload/workload.h"

enum {
	OUT_MAX = 4 << 20,
	IDLE_MS = 600000, /* without any call, and a place is free again */
	/* However many descriptors there are: about 200 MB of memory. */
	PEERS_MAX = SDS_STREAMS_MAX,
	/* Memory of connections that are gone goes back to the system when as
	 * many have gone as are left, and at least so many; after a rest,
	 * because they go in bursts. */
	TRIM_PEERS = 32,
	TRIM_REST_MS = 1000,
	HEALTH_METHODS = 1,
	HEALTH_MAX = 1024,
	METHODS = SDS_METHODS + WORKLOAD_METHODS + HEALTH_METHODS
};

/* A connection, so that the end can end it. */
struct socket_peer {
	struct serve_conn *conn;
	struct socket_peer *prev, *next;
};

struct agent_socket {
	struct agent *a;
	char *path;
	uid_t own;        /* our user */
	struct stat made; /* which file is ours */
	struct ev_listener *listener;
	struct sds_server *server;
	struct grpc_method methods[METHODS + 1];
	struct serve_opts opts;
	struct socket_peer *peers;
	size_t peer_cnt;
	size_t peer_peak; /* since memory was given back */
	size_t peers_max;
	struct ev_timer *trim;
	bool has_gone; /* a peer, since the timer was started */
};

/* ---- health -------------------------------------------------------------- */

/* HealthCheckResponse { status = SERVING }: whoever answers, serves; whether
 * there is a certificate is told by the streams. */
static void
health_on_check(void *app, struct grpc_call *call, struct slice message)
{
	static const uint8_t serving[] = {0x08, 0x01};

	(void)app;
	(void)message;
	(void)grpc_call_send(call, SLICE_ARRAY(serving));
	grpc_call_finish(call, GRPC_OK, "");
}

static const struct grpc_method health_methods[HEALTH_METHODS] = {
	{.path = "/grpc.health.v1.Health/Check",
	 .request_max = HEALTH_MAX,
	 .on_message = health_on_check},
};

/* ---- peers --------------------------------------------------------------- */

bool
agent_socket_allows(const struct conf_list *allow, uid_t own, uid_t peer)
{
	if (peer == own || peer == 0)
		return true;
	for (size_t i = 0; i < allow->cnt; i++) {
		uint64_t uid;

		if (strcmp(allow->items[i], "any") == 0)
			return true;
		if (slice_parse_u64(slice_of_str(allow->items[i]), &uid) ==
			    ERR_OK &&
		    uid == peer)
			return true;
	}
	return false;
}

static void socket_on_trim(void *arg);

static void
socket_start_trim(struct agent_socket *s)
{
	s->has_gone = false;
	must(ev_timer_start(s->a->loop, TRIM_REST_MS, socket_on_trim, s,
			    &s->trim) == ERR_OK);
}

/* Again, until a whole rest has passed in which nobody went. */
static void
socket_on_trim(void *arg)
{
	struct agent_socket *s = arg;

	os_mem_trim();
	s->peer_peak = s->peer_cnt;
	if (s->has_gone)
		socket_start_trim(s);
}

static void
socket_plan_trim(struct agent_socket *s)
{
	s->has_gone = true;
	if (s->trim == NULL && s->peer_peak - s->peer_cnt >= TRIM_PEERS &&
	    s->peer_peak - s->peer_cnt >= s->peer_cnt)
		socket_start_trim(s);
}

static void
socket_on_close(void *app, struct serve_conn *c, enum err e, const char *detail)
{
	const struct agent *a = sds_server_get_app(app);
	struct socket_peer *p = serve_conn_get_state(c);

	log_debug("socket.closed", "%s: %s", err_text(e), detail);
	if (p == NULL)
		return;
	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		a->socket->peers = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	a->socket->peer_cnt--;
	mem_free(p);
	socket_plan_trim(a->socket);
}

static void
socket_add_peer(struct agent_socket *s, struct serve_conn *conn)
{
	struct socket_peer *p = MEM_NEW(struct socket_peer);

	p->conn = conn;
	p->next = s->peers;
	if (p->next != NULL)
		p->next->prev = p;
	s->peers = p;
	s->peer_cnt++;
	if (s->peer_peak < s->peer_cnt)
		s->peer_peak = s->peer_cnt;
	serve_conn_set_state(conn, p);
}

static void
socket_on_accept(void *arg, struct ev_stream *stream)
{
	struct agent_socket *s = arg;
	struct ev_peer_cred cred = {.uid = (uid_t)-1};
	struct serve_conn *conn;
	enum err ret = ev_stream_get_peer_cred(stream, &cred);

	if (ret != ERR_OK ||
	    !agent_socket_allows(&s->a->conf.socket_allow, s->own, cred.uid)) {
		log_peer("socket.refused",
			 "pid=%ld uid=%ld may not connect to %s: put the user "
			 "into socket.allow if it should",
			 (long)cred.pid, (long)cred.uid, s->path);
		metric_add(s->a->metrics, AM_PEERS_REFUSED, 0, 1);
		ev_stream_close(&stream, 0);
		return;
	}
	if (s->peer_cnt >= s->peers_max) {
		log_peer("socket.refused",
			 "pid=%ld uid=%ld: %zu connections are open on %s "
			 "already: who does not close them? (Half of the limit "
			 "of open files, %d at most.)",
			 (long)cred.pid, (long)cred.uid, s->peers_max, s->path,
			 PEERS_MAX);
		metric_add(s->a->metrics, AM_PEERS_REFUSED, 0, 1);
		ev_stream_close(&stream, 0);
		return;
	}
	ret = serve_conn_start(s->a->loop, stream, &s->opts, &conn);
	if (ret != ERR_OK)
		log_warn("socket", "connection not served: %s", err_text(ret));
	else
		socket_add_peer(s, conn);
}

/* ---- the file ------------------------------------------------------------ */

static gid_t
socket_group(const struct agent_conf *c)
{
	uint64_t gid;

	if (c->socket_group == NULL ||
	    slice_parse_u64(slice_of_str(c->socket_group), &gid) != ERR_OK)
		return getegid();
	return (gid_t)gid;
}

enum err
agent_socket_make_dir(const struct agent_conf *c, const char *path,
		      struct why *why)
{
	const char *slash = strrchr(path, '/');
	mode_t mode = agent_conf_get_socket_mode(c) == 0666 ? 0755 : 0750;
	char *dir;
	enum err ret = ERR_OK;

	if (slash == NULL || slash == path)
		return ERR_OK;
	dir = mem_printf("%.*s", (int)(slash - path), path);
	/* One that is there is its owner's. */
	if (!os_file_exists(dir))
		ret = os_dir_make(dir, mode, geteuid(), socket_group(c), why);
	mem_free(dir);
	return ret;
}

static enum err
socket_bind(struct agent_socket *s, int *fd_out, struct why *why)
{
	const struct agent_conf *c = &s->a->conf;
	gid_t gid = socket_group(c);
	char *addr = mem_printf("unix:%s", s->path);
	enum err ret;

	ret = agent_socket_make_dir(c, s->path, why);
	if (ret == ERR_OK)
		ret = ev_bind(addr, false, agent_conf_get_socket_mode(c), why,
			      fd_out);
	mem_free(addr);
	if (ret != ERR_OK)
		return ret;
	if (gid != getegid() && chown(s->path, (uid_t)-1, gid) != 0)
		log_warn("socket",
			 "%s: cannot give it to group %ld (socket.group): "
			 "only root and members of the group can",
			 s->path, (long)gid);
	return stat(s->path, &s->made) == 0 ? ERR_OK : ERR_IO;
}

static void
socket_set_opts(struct agent_socket *s)
{
	memcpy(s->methods, sds_methods, sizeof(sds_methods));
	memcpy(s->methods + SDS_METHODS, workload_methods,
	       sizeof(workload_methods));
	memcpy(s->methods + SDS_METHODS + WORKLOAD_METHODS, health_methods,
	       sizeof(health_methods));
	s->opts.methods = s->methods;
	sds_limits_set(&s->opts.limits);
	s->opts.out_max = OUT_MAX;
	s->opts.idle_timeout_ms = IDLE_MS;
	s->opts.on_close = socket_on_close;
	s->opts.app = s->server;
}

enum err
agent_socket_new(struct agent *a, const char *path, struct why *why,
		 struct agent_socket **out)
{
	struct agent_socket *s = MEM_NEW(struct agent_socket);
	int fd = -1;
	enum err ret;

	*out = NULL;
	s->a = a;
	s->path = mem_dup_str(path);
	s->own = geteuid();
	/* The other half is for the CA, files and the status port, so that no
	 * peer of ours can keep a renewal from happening. */
	s->peers_max =
		a->files_max / 2 < PEERS_MAX ? a->files_max / 2 : PEERS_MAX;
	s->server = sds_server_new(a->secrets, a);
	socket_set_opts(s);
	if ((ret = socket_bind(s, &fd, why)) != ERR_OK)
		goto out;
	ret = ev_listen_fd(a->loop, fd, socket_on_accept, s, &s->listener);
	if (ret != ERR_OK) {
		why_set(why, ret, "%s: cannot listen", path);
		goto out;
	}
	log_info("socket", "SDS and SPIFFE Workload API on %s", path);
	*out = TAKE(s);
out:
	if (s != NULL)
		agent_socket_free(s);
	return ret;
}

void
agent_socket_free(struct agent_socket *s)
{
	struct stat now;

	if (s == NULL)
		return;
	ev_listener_close(&s->listener);
	while (s->peers != NULL)
		serve_conn_drop(s->peers->conn, ERR_CLOSED, "the agent stops");
	ev_timer_cancel(&s->trim);
	if (s->made.st_ino != 0 && lstat(s->path, &now) == 0 &&
	    now.st_ino == s->made.st_ino && now.st_dev == s->made.st_dev)
		(void)unlink(s->path);
	sds_server_free(s->server);
	mem_free(s->path);
	mem_free(s);
}

const char *
agent_socket_get_path(const struct agent_socket *s)
{
	return s->path;
}

struct sds_server *
agent_socket_get_server(const struct agent_socket *s)
{
	return s->server;
}

size_t
agent_socket_get_peer_count(const struct agent_socket *s)
{
	return s->peer_cnt;
}
