/* bench_issue.c - what issuing costs on one core, beside what it must cost.
 *
 * The limit is one P-256 verify and one P-256 sign by the same library, on
 * keys that are ready. The path is what a certificate needs beyond that: the
 * CSR read from PEM, its key checked, the certificate built. Both are measured
 * in turns, by this thread's CPU clock.
 *
 *   bench_issue ROUNDS CALLS    a line of JSON with the medians of the rounds
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "crypto/key.h"
#include "custody/custody.h"
#include "pki/build.h"
#include "pki/csr.h"
#include "pki/key_policy.h"

enum {
	CSRS = 64,
	ROUNDS_MAX = 1000,
	CALLS_MAX = 1000000,
	DAY_SEC = 86400
};

#define IDENTITY "spiffe://cluster.local/ns/default/sa/default"

struct bench {
	struct custody_key *ca_key;
	struct build_issuer *issuer;
	struct buf ca_cert;
	struct buf pems[CSRS];
	struct buf der, tbs, signature, cert;
	uint64_t serial;
	struct wall now;
};

static void
check(enum err e, const char *what)
{
	if (e == ERR_OK)
		return;
	(void)fprintf(stderr, "bench_issue: %s: %s\n", what, err_text(e));
	exit(1);
}

static struct custody_key *
new_key(void)
{
	struct privkey *key = NULL;
	struct custody_key *custody = NULL;

	check(privkey_new(KEY_EC_P256, 0, &key), "a key");
	check(custody_memory_new(key, &custody), "custody");
	return custody;
}

/* ---- what is measured -------------------------------------------------- */

static void
sign_and_finish(struct bench *b, const struct build_issuer *issuer,
		const struct build_request *rq, struct why *why)
{
	check(build_tbs(issuer, rq, why, &b->tbs), "build_tbs");
	buf_reset(&b->signature);
	check(custody_sign_now(b->ca_key, SIG_ECDSA_SHA256, buf_get(&b->tbs),
			       &b->signature),
	      "sign");
	check(build_finish(issuer, buf_get(&b->tbs), buf_get(&b->signature),
			   &b->cert),
	      "build_finish");
}

static void
run_path(struct bench *b, unsigned turn)
{
	static const struct key_policy policy = {
		.rsa_bits_min = 2048,
		.rsa_bits_max = 8192,
	};
	struct build_request rq = {
		.profile = BUILD_WORKLOAD,
		.serial = {0x01},
		.not_before = b->now,
		.not_after = wall_add_sec(b->now, DAY_SEC),
	};
	struct pubkey *key = NULL;
	struct why why = {0};
	struct csr csr;

	check(csr_read_pem(buf_get(&b->pems[turn % CSRS]), &b->der, &why),
	      "csr_read_pem");
	check(csr_parse(buf_get(&b->der), &why, &csr), "csr_parse");
	check(pubkey_parse(csr.spki, &why, &key), "pubkey_parse");
	check(key_policy_check(&policy, key, &why), "key_policy_check");
	check(csr_verify(&csr, key, &why), "csr_verify");
	pubkey_free(key);
	b->serial++;
	memcpy(&rq.serial[1], &b->serial, sizeof(b->serial));
	rq.spki = csr.spki;
	rq.uri = csr.san.uri;
	sign_and_finish(b, b->issuer, &rq, &why);
}

struct limit {
	struct pubkey *key;
	struct csr csr;
	struct buf der;
};

static void
run_limit(struct bench *b, const struct limit *l)
{
	check(pubkey_verify(l->key, l->csr.alg, l->csr.info, l->csr.signature),
	      "verify");
	buf_reset(&b->signature);
	check(privkey_sign(custody_get_privkey(b->ca_key), SIG_ECDSA_SHA256,
			   l->csr.info, &b->signature),
	      "sign");
}

/* ---- preparing --------------------------------------------------------- */

static void
make_issuer(struct bench *b)
{
	struct build_issuer *self = NULL;
	struct build_request rq = {
		.profile = BUILD_ROOT,
		.serial = {0x01},
		.not_before = b->now,
		.not_after = wall_add_sec(b->now, 10 * DAY_SEC),
		.spki = custody_get_spki(b->ca_key),
		.common_name = SLICE_LIT("cluster.local"),
	};
	struct why why = {0};

	check(build_issuer_new(SLICE_NONE, SIG_ECDSA_SHA256, &why, &self),
	      "root");
	sign_and_finish(b, self, &rq, &why);
	build_issuer_free(self);
	check(buf_put(&b->ca_cert, buf_get(&b->cert)), "root");
	check(build_issuer_new(buf_get(&b->ca_cert), SIG_ECDSA_SHA256, &why,
			       &b->issuer),
	      "issuer");
}

static void
prepare(struct bench *b, struct limit *l)
{
	struct why why = {0};

	buf_init(&b->ca_cert, BUILD_CERT_MAX);
	buf_init(&b->der, CSR_MAX);
	buf_init(&b->tbs, BUILD_CERT_MAX);
	buf_init(&b->signature, 2048);
	buf_init(&b->cert, BUILD_CERT_MAX);
	b->now = wall_now();
	b->ca_key = new_key();
	make_issuer(b);
	for (size_t i = 0; i < CSRS; i++) {
		struct custody_key *key = new_key();

		buf_init(&b->pems[i], 2 * CSR_MAX);
		check(csr_build_pem(key, SLICE_LIT(IDENTITY), NULL,
				    &b->pems[i]),
		      "csr_build_pem");
		custody_unref(key);
	}
	buf_init(&l->der, CSR_MAX);
	check(csr_read_pem(buf_get(&b->pems[0]), &l->der, &why), "a CSR");
	check(csr_parse(buf_get(&l->der), &why, &l->csr), "a CSR");
	check(pubkey_parse(l->csr.spki, &why, &l->key), "a CSR's key");
}

/* ---- measuring --------------------------------------------------------- */

static double
cpu_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int
compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *v, unsigned cnt)
{
	qsort(v, cnt, sizeof(*v), compare);
	return cnt % 2 == 1 ? v[cnt / 2] : (v[cnt / 2 - 1] + v[cnt / 2]) / 2;
}

static unsigned
read_number(const char *text, unsigned max)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || n == 0 || n > max) {
		(void)fprintf(stderr, "bench_issue: %s: a number up to %u\n",
			      text, max);
		exit(2);
	}
	return (unsigned)n;
}

int
main(int argc, char **argv)
{
	double limit[ROUNDS_MAX], path[ROUNDS_MAX], ratio[ROUNDS_MAX];
	struct bench *b = MEM_NEW(struct bench);
	struct limit l = {0};
	unsigned rounds, calls;

	if (argc != 3) {
		(void)fprintf(stderr, "usage: bench_issue ROUNDS CALLS\n");
		return 2;
	}
	rounds = read_number(argv[1], ROUNDS_MAX);
	calls = read_number(argv[2], CALLS_MAX);
	prepare(b, &l);
	for (unsigned r = 0; r < rounds; r++) {
		double start = cpu_us();

		for (unsigned i = 0; i < calls; i++)
			run_limit(b, &l);
		limit[r] = (cpu_us() - start) / calls;
		start = cpu_us();
		for (unsigned i = 0; i < calls; i++)
			run_path(b, i);
		path[r] = (cpu_us() - start) / calls;
		ratio[r] = limit[r] / path[r];
	}
	(void)printf("{\"limit_us\": %.2f, \"path_us\": %.2f, "
		     "\"ratio\": %.4f}\n",
		     median(limit, rounds), median(path, rounds),
		     median(ratio, rounds));
	return 0;
}
