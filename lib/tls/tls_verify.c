/* tls_verify.c - is the peer whom we want? Called by the library once in each
 * handshake, with the chain as presented.
 *
 * The chain is answered by tls_trust.c (chain and rules, cached). The name that
 * a client expects is checked here, each time, against the leaf, so that the
 * cache is the same for all names. */
#include "tls/tls.h"

#include <openssl/pool.h>

#include "base/mem.h"
#include "pki/cert.h"
#include "pki/spiffe_id.h"
#include "tls/tls_int.h"

/* Each expected name of the list in turn; blanks around are cut. */
static bool
verify_next_name(struct slice *list, struct slice *name_out)
{
	while (slice_split(list, ',', name_out)) {
		*name_out = slice_trim(*name_out);
		if (name_out->len != 0)
			return true;
	}
	return false;
}

static bool
verify_is_spiffe_only(const char *names)
{
	struct slice list = slice_of_str(names), name;
	bool any = false;

	while (verify_next_name(&list, &name)) {
		if (!slice_has_prefix(name, "spiffe://"))
			return false;
		any = true;
	}
	return any;
}

/* An expected SPIFFE identity: the leaf must be a proper SVID with it, and of
 * the domain that the bundle speaks for. */
static bool
verify_has_identity(const struct tls_trust *trust, const struct cert *leaf,
		    struct slice name)
{
	struct slice domain = tls_trust_get_domain(trust);
	struct spiffe_id id;

	if (svid_check_leaf(leaf, NULL, &id) != ERR_OK)
		return false;
	if (domain.len != 0 && !slice_is_eq(domain, id.trust_domain))
		return false;
	return slice_is_eq(id.text, name);
}

static bool
verify_has_host(const struct cert *leaf, struct slice name)
{
	char *host = mem_dup_slice_str(name);
	bool found = leaf->has_san && san_has_host(&leaf->san, host);

	mem_free(host);
	return found;
}

static enum err
verify_name(const struct tls_hs *hs, struct slice leaf_der, struct why *why)
{
	struct slice list = slice_of_str(hs->server_name), name;
	char text[CERT_TEXT_MAX];
	struct cert leaf;
	enum err e;

	if ((e = cert_parse(leaf_der, why, &leaf)) != ERR_OK)
		return e;
	while (verify_next_name(&list, &name)) {
		bool found =
			slice_has_prefix(name, "spiffe://")
				? verify_has_identity(hs->trust, &leaf, name)
				: verify_has_host(&leaf, name);
		if (found)
			return ERR_OK;
	}
	cert_describe(&leaf, text);
	return why_set(why, ERR_MISMATCH,
		       "name: expected %s, the certificate is for %s",
		       hs->server_name, text);
}

static size_t
verify_get_chain(SSL *ssl, struct slice chain[CHAIN_CERTS_MAX + 1])
{
	const STACK_OF(CRYPTO_BUFFER) *certs = SSL_get0_peer_certificates(ssl);
	size_t cnt = certs == NULL ? 0 : sk_CRYPTO_BUFFER_num(certs);

	/* One more than allowed, so that tls_trust_verify sees it. */
	if (cnt > CHAIN_CERTS_MAX + 1)
		cnt = CHAIN_CERTS_MAX + 1;
	for (size_t i = 0; i < cnt; i++) {
		const CRYPTO_BUFFER *b = sk_CRYPTO_BUFFER_value(certs, i);

		chain[i] =
			slice_of(CRYPTO_BUFFER_data(b), CRYPTO_BUFFER_len(b));
	}
	return cnt;
}

static enum err
verify_chain(struct tls_conn *c, struct why *why)
{
	struct tls_hs *hs = c->hs;
	struct slice chain[CHAIN_CERTS_MAX + 1];
	bool is_server = hs->ctx->role == TLS_SERVER;
	struct tls_question q = {
		.chain = chain,
		.purpose = is_server ? CHAIN_TLS_CLIENT : CHAIN_TLS_SERVER,
		.at = hs->now(),
	};
	enum err e;

	q.cnt = verify_get_chain(c->ssl, chain);
	if (c->cbs.on_peer_chain != NULL)
		c->cbs.on_peer_chain(c->arg, chain, q.cnt);
	if (hs->trust == NULL)
		return why_set(why, ERR_UNAVAILABLE,
			       "we have no trust bundle yet");
	q.spiffe = tls_trust_get_domain(hs->trust).len != 0 &&
		   (is_server || verify_is_spiffe_only(hs->server_name));
	e = tls_trust_verify(hs->trust, &q, why, &c->verified);
	if (e != ERR_OK || is_server)
		return e;
	return verify_name(hs, chain[0], why);
}

enum ssl_verify_result_t
tls_verify_peer(SSL *ssl, uint8_t *alert_out)
{
	struct tls_conn *c = (struct tls_conn *)SSL_get_app_data(ssl);
	struct tls_hs *hs = c->hs;
	enum err e;

	e = verify_chain(c, &hs->why);
	if (e == ERR_OK)
		return ssl_verify_ok;
	tls_verified_unref(TAKE(c->verified));
	hs->err = why_prefix(&hs->why, e, "TLS: %s certificate",
			     hs->ctx->role == TLS_SERVER ? "client" : "server");
	*alert_out = tls_alert_of(e);
	return ssl_verify_invalid;
}
