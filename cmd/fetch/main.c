/* main.c - meshcert-fetch: the role that makes outgoing HTTPS requests.
 *
 * An executable of its own, because the system's libcurl brings OpenSSL, which
 * never shares a process with AWS-LC. It is started by a supervisor, not by
 * people; it holds no keys, no record, no listening sockets. Each request
 * (MSG_FETCH) names address, size and time limits; there are no redirects, and
 * nothing but https. */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "ca/msg.h"
#include "ev/ev.h"
#include "ipc/ipc.h"
#include "ipc/role.h"

enum {
	CLIENTS_MAX = 64,
	TRANSFERS_MAX = 64
};

struct fetch;

struct client {
	struct fetch *fetch;
	struct ipc *ipc;
	uint32_t epoch;
};

struct transfer {
	struct fetch *fetch;
	CURL *easy; /* NULL: free */
	struct client *client;
	uint32_t epoch; /* a client that was restarted gets no old answers */
	uint64_t id;
	struct buf body;
	char error[CURL_ERROR_SIZE];
};

struct socket_watch {
	struct fetch *fetch;
	curl_socket_t fd;
	struct ev_poll *poll;
};

struct fetch {
	struct role *role;
	struct ev_loop *loop;
	CURLM *multi;
	struct ev_timer *timer;
	struct client clients[CLIENTS_MAX];
	struct transfer transfers[TRANSFERS_MAX];
};

/* ---- answers ----------------------------------------------------------- */

static void
fetch_answer(struct client *c, uint64_t id, const struct msg_fetched *m)
{
	struct buf out;

	if (c->ipc == NULL)
		return;
	buf_init(&out, MSG_FRAME_MAX);
	msg_fetched_write(&out, m);
	(void)ipc_send(c->ipc, MSG_FETCHED, id, buf_get(&out));
	buf_fini(&out);
}

static void
transfer_free(struct transfer *t)
{
	(void)curl_multi_remove_handle(t->fetch->multi, t->easy);
	curl_easy_cleanup(t->easy);
	t->easy = NULL;
	buf_fini(&t->body);
}

static void
transfer_finish(struct transfer *t, CURLcode code)
{
	struct msg_fetched m = {.e = ERR_OK};
	long status = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	m.http_status = (uint32_t)status;
	if (code != CURLE_OK) {
		m.e = code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT
		      : buf_has_failed(&t->body)       ? ERR_LIMIT
						       : ERR_UNAVAILABLE;
		m.text = buf_has_failed(&t->body)
				 ? SLICE_LIT("the answer is too long")
				 : slice_of_str(
					   t->error[0] != '\0'
						   ? t->error
						   : curl_easy_strerror(code));
	} else {
		m.body = buf_get(&t->body);
	}
	if (t->client->epoch == t->epoch)
		fetch_answer(t->client, t->id, &m);
	transfer_free(t);
}

/* ---- curl on our loop -------------------------------------------------- */

static void
fetch_collect(struct fetch *f)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(f->multi, &left)) != NULL) {
		struct transfer *t = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE,
					(char **)&t);
		if (t != NULL)
			transfer_finish(t, msg->data.result);
	}
}

static void
socket_on_event(void *arg, bool readable, bool writable)
{
	struct socket_watch *w = arg;
	struct fetch *f = w->fetch;
	int running;

	(void)curl_multi_socket_action(
		f->multi, w->fd,
		(readable ? CURL_CSELECT_IN : 0) |
			(writable ? CURL_CSELECT_OUT : 0),
		&running);
	fetch_collect(f);
}

static int
fetch_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sockp)
{
	struct fetch *f = arg;
	struct socket_watch *w = sockp;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w != NULL)
			ev_poll_cancel(&w->poll);
		mem_free(w);
		return 0;
	}
	if (w == NULL) {
		w = MEM_NEW(struct socket_watch);
		w->fetch = f;
		w->fd = fd;
		if (ev_poll_start(f->loop, fd, socket_on_event, w, &w->poll) !=
		    ERR_OK) {
			mem_free(w);
			return -1;
		}
		(void)curl_multi_assign(f->multi, fd, w);
	}
	ev_poll_want(w->poll, (what & CURL_POLL_IN) != 0,
		     (what & CURL_POLL_OUT) != 0);
	return 0;
}

static void
fetch_on_timeout(void *arg)
{
	struct fetch *f = arg;
	int running;

	(void)curl_multi_socket_action(f->multi, CURL_SOCKET_TIMEOUT, 0,
				       &running);
	fetch_collect(f);
}

static int
fetch_on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct fetch *f = arg;

	(void)multi;
	ev_timer_cancel(&f->timer);
	if (timeout_ms < 0)
		return 0;
	return ev_timer_start(f->loop, (uint64_t)timeout_ms, fetch_on_timeout,
			      f, &f->timer) == ERR_OK
		       ? 0
		       : -1;
}

static size_t
transfer_on_data(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	return buf_put(&t->body, slice_of(p, size * n)) == ERR_OK ? size * n
								  : 0;
}

/* ---- requests ---------------------------------------------------------- */

/* False when any was refused: a limit that is not in force (https only, no
 * redirects, time) must not go unseen. */
