/* sibling.h - the other programs of the project, started from here. */
#ifndef MESHCERT_SIBLING_H
#define MESHCERT_SIBLING_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/why.h"

/* Path of a program beside this one; owned by the caller. ERR_NOT_FOUND says
 * where it was looked for. */
MUST_USE enum err sibling_find(const char *name, struct why *why, char **out);
/* Runs it to its end; what it prints goes into out. argv[0] is the name. */
MUST_USE enum err sibling_read(const char *const *argv, struct why *why,
			       struct buf *out);
/* Starts it, with both outputs appended to a log file; it ends with us. Its
 * environment is PATH alone: what is set for a real agent must not count
 * here. */
MUST_USE enum err sibling_start(const char *const *argv, const char *log_path,
				struct why *why, pid_t *pid_out);

#endif
