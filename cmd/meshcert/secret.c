/* secret.c - meshcert secret: which certificates a proxy has, as istioctl
 * proxy-config secret shows them, and more: every certificate of each chain,
 * who it is for, who signed it, which key, where it came from. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "meshcert/cmd.h"
#include "meshcert/secret_int.h"
#include "meshcert/table.h"
#include "meshcert/view.h"
#include "os/os.h"

#define SECRET_SOCKET_DEFAULT "var/run/secrets/workload-spiffe-uds/socket"

struct secret_opts {
	struct cmd_common common;
	const char *socket;
	const char *admin;
	const char *agent;
	const char *file;
	const char *output;
	const char *timeout;
};

static const struct opt secret_opts[] = {
	{"socket", 's', OPT_TEXT, offsetof(struct secret_opts, socket), "PATH",
	 "an SDS socket, as meshcert-agent serves it; without any other "
	 "source, and where it exists, " SECRET_SOCKET_DEFAULT},
	{"admin", 'a', OPT_TEXT, offsetof(struct secret_opts, admin),
	 "HOST:PORT", "an Envoy's admin port"},
	{"agent", 'g', OPT_TEXT, offsetof(struct secret_opts, agent),
	 "HOST:PORT",
	 "a meshcert-agent's status port: its secrets, where each came from, "
	 "and which proxies took it"},
	{"file", 'f', OPT_TEXT, offsetof(struct secret_opts, file), "FILE",
	 "a saved answer of Envoy's /config_dump; - is standard input"},
	{"output", 'o', OPT_TEXT, offsetof(struct secret_opts, output),
	 "FORMAT", "table (the default), json or yaml"},
	{"timeout", 't', OPT_TEXT, offsetof(struct secret_opts, timeout),
	 "DURATION",
	 "how long an SDS server may take for a name; 3s when "
	 "absent"},
	CMD_OPTS_END,
};

/* ---- the list ------------------------------------------------------------ */

/* see secret_int.h */
struct secret_item *
secret_list_add(struct secret_list *l, struct slice name)
{
	l->items =
		mem_grow_array(l->items, l->cnt, l->cnt + 1, sizeof(*l->items));
	l->items[l->cnt].name = mem_dup_slice_str(
		slice_is_printable(name) ? name : SLICE_LIT("(unprintable)"));
	return &l->items[l->cnt++];
}

void
secret_list_free(struct secret_list *l)
{
	for (size_t i = 0; i < l->cnt; i++) {
		struct secret_item *it = &l->items[i];

		mem_free(it->name);
		mem_free(it->source);
		mem_free(it->trust_domain);
		mem_free(it->version);
		mem_free(it->updated);
		mem_free(it->ack);
		mem_free(it->detail);
		cert_list_free(&it->certs);
	}
	mem_free(l->items);
	*l = (struct secret_list){0};
}

/* see secret_int.h */
void
secret_item_set_pem(struct secret_item *it, struct slice pem)
{
	struct why why = {0};
	enum err e;

	e = cert_list_read_pem(pem, SECRET_CERTS_MAX, &why, &it->certs);
	if (e != ERR_OK && it->detail == NULL)
		it->detail = mem_dup_str(why_text(&why, e));
}

/* The domain of a bundle, else of the first certificate's identity. */
static struct slice
secret_trust_domain(const struct secret_item *it)
{
	struct cert c;

	if (it->trust_domain != NULL)
		return slice_of_str(it->trust_domain);
	if (it->certs.cnt == 0 ||
	    cert_parse(cert_list_get(&it->certs, 0), NULL, &c) != ERR_OK)
		return SLICE_NONE;
	return view_trust_domain(&c);
}

/* ---- table --------------------------------------------------------------- */

enum {
	COLUMN_TRUST_DOMAIN = 7,
	COLUMN_CNT = 14
};

static const char *const headings[COLUMN_CNT] = {
	"RESOURCE NAME", "TYPE",      "STATUS",     "VALID CERT",
	"SERIAL NUMBER", "NOT AFTER", "NOT BEFORE", "TRUST DOMAIN",
	"CERT",          "IDENTITY",  "ISSUER",     "KEY",
	"SOURCE",        "ACK",
};

