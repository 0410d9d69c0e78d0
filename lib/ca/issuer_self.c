/* issuer_self.c - see issuer.h: our own root, and the issuing CA below it.
 *
 * Order of the first start: key, then certificate, each a whole file that is
 * on the disk before the next begins. A key without a certificate has signed
 * nothing that anybody has seen: the next start goes on with it. A certificate
 * without its key is an accident, and nothing is overwritten. */
#include "ca/issuer_int.h"

#include <sys/stat.h>

#include "base/mem.h"
#include "os/os.h"

/* Backdated like leaves, for clocks that are late. */
static const int64_t self_backdate_ms = 120000;
/* 2020: this program is younger. */
static const struct wall self_clock_min = {1577836800000};

/* -- keys ---------------------------------------------------------------- */

static enum err
self_load_key(const char *path, struct why *why, struct custody_key **out)
{
	struct secret *pem = NULL;
	struct privkey *key;
	struct stat st;
	enum err ret;

	if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		return why_set(why, ERR_CONFIG,
			       "%s: others may read it (mode %03o): chmod 600; "
			       "if others are on this machine, take the key as "
			       "lost and make a new one",
			       path, (unsigned)st.st_mode & 0777);
	if ((ret = os_file_read_secret(path, ISSUER_PEM_MAX, &pem, why)) !=
	    ERR_OK)
		return ret;
	ret = privkey_parse_pem(secret_get(pem), why, &key);
	secret_free(pem);
	if (ret != ERR_OK)
		return why_prefix(why, ret, "%s", path);
	ret = custody_memory_new(key, out);
	return ret == ERR_OK ? ret
			     : why_set(why, ret, "%s: %s", path, err_text(ret));
}

static enum err
self_make_key(const char *path, enum key_kind kind, unsigned rsa_bits,
	      struct why *why, struct custody_key **out)
{
	struct secret *pem = NULL;
	struct privkey *key = NULL;
	enum err ret;

	if ((ret = privkey_new(kind, rsa_bits, &key)) != ERR_OK ||
	    (ret = privkey_export(key, PRIVKEY_PKCS8_PEM, &pem)) != ERR_OK) {
		why_set(why, ret, "%s: cannot make a key: %s", path,
			err_text(ret));
		goto out;
	}
	ret = os_file_write_atomic(path, secret_get(pem), 0600, why);
	if (ret != ERR_OK)
		goto out;
	ret = custody_memory_new(TAKE(key), out);
	if (ret != ERR_OK)
		why_set(why, ret, "%s: %s", path, err_text(ret));
out:
	secret_free(pem);
	privkey_free(key);
	return ret;
}

enum err
issuer_open_key(const char *path, enum key_kind kind, unsigned rsa_bits,
		struct why *why, struct custody_key **out)
{
	*out = NULL;
	if (os_file_exists(path))
		return self_load_key(path, why, out);
	return self_make_key(path, kind, rsa_bits, why, out);
}

/* -- one tier: a key and its certificate --------------------------------- */

struct self_ca {
	const char *what; /* "root" or "ca": start of the file names */
	char *key_path, *cert_path;
	struct custody_key *key;
	struct cert_list certs; /* one, or none yet */
	struct cert cert;       /* parsed */
};

static void
self_ca_fini(struct self_ca *ca)
{
	mem_free(ca->key_path);
	mem_free(ca->cert_path);
	custody_unref(ca->key);
	cert_list_free(&ca->certs);
}

static enum err
self_take_cert(struct self_ca *ca, struct slice der, struct why *why)
{
	enum err ret;

	cert_list_free(&ca->certs);
	ca->certs = (struct cert_list){0};
	if ((ret = cert_list_add(&ca->certs, der)) != ERR_OK)
		return why_set(why, ret, "%s: %s", ca->cert_path,
			       err_text(ret));
	ret = cert_parse(cert_list_get(&ca->certs, 0), why, &ca->cert);
	return ret == ERR_OK ? ret : why_prefix(why, ret, "%s", ca->cert_path);
}

static enum err
self_load_cert(struct self_ca *ca, struct why *why)
{
	struct cert_list list = {0};
	struct buf pem;
	enum err ret;

	buf_init(&pem, ISSUER_PEM_MAX);
	if ((ret = os_file_read(ca->cert_path, &pem, why)) != ERR_OK)
		goto out;
	ret = cert_list_read_pem(buf_get(&pem), 1, why, &list);
	if (ret != ERR_OK)
		why_prefix(why, ret, "%s", ca->cert_path);
	else
		ret = self_take_cert(ca, cert_list_get(&list, 0), why);
out:
	cert_list_free(&list);
	buf_fini(&pem);
	return ret;
}

