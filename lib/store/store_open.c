/* store_open.c - see store.h: opening the record, its settings and its schema.
 * Format: doc/store.md. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/os.h"
#include "store/store_int.h"

enum {
	STORE_APPLICATION_ID = 0x6d636572 /* "mcer" */
};

/* WAL and FULL: a commit has reached the disk when it returns. The cache is
 * bounded, and nothing is mapped: a truncated file would be a signal. */
static const char store_settings[] = "PRAGMA journal_mode = WAL;"
				     "PRAGMA synchronous = FULL;"
				     "PRAGMA cache_size = -8192;"
				     "PRAGMA mmap_size = 0;"
				     "PRAGMA temp_store = MEMORY;"
				     "PRAGMA trusted_schema = OFF;"
				     "PRAGMA cell_size_check = ON;"
				     "PRAGMA journal_size_limit = 67108864;"
				     /* log and index can be written, too */
				     "BEGIN IMMEDIATE; COMMIT;";

static const char store_schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE cert ("
	" serial BLOB NOT NULL PRIMARY KEY,"
	" state INTEGER NOT NULL,"
	" profile INTEGER NOT NULL,"
	" auth INTEGER NOT NULL,"
	" identity TEXT NOT NULL,"
	" caller TEXT NOT NULL,"
	" key_hash BLOB NOT NULL,"
	" not_before INTEGER NOT NULL,"
	" not_after INTEGER NOT NULL,"
	" asked_at INTEGER NOT NULL,"
	" cert_hash BLOB NOT NULL,"
	" request_id TEXT NOT NULL"
	") WITHOUT ROWID;"
	"CREATE INDEX cert_not_after ON cert (not_after);"
	"CREATE TABLE token ("
	" hash BLOB NOT NULL PRIMARY KEY,"
	" identity TEXT NOT NULL,"
	" created INTEGER NOT NULL,"
	" expires INTEGER NOT NULL,"
	" created_by TEXT NOT NULL,"
	" used_at INTEGER,"
	" used_by BLOB"
	") WITHOUT ROWID;"
	"CREATE TABLE value ("
	" name TEXT NOT NULL PRIMARY KEY,"
	" value BLOB NOT NULL"
	") WITHOUT ROWID;"
	"PRAGMA application_id = 1835230578;"
	"PRAGMA user_version = 1;"
	"COMMIT;";

_Static_assert(STORE_APPLICATION_ID == 1835230578, "as in the schema");
_Static_assert(STORE_SCHEMA_VERSION == 1, "as in the schema");

/* Two authorities on one record would each think that they alone reserve
 * serials. A file of its own: closing a second descriptor of the database
 * would take SQLite's locks away. */
static enum err
store_lock(struct store *s, struct why *why)
{
	char *path = mem_printf("%s-lock", s->path);
	enum err ret = ERR_OK;

	s->lock_fd =
		open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		ret = why_set(why, err_from_errno(errno),
			      "record: cannot open %s: %s: the folder must "
			      "exist and belong to the authority's user",
			      path, strerror(errno));
	else if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
		ret = why_set(why, errno == EWOULDBLOCK ? ERR_BUSY : ERR_IO,
			      "record %s: another process has it open (lock "
			      "on %s): only one authority may write; end the "
			      "other one",
			      s->path, path);
	mem_free(path);
	return ret;
}

/* The file is made by us for its mode; SQLite gives its log the same one. */
static enum err
store_open_file(struct store *s, struct why *why)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_EXRESCODE;
	int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return why_set(why, err_from_errno(errno),
			       "record: cannot open %s: %s", s->path,
			       strerror(errno));
	(void)close(fd);
	store_wal_register(s);
	rc = sqlite3_open_v2(s->path, &s->db, flags, s->vfs->zName);
	if (rc != SQLITE_OK)
		return store_fail(s, rc, "open", why);
	/* Where it cannot have more, SQLite is content with reading, and keeps
	 * to that: see store_settings for the other files. */
	if (sqlite3_db_readonly(s->db, "main") != 0)
		return why_set(why, ERR_FORBIDDEN,
			       "record %s: it can only be read: %s", s->path,
			       store_advice(ERR_FORBIDDEN));
	(void)sqlite3_busy_timeout(s->db, 2000);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return ERR_OK;
}

