/* fuzz_chain.c - chains from anywhere: DER certificates one after the other,
 * the last of them is the anchor. The search must end within its bounds
 * whatever it is given; the rules are also run on the certificates as they
 * stand, since no mutation would get past the signatures. */
#include <stdint.h>

#include "crypto/der.h"
#include "pki/chain_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Each verifies signatures. */
extern const unsigned fuzz_exec_max;
const unsigned fuzz_exec_max = 20000;

static const struct chain_opts ways[] = {
	{.purpose = CHAIN_TLS_CLIENT, .spiffe = true},
	{.purpose = CHAIN_TLS_SERVER, .host = "a.b"},
	{.purpose = CHAIN_ANY, .warn_rules = CHAIN_WARN_ALL},
};

static void
search(const struct pki_bundle *b, const struct slice *ders, size_t cnt,
       struct wall at)
{
	struct chain_result r;

	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct why why = {""};
		enum err e = chain_verify(b, ders, cnt, &ways[i], at, &why, &r);

		must((e == ERR_OK) == (why.text[0] == '\0'));
		must(r.paths <= CHAIN_PATHS_MAX);
		must(r.signatures <= CHAIN_SIGNATURES_MAX);
		must((r.warned_rules & ~ways[i].warn_rules) == 0);
		must(e != ERR_OK || r.path_len <= cnt + 1);
	}
}

static void
run_rules(const struct cert *certs, size_t cnt)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct chain_path p = {
			.cnt = cnt,
			.is_pinned = cnt == 1,
			.opts = &ways[i],
			.trust_domain = SLICE_LIT("td"),
		};
		struct chain_result r = {0};
		struct why why = {""};
		enum err e;

		for (size_t k = 0; k < cnt; k++) {
			p.certs[k] = &certs[k];
			p.index[k] = k;
		}
		e = chain_rules_check(&p, &why, &r);
		must((e == ERR_OK) == (why.text[0] == '\0'));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cert certs[CHAIN_CERTS_MAX + 1];
	struct slice in = slice_of(data, size);
	struct slice ders[CHAIN_CERTS_MAX + 1];
	struct pki_bundle *b = NULL;
	size_t cnt = 0;

	while (cnt < COUNT_OF(ders) && in.len != 0) {
		if (der_read_element(&in, NULL, &ders[cnt]) != ERR_OK ||
		    cert_parse(ders[cnt], NULL, &certs[cnt]) != ERR_OK)
			return 0;
		cnt++;
	}
	if (cnt == 0)
		return 0;
	run_rules(certs, cnt);
	if (pki_bundle_new(SLICE_LIT("td"), &ders[cnt - 1], 1, NULL, &b) ==
	    ERR_OK)
		search(b, ders, cnt > 1 ? cnt - 1 : 1, certs[0].not_before);
	pki_bundle_unref(b);
	return 0;
}
