/* test_hash.c - digests against FIPS 180-4 examples. */
#include "crypto/hash.h"

#include "crypto_help.h"

static void
digests_of_abc_are_the_published_ones(void **state)
{
	static const struct {
		enum hash_alg alg;
		const char *hex;
	} rows[] = {
		{HASH_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{HASH_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9c"
			      "b410ff61f20015ad"},
		{HASH_SHA384,
		 "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a"
		 "43ff5bed8086072ba1e7cc2358baeca134c825a7"},
		{HASH_SHA512,
		 "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee6"
		 "4b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e"
		 "2a9ac94fa54ca49f"},
	};
	uint8_t out[HASH_MAX_LEN];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		hash_bytes(rows[i].alg, SLICE_LIT("abc"), out);
		assert_slice_is_hex(slice_of(out, hash_len(rows[i].alg)),
				    rows[i].hex);
	}
	assert_int_equal(hash_len(HASH_NONE), 0);
}

static void
the_digest_of_nothing_is_defined(void **state)
{
	uint8_t out[HASH_SHA256_LEN];

	(void)state;
	hash_sha256(SLICE_NONE, out);
	assert_slice_is_hex(SLICE_ARRAY(out),
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca4"
			    "95991b7852b855");
}

static void
parts_are_hashed_as_one_message(void **state)
{
	const struct slice parts[] = {SLICE_LIT("a"), SLICE_NONE,
				      SLICE_LIT("bc")};
	uint8_t whole[HASH_SHA256_LEN];
	uint8_t out[HASH_SHA256_LEN];

	(void)state;
	hash_sha256(SLICE_LIT("abc"), whole);
	hash_sha256_parts(parts, COUNT_OF(parts), out);
	assert_memory_equal(out, whole, sizeof(out));
	hash_sha256_parts(parts, 2, out);
	assert_memory_not_equal(out, whole, sizeof(out));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_of_abc_are_the_published_ones),
		cmocka_unit_test(the_digest_of_nothing_is_defined),
		cmocka_unit_test(parts_are_hashed_as_one_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
