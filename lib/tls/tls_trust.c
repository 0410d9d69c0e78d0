/* tls_trust.c - whom we trust, and the cache of chains found good.
 *
 * The key of the cache is the digest of everything that the answer depends on:
 * purpose, rules and all certificates as presented, in their order. The bundle
 * is fixed for the life of a struct tls_trust, so that a new bundle is a new
 * cache. An answer dies with the earliest notAfter of the path; it is not used
 * either when the clock is before the moment it was found (the clock went
 * back: perhaps before a notBefore). Only good chains are kept, so that nobody
 * can fill the cache who has no certificate of ours.
 *
 * Sets of four entries each; in a full set the one not used for longest goes.
 */
#include "tls/tls.h"

#include <string.h>

#include "base/mem.h"
#include "crypto/hash.h"
#include "pki/cert.h"
#include "pki/spiffe_id.h"
#include "tls/tls_int.h"

enum {
	TRUST_WAYS = 4
};

struct trust_entry {
	uint8_t key[HASH_SHA256_LEN];
	struct wall found;
	struct wall until; /* exclusive */
	uint64_t last_use;
	struct tls_verified *verified;
};

struct tls_trust {
	size_t refs;
	struct pki_bundle *bundle;
	struct trust_entry **entries; /* sets of `ways` */
	size_t ways;
	size_t sets;
	uint64_t clock; /* counts uses */
	uint32_t warn_rules;
	tls_warning_cb *on_warning;
	void *warning_arg;
	uint64_t hits, misses;
};

struct tls_trust *
tls_trust_new(struct pki_bundle *bundle, size_t cache_max)
{
	struct tls_trust *t = MEM_NEW(struct tls_trust);

	t->refs = 1;
	t->bundle = pki_bundle_ref(bundle);
	t->ways = cache_max < TRUST_WAYS ? cache_max : TRUST_WAYS;
	if (t->ways != 0) {
		t->sets = cache_max / t->ways;
		t->entries =
			MEM_NEW_ARRAY(struct trust_entry *, t->sets * t->ways);
	}
	return t;
}

struct tls_trust *
tls_trust_ref(struct tls_trust *t)
{
	if (t != NULL)
		t->refs++;
	return t;
}

void
tls_trust_set_warn_rules(struct tls_trust *t, uint32_t rules,
			 tls_warning_cb *on_warning, void *arg)
{
	t->warn_rules = rules;
	t->on_warning = on_warning;
	t->warning_arg = arg;
}

static void
trust_entry_free(struct trust_entry *e)
{
	if (e == NULL)
		return;
	tls_verified_unref(e->verified);
	mem_free(e);
}

void
tls_trust_unref(struct tls_trust *t)
{
	if (t == NULL || --t->refs != 0)
		return;
	for (size_t i = 0; i < t->sets * t->ways; i++)
		trust_entry_free(t->entries[i]);
	mem_free(t->entries);
	pki_bundle_unref(t->bundle);
	mem_free(t);
}

void
tls_trust_get_counts(const struct tls_trust *t, uint64_t *hits_out,
		     uint64_t *misses_out)
{
	*hits_out = t->hits;
	*misses_out = t->misses;
}

struct slice
tls_trust_get_domain(const struct tls_trust *t)
{
	return pki_bundle_get_trust_domain(t->bundle);
}

void
tls_verified_unref(struct tls_verified *v)
{
	if (v == NULL || --v->refs != 0)
		return;
	mem_free(v);
}

/* The leaf goes in as its digest, which is needed anyway; the others as
 * length and bytes. */
static void
trust_key(const struct tls_question *q, const uint8_t leaf_sha256[32],
	  uint8_t out[HASH_SHA256_LEN])
{
	struct slice parts[2 + 2 * CHAIN_CERTS_MAX];
	uint8_t lens[CHAIN_CERTS_MAX][8];
	uint8_t head[2] = {(uint8_t)q->purpose, q->spiffe};
	size_t cnt = 0;

	parts[cnt++] = SLICE_ARRAY(head);
	parts[cnt++] = slice_of(leaf_sha256, HASH_SHA256_LEN);
	for (size_t i = 1; i < q->cnt; i++) {
		uint64_t len = q->chain[i].len;

		memcpy(lens[i], &len, sizeof(len));
		parts[cnt++] = slice_of(lens[i], sizeof(len));
		parts[cnt++] = q->chain[i];
	}
	hash_sha256_parts(parts, cnt, out);
}

static struct trust_entry **
trust_set(struct tls_trust *t, const uint8_t key[HASH_SHA256_LEN])
{
	uint64_t n;

	memcpy(&n, key, sizeof(n));
	return t->entries + (n % t->sets) * t->ways;
}