static void
secret_add_cert(struct table *t, const struct secret_item *it, size_t i,
		const char *domain, struct wall at)
{
	char serial[VIEW_SERIAL_MAX], place[32], key[KEY_TEXT_MAX];
	char after[VIEW_TIME_MAX], before[VIEW_TIME_MAX];
	char identity[CERT_TEXT_MAX], issuer[CERT_TEXT_MAX];
	struct cert c;

	/* It was parsed when it came. */
	if (cert_parse(cert_list_get(&it->certs, i), NULL, &c) != ERR_OK)
		return;
	view_serial(c.serial, serial);
	view_time(c.not_after, after);
	view_time(c.not_before, before);
	view_identity(&c, identity);
	cert_name_format(c.issuer, issuer);
	view_key(c.spki, key);
	(void)snprintf(place, sizeof(place), "%zu/%zu", i + 1, it->certs.cnt);
	table_add(t,
		  (const char *const[COLUMN_CNT]){
			  it->name, it->type, it->state,
			  view_is_valid(&c, at) ? "true" : "false", serial,
			  after, before, domain, place, identity, issuer, key,
			  it->source, it->ack},
		  COLUMN_CNT);
}

static void
secret_add_rows(struct table *t, const struct secret_item *it, struct wall at,
		bool *all_have_domain)
{
	struct slice found = secret_trust_domain(it);
	char *domain = mem_dup_slice_str(found);

	*all_have_domain &= found.len > 0;
	if (it->certs.cnt == 0)
		table_add(t,
			  (const char *const[COLUMN_CNT]){
				  it->name, it->type, it->state, "false", "",
				  "", "", domain, "0/0", "", "", "", it->source,
				  it->ack},
			  COLUMN_CNT);
	for (size_t i = 0; i < it->certs.cnt; i++)
		secret_add_cert(t, it, i, domain, at);
	mem_free(domain);
}

/* see secret_int.h */
void
secret_write_table(const struct secret_list *l, struct wall at, struct buf *out)
{
	struct table t = {0};
	bool all_have_domain = true;

	if (l->cnt == 0) {
		(void)buf_put_str(out, "No active or warming secrets "
				       "found.\n");
	} else {
		table_add(&t, headings, COLUMN_CNT);
		for (size_t i = 0; i < l->cnt; i++)
			secret_add_rows(&t, &l->items[i], at, &all_have_domain);
		t.hidden[COLUMN_TRUST_DOMAIN] = !all_have_domain;
		table_print(&t, 5, out);
	}
	for (size_t i = 0; i < l->cnt; i++) {
		char *detail;

		if (l->items[i].detail == NULL)
			continue;
		/* It is what somebody else said. */
		detail = table_dup_cell(l->items[i].detail);
		(void)buf_printf(out, "%s: %s\n", l->items[i].name, detail);
		mem_free(detail);
	}
	table_free(&t);
}

/* ---- JSON ---------------------------------------------------------------- */

/* istioctl's names first. */
static void
secret_put_meta(struct jsonw *w, const struct secret_item *it, struct wall at)
{
	struct slice domain = secret_trust_domain(it);
	char serial[VIEW_SERIAL_MAX] = "", identity[CERT_TEXT_MAX] = "";
	char after[VIEW_TIME_MAX] = "", before[VIEW_TIME_MAX] = "";
	bool is_valid = false;
	struct cert c;

	if (it->certs.cnt > 0 &&
	    cert_parse(cert_list_get(&it->certs, 0), NULL, &c) == ERR_OK) {
		is_valid = view_is_valid(&c, at);
		view_serial(c.serial, serial);
		view_time(c.not_after, after);
		view_time(c.not_before, before);
		view_identity(&c, identity);
	}
	jsonw_pair_str(w, "trust_domain", domain);
	jsonw_pair_bool(w, "cert_valid", is_valid);
	jsonw_pair_str(w, "serial_number", slice_of_str(serial));
	jsonw_pair_str(w, "not_after", slice_of_str(after));
	jsonw_pair_str(w, "not_before", slice_of_str(before));
	jsonw_pair_str(w, "type", slice_of_str(it->type));
	jsonw_pair_str(w, "identity", slice_of_str(identity));
}

