/* sds_pair.h - an SDS server on a Unix socket and a client of it, on one loop,
 * with secrets made in memory. Include it once. */
#ifndef SDS_PAIR_H
#define SDS_PAIR_H

#include <unistd.h>

#include "base/mem.h"
#include "grpc/serve.h"
#include "sds/sds_int.h"
#include "test_certs.h"
#include "unit.h"
#include "workload/workload.h"

enum {
	PAIR_MESSAGES_MAX = 64,
	PAIR_STEPS_MAX = 2000,
	PAIR_RESPONSE_MAX = 1024 * 1024
};

/* One call of the client and all that came of it. */
struct pair_call {
	struct grpc_request *rq;
	struct buf messages[PAIR_MESSAGES_MAX];
	size_t cnt;
	bool finished;
	enum grpc_status status;
	char text[256];
};

struct pair {
	struct ev_loop *loop;
	char dir[64];
	char addr[96];
	struct ev_listener *listener;
	struct serve_opts opts;
	struct grpc_method table[SDS_METHODS + WORKLOAD_METHODS + 1];
	struct sds_secrets *secrets;
	struct sds_server *server;
	struct dial_conn *dial;
	bool ready;
	unsigned server_conns;
	struct test_ca ca;
	const char *resolvable; /* the one name that the resolver takes */
	unsigned resolved_cnt, released_cnt;
};

/* ---- secrets ------------------------------------------------------------- */

/* A new leaf each time: another version. uri NULL: a DNS name instead. */
static UNUSED struct sds_secret *
pair_certificate(struct pair *p, const char *name, const char *uri)
{
	struct privkey *key;
	struct buf leaf;
	struct slice chain[1];
	struct secret *pem;
	struct secret *der;
	struct sds_secret *s;
	struct why why = {""};

	must(privkey_new(KEY_EC_P256, 0, &key) == ERR_OK);
	test_ca_issue(&p->ca, key,
		      &(struct test_leaf){.uri = uri,
					  .profile = uri == NULL
							     ? BUILD_SERVING
							     : BUILD_WORKLOAD,
					  .dns = uri == NULL ? "a.test" : NULL},
		      &leaf);
	must(privkey_export(key, PRIVKEY_PKCS8_PEM, &pem) == ERR_OK);
	must(privkey_export(key, PRIVKEY_PKCS8_DER, &der) == ERR_OK);
	chain[0] = buf_get(&leaf);
	if (sds_secret_new_certificate(
		    &(struct sds_certificate){.name = name,
					      .source = "test",
					      .chain = chain,
					      .chain_cnt = 1,
					      .key_pem = pem,
					      .key_pkcs8 = der},
		    &why, &s) != ERR_OK)
		err_must_failed(why.text, __FILE__, __LINE__);
	secret_free(pem);
	secret_free(der);
	privkey_free(key);
	buf_fini(&leaf);
	return s;
}

static UNUSED struct sds_secret *
pair_validation(struct pair *p, const char *name)
{
	struct slice roots[] = {buf_get(&p->ca.cert)};
	struct sds_secret *s;
	struct why why = {""};

	if (sds_secret_new_validation(&(struct sds_validation){.name = name,
							       .source = "test",
							       .roots = roots,
							       .root_cnt = 1},
				      &why, &s) != ERR_OK)
		err_must_failed(why.text, __FILE__, __LINE__);
	return s;
}

/* Takes the reference. */
static UNUSED void
pair_set(struct pair *p, struct sds_secret *s)
{
	sds_secrets_set(p->secrets, s);
	sds_secret_unref(s);
}

static UNUSED void
pair_set_default(struct pair *p)
{
	pair_set(p,
		 pair_certificate(p, "default", "spiffe://td.test/ns/a/sa/b"));
}

static UNUSED const char *
pair_version(const struct pair *p, const char *name)
{
	return sds_secret_get_version(sds_secrets_get(p->secrets, name));
}

static bool
pair_resolve(void *arg, const char *name)
{
	struct pair *p = arg;

	if (p->resolvable == NULL || strcmp(p->resolvable, name) != 0)
		return false;
	p->resolved_cnt++;
	return true;
}

static void
pair_release(void *arg, const char *name UNUSED)
{
	struct pair *p = arg;

	p->released_cnt++;
}

/* ---- connections --------------------------------------------------------- */

static void
pair_on_accept(void *arg, struct ev_stream *stream)
{
	struct pair *p = arg;

	must(serve_conn_start(p->loop, stream, &p->opts, NULL) == ERR_OK);
	p->server_conns++;
}

static void
pair_on_server_close(void *app, struct serve_conn *c UNUSED, enum err e UNUSED,
		     const char *detail UNUSED)
{
	struct pair *p = sds_server_get_app(app);

	p->server_conns--;
}

