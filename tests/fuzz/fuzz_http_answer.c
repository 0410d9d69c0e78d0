/* fuzz_http_answer.c - HTTP/1 answers of strangers: the first byte says where
 * the bytes are cut in two. */
#include <stddef.h>
#include <stdint.h>

#include "http/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct http_answer *a;
	struct buf body;
	size_t cut;
	enum err e;

	if (size == 0)
		return 0;
	cut = data[0];
	in = slice_sub(in, 1, in.len);
	buf_init(&body, 64);
	a = http_answer_new(&body);
	e = http_answer_feed(a, slice_sub(in, 0, cut), NULL);
	if (e == ERR_OK)
		e = http_answer_feed(a, slice_sub(in, cut, in.len), NULL);
	if (e == ERR_OK)
		e = http_answer_end(a, NULL);
	must(e != ERR_OK || http_answer_is_done(a));
	must(!http_answer_is_done(a) || http_answer_status(a) >= 200);
	must(buf_len(&body) <= 64);
	http_answer_free(a);
	buf_fini(&body);
	return 0;
}
