/* fuzz_sds_request.c - what proxies ask on StreamSecrets and FetchSecrets. */
#include "sds_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sds_fuzz(slice_of(data, size), false);
	return 0;
}
