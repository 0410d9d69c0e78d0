/* fuzz_agent_env.c - an environment of Istio's agent, one variable after the
 * other, each ended by a NUL; those that begin with "--set " are settings of
 * the command line. What is taken is a configuration that can be printed and
 * read.
 */
#include "base/mem.h"

/* A program's files, not of the library. */
#include "../../cmd/agent/conf.c"
#include "../../cmd/agent/env.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	VARS_MAX = 64,
	PRINT_MAX = 1 << 20
};

static void
check_print(const struct agent_conf *c)
{
	struct agent_conf again;
	struct why why = {""};
	struct buf out;

	buf_init(&out, PRINT_MAX);
	must(conf_print_changed(agent_conf_keys, c, &out) == ERR_OK);
	must(agent_conf_parse(buf_get(&out), "print", &again, &why) == ERR_OK);
	agent_conf_free(&again);
	buf_fini(&out);
}

/* Settings come before the environment. */
static enum err
take_all(struct agent_conf *c, char *text, size_t size, struct why *why)
{
	static const char set[] = "--set ";
	char *envp[VARS_MAX + 1] = {NULL};
	size_t cnt = 0;
	enum err ret;

	for (size_t at = 0; at < size && cnt < VARS_MAX;
	     at += strlen(text + at) + 1) {
		if (strncmp(text + at, set, sizeof(set) - 1) != 0) {
			envp[cnt++] = text + at;
			continue;
		}
		ret = agent_conf_set(c, text + at + sizeof(set) - 1, why);
		if (ret != ERR_OK)
			return ret;
	}
	if ((ret = agent_conf_set_env(c, envp, why)) != ERR_OK)
		return ret;
	return agent_conf_finish(c, why);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_dup_slice_str(slice_of(data, size));
	struct agent_conf c;
	struct why why = {""};

	must(agent_conf_parse(SLICE_NONE, "none", &c, &why) == ERR_OK);
	if (take_all(&c, text, size, &why) != ERR_OK)
		must(why.text[0] != '\0');
	else
		check_print(&c);
	agent_conf_free(&c);
	mem_free(text);
	return 0;
}
