/* verify.c - meshcert verify: is this certificate good, here and now, for this
 * use? The rules are those that authority, agent and TLS apply
 * (pki/chain.h). */
#include <string.h>

#include "base/mem.h"
#include "meshcert/cmd.h"
#include "meshcert/pair.h"
#include "meshcert/view.h"
#include "os/os.h"
#include "pki/chain.h"

#define VERIFY_SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

enum {
	VERIFY_FILE_MAX = 16 << 20
};

struct verify {
	struct cmd_common common;
	const char *root;
	const char *chain;
	const char *host;
	const char *identity;
	const char *purpose;
	const char *at;
	const char *warn;
	bool lenient;
};

static const struct opt verify_opts[] = {
	{"root", 'r', OPT_TEXT, offsetof(struct verify, root), "FILE",
	 "roots that are trusted; " VERIFY_SYSTEM_ROOTS " when absent"},
	{"chain", 'c', OPT_TEXT, offsetof(struct verify, chain), "FILE",
	 "more certificates between CERT and the root"},
	{"host", 0, OPT_TEXT, offsetof(struct verify, host), "NAME",
	 "DNS name or IP address that it must be for"},
	{"identity", 'i', OPT_TEXT, offsetof(struct verify, identity),
	 "SPIFFE-ID",
	 "SPIFFE ID that it must be for; the rules of X.509-SVIDs "
	 "count then"},
	{"purpose", 'p', OPT_TEXT, offsetof(struct verify, purpose), "USE",
	 "server, client or any (the default)"},
	{"at", 0, OPT_TEXT, offsetof(struct verify, at), "TIME",
	 "at this time (2026-11-22T08:00:00Z) and not now"},
	{"warn", 'w', OPT_TEXT, offsetof(struct verify, warn), "RULE,...",
	 "rules that only warn, for certificates of foreign CAs: key-ids, "
	 "criticality, leaf-not-ca, dns-charset, serial"},
	{"lenient", 'l', OPT_FLAG, offsetof(struct verify, lenient), NULL,
	 "--warn with all of them"},
	CMD_OPTS_END,
};

struct verify_input {
	struct cert_list certs; /* leaf first */
	struct pki_bundle *bundle;
	struct chain_opts opts;
	struct wall at;
};

static enum err
verify_add_chain(struct verify_input *in, const char *path, struct why *why)
{
	struct cert_list more;
	enum err e;

	if (path == NULL)
		return ERR_OK;
	if ((e = pair_read_certs(path, why, &more)) != ERR_OK)
		return e;
	for (size_t i = 0; e == ERR_OK && i < more.cnt; i++)
		e = cert_list_add(&in->certs, cert_list_get(&more, i));
	cert_list_free(&more);
	return e;
}

/* The anchors speak for the trust domain of the identity that is expected. */
static enum err
verify_read_roots(const struct verify *v, struct verify_input *in,
		  struct why *why)
{
	const char *path = v->root != NULL ? v->root : VERIFY_SYSTEM_ROOTS;
	struct spiffe_id id = {.trust_domain = SLICE_NONE};
	struct buf text;
	enum err e = ERR_OK;

	if (v->identity != NULL)
		e = spiffe_id_parse(slice_of_str(v->identity), why, &id);
	if (e != ERR_OK)
		return why_prefix(why, ERR_CONFIG, "--identity");
	buf_init(&text, VERIFY_FILE_MAX);
	e = os_file_read(path, &text, why);
	if (e == ERR_OK) {
		e = pki_bundle_read_pem(id.trust_domain, buf_get(&text), why,
					&in->bundle);
		if (e != ERR_OK)
			(void)why_prefix(why, e, "%s", path);
	}
	buf_fini(&text);
	return e;
}

static enum err
verify_read_rules(const struct verify *v, uint32_t *out, struct why *why)
{
	struct slice rest = slice_of_str(v->warn != NULL ? v->warn : "");
	struct slice name;
	enum err e;

	*out = v->lenient ? CHAIN_WARN_ALL : 0;
	while (slice_split(&rest, ',', &name)) {
		e = chain_rule_add_warn(slice_trim(name), why, out);
		if (e != ERR_OK)
			return why_prefix(why, e, "--warn");
	}
	return ERR_OK;
}

static enum err
verify_read_opts(const struct verify *v, struct verify_input *in,
		 struct why *why)
{
	const char *use = v->purpose != NULL ? v->purpose : "any";

