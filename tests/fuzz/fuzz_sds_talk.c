/* fuzz_sds_talk.c - what a proxy or a workload does on the agent's socket: up
 * to four calls on one connection, over a real socket pair, while secrets come,
 * change and go.
 *
 * An input is a list of steps, each one byte: the low 3 bits say what, the next
 * 2 which call, the upper 3 more of it. OPEN is followed by the method's
 * number, SEND by a length (16 bits) and a message. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/test_certs.h"
#include "base/log.h"
#include "grpc/pbscan.h"
#include "grpc/serve.h"
#include "sds/sds_int.h"
#include "workload/workload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Each is a connection. */
extern const unsigned fuzz_exec_max;
const unsigned fuzz_exec_max = 60000;

enum step {
	STEP_OPEN = 0,
	STEP_SEND,
	STEP_SET,
	STEP_REMOVE,
	STEP_HALF_CLOSE,
	STEP_CANCEL,
	STEP_TURN,
	STEP_READER /* stops and goes on */
};

enum {
	CALLS = 4,
	STEPS_MAX = 64,
	TURNS_MAX = 100,
	ANSWER_MAX = 1 << 20,
	SEND_ROOM = 4096 /* small, so that slow readers are soon met */
};

#define RESOLVABLE "file-cert:/a~/b"

/* Made once for all inputs. */
static struct ev_loop *loop;
static struct sds_secret *made[8];
static struct grpc_method table[SDS_METHODS + WORKLOAD_METHODS + 1];

struct talk {
	struct sds_secrets *secrets;
	struct sds_server *server;
	struct serve_opts opts;
	struct serve_conn *conn; /* NULL: it has ended */
	struct grpc_client *client;
	struct grpc_request *calls[CALLS];
	struct buf out;
	int fd;
	bool is_blocked;
	bool is_over;
	int resolved;
};

/* ---- secrets ------------------------------------------------------------- */

static struct sds_secret *
make_certificate(struct test_ca *ca, const char *name, const char *uri,
		 bool has_key)
{
	struct test_leaf leaf = {.uri = uri};
	struct secret *pem, *der;
	struct sds_secret *s;
	struct privkey *key;
	struct slice chain;
	struct buf cert;

	if (uri == NULL) {
		leaf.profile = BUILD_SERVING;
		leaf.dns = "a.test";
	}
	must(privkey_new(KEY_EC_P256, 0, &key) == ERR_OK);
	test_ca_issue(ca, key, &leaf, &cert);
	must(privkey_export(key, PRIVKEY_PKCS8_PEM, &pem) == ERR_OK);
	must(privkey_export(key, PRIVKEY_PKCS8_DER, &der) == ERR_OK);
	chain = buf_get(&cert);
	must(sds_secret_new_certificate(
		     &(struct sds_certificate){
			     .name = name,
			     .source = "test",
			     .chain = &chain,
			     .chain_cnt = 1,
			     .key_pem = pem,
			     .key_pkcs8 = has_key ? der : NULL,
		     },
		     NULL, &s) == ERR_OK);
	secret_free(pem);
	secret_free(der);
	privkey_free(key);
	buf_fini(&cert);
	return s;
}

static struct sds_secret *
make_roots(struct test_ca *ca, const char *name)
{
	const struct slice root = buf_get(&ca->cert);
	struct sds_secret *s;

	must(sds_secret_new_validation(
		     &(struct sds_validation){.name = name,
					      .source = "test",
					      .roots = &root,
					      .root_cnt = 1},
		     NULL, &s) == ERR_OK);
	return s;
}

