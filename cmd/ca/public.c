/* public.c - the role with the plain HTTP port: metrics and health. It holds no
 * keys, no record, no tokens; of the other roles it sees their metric blocks,
 * read-only. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "ca/conf.h"
#include "ca/metrics.h"
#include "ca/roles.h"
#include "crypto/path.h"
#include "http/http.h"
#include "ipc/role.h"

enum {
	BLOCKS_MAX = 80
};

struct public
{
	struct role *role;
	struct ca_conf conf;
	struct http_server *http;
	int listen_fd;
	/* Given once for each role; a role that is restarted keeps its block.
	 */
	struct metric_block *blocks[BLOCKS_MAX];
	char names[BLOCKS_MAX][48];
	size_t block_cnt;
};

static void
public_on_metrics(void *app, const struct http_request *rq,
		  struct http_response *rs)
{
	struct public *p = app;

	(void)rq;
	rs->content_type = "text/plain; version=0.0.4; charset=utf-8";
	rs->status = 200;
	if (metric_write(ca_metrics,
			 (const struct metric_block *const *)p->blocks,
			 p->block_cnt, &rs->body) != ERR_OK)
		rs->status = 500;
}

static void
public_on_healthz(void *app, const struct http_request *rq,
		  struct http_response *rs)
{
	(void)app;
	(void)rq;
	rs->status = 200;
	(void)buf_put_str(&rs->body, "ok\n");
}

static void
public_on_ready(void *app, const struct http_request *rq,
		struct http_response *rs)
{
	struct public *p = app;
	int64_t fronts = 0;

	(void)rq;
	for (size_t i = 0; i < p->block_cnt; i++)
		fronts += metric_get(p->blocks[i], M_READY, 0);
	rs->status = fronts > 0 ? 200 : 503;
	(void)buf_put_str(&rs->body,
			  fronts > 0 ? "ready\n"
				     : "not ready: no front serves yet; "
				       "meshcert status says why\n");
}

static void
public_on_version(void *app, const struct http_request *rq,
		  struct http_response *rs)
{
	(void)app;
	(void)rq;
	rs->status = 200;
	(void)buf_printf(&rs->body, "%s %s (%s)\n", CA_PROGRAM, VERSION_TEXT,
			 crypto_library_version());
}

static const struct http_route public_routes[] = {
	{"GET", "/metrics", 0, public_on_metrics},
	{"GET", "/healthz", 0, public_on_healthz},
	{"GET", "/ready", 0, public_on_ready},
	{"GET", "/version", 0, public_on_version},
	{NULL, NULL, 0, NULL},
};

static enum err
public_on_config(void *app, struct role *r, struct slice text, struct why *why)
{
	struct public *p = app;
	enum err ret;

	p->role = r;
	ret = ca_conf_parse(text, "configuration", &p->conf, why);
	if (ret == ERR_OK)
		ca_conf_apply_log(&p->conf);
	return ret;
}

static void
public_take_block(struct public *p, const char *name, int fd)
{
	if (p->block_cnt == BLOCKS_MAX ||
	    metric_block_map(ca_metrics, fd, false, &p->blocks[p->block_cnt]) !=
		    ERR_OK) {
		log_warn("public.metrics", "the numbers of %s are missing",
			 name);
		return;
	}
	(void)snprintf(p->names[p->block_cnt], sizeof(p->names[0]), "%s", name);
	p->block_cnt++;
}

static void
public_on_give(void *app, struct role *r, const char *name, int fd)
{
	struct public *p = app;

	(void)r;
	if (strcmp(name, "listen.http") == 0) {
		p->listen_fd = fd;
		return;
	}
	if (strncmp(name, "metrics.", 8) == 0)
		public_take_block(p, name + 8, fd);
	(void)close(fd);
}

static enum err
public_on_start(void *app, struct role *r, struct why *why)
{
	struct public *p = app;
	enum err ret;

	if (p->listen_fd >= 0) {
		ret = http_server_new(role_get_loop(r), p->listen_fd,
				      public_routes, p, &p->http);
		if (ret != ERR_OK)
			return why_set(why, ret, "listen.http: %s",
				       err_text(ret));
	}
	role_ready(r);
	return ERR_OK;
}

static void
public_on_reload(void *app, struct role *r, struct slice text)
{
	struct ca_conf fresh;

	(void)app;
	(void)r;
	if (ca_conf_parse(text, "configuration", &fresh, NULL) == ERR_OK) {
		ca_conf_apply_log(&fresh);
		ca_conf_free(&fresh);
	}
}

static const struct role_ops public_ops = {
	.program = CA_PROGRAM,
	.name = "public",
	.on_config = public_on_config,
	.on_give = public_on_give,
	.on_start = public_on_start,
	.on_reload = public_on_reload,
};

int
ca_public_main(unsigned index)
{
	struct public *p = MEM_NEW(struct public);
	int code;

	p->listen_fd = -1;
	code = role_run(&public_ops, index, p);
	http_server_free(p->http);
	return code;
}
