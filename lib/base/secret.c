/* secret.c - see secret.h.
 *
 * Bytes live in chunks: a few pages between two guard pages. Secrets of up to
 * half a chunk share one, in units of SECRET_UNIT bytes kept by a bitmap, so
 * that a key costs 64 bytes of locked memory and not a page; larger ones get a
 * chunk of their own. What describes a secret is on the heap: an overflow of
 * the heap does not reach the bytes, and one of the bytes ends at a guard.
 *
 * A chunk comes from memfd_secret where the kernel has it: such pages are taken
 * out of the kernel's own map too, and no debugger or /proc/PID/mem reads them.
 * Else it is anonymous memory under mlock. */
#include "base/secret.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SECRET_FOR_LSAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SECRET_FOR_LSAN
#endif
#ifdef SECRET_FOR_LSAN
#include <sanitizer/lsan_interface.h>
#endif

#include "base/mem.h"

enum {
	SECRET_UNIT = 64,
	SECRET_CHUNK_LEN = 16384,
	SECRET_UNIT_CNT = SECRET_CHUNK_LEN / SECRET_UNIT,
	SECRET_SHARED_MAX = SECRET_CHUNK_LEN / 2,
	SECRET_MAX = 16 << 20,
	/* In front of a block: its struct secret. Keeps the alignment of
	 * malloc. */
	SECRET_BLOCK_HEAD = 16
};

struct secret_chunk {
	struct secret_chunk *next; /* shared chunks only */
	uint8_t *map;              /* guard page included */
	size_t map_len;
	uint8_t *data;
	size_t data_len;
	size_t used_cnt; /* units */
	bool used[SECRET_UNIT_CNT];
};

struct secret {
	struct secret_chunk *chunk;
	uint8_t *p;
	size_t len;
	size_t unit_cnt; /* 0: the chunk is its own */
};

/* Mutable, because pages are shared by all secrets of a process: the limit of
 * locked memory counts per process, too. Not for threads; there are none. */
static struct {
	struct secret_chunk *shared;
	/* All shared chunks that there ever were are in between. */
	uintptr_t low, high;
	bool has_unlocked;
} secret_arena;

void
secret_wipe(void *p, size_t len)
{
	if (len > 0)
		explicit_bzero(p, len);
}

