/* fuzz_pem.c - PEM and base64: both readers of PEM agree, what was read and
 * written again reads the same, and strict base64 has one text for each
 * byte string. */
#include <stdint.h>

#include "crypto/key.h"
#include "crypto/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	OUT_MAX = 1024 * 1024,
	LABEL_MAX = 64
};

static void
read_again(struct slice label, struct slice der)
{
	char name[LABEL_MAX + 1] = "";
	struct slice again_label;
	struct slice in;
	struct buf text;
	struct buf back;

	must(label.len <= LABEL_MAX);
	for (size_t i = 0; i < label.len; i++)
		name[i] = (char)label.p[i];
	buf_init(&text, OUT_MAX);
	buf_init(&back, OUT_MAX);
	must(pem_write(&text, name, der) == ERR_OK);
	in = buf_get(&text);
	must(pem_read(&in, &again_label, &back, NULL) == ERR_OK);
	must(slice_is_eq(again_label, label));
	must(slice_is_eq(buf_get(&back), der));
	must(in.len == 0);
	buf_fini(&text);
	buf_fini(&back);
}

static void
read_blocks(struct slice in)
{
	struct slice also = in;
	struct slice label;
	struct slice label2;
	struct why why;
	struct buf der;
	enum err e;

	buf_init(&der, OUT_MAX);
	do {
		struct secret *s = NULL;

		e = pem_read(&in, &label, &der, &why);
		must(pem_read_secret(&also, &label2, &s, &why) == e);
		must(also.p == in.p && also.len == in.len);
		if (e == ERR_OK) {
			must(secret_is_eq(s, buf_get(&der)));
			read_again(label, buf_get(&der));
		}
		secret_free(s);
	} while (e == ERR_OK);
	buf_fini(&der);
}

static void
read_base64(struct slice in)
{
	struct buf raw;
	struct buf text;

	buf_init(&raw, OUT_MAX);
	buf_init(&text, OUT_MAX);
	if (base64_read(in, &raw) == ERR_OK) {
		must(base64_write(&text, buf_get(&raw)) == ERR_OK);
		must(slice_is_eq(buf_get(&text), in));
	}
	buf_reset(&raw);
	buf_reset(&text);
	if (base64url_read(in, &raw) == ERR_OK) {
		must(base64url_write(&text, buf_get(&raw)) == ERR_OK);
		must(slice_is_eq(buf_get(&text), in));
	}
	buf_fini(&raw);
	buf_fini(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct privkey *key = NULL;

	if (size > OUT_MAX / 2)
		return 0;
	read_blocks(in);
	read_base64(in);
	if (privkey_parse_pem(in, NULL, &key) == ERR_OK)
		must(privkey_kind(key) != KEY_NONE);
	privkey_free(key);
	return 0;
}
