/* test_certs.h - certificates for tests, made in memory. Include it once. */
#ifndef TEST_CERTS_H
#define TEST_CERTS_H

#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "custody/custody.h"
#include "pki/build.h"
#include "pki/chain.h"

enum {
	TEST_NOW_SEC = 1800000000,
	TEST_DAY = 86400
};

struct test_ca {
	struct privkey *key;
	struct buf cert;
	struct build_issuer *issuer;
};

/* What a leaf shall be; zero is a good workload certificate without names. */
struct test_leaf {
	enum build_profile profile; /* 0: BUILD_WORKLOAD */
	const char *uri;
	const char *dns;
	int64_t not_before, not_after; /* from TEST_NOW_SEC; 0, 0: a day */
};

static UNUSED struct slice
test_key_spki(const struct privkey *key, struct buf *out)
{
	buf_init(out, 4096);
	must(privkey_get_spki(key, out) == ERR_OK);
	return buf_get(out);
}

/* Builds and signs one certificate with the CA's (or, for a root, its own)
 * key. */
static UNUSED void
test_sign(const struct build_issuer *issuer, const struct privkey *key,
	  struct build_request *rq, struct buf *out)
{
	struct buf tbs, sig;
	struct why why = {""};

	buf_init(&tbs, BUILD_CERT_MAX);
	buf_init(&sig, 4096);
	buf_init(out, BUILD_CERT_MAX);
	rand_bytes(rq->serial, sizeof(rq->serial));
	rq->serial[0] = (rq->serial[0] & 0x3f) | 0x40;
	if (build_tbs(issuer, rq, &why, &tbs) != ERR_OK)
		err_must_failed(why.text, __FILE__, __LINE__);
	must(privkey_sign(key, privkey_default_alg(key), buf_get(&tbs), &sig) ==
	     ERR_OK);
	must(build_finish(issuer, buf_get(&tbs), buf_get(&sig), out) == ERR_OK);
	buf_fini(&tbs);
	buf_fini(&sig);
}

/* With this key, which is the CA's from then on. */
static UNUSED void
test_ca_init_key(struct test_ca *ca, const char *name, struct privkey *key)
{
	struct build_issuer *self;
	struct buf spki;
	struct build_request rq = {
		.profile = BUILD_ROOT,
		.not_before = wall_of_sec(TEST_NOW_SEC - TEST_DAY),
		.not_after = wall_of_sec(TEST_NOW_SEC + 365 * TEST_DAY),
		.common_name = slice_of_str(name),
	};

	ca->key = key;
	rq.spki = test_key_spki(key, &spki);
	must(build_issuer_new(SLICE_NONE, privkey_default_alg(ca->key), NULL,
			      &self) == ERR_OK);
	test_sign(self, ca->key, &rq, &ca->cert);
	must(build_issuer_new(buf_get(&ca->cert), privkey_default_alg(ca->key),
			      NULL, &ca->issuer) == ERR_OK);
	build_issuer_free(self);
	buf_fini(&spki);
}

static UNUSED void
test_ca_init(struct test_ca *ca, const char *name)
{
	struct privkey *key;

	must(privkey_new(KEY_EC_P256, 0, &key) == ERR_OK);
	test_ca_init_key(ca, name, key);
}

static UNUSED void
test_ca_fini(struct test_ca *ca)
{
	build_issuer_free(ca->issuer);
	buf_fini(&ca->cert);
	privkey_free(ca->key);
}

static UNUSED void
test_ca_issue(struct test_ca *ca, const struct privkey *key,
	      const struct test_leaf *leaf, struct buf *out)
{
	struct slice dns = slice_of_str(leaf->dns);
	struct buf spki;
	int64_t from = leaf->not_before, to = leaf->not_after;
	struct build_request rq = {
		.profile = leaf->profile == BUILD_NONE ? BUILD_WORKLOAD
						       : leaf->profile,
		.spki_is_rsa = privkey_kind(key) == KEY_RSA,
		.uri = slice_of_str(leaf->uri),
		.dns = &dns,
		.dns_cnt = leaf->dns == NULL ? 0 : 1,
	};

	if (from == 0 && to == 0) {
		from = -3600;
		to = TEST_DAY;
	}
	rq.not_before = wall_of_sec(TEST_NOW_SEC + from);
	rq.not_after = wall_of_sec(TEST_NOW_SEC + to);
	rq.spki = test_key_spki(key, &spki);
	test_sign(ca->issuer, ca->key, &rq, out);
	buf_fini(&spki);
}

#endif
