/* temp_dir.h - a folder of a test's own, and the files in it. */
#ifndef TEMP_DIR_H
#define TEMP_DIR_H

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "unit.h"

enum {
	TEMP_DIR_MAX = 64
};

static UNUSED void
temp_dir_make(char out[TEMP_DIR_MAX])
{
	(void)snprintf(out, TEMP_DIR_MAX, "/tmp/meshcert-test.XXXXXX");
	assert_non_null(mkdtemp(out));
}

/* With the files in it; folders in it must be gone. */
static UNUSED void
temp_dir_remove(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
	}
	(void)closedir(d);
	assert_int_equal(rmdir(dir), 0);
}

/* To be freed. */
static UNUSED char *
temp_dir_path(const char *dir, const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

#endif
