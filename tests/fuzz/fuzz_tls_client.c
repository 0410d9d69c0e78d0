/* fuzz_tls_client.c - bytes of anybody's server to a TLS client that expects a
 * name and an identity. A TLS 1.2 server shows its certificate in clear, so
 * that what it shows is judged too. */
#include "tls_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Each makes keys. */
extern const unsigned fuzz_exec_max;
const unsigned fuzz_exec_max = 20000;

/* Made once for all inputs. */
static struct tls_ctx *ctx;

static void
make_ctx(void)
{
	static const struct tls_ctx_opts opts = {
		.role = TLS_CLIENT,
		.peer = TLS_PEER_REQUIRED,
		.alpn = tls_fuzz_alpn,
	};
	struct test_ca ca;

	tls_fuzz_ca(&ca);
	must(tls_ctx_new(&opts, &ctx) == ERR_OK);
	tls_fuzz_trust(ctx, &ca);
	test_ca_fini(&ca);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (ctx == NULL)
		make_ctx();
	tls_fuzz(ctx, "db.x.svc,spiffe://a.test/x", slice_of(data, size));
	return 0;
}
