/* files.h - inside of the agent's file certificates: reading and watching.
 *
 *   files.c        items, when they are read again, what becomes of them
 *   files_load.c   a pair or a bundle from files, checked
 *   files_watch.c  everything on the way to a file, links included */
#ifndef AGENT_FILES_H
#define AGENT_FILES_H

#include "base/conf.h"
#include "ev/ev.h"
#include "sds/secrets.h"

enum {
	FILES_PATH_MAX = 4096,
	FILES_PEM_MAX = 1024 * 1024,
	FILES_KEY_MAX = 64 * 1024,
	FILES_CHAIN_MAX = 32,  /* certificates of one chain */
	FILES_ROOTS_MAX = 1024 /* of one bundle */
};

/* ---- files_load.c -------------------------------------------------------- */

/* A pair under this name. Checked: the chain parses, the key is the leaf's. */
MUST_USE enum err files_load_pair(const char *name, const char *chain,
				  const char *key, struct why *why,
				  struct sds_secret **out);
/* Trusted CAs. Blocks that are no certificates of ours are left out (the
 * system's bundles have some), as long as one is good; *skipped_out counts
 * them. */
MUST_USE enum err files_load_roots(const char *name, const char *path,
				   struct why *why, size_t *skipped_out,
				   struct sds_secret **out);
/* The first of the well-known bundles of roots that exists, or NULL. */
const char *files_find_system_roots(void);

/* ---- files_watch.c ------------------------------------------------------- */

/* Watches on one path: the file, and each symbolic link on the way to it, to
 * any depth; where something is missing, the folder that it is missing in. */
struct files_watch;
MUST_USE enum err files_watch_start(struct ev_loop *loop, const char *path,
				    ev_watch_cb *cb, void *arg,
				    struct files_watch **out);
void files_watch_cancel(struct files_watch **w);

/* ---- paths (files_watch.c) ----------------------------------------------- */

/* Absolute, without "." and double slashes. ".." is refused. */
MUST_USE enum err files_path_clean(struct slice path, char out[FILES_PATH_MAX]);
/* Both clean: the same, or below the folder. */
bool files_path_is_below(const char *path, const char *folder);

#endif
