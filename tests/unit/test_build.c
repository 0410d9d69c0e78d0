/* test_build.c - lib/pki/build.h. What is built is read by our own reader and
 * rules, and by the openssl command, which shares nothing with us. */
#include "unit.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/pem.h"
#include "pki/build.h"
#include "pki/cert.h"
#include "pki/chain.h"

enum {
	NOW = 1800000000,
	DAY = 86400,
	TEXT_MAX = 65536
};

#define ID "spiffe://td/ns/a/sa/b"

struct world {
	char dir[64];
	struct privkey *ca_key, *key;
	struct build_issuer *self, *ca;
	struct buf root, cert, tbs, sig, spki, ca_spki;
	struct build_request rq; /* a good workload */
	struct why why;
	char text[TEXT_MAX];
};

static enum err
issue(struct world *w, const struct build_issuer *issuer, struct buf *out)
{
	enum err e = build_tbs(issuer, &w->rq, &w->why, &w->tbs);

	if (e != ERR_OK)
		return e;
	buf_reset(&w->sig);
	must(privkey_sign(w->ca_key, privkey_default_alg(w->ca_key),
			  buf_get(&w->tbs), &w->sig) == ERR_OK);
	return build_finish(issuer, buf_get(&w->tbs), buf_get(&w->sig), out);
}

static void
ask_for_root(struct world *w)
{
	w->rq = (struct build_request){
		.profile = BUILD_ROOT,
		.not_before = wall_of_sec(NOW - DAY),
		.not_after = wall_of_sec(NOW + (int64_t)3650 * DAY),
		.spki = buf_get(&w->ca_spki),
		.uri = SLICE_LIT("spiffe://td"),
		.common_name = SLICE_LIT("td"),
	};
	memset(w->rq.serial, 0x7f, sizeof(w->rq.serial));
}

static void
ask_for_leaf(struct world *w)
{
	w->rq = (struct build_request){
		.profile = BUILD_WORKLOAD,
		.not_before = wall_of_sec(NOW - 120),
		.not_after = wall_of_sec(NOW + DAY),
		.spki = buf_get(&w->spki),
		.uri = SLICE_LIT(ID),
	};
	memset(w->rq.serial, 0x11, sizeof(w->rq.serial));
}

static void
make_root(struct world *w)
{
	enum sig_alg alg = privkey_default_alg(w->ca_key);

	must(issue(w, w->self, &w->root) == ERR_OK);
	build_issuer_free(w->ca);
	must(build_issuer_new(buf_get(&w->root), alg, NULL, &w->ca) == ERR_OK);
}

