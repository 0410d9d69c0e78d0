/* test_spiffe_id.c - lib/pki/spiffe_id.h against the checklist of the standard:
 * each row says which rule it is for. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "pki/spiffe_id.h"

struct row {
	const char *rule;
	const char *text;
	enum err want;
	const char *says; /* part of the text when refused */
};

static const struct row rows[] = {
	{"ID-1", "spiffe://td/x", ERR_OK, NULL},
	{"ID-1", "http://td/x", ERR_SYNTAX, "spiffe://"},
	{"ID-1", "spiffe:/td", ERR_SYNTAX, "spiffe://"},
	{"ID-1", "spiffe:td", ERR_SYNTAX, "spiffe://"},
	{"ID-1", "s", ERR_SYNTAX, "spiffe://"},
	{"ID-1", "", ERR_SYNTAX, "spiffe://"},
	{"ID-2", "spiffe://", ERR_SYNTAX, "trust domain is empty"},
	{"ID-2", "spiffe:///", ERR_SYNTAX, "trust domain is empty"},
	{"ID-2", "spiffe:///path", ERR_SYNTAX, "trust domain is empty"},
	{"ID-3", "spiffe://td/a?", ERR_SYNTAX, "'?' in the path"},
	{"ID-3", "spiffe://td/a?x=1", ERR_SYNTAX, "'?' in the path"},
	{"ID-3", "spiffe://td/a#", ERR_SYNTAX, "'#' in the path"},
	{"ID-3", "spiffe://td/a#f", ERR_SYNTAX, "'#' in the path"},
	{"ID-3", "spiffe://td?x", ERR_SYNTAX, "'?' in the trust domain"},
	{"ID-4", "spiffe://u@td/a", ERR_SYNTAX, "'@' in the trust domain"},
	{"ID-4", "spiffe://u:p@td/a", ERR_SYNTAX, "':' in the trust domain"},
	{"ID-4", "spiffe://@td/a", ERR_SYNTAX, "'@' in the trust domain"},
	{"ID-4", "spiffe://td:80/a", ERR_SYNTAX, "':' in the trust domain"},
	{"ID-4", "spiffe://td:/a", ERR_SYNTAX, "':' in the trust domain"},
	{"ID-5", "spiffe://TD/a", ERR_SYNTAX, "'T' in the trust domain"},
	{"ID-5", "spiffe://t d/a", ERR_SYNTAX, "0x20 in the trust domain"},
	{"ID-5", "spiffe://t\xc3\xa4/a", ERR_SYNTAX, "0xc3"},
	{"ID-5", "spiffe://*/a", ERR_SYNTAX, "'*'"},
	{"ID-5", "spiffe://[::1]/a", ERR_SYNTAX, "'['"},
	{"ID-5", "spiffe://a_b/a", ERR_OK, NULL},
	{"ID-5", "spiffe://-/a", ERR_OK, NULL},
	{"ID-5", "spiffe://./a", ERR_OK, NULL},
	{"ID-5", "spiffe://../a", ERR_OK, NULL},
	{"ID-5", "spiffe://a..b/a", ERR_OK, NULL},
	{"ID-6", "spiffe://t%64/a", ERR_SYNTAX, "'%' in the trust domain"},
	{"ID-6", "spiffe://td/%41", ERR_SYNTAX, "'%' in the path"},
	{"ID-6", "spiffe://td/a%2fb", ERR_SYNTAX, "'%' in the path"},
	{"ID-7", "spiffe://1.2.3.4/a", ERR_OK, NULL},
	{"ID-8", "spiffe://td/", ERR_SYNTAX, "empty segment"},
	{"ID-8", "spiffe://td//", ERR_SYNTAX, "empty segment"},
	{"ID-8", "spiffe://td//a", ERR_SYNTAX, "empty segment"},
	{"ID-8", "spiffe://td/a//b", ERR_SYNTAX, "empty segment"},
	{"ID-8", "spiffe://td/a/", ERR_SYNTAX, "empty segment"},
	{"ID-8", "spiffe://td/.", ERR_SYNTAX, "segment '.'"},
	{"ID-8", "spiffe://td/..", ERR_SYNTAX, "segment '..'"},
	{"ID-8", "spiffe://td/a/../b", ERR_SYNTAX, "segment '..'"},
	{"ID-8", "spiffe://td/a/./b", ERR_SYNTAX, "segment '.'"},
	{"ID-8", "spiffe://td/...", ERR_OK, NULL},
	{"ID-8", "spiffe://td/.path", ERR_OK, NULL},
	{"ID-8", "spiffe://td/..path", ERR_OK, NULL},
	{"ID-8", "spiffe://td/a./b", ERR_OK, NULL},
	{"ID-9", "spiffe://td/A-Z_a.z0", ERR_OK, NULL},
	{"ID-9", "spiffe://td/a\r\nb", ERR_SYNTAX, "0x0d"},
	{"ID-9", "spiffe://td/\xff", ERR_SYNTAX, "0xff"},
	{"ID-9", "spiffe://td/\xc3\xa4", ERR_SYNTAX, "0xc3"},
	{"ID-13", "SPIFFE://td/a", ERR_SYNTAX, "lower case"},
	{"ID-13", "Spiffe://td/a", ERR_SYNTAX, "lower case"},
	{"ID-16", "spiffe://td", ERR_OK, NULL},
};

