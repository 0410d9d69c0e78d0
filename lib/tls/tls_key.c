/* tls_key.c - the handshake's signature by a key in custody.
 *
 * A key in memory answers inside sign; any other one later: then the handshake
 * stands still (ssl_private_key_retry) until the answer drives it on. */
#include "tls/tls.h"

#include <string.h>

#include "tls/tls_int.h"

struct key_scheme {
	uint16_t tls;
	enum sig_alg alg;
};

static const struct key_scheme key_schemes[] = {
	{SSL_SIGN_ECDSA_SECP256R1_SHA256, SIG_ECDSA_SHA256},
	{SSL_SIGN_ECDSA_SECP384R1_SHA384, SIG_ECDSA_SHA384},
	{SSL_SIGN_ECDSA_SECP521R1_SHA512, SIG_ECDSA_SHA512},
	{SSL_SIGN_RSA_PKCS1_SHA256, SIG_RSA_SHA256},
	{SSL_SIGN_RSA_PKCS1_SHA384, SIG_RSA_SHA384},
	{SSL_SIGN_RSA_PKCS1_SHA512, SIG_RSA_SHA512},
	{SSL_SIGN_RSA_PSS_RSAE_SHA256, SIG_RSA_PSS_SHA256},
	{SSL_SIGN_RSA_PSS_RSAE_SHA384, SIG_RSA_PSS_SHA384},
	{SSL_SIGN_RSA_PSS_RSAE_SHA512, SIG_RSA_PSS_SHA512},
	{SSL_SIGN_ED25519, SIG_ED25519},
};

static enum sig_alg
key_alg_of(uint16_t scheme)
{
	for (size_t i = 0; i < COUNT_OF(key_schemes); i++) {
		if (key_schemes[i].tls == scheme)
			return key_schemes[i].alg;
	}
	return SIG_NONE;
}

const uint16_t *
tls_key_prefs(enum key_kind kind, size_t *cnt_out)
{
	static const uint16_t p256[] = {SSL_SIGN_ECDSA_SECP256R1_SHA256};
	static const uint16_t p384[] = {SSL_SIGN_ECDSA_SECP384R1_SHA384};
	static const uint16_t p521[] = {SSL_SIGN_ECDSA_SECP521R1_SHA512};
	static const uint16_t ed25519[] = {SSL_SIGN_ED25519};
	/* PKCS#1 v1.5 is for TLS 1.2 peers that know nothing better. */
	static const uint16_t rsa[] = {
		SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA384,
		SSL_SIGN_RSA_PSS_RSAE_SHA512, SSL_SIGN_RSA_PKCS1_SHA256,
		SSL_SIGN_RSA_PKCS1_SHA384,    SSL_SIGN_RSA_PKCS1_SHA512,
	};

	*cnt_out = 1;
	switch (kind) {
	case KEY_EC_P256:
		return p256;
	case KEY_EC_P384:
		return p384;
	case KEY_EC_P521:
		return p521;
	case KEY_ED25519:
		return ed25519;
	case KEY_RSA:
		*cnt_out = COUNT_OF(rsa);
		return rsa;
	case KEY_NONE:
		break;
	}
	*cnt_out = 0;
	return NULL;
}

static void
key_on_signed(void *arg, enum err e, struct slice signature)
{
	struct tls_conn *c = (struct tls_conn *)arg;
	struct tls_hs *hs = c->hs;

	hs->sign_op = NULL;
	if (e == ERR_OK)
		e = buf_put(&hs->signature, signature);
	hs->sign_state = e == ERR_OK ? TLS_SIGN_DONE : TLS_SIGN_FAILED;
	if (e != ERR_OK)
		hs->err = why_set(
			&hs->why, e, "TLS: our key (%s) did not sign: %s",
			custody_get_place(hs->identity->key), err_text(e));
	if (!hs->in_sign_start)
		tls_conn_resume(c);
}

static enum ssl_private_key_result_t
key_complete(SSL *ssl, uint8_t *out, size_t *out_len, size_t max_out)
{
	struct tls_conn *c = (struct tls_conn *)SSL_get_app_data(ssl);
	struct tls_hs *hs = c->hs;
	struct slice sig;

	if (hs->sign_state == TLS_SIGN_WAITS)
		return ssl_private_key_retry;
	sig = buf_get(&hs->signature);
	if (hs->sign_state != TLS_SIGN_DONE || sig.len > max_out)
		return ssl_private_key_failure;
	memcpy(out, sig.p, sig.len);
	*out_len = sig.len;
	hs->sign_state = TLS_SIGN_NONE;
	return ssl_private_key_success;
}

static enum ssl_private_key_result_t
key_sign(SSL *ssl, uint8_t *out, size_t *out_len, size_t max_out,
	 uint16_t scheme, const uint8_t *in, size_t in_len)
{
	struct tls_conn *c = (struct tls_conn *)SSL_get_app_data(ssl);
	struct tls_hs *hs = c->hs;
	enum sig_alg alg = key_alg_of(scheme);
	enum err e;

	if (alg == SIG_NONE || hs->identity == NULL)
		return ssl_private_key_failure;
	buf_reset(&hs->signature);
	hs->sign_state = TLS_SIGN_WAITS;
	hs->in_sign_start = true;
	e = custody_sign_start(hs->identity->key, alg, slice_of(in, in_len),
			       key_on_signed, c, &hs->sign_op);
	hs->in_sign_start = false;
	if (e != ERR_OK) {
		hs->sign_state = TLS_SIGN_FAILED;
		hs->err = why_set(
			&hs->why, e, "TLS: our key (%s) cannot sign: %s",
			custody_get_place(hs->identity->key), err_text(e));
	}
	return key_complete(ssl, out, out_len, max_out);
}

/* Only for RSA key exchange, which we do not offer. */
static enum ssl_private_key_result_t
key_decrypt(SSL *ssl, uint8_t *out, size_t *out_len, size_t max_out,
	    const uint8_t *in, size_t in_len)
{
	(void)ssl;
	(void)out;
	(void)out_len;
	(void)max_out;
	(void)in;
	(void)in_len;
	return ssl_private_key_failure;
}

static const SSL_PRIVATE_KEY_METHOD key_method = {
	.sign = key_sign,
	.decrypt = key_decrypt,
	.complete = key_complete,
};

const SSL_PRIVATE_KEY_METHOD *
tls_key_method(void)
{
	return &key_method;
}

void
tls_key_cancel(struct tls_hs *hs)
{
	if (hs->sign_op != NULL)
		custody_sign_cancel(hs->identity->key, &hs->sign_op);
	hs->sign_op = NULL;
}
