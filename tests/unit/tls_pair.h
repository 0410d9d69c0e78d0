/* tls_pair.h - a TLS client and a server joined in memory, for tests. Include
 * it once; what one test file does not need is left out by the linker. */
#ifndef TLS_PAIR_H
#define TLS_PAIR_H

#include "test_certs.h"
#include "tls/tls.h"
#include "unit.h"

#define WEB "spiffe://a.test/ns/x/sa/web"
#define DB "spiffe://a.test/ns/x/sa/db"
#define HOST "db.x.svc"

/* -- the world: two CAs, a clock */

static struct test_ca ca, foreign_ca;
static int64_t clock_sec;

static UNUSED struct wall
test_clock(void)
{
	return wall_of_sec(clock_sec);
}

static UNUSED int
setup(void **state)
{
	(void)state;
	test_ca_init(&ca, "a.test");
	test_ca_init(&foreign_ca, "b.test");
	return 0;
}

static UNUSED int
teardown(void **state)
{
	(void)state;
	test_ca_fini(&ca);
	test_ca_fini(&foreign_ca);
	return 0;
}

static UNUSED int
each_setup(void **state)
{
	(void)state;
	clock_sec = TEST_NOW_SEC;
	return 0;
}

static UNUSED struct tls_trust *
trust_of(struct test_ca *of, const char *domain, size_t cache_max)
{
	struct slice der = buf_get(&of->cert);
	struct pki_bundle *bundle;
	struct tls_trust *t;
	struct why why = {""};

	if (pki_bundle_new(slice_of_str(domain), &der, 1, &why, &bundle) !=
	    ERR_OK)
		fail_msg("bundle: %s", why.text);
	t = tls_trust_new(bundle, cache_max);
	pki_bundle_unref(bundle);
	return t;
}

/* -- a kind of custody that answers when the test says so */

struct custody_op {
	custody_sign_cb *cb;
	void *arg;
	struct buf signature;
	struct custody_op **pending;
};

struct late_key {
	struct privkey *key;
	struct custody_op *op; /* the one under way */
	unsigned cancelled;
};

static UNUSED enum err
late_sign_start(void *self, enum sig_alg alg, struct slice message,
		custody_sign_cb *cb, void *arg, struct custody_op **pending)
{
	struct late_key *k = (struct late_key *)self;
	struct custody_op *op = MEM_NEW(struct custody_op);

	op->cb = cb;
	op->arg = arg;
	op->pending = pending;
	buf_init(&op->signature, 4096);
	must(privkey_sign(k->key, alg, message, &op->signature) == ERR_OK);
	must(k->op == NULL);
	k->op = op;
	*pending = op;
	return ERR_OK;
}

static UNUSED void
late_op_free(struct custody_op *op)
{
	buf_fini(&op->signature);
	mem_free(op);
}

static UNUSED void
late_sign_cancel(void *self, struct custody_op **pending)
{
	struct late_key *k = (struct late_key *)self;

	late_op_free(TAKE(k->op));
	*pending = NULL;
	k->cancelled++;
}

static UNUSED void
late_free(void *self)
{
	privkey_free(((struct late_key *)self)->key);
}

static const struct custody_ops late_ops = {
	.kind = "late",
	.sign_start = late_sign_start,
	.sign_cancel = late_sign_cancel,
	.free = late_free,
};

static UNUSED void
late_answer(struct late_key *k, enum err e)
{
	struct custody_op *op = TAKE(k->op);

	*op->pending = NULL;
	op->cb(op->arg, e, e == ERR_OK ? buf_get(&op->signature) : SLICE_NONE);
	late_op_free(op);
}

/* -- identities */

static UNUSED struct tls_identity *
identity_of_key(struct test_ca *of, struct privkey *key,
		const struct test_leaf *leaf, struct late_key *late)
{
	struct custody_key *custody = NULL;
	struct tls_identity *id;
	struct buf cert, spki;
	struct slice der;
	struct why why = {""};

	test_ca_issue(of, key, leaf, &cert);
	if (late == NULL) {
		must(custody_memory_new(key, &custody) == ERR_OK);
	} else {
		late->key = key;
		custody =
			custody_new(&late_ops, late, test_key_spki(key, &spki),
				    privkey_kind(key), privkey_bits(key),
				    privkey_default_alg(key));
		buf_fini(&spki);
	}
	der = buf_get(&cert);
	if (tls_identity_new(&der, 1, custody, &why, &id) != ERR_OK)
		fail_msg("identity: %s", why.text);
	custody_unref(custody);
	buf_fini(&cert);
	return id;
}

