/* sds_fuzz.h - reading one SDS request and checking what the reader promises.
 */
#ifndef SDS_FUZZ_H
#define SDS_FUZZ_H

#include "sds/sds_int.h"

static void
sds_fuzz_inside(struct slice part, struct slice all)
{
	must(part.len == 0 ||
	     (part.p >= all.p && part.p + part.len <= all.p + all.len));
}

static size_t
sds_fuzz_names(const struct sds_request *r, bool drop)
{
	struct slice cursor = r->raw;
	struct slice name;
	struct why why;
	size_t cnt = 0;

	while (sds_request_next(r, drop, &cursor, &name)) {
		sds_fuzz_inside(name, r->raw);
		/* A name that may be asked for can be a C string. */
		if (sds_name_check(name, &why) == ERR_OK)
			must(slice_find(name, 0) == name.len &&
			     name.len <= SDS_NAME_MAX);
		cnt++;
	}
	return cnt;
}

static void
sds_fuzz(struct slice in, bool delta)
{
	struct sds_request r;
	struct why why = {""};

	if (sds_request_parse(in, delta, &why, &r) != ERR_OK) {
		must(why.text[0] != '\0');
		return;
	}
	sds_fuzz_inside(r.node_id, in);
	sds_fuzz_inside(r.type_url, in);
	sds_fuzz_inside(r.nonce, in);
	sds_fuzz_inside(r.error_text, in);
	sds_fuzz_inside(r.first_name, in);
	must(r.name_cnt <= SDS_NAMES_MAX && r.drop_cnt <= SDS_NAMES_MAX);
	must(sds_fuzz_names(&r, false) == r.name_cnt);
	must(sds_fuzz_names(&r, true) == r.drop_cnt);
	must(delta || r.drop_cnt == 0);
}

#endif