static enum err
self_load(struct self_ca *ca, const char *dir, const struct issuer_self *how,
	  struct why *why)
{
	bool has_cert;
	enum err ret;

	ca->key_path = mem_printf("%s/%s-key.pem", dir, ca->what);
	ca->cert_path = mem_printf("%s/%s-cert.pem", dir, ca->what);
	has_cert = os_file_exists(ca->cert_path);
	if (has_cert && !os_file_exists(ca->key_path))
		return why_set(why, ERR_NOT_FOUND,
			       "%s is there, but its key %s is not: put the "
			       "key back from a backup, or, to begin anew with "
			       "a new CA, move the certificate away",
			       ca->cert_path, ca->key_path);
	ret = issuer_open_key(ca->key_path, how->key_kind, how->rsa_bits, why,
			      &ca->key);
	if (ret == ERR_OK && has_cert)
		ret = self_load_cert(ca, why);
	return ret;
}

/* Signs a certificate for ca with signer's key (root: its own), and puts it
 * into its file. */
static enum err
self_make_cert(struct self_ca *ca, struct custody_key *signer,
	       const struct build_issuer *build, const struct build_request *rq,
	       struct why *why)
{
	struct cert_list list = {0};
	struct buf der, pem;
	enum err ret;

	buf_init(&der, BUILD_CERT_MAX);
	buf_init(&pem, ISSUER_PEM_MAX);
	if ((ret = issuer_sign(build, signer, rq, why, &der)) != ERR_OK) {
		why_prefix(why, ret, "%s", ca->cert_path);
		goto out;
	}
	if ((ret = cert_list_add(&list, buf_get(&der))) != ERR_OK ||
	    (ret = cert_list_write_pem(&list, &pem)) != ERR_OK) {
		why_set(why, ret, "%s: %s", ca->cert_path, err_text(ret));
		goto out;
	}
	ret = os_file_write_atomic(ca->cert_path, buf_get(&pem), 0600, why);
	if (ret == ERR_OK)
		ret = self_take_cert(ca, buf_get(&der), why);
out:
	cert_list_free(&list);
	buf_fini(&der);
	buf_fini(&pem);
	return ret;
}

/* What both kinds of CA certificates have in common. uri: kept by the caller
 * while the request lives. */
static struct build_request
self_request(const struct self_ca *ca, const struct issuer_self *how,
	     struct wall now, struct buf *uri)
{
	struct build_request rq = {
		.not_before = {now.ms - self_backdate_ms},
		.spki = custody_get_spki(ca->key),
		.spki_is_rsa = custody_get_kind(ca->key) == KEY_RSA,
		.common_name = how->trust_domain,
	};

	buf_printf(uri, "spiffe://%.*s", SLICE_FMT(how->trust_domain));
	rq.uri = buf_get(uri);
	if (how->name_constraints)
		rq.permitted_uri_host = how->trust_domain;
	issuer_new_serial(now, rq.serial);
	return rq;
}

/* -- root ---------------------------------------------------------------- */

static enum err
self_make_root(struct self_ca *root, const struct issuer_self *how,
	       struct wall now, struct why *why)
{
	struct build_issuer *build = NULL;
	struct build_request rq;
	struct buf uri;
	enum err ret;

	buf_init(&uri, SPIFFE_ID_MAX);
	rq = self_request(root, how, now, &uri);
	rq.profile = BUILD_ROOT;
	rq.not_after.ms = now.ms + how->ttl_ms;
	rq.is_tier = how->two_tiers;
	ret = build_issuer_new(SLICE_NONE, custody_get_default_alg(root->key),
			       why, &build);
	if (ret == ERR_OK)
		ret = self_make_cert(root, root->key, build, &rq, why);
	build_issuer_free(build);
	buf_fini(&uri);
	return ret;
}

static enum err
self_check_root(const struct self_ca *root, const struct issuer_self *how,
		struct wall now, struct why *why)
{
	char end[WALL_TEXT_MAX];

