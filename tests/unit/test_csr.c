/* test_csr.c - lib/pki/csr.h: requests good and bad, one difference at a time,
 * and what pilot-agent and our own clients send. */
#include "unit.h"

#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/pem.h"
#include "custody/custody.h"
#include "pki/csr.h"

#define LIT(text)                                         \
	{                                                 \
		(const uint8_t *)(text), sizeof(text) - 1 \
	}

/* Extensions whole. */
#define SAN_TD                                 \
	"\x30\x18\x06\x03\x55\x1d\x11\x01\x01" \
	"\xff\x04\x0e\x30\x0c\x86\x0aspiffe://t"
#define BASIC(value) \
	"\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x01\x01" value
#define BASIC_NO_CA "\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00"
#define USAGE(bits) "\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02" bits
#define EKU_ANY \
	"\x30\x0f\x06\x03\x55\x1d\x25\x04\x08\x30\x06\x06\x04\x55\x1d\x25\x00"
#define EKU(n)                                             \
	"\x30\x13\x06\x03\x55\x1d\x25\x04\x0c\x30\x0a\x06" \
	"\x08\x2b\x06\x01\x05\x05\x07\x03" n
#define OID_EXT_REQUEST "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"

/* Zero is a good request without attributes. */
struct spec {
	struct slice version;    /* whole element instead of 0 */
	struct slice subject;    /* whole element instead of the empty name */
	struct slice spki;       /* instead of the key's */
	struct slice exts;       /* whole extensions: makes the attribute */
	struct slice attributes; /* contents of [0], instead */
	bool no_attributes;      /* [0] is missing */
	struct slice info_tail;  /* behind the attributes */
	struct slice alg;        /* instead of the key's */
	struct slice tail;       /* behind the request */
	struct slice outer_tail; /* behind the signature */
	bool with_wrong_key;
};

struct world {
	struct privkey *key, *other;
	struct derw *w;
	struct buf der, tbs, sig, spki;
	struct why why;
};

static int
setup(void **state)
{
	struct world *t = MEM_NEW(struct world);

	must(privkey_new(KEY_EC_P256, 0, &t->key) == ERR_OK);
	must(privkey_new(KEY_EC_P256, 0, &t->other) == ERR_OK);
	t->w = derw_new(4 * CSR_MAX);
	buf_init(&t->der, 4 * CSR_MAX);
	buf_init(&t->tbs, 4 * CSR_MAX);
	buf_init(&t->sig, CSR_MAX);
	buf_init(&t->spki, CSR_MAX);
	must(privkey_get_spki(t->key, &t->spki) == ERR_OK);
	*state = t;
	return 0;
}

static int
teardown(void **state)
{
	struct world *t = *state;

	privkey_free(t->key);
	privkey_free(t->other);
	derw_free(t->w);
	buf_fini(&t->der);
	buf_fini(&t->tbs);
	buf_fini(&t->sig);
	buf_fini(&t->spki);
	mem_free(t);
	return 0;
}

static void
put_attributes(struct derw *w, const struct spec *s)
{
	derw_open(w, DER_CONTEXT_CONS(0));
	derw_raw(w, s->attributes);
	if (s->exts.p != NULL) {
		derw_open(w, DER_SEQUENCE);
		derw_raw(w, SLICE_LIT(OID_EXT_REQUEST));
		derw_open(w, DER_SET);
		derw_element(w, DER_SEQUENCE, s->exts);
		derw_close(w);
		derw_close(w);
	}
	derw_close(w);
}

static void
put_info(struct world *t, const struct spec *s)
{
	struct slice der;

	derw_reset(t->w);
	derw_open(t->w, DER_SEQUENCE);
	derw_raw(t->w,
		 s->version.p != NULL ? s->version : SLICE_LIT("\x02\x01\x00"));
	derw_raw(t->w,
		 s->subject.p != NULL ? s->subject : SLICE_LIT("\x30\x00"));
	derw_raw(t->w, s->spki.p != NULL ? s->spki : buf_get(&t->spki));
	if (!s->no_attributes)
		put_attributes(t->w, s);
	derw_raw(t->w, s->info_tail);
	derw_close(t->w);
	must(derw_finish(t->w, &der) == ERR_OK);
	buf_reset(&t->tbs);
	must(buf_put(&t->tbs, der) == ERR_OK);
}

