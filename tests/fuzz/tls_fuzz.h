/* tls_fuzz.h - what the targets of TLS connections share: a root whose key the
 * seeds know, so that certificates below it can be judged to the end, and the
 * feeding. Include it once. */
#ifndef TLS_FUZZ_H
#define TLS_FUZZ_H

#include "../unit/test_certs.h"
#include "tls/tls.h"

static const char *const tls_fuzz_alpn[] = {"h2", NULL};

/* RFC 5915 in PKCS#8: a P-256 key whose number is 32 times 7. */
static const uint8_t tls_fuzz_key[] = {
	0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
	0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
	0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20, 7,
	7,    7,    7,    7,    7,    7,    7,    7,    7,    7,    7,    7,
	7,    7,    7,    7,    7,    7,    7,    7,    7,    7,    7,    7,
	7,    7,    7,    7,    7,    7,    7,
};

static void
tls_fuzz_ca(struct test_ca *ca)
{
	struct privkey *key;

	must(privkey_parse(SLICE_ARRAY(tls_fuzz_key), NULL, &key) == ERR_OK);
	test_ca_init_key(ca, "a.test", key);
}

/* Trusts that root, for SPIFFE IDs of its name. */
static void
tls_fuzz_trust(struct tls_ctx *ctx, const struct test_ca *ca)
{
	const struct slice der = buf_get(&ca->cert);
	struct pki_bundle *bundle;
	struct tls_trust *trust;

	must(pki_bundle_new(SLICE_LIT("a.test"), &der, 1, NULL, &bundle) ==
	     ERR_OK);
	trust = tls_trust_new(bundle, 16);
	tls_ctx_set_trust(ctx, trust);
	tls_trust_unref(trust);
	pki_bundle_unref(bundle);
}

static struct wall
tls_fuzz_now(void)
{
	return wall_of_sec(TEST_NOW_SEC);
}

/* Nobody who cannot sign our random numbers gets through a handshake. */
static void
tls_fuzz_on_data(void *arg, struct slice bytes)
{
	(void)bytes;
	must(arg != NULL); /* never */
}

/* Feeds it and frees it. The first byte says in pieces of which size, 0:
 * whole. name: see tls_conn_new; clients begin. */
static void
tls_fuzz(struct tls_ctx *ctx, const char *name, struct slice in)
{
	static const struct tls_conn_cbs cbs = {.on_data = tls_fuzz_on_data};
	struct why why = {""};
	struct tls_conn *c;
	enum err e = ERR_OK;
	uint8_t first;
	size_t step;

	if (slice_read_u8(&in, &first) != ERR_OK)
		return;
	step = first == 0 ? in.len : first;
	must(tls_conn_new(ctx, name, tls_fuzz_now, &cbs, NULL, &c) == ERR_OK);
	if (name != NULL)
		must(tls_conn_start(c, &why) == ERR_OK);
	while (in.len != 0 && e == ERR_OK) {
		e = tls_conn_feed(c, slice_sub(in, 0, step), &why);
		tls_conn_consume(c, tls_conn_get_output(c).len);
		in = slice_sub(in, step, in.len);
	}
	must(e == ERR_OK || e == ERR_CLOSED || why.text[0] != '\0');
	must(!tls_conn_is_ready(c) && !tls_conn_get_peer(c)->verified);
	tls_conn_free(c);
}

#endif
