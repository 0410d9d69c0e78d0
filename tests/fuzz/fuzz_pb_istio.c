/* fuzz_pb_istio.c - a certificate request as the CA gets it. */
#include "pb_fuzz.h"
#include "proto/istio_ca.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice in = slice_of(data, size);

	pb_fuzz(&istio__v1__auth__istio_certificate_request__descriptor, in);
	pb_fuzz(&istio__v1__auth__istio_certificate_response__descriptor, in);
	return 0;
}
