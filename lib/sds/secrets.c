/* secrets.c - the table of snapshots and their watchers: see secrets.h.
 *
 * An entry lives while it has a snapshot or a watcher. A callback may cancel
 * any watch and may set other names; the walk over the watchers allows both. */
#include "sds/secrets.h"

#include <string.h>

#include "base/mem.h"

/* A walk over the watchers of an entry that is under way. */
struct walk {
	struct sds_watch *next;
	struct walk *outer;
};

struct sds_entry {
	struct sds_secrets *table;
	char *name;
	struct sds_secret *secret; /* NULL: not there */
	struct sds_watch *watches;
	struct walk *walk;
	unsigned pins;
	bool resolved;
};

struct sds_secrets {
	struct sds_entry **entries; /* in order of names */
	size_t cnt;
	size_t cap;
	size_t secret_cnt;
	sds_resolve_cb *resolve;
	sds_release_cb *release;
	void *arg;
};

/* ---- entries ------------------------------------------------------------- */

/* Where the name is, or would be. */
static bool
entry_find(const struct sds_secrets *t, const char *name, size_t *at)
{
	size_t lo = 0;
	size_t hi = t->cnt;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;
		const int cmp = strcmp(t->entries[mid]->name, name);

		if (cmp == 0) {
			*at = mid;
			return true;
		}
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*at = lo;
	return false;
}

static struct sds_entry *
entry_get(struct sds_secrets *t, const char *name)
{
	size_t at;
	struct sds_entry *e;

	if (entry_find(t, name, &at))
		return t->entries[at];
	if (t->cnt == t->cap) {
		const size_t cap = t->cap == 0 ? 8 : 2 * t->cap;

		t->entries = (struct sds_entry **)mem_grow_array(
			t->entries, t->cap, cap, sizeof(struct sds_entry *));
		t->cap = cap;
	}
	memmove(t->entries + at + 1, t->entries + at,
		(t->cnt - at) * sizeof(struct sds_entry *));
	e = MEM_NEW(struct sds_entry);
	e->table = t;
	e->name = mem_dup_str(name);
	t->entries[at] = e;
	t->cnt++;
	return e;
}

/* Drops it when nobody has a use for it. */
static void
entry_tidy(struct sds_entry *e)
{
	struct sds_secrets *t = e->table;
	size_t at;

	if (e->secret != NULL || e->watches != NULL || e->pins > 0)
		return;
	must(entry_find(t, e->name, &at));
	memmove(t->entries + at, t->entries + at + 1,
		(t->cnt - at - 1) * sizeof(struct sds_entry *));
	t->cnt--;
	mem_free(e->name);
	mem_free(e);
}

static void
entry_tell(struct sds_entry *e)
{
	struct walk walk = {e->watches, e->walk};
	struct sds_secret *s = e->secret;
	struct sds_watch *w;

	if (s != NULL)
		sds_secret_ref(s);
	e->pins++;
	e->walk = &walk;
	while ((w = walk.next) != NULL) {
		walk.next = w->next;
		w->on_change(w->arg, s);
	}
	e->walk = walk.outer;
	e->pins--;
	sds_secret_unref(s);
}

/* ---- the table ----------------------------------------------------------- */

struct sds_secrets *
sds_secrets_new(sds_resolve_cb *resolve, sds_release_cb *release, void *arg)
{
	struct sds_secrets *t = MEM_NEW(struct sds_secrets);

	t->resolve = resolve;
	t->release = release;
	t->arg = arg;
	return t;
}

void
sds_secrets_free(struct sds_secrets *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->cnt; i++) {
		struct sds_entry *e = t->entries[i];

		must(e->watches == NULL);
		sds_secret_unref(e->secret);
		mem_free(e->name);
		mem_free(e);
	}
	mem_free(t->entries);
	mem_free(t);
}

void
sds_secrets_set(struct sds_secrets *t, struct sds_secret *s)
{
	struct sds_entry *e = entry_get(t, sds_secret_get_name(s));

	if (e->secret == NULL)
		t->secret_cnt++;
	else if (strcmp(sds_secret_get_version(e->secret),
			sds_secret_get_version(s)) == 0)
		return;
	sds_secret_unref(e->secret);
	e->secret = sds_secret_ref(s);
	entry_tell(e);
	entry_tidy(e);
}

void
sds_secrets_remove(struct sds_secrets *t, const char *name)
{
	struct sds_entry *e;
	size_t at;

	if (!entry_find(t, name, &at) || t->entries[at]->secret == NULL)
		return;
	e = t->entries[at];
	t->secret_cnt--;
	sds_secret_unref(TAKE(e->secret));
	entry_tell(e);
	entry_tidy(e);
}

struct sds_secret *
sds_secrets_get(const struct sds_secrets *t, const char *name)
{
	size_t at;

	return entry_find(t, name, &at) ? t->entries[at]->secret : NULL;
}

size_t
sds_secrets_count(const struct sds_secrets *t)
{
	return t->secret_cnt;
}

struct sds_secret *
sds_secrets_at(const struct sds_secrets *t, size_t i)
{
	for (size_t k = 0; k < t->cnt; k++) {
		if (t->entries[k]->secret != NULL && i-- == 0)
			return t->entries[k]->secret;
	}
	return NULL;
}

/* ---- watching ------------------------------------------------------------ */

static void
watch_link(struct sds_entry *e, struct sds_watch *w)
{
	must(w->entry == NULL);
	w->entry = e;
	w->prev = NULL;
	w->next = e->watches;
	if (w->next != NULL)
		w->next->prev = w;
	e->watches = w;
}

static bool
is_served(struct sds_entry *e)
{
	struct sds_secrets *t = e->table;

	if (e->secret != NULL || e->resolved)
		return true;
	if (t->resolve == NULL)
		return false;
	e->pins++;
	e->resolved = t->resolve(t->arg, e->name);
	e->pins--;
	return e->resolved || e->secret != NULL;
}

enum err
sds_watch_start(struct sds_secrets *t, const char *name, struct sds_watch *w)
{
	struct sds_entry *e = entry_get(t, name);

	if (!is_served(e)) {
		entry_tidy(e);
		return ERR_NOT_FOUND;
	}
	watch_link(e, w);
	return ERR_OK;
}

void
sds_watch_remember(struct sds_secrets *t, const char *name, struct sds_watch *w)
{
	watch_link(entry_get(t, name), w);
}

const char *
sds_watch_get_name(const struct sds_watch *w)
{
	return w->entry->name;
}

void
sds_watch_cancel(struct sds_watch *w)
{
	struct sds_entry *e = w->entry;
	struct sds_secrets *t;

	if (e == NULL)
		return;
	for (struct walk *k = e->walk; k != NULL; k = k->outer) {
		if (k->next == w)
			k->next = w->next;
	}
	if (w->next != NULL)
		w->next->prev = w->prev;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		e->watches = w->next;
	w->entry = NULL;
	w->prev = NULL;
	w->next = NULL;
	t = e->table;
	if (e->watches == NULL && e->resolved) {
		e->resolved = false;
		e->pins++;
		if (t->release != NULL)
			t->release(t->arg, e->name);
		e->pins--;
	}
	entry_tidy(e);
}
