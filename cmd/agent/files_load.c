/* files_load.c - see files.h. */
#include "agent/files.h"

#include "base/mem.h"
#include "crypto/key.h"
#include "crypto/pem.h"
#include "os/os.h"

static enum err
make_pair(struct sds_certificate *c, const struct cert_list *chain,
	  struct why *why, struct sds_secret **out)
{
	enum err ret;
	struct slice ders[FILES_CHAIN_MAX];

	for (size_t i = 0; i < chain->cnt; i++)
		ders[i] = cert_list_get(chain, i);
	c->chain = ders;
	c->chain_cnt = chain->cnt;
	ret = sds_secret_new_certificate(c, why, out);
	c->chain = NULL;
	return ret;
}

/* The key as PKCS#8, for the Workload API. */
static enum err
read_key(const char *path, struct secret **pem_out, struct secret **pkcs8_out,
	 struct why *why)
{
	enum err ret;
	struct privkey *key;

	ret = os_file_read_secret(path, FILES_KEY_MAX, pem_out, why);
	if (ret != ERR_OK)
		return ret;
	ret = privkey_parse_pem(secret_get(*pem_out), why, &key);
	if (ret != ERR_OK)
		return why_prefix(why, ret, "%s", path);
	ret = privkey_export(key, PRIVKEY_PKCS8_DER, pkcs8_out);
	privkey_free(key);
	return ret;
}

enum err
files_load_pair(const char *name, const char *chain_path, const char *key_path,
		struct why *why, struct sds_secret **out)
{
	enum err ret;
	struct buf pem;
	struct cert_list chain = {0};
	struct secret *key = NULL;
	struct secret *pkcs8 = NULL;
	char *source = mem_printf("file %s", chain_path);

	*out = NULL;
	/* Some keep the key in the same file. */
	buf_init_secret(&pem, FILES_PEM_MAX);
	if ((ret = os_file_read(chain_path, &pem, why)) != ERR_OK)
		goto out;
	ret = cert_list_read_pem(buf_get(&pem), FILES_CHAIN_MAX, why, &chain);
	if (ret != ERR_OK) {
		why_prefix(why, ret, "%s", chain_path);
		goto out;
	}
	if ((ret = read_key(key_path, &key, &pkcs8, why)) != ERR_OK)
		goto out;
	ret = make_pair(&(struct sds_certificate){.name = name,
						  .source = source,
						  .key_pem = key,
						  .key_pkcs8 = pkcs8},
			&chain, why, out);
	if (ret == ERR_MISMATCH)
		why_prefix(why, ret, "%s, %s", chain_path, key_path);
out:
	mem_free(source);
	secret_free(pkcs8);
	secret_free(key);
	cert_list_free(&chain);
	buf_fini(&pem);
	return ret;
}

static bool
has_cert(const struct cert_list *l, struct slice der)
{
	for (size_t i = 0; i < l->cnt; i++) {
		if (slice_is_eq(cert_list_get(l, i), der))
			return true;
	}
	return false;
}

/* ERR_OK with what is good; why says what is wrong with the last bad one. */
static enum err
read_roots(struct slice pem, struct cert_list *out, size_t *skipped_out,
	   struct why *why)
{
	enum err ret;
	struct slice label;
	struct buf der;
	struct cert c;

	buf_init(&der, CERT_MAX);
	while ((ret = pem_read(&pem, &label, &der, why)) == ERR_OK &&
	       out->cnt < FILES_ROOTS_MAX) {
		if (!slice_is_str(label, "CERTIFICATE"))
			continue;
		if (cert_parse(buf_get(&der), why, &c) != ERR_OK)
			(*skipped_out)++;
		else if (!has_cert(out, buf_get(&der)) &&
			 (ret = cert_list_add(out, buf_get(&der))) != ERR_OK)
			break;
	}
	buf_fini(&der);
	if (ret == ERR_OK && pem.len > 0)
		return why_set(why, ERR_LIMIT, "more than %d certificates",
			       FILES_ROOTS_MAX);
	if (ret != ERR_NOT_FOUND && ret != ERR_OK)
		return ret;
	if (out->cnt > 0)
		return ERR_OK;
	if (*skipped_out > 0)
		return why_prefix(why, ERR_SYNTAX, "no good certificate");
	return why_set(why, ERR_NOT_FOUND, "no CERTIFICATE block");
}

enum err
files_load_roots(const char *name, const char *path, struct why *why,
		 size_t *skipped_out, struct sds_secret **out)
{
	enum err ret;
	struct buf pem;
	struct cert_list roots = {0};
	struct slice *ders = NULL;
	char *source = mem_printf("file %s", path);
	struct sds_validation v = {.name = name, .source = source};

	*out = NULL;
	*skipped_out = 0;
	buf_init(&pem, FILES_PEM_MAX);
	if ((ret = os_file_read(path, &pem, why)) != ERR_OK)
		goto out;
	ret = read_roots(buf_get(&pem), &roots, skipped_out, why);
	if (ret != ERR_OK) {
		why_prefix(why, ret, "%s", path);
		goto out;
	}
	ders = MEM_NEW_ARRAY(struct slice, roots.cnt);
	for (size_t i = 0; i < roots.cnt; i++)
		ders[i] = cert_list_get(&roots, i);
	v.roots = ders;
	v.root_cnt = roots.cnt;
	ret = sds_secret_new_validation(&v, why, out);
out:
	mem_free(ders);
	mem_free(source);
	cert_list_free(&roots);
	buf_fini(&pem);
	return ret;
}

const char *
files_find_system_roots(void)
{
	static const char *const paths[] = {
		"/etc/ssl/certs/ca-certificates.crt", /* Debian */
		"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
		"/etc/ssl/ca-bundle.pem",             /* openSUSE */
		"/etc/pki/tls/cacert.pem",            /* OpenELEC */
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* CentOS
								      */
		"/etc/ssl/cert.pem",              /* Alpine */
		"/usr/local/etc/ssl/cert.pem",    /* FreeBSD */
		"/etc/ssl/certs/ca-certificates", /* Talos */
	};

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		if (os_file_exists(paths[i]))
			return paths[i];
	}
	return NULL;
}