static void
make_all(void)
{
	struct test_ca ca, other;

	(void)signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_ERROR);
	must(ev_loop_new(&loop) == ERR_OK);
	test_ca_init(&ca, "a.test");
	test_ca_init(&other, "b.test");
	made[0] = make_certificate(&ca, "default", "spiffe://a.test/x", true);
	made[1] = make_roots(&ca, "ROOTCA");
	made[2] = make_certificate(&ca, "default", "spiffe://a.test/x", true);
	made[3] = make_roots(&other, "ROOTCA");
	made[4] = make_certificate(&ca, RESOLVABLE, NULL, false);
	made[5] = make_certificate(&ca, "default", NULL, true);
	made[6] = make_certificate(&ca, "default", "spiffe://a.test/x", false);
	must(sds_secret_alias(made[1], "spiffe://a.test/ns/a/sa/b", &made[7]) ==
	     ERR_OK);
	test_ca_fini(&ca);
	test_ca_fini(&other);
	memcpy(table, sds_methods, sizeof(sds_methods));
	memcpy(table + SDS_METHODS, workload_methods, sizeof(workload_methods));
}

static bool
on_resolve(void *arg, const char *name)
{
	struct talk *t = arg;

	if (strcmp(name, RESOLVABLE) != 0)
		return false;
	t->resolved++;
	return true;
}

static void
on_release(void *arg, const char *name)
{
	struct talk *t = arg;

	must(strcmp(name, RESOLVABLE) == 0 && t->resolved > 0);
	t->resolved--;
}

/* ---- the client ---------------------------------------------------------- */

/* Whatever we say is a protobuf message. */
static void
on_message(void *arg UNUSED, struct grpc_request *r UNUSED,
	   struct slice message)
{
	struct pbscan_field f;
	enum err e;

	while ((e = pbscan_next(&message, &f)) == ERR_OK)
		;
	must(e == ERR_NOT_FOUND);
}

static void
on_finish(void *arg, struct grpc_request *r, enum grpc_status status UNUSED,
	  const char *text)
{
	struct talk *t = arg;

	must(text != NULL);
	for (size_t i = 0; i < CALLS; i++) {
		if (t->calls[i] == r)
			t->calls[i] = NULL;
	}
}

static void
call_start(struct talk *t, size_t i, uint8_t method, bool has_guard)
{
	static const struct grpc_request_cbs cbs = {.on_message = on_message,
						    .on_finish = on_finish};
	const struct h2_header guard = {SLICE_LIT("workload.spiffe.io"),
					has_guard ? SLICE_LIT("true")
						  : SLICE_LIT("no")};

	if (t->calls[i] != NULL)
		return;
	if (grpc_client_start(
		    t->client,
		    table[method % (SDS_METHODS + WORKLOAD_METHODS)].path,
		    &guard, 1, SLICE_NONE, false, 0, ANSWER_MAX, &cbs, t,
		    &t->calls[i]) != ERR_OK)
		t->calls[i] = NULL;
}

/* Bytes in both directions. False: nothing moved. */
static bool
move_bytes(struct talk *t)
{
	uint8_t in[16384];
	bool moved = false;
	ssize_t n;

	(void)grpc_client_take_output(t->client, &t->out, SEND_ROOM);
	if (buf_len(&t->out) > 0) {
		n = send(t->fd, buf_get(&t->out).p, buf_len(&t->out),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			buf_consume(&t->out, (size_t)n);
		t->is_over |= n < 0 && errno != EAGAIN;
		moved = n > 0;
	}
	ev_loop_step(loop, false);
	if (t->is_blocked)
		return moved;
	n = recv(t->fd, in, sizeof(in), MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN) ||
	    (n > 0 && grpc_client_feed(t->client, slice_of(in, (size_t)n),
				       (struct mono){1}) != ERR_OK))
		t->is_over = true;
	return moved || n > 0;
}

static void
turn(struct talk *t)
{
	/* A turn more than has news: what was put off to the next one. */
	for (int quiet = 0, i = 0; quiet < 2 && i < TURNS_MAX && !t->is_over;
	     i++)
		quiet = move_bytes(t) ? 0 : quiet + 1;
}

/* ---- steps --------------------------------------------------------------- */

static enum err
send_message(struct talk *t, size_t i, struct slice *in)
{
	struct slice message;
	uint16_t len;
	enum err ret;

	if ((ret = slice_read_u16(in, &len)) != ERR_OK)
		return ret;
	message = slice_sub(*in, 0, len);
	*in = slice_sub(*in, message.len, SIZE_MAX);
	if (t->calls[i] != NULL)
		(void)grpc_request_send(t->calls[i], message);
	return ERR_OK;
}

