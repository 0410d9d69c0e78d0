/* issuer.c - see issuer.h: checking a set of key, certificate, chain and roots,
 * and what an issuer knows. Where sets come from: issuer_self.c,
 * issuer_files.c.
 *
 * The last check is a trial: a certificate for our trust domain, signed by the
 * set and verified as a client and as a server would. It covers what single
 * checks forget: path lengths and name constraints further up, extended key
 * usages of CAs, dates of each certificate. It never leaves this function. */
#include "ca/issuer.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ca/issuer_int.h"
#include "ca/msg.h"
#include "ca/serial.h"

_Static_assert((int)MSG_CHAIN_CERTS_MAX >=
		       (int)ISSUER_CHAIN_MAX + (int)ISSUER_ROOTS_MAX,
	       "every issuer's chain and roots fit into one message");

struct issuer {
	struct custody_key *key;
	enum sig_alg alg;
	struct build_issuer *build;
	struct cert_list chain; /* [0] is the issuer's own */
	bool is_root;           /* the chain's only one is among the roots */
	struct pki_bundle *roots;
	struct wall not_before, not_after;
	unsigned flags;
	uint32_t warned_rules;
	char warning[WHY_MAX];
};

/* -- making certificates ------------------------------------------------- */

void
issuer_new_serial(struct wall now, uint8_t out[BUILD_SERIAL_LEN])
{
	const uint8_t none[STORE_SERIAL_LEN] = {0};
	struct ca_serial *s = ca_serial_new(none);

	_Static_assert((int)BUILD_SERIAL_LEN == (int)STORE_SERIAL_LEN,
		       "one serial");
	ca_serial_next(s, now, out);
	ca_serial_free(s);
}

enum err
issuer_sign(const struct build_issuer *b, struct custody_key *key,
	    const struct build_request *rq, struct why *why, struct buf *out)
{
	struct buf tbs, signature;
	enum err ret;

	buf_init(&tbs, BUILD_CERT_MAX);
	buf_init(&signature, 4096);
	ret = build_tbs(b, rq, why, &tbs);
	if (ret != ERR_OK)
		goto out;
	ret = custody_sign_now(key, custody_get_default_alg(key), buf_get(&tbs),
			       &signature);
	if (ret != ERR_OK) {
		why_set(why, ret, "the CA key cannot sign: %s", err_text(ret));
		goto out;
	}
	ret = build_finish(b, buf_get(&tbs), buf_get(&signature), out);
out:
	buf_fini(&tbs);
	buf_fini(&signature);
	return ret;
}

/* -- single checks, for their texts -------------------------------------- */

/* By a signature, not by comparing bytes: one key has several encodings. */
static enum err
issuer_check_key(const struct issuer_parts *p, const struct cert *c,
		 struct why *why)
{
	const struct slice message = SLICE_LIT("meshcert issuer key check");
	enum sig_alg alg = custody_get_default_alg(p->key);
	struct pubkey *pub = NULL;
	struct buf signature;
	enum err ret;

	buf_init(&signature, 4096);
	ret = pubkey_parse(c->spki, why, &pub);
	if (ret != ERR_OK) {
		why_prefix(why, ret, "%s", p->cert_name);
		goto out;
	}
	ret = custody_sign_now(p->key, alg, message, &signature);
	if (ret != ERR_OK) {
		why_set(why, ret, "%s: the key cannot sign: %s", p->key_name,
			err_text(ret));
		goto out;
	}
	if (pubkey_verify(pub, alg, message, buf_get(&signature)) != ERR_OK)
		ret = why_set(why, ERR_MISMATCH,
			      "%s is not the key of %s: bring the two that "
			      "belong together",
			      p->key_name, p->cert_name);
out:
	pubkey_free(pub);
	buf_fini(&signature);
	return ret;
}

static enum err
issuer_check_dates(const struct issuer_parts *p, const struct cert *c,
		   struct wall now, struct why *why)
{
	char text[WALL_TEXT_MAX];

	if (wall_is_before(now, c->not_before)) {
		wall_format(c->not_before, text);
		return why_set(why, ERR_NOT_YET_VALID,
			       "%s is valid from %s on only: check this "
			       "machine's clock",
			       p->cert_name, text);
	}
	if (!wall_is_before(now, c->not_after)) {
		wall_format(c->not_after, text);
		return why_set(why, ERR_EXPIRED,
			       "%s ended at %s: bring a new CA certificate",
			       p->cert_name, text);
	}
	return ERR_OK;
}

static enum err
issuer_check_ca(const struct issuer_parts *p, const struct cert *c,
		struct why *why)
{
	if (!c->is_ca)
		return why_set(why, ERR_REFUSED,
			       "%s is no CA certificate (basicConstraints "
			       "CA:TRUE is missing): nobody would accept what "
			       "it signs",
			       p->cert_name);
	if (c->has_key_usage && (c->key_usage & CERT_KU_CERT_SIGN) == 0)
		return why_set(why, ERR_REFUSED,
			       "%s may not sign certificates (keyUsage has no "
			       "keyCertSign)",
			       p->cert_name);
	return ERR_OK;
}

