/* crypto_help.h - small helpers of the crypto tests: bytes from hexadecimal,
 * keys from it. */
#ifndef TESTS_CRYPTO_HELP_H
#define TESTS_CRYPTO_HELP_H

#include "base/buf.h"
#include "base/why.h"
#include "crypto/key.h"
#include "unit.h"

enum {
	HELP_MAX = 64 * 1024
};

UNUSED static unsigned
hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);

	assert_true(c != '\0' && at != NULL);
	return (unsigned)(at - digits);
}

/* Appends the bytes of a hexadecimal text; spaces are passed over. */
UNUSED static void
hex_put(struct buf *b, const char *hex)
{
	while (*hex != '\0') {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_int_equal(
			buf_put_u8(b, (uint8_t)(hex_digit(hex[0]) << 4 |
						hex_digit(hex[1]))),
			ERR_OK);
		hex += 2;
	}
}

/* The bytes in a buffer that is emptied first; borrowed from it. */
UNUSED static struct slice
hex_set(struct buf *b, const char *hex)
{
	if (b->max == 0)
		buf_init(b, HELP_MAX);
	buf_reset(b);
	hex_put(b, hex);
	return buf_get(b);
}

UNUSED static struct pubkey *
key_of_hex(const char *hex)
{
	struct pubkey *key = NULL;
	struct buf b = {0};
	struct why why = {0};

	if (pubkey_parse(hex_set(&b, hex), &why, &key) != ERR_OK)
		fail_msg("%s", why.text);
	buf_fini(&b);
	return key;
}

UNUSED static void
assert_slice_is_hex(struct slice got, const char *hex)
{
	struct buf want = {0};
	struct slice bytes = hex_set(&want, hex);

	assert_int_equal(got.len, bytes.len);
	if (bytes.len > 0)
		assert_memory_equal(got.p, bytes.p, bytes.len);
	buf_fini(&want);
}

#endif
