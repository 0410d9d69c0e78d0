/* files.c - certificates from files: see agent.h.
 *
 * Both files of a pair are watched, because a key may change alone or later. A
 * change is read after a short rest; what does not pass its checks leaves the
 * old one in force, is tried again, and is said once. Everything is also looked
 * at every half minute, for file systems and replaced folders that send no
 * events. */
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "pki/spiffe_id.h"

enum {
	ITEMS_MAX = 256,
	RETRY_MIN_MS = 500,
	RETRY_MAX_MS = 30000,
	LOOK_AGAIN_MS = 30000,
	/* A pair is often found half written: said when it stays so. */
	SAY_AFTER = 2
};

/* One name from one or two files. */
struct item {
	struct agent_files *files;
	struct item *next;
	char *name;
	char *path; /* certificate or roots */
	char *key;  /* NULL: roots */
	struct files_watch *watches[2];
	struct ev_timer *timer;
	uint64_t retry_ms;
	unsigned failures; /* in a row */
	char *alias;       /* also served under this name; NULL: none */
	bool is_default;   /* stays when nobody asks for it */
	bool is_gone;      /* nobody asks for it any more: item_drop */
	bool resting;      /* the timer is the rest after a change */
	bool said_expired; /* of what is served now */
	struct item *next_gone;
	char said[WHY_MAX];
	char *error; /* why the last reading failed; NULL: it did not */
	struct wall failing_since;
};

struct agent_files {
	struct agent *agent;
	struct item *items;
	struct item *gone; /* freed when no callback is under way */
	struct ev_defer sweep;
	size_t cnt;
	struct ev_timer *look_again;
};

/* ---- reading ------------------------------------------------------------- */

static struct wall
earliest_end(const struct agent_files *f)
{
	struct wall first = {0};

	for (const struct item *it = f->items; it != NULL; it = it->next) {
		const struct sds_secret *s =
			sds_secrets_get(f->agent->secrets, it->name);
		struct wall end;

		if (s == NULL || it->key == NULL)
			continue;
		end = sds_secret_get_not_after(s);
		if (first.ms == 0 || wall_is_before(end, first))
			first = end;
	}
	return first;
}

static void
export_expiry(const struct item *it, const struct sds_secret *s)
{
	struct agent *a = it->files->agent;

	metric_set(a->metrics, AM_FILE_EXPIRY_TIMESTAMP, 0,
		   wall_sec(earliest_end(it->files)));
	if (it->is_default)
		metric_set(a->metrics,
			   it->key != NULL ? AM_CERT_EXPIRY_TIMESTAMP
					   : AM_ROOT_EXPIRY_TIMESTAMP,
			   0, wall_sec(sds_secret_get_not_after(s)));
}

/* The SPIFFE ID of the default pair; for roots the alias never changes. */
static void
follow_identity(struct item *it, const struct sds_secret *s)
{
	const struct slice id = sds_secret_get_spiffe_id(s);

	if (!it->is_default || it->key == NULL ||
	    (it->alias != NULL && slice_is_str(id, it->alias)))
		return;
	if (it->alias != NULL)
		sds_secrets_remove(it->files->agent->secrets, it->alias);
	mem_free(it->alias);
	it->alias = id.len == 0 ? NULL : mem_dup_slice_str(id);
}

/* Who is told may go, and be the last who asked: then so does the item. */
static void
put(struct item *it, struct sds_secret *s)
{
	struct sds_secrets *t = it->files->agent->secrets;
	struct sds_secret *other;

	sds_secrets_set(t, s);
	if (it->is_gone)
		return;
	follow_identity(it, s);
	if (it->alias != NULL &&
	    sds_secret_alias(s, it->alias, &other) == ERR_OK) {
		sds_secrets_set(t, other);
		sds_secret_unref(other);
	}
	export_expiry(it, s);
}

static bool
is_valid_at(const struct sds_secret *s, struct wall now)
{
	struct cert leaf;

	return s != NULL &&
	       cert_parse(sds_secret_get_cert(s, 0), NULL, &leaf) == ERR_OK &&
	       !wall_is_before(now, leaf.not_before) &&
	       wall_is_before(now, sds_secret_get_not_after(s));
}

/* What is not valid does not replace what is; where there is nothing better,
 * the owner of the files has the last word. */
