/* fuzz_json.c - any bytes as JSON; what is accepted is walked and its strings
 * are written and read again. */
#include <stdlib.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_string(struct slice s)
{
	struct buf out;
	struct jsonw w;
	struct json *again;

	buf_init(&out, 6 * s.len + 16);
	jsonw_init(&w, &out);
	jsonw_str(&w, s);
	if (json_parse(buf_get(&out), NULL, &again) != ERR_OK ||
	    !slice_is_eq(json_str(again), s))
		abort();
	json_free(again);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct why why = {{0}};
	struct json *root;
	int64_t v;

	if (json_parse(slice_of(data, size), &why, &root) != ERR_OK)
		return 0;
	(void)json_int(json_get_path(root, "'kubernetes.io'.exp"), &v);
	for (size_t i = 0; json_is_array(root) && i < json_count(root); i++) {
		const struct json *item = json_at(root, i);

		(void)json_int(item, &v);
		if (json_is_string(item))
			check_string(json_str(item));
	}
	json_free(root);
	return 0;
}
