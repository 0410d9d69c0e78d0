/* What the agent takes from a CA, and what it does not. */
#include "base/attr.h"
#include "crypto/pem.h"
#include "test_certs.h"
#include "unit.h"

/* A program's file, not of the library. */
#include "../../cmd/agent/answer.c"

#define ME "spiffe://td.test/ns/a/sa/b"

static struct test_ca ca, other;
static struct privkey *key, *second;

static int
setup(void **state UNUSED)
{
	test_ca_init(&ca, "root");
	test_ca_init(&other, "another root");
	must(privkey_new(KEY_EC_P256, 0, &key) == ERR_OK);
	must(privkey_new(KEY_EC_P256, 0, &second) == ERR_OK);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	test_ca_fini(&ca);
	test_ca_fini(&other);
	privkey_free(key);
	privkey_free(second);
	return 0;
}

/* One answer: the leaf of ca for `of`, then roots. */
struct given {
	const struct privkey *of;
	struct test_leaf leaf;
	struct test_ca *root;
	int64_t now; /* from TEST_NOW_SEC */
};

static void
put_pem(struct buf *out, struct slice der)
{
	must(pem_write(out, "CERTIFICATE", der) == ERR_OK);
}

static enum err
ask(const struct given *g, struct why *why, struct answer *out)
{
	struct answer_wanted wanted = {
		.identity = SLICE_LIT(ME),
		.trust_domain = SLICE_LIT("td.test"),
		.now = wall_of_sec(TEST_NOW_SEC + g->now),
	};
	struct slice entries[2];
	struct buf leaf, pem[2], spki;
	enum err ret;

	wanted.spki = test_key_spki(key, &spki);
	test_ca_issue(&ca, g->of, &g->leaf, &leaf);
	for (size_t i = 0; i < 2; i++)
		buf_init(&pem[i], 65536);
	put_pem(&pem[0], buf_get(&leaf));
	put_pem(&pem[1], buf_get(&g->root->cert));
	for (size_t i = 0; i < 2; i++)
		entries[i] = buf_get(&pem[i]);
	ret = answer_check(entries, 2, &wanted, why, out);
	for (size_t i = 0; i < 2; i++)
		buf_fini(&pem[i]);
	buf_fini(&leaf);
	buf_fini(&spki);
	return ret;
}

static void
a_good_answer_is_taken(void **state UNUSED)
{
	const struct given g = {.of = key, .leaf = {.uri = ME}, .root = &ca};
	struct why why = {""};
	struct answer a;

	assert_int_equal(ask(&g, &why, &a), ERR_OK);
	assert_int_equal(a.chain.cnt, 1);
	assert_int_equal(pki_bundle_count(a.roots), 1);
	assert_int_equal(wall_sec(a.not_after), TEST_NOW_SEC + TEST_DAY);
	assert_string_equal(a.warning.text, "");
	answer_fini(&a);
}

static void
what_is_not_ours_is_refused_and_the_text_says_why(void **state UNUSED)
{
	const struct {
		struct given g;
		enum err e;
		const char *words;
	} cases[] = {
		{{second, {.uri = ME}, &ca, 0}, ERR_MISMATCH, "another key"},
		{{key, {.uri = ME "c"}, &ca, 0}, ERR_MISMATCH, "we are " ME},
		{{key, {.uri = ME}, &ca, TEST_DAY}, ERR_EXPIRED, "clocks"},
		{{key, {.uri = ME}, &other, 0}, ERR_OK, "does not verify"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct why why = {""};
		struct answer a;
		const enum err e = ask(&cases[i].g, &why, &a);

		assert_int_not_equal(e, ERR_OK);
		if (cases[i].e != ERR_OK)
			assert_int_equal(e, cases[i].e);
		assert_non_null(strstr(why.text, cases[i].words));
		assert_int_equal(a.chain.cnt, 0);
		assert_null(a.roots);
	}
}

/* Also by a machine that begins in 1970. */
static void
a_late_clock_is_no_reason_to_refuse(void **state UNUSED)
{
	const int64_t late[] = {-7200, -2 * TEST_DAY, -TEST_NOW_SEC};

	for (size_t i = 0; i < COUNT_OF(late); i++) {
		const struct given g = {.of = key,
					.leaf = {.uri = ME},
					.root = &ca,
					.now = late[i]};
		struct why why = {""};
		struct answer a;

		assert_int_equal(ask(&g, &why, &a), ERR_OK);
		assert_int_equal(wall_sec(a.not_before), TEST_NOW_SEC - 3600);
		answer_fini(&a);
	}
}

static void
a_message_has_two_texts_at_least_and_not_too_many(void **state UNUSED)
{
	static const char two[] = "\x0a\x01"
				  "a\x12\x00\x0a\x01"
				  "b";
	struct slice entries[ANSWER_ENTRIES_MAX];
	struct why why = {""};
	uint8_t many[2 * ANSWER_ENTRIES_MAX + 2];
	size_t cnt;

	assert_int_equal(answer_split(SLICE_LIT(two), entries, &cnt, &why),
			 ERR_OK);
	assert_int_equal(cnt, 2);
	assert_true(slice_is_str(entries[1], "b"));
	assert_int_equal(answer_split(slice_of((const uint8_t *)two, 3),
				      entries, &cnt, &why),
			 ERR_PROTOCOL);
	assert_non_null(strstr(why.text, "1 entries"));
	assert_int_equal(answer_split(slice_of((const uint8_t *)two, 2),
				      entries, &cnt, &why),
			 ERR_SYNTAX);
	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = i % 2 == 0 ? 0x0a : 0;
	assert_int_equal(answer_split(slice_of(many, sizeof(many) - 2), entries,
				      &cnt, &why),
			 ERR_OK);
	assert_int_equal(
		answer_split(slice_of(many, sizeof(many)), entries, &cnt, &why),
		ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_answer_is_taken),
		cmocka_unit_test(
			what_is_not_ours_is_refused_and_the_text_says_why),
		cmocka_unit_test(a_late_clock_is_no_reason_to_refuse),
		cmocka_unit_test(
			a_message_has_two_texts_at_least_and_not_too_many),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
