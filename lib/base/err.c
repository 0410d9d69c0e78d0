/* err.c - see err.h. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct err_row {
	const char *text;
	enum err_class class;
};

static const struct err_row err_rows[ERR_COUNT] = {
	[ERR_OK] = {"no error", ERR_CLASS_NONE},
#define X(id, name, class, text) [id] = {text, ERR_CLASS_##class},
#include "base/err_list.h"
#undef X
};

const char *const err_names[ERR_COUNT + 1] = {
	[ERR_OK] = "ok",
#define X(id, name, class, text) [id] = name,
#include "base/err_list.h"
#undef X
};

enum err
err_index(enum err e)
{
	return (unsigned)e < ERR_COUNT ? e : ERR_BUG;
}

const char *
err_text(enum err e)
{
	return err_rows[err_index(e)].text;
}

const char *
err_name(enum err e)
{
	return err_names[err_index(e)];
}

enum err_class
err_class(enum err e)
{
	return err_rows[err_index(e)].class;
}

enum err
err_from_errno(int errnum)
{
	switch (errnum) {
	case 0:
		return ERR_OK;
	case ENOENT:
	case ENOTDIR:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_FORBIDDEN;
	case ENOSPC:
	case EDQUOT:
		return ERR_DISK_FULL;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return ERR_UNAVAILABLE;
	case ECONNRESET:
	case EPIPE:
		return ERR_CLOSED;
	case ENOMEM:
		return ERR_NO_MEMORY;
	case EMFILE:
	case ENFILE:
		return ERR_LIMIT;
	default:
		return ERR_IO;
	}
}

void
err_must_failed(const char *cond, const char *file, int line)
{
	(void)fprintf(stderr, "meshcert: bug: %s:%d: not true: %s\n", file,
		      line, cond);
	abort();
}
