/* fuzz_tls_client.c - bytes of anybody's server to a TLS client that expects a
 * name and an identity, whole or in pieces (the first byte says how large, 0:
 * whole). A TLS 1.2 server shows its certificate in clear, so that what it
 * shows is judged too. */
#include "../unit/test_certs.h"
#include "tls/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Each makes keys. */
extern const unsigned fuzz_exec_max;
const unsigned fuzz_exec_max = 20000;

/* Made once for all inputs. */
static struct tls_ctx *ctx;

static void
make_ctx(void)
{
	static const char *const alpn[] = {"h2", NULL};
	static const struct tls_ctx_opts opts = {
		.role = TLS_CLIENT,
		.peer = TLS_PEER_REQUIRED,
		.alpn = alpn,
	};
	static struct test_ca ca;
	struct pki_bundle *bundle;
	struct tls_trust *trust;
	struct slice der;

	test_ca_init(&ca, "a.test");
	der = buf_get(&ca.cert);
	must(pki_bundle_new(SLICE_LIT("a.test"), &der, 1, NULL, &bundle) ==
	     ERR_OK);
	trust = tls_trust_new(bundle, 16);
	must(tls_ctx_new(&opts, &ctx) == ERR_OK);
	tls_ctx_set_trust(ctx, trust);
	tls_trust_unref(trust);
	pki_bundle_unref(bundle);
}

static struct wall
test_now(void)
{
	return wall_of_sec(TEST_NOW_SEC);
}

/* Nobody without a key below our root gets through a handshake. */
static void
on_data(void *arg, struct slice bytes)
{
	(void)bytes;
	must(arg != NULL); /* never */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct tls_conn_cbs cbs = {.on_data = on_data};
	struct slice in = slice_of(data, size);
	struct why why = {""};
	struct tls_conn *c;
	size_t step;
	enum err e;

	if (size == 0)
		return 0;
	if (ctx == NULL)
		make_ctx();
	step = data[0] == 0 ? size : data[0];
	in = slice_sub(in, 1, in.len);
	must(tls_conn_new(ctx, "db.x.svc,spiffe://a.test/x", test_now, &cbs,
			  NULL, &c) == ERR_OK);
	e = tls_conn_start(c, &why);
	must(e == ERR_OK);
	while (in.len != 0 && e == ERR_OK) {
		e = tls_conn_feed(c, slice_sub(in, 0, step), &why);
		tls_conn_consume(c, tls_conn_get_output(c).len);
		in = slice_sub(in, step, in.len);
	}
	must(e == ERR_OK || e == ERR_CLOSED || why.text[0] != '\0');
	must(!tls_conn_is_ready(c) && !tls_conn_get_peer(c)->verified);
	tls_conn_free(c);
	return 0;
}
