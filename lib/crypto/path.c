/* path.c - see path.h. The door to X509_verify_cert.
 *
 * The library is given one chain, the anchors and the time, and is asked for
 * RFC 5280 6 only: purposes, names, revocation, key sizes and algorithms are
 * checked in pki. Any certificate among the anchors ends a path (partial
 * chains), so that an intermediate can be made an anchor. Trusted certificates
 * are preferred to those in the chain, so that the shortest path counts.
 *
 * Surprises of the library. It does not look at the path length of self-issued
 * CAs (roots, key roll-overs): check_path_len does. And among anchors of one
 * name it takes the first that
 * looks like the issuer and does not come back when its key does not fit. So
 * where a verification fails and several anchors share a name, each of these is
 * tried alone, as far as the caller's budget goes. */
#include "crypto/path.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "base/mem.h"
#include "crypto/key_int.h"

enum {
	PATH_CERT_MAX = 32,
	PATH_NAME_MAX = 128
};

struct path_anchors {
	X509_STORE *store;
	X509 **certs;
	size_t cnt;
	bool has_twins; /* two anchors with one subject */
};

static enum err
parse_cert(struct slice der, X509 **out)
{
	const uint8_t *p = der.p;

	*out = NULL;
	if (der.len == 0 || der.len > INT32_MAX)
		return ERR_SYNTAX;
	*out = d2i_X509(NULL, &p, (long)der.len);
	if (*out != NULL && p == der.p + der.len)
		return ERR_OK;
	X509_free(*out);
	*out = NULL;
	return key_fail(ERR_SYNTAX);
}

static void
format_name(const X509_NAME *name, char out[PATH_NAME_MAX])
{
	if (X509_NAME_entry_count(name) == 0)
		(void)snprintf(out, PATH_NAME_MAX, "empty name");
	else
		(void)X509_NAME_oneline(name, out, PATH_NAME_MAX);
}

/* -- anchors */

static void
find_twins(struct path_anchors *a)
{
	for (size_t i = 0; i < a->cnt && !a->has_twins; i++) {
		const X509_NAME *name = X509_get_subject_name(a->certs[i]);

		for (size_t k = 0; k < i && !a->has_twins; k++)
			a->has_twins =
				X509_NAME_cmp(name, X509_get_subject_name(
							    a->certs[k])) == 0;
	}
}

enum err
path_anchors_new(const struct slice *ders, size_t cnt, struct why *why,
		 struct path_anchors **out)
{
	struct path_anchors *a = MEM_NEW(struct path_anchors);
	enum err ret = ERR_OK;

	*out = NULL;
	a->certs = MEM_NEW_ARRAY(X509 *, cnt == 0 ? 1 : cnt);
	a->store = X509_STORE_new();
	must(a->store != NULL);
	for (size_t i = 0; i < cnt; i++) {
		if ((ret = parse_cert(ders[i], &a->certs[i])) != ERR_OK) {
			(void)why_set(why, ret,
				      "trust anchor %zu of %zu is not a "
				      "well-formed certificate",
				      i + 1, cnt);
			goto out;
		}
		a->cnt++;
		must(X509_STORE_add_cert(a->store, a->certs[i]) == 1);
	}
	find_twins(a);
	*out = TAKE(a);
out:
	path_anchors_free(a);
	return ret;
}

void
path_anchors_free(struct path_anchors *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->cnt; i++)
		X509_free(a->certs[i]);
	mem_free(a->certs);
	X509_STORE_free(a->store);
	mem_free(a);
}

/* -- one verification */

struct path_try {
	const struct path_anchors *anchors;
	X509 *leaf;
	STACK_OF(X509) * rest;
	struct wall at;
	unsigned *budget;
	size_t used;
	size_t anchor;
};

static enum err
err_of_verify(int code)
{
	switch (code) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return ERR_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return ERR_NOT_YET_VALID;
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
	case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
		return ERR_SIGNATURE;
	case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
	case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
	case X509_V_ERR_INVALID_EXTENSION:
	case X509_V_ERR_INVALID_POLICY_EXTENSION:
		return ERR_SYNTAX;
	case X509_V_ERR_OUT_OF_MEM:
		return ERR_NO_MEMORY;
	default:
		return ERR_UNTRUSTED;
	}
}

static void
format_asn1_time(const ASN1_TIME *t, char out[WALL_TEXT_MAX])
{
	int64_t sec = 0;

	if (ASN1_TIME_to_posix(t, &sec) == 1)
		wall_format(wall_of_sec(sec), out);
	else
		(void)snprintf(out, WALL_TEXT_MAX, "(malformed)");
}

static enum err
refuse_time(const struct path_try *t, const X509 *cert, const char *who,
	    enum err e, struct why *why)
{
	char limit[WALL_TEXT_MAX];
	char now[WALL_TEXT_MAX];
	bool is_old = e == ERR_EXPIRED;

