/* msg.c - see msg.h.
 *
 * One table of fields per message serves both directions, so that writer and
 * reader cannot drift apart. */
#include "ca/msg.h"

#include <stddef.h>
#include <string.h>

enum field_kind {
	FIELD_U32,    /* uint32_t, and enums */
	FIELD_U64,    /* uint64_t, int64_t, struct wall, struct mono */
	FIELD_SERIAL, /* uint8_t[STORE_SERIAL_LEN] */
	FIELD_BYTES   /* struct slice */
};

struct field {
	enum field_kind kind;
	size_t offset;
	size_t max; /* of FIELD_BYTES; 0: what a frame holds */
};

_Static_assert(sizeof(enum err) == 4, "enums travel as 32 bits");
_Static_assert(sizeof(struct wall) == 8 && sizeof(struct mono) == 8,
	       "times travel as 64 bits");

const char *
msg_auth_name(enum msg_auth a)
{
	static const char *const names[] = {
		[MSG_AUTH_NONE] = "none",
		[MSG_AUTH_CLIENT_CERT] = "client_cert",
		[MSG_AUTH_JWT] = "jwt",
		[MSG_AUTH_JOIN_TOKEN] = "join_token",
		[MSG_AUTH_SELF] = "self",
	};

	return (unsigned)a < COUNT_OF(names) ? names[a] : "unknown";
}

bool
msg_auth_is_proof(enum msg_auth a)
{
	return a == MSG_AUTH_CLIENT_CERT || a == MSG_AUTH_JWT ||
	       a == MSG_AUTH_JOIN_TOKEN;
}

static void
msg_put_field(struct buf *out, const struct field *f, const void *m)
{
	const uint8_t *at = (const uint8_t *)m + f->offset;
	uint32_t v32;
	uint64_t v64;
	struct slice bytes;

	switch (f->kind) {
	case FIELD_U32:
		memcpy(&v32, at, sizeof(v32));
		(void)buf_put_u32(out, v32);
		return;
	case FIELD_U64:
		memcpy(&v64, at, sizeof(v64));
		(void)buf_put_u64(out, v64);
		return;
	case FIELD_SERIAL:
		(void)buf_put(out, slice_of(at, STORE_SERIAL_LEN));
		return;
	case FIELD_BYTES:
		memcpy(&bytes, at, sizeof(bytes));
		(void)buf_put_counted(out, bytes);
		return;
	}
}

static enum err
msg_get_field(struct slice *in, const struct field *f, void *m)
{
	uint8_t *at = (uint8_t *)m + f->offset;
	struct slice bytes = SLICE_NONE;
	uint32_t v32 = 0;
	uint64_t v64 = 0;
	enum err ret;

	switch (f->kind) {
	case FIELD_U32:
		ret = slice_read_u32(in, &v32);
		memcpy(at, &v32, sizeof(v32));
		return ret;
	case FIELD_U64:
		ret = slice_read_u64(in, &v64);
		memcpy(at, &v64, sizeof(v64));
		return ret;
	case FIELD_SERIAL:
		ret = slice_read_bytes(in, STORE_SERIAL_LEN, &bytes);
		if (ret == ERR_OK)
			memcpy(at, bytes.p, bytes.len);
		return ret;
	case FIELD_BYTES:
		ret = slice_read_counted(in, &bytes);
		if (ret == ERR_OK && f->max != 0 && bytes.len > f->max)
			return ERR_LIMIT;
		memcpy(at, &bytes, sizeof(bytes));
		return ret;
	}
	return ERR_BUG;
}

static void
msg_put(struct buf *out, const struct field *fields, size_t cnt, const void *m)
{
	for (size_t i = 0; i < cnt; i++)
		msg_put_field(out, &fields[i], m);
}

static enum err
msg_get(struct slice *in, const struct field *fields, size_t cnt, void *m)
{
	for (size_t i = 0; i < cnt; i++) {
		if (msg_get_field(in, &fields[i], m) != ERR_OK)
			return ERR_PROTOCOL;
	}
	return ERR_OK;
}

static enum err
msg_get_all(struct slice in, const struct field *fields, size_t cnt, void *m)
{
	enum err ret = msg_get(&in, fields, cnt, m);

	return ret == ERR_OK && in.len != 0 ? ERR_PROTOCOL : ret;
}

#define FIELD_AT_MOST(kind, type, member, max)                     \
	{                                                          \
		FIELD_##kind, offsetof(struct type, member), (max) \
	}
#define FIELD(kind, type, member) FIELD_AT_MOST(kind, type, member, 0)

