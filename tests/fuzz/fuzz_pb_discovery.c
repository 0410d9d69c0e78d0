/* fuzz_pb_discovery.c - what Envoy sends, and the secrets we send. */
#include "pb_fuzz.h"
#include "proto/discovery.pb-c.h"
#include "proto/secret.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice in = slice_of(data, size);

	pb_fuzz(&xds__discovery_request__descriptor, in);
	pb_fuzz(&xds__delta_discovery_request__descriptor, in);
	pb_fuzz(&xds__discovery_response__descriptor, in);
	pb_fuzz(&xds__secret__descriptor, in);
	return 0;
}