static struct slice
make(struct world *t, const struct spec *s)
{
	struct slice der;

	put_info(t, s);
	buf_reset(&t->sig);
	must(privkey_sign(s->with_wrong_key ? t->other : t->key,
			  SIG_ECDSA_SHA256, buf_get(&t->tbs),
			  &t->sig) == ERR_OK);
	derw_reset(t->w);
	derw_open(t->w, DER_SEQUENCE);
	derw_raw(t->w, buf_get(&t->tbs));
	derw_raw(t->w,
		 s->alg.p != NULL ? s->alg : sig_alg_get_der(SIG_ECDSA_SHA256));
	derw_bits(t->w, buf_get(&t->sig), 0);
	derw_raw(t->w, s->outer_tail);
	derw_close(t->w);
	derw_raw(t->w, s->tail);
	must(derw_finish(t->w, &der) == ERR_OK);
	buf_reset(&t->der);
	must(buf_put(&t->der, der) == ERR_OK);
	return buf_get(&t->der);
}

static enum err
parse(struct world *t, const struct spec *s, struct csr *csr)
{
	t->why = (struct why){""};
	return csr_parse(make(t, s), &t->why, csr);
}

static enum err
verify(struct world *t, const struct csr *csr)
{
	struct pubkey *key = NULL;
	enum err e;

	assert_int_equal(pubkey_parse(csr->spki, NULL, &key), ERR_OK);
	e = csr_verify(csr, key, &t->why);
	pubkey_free(key);
	return e;
}

static void
a_request_without_names_is_good(void **state)
{
	struct world *t = *state;
	struct spec s = {0};
	struct csr csr;

	assert_int_equal(parse(t, &s, &csr), ERR_OK);
	assert_int_equal(csr.san.cnt, 0);
	assert_true(csr.subject_is_empty);
	assert_int_equal(csr.alg, SIG_ECDSA_SHA256);
	assert_true(slice_is_eq(csr.spki, buf_get(&t->spki)));
	assert_int_equal(verify(t, &csr), ERR_OK);
}

static void
pilot_agents_request_is_good(void **state)
{
	struct world *t = *state;
	struct spec s = {
		/* O="" */
		.subject = LIT("\x30\x0b\x31\x09\x30\x07\x06\x03\x55\x04\x0a"
			       "\x13\x00"),
		.exts = LIT(SAN_TD),
	};
	struct csr csr;

	assert_int_equal(parse(t, &s, &csr), ERR_OK);
	assert_true(csr.subject_is_empty);
	assert_int_equal(csr.san.cnt, 1);
	assert_true(csr.san.critical);
	assert_true(slice_is_str(csr.san.uri, "spiffe://t"));
	assert_int_equal(verify(t, &csr), ERR_OK);
	s.subject = (struct slice)LIT("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55"
				      "\x04\x0a\x13\x01x");
	assert_int_equal(parse(t, &s, &csr), ERR_OK);
	assert_false(csr.subject_is_empty);
}

static void
harmless_extensions_are_passed_over(void **state)
{
	static const struct slice exts[] = {
		LIT(SAN_TD BASIC_NO_CA),
		LIT(USAGE("\x05\xa0") SAN_TD),
		LIT(EKU("\x01")),
		LIT("\x30\x09\x06\x03\x2a\x03\x04\x04\x02\x05\x00"),
	};
	struct world *t = *state;
	struct csr csr;

	for (size_t i = 0; i < COUNT_OF(exts); i++) {
		struct spec s = {.exts = exts[i]};

		if (parse(t, &s, &csr) != ERR_OK)
			fail_msg("%zu: %s", i, t->why.text);
	}
}

struct row {
	struct spec spec;
	enum err want;
	const char *says;
};

