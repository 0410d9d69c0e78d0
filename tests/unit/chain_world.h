/* chain_world.h - a good chain leaf < mid < root, and what a test changes of
 * it. Include it once. */
#ifndef CHAIN_WORLD_H
#define CHAIN_WORLD_H

#include "base/mem.h"
#include "cert_maker.h"
#include "pki/chain.h"

enum {
	LEAF = 0,
	MID,
	ROOT,
	OTHER,
	PARTS
};

#define ID "spiffe://td/ns/a/sa/b"

struct world {
	struct privkey *keys[PARTS];
	struct made specs[ROOT + 1];
	struct buf ders[ROOT + 1];
	struct pki_bundle *bundle;
	struct chain_opts opts;
	struct chain_result result;
	struct why why;
};

static int
setup(void **state)
{
	struct world *w = MEM_NEW(struct world);

	for (size_t i = 0; i < PARTS; i++)
		must(privkey_new(KEY_EC_P256, 0, &w->keys[i]) == ERR_OK);
	w->specs[LEAF] = (struct made){.issuer = "mid",
				       .key = w->keys[LEAF],
				       .signer = w->keys[MID],
				       .basic = true,
				       .usage = KU_LEAF,
				       .eku = "sc",
				       .uri = ID,
				       .ski = true,
				       .aki = true};
	w->specs[MID] = (struct made){.subject = "mid",
				      .issuer = "root",
				      .key = w->keys[MID],
				      .signer = w->keys[ROOT],
				      .is_ca = true,
				      .usage = KU_CA,
				      .from = -MADE_DAY,
				      .to = 10 * MADE_DAY,
				      .ski = true,
				      .aki = true};
	w->specs[ROOT] = w->specs[MID];
	w->specs[ROOT].subject = "root";
	w->specs[ROOT].key = w->keys[ROOT];
	w->opts = (struct chain_opts){.purpose = CHAIN_TLS_SERVER,
				      .spiffe = true};
	*state = w;
	return 0;
}

static void
forget(struct world *w)
{
	pki_bundle_unref(TAKE(w->bundle));
	for (size_t i = 0; i <= ROOT; i++)
		buf_fini(&w->ders[i]);
}

static int
teardown(void **state)
{
	struct world *w = *state;

	forget(w);
	for (size_t i = 0; i < PARTS; i++)
		privkey_free(w->keys[i]);
	mem_free(w);
	return 0;
}

static void
make(struct world *w)
{
	struct slice anchor;

	forget(w);
	for (size_t i = 0; i <= ROOT; i++)
		made_build(&w->specs[i], &w->ders[i]);
	anchor = buf_get(&w->ders[ROOT]);
	assert_int_equal(pki_bundle_new(SLICE_LIT("td"), &anchor, 1, &w->why,
					&w->bundle),
			 ERR_OK);
}

static enum err
verify_at(struct world *w, int64_t sec)
{
	struct slice chain[] = {buf_get(&w->ders[LEAF]),
				buf_get(&w->ders[MID])};

	w->why = (struct why){""};
	return chain_verify(w->bundle, chain, 2, &w->opts,
			    wall_of_sec(MADE_NOW + sec), &w->why, &w->result);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
