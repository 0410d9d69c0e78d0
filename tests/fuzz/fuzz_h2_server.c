/* fuzz_h2_server.c - bytes of a client into a gRPC server. The preface is put
 * before them, so that the fuzzer starts behind it. */
#include "base/attr.h"
#include "base/mem.h"
#include "h2_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
on_open(void *app UNUSED, struct grpc_call *call)
{
	(void)grpc_call_get_header(call, "authorization", NULL);
	/* Freed in on_end: a call that ends twice or never shows. */
	grpc_call_set_app(call, mem_new(1));
}

static void
on_echo(void *app UNUSED, struct grpc_call *call, struct slice message)
{
	(void)grpc_call_send(call, message);
	grpc_call_finish(call, GRPC_OK, "done");
}

static void
on_keep(void *app UNUSED, struct grpc_call *call, struct slice message)
{
	(void)grpc_call_send2(call, message, message);
}

static void
on_end(void *app UNUSED, struct grpc_call *call)
{
	mem_free(grpc_call_get_app(call));
}

static const struct grpc_method methods[] = {
	{.path = "/a",
	 .request_max = 1000,
	 .on_open = on_open,
	 .on_message = on_echo,
	 .on_end = on_end},
	{.path = "/b",
	 .request_max = 1000,
	 .on_open = on_open,
	 .on_message = on_keep,
	 .on_end = on_end},
	{0},
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct grpc_server *g;
	struct buf out;
	struct mono now = {1};
	struct mono next;

	if (grpc_server_new(methods, &h2_fuzz_limits, NULL, &g) != ERR_OK)
		return 0;
	buf_init(&out, 100000);
	(void)grpc_server_feed(g, SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
			       now);
	/* In two pieces, output taken between them in a small one. */
	(void)grpc_server_feed(g, slice_of(data, size / 2), now);
	(void)grpc_server_take_output(g, &out, 100);
	(void)grpc_server_feed(
		g, slice_sub(slice_of(data, size), size / 2, size), now);
	now = mono_add_ms(now, 1000);
	(void)grpc_server_expire(g, now, &next);
	(void)grpc_server_take_output(g, &out, H2_FUZZ_TAKE_MAX);
	grpc_server_free(g);
	buf_fini(&out);
	return 0;
}