static const struct field issue_fields[] = {
	FIELD(U32, msg_issue, profile),
	FIELD(U32, msg_issue, auth),
	FIELD(U64, msg_issue, ttl_sec),
	FIELD(U64, msg_issue, deadline),
	FIELD(U64, msg_issue, ends),
	FIELD_AT_MOST(BYTES, msg_issue, identity, MSG_IDENTITY_MAX),
	FIELD_AT_MOST(BYTES, msg_issue, wanted, MSG_CSR_MAX),
	FIELD_AT_MOST(BYTES, msg_issue, caller, MSG_CALLER_MAX),
	FIELD_AT_MOST(BYTES, msg_issue, peer, MSG_PEER_MAX),
	FIELD_AT_MOST(BYTES, msg_issue, request_id, MSG_REQUEST_ID_MAX),
	FIELD_AT_MOST(BYTES, msg_issue, token_hash, MSG_TOKEN_HASH_LEN),
	FIELD_AT_MOST(BYTES, msg_issue, spki, MSG_CSR_MAX),
};

static const struct field result_fields[] = {
	FIELD(U32, msg_result, e),        FIELD(U32, msg_result, generation),
	FIELD(U32, msg_result, retry_ms), FIELD(BYTES, msg_result, text),
	FIELD(BYTES, msg_result, cert),
};

static const struct field chain_fields[] = {
	FIELD(U32, msg_chain, generation), FIELD(U32, msg_chain, flags),
	FIELD(U64, msg_chain, not_before), FIELD(U64, msg_chain, not_after),
	FIELD(BYTES, msg_chain, warning),
};

static const struct field sign_fields[] = {
	FIELD(U32, msg_sign, profile),
	FIELD(SERIAL, msg_sign, serial),
	FIELD(U64, msg_sign, not_before),
	FIELD(U64, msg_sign, not_after),
	FIELD_AT_MOST(BYTES, msg_sign, identity, MSG_IDENTITY_MAX),
	FIELD_AT_MOST(BYTES, msg_sign, spki, MSG_CSR_MAX),
};

static const struct field signed_fields[] = {
	FIELD(U32, msg_signed, e),
	FIELD(U32, msg_signed, generation),
	FIELD(BYTES, msg_signed, text),
	FIELD(BYTES, msg_signed, cert),
};

static const struct field head_fields[] = {
	FIELD(U64, msg_head, count),
	FIELD(BYTES, msg_head, hash),
	FIELD(BYTES, msg_head, signature),
};

static const struct field fetch_fields[] = {
	FIELD(U32, msg_fetch, size_max),
	FIELD(U32, msg_fetch, timeout_ms),
	FIELD(BYTES, msg_fetch, url),
	FIELD(BYTES, msg_fetch, ca_file),
};

static const struct field fetched_fields[] = {
	FIELD(U32, msg_fetched, e),
	FIELD(U32, msg_fetched, http_status),
	FIELD(BYTES, msg_fetched, text),
	FIELD(BYTES, msg_fetched, body),
};

/* The pair of functions of a message that is nothing but its fields. */
#define MSG_PLAIN(name)                                                        \
	void msg_##name##_write(struct buf *out, const struct msg_##name *m)   \
	{                                                                      \
		msg_put(out, name##_fields, COUNT_OF(name##_fields), m);       \
	}                                                                      \
	enum err msg_##name##_read(struct slice in, struct msg_##name *m)      \
	{                                                                      \
		*m = (struct msg_##name){0};                                   \
		return msg_get_all(in, name##_fields, COUNT_OF(name##_fields), \
				   m);                                         \
	}

MSG_PLAIN(issue)
MSG_PLAIN(result)
MSG_PLAIN(sign)
MSG_PLAIN(signed)
MSG_PLAIN(head)
MSG_PLAIN(fetch)
MSG_PLAIN(fetched)

void
msg_chain_write(struct buf *out, const struct msg_chain *m)
{
	must(m->chain_cnt + m->root_cnt <= MSG_CHAIN_CERTS_MAX);
	msg_put(out, chain_fields, COUNT_OF(chain_fields), m);
	(void)buf_put_u8(out, (uint8_t)m->chain_cnt);
	(void)buf_put_u8(out, (uint8_t)m->root_cnt);
	for (size_t i = 0; i < m->chain_cnt + m->root_cnt; i++)
		(void)buf_put_counted(out, m->ders[i]);
}

enum err
msg_chain_read(struct slice in, struct msg_chain *m)
{
	uint8_t chain_cnt;
	uint8_t root_cnt;
	enum err ret;

	*m = (struct msg_chain){0};
	ret = msg_get(&in, chain_fields, COUNT_OF(chain_fields), m);
	if (ret != ERR_OK || slice_read_u8(&in, &chain_cnt) != ERR_OK ||
	    slice_read_u8(&in, &root_cnt) != ERR_OK ||
	    chain_cnt + root_cnt > MSG_CHAIN_CERTS_MAX ||
	    (root_cnt == 0 && chain_cnt != 0))
		return ERR_PROTOCOL;
	for (size_t i = 0; i < (size_t)chain_cnt + root_cnt; i++) {
		if (slice_read_counted(&in, &m->ders[i]) != ERR_OK)
			return ERR_PROTOCOL;
	}
	m->chain_cnt = chain_cnt;
	m->root_cnt = root_cnt;
	return in.len == 0 ? ERR_OK : ERR_PROTOCOL;
}