	in->at = wall_now();
	if (v->at != NULL && wall_parse(slice_of_str(v->at), &in->at) != ERR_OK)
		return why_set(why, ERR_CONFIG,
			       "--at: found \"%.40s\", a time such as "
			       "2026-11-22T08:00:00Z is needed",
			       v->at);
	if (strcmp(use, "server") == 0)
		in->opts.purpose = CHAIN_TLS_SERVER;
	else if (strcmp(use, "client") == 0)
		in->opts.purpose = CHAIN_TLS_CLIENT;
	else if (strcmp(use, "any") != 0)
		return why_set(why, ERR_CONFIG,
			       "--purpose: found \"%.40s\", one of server, "
			       "client, any is needed",
			       use);
	in->opts.host = v->host;
	in->opts.spiffe = v->identity != NULL;
	return verify_read_rules(v, &in->opts.warn_rules, why);
}

static enum err
verify_check(const struct verify *v, const struct verify_input *in,
	     struct why *why, struct chain_result *result)
{
	struct slice *chain = MEM_NEW_ARRAY(struct slice, in->certs.cnt);
	char found[CERT_TEXT_MAX];
	struct cert leaf;
	enum err e;

	for (size_t i = 0; i < in->certs.cnt; i++)
		chain[i] = cert_list_get(&in->certs, i);
	e = chain_verify(in->bundle, chain, in->certs.cnt, &in->opts, in->at,
			 why, result);
	mem_free(chain);
	if (e != ERR_OK || v->identity == NULL)
		return e;
	e = cert_parse(cert_list_get(&in->certs, 0), why, &leaf);
	if (e == ERR_OK && !san_has_uri(&leaf.san, slice_of_str(v->identity))) {
		view_identity(&leaf, found);
		e = why_set(why, ERR_MISMATCH,
			    "identity: expected %s, the certificate is for %s",
			    v->identity, found);
	}
	return e;
}

static int
verify_print(const struct cmd *cmd, const struct verify_input *in,
	     const struct chain_result *r)
{
	char identity[CERT_TEXT_MAX], anchor[CERT_TEXT_MAX] = "";
	char until[VIEW_TIME_MAX];
	struct cert c;
	struct buf out;
	int code;

	buf_init(&out, CMD_OUT_MAX);
	if (cert_parse(pki_bundle_get(in->bundle, r->anchor), NULL, &c) ==
	    ERR_OK)
		cert_name_format(c.subject, anchor);
	if (cert_parse(cert_list_get(&in->certs, 0), NULL, &c) == ERR_OK)
		view_identity(&c, identity);
	else
		identity[0] = '\0';
	view_time(r->earliest_not_after, until);
	(void)buf_printf(&out,
			 "good: %s\n  path    %zu certificates, up to %s\n"
			 "  until   %s (the first of them to end)\n",
			 identity, r->path_len, anchor, until);
	for (unsigned i = 0; i < CHAIN_RULE_CNT; i++) {
		if ((r->warned_rules & (1u << i)) != 0)
			(void)buf_printf(&out, "  warning rule %s\n",
					 chain_rule_names[i]);
	}
	if (r->warned_rules != 0)
		(void)buf_printf(&out, "  warning %s\n", r->warning.text);
	code = cmd_print(cmd, &out);
	buf_fini(&out);
	return code;
}

static int
verify_run(const struct cmd *cmd, void *target, int argc, char **argv)
{
	const struct verify *v = target;
	struct verify_input in = {0};
	struct chain_result result;
	struct why why = {0};
	int code;
	enum err e;

	if (argc != 1)
		return cmd_usage(cmd, "one CERT is needed");
	if ((e = verify_read_opts(v, &in, &why)) != ERR_OK)
		return cmd_usage(cmd, "%s", why_text(&why, e));
	e = pair_read_certs(argv[0], &why, &in.certs);
	if (e == ERR_OK)
		e = verify_add_chain(&in, v->chain, &why);
	if (e == ERR_OK)
		e = verify_read_roots(v, &in, &why);
	if (e == ERR_CONFIG) {
		code = cmd_usage(cmd, "%s", why.text);
		goto out;
	}
	if (e != ERR_OK) {
		code = cmd_fail(cmd, CMD_BAD, "%s", why_text(&why, e));
		goto out;
	}
	e = verify_check(v, &in, &why, &result);
	if (e == ERR_OK)
		code = verify_print(cmd, &in, &result);
	else
		code = cmd_fail(cmd, CMD_BAD, "not good: %s: %s (%s)", argv[0],
				why_text(&why, e), err_text(e));
out:
	cert_list_free(&in.certs);
	pki_bundle_unref(in.bundle);
	return code;
}

const struct cmd cmd_verify = {
	.name = "verify",
	.args = "CERT",
	.summary = "is a certificate good, for whom, and until when",
	.about = "verify checks the first certificate of the PEM file CERT: "
		 "the path up to a\n"
		 "root (over the others of the file and those of --chain), "
		 "validity, usage,\n"
		 "names, and the rules that the authority and the agent apply. "
		 "Exit code 1\n"
		 "when it is not good; the text names certificate, rule and "
		 "difference.",
	.opts = verify_opts,
	.size = sizeof(struct verify),
	.run = verify_run,
};
