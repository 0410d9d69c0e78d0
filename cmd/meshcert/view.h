/* view.h - one certificate, for people and for machines. */
#ifndef MESHCERT_VIEW_H
#define MESHCERT_VIEW_H

#include "base/json.h"
#include "pki/cert.h"

enum {
	VIEW_TIME_MAX = 24,
	VIEW_SERIAL_MAX = 96
};

/* RFC 3339 in whole seconds, as istioctl prints times. */
void view_time(struct wall t, char out[VIEW_TIME_MAX]);
/* Hexadecimal, at least 32 digits, as istioctl prints serial numbers. */
void view_serial(struct slice serial, char out[VIEW_SERIAL_MAX]);
/* "P-256", "RSA-2048"; "unknown" for what we cannot read. */
void view_key(struct slice spki, char out[KEY_TEXT_MAX]);
/* Its first URI, else its first DNS name or IP address, else its subject. */
void view_identity(const struct cert *c, char out[CERT_TEXT_MAX]);
bool view_is_valid(const struct cert *c, struct wall at);
/* The trust domain of its URI SAN; empty: none. */
struct slice view_trust_domain(const struct cert *c);

/* An object with all that is known of the certificate. A DER that is none
 * becomes {"error": ...}. */
void view_json(struct jsonw *w, struct slice der, struct wall at);
/* Indented lines. */
void view_text(struct buf *out, struct slice der, struct wall at);
/* The names of a SAN extension as an array of "URI:...", "DNS:...". */
void view_san_json(struct jsonw *w, const struct san *san);
/* The same, a line each. */
void view_text_names(struct buf *out, const struct san *san);

#endif