static enum err
store_exec(struct store *s, const char *sql, const char *what, struct why *why)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? ERR_OK : store_fail(s, rc, what, why);
}

static enum err
store_read_int(struct store *s, const char *sql, int64_t *out, struct why *why)
{
	sqlite3_stmt *st = NULL;
	enum err ret = ERR_OK;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	*out = 0;
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	else
		ret = store_fail(s, rc, "read the schema", why);
	(void)sqlite3_finalize(st);
	return ret;
}

static enum err
store_check_schema(struct store *s, struct why *why)
{
	int64_t id, version, tables;
	enum err ret;

	if ((ret = store_read_int(s, "PRAGMA application_id", &id, why)) !=
		    ERR_OK ||
	    (ret = store_read_int(s, "PRAGMA user_version", &version, why)) !=
		    ERR_OK ||
	    (ret = store_read_int(s, "SELECT count(*) FROM sqlite_schema",
				  &tables, why)) != ERR_OK)
		return ret;
	if (id == 0 && version == 0 && tables == 0)
		return store_exec(s, store_schema, "make the tables", why);
	if (id != STORE_APPLICATION_ID)
		return why_set(why, ERR_CONFIG,
			       "record %s: a database of another program: "
			       "check data_dir",
			       s->path);
	if (version > STORE_SCHEMA_VERSION)
		return why_set(why, ERR_CONFIG,
			       "record %s: written by a newer meshcert (schema "
			       "%lld, this one knows %d): run that version, or "
			       "put back a backup from before the upgrade",
			       s->path, (long long)version,
			       STORE_SCHEMA_VERSION);
	if (version != STORE_SCHEMA_VERSION)
		return why_set(why, ERR_CONFIG,
			       "record %s: unknown schema %lld (this meshcert "
			       "knows %d): put back a backup",
			       s->path, (long long)version,
			       STORE_SCHEMA_VERSION);
	return ERR_OK;
}

static enum err
store_load_counts(struct store *s, struct why *why)
{
	struct buf b;
	struct slice in;
	enum err ret;

	buf_init(&b, 64);
	ret = store_get(s, "counts", &b);
	if (ret == ERR_NOT_FOUND) {
		ret = ERR_OK;
		goto out;
	}
	in = buf_get(&b);
	if (ret != ERR_OK ||
	    (ret = slice_read_u64(&in, &s->counts.intents)) != ERR_OK ||
	    (ret = slice_read_u64(&in, &s->counts.issued)) != ERR_OK ||
	    (ret = slice_read_u64(&in, &s->counts.failed)) != ERR_OK)
		ret = why_set(why, ERR_IO,
			      "record %s: the value \"counts\" is damaged: "
			      "put back a backup",
			      s->path);
	s->counts_saved = s->counts;
out:
	buf_fini(&b);
	return ret;
}

/* The files' names must be as durable as what stands in them. */
static enum err
store_sync_dir(struct store *s, struct why *why)
{
	char *dir = os_dup_parent(s->path);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err ret = ERR_OK;

	if (fd < 0 || fsync(fd) != 0)
		ret = why_set(why, err_from_errno(errno),
			      "record: cannot sync the folder of %s: %s",
			      s->path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	mem_free(dir);
	return ret;
}

enum err
store_open(const char *path, struct why *why, struct store **out)
{
	struct store *s = MEM_NEW(struct store);
	enum err ret;

	*out = NULL;
	s->lock_fd = -1;
	s->path = mem_dup_str(path);
	/* Checked before the settings: they would change a foreign file. */
	if ((ret = store_lock(s, why)) != ERR_OK ||
	    (ret = store_open_file(s, why)) != ERR_OK ||
	    (ret = store_check_schema(s, why)) != ERR_OK ||
	    (ret = store_exec(s, store_settings, "settings", why)) != ERR_OK ||
	    (ret = store_load_counts(s, why)) != ERR_OK ||
	    (ret = store_sync_dir(s, why)) != ERR_OK)
		goto out;
	*out = TAKE(s);
	ret = ERR_OK;
out:
	store_close(s);
	return ret;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	if (s->in_tx)
		store_abort(s);
	for (size_t i = 0; i < STMT_CNT; i++)
		(void)sqlite3_finalize(s->stmts[i]);
	(void)sqlite3_close(s->db);
	store_wal_unregister(s);
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	mem_free(s->path);
	mem_free(s);
}