static int
setup(void **state)
{
	struct world *w = MEM_NEW(struct world);

	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/test-build.XXXXXX");
	must(mkdtemp(w->dir) != NULL);
	buf_init(&w->root, TEXT_MAX);
	buf_init(&w->cert, TEXT_MAX);
	buf_init(&w->tbs, TEXT_MAX);
	buf_init(&w->sig, TEXT_MAX);
	buf_init(&w->spki, TEXT_MAX);
	buf_init(&w->ca_spki, TEXT_MAX);
	must(privkey_new(KEY_EC_P256, 0, &w->ca_key) == ERR_OK);
	must(privkey_new(KEY_EC_P256, 0, &w->key) == ERR_OK);
	must(privkey_get_spki(w->ca_key, &w->ca_spki) == ERR_OK);
	must(privkey_get_spki(w->key, &w->spki) == ERR_OK);
	must(build_issuer_new(SLICE_NONE, SIG_ECDSA_SHA256, NULL, &w->self) ==
	     ERR_OK);
	ask_for_root(w);
	make_root(w);
	ask_for_leaf(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = {"root", "leaf", "mid", "out"};
	struct world *w = *state;
	char path[96];

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", w->dir, names[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(w->dir), 0);
	build_issuer_free(w->self);
	build_issuer_free(w->ca);
	privkey_free(w->ca_key);
	privkey_free(w->key);
	buf_fini(&w->root);
	buf_fini(&w->cert);
	buf_fini(&w->tbs);
	buf_fini(&w->sig);
	buf_fini(&w->spki);
	buf_fini(&w->ca_spki);
	mem_free(w);
	return 0;
}

/* -- the openssl command */

static void
save(const struct world *w, const char *name, struct slice der)
{
	struct buf pem;
	char path[96];
	FILE *f;

	buf_init(&pem, TEXT_MAX);
	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	assert_int_equal(pem_write(&pem, "CERTIFICATE", der), ERR_OK);
	assert_non_null(f = fopen(path, "w"));
	assert_int_equal(fwrite(buf_get(&pem).p, 1, buf_len(&pem), f),
			 buf_len(&pem));
	assert_int_equal(fclose(f), 0);
	buf_fini(&pem);
}

/* Its exit code; what it says goes into w->text, blanks squeezed. */
static int
openssl(struct world *w, const char *const *args)
{
	posix_spawn_file_actions_t actions;
	char *argv[16] = {NULL};
	int status = -1, fd;
	char path[96];
	ssize_t len;
	size_t n = 0;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s/out", w->dir);
	for (; *args != NULL; args++)
		argv[n++] = mem_dup_str(*args);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(
		&actions, 1, path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	(void)posix_spawn_file_actions_adddup2(&actions, 1, 2);
	assert_int_equal(
		posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)posix_spawn_file_actions_destroy(&actions);
	while (n > 0)
		mem_free(argv[--n]);
	fd = open(path, O_RDONLY);
	len = read(fd, w->text, sizeof(w->text) - 1);
	assert_true(len >= 0);
	(void)close(fd);
	for (ssize_t i = 0; i < len; i++) {
		bool blank = w->text[i] == ' ' || w->text[i] == '\n';

		if (!blank)
			w->text[n++] = w->text[i];
		else if (n > 0 && w->text[n - 1] != ' ')
			w->text[n++] = ' ';
	}
	w->text[n] = '\0';
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
expect_text(struct world *w, const char *name, const char *const *parts)
{
	char path[96];
	const char *args[] = {"openssl", "x509", "-noout", "-text",
			      "-in",     path,   NULL};

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	assert_int_equal(openssl(w, args), 0);
	for (; *parts != NULL; parts++) {
		if (strstr(w->text, *parts) == NULL)
			fail_msg("\"%s\" is missing in %s", *parts, w->text);
	}
}

/* mid may be NULL. */
static int
openssl_verify(struct world *w, const char *purpose, const char *mid)
{
	char root[96], leaf[96], between[96];
	const char *args[] = {"openssl", "verify",     "-x509_strict",
			      "-attime", "1800000000", "-purpose",
			      purpose,   "-CAfile",    root,
			      leaf,      NULL,         NULL,
			      NULL};

	(void)snprintf(root, sizeof(root), "%s/root", w->dir);
	(void)snprintf(leaf, sizeof(leaf), "%s/leaf", w->dir);
	(void)snprintf(between, sizeof(between), "%s/%s", w->dir,
		       mid == NULL ? "" : mid);
	if (mid != NULL) {
		args[9] = "-untrusted";
		args[10] = between;
		args[11] = leaf;
	}
	return openssl(w, args);
}

/* -- workloads */

static void
a_workload_is_the_leaf_of_the_contract(void **state)
{
	static const char *const parts[] = {
		"Version: 3 (0x2)",
		"11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:11",
		"Signature Algorithm: ecdsa-with-SHA256",
		"Not Before: Jan 15 07:58:00 2027 GMT",
		"Not After : Jan 16 08:00:00 2027 GMT",
		"Subject: Subject Public Key",
		"X509v3 Key Usage: critical Digital Signature X509v3",
		"X509v3 Extended Key Usage: TLS Web Server Authentication, TLS "
		"Web Client Authentication X509v3",
		"X509v3 Basic Constraints: critical CA:FALSE",
		"X509v3 Subject Key Identifier:",
		"X509v3 Authority Key Identifier:",
		"X509v3 Subject Alternative Name: critical URI:" ID " Sig",
		NULL};
	struct world *w = *state;

	assert_int_equal(issue(w, w->ca, &w->cert), ERR_OK);
	save(w, "root", buf_get(&w->root));
	save(w, "leaf", buf_get(&w->cert));
	expect_text(w, "leaf", parts);
	if (openssl_verify(w, "sslserver", NULL) != 0)
		fail_msg("openssl: %s", w->text);
	if (openssl_verify(w, "sslclient", NULL) != 0)
		fail_msg("openssl: %s", w->text);
	/* By contrast: it is no signing authority. */
	assert_int_not_equal(openssl_verify(w, "crlsign", NULL), 0);
}

static void
only_rsa_keys_encipher(void **state)
{
	struct world *w = *state;
	struct cert c;

	assert_int_equal(issue(w, w->ca, &w->cert), ERR_OK);
	assert_int_equal(cert_parse(buf_get(&w->cert), NULL, &c), ERR_OK);
	assert_int_equal(c.key_usage, CERT_KU_DIGITAL_SIGNATURE);
	w->rq.spki_is_rsa = true;
	assert_int_equal(issue(w, w->ca, &w->cert), ERR_OK);
	assert_int_equal(cert_parse(buf_get(&w->cert), NULL, &c), ERR_OK);
	assert_int_equal(c.key_usage,
			 CERT_KU_DIGITAL_SIGNATURE | CERT_KU_KEY_ENCIPHERMENT);
}

static void
key_identifiers_are_the_digest_of_the_key_bits(void **state)
{
	struct world *w = *state;
	uint8_t want[20], got[20];
	struct cert leaf, root;

	assert_int_equal(issue(w, w->ca, &w->cert), ERR_OK);
	assert_int_equal(cert_parse(buf_get(&w->cert), NULL, &leaf), ERR_OK);
	assert_int_equal(cert_parse(buf_get(&w->root), NULL, &root), ERR_OK);
	/* The point of a P-256 key: the last 65 bytes of its SPKI. */
	hash_bytes(HASH_SHA1, slice_sub(buf_get(&w->spki), 26, 65), want);
	assert_true(slice_is_eq(leaf.ski, SLICE_ARRAY(want)));
	assert_true(slice_is_eq(leaf.aki, root.ski));
	assert_int_equal(build_key_id(leaf.spki, got), ERR_OK);
	assert_memory_equal(got, want, 20);
	assert_int_equal(build_key_id(SLICE_LIT("\x30\x00"), got), ERR_SYNTAX);
}

static void
our_own_rules_take_what_we_build(void **state)
{
	struct chain_opts opts = {.purpose = CHAIN_TLS_CLIENT, .spiffe = true};
	struct world *w = *state;
	struct pki_bundle *b = NULL;
	struct chain_result result;
	struct slice root = buf_get(&w->root), leaf;

	assert_int_equal(issue(w, w->ca, &w->cert), ERR_OK);
	leaf = buf_get(&w->cert);
	assert_int_equal(pki_bundle_new(SLICE_LIT("td"), &root, 1, NULL, &b),
			 ERR_OK);
	if (chain_verify(b, &leaf, 1, &opts, wall_of_sec(NOW), &w->why,
			 &result) != ERR_OK)
		fail_msg("%s", w->why.text);
	assert_int_equal(result.warned_rules, 0);
	pki_bundle_unref(b);
}

static void
all_kinds_of_ca_keys_sign(void **state)
{
	static const enum key_kind kinds[] = {KEY_EC_P384, KEY_RSA};
	struct world *w = *state;

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		enum sig_alg alg;

		privkey_free(TAKE(w->ca_key));
		must(privkey_new(kinds[i], 2048, &w->ca_key) == ERR_OK);
		buf_reset(&w->ca_spki);
		must(privkey_get_spki(w->ca_key, &w->ca_spki) == ERR_OK);
		alg = privkey_default_alg(w->ca_key);
		build_issuer_free(TAKE(w->self));
		must(build_issuer_new(SLICE_NONE, alg, NULL, &w->self) ==
		     ERR_OK);
		ask_for_root(w);
		make_root(w);
		ask_for_leaf(w);
		assert_int_equal(issue(w, w->ca, &w->cert), ERR_OK);
		save(w, "root", buf_get(&w->root));
		save(w, "leaf", buf_get(&w->cert));
		if (openssl_verify(w, "sslclient", NULL) != 0)
			fail_msg("openssl: %s", w->text);
	}
}

static void
years_from_2050_on_are_written_out(void **state)
{
	struct world *w = *state;
	struct cert c;

	w->rq.not_after = wall_of_sec(2524608000); /* 2050-01-01 */
	assert_int_equal(issue(w, w->ca, &w->cert), ERR_OK);
	assert_int_equal(cert_parse(buf_get(&w->cert), NULL, &c), ERR_OK);
	assert_int_equal(wall_sec(c.not_after), 2524608000);
	assert_non_null(memmem(c.der.p, c.der.len, "20500101000000Z", 15));
	w->rq.not_after = wall_of_sec(2524607999);
	assert_int_equal(issue(w, w->ca, &w->cert), ERR_OK);
	assert_non_null(memmem(buf_get(&w->cert).p, buf_len(&w->cert),
			       "491231235959Z", 13));
}

/* -- the authority's own */

static void
a_serving_certificate_has_names_and_addresses(void **state)
{
	const struct slice names[] = {SLICE_LIT("istiod.istio-system.svc"),
				      SLICE_LIT("127.0.0.1"), SLICE_LIT("::1")};
	static const char *const parts[] = {
		"Extended Key Usage: TLS Web Server Authentication X509v3",
		"critical DNS:istiod.istio-system.svc, IP Address:127.0.0.1, "
		"IP Address:0:0:0:0:0:0:0:1",
		NULL};
	struct world *w = *state;
	struct cert c;

	w->rq.profile = BUILD_SERVING;
	w->rq.uri = SLICE_NONE;
	w->rq.dns = names;
	w->rq.dns_cnt = COUNT_OF(names);
	assert_int_equal(issue(w, w->ca, &w->cert), ERR_OK);
	save(w, "root", buf_get(&w->root));
	save(w, "leaf", buf_get(&w->cert));
	expect_text(w, "leaf", parts);
	assert_int_equal(openssl_verify(w, "sslserver", NULL), 0);
	assert_int_not_equal(openssl_verify(w, "sslclient", NULL), 0);
	/* With an identity it is an SVID, which has both usages. */
	w->rq.uri = SLICE_LIT(ID);
	assert_int_equal(issue(w, w->ca, &w->cert), ERR_OK);
	assert_int_equal(cert_parse(buf_get(&w->cert), NULL, &c), ERR_OK);
	assert_true(c.eku_server && c.eku_client);
}

static void
a_root_is_a_ca_for_its_trust_domain(void **state)
{
	static const char *const parts[] = {
		"Subject: O = td, CN = meshcert root ",
		"X509v3 Basic Constraints: critical CA:TRUE, pathlen:0",
		"X509v3 Key Usage: critical Certificate Sign, CRL Sign",
		"X509v3 Subject Alternative Name: URI:spiffe://td",
		"X509v3 Name Constraints: critical Permitted: URI:td",
		NULL};
	struct world *w = *state;

	ask_for_root(w);
	w->rq.permitted_uri_host = SLICE_LIT("td");
	make_root(w);
	save(w, "root", buf_get(&w->root));
	expect_text(w, "root", parts);
}

static void
roots_of_one_domain_have_names_of_their_own(void **state)
{
	struct world *w = *state;
	struct cert one, two;
	struct buf other;

	buf_init(&other, TEXT_MAX);
	ask_for_root(w);
	w->rq.spki = buf_get(&w->spki);
	assert_int_equal(issue(w, w->self, &other), ERR_OK);
	assert_int_equal(cert_parse(buf_get(&w->root), NULL, &one), ERR_OK);
	assert_int_equal(cert_parse(buf_get(&other), NULL, &two), ERR_OK);
	assert_false(slice_is_eq(one.subject, two.subject));
	assert_true(slice_is_eq(two.subject, two.issuer));
	buf_fini(&other);
}

static void
a_second_tier_is_needed_where_there_is_one(void **state)
{
	struct world *w = *state;
	struct cert c;
	struct buf mid;

	buf_init(&mid, TEXT_MAX);
	ask_for_root(w);
	w->rq.is_tier = true;
	make_root(w);
	ask_for_root(w);
	w->rq.profile = BUILD_ISSUING;
	w->rq.spki = buf_get(&w->spki);
	assert_int_equal(issue(w, w->ca, &mid), ERR_OK);
	assert_int_equal(cert_parse(buf_get(&mid), NULL, &c), ERR_OK);
	assert_true(c.is_ca && c.has_pathlen && c.pathlen == 0);
	assert_int_equal(cert_parse(buf_get(&w->root), NULL, &c), ERR_OK);
	assert_true(c.has_pathlen && c.pathlen == 1);
	/* The issuing CA signs with the leaf's key of this test. */
	build_issuer_free(TAKE(w->ca));
	must(build_issuer_new(buf_get(&mid), SIG_ECDSA_SHA256, NULL, &w->ca) ==
	     ERR_OK);
	ask_for_leaf(w);
	w->rq.spki = buf_get(&w->ca_spki);
	{
		struct privkey *key = w->ca_key;

		w->ca_key = w->key;
		w->key = key;
	}
	assert_int_equal(issue(w, w->ca, &w->cert), ERR_OK);
	save(w, "root", buf_get(&w->root));
	save(w, "mid", buf_get(&mid));
	save(w, "leaf", buf_get(&w->cert));
	if (openssl_verify(w, "sslclient", "mid") != 0)
		fail_msg("openssl: %s", w->text);
	assert_int_not_equal(openssl_verify(w, "sslclient", NULL), 0);
	buf_fini(&mid);
}

/* -- refusals */

static void
expect_refused(struct world *w, const struct build_issuer *issuer,
	       const char *says)
{
	enum err e = build_tbs(issuer, &w->rq, &w->why, &w->tbs);

	if (e == ERR_OK || strstr(w->why.text, says) == NULL)
		fail_msg("%s \"%s\" instead of \"%s\"", err_name(e),
			 w->why.text, says);
	assert_int_equal(buf_len(&w->tbs), 0);
}

static void
leaves_that_must_not_exist_are_not_built(void **state)
{
	const struct slice name = SLICE_LIT("a.b");
	struct world *w = *state;

	w->rq.uri = SLICE_NONE;
	expect_refused(w, w->ca, "a workload without a SPIFFE ID");
	w->rq.uri = SLICE_LIT("spiffe://td");
	expect_refused(w, w->ca, "has no path");
	w->rq.uri = SLICE_LIT("spiffe://td/a,DNS:x");
	expect_refused(w, w->ca, "',' in the path");
	ask_for_leaf(w);
	w->rq.dns = &name;
	w->rq.dns_cnt = 1;
	expect_refused(w, w->ca, "a workload with DNS names");
	ask_for_leaf(w);
	w->rq.profile = BUILD_SERVING;
	expect_refused(w, w->ca, "without names");
	ask_for_leaf(w);
	w->rq.not_after = w->rq.not_before;
	expect_refused(w, w->ca, "end before it begins");
	ask_for_leaf(w);
	w->rq.spki = SLICE_LIT("\x30\x00");
	expect_refused(w, w->ca, "malformed public key");
	ask_for_leaf(w);
	expect_refused(w, w->self, "a root has no issuer");
}

static void
serials_that_are_not_positive_are_not_built(void **state)
{
	struct world *w = *state;

	w->rq.serial[0] = 0x80;
	expect_refused(w, w->ca, "serial number is not positive");
	memset(w->rq.serial, 0, sizeof(w->rq.serial));
	expect_refused(w, w->ca, "serial number is not positive");
	w->rq.serial[18] = 1;
	assert_int_equal(build_tbs(w->ca, &w->rq, &w->why, &w->tbs), ERR_OK);
}

static void
cas_that_must_not_exist_are_not_built(void **state)
{
	struct world *w = *state;

	ask_for_root(w);
	w->rq.uri = SLICE_LIT("spiffe://td/x");
	expect_refused(w, w->self, "a CA whose SPIFFE ID has a path");
	ask_for_root(w);
	w->rq.common_name = SLICE_NONE;
	expect_refused(w, w->self, "a CA without a name");
	ask_for_root(w);
	expect_refused(w, w->ca, "a root has no issuer");
	w->rq.profile = BUILD_NONE;
	expect_refused(w, w->ca, "unknown profile");
}

static void
a_leaf_is_no_issuer(void **state)
{
	struct build_issuer *b = NULL;
	struct world *w = *state;

	assert_int_equal(issue(w, w->ca, &w->cert), ERR_OK);
	assert_int_equal(build_issuer_new(buf_get(&w->cert), SIG_ECDSA_SHA256,
					  &w->why, &b),
			 ERR_REFUSED);
	assert_non_null(strstr(w->why.text, "no CA certificate"));
	assert_int_equal(build_issuer_new(SLICE_LIT("\x30\x00"),
					  SIG_ECDSA_SHA256, &w->why, &b),
			 ERR_SYNTAX);
	assert_int_equal(
		build_issuer_new(buf_get(&w->root), SIG_NONE, &w->why, &b),
		ERR_UNSUPPORTED);
	assert_null(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_workload_is_the_leaf_of_the_contract),
		TEST(only_rsa_keys_encipher),
		TEST(key_identifiers_are_the_digest_of_the_key_bits),
		TEST(our_own_rules_take_what_we_build),
		TEST(all_kinds_of_ca_keys_sign),
		TEST(years_from_2050_on_are_written_out),
		TEST(a_serving_certificate_has_names_and_addresses),
		TEST(a_root_is_a_ca_for_its_trust_domain),
		TEST(roots_of_one_domain_have_names_of_their_own),
		TEST(a_second_tier_is_needed_where_there_is_one),
		TEST(leaves_that_must_not_exist_are_not_built),
		TEST(serials_that_are_not_positive_are_not_built),
		TEST(cas_that_must_not_exist_are_not_built),
		TEST(a_leaf_is_no_issuer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
