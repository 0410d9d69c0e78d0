/* san.h - subject alternative names. RFC 5280 4.2.1.6. */
#ifndef PKI_SAN_H
#define PKI_SAN_H

#include "base/slice.h"
#include "base/why.h"

enum {
	SAN_MAX = 64
};

enum san_kind {
	SAN_OTHER = 0, /* any kind not listed here */
	SAN_EMAIL,
	SAN_DNS,
	SAN_URI,
	SAN_IP
};

struct san_name {
	enum san_kind kind;
	struct slice value; /* IP: 4 or 16 bytes */
};

struct san {
	struct slice raw; /* contents of the extension, for iteration */
	bool critical;
	unsigned cnt; /* all names */
	unsigned uri_cnt;
	struct slice uri; /* the first URI */
};

/* ext_value: GeneralNames DER, used up. At most SAN_MAX names; IA5 kinds must
 * be ASCII without NUL. */
MUST_USE enum err san_parse(struct slice ext_value, struct why *why,
			    struct san *out);
/* Iterates: *cursor starts as san.raw. False at the end. */
bool san_next(struct slice *cursor, struct san_name *out);
/* A DNS name (case-insensitive; one left-most wildcard label, RFC 6125) or an
 * IP address in text. */
bool san_has_host(const struct san *san, const char *host);
bool san_has_uri(const struct san *san, struct slice uri);

#endif
