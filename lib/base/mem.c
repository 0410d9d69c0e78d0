/* mem.c - see mem.h. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *
mem_try_new(size_t size)
{
	return calloc(1, size == 0 ? 1 : size);
}

void *
mem_new(size_t size)
{
	void *p = calloc(1, size == 0 ? 1 : size);

	must(p != NULL);
	return p;
}

void *
mem_new_array(size_t count, size_t size)
{
	void *p = calloc(count == 0 ? 1 : count, size);

	must(p != NULL);
	return p;
}

void *
mem_grow_array(void *p, size_t old_count, size_t new_count, size_t size)
{
	uint8_t *grown;

	must(new_count >= old_count && new_count <= SIZE_MAX / size);
	grown = realloc(p, new_count * size);
	must(grown != NULL);
	memset(grown + old_count * size, 0, (new_count - old_count) * size);
	return grown;
}

char *
mem_dup_str(const char *text)
{
	return mem_dup_slice_str(slice_of_str(text));
}

char *
mem_dup_slice_str(struct slice s)
{
	char *copy = mem_new(s.len + 1);

	if (s.len > 0)
		memcpy(copy, s.p, s.len);
	return copy;
}

char *
mem_printf(const char *fmt, ...)
{
	va_list args;
	char *text = NULL;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	must(len >= 0);
	return text;
}

void
mem_free(void *p)
{
	free(p);
}
