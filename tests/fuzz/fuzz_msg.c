/* fuzz_msg.c - messages between the roles of the authority: the first byte is
 * the type, the payload follows. What is read must be written back as the same
 * bytes: there is one encoding only. */
#include <stdint.h>

#include "ca/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TRY(name)                                             \
	do {                                                  \
		struct msg_##name m;                          \
		if (msg_##name##_read(in, &m) == ERR_OK) {    \
			msg_##name##_write(&out, &m);         \
			must(!buf_has_failed(&out));          \
			must(slice_is_eq(buf_get(&out), in)); \
		}                                             \
	} while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	uint8_t type = 0;
	struct buf out;

	if (slice_read_u8(&in, &type) != ERR_OK)
		return 0;
	buf_init(&out, MSG_FRAME_MAX);
	switch (type) {
	case MSG_ISSUE:
		TRY(issue);
		break;
	case MSG_RESULT:
		TRY(result);
		break;
	case MSG_CHAIN:
		TRY(chain);
		break;
	case MSG_SIGN:
		TRY(sign);
		break;
	case MSG_SIGNED:
		TRY(signed);
		break;
	case MSG_SIGN_HEAD:
		TRY(head);
		break;
	case MSG_FETCH:
		TRY(fetch);
		break;
	case MSG_FETCHED:
		TRY(fetched);
		break;
	default:
		break;
	}
	buf_fini(&out);
	return 0;
}
