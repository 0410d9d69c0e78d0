/* fuzz_ipc_frame.c - frames between our own processes. */
#include <stddef.h>
#include <stdint.h>

#include "ipc/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read must be what would be written. */
static void
check_round_trip(struct slice taken, const struct ipc_frame *f)
{
	struct buf b;

	buf_init(&b, taken.len);
	must(ipc_frame_write(&b, f->type, f->id, f->payload) == ERR_OK);
	must(slice_is_eq(buf_get(&b), taken));
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct ipc_frame f;

	for (;;) {
		struct slice before = in;
		enum err e = ipc_frame_read(&in, 256, &f);

		if (e != ERR_OK) {
			must(e == ERR_NOT_FOUND || e == ERR_PROTOCOL);
			must(in.len == before.len);
			return 0;
		}
		must(f.payload.len <= 256);
		check_round_trip(slice_sub(before, 0, before.len - in.len), &f);
	}
}
