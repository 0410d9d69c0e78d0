/* fuzz_pb_workload.c - requests of workloads, of health checks and of the
 * command line. */
#include "pb_fuzz.h"
#include "proto/admin.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/workload.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice in = slice_of(data, size);

	pb_fuzz(&workload__x509_svidrequest__descriptor, in);
	pb_fuzz(&workload__jwtsvidrequest__descriptor, in);
	pb_fuzz(&workload__validate_jwtsvidrequest__descriptor, in);
	pb_fuzz(&workload__x509_svidresponse__descriptor, in);
	pb_fuzz(&grpc__health__v1__health_check_request__descriptor, in);
	pb_fuzz(&meshcert__admin__v1__create_token_request__descriptor, in);
	pb_fuzz(&meshcert__admin__v1__status_response__descriptor, in);
	return 0;
}
