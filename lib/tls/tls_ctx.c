/* tls_ctx.c - identities and contexts: what does not change from one
 * connection to the next, and the library's settings. */
#include "tls/tls.h"

#include <openssl/err.h>
#include <openssl/pool.h>

#include <string.h>

#include "base/mem.h"
#include "pki/cert.h"
#include "tls/tls_int.h"

/* ECDHE with AEAD; those of TLS 1.3 are not chosen here. */
#define CTX_CIPHERS                                                  \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CTX_GROUPS "X25519MLKEM768:X25519:P-256:P-384"

/* What we take from peers. PKCS#1 v1.5 counts in TLS 1.2 only. */
static const uint16_t ctx_verify_prefs[] = {
	SSL_SIGN_ECDSA_SECP256R1_SHA256,
	SSL_SIGN_ECDSA_SECP384R1_SHA384,
	SSL_SIGN_ED25519,
	SSL_SIGN_RSA_PSS_RSAE_SHA256,
	SSL_SIGN_RSA_PSS_RSAE_SHA384,
	SSL_SIGN_RSA_PSS_RSAE_SHA512,
	SSL_SIGN_RSA_PKCS1_SHA256,
	SSL_SIGN_RSA_PKCS1_SHA384,
	SSL_SIGN_RSA_PKCS1_SHA512,
};

/* -- identities */

static void
identity_free(struct tls_identity *id)
{
	if (id == NULL)
		return;
	for (size_t i = 0; i < id->cnt; i++)
		CRYPTO_BUFFER_free(id->certs[i]);
	mem_free(id->certs);
	custody_unref(id->key);
	mem_free(id);
}

static enum err
identity_check(const struct slice *chain, size_t cnt, struct custody_key *key,
	       struct why *why)
{
	struct cert leaf;
	enum err e;

	if (cnt == 0 || cnt > CHAIN_CERTS_MAX)
		return why_set(why, ERR_LIMIT,
			       "TLS identity: %zu certificates, at least 1 and "
			       "at most %d are taken",
			       cnt, CHAIN_CERTS_MAX);
	if ((e = cert_parse(chain[0], why, &leaf)) != ERR_OK)
		return why_prefix(why, e, "TLS identity");
	if (!slice_is_eq(leaf.spki, custody_get_spki(key)))
		return why_set(why, ERR_MISMATCH,
			       "TLS identity: the first certificate is not for "
			       "this key (order of the chain, or files of two "
			       "different issues)");
	return ERR_OK;
}

static enum err
identity_set(SSL_CTX *ssl, const struct tls_identity *id)
{
	size_t cnt;
	const uint16_t *prefs = tls_key_prefs(custody_get_kind(id->key), &cnt);

	if (prefs == NULL)
		return ERR_UNSUPPORTED;
	if (!SSL_CTX_set_chain_and_key(ssl, id->certs, id->cnt, NULL,
				       tls_key_method()) ||
	    !SSL_CTX_set_signing_algorithm_prefs(ssl, prefs, cnt)) {
		ERR_clear_error();
		return ERR_UNSUPPORTED;
	}
	return ERR_OK;
}

/* The library looks at the leaf too (key usage, kind of key): once here, so
 * that giving the identity to a context cannot fail. */
static enum err
identity_try(const struct tls_identity *id, struct why *why)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_with_buffers_method());
	enum err e;

	must(ssl != NULL);
	e = identity_set(ssl, id);
	SSL_CTX_free(ssl);
	if (e != ERR_OK)
		return why_set(why, e,
			       "TLS identity: the certificate cannot be used "
			       "for TLS (kind of key, or key usage without "
			       "digitalSignature)");
	return ERR_OK;
}

enum err
tls_identity_new(const struct slice *chain, size_t cnt, struct custody_key *key,
		 struct why *why, struct tls_identity **out)
{
	struct tls_identity *id;
	enum err e;

