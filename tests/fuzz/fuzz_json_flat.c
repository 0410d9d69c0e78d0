/* fuzz_json_flat.c - any bytes as JSON, read in place and as a tree: both take
 * it or both refuse it, and both have the same in it. */
#include "base/json.h"
#include "base/json_flat.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
compare(const struct json_flat *f, const struct json_value *v,
	const struct json *tree)
{
	int64_t a = 0;
	int64_t b = 0;

	must(v != NULL && tree != NULL);
	must(json_flat_is(v, JSON_FLAT_OBJECT) == json_is_object(tree));
	must(json_flat_is(v, JSON_FLAT_ARRAY) == json_is_array(tree));
	must(json_flat_is(v, JSON_FLAT_STRING) == json_is_string(tree));
	must(slice_is_eq(json_flat_str(f, v), json_str(tree)));
	must(json_flat_int(f, v, &a) == json_int(tree, &b) && a == b);
}

/* Each value of the flat form, beside the one of the same place in the tree. */
static void
walk(const struct json_flat *f, const struct json_value *v,
     const struct json *tree)
{
	size_t cnt = 0;

	compare(f, v, tree);
	if (!json_is_object(tree) && !json_is_array(tree))
		return;
	for (const struct json_value *one = json_flat_first(f, v); one != NULL;
	     one = json_flat_next(f, v, one), cnt++) {
		char *key;

		if (json_is_array(tree)) {
			walk(f, one, json_at(tree, cnt));
			continue;
		}
		key = mem_dup_slice_str(
			slice_of(f->text + one->key_at, one->key_len));
		must(json_flat_get(f, v, key) == one);
		walk(f, one, json_get(tree, key));
		mem_free(key);
	}
	must(cnt == json_count(tree));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_flat *flat = MEM_NEW(struct json_flat);
	struct why why = {{0}};
	struct json *tree = NULL;
	struct buf text;
	enum err tree_err;
	enum err ret;

	buf_init(&text, size + 1);
	must(buf_put(&text, slice_of(data, size)) == ERR_OK);
	tree_err = json_parse(slice_of(data, size), NULL, &tree);
	ret = json_flat_parse(&text, &why, flat);
	must(ret == ERR_OK || why.text[0] != '\0');
	/* Its bounds are narrower, and jansson passes over a NUL behind a
	 * number. */
	if (ret != ERR_LIMIT) {
		must((ret == ERR_OK) == (tree_err == ERR_OK) ||
		     (ret != ERR_OK &&
		      slice_find(slice_of(data, size), 0) != size));
		if (ret == ERR_OK)
			walk(flat, json_flat_root(flat), tree);
	}
	json_free(tree);
	buf_fini(&text);
	mem_free(flat);
	return 0;
}