/* -- the chain ----------------------------------------------------------- */

static bool
issuer_has_subject(const struct cert_list *l, struct slice name)
{
	struct cert c;

	for (size_t i = 0; i < l->cnt; i++) {
		if (cert_parse(cert_list_get(l, i), NULL, &c) == ERR_OK &&
		    slice_is_eq(c.subject, name))
			return true;
	}
	return false;
}

static bool
issuer_has_der(const struct cert_list *l, struct slice der)
{
	for (size_t i = 0; i < l->cnt; i++) {
		if (slice_is_eq(cert_list_get(l, i), der))
			return true;
	}
	return false;
}

/* The candidate that issued c and is not in the chain yet; by name, and by key
 * identifier where both have one. */
static bool
issuer_find_above(const struct issuer *i, const struct cert_list *pool,
		  const struct cert *c, struct cert *out)
{
	for (size_t k = 0; pool != NULL && k < pool->cnt; k++) {
		struct slice der = cert_list_get(pool, k);

		if (cert_parse(der, NULL, out) != ERR_OK ||
		    !slice_is_eq(out->subject, c->issuer) ||
		    issuer_has_der(&i->chain, der))
			continue;
		if (c->aki.len == 0 || out->ski.len == 0 ||
		    slice_is_eq(c->aki, out->ski))
			return true;
	}
	return false;
}

/* From the certificate up to one that a root issued, in order. */
static enum err
issuer_order_chain(struct issuer *i, const struct issuer_parts *p,
		   struct cert c, struct why *why)
{
	char name[CERT_TEXT_MAX];
	struct cert above;
	enum err ret = cert_list_add(&i->chain, p->cert);

	i->is_root = issuer_has_der(p->roots, p->cert);
	while (ret == ERR_OK && !i->is_root &&
	       !issuer_has_subject(p->roots, c.issuer)) {
		if (i->chain.cnt + 1 >= ISSUER_CHAIN_MAX)
			return why_set(why, ERR_LIMIT,
				       "the chain above %s is longer than %d "
				       "certificates",
				       p->cert_name, ISSUER_CHAIN_MAX);
		if (!issuer_find_above(i, p->pool, &c, &above)) {
			cert_name_format(c.issuer, name);
			return why_set(why, ERR_UNTRUSTED,
				       "the chain of %s does not reach a root: "
				       "the certificate of %.160s is neither "
				       "in the chain nor among the roots",
				       p->cert_name, name);
		}
		ret = cert_list_add(&i->chain, above.der);
		c = above;
	}
	return ret;
}

static enum err
issuer_make_bundle(struct issuer *i, const struct issuer_parts *p,
		   struct why *why)
{
	struct slice ders[ISSUER_ROOTS_MAX];
	size_t cnt = p->roots->cnt;

	must(cnt <= ISSUER_ROOTS_MAX);
	for (size_t k = 0; k < cnt; k++)
		ders[k] = cert_list_get(p->roots, k);
	return pki_bundle_new(p->trust_domain, ders, cnt, why, &i->roots);
}

/* -- the trial ----------------------------------------------------------- */

static enum err
issuer_sign_trial(const struct issuer *i, const struct issuer_parts *p,
		  const struct cert *c, struct wall now, struct why *why,
		  struct buf *out)
{
	struct build_request rq = {
		.profile = BUILD_WORKLOAD,
		.not_before = wall_of_sec(wall_sec(now)),
		.not_after = c->not_after,
	};
	struct privkey *key = NULL;
	struct buf id, spki;
	enum err ret;

	buf_init(&id, SPIFFE_ID_MAX);
	buf_init(&spki, 1024);
	buf_printf(&id, "spiffe://%.*s/meshcert/trial",
		   SLICE_FMT(p->trust_domain));
	if ((ret = privkey_new(KEY_EC_P256, 0, &key)) != ERR_OK ||
	    (ret = privkey_get_spki(key, &spki)) != ERR_OK) {
		why_set(why, ret, "cannot make a key: %s", err_text(ret));
		goto out;
	}
	rq.uri = buf_get(&id);
	rq.spki = buf_get(&spki);
	issuer_new_serial(now, rq.serial);
	ret = issuer_sign(i->build, p->key, &rq, why, out);
out:
	privkey_free(key);
	buf_fini(&id);
	buf_fini(&spki);
	return ret;
}

static enum err
issuer_verify_trial(struct issuer *i, const struct issuer_parts *p,
		    struct slice leaf, struct wall now, struct why *why)
{
	static const enum chain_purpose purposes[] = {CHAIN_TLS_SERVER,
						      CHAIN_TLS_CLIENT};
	struct slice path[1 + ISSUER_CHAIN_MAX] = {leaf};
	struct chain_result r;
	enum err ret;