	*out = NULL;
	if ((e = identity_check(chain, cnt, key, why)) != ERR_OK)
		return e;
	id = MEM_NEW(struct tls_identity);
	id->refs = 1;
	id->key = custody_ref(key);
	id->certs = MEM_NEW_ARRAY(CRYPTO_BUFFER *, cnt);
	for (; id->cnt < cnt; id->cnt++) {
		id->certs[id->cnt] = CRYPTO_BUFFER_new(
			chain[id->cnt].p, chain[id->cnt].len, NULL);
		must(id->certs[id->cnt] != NULL);
	}
	if ((e = identity_try(id, why)) != ERR_OK) {
		identity_free(id);
		return e;
	}
	*out = id;
	return ERR_OK;
}

struct tls_identity *
tls_identity_ref(struct tls_identity *id)
{
	if (id != NULL)
		id->refs++;
	return id;
}

void
tls_identity_unref(struct tls_identity *id)
{
	if (id != NULL && --id->refs == 0)
		identity_free(id);
}

/* -- callbacks of servers */

static enum ssl_select_cert_result_t
ctx_refuse_hello(struct tls_hs *hs, enum err e, const char *text)
{
	hs->err = why_set(&hs->why, e, "TLS: %s", text);
	return ssl_select_cert_error;
}

/* Before the library looks closer: what it would say less clearly. */
static enum ssl_select_cert_result_t
ctx_on_client_hello(const SSL_CLIENT_HELLO *hello)
{
	struct tls_conn *c = (struct tls_conn *)SSL_get_app_data(hello->ssl);
	struct tls_hs *hs = c->hs;
	const uint8_t *ext;
	size_t ext_len;

	if (hs->identity == NULL)
		return ctx_refuse_hello(hs, ERR_UNAVAILABLE,
					"we have no certificate yet");
	if (buf_len(&hs->ctx->alpn) != 0 &&
	    !SSL_early_callback_ctx_extension_get(
		    hello, TLSEXT_TYPE_application_layer_protocol_negotiation,
		    &ext, &ext_len))
		return ctx_refuse_hello(
			hs, ERR_UNSUPPORTED,
			"client offers no application protocol (ALPN)");
	return ssl_select_cert_success;
}

