/* fuzz_privkey.c - private keys in DER, as files bring them. What is read signs
 * for its own public key, and is the same after each way of writing it. */
#include <stdint.h>

#include "crypto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Each signs. */
extern const unsigned fuzz_exec_max;
const unsigned fuzz_exec_max = 20000;

enum {
	OUT_MAX = 65536
};

static void
check_signature(const struct privkey *k, struct slice spki)
{
	enum sig_alg alg = privkey_default_alg(k);
	struct pubkey *pub = NULL;
	struct buf sig;

	/* What can be a private key and no public one: too small, too large. */
	if (pubkey_parse(spki, NULL, &pub) != ERR_OK)
		return;
	buf_init(&sig, OUT_MAX);
	must(privkey_sign(k, alg, SLICE_LIT("x"), &sig) == ERR_OK);
	must(pubkey_verify(pub, alg, SLICE_LIT("x"), buf_get(&sig)) == ERR_OK);
	buf_fini(&sig);
	pubkey_free(pub);
}

static void
check_export(const struct privkey *k, struct slice spki, enum privkey_form form)
{
	struct privkey *again = NULL;
	struct secret *out = NULL;
	struct buf same;

	if (privkey_export(k, form, &out) != ERR_OK)
		return;
	if (form == PRIVKEY_PKCS8_DER)
		must(privkey_parse(secret_get(out), NULL, &again) == ERR_OK);
	else
		must(privkey_parse_pem(secret_get(out), NULL, &again) ==
		     ERR_OK);
	buf_init(&same, OUT_MAX);
	must(privkey_get_spki(again, &same) == ERR_OK);
	must(slice_is_eq(buf_get(&same), spki));
	buf_fini(&same);
	privkey_free(again);
	secret_free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct privkey *k = NULL;
	struct why why = {""};
	struct buf spki;

	if (privkey_parse(slice_of(data, size), &why, &k) != ERR_OK) {
		must(k == NULL && why.text[0] != '\0');
		return 0;
	}
	buf_init(&spki, OUT_MAX);
	must(privkey_get_spki(k, &spki) == ERR_OK);
	check_signature(k, buf_get(&spki));
	check_export(k, buf_get(&spki), PRIVKEY_PKCS8_DER);
	check_export(k, buf_get(&spki), PRIVKEY_PKCS8_PEM);
	check_export(k, buf_get(&spki), PRIVKEY_TRADITIONAL_PEM);
	buf_fini(&spki);
	privkey_free(k);
	return 0;
}
