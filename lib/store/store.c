/* store.c - see store.h: certificates and transactions. Opening and the schema
 * are store_open.c, tokens and named values store_token.c.
 *
 * The figures this design rests on: serials grow (their first six bytes are a
 * time), so that inserts go to the end of the tree; there is no rowid and only
 * one index, on the end of validity. An intent costs about 3 microseconds in
 * a batch of 32, its completion 2. A completion keeps the row's size, so that
 * SQLite overwrites it in place. */
#include "store/store.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "store/store_int.h"

static const char *const store_sql[STMT_CNT] = {
	[STMT_BEGIN] = "BEGIN IMMEDIATE",
	[STMT_COMMIT] = "COMMIT",
	[STMT_ROLLBACK] = "ROLLBACK",
	[STMT_INTENT] =
		"INSERT INTO cert (serial, state, profile, auth, identity,"
		" caller, key_hash, not_before, not_after, asked_at,"
		" cert_hash, request_id)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[STMT_COMPLETE] = "UPDATE cert SET state = ?, cert_hash = ?"
			  " WHERE serial = ? AND state = 0",
	[STMT_FIND] = "SELECT state, profile, auth, identity, caller,"
		      " key_hash, not_before, not_after, asked_at, cert_hash,"
		      " request_id FROM cert WHERE serial = ?",
	[STMT_MAX_SERIAL] = "SELECT serial FROM cert"
			    " ORDER BY serial DESC LIMIT 1",
	[STMT_SET] = "INSERT INTO value (name, value) VALUES (?, ?)"
		     " ON CONFLICT (name) DO UPDATE SET"
		     " value = excluded.value",
	[STMT_GET] = "SELECT value FROM value WHERE name = ?",
	[STMT_TOKEN_ADD] = "INSERT INTO token (hash, identity, created,"
			   " expires, created_by) VALUES (?, ?, ?, ?, ?)",
	[STMT_TOKEN_FIND] = "SELECT identity, expires, used_at, used_by"
			    " FROM token WHERE hash = ?",
	[STMT_TOKEN_USE] = "UPDATE token SET used_at = ?, used_by = ?"
			   " WHERE hash = ? AND used_at IS NULL",
	[STMT_TOKEN_PURGE] = "DELETE FROM token WHERE expires < ?1"
			     " AND (used_at IS NULL OR used_at < ?1)",
};

/* -- statements ---------------------------------------------------------- */

sqlite3_stmt *
store_stmt_get(struct store *s, enum store_stmt id)
{
	if (s->stmts[id] == NULL)
		(void)sqlite3_prepare_v3(s->db, store_sql[id], -1,
					 SQLITE_PREPARE_PERSISTENT,
					 &s->stmts[id], NULL);
	return s->stmts[id];
}

void
store_stmt_reset(sqlite3_stmt *st)
{
	if (st == NULL)
		return;
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
}

enum err
store_stmt_run(struct store *s, sqlite3_stmt *st)
{
	int rc;
	enum err ret;

	if (st == NULL) {
		rc = sqlite3_errcode(s->db);
	} else {
		errno = 0;
		rc = sqlite3_step(st);
	}
	ret = rc == SQLITE_DONE || rc == SQLITE_ROW ? ERR_OK : store_err(s, rc);
	if (st != NULL)
		store_stmt_reset(st);
	if (s->in_tx && s->tx_err == ERR_OK)
		s->tx_err = ret;
	return ret;
}

void
store_bind_blob(sqlite3_stmt *st, int at, struct slice v)
{
	/* A NULL pointer would be an SQL NULL. */
	(void)sqlite3_bind_blob64(st, at, v.p == NULL ? (const void *)"" : v.p,
				  v.len, SQLITE_STATIC);
}

void
store_bind_text(sqlite3_stmt *st, int at, struct slice v)
{
	const char *p = v.p == NULL ? "" : (const char *)v.p;

	(void)sqlite3_bind_text64(st, at, p, v.len, SQLITE_STATIC, SQLITE_UTF8);
}

struct slice
store_column(sqlite3_stmt *st, int at)
{
	const void *p = sqlite3_column_blob(st, at);

	return slice_of(p, (size_t)sqlite3_column_bytes(st, at));
}

/* -- errors -------------------------------------------------------------- */

static bool
store_is_full(const struct store *s, int rc)
{
	int cause = errno;

	if ((rc & 0xff) == SQLITE_FULL)
		return true;
	if ((rc & 0xff) != SQLITE_IOERR)
		return false;
	/* SQLite knows ENOSPC; quotas and size limits end here. For a commit
	 * sqlite3_system_errno says nothing, so errno itself is asked. */
	if (sqlite3_system_errno(s->db) != 0)
		cause = sqlite3_system_errno(s->db);
	return cause == ENOSPC || cause == EDQUOT || cause == EFBIG;
}

