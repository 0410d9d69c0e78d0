/* opt.c - see opt.h. Not getopt_long: that has its state in globals and writes
 * its messages to stderr itself. */
#include "base/opt.h"

#include <inttypes.h>
#include <string.h>

#include "base/slice.h"

enum {
	OPT_WIDTH = 78,
	OPT_HELP_COLUMN = 28
};

struct opt_parser {
	const struct opt *opts;
	int argc;
	char **argv;
	int at; /* the argument in hand */
	void *target;
	struct why *why;
};

static const struct opt *
opt_find_name(const struct opt *opts, struct slice name)
{
	for (; opts->name != NULL; opts++) {
		if (slice_is_str(name, opts->name))
			return opts;
	}
	return NULL;
}

static const struct opt *
opt_find_letter(const struct opt *opts, char letter)
{
	for (; opts->name != NULL; opts++) {
		if (opts->letter != 0 && opts->letter == letter)
			return opts;
	}
	return NULL;
}

static enum err
opt_put_count(const struct opt_parser *p, const struct opt *o, int64_t *field,
	      const char *value)
{
	uint64_t v;

	if (slice_parse_u64(slice_of_str(value), &v) != ERR_OK || v > INT64_MAX)
		return why_set(p->why, ERR_CONFIG,
			       "--%s: found \"%.80s\", a number is needed",
			       o->name, value);
	*field = (int64_t)v;
	return ERR_OK;
}

static enum err
opt_put_multi(const struct opt_parser *p, const struct opt *o,
	      struct opt_multi *field, const char *value)
{
	if (field->cnt == OPT_MULTI_MAX)
		return why_set(p->why, ERR_CONFIG,
			       "--%s: given more than %d times", o->name,
			       OPT_MULTI_MAX);
	field->items[field->cnt++] = value;
	return ERR_OK;
}

/* value is NULL for flags only. */
static enum err
opt_put(const struct opt_parser *p, const struct opt *o, const char *value)
{
	void *field = (uint8_t *)p->target + o->offset;
	const char **text = field;
	bool *flag = field;

	switch (o->type) {
	case OPT_FLAG:
		*flag = true;
		return ERR_OK;
	case OPT_TEXT:
		*text = value;
		return ERR_OK;
	case OPT_COUNT:
		return opt_put_count(p, o, field, value);
	case OPT_MULTI:
		return opt_put_multi(p, o, field, value);
	}
	return ERR_BUG;
}

/* The value is in the next argument. */
static enum err
opt_put_next(struct opt_parser *p, const struct opt *o)
{
	if (p->at + 1 >= p->argc)
		return why_set(p->why, ERR_CONFIG, "--%s: %s is missing",
			       o->name, o->arg == NULL ? "a value" : o->arg);
	p->at++;
	return opt_put(p, o, p->argv[p->at]);
}

static enum err
opt_parse_long(struct opt_parser *p, const char *arg)
{
	struct slice rest = slice_of_str(arg);
	const char *value = strchr(arg, '=');
	struct slice name;
	const struct opt *o;

	(void)slice_split(&rest, '=', &name);
	o = opt_find_name(p->opts, name);
	if (o == NULL)
		return why_set(p->why, ERR_CONFIG,
			       "there is no option --%.60s; --help lists them",
			       arg);
	if (o->type == OPT_FLAG && value != NULL)
		return why_set(p->why, ERR_CONFIG, "--%s: takes no value",
			       o->name);
	if (o->type == OPT_FLAG)
		return opt_put(p, o, NULL);
	return value == NULL ? opt_put_next(p, o) : opt_put(p, o, value + 1);
}

/* "-v", "-vq", "-cFILE", "-c FILE". */
static enum err
opt_parse_letters(struct opt_parser *p, const char *letters)
{
	enum err ret = ERR_OK;

	for (; *letters != '\0' && ret == ERR_OK; letters++) {
		const struct opt *o = opt_find_letter(p->opts, *letters);

		if (o == NULL)
			return why_set(p->why, ERR_CONFIG,
				       "there is no option -%c; --help lists "
				       "them",
				       *letters);
		if (o->type != OPT_FLAG)
			return letters[1] == '\0' ? opt_put_next(p, o)
						  : opt_put(p, o, letters + 1);
		ret = opt_put(p, o, NULL);
	}
	return ret;
}

/* Moves argv[from] to argv[to] (to <= from), the ones between one up. */
static void
opt_move(char **argv, int from, int to)
{
	char *arg = argv[from];

	for (int i = from; i > to; i--)
		argv[i] = argv[i - 1];
	argv[to] = arg;
}

enum err
opt_parse(const struct opt *opts, int argc, char **argv, void *target,
	  int *first_out, struct why *why)
{
	struct opt_parser p = {opts, argc, argv, 1, target, why};
	int first = 1; /* options end, other arguments begin */
	enum err ret;

	*first_out = argc;
	for (; p.at < argc; p.at++) {
		int begin = p.at;
		const char *arg = argv[begin];

		if (arg[0] != '-' || arg[1] == '\0')
			continue;
		if (strcmp(arg, "--") == 0) {
			opt_move(argv, begin, first++);
			break;
		}
		ret = arg[1] == '-' ? opt_parse_long(&p, arg + 2)
				    : opt_parse_letters(&p, arg + 1);
		if (ret != ERR_OK)
			return ret;
		for (int i = begin; i <= p.at; i++)
			opt_move(argv, i, first++);
	}
	*first_out = first < argc ? first : argc;
	return ERR_OK;
}

/* Words of the help text from OPT_HELP_COLUMN on. */
static void
opt_put_help(struct buf *out, const char *help)
{
	struct slice rest = slice_of_str(help);
	size_t column = OPT_HELP_COLUMN;
	bool is_first = true;
	struct slice word;

	while (slice_split(&rest, ' ', &word)) {
		if (!is_first && column + 1 + word.len > OPT_WIDTH) {
			(void)buf_printf(out, "\n%*s", OPT_HELP_COLUMN, "");
			column = OPT_HELP_COLUMN;
			is_first = true;
		}
		if (!is_first) {
			(void)buf_put_u8(out, ' ');
			column++;
		}
		(void)buf_put(out, word);
		column += word.len;
		is_first = false;
	}
	(void)buf_put_u8(out, '\n');
}

enum err
opt_print_help(const struct opt *opts, struct buf *out)
{
	for (; opts->name != NULL; opts++) {
		size_t start = buf_len(out);
		size_t len;

		if (opts->letter != 0)
			(void)buf_printf(out, "  -%c, ", opts->letter);
		else
			(void)buf_put_str(out, "      ");
		(void)buf_printf(out, "--%s", opts->name);
		if (opts->type != OPT_FLAG)
			(void)buf_printf(out, " %s",
					 opts->arg == NULL ? "VALUE"
							   : opts->arg);
		len = buf_len(out) - start;
		if (len + 2 > OPT_HELP_COLUMN)
			(void)buf_printf(out, "\n%*s", OPT_HELP_COLUMN, "");
		else
			(void)buf_printf(out, "%*s",
					 (int)(OPT_HELP_COLUMN - len), "");
		opt_put_help(out, opts->help == NULL ? "" : opts->help);
	}
	return buf_has_failed(out) ? ERR_LIMIT : ERR_OK;
}