	format_asn1_time(is_old ? X509_get0_notAfter(cert)
				: X509_get0_notBefore(cert),
			 limit);
	wall_format(t->at, now);
	return why_set(why, e, "%s %s %s; the time of the check is %s", who,
		       is_old ? "expired at" : "is not valid before", limit,
		       now);
}

static bool
has_subject(const struct path_try *t, const X509_NAME *name)
{
	for (size_t i = 0; i < sk_X509_num(t->rest); i++) {
		const X509 *cert = sk_X509_value(t->rest, i);

		if (X509_NAME_cmp(X509_get_subject_name(cert), name) == 0)
			return true;
	}
	for (size_t i = 0; i < t->anchors->cnt; i++) {
		const X509 *cert = t->anchors->certs[i];

		if (X509_NAME_cmp(X509_get_subject_name(cert), name) == 0)
			return true;
	}
	return false;
}

/* The library looks for issuers by name, key identifier and key usage, and
 * says the same when any of them does not fit. */
static enum err
refuse_issuer(const struct path_try *t, const X509 *cert, const char *who,
	      struct why *why)
{
	const X509_NAME *name = X509_get_issuer_name(cert);
	char issuer[PATH_NAME_MAX];

	format_name(name, issuer);
	if (has_subject(t, name))
		return why_set(why, ERR_UNTRUSTED,
			       "%s no certificate named %s can be its issuer: "
			       "the key identifier differs, or the key usage "
			       "lacks keyCertSign",
			       who, issuer);
	return why_set(why, ERR_UNTRUSTED,
		       "%s its issuer (%s) is neither in the chain nor among "
		       "the %zu trust anchors",
		       who, issuer, t->anchors->cnt);
}

/* Says which certificate of the path, and what is wrong with it. */
static enum err
refuse(const struct path_try *t, X509_STORE_CTX *ctx, struct why *why)
{
	int code = X509_STORE_CTX_get_error(ctx);
	int depth = X509_STORE_CTX_get_error_depth(ctx);
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
	char who[PATH_NAME_MAX + 64];
	char subject[PATH_NAME_MAX];
	enum err e = err_of_verify(code);

	if (cert == NULL)
		return why_set(why, e, "certificate path: %s",
			       X509_verify_cert_error_string(code));
	format_name(X509_get_subject_name(cert), subject);
	(void)snprintf(who, sizeof(who),
		       "certificate at depth %d (subject %s):", depth, subject);
	switch (code) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return refuse_time(t, cert, who, e, why);
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return refuse_issuer(t, cert, who, why);
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return why_set(why, e,
			       "%s it is self-signed and none of the %zu trust "
			       "anchors",
			       who, t->anchors->cnt);
	default:
		return why_set(why, e, "%s %s", who,
			       X509_verify_cert_error_string(code));
	}
}

/* RFC 5280 6.1.4 (l) and (m), for anchors too: the number of intermediates
 * below each CA, those left out whose subject is their issuer. */
static enum err
check_path_len(STACK_OF(X509) * path, struct why *why)
{
	char subject[PATH_NAME_MAX];
	long below = 0;

	for (size_t i = 1; i < sk_X509_num(path); i++) {
		X509 *cert = sk_X509_value(path, i);
		long limit = X509_get_pathlen(cert);

		if (limit >= 0 && below > limit) {
			format_name(X509_get_subject_name(cert), subject);
			return why_set(why, ERR_UNTRUSTED,
				       "certificate at depth %zu (subject %s): "
				       "its path length allows %ld CAs below "
				       "it, there are %ld (RFC 5280 4.2.1.9)",
				       i, subject, limit, below);
		}
		if (X509_NAME_cmp(X509_get_subject_name(cert),
				  X509_get_issuer_name(cert)) != 0)
			below++;
	}
	return ERR_OK;
}

/* The library passes over certificates that cannot have issued the one before
 * (a namesake without keyCertSign) and takes one further up. Callers judge the
 * path that they asked about: it must be this one. */
static bool
is_path_as_given(const struct path_try *t, STACK_OF(X509) * path)
{
	for (size_t i = 0; i < t->used; i++) {
		const X509 *given = t->leaf;

		if (i > sk_X509_num(t->rest))
			return false;
		if (i > 0)
			given = sk_X509_value(t->rest, i - 1);
		if (X509_cmp(sk_X509_value(path, i), given) != 0)
			return false;
	}
	return true;
}

static enum err
read_result(struct path_try *t, X509_STORE_CTX *ctx, struct why *why)
{
	STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(ctx);
	size_t cnt = sk_X509_num(path);
	enum err ret;
	X509 *top;

	if (cnt == 0)
		return ERR_BUG;
	if ((ret = check_path_len(path, why)) != ERR_OK)
		return ret;
	top = sk_X509_value(path, cnt - 1);
	/* The leaf itself may be an anchor. */
	t->used = cnt == 1 ? 1 : cnt - 1;
	if (!is_path_as_given(t, path))
		return why_set(why, ERR_UNTRUSTED,
			       "certificate path: one of its certificates "
			       "cannot have issued the one before it");
	for (size_t i = 0; i < t->anchors->cnt; i++) {
		if (X509_cmp(t->anchors->certs[i], top) == 0) {
			t->anchor = i;
			return ERR_OK;
		}
	}
	return ERR_BUG;
}

