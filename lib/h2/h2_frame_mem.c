/* h2_frame_mem.c - one frame buffer for all sessions of a thread.
 *
 * Each nghttp2 session takes a buffer for one whole frame (16 kB) for its
 * lifetime: two thirds of the memory of an idle connection. It holds nothing
 * between two calls of nghttp2_session_mem_send, as we use it: h2_take_output
 * copies what a call returned before the next one, and on_send_data never
 * asks nghttp2 to come back later. The one exception, the magic of a new
 * client, h2_new takes out at once. Headers that would need a second block
 * (CONTINUATION) are not sent: see to_nv. So one block is handed out to all.
 *
 * The block is the only data in lib/ that is neither constant nor owned by an
 * object: sessions share no owner, and it must outlive them all. It is counted
 * and freed with the last session of the thread. A session must be freed by
 * the thread that made it. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "h2/h2_int.h"

enum {
	/* What nghttp2 asks for: frame header, pad length, payload. */
	FRAME_BLOCK = 9 + 1 + H2_FRAME_MAX
};

static _Thread_local uint8_t *frame_block;
static _Thread_local size_t frame_users;

static void *
frame_block_ref(void)
{
	if (frame_users == 0)
		frame_block = mem_try_new(FRAME_BLOCK);
	if (frame_block != NULL)
		frame_users++;
	return frame_block;
}

static void
frame_block_unref(void)
{
	if (--frame_users > 0)
		return;
	mem_free(frame_block);
	frame_block = NULL;
}

static void *
ng_malloc(size_t size, void *arg UNUSED)
{
	return malloc(size);
}

static void *
ng_calloc(size_t cnt, size_t size, void *arg UNUSED)
{
	return calloc(cnt, size);
}

static void
ng_free(void *p, void *arg UNUSED)
{
	if (p != NULL && p == frame_block)
		frame_block_unref();
	else
		free(p);
}

static void *
ng_realloc(void *p, size_t size, void *arg)
{
	void *q;

	/* nghttp2 makes its buffers by realloc(NULL). */
	if (p == NULL && size == FRAME_BLOCK)
		return frame_block_ref();
	if (p == NULL || p != frame_block)
		return realloc(p, size);
	q = malloc(size);
	if (q == NULL)
		return NULL;
	memcpy(q, p, size < FRAME_BLOCK ? size : FRAME_BLOCK);
	ng_free(p, arg);
	return q;
}

/* What a client's session had: the block holds nothing between two calls, so
 * that of others is wiped with it at no loss. */
static void
ng_free_wiped(void *p, void *arg)
{
	if (p == NULL)
		return;
	secret_wipe(p, p == frame_block ? (size_t)FRAME_BLOCK
					: malloc_usable_size(p));
	ng_free(p, arg);
}

void
h2_frame_mem_get(bool wipes, nghttp2_mem *out)
{
	*out = (nghttp2_mem){NULL, ng_malloc, wipes ? ng_free_wiped : ng_free,
			     ng_calloc, ng_realloc};
}