static void
each_row_of_the_checklist(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice text = slice_of_str(rows[i].text);
		struct why why = {""};
		struct spiffe_id id;
		enum err e = spiffe_id_parse(text, &why, &id);

		if (e != rows[i].want ||
		    (e != ERR_OK && strstr(why.text, rows[i].says) == NULL))
			fail_msg("%s \"%s\": %s, \"%s\"", rows[i].rule,
				 rows[i].text, err_name(e), why.text);
		assert_true(e == ERR_OK ? slice_is_eq(id.text, text)
					: id.text.p == NULL);
	}
}

static void
every_other_byte_of_a_segment_is_refused(void **state)
{
	const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789.-_";
	char text[] = "spiffe://td/aXb";
	struct spiffe_id id;

	(void)state;
	for (int c = 0; c < 256; c++) {
		bool good = c != 0 && strchr(allowed, c) != NULL;
		enum err e;

		if (c == '/')
			continue; /* two segments */
		text[13] = (char)c;
		e = spiffe_id_parse(slice_of(text, sizeof(text) - 1), NULL,
				    &id);
		assert_int_equal(e, good ? ERR_OK : ERR_SYNTAX);
	}
}

static void
parts_point_into_the_text(void **state)
{
	struct slice text = SLICE_LIT("spiffe://example.org/ns/a/sa/b");
	struct spiffe_id id;

	(void)state;
	assert_int_equal(spiffe_id_parse(text, NULL, &id), ERR_OK);
	assert_true(slice_is_str(id.trust_domain, "example.org"));
	assert_true(slice_is_str(id.path, "/ns/a/sa/b"));
	assert_ptr_equal(id.path.p, text.p + 20);
	assert_int_equal(spiffe_id_parse(SLICE_LIT("spiffe://td"), NULL, &id),
			 ERR_OK);
	assert_int_equal(id.path.len, 0);
}

/* A URI of this length, with a path of 'a'. */
static struct slice
uri_of_len(struct buf *b, size_t len)
{
	buf_reset(b);
	assert_int_equal(buf_put_str(b, "spiffe://td/"), ERR_OK);
	while (buf_len(b) < len)
		assert_int_equal(buf_put_u8(b, 'a'), ERR_OK);
	return buf_get(b);
}

static void
lengths_are_taken_up_to_their_limits(void **state)
{
	struct why why = {""};
	struct spiffe_id id;
	char name[257];
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	assert_int_equal(spiffe_id_parse(uri_of_len(&b, 2048), &why, &id),
			 ERR_OK);
	assert_int_equal(spiffe_id_parse(uri_of_len(&b, 2049), &why, &id),
			 ERR_LIMIT);
	assert_non_null(strstr(why.text, "2049 bytes, at most 2048"));
	memset(name, 'a', sizeof(name));
	assert_int_equal(spiffe_trust_domain_check(slice_of(name, 255), &why),
			 ERR_OK);
	assert_int_equal(spiffe_trust_domain_check(slice_of(name, 256), &why),
			 ERR_LIMIT);
	assert_non_null(strstr(why.text, "256 bytes, at most 255"));
	buf_fini(&b);
}

static void
a_trust_domain_is_a_name_and_no_uri(void **state)
{
	(void)state;
	assert_int_equal(
		spiffe_trust_domain_check(SLICE_LIT("cluster.local"), NULL),
		ERR_OK);
	assert_int_equal(
		spiffe_trust_domain_check(SLICE_LIT("spiffe://td"), NULL),
		ERR_SYNTAX);
	assert_int_equal(spiffe_trust_domain_check(SLICE_LIT("td/x"), NULL),
			 ERR_SYNTAX);
	assert_int_equal(spiffe_trust_domain_check(SLICE_NONE, NULL),
			 ERR_SYNTAX);
}

