/* fuzz_h2_client.c - bytes of a server into a gRPC client with three calls
 * under way: one to be answered, one that streams, one that is given up.
 * Whatever comes, each call that was not given up ends once. */
#include "base/attr.h"
#include "h2_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	CALLS = 3,
	ANSWER_MAX = 1000
};

static struct {
	struct grpc_request *call[CALLS];
	unsigned ended[CALLS];
} now;

static size_t
index_of(const struct grpc_request *r)
{
	for (size_t i = 0; i < CALLS; i++) {
		if (now.call[i] == r)
			return i;
	}
	must(r == NULL); /* never: a call that we did not start */
	return 0;
}

static void
on_message(void *arg UNUSED, struct grpc_request *r, struct slice message)
{
	must(message.len <= ANSWER_MAX && now.ended[index_of(r)] == 0);
}

static void
on_finish(void *arg UNUSED, struct grpc_request *r,
	  enum grpc_status status UNUSED, const char *text)
{
	size_t i = index_of(r);

	must(text != NULL);
	now.ended[i]++;
	now.call[i] = NULL;
}

static void
start(struct grpc_client *g, size_t i, bool half_close)
{
	static const struct grpc_request_cbs cbs = {.on_message = on_message,
						    .on_finish = on_finish};
	const struct h2_header header = {SLICE_LIT("authorization"),
					 SLICE_LIT("Bearer x")};

	now.ended[i] = 0;
	must(grpc_client_start(g, "/s/m", &header, 1, SLICE_LIT("hello"),
			       half_close, 1000, ANSWER_MAX, &cbs, NULL,
			       &now.call[i]) == ERR_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct mono at = {1};
	struct grpc_client *g;
	struct buf out;

	must(grpc_client_new("a.test", true, &h2_fuzz_limits, &g) == ERR_OK);
	buf_init(&out, 100000);
	start(g, 0, true);
	start(g, 1, false);
	start(g, 2, true);
	(void)grpc_client_take_output(g, &out, H2_FUZZ_TAKE_MAX);
	(void)grpc_client_feed(g, slice_of(data, size / 2), at);
	if (now.call[1] != NULL)
		(void)grpc_request_send(now.call[1], SLICE_LIT("more"));
	if (now.call[2] != NULL)
		grpc_request_cancel(&now.call[2]);
	(void)grpc_client_feed(
		g, slice_sub(slice_of(data, size), size / 2, size), at);
	(void)grpc_client_take_output(g, &out, H2_FUZZ_TAKE_MAX);
	grpc_client_free(g, "the end");
	must(now.ended[0] == 1 && now.ended[1] == 1 && now.ended[2] <= 1);
	buf_fini(&out);
	return 0;
}
