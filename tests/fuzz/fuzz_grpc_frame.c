/* fuzz_grpc_frame.c - message framing, cut at a place that the first byte
 * names, gives the same messages as in one piece; timeouts, retry delays. */
#include "base/attr.h"
#include "grpc/grpc.h"
#include "grpc/grpc_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	MESSAGE_MAX = 512
};

struct sum {
	size_t cnt;
	size_t len;
	enum err end;
};

static void
read_all(struct grpc_reader *r, struct slice piece, struct sum *s)
{
	struct slice m;

	while ((s->end = grpc_reader_next(r, &piece, &m)) == ERR_OK) {
		must(m.len <= MESSAGE_MAX);
		s->cnt++;
		s->len += m.len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct grpc_reader r;
	struct sum whole = {0};
	struct sum cut = {0};
	char text[GRPC_TEXT_MAX];
	uint8_t at;
	uint64_t ms;

	if (slice_read_u8(&in, &at) != ERR_OK)
		return 0;
	grpc_text_decode(in, text);
	if (grpc_timeout_parse(in, &ms) == ERR_OK)
		must(ms <= 99999999ull * 3600 * 1000);
	(void)grpc_retry_parse(in);
	grpc_reader_init(&r, MESSAGE_MAX);
	read_all(&r, in, &whole);
	grpc_reader_fini(&r);
	grpc_reader_init(&r, MESSAGE_MAX);
	read_all(&r, slice_sub(in, 0, at), &cut);
	if (cut.end == ERR_NOT_FOUND)
		read_all(&r, slice_sub(in, at, in.len), &cut);
	grpc_reader_fini(&r);
	must(whole.cnt == cut.cnt && whole.len == cut.len &&
	     whole.end == cut.end);
	return 0;
}
