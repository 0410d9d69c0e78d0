/* supervisor_sandbox.c - what each role is told for its sandbox: the mode and
 * the paths that only the configuration knows. Which role makes use of which is
 * written in os/sandbox_roles.c. Roles enter it by themselves (ipc/role.h). And
 * the supervisor's own. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "ca/supervisor_int.h"
#include "os/os.h"

static bool
sandbox_is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0' || dir[len - 1] == '/');
}

/* The folder of a file that is read again when it changes: such files are
 * replaced by renaming, so the file alone would be lost. */
static enum err
sandbox_add_dir_of(struct supervisor *s, struct sandbox_ask *ask,
		   const char *role, const char *path, struct why *why)
{
	char *dir;

	if (path == NULL || *path == '\0')
		return ERR_OK;
	dir = os_dup_parent(path);
	for (size_t i = 0; i < ask->read_cnt; i++) {
		if (strcmp(ask->read[i], dir) == 0) {
			mem_free(dir);
			return ERR_OK;
		}
	}
	if (ask->read_cnt == SANDBOX_READ_MAX) {
		mem_free(dir);
		return why_set(why, ERR_CONFIG,
			       "auth.jwt: files are in more than %d folders",
			       SANDBOX_READ_MAX);
	}
	if (sandbox_is_below(s->conf.data_dir, dir) ||
	    (s->conf.issuer_kind == CA_ISSUER_FILES &&
	     sandbox_is_below(s->conf.issuer_dir, dir)))
		log_warn("supervisor.sandbox",
			 "%s: the folder of this file is opened to the role "
			 "%s, and the authority's keys are below it: give it "
			 "a folder of its own",
			 path, role);
	ask->read[ask->read_cnt++] = dir;
	return ERR_OK;
}

enum err
supervisor_confine(const struct supervisor *s, struct why *why)
{
	const struct sandbox_ask ask = {
		.mode = (enum sandbox_mode)s->conf.sandbox};
	struct why missing = {0};
	enum err ret = sandbox_probe(&missing);

	if (ret != ERR_OK && ask.mode == SANDBOX_REQUIRED)
		return why_set(why, ret, "sandbox: required, but %s",
			       missing.text);
	/* What is missing, the roles say. */
	ret = os_privs_seal(why);
	return ret == ERR_OK ? sandbox_enter("supervisor", &ask, &missing, why)
			     : ret;
}

enum err
supervisor_plan_sandbox(struct supervisor *s, struct why *why)
{
	enum err ret;

	for (size_t i = 0; i < ROLE_CNT; i++) {
		s->sandbox[i].mode = (enum sandbox_mode)s->conf.sandbox;
		/* A copy: a reload frees the configuration that it replaces. */
		s->sandbox[i].data_dir = mem_dup_str(s->conf.data_dir);
		s->roles[i].sandbox = &s->sandbox[i];
	}
	ret = ERR_OK;
	for (size_t i = 0; ret == ERR_OK && i < s->conf.jwt.cnt; i++) {
		const struct ca_conf_jwt *j = ca_conf_get_jwt(&s->conf, i);

		ret = sandbox_add_dir_of(s, &s->sandbox[ROLE_FRONT], "front",
					 j->jwks_file, why);
		if (ret == ERR_OK)
			ret = sandbox_add_dir_of(s, &s->sandbox[ROLE_FETCH],
						 "fetch", j->ca_file, why);
	}
	return ret;
}

void
supervisor_free_sandbox(struct supervisor *s)
{
	for (size_t i = 0; i < ROLE_CNT; i++) {
		struct sandbox_ask *ask = &s->sandbox[i];

		mem_free((void *)(uintptr_t)ask->data_dir);
		while (ask->read_cnt > 0)
			mem_free((void *)(uintptr_t)ask->read[--ask->read_cnt]);
		*ask = (struct sandbox_ask){0};
	}
}
