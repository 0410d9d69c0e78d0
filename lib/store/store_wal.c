/* store_wal.c - one write for each commit.
 *
 * SQLite appends a transaction to its write-ahead log page by page, each page
 * in two writes: fifteen system calls for five certificates. This layer around
 * SQLite's own file access (a VFS) gathers what is appended and writes it in
 * one go when the log is synced, which is when it must be there.
 *
 * Nothing is promised before it was: with synchronous=FULL a commit, and what
 * other processes may see of it, follows the sync. Whatever SQLite wants to
 * read, cut or measure is written before. A write that fails shows in the call
 * that carried it out; what was gathered is dropped, as SQLite drops the
 * transaction. */
#include <string.h>

#include "base/mem.h"
#include "store/store_int.h"

enum {
	/* SQLite's own file access takes no more than 128 kB in one call: it
	 * would report a full disk. */
	WAL_GATHER_MAX = 64 * 1024
};

/* SQLite's file follows. */
struct wal_file {
	sqlite3_file base;
	bool is_wal;
	struct buf out;
	sqlite3_int64 at; /* where out belongs */
};

static struct wal_file *
wal_get(sqlite3_file *f)
{
	return (struct wal_file *)f;
}

static sqlite3_file *
wal_real(sqlite3_file *f)
{
	return (sqlite3_file *)(wal_get(f) + 1);
}

static int
wal_flush(sqlite3_file *f)
{
	struct wal_file *w = wal_get(f);
	struct slice all = buf_get(&w->out);
	int rc;

	if (all.len == 0)
		return SQLITE_OK;
	rc = wal_real(f)->pMethods->xWrite(wal_real(f), all.p, (int)all.len,
					   w->at);
	buf_reset(&w->out);
	return rc;
}

static int
wal_close(sqlite3_file *f)
{
	int rc = wal_flush(f);
	int rc_close = wal_real(f)->pMethods->xClose(wal_real(f));

	buf_fini(&wal_get(f)->out);
	return rc != SQLITE_OK ? rc : rc_close;
}

static int
wal_read(sqlite3_file *f, void *p, int len, sqlite3_int64 at)
{
	int rc = wal_flush(f);

	if (rc != SQLITE_OK)
		return rc;
	return wal_real(f)->pMethods->xRead(wal_real(f), p, len, at);
}

static int
wal_write(sqlite3_file *f, const void *p, int len, sqlite3_int64 at)
{
	struct wal_file *w = wal_get(f);
	struct slice bytes = slice_of(p, (size_t)len);
	size_t used = buf_len(&w->out);
	int rc = SQLITE_OK;

	if (!w->is_wal)
		return wal_real(f)->pMethods->xWrite(wal_real(f), p, len, at);
	if (used > 0 && (w->at + (sqlite3_int64)used != at ||
			 used + bytes.len > WAL_GATHER_MAX))
		rc = wal_flush(f);
	if (rc != SQLITE_OK)
		return rc;
	if (buf_len(&w->out) == 0)
		w->at = at;
	return buf_put(&w->out, bytes) == ERR_OK ? SQLITE_OK : SQLITE_IOERR;
}

static int
wal_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int rc = wal_flush(f);

	if (rc != SQLITE_OK)
		return rc;
	return wal_real(f)->pMethods->xTruncate(wal_real(f), size);
}

static int
wal_sync(sqlite3_file *f, int flags)
{
	int rc = wal_flush(f);

	if (rc != SQLITE_OK)
		return rc;
	return wal_real(f)->pMethods->xSync(wal_real(f), flags);
}

static int
wal_size(sqlite3_file *f, sqlite3_int64 *out)
{
	int rc = wal_flush(f);

	if (rc != SQLITE_OK)
		return rc;
	return wal_real(f)->pMethods->xFileSize(wal_real(f), out);
}

/* -- passed on ----------------------------------------------------------- */

static int
wal_lock(sqlite3_file *f, int lock)
{
	return wal_real(f)->pMethods->xLock(wal_real(f), lock);
}

static int
wal_unlock(sqlite3_file *f, int lock)
{
	return wal_real(f)->pMethods->xUnlock(wal_real(f), lock);
}

static int
wal_check_lock(sqlite3_file *f, int *out)
{
	return wal_real(f)->pMethods->xCheckReservedLock(wal_real(f), out);
}

static int
wal_control(sqlite3_file *f, int op, void *arg)
{
	return wal_real(f)->pMethods->xFileControl(wal_real(f), op, arg);
}

static int
wal_sector_size(sqlite3_file *f)
{
	return wal_real(f)->pMethods->xSectorSize(wal_real(f));
}

static int
wal_traits(sqlite3_file *f)
{
	return wal_real(f)->pMethods->xDeviceCharacteristics(wal_real(f));
}

static int
wal_shm_map(sqlite3_file *f, int page, int size, int extend,
	    void volatile **out)
{
	return wal_real(f)->pMethods->xShmMap(wal_real(f), page, size, extend,
					      out);
}

static int
wal_shm_lock(sqlite3_file *f, int at, int cnt, int flags)
{
	return wal_real(f)->pMethods->xShmLock(wal_real(f), at, cnt, flags);
}

static void
wal_shm_barrier(sqlite3_file *f)
{
	wal_real(f)->pMethods->xShmBarrier(wal_real(f));
}

static int
wal_shm_unmap(sqlite3_file *f, int is_delete)
{
	return wal_real(f)->pMethods->xShmUnmap(wal_real(f), is_delete);
}

/* Version 2: without the calls for mapped files, which the record has not. */
static const sqlite3_io_methods wal_methods = {
	.iVersion = 2,
	.xClose = wal_close,
	.xRead = wal_read,
	.xWrite = wal_write,
	.xTruncate = wal_truncate,
	.xSync = wal_sync,
	.xFileSize = wal_size,
	.xLock = wal_lock,
	.xUnlock = wal_unlock,
	.xCheckReservedLock = wal_check_lock,
	.xFileControl = wal_control,
	.xSectorSize = wal_sector_size,
	.xDeviceCharacteristics = wal_traits,
	.xShmMap = wal_shm_map,
	.xShmLock = wal_shm_lock,
	.xShmBarrier = wal_shm_barrier,
	.xShmUnmap = wal_shm_unmap,
};

/* -- the VFS ------------------------------------------------------------- */

static int
wal_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags,
	 int *flags_out)
{
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);
	struct wal_file *w = wal_get(f);
	int rc;

	(void)vfs;
	*w = (struct wal_file){.is_wal = (flags & SQLITE_OPEN_WAL) != 0};
	buf_init(&w->out, WAL_GATHER_MAX);
	rc = real->xOpen(real, name, wal_real(f), flags, flags_out);
	/* Without methods SQLite does not close it. */
	if (wal_real(f)->pMethods != NULL)
		f->pMethods = &wal_methods;
	return rc;
}

/* see store_int.h */
void
store_wal_register(struct store *s)
{
	s->vfs = MEM_NEW(sqlite3_vfs);
	*s->vfs = *sqlite3_vfs_find(NULL);
	s->vfs->pNext = NULL;
	/* Locked already: no other store of this process has this path. */
	s->vfs->zName = s->path;
	s->vfs->szOsFile += (int)sizeof(struct wal_file);
	s->vfs->xOpen = wal_open;
	must(sqlite3_vfs_register(s->vfs, 0) == SQLITE_OK);
}

/* see store_int.h */
void
store_wal_unregister(struct store *s)
{
	if (s->vfs == NULL)
		return;
	(void)sqlite3_vfs_unregister(s->vfs);
	mem_free(TAKE(s->vfs));
}
