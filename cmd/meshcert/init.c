/* init.c - meshcert init: a folder with commented configuration files and the
 * authority's data folder. The files come from the programs' own tables. */
#include "base/mem.h"
#include "meshcert/cmd.h"
#include "meshcert/sibling.h"
#include "os/os.h"
#include "pki/spiffe_id.h"

#include <stdlib.h>

struct init {
	struct cmd_common common;
	const char *trust_domain;
	bool force;
};

static const struct opt init_opts[] = {
	{"trust-domain", 't', OPT_TEXT, offsetof(struct init, trust_domain),
	 "NAME", "SPIFFE trust domain; cluster.local when absent"},
	{"force", 0, OPT_FLAG, offsetof(struct init, force), NULL,
	 "write over configuration files that are there"},
	CMD_OPTS_END,
};

struct init_file {
	const char *leaf;
	const char *program;
	const char *sets[5]; /* NULL-ended */
};

static enum err
init_write(const char *dir, const struct init_file *f, bool force,
	   struct why *why)
{
	const char *argv[16] = {f->program, "--print-template"};
	char *path = mem_printf("%s/%s", dir, f->leaf);
	size_t argc = 2;
	struct buf text;
	enum err e;

	buf_init(&text, 1 << 20);
	for (size_t i = 0; f->sets[i] != NULL; i++) {
		argv[argc++] = "--set";
		argv[argc++] = f->sets[i];
	}
	if (!force && os_file_exists(path))
		e = why_set(why, ERR_EXISTS,
			    "%s is there already and stays as it is; --force "
			    "writes over it",
			    path);
	else
		e = sibling_read(argv, why, &text);
	if (e == ERR_OK)
		e = os_file_write_atomic(path, buf_get(&text), 0644, why);
	buf_fini(&text);
	mem_free(path);
	return e;
}

static enum err
init_make(const char *dir, const struct init *in, struct why *why)
{
	const char *domain =
		in->trust_domain != NULL ? in->trust_domain : "cluster.local";
	char *data = mem_printf("%s/data", dir);
	char *data_set = mem_printf("data_dir=%s", data);
	char *td_set = mem_printf("trust_domain=%s", domain);
	char *agent_td = mem_printf("identity.trust_domain=%s", domain);
	char *agent_root =
		mem_printf("ca.root_file=%s/public/root-cert.pem", data);
	const struct init_file files[] = {
		{"ca.yaml", "meshcert-ca", {data_set, td_set, NULL}},
		{"agent.yaml",
		 "meshcert-agent",
		 {agent_td, agent_root, "ca.address=localhost:15012", NULL}},
	};
	enum err e;

	e = spiffe_trust_domain_check(slice_of_str(domain), why);
	/* An existing folder keeps its mode: it is the operator's. */
	if (e == ERR_OK && !os_file_exists(dir))
		e = os_dir_make(dir, 0755, (uid_t)-1, (gid_t)-1, why);
	for (size_t i = 0; e == ERR_OK && i < COUNT_OF(files); i++)
		e = init_write(dir, &files[i], in->force, why);
	if (e == ERR_OK && !os_file_exists(data))
		e = os_dir_make(data, 0755, (uid_t)-1, (gid_t)-1, why);
	mem_free(data);
	mem_free(data_set);
	mem_free(td_set);
	mem_free(agent_td);
	mem_free(agent_root);
	return e;
}

static int
init_run(const struct cmd *cmd, void *target, int argc, char **argv)
{
	struct why why = {0};
	struct buf out;
	char *dir;
	int code;
	enum err e;

	if (argc != 1)
		return cmd_usage(cmd, "one DIR is needed");
	/* Services have another working folder. */
	if (argv[0][0] == '/') {
		dir = mem_dup_str(argv[0]);
	} else {
		char *here = realpath(".", NULL);

		dir = mem_printf("%s/%s", here == NULL ? "" : here, argv[0]);
		mem_free(here);
	}
	e = init_make(dir, target, &why);
	if (e != ERR_OK) {
		code = cmd_fail(cmd, CMD_BAD, "%s", why_text(&why, e));
		mem_free(dir);
		return code;
	}
	buf_init(&out, CMD_OUT_MAX);
	(void)buf_printf(
		&out,
		"%s/ca.yaml      the authority's configuration\n"
		"%s/agent.yaml   the agent's\n"
		"%s/data         what the authority keeps\n\n"
		"Every key is in the files, commented, with its default.\n"
		"  meshcert-ca --config %s/ca.yaml --check     says whether "
		"it is good\n"
		"  meshcert-ca --config %s/ca.yaml             starts the "
		"authority\n"
		"  meshcert token create --data-dir %s/data --identity "
		"spiffe://...\n"
		"                                     makes a token with which "
		"an agent joins\n",
		dir, dir, dir, dir, dir, dir);
	code = cmd_print(cmd, &out);
	buf_fini(&out);
	mem_free(dir);
	return code;
}

const struct cmd cmd_init = {
	.name = "init",
	.args = "DIR",
	.summary = "a folder with commented configuration files",
	.about = "init makes the folder DIR with ca.yaml and agent.yaml, which "
		 "hold every\n"
		 "configuration key, commented and at its default, and the "
		 "folder data for\n"
		 "the authority. Files that are there already are left alone.",
	.opts = init_opts,
	.size = sizeof(struct init),
	.run = init_run,
};
