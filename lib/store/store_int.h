/* store_int.h - what the files of the store share. */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include <sqlite3.h>

#include "store/store.h"

/* Every statement is prepared once, when it is first needed. */
enum store_stmt {
	STMT_BEGIN = 0,
	STMT_COMMIT,
	STMT_ROLLBACK,
	STMT_INTENT,
	STMT_COMPLETE,
	STMT_FIND,
	STMT_MAX_SERIAL,
	STMT_SET,
	STMT_GET,
	STMT_TOKEN_ADD,
	STMT_TOKEN_FIND,
	STMT_TOKEN_USE,
	STMT_TOKEN_PURGE,
	STMT_CNT
};

struct store {
	sqlite3 *db;
	sqlite3_vfs *vfs; /* store_wal.c; named by path */
	sqlite3_stmt *stmts[STMT_CNT];
	char *path;
	int lock_fd;
	bool in_tx;
	enum err tx_err; /* the first failed change: no commit any more */
	bool counts_changed;
	struct store_counts counts;       /* with the open transaction */
	struct store_counts counts_saved; /* as they are on the disk */
};

/* Makes the VFS for this store, and takes it away; the file is closed then. */
void store_wal_register(struct store *s);
void store_wal_unregister(struct store *s);

/* The prepared statement; NULL when it cannot be prepared. */
sqlite3_stmt *store_stmt_get(struct store *s, enum store_stmt id);
/* Runs a statement that has no rows, resets it and forgets its values. */
enum err store_stmt_run(struct store *s, sqlite3_stmt *st);
/* NULL is fine. */
void store_stmt_reset(sqlite3_stmt *st);
/* Our error for the connection's last one. */
enum err store_err(const struct store *s, int rc);
/* What to do about it; static. */
const char *store_advice(enum err e);
/* The same, with a text that names file, what failed and what to do. */
enum err store_fail(const struct store *s, int rc, const char *what,
		    struct why *why);

void store_bind_blob(sqlite3_stmt *st, int at, struct slice v);
void store_bind_text(sqlite3_stmt *st, int at, struct slice v);
/* Borrowed until the statement's next step or reset. */
struct slice store_column(sqlite3_stmt *st, int at);

#endif