	if (!wall_is_before(now, root->cert.not_after)) {
		wall_format(root->cert.not_after, end);
		return why_set(why, ERR_EXPIRED,
			       "%s ended at %s: move root-*.pem and ca-*.pem "
			       "away and restart, which makes a new root; "
			       "every workload must learn it",
			       root->cert_path, end);
	}
	if (how->two_tiers && root->cert.has_pathlen && root->cert.pathlen == 0)
		return why_set(why, ERR_CONFIG,
			       "%s was made for one tier (path length 0), "
			       "issuer.tiers is 2: set it to 1, or move "
			       "root-*.pem away to get a new root",
			       root->cert_path);
	return ERR_OK;
}

/* -- the issuing CA below it --------------------------------------------- */

/* A new one, or one of which less than a fifth is left where a new one would
 * end later, or one that is not valid yet. */
static bool
self_needs_issuing(const struct self_ca *ca, struct wall now, struct wall end)
{
	int64_t life, left;

	if (ca->certs.cnt == 0)
		return true;
	/* Made while the clock was ahead: nothing could be signed with it. */
	if (wall_is_before(now, ca->cert.not_before))
		return true;
	life = wall_diff_ms(ca->cert.not_after, ca->cert.not_before);
	left = wall_diff_ms(ca->cert.not_after, now);
	return left < life / 5 && wall_is_before(ca->cert.not_after, end);
}

static enum err
self_open_issuing(struct self_ca *ca, const struct self_ca *root,
		  const struct issuer_self *how, struct wall now,
		  struct why *why)
{
	struct build_issuer *build = NULL;
	struct build_request rq;
	struct wall end = {now.ms + how->issuing_ttl_ms};
	struct buf uri;
	enum err ret;

	buf_init(&uri, SPIFFE_ID_MAX);
	if (wall_is_before(root->cert.not_after, end))
		end = root->cert.not_after;
	end = wall_of_sec(wall_sec(end));
	ret = ERR_OK;
	if (!self_needs_issuing(ca, now, end))
		goto out;
	rq = self_request(ca, how, now, &uri);
	rq.profile = BUILD_ISSUING;
	rq.not_after = end;
	if (wall_is_before(rq.not_before, root->cert.not_before))
		rq.not_before = root->cert.not_before;
	ret = build_issuer_new(root->cert.der,
			       custody_get_default_alg(root->key), why, &build);
	if (ret == ERR_OK)
		ret = self_make_cert(ca, root->key, build, &rq, why);
out:
	build_issuer_free(build);
	buf_fini(&uri);
	return ret;
}

/* -- all of it ----------------------------------------------------------- */

/* A machine without a battery begins in 1970. A root made then would end before
 * today, and every workload would have to learn another one. */
static enum err
self_check_clock(struct wall now, struct why *why)
{
	char text[WALL_TEXT_MAX];

	if (!wall_is_before(now, self_clock_min))
		return ERR_OK;
	wall_format(now, text);
	return why_set(why, ERR_UNAVAILABLE,
		       "the clock says %s, which is wrong: no CA certificate "
		       "is made or used until it is set",
		       text);
}

enum err
issuer_open_self(const char *dir, const struct issuer_self *how,
		 struct wall now, struct why *why, struct issuer **out)
{
	struct self_ca root = {.what = "root"};
	struct self_ca ca = {.what = "ca"};
	const struct self_ca *signer = how->two_tiers ? &ca : &root;
	enum err ret;

	*out = NULL;
	if ((ret = self_check_clock(now, why)) != ERR_OK)
		return ret;
	ret = self_load(&root, dir, how, why);
	if (ret == ERR_OK && root.certs.cnt == 0)
		ret = self_make_root(&root, how, now, why);
	if (ret == ERR_OK)
		ret = self_check_root(&root, how, now, why);
	if (ret == ERR_OK && how->two_tiers)
		ret = self_load(&ca, dir, how, why);
	if (ret == ERR_OK && how->two_tiers)
		ret = self_open_issuing(&ca, &root, how, now, why);
	if (ret == ERR_OK)
		ret = issuer_assemble(
			&(struct issuer_parts){
				.cert = signer->cert.der,
				.cert_name = signer->cert_path,
				.key_name = signer->key_path,
				.roots = &root.certs,
				.key = signer->key,
				.trust_domain = how->trust_domain,
			},
			now, why, out);
	self_ca_fini(&root);
	self_ca_fini(&ca);
	return ret;
}
