/* buf.h - owned bytes that grow up to a fixed maximum.
 *
 * A struct buf is embedded: buf_init, then use, then buf_fini. It never grows
 * past its maximum: then the error is ERR_LIMIT, the buffer stays as it was
 * and remembers that it failed (buf_has_failed), so that a writer of many
 * fields may check once at the end. Integers are big-endian.
 *
 * buf_consume takes bytes from the front without moving the rest each time,
 * so that it serves as an output queue too. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/slice.h"

struct buf {
	uint8_t *p;   /* storage */
	size_t start; /* first byte in use */
	size_t end;   /* behind the last one */
	size_t cap;   /* size of the storage */
	size_t max;   /* most bytes it may hold */
	bool failed;  /* a put did not fit */
	bool secret;  /* storage is wiped before it is given back */
};

void buf_init(struct buf *b, size_t max);
/* For queues that keys pass through: nothing of them stays in freed memory.
 * Where a key rests, it is a struct secret. */
void buf_init_secret(struct buf *b, size_t max);
/* Frees the storage; the buffer may be used again after buf_init. */
void buf_fini(struct buf *b);
/* Empties it and keeps the storage; forgets a failure. */
void buf_reset(struct buf *b);
/* Empties it and gives the storage back; forgets a failure. */
void buf_release(struct buf *b);

size_t buf_len(const struct buf *b);
/* Borrowed until the next call that changes the buffer. */
struct slice buf_get(const struct buf *b);
bool buf_has_failed(const struct buf *b);

enum err buf_put(struct buf *b, struct slice bytes);
enum err buf_put_str(struct buf *b, const char *text);
enum err buf_put_u8(struct buf *b, uint8_t v);
enum err buf_put_u32(struct buf *b, uint32_t v);
enum err buf_put_u64(struct buf *b, uint64_t v);
/* A 32-bit length, then the bytes: read by slice_read_counted. */
enum err buf_put_counted(struct buf *b, struct slice bytes);
enum err buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Lower-case hexadecimal. */
enum err buf_put_hex(struct buf *b, struct slice bytes);

/* Room for `len` more bytes at *p_out, to be filled by the caller and then
 * taken in with buf_commit (of at most `len`). */
MUST_USE enum err buf_reserve(struct buf *b, size_t len, uint8_t **p_out);
void buf_commit(struct buf *b, size_t len);

/* Takes `len` bytes (at most what is there) from the front. */
void buf_consume(struct buf *b, size_t len);
/* Cuts it to its first `len` bytes. */
void buf_truncate(struct buf *b, size_t len);

/* The text with a NUL behind it, owned by the caller (mem_free). */
char *buf_dup_str(const struct buf *b);

#endif
