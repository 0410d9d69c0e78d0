/* pair.c - see pair.h. */
#include "meshcert/pair.h"

#include "base/mem.h"
#include "os/os.h"

enum {
	PAIR_FILE_MAX = 16 << 20,
	PAIR_CERTS_MAX = 1000
};

/* see pair.h */
enum err
pair_read_certs(const char *path, struct why *why, struct cert_list *out)
{
	struct buf text;
	enum err e;

	*out = (struct cert_list){0};
	buf_init(&text, PAIR_FILE_MAX);
	e = os_file_read(path, &text, why);
	if (e == ERR_OK) {
		e = cert_list_read_pem(buf_get(&text), PAIR_CERTS_MAX, why,
				       out);
		if (e == ERR_NOT_FOUND)
			(void)why_set(why, e, "no CERTIFICATE block in it");
		if (e != ERR_OK)
			(void)why_prefix(why, e, "%s", path);
	}
	buf_fini(&text);
	return e;
}

/* see pair.h */
enum err
pair_read_bundle(const char *path, struct why *why, struct pki_bundle **out)
{
	struct buf text;
	enum err e;

	*out = NULL;
	buf_init(&text, PAIR_FILE_MAX);
	e = os_file_read(path, &text, why);
	if (e == ERR_OK) {
		e = pki_bundle_read_pem(SLICE_NONE, buf_get(&text), why, out);
		if (e != ERR_OK)
			(void)why_prefix(why, e, "%s", path);
	}
	buf_fini(&text);
	return e;
}

static enum err
pair_read_key(const char *path, struct why *why, struct custody_key **out)
{
	struct secret *pem = NULL;
	struct privkey *key = NULL;
	enum err e;

	e = os_file_read_secret(path, PAIR_FILE_MAX, &pem, why);
	if (e != ERR_OK)
		return e;
	e = privkey_parse_pem(secret_get(pem), why, &key);
	secret_free(pem);
	if (e != ERR_OK)
		return why_prefix(why, e, "%s", path);
	return custody_memory_new(key, out);
}

static enum err
pair_set_identity(struct tls_ctx *ctx, const char *cert, const char *key,
		  struct why *why)
{
	struct slice chain[CHAIN_CERTS_MAX];
	struct tls_identity *id = NULL;
	struct custody_key *k = NULL;
	struct cert_list certs;
	enum err e;

	if ((e = pair_read_certs(cert, why, &certs)) != ERR_OK)
		return e;
	if (certs.cnt > CHAIN_CERTS_MAX) {
		e = why_set(why, ERR_LIMIT, "%s: more than %d certificates",
			    cert, CHAIN_CERTS_MAX);
		goto out;
	}
	for (size_t i = 0; i < certs.cnt; i++)
		chain[i] = cert_list_get(&certs, i);
	if ((e = pair_read_key(key, why, &k)) != ERR_OK)
		goto out;
	e = tls_identity_new(chain, certs.cnt, k, why, &id);
	if (e != ERR_OK)
		(void)why_prefix(why, e, "%s and %s", cert, key);
	else
		tls_ctx_set_identity(ctx, id);
out:
	tls_identity_unref(id);
	custody_unref(k);
	cert_list_free(&certs);
	return e;
}

/* see pair.h */
enum err
pair_new_client(const char *root, const char *cert, const char *key,
		struct why *why, struct tls_ctx **out)
{
	static const char *const alpn[] = {"h2", NULL};
	struct tls_ctx_opts opts = {
		.role = TLS_CLIENT, .peer = TLS_PEER_REQUIRED, .alpn = alpn};
	struct pki_bundle *bundle = NULL;
	struct tls_trust *trust;
	struct tls_ctx *ctx = NULL;
	enum err e;

	*out = NULL;
	if ((e = tls_ctx_new(&opts, &ctx)) != ERR_OK)
		return why_set(why, e, "TLS: %s", err_text(e));
	if (root != NULL) {
		if ((e = pair_read_bundle(root, why, &bundle)) != ERR_OK)
			goto out;
		trust = tls_trust_new(bundle, 0);
		tls_ctx_set_trust(ctx, trust);
		tls_trust_unref(trust);
	}
	if (cert != NULL)
		e = pair_set_identity(ctx, cert, key, why);
	if (e == ERR_OK)
		*out = TAKE(ctx);
out:
	pki_bundle_unref(bundle);
	tls_ctx_free(ctx);
	return e;
}
