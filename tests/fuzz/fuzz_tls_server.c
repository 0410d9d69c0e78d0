/* fuzz_tls_server.c - bytes from anybody to a TLS server. A TLS 1.2 client
 * shows its certificate in clear, whatever the server said, so that what it
 * shows is judged too. */
#include "tls_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made once for all inputs. */
static struct tls_ctx *ctx;

static void
make_ctx(void)
{
	static const struct tls_ctx_opts opts = {
		.role = TLS_SERVER,
		.peer = TLS_PEER_OPTIONAL,
		.alpn = tls_fuzz_alpn,
	};
	struct custody_key *custody;
	struct tls_identity *id;
	struct privkey *key;
	struct test_ca ca;
	struct slice der;
	struct buf cert;

	tls_fuzz_ca(&ca);
	must(privkey_new(KEY_EC_P256, 0, &key) == ERR_OK);
	test_ca_issue(&ca, key, &(struct test_leaf){.uri = "spiffe://a.test/x"},
		      &cert);
	must(custody_memory_new(key, &custody) == ERR_OK);
	der = buf_get(&cert);
	must(tls_identity_new(&der, 1, custody, NULL, &id) == ERR_OK);
	must(tls_ctx_new(&opts, &ctx) == ERR_OK);
	tls_ctx_set_identity(ctx, id);
	tls_fuzz_trust(ctx, &ca);
	tls_identity_unref(id);
	custody_unref(custody);
	buf_fini(&cert);
	test_ca_fini(&ca);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (ctx == NULL)
		make_ctx();
	tls_fuzz(ctx, NULL, slice_of(data, size));
	return 0;
}
