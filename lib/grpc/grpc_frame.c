/* grpc_frame.c - message framing, status names, texts, timeouts: the parts of
 * gRPC that know nothing of streams. */
#include "grpc/grpc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "grpc/grpc_int.h"

/* -- status ------------------------------------------------------------ */

const char *
grpc_status_name(enum grpc_status s)
{
	static const char *const names[] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	return (size_t)s < COUNT_OF(names) ? names[s] : "UNKNOWN";
}

static enum grpc_status
status_of_class(enum err_class c)
{
	switch (c) {
	case ERR_CLASS_NONE:
		return GRPC_OK;
	case ERR_CLASS_PEER:
		return GRPC_INVALID_ARGUMENT;
	case ERR_CLASS_POLICY:
		return GRPC_PERMISSION_DENIED;
	case ERR_CLASS_ENV:
		return GRPC_UNAVAILABLE;
	case ERR_CLASS_LIMIT:
		return GRPC_RESOURCE_EXHAUSTED;
	case ERR_CLASS_BUG:
	default:
		return GRPC_INTERNAL;
	}
}

enum grpc_status
grpc_status_of_err(enum err e)
{
	switch (e) {
	case ERR_UNAUTHENTICATED:
		return GRPC_UNAUTHENTICATED;
	case ERR_UNSUPPORTED:
		return GRPC_UNIMPLEMENTED;
	case ERR_CLOSED:
		return GRPC_UNAVAILABLE;
	case ERR_NOT_FOUND:
		return GRPC_NOT_FOUND;
	case ERR_EXISTS:
		return GRPC_ALREADY_EXISTS;
	case ERR_TIMEOUT:
		return GRPC_DEADLINE_EXCEEDED;
	case ERR_CANCELLED:
		return GRPC_CANCELLED;
	case ERR_CONFIG:
		return GRPC_FAILED_PRECONDITION;
	default:
		return status_of_class(err_class(e));
	}
}

/* -- messages ---------------------------------------------------------- */

void
grpc_frame_prefix(uint8_t out[GRPC_PREFIX], size_t len)
{
	out[0] = 0;
	out[1] = (uint8_t)(len >> 24);
	out[2] = (uint8_t)(len >> 16);
	out[3] = (uint8_t)(len >> 8);
	out[4] = (uint8_t)len;
}

enum err
grpc_frame_read(struct slice *in, size_t max, struct slice *message)
{
	struct slice rest = *in;
	uint8_t flag;
	uint32_t len;

	*message = SLICE_NONE;
	if (slice_read_u8(&rest, &flag) != ERR_OK ||
	    slice_read_u32(&rest, &len) != ERR_OK)
		return ERR_NOT_FOUND;
	if (flag > 1)
		return ERR_SYNTAX;
	if (flag == 1)
		return ERR_UNSUPPORTED;
	if (len > max)
		return ERR_LIMIT;
	if (slice_read_bytes(&rest, len, message) != ERR_OK)
		return ERR_NOT_FOUND;
	*in = rest;
	return ERR_OK;
}

void
grpc_reader_init(struct grpc_reader *r, size_t message_max)
{
	r->max = message_max;
	/* An SDS answer holds a key. */
	buf_init_secret(&r->part, GRPC_PREFIX + message_max);
}

void
grpc_reader_fini(struct grpc_reader *r)
{
	buf_fini(&r->part);
}

bool
grpc_reader_is_empty(const struct grpc_reader *r)
{
	return buf_len(&r->part) == 0;
}

size_t
grpc_reader_held(const struct grpc_reader *r)
{
	return r->part.cap;
}

/* Moves up to `want` bytes of the whole part from the piece. */
static bool
part_fill(struct grpc_reader *r, struct slice *piece, size_t want)
{
	const size_t have = buf_len(&r->part);
	size_t n;

	if (have >= want)
		return true;
	n = want - have < piece->len ? want - have : piece->len;
	must(buf_put(&r->part, slice_sub(*piece, 0, n)) == ERR_OK);
	*piece = slice_sub(*piece, n, piece->len);
	return have + n == want;
}

