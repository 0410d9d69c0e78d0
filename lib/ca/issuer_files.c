/* issuer_files.c - see issuer.h: a CA that others made, as Istio lays it out
 * (Kubernetes Secret "cacerts", or a TLS secret of cert-manager). */
#include "ca/issuer_int.h"

#include <string.h>

/* A layout: which name plays which part. */
struct issuer_layout {
	const char *cert;
	const char *key;
	const char *chain; /* NULL: has none */
	const char *roots;
};

static const struct issuer_layout layout_istio = {
	"ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"};
static const struct issuer_layout layout_tls = {"tls.crt", "tls.key", NULL,
						"ca.crt"};

/* Empty when it is missing; Istio writes empty files for what is not there. */
static struct slice
issuer_file_get(const struct issuer_file *files, size_t cnt, const char *name)
{
	for (size_t i = 0; name != NULL && i < cnt; i++) {
		if (strcmp(files[i].name, name) == 0)
			return files[i].bytes;
	}
	return SLICE_NONE;
}

static enum err
issuer_check_complete(const struct issuer_file *files, size_t cnt,
		      const struct issuer_layout *l, struct why *why)
{
	const char *const need[] = {l->cert, l->key, l->roots};

	for (size_t i = 0; i < COUNT_OF(need); i++) {
		if (issuer_file_get(files, cnt, need[i]).len == 0)
			return why_set(why, ERR_NOT_FOUND,
				       "incomplete signing CA bundle: %s is "
				       "missing or empty (%s, %s and %s must "
				       "be there)",
				       need[i], l->cert, l->key, l->roots);
	}
	return ERR_OK;
}

static enum err
issuer_read_list(const struct issuer_file *files, size_t cnt, const char *name,
		 size_t max, struct cert_list *out, struct why *why)
{
	struct slice pem = issuer_file_get(files, cnt, name);
	enum err ret = cert_list_read_pem(pem, max, why, out);

	return ret == ERR_OK ? ret : why_prefix(why, ret, "%s", name);
}

/* Candidates above the issuer: what follows it in its own file, and the chain
 * file. */
static enum err
issuer_read_pool(const struct issuer_file *files, size_t cnt,
		 const struct issuer_layout *l, const struct cert_list *certs,
		 struct cert_list *pool, struct why *why)
{
	enum err ret = ERR_OK;

	if (issuer_file_get(files, cnt, l->chain).len > 0)
		ret = issuer_read_list(files, cnt, l->chain, ISSUER_POOL_MAX,
				       pool, why);
	for (size_t i = 1; ret == ERR_OK && i < certs->cnt; i++)
		ret = cert_list_add(pool, cert_list_get(certs, i));
	return ret;
}

static enum err
issuer_read_key(const struct issuer_file *files, size_t cnt, const char *name,
		struct custody_key **out, struct why *why)
{
	struct slice pem = issuer_file_get(files, cnt, name);
	struct privkey *key;
	enum err ret = privkey_parse_pem(pem, why, &key);

	if (ret != ERR_OK)
		return why_prefix(why, ret, "%s", name);
	ret = custody_memory_new(key, out);
	return ret == ERR_OK ? ret
			     : why_set(why, ret, "%s: %s", name, err_text(ret));
}

enum err
issuer_open_files(const struct issuer_file *files, size_t cnt,
		  struct slice trust_domain, uint32_t warn_rules,
		  struct wall now, struct why *why, struct issuer **out)
{
	const struct issuer_layout *l = &layout_istio;
	struct cert_list certs = {0}, pool = {0}, roots = {0};
	struct custody_key *key = NULL;
	enum err ret;

	*out = NULL;
	if (issuer_file_get(files, cnt, layout_tls.cert).len > 0)
		l = &layout_tls;
	if ((ret = issuer_check_complete(files, cnt, l, why)) != ERR_OK ||
	    (ret = issuer_read_list(files, cnt, l->cert, ISSUER_POOL_MAX,
				    &certs, why)) != ERR_OK ||
	    (ret = issuer_read_pool(files, cnt, l, &certs, &pool, why)) !=
		    ERR_OK ||
	    (ret = issuer_read_list(files, cnt, l->roots, ISSUER_ROOTS_MAX,
				    &roots, why)) != ERR_OK ||
	    (ret = issuer_read_key(files, cnt, l->key, &key, why)) != ERR_OK)
		goto out;
	ret = issuer_assemble(
		&(struct issuer_parts){
			.cert = cert_list_get(&certs, 0),
			.cert_name = l->cert,
			.key_name = l->key,
			.pool = &pool,
			.roots = &roots,
			.key = key,
			.trust_domain = trust_domain,
			.warn_rules = warn_rules,
		},
		now, why, out);
out:
	custody_unref(key);
	cert_list_free(&certs);
	cert_list_free(&pool);
	cert_list_free(&roots);
	return ret;
}
