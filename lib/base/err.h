/* err.h - the one error convention.
 *
 * Every function that can fail returns enum err, 0 is ERR_OK, results come
 * through *_out arguments that are set to NULL or zero on failure. Only
 * functions named get, is, has, len return values directly. The error list
 * with its classes is err_list.h; what to tell a person goes through struct
 * why (why.h) or the log. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"

enum err {
	ERR_OK = 0,
#define X(id, name, class, text) id,
#include "base/err_list.h"
#undef X
	ERR_COUNT
};

enum err_class {
	ERR_CLASS_NONE = 0,
	ERR_CLASS_PEER,
	ERR_CLASS_POLICY,
	ERR_CLASS_ENV,
	ERR_CLASS_LIMIT,
	ERR_CLASS_BUG
};

/* Lower-case text, static. Any value is accepted. */
const char *err_text(enum err e);

/* Short name without the prefix in lower case ("not_found"), static: for
 * metrics, JSON and logs. */
const char *err_name(enum err e);

/* The same names by number, NULL-ended: label values of a metric whose index is
 * err_index(e). */
extern const char *const err_names[ERR_COUNT + 1];

/* e, or ERR_BUG for a number that is no error. */
enum err err_index(enum err e);

/* The class that err_list.h gives it. */
enum err_class err_class(enum err e);

/* The error that an errno value means (ENOENT: ERR_NOT_FOUND, ...). */
enum err err_from_errno(int errnum);

/* Assertions. must() is always compiled in and aborts: for programming
 * errors only, never for data from outside. */
#define must(cond) \
	((cond) ? (void)0 : err_must_failed(#cond, __FILE__, __LINE__))

/* Says on stderr what did not hold, and aborts. For must() only. */
NORETURN void err_must_failed(const char *cond, const char *file, int line);

#endif
