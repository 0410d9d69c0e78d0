/* test_issuer.c - lib/ca/issuer.h. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "ca/issuer.h"
#include "os/os.h"
#include "temp_dir.h"

static const int64_t day = INT64_C(86400000);
static const struct wall t0 = {INT64_C(1795000000000)};

struct fixture {
	char dir[TEMP_DIR_MAX];
	struct issuer *i;
	uint32_t warn_rules; /* of plugged-in sets */
	struct why why;
};

static struct wall
at(int64_t ms)
{
	return (struct wall){t0.ms + ms};
}

static int
setup(void **state)
{
	struct fixture *f = MEM_NEW(struct fixture);

	temp_dir_make(f->dir);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	issuer_free(f->i);
	temp_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

static void
assert_says(struct fixture *f, const char *text)
{
	if (strstr(f->why.text, text) == NULL)
		fail_msg("\"%s\" is not in: %s", text, f->why.text);
}

/* -- self-signed --------------------------------------------------------- */

static struct issuer_self
one_tier(void)
{
	return (struct issuer_self){
		.trust_domain = SLICE_LIT("cluster.local"),
		.key_kind = KEY_EC_P256,
		.ttl_ms = 3650 * day,
		.issuing_ttl_ms = 365 * day,
	};
}

static enum err
open_self(struct fixture *f, const struct issuer_self *how, struct wall now)
{
	issuer_free(f->i);
	f->i = NULL;
	return issuer_open_self(f->dir, how, now, &f->why, &f->i);
}

static void
assert_private(struct fixture *f, const char *name)
{
	char *path = temp_dir_path(f->dir, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	mem_free(path);
}

static bool
exists(struct fixture *f, const char *name)
{
	char *path = temp_dir_path(f->dir, name);
	bool is = os_file_exists(path);

	mem_free(path);
	return is;
}

static void
drop(struct fixture *f, const char *name)
{
	char *path = temp_dir_path(f->dir, name);

	assert_int_equal(unlink(path), 0);
	mem_free(path);
}

static void
the_first_start_makes_a_root_and_the_next_one_loads_it(void **state)
{
	struct fixture *f = *state;
	struct issuer_self how = one_tier();
	struct slice chain[ISSUER_CHAIN_MAX];
	struct buf first;
	struct cert c;

	assert_int_equal(open_self(f, &how, t0), ERR_OK);
	assert_private(f, "root-key.pem");
	assert_private(f, "root-cert.pem");
	assert_false(exists(f, "ca-key.pem"));
	assert_int_equal(issuer_get_chain(f->i, chain), 0);
	assert_int_equal(pki_bundle_count(issuer_get_roots(f->i)), 1);
	assert_int_equal(issuer_get_flags(f->i), 0);
	assert_string_equal(issuer_get_warning(f->i), "");
	assert_int_equal(issuer_get_not_after(f->i).ms, at(3650 * day).ms);
	assert_int_equal(issuer_get_alg(f->i), SIG_ECDSA_SHA256);
	assert_int_equal(cert_parse(issuer_get_cert(f->i), &f->why, &c),
			 ERR_OK);
	assert_true(c.is_ca && c.basic_critical && c.key_usage_critical);
	assert_int_equal(c.key_usage, CERT_KU_CERT_SIGN | CERT_KU_CRL_SIGN);
	assert_true(c.has_ski);

	buf_init(&first, BUILD_CERT_MAX);
	assert_int_equal(buf_put(&first, issuer_get_cert(f->i)), ERR_OK);
	assert_int_equal(open_self(f, &how, at(day)), ERR_OK);
	assert_true(slice_is_eq(issuer_get_cert(f->i), buf_get(&first)));
	buf_fini(&first);
}

static void
each_kind_of_key_makes_a_root(void **state)
{
	static const struct {
		enum key_kind kind;
		unsigned bits;
		enum sig_alg alg;
	} kinds[] = {{KEY_EC_P256, 0, SIG_ECDSA_SHA256},
		     {KEY_EC_P384, 0, SIG_ECDSA_SHA384},
		     {KEY_RSA, 2048, SIG_RSA_SHA256}};
	struct fixture *f = *state;
	struct issuer_self how = one_tier();

	for (size_t k = 0; k < COUNT_OF(kinds); k++) {
		how.key_kind = kinds[k].kind;
		how.rsa_bits = kinds[k].bits;
		assert_int_equal(open_self(f, &how, t0), ERR_OK);
		assert_int_equal(custody_get_kind(issuer_get_key(f->i)),
				 kinds[k].kind);
		assert_int_equal(issuer_get_alg(f->i), kinds[k].alg);
		drop(f, "root-key.pem");
		drop(f, "root-cert.pem");
	}
}

static void
two_tiers_keep_the_root_above_an_issuing_ca(void **state)
{
	struct fixture *f = *state;
	struct issuer_self how = one_tier();
	struct slice chain[ISSUER_CHAIN_MAX];
	struct cert c;

	how.two_tiers = true;
	how.name_constraints = true;
	assert_int_equal(open_self(f, &how, t0), ERR_OK);
	assert_private(f, "ca-key.pem");
	assert_private(f, "ca-cert.pem");
	assert_int_equal(issuer_get_chain(f->i, chain), 1);
	assert_true(slice_is_eq(chain[0], issuer_get_cert(f->i)));
	assert_int_equal(cert_parse(chain[0], &f->why, &c), ERR_OK);
	assert_true(c.has_pathlen && c.pathlen == 0);
	assert_true(c.has_name_constraints);
	assert_false(slice_is_eq(chain[0],
				 pki_bundle_get(issuer_get_roots(f->i), 0)));
	/* The earliest of the chain, not the root's. */
	assert_int_equal(issuer_get_not_after(f->i).ms, at(365 * day).ms);
}

static void
an_issuing_ca_near_its_end_is_renewed_with_its_key(void **state)
{
	struct fixture *f = *state;
	struct issuer_self how = one_tier();
	struct custody_key *key;

	how.two_tiers = true;
	assert_int_equal(open_self(f, &how, t0), ERR_OK);
	key = custody_ref(issuer_get_key(f->i));
	assert_int_equal(open_self(f, &how, at(200 * day)), ERR_OK);
	assert_int_equal(issuer_get_not_after(f->i).ms, at(365 * day).ms);
	assert_int_equal(open_self(f, &how, at(300 * day)), ERR_OK);
	assert_int_equal(issuer_get_not_after(f->i).ms, at(665 * day).ms);
	assert_true(slice_is_eq(custody_get_spki(issuer_get_key(f->i)),
				custody_get_spki(key)));
	/* Also after its end; and never past the root's. */
	assert_int_equal(open_self(f, &how, at(2000 * day)), ERR_OK);
	assert_int_equal(open_self(f, &how, at(3500 * day)), ERR_OK);
	assert_int_equal(issuer_get_not_after(f->i).ms, at(3650 * day).ms);
	custody_unref(key);
}

static void
a_key_without_certificate_is_used_but_not_the_reverse(void **state)
{
	struct fixture *f = *state;
	struct issuer_self how = one_tier();
	struct custody_key *key;

	assert_int_equal(open_self(f, &how, t0), ERR_OK);
	key = custody_ref(issuer_get_key(f->i));
	drop(f, "root-cert.pem");
	assert_int_equal(open_self(f, &how, t0), ERR_OK);
	assert_true(slice_is_eq(custody_get_spki(issuer_get_key(f->i)),
				custody_get_spki(key)));
	custody_unref(key);
	drop(f, "root-key.pem");
	assert_int_equal(open_self(f, &how, t0), ERR_NOT_FOUND);
	assert_says(f, "root-cert.pem is there, but its key");
	assert_false(exists(f, "root-key.pem"));
}

static void
a_key_that_others_can_read_is_refused(void **state)
{
	struct fixture *f = *state;
	struct issuer_self how = one_tier();
	char *path = temp_dir_path(f->dir, "root-key.pem");

	assert_int_equal(open_self(f, &how, t0), ERR_OK);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(open_self(f, &how, t0), ERR_CONFIG);
	assert_says(f, "others may read it (mode 640)");
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(open_self(f, &how, t0), ERR_OK);
	mem_free(path);
}

static void
a_root_that_ended_or_has_no_room_below_is_refused(void **state)
{
	struct fixture *f = *state;
	struct issuer_self how = one_tier();

	assert_int_equal(open_self(f, &how, t0), ERR_OK);
	assert_int_equal(open_self(f, &how, at(3650 * day)), ERR_EXPIRED);
	assert_says(f, "which makes a new root");
	how.two_tiers = true;
	assert_int_equal(open_self(f, &how, t0), ERR_CONFIG);
	assert_says(f, "was made for one tier");
	assert_false(exists(f, "ca-key.pem"));
}

static void
a_damaged_file_is_named_and_not_replaced(void **state)
{
	static const char *const names[] = {"root-cert.pem", "root-key.pem"};
	struct fixture *f = *state;
	struct issuer_self how = one_tier();

	assert_int_equal(open_self(f, &how, t0), ERR_OK);
	for (size_t k = 0; k < COUNT_OF(names); k++) {
		char *path = temp_dir_path(f->dir, names[k]);
		struct buf b;

		buf_init(&b, 100);
		assert_int_equal(os_file_write_atomic(path, SLICE_LIT("junk"),
						      0600, &f->why),
				 ERR_OK);
		assert_int_not_equal(open_self(f, &how, t0), ERR_OK);
		assert_null(f->i);
		assert_says(f, names[k]);
		assert_int_equal(os_file_read(path, &b, &f->why), ERR_OK);
		assert_true(slice_is_str(buf_get(&b), "junk"));
		buf_fini(&b);
		mem_free(path);
		if (k + 1 < COUNT_OF(names))
			drop(f, names[k]);
	}
}

static void
another_trust_domain_than_the_constraint_is_refused(void **state)
{
	struct fixture *f = *state;
	struct issuer_self how = one_tier();

	how.name_constraints = true;
	assert_int_equal(open_self(f, &how, t0), ERR_OK);
	how.trust_domain = SLICE_LIT("example.org");
	assert_int_not_equal(open_self(f, &how, t0), ERR_OK);
	assert_says(f, "trial certificate");
}

/* -- plugged-in sets ----------------------------------------------------- */

struct ca {
	struct custody_key *key;
	struct buf der;
};

/* Bytes to be changed before a certificate is signed, of equal length. */
struct patch {
	struct slice from, to;
};

static const struct patch no_crl_sign = {
	{(const uint8_t *)"\x03\x02\x01\x06", 4},
	{(const uint8_t *)"\x03\x02\x02\x04", 4}};
static const struct patch no_cert_sign = {
	{(const uint8_t *)"\x03\x02\x01\x06", 4},
	{(const uint8_t *)"\x03\x02\x01\x02", 4}};
static const struct patch pathlen_3 = {
	{(const uint8_t *)"\x30\x06\x01\x01\xff\x02\x01\x01", 8},
	{(const uint8_t *)"\x30\x06\x01\x01\xff\x02\x01\x03", 8}};
static const struct patch pathlen_1 = {
	{(const uint8_t *)"\x30\x06\x01\x01\xff\x02\x01\x00", 8},
	{(const uint8_t *)"\x30\x06\x01\x01\xff\x02\x01\x01", 8}};

static const struct patch no_aki = {
	/* another OID */
	{(const uint8_t *)"\x06\x03\x55\x1d\x23", 5},
	{(const uint8_t *)"\x06\x03\x55\x1d\x63", 5}};

static void
patch_bytes(struct buf *b, const struct patch *p)
{
	uint8_t *bytes = b->p + b->start;
	size_t len = buf_len(b);

	assert_int_equal(p->from.len, p->to.len);
	for (size_t i = 0; i + p->from.len <= len; i++) {
		if (memcmp(bytes + i, p->from.p, p->from.len) == 0) {
			memcpy(bytes + i, p->to.p, p->to.len);
			return;
		}
	}
	fail_msg("nothing to patch");
}

struct recipe {
	enum build_profile profile;
	int64_t from_ms, to_ms;
	const struct patch *patch;
	struct slice constraint;
	bool is_tier;
};

static struct recipe
ca_recipe(enum build_profile profile)
{
	return (struct recipe){
		.profile = profile,
		.from_ms = -day,
		.to_ms = 1000 * day,
		.is_tier = true,
	};
}

/* Makes a CA (or whatever the recipe says) below `above`, NULL: self-signed. */
static void
make_ca(struct ca *ca, const struct recipe *r, const struct ca *above)
{
	struct custody_key *signer;
	struct privkey *key;
	struct build_issuer *build;
	struct buf tbs, signature;
	struct build_request rq = {
		.profile = r->profile,
		.serial = {1, 2, 3},
		.not_before = at(r->from_ms),
		.not_after = at(r->to_ms),
		.common_name = SLICE_LIT("Some Company"),
		.permitted_uri_host = r->constraint,
		.is_tier = r->is_tier,
	};

	buf_init(&ca->der, BUILD_CERT_MAX);
	buf_init(&tbs, BUILD_CERT_MAX);
	buf_init(&signature, 1024);
	assert_int_equal(privkey_new(KEY_EC_P256, 0, &key), ERR_OK);
	assert_int_equal(custody_memory_new(key, &ca->key), ERR_OK);
	rq.spki = custody_get_spki(ca->key);
	if (r->profile == BUILD_WORKLOAD)
		rq.uri = SLICE_LIT("spiffe://cluster.local/x");
	signer = above == NULL ? ca->key : above->key;
	assert_int_equal(build_issuer_new(above == NULL ? SLICE_NONE
							: buf_get(&above->der),
					  SIG_ECDSA_SHA256, NULL, &build),
			 ERR_OK);
	assert_int_equal(build_tbs(build, &rq, NULL, &tbs), ERR_OK);
	if (r->patch != NULL)
		patch_bytes(&tbs, r->patch);
	assert_int_equal(custody_sign_now(signer, SIG_ECDSA_SHA256,
					  buf_get(&tbs), &signature),
			 ERR_OK);
	assert_int_equal(build_finish(build, buf_get(&tbs), buf_get(&signature),
				      &ca->der),
			 ERR_OK);
	build_issuer_free(build);
	buf_fini(&tbs);
	buf_fini(&signature);
}

static void
free_ca(struct ca *ca)
{
	custody_unref(ca->key);
	buf_fini(&ca->der);
}

/* A set of files as text. */
struct set {
	struct buf cert, chain, roots;
	struct secret *key;
};

static void
put_cert(struct buf *pem, const struct ca *ca)
{
	struct cert_list l = {0};

	assert_int_equal(cert_list_add(&l, buf_get(&ca->der)), ERR_OK);
	assert_int_equal(cert_list_write_pem(&l, pem), ERR_OK);
	cert_list_free(&l);
}

static void
set_init(struct set *s, const struct ca *issuer)
{
	buf_init(&s->cert, 1 << 16);
	buf_init(&s->chain, 1 << 16);
	buf_init(&s->roots, 1 << 16);
	put_cert(&s->cert, issuer);
	assert_int_equal(privkey_export(custody_get_privkey(issuer->key),
					PRIVKEY_TRADITIONAL_PEM, &s->key),
			 ERR_OK);
}

static void
set_fini(struct set *s)
{
	buf_fini(&s->cert);
	buf_fini(&s->chain);
	buf_fini(&s->roots);
	secret_free(s->key);
}

static enum err
open_set(struct fixture *f, const struct set *s)
{
	const struct issuer_file files[] = {
		{"ca-crl.pem", SLICE_LIT("passed over")},
		{"ca-cert.pem", buf_get(&s->cert)},
		{"ca-key.pem", secret_get(s->key)},
		{"cert-chain.pem", buf_get(&s->chain)},
		{"root-cert.pem", buf_get(&s->roots)},
	};

	issuer_free(f->i);
	f->why.text[0] = '\0';
	return issuer_open_files(files, COUNT_OF(files),
				 SLICE_LIT("cluster.local"), f->warn_rules, t0,
				 &f->why, &f->i);
}

/* root -> middle -> issuing, good in every way. */
struct tree {
	struct ca root, middle, issuing;
	struct set set;
};

static void
tree_init_with(struct tree *t, const struct recipe *root,
	       const struct recipe *middle, const struct recipe *issuing)
{
	make_ca(&t->root, root, NULL);
	make_ca(&t->middle, middle, &t->root);
	make_ca(&t->issuing, issuing, &t->middle);
	set_init(&t->set, &t->issuing);
	/* As Istio wants it: the issuer itself, then those above, in any
	 * order here, root included. */
	put_cert(&t->set.chain, &t->issuing);
	put_cert(&t->set.chain, &t->root);
	put_cert(&t->set.chain, &t->middle);
	put_cert(&t->set.roots, &t->root);
}

static void
tree_recipes(struct recipe out[3])
{
	out[0] = ca_recipe(BUILD_ROOT);
	out[0].patch = &pathlen_3;
	out[1] = ca_recipe(BUILD_ISSUING);
	out[1].patch = &pathlen_1;
	out[1].to_ms = 500 * day;
	out[2] = ca_recipe(BUILD_ISSUING);
	out[2].to_ms = 700 * day;
}

static void
tree_fini(struct tree *t)
{
	set_fini(&t->set);
	free_ca(&t->root);
	free_ca(&t->middle);
	free_ca(&t->issuing);
}

static void
a_good_set_is_taken_with_its_chain_in_order(void **state)
{
	struct fixture *f = *state;
	struct slice chain[ISSUER_CHAIN_MAX];
	struct recipe r[3];
	struct tree t;

	tree_recipes(r);
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	assert_int_equal(open_set(f, &t.set), ERR_OK);
	assert_int_equal(issuer_get_chain(f->i, chain), 2);
	assert_true(slice_is_eq(chain[0], buf_get(&t.issuing.der)));
	assert_true(slice_is_eq(chain[1], buf_get(&t.middle.der)));
	assert_int_equal(pki_bundle_count(issuer_get_roots(f->i)), 1);
	assert_int_equal(issuer_get_not_after(f->i).ms, at(500 * day).ms);
	assert_int_equal(issuer_get_flags(f->i), 0);
	assert_string_equal(issuer_get_warning(f->i), "");
	tree_fini(&t);
}

static void
the_layout_of_a_tls_secret_is_taken_too(void **state)
{
	struct fixture *f = *state;
	struct slice chain[ISSUER_CHAIN_MAX];
	struct recipe r[3];
	struct tree t;

	tree_recipes(r);
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	put_cert(&t.set.cert, &t.middle);
	{
		const struct issuer_file files[] = {
			{"tls.crt", buf_get(&t.set.cert)},
			{"tls.key", secret_get(t.set.key)},
			{"ca.crt", buf_get(&t.set.roots)},
		};

		assert_int_equal(issuer_open_files(files, 3,
						   SLICE_LIT("cluster.local"),
						   0, t0, &f->why, &f->i),
				 ERR_OK);
		assert_int_equal(issuer_get_chain(f->i, chain), 2);
		issuer_free(f->i);
		assert_int_equal(issuer_open_files(files, 2,
						   SLICE_LIT("cluster.local"),
						   0, t0, &f->why, &f->i),
				 ERR_NOT_FOUND);
		assert_says(f, "incomplete signing CA bundle: ca.crt is "
			       "missing");
		assert_null(f->i);
	}
	tree_fini(&t);
}

static void
a_root_that_signs_itself_needs_no_chain(void **state)
{
	struct fixture *f = *state;
	struct recipe r = ca_recipe(BUILD_ROOT);
	struct slice chain[ISSUER_CHAIN_MAX];
	struct ca root;
	struct set s;

	make_ca(&root, &r, NULL);
	set_init(&s, &root);
	put_cert(&s.roots, &root);
	assert_int_equal(open_set(f, &s), ERR_OK);
	assert_int_equal(issuer_get_chain(f->i, chain), 0);
	set_fini(&s);
	free_ca(&root);
}

static void
a_ca_without_crl_sign_is_taken_with_a_warning(void **state)
{
	struct fixture *f = *state;
	struct recipe r = ca_recipe(BUILD_ROOT);
	struct ca root;
	struct set s;

	r.patch = &no_crl_sign;
	make_ca(&root, &r, NULL);
	set_init(&s, &root);
	put_cert(&s.roots, &root);
	assert_int_equal(open_set(f, &s), ERR_OK);
	assert_int_equal(issuer_get_flags(f->i), ISSUER_NO_CRL_SIGN);
	assert_non_null(strstr(issuer_get_warning(f->i),
			       "ca-cert.pem may not sign CRLs"));
	set_fini(&s);
	free_ca(&root);
}

static void
a_broken_rule_refuses_a_set_or_warns_as_configured(void **state)
{
	struct fixture *f = *state;
	struct recipe r[3];
	struct tree t;

	tree_recipes(r);
	r[2].patch = &no_aki;
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	assert_int_equal(open_set(f, &t.set), ERR_REFUSED);
	assert_says(f, "rule key-ids: no authority key identifier");
	assert_null(f->i);
	f->warn_rules = 1U << CHAIN_RULE_SERIAL; /* another one */
	assert_int_equal(open_set(f, &t.set), ERR_REFUSED);
	f->warn_rules = 1U << CHAIN_RULE_KEY_IDS;
	assert_int_equal(open_set(f, &t.set), ERR_OK);
	assert_int_equal(issuer_get_warned_rules(f->i), f->warn_rules);
	assert_non_null(strstr(issuer_get_warning(f->i), "rule key-ids"));
	tree_fini(&t);
}

/* Each bad set is the good one but for one thing. */
static void
a_set_that_is_not_complete_names_what_is_missing(void **state)
{
	static const char *const names[] = {"ca-cert.pem", "ca-key.pem",
					    "root-cert.pem"};
	struct fixture *f = *state;
	struct recipe r[3];
	struct tree t;

	tree_recipes(r);
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	for (size_t k = 0; k < COUNT_OF(names); k++) {
		struct issuer_file files[] = {
			{"ca-cert.pem", buf_get(&t.set.cert)},
			{"ca-key.pem", secret_get(t.set.key)},
			{"root-cert.pem", buf_get(&t.set.roots)},
			{"cert-chain.pem", buf_get(&t.set.chain)},
		};
		char want[96];

		files[k].bytes = SLICE_NONE;
		assert_int_equal(issuer_open_files(files, 4,
						   SLICE_LIT("cluster.local"),
						   0, t0, &f->why, &f->i),
				 ERR_NOT_FOUND);
		(void)snprintf(want, sizeof(want),
			       "incomplete signing CA bundle: %s is missing",
			       names[k]);
		assert_says(f, want);
	}
	tree_fini(&t);
}

static void
a_key_of_another_certificate_is_refused(void **state)
{
	struct fixture *f = *state;
	struct recipe r[3];
	struct tree t;

	tree_recipes(r);
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	secret_free(t.set.key);
	assert_int_equal(privkey_export(custody_get_privkey(t.middle.key),
					PRIVKEY_PKCS8_PEM, &t.set.key),
			 ERR_OK);
	assert_int_equal(open_set(f, &t.set), ERR_MISMATCH);
	assert_says(f, "ca-key.pem is not the key of ca-cert.pem");
	tree_fini(&t);
}

static void
a_chain_with_a_hole_or_another_root_is_refused(void **state)
{
	struct fixture *f = *state;
	struct recipe r[3];
	struct tree t, other;

	tree_recipes(r);
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	tree_init_with(&other, &r[0], &r[1], &r[2]);
	buf_reset(&t.set.chain);
	assert_int_equal(open_set(f, &t.set), ERR_UNTRUSTED);
	assert_says(f, "the chain of ca-cert.pem does not reach a root");
	assert_says(f, "meshcert issuing");
	put_cert(&t.set.chain, &t.middle);
	assert_int_equal(open_set(f, &t.set), ERR_OK);
	buf_reset(&t.set.roots);
	put_cert(&t.set.roots, &other.root);
	assert_int_not_equal(open_set(f, &t.set), ERR_OK);
	assert_says(f, "does not reach a root");
	/* More roots do no harm. */
	put_cert(&t.set.roots, &t.root);
	assert_int_equal(open_set(f, &t.set), ERR_OK);
	assert_int_equal(pki_bundle_count(issuer_get_roots(f->i)), 2);
	tree_fini(&t);
	tree_fini(&other);
}

static void
what_may_not_sign_certificates_is_refused(void **state)
{
	struct fixture *f = *state;
	struct recipe r[3];
	struct tree t;

	tree_recipes(r);
	r[2].patch = &no_cert_sign;
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	assert_int_equal(open_set(f, &t.set), ERR_REFUSED);
	assert_says(f, "keyUsage has no keyCertSign");
	tree_fini(&t);
	tree_recipes(r);
	r[2].profile = BUILD_WORKLOAD;
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	assert_int_equal(open_set(f, &t.set), ERR_REFUSED);
	assert_says(f, "ca-cert.pem is no CA certificate");
	tree_fini(&t);
}

static void
dates_are_checked_up_to_the_root(void **state)
{
	struct fixture *f = *state;

	for (size_t k = 0; k < 3; k++) {
		struct recipe r[3];
		struct tree t;

		tree_recipes(r);
		r[k].to_ms = 0;
		tree_init_with(&t, &r[0], &r[1], &r[2]);
		assert_int_equal(open_set(f, &t.set), ERR_EXPIRED);
		if (k == 2)
			assert_says(f, "ca-cert.pem ended at 2026-11-18");
		assert_true(f->why.text[0] != '\0');
		tree_fini(&t);
	}
	for (size_t k = 0; k < 3; k++) {
		struct recipe r[3];
		struct tree t;

		tree_recipes(r);
		r[k].from_ms = 60000;
		tree_init_with(&t, &r[0], &r[1], &r[2]);
		assert_int_equal(open_set(f, &t.set), ERR_NOT_YET_VALID);
		if (k == 2)
			assert_says(f, "check this machine's clock");
		tree_fini(&t);
	}
}

static void
a_path_length_further_up_that_is_too_short_is_refused(void **state)
{
	struct fixture *f = *state;
	struct recipe r[3];
	struct tree t;

	tree_recipes(r);
	r[0].patch = NULL; /* 1: the middle one may not have CAs below */
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	assert_int_not_equal(open_set(f, &t.set), ERR_OK);
	assert_says(f, "trial certificate");
	tree_fini(&t);
	tree_recipes(r);
	r[1].patch = NULL;
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	assert_int_not_equal(open_set(f, &t.set), ERR_OK);
	assert_says(f, "trial certificate");
	tree_fini(&t);
}

static void
a_constraint_to_another_trust_domain_is_refused(void **state)
{
	struct fixture *f = *state;
	struct recipe r[3];
	struct tree t;

	tree_recipes(r);
	r[1].constraint = SLICE_LIT("cluster.local");
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	assert_int_equal(open_set(f, &t.set), ERR_OK);
	tree_fini(&t);
	r[1].constraint = SLICE_LIT("example.org");
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	assert_int_not_equal(open_set(f, &t.set), ERR_OK);
	assert_says(f, "trial certificate");
	tree_fini(&t);
}

static void
files_that_are_no_certificates_or_keys_are_named(void **state)
{
	struct fixture *f = *state;
	struct recipe r[3];
	struct tree t;

	tree_recipes(r);
	tree_init_with(&t, &r[0], &r[1], &r[2]);
	buf_reset(&t.set.chain);
	assert_int_equal(buf_put_str(&t.set.chain, "nothing"), ERR_OK);
	assert_int_not_equal(open_set(f, &t.set), ERR_OK);
	assert_says(f, "cert-chain.pem");
	buf_reset(&t.set.chain);
	put_cert(&t.set.chain, &t.middle);
	secret_free(t.set.key);
	assert_int_equal(secret_dup(buf_get(&t.set.roots), &t.set.key), ERR_OK);
	assert_int_not_equal(open_set(f, &t.set), ERR_OK);
	assert_says(f, "ca-key.pem");
	tree_fini(&t);
}

/* -- other keys ---------------------------------------------------------- */

static void
a_key_of_the_signer_is_made_once(void **state)
{
	struct fixture *f = *state;
	struct custody_key *a, *b;
	char *path = temp_dir_path(f->dir, "audit-key.pem");

	assert_int_equal(issuer_open_key(path, KEY_EC_P256, 0, &f->why, &a),
			 ERR_OK);
	assert_private(f, "audit-key.pem");
	assert_int_equal(issuer_open_key(path, KEY_EC_P256, 0, &f->why, &b),
			 ERR_OK);
	assert_true(slice_is_eq(custody_get_spki(a), custody_get_spki(b)));
	custody_unref(a);
	custody_unref(b);
	mem_free(path);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_first_start_makes_a_root_and_the_next_one_loads_it),
		T(each_kind_of_key_makes_a_root),
		T(two_tiers_keep_the_root_above_an_issuing_ca),
		T(an_issuing_ca_near_its_end_is_renewed_with_its_key),
		T(a_key_without_certificate_is_used_but_not_the_reverse),
		T(a_key_that_others_can_read_is_refused),
		T(a_root_that_ended_or_has_no_room_below_is_refused),
		T(a_damaged_file_is_named_and_not_replaced),
		T(another_trust_domain_than_the_constraint_is_refused),
		T(a_good_set_is_taken_with_its_chain_in_order),
		T(the_layout_of_a_tls_secret_is_taken_too),
		T(a_root_that_signs_itself_needs_no_chain),
		T(a_ca_without_crl_sign_is_taken_with_a_warning),
		T(a_broken_rule_refuses_a_set_or_warns_as_configured),
		T(a_set_that_is_not_complete_names_what_is_missing),
		T(a_key_of_another_certificate_is_refused),
		T(a_chain_with_a_hole_or_another_root_is_refused),
		T(what_may_not_sign_certificates_is_refused),
		T(dates_are_checked_up_to_the_root),
		T(a_path_length_further_up_that_is_too_short_is_refused),
		T(a_constraint_to_another_trust_domain_is_refused),
		T(files_that_are_no_certificates_or_keys_are_named),
		T(a_key_of_the_signer_is_made_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