enum err
store_err(const struct store *s, int rc)
{
	if (store_is_full(s, rc))
		return ERR_DISK_FULL;
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return ERR_OK;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_CONSTRAINT:
		return ERR_EXISTS;
	case SQLITE_NOMEM:
		return ERR_NO_MEMORY;
	case SQLITE_TOOBIG:
		return ERR_LIMIT;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return ERR_FORBIDDEN;
	case SQLITE_CANTOPEN:
		return err_from_errno(sqlite3_system_errno(s->db));
	case SQLITE_NOTADB:
		return ERR_CONFIG;
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
	case SQLITE_ERROR:
		return ERR_BUG;
	default:
		return ERR_IO;
	}
}

const char *
store_advice(enum err e)
{
	switch (e) {
	case ERR_DISK_FULL:
		return "make room on that file system; nothing is signed "
		       "until then";
	case ERR_FORBIDDEN:
		return "give the authority's user the right to write there";
	case ERR_BUSY:
		return "another program holds the file locked: end it";
	case ERR_CONFIG:
		return "this is no record of meshcert: check data_dir";
	default:
		return "check the disk and the system log; if the file is "
		       "damaged, stop the authority and put a backup back";
	}
}

enum err
store_fail(const struct store *s, int rc, const char *what, struct why *why)
{
	enum err ret = store_err(s, rc);

	if (ret == ERR_OK)
		ret = ERR_IO;
	return why_set(why, ret, "record %s: %s: %s: %s", s->path, what,
		       sqlite3_errmsg(s->db), store_advice(ret));
}

/* -- transactions -------------------------------------------------------- */

static enum err
store_tx_step(struct store *s, enum store_stmt id, const char *what,
	      struct why *why)
{
	sqlite3_stmt *st = store_stmt_get(s, id);
	enum err ret = ERR_OK;
	int rc;

	if (st == NULL)
		return store_fail(s, sqlite3_errcode(s->db), what, why);
	errno = 0;
	rc = sqlite3_step(st);
	if (rc != SQLITE_DONE)
		ret = store_fail(s, rc, what, why);
	store_stmt_reset(st);
	return ret;
}

enum err
store_begin(struct store *s, struct why *why)
{
	enum err ret;

	must(!s->in_tx);
	ret = store_tx_step(s, STMT_BEGIN, "begin", why);
	if (ret == ERR_OK) {
		s->in_tx = true;
		s->tx_err = ERR_OK;
		s->counts = s->counts_saved;
		s->counts_changed = false;
	}
	return ret;
}

/* The counts stand beside the audit head, in a page that is written in most
 * transactions anyway: no table is ever read through to count. */
static enum err
store_save_counts(struct store *s)
{
	uint8_t bytes[24];
	const uint64_t v[3] = {s->counts.intents, s->counts.issued,
			       s->counts.failed};

	if (!s->counts_changed)
		return ERR_OK;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(v[i / 8] >> (8 * (7 - i % 8)));
	return store_set(s, "counts", SLICE_ARRAY(bytes));
}

enum err
store_commit(struct store *s, struct why *why)
{
	enum err ret;

	must(s->in_tx);
	/* SQLite may have rolled back by itself; what comes now would be kept
	 * without what was before it. */
	if (s->tx_err != ERR_OK)
		return why_set(why, s->tx_err,
			       "record %s: commit: an earlier change of this "
			       "transaction failed: %s",
			       s->path, err_text(s->tx_err));
	ret = store_save_counts(s);
	if (ret != ERR_OK)
		return store_fail(s, sqlite3_extended_errcode(s->db), "commit",
				  why);
	ret = store_tx_step(s, STMT_COMMIT, "commit", why);
	if (ret == ERR_OK) {
		s->in_tx = false;
		s->counts_saved = s->counts;
	}
	return ret;
}

void
store_abort(struct store *s)
{
	/* SQLite has rolled back by itself after some errors (disk full). */
	if (s->in_tx && sqlite3_get_autocommit(s->db) == 0 &&
	    store_tx_step(s, STMT_ROLLBACK, "rollback", NULL) != ERR_OK)
		log_error("record rollback", "file=%s error=%s", s->path,
			  sqlite3_errmsg(s->db));
	s->in_tx = false;
	s->counts = s->counts_saved;
	s->counts_changed = false;
}

/* -- certificates -------------------------------------------------------- */

enum err
store_add_intent(struct store *s, const struct store_cert *c)
{
	static const uint8_t no_hash[32];
	sqlite3_stmt *st = store_stmt_get(s, STMT_INTENT);
	enum err ret;

	must(s->in_tx);
	if (st != NULL) {
		store_bind_blob(st, 1, SLICE_ARRAY(c->serial));
		(void)sqlite3_bind_int(st, 2, STORE_INTENT);
		(void)sqlite3_bind_int(st, 3, c->profile);
		(void)sqlite3_bind_int(st, 4, c->auth);
		store_bind_text(st, 5, c->identity);
		store_bind_text(st, 6, c->caller);
		store_bind_blob(st, 7, SLICE_ARRAY(c->key_hash));
		(void)sqlite3_bind_int64(st, 8, c->not_before.ms);
		(void)sqlite3_bind_int64(st, 9, c->not_after.ms);
		(void)sqlite3_bind_int64(st, 10, c->asked_at.ms);
		store_bind_blob(st, 11, SLICE_ARRAY(no_hash));
		store_bind_text(st, 12, c->request_id);
	}
	ret = store_stmt_run(s, st);
	if (ret == ERR_OK) {
		s->counts.intents++;
		s->counts_changed = true;
	}
	return ret;
}