static void
secret_put_item(struct jsonw *w, const struct secret_item *it,
		const char *destination, struct wall at)
{
	struct buf pem;

	buf_init(&pem, SECRET_BODY_MAX);
	(void)cert_list_write_pem(&it->certs, &pem);
	jsonw_object_open(w);
	jsonw_pair_str(w, "resource_name", slice_of_str(it->name));
	jsonw_pair_str(w, "cert", buf_get(&pem));
	jsonw_pair_str(w, "source", slice_of_str(it->source));
	jsonw_pair_str(w, "destination", slice_of_str(destination));
	jsonw_pair_str(w, "state", slice_of_str(it->state));
	secret_put_meta(w, it, at);
	jsonw_pair_bool(w, "has_private_key", it->has_key);
	jsonw_pair_str(w, "version", slice_of_str(it->version));
	jsonw_pair_str(w, "last_updated", slice_of_str(it->updated));
	jsonw_pair_str(w, "ack", slice_of_str(it->ack));
	if (it->detail != NULL)
		jsonw_pair_str(w, "detail", slice_of_str(it->detail));
	jsonw_key(w, "certificates");
	jsonw_array_open(w);
	for (size_t i = 0; i < it->certs.cnt; i++)
		view_json(w, cert_list_get(&it->certs, i), at);
	jsonw_array_close(w);
	jsonw_object_close(w);
	buf_fini(&pem);
}

/* see secret_int.h */
void
secret_write_json(const struct secret_list *l, const char *destination,
		  struct wall at, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_array_open(&w);
	for (size_t i = 0; i < l->cnt; i++)
		secret_put_item(&w, &l->items[i], destination, at);
	jsonw_array_close(&w);
}

static int
secret_print(const struct cmd *cmd, const struct secret_list *l,
	     const char *destination, enum cmd_format format)
{
	struct buf out;
	int code;

	buf_init(&out, CMD_OUT_MAX);
	if (format == CMD_TABLE) {
		secret_write_table(l, wall_now(), &out);
		code = cmd_print(cmd, &out);
	} else {
		secret_write_json(l, destination, wall_now(), &out);
		code = cmd_print_json(cmd, &out, format);
	}
	buf_fini(&out);
	return code;
}

/* ---- the command --------------------------------------------------------- */

static enum err
secret_read_file(const char *path, struct why *why, struct secret_list *out)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct buf text;
	enum err e;

	buf_init(&text, SECRET_BODY_MAX);
	e = is_stdin ? os_fd_read(0, &text) : os_file_read(path, &text, why);
	if (e != ERR_OK && is_stdin)
		(void)why_set(why, e, "standard input: %s", err_text(e));
	if (e == ERR_OK) {
		e = secret_read_dump(buf_get(&text), path, why, out);
		if (e != ERR_OK)
			(void)why_prefix(why, e, "%s", path);
	}
	buf_fini(&text);
	return e;
}

static enum err
secret_ask_socket(const struct secret_opts *o, int argc, char **argv,
		  uint64_t timeout_ms, struct why *why, struct secret_list *out)
{
	static const char *const defaults[] = {"default", "ROOTCA", NULL};
	const char *socket =
		o->socket != NULL ? o->socket : SECRET_SOCKET_DEFAULT;
	const char **names = MEM_NEW_ARRAY(const char *, (size_t)argc + 1);
	bool has_scheme = slice_has_prefix(slice_of_str(socket), "unix:");
	char *addr = mem_printf("%s%s", has_scheme ? "" : "unix:", socket);
	enum err e;

	for (int i = 0; i < argc; i++)
		names[i] = argv[i];
	e = secret_ask_sds(addr, argc > 0 ? names : defaults, timeout_ms, why,
			   out);
	mem_free(addr);
	mem_free(names);
	return e;
}

