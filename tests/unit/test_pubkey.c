/* test_pubkey.c - public keys, signatures and their algorithms, with vectors of
 * RFC 6979, RFC 8032 and of OpenSSL, and the malformed ones that must not
 * pass. */
#include <stdio.h>

#include "crypto/der.h"
#include "crypto/key.h"

#include "crypto_help.h"
#include "vectors_crypto.h"

/* RFC 6979 A.2.5, SHA-256 of "sample". */
#define P256_X \
	"60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
#define P256_Y \
	"7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
#define P256_R \
	"efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
#define P256_S \
	"f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
#define P256_N \
	"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
#define P256_HEAD "3059301306072a8648ce3d020106082a8648ce3d030107034200"
#define P256_SPKI P256_HEAD "04" P256_X P256_Y
#define P256_SIG "3046022100" P256_R "022100" P256_S
#define ZEROS_31 \
	"00000000000000000000000000000000000000000000000000000000000000"

enum {
	RSA_MAX_BYTES_TESTED = 2049
};

static enum err
verify_hex(const struct pubkey *k, enum sig_alg alg, const char *message,
	   const char *signature)
{
	struct buf b = {0};
	enum err ret = pubkey_verify(k, alg, slice_of_str(message),
				     hex_set(&b, signature));

	buf_fini(&b);
	return ret;
}

static enum err
parse_hex(const char *hex, struct why *why)
{
	struct pubkey *k = NULL;
	struct buf b = {0};
	enum err ret;

	*why = (struct why){.text = ""};
	ret = pubkey_parse(hex_set(&b, hex), why, &k);
	assert_int_equal(ret == ERR_OK, k != NULL);
	pubkey_free(k);
	buf_fini(&b);
	return ret;
}

static void
the_ecdsa_vector_of_rfc_6979_verifies(void **state)
{
	struct pubkey *k = key_of_hex(P256_SPKI);
	char text[KEY_TEXT_MAX];

	(void)state;
	assert_int_equal(pubkey_kind(k), KEY_EC_P256);
	assert_int_equal(pubkey_bits(k), 256);
	assert_true(pubkey_rsa_exponent(k) == 0);
	pubkey_describe(k, text);
	assert_string_equal(text, "P-256");
	assert_int_equal(verify_hex(k, SIG_ECDSA_SHA256, "sample", P256_SIG),
			 ERR_OK);
	assert_int_equal(verify_hex(k, SIG_ECDSA_SHA256, "samplf", P256_SIG),
			 ERR_SIGNATURE);
	assert_int_equal(verify_hex(k, SIG_ECDSA_SHA384, "sample", P256_SIG),
			 ERR_SIGNATURE);
	pubkey_free(k);
}

static void
every_flipped_bit_of_an_ecdsa_signature_is_refused(void **state)
{
	struct pubkey *k = key_of_hex(P256_SPKI);
	struct buf b = {0};
	uint8_t sig[80];
	size_t len = hex_set(&b, P256_SIG).len;

	(void)state;
	memcpy(sig, buf_get(&b).p, len);
	for (size_t bit = 0; bit < len * 8; bit++) {
		sig[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_int_equal(pubkey_verify(k, SIG_ECDSA_SHA256,
					       SLICE_LIT("sample"),
					       slice_of(sig, len)),
				 ERR_SIGNATURE);
		sig[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	assert_int_equal(pubkey_verify(k, SIG_ECDSA_SHA256, SLICE_LIT("sample"),
				       slice_of(sig, len)),
			 ERR_OK);
	buf_fini(&b);
	pubkey_free(k);
}

static void
ecdsa_signatures_out_of_range_or_not_der_are_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"3006 020100 020100",                 /* 0, 0 */
		"3026 020100 022100" P256_S,          /* r = 0 */
		"3026 022100" P256_R "020100",        /* s = 0 */
		"3006 020101 020101",                 /* 1, 1 */
		"3026 022100" P256_N "020101",        /* r = n */
		"3046 022100" P256_R "022100" P256_N, /* s = n */
		"3026 020101 022100" P256_N,          /* s = n */
		"3046 022101" P256_R "022100" P256_S, /* r + 2^256 */
		"3046 022100" P256_S "022100" P256_R, /* swapped */
		"3044 0220" P256_R "0220" P256_S,     /* negative */
		"3045 0220" P256_R "022100" P256_S,
		"3047 02220000" P256_R "022100" P256_S, /* not minimal */
		"308146 022100" P256_R "022100" P256_S, /* long length */
		"3047 02812100" P256_R "022100" P256_S,
		"3080 022100" P256_R "022100" P256_S "0000", /* indefinite */
		"3046 022100" P256_R "022100" P256_S "00",   /* behind it */
		"3048 022100" P256_R "022100" P256_S "0500", /* inside it */
		"3045 022100" P256_R "022100" P256_S,        /* short */
		"3023 022100" P256_R,                        /* r only */
		"3025 022100" P256_R "0200",                 /* s empty */
		"3146 022100" P256_R "022100" P256_S,        /* SET */
		"3046 032100" P256_R "022100" P256_S,        /* not INTEGER */
		P256_R P256_S,                               /* raw */
	};
	struct pubkey *k = key_of_hex(P256_SPKI);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (verify_hex(k, SIG_ECDSA_SHA256, "sample", rows[i]) !=
		    ERR_SIGNATURE)
			fail_msg("row %zu: %s", i, rows[i]);
	}
	pubkey_free(k);
}

