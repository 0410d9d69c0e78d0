/* attr.h - the compiler attributes that we use, and TAKE. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
/* For large scratch arrays of hot paths: not zeroed first, as all other
 * variables are. */
#if defined(__has_attribute) && __has_attribute(uninitialized)
#define SCRATCH __attribute__((uninitialized))
#else
#define SCRATCH
#endif

/* Moves a pointer out of a variable: the value is the pointer, the variable
 * becomes NULL. Used where ownership is handed over. */
#define TAKE(p)                            \
	__extension__({                    \
		__typeof__(p) take_ = (p); \
		(p) = NULL;                \
		take_;                     \
	})

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