static const struct row rows[] = {
	{{.version = LIT("\x02\x01\x01")}, ERR_SYNTAX, "version is not 0"},
	{{.version = LIT("\x02\x02\x00\x00")}, ERR_SYNTAX, "version"},
	{{.version = LIT("")}, ERR_SYNTAX, "version"},
	{{.subject = LIT("\x31\x00")}, ERR_SYNTAX, "subject"},
	{{.subject = LIT("\x30\x02\x31\x00")}, ERR_SYNTAX, "subject"},
	{{.spki = LIT("\x04\x00")}, ERR_SYNTAX, "public key"},
	{{.no_attributes = true}, ERR_SYNTAX, "attributes are missing"},
	{{.info_tail = LIT("\x05\x00")}, ERR_SYNTAX, "follow the attributes"},
	{{.outer_tail = LIT("\x05\x00")}, ERR_SYNTAX, "three parts"},
	{{.tail = LIT("\x00")}, ERR_SYNTAX, "bytes follow the request"},
	{{.attributes = LIT("\x30\x00")}, ERR_SYNTAX, "attribute is malformed"},
	{{.attributes = LIT("\x30\x06\x06\x02\x2a\x03\x31\x00\x30\x06\x06\x02"
			    "\x2a\x03\x31\x00")},
	 ERR_SYNTAX,
	 "duplicate attribute"},
	{{.attributes = LIT("\x30\x0d" OID_EXT_REQUEST "\x31\x00")},
	 ERR_SYNTAX,
	 "exactly one list"},
	{{.exts = {(const uint8_t *)"", 0}}, ERR_SYNTAX, "empty list"},
	{{.exts = LIT(SAN_TD SAN_TD)},
	 ERR_SYNTAX,
	 "duplicate extension 2.5.29.17"},
	{{.exts = LIT("\x30\x09\x06\x03\x55\x1d\x11\x04\x02\x30\x00")},
	 ERR_SYNTAX,
	 "without a name"},
	{{.exts = LIT("\x30\x0e\x06\x03\x55\x1d\x11\x04\x07\x30\x05\x86\x03"
		      "a\x00"
		      "b")},
	 ERR_SYNTAX,
	 "the byte 0x00"},
	/* An explicit default is no DER. */
	{{.exts = LIT("\x30\x0c\x06\x03\x2a\x03\x04\x01\x01\x00\x04\x02\x05"
		      "\x00")},
	 ERR_SYNTAX,
	 "extension 1 is malformed"},
	{{.exts = LIT(BASIC("\x00"))}, ERR_SYNTAX, "basicConstraints"},
	{{.exts = LIT(BASIC("\xff"))}, ERR_REFUSED, "CA:TRUE"},
	{{.exts = LIT(USAGE("\x02\x04"))}, ERR_REFUSED, "keyCertSign"},
	{{.exts = LIT(USAGE("\x01\x02"))}, ERR_REFUSED, "cRLSign"},
	{{.exts = LIT(USAGE("\x00\x00"))}, ERR_SYNTAX, "keyUsage"},
	{{.exts = LIT(EKU_ANY)}, ERR_REFUSED, "anyExtendedKeyUsage"},
	{{.exts = LIT(EKU("\x09"))}, ERR_REFUSED, "OCSPSigning"},
	/* ecdsa-with-SHA1, and one nobody knows */
	{{.alg = LIT("\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01")},
	 ERR_UNSUPPORTED,
	 "algorithm 1.2.840.10045.4.1 is not supported"},
	{{.alg = LIT("\x30\x05\x06\x03\x2a\x03\x04")},
	 ERR_UNSUPPORTED,
	 "1.2.3.4"},
};

static void
bad_requests_are_refused_with_their_fault(void **state)
{
	struct world *t = *state;
	struct csr csr;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		enum err e = parse(t, &rows[i].spec, &csr);

		if (e != rows[i].want || csr.info.p != NULL ||
		    strncmp(t->why.text, "CSR: ", 5) != 0 ||
		    strstr(t->why.text, rows[i].says) == NULL)
			fail_msg("%zu (%s): %s \"%s\"", i, rows[i].says,
				 err_name(e), t->why.text);
	}
}

