/* fuzz_control.c - what a role reads on its control channel, behind the frame:
 * how to confine itself (there is one encoding only), and the names of the
 * descriptors that it is given. The first byte is the type. */
#include <string.h>

#include "ipc/confine.h"
#include "ipc/control.h"
#include "ipc/role.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_confine(struct slice in)
{
	struct sandbox_ask ask;
	struct buf again;

	if (confine_read(in, &ask) != ERR_OK)
		return;
	must(ask.read_cnt <= SANDBOX_READ_MAX);
	buf_init(&again, in.len);
	must(confine_write(&again, &ask) == ERR_OK);
	must(slice_is_eq(buf_get(&again), in));
	buf_fini(&again);
}

static void
read_name(struct slice in)
{
	char text[CONTROL_NAME_MAX];
	char peer[32];
	unsigned index;

	if (in.len >= sizeof(text))
		return;
	memcpy(text, in.p, in.len);
	text[in.len] = '\0';
	if (role_is_link(text, peer, &index))
		must(peer[0] != '\0' && memchr(peer, 0, sizeof(peer)) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	uint8_t type;

	if (slice_read_u8(&in, &type) != ERR_OK)
		return 0;
	if (type == CONTROL_CONFINE)
		read_confine(in);
	else if (type == CONTROL_GIVE && in.len > 0)
		read_name(in);
	return 0;
}
