/* fuzz_pbscan.c - the walk over fields uses all bytes or says why not, and the
 * check stays within its limits. */
#include "grpc/pbscan.h"
#include "proto/google_protobuf.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pbscan_limits limits = {4, 20};
	struct slice in = slice_of(data, size);
	struct pbscan_field f;
	struct why why;
	size_t before = in.len;
	enum err e;

	while ((e = pbscan_next(&in, &f)) == ERR_OK) {
		must(in.len < before);
		must(f.bytes.len <= size);
		before = in.len;
	}
	must((e == ERR_NOT_FOUND) == (in.len == 0));
	e = pbscan_find(slice_of(data, size), 1, PBSCAN_BYTES, &f);
	must(e == ERR_OK || e == ERR_NOT_FOUND || e == ERR_SYNTAX);
	e = pbscan_check(&google__protobuf__struct__descriptor,
			 slice_of(data, size), &limits, &why);
	must(e == ERR_OK || e == ERR_SYNTAX || e == ERR_LIMIT);
	return 0;
}
