/* pbscan.c - see pbscan.h. Groups (wire types 3 and 4) have been out of use
 * for long and are refused. The nesting that recursion follows is bounded by
 * the caller's depth_max. */
#include "grpc/pbscan.h"

#include "base/utf8.h"

enum {
	VARINT_MAX = 10 /* bytes */
};

static enum err
varint_read(struct slice *in, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < in->len && i < VARINT_MAX; i++) {
		uint8_t byte = in->p[i];

		/* The tenth byte holds only the 64th bit. */
		if (i == VARINT_MAX - 1 && byte > 1)
			return ERR_SYNTAX;
		v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			*in = slice_sub(*in, i + 1, in->len);
			*out = v;
			return ERR_OK;
		}
	}
	return ERR_SYNTAX;
}

static enum err
fixed_read(struct slice *in, size_t len, uint64_t *out)
{
	uint64_t v = 0;

	if (in->len < len)
		return ERR_SYNTAX;
	for (size_t i = len; i-- > 0;)
		v = v << 8 | in->p[i];
	*in = slice_sub(*in, len, in->len);
	*out = v;
	return ERR_OK;
}

static enum err
value_read(struct slice *in, struct pbscan_field *f)
{
	enum err ret;
	uint64_t len;

	switch (f->wire) {
	case PBSCAN_VARINT:
		return varint_read(in, &f->value);
	case PBSCAN_64BIT:
		return fixed_read(in, 8, &f->value);
	case PBSCAN_32BIT:
		return fixed_read(in, 4, &f->value);
	case PBSCAN_BYTES:
		if ((ret = varint_read(in, &len)) != ERR_OK)
			return ret;
		if (len > in->len)
			return ERR_SYNTAX;
		return slice_read_bytes(in, (size_t)len, &f->bytes);
	default:
		return ERR_SYNTAX;
	}
}

enum err
pbscan_next(struct slice *in, struct pbscan_field *out)
{
	enum err ret;
	struct slice rest = *in;
	struct pbscan_field f = {0};
	uint64_t tag;

	if (rest.len == 0)
		return ERR_NOT_FOUND;
	if ((ret = varint_read(&rest, &tag)) != ERR_OK)
		return ret;
	if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
		return ERR_SYNTAX;
	f.number = (uint32_t)(tag >> 3);
	f.wire = (enum pbscan_wire)(tag & 7);
	if ((ret = value_read(&rest, &f)) != ERR_OK)
		return ret;
	*in = rest;
	*out = f;
	return ERR_OK;
}

enum err
pbscan_find(struct slice in, uint32_t number, enum pbscan_wire wire,
	    struct pbscan_field *out)
{
	enum err ret;
	struct pbscan_field f;
	bool found = false;

	while ((ret = pbscan_next(&in, &f)) == ERR_OK) {
		if (f.number == number && f.wire == wire) {
			*out = f;
			found = true;
		}
	}
	if (ret != ERR_NOT_FOUND)
		return ret;
	return found ? ERR_OK : ERR_NOT_FOUND;
}

static bool
is_c_utf8(struct slice s)
{
	size_t i = 0;
	size_t n;
	uint32_t cp;

	while (i < s.len) {
		if (s.p[i] == 0)
			return false;
		if (s.p[i] < 0x80) {
			i++;
			continue;
		}
		n = utf8_get(slice_sub(s, i, s.len), &cp);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

struct check {
	const struct pbscan_limits *limits;
	struct why *why;
	size_t field_cnt;
};

static enum err check_message(struct check *c,
			      const ProtobufCMessageDescriptor *type,
			      struct slice in, unsigned depth);

static enum err
check_field(struct check *c, const ProtobufCMessageDescriptor *type,
	    const struct pbscan_field *f, unsigned depth)
{
	const ProtobufCFieldDescriptor *fd;

	if (++c->field_cnt > c->limits->field_max)
		return why_set(c->why, ERR_LIMIT,
			       "protobuf %s: more than %zu fields", type->name,
			       c->limits->field_max);
	fd = protobuf_c_message_descriptor_get_field(type, f->number);
	if (fd == NULL || f->wire != PBSCAN_BYTES)
		return ERR_OK;
	if (fd->type == PROTOBUF_C_TYPE_MESSAGE)
		return check_message(c, fd->descriptor, f->bytes, depth + 1);
	if (fd->type == PROTOBUF_C_TYPE_STRING && !is_c_utf8(f->bytes))
		return why_set(c->why, ERR_SYNTAX,
			       "protobuf %s.%s: not UTF-8, or a NUL byte in it",
			       type->name, fd->name);
	return ERR_OK;
}

static enum err
check_message(struct check *c, const ProtobufCMessageDescriptor *type,
	      struct slice in, unsigned depth)
{
	enum err ret;
	struct pbscan_field f;

	if (depth > c->limits->depth_max)
		return why_set(c->why, ERR_LIMIT,
			       "protobuf %s: nested deeper than %u levels",
			       type->name, c->limits->depth_max);
	while ((ret = pbscan_next(&in, &f)) == ERR_OK) {
		if ((ret = check_field(c, type, &f, depth)) != ERR_OK)
			return ret;
	}
	if (ret != ERR_NOT_FOUND)
		return why_set(c->why, ret, "protobuf %s: malformed message",
			       type->name);
	return ERR_OK;
}

enum err
pbscan_check(const ProtobufCMessageDescriptor *type, struct slice bytes,
	     const struct pbscan_limits *limits, struct why *why)
{
	struct check c = {limits, why, 0};

	return check_message(&c, type, bytes, 1);
}