static bool
transfer_set_options(struct transfer *t, const char *url, const char *ca_file,
		     uint32_t timeout_ms)
{
	CURL *e = t->easy;
	bool ok;

	ok = curl_easy_setopt(e, CURLOPT_URL, url) == CURLE_OK &&
	     curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
	     curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	     curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	     curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)timeout_ms) ==
		     CURLE_OK &&
	     curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, transfer_on_data) ==
		     CURLE_OK &&
	     curl_easy_setopt(e, CURLOPT_WRITEDATA, t) == CURLE_OK &&
	     curl_easy_setopt(e, CURLOPT_PRIVATE, t) == CURLE_OK &&
	     curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error) == CURLE_OK &&
	     curl_easy_setopt(e, CURLOPT_USERAGENT,
			      "meshcert-fetch/" VERSION_TEXT) == CURLE_OK &&
	     curl_easy_setopt(e, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) ==
		     CURLE_OK;
	if (ok && *ca_file != '\0')
		ok = curl_easy_setopt(e, CURLOPT_CAINFO, ca_file) == CURLE_OK;
	return ok;
}

static struct transfer *
fetch_find_free(struct fetch *f)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		if (f->transfers[i].easy == NULL)
			return &f->transfers[i];
	}
	return NULL;
}

static enum err
fetch_begin(struct client *c, uint64_t id, const struct msg_fetch *m)
{
	struct fetch *f = c->fetch;
	struct transfer *t = fetch_find_free(f);
	char *url = mem_dup_slice_str(m->url);
	char *ca_file = mem_dup_slice_str(m->ca_file);
	enum err ret = ERR_BUSY;

	if (t == NULL)
		goto out;
	*t = (struct transfer){.fetch = f,
			       .client = c,
			       .epoch = c->epoch,
			       .id = id,
			       .easy = curl_easy_init()};
	if (t->easy == NULL)
		goto out;
	buf_init(&t->body, m->size_max);
	if (transfer_set_options(t, url, ca_file, m->timeout_ms) &&
	    curl_multi_add_handle(f->multi, t->easy) == CURLM_OK) {
		ret = ERR_OK;
		goto out;
	}
	/* Without an answer the front would wait for it for ever. */
	curl_easy_cleanup(t->easy);
	t->easy = NULL;
	buf_fini(&t->body);
	ret = ERR_UNSUPPORTED;
out:
	mem_free(url);
	mem_free(ca_file);
	return ret;
}

static enum err
client_on_message(void *arg, uint16_t type, uint64_t id, struct slice payload,
		  int fd)
{
	struct client *c = arg;
	struct msg_fetch m;
	enum err ret;

	(void)fd;
	if (type != MSG_FETCH)
		return ERR_PROTOCOL;
	if ((ret = msg_fetch_read(payload, &m)) != ERR_OK)
		return ret;
	if (m.size_max > MSG_FRAME_MAX / 2)
		return ERR_PROTOCOL;
	if ((ret = fetch_begin(c, id, &m)) != ERR_OK) {
		const struct msg_fetched refused = {
			.e = ret,
			.text = ret == ERR_BUSY
					? SLICE_LIT("too many requests under "
						    "way")
					: SLICE_LIT("libcurl refuses the "
						    "request's options")};

		fetch_answer(c, id, &refused);
	}
	return ERR_OK;
}

static void
client_on_close(void *arg, enum err why)
{
	struct client *c = arg;

	(void)why;
	ipc_close(&c->ipc);
}

static const struct ipc_cbs client_cbs = {
	.on_message = client_on_message,
	.on_close = client_on_close,
};

static const struct ipc_limits client_limits = {
	.frame_max = MSG_FRAME_MAX,
	.queue_max = MSG_QUEUE_MAX,
};

/* ---- life -------------------------------------------------------------- */

static enum err
fetch_on_config(void *app, struct role *r, struct slice text, struct why *why)
{
	struct fetch *f = app;

	/* Everything it needs is in the requests. */
	(void)text;
	f->role = r;
	f->loop = role_get_loop(r);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (f->multi = curl_multi_init()) == NULL)
		return why_set(why, ERR_BUG, "libcurl does not start");
	(void)curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION,
				fetch_on_socket);
	(void)curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	(void)curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION,
				fetch_on_timer);
	(void)curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	return ERR_OK;
}

static void
fetch_on_give(void *app, struct role *r, const char *name, int fd)
{
	struct fetch *f = app;
	struct client *c;
	char peer[32];
	unsigned index;

	(void)r;
	if (!role_is_link(name, peer, &index) || index >= CLIENTS_MAX) {
		(void)close(fd);
		return;
	}
	c = &f->clients[index];
	ipc_close(&c->ipc);
	c->fetch = f;
	c->epoch++;
	(void)!ipc_new(f->loop, fd, peer, &client_limits, &client_cbs, c,
		       &c->ipc);
}

static enum err
fetch_on_start(void *app, struct role *r, struct why *why)
{
	(void)app;
	(void)why;
	role_ready(r);
	return ERR_OK;
}

static const struct role_ops fetch_ops = {
	.program = "meshcert-fetch",
	.name = "fetch",
	.on_config = fetch_on_config,
	.on_give = fetch_on_give,
	.on_start = fetch_on_start,
};

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("meshcert-fetch %s (%s)\n", VERSION_TEXT,
			     curl_version());
		return 0;
	}
	if (argc < 3 || strcmp(argv[1], "--role") != 0) {
		(void)fprintf(stderr,
			      "meshcert-fetch is started by meshcert's own "
			      "programs, not by hand.\n");
		return 2;
	}
	return role_run(&fetch_ops, 0, MEM_NEW(struct fetch));
}