/* Of an Envoy all secrets come; names choose among them. */
static void
secret_choose(struct secret_list *l, int argc, char **argv)
{
	struct secret_list old = *l;

	if (argc == 0)
		return;
	*l = (struct secret_list){0};
	for (size_t i = 0; i < old.cnt; i++) {
		bool wanted = false;

		for (int k = 0; k < argc; k++)
			wanted |= strcmp(argv[k], old.items[i].name) == 0;
		if (!wanted)
			continue;
		l->items = mem_grow_array(l->items, l->cnt, l->cnt + 1,
					  sizeof(*l->items));
		l->items[l->cnt++] = old.items[i];
		old.items[i] = (struct secret_item){0};
	}
	secret_list_free(&old);
}

static bool
secret_is_all_there(const struct secret_list *l)
{
	for (size_t i = 0; i < l->cnt; i++) {
		if (l->items[i].certs.cnt == 0 && l->items[i].detail != NULL)
			return false;
	}
	return l->cnt > 0;
}

static enum err
secret_ask(const struct secret_opts *o, int argc, char **argv,
	   uint64_t timeout_ms, struct why *why, struct secret_list *out)
{
	enum err e;

	if (o->file != NULL)
		e = secret_read_file(o->file, why, out);
	else if (o->admin != NULL)
		e = secret_ask_envoy(o->admin, why, out);
	else if (o->agent != NULL)
		e = secret_ask_agent(o->agent, why, out);
	else
		return secret_ask_socket(o, argc, argv, timeout_ms, why, out);
	secret_choose(out, argc, argv);
	return e;
}

static int
secret_run(const struct cmd *cmd, void *target, int argc, char **argv)
{
	struct secret_opts *o = target;
	struct secret_list l = {0};
	struct why why = {0};
	int64_t timeout_ms = 3000;
	enum cmd_format format;
	int code;
	enum err e;

	if ((o->socket != NULL) + (o->admin != NULL) + (o->agent != NULL) +
		    (o->file != NULL) >
	    1)
		return cmd_usage(cmd, "only one of --socket, --admin, --agent "
				      "and --file can be given");
	code = cmd_read_format(cmd, o->output, &format);
	if (code == CMD_GOOD)
		code = cmd_read_duration(cmd, "timeout", o->timeout,
					 &timeout_ms);
	if (code != CMD_GOOD)
		return code;
	e = secret_ask(o, argc, argv, (uint64_t)timeout_ms, &why, &l);
	if (e != ERR_OK)
		code = cmd_fail(cmd,
				err_class(e) == ERR_CLASS_ENV && o->file == NULL
					? CMD_UNREACHED
					: CMD_BAD,
				"%s", why_text(&why, e));
	else
		code = secret_print(cmd, &l, o->admin != NULL ? o->admin : "",
				    format);
	if (code == CMD_GOOD && !secret_is_all_there(&l))
		code = CMD_BAD;
	secret_list_free(&l);
	return code;
}

const struct cmd cmd_secret = {
	.name = "secret",
	.args = "[NAME ...]",
	.summary = "the certificates that a proxy has, or an agent serves",
	.about = "secret shows the certificates and CAs of a running Envoy "
		 "(--admin), of a saved\n"
		 "configuration dump (--file), of a meshcert-agent (--agent), "
		 "or those that an\n"
		 "SDS socket serves (--socket; by default the names default "
		 "and ROOTCA). The\n"
		 "columns of istioctl proxy-config secret come first; then, "
		 "for every certificate\n"
		 "of each chain, its place, whom it is for, who signed it, "
		 "which key it has, where\n"
		 "it came from and whether the proxies took it. Private keys "
		 "are never shown.\n"
		 "Exit code 1 when there is no secret, or one that was asked "
		 "for has no\n"
		 "certificate.",
	.opts = secret_opts,
	.size = sizeof(struct secret_opts),
	.run = secret_run,
};
