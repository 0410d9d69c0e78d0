/* main.c - meshcert-agent: options, configuration, run. */
#include <stdio.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/check.h"
#include "base/opt.h"
#include "base/version.h"
#include "crypto/path.h"
#include "os/os.h"

enum {
	CONFIG_MAX = 1 << 20
};

struct main_opts {
	const char *config;
	struct opt_multi set;
	bool check, print_config, print_template, table, help, version;
};

static const struct opt opts[] = {
	{"config", 'c', OPT_TEXT, offsetof(struct main_opts, config), "FILE",
	 "configuration (YAML); without it all is at its default"},
	{"set", 's', OPT_MULTI, offsetof(struct main_opts, set), "KEY=VALUE",
	 "a configuration key, over what file and environment say"},
	{"check", 0, OPT_FLAG, offsetof(struct main_opts, check), NULL,
	 "check configuration and environment, say what they mean, and exit"},
	{"print-config", 0, OPT_FLAG, offsetof(struct main_opts, print_config),
	 NULL, "print the effective configuration and exit"},
	{"print-template", 0, OPT_FLAG,
	 offsetof(struct main_opts, print_template), NULL,
	 "print a commented configuration file with every key and exit"},
	{"print-keys", 0, OPT_FLAG, offsetof(struct main_opts, table), NULL,
	 "print every configuration key as JSON and exit"},
	{"help", 'h', OPT_FLAG, offsetof(struct main_opts, help), NULL,
	 "print this and exit"},
	{"version", 'V', OPT_FLAG, offsetof(struct main_opts, version), NULL,
	 "print the versions of program and crypto library and exit"},
	{NULL, 0, OPT_FLAG, 0, NULL, NULL},
};

static int
print_text(const struct main_opts *o)
{
	struct buf out;

	buf_init(&out, CONFIG_MAX);
	if (o->help) {
		(void)buf_put_str(
			&out,
			"usage: meshcert-agent [options]\n\n"
			"Gets the certificate of a workload and serves it to "
			"proxies (SDS), to workloads\n(SPIFFE Workload API) "
			"and as files. Takes the environment of Istio's "
			"agent.\n"
			"See meshcert-agent(8).\n\n");
		(void)opt_print_help(opts, &out);
	} else if (o->table) {
		(void)conf_print_table(agent_conf_keys, &out);
	} else {
		(void)buf_printf(&out, "meshcert-agent %s (%s)\n", VERSION_TEXT,
				 crypto_library_version());
	}
	(void)fwrite(buf_get(&out).p, 1, buf_len(&out), stdout);
	buf_fini(&out);
	return 0;
}

static int
print_template(struct agent_conf *conf)
{
	struct buf out;

	buf_init(&out, CONFIG_MAX);
	(void)conf_print_changed(agent_conf_keys, conf, &out);
	(void)fwrite(buf_get(&out).p, 1, buf_len(&out), stdout);
	buf_fini(&out);
	agent_conf_free(conf);
	return 0;
}

static enum err
load(const struct main_opts *o, struct agent_conf *conf, struct why *why)
{
	struct buf text;
	enum err ret = ERR_OK;

	buf_init(&text, CONFIG_MAX);
	if (o->config != NULL)
		ret = os_file_read(o->config, &text, why);
	if (ret == ERR_OK)
		ret = agent_conf_parse(buf_get(&text),
				       o->config == NULL ? "" : o->config, conf,
				       why);
	buf_fini(&text);
	if (ret == ERR_OK)
		ret = agent_conf_set_env(conf, environ, why);
	for (size_t i = 0; i < o->set.cnt && ret == ERR_OK; i++)
		ret = agent_conf_set(conf, o->set.items[i], why);
	return ret == ERR_OK ? agent_conf_finish(conf, why) : ret;
}

static enum err
load_again(void *arg, struct agent_conf *conf, struct why *why)
{
	return load(arg, conf, why);
}

int
main(int argc, char **argv)
{
	struct main_opts o = {0};
	struct agent_conf conf = {0};
	struct why why = {0};
	int first;
	enum err ret;

	if (opt_parse(opts, argc, argv, &o, &first, &why) != ERR_OK ||
	    first < argc) {
		(void)fprintf(stderr, "meshcert-agent: %s\nTry --help.\n",
			      first < argc && why.text[0] == '\0'
				      ? "arguments are not expected"
				      : why.text);
		return 2;
	}
	if (o.help || o.version || o.table)
		return print_text(&o);
	if ((ret = load(&o, &conf, &why)) != ERR_OK) {
		(void)fprintf(stderr, "meshcert-agent: %s\n",
			      why_text(&why, ret));
		agent_conf_free(&conf);
		return 2;
	}
	if (o.print_template)
		return print_template(&conf);
	if (o.check || o.print_config)
		return agent_print(&conf, o.check);
	return agent_run(&conf, &(struct agent_source){.load = load_again,
						       .arg = &o,
						       .path = o.config});
}