	for (size_t k = 0; k < i->chain.cnt; k++)
		path[1 + k] = cert_list_get(&i->chain, k);
	for (size_t k = 0; k < COUNT_OF(purposes); k++) {
		const struct chain_opts opts = {
			.purpose = purposes[k],
			.spiffe = true,
			.warn_rules = p->warn_rules,
		};

		ret = chain_verify(i->roots, path, 1 + i->chain.cnt, &opts, now,
				   why, &r);
		if (ret != ERR_OK)
			return why_prefix(why, ret,
					  "a %s's trial certificate (0) "
					  "signed by %s would be refused",
					  k == 0 ? "server" : "client",
					  p->cert_name);
	}
	i->not_after = r.earliest_not_after;
	i->warned_rules = r.warned_rules;
	if (r.warned_rules != 0)
		(void)snprintf(i->warning, sizeof(i->warning), "%s",
			       r.warning.text);
	return ERR_OK;
}

static enum err
issuer_try(struct issuer *i, const struct issuer_parts *p, const struct cert *c,
	   struct wall now, struct why *why)
{
	struct buf leaf;
	enum err ret;

	buf_init(&leaf, BUILD_CERT_MAX);
	ret = issuer_sign_trial(i, p, c, now, why, &leaf);
	if (ret == ERR_OK)
		ret = issuer_verify_trial(i, p, buf_get(&leaf), now, why);
	buf_fini(&leaf);
	return ret;
}

/* -- all of it ----------------------------------------------------------- */

static void
issuer_set_flags(struct issuer *i, const struct issuer_parts *p,
		 const struct cert *c)
{
	if (!c->has_key_usage || (c->key_usage & CERT_KU_CRL_SIGN) != 0)
		return;
	i->flags |= ISSUER_NO_CRL_SIGN;
	(void)snprintf(i->warning, sizeof(i->warning),
		       "%s may not sign CRLs (keyUsage has no cRLSign): "
		       "certificates are signed, but a revocation cannot be "
		       "published; ask its owner for one with cRLSign",
		       p->cert_name);
}

enum err
issuer_assemble(const struct issuer_parts *p, struct wall now, struct why *why,
		struct issuer **out)
{
	struct issuer *i = MEM_NEW(struct issuer);
	struct cert c;
	enum err ret;

	*out = NULL;
	if ((ret = cert_parse(p->cert, why, &c)) != ERR_OK) {
		why_prefix(why, ret, "%s", p->cert_name);
		goto out;
	}
	i->key = custody_ref(p->key);
	i->alg = custody_get_default_alg(p->key);
	if ((ret = issuer_check_ca(p, &c, why)) != ERR_OK ||
	    (ret = issuer_check_key(p, &c, why)) != ERR_OK ||
	    (ret = issuer_check_dates(p, &c, now, why)) != ERR_OK ||
	    (ret = issuer_order_chain(i, p, c, why)) != ERR_OK ||
	    (ret = issuer_make_bundle(i, p, why)) != ERR_OK ||
	    (ret = build_issuer_new(p->cert, i->alg, why, &i->build)) !=
		    ERR_OK ||
	    (ret = issuer_try(i, p, &c, now, why)) != ERR_OK)
		goto out;
	i->not_before = c.not_before;
	issuer_set_flags(i, p, &c);
	*out = TAKE(i);
out:
	issuer_free(i);
	return ret;
}

void
issuer_free(struct issuer *i)
{
	if (i == NULL)
		return;
	custody_unref(i->key);
	build_issuer_free(i->build);
	cert_list_free(&i->chain);
	pki_bundle_unref(i->roots);
	mem_free(i);
}

/* -- what it is ---------------------------------------------------------- */

struct custody_key *
issuer_get_key(const struct issuer *i)
{
	return i->key;
}

enum sig_alg
issuer_get_alg(const struct issuer *i)
{
	return i->alg;
}

const struct build_issuer *
issuer_get_build(const struct issuer *i)
{
	return i->build;
}

struct wall
issuer_get_not_before(const struct issuer *i)
{
	return i->not_before;
}

struct wall
issuer_get_not_after(const struct issuer *i)
{
	return i->not_after;
}

struct slice
issuer_get_cert(const struct issuer *i)
{
	return cert_list_get(&i->chain, 0);
}

size_t
issuer_get_chain(const struct issuer *i, struct slice out[ISSUER_CHAIN_MAX])
{
	if (i->is_root)
		return 0;
	for (size_t k = 0; k < i->chain.cnt; k++)
		out[k] = cert_list_get(&i->chain, k);
	return i->chain.cnt;
}

const struct pki_bundle *
issuer_get_roots(const struct issuer *i)
{
	return i->roots;
}

unsigned
issuer_get_flags(const struct issuer *i)
{
	return i->flags;
}

const char *
issuer_get_warning(const struct issuer *i)
{
	return i->warning;
}

uint32_t
issuer_get_warned_rules(const struct issuer *i)
{
	return i->warned_rules;
}