static size_t
secret_page_len(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Puts secret memory of the kernel in the middle of the reserved range. */
static bool
secret_map_memfd(const struct secret_chunk *c)
{
#ifdef SYS_memfd_secret
	int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
	void *p = MAP_FAILED;

	if (fd < 0)
		return false;
	if (ftruncate(fd, (off_t)c->data_len) == 0)
		p = mmap(c->data, c->data_len, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, 0);
	(void)close(fd);
	/* Shared memory cannot be wiped on fork; a child that does not exec
	 * has nothing there at all. */
	return p != MAP_FAILED &&
	       madvise(c->data, c->data_len, MADV_DONTFORK) == 0;
#else
	(void)c;
	return false;
#endif
}

static enum err
secret_map_anonymous(const struct secret_chunk *c)
{
	void *p = mmap(c->data, c->data_len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (p == MAP_FAILED)
		return ERR_NO_MEMORY;
	if (mlock(c->data, c->data_len) != 0)
		secret_arena.has_unlocked = true;
	(void)madvise(c->data, c->data_len, MADV_DONTDUMP);
	(void)madvise(c->data, c->data_len, MADV_WIPEONFORK);
	return ERR_OK;
}

/* Blocks hold pointers, which a search for leaks must follow. */
static void
secret_show_chunk(const struct secret_chunk *c, bool is_there)
{
#ifdef SECRET_FOR_LSAN
	(is_there ? __lsan_register_root_region
		  : __lsan_unregister_root_region)(c->data, c->data_len);
#else
	(void)c;
	(void)is_there;
#endif
}

static void
secret_chunk_free(struct secret_chunk *c)
{
	secret_show_chunk(c, false);
	(void)munmap(c->map, c->map_len);
	mem_free(c);
}

static enum err
secret_chunk_new(size_t len, struct secret_chunk **out)
{
	size_t page = secret_page_len();
	struct secret_chunk *c = MEM_NEW(struct secret_chunk);
	void *map;

	*out = NULL;
	c->data_len = (len + page - 1) / page * page;
	c->map_len = c->data_len + 2 * page;
	map = mmap(NULL, c->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	if (map == MAP_FAILED) {
		mem_free(c);
		return ERR_NO_MEMORY;
	}
	c->map = map;
	c->data = c->map + page;
	if (!secret_map_memfd(c) && secret_map_anonymous(c) != ERR_OK) {
		(void)munmap(c->map, c->map_len);
		mem_free(c);
		return ERR_NO_MEMORY;
	}
	secret_show_chunk(c, true);
	*out = c;
	return ERR_OK;
}

/* First run of `cnt` free units, or SECRET_UNIT_CNT. */
static size_t
secret_find_run(const struct secret_chunk *c, size_t cnt)
{
	size_t run = 0;

	if (cnt > SECRET_UNIT_CNT - c->used_cnt)
		return SECRET_UNIT_CNT;
	for (size_t i = 0; i < SECRET_UNIT_CNT; i++) {
		run = c->used[i] ? 0 : run + 1;
		if (run == cnt)
			return i + 1 - cnt;
	}
	return SECRET_UNIT_CNT;
}

static void
secret_take_units(struct secret *s, struct secret_chunk *c, size_t at)
{
	memset(&c->used[at], true, s->unit_cnt);
	c->used_cnt += s->unit_cnt;
	s->chunk = c;
	s->p = c->data + at * SECRET_UNIT;
}

static void
secret_widen(uintptr_t data)
{
	if (secret_arena.high == 0 || data < secret_arena.low)
		secret_arena.low = data;
	if (data + SECRET_CHUNK_LEN > secret_arena.high)
		secret_arena.high = data + SECRET_CHUNK_LEN;
}

static enum err
secret_place_shared(struct secret *s)
{
	struct secret_chunk *c;
	enum err ret;

	for (c = secret_arena.shared; c != NULL; c = c->next) {
		size_t at = secret_find_run(c, s->unit_cnt);

		if (at < SECRET_UNIT_CNT) {
			secret_take_units(s, c, at);
			return ERR_OK;
		}
	}
	if ((ret = secret_chunk_new(SECRET_CHUNK_LEN, &c)) != ERR_OK)
		return ret;
	c->next = secret_arena.shared;
	secret_arena.shared = c;
	secret_widen((uintptr_t)c->data);
	secret_take_units(s, c, 0);
	return ERR_OK;
}

static enum err
secret_place_alone(struct secret *s)
{
	enum err ret = secret_chunk_new(s->len, &s->chunk);

	if (ret == ERR_OK)
		s->p = s->chunk->data;
	return ret;
}

enum err
secret_new(size_t len, struct secret **out)
{
	struct secret *s;
	enum err ret;

	*out = NULL;
	if (len > SECRET_MAX)
		return ERR_LIMIT;
	s = MEM_NEW(struct secret);
	s->len = len;
	if (len <= SECRET_SHARED_MAX) {
		s->unit_cnt =
			len == 0 ? 1 : (len + SECRET_UNIT - 1) / SECRET_UNIT;
		ret = secret_place_shared(s);
	} else {
		ret = secret_place_alone(s);
	}
	if (ret != ERR_OK) {
		mem_free(s);
		return ret;
	}
	*out = s;
	return ERR_OK;
}

enum err
secret_dup(struct slice bytes, struct secret **out)
{
	enum err ret = secret_new(bytes.len, out);

	if (ret == ERR_OK && bytes.len > 0)
		memcpy((*out)->p, bytes.p, bytes.len);
	return ret;
}

/* Gives an empty chunk back; the last one stays, so that a program with one
 * key in turn does not map and lock for each. */
static void
secret_release_chunk(struct secret_chunk *c)
{
	struct secret_chunk **at = &secret_arena.shared;

	if (c->used_cnt > 0 || (*at == c && c->next == NULL))
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	secret_chunk_free(c);
}

void
secret_free(struct secret *s)
{
	struct secret_chunk *c;

	if (s == NULL)
		return;
	c = s->chunk;
	if (s->unit_cnt == 0) {
		secret_wipe(c->data, c->data_len);
		secret_chunk_free(c);
	} else {
		size_t at = (size_t)(s->p - c->data) / SECRET_UNIT;

		secret_wipe(s->p, s->unit_cnt * SECRET_UNIT);
		memset(&c->used[at], false, s->unit_cnt);
		c->used_cnt -= s->unit_cnt;
		secret_release_chunk(c);
	}
	mem_free(s);
}

void *
secret_block_new(size_t len)
{
	struct secret *s;

	if (len > SECRET_SHARED_MAX - SECRET_BLOCK_HEAD ||
	    secret_new(len + SECRET_BLOCK_HEAD, &s) != ERR_OK)
		return NULL;
	memcpy(s->p, &s, sizeof(s));
	return s->p + SECRET_BLOCK_HEAD;
}

bool
secret_block_is(const void *p)
{
	uintptr_t at = (uintptr_t)p;

	if (at < secret_arena.low || at >= secret_arena.high)
		return false;
	for (const struct secret_chunk *c = secret_arena.shared; c != NULL;
	     c = c->next) {
		if (at - (uintptr_t)c->data < SECRET_CHUNK_LEN)
			return true;
	}
	return false;
}

static struct secret *
secret_of_block(const void *p)
{
	struct secret *s;

	memcpy(&s, (const uint8_t *)p - SECRET_BLOCK_HEAD, sizeof(s));
	must(s->p + SECRET_BLOCK_HEAD == p);
	return s;
}

size_t
secret_block_len(const void *p)
{
	return secret_of_block(p)->len - SECRET_BLOCK_HEAD;
}

void
secret_block_free(void *p)
{
	secret_free(secret_of_block(p));
}

struct slice
secret_get(const struct secret *s)
{
	return slice_of(s->p, s->len);
}

uint8_t *
secret_get_writable(struct secret *s)
{
	return s->p;
}

size_t
secret_len(const struct secret *s)
{
	return s->len;
}

void
secret_truncate(struct secret *s, size_t len)
{
	if (len >= s->len)
		return;
	secret_wipe(s->p + len, s->len - len);
	s->len = len;
}

bool
secret_bytes_eq(struct slice a, struct slice b)
{
	/* volatile: the compiler may not leave the loop early. */
	volatile uint8_t diff = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		diff = (uint8_t)(diff | (a.p[i] ^ b.p[i]));
	return diff == 0;
}

bool
secret_is_eq(const struct secret *s, struct slice other)
{
	return secret_bytes_eq(secret_get(s), other);
}

void
secret_process_init(void)
{
	static const struct rlimit no_core = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool
secret_is_locked(void)
{
	return !secret_arena.has_unlocked;
}
