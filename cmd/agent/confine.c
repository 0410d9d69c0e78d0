/* confine.c - see confine.h. */
#include "agent/confine.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/socket.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/os.h"
#include "os/sandbox.h"

static bool
confine_is_set(const char *path)
{
	return path != NULL && *path != '\0';
}

/* folder is taken. */
static enum err
confine_add(struct sandbox_ask *ask, char *folder, struct why *why)
{
	for (size_t i = 0; i < ask->read_cnt; i++) {
		if (strcmp(ask->read[i], folder) == 0) {
			mem_free(folder);
			return ERR_OK;
		}
	}
	if (ask->read_cnt == SANDBOX_READ_MAX) {
		mem_free(folder);
		return why_set(why, ERR_CONFIG,
			       "sandbox: files are read in more than %d "
			       "folders: name fewer in files.allow",
			       SANDBOX_READ_MAX);
	}
	ask->read[ask->read_cnt++] = folder;
	return ERR_OK;
}

/* The folder of a file; where it is a link that leads out of it, the folder
 * where that ends, too. */
static enum err
confine_add_file(struct sandbox_ask *ask, const char *key, const char *path,
		 struct why *why)
{
	char real[PATH_MAX];
	char *folder;
	enum err ret;

	if (!confine_is_set(path))
		return ERR_OK;
	folder = os_dup_parent(path);
	if (!os_file_exists(folder))
		log_info("sandbox",
			 "%s: the folder of %s is not there: what is put there "
			 "later counts after a restart only",
			 key, path);
	ret = confine_add(ask, folder, why);
	if (ret == ERR_OK && realpath(path, real) != NULL)
		ret = confine_add(ask, os_dup_parent(real), why);
	return ret;
}

static enum err
confine_add_folder(struct sandbox_ask *ask, const char *path, struct why *why)
{
	return confine_is_set(path) ? confine_add(ask, mem_dup_str(path), why)
				    : ERR_OK;
}

static enum err
confine_plan_reads(const struct agent *a, struct sandbox_ask *ask,
		   struct why *why)
{
	const struct agent_conf *c = &a->conf;
	char *root = agent_conf_get_root(c);
	const struct {
		const char *key;
		const char *path;
	} files[] = {
		{"ca.root_file", root},
		{"ca.token_file", c->ca_token_file},
		{"--config", a->source->path},
		{"files.client_cert", c->files_client_cert},
		{"files.client_key", c->files_client_key},
		{"files.client_root", c->files_client_root},
		{"files.server_cert", c->files_server_cert},
		{"files.server_key", c->files_server_key},
		{"files.server_root", c->files_server_root},
		{"default certificate", a->defaults.chain},
		{"default certificate", a->defaults.key},
		{"default certificate", a->defaults.root},
	};
	enum err ret = confine_add_folder(ask, c->ca_client_cert_dir, why);

	for (size_t i = 0; ret == ERR_OK && i < COUNT_OF(files); i++) {
		/* Of a CA that is not asked nothing is read. */
		if (a->mode == AGENT_MODE_CA || i > 1)
			ret = confine_add_file(ask, files[i].key, files[i].path,
					       why);
	}
	for (size_t i = 0; ret == ERR_OK && i < c->files_allow.cnt; i++)
		ret = confine_add_folder(ask, c->files_allow.items[i], why);
	mem_free(root);
	return ret;
}

/* A folder that a part of ours writes to is made now: inside of the sandbox
 * only what is below it can be. */
static enum err
confine_plan_writes(const struct agent *a, struct sandbox_ask *ask,
		    struct why *why)
{
	const struct agent_conf *c = &a->conf;
	struct why cause = {0};
	struct stat st;
	enum err ret;

	ret = agent_socket_make_dir(c, c->listen_socket, why);
	if (ret != ERR_OK)
		return ret;
	ask->write[ask->write_cnt++] = os_dup_parent(c->listen_socket);
	/* Somebody may serve there: then ours is the other one. */
	if (os_file_exists(c->listen_socket)) {
		ret = agent_socket_make_dir(c, c->listen_files_socket, why);
		if (ret != ERR_OK)
			return ret;
		ask->write[ask->write_cnt++] =
			os_dup_parent(c->listen_files_socket);
	}
	if (!confine_is_set(c->output_dir))
		return ERR_OK;
	if (!os_file_exists(c->output_dir))
		(void)!os_dir_make(c->output_dir, 0755, (uid_t)-1, (gid_t)-1,
				   &cause);
	/* Not a folder yet: output.c tries again, and will make it. */
	ask->write[ask->write_cnt++] =
		stat(c->output_dir, &st) == 0 && S_ISDIR(st.st_mode)
			? mem_dup_str(c->output_dir)
			: os_dup_parent(c->output_dir);
	return ERR_OK;
}

static void
confine_free_ask(struct sandbox_ask *ask)
{
	while (ask->read_cnt > 0)
		mem_free((void *)(uintptr_t)ask->read[--ask->read_cnt]);
	while (ask->write_cnt > 0)
		mem_free((void *)(uintptr_t)ask->write[--ask->write_cnt]);
}

enum err
agent_confine_start(const struct agent *a, struct why *why)
{
	const struct sandbox_ask ask = {
		.mode = (enum sandbox_mode)a->conf.sandbox};
	struct why missing = {0};

	/* What is missing, agent_confine says. */
	return sandbox_enter("agent.start", &ask, &missing, why);
}

enum err
agent_confine(struct agent *a, struct why *why)
{
	struct sandbox_ask ask = {.mode = (enum sandbox_mode)a->conf.sandbox};
	struct why missing = {0};
	enum err ret = ERR_OK;

	if (ask.mode == SANDBOX_OFF)
		return ERR_OK;
	if ((ret = confine_plan_reads(a, &ask, why)) != ERR_OK ||
	    (ret = confine_plan_writes(a, &ask, why)) != ERR_OK)
		goto out;
	ret = sandbox_enter("agent", &ask, &missing, why);
	if (ret == ERR_OK && missing.text[0] != '\0')
		log_warn("sandbox", "the agent is confined in part only: %s",
			 missing.text);
out:
	confine_free_ask(&ask);
	return ret;
}

enum err
agent_confine_settle(const struct agent *a, struct why *why)
{
	return sandbox_settle((enum sandbox_mode)a->conf.sandbox, why);
}
