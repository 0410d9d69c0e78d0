/* grpc_retry.c - when to ask again, as those say and read it who follow
 * gRPC's retry design: the trailer grpc-retry-pushback-ms, in plain digits,
 * for the client library's own retries, and google.rpc.RetryInfo inside
 * grpc-status-details-bin for the application. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/pem.h"
#include "grpc/grpc.h"
#include "grpc/grpc_int.h"
#include "grpc/pbmem.h"
#include "proto/google_rpc.pb-c.h"

enum {
	INFO_MAX = 64,
	DETAILS_MAX = 2048,
	NS_PER_MS = 1000000
};

static enum err
pack_retry_info(uint64_t ms, struct buf *out)
{
	Google__Protobuf__Duration delay;
	Google__Rpc__RetryInfo info;

	google__protobuf__duration__init(&delay);
	google__rpc__retry_info__init(&info);
	delay.seconds = (int64_t)(ms / 1000);
	delay.nanos = (int32_t)(ms % 1000 * NS_PER_MS);
	info.retry_delay = &delay;
	return pbmem_pack(&info.base, out);
}

/* A client that reads the details takes code and text from there too. */
static enum err
pack_details(enum grpc_status status, const char *text, struct slice info,
	     struct buf *out)
{
	char type[] = "type.googleapis.com/google.rpc.RetryInfo";
	char message[GRPC_TEXT_MAX];
	uint8_t value[INFO_MAX];
	Google__Protobuf__Any any;
	Google__Protobuf__Any *details[] = {&any};
	Google__Rpc__Status all;

	google__protobuf__any__init(&any);
	google__rpc__status__init(&all);
	memcpy(value, info.p, info.len);
	(void)snprintf(message, sizeof(message), "%s", text);
	any.type_url = type;
	any.value.data = value;
	any.value.len = info.len;
	all.code = (int32_t)status;
	all.message = message;
	all.n_details = 1;
	all.details = details;
	return pbmem_pack(&all.base, out);
}

static void
add_details(struct grpc_call *call, enum grpc_status status, const char *text,
	    uint64_t ms)
{
	struct buf info, details, encoded;
	struct slice rest;
	char *value;

	buf_init(&info, INFO_MAX);
	buf_init(&details, DETAILS_MAX);
	buf_init(&encoded, 2 * DETAILS_MAX);
	if (pack_retry_info(ms, &info) == ERR_OK &&
	    pack_details(status, text, buf_get(&info), &details) == ERR_OK &&
	    base64_write(&encoded, buf_get(&details)) == ERR_OK) {
		rest = buf_get(&encoded);
		/* Binary headers go without padding. */
		while (rest.len > 0 && rest.p[rest.len - 1] == '=')
			rest.len--;
		value = mem_dup_slice_str(rest);
		grpc_call_add_trailer(call, "grpc-status-details-bin", value);
		mem_free(value);
	}
	buf_fini(&info);
	buf_fini(&details);
	buf_fini(&encoded);
}

void
grpc_call_finish_later(struct grpc_call *call, enum grpc_status status,
		       const char *text, uint64_t retry_ms)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%" PRIu64, retry_ms);
	grpc_call_add_trailer(call, "grpc-retry-pushback-ms", digits);
	add_details(call, status, text, retry_ms);
	grpc_call_finish(call, status, text);
}

uint64_t
grpc_retry_parse(struct slice value)
{
	uint64_t ms;

	/* "-1" and the like: do not retry by yourself. Nothing of ours does. */
	return slice_parse_u64(value, &ms) == ERR_OK ? ms : 0;
}
