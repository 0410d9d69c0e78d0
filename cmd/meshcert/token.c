/* token.c - meshcert token create: a one-time join token. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "grpc/pbmem.h"
#include "meshcert/admin.h"
#include "meshcert/cmd.h"
#include "proto/admin.pb-c.h"

struct token {
	struct cmd_common common;
	const char *identity;
	const char *ttl;
	const char *socket;
	const char *data_dir;
	const char *output;
};

static const struct opt token_opts[] = {
	{"identity", 'i', OPT_TEXT, offsetof(struct token, identity),
	 "SPIFFE-ID", "whose token it will be: spiffe://DOMAIN/ns/NS/sa/SA"},
	{"ttl", 't', OPT_TEXT, offsetof(struct token, ttl), "DURATION",
	 "how long it can be used; 10m when absent"},
	{"socket", 's', OPT_TEXT, offsetof(struct token, socket), "PATH",
	 "the authority's admin socket"},
	{"data-dir", 'd', OPT_TEXT, offsetof(struct token, data_dir), "DIR",
	 "the authority's data_dir, where its admin socket is "
	 "found; " ADMIN_DATA_DIR " when absent"},
	{"output", 'o', OPT_TEXT, offsetof(struct token, output), "FORMAT",
	 "table (the token alone, the default), json or yaml"},
	CMD_OPTS_END,
};

static int
token_print(const struct cmd *cmd, const struct token *t,
	    const struct call_answer *a, enum cmd_format format)
{
	Meshcert__Admin__V1__CreateTokenResponse *rs;
	struct slice bytes = secret_get(a->message);
	struct pbmem mem;
	struct jsonw w;
	struct buf out;
	int code;

	pbmem_init(&mem, 16384);
	buf_init(&out, 16384);
	rs = meshcert__admin__v1__create_token_response__unpack(
		pbmem_get(&mem), bytes.len, bytes.p);
	if (rs == NULL) {
		code = cmd_fail(cmd, CMD_BAD,
				"the authority's answer cannot be read");
	} else if (format == CMD_TABLE) {
		(void)buf_printf(&out, "%s\n", rs->token);
		code = cmd_print(cmd, &out);
	} else {
		jsonw_init(&w, &out);
		jsonw_object_open(&w);
		jsonw_pair_str(&w, "token", slice_of_str(rs->token));
		jsonw_pair_str(&w, "identity", slice_of_str(t->identity));
		jsonw_pair_str(&w, "expires", slice_of_str(rs->expires));
		jsonw_object_close(&w);
		code = cmd_print_json(cmd, &out, format);
	}
	secret_wipe(out.p, out.cap);
	buf_fini(&out);
	secret_wipe(mem.first, sizeof(mem.first));
	pbmem_fini(&mem);
	return code;
}

static int
token_create(const struct cmd *cmd, const struct token *t, int64_t ttl_ms,
	     enum cmd_format format)
{
	Meshcert__Admin__V1__CreateTokenRequest rq;
	char *addr = admin_get_addr(t->socket, t->data_dir);
	char *identity = mem_dup_str(t->identity);
	struct call_answer answer = {0};
	struct why why = {0};
	int code;

	meshcert__admin__v1__create_token_request__init(&rq);
	rq.identity = identity;
	rq.ttl_seconds = (ttl_ms + 999) / 1000;
	if (admin_call(addr, "/meshcert.admin.v1.Admin/CreateToken", &rq.base,
		       &why, &answer) != ERR_OK)
		code = cmd_fail(cmd, CMD_UNREACHED, "%s", why.text);
	else if (answer.status != GRPC_OK)
		code = cmd_fail(cmd, CMD_BAD, "the authority refuses: %s (%s)",
				answer.text.text,
				grpc_status_name(answer.status));
	else
		code = token_print(cmd, t, &answer, format);
	secret_free(answer.message);
	mem_free(identity);
	mem_free(addr);
	return code;
}

static int
token_run(const struct cmd *cmd, void *target, int argc, char **argv)
{
	struct token *t = target;
	enum cmd_format format;
	int64_t ttl_ms = 0;
	int code;

	if (argc != 1 || strcmp(argv[0], "create") != 0)
		return cmd_usage(cmd, "\"create\" is needed");
	if (t->identity == NULL)
		return cmd_usage(cmd, "create: --identity is needed: a token "
				      "is for one identity");
	code = cmd_read_duration(cmd, "ttl", t->ttl, &ttl_ms);
	if (code == CMD_GOOD)
		code = cmd_read_format(cmd, t->output, &format);
	return code != CMD_GOOD ? code : token_create(cmd, t, ttl_ms, format);
}

const struct cmd cmd_token = {
	.name = "token",
	.args = "create",
	.summary = "make a one-time token with which a host joins",
	.about =
		"token create asks the authority on this machine for a "
		"one-time token and\n"
		"prints it. Whoever shows the token gets one certificate for "
		"its identity;\n"
		"give it to the agent as its token file, or to meshcert "
		"request\n"
		"--join-token. Only root and the authority's own user may ask.",
	.opts = token_opts,
	.size = sizeof(struct token),
	.run = token_run,
};
