/* ev_addr.c - endpoints: from text, to text, and to the kernel's form. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "ev/ev_int.h"

/* see ev_int.h */
enum err
ev_addr_split(const char *text, char host[256], uint16_t *port_out)
{
	const char *colon = strrchr(text, ':');
	struct slice name;
	uint64_t port;
	enum err ret;

	*port_out = 0;
	if (colon == NULL)
		return ERR_SYNTAX;
	if ((ret = slice_parse_u64(slice_of_str(colon + 1), &port)) != ERR_OK)
		return ret;
	name = slice_of(text, (size_t)(colon - text));
	if (name.len >= 2 && name.p[0] == '[' && name.p[name.len - 1] == ']')
		name = slice_sub(name, 1, name.len - 2);
	else if (slice_find(name, ':') != name.len)
		return ERR_SYNTAX; /* v6 without brackets: which colon? */
	if (port > UINT16_MAX || name.len > 255)
		return ERR_SYNTAX;
	memset(host, 0, 256);
	if (name.len > 0)
		memcpy(host, name.p, name.len);
	*port_out = (uint16_t)port;
	return ERR_OK;
}

/* see ev_int.h */
bool
ev_addr_set_numeric(struct ev_addr *a, const char *host)
{
	char bare[256];
	char *zone;

	a->scope = 0;
	if (inet_pton(AF_INET, host, a->ip) == 1) {
		a->family = AF_INET;
		return true;
	}
	(void)snprintf(bare, sizeof(bare), "%s", host);
	if ((zone = strchr(bare, '%')) != NULL) {
		*zone = '\0';
		if ((a->scope = if_nametoindex(zone + 1)) == 0)
			return false;
	}
	if (inet_pton(AF_INET6, bare, a->ip) != 1)
		return false;
	a->family = AF_INET6;
	return true;
}

/* see ev_int.h */
void
ev_addr_from_sockaddr(struct ev_addr *a, const struct sockaddr *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	*a = (struct ev_addr){.family = (uint8_t)sa->sa_family};
	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		memcpy(a->ip, &in.sin_addr, 4);
		a->port = ntohs(in.sin_port);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		memcpy(a->ip, &in6.sin6_addr, 16);
		a->port = ntohs(in6.sin6_port);
		a->scope = in6.sin6_scope_id;
	}
}

/* see ev_int.h */
socklen_t
ev_addr_to_sockaddr(const struct ev_addr *a, struct sockaddr_storage *ss)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	memset(ss, 0, sizeof(*ss));
	if (a->family == AF_INET) {
		memcpy(&in.sin_addr, a->ip, 4);
		in.sin_port = htons(a->port);
		memcpy(ss, &in, sizeof(in));
		return sizeof(in);
	}
	must(a->family == AF_INET6);
	memcpy(&in6.sin6_addr, a->ip, 16);
	in6.sin6_port = htons(a->port);
	in6.sin6_scope_id = a->scope;
	memcpy(ss, &in6, sizeof(in6));
	return sizeof(in6);
}

/* see ev_int.h */
void
ev_addr_text(const struct ev_addr *a, char out[EV_ADDR_TEXT_MAX])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0,    0,
					   0, 0, 0, 0, 0xff, 0xff};
	char ip[INET6_ADDRSTRLEN] = "?";

	if (a->family == AF_INET6 && memcmp(a->ip, mapped, 12) == 0) {
		/* IPv4 through an IPv6 listener: people want to see IPv4. */
		(void)inet_ntop(AF_INET, a->ip + 12, ip, sizeof(ip));
		(void)snprintf(out, EV_ADDR_TEXT_MAX, "%s:%u", ip, a->port);
	} else if (a->family == AF_INET6) {
		(void)inet_ntop(AF_INET6, a->ip, ip, sizeof(ip));
		(void)snprintf(out, EV_ADDR_TEXT_MAX, "[%s]:%u", ip, a->port);
	} else if (a->family == AF_INET) {
		(void)inet_ntop(AF_INET, a->ip, ip, sizeof(ip));
		(void)snprintf(out, EV_ADDR_TEXT_MAX, "%s:%u", ip, a->port);
	} else {
		(void)snprintf(out, EV_ADDR_TEXT_MAX, "unknown");
	}
}

/* see ev_int.h */
void
ev_sock_unblock(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && (flags & O_NONBLOCK) == 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* see ev_int.h. Not a TCP socket: nothing happens. A peer that vanished is
 * noticed after two minutes. */
void
ev_sock_tune(int fd)
{
	int one = 1;
	int idle_sec = 60;
	int step_sec = 15;
	int tries = 4;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_sec,
			 sizeof(idle_sec));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &step_sec,
			 sizeof(step_sec));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
}
