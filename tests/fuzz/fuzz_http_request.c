/* fuzz_http_request.c - HTTP/1 requests of strangers. */
#include <stddef.h>
#include <stdint.h>

#include "http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_inside(struct slice part, const uint8_t *data, size_t size)
{
	/* The path may be the constant "/". */
	if (part.len == 0 || slice_is_str(part, "/"))
		return;
	must(part.p >= data && part.p + part.len <= data + size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct http_parsed p;

	for (;;) {
		struct slice before = in;
		enum err e = http_request_parse(&in, 64, &p);

		if (e != ERR_OK) {
			must(in.len == before.len);
			must((e == ERR_NOT_FOUND) == (p.status == 0));
			must(p.need == 0 || p.need > before.len);
			return 0;
		}
		must(in.len < before.len);
		must(p.rq.body.len <= 64);
		must(slice_find(p.rq.path, '?') == p.rq.path.len);
		check_inside(p.rq.path, data, size);
		check_inside(p.rq.query, data, size);
		check_inside(p.rq.body, data, size);
	}
}
