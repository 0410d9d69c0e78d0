/* fuzz_agent_env.c - an environment of Istio's agent, one variable after the
 * other, each ended by a NUL. What is taken is a configuration that can be
 * printed and read. */
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_dup_slice_str(slice_of(data, size));
	char *envp[VARS_MAX + 1] = {NULL};
	struct agent_conf c;
	struct why why = {""};
	size_t cnt = 0;

	for (size_t at = 0; at < size && cnt < VARS_MAX;
	     at += strlen(text + at) + 1)
		envp[cnt++] = text + at;
	must(agent_conf_parse(SLICE_NONE, "none", &c, &why) == ERR_OK);
	if (agent_conf_set_env(&c, envp, &why) != ERR_OK ||
	    agent_conf_finish(&c, &why) != ERR_OK)
		must(why.text[0] != '\0');
	else
		check_print(&c);
	agent_conf_free(&c);
	mem_free(text);
	return 0;
}
