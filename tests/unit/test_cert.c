/* test_cert.c - lib/pki/cert.h: strict reading, the SVID rules on both sides,
 * text for people, lists in PEM. */
#include "unit.h"

#include "base/mem.h"
#include "cert_maker.h"
#include "crypto/pem.h"
#include "pki/spiffe_id.h"

#define LIT(text)                                         \
	{                                                 \
		(const uint8_t *)(text), sizeof(text) - 1 \
	}
#define ID "spiffe://td/ns/a/sa/b"

struct world {
	struct privkey *key;
	struct made spec;
	struct buf der;
	struct cert cert;
	struct why why;
};

static int
setup(void **state)
{
	struct world *w = MEM_NEW(struct world);

	must(privkey_new(KEY_EC_P256, 0, &w->key) == ERR_OK);
	w->spec = (struct made){.issuer = "an issuer",
				.key = w->key,
				.signer = w->key,
				.basic = true,
				.usage = KU_LEAF,
				.eku = "sc",
				.uri = ID,
				.ski = true,
				.aki = true};
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	buf_fini(&w->der);
	privkey_free(w->key);
	mem_free(w);
	return 0;
}

static enum err
parse(struct world *w)
{
	buf_fini(&w->der);
	made_build(&w->spec, &w->der);
	w->why = (struct why){""};
	return cert_parse(buf_get(&w->der), &w->why, &w->cert);
}

static void
every_field_is_read(void **state)
{
	struct world *w = *state;
	const struct cert *c = &w->cert;

	w->spec.subject = "me";
	w->spec.dns = "a.b";
	assert_int_equal(parse(w), ERR_OK);
	assert_true(slice_is_eq(c->der, buf_get(&w->der)));
	assert_true(slice_is_str(c->serial, "*")); /* 0x2a */
	assert_int_equal(wall_sec(c->not_before), MADE_NOW);
	assert_int_equal(wall_sec(c->not_after), MADE_NOW + MADE_DAY);
	assert_int_equal(c->alg, SIG_ECDSA_SHA256);
	assert_true(c->has_basic && c->basic_critical && !c->is_ca);
	assert_true(c->has_key_usage && c->key_usage_critical);
	assert_int_equal(c->key_usage, CERT_KU_DIGITAL_SIGNATURE);
	assert_true(c->has_ext_key_usage && c->eku_server && c->eku_client);
	assert_false(c->eku_any);
	assert_int_equal(c->san.cnt, 2);
	assert_true(slice_is_str(c->san.uri, ID));
	assert_int_equal(c->ski.len, 20);
	assert_true(slice_is_eq(c->ski, c->aki));
	assert_false(c->has_unknown_critical || c->has_name_constraints);
}

static void
a_ca_has_its_path_length(void **state)
{
	struct world *w = *state;

	w->spec.is_ca = true;
	w->spec.usage = KU_CA;
	w->spec.pathlen = 4;
	assert_int_equal(parse(w), ERR_OK);
	assert_true(w->cert.is_ca && w->cert.has_pathlen);
	assert_int_equal(w->cert.pathlen, 3);
	assert_int_equal(w->cert.key_usage, KU_CA);
	w->spec.is_ca = false; /* RFC 5280 4.2.1.9 */
	assert_int_equal(parse(w), ERR_SYNTAX);
	assert_non_null(strstr(w->why.text, "2.5.29.19 is malformed"));
}

static void
unknown_critical_extensions_are_noted(void **state)
{
	struct world *w = *state;
	char oid[DER_OID_TEXT_MAX];

	w->spec.extra = SLICE_LIT("\x30\x09\x06\x03\x2a\x03\x04\x04\x02\x05"
				  "\x00");
	assert_int_equal(parse(w), ERR_OK);
	assert_false(w->cert.has_unknown_critical);
	w->spec.extra = SLICE_LIT("\x30\x0c\x06\x03\x2a\x03\x04\x01\x01\xff"
				  "\x04\x02\x05\x00");
	assert_int_equal(parse(w), ERR_OK);
	assert_true(w->cert.has_unknown_critical);
	der_oid_format(w->cert.unknown_critical_oid, oid);
	assert_string_equal(oid, "1.2.3.4");
}

