/* utf8.h - one character at a time out of bytes that may not be UTF-8. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"

/* Bytes of the first character (1 to 4) and its code point; 0 when the bytes
 * are no UTF-8 (RFC 3629: shortest form, no surrogates) or there are none. */
size_t utf8_get(struct slice s, uint32_t *cp_out);

#endif
