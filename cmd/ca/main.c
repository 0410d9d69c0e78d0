/* main.c - meshcert-ca: which process is this? The one that was started is the
 * supervisor; it starts the others with --role. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/opt.h"
#include "base/version.h"
#include "ca/conf.h"
#include "ca/roles.h"
#include "crypto/path.h"

struct main_opts {
	struct ca_args args;
	struct opt_multi set;
	const char *role;
	int64_t index;
	bool help, version, table;
};

static const struct opt opts[] = {
	{"config", 'c', OPT_TEXT, offsetof(struct main_opts, args.config),
	 "FILE", "configuration (YAML); without it all is at its default"},
	{"set", 's', OPT_MULTI, offsetof(struct main_opts, set), "KEY=VALUE",
	 "a configuration key, over what the file says"},
	{"check", 0, OPT_FLAG, offsetof(struct main_opts, args.check), NULL,
	 "check the configuration and exit"},
	{"print-config", 0, OPT_FLAG,
	 offsetof(struct main_opts, args.print_config), NULL,
	 "print the effective configuration and exit"},
	{"print-template", 0, OPT_FLAG,
	 offsetof(struct main_opts, args.print_template), NULL,
	 "print a commented configuration file with every key and exit"},
	{"print-keys", 0, OPT_FLAG, offsetof(struct main_opts, table), NULL,
	 "print every configuration key as JSON and exit"},
	{"help", 'h', OPT_FLAG, offsetof(struct main_opts, help), NULL,
	 "print this and exit"},
	{"version", 'V', OPT_FLAG, offsetof(struct main_opts, version), NULL,
	 "print the versions of program and crypto library and exit"},
	{"role", 0, OPT_TEXT, offsetof(struct main_opts, role), "NAME",
	 "used by the supervisor to start its roles"},
	{"index", 0, OPT_COUNT, offsetof(struct main_opts, index), "N",
	 "used by the supervisor to start its roles"},
	{NULL, 0, OPT_FLAG, 0, NULL, NULL},
};

static const struct {
	const char *name;
	int (*run)(unsigned index);
} roles[] = {
	{"front", ca_front_main},
	{"authority", ca_authority_main},
	{"signer", ca_signer_main},
	{"public", ca_public_main},
};

static int
print_text(bool help, bool table)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	if (help) {
		(void)buf_put_str(
			&out, "usage: meshcert-ca [options]\n\n"
			      "The certificate authority of a service mesh. "
			      "See meshcert-ca(8).\n\n");
		(void)opt_print_help(opts, &out);
	} else if (table) {
		(void)conf_print_table(ca_conf_keys, &out);
	} else {
		(void)buf_printf(&out, "meshcert-ca %s (%s)\n", VERSION_TEXT,
				 crypto_library_version());
	}
	(void)fwrite(buf_get(&out).p, 1, buf_len(&out), stdout);
	buf_fini(&out);
	return 0;
}

static int
run_role(const struct main_opts *o)
{
	for (size_t i = 0; i < COUNT_OF(roles); i++) {
		if (strcmp(roles[i].name, o->role) == 0)
			return roles[i].run((unsigned)o->index);
	}
	(void)fprintf(stderr, "meshcert-ca: no role %s\n", o->role);
	return 2;
}

int
main(int argc, char **argv)
{
	struct main_opts o = {0};
	struct why why = {0};
	int first;

	if (opt_parse(opts, argc, argv, &o, &first, &why) != ERR_OK ||
	    first < argc) {
		(void)fprintf(stderr, "meshcert-ca: %s\nTry --help.\n",
			      first < argc && why.text[0] == '\0'
				      ? "arguments are not expected"
				      : why.text);
		return 2;
	}
	if (o.help || o.version || o.table)
		return print_text(o.help, o.table);
	if (o.role != NULL)
		return run_role(&o);
	for (size_t i = 0; i < o.set.cnt && i + 1 < COUNT_OF(o.args.set); i++)
		o.args.set[i] = o.set.items[i];
	return ca_supervisor_main(&o.args);
}