static enum err
verify_raw(const struct pubkey *k, enum sig_alg alg, const char *hex)
{
	struct buf b = {0};
	enum err ret = pubkey_verify_raw_ecdsa(k, alg, SLICE_LIT("sample"),
					       hex_set(&b, hex));

	buf_fini(&b);
	return ret;
}

static void
raw_ecdsa_signatures_have_exactly_two_coordinates(void **state)
{
	struct pubkey *k = key_of_hex(P256_SPKI);
	struct pubkey *ed = key_of_hex(HEX_ED25519_SPKI);

	(void)state;
	assert_int_equal(verify_raw(k, SIG_ECDSA_SHA256, P256_R P256_S),
			 ERR_OK);
	assert_int_equal(verify_raw(k, SIG_ECDSA_SHA256, P256_R P256_S "00"),
			 ERR_SIGNATURE);
	assert_int_equal(
		verify_raw(k, SIG_ECDSA_SHA256, "00" P256_R "00" P256_S),
		ERR_SIGNATURE);
	assert_int_equal(verify_raw(k, SIG_ECDSA_SHA256, P256_S P256_R),
			 ERR_SIGNATURE);
	assert_int_equal(
		verify_raw(k, SIG_ECDSA_SHA256, ZEROS_31 "00" ZEROS_31 "00"),
		ERR_SIGNATURE);
	assert_int_equal(verify_raw(k, SIG_ECDSA_SHA256, P256_N P256_S),
			 ERR_SIGNATURE);
	assert_int_equal(verify_raw(k, SIG_ECDSA_SHA256, P256_SIG),
			 ERR_SIGNATURE);
	assert_int_equal(verify_raw(k, SIG_ECDSA_SHA256, ""), ERR_SIGNATURE);
	assert_int_equal(verify_raw(k, SIG_RSA_SHA256, P256_R P256_S),
			 ERR_MISMATCH);
	assert_int_equal(verify_raw(ed, SIG_ECDSA_SHA256, P256_R P256_S),
			 ERR_MISMATCH);
	pubkey_free(k);
	pubkey_free(ed);
}

static void
the_ed25519_vectors_of_rfc_8032_verify(void **state)
{
	struct pubkey *k = key_of_hex(
		"302a300506032b6570032100"
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af466"
		"0c");
	const char *sig =
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69"
		"da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb"
		"0c00";

	(void)state;
	assert_int_equal(pubkey_kind(k), KEY_ED25519);
	assert_int_equal(verify_hex(k, SIG_ED25519, "\x72", sig), ERR_OK);
	assert_int_equal(verify_hex(k, SIG_ED25519, "\x73", sig),
			 ERR_SIGNATURE);
	assert_int_equal(verify_hex(k, SIG_ED25519, "\x72", "92a0"),
			 ERR_SIGNATURE);
	assert_int_equal(verify_hex(k, SIG_ED25519, "", ""), ERR_SIGNATURE);
	pubkey_free(k);
}