/* Goes on with a message whose beginning was kept. */
static enum err
part_next(struct grpc_reader *r, struct slice *piece, struct slice *message)
{
	enum err ret;
	struct slice in;
	uint32_t len = 0;

	if (!part_fill(r, piece, GRPC_PREFIX))
		return ERR_NOT_FOUND;
	in = buf_get(&r->part);
	/* The prefix is judged before the rest is kept. */
	ret = grpc_frame_read(&in, r->max, message);
	if (ret == ERR_NOT_FOUND) {
		in = slice_sub(buf_get(&r->part), 1, 4);
		must(slice_read_u32(&in, &len) == ERR_OK);
		if (!part_fill(r, piece, GRPC_PREFIX + (size_t)len))
			return ERR_NOT_FOUND;
		in = buf_get(&r->part);
		ret = grpc_frame_read(&in, r->max, message);
	}
	return ret;
}

enum err
grpc_reader_next(struct grpc_reader *r, struct slice *piece,
		 struct slice *message_out)
{
	enum err ret;
	struct slice head;
	uint32_t len;

	/* A whole message that the last call handed over is let go now. */
	head = slice_sub(buf_get(&r->part), 1, 4);
	if (slice_read_u32(&head, &len) == ERR_OK &&
	    buf_len(&r->part) == GRPC_PREFIX + (size_t)len)
		buf_release(&r->part);
	if (buf_len(&r->part) > 0)
		return part_next(r, piece, message_out);
	ret = grpc_frame_read(piece, r->max, message_out);
	if (ret == ERR_NOT_FOUND && piece->len > 0)
		return part_next(r, piece, message_out);
	return ret;
}

enum grpc_status
grpc_reader_refusal(const struct grpc_reader *r, enum err e, struct why *why)
{
	switch (e) {
	case ERR_LIMIT:
		(void)why_set(why, e, "message is longer than %zu bytes",
			      r->max);
		return GRPC_RESOURCE_EXHAUSTED;
	case ERR_UNSUPPORTED:
		(void)why_set(why, e, "compressed messages are not supported");
		return GRPC_UNIMPLEMENTED;
	default:
		(void)why_set(why, e, "malformed gRPC message framing");
		return GRPC_INTERNAL;
	}
}

/* -- texts ------------------------------------------------------------- */

size_t
grpc_text_encode(const char *text, uint8_t *out)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; text[i] != '\0' && i < GRPC_TEXT_MAX; i++) {
		const uint8_t c = (uint8_t)text[i];

		if (c >= 0x20 && c <= 0x7e && c != '%') {
			out[n++] = c;
			continue;
		}
		out[n++] = '%';
		out[n++] = (uint8_t)hex[c >> 4];
		out[n++] = (uint8_t)hex[c & 15];
	}
	return n;
}

static int
hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

void
grpc_text_decode(struct slice in, char out[GRPC_TEXT_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < in.len && n < GRPC_TEXT_MAX - 1; i++) {
		uint8_t c = in.p[i];

		/* What is no escape stays as it is: the text is for people. */
		if (c == '%' && in.len - i > 2 && hex_value(in.p[i + 1]) >= 0 &&
		    hex_value(in.p[i + 2]) >= 0) {
			c = (uint8_t)(hex_value(in.p[i + 1]) << 4 |
				      hex_value(in.p[i + 2]));
			i += 2;
		}
		out[n++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	out[n] = '\0';
}

/* -- timeouts ---------------------------------------------------------- */

enum err
grpc_timeout_parse(struct slice text, uint64_t *ms_out)
{
	enum err ret;
	uint64_t v;

	*ms_out = 0;
	/* At most eight digits and a unit. */
	if (text.len < 2 || text.len > 9)
		return ERR_SYNTAX;
	ret = slice_parse_u64(slice_sub(text, 0, text.len - 1), &v);
	if (ret != ERR_OK)
		return ret;
	switch (text.p[text.len - 1]) {
	case 'H':
		*ms_out = v * 3600 * 1000;
		return ERR_OK;
	case 'M':
		*ms_out = v * 60 * 1000;
		return ERR_OK;
	case 'S':
		*ms_out = v * 1000;
		return ERR_OK;
	case 'm':
		*ms_out = v;
		return ERR_OK;
	case 'u':
		*ms_out = (v + 999) / 1000;
		return ERR_OK;
	case 'n':
		*ms_out = (v + 999999) / 1000000;
		return ERR_OK;
	default:
		return ERR_SYNTAX;
	}
}

void
grpc_timeout_format(uint64_t ms, char out[16])
{
	if (ms <= 99999999)
		(void)snprintf(out, 16, "%" PRIu64 "m", ms);
	else if (ms / 1000 <= 99999999)
		(void)snprintf(out, 16, "%" PRIu64 "S", ms / 1000);
	else
		(void)snprintf(out, 16, "99999999S");
}