static void
a_kubernetes_identity_is_built_and_split_again(void **state)
{
	struct slice ns, sa;
	struct spiffe_id id;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	assert_int_equal(buf_put_str(&b, "id="), ERR_OK);
	assert_int_equal(spiffe_id_build_k8s(SLICE_LIT("td"), SLICE_LIT("web"),
					     SLICE_LIT("default"), NULL, &b),
			 ERR_OK);
	assert_true(
		slice_is_str(buf_get(&b), "id=spiffe://td/ns/web/sa/default"));
	assert_int_equal(
		spiffe_id_parse(slice_sub(buf_get(&b), 3, 4096), NULL, &id),
		ERR_OK);
	assert_int_equal(spiffe_id_get_k8s(&id, &ns, &sa), ERR_OK);
	assert_true(slice_is_str(ns, "web"));
	assert_true(slice_is_str(sa, "default"));
	buf_fini(&b);
}

static void
names_that_would_change_the_path_are_refused(void **state)
{
	static const struct {
		const char *td, *ns, *sa, *says;
	} bad[] = {
		{"td", "a/sa/root", "b", "namespace"},
		{"td", "", "b", "namespace"},
		{"td", "..", "b", "namespace"},
		{"td", "a", "", "service account"},
		{"td", "a", "b/c", "service account"},
		{"td", "a", "b,spiffe://x", "service account"},
		{"td/x", "a", "b", "trust domain"},
		{"td,spiffe:", "a", "b", "trust domain"},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct why why = {""};

		assert_int_equal(spiffe_id_build_k8s(slice_of_str(bad[i].td),
						     slice_of_str(bad[i].ns),
						     slice_of_str(bad[i].sa),
						     &why, &b),
				 ERR_SYNTAX);
		assert_non_null(strstr(why.text, bad[i].says));
		assert_int_equal(buf_len(&b), 0);
	}
	buf_fini(&b);
}

static void
an_identity_above_the_limit_is_not_made(void **state)
{
	char name[2048];
	struct buf b;

	(void)state;
	memset(name, 'a', sizeof(name));
	buf_init(&b, 4096);
	/* spiffe://td/ns/n/sa/ has 20 bytes. */
	assert_int_equal(spiffe_id_build_k8s(SLICE_LIT("td"), SLICE_LIT("n"),
					     slice_of(name, 2029), NULL, &b),
			 ERR_LIMIT);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(spiffe_id_build_k8s(SLICE_LIT("td"), SLICE_LIT("n"),
					     slice_of(name, 2028), NULL, &b),
			 ERR_OK);
	assert_int_equal(buf_len(&b), 2048);
	buf_fini(&b);
}

static void
other_paths_are_no_kubernetes_identities(void **state)
{
	static const char *const texts[] = {
		"spiffe://td",           "spiffe://td/ns/a",
		"spiffe://td/ns/a/sa",   "spiffe://td/ns/a/sa/b/c",
		"spiffe://td/NS/a/sa/b", "spiffe://td/x/ns/a/sa/b",
		"spiffe://td/sa/a/ns/b", "spiffe://td/workload",
	};
	struct slice ns, sa;
	struct spiffe_id id;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		assert_int_equal(
			spiffe_id_parse(slice_of_str(texts[i]), NULL, &id),
			ERR_OK);
		assert_int_equal(spiffe_id_get_k8s(&id, &ns, &sa),
				 ERR_MISMATCH);
		assert_int_equal(ns.len + sa.len, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_of_the_checklist),
		cmocka_unit_test(every_other_byte_of_a_segment_is_refused),
		cmocka_unit_test(parts_point_into_the_text),
		cmocka_unit_test(lengths_are_taken_up_to_their_limits),
		cmocka_unit_test(a_trust_domain_is_a_name_and_no_uri),
		cmocka_unit_test(
			a_kubernetes_identity_is_built_and_split_again),
		cmocka_unit_test(names_that_would_change_the_path_are_refused),
		cmocka_unit_test(an_identity_above_the_limit_is_not_made),
		cmocka_unit_test(other_paths_are_no_kubernetes_identities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
