/* fuzz_csr.c - requests in DER and in PEM: what is read lies within the input,
 * what is refused has a reason. */
#include <stdint.h>

#include "pki/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must_lie_within(struct slice part, struct slice whole)
{
	must(part.len == 0 ||
	     (part.p >= whole.p && part.p + part.len <= whole.p + whole.len));
}

static void
read_der(struct slice der)
{
	struct pubkey *key = NULL;
	struct why why = {""};
	struct csr csr;

	if (csr_parse(der, &why, &csr) != ERR_OK) {
		must(why.text[0] != '\0' && csr.info.p == NULL);
		return;
	}
	must_lie_within(csr.info, der);
	must_lie_within(csr.subject, csr.info);
	must_lie_within(csr.spki, csr.info);
	must_lie_within(csr.san.raw, csr.info);
	must_lie_within(csr.signature, der);
	must(csr.alg != SIG_NONE && csr.san.cnt <= SAN_MAX);
	if (pubkey_parse(csr.spki, NULL, &key) != ERR_OK)
		return;
	if (csr_verify(&csr, key, &why) == ERR_OK)
		must(csr.signature.len > 0);
	else
		must(why.text[0] != '\0');
	pubkey_free(key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct why why = {""};
	struct buf der;

	read_der(in);
	buf_init(&der, CSR_MAX);
	if (csr_read_pem(in, &der, &why) == ERR_OK)
		read_der(buf_get(&der));
	else
		must(buf_len(&der) == 0 && why.text[0] != '\0');
	buf_fini(&der);
	return 0;
}