static void
bytes_that_are_no_request_are_refused(void **state)
{
	static const struct slice bad[] = {
		LIT(""),
		LIT("\x30\x80\x00\x00"),                 /* indefinite */
		LIT("\x30\x81\x02\x30\x00"),             /* not shortest */
		LIT("\x30\x84\x7f\xff\xff\xff\x30\x00"), /* 2 GB */
		LIT("\x30\x00"),
		LIT("\x30\x02\x30\x00"),
	};
	struct csr csr;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(csr_parse(bad[i], NULL, &csr), ERR_SYNTAX);
}

static void
too_large_requests_and_lists_are_refused(void **state)
{
	static const uint8_t attr[] = {0x30, 6, 6, 2, 0x2a, 0, 0x31, 0};
	struct world *t = *state;
	uint8_t many[17 * sizeof(attr)];
	uint8_t large[CSR_MAX];
	struct spec s = {.attributes = SLICE_ARRAY(many)};
	struct csr csr;

	for (size_t i = 0; i < 17; i++) {
		memcpy(many + i * sizeof(attr), attr, sizeof(attr));
		many[i * sizeof(attr) + 5] = (uint8_t)i;
	}
	assert_int_equal(parse(t, &s, &csr), ERR_LIMIT);
	s.attributes.len -= sizeof(attr);
	assert_int_equal(parse(t, &s, &csr), ERR_OK);
	memset(large, 0, sizeof(large));
	s = (struct spec){.tail = SLICE_ARRAY(large)};
	assert_int_equal(parse(t, &s, &csr), ERR_LIMIT);
	assert_non_null(strstr(t->why.text, "at most 16384"));
}

static void
a_request_signed_with_another_key_proves_nothing(void **state)
{
	struct world *t = *state;
	struct spec s = {.with_wrong_key = true};
	struct csr csr;

	assert_int_equal(parse(t, &s, &csr), ERR_OK);
	assert_int_equal(verify(t, &csr), ERR_SIGNATURE);
	assert_non_null(strstr(t->why.text, "no proof"));
	/* An algorithm that is not for the key. */
	s = (struct spec){.alg = sig_alg_get_der(SIG_ED25519)};
	assert_int_equal(parse(t, &s, &csr), ERR_OK);
	assert_int_equal(verify(t, &csr), ERR_MISMATCH);
	assert_non_null(strstr(t->why.text, "Ed25519 by a key P-256"));
}

static void
a_changed_request_does_not_verify(void **state)
{
	struct world *t = *state;
	struct spec s = {.exts = LIT(SAN_TD)};
	struct csr csr;
	struct slice der;
	uint8_t *at;

	der = make(t, &s);
	at = memmem(t->der.p, der.len, "spiffe://t", 10);
	assert_non_null(at);
	at[9] = 'u';
	assert_int_equal(csr_parse(der, NULL, &csr), ERR_OK);
	assert_int_equal(verify(t, &csr), ERR_SIGNATURE);
	at[9] = 't';
	assert_int_equal(csr_parse(der, NULL, &csr), ERR_OK);
	assert_int_equal(verify(t, &csr), ERR_OK);
}

/* -- PEM */

#define BLOCK(label, text) \
	"-----BEGIN " label "-----\n" text "\n-----END " label "-----\n"