static int
ctx_on_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
	    unsigned in_len, void *arg)
{
	struct tls_conn *c = (struct tls_conn *)SSL_get_app_data(ssl);
	struct slice ours = buf_get(&c->hs->ctx->alpn);

	(void)arg;
	while (ours.len != 0) {
		size_t one = 1 + (size_t)ours.p[0];
		struct slice theirs = slice_of(in, in_len);

		while (theirs.len != 0) {
			size_t len = 1 + (size_t)theirs.p[0];

			if (slice_is_eq(slice_sub(ours, 0, one),
					slice_sub(theirs, 0, len))) {
				*out = theirs.p + 1;
				*out_len = theirs.p[0];
				return SSL_TLSEXT_ERR_OK;
			}
			theirs = slice_sub(theirs, len, theirs.len);
		}
		ours = slice_sub(ours, one, ours.len);
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* -- contexts */

static int
ctx_verify_mode(const struct tls_ctx *ctx)
{
	if (ctx->role == TLS_CLIENT || ctx->peer == TLS_PEER_REQUIRED)
		return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	return ctx->peer == TLS_PEER_OPTIONAL ? SSL_VERIFY_PEER
					      : SSL_VERIFY_NONE;
}

static void
ctx_set_role(SSL_CTX *ssl, const struct tls_ctx *ctx)
{
	struct slice alpn = buf_get(&ctx->alpn);

	if (ctx->role == TLS_SERVER) {
		SSL_CTX_set_select_certificate_cb(ssl, ctx_on_client_hello);
		SSL_CTX_set_retain_only_sha256_of_client_certs(ssl, 1);
		if (alpn.len != 0)
			SSL_CTX_set_alpn_select_cb(ssl, ctx_on_alpn, NULL);
	} else if (alpn.len != 0) {
		must(SSL_CTX_set_alpn_protos(ssl, alpn.p, alpn.len) == 0);
	}
}

/* Settings of ours that the library refuses are a bug, found by any test. */
static SSL_CTX *
ctx_build(const struct tls_ctx *ctx)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_with_buffers_method());

	must(ssl != NULL);
	must(SSL_CTX_set_min_proto_version(ssl, ctx->version == TLS_VERSION_1_3
							? TLS1_3_VERSION
							: TLS1_2_VERSION));
	must(SSL_CTX_set_max_proto_version(ssl, ctx->version == TLS_VERSION_1_2
							? TLS1_2_VERSION
							: TLS1_3_VERSION));
	must(SSL_CTX_set_strict_cipher_list(ssl, CTX_CIPHERS));
	must(SSL_CTX_set1_groups_list(ssl, CTX_GROUPS));
	must(SSL_CTX_set_verify_algorithm_prefs(ssl, ctx_verify_prefs,
						COUNT_OF(ctx_verify_prefs)));
	SSL_CTX_set_options(ssl,
			    SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_early_data_enabled(ssl, 0);
	SSL_CTX_set_custom_verify(ssl, ctx_verify_mode(ctx), tls_verify_peer);
	ctx_set_role(ssl, ctx);
	if (ctx->identity != NULL)
		must(identity_set(ssl, ctx->identity) == ERR_OK);
	return ssl;
}

static enum err
ctx_put_alpn(struct tls_ctx *ctx, const char *const *alpn)
{
	for (; alpn != NULL && *alpn != NULL; alpn++) {
		size_t len = strlen(*alpn);

		if (len == 0 || len > 255)
			return ERR_CONFIG;
		(void)buf_put_u8(&ctx->alpn, (uint8_t)len);
		(void)buf_put_str(&ctx->alpn, *alpn);
	}
	return buf_has_failed(&ctx->alpn) ? ERR_CONFIG : ERR_OK;
}

enum err
tls_ctx_new(const struct tls_ctx_opts *opts, struct tls_ctx **out)
{
	struct tls_ctx *ctx = MEM_NEW(struct tls_ctx);
	enum err e;

	*out = NULL;
	ctx->refs = 1;
	ctx->role = opts->role;
	ctx->peer = opts->peer;
	ctx->version = opts->version;
	buf_init(&ctx->alpn, 1024);
	if ((e = ctx_put_alpn(ctx, opts->alpn)) != ERR_OK) {
		tls_ctx_free(ctx);
		return e;
	}
	ctx->ssl = ctx_build(ctx);
	*out = ctx;
	return ERR_OK;
}

struct tls_ctx *
tls_ctx_ref(struct tls_ctx *ctx)
{
	ctx->refs++;
	return ctx;
}

void
tls_ctx_free(struct tls_ctx *ctx)
{
	if (ctx == NULL || --ctx->refs != 0)
		return;
	SSL_CTX_free(ctx->ssl);
	tls_identity_unref(ctx->identity);
	tls_trust_unref(ctx->trust);
	buf_fini(&ctx->alpn);
	mem_free(ctx);
}

void
tls_ctx_set_identity(struct tls_ctx *ctx, struct tls_identity *id)
{
	struct tls_identity *old = ctx->identity;

	ctx->identity = tls_identity_ref(id);
	tls_identity_unref(old);
	SSL_CTX_free(ctx->ssl);
	ctx->ssl = ctx_build(ctx);
}

void
tls_ctx_set_trust(struct tls_ctx *ctx, struct tls_trust *trust)
{
	struct tls_trust *old = ctx->trust;

	ctx->trust = tls_trust_ref(trust);
	tls_trust_unref(old);
}

bool
tls_ctx_has_identity(const struct tls_ctx *ctx)
{
	return ctx->identity != NULL;
}