static void
signatures_made_by_openssl_verify_with_their_own_algorithm_only(void **state)
{
	static const struct {
		const char *spki, *sig;
		enum sig_alg alg;
	} rows[] = {
		{P256_SPKI, P256_SIG, SIG_ECDSA_SHA256},
		{HEX_P384_SPKI, HEX_P384_SHA384_SIG, SIG_ECDSA_SHA384},
		{HEX_RSA_SPKI, HEX_RSA_SHA256_SIG, SIG_RSA_SHA256},
		{HEX_RSA_SPKI, HEX_PSS_SHA256_SIG, SIG_RSA_PSS_SHA256},
		{HEX_ED25519_SPKI, HEX_ED25519_SIG, SIG_ED25519},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct pubkey *k = key_of_hex(rows[i].spki);

		for (int a = SIG_NONE; a <= SIG_ED25519; a++) {
			enum err e = verify_hex(k, (enum sig_alg)a, "sample",
						rows[i].sig);

			assert_int_equal(e == ERR_OK, a == (int)rows[i].alg);
			if (e != ERR_OK)
				assert_true(e == ERR_SIGNATURE ||
					    e == ERR_MISMATCH);
		}
		assert_int_equal(
			verify_hex(k, rows[i].alg, "Sample", rows[i].sig),
			ERR_SIGNATURE);
		/* A signature of another key. */
		assert_int_equal(verify_hex(k, rows[i].alg, "sample",
					    rows[(i + 1) % 5].sig),
				 ERR_SIGNATURE);
		pubkey_free(k);
	}
}

static void
algorithms_of_another_kind_of_key_are_a_mismatch(void **state)
{
	struct pubkey *rsa = key_of_hex(HEX_RSA_SPKI);
	struct pubkey *ec = key_of_hex(P256_SPKI);

	(void)state;
	assert_int_equal(verify_hex(rsa, SIG_ECDSA_SHA256, "sample", ""),
			 ERR_MISMATCH);
	assert_int_equal(verify_hex(ec, SIG_RSA_SHA256, "sample", ""),
			 ERR_MISMATCH);
	assert_int_equal(verify_hex(ec, SIG_ED25519, "sample", ""),
			 ERR_MISMATCH);
	assert_int_equal(verify_hex(ec, SIG_NONE, "sample", ""), ERR_MISMATCH);
	pubkey_free(rsa);
	pubkey_free(ec);
}

static void
pss_salts_of_another_length_are_refused(void **state)
{
	struct pubkey *k = key_of_hex(HEX_RSA_SPKI);

	(void)state;
	assert_int_equal(
		verify_hex(k, SIG_RSA_PSS_SHA256, "sample", HEX_PSS_SHA256_SIG),
		ERR_OK);
	assert_int_equal(
		verify_hex(k, SIG_RSA_PSS_SHA256, "sample", HEX_PSS_SALT20_SIG),
		ERR_SIGNATURE);
	pubkey_free(k);
}

static void
points_that_are_not_plain_and_on_the_curve_are_refused(void **state)
{
	static const struct {
		const char *hex, *says;
	} rows[] = {
		/* One bit of y. */
		{P256_HEAD "04" P256_X "7903fe1008b8bc99a41ae9e95628bc64f2f1b20"
			   "c2d7e9f5177a3c294d4462298",
		 "not on curve"},
		/* Hybrid form. */
		{P256_HEAD "07" P256_X P256_Y, "form 0x07"},
		/* x and y not below the prime. */
		{P256_HEAD
		 "04ffffffffffffffffffffffffffffffffffffffffffffffffff"
		 "ffffffffffffff" P256_Y,
		 "not on curve"},
		{P256_HEAD "04" ZEROS_31 "00" ZEROS_31 "00", "not on curve"},
		/* Compressed. */
		{"3039301306072a8648ce3d020106082a8648ce3d030107032200"
		 "03" P256_X,
		 "uncompressed"},
		/* The point at infinity. */
		{"3019301306072a8648ce3d020106082a8648ce3d0301070302"
		 "0000",
		 "uncompressed"},
		/* No point at all. */
		{"3018301306072a8648ce3d020106082a8648ce3d0301070301"
		 "00",
		 "found 0 bytes"},
		/* A P-256 point under the name of P-384. */
		{"3056301006072a8648ce3d020106052b81040022034200"
		 "04" P256_X P256_Y,
		 "P-384 needs"},
	};
	struct why why;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(parse_hex(rows[i].hex, &why), ERR_SYNTAX);
		if (strstr(why.text, rows[i].says) == NULL)
			fail_msg("row %zu: %s", i, why.text);
	}
	assert_int_equal(parse_hex(P256_SPKI, &why), ERR_OK);
}