enum err
store_complete(struct store *s, const uint8_t serial[STORE_SERIAL_LEN],
	       enum store_state state, const uint8_t cert_hash[32])
{
	sqlite3_stmt *st = store_stmt_get(s, STMT_COMPLETE);
	enum err ret;

	must(s->in_tx && (state == STORE_ISSUED || state == STORE_FAILED));
	if (st != NULL) {
		(void)sqlite3_bind_int(st, 1, (int)state);
		store_bind_blob(st, 2, slice_of(cert_hash, 32));
		store_bind_blob(st, 3, slice_of(serial, STORE_SERIAL_LEN));
	}
	ret = store_stmt_run(s, st);
	if (ret != ERR_OK)
		return ret;
	if (sqlite3_changes(s->db) == 0)
		return ERR_NOT_FOUND;
	if (state == STORE_ISSUED)
		s->counts.issued++;
	else
		s->counts.failed++;
	s->counts_changed = true;
	return ERR_OK;
}

/* -- reading ------------------------------------------------------------- */

static enum err
store_read_fixed(sqlite3_stmt *st, int at, uint8_t *out, size_t len)
{
	struct slice v = store_column(st, at);

	if (v.len != len)
		return ERR_IO;
	memcpy(out, v.p, len);
	return ERR_OK;
}

/* The strings go into one buffer, which may move while it grows: the slices
 * are taken when all are in. */
static enum err
store_read_strings(sqlite3_stmt *st, struct buf *strings,
		   struct store_cert *out)
{
	struct slice *const slots[3] = {&out->identity, &out->caller,
					&out->request_id};
	static const int columns[3] = {3, 4, 10};
	size_t at = buf_len(strings);
	enum err ret;

	for (size_t i = 0; i < COUNT_OF(columns); i++) {
		*slots[i] = store_column(st, columns[i]);
		ret = buf_put(strings, *slots[i]);
		if (ret != ERR_OK)
			return ret;
	}
	for (size_t i = 0; i < COUNT_OF(columns); i++) {
		*slots[i] = slice_sub(buf_get(strings), at, slots[i]->len);
		at += slots[i]->len;
	}
	return ERR_OK;
}

static enum err
store_read_row(sqlite3_stmt *st, struct buf *strings, struct store_cert *out)
{
	enum err ret;

	out->state = (enum store_state)sqlite3_column_int(st, 0);
	out->profile = (uint8_t)sqlite3_column_int(st, 1);
	out->auth = (uint8_t)sqlite3_column_int(st, 2);
	out->not_before.ms = sqlite3_column_int64(st, 6);
	out->not_after.ms = sqlite3_column_int64(st, 7);
	out->asked_at.ms = sqlite3_column_int64(st, 8);
	ret = store_read_fixed(st, 5, out->key_hash, sizeof(out->key_hash));
	if (ret == ERR_OK)
		ret = store_read_fixed(st, 9, out->cert_hash,
				       sizeof(out->cert_hash));
	return ret != ERR_OK ? ret : store_read_strings(st, strings, out);
}

enum err
store_find(struct store *s, const uint8_t serial[STORE_SERIAL_LEN],
	   struct buf *strings, struct store_cert *out)
{
	sqlite3_stmt *st = store_stmt_get(s, STMT_FIND);
	enum err ret = ERR_NOT_FOUND;
	int rc;

	*out = (struct store_cert){0};
	if (st == NULL)
		return store_err(s, sqlite3_errcode(s->db));
	store_bind_blob(st, 1, slice_of(serial, STORE_SERIAL_LEN));
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		ret = store_read_row(st, strings, out);
	else if (rc != SQLITE_DONE)
		ret = store_err(s, rc);
	store_stmt_reset(st);
	if (ret == ERR_OK)
		memcpy(out->serial, serial, STORE_SERIAL_LEN);
	else
		*out = (struct store_cert){0};
	return ret;
}

enum err
store_count(struct store *s, struct store_counts *out)
{
	*out = s->counts;
	return ERR_OK;
}

enum err
store_max_serial(struct store *s, uint8_t out[STORE_SERIAL_LEN])
{
	sqlite3_stmt *st = store_stmt_get(s, STMT_MAX_SERIAL);
	enum err ret = ERR_OK;
	int rc;

	memset(out, 0, STORE_SERIAL_LEN);
	if (st == NULL)
		return store_err(s, sqlite3_errcode(s->db));
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		ret = store_read_fixed(st, 0, out, STORE_SERIAL_LEN);
	else if (rc != SQLITE_DONE)
		ret = store_err(s, rc);
	store_stmt_reset(st);
	return ret;
}
