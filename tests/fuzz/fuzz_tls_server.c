/* fuzz_tls_server.c - bytes from anybody to a TLS server, whole or in pieces
 * (the first byte says how large, 0: whole). */
#include "../unit/test_certs.h"
#include "tls/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made once for all inputs. */
static struct test_ca ca;
static struct tls_ctx *ctx;

static void
make_ctx(void)
{
	static const char *const alpn[] = {"h2", NULL};
	static const struct tls_ctx_opts opts = {
		.role = TLS_SERVER,
		.peer = TLS_PEER_OPTIONAL,
		.alpn = alpn,
	};
	struct custody_key *custody;
	struct tls_identity *id;
	struct pki_bundle *bundle;
	struct tls_trust *trust;
	struct privkey *key;
	struct slice der;
	struct buf cert;

	test_ca_init(&ca, "a.test");
	must(privkey_new(KEY_EC_P256, 0, &key) == ERR_OK);
	test_ca_issue(&ca, key, &(struct test_leaf){.uri = "spiffe://a.test/x"},
		      &cert);
	must(custody_memory_new(key, &custody) == ERR_OK);
	der = buf_get(&cert);
	must(tls_identity_new(&der, 1, custody, NULL, &id) == ERR_OK);
	der = buf_get(&ca.cert);
	must(pki_bundle_new(SLICE_LIT("a.test"), &der, 1, NULL, &bundle) ==
	     ERR_OK);
	trust = tls_trust_new(bundle, 16);
	must(tls_ctx_new(&opts, &ctx) == ERR_OK);
	tls_ctx_set_identity(ctx, id);
	tls_ctx_set_trust(ctx, trust);
	tls_identity_unref(id);
	tls_trust_unref(trust);
	pki_bundle_unref(bundle);
	custody_unref(custody);
	buf_fini(&cert);
}

static struct wall
test_now(void)
{
	return wall_of_sec(TEST_NOW_SEC);
}

/* Nobody without a key of ours gets through a handshake. */
static void
on_data(void *arg, struct slice bytes)
{
	(void)arg;
	(void)bytes;
	must(arg != NULL); /* never: no handshake was done */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct tls_conn_cbs cbs = {.on_data = on_data};
	struct slice in = slice_of(data, size);
	struct why why = {""};
	struct tls_conn *c;
	size_t step;
	enum err e = ERR_OK;

	if (size == 0)
		return 0;
	if (ctx == NULL)
		make_ctx();
	step = data[0] == 0 ? size : data[0];
	in = slice_sub(in, 1, in.len);
	must(tls_conn_new(ctx, NULL, test_now, &cbs, NULL, &c) == ERR_OK);
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
