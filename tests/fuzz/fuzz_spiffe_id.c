/* fuzz_spiffe_id.c - what is taken is canonical: made of the bytes of the
 * standard, the sum of its parts, and the same when it is built again. */
#include <stdint.h>

#include "pki/spiffe_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must_be_canonical(const struct spiffe_id *id)
{
	must(id->text.len <= SPIFFE_ID_MAX && id->trust_domain.len > 0);
	must(id->text.len == 9 + id->trust_domain.len + id->path.len);
	must(spiffe_trust_domain_check(id->trust_domain, NULL) == ERR_OK);
	for (size_t i = 0; i < id->text.len; i++) {
		uint8_t c = id->text.p[i];

		must((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		     c == '.' || c == '-' || c == '_' || c == '/' ||
		     (c == ':' && i == 6) ||
		     (c >= 'A' && c <= 'Z' && i >= 9 + id->trust_domain.len));
	}
	must(!slice_has_suffix(id->path, "/") &&
	     !slice_has_suffix(id->path, "/..") &&
	     !slice_has_suffix(id->path, "/."));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);
	struct why why = {""};
	struct slice ns, sa;
	struct spiffe_id id;
	struct buf b;

	if (spiffe_id_parse(text, &why, &id) != ERR_OK) {
		must(why.text[0] != '\0');
		return 0;
	}
	must_be_canonical(&id);
	if (spiffe_id_get_k8s(&id, &ns, &sa) != ERR_OK)
		return 0;
	buf_init(&b, SPIFFE_ID_MAX);
	must(spiffe_id_build_k8s(id.trust_domain, ns, sa, NULL, &b) == ERR_OK);
	must(slice_is_eq(buf_get(&b), text));
	buf_fini(&b);
	return 0;
}