static enum err
check_dates(struct item *it, const struct sds_secret *s, struct why *why)
{
	const struct sds_secret *old =
		sds_secrets_get(it->files->agent->secrets, it->name);
	const struct wall now = wall_now();
	const bool is_over = !wall_is_before(now, sds_secret_get_not_after(s));
	char end[WALL_TEXT_MAX];

	if (it->key == NULL)
		return ERR_OK;
	if (is_valid_at(s, now)) {
		it->said_expired = false;
		return ERR_OK;
	}
	wall_format(sds_secret_get_not_after(s), end);
	if (is_valid_at(old, now))
		return is_over ? why_set(why, ERR_EXPIRED, "%s expired at %s",
					 it->path, end)
			       : why_set(why, ERR_NOT_YET_VALID,
					 "%s is not valid yet: is the clock of "
					 "this host right?",
					 it->path);
	if (is_over && !it->said_expired)
		log_warn("file certificate is expired",
			 "name=%s: it ended at %s and is served because there "
			 "is no "
			 "other; renew it",
			 it->name, end);
	it->said_expired = is_over;
	return ERR_OK;
}

static enum err
load(struct item *it, struct why *why, struct sds_secret **out)
{
	enum err ret;
	size_t skipped = 0;

	if (it->key != NULL)
		ret = files_load_pair(it->name, it->path, it->key, why, out);
	else
		ret = files_load_roots(it->name, it->path, why, &skipped, out);
	if (ret != ERR_OK)
		return ret;
	if ((ret = check_dates(it, *out, why)) != ERR_OK) {
		sds_secret_unref(*out);
		*out = NULL;
	} else if (skipped > 0 && strcmp(it->said, why->text) != 0) {
		log_warn("file root is read in part",
			 "name=%s: %zu certificates left out, the last one: %s",
			 it->name, skipped, why->text);
		(void)snprintf(it->said, sizeof(it->said), "%s", why->text);
	}
	return ret;
}

static void on_timer(void *arg);

static void
schedule(struct item *it, uint64_t after_ms)
{
	ev_timer_cancel(&it->timer);
	it->resting = false;
	(void)!ev_timer_start(it->files->agent->loop, after_ms, on_timer, it,
			      &it->timer);
}

static void
say_failure(struct item *it, enum err e, const struct why *why)
{
	const bool has_old =
		sds_secrets_get(it->files->agent->secrets, it->name) != NULL;
	const char *text = why_text(why, e);

	if ((has_old && it->failures < SAY_AFTER) ||
	    strcmp(it->said, text) == 0)
		return;
	(void)snprintf(it->said, sizeof(it->said), "%s", text);
	log_warn("file certificate cannot be used", "name=%s: %s; %s", it->name,
		 text,
		 has_old ? "the one before stays in use"
			 : "nothing is served under this name until it is "
			   "mended");
}

static void
on_failure(struct item *it, enum err e, const struct why *why)
{
	if (it->failures++ == 0)
		it->failing_since = wall_now();
	mem_free(it->error);
	it->error = mem_dup_str(why_text(why, e));
	metric_add(it->files->agent->metrics, AM_FILE_SECRET_FAILED, 0, 1);
	say_failure(it, e, why);
	it->retry_ms = it->retry_ms == 0 ? RETRY_MIN_MS : 2 * it->retry_ms;
	if (it->retry_ms > RETRY_MAX_MS)
		it->retry_ms = RETRY_MAX_MS;
	schedule(it, it->retry_ms);
}

static void
on_success(struct item *it, struct sds_secret *s)
{
	const struct sds_secret *old =
		sds_secrets_get(it->files->agent->secrets, it->name);

	if (old == NULL ||
	    strcmp(sds_secret_get_version(old), sds_secret_get_version(s)) != 0)
		log_info("file certificate", "name=%s version=%s: %s", it->name,
			 sds_secret_get_version(s), sds_secret_get_source(s));
	if (it->failures > 0)
		it->said[0] = '\0';
	it->failures = 0;
	it->retry_ms = 0;
	mem_free(TAKE(it->error));
	put(it, s);
}

static void
read_now(struct item *it)
{
	struct sds_secret *s;
	struct why why = {""};
	const enum err e = load(it, &why, &s);

	if (e != ERR_OK) {
		on_failure(it, e, &why);
		return;
	}
	on_success(it, s);
	sds_secret_unref(s);
}

/* ---- watching ------------------------------------------------------------ */

static void
on_event(void *arg)
{
	struct item *it = arg;
	const int64_t rest = it->files->agent->conf.files_debounce_ms;

	/* Counted from the first change: a folder where something is written
	 * all the time must not keep us from reading. */
	if (it->resting)
		return;
	schedule(it, rest > 0 ? (uint64_t)rest : 1);
	it->resting = true;
}

