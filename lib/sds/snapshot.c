/* snapshot.c - one secret, packed for everybody who asks: see secrets.h.
 *
 * `wire` holds two bodies one behind the other, in secret memory:
 *   version_info, resources { type_url, Secret }, type_url         (SotW)
 *   system_version_info, resources { version, resource { type_url, Secret },
 *   name }, type_url                                               (delta)
 * The version is a hash of the Secret's content without its name. */
#include "sds/secrets.h"

#include <string.h>

#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/key.h"
#include "crypto/pem.h"
#include "pki/spiffe_id.h"
#include "sds/secrets_int.h"

enum {
	VERSION_LEN = 16,
	PEM_MAX = 1024 * 1024, /* of all certificates of one secret */
	/* Fields of Secret */
	SECRET_TLS_CERTIFICATE = 2,
	SECRET_VALIDATION_CONTEXT = 4
};

struct sds_secret {
	unsigned refs;
	enum sds_kind kind;
	char *name;
	char *source;
	char version[SDS_VERSION_MAX]; /* all of it may be copied */
	struct secret *wire;
	struct slice response;
	struct slice delta_response;
	struct slice packed;
	struct slice content; /* of packed: behind the name */
	struct secret *pkcs8; /* NULL: none */
	struct cert_list certs;
	struct slice spiffe_id; /* in certs */
	struct wall not_after;
};

/* ---- parts --------------------------------------------------------------- */

static enum err
add_cert(struct sds_secret *s, struct slice der, struct why *why)
{
	enum err ret;
	struct cert c;

	if ((ret = cert_parse(der, why, &c)) != ERR_OK)
		return why_prefix(why, ret, "certificate %zu",
				  s->certs.cnt + 1);
	if (s->certs.cnt == 0 || wall_is_before(c.not_after, s->not_after))
		s->not_after = c.not_after;
	return cert_list_add(&s->certs, der);
}

static enum err
add_certs(struct sds_secret *s, const struct slice *ders, size_t cnt,
	  struct why *why)
{
	enum err ret;

	if (cnt == 0)
		return why_set(why, ERR_NOT_FOUND, "no certificate");
	for (size_t i = 0; i < cnt; i++) {
		if ((ret = add_cert(s, ders[i], why)) != ERR_OK)
			return ret;
	}
	return ERR_OK;
}

/* The key is the leaf's, and the leaf has an identity or none. */
static enum err
check_leaf(struct sds_secret *s, const struct secret *key_pem, struct why *why)
{
	enum err ret;
	struct cert leaf;
	struct spiffe_id id;
	struct privkey *key = NULL;
	struct buf spki;

	buf_init(&spki, CERT_MAX);
	ret = cert_parse(cert_list_get(&s->certs, 0), why, &leaf);
	if (ret != ERR_OK)
		goto out;
	if ((ret = privkey_parse_pem(secret_get(key_pem), why, &key)) != ERR_OK)
		goto out;
	if ((ret = privkey_get_spki(key, &spki)) != ERR_OK)
		goto out;
	if (!slice_is_eq(buf_get(&spki), leaf.spki)) {
		ret = why_set(why, ERR_MISMATCH,
			      "the private key is not that of the first "
			      "certificate");
		goto out;
	}
	if (leaf.has_san && leaf.san.uri_cnt == 1 &&
	    spiffe_id_parse(leaf.san.uri, NULL, &id) == ERR_OK)
		s->spiffe_id = id.text;
out:
	privkey_free(key);
	buf_fini(&spki);
	return ret;
}

/* ---- bodies -------------------------------------------------------------- */

/* Lengths of what is inside of what. */
struct frame {
	struct slice name;
	struct slice url;
	size_t secret;   /* Secret */
	size_t any;      /* Any around it */
	size_t resource; /* Resource around that */
	size_t response;
	size_t delta;
};

static void
frame_measure(struct frame *f, const char *name, size_t content)
{
	const size_t version = pack_len(VERSION_LEN);

	f->name = slice_of_str(name);
	f->url = SLICE_LIT(SDS_TYPE_URL);
	f->secret = pack_len(f->name.len) + content;
	f->any = pack_len(f->url.len) + pack_len(f->secret);
	f->resource = version + pack_len(f->any) + pack_len(f->name.len);
	f->response = version + pack_len(f->any) + pack_len(f->url.len);
	f->delta = version + pack_len(f->resource) + pack_len(f->url.len);
}

