/* fuzz_inspect.c - what meshcert inspect shows of a file of strangers: PEM,
 * DER, and (the first byte says so) a Kubernetes manifest. What is shown is
 * text without control characters, and JSON that can be read. */
#include <stdint.h>

#include "meshcert/inspect_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Each is shown twice. */
extern const unsigned fuzz_exec_max;
const unsigned fuzz_exec_max = 60000;

enum {
	OUT_MAX = 8 << 20,
	NOW_SEC = 1800000000
};

static void
check_text(struct slice out)
{
	for (size_t i = 0; i < out.len; i++)
		must(out.p[i] == '\n' ||
		     (out.p[i] >= 0x20 && out.p[i] != 0x7f));
}

static void
show(struct slice in, bool is_manifest, bool as_json)
{
	struct inspect shown = {.as_json = as_json, .at = wall_of_sec(NOW_SEC)};
	struct why why = {""};
	struct json *json = NULL;
	enum err e;

	buf_init(&shown.out, OUT_MAX);
	jsonw_init(&shown.w, &shown.out);
	if (as_json)
		jsonw_array_open(&shown.w);
	if (is_manifest) {
		e = inspect_manifest(&shown, "x.yaml", in, &why);
		must((e == ERR_OK) == (why.text[0] == '\0'));
	} else {
		inspect_put_text(&shown, "x", in);
	}
	if (as_json)
		jsonw_array_close(&shown.w);
	if (!as_json)
		check_text(buf_get(&shown.out));
	else if (!buf_has_failed(&shown.out))
		must(json_parse(buf_get(&shown.out), NULL, &json) == ERR_OK);
	json_free(json);
	buf_fini(&shown.out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	uint8_t first;

	if (slice_read_u8(&in, &first) != ERR_OK)
		return 0;
	show(in, (first & 1) != 0, false);
	show(in, (first & 1) != 0, true);
	return 0;
}
