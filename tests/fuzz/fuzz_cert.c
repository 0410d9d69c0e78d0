/* fuzz_cert.c - certificates in DER and in PEM, and what is done with one that
 * was read: rules, text for people, a chain of it alone. */
#include <stdint.h>

#include "pki/cert.h"
#include "pki/chain.h"
#include "pki/spiffe_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must_lie_within(struct slice part, struct slice whole)
{
	must(part.len == 0 ||
	     (part.p >= whole.p && part.p + part.len <= whole.p + whole.len));
}

/* Its own anchor: the search and all rules run. */
static void
verify(struct slice der, const struct cert *c)
{
	struct chain_opts opts = {.purpose = CHAIN_TLS_SERVER, .host = "a.b"};
	struct pki_bundle *b = NULL;
	struct chain_result result;

	if (pki_bundle_new(SLICE_NONE, &der, 1, NULL, &b) != ERR_OK)
		return;
	opts.spiffe = c->san.uri_cnt > 0;
	if (chain_verify(b, &der, 1, &opts, c->not_before, NULL, &result) ==
	    ERR_OK)
		must(result.path_len >= 1 && result.anchor == 0);
	pki_bundle_unref(b);
}

static void
read_der(struct slice der)
{
	char text[CERT_TEXT_MAX];
	struct why why = {""};
	struct spiffe_id id;
	struct cert c;

	if (cert_parse(der, &why, &c) != ERR_OK) {
		must(why.text[0] != '\0' && c.der.p == NULL);
		return;
	}
	must_lie_within(c.tbs, der);
	must_lie_within(c.spki, c.tbs);
	must_lie_within(c.serial, c.tbs);
	must_lie_within(c.ski, c.tbs);
	must_lie_within(c.aki, c.tbs);
	must_lie_within(c.name_constraints, c.tbs);
	must_lie_within(c.san.raw, c.tbs);
	must_lie_within(c.signature, der);
	cert_describe(&c, text);
	must(slice_is_printable(slice_of_str(text)));
	cert_name_format(c.issuer, text);
	must(slice_is_printable(slice_of_str(text)));
	if (svid_check_leaf(&c, &why, &id) == ERR_OK)
		must(!c.is_ca && id.path.len > 0);
	verify(der, &c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct cert_list list;

	if (size > 0 && data[0] != '-') {
		read_der(in);
		return 0;
	}
	if (cert_list_read_pem(in, 4, NULL, &list) != ERR_OK)
		return 0;
	must(list.cnt >= 1 && list.cnt <= 4);
	for (size_t i = 0; i < list.cnt; i++)
		read_der(cert_list_get(&list, i));
	cert_list_free(&list);
	return 0;
}
