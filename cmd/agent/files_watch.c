/* files_watch.c - see files.h.
 *
 * The kubelet, CSI drivers and certbot all publish by replacing a symbolic
 * link somewhere on the way. So the path is walked by hand, and each link is
 * watched by its name in its folder, at any depth. A folder that is itself
 * replaced is not seen here; files.c looks again now and then. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/files.h"
#include "base/mem.h"

enum {
	LINKS_MAX = 40, /* as the kernel has it */
	WATCHES_MAX = LINKS_MAX + 1
};

struct files_watch {
	struct ev_loop *loop;
	ev_watch_cb *cb;
	void *arg;
	struct ev_watch *watches[WATCHES_MAX];
	size_t cnt;
};

/* What is left to walk, and where we are. */
struct walk {
	struct buf done; /* a folder, without a slash at its end; empty: "/" */
	struct buf rest;
	unsigned links;
};

/* ---- paths --------------------------------------------------------------- */

static enum err
put_clean(struct buf *out, struct slice path)
{
	struct slice part;

	while (slice_split(&path, '/', &part)) {
		if (part.len == 0 || slice_is_str(part, "."))
			continue;
		if (slice_is_str(part, ".."))
			return ERR_DENIED;
		(void)buf_put_u8(out, '/');
		(void)buf_put(out, part);
	}
	return buf_has_failed(out) ? ERR_LIMIT : ERR_OK;
}

enum err
files_path_clean(struct slice path, char out[FILES_PATH_MAX])
{
	enum err ret = ERR_OK;
	char cwd[PATH_MAX];
	struct buf b;

	out[0] = '\0';
	if (path.len == 0)
		return ERR_NOT_FOUND;
	buf_init(&b, FILES_PATH_MAX - 1);
	if (path.p[0] != '/') {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			ret = err_from_errno(errno);
		else
			ret = put_clean(&b, slice_of_str(cwd));
	}
	if (ret == ERR_OK)
		ret = put_clean(&b, path);
	if (ret == ERR_OK) {
		memcpy(out, buf_get(&b).p, buf_len(&b));
		out[buf_len(&b)] = '\0';
	}
	buf_fini(&b);
	return ret;
}

bool
files_path_is_below(const char *path, const char *folder)
{
	const size_t len = strlen(folder);

	if (strncmp(path, folder, len) != 0)
		return false;
	return path[len] == '\0' || path[len] == '/';
}

/* ---- the walk ------------------------------------------------------------ */

static enum err
add_watch(struct files_watch *w, const char *path)
{
	enum err ret;

	if (w->cnt == WATCHES_MAX)
		return ERR_LIMIT;
	ret = ev_watch_start(w->loop, path, w->cb, w->arg, &w->watches[w->cnt]);
	if (ret == ERR_OK)
		w->cnt++;
	return ret;
}

static void
go_up(struct walk *k)
{
	const struct slice at = buf_get(&k->done);
	size_t len = at.len;

	while (len > 0 && at.p[len - 1] != '/')
		len--;
	buf_truncate(&k->done, len > 0 ? len - 1 : 0);
}

/* The link's target comes before the rest of the way. */
static enum err
follow(struct walk *k, const char *link)
{
	char target[PATH_MAX];
	const ssize_t len = readlink(link, target, sizeof(target));
	struct buf rest;

	if (len < 0)
		return err_from_errno(errno);
	if (++k->links > LINKS_MAX)
		return ERR_LIMIT;
	if (len > 0 && target[0] == '/')
		buf_reset(&k->done);
	buf_init(&rest, k->rest.max);
	(void)buf_put(&rest, slice_of(target, (size_t)len));
	(void)buf_put_u8(&rest, '/');
	(void)buf_put(&rest, buf_get(&k->rest));
	buf_fini(&k->rest);
	k->rest = rest;
	return buf_has_failed(&rest) ? ERR_LIMIT : ERR_OK;
}

/* One component. ERR_NOT_FOUND: the end, or something that is missing. */
static enum err
step(struct files_watch *w, struct walk *k, struct slice part)
{
	enum err ret;
	struct stat st;
	char *path;

	if (part.len == 0 || slice_is_str(part, "."))
		return ERR_OK;
	if (slice_is_str(part, "..")) {
		go_up(k);
		return ERR_OK;
	}
	path = mem_printf("%.*s/%.*s", SLICE_FMT(buf_get(&k->done)),
			  SLICE_FMT(part));
	if (lstat(path, &st) != 0) {
		mem_free(path);
		path = mem_printf("%.*s/", SLICE_FMT(buf_get(&k->done)));
		ret = add_watch(w, path);
		if (ret == ERR_OK)
			ret = ERR_NOT_FOUND;
	} else if (S_ISLNK(st.st_mode)) {
		ret = add_watch(w, path);
		if (ret == ERR_OK)
			ret = follow(k, path);
	} else if (S_ISDIR(st.st_mode)) {
		(void)buf_put_u8(&k->done, '/');
		ret = buf_put(&k->done, part);
	} else {
		ret = add_watch(w, path);
	}
	mem_free(path);
	return ret;
}

static enum err
walk_all(struct files_watch *w, struct walk *k)
{
	enum err ret = ERR_OK;
	struct slice rest;
	struct slice part;
	char name[NAME_MAX + 1];

	while (ret == ERR_OK && buf_len(&k->rest) > 0) {
		rest = buf_get(&k->rest);
		(void)slice_split(&rest, '/', &part);
		if (part.len > NAME_MAX)
			return ERR_LIMIT;
		/* follow() changes the buffer that part points into. */
		if (part.len > 0)
			memcpy(name, part.p, part.len);
		buf_consume(&k->rest, buf_len(&k->rest) - rest.len);
		ret = step(w, k, slice_of(name, part.len));
	}
	return ret == ERR_NOT_FOUND ? ERR_OK : ret;
}

enum err
files_watch_start(struct ev_loop *loop, const char *path, ev_watch_cb *cb,
		  void *arg, struct files_watch **out)
{
	enum err ret;
	struct files_watch *w = MEM_NEW(struct files_watch);
	struct walk k = {.links = 0};

	*out = NULL;
	w->loop = loop;
	w->cb = cb;
	w->arg = arg;
	buf_init(&k.done, PATH_MAX);
	buf_init(&k.rest, 2 * PATH_MAX);
	ret = buf_put_str(&k.rest, path);
	if (ret == ERR_OK)
		ret = walk_all(w, &k);
	buf_fini(&k.done);
	buf_fini(&k.rest);
	if (ret == ERR_OK)
		*out = TAKE(w);
	files_watch_cancel(&w);
	return ret;
}

void
files_watch_cancel(struct files_watch **wp)
{
	struct files_watch *w = TAKE(*wp);

	if (w == NULL)
		return;
	for (size_t i = 0; i < w->cnt; i++)
		ev_watch_cancel(&w->watches[i]);
	mem_free(w);
}
