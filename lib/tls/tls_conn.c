/* tls_conn.c - one connection: bytes in, bytes out.
 *
 * The library reads through a BIO of ours from the slice lent to
 * tls_conn_feed, and writes through it into c->out. When a key answers later,
 * what arrives meanwhile waits in hs->waiting.
 *
 * Callbacks may free the connection: whoever calls back holds c->busy, and the
 * last one out does the freeing (conn_leave). */
#include "tls/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "tls/tls_int.h"

enum {
	CONN_RECORD_MAX = 16384,
	CONN_RECORD_EXTRA = 64, /* header, tag and padding, rounded up */
	CONN_WRITE_MAX = 1 << 20,
	/* An honest peer changes its key after millions of records. */
	CONN_KEY_UPDATES_MAX = 100
};

/* -- the BIO */

static int
conn_bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static int
conn_bio_read(BIO *bio, char *out, int max)
{
	struct tls_conn *c = (struct tls_conn *)BIO_get_data(bio);
	size_t len = (size_t)max < c->in.len ? (size_t)max : c->in.len;

	BIO_clear_retry_flags(bio);
	if (len == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(out, c->in.p, len);
	c->in = slice_sub(c->in, len, c->in.len);
	return (int)len;
}

static int
conn_bio_write(BIO *bio, const char *in, int len)
{
	struct tls_conn *c = (struct tls_conn *)BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (buf_put(&c->out, slice_of(in, (size_t)len)) != ERR_OK)
		return -1;
	return len;
}

static long
conn_bio_ctrl(BIO *bio, int cmd, long larg, void *parg)
{
	(void)bio;
	(void)larg;
	(void)parg;
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static const BIO_METHOD conn_bio_method = {
	.type = BIO_TYPE_SOURCE_SINK,
	.name = "tls_conn",
	.bwrite = conn_bio_write,
	.bread = conn_bio_read,
	.ctrl = conn_bio_ctrl,
	.create = conn_bio_create,
};

/* -- making and freeing */

static void
conn_hs_free(struct tls_hs *hs)
{
	if (hs == NULL)
		return;
	tls_key_cancel(hs);
	buf_fini(&hs->signature);
	buf_fini(&hs->early);
	buf_fini(&hs->waiting);
	tls_identity_unref(hs->identity);
	tls_trust_unref(hs->trust);
	tls_ctx_free(hs->ctx);
	mem_free(hs->server_name);
	mem_free(hs);
}

static void
conn_destroy(struct tls_conn *c)
{
	conn_hs_free(c->hs);
	SSL_free(c->ssl);
	tls_verified_unref(c->verified);
	buf_fini(&c->out);
	mem_free(c->why);
	mem_free(c);
}

/* Leaves a function that calls back. False: c is gone. */
static bool
conn_leave(struct tls_conn *c)
{
	if (--c->busy != 0 || !c->dead)
		return true;
	conn_destroy(c);
	return false;
}

void
tls_conn_free(struct tls_conn *c)
{
	if (c == NULL)
		return;
	if (c->busy != 0)
		c->dead = true;
	else
		conn_destroy(c);
}

static bool
conn_is_ip(const char *name)
{
	uint8_t ip[16];

	return inet_pton(AF_INET, name, ip) == 1 ||
	       inet_pton(AF_INET6, name, ip) == 1;
}

/* SNI is the first DNS name of the list. RFC 6066 3: no addresses. */
static void
conn_set_sni(SSL *ssl, const char *server_name)
{
	struct slice list = slice_of_str(server_name), name;

	while (slice_split(&list, ',', &name)) {
		char *text;
		bool fits;

		name = slice_trim(name);
		if (name.len == 0 || slice_has_prefix(name, "spiffe://"))
			continue;
		text = mem_dup_slice_str(name);
		fits = !conn_is_ip(text) && SSL_set_tlsext_host_name(ssl, text);
		mem_free(text);
		ERR_clear_error();
		if (fits)
			return;
	}
}

static struct tls_hs *
conn_hs_new(struct tls_ctx *ctx, const char *server_name,
	    struct wall (*now)(void))
{
	struct tls_hs *hs = MEM_NEW(struct tls_hs);

	hs->ctx = tls_ctx_ref(ctx);
	hs->identity = tls_identity_ref(ctx->identity);
	hs->trust = tls_trust_ref(ctx->trust);
	hs->now = now;
	if (server_name != NULL)
		hs->server_name = mem_dup_str(server_name);
	buf_init(&hs->signature, CONN_RECORD_MAX);
	buf_init_secret(&hs->early, TLS_EARLY_MAX);
	buf_init(&hs->waiting, TLS_WAIT_MAX);
	return hs;
}

enum err
tls_conn_new(struct tls_ctx *ctx, const char *server_name,
	     struct wall (*now)(void), const struct tls_conn_cbs *cbs,
	     void *arg, struct tls_conn **out)
{
	struct tls_conn *c;
	BIO *bio;

	*out = NULL;
	/* A client without an expectation would take any server. */
	if (ctx->role == TLS_CLIENT &&
	    (server_name == NULL || server_name[0] == '\0'))
		return ERR_CONFIG;
	c = (struct tls_conn *)mem_try_new(sizeof(*c));
	if (c == NULL)
		return ERR_NO_MEMORY;
	buf_init(&c->out, TLS_OUT_MAX);
	c->cbs = *cbs;
	c->arg = arg;
	c->ssl = SSL_new(ctx->ssl);
	bio = BIO_new(&conn_bio_method);
	if (c->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		conn_destroy(c);
		return ERR_NO_MEMORY;
	}
	BIO_set_data(bio, c);
	SSL_set_bio(c->ssl, bio, bio);
	SSL_set_app_data(c->ssl, c);
	SSL_set_shed_handshake_config(c->ssl, 1);
	c->hs = conn_hs_new(ctx, server_name, now);
	if (ctx->role == TLS_SERVER) {
		SSL_set_accept_state(c->ssl);
	} else {
		SSL_set_connect_state(c->ssl);
		conn_set_sni(c->ssl, server_name);
	}
	*out = c;
	return ERR_OK;
}

/* -- going on */

/* Remembers a failure; every later call gets the same answer. */
static enum err
conn_fail(struct tls_conn *c, int ssl_error)
{
	if (c->why == NULL)
		c->why = MEM_NEW(struct why);
	if (c->hs != NULL && c->hs->err != ERR_OK) {
		*c->why = c->hs->why;
		c->err = c->hs->err;
		/* The library is silent when a key fails. */
		if (c->hs->sign_state == TLS_SIGN_FAILED)
			(void)SSL_send_fatal_alert(c->ssl,
						   SSL_AD_INTERNAL_ERROR);
	} else if (buf_has_failed(&c->out)) {
		c->err = why_set(c->why, ERR_LIMIT,
				 "TLS: %d bytes of output were not taken",
				 TLS_OUT_MAX);
	} else if (ssl_error == SSL_ERROR_SSL) {
		c->err = tls_error_take(c->ssl, c->why);
	} else {
		c->err = why_set(c->why, ERR_PROTOCOL,
				 "TLS: unexpected state %d of the library",
				 ssl_error);
	}
	ERR_clear_error();
	return c->err;
}

static enum err
conn_put(struct tls_conn *c, struct slice bytes)
{
	size_t most = bytes.len +
		      (bytes.len / CONN_RECORD_MAX + 2) * CONN_RECORD_EXTRA;
	uint8_t *room;

	if (buf_len(&c->out) + most > TLS_OUT_MAX)
		return ERR_LIMIT;
	/* Room for all the records at once: they come one by one. */
	must(buf_reserve(&c->out, most, &room) == ERR_OK);
	while (bytes.len != 0) {
		struct slice part = slice_sub(bytes, 0, CONN_WRITE_MAX);
		int n;

		ERR_clear_error();
		n = SSL_write(c->ssl, part.p, (int)part.len);
		if (n <= 0)
			return conn_fail(c, SSL_get_error(c->ssl, n));
		bytes = slice_sub(bytes, (size_t)n, bytes.len);
	}
	return ERR_OK;
}

static void
conn_on_message(int is_write, int version, int type, const void *bytes,
		size_t len, SSL *ssl, void *arg)
{
	struct tls_conn *c = arg;
	const uint8_t *p = bytes;

	(void)version;
	(void)ssl;
	if (!is_write && type == SSL3_RT_HANDSHAKE && len > 0 &&
	    p[0] == SSL3_MT_KEY_UPDATE)
		c->key_update_cnt++;
}

/* The library takes as many as there come (RFC 8446 4.6.3), each for the price
 * of new keys. */
static enum err
conn_check_key_updates(struct tls_conn *c)
{
	if (c->key_update_cnt <= CONN_KEY_UPDATES_MAX)
		return ERR_OK;
	if (c->why == NULL)
		c->why = MEM_NEW(struct why);
	c->err = why_set(c->why, ERR_PROTOCOL,
			 "TLS: more than %d key updates on one connection",
			 CONN_KEY_UPDATES_MAX);
	return c->err;
}

/* The handshake is done: what it needed goes, what waited is sent. */
static enum err
conn_become_ready(struct tls_conn *c)
{
	struct tls_hs *hs = TAKE(c->hs);
	enum err e;

	c->ready = true;
	SSL_set_msg_callback(c->ssl, conn_on_message);
	SSL_set_msg_callback_arg(c->ssl, c);
	e = conn_put(c, buf_get(&hs->early));
	conn_hs_free(hs);
	if (e != ERR_OK)
		return e;
	if (c->cbs.on_handshake_done != NULL)
		c->cbs.on_handshake_done(c->arg);
	return ERR_OK;
}

static enum err
conn_handshake(struct tls_conn *c)
{
	int r, ssl_error;

	ERR_clear_error();
	r = SSL_do_handshake(c->ssl);
	if (r == 1)
		return conn_become_ready(c);
	ssl_error = SSL_get_error(c->ssl, r);
	if (ssl_error == SSL_ERROR_WANT_READ ||
	    ssl_error == SSL_ERROR_WANT_PRIVATE_KEY_OPERATION)
		return ERR_OK;
	return conn_fail(c, ssl_error);
}

static enum err
conn_read(struct tls_conn *c)
{
	SCRATCH uint8_t bytes[CONN_RECORD_MAX];
	int n, ssl_error, most = 0;

	for (;;) {
		ERR_clear_error();
		n = SSL_read(c->ssl, bytes, sizeof(bytes));
		if (n <= 0)
			break;
		most = n > most ? n : most;
		c->cbs.on_data(c->arg, slice_of(bytes, (size_t)n));
		if (c->dead || c->err != ERR_OK)
			break;
	}
	/* Tokens and answers with keys do not stay on the stack. */
	secret_wipe(bytes, (size_t)most);
	if (c->dead || c->err != ERR_OK)
		return c->err;
	if (conn_check_key_updates(c) != ERR_OK)
		return c->err;
	ssl_error = SSL_get_error(c->ssl, n);
	if (ssl_error == SSL_ERROR_WANT_READ)
		return ERR_OK;
	if (ssl_error == SSL_ERROR_ZERO_RETURN)
		return c->err = ERR_CLOSED;
	return conn_fail(c, ssl_error);
}

static enum err
conn_drive(struct tls_conn *c)
{
	enum err e;

	if (!c->ready) {
		e = conn_handshake(c);
		if (e != ERR_OK || !c->ready || c->dead)
			return e;
	}
	return conn_read(c);
}

static bool
conn_is_signing(const struct tls_conn *c)
{
	return c->hs != NULL && c->hs->sign_state == TLS_SIGN_WAITS;
}

/* While a key signs the library reads nothing: keep it. */
static enum err
conn_keep(struct tls_conn *c)
{
	if (c->in.len == 0)
		return ERR_OK;
	if (buf_put(&c->hs->waiting, c->in) == ERR_OK)
		return ERR_OK;
	c->hs->err = why_set(&c->hs->why, ERR_LIMIT,
			     "TLS: peer sent more than %d bytes while our key "
			     "was signing",
			     TLS_WAIT_MAX);
	return conn_fail(c, SSL_ERROR_NONE);
}

static enum err
conn_run(struct tls_conn *c)
{
	enum err e = ERR_OK;

	if (!conn_is_signing(c))
		e = conn_drive(c);
	if (e == ERR_OK && !c->dead && conn_is_signing(c))
		e = conn_keep(c);
	c->in = SLICE_NONE;
	return e;
}

enum err
tls_conn_feed(struct tls_conn *c, struct slice bytes, struct why *why)
{
	enum err e = c->err;

	c->busy++;
	if (e == ERR_OK) {
		c->in = bytes;
		e = conn_run(c);
	}
	if (e != ERR_OK && c->why != NULL && why != NULL)
		*why = *c->why;
	return conn_leave(c) ? e : ERR_CANCELLED;
}

enum err
tls_conn_start(struct tls_conn *c, struct why *why)
{
	return tls_conn_feed(c, SLICE_NONE, why);
}

void
tls_conn_resume(struct tls_conn *c)
{
	struct buf waiting;

	/* It failed meanwhile: an answer does not bring it back to life. */
	if (c->err != ERR_OK)
		return;
	waiting = c->hs->waiting;
	/* The bytes are lent to the BIO, while conn_become_ready frees hs. */
	buf_init(&c->hs->waiting, TLS_WAIT_MAX);
	c->busy++;
	c->in = buf_get(&waiting);
	(void)conn_run(c);
	buf_fini(&waiting);
	if (!c->dead && c->cbs.on_output != NULL)
		c->cbs.on_output(c->arg);
	(void)conn_leave(c);
}

enum err
tls_conn_write(struct tls_conn *c, struct slice bytes)
{
	if (c->err != ERR_OK && c->err != ERR_CLOSED)
		return c->err;
	if (!c->ready)
		return buf_put(&c->hs->early, bytes);
	return conn_put(c, bytes);
}

struct slice
tls_conn_get_output(const struct tls_conn *c)
{
	return buf_get(&c->out);
}

void
tls_conn_consume(struct tls_conn *c, size_t len)
{
	buf_consume(&c->out, len);
	if (buf_len(&c->out) == 0 && !buf_has_failed(&c->out))
		buf_release(&c->out);
}

void
tls_conn_shutdown(struct tls_conn *c)
{
	if (!c->ready || (c->err != ERR_OK && c->err != ERR_CLOSED))
		return;
	ERR_clear_error();
	(void)SSL_shutdown(c->ssl);
	ERR_clear_error();
}

bool
tls_conn_is_ready(const struct tls_conn *c)
{
	return c->ready;
}

const struct tls_peer *
tls_conn_get_peer(const struct tls_conn *c)
{
	static const struct tls_peer nobody;

	/* Before that the peer has not yet shown that it holds the key. */
	if (!c->ready || c->verified == NULL)
		return &nobody;
	return &c->verified->peer;
}

void
tls_conn_describe(const struct tls_conn *c, char out[128])
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(c->ssl);
	const char *group = SSL_get_group_name(SSL_get_group_id(c->ssl));
	const uint8_t *alpn;
	unsigned alpn_len;

	if (!c->ready) {
		snprintf(out, 128, "TLS handshake");
		return;
	}
	SSL_get0_alpn_selected(c->ssl, &alpn, &alpn_len);
	snprintf(out, 128, "%s %s %s %.*s", SSL_get_version(c->ssl),
		 group == NULL ? "-" : group,
		 cipher == NULL ? "-" : SSL_CIPHER_standard_name(cipher),
		 alpn_len == 0 ? 1 : (int)alpn_len,
		 alpn_len == 0 ? "-" : (const char *)alpn);
}
