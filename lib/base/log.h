/* log.h - one event, one line, on stderr.
 *
 * Text for people by default, JSON by configuration. A line says who, what,
 * which object, which rule, and what to do. Secrets cannot be formatted: they
 * have no text. The level and the format can be changed while running; each
 * process has one log. Repeated lines caused by peers are bounded by
 * log_peer: at most LOG_PEER_BURST of one call site in ten seconds, then a
 * line that says how many were left out.
 *
 * Fields are printf pairs: log_info("issue", "serial=%s identity=%s", ...).
 * The first argument is the event, a constant word or words. Control
 * characters in the result are escaped. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

enum log_level {
	LOG_ERROR = 1,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG
};

enum log_format {
	LOG_TEXT = 0,
	LOG_JSON
};

enum {
	LOG_PEER_BURST = 20
};

/* Who writes: "meshcert-ca", "front.0". Copied. */
void log_init(const char *program, const char *role);
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
bool log_is_on(enum log_level level);

void log_error(const char *event, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_warn(const char *event, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_info(const char *event, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_debug(const char *event, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A warning that a peer caused: rate limited by event. */
void log_peer(const char *event, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
