/* fuzz_san.c - names that were counted are there, within their bounds. */
#include <stdint.h>

#include "pki/san.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice der = slice_of(data, size);
	unsigned cnt = 0, uri_cnt = 0;
	struct why why = {""};
	struct san_name name;
	struct slice cursor;
	struct san san;

	if (san_parse(der, &why, &san) != ERR_OK) {
		must(why.text[0] != '\0' && san.cnt == 0);
		return 0;
	}
	cursor = san.raw;
	while (san_next(&cursor, &name)) {
		must(name.value.p >= data &&
		     name.value.p + name.value.len <= data + size);
		if (name.kind == SAN_URI && uri_cnt++ == 0)
			must(slice_is_eq(name.value, san.uri));
		must(name.kind != SAN_URI || san_has_uri(&san, name.value));
		cnt++;
	}
	must(cnt == san.cnt && uri_cnt == san.uri_cnt && cnt <= SAN_MAX);
	(void)san_has_host(&san, "db.x.svc");
	(void)san_has_host(&san, "127.0.0.1");
	return 0;
}
