/* ev_watch.c - a path may have changed.
 *
 * A directory is watched itself. A file, a symbolic link, or a link to a
 * directory is often replaced and not written: then the new one must be
 * watched, so the path's parent is watched too (for this name), and the
 * watch on the path is made anew after each change. Events come as one after
 * a short rest, which also covers the several steps of a replacement. */
#include "ev/ev.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "ev/ev_int.h"
#include "os/os.h"

enum {
	REST_MS = 20
};

struct watch_one {
	uv_fs_event_t uv;
	struct ev_watch *owner; /* NULL: cancelled */
};

struct ev_watch {
	struct ev_loop *loop;
	ev_watch_cb *cb;
	void *arg;
	char *path;
	char *parent;
	const char *name; /* in path; what to look for in the parent */
	struct watch_one *self;
	struct watch_one *above; /* NULL for a plain directory */
	struct ev_timer *rest;
};

static void
watch_on_closed(uv_handle_t *h)
{
	mem_free(h->data);
}

static void
watch_one_close(struct watch_one **wp)
{
	struct watch_one *w = TAKE(*wp);

	if (w == NULL)
		return;
	w->owner = NULL;
	uv_close((uv_handle_t *)&w->uv, watch_on_closed);
}

static void watch_on_rest(void *arg);

static void
watch_on_event(uv_fs_event_t *h, const char *name, int events, int status)
{
	struct watch_one *one = h->data;
	struct ev_watch *w = one->owner;

	(void)events;
	if (w == NULL || w->rest != NULL)
		return;
	if (one == w->above && status == 0 && name != NULL &&
	    strcmp(name, w->name) != 0)
		return;
	(void)!ev_timer_start(w->loop, REST_MS, watch_on_rest, w, &w->rest);
}

static enum err
watch_one_open(struct ev_watch *w, const char *path, struct watch_one **out)
{
	struct watch_one *one = MEM_NEW(struct watch_one);
	int r;

	one->owner = w;
	if ((r = uv_fs_event_init(&w->loop->uv, &one->uv)) != 0) {
		mem_free(one);
		return err_from_errno(-r);
	}
	one->uv.data = one;
	if ((r = uv_fs_event_start(&one->uv, watch_on_event, path, 0)) != 0) {
		watch_one_close(&one);
		return err_from_errno(-r);
	}
	ev_loop_wake_uv(w->loop);
	*out = one;
	return ERR_OK;
}

static void
watch_on_rest(void *arg)
{
	struct ev_watch *w = arg;

	if (w->above != NULL) {
		watch_one_close(&w->self);
		/* Gone for now: the parent tells when it is back. */
		(void)!watch_one_open(w, w->path, &w->self);
	}
	w->cb(w->arg);
}

static void
watch_split(struct ev_watch *w, const char *path)
{
	size_t len = strlen(path);
	const char *slash;

	/* "dir/" is "dir", but "/" stays. */
	while (len > 1 && path[len - 1] == '/')
		len--;
	w->path = mem_dup_slice_str(slice_of(path, len));
	slash = strrchr(w->path, '/');
	w->name = slash == NULL ? w->path : slash + 1;
	w->parent = os_dup_parent(w->path);
}

/* see ev.h */
enum err
ev_watch_start(struct ev_loop *loop, const char *path, ev_watch_cb *cb,
	       void *arg, struct ev_watch **out)
{
	struct ev_watch *w;
	struct stat st;
	enum err ret;

	*out = NULL;
	if (path[0] == '\0')
		return ERR_NOT_FOUND;
	w = MEM_NEW(struct ev_watch);
	w->loop = loop;
	w->cb = cb;
	w->arg = arg;
	watch_split(w, path);
	if ((ret = watch_one_open(w, w->path, &w->self)) != ERR_OK)
		goto out;
	if (lstat(w->path, &st) != 0) {
		ret = err_from_errno(errno);
		goto out;
	}
	if (!S_ISDIR(st.st_mode) &&
	    (ret = watch_one_open(w, w->parent, &w->above)) != ERR_OK)
		goto out;
	*out = TAKE(w);
	ret = ERR_OK;
out:
	ev_watch_cancel(&w);
	return ret;
}

/* see ev.h */
void
ev_watch_cancel(struct ev_watch **wp)
{
	struct ev_watch *w = TAKE(*wp);

	if (w == NULL)
		return;
	ev_timer_cancel(&w->rest);
	watch_one_close(&w->self);
	watch_one_close(&w->above);
	mem_free(w->path);
	mem_free(w->parent);
	mem_free(w);
}
