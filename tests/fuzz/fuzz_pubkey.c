/* fuzz_pubkey.c - an SPKI and a signature behind it (the first two bytes say
 * how long the SPKI is). What is read as a key is used with each algorithm;
 * nothing may verify but the message that the seeds signed. */
#include <stdint.h>

#include "crypto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	char text[KEY_TEXT_MAX];
	struct pubkey *k = NULL;
	struct privkey *priv = NULL;
	struct slice spki;
	uint16_t len = 0;

	/* As a private key too: the readers of both share their tables. */
	if (privkey_parse(in, NULL, &priv) == ERR_OK)
		must(privkey_kind(priv) != KEY_NONE);
	privkey_free(priv);
	if (slice_read_u16(&in, &len) != ERR_OK ||
	    slice_read_bytes(&in, len, &spki) != ERR_OK ||
	    pubkey_parse(spki, NULL, &k) != ERR_OK)
		return 0;
	pubkey_describe(k, text);
	must(pubkey_kind(k) != KEY_NONE && pubkey_bits(k) >= 256);
	for (int a = SIG_NONE; a <= SIG_ED25519; a++) {
		enum sig_alg alg = (enum sig_alg)a;

		must(pubkey_verify(k, alg, SLICE_LIT("never signed"), in) !=
		     ERR_OK);
		/* One signature is never both DER and raw. */
		must(pubkey_verify(k, alg, SLICE_LIT("sample"), in) != ERR_OK ||
		     pubkey_verify_raw_ecdsa(k, alg, SLICE_LIT("sample"), in) !=
			     ERR_OK);
		must(pubkey_verify_raw_ecdsa(k, alg, SLICE_LIT("never signed"),
					     in) != ERR_OK);
	}
	pubkey_free(k);
	return 0;
}