static uint8_t *
put_any(uint8_t *p, const struct frame *f, struct slice content)
{
	p = pack_head(p, 2, f->any);
	p = pack_bytes(p, 1, f->url);
	p = pack_head(p, 2, f->secret);
	p = pack_bytes(p, 1, f->name);
	memcpy(p, content.p, content.len);
	return p + content.len;
}

/* Packs content (one field of Secret) under s->name; s->version is set. */
static enum err
seal(struct sds_secret *s, struct slice content)
{
	enum err ret;
	uint8_t hash[HASH_SHA256_LEN];
	struct frame f;
	uint8_t *start;
	uint8_t *p;
	struct slice version;

	hash_sha256(content, hash);
	for (size_t i = 0; i < VERSION_LEN / 2; i++) {
		s->version[2 * i] = "0123456789abcdef"[hash[i] >> 4];
		s->version[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
	}
	version = slice_of(s->version, VERSION_LEN);
	frame_measure(&f, s->name, content.len);
	if ((ret = secret_new(f.response + f.delta, &s->wire)) != ERR_OK)
		return ret;
	start = secret_get_writable(s->wire);
	p = pack_bytes(start, 1, version);
	p = put_any(p, &f, content);
	s->packed = slice_of(p - f.secret, f.secret);
	s->content = slice_of(p - content.len, content.len);
	p = pack_bytes(p, 4, f.url);
	must(p == start + f.response);
	p = pack_bytes(p, 1, version);
	p = pack_head(p, 2, f.resource);
	p = pack_bytes(p, 1, version);
	p = put_any(p, &f, content);
	p = pack_bytes(p, 3, f.name);
	p = pack_bytes(p, 4, f.url);
	must(p == start + f.response + f.delta);
	s->response = slice_of(start, f.response);
	s->delta_response = slice_of(start + f.response, f.delta);
	return ERR_OK;
}

/* TlsCertificate with chain and key as inline bytes. */
static enum err
seal_certificate(struct sds_secret *s, struct slice chain, struct slice key)
{
	enum err ret;
	struct secret *content;
	const size_t chain_len = pack_len(chain.len);
	const size_t key_len = pack_len(key.len);
	const size_t len = pack_len(chain_len) + pack_len(key_len);
	uint8_t *p;

	if ((ret = secret_new(pack_len(len), &content)) != ERR_OK)
		return ret;
	p = pack_head(secret_get_writable(content), SECRET_TLS_CERTIFICATE,
		      len);
	p = pack_head(p, 1, chain_len);
	p = pack_bytes(p, 2, chain);
	p = pack_head(p, 2, key_len);
	(void)pack_bytes(p, 2, key);
	ret = seal(s, secret_get(content));
	secret_free(content);
	return ret;
}

/* CertificateValidationContext with trusted_ca as inline bytes. */
static enum err
seal_validation(struct sds_secret *s, struct slice roots)
{
	enum err ret;
	struct buf content;
	const size_t ca_len = pack_len(roots.len);
	const size_t len = pack_len(pack_len(ca_len));
	uint8_t *p;

	buf_init(&content, len);
	if ((ret = buf_reserve(&content, len, &p)) != ERR_OK)
		goto out;
	p = pack_head(p, SECRET_VALIDATION_CONTEXT, pack_len(ca_len));
	p = pack_head(p, 1, ca_len);
	(void)pack_bytes(p, 2, roots);
	buf_commit(&content, len);
	ret = seal(s, buf_get(&content));
out:
	buf_fini(&content);
	return ret;
}

/* ---- making -------------------------------------------------------------- */

static struct sds_secret *
secret_start(enum sds_kind kind, const char *name, const char *source)
{
	struct sds_secret *s = MEM_NEW(struct sds_secret);

	s->refs = 1;
	s->kind = kind;
	s->name = mem_dup_str(name);
	s->source = mem_dup_str(source == NULL ? "" : source);
	return s;
}

enum err
sds_secret_new_certificate(const struct sds_certificate *c, struct why *why,
			   struct sds_secret **out)
{
	enum err ret;
	struct sds_secret *s =
		secret_start(SDS_CERTIFICATE, c->name, c->source);
	struct buf pem;
	struct slice chain_pem = c->chain_pem;

	*out = NULL;
	buf_init(&pem, PEM_MAX);
	if ((ret = add_certs(s, c->chain, c->chain_cnt, why)) != ERR_OK)
		goto out;
	if ((ret = check_leaf(s, c->key_pem, why)) != ERR_OK)
		goto out;
	if (chain_pem.len == 0) {
		ret = cert_list_write_pem(&s->certs, &pem);
		if (ret != ERR_OK)
			goto out;
		chain_pem = buf_get(&pem);
	}
	if (c->key_pkcs8 != NULL) {
		ret = secret_dup(secret_get(c->key_pkcs8), &s->pkcs8);
		if (ret != ERR_OK)
			goto out;
	}
	ret = seal_certificate(s, chain_pem, secret_get(c->key_pem));
	if (ret == ERR_OK)
		*out = TAKE(s);
out:
	buf_fini(&pem);
	sds_secret_unref(s);
	return ret;
}

enum err
sds_secret_new_validation(const struct sds_validation *v, struct why *why,
			  struct sds_secret **out)
{
	enum err ret;
	struct sds_secret *s = secret_start(SDS_VALIDATION, v->name, v->source);
	struct buf pem;

	*out = NULL;
	buf_init(&pem, PEM_MAX);
	if ((ret = add_certs(s, v->roots, v->root_cnt, why)) != ERR_OK)
		goto out;
	if ((ret = cert_list_write_pem(&s->certs, &pem)) != ERR_OK)
		goto out;
	ret = seal_validation(s, buf_get(&pem));
	if (ret == ERR_OK)
		*out = TAKE(s);
out:
	buf_fini(&pem);
	sds_secret_unref(s);
	return ret;
}

enum err
sds_secret_alias(const struct sds_secret *from, const char *name,
		 struct sds_secret **out)
{
	enum err ret = ERR_OK;
	struct sds_secret *s = secret_start(from->kind, name, from->source);
	struct cert leaf;

	*out = NULL;
	s->not_after = from->not_after;
	for (size_t i = 0; i < from->certs.cnt && ret == ERR_OK; i++)
		ret = cert_list_add(&s->certs, cert_list_get(&from->certs, i));
	if (ret == ERR_OK && from->pkcs8 != NULL)
		ret = secret_dup(secret_get(from->pkcs8), &s->pkcs8);
	if (ret == ERR_OK && from->spiffe_id.len > 0) {
		ret = cert_parse(cert_list_get(&s->certs, 0), NULL, &leaf);
		if (ret == ERR_OK)
			s->spiffe_id = leaf.san.uri;
	}
	if (ret == ERR_OK)
		ret = seal(s, from->content);
	if (ret == ERR_OK)
		*out = TAKE(s);
	sds_secret_unref(s);
	return ret;
}

struct sds_secret *
sds_secret_ref(struct sds_secret *s)
{
	s->refs++;
	return s;
}

void
sds_secret_unref(struct sds_secret *s)
{
	if (s == NULL || --s->refs > 0)
		return;
	mem_free(s->name);
	mem_free(s->source);
	secret_free(s->wire);
	secret_free(s->pkcs8);
	cert_list_free(&s->certs);
	mem_free(s);
}

/* ---- asking -------------------------------------------------------------- */

enum sds_kind
sds_secret_get_kind(const struct sds_secret *s)
{
	return s->kind;
}

const char *
sds_secret_get_name(const struct sds_secret *s)
{
	return s->name;
}

const char *
sds_secret_get_source(const struct sds_secret *s)
{
	return s->source;
}

const char *
sds_secret_get_version(const struct sds_secret *s)
{
	return s->version;
}

struct slice
sds_secret_get_packed(const struct sds_secret *s)
{
	return s->packed;
}

struct slice
sds_secret_get_response(const struct sds_secret *s)
{
	return s->response;
}

struct slice
sds_secret_get_delta_response(const struct sds_secret *s)
{
	return s->delta_response;
}

size_t
sds_secret_get_cert_count(const struct sds_secret *s)
{
	return s->certs.cnt;
}

struct slice
sds_secret_get_cert(const struct sds_secret *s, size_t i)
{
	return cert_list_get(&s->certs, i);
}

struct slice
sds_secret_get_key_pkcs8(const struct sds_secret *s)
{
	return s->pkcs8 == NULL ? SLICE_NONE : secret_get(s->pkcs8);
}

struct slice
sds_secret_get_spiffe_id(const struct sds_secret *s)
{
	return s->spiffe_id;
}

struct wall
sds_secret_get_not_after(const struct sds_secret *s)
{
	return s->not_after;
}
