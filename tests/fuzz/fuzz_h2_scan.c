/* fuzz_h2_scan.c - where frames begin, and what each costs: read in pieces as
 * large as the first byte says, it is what is read from the whole, and what a
 * plain walk over the frames finds. */
#include "h2/h2_int.h"
#include "h2_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct h2 *
new_session(bool server)
{
	static const struct h2_cbs cbs = {0};
	struct h2_limits limits = h2_fuzz_limits;
	struct h2 *h;

	limits.cheap_frames_max = UINT32_MAX;
	must(h2_new(server, &limits, &cbs, NULL, &h) == ERR_OK);
	return h;
}

/* RFC 9113 4.1. */
static size_t
count_frames(struct slice in)
{
	const uint8_t *head;
	size_t cnt = 0;

	for (; in.len >= H2_HEAD_LEN; cnt++) {
		head = in.p;
		in = slice_sub(in,
			       H2_HEAD_LEN + ((size_t)head[0] << 16 |
					      (size_t)head[1] << 8 | head[2]),
			       in.len);
	}
	return cnt;
}

static void
scan(struct slice in, size_t step, bool server)
{
	const struct slice preface =
		SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	struct h2 *whole = new_session(server);
	struct h2 *pieces = new_session(server);
	const size_t cnt = count_frames(in);

	if (server) {
		h2_scan(whole, preface);
		h2_scan(pieces, preface);
	}
	h2_scan(whole, in);
	for (; in.len > 0; in = slice_sub(in, step, in.len))
		h2_scan(pieces, slice_sub(in, 0, step));
	must(whole->cheap == pieces->cheap);
	must(whole->scan.have == pieces->scan.have &&
	     whole->scan.skip == pieces->scan.skip);
	/* None costs more than a reset. */
	must(whole->cheap <= 3 * cnt);
	h2_free(whole);
	h2_free(pieces);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	uint8_t step;

	if (slice_read_u8(&in, &step) != ERR_OK)
		return 0;
	scan(in, step == 0 ? 1 : step, true);
	scan(in, step == 0 ? 1 : step, false);
	return 0;
}
