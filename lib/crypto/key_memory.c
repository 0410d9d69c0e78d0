/* key_memory.c - where the library keeps a private key: see key_int.h.
 *
 * AWS-LC asks these three functions, where a program has them, for all of its
 * memory (crypto/mem.c: they are weak symbols there). Between
 * key_memory_enter and key_memory_leave what it asks for is secret memory;
 * everything else comes from malloc, as it would without us. Freed memory is
 * wiped, wherever it was. */
#include <malloc.h>
#include <openssl/mem.h>
#include <stdlib.h>

#include "base/secret.h"
#include "crypto/key_int.h"

/* Mutable, because the library's hooks have no argument. */
static _Thread_local unsigned key_memory_depth;

void *OPENSSL_memory_alloc(size_t size);
void OPENSSL_memory_free(void *p);
size_t OPENSSL_memory_get_size(void *p);

void
key_memory_enter(void)
{
	key_memory_depth++;
}

void
key_memory_leave(void)
{
	must(key_memory_depth > 0);
	key_memory_depth--;
}

/* What is too long for a block is work space of arithmetic: it is wiped and
 * gone when the call is over. */
void *
OPENSSL_memory_alloc(size_t size)
{
	void *p = key_memory_depth > 0 ? secret_block_new(size) : NULL;

	return p != NULL ? p : malloc(size);
}

size_t
OPENSSL_memory_get_size(void *p)
{
	return secret_block_is(p) ? secret_block_len(p) : malloc_usable_size(p);
}

void
OPENSSL_memory_free(void *p)
{
	if (secret_block_is(p)) {
		secret_block_free(p);
		return;
	}
	OPENSSL_cleanse(p, malloc_usable_size(p));
	free(p);
}