static UNUSED struct tls_identity *
identity_of(struct test_ca *of, enum key_kind kind,
	    const struct test_leaf *leaf, struct late_key *late)
{
	struct privkey *key;

	must(privkey_new(kind, kind == KEY_RSA ? 2048 : 0, &key) == ERR_OK);
	return identity_of_key(of, key, leaf, late);
}

/* -- two sides and what goes between them */

struct side {
	struct tls_ctx *ctx;
	struct tls_conn *conn;
	struct buf data; /* received */
	unsigned done;   /* handshakes */
	unsigned outputs;
	enum err err;
	struct why why;
	bool free_on_data, free_on_done;
	const char *reply; /* written inside on_data */
};

struct pair {
	struct side client, server;
	size_t step; /* bytes a feed; 0: all */
};

static UNUSED void
on_data(void *arg, struct slice bytes)
{
	struct side *s = (struct side *)arg;

	(void)buf_put(&s->data, bytes);
	if (s->reply != NULL) {
		const char *reply = TAKE(s->reply);

		assert_int_equal(tls_conn_write(s->conn, slice_of_str(reply)),
				 ERR_OK);
	}
	if (s->free_on_data) {
		tls_conn_free(s->conn);
		s->conn = NULL;
	}
}

static UNUSED void
on_done(void *arg)
{
	struct side *s = (struct side *)arg;

	s->done++;
	assert_true(tls_conn_is_ready(s->conn));
	if (s->free_on_done) {
		tls_conn_free(s->conn);
		s->conn = NULL;
	}
}

static UNUSED void
on_output(void *arg)
{
	((struct side *)arg)->outputs++;
}

static const struct tls_conn_cbs cbs = {
	.on_data = on_data,
	.on_handshake_done = on_done,
	.on_output = on_output,
};

static UNUSED void
feed(struct side *to, struct slice bytes)
{
	if (to->conn == NULL || to->err != ERR_OK)
		return;
	to->err = tls_conn_feed(to->conn, bytes, &to->why);
}

/* Everything that `from` has to say. */
static UNUSED bool
move(struct pair *p, struct side *from, struct side *to)
{
	struct slice out;
	bool moved = false;

	while (from->conn != NULL &&
	       (out = tls_conn_get_output(from->conn)).len != 0) {
		if (p->step != 0)
			out = slice_sub(out, 0, p->step);
		feed(to, out);
		tls_conn_consume(from->conn, out.len);
		moved = true;
	}
	return moved;
}

static UNUSED void
pump(struct pair *p)
{
	bool more = true;

	while (more) {
		more = move(p, &p->client, &p->server);
		more = move(p, &p->server, &p->client) || more;
	}
}

static const char *const h2[] = {"h2", NULL};

static UNUSED void
pair_init(struct pair *p, enum tls_peer_cert peer)
{
	struct tls_ctx_opts opts = {
		.role = TLS_SERVER, .peer = peer, .alpn = h2};
	struct tls_identity *id;
	struct tls_trust *trust;

	memset(p, 0, sizeof(*p));
	buf_init(&p->client.data, 4 << 20);
	buf_init(&p->server.data, 4 << 20);
	assert_int_equal(tls_ctx_new(&opts, &p->server.ctx), ERR_OK);
	opts.role = TLS_CLIENT;
	assert_int_equal(tls_ctx_new(&opts, &p->client.ctx), ERR_OK);
	id = identity_of(&ca, KEY_EC_P256,
			 &(struct test_leaf){.profile = BUILD_SERVING,
					     .uri = DB,
					     .dns = HOST},
			 NULL);
	tls_ctx_set_identity(p->server.ctx, id);
	tls_identity_unref(id);
	id = identity_of(&ca, KEY_EC_P256, &(struct test_leaf){.uri = WEB},
			 NULL);
	tls_ctx_set_identity(p->client.ctx, id);
	tls_identity_unref(id);
	trust = trust_of(&ca, "a.test", 16);
	tls_ctx_set_trust(p->server.ctx, trust);
	tls_ctx_set_trust(p->client.ctx, trust);
	tls_trust_unref(trust);
}

