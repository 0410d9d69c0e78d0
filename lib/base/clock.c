/* clock.c - see clock.h. */
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct wall
wall_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (struct wall){(int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000};
}

struct mono
mono_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct mono){(uint64_t)ts.tv_sec * 1000000000u +
			     (uint64_t)ts.tv_nsec};
}

struct wall
wall_of_sec(int64_t sec)
{
	return wall_add_sec((struct wall){0}, sec);
}

int64_t
wall_sec(struct wall t)
{
	return t.ms >= 0 ? t.ms / 1000 : -((-t.ms + 999) / 1000);
}

struct wall
wall_add_sec(struct wall t, int64_t sec)
{
	int64_t ms;

	if (__builtin_mul_overflow(sec, (int64_t)1000, &ms) ||
	    __builtin_add_overflow(t.ms, ms, &ms))
		ms = sec < 0 ? INT64_MIN : INT64_MAX;
	return (struct wall){ms};
}

bool
wall_is_before(struct wall a, struct wall b)
{
	return a.ms < b.ms;
}

int64_t
wall_diff_ms(struct wall a, struct wall b)
{
	int64_t diff;

	if (__builtin_sub_overflow(a.ms, b.ms, &diff))
		diff = a.ms < b.ms ? INT64_MIN : INT64_MAX;
	return diff;
}

struct mono
mono_add_ms(struct mono t, uint64_t ms)
{
	uint64_t ns;

	if (__builtin_mul_overflow(ms, (uint64_t)1000000, &ns) ||
	    __builtin_add_overflow(t.ns, ns, &ns))
		ns = UINT64_MAX;
	return (struct mono){ns};
}

uint64_t
mono_diff_ms(struct mono a, struct mono b)
{
	return a.ns <= b.ns ? 0 : (a.ns - b.ns) / 1000000u;
}

bool
mono_is_before(struct mono a, struct mono b)
{
	return a.ns < b.ns;
}

/* v as so many digits, then the character that follows. */
static char *
put_digits(char *out, int v, size_t digits, char next)
{
	for (size_t i = digits; i-- > 0; v /= 10)
		out[i] = (char)('0' + v % 10);
	out[digits] = next;
	return out + digits + 1;
}

void
wall_format(struct wall t, char out[WALL_TEXT_MAX])
{
	int64_t whole = wall_sec(t);
	time_t sec = (time_t)whole;
	struct tm tm;

	if (gmtime_r(&sec, &tm) == NULL || tm.tm_year < -1900 ||
	    tm.tm_year > 9999 - 1900) {
		(void)snprintf(out, WALL_TEXT_MAX, "?");
		return;
	}
	/* Each line of the audit log has three: no printf, no strftime. */
	out = put_digits(out, tm.tm_year + 1900, 4, '-');
	out = put_digits(out, tm.tm_mon + 1, 2, '-');
	out = put_digits(out, tm.tm_mday, 2, 'T');
	out = put_digits(out, tm.tm_hour, 2, ':');
	out = put_digits(out, tm.tm_min, 2, ':');
	out = put_digits(out, tm.tm_sec, 2, '.');
	out = put_digits(out, (int)(t.ms - whole * 1000), 3, 'Z');
	*out = '\0';
}

enum err
wall_parse(struct slice text, struct wall *out)
{
	char copy[WALL_TEXT_MAX];
	char again[WALL_TEXT_MAX];
	struct tm tm = {0};
	const char *rest;
	int64_t ms = 0;
	int64_t scale = 100;

	*out = (struct wall){0};
	if (text.len == 0 || text.len >= sizeof(copy))
		return ERR_SYNTAX;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest == NULL)
		return ERR_SYNTAX;
	if (*rest == '.') {
		for (rest++; *rest >= '0' && *rest <= '9'; rest++) {
			ms += (*rest - '0') * scale;
			scale /= 10;
		}
	}
	if (strcmp(rest, "Z") != 0)
		return ERR_SYNTAX;
	/* strptime takes one digit for two, and 30 February. */
	wall_format(wall_of_sec(timegm(&tm)), again);
	if (strncmp(again, copy, sizeof("2026-11-22T02:38:51") - 1) != 0)
		return ERR_SYNTAX;
	*out = (struct wall){(int64_t)timegm(&tm) * 1000 + ms};
	return ERR_OK;
}

struct duration_unit {
	const char *name;
	int64_t ms;
};

/* Longer names first where one begins with another. */
static const struct duration_unit duration_units[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};

static enum err
duration_read_unit(struct slice *s, int64_t *ms_out)
{
	for (size_t i = 0; i < COUNT_OF(duration_units); i++) {
		const struct duration_unit *u = &duration_units[i];

		if (slice_has_prefix(*s, u->name)) {
			*s = slice_sub(*s, strlen(u->name), s->len);
			*ms_out = u->ms;
			return ERR_OK;
		}
	}
	return ERR_SYNTAX;
}

enum err
duration_parse(struct slice text, int64_t *ms_out)
{
	struct slice s = text;
	int64_t total = 0;

	*ms_out = 0;
	if (s.len == 0)
		return ERR_SYNTAX;
	while (s.len > 0) {
		size_t digits = 0;
		uint64_t count;
		int64_t unit;
		int64_t part;
		enum err ret;

		while (digits < s.len && s.p[digits] >= '0' &&
		       s.p[digits] <= '9')
			digits++;
		ret = slice_parse_u64(slice_sub(s, 0, digits), &count);
		if (ret != ERR_OK)
			return ret;
		s = slice_sub(s, digits, s.len);
		if ((ret = duration_read_unit(&s, &unit)) != ERR_OK)
			return ret;
		if (count > INT64_MAX ||
		    __builtin_mul_overflow((int64_t)count, unit, &part) ||
		    __builtin_add_overflow(total, part, &total))
			return ERR_LIMIT;
	}
	*ms_out = total;
	return ERR_OK;
}

void
duration_format(int64_t ms, char out[DURATION_TEXT_MAX])
{
	const char *sign = ms < 0 ? "-" : "";
	uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	uint64_t h = left / 3600000;
	uint64_t m = left / 60000 % 60;
	uint64_t s = left / 1000 % 60;
	uint64_t rest = left % 1000;
	char sec[24];

	if (left != 0 && left < 1000) {
		(void)snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 "ms", sign,
			       left);
		return;
	}
	if (rest == 0)
		(void)snprintf(sec, sizeof(sec), "%" PRIu64 "s", s);
	else
		(void)snprintf(sec, sizeof(sec), "%" PRIu64 ".%03" PRIu64 "s",
			       s, rest);
	if (h > 0)
		(void)snprintf(out, DURATION_TEXT_MAX,
			       "%s%" PRIu64 "h%" PRIu64 "m%s", sign, h, m, sec);
	else if (m > 0)
		(void)snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 "m%s", sign,
			       m, sec);
	else
		(void)snprintf(out, DURATION_TEXT_MAX, "%s%s", sign, sec);
}