/* only: NULL for all anchors. */
static enum err
try_path(struct path_try *t, STACK_OF(X509) * only, struct why *why)
{
	unsigned cost = 1 + (unsigned)sk_X509_num(t->rest);
	X509_STORE_CTX *ctx = NULL;
	enum err ret = ERR_BUG;

	if (*t->budget < cost)
		return why_set(why, ERR_LIMIT,
			       "certificate path: %u signatures more than are "
			       "looked at",
			       cost - *t->budget);
	*t->budget -= cost;
	ctx = X509_STORE_CTX_new();
	must(ctx != NULL);
	must(X509_STORE_CTX_init(ctx, t->anchors->store, t->leaf, t->rest) ==
	     1);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN |
					      X509_V_FLAG_TRUSTED_FIRST);
	X509_STORE_CTX_set_time_posix(ctx, 0, wall_sec(t->at));
	X509_STORE_CTX_set_depth(ctx, PATH_CERT_MAX);
	if (only != NULL)
		X509_STORE_CTX_set0_trusted_stack(ctx, only);
	if (X509_verify_cert(ctx) == 1)
		ret = read_result(t, ctx, why);
	else
		ret = refuse(t, ctx, why);
	X509_STORE_CTX_free(ctx);
	return ret == ERR_OK ? ERR_OK : key_fail(ret);
}

static bool
is_issuer_name(const struct path_try *t, const X509_NAME *name)
{
	if (X509_NAME_cmp(X509_get_issuer_name(t->leaf), name) == 0)
		return true;
	for (size_t i = 0; i < sk_X509_num(t->rest); i++) {
		const X509 *cert = sk_X509_value(t->rest, i);

		if (X509_NAME_cmp(X509_get_issuer_name(cert), name) == 0)
			return true;
	}
	return false;
}

/* Each anchor that might have issued, alone. The first failure's reason
 * stays. */
static enum err
try_twins(struct path_try *t, enum err first)
{
	enum err ret = first;

	for (size_t i = 0; i < t->anchors->cnt && ret != ERR_OK; i++) {
		X509 *cert = t->anchors->certs[i];
		STACK_OF(X509) *only = NULL;

		if (!is_issuer_name(t, X509_get_subject_name(cert)))
			continue;
		only = sk_X509_new_null();
		must(only != NULL && sk_X509_push(only, cert) > 0);
		if (try_path(t, only, NULL) == ERR_OK)
			ret = ERR_OK;
		sk_X509_free(only);
	}
	return ret;
}

static enum err
parse_chain(struct path_try *t, const struct slice *chain, size_t cnt,
	    struct why *why)
{
	X509 *cert = NULL;
	enum err ret;

	for (size_t i = 0; i < cnt; i++) {
		if ((ret = parse_cert(chain[i], &cert)) != ERR_OK)
			return why_set(why, ret,
				       "certificate at depth %zu is not well "
				       "formed",
				       i);
		if (i == 0)
			t->leaf = cert;
		else
			must(sk_X509_push(t->rest, cert) > 0);
	}
	return ERR_OK;
}

enum err
path_verify(const struct path_anchors *anchors, const struct slice *chain,
	    size_t cnt, struct wall at, unsigned *budget, struct why *why,
	    size_t *used_out, size_t *anchor_out)
{
	struct path_try t = {.anchors = anchors, .at = at, .budget = budget};
	enum err ret;

	*used_out = 0;
	if (anchor_out != NULL)
		*anchor_out = 0;
	if (cnt == 0)
		return why_set(why, ERR_SYNTAX, "certificate path: empty");
	if (cnt > PATH_CERT_MAX)
		return why_set(why, ERR_LIMIT,
			       "certificate path: %zu certificates, at most %d "
			       "are read",
			       cnt, (int)PATH_CERT_MAX);
	t.rest = sk_X509_new_null();
	must(t.rest != NULL);
	if ((ret = parse_chain(&t, chain, cnt, why)) != ERR_OK)
		goto out;
	ret = try_path(&t, NULL, why);
	if (ret != ERR_OK && anchors->has_twins)
		ret = try_twins(&t, ret);
	if (ret != ERR_OK)
		goto out;
	*used_out = t.used;
	if (anchor_out != NULL)
		*anchor_out = t.anchor;
out:
	X509_free(t.leaf);
	sk_X509_pop_free(t.rest, X509_free);
	return ret;
}

const char *
crypto_library_version(void)
{
	return AWSLC_VERSION_NAME " " AWSLC_VERSION_NUMBER_STRING;
}
