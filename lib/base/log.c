/* log.c - see log.h. A line is at most PIPE_BUF bytes and goes out in one
 * write, so that the roles of a program can share one stderr without mixing
 * their lines. A reader of stderr that does not keep up costs lines, not the
 * event loop, where stderr is non-blocking. */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

enum {
	LOG_NAME_MAX = 64,
	LOG_MESSAGE_MAX = 3072,
	LOG_LINE_MAX = PIPE_BUF,
	LOG_PEER_EVENTS = 32,
	LOG_PEER_WINDOW_MS = 10000
};

/* One event that peers caused lately. */
struct log_peer_slot {
	const char *event;
	struct mono start;
	unsigned written;
	unsigned left_out;
};

struct log_state {
	char program[LOG_NAME_MAX];
	char role[LOG_NAME_MAX];
	enum log_level level;
	enum log_format format;
	struct log_peer_slot peer[LOG_PEER_EVENTS];
};

/* Mutable, because each process has exactly one log (log.h) and every module
 * may write to it; a pointer through all of them would say nothing. */
static struct log_state log_state = {.level = LOG_INFO};

struct log_line {
	enum log_level level;
	const char *event;
	char time[WALL_TEXT_MAX];
	const char *message;
};

static const char *const log_level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

void
log_init(const char *program, const char *role)
{
	(void)snprintf(log_state.program, LOG_NAME_MAX, "%s", program);
	(void)snprintf(log_state.role, LOG_NAME_MAX, "%s", role);
}

void
log_set_level(enum log_level level)
{
	log_state.level = level;
}

void
log_set_format(enum log_format format)
{
	log_state.format = format;
}

bool
log_is_on(enum log_level level)
{
	return level <= log_state.level;
}

static bool
log_is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x7f && c != '\\';
}

/* Anything that is not printable ASCII is escaped: the reader is a terminal. */
static void
log_put_escaped(struct buf *out, struct slice text)
{
	while (text.len > 0) {
		size_t plain = 0;
		uint8_t c;

		while (plain < text.len && log_is_plain(text.p[plain]))
			plain++;
		(void)buf_put(out, slice_sub(text, 0, plain));
		text = slice_sub(text, plain, text.len);
		if (text.len == 0)
			break;
		c = text.p[0];
		if (c == '\n')
			(void)buf_put_str(out, "\\n");
		else if (c == '\\')
			(void)buf_put_str(out, "\\\\");
		else
			(void)buf_printf(out, "\\x%02x", c);
		text = slice_sub(text, 1, text.len);
	}
}

static void
log_render_text(const struct log_line *line, struct slice message, bool cut,
		struct buf *out)
{
	const char *who =
		log_state.role[0] != '\0' ? log_state.role : log_state.program;

	(void)buf_printf(out, "%s %s ", line->time,
			 log_level_names[line->level]);
	if (who[0] != '\0')
		(void)buf_printf(out, "%s ", who);
	(void)buf_put_str(out, line->event);
	if (message.len > 0)
		(void)buf_put_u8(out, ' ');
	log_put_escaped(out, message);
	(void)buf_put_str(out, cut ? "...\n" : "\n");
}

static void
log_render_json(const struct log_line *line, struct slice message, bool cut,
		struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_object_open(&w);
	jsonw_pair_str(&w, "time", slice_of_str(line->time));
	jsonw_pair_str(&w, "level", slice_of_str(log_level_names[line->level]));
	jsonw_pair_str(&w, "program", slice_of_str(log_state.program));
	jsonw_pair_str(&w, "role", slice_of_str(log_state.role));
	jsonw_pair_str(&w, "event", slice_of_str(line->event));
	jsonw_pair_str(&w, "message", message);
	if (cut)
		jsonw_pair_bool(&w, "cut", true);
	jsonw_object_close(&w);
	(void)buf_put_u8(out, '\n');
}

static void
log_write_all(struct slice line)
{
	ssize_t got;

	do {
		got = write(STDERR_FILENO, line.p, line.len);
	} while (got < 0 && errno == EINTR);
}

