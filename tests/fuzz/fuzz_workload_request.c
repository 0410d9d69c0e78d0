/* fuzz_workload_request.c - what workloads ask of the Workload API. */
#include "workload/workload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct why why = {""};
	const enum err e = workload_request_check(slice_of(data, size), &why);

	must((e == ERR_OK) == (why.text[0] == '\0'));
	must(size > 0 || e == ERR_OK);
	return 0;
}
