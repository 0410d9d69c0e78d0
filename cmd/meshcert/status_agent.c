/* status_agent.c - what an agent's page /status means for its operator. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "meshcert/call.h"
#include "meshcert/cmd.h"
#include "meshcert/status_int.h"

enum {
	AGENT_PAGE_MAX = 32 << 20
};

static char *
agent_dup(const struct json *v)
{
	struct slice s = json_str(v);

	return mem_dup_slice_str(slice_is_printable(s) ? s : SLICE_LIT("?"));
}

static bool
agent_is_true(const struct json *obj, const char *key)
{
	bool v = false;

	return json_bool(json_get(obj, key), &v) && v;
}

static void
agent_add_ready(struct status *s, const struct json *root)
{
	char *mode = agent_dup(json_get(root, "mode"));
	char *identity = agent_dup(json_get(root, "identity"));
	char *problem = agent_dup(json_get(root, "not_ready"));
	char *text = mem_printf("%s is served (%s)", identity, mode);

	if (agent_is_true(root, "ready"))
		status_add(s, "OK", "agent", "ready", text, "", "");
	else
		status_add(s, "BAD", "agent", "ready", problem, "",
			   "see the line \"ca\", and the agent's log");
	if (!agent_is_true(root, "secrets_locked"))
		status_add(s, "WARN", "agent", "memory",
			   "keys are in memory that can be swapped out", "",
			   "raise LimitMEMLOCK (ulimit -l)");
	mem_free(mode);
	mem_free(identity);
	mem_free(problem);
	mem_free(text);
}

/* Failing with a certificate in force is a warning: there is time. */
static void
agent_add_ca(struct status *s, const struct json *root)
{
	const struct json *ca = json_get(root, "ca");
	char *address = agent_dup(json_get(ca, "address"));
	char *after = agent_dup(json_get(ca, "not_after"));
	char *next = agent_dup(json_get(ca, "next"));
	char *since = agent_dup(json_get(ca, "failing_since"));
	char *error = agent_dup(json_get(ca, "error"));
	char *advice = agent_dup(json_get(ca, "advice"));
	char *warning = agent_dup(json_get(ca, "warning"));
	bool has = agent_is_true(ca, "has_certificate");
	int64_t failures = 0;
	char *text;

	(void)!json_int(json_get(ca, "failures"), &failures);
	if (failures > 0)
		text = mem_printf("%s has failed %lld times: %s%s%s", address,
				  (long long)failures, error,
				  has ? "; the certificate ends " : "",
				  has ? after : "");
	else
		text = mem_printf("%s: certificate until %s, renewal at %s",
				  address, after, next);
	if (ca != NULL && failures > 0)
		status_add(s, has ? "WARN" : "BAD", "agent", "ca", text, since,
			   *advice != '\0'
				   ? advice
				   : "is the CA reachable, and does it take "
				     "our token? its log says why it refuses");
	else if (ca != NULL && has)
		status_add(s, "OK", "agent", "ca", text, "", "");
	if (ca != NULL && warning[0] != '\0')
		status_add(s, "WARN", "agent", "ca", warning, "", "");
	mem_free(address);
	mem_free(after);
	mem_free(next);
	mem_free(since);
	mem_free(error);
	mem_free(advice);
	mem_free(warning);
	mem_free(text);
}

/* A clock that was set once, and is right, is no news. */
static void
agent_add_clock(struct status *s, const struct json *root)
{
	char *problem = agent_dup(json_get(json_get(root, "clock"), "problem"));

	if (problem[0] != '\0')
		status_add(s, "WARN", "agent", "clock", problem, "",
			   "the clock of this host is late, or that of the CA "
			   "early: set it");
	mem_free(problem);
}

static void
agent_add_output(struct status *s, const struct json *root)
{
	const struct json *output = json_get(root, "output");
	char *dir = agent_dup(json_get(output, "dir"));
	char *error = agent_dup(json_get(output, "error"));
	char *text = mem_printf("%s: %s", dir, error);

	if (output != NULL && error[0] != '\0')
		status_add(s, "BAD", "agent", "output", text, "",
			   "make the folder writable for the agent");
	mem_free(dir);
	mem_free(error);
	mem_free(text);
}

/* One line for each name whose files cannot be used. */
static void
agent_add_file(struct status *s, const struct json *file)
{
	bool served = agent_is_true(file, "served");
	char *name = agent_dup(json_get(file, "name"));
	char *error = agent_dup(json_get(file, "error"));
	char *since = agent_dup(json_get(file, "failing_since"));
	char *text = mem_printf("%s: %s; %s", name, error,
				served ? "the one before stays in use"
				       : "nothing is served under this name");

	if (error[0] != '\0')
		status_add(s, served ? "WARN" : "BAD", "agent", "files", text,
			   since, "mend the files: they are read again");
	mem_free(name);
	mem_free(error);
	mem_free(since);
	mem_free(text);
}

/* One line for each refusal in force. */
static void
agent_add_nacks(struct status *s, const struct json *stream)
{
	const struct json *names = json_get(stream, "names");

	for (size_t i = 0; i < json_count(names); i++) {
		const struct json *n = json_at(names, i);
		char *node, *name, *nack, *at, *text;

		if (!slice_is_str(json_str(json_get(n, "state")), "nacked"))
			continue;
		node = agent_dup(json_get(stream, "node"));
		name = agent_dup(json_get(n, "name"));
		nack = agent_dup(json_get(n, "nack"));
		at = agent_dup(json_get(n, "answered_at"));
		text = mem_printf("%s has refused %s: %s", node, name, nack);
		status_add(s, "BAD", "agent", "sds", text, at,
			   "it keeps what it had; meshcert secret shows what "
			   "was sent");
		mem_free(node);
		mem_free(name);
		mem_free(nack);
		mem_free(at);
		mem_free(text);
	}
}

/* see status_int.h */
void
status_read_agent(struct status *s, const struct json *root)
{
	const struct json *streams = json_get(root, "streams");
	const struct json *files = json_get(root, "files");

	agent_add_ready(s, root);
	agent_add_ca(s, root);
	agent_add_clock(s, root);
	agent_add_output(s, root);
	for (size_t i = 0; i < json_count(files); i++)
		agent_add_file(s, json_at(files, i));
	for (size_t i = 0; i < json_count(streams); i++)
		agent_add_nacks(s, json_at(streams, i));
}

/* see status_int.h */
bool
status_ask_agent(struct status *s, const char *addr)
{
	struct json *root = NULL;
	struct why why = {0};
	struct buf body;
	int code = 0;
	enum err e;

	buf_init(&body, AGENT_PAGE_MAX);
	e = call_get(addr, "/status", CMD_TIMEOUT_MS, &why, &code, &body);
	if (e == ERR_OK && code != 200)
		e = why_set(&why, ERR_REFUSED,
			    "%s/status answered %d: is this the status port "
			    "of a meshcert-agent?",
			    addr, code);
	if (e == ERR_OK)
		e = json_parse(buf_get(&body), &why, &root);
	if (e == ERR_OK)
		status_read_agent(s, root);
	else
		status_add(s, "BAD", "agent", "reach", why_text(&why, e), "",
			   "is meshcert-agent running, with listen.status at "
			   "this address?");
	json_free(root);
	buf_fini(&body);
	return e == ERR_OK || err_class(e) != ERR_CLASS_ENV;
}
