/* socket.h - the workload socket: who has it, who may connect, what is served
 * on it. */
#ifndef AGENT_SOCKET_H
#define AGENT_SOCKET_H

#include "agent/agent.h"
#include "base/json.h"
#include "sds/sds.h"

/* -- start-up choice: does a foreign SDS server have the workload socket? */
enum socket_found {
	SOCKET_DEAD = 1, /* a file that nobody answers on: to be replaced */
	SOCKET_FOREIGN,  /* an SDS server, healthy */
	SOCKET_CLOSED    /* somebody is there and does not let us in */
};
struct socket_probe;
/* Once, never from inside start, unless cancelled. */
typedef void socket_probe_cb(void *arg, enum socket_found found);
MUST_USE enum err socket_probe_start(struct ev_loop *loop, const char *path,
				     socket_probe_cb *cb, void *arg,
				     struct socket_probe **out);
void socket_probe_cancel(struct socket_probe **p);

/* -- serving. The folder of a socket, where it is not there. */
MUST_USE enum err agent_socket_make_dir(const struct agent_conf *c,
					const char *path, struct why *why);
/* path: where; what is there is replaced. */
MUST_USE enum err agent_socket_new(struct agent *a, const char *path,
				   struct why *why, struct agent_socket **out);
void agent_socket_free(struct agent_socket *s);
const char *agent_socket_get_path(const struct agent_socket *s);
struct sds_server *agent_socket_get_server(const struct agent_socket *s);
size_t agent_socket_get_peer_count(const struct agent_socket *s);

/* May this user connect? allow: conf.socket_allow. */
bool agent_socket_allows(const struct conf_list *allow, uid_t own, uid_t peer);

#endif
