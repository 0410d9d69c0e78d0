/* fuzz_jwks.c - key sets from anywhere. */
#include "jose/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jwks *set;
	struct why why = {""};

	if (jwks_parse(slice_of(data, size), &why, &set) == ERR_OK) {
		must(jwks_count(set) > 0 && jwks_count(set) <= JWKS_KEYS_MAX);
		jwks_unref(set);
	} else {
		must(set == NULL && why.text[0] != '\0');
	}
	return 0;
}