static UNUSED void
pair_set_identity(struct side *s, struct tls_identity *id)
{
	tls_ctx_set_identity(s->ctx, id);
	tls_identity_unref(id);
}

static UNUSED void
pair_set_trust(struct side *s, struct tls_trust *t)
{
	tls_ctx_set_trust(s->ctx, t);
	tls_trust_unref(t);
}

static UNUSED void
pair_set_opts(struct side *s, const struct tls_ctx_opts *opts)
{
	struct tls_ctx *ctx;

	assert_int_equal(tls_ctx_new(opts, &ctx), ERR_OK);
	/* The tests give identity and trust anew. */
	tls_ctx_free(s->ctx);
	s->ctx = ctx;
}

/* The side's key answers by late_answer only. */
static UNUSED void
pair_set_late_key(struct pair *p, struct side *s, struct late_key *late)
{
	struct test_leaf web = {.uri = WEB};
	struct test_leaf db = {
		.profile = BUILD_SERVING, .uri = DB, .dns = HOST};

	memset(late, 0, sizeof(*late));
	pair_set_identity(s, identity_of(&ca, KEY_EC_P256,
					 s == &p->server ? &db : &web, late));
}

static UNUSED void
side_reset(struct side *s)
{
	tls_conn_free(TAKE(s->conn));
	buf_release(&s->data);
	s->done = s->outputs = 0;
	s->err = ERR_OK;
	s->why.text[0] = '\0';
}

static UNUSED void
pair_start(struct pair *p, const char *server_name)
{
	side_reset(&p->client);
	side_reset(&p->server);
	assert_int_equal(tls_conn_new(p->client.ctx, server_name, test_clock,
				      &cbs, &p->client, &p->client.conn),
			 ERR_OK);
	assert_int_equal(tls_conn_new(p->server.ctx, NULL, test_clock, &cbs,
				      &p->server, &p->server.conn),
			 ERR_OK);
	p->client.err = tls_conn_start(p->client.conn, &p->client.why);
}

static UNUSED void
pair_run(struct pair *p, const char *server_name)
{
	pair_start(p, server_name);
	pump(p);
}

static UNUSED void
pair_fini(struct pair *p)
{
	struct side *sides[] = {&p->client, &p->server};

	for (size_t i = 0; i < 2; i++) {
		tls_conn_free(sides[i]->conn);
		tls_ctx_free(sides[i]->ctx);
		buf_fini(&sides[i]->data);
	}
}

static UNUSED void
assert_ready(const struct pair *p)
{
	if (p->client.done != 1 || p->server.done != 1)
		fail_msg("client: %s; server: %s", p->client.why.text,
			 p->server.why.text);
}

static UNUSED void
assert_failed(const struct side *s, enum err e, const char *text)
{
	if (s->err != e || strstr(s->why.text, text) == NULL)
		fail_msg("%s, \"%s\"; expected %s, \"%s\"", err_name(s->err),
			 s->why.text, err_name(e), text);
	assert_int_equal(s->done, 0);
}

static UNUSED void
assert_talk(struct pair *p)
{
	p->server.reply = "pong";
	assert_int_equal(tls_conn_write(p->client.conn, SLICE_LIT("ping")),
			 ERR_OK);
	pump(p);
	assert_true(slice_is_str(buf_get(&p->server.data), "ping"));
	assert_true(slice_is_str(buf_get(&p->client.data), "pong"));
}

static UNUSED void
assert_peer(const struct side *s, const char *spiffe_id)
{
	const struct tls_peer *peer = tls_conn_get_peer(s->conn);

	assert_true(peer->verified);
	assert_true(slice_is_str(peer->spiffe_id, spiffe_id));
	assert_int_equal(peer->serial.len, BUILD_SERIAL_LEN);
	assert_int_equal(wall_sec(peer->not_after), TEST_NOW_SEC + TEST_DAY);
}

/* A test that begins at TEST_NOW_SEC. */
#define TLS_TEST(name) cmocka_unit_test_setup(name, each_setup)

#endif