static void
malformed_key_infos_are_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"3000",
		P256_SPKI "00",
		"3059301306072a8648ce3d020106082a8648ce3d030107034201"
		"04" P256_X P256_Y, /* unused bits */
		"305b301306072a8648ce3d020106082a8648ce3d030107034200"
		"04" P256_X P256_Y "0500", /* a third element */
		"302b300506032b6570032200"
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4"
		"660c00", /* 33 bytes of Ed25519 */
	};
	struct why why;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(parse_hex(rows[i], &why), ERR_SYNTAX);
}

static void
foreign_algorithms_and_parameters_are_named_and_unsupported(void **state)
{
	static const struct {
		const char *hex, *says;
	} rows[] = {
		/* secp256k1 */
		{"3056301006072a8648ce3d020106052b8104000a034200"
		 "04" P256_X P256_Y,
		 "1.2.840.10045.2.1"},
		/* EC with NULL instead of a curve */
		{"3050300b06072a8648ce3d02010500034100" P256_X P256_Y,
		 "1.2.840.10045.2.1"},
		/* DSA */
		{"300e300906072a8648ce380401030100", "1.2.840.10040.4.1"},
		/* X25519 */
		{"302a300506032b656e032100" P256_X, "1.3.101.110"},
		/* Ed25519 with NULL */
		{"302c300706032b65700500032100" P256_X, "1.3.101.112"},
		/* RSA without NULL */
		{"3010300b06092a864886f70d010101030100",
		 "1.2.840.113549.1.1.1"},
		/* id-RSASSA-PSS */
		{"3010300b06092a864886f70d01010a030100",
		 "1.2.840.113549.1.1.10"},
	};
	struct why why;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (parse_hex(rows[i].hex, &why) != ERR_UNSUPPORTED ||
		    strstr(why.text, rows[i].says) == NULL)
			fail_msg("row %zu: %s", i, why.text);
	}
}

/* An RSA key of n_len bytes (n = top .. last) and the given exponent. */
static enum err
rsa_key(size_t n_len, uint8_t top, uint8_t last, const char *e_hex,
	struct pubkey **out)
{
	uint8_t n[RSA_MAX_BYTES_TESTED];
	struct buf e = {0};
	struct buf spki;
	enum err ret;

	memset(n, 0x5a, n_len);
	n[0] = top;
	n[n_len - 1] = last;
	buf_init(&spki, 10000);
	assert_int_equal(pubkey_build_rsa_spki(slice_of(n, n_len),
					       hex_set(&e, e_hex), &spki),
			 ERR_OK);
	ret = pubkey_parse(buf_get(&spki), NULL, out);
	buf_fini(&e);
	buf_fini(&spki);
	return ret;
}

static void
rsa_exponents_are_reported_and_bad_ones_are_not_computed_with(void **state)
{
	static const struct {
		const char *e;
		uint64_t reported;
		bool is_used;
	} rows[] = {
		{"01", 1, false},
		{"03", 3, true},
		{"010001", 65537, true},
		{"01ffffffff", 0x1ffffffff, true},
		{"0200000001", 0x200000001, false},
		{"ffffffffffffffff", UINT64_MAX, false},
		{"01000000000000000001", UINT64_MAX, false},
	};
	static const uint8_t sig[256];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct pubkey *k = NULL;
		enum err e;

		assert_int_equal(rsa_key(256, 0xc0, 0x01, rows[i].e, &k),
				 ERR_OK);
		assert_true(pubkey_rsa_exponent(k) == rows[i].reported);
		e = pubkey_verify(k, SIG_RSA_SHA256, SLICE_LIT("x"),
				  SLICE_ARRAY(sig));
		assert_int_equal(e, rows[i].is_used ? ERR_SIGNATURE
						    : ERR_UNSUPPORTED);
		pubkey_free(k);
	}
}