static void
watch_path(struct item *it, size_t i, const char *path)
{
	struct agent *a = it->files->agent;
	enum err e;

	files_watch_cancel(&it->watches[i]);
	e = files_watch_start(a->loop, path, on_event, it, &it->watches[i]);
	if (e == ERR_OK)
		return;
	metric_add(a->metrics, AM_FILE_WATCH_FAILED, 0, 1);
	log_warn("file cannot be watched",
		 "path=%s: %s; it is looked at every %d seconds", path,
		 err_text(e), LOOK_AGAIN_MS / 1000);
}

/* Watches come first: what changes after the reading is seen. */
static void
watch_and_read(struct item *it)
{
	watch_path(it, 0, it->path);
	if (it->key != NULL)
		watch_path(it, 1, it->key);
	read_now(it);
}

static void
on_timer(void *arg)
{
	struct item *it = arg;

	it->resting = false;
	watch_and_read(it);
}

static void
look_again(void *arg)
{
	struct agent_files *f = arg;

	for (struct item *it = f->items; it != NULL; it = it->next) {
		/* One that fails has its own timer. */
		if (it->timer == NULL && !it->is_gone)
			watch_and_read(it);
	}
	(void)!ev_timer_start(f->agent->loop, LOOK_AGAIN_MS, look_again, f,
			      &f->look_again);
}

/* ---- items --------------------------------------------------------------- */

/* paths are clean. key NULL: roots. */
static struct item *
item_new(struct agent_files *f, const char *name, const char *path,
	 const char *key)
{
	struct item *it = MEM_NEW(struct item);

	it->files = f;
	it->name = mem_dup_str(name);
	it->path = mem_dup_str(path);
	it->key = key == NULL ? NULL : mem_dup_str(key);
	it->next = f->items;
	f->items = it;
	f->cnt++;
	return it;
}

static void
item_free(struct item *it)
{
	mem_free(it->name);
	mem_free(it->path);
	mem_free(it->key);
	mem_free(it->alias);
	mem_free(it->error);
	mem_free(it);
}

static void
items_sweep(void *arg)
{
	struct agent_files *f = arg;

	while (f->gone != NULL) {
		struct item *it = f->gone;

		f->gone = it->next_gone;
		item_free(it);
	}
}

/* Nothing of it happens any more, and it is in no list but that of those that
 * are gone. Its memory, and the way from it to the next one, stay until all
 * that may be at work with it has returned. */
static void
item_drop(struct item **at)
{
	struct item *it = *at;
	struct agent_files *f = it->files;

	*at = it->next;
	f->cnt--;
	ev_timer_cancel(&it->timer);
	files_watch_cancel(&it->watches[0]);
	files_watch_cancel(&it->watches[1]);
	it->is_gone = true;
	it->next_gone = f->gone;
	f->gone = it;
	ev_defer_queue(f->agent->loop, &f->sweep, items_sweep, f);
}

