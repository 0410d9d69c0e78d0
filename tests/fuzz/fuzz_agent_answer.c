/* fuzz_agent_answer.c - what a CA answers to the agent.
 *
 * The time and the key that are wanted come from the answer's own leaf, where
 * it has one: no mutation would hit them. */
#include "base/mem.h"

/* A program's file, not of the library. */
#include "../../cmd/agent/answer.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct slice *entries, size_t cnt, const struct cert *leaf)
{
	const struct answer_wanted wanted = {
		.identity = SLICE_LIT("spiffe://td.test/ns/shop/sa/web"),
		.trust_domain = SLICE_LIT("td.test"),
		.spki = leaf->spki,
		.now = wall_add_sec(leaf->not_before, 3600),
	};
	struct why why = {""};
	struct answer a;

	if (answer_check(entries, cnt, &wanted, &why, &a) != ERR_OK) {
		must(why.text[0] != '\0');
		must(a.chain.cnt == 0 && a.roots == NULL);
		return;
	}
	must(a.chain.cnt > 0 && a.chain.cnt <= CHAIN_MAX);
	must(pki_bundle_count(a.roots) > 0);
	must(wall_is_before(wanted.now, a.not_after));
	answer_fini(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice in = slice_of(data, size);
	struct slice entries[ANSWER_ENTRIES_MAX];
	struct cert_list list = {0};
	struct cert leaf = {0};
	struct why why = {""};
	size_t cnt;

	if (answer_split(in, entries, &cnt, &why) != ERR_OK) {
		must(why.text[0] != '\0' && cnt == 0);
		return 0;
	}
	must(cnt >= 2 && cnt <= ANSWER_ENTRIES_MAX);
	for (size_t i = 0; i < cnt; i++)
		must(entries[i].len == 0 ||
		     (entries[i].p >= data &&
		      entries[i].p + entries[i].len <= data + size));
	if (cert_list_read_pem(entries[0], CHAIN_MAX, NULL, &list) == ERR_OK &&
	    cert_parse(cert_list_get(&list, 0), NULL, &leaf) != ERR_OK)
		leaf = (struct cert){0};
	check(entries, cnt, &leaf);
	cert_list_free(&list);
	return 0;
}
