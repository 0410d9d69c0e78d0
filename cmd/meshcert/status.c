/* status.c - meshcert status: one line for each thing an operator must know,
 * from the authority and, where it is found, from the agent. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "grpc/pbmem.h"
#include "meshcert/admin.h"
#include "meshcert/cmd.h"
#include "meshcert/status_int.h"
#include "meshcert/table.h"
#include "proto/admin.pb-c.h"

struct status {
	struct cmd_common common;
	const char *socket;
	const char *data_dir;
	const char *agent;
	const char *output;
	/* what comes of it */
	struct table lines; /* LEVEL WHO TOPIC TEXT SINCE ACTION */
	unsigned asked, answered;
	bool is_bad;
};

static const struct opt status_opts[] = {
	{"socket", 's', OPT_TEXT, offsetof(struct status, socket), "PATH",
	 "the authority's admin socket"},
	{"data-dir", 'd', OPT_TEXT, offsetof(struct status, data_dir), "DIR",
	 "the authority's data_dir, where its admin socket is "
	 "found; " ADMIN_DATA_DIR " when absent"},
	{"agent", 'a', OPT_TEXT, offsetof(struct status, agent), "HOST:PORT",
	 "an agent's status port; with it the authority is asked only where "
	 "--socket or --data-dir is given"},
	{"output", 'o', OPT_TEXT, offsetof(struct status, output), "FORMAT",
	 "table (the default), json or yaml"},
	CMD_OPTS_END,
};

/* see status_int.h */
void
status_add(struct status *s, const char *level, const char *who,
	   const char *topic, const char *text, const char *since,
	   const char *action)
{
	const char *cells[] = {level, who, topic, text, since, action};

	s->is_bad |= strcmp(level, "BAD") == 0;
	table_add(&s->lines, cells, COUNT_OF(cells));
}

static bool
status_unpack(struct status *s, struct slice bytes)
{
	static const char *const levels[] = {"OK", "WARN", "BAD"};
	Meshcert__Admin__V1__StatusResponse *rs;
	struct pbmem mem;

	pbmem_init(&mem, 1 << 20);
	rs = meshcert__admin__v1__status_response__unpack(pbmem_get(&mem),
							  bytes.len, bytes.p);
	for (size_t i = 0; rs != NULL && i < rs->n_lines; i++) {
		const Meshcert__Admin__V1__StatusLine *l = rs->lines[i];
		unsigned level = (unsigned)l->level;

		status_add(s, levels[level > 2 ? 2 : level], "authority",
			   l->topic, l->text, l->since, l->action);
	}
	pbmem_fini(&mem);
	return rs != NULL;
}

static void
status_ask_authority(struct status *s)
{
	Meshcert__Admin__V1__StatusRequest rq =
		MESHCERT__ADMIN__V1__STATUS_REQUEST__INIT;
	char *addr = admin_get_addr(s->socket, s->data_dir);
	struct call_answer answer = {0};
	struct why why = {0};

	s->asked++;
	if (admin_call(addr, "/meshcert.admin.v1.Admin/Status", &rq.base, &why,
		       &answer) != ERR_OK) {
		status_add(s, "BAD", "authority", "reach", why.text, "",
			   "systemctl status meshcert-ca; meshcert-ca --check");
	} else if (answer.status != GRPC_OK ||
		   !status_unpack(s, secret_get(answer.message))) {
		s->answered++;
		status_add(s, "BAD", "authority", "reach",
			   answer.status != GRPC_OK ? answer.text.text
						    : "its answer cannot be "
						      "read",
			   "", "look at the authority's log");
	} else {
		s->answered++;
	}
	secret_free(answer.message);
	mem_free(addr);
}

static int
status_print_json(const struct cmd *cmd, const struct status *s,
		  enum cmd_format format)
{
	static const char *const names[] = {"level", "who",   "topic",
					    "text",  "since", "action"};
	struct jsonw w;
	struct buf out;
	int code;

	buf_init(&out, CMD_OUT_MAX);
	jsonw_init(&w, &out);
	jsonw_array_open(&w);
	for (size_t row = 1; row < s->lines.rows; row++) {
		jsonw_object_open(&w);
		for (size_t i = 0; i < COUNT_OF(names); i++)
			jsonw_pair_str(
				&w, names[i],
				slice_of_str(
					s->lines.cells[row * COUNT_OF(names) +
						       i]));
		jsonw_object_close(&w);
	}
	jsonw_array_close(&w);
	code = cmd_print_json(cmd, &out, format);
	buf_fini(&out);
	return code;
}

static int
status_print(const struct cmd *cmd, const struct status *s,
	     enum cmd_format format)
{
	struct buf out;
	int code;

	if (format != CMD_TABLE)
		return status_print_json(cmd, s, format);
	buf_init(&out, CMD_OUT_MAX);
	table_print(&s->lines, 2, &out);
	code = cmd_print(cmd, &out);
	buf_fini(&out);
	return code;
}

static int
status_run(const struct cmd *cmd, void *target, int argc, char **argv)
{
	struct status *s = target;
	enum cmd_format format;
	int code;

	if (argc > 0)
		return cmd_usage(cmd, "%.60s: arguments are not expected",
				 argv[0]);
	if ((code = cmd_read_format(cmd, s->output, &format)) != CMD_GOOD)
		return code;
	status_add(s, "LEVEL", "WHO", "TOPIC", "WHAT", "SINCE", "WHAT TO DO");
	if (s->agent == NULL || s->socket != NULL || s->data_dir != NULL)
		status_ask_authority(s);
	if (s->agent != NULL) {
		s->asked++;
		s->answered += status_ask_agent(s, s->agent);
	}
	code = status_print(cmd, s, format);
	table_free(&s->lines);
	if (code != CMD_GOOD)
		return code;
	if (s->answered < s->asked)
		return CMD_UNREACHED;
	return s->is_bad ? CMD_BAD : CMD_GOOD;
}

const struct cmd cmd_status = {
	.name = "status",
	.args = "",
	.summary = "what an operator must know, one line each",
	.about = "status asks the authority on this machine (and an agent, "
		 "with --agent) how\n"
		 "it is: what is stale or has failed, since when, and what to "
		 "do about it.\n"
		 "Exit code 1 when a line is BAD, 3 when who was asked does "
		 "not answer.",
	.opts = status_opts,
	.size = sizeof(struct status),
	.run = status_run,
};