static void
pair_on_ready(void *arg, struct dial_conn *c UNUSED)
{
	struct pair *p = arg;

	p->ready = true;
}

static void
pair_on_close(void *arg UNUSED, enum err e UNUSED, const char *detail)
{
	err_must_failed(detail, __FILE__, __LINE__);
}

#define PAIR_UNTIL(p, cond)                                     \
	do {                                                    \
		unsigned steps_ = 0;                            \
		while (!(cond)) {                               \
			assert_true(steps_++ < PAIR_STEPS_MAX); \
			ev_loop_step((p)->loop, true);          \
		}                                               \
	} while (0)

static UNUSED void
pair_init(struct pair *p)
{
	struct dial_opts d = {.addr = p->addr, .timeout_ms = 5000};
	struct why why;
	int fd;

	*p = (struct pair){0};
	must(ev_loop_new(&p->loop) == ERR_OK);
	test_ca_init(&p->ca, "test root");
	p->secrets = sds_secrets_new(pair_resolve, pair_release, p);
	p->server = sds_server_new(p->secrets, p);
	memcpy(p->table, sds_methods, sizeof(sds_methods));
	memcpy(p->table + SDS_METHODS, workload_methods,
	       sizeof(workload_methods));
	p->opts.methods = p->table;
	p->opts.app = p->server;
	p->opts.out_max = 4 * 1024 * 1024;
	p->opts.on_close = pair_on_server_close;
	sds_limits_set(&p->opts.limits);
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/meshcert-sds-XXXXXX");
	must(mkdtemp(p->dir) != NULL);
	(void)snprintf(p->addr, sizeof(p->addr), "unix:%s/s", p->dir);
	must(ev_bind(p->addr, false, 0600, &why, &fd) == ERR_OK);
	must(ev_listen_fd(p->loop, fd, pair_on_accept, p, &p->listener) ==
	     ERR_OK);
	d.addr = p->addr;
	d.authority = "localhost";
	d.limits = p->opts.limits;
	d.on_ready = pair_on_ready;
	d.on_close = pair_on_close;
	d.arg = p;
	must(dial_start(p->loop, &d, &p->dial) == ERR_OK);
	PAIR_UNTIL(p, p->ready && p->server_conns == 1);
}

static UNUSED void
pair_fini(struct pair *p)
{
	dial_close(&p->dial, "done");
	PAIR_UNTIL(p, p->server_conns == 0);
	ev_listener_close(&p->listener);
	sds_server_free(p->server);
	sds_secrets_free(p->secrets);
	test_ca_fini(&p->ca);
	ev_loop_free(p->loop);
	(void)unlink(p->addr + 5);
	(void)rmdir(p->dir);
}

/* ---- calls --------------------------------------------------------------- */

static void
call_on_message(void *arg, struct grpc_request *r UNUSED, struct slice message)
{
	struct pair_call *c = arg;

	must(c->cnt < PAIR_MESSAGES_MAX);
	buf_init(&c->messages[c->cnt], PAIR_RESPONSE_MAX);
	must(buf_put(&c->messages[c->cnt++], message) == ERR_OK);
}

static void
call_on_finish(void *arg, struct grpc_request *r UNUSED,
	       enum grpc_status status, const char *text)
{
	struct pair_call *c = arg;

	c->finished = true;
	c->status = status;
	c->rq = NULL;
	(void)snprintf(c->text, sizeof(c->text), "%s", text);
}

static const struct grpc_request_cbs pair_cbs = {
	.on_message = call_on_message,
	.on_finish = call_on_finish,
};

static UNUSED void
call_start(struct pair *p, struct pair_call *c, const char *path,
	   struct slice first, bool half_close)
{
	const struct h2_header guard = {SLICE_LIT("workload.spiffe.io"),
					SLICE_LIT("true")};

	*c = (struct pair_call){0};
	must(grpc_client_start(dial_get_client(p->dial), path, &guard, 1, first,
			       half_close, 0, PAIR_RESPONSE_MAX, &pair_cbs, c,
			       &c->rq) == ERR_OK);
	dial_wake(p->dial);
}

static UNUSED void
call_send(struct pair *p, struct pair_call *c, struct slice message)
{
	must(grpc_request_send(c->rq, message) == ERR_OK);
	dial_wake(p->dial);
}

static UNUSED void
call_end(struct pair *p, struct pair_call *c)
{
	if (c->rq != NULL) {
		grpc_request_cancel(&c->rq);
		dial_wake(p->dial);
	}
	for (size_t i = 0; i < c->cnt; i++)
		buf_fini(&c->messages[i]);
	c->cnt = 0;
}

#endif
