/* cmd.c - what every sub-command needs: see cmd.h. */
#include "meshcert/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "meshcert/yaml.h"

static void cmd_say(const struct cmd *cmd, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));

static void
cmd_say(const struct cmd *cmd, const char *fmt, va_list args)
{
	(void)fprintf(stderr, "meshcert %s: ", cmd->name);
	(void)vfprintf(stderr, fmt, args);
	(void)fputc('\n', stderr);
}

/* see cmd.h */
int
cmd_fail(const struct cmd *cmd, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	cmd_say(cmd, fmt, args);
	va_end(args);
	return code;
}

/* see cmd.h */
int
cmd_usage(const struct cmd *cmd, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	cmd_say(cmd, fmt, args);
	va_end(args);
	(void)fprintf(stderr, "meshcert %s --help says more.\n", cmd->name);
	return CMD_USAGE;
}

/* see cmd.h */
int
cmd_print(const struct cmd *cmd, const struct buf *out)
{
	struct slice text = buf_get(out);

	if (buf_has_failed(out))
		return cmd_fail(cmd, CMD_BAD,
				"the answer is longer than %d bytes",
				CMD_OUT_MAX);
	if (text.len > 0 && (fwrite(text.p, 1, text.len, stdout) != text.len ||
			     fflush(stdout) != 0))
		return cmd_fail(cmd, CMD_BAD, "standard output: %s",
				err_text(ERR_IO));
	return CMD_GOOD;
}

/* see cmd.h */
int
cmd_read_duration(const struct cmd *cmd, const char *option, const char *text,
		  int64_t *ms_out)
{
	if (text == NULL)
		return CMD_GOOD;
	if (duration_parse(slice_of_str(text), ms_out) != ERR_OK ||
	    *ms_out <= 0)
		return cmd_usage(cmd,
				 "--%s: found \"%.40s\", a duration such as "
				 "90s, 10m or 24h is needed",
				 option, text);
	return CMD_GOOD;
}

/* see cmd.h */
int
cmd_read_format(const struct cmd *cmd, const char *text, enum cmd_format *out)
{
	*out = CMD_TABLE;
	if (text == NULL || strcmp(text, "table") == 0 ||
	    strcmp(text, "short") == 0)
		return CMD_GOOD;
	*out = strcmp(text, "json") == 0 ? CMD_JSON : CMD_YAML;
	if (*out == CMD_JSON || strcmp(text, "yaml") == 0)
		return CMD_GOOD;
	return cmd_usage(cmd,
			 "--output: found \"%.40s\", one of table, json, yaml "
			 "is needed",
			 text);
}

/* see cmd.h */
int
cmd_print_json(const struct cmd *cmd, const struct buf *json,
	       enum cmd_format format)
{
	struct buf out;
	int code;

	buf_init(&out, CMD_OUT_MAX);
	yaml_of_json(buf_get(json), format == CMD_YAML, &out);
	code = cmd_print(cmd, &out);
	buf_fini(&out);
	return code;
}
