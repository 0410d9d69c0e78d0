/* why.c - see why.h. */
#include "base/why.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
why_clean(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			*text = '?';
	}
}

enum err
why_set(struct why *why, enum err e, const char *fmt, ...)
{
	va_list args;

	if (why == NULL)
		return e;
	va_start(args, fmt);
	(void)vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	why_clean(why->text);
	return e;
}

enum err
why_prefix(struct why *why, enum err e, const char *fmt, ...)
{
	char before[WHY_MAX];
	char after[WHY_MAX];
	va_list args;

	if (why == NULL)
		return e;
	va_start(args, fmt);
	(void)vsnprintf(before, sizeof(before), fmt, args);
	va_end(args);
	(void)snprintf(after, sizeof(after), "%s", why_text(why, e));
	(void)snprintf(why->text, sizeof(why->text), "%.180s: %.210s", before,
		       after);
	why_clean(why->text);
	return e;
}

const char *
why_text(const struct why *why, enum err e)
{
	return why == NULL || why->text[0] == '\0' ? err_text(e) : why->text;
}