static struct trust_entry *
trust_find(struct tls_trust *t, const uint8_t key[HASH_SHA256_LEN])
{
	struct trust_entry **set;

	if (t->sets == 0)
		return NULL;
	set = trust_set(t, key);
	for (size_t i = 0; i < t->ways; i++) {
		if (set[i] != NULL &&
		    memcmp(set[i]->key, key, HASH_SHA256_LEN) == 0)
			return set[i];
	}
	return NULL;
}

static struct trust_entry *
trust_slot(struct tls_trust *t, const uint8_t key[HASH_SHA256_LEN])
{
	struct trust_entry **set = trust_set(t, key);
	struct trust_entry **victim = &set[0];

	for (size_t i = 0; i < t->ways; i++) {
		if (set[i] == NULL ||
		    memcmp(set[i]->key, key, HASH_SHA256_LEN) == 0) {
			victim = &set[i];
			break;
		}
		if (set[i]->last_use < (*victim)->last_use)
			victim = &set[i];
	}
	trust_entry_free(*victim);
	*victim = MEM_NEW(struct trust_entry);
	memcpy((*victim)->key, key, HASH_SHA256_LEN);
	return *victim;
}

/* The peer's identity, when its certificate names one that this bundle may
 * vouch for. */
static struct slice
trust_identity(const struct tls_trust *t, const struct cert *leaf)
{
	struct slice domain = tls_trust_get_domain(t);
	struct spiffe_id id;

	if (leaf->san.uri_cnt != 1 ||
	    spiffe_id_parse(leaf->san.uri, NULL, &id) != ERR_OK)
		return SLICE_NONE;
	if (domain.len != 0 && !slice_is_eq(domain, id.trust_domain))
		return SLICE_NONE;
	return id.text;
}

static struct tls_verified *
trust_verified_new(const struct tls_trust *t, const struct cert *leaf,
		   const uint8_t leaf_sha256[HASH_SHA256_LEN])
{
	struct slice id = trust_identity(t, leaf);
	struct tls_verified *v = (struct tls_verified *)mem_new(
		sizeof(*v) + id.len + leaf->serial.len);

	v->refs = 1;
	v->peer.verified = true;
	v->peer.not_after = leaf->not_after;
	memcpy(v->peer.leaf_sha256, leaf_sha256, HASH_SHA256_LEN);
	if (id.len != 0)
		memcpy(v->bytes, id.p, id.len);
	if (leaf->serial.len != 0)
		memcpy(v->bytes + id.len, leaf->serial.p, leaf->serial.len);
	v->peer.spiffe_id = slice_of(v->bytes, id.len);
	v->peer.serial = slice_of(v->bytes + id.len, leaf->serial.len);
	return v;
}

/* The whole work; the answer goes into the cache. */
static enum err
trust_verify_anew(struct tls_trust *t, const struct tls_question *q,
		  const uint8_t leaf_sha256[HASH_SHA256_LEN], struct why *why,
		  struct chain_result *result, struct tls_verified **out)
{
	struct chain_opts opts = {.purpose = q->purpose,
				  .spiffe = q->spiffe,
				  .warn_rules = t->warn_rules};
	struct cert leaf;
	enum err e;

	e = chain_verify(t->bundle, q->chain, q->cnt, &opts, q->at, why,
			 result);
	if (e != ERR_OK)
		return e;
	if (result->warned_rules != 0)
		t->on_warning(t->warning_arg, result);
	if ((e = cert_parse(q->chain[0], why, &leaf)) != ERR_OK)
		return e;
	*out = trust_verified_new(t, &leaf, leaf_sha256);
	return ERR_OK;
}

enum err
tls_trust_verify(struct tls_trust *t, const struct tls_question *q,
		 struct why *why, struct tls_verified **out)
{
	uint8_t leaf_sha256[HASH_SHA256_LEN], key[HASH_SHA256_LEN];
	struct chain_result result;
	struct trust_entry *hit;
	enum err e;

	*out = NULL;
	if (q->cnt == 0 || q->cnt > CHAIN_CERTS_MAX)
		return why_set(why, ERR_LIMIT,
			       "%zu certificates presented, at least 1 and "
			       "at most %d are taken",
			       q->cnt, CHAIN_CERTS_MAX);
	hash_sha256(q->chain[0], leaf_sha256);
	trust_key(q, leaf_sha256, key);
	hit = trust_find(t, key);
	if (hit != NULL && wall_is_before(q->at, hit->until) &&
	    !wall_is_before(q->at, hit->found)) {
		t->hits++;
		hit->last_use = ++t->clock;
		hit->verified->refs++;
		*out = hit->verified;
		return ERR_OK;
	}
	t->misses++;
	e = trust_verify_anew(t, q, leaf_sha256, why, &result, out);
	if (e != ERR_OK || t->sets == 0)
		return e;
	hit = trust_slot(t, key);
	hit->found = q->at;
	hit->until = result.earliest_not_after;
	hit->last_use = ++t->clock;
	hit->verified = *out;
	hit->verified->refs++;
	return ERR_OK;
}