static enum err
take_step(struct talk *t, struct slice *in)
{
	uint8_t head, method;
	enum err ret;
	size_t call;

	if ((ret = slice_read_u8(in, &head)) != ERR_OK)
		return ret;
	call = head >> 3 & 3;
	switch ((enum step)(head & 7)) {
	case STEP_OPEN:
		if ((ret = slice_read_u8(in, &method)) != ERR_OK)
			return ret;
		call_start(t, call, method, head >> 5 == 0);
		break;
	case STEP_SEND:
		return send_message(t, call, in);
	case STEP_SET:
		sds_secrets_set(t->secrets, made[head >> 5]);
		break;
	case STEP_REMOVE:
		sds_secrets_remove(t->secrets,
				   sds_secret_get_name(made[head >> 5]));
		break;
	case STEP_HALF_CLOSE:
		if (t->calls[call] != NULL)
			grpc_request_half_close(t->calls[call]);
		break;
	case STEP_CANCEL:
		if (t->calls[call] != NULL)
			grpc_request_cancel(&t->calls[call]);
		break;
	case STEP_TURN:
		turn(t);
		break;
	case STEP_READER:
		t->is_blocked = !t->is_blocked;
		break;
	}
	return ERR_OK;
}

/* ---- one connection ------------------------------------------------------ */

static void
on_close(void *app, struct serve_conn *c UNUSED, enum err e UNUSED,
	 const char *detail UNUSED)
{
	struct talk *t = sds_server_get_app(app);

	t->conn = NULL;
}

static void
talk_init(struct talk *t)
{
	const int room = SEND_ROOM;
	struct ev_stream *stream;
	int ends[2];

	*t = (struct talk){0};
	t->secrets = sds_secrets_new(on_resolve, on_release, t);
	t->server = sds_server_new(t->secrets, t);
	t->opts.methods = table;
	t->opts.app = t->server;
	t->opts.out_max = 4 << 20;
	t->opts.on_close = on_close;
	sds_limits_set(&t->opts.limits);
	must(grpc_client_new("localhost", false, &t->opts.limits, &t->client) ==
	     ERR_OK);
	buf_init(&t->out, 1 << 20);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	t->fd = ends[1];
	(void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	must(ev_stream_from_fd(loop, ends[0], &stream) == ERR_OK);
	must(serve_conn_start(loop, stream, &t->opts, &t->conn) == ERR_OK);
}

/* What an operator sees meanwhile can be read. */
static void
check_status(const struct talk *t)
{
	struct json *json = NULL;
	struct jsonw w;
	struct buf out;

	buf_init(&out, 1 << 20);
	jsonw_init(&w, &out);
	jsonw_object_open(&w);
	sds_status_write_json(t->server, &w);
	jsonw_object_close(&w);
	must(json_parse(buf_get(&out), NULL, &json) == ERR_OK);
	json_free(json);
	buf_fini(&out);
}

/* Nothing is left of it, neither a stream nor a name. */
static void
talk_fini(struct talk *t)
{
	struct sds_counts counts;

	for (size_t i = 0; i < CALLS; i++) {
		if (t->calls[i] != NULL)
			grpc_request_cancel(&t->calls[i]);
	}
	grpc_client_free(t->client, "the end");
	(void)close(t->fd);
	for (int i = 0; i < TURNS_MAX && t->conn != NULL; i++)
		ev_loop_step(loop, true);
	must(t->conn == NULL);
	counts = sds_server_get_counts(t->server);
	must(counts.streams == 0 && counts.watches == 0 &&
	     t->server->name_bytes == 0 && t->resolved == 0);
	sds_server_free(t->server);
	sds_secrets_free(t->secrets);
	buf_fini(&t->out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct talk t;

	if (loop == NULL)
		make_all();
	talk_init(&t);
	for (int i = 0; i < STEPS_MAX && !t.is_over; i++) {
		if (take_step(&t, &in) != ERR_OK)
			break;
	}
	turn(&t);
	check_status(&t);
	talk_fini(&t);
	return 0;
}
