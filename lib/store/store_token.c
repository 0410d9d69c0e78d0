/* store_token.c - see store.h: join tokens and named values. */
#include "store/store.h"

#include "store/store_int.h"

/* -- named values -------------------------------------------------------- */

enum err
store_set(struct store *s, const char *name, struct slice value)
{
	sqlite3_stmt *st = store_stmt_get(s, STMT_SET);

	if (st != NULL) {
		store_bind_text(st, 1, slice_of_str(name));
		store_bind_blob(st, 2, value);
	}
	return store_stmt_run(s, st);
}

/* Steps to the one row of a statement whose values are bound; st may be NULL.
 * ERR_NOT_FOUND: there is none. The caller resets it. */
static enum err
store_step_row(const struct store *s, sqlite3_stmt *st)
{
	int rc;

	if (st == NULL)
		return store_err(s, sqlite3_errcode(s->db));
	if ((rc = sqlite3_step(st)) == SQLITE_ROW)
		return ERR_OK;
	return rc == SQLITE_DONE ? ERR_NOT_FOUND : store_err(s, rc);
}

enum err
store_get(struct store *s, const char *name, struct buf *out)
{
	sqlite3_stmt *st = store_stmt_get(s, STMT_GET);
	enum err ret;

	if (st != NULL)
		store_bind_text(st, 1, slice_of_str(name));
	if ((ret = store_step_row(s, st)) == ERR_OK)
		ret = buf_put(out, store_column(st, 0));
	store_stmt_reset(st);
	return ret;
}

/* -- join tokens --------------------------------------------------------- */

enum err
store_token_add(struct store *s, const struct store_token *t)
{
	sqlite3_stmt *st = store_stmt_get(s, STMT_TOKEN_ADD);

	if (st != NULL) {
		store_bind_blob(st, 1, SLICE_ARRAY(t->hash));
		store_bind_text(st, 2, t->identity);
		(void)sqlite3_bind_int64(st, 3, t->created.ms);
		(void)sqlite3_bind_int64(st, 4, t->expires.ms);
		store_bind_text(st, 5, t->created_by);
	}
	return store_stmt_run(s, st);
}

/* What the row at hand says about this use. *is_repeat: it was used by this
 * key a moment ago. A repeat counts in both directions of time: a clock that
 * was set back a little must not lock the host out. */
static enum err
store_token_judge(sqlite3_stmt *st, struct slice key_hash, struct wall now,
		  int64_t repeat_ms, bool *is_repeat)
{
	struct wall expires = {sqlite3_column_int64(st, 1)};
	struct wall used = {sqlite3_column_int64(st, 2)};
	int64_t since = wall_diff_ms(now, used);

	*is_repeat = false;
	if (sqlite3_column_type(st, 2) == SQLITE_NULL)
		return wall_is_before(now, expires) ? ERR_OK : ERR_EXPIRED;
	if (!slice_is_eq(store_column(st, 3), key_hash))
		return ERR_USED;
	if (since > repeat_ms || since < -repeat_ms)
		return ERR_USED;
	*is_repeat = true;
	return ERR_OK;
}

enum err
store_token_get_identity(struct store *s, const uint8_t hash[32],
			 struct buf *out)
{
	sqlite3_stmt *st = store_stmt_get(s, STMT_TOKEN_FIND);
	enum err ret;

	if (st != NULL)
		store_bind_blob(st, 1, slice_of(hash, 32));
	if ((ret = store_step_row(s, st)) == ERR_OK)
		ret = buf_put(out, store_column(st, 0));
	store_stmt_reset(st);
	return ret;
}

enum err
store_token_use(struct store *s, const uint8_t hash[32],
		const uint8_t key_hash[32], struct wall now, int64_t repeat_ms,
		struct buf *identity_out)
{
	struct slice key = slice_of(key_hash, STORE_KEY_HASH_LEN);
	sqlite3_stmt *st = store_stmt_get(s, STMT_TOKEN_FIND);
	bool is_repeat = false;
	enum err ret;

	must(s->in_tx);
	if (st != NULL)
		store_bind_blob(st, 1, slice_of(hash, 32));
	if ((ret = store_step_row(s, st)) == ERR_OK)
		ret = store_token_judge(st, key, now, repeat_ms, &is_repeat);
	if (ret == ERR_OK)
		ret = buf_put(identity_out, store_column(st, 0));
	store_stmt_reset(st);
	if (ret != ERR_OK || is_repeat)
		return ret;

	st = store_stmt_get(s, STMT_TOKEN_USE);
	if (st != NULL) {
		(void)sqlite3_bind_int64(st, 1, now.ms);
		store_bind_blob(st, 2, key);
		store_bind_blob(st, 3, slice_of(hash, 32));
	}
	return store_stmt_run(s, st);
}

enum err
store_token_purge(struct store *s, struct wall before)
{
	sqlite3_stmt *st = store_stmt_get(s, STMT_TOKEN_PURGE);

	if (st != NULL)
		(void)sqlite3_bind_int64(st, 1, before.ms);
	return store_stmt_run(s, st);
}
