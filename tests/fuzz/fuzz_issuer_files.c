/* fuzz_issuer_files.c - a plugged-in set, as it lies in a Secret that others
 * write: the files one after the other, each a byte for its name (see names),
 * two for its length, and its bytes. What is taken can sign. */
#include <stdint.h>

#include "ca/issuer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Each signs. */
extern const unsigned fuzz_exec_max;
const unsigned fuzz_exec_max = 8000;

static const char *const names[] = {
	"ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem",
	"tls.crt",     "tls.key",    "ca.crt",         "ca-crl.pem"};

/* The seeds are made for this day. */
enum {
	NOW_SEC = 1800000000
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct issuer_file files[COUNT_OF(names)];
	struct slice chain[ISSUER_CHAIN_MAX];
	struct issuer *i = NULL;
	struct why why = {""};
	uint8_t which;
	uint16_t len;
	size_t cnt = 0;
	enum err e;

	while (cnt < COUNT_OF(files) && slice_read_u8(&in, &which) == ERR_OK &&
	       slice_read_u16(&in, &len) == ERR_OK) {
		files[cnt].name = names[which % COUNT_OF(names)];
		files[cnt++].bytes = slice_sub(in, 0, len);
		in = slice_sub(in, len, in.len);
	}
	e = issuer_open_files(files, cnt, SLICE_LIT("td.test"), CHAIN_WARN_ALL,
			      wall_of_sec(NOW_SEC), &why, &i);
	must((e == ERR_OK) == (i != NULL));
	must(e == ERR_OK || why.text[0] != '\0');
	if (e == ERR_OK) {
		must(issuer_get_chain(i, chain) <= ISSUER_CHAIN_MAX);
		must(pki_bundle_count(issuer_get_roots(i)) <= ISSUER_ROOTS_MAX);
		must(wall_is_before(wall_of_sec(NOW_SEC),
				    issuer_get_not_after(i)));
	}
	issuer_free(i);
	return 0;
}
