/* main.c - meshcert, the command line: finds the sub-command, reads its
 * options, runs it. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/version.h"
#include "crypto/path.h"
#include "meshcert/cmd.h"

static const struct cmd *const cmds[] = {
	&cmd_init,    &cmd_dev,    &cmd_request, &cmd_secret,
	&cmd_inspect, &cmd_verify, &cmd_status,  &cmd_token,
};

static void
main_put_usage(struct buf *out)
{
	(void)buf_put_str(out,
			  "usage: meshcert COMMAND [options]\n"
			  "       meshcert --version | --print-options\n\n"
			  "Certificates of a service mesh from the command "
			  "line.\n\n");
	for (size_t i = 0; i < COUNT_OF(cmds); i++)
		(void)buf_printf(out, "  %-10s %s\n", cmds[i]->name,
				 cmds[i]->summary);
	(void)buf_put_str(out,
			  "\nmeshcert COMMAND --help says more.\n"
			  "Exit code: 0 good, 1 failed or the answer is no, "
			  "2 wrong usage,\n"
			  "3 who was to be asked cannot be reached.\n");
}

static void
main_put_help(const struct cmd *cmd, struct buf *out)
{
	(void)buf_printf(out, "usage: meshcert %s [options]%s%s\n\n%s\n\n",
			 cmd->name, cmd->args[0] != '\0' ? " " : "", cmd->args,
			 cmd->about);
	(void)opt_print_help(cmd->opts, out);
}

/* All tables as JSON: the tests of man page and completion read them. */
static void
main_put_options(struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_object_open(&w);
	for (size_t i = 0; i < COUNT_OF(cmds); i++) {
		jsonw_key(&w, cmds[i]->name);
		jsonw_array_open(&w);
		for (const struct opt *o = cmds[i]->opts; o->name != NULL;
		     o++) {
			jsonw_object_open(&w);
			jsonw_pair_str(&w, "name", slice_of_str(o->name));
			jsonw_pair_str(&w, "letter",
				       slice_of(&o->letter, o->letter != 0));
			jsonw_pair_str(&w, "arg", slice_of_str(o->arg));
			jsonw_pair_str(&w, "help", slice_of_str(o->help));
			jsonw_object_close(&w);
		}
		jsonw_array_close(&w);
	}
	jsonw_object_close(&w);
	(void)buf_put_u8(out, '\n');
}

static int
main_print(void (*put)(struct buf *out))
{
	struct buf out;

	buf_init(&out, 1 << 20);
	put(&out);
	(void)fwrite(buf_get(&out).p, 1, buf_len(&out), stdout);
	buf_fini(&out);
	return fflush(stdout) == 0 ? CMD_GOOD : CMD_BAD;
}

static void
main_put_version(struct buf *out)
{
	(void)buf_printf(out, "meshcert %s (%s)\n", VERSION_TEXT,
			 crypto_library_version());
}

static int
main_run(const struct cmd *cmd, int argc, char **argv)
{
	struct cmd_common *target = mem_new(cmd->size);
	struct why why = {0};
	struct buf help;
	int first;
	int code;

	if (opt_parse(cmd->opts, argc, argv, target, &first, &why) != ERR_OK) {
		code = cmd_usage(cmd, "%s", why.text);
	} else if (target->help) {
		buf_init(&help, 1 << 20);
		main_put_help(cmd, &help);
		code = cmd_print(cmd, &help);
		buf_fini(&help);
	} else {
		code = cmd->run(cmd, target, argc - first, argv + first);
	}
	mem_free(target);
	return code;
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";

	secret_process_init();
	log_init("meshcert", "");
	log_set_level(LOG_ERROR);
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
	    strcmp(name, "help") == 0) {
		(void)main_print(main_put_usage);
		return argc > 1 ? CMD_GOOD : CMD_USAGE;
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		return main_print(main_put_version);
	if (strcmp(name, "--print-options") == 0)
		return main_print(main_put_options);
	for (size_t i = 0; i < COUNT_OF(cmds); i++) {
		if (strcmp(cmds[i]->name, name) == 0)
			return main_run(cmds[i], argc - 1, argv + 1);
	}
	(void)fprintf(stderr,
		      "meshcert: there is no command %.60s; meshcert --help "
		      "lists them\n",
		      name);
	return CMD_USAGE;
}
