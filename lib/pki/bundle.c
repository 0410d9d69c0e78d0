/* bundle.c - trust bundles, see chain.h. */
#include <stdatomic.h>

#include "base/mem.h"
#include "crypto/pem.h"
#include "pki/chain_int.h"

enum {
	BUNDLE_ANCHORS_MAX = 1024,
	BUNDLE_PEM_MAX = 64 << 20
};

static void
bundle_free(struct pki_bundle *b)
{
	if (b == NULL)
		return;
	path_anchors_free(b->anchors);
	cert_list_free(&b->list);
	mem_free(b->certs);
	mem_free(b->ders);
	buf_fini(&b->pem);
	buf_fini(&b->trust_domain);
	mem_free(b);
}

static bool
bundle_has(const struct pki_bundle *b, struct slice der)
{
	for (size_t i = 0; i < b->list.cnt; i++) {
		if (slice_is_eq(cert_list_get(&b->list, i), der))
			return true;
	}
	return false;
}

static enum err
bundle_add(struct pki_bundle *b, struct slice der, struct why *why)
{
	struct cert c;
	enum err ret;

	if (bundle_has(b, der))
		return ERR_OK;
	if (b->list.cnt == BUNDLE_ANCHORS_MAX)
		return why_set(why, ERR_LIMIT,
			       "trust bundle: more than %d anchors",
			       BUNDLE_ANCHORS_MAX);
	if ((ret = cert_parse(der, why, &c)) != ERR_OK)
		return why_prefix(why, ret, "trust bundle: anchor %zu",
				  b->list.cnt + 1);
	return cert_list_add(&b->list, der);
}

/* The list is complete: what points into it. */
static enum err
bundle_finish(struct pki_bundle *b, struct why *why)
{
	/* Mutable on purpose: generations are keys of caches and must differ
	 * over all bundles that this process ever makes. */
	static atomic_uint_fast64_t generation = 1;
	enum err ret;

	b->certs = MEM_NEW_ARRAY(struct cert, b->list.cnt);
	b->ders = MEM_NEW_ARRAY(struct slice, b->list.cnt);
	for (size_t i = 0; i < b->list.cnt; i++) {
		b->ders[i] = cert_list_get(&b->list, i);
		ret = cert_parse(b->ders[i], why, &b->certs[i]);
		if (ret != ERR_OK)
			return ret;
	}
	ret = path_anchors_new(b->ders, b->list.cnt, why, &b->anchors);
	if (ret != ERR_OK)
		return why_prefix(why, ret, "trust bundle");
	b->generation = atomic_fetch_add(&generation, 1);
	return cert_list_write_pem(&b->list, &b->pem);
}

enum err
pki_bundle_new(struct slice trust_domain, const struct slice *ders, size_t cnt,
	       struct why *why, struct pki_bundle **out)
{
	struct pki_bundle *b = NULL;
	enum err ret = ERR_OK;

	*out = NULL;
	if (cnt == 0)
		return why_set(why, ERR_NOT_FOUND,
			       "trust bundle: it has no anchor");
	if (trust_domain.len != 0)
		ret = spiffe_trust_domain_check(trust_domain, why);
	if (ret != ERR_OK)
		return why_prefix(why, ret, "trust bundle");
	b = MEM_NEW(struct pki_bundle);
	b->refs = 1;
	buf_init(&b->trust_domain, SPIFFE_TRUST_DOMAIN_MAX);
	buf_init(&b->pem, BUNDLE_PEM_MAX);
	ret = buf_put(&b->trust_domain, trust_domain);
	for (size_t i = 0; i < cnt && ret == ERR_OK; i++)
		ret = bundle_add(b, ders[i], why);
	if (ret == ERR_OK)
		ret = bundle_finish(b, why);
	if (ret == ERR_OK)
		*out = TAKE(b);
	bundle_free(b);
	return ret;
}

enum err
pki_bundle_read_pem(struct slice trust_domain, struct slice pem,
		    struct why *why, struct pki_bundle **out)
{
	struct cert_list list;
	struct slice *ders;
	enum err ret;

	*out = NULL;
	ret = cert_list_read_pem(pem, BUNDLE_ANCHORS_MAX, why, &list);
	if (ret != ERR_OK)
		return why_prefix(why, ret, "trust bundle");
	ders = MEM_NEW_ARRAY(struct slice, list.cnt);
	for (size_t i = 0; i < list.cnt; i++)
		ders[i] = cert_list_get(&list, i);
	ret = pki_bundle_new(trust_domain, ders, list.cnt, why, out);
	mem_free(ders);
	cert_list_free(&list);
	return ret;
}

struct pki_bundle *
pki_bundle_ref(struct pki_bundle *b)
{
	if (b != NULL)
		b->refs++;
	return b;
}

void
pki_bundle_unref(struct pki_bundle *b)
{
	if (b == NULL || --b->refs != 0)
		return;
	bundle_free(b);
}

size_t
pki_bundle_count(const struct pki_bundle *b)
{
	return b->list.cnt;
}

struct slice
pki_bundle_get(const struct pki_bundle *b, size_t i)
{
	return cert_list_get(&b->list, i);
}

struct slice
pki_bundle_get_trust_domain(const struct pki_bundle *b)
{
	return buf_get(&b->trust_domain);
}

uint64_t
pki_bundle_get_generation(const struct pki_bundle *b)
{
	return b->generation;
}

struct slice
pki_bundle_get_pem(const struct pki_bundle *b)
{
	return buf_get(&b->pem);
}
