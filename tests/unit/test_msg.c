/* test_msg.c - lib/ca/msg.h: what roles say to each other. */
#include "unit.h"

#include "base/mem.h"
#include "ca/issuer.h"
#include "ca/msg.h"
#include "pki/csr.h"
#include "pki/spiffe_id.h"
#include "ra/ra.h"

static const struct msg_issue sample = {
	.profile = BUILD_WORKLOAD,
	.auth = MSG_AUTH_JWT,
	.ttl_sec = INT64_MIN,
	.deadline = {INT64_C(0x0102030405060708)},
	.ends = {INT64_C(1795000000000)},
};

static void
fill(struct msg_issue *m)
{
	*m = sample;
	m->identity = SLICE_LIT("spiffe://td/ns/a/sa/b");
	m->wanted = SLICE_LIT("spiffe://td/w");
	m->caller = SLICE_LIT("jwt iss=x sub=y");
	m->peer = SLICE_LIT("127.0.0.1:1");
	m->request_id = SLICE_LIT("0123456789abcdef0123456789abcdef");
	m->spki = SLICE_LIT("spki");
}

static void
an_issue_message_comes_back_as_it_was_written(void **state)
{
	struct msg_issue in, out;
	struct buf b;

	(void)state;
	fill(&in);
	buf_init(&b, MSG_FRAME_MAX);
	msg_issue_write(&b, &in);
	assert_int_equal(msg_issue_read(buf_get(&b), &out), ERR_OK);
	assert_int_equal(out.profile, in.profile);
	assert_int_equal(out.auth, in.auth);
	assert_true(out.ttl_sec == INT64_MIN);
	assert_true(out.deadline.ns == in.deadline.ns);
	assert_true(out.ends.ms == in.ends.ms);
	assert_true(slice_is_eq(out.identity, in.identity));
	assert_true(slice_is_eq(out.wanted, in.wanted));
	assert_true(slice_is_eq(out.caller, in.caller));
	assert_true(slice_is_eq(out.peer, in.peer));
	assert_true(slice_is_eq(out.request_id, in.request_id));
	assert_int_equal(out.token_hash.len, 0);
	assert_true(slice_is_eq(out.spki, in.spki));
	buf_fini(&b);
}

static void
a_message_that_is_cut_or_has_more_is_refused(void **state)
{
	struct msg_issue in, out;
	struct slice all;
	struct buf b;

	(void)state;
	fill(&in);
	buf_init(&b, MSG_FRAME_MAX);
	msg_issue_write(&b, &in);
	(void)buf_put_u8(&b, 0);
	all = buf_get(&b);
	assert_int_equal(msg_issue_read(all, &out), ERR_PROTOCOL);
	assert_int_equal(msg_issue_read(slice_sub(all, 0, all.len - 1), &out),
			 ERR_OK);
	for (size_t len = 0; len < all.len - 1; len++)
		assert_int_equal(msg_issue_read(slice_sub(all, 0, len), &out),
				 ERR_PROTOCOL);
	buf_fini(&b);
}

/* The member is max bytes long, then one more. */
static void
check_bound(struct slice *member, const struct msg_issue *in, size_t max)
{
	uint8_t *bytes = MEM_NEW_ARRAY(uint8_t, max + 1);
	struct msg_issue out;
	struct buf b;

	buf_init(&b, MSG_FRAME_MAX);
	*member = slice_of(bytes, max);
	msg_issue_write(&b, in);
	assert_int_equal(msg_issue_read(buf_get(&b), &out), ERR_OK);
	buf_reset(&b);
	*member = slice_of(bytes, max + 1);
	msg_issue_write(&b, in);
	assert_int_equal(msg_issue_read(buf_get(&b), &out), ERR_PROTOCOL);
	buf_fini(&b);
	mem_free(bytes);
}

static void
a_field_longer_than_any_honest_front_sends_is_refused(void **state)
{
	struct msg_issue m;

	(void)state;
	fill(&m), check_bound(&m.identity, &m, SPIFFE_ID_MAX);
	fill(&m), check_bound(&m.wanted, &m, CSR_MAX);
	fill(&m), check_bound(&m.spki, &m, CSR_MAX);
	fill(&m), check_bound(&m.caller, &m, RA_CALLER_MAX);
	fill(&m), check_bound(&m.peer, &m, 128);
	fill(&m), check_bound(&m.request_id, &m, 64);
	fill(&m), check_bound(&m.token_hash, &m, RA_TOKEN_HASH_LEN);
}

static void
a_signer_takes_no_longer_identity_than_there_are(void **state)
{
	static uint8_t bytes[SPIFFE_ID_MAX + 1];
	struct msg_sign m = {.profile = BUILD_WORKLOAD};
	struct msg_sign out;
	struct buf b;

	(void)state;
	buf_init(&b, MSG_FRAME_MAX);
	m.identity = slice_of(bytes, SPIFFE_ID_MAX);
	msg_sign_write(&b, &m);
	assert_int_equal(msg_sign_read(buf_get(&b), &out), ERR_OK);
	buf_reset(&b);
	m.identity = slice_of(bytes, SPIFFE_ID_MAX + 1);
	msg_sign_write(&b, &m);
	assert_int_equal(msg_sign_read(buf_get(&b), &out), ERR_PROTOCOL);
	buf_fini(&b);
}

static void
the_longest_chain_with_the_most_roots_fits(void **state)
{
	struct msg_chain m = {.generation = 7,
			      .chain_cnt = ISSUER_CHAIN_MAX,
			      .root_cnt = ISSUER_ROOTS_MAX};
	struct msg_chain out;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < m.chain_cnt + m.root_cnt; i++)
		m.ders[i] = SLICE_LIT("der");
	buf_init(&b, MSG_FRAME_MAX);
	msg_chain_write(&b, &m);
	assert_int_equal(msg_chain_read(buf_get(&b), &out), ERR_OK);
	assert_int_equal(out.chain_cnt, ISSUER_CHAIN_MAX);
	assert_int_equal(out.root_cnt, ISSUER_ROOTS_MAX);
	buf_fini(&b);
}

static void
only_a_workloads_ways_of_proof_count_as_such(void **state)
{
	(void)state;
	assert_true(msg_auth_is_proof(MSG_AUTH_CLIENT_CERT));
	assert_true(msg_auth_is_proof(MSG_AUTH_JWT));
	assert_true(msg_auth_is_proof(MSG_AUTH_JOIN_TOKEN));
	assert_false(msg_auth_is_proof(MSG_AUTH_NONE));
	assert_false(msg_auth_is_proof(MSG_AUTH_SELF));
	/* The record keeps 8 bits: this would be a join token there. */
	assert_false(msg_auth_is_proof((enum msg_auth)0x103));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_issue_message_comes_back_as_it_was_written),
		cmocka_unit_test(a_message_that_is_cut_or_has_more_is_refused),
		cmocka_unit_test(
			a_field_longer_than_any_honest_front_sends_is_refused),
		cmocka_unit_test(
			a_signer_takes_no_longer_identity_than_there_are),
		cmocka_unit_test(only_a_workloads_ways_of_proof_count_as_such),
		cmocka_unit_test(the_longest_chain_with_the_most_roots_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