static void
rsa_sizes_and_numbers_out_of_bounds_are_refused(void **state)
{
	struct pubkey *k = NULL;
	char text[KEY_TEXT_MAX];

	(void)state;
	assert_int_equal(rsa_key(128, 0x80, 0x01, "010001", &k), ERR_OK);
	pubkey_describe(k, text);
	assert_string_equal(text, "RSA-1024");
	pubkey_free(k);
	assert_int_equal(rsa_key(128, 0x7f, 0x01, "010001", &k),
			 ERR_UNSUPPORTED); /* 1023 bits */
	assert_int_equal(rsa_key(2048, 0xff, 0x01, "010001", &k), ERR_OK);
	assert_int_equal(pubkey_bits(k), 16384);
	pubkey_free(k);
	assert_int_equal(rsa_key(2049, 0x01, 0x01, "010001", &k),
			 ERR_UNSUPPORTED);
	assert_int_equal(rsa_key(256, 0xc0, 0x02, "010001", &k), ERR_SYNTAX);
	assert_int_equal(rsa_key(256, 0xc0, 0x01, "010000", &k), ERR_SYNTAX);
	assert_null(k);
}

static void
keys_are_built_from_the_numbers_of_a_jwk(void **state)
{
	struct buf x = {0};
	struct buf y = {0};
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	(void)hex_set(&x, P256_X);
	(void)hex_set(&y, P256_Y);
	assert_int_equal(pubkey_build_ec_spki(KEY_EC_P256, buf_get(&x),
					      buf_get(&y), &out),
			 ERR_OK);
	assert_slice_is_hex(buf_get(&out), P256_SPKI);
	assert_int_equal(pubkey_build_ec_spki(KEY_EC_P384, buf_get(&x),
					      buf_get(&y), &out),
			 ERR_SYNTAX);
	assert_int_equal(pubkey_build_ec_spki(KEY_EC_P256,
					      slice_sub(buf_get(&x), 1, 32),
					      buf_get(&y), &out),
			 ERR_SYNTAX);
	assert_int_equal(
		pubkey_build_ec_spki(KEY_RSA, buf_get(&x), buf_get(&y), &out),
		ERR_UNSUPPORTED);
	buf_reset(&out);
	assert_int_equal(pubkey_build_ed25519_spki(buf_get(&x), &out), ERR_OK);
	assert_slice_is_hex(buf_get(&out), "302a300506032b6570032100" P256_X);
	assert_int_equal(pubkey_build_ed25519_spki(SLICE_LIT("x"), &out),
			 ERR_SYNTAX);
	assert_int_equal(pubkey_build_rsa_spki(SLICE_NONE, SLICE_NONE, &out),
			 ERR_SYNTAX);
	buf_fini(&x);
	buf_fini(&y);
	buf_fini(&out);
}