static void
log_write_line(const struct log_line *line)
{
	struct slice whole = slice_of_str(line->message);
	size_t len = whole.len;
	struct buf out;

	buf_init(&out, LOG_LINE_MAX);
	/* Escapes grow a message: what does not fit is cut, by halves. */
	for (;;) {
		struct slice message = slice_sub(whole, 0, len);

		buf_reset(&out);
		if (log_state.format == LOG_JSON)
			log_render_json(line, message, len < whole.len, &out);
		else
			log_render_text(line, message, len < whole.len, &out);
		if (!buf_has_failed(&out) || len == 0)
			break;
		len /= 2;
	}
	log_write_all(buf_get(&out));
	buf_fini(&out);
}

static void
log_write_left_out(struct log_peer_slot *slot)
{
	char message[64];
	struct log_line line = {
		.level = LOG_WARN, .event = slot->event, .message = message};

	(void)snprintf(message, sizeof(message),
		       "left_out=%u (repeated within %d s)", slot->left_out,
		       LOG_PEER_WINDOW_MS / 1000);
	wall_format(wall_now(), line.time);
	slot->left_out = 0;
	log_write_line(&line);
}

/* Says what was left out in windows that have ended. Every line that is
 * written looks, so that no timer is needed. */
static void
log_peer_sweep(struct mono now)
{
	for (size_t i = 0; i < LOG_PEER_EVENTS; i++) {
		struct log_peer_slot *slot = &log_state.peer[i];

		if (slot->event == NULL ||
		    mono_diff_ms(now, slot->start) < LOG_PEER_WINDOW_MS)
			continue;
		if (slot->left_out > 0)
			log_write_left_out(slot);
		slot->event = NULL;
	}
}

static struct log_peer_slot *
log_peer_find(const char *event, struct mono now)
{
	struct log_peer_slot *best = &log_state.peer[0];

	for (size_t i = 0; i < LOG_PEER_EVENTS; i++) {
		struct log_peer_slot *slot = &log_state.peer[i];

		if (slot->event != NULL && strcmp(slot->event, event) == 0)
			return slot;
		if (best->event != NULL &&
		    (slot->event == NULL ||
		     mono_is_before(slot->start, best->start)))
			best = slot;
	}
	if (best->event != NULL && best->left_out > 0)
		log_write_left_out(best);
	*best = (struct log_peer_slot){.event = event, .start = now};
	return best;
}

PRINTF_LIKE(3, 0)
static void
log_vwrite(enum log_level level, const char *event, const char *fmt,
	   va_list args)
{
	char message[LOG_MESSAGE_MAX];
	struct log_line line = {
		.level = level, .event = event, .message = message};

	(void)vsnprintf(message, sizeof(message), fmt, args);
	wall_format(wall_now(), line.time);
	log_write_line(&line);
}

/* Callers log between a failure and their look at errno: it is kept. */
PRINTF_LIKE(3, 0)
static void
log_vevent(enum log_level level, const char *event, const char *fmt,
	   va_list args)
{
	int saved = errno;

	if (!log_is_on(level))
		return;
	log_peer_sweep(mono_now());
	log_vwrite(level, event, fmt, args);
	errno = saved;
}

void
log_error(const char *event, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_vevent(LOG_ERROR, event, fmt, args);
	va_end(args);
}

void
log_warn(const char *event, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_vevent(LOG_WARN, event, fmt, args);
	va_end(args);
}

void
log_info(const char *event, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_vevent(LOG_INFO, event, fmt, args);
	va_end(args);
}

void
log_debug(const char *event, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_vevent(LOG_DEBUG, event, fmt, args);
	va_end(args);
}

void
log_peer(const char *event, const char *fmt, ...)
{
	int saved = errno;
	struct mono now = mono_now();
	struct log_peer_slot *slot;
	va_list args;

	if (!log_is_on(LOG_WARN))
		return;
	log_peer_sweep(now);
	slot = log_peer_find(event, now);
	if (slot->written == LOG_PEER_BURST) {
		slot->left_out++;
		errno = saved;
		return;
	}
	slot->written++;
	va_start(args, fmt);
	log_vwrite(LOG_WARN, event, fmt, args);
	va_end(args);
	errno = saved;
}