static struct item **
item_find(struct agent_files *f, const char *name)
{
	struct item **at = &f->items;

	while (*at != NULL && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

/* ---- who may read what --------------------------------------------------- */

static bool
is_file(const char *clean, const char *allowed)
{
	char path[FILES_PATH_MAX];

	if (allowed == NULL || allowed[0] == '\0' ||
	    files_path_clean(slice_of_str(allowed), path) != ERR_OK)
		return false;
	return strcmp(clean, path) == 0;
}

static bool
is_below(const char *clean, const char *folder)
{
	char path[FILES_PATH_MAX];

	return files_path_clean(slice_of_str(folder), path) == ERR_OK &&
	       files_path_is_below(clean, path);
}

static bool
is_allowed(const struct agent *a, const char *clean)
{
	const struct agent_conf *c = &a->conf;
	const char *const files[] = {
		c->files_client_cert, c->files_client_key, c->files_client_root,
		c->files_server_cert, c->files_server_key, c->files_server_root,
		a->defaults.chain,    a->defaults.key,     a->defaults.root};

	for (size_t i = 0; i < COUNT_OF(files); i++) {
		if (is_file(clean, files[i]))
			return true;
	}
	for (size_t i = 0; i < c->files_allow.cnt; i++) {
		if (is_below(clean, c->files_allow.items[i]))
			return true;
	}
	return false;
}

/* A path of a name, if the configuration lets it be read. */
static bool
take_path(const struct agent_files *f, struct slice text,
	  char out[FILES_PATH_MAX])
{
	if (files_path_clean(text, out) == ERR_OK && is_allowed(f->agent, out))
		return true;
	log_peer("file certificate is not allowed",
		 "path=%.*s is not below a folder of files.allow",
		 text.len > 200 ? 200 : (int)text.len, (const char *)text.p);
	return false;
}

static bool
start_named(struct agent_files *f, const char *name, const char *path,
	    const char *key)
{
	if (f->cnt >= ITEMS_MAX) {
		log_peer("too many file certificates",
			 "%d are watched already; name=%s is not served",
			 ITEMS_MAX, name);
		return false;
	}
	watch_and_read(item_new(f, name, path, key));
	return true;
}

static bool
resolve_cert(struct agent_files *f, const char *name, struct slice rest)
{
	char path[FILES_PATH_MAX];
	char key[FILES_PATH_MAX];
	struct slice cert;

	if (!slice_split(&rest, '~', &cert) || !take_path(f, cert, path) ||
	    !take_path(f, rest, key))
		return false;
	return start_named(f, name, path, key);
}

static bool
resolve_root(struct agent_files *f, const char *name, struct slice rest)
{
	char path[FILES_PATH_MAX];
	const char *system;

	if (slice_is_str(rest, "system")) {
		system = files_find_system_roots();
		return system != NULL && start_named(f, name, system, NULL);
	}
	return take_path(f, rest, path) && start_named(f, name, path, NULL);
}

/* ---- the interface ------------------------------------------------------- */

enum err
agent_files_new(struct agent *a, struct why *why, struct agent_files **out)
{
	enum err ret;
	struct agent_files *f = MEM_NEW(struct agent_files);

	*out = NULL;
	f->agent = a;
	ret = ev_timer_start(a->loop, LOOK_AGAIN_MS, look_again, f,
			     &f->look_again);
	if (ret != ERR_OK) {
		mem_free(f);
		return why_set(why, ret, "no timer for file certificates");
	}
	*out = f;
	return ERR_OK;
}

void
agent_files_free(struct agent_files *f)
{
	if (f == NULL)
		return;
	ev_timer_cancel(&f->look_again);
	while (f->items != NULL)
		item_drop(&f->items);
	ev_defer_cancel(&f->sweep);
	items_sweep(f);
	mem_free(f);
}

static void
start_default(struct agent_files *f, const char *name, const char *path,
	      const char *key, char *alias)
{
	char clean[FILES_PATH_MAX];
	char clean_key[FILES_PATH_MAX] = "";
	struct item *it;

	if (files_path_clean(slice_of_str(path), clean) != ERR_OK ||
	    (key != NULL &&
	     files_path_clean(slice_of_str(key), clean_key) != ERR_OK)) {
		log_error("bad path of a default certificate", "path=%s", path);
		mem_free(alias);
		return;
	}
	it = item_new(f, name, clean, key == NULL ? NULL : clean_key);
	it->is_default = true;
	it->alias = alias;
	watch_and_read(it);
}

void
agent_files_start_defaults(struct agent_files *f)
{
	const struct agent *a = f->agent;

	if (a->defaults.root != NULL)
		start_default(f, AGENT_NAME_ROOT, a->defaults.root, NULL,
			      mem_printf("spiffe://%s", a->conf.trust_domain));
	if (a->defaults.chain != NULL)
		start_default(f, AGENT_NAME_DEFAULT, a->defaults.chain,
			      a->defaults.key, NULL);
}

void
agent_files_on_clock(struct agent_files *f)
{
	for (struct item *it = f->items; it != NULL; it = it->next) {
		if (it->is_gone)
			continue;
		ev_timer_cancel(&it->timer);
		it->retry_ms = 0;
		watch_and_read(it);
	}
}

bool
agent_files_resolve(struct agent_files *f, const char *name)
{
	const struct slice text = slice_of_str(name);

	if (*item_find(f, name) != NULL)
		return true;
	if (slice_has_prefix(text, "file-cert:"))
		return resolve_cert(f, name, slice_sub(text, 10, text.len));
	if (slice_has_prefix(text, "file-root:"))
		return resolve_root(f, name, slice_sub(text, 10, text.len));
	return false;
}

void
agent_files_release(struct agent_files *f, const char *name)
{
	struct item **at = item_find(f, name);

	if (*at == NULL || (*at)->is_default)
		return;
	item_drop(at);
	sds_secrets_remove(f->agent->secrets, name);
}

void
agent_files_write_json(const struct agent_files *f, struct jsonw *w)
{
	char since[WALL_TEXT_MAX];

	jsonw_key(w, "files");
	jsonw_array_open(w);
	for (const struct item *it = f->items; it != NULL; it = it->next) {
		jsonw_object_open(w);
		jsonw_pair_str(w, "name", slice_of_str(it->name));
		jsonw_pair_bool(w, "served",
				sds_secrets_get(f->agent->secrets, it->name) !=
					NULL);
		if (it->error != NULL) {
			wall_format(it->failing_since, since);
			jsonw_pair_str(w, "error", slice_of_str(it->error));
			jsonw_pair_str(w, "failing_since", slice_of_str(since));
		}
		jsonw_object_close(w);
	}
	jsonw_array_close(w);
}