static void
each_algorithm_has_one_encoding(void **state)
{
	static const char *const refused[] = {
		"",
		"3000",
		"300906072a8648ce3d0401",         /* ECDSA with SHA-1 */
		"300c06082a8648ce3d0403020500",   /* ECDSA with NULL */
		"300a06082a8648ce3d04030200",     /* a byte behind */
		"300d06092a864886f70d0101050500", /* RSA with SHA-1 */
		"300d06092a864886f70d0101040500", /* RSA with MD5 */
		"300d06092a864886f70d01010b3000", /* other parameters */
		"300706032b65700500",             /* Ed25519 with NULL */
		"300d06092a864886f70d01010a3000", /* PSS: SHA-1 defaults */
		"304106092a864886f70d01010a3034a00f300d06096086480165030402010"
		"500a11c301a06092a864886f70d010108300d060960864801650304020105"
		"00a203020121", /* PSS: salt of 33 */
	};
	struct buf b = {0};

	(void)state;
	for (int a = SIG_ECDSA_SHA256; a <= SIG_ED25519; a++) {
		struct slice der = sig_alg_get_der((enum sig_alg)a);

		assert_true(der.len > 0);
		assert_int_equal(sig_alg_of_der(der), a);
		assert_int_equal(sig_alg_of_der(slice_sub(der, 0, der.len - 1)),
				 SIG_NONE);
		assert_string_not_equal(sig_alg_name((enum sig_alg)a), "none");
	}
	for (size_t i = 0; i < COUNT_OF(refused); i++)
		assert_int_equal(sig_alg_of_der(hex_set(&b, refused[i])),
				 SIG_NONE);
	/* RFC 4055 5: readers take RSA without its NULL. */
	assert_int_equal(
		sig_alg_of_der(hex_set(&b, "300b06092a864886f70d01010b")),
		SIG_RSA_SHA256);
	assert_int_equal(sig_alg_get_der(SIG_NONE).len, 0);
	assert_string_equal(sig_alg_name(SIG_NONE), "none");
	buf_fini(&b);
}

static void
an_ed25519_key_with_which_anybody_can_sign_is_refused(void **state)
{
	static const char prefix[] = "302a300506032b6570032100";
	static const struct {
		const char *first, *fill, *last;
		bool good;
	} rows[] = {
		{"01", "00", "00", false}, /* order 1 */
		{"01", "00", "80", false}, /* the same, x is minus zero */
		{"00", "00", "00", false}, /* order 4 */
		{"00", "00", "80", false}, {"ec", "ff", "7f", false}, /* 2 */
		{"ec", "ff", "ff", false}, {"ed", "ff", "7f", false}, /* p */
		{"ee", "ff", "ff", false}, {"ff", "ff", "7f", false},
		{"03", "00", "00", true},  {"eb", "ff", "7f", true},
		{"00", "ff", "7f", true},  {"01", "00", "01", true},
	};
	struct why why;
	char hex[128];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		enum err ret;
		int at = snprintf(hex, sizeof(hex), "%s%s", prefix,
				  rows[i].first);

		for (int n = 0; n < 30; n++)
			at += snprintf(hex + at, 3, "%s", rows[i].fill);
		(void)snprintf(hex + at, 3, "%s", rows[i].last);
		ret = parse_hex(hex, &why);
		assert_int_equal(ret, rows[i].good ? ERR_OK : ERR_SYNTAX);
		assert_true(rows[i].good == (strstr(why_text(&why, ret),
						    "small order") == NULL));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ecdsa_vector_of_rfc_6979_verifies),
		cmocka_unit_test(
			every_flipped_bit_of_an_ecdsa_signature_is_refused),
		cmocka_unit_test(
			ecdsa_signatures_out_of_range_or_not_der_are_refused),
		cmocka_unit_test(
			raw_ecdsa_signatures_have_exactly_two_coordinates),
		cmocka_unit_test(the_ed25519_vectors_of_rfc_8032_verify),
		cmocka_unit_test(
			an_ed25519_key_with_which_anybody_can_sign_is_refused),
		cmocka_unit_test(
			signatures_made_by_openssl_verify_with_their_own_algorithm_only),
		cmocka_unit_test(
			algorithms_of_another_kind_of_key_are_a_mismatch),
		cmocka_unit_test(pss_salts_of_another_length_are_refused),
		cmocka_unit_test(
			points_that_are_not_plain_and_on_the_curve_are_refused),
		cmocka_unit_test(malformed_key_infos_are_refused),
		cmocka_unit_test(
			foreign_algorithms_and_parameters_are_named_and_unsupported),
		cmocka_unit_test(
			rsa_exponents_are_reported_and_bad_ones_are_not_computed_with),
		cmocka_unit_test(
			rsa_sizes_and_numbers_out_of_bounds_are_refused),
		cmocka_unit_test(keys_are_built_from_the_numbers_of_a_jwk),
		cmocka_unit_test(each_algorithm_has_one_encoding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
