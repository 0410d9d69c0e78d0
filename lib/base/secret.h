/* secret.h - the only type that holds keys, tokens and PINs.
 *
 * Pages of their own, locked (mlock, where the limit allows), left out of
 * cores (MADV_DONTDUMP) and of forked children (MADV_WIPEONFORK), with a guard
 * page on either side, wiped when freed. There is no way to format or log one.
 * Many small secrets share pages through the arena inside, so that the usual
 * limit of locked memory (8 MB, or 64 KB in older systems) is enough. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/slice.h"

struct secret;

/* Room for `len` bytes, zeroed. Owned by the caller: secret_free. */
MUST_USE enum err secret_new(size_t len, struct secret **out);
MUST_USE enum err secret_dup(struct slice bytes, struct secret **out);
/* Wipes and frees; NULL is fine. */
void secret_free(struct secret *s);

/* Borrowed while the secret lives. */
struct slice secret_get(const struct secret *s);
/* To fill it after secret_new. */
uint8_t *secret_get_writable(struct secret *s);
size_t secret_len(const struct secret *s);
/* Makes it shorter; the rest is wiped. */
void secret_truncate(struct secret *s, size_t len);

/* Compares in constant time (for equal lengths). */
bool secret_is_eq(const struct secret *s, struct slice other);
/* The same for two byte strings of which one is secret. */
bool secret_bytes_eq(struct slice a, struct slice b);
/* Overwrites memory in a way that the compiler keeps. */
void secret_wipe(void *p, size_t len);

/* -- blocks, for a library that brings its own types ----------------------- */

/* Zeroed secret memory without an owner of ours; NULL: too long (blocks are
 * small), or there is none. */
void *secret_block_new(size_t len);
/* Whether p is such a block. Cheap where it is not. */
bool secret_block_is(const void *p);
size_t secret_block_len(const void *p);
/* Wipes and frees. */
void secret_block_free(void *p);

/* Once at process start: no core dumps, not attachable (PR_SET_DUMPABLE 0).
 * secret_is_locked tells whether all pages so far could be locked; status
 * and the log say so once where not. */
void secret_process_init(void);
bool secret_is_locked(void);

#endif