static void
exactly_one_pem_block_is_taken(void **state)
{
	static const struct {
		const char *pem;
		enum err want;
		const char *says;
	} texts[] = {
		{BLOCK("CERTIFICATE REQUEST", "AAAA"), ERR_OK, NULL},
		{BLOCK("NEW CERTIFICATE REQUEST", "AAAA"), ERR_OK, NULL},
		{"\r\n  " BLOCK("CERTIFICATE REQUEST", "AAAA") "\n \n", ERR_OK,
		 NULL},
		{"", ERR_SYNTAX, "not PEM"},
		{"hello", ERR_SYNTAX, "not PEM"},
		{"x\n" BLOCK("CERTIFICATE REQUEST", "AAAA"), ERR_SYNTAX,
		 "not PEM"},
		{BLOCK("CERTIFICATE REQUEST", "AAAA") "x", ERR_SYNTAX,
		 "more follows"},
		{BLOCK("CERTIFICATE REQUEST", "AAAA")
			 BLOCK("CERTIFICATE REQUEST", "AAAA"),
		 ERR_SYNTAX, "more follows"},
		{BLOCK("CERTIFICATE", "AAAA"), ERR_SYNTAX, "\"CERTIFICATE\"; "},
		{BLOCK("CERTIFICATE REQUEST", "A*AA"), ERR_SYNTAX, "CSR: "},
		{"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", ERR_SYNTAX,
		 "CSR: "},
	};
	struct world *t = *state;

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		enum err e;

		t->why = (struct why){""};
		e = csr_read_pem(slice_of_str(texts[i].pem), &t->der, &t->why);
		if (e != texts[i].want ||
		    (e != ERR_OK && strstr(t->why.text, texts[i].says) == NULL))
			fail_msg("%zu: %s \"%s\"", i, err_name(e), t->why.text);
		assert_int_equal(buf_len(&t->der), e == ERR_OK ? 3 : 0);
	}
}

static void
a_pem_text_of_megabytes_is_refused_at_once(void **state)
{
	struct world *t = *state;
	uint8_t *large = mem_new(1 << 20);

	memset(large, ' ', 1 << 20);
	assert_int_equal(
		csr_read_pem(slice_of(large, 1 << 20), &t->der, &t->why),
		ERR_LIMIT);
	mem_free(large);
}

/* -- building */

static void
what_we_build_we_read(void **state)
{
	static const enum key_kind kinds[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA,
					      KEY_ED25519};
	static const char *const dns[] = {"a.b", "::1", NULL};
	struct world *t = *state;

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct custody_key *key = NULL;
		struct privkey *priv = NULL;
		struct csr csr;
		struct buf pem;

		buf_init(&pem, CSR_MAX);
		assert_int_equal(privkey_new(kinds[i], 2048, &priv), ERR_OK);
		assert_int_equal(custody_memory_new(priv, &key), ERR_OK);
		assert_int_equal(csr_build_pem(key, SLICE_LIT("spiffe://t/x"),
					       dns, &pem),
				 ERR_OK);
		assert_int_equal(csr_read_pem(buf_get(&pem), &t->der, NULL),
				 ERR_OK);
		assert_int_equal(csr_parse(buf_get(&t->der), NULL, &csr),
				 ERR_OK);
		assert_true(csr.san.critical && csr.subject_is_empty);
		assert_int_equal(csr.san.cnt, 3);
		assert_true(san_has_host(&csr.san, "a.b"));
		assert_true(san_has_host(&csr.san, "::1"));
		assert_true(slice_is_str(csr.san.uri, "spiffe://t/x"));
		assert_true(slice_is_eq(csr.spki, custody_get_spki(key)));
		assert_int_equal(verify(t, &csr), ERR_OK);
		buf_reset(&pem);
		assert_int_equal(csr_build_pem(key, SLICE_NONE, NULL, &pem),
				 ERR_OK);
		assert_int_equal(csr_read_pem(buf_get(&pem), &t->der, NULL),
				 ERR_OK);
		assert_int_equal(csr_parse(buf_get(&t->der), NULL, &csr),
				 ERR_OK);
		assert_int_equal(csr.san.cnt, 0);
		custody_unref(key);
		buf_fini(&pem);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_without_names_is_good),
		TEST(pilot_agents_request_is_good),
		TEST(harmless_extensions_are_passed_over),
		TEST(bad_requests_are_refused_with_their_fault),
		TEST(bytes_that_are_no_request_are_refused),
		TEST(too_large_requests_and_lists_are_refused),
		TEST(a_request_signed_with_another_key_proves_nothing),
		TEST(a_changed_request_does_not_verify),
		TEST(exactly_one_pem_block_is_taken),
		TEST(a_pem_text_of_megabytes_is_refused_at_once),
		TEST(what_we_build_we_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
