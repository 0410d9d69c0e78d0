/* mem.h - memory.
 *
 * mem_new aborts when there is none: our processes are small, restartable and
 * safe against crashes, and an error path that nobody runs is a bug. Only
 * admission points (a new connection, stream, request) use mem_try_new and
 * refuse. Anything whose size a peer chooses goes through struct buf with its
 * maximum. All memory starts zeroed. mem_free(NULL) does nothing. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#include "base/attr.h"
#include "base/slice.h"

#define MEM_NEW(type) ((type *)mem_new(sizeof(type)))
#define MEM_NEW_ARRAY(type, count) \
	((type *)mem_new_array((count), sizeof(type)))

void *mem_new(size_t size);
void *mem_new_array(size_t count, size_t size);
/* NULL when there is none, or when a fault test says so. */
void *mem_try_new(size_t size);
/* The tail of a grown array is zeroed. */
void *mem_grow_array(void *p, size_t old_count, size_t new_count, size_t size);
char *mem_dup_str(const char *text);
/* A NUL-terminated copy; the slice must not hold a NUL itself. */
char *mem_dup_slice_str(struct slice s);
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);
void mem_free(void *p);

#endif
