/* pbmem.c - see pbmem.h. A chain of blocks; nothing is given back before the
 * end, because a message lives and dies as a whole. */
#include "grpc/pbmem.h"

#include <string.h>

#include "base/mem.h"

enum {
	BLOCK_MIN = 4096,
	ALIGN = 16
};

struct pbmem_block {
	struct pbmem_block *next;
	_Alignas(ALIGN) uint8_t bytes[];
};

static void *
take(struct pbmem *m, size_t size)
{
	void *p = m->p;

	m->p += size;
	m->left -= size;
	return p;
}

static void *
pbmem_alloc(void *arg, size_t size)
{
	struct pbmem *m = arg;
	struct pbmem_block *b;
	size_t len;

	if (size > SIZE_MAX - ALIGN)
		return NULL;
	size = (size + ALIGN - 1) / ALIGN * ALIGN;
	if (size <= m->left)
		return take(m, size);
	if (size > m->left_max)
		return NULL;
	len = size > BLOCK_MIN ? size : BLOCK_MIN;
	if (len > m->left_max)
		len = m->left_max;
	b = mem_try_new(sizeof(*b) + len);
	if (b == NULL)
		return NULL;
	m->left_max -= len;
	b->next = m->blocks;
	m->blocks = b;
	m->p = b->bytes;
	m->left = len;
	return take(m, size);
}

static void
pbmem_free(void *arg UNUSED, void *p UNUSED)
{
}

void
pbmem_init(struct pbmem *m, size_t max)
{
	m->alloc = (ProtobufCAllocator){pbmem_alloc, pbmem_free, m};
	m->left_max = max;
	m->blocks = NULL;
	m->p = m->first;
	m->left = sizeof(m->first);
}

void
pbmem_fini(struct pbmem *m)
{
	struct pbmem_block *b;

	while ((b = m->blocks) != NULL) {
		m->blocks = b->next;
		mem_free(b);
	}
	m->p = NULL;
	m->left = 0;
	m->left_max = 0;
}

ProtobufCAllocator *
pbmem_get(struct pbmem *m)
{
	return &m->alloc;
}

enum err
pbmem_pack(const ProtobufCMessage *msg, struct buf *out)
{
	enum err ret;
	uint8_t *p;
	size_t len = protobuf_c_message_get_packed_size(msg);

	if ((ret = buf_reserve(out, len, &p)) != ERR_OK)
		return ret;
	buf_commit(out, protobuf_c_message_pack(msg, p));
	return ERR_OK;
}