static void
version_1_is_read_without_extensions_only(void **state)
{
	struct world *w = *state;

	w->spec.v1 = true;
	assert_int_equal(parse(w), ERR_SYNTAX);
	assert_non_null(strstr(w->why.text, "version 1 with extensions"));
	w->spec = (struct made){.subject = "old",
				.issuer = "old",
				.key = w->key,
				.signer = w->key,
				.v1 = true};
	assert_int_equal(parse(w), ERR_OK);
	assert_true(w->cert.is_v1);
}

static void
malformed_extensions_are_refused_by_name(void **state)
{
	static const struct {
		struct slice ext;
		const char *says;
	} rows[] = {
		{LIT("\x30\x09\x06\x03\x55\x1d\x0e\x04\x02\x04\x00"),
		 "2.5.29.14 is malformed"}, /* SKI, empty */
		{LIT("\x30\x09\x06\x03\x55\x1d\x1e\x04\x02\x31\x00"),
		 "2.5.29.30 is malformed"}, /* name constraints, a SET */
		{LIT("\x30\x09\x06\x03\x55\x1d\x25\x04\x02\x30\x00"),
		 "2.5.29.37 is malformed"}, /* EKU, empty */
		{LIT("\x30\x0b\x06\x03\x55\x1d\x23\x04\x04\x30\x02\x85\x00"),
		 "2.5.29.35 is malformed"}, /* AKI, [5] */
		{LIT("\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x07\x81"),
		 "2.5.29.15 is malformed"}, /* KU, an unused bit set */
		{LIT("\x30\x09\x06\x03\x55\x1d\x11\x04\x02\x30\x00"),
		 "certificate: SAN: "},
		{LIT("\x30\x02\x05\x00"), "extension 1 is malformed"},
		{LIT("\x30\x09\x06\x03\x2a\x03\x04\x04\x02\x05\x00"
		     "\x30\x09\x06\x03\x2a\x03\x04\x04\x02\x05\x00"),
		 "duplicate extension 1.2.3.4"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		w->spec = (struct made){
			.key = w->key, .signer = w->key, .extra = rows[i].ext};
		if (parse(w) != ERR_SYNTAX ||
		    strstr(w->why.text, rows[i].says) == NULL)
			fail_msg("%zu: \"%s\"", i, w->why.text);
	}
}

static void
serials_are_shortest_der(void **state)
{
	struct world *w = *state;

	w->spec.serial = SLICE_LIT("\x00\x80");
	assert_int_equal(parse(w), ERR_OK);
	w->spec.serial = slice_of("\x00\x7f", 2);
	assert_int_equal(parse(w), ERR_SYNTAX);
	assert_non_null(strstr(w->why.text, "serial number"));
	w->spec.serial = SLICE_LIT("\xff\x80");
	assert_int_equal(parse(w), ERR_SYNTAX);
}

/* Whatever is cut off or put on, the certificate is none. */
static void
no_byte_may_be_missing_or_left_over(void **state)
{
	struct world *w = *state;
	struct slice der;
	struct cert c;

	assert_int_equal(parse(w), ERR_OK);
	der = buf_get(&w->der);
	for (size_t len = 0; len < der.len; len++)
		assert_int_equal(cert_parse(slice_sub(der, 0, len), NULL, &c),
				 ERR_SYNTAX);
	assert_int_equal(buf_put_u8(&w->der, 0), ERR_OK);
	assert_int_equal(cert_parse(buf_get(&w->der), &w->why, &c), ERR_SYNTAX);
	assert_non_null(strstr(w->why.text, "bytes follow"));
}

static void
both_algorithms_must_be_the_same(void **state)
{
	struct world *w = *state;
	struct slice der;
	uint8_t *at;

	assert_int_equal(parse(w), ERR_OK);
	der = buf_get(&w->der);
	/* The first of the two: ECDSA-SHA256 becomes ECDSA-SHA384. */
	at = memmem(der.p, der.len, "\x2a\x86\x48\xce\x3d\x04\x03\x02", 8);
	assert_non_null(at);
	at[7] = 3;
	assert_int_equal(cert_parse(der, &w->why, &w->cert), ERR_SYNTAX);
	assert_non_null(strstr(w->why.text, "algorithms differ"));
}

static void
too_large_a_certificate_is_refused(void **state)
{
	uint8_t *der = mem_new(CERT_MAX + 1);
	struct cert c;

	(void)state;
	assert_int_equal(cert_parse(slice_of(der, CERT_MAX + 1), NULL, &c),
			 ERR_LIMIT);
	mem_free(der);
}

/* -- X.509-SVID */

static void
expect_no_svid(struct world *w, const char *says)
{
	struct spiffe_id id;

	if (parse(w) != ERR_OK)
		fail_msg("parse: %s", w->why.text);
	if (svid_check_leaf(&w->cert, &w->why, &id) != ERR_REFUSED ||
	    strstr(w->why.text, says) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", w->why.text, says);
	assert_int_equal(id.text.len, 0);
}

static void
expect_svid(struct world *w)
{
	struct spiffe_id id;

	if (parse(w) != ERR_OK ||
	    svid_check_leaf(&w->cert, &w->why, &id) != ERR_OK)
		fail_msg("%s", w->why.text);
	assert_true(slice_is_str(id.text, ID));
}

static void
an_svid_has_exactly_one_good_uri(void **state)
{
	struct world *w = *state;

	expect_svid(w);
	w->spec.dns = "any.name"; /* */
	expect_svid(w);
	w->spec.uri2 = "https://x"; /* */
	expect_no_svid(w, "2 URI SANs");
	w->spec.uri2 = NULL;
	w->spec.uri = NULL;
	expect_no_svid(w, "0 URI SANs");
	w->spec.uri = "https://td/x";
	expect_no_svid(w, "X.509-SVID: SPIFFE ID");
	w->spec.uri = "spiffe://td"; /* */
	expect_no_svid(w, "no path");
	w->spec.uri = "spiffe://td/A%20B";
	expect_no_svid(w, "'%' in the path");
}

static void
an_svid_without_subject_has_a_critical_san(void **state)
{
	struct world *w = *state;

	w->spec.san_lax = true; /* */
	expect_no_svid(w, "SAN is not critical");
	w->spec.subject = "someone";
	expect_svid(w);
}

static void
an_svid_is_no_ca(void **state)
{
	struct world *w = *state;

	w->spec.is_ca = true; /* */
	expect_no_svid(w, "CA certificate");
	w->spec.is_ca = false;
	w->spec.basic = false; /* absent counts as false */
	expect_svid(w);
	w->spec.usage = KU_LEAF | CERT_KU_CERT_SIGN; /* */
	expect_no_svid(w, "keyCertSign");
	w->spec.usage = KU_LEAF | CERT_KU_CRL_SIGN;
	expect_no_svid(w, "cRLSign");
}

static void
an_svids_usages_are_those_of_the_standard(void **state)
{
	struct world *w = *state;

	w->spec.usage = 0; /* */
	expect_no_svid(w, "has no keyUsage");
	w->spec.usage = CERT_KU_KEY_ENCIPHERMENT; /* */
	expect_no_svid(w, "lacks digitalSignature");
	w->spec.usage |= KU_LEAF;
	expect_svid(w);
	w->spec.usage_lax = true;
	expect_no_svid(w, "not critical");
	w->spec.usage_lax = false;
	w->spec.eku = "s"; /* */
	expect_no_svid(w, "clientAuth");
	w->spec.eku = "c";
	expect_no_svid(w, "serverAuth");
	w->spec.eku = NULL;
	expect_svid(w);
}

/* -- text */

static void
descriptions_are_one_line_for_people(void **state)
{
	struct world *w = *state;
	char text[CERT_TEXT_MAX];

	assert_int_equal(parse(w), ERR_OK);
	cert_describe(&w->cert, text);
	assert_string_equal(text, ID " (serial 2a, valid "
				     "2027-01-15T08:00:00.000Z to "
				     "2027-01-16T08:00:00.000Z)");
	w->spec.uri = NULL;
	assert_int_equal(parse(w), ERR_OK);
	cert_describe(&w->cert, text);
	assert_ptr_equal(strstr(text, "(no name) (serial"), text);
	w->spec.subject = "a\x1b[2J,b";
	assert_int_equal(parse(w), ERR_OK);
	cert_describe(&w->cert, text);
	assert_ptr_equal(strstr(text, "CN=a\\1b[2J\\,b (serial"), text);
}

static void
names_are_shown_last_part_first(void **state)
{
	/* O=x, then CN=y+2.5.4.99 (a BIT STRING) */
	struct slice name =
		SLICE_LIT("\x30\x22\x31\x0a\x30\x08\x06\x03\x55\x04\x0a\x0c"
			  "\x01x\x31\x14\x30\x08\x06\x03\x55\x04\x03\x0c\x01"
			  "y\x30\x08\x06\x03\x55\x04\x63\x03\x01\x00");
	char text[CERT_TEXT_MAX];

	(void)state;
	cert_name_format(name, text);
	assert_string_equal(text, "2.5.4.99=#00+CN=y,O=x");
	cert_name_format(SLICE_LIT("\x30\x00"), text);
	assert_string_equal(text, "");
	cert_name_format(SLICE_LIT("\x30\x01\x31"), text);
	assert_string_equal(text, "(malformed name)");
}

static void
serials_are_hexadecimal(void **state)
{
	char text[2 * CERT_SERIAL_MAX + 8];
	uint8_t long_one[64];

	(void)state;
	cert_serial_format(SLICE_LIT("\x0a\xf1"), text);
	assert_string_equal(text, "0af1");
	cert_serial_format(SLICE_LIT("\x00\x80"), text);
	assert_string_equal(text, "80");
	memset(long_one, 0x11, sizeof(long_one));
	cert_serial_format(SLICE_ARRAY(long_one), text);
	assert_int_equal(strlen(text), 2 * 21 + 3);
	assert_non_null(strstr(text, "..."));
}

/* -- lists */

static void
lists_survive_pem_and_pass_over_other_blocks(void **state)
{
	struct world *w = *state;
	struct cert_list list = {0}, again = {0};
	struct buf pem;

	buf_init(&pem, 1 << 20);
	assert_int_equal(parse(w), ERR_OK);
	assert_int_equal(cert_list_add(&list, buf_get(&w->der)), ERR_OK);
	w->spec.subject = "second";
	assert_int_equal(parse(w), ERR_OK);
	assert_int_equal(cert_list_add(&list, buf_get(&w->der)), ERR_OK);
	assert_int_equal(pem_write(&pem, "SOMETHING", SLICE_LIT("x")), ERR_OK);
	assert_int_equal(cert_list_write_pem(&list, &pem), ERR_OK);
	assert_int_equal(cert_list_read_pem(buf_get(&pem), 2, NULL, &again),
			 ERR_OK);
	assert_int_equal(again.cnt, 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(slice_is_eq(cert_list_get(&list, i),
					cert_list_get(&again, i)));
	assert_int_equal(cert_list_get(&again, 2).len, 0);
	cert_list_free(&again);
	assert_int_equal(cert_list_read_pem(buf_get(&pem), 1, &w->why, &again),
			 ERR_LIMIT);
	assert_int_equal(again.cnt, 0);
	cert_list_free(&list);
	buf_fini(&pem);
}

static void
a_bad_block_spoils_the_list(void **state)
{
	struct world *w = *state;
	struct cert_list list;
	struct buf pem;

	buf_init(&pem, 1 << 20);
	assert_int_equal(
		cert_list_read_pem(SLICE_LIT("no PEM"), 9, &w->why, &list),
		ERR_NOT_FOUND);
	assert_int_equal(parse(w), ERR_OK);
	(void)pem_write(&pem, "CERTIFICATE", buf_get(&w->der));
	(void)pem_write(&pem, "CERTIFICATE", SLICE_LIT("\x30\x00"));
	assert_int_equal(cert_list_read_pem(buf_get(&pem), 9, &w->why, &list),
			 ERR_SYNTAX);
	assert_non_null(strstr(w->why.text, "CERTIFICATE 2: certificate: "));
	assert_int_equal(list.cnt, 0);
	buf_fini(&pem);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_field_is_read),
		TEST(a_ca_has_its_path_length),
		TEST(unknown_critical_extensions_are_noted),
		TEST(version_1_is_read_without_extensions_only),
		TEST(malformed_extensions_are_refused_by_name),
		TEST(serials_are_shortest_der),
		TEST(no_byte_may_be_missing_or_left_over),
		TEST(both_algorithms_must_be_the_same),
		TEST(too_large_a_certificate_is_refused),
		TEST(an_svid_has_exactly_one_good_uri),
		TEST(an_svid_without_subject_has_a_critical_san),
		TEST(an_svid_is_no_ca),
		TEST(an_svids_usages_are_those_of_the_standard),
		TEST(descriptions_are_one_line_for_people),
		TEST(names_are_shown_last_part_first),
		TEST(serials_are_hexadecimal),
		TEST(lists_survive_pem_and_pass_over_other_blocks),
		TEST(a_bad_block_spoils_the_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
