/* fuzz_delta_request.c - what proxies ask on DeltaSecrets. */
#include "sds_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sds_fuzz(slice_of(data, size), true);
	return 0;
}
