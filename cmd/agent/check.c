/* check.c - see check.h. */
#include "agent/check.h"

#include <stdio.h>

#include "agent/upstream.h"
#include "base/mem.h"
#include "os/os.h"

enum {
	TEXT_MAX = 1 << 20
};

static void
put_file(struct buf *out, const char *what, const char *path)
{
	(void)buf_printf(out, "%-16s%s (%s)\n", what, path,
			 os_file_exists(path) ? "there" : "NOT THERE");
}

static void
put_meaning(const struct agent_conf *c, struct buf *out)
{
	static const char *const keys[] = {"P-256", "P-384", "RSA"};
	char *name = upstream_dup_server_name(c);
	char *root = agent_conf_get_root(c);
	char ttl[DURATION_TEXT_MAX];

	duration_format(c->cert_ttl_ms, ttl);
	(void)buf_printf(out, "%-16s%s\n", "identity", c->identity);
	if (upstream_is_plaintext(c->ca_address))
		(void)buf_printf(out, "%-16s%s, WITHOUT TLS\n", "CA",
				 c->ca_address);
	else
		(void)buf_printf(out, "%-16s%s, its name must be %s\n", "CA",
				 c->ca_address, name);
	if (root == NULL)
		(void)buf_printf(out, "%-16sthe system's\n", "roots for it");
	else
		put_file(out, "roots for it", root);
	put_file(out, "token", c->ca_token_file);
	if (c->ca_client_cert_dir != NULL && *c->ca_client_cert_dir != '\0')
		put_file(out, "client cert in", c->ca_client_cert_dir);
	(void)buf_printf(out, "%-16s%s for %s, renewed with %s of it left\n",
			 "certificate", keys[c->key_kind], ttl,
			 c->cert_renew_ratio);
	(void)buf_printf(out, "%-16s%s\n", "socket", c->listen_socket);
	if (c->output_dir != NULL && *c->output_dir != '\0')
		(void)buf_printf(out, "%-16s%s\n", "files to", c->output_dir);
	mem_free(name);
	mem_free(root);
}

int
agent_print(struct agent_conf *conf, bool check)
{
	struct buf out;

	buf_init(&out, TEXT_MAX);
	if (check) {
		put_meaning(conf, &out);
		if (buf_len(&conf->notes) > 0)
			(void)buf_put_str(&out, "environment:\n");
		(void)buf_put(&out, buf_get(&conf->notes));
		(void)buf_put_str(&out, "The configuration is good.\n");
	} else {
		(void)conf_print(agent_conf_keys, conf, &out);
	}
	(void)fwrite(buf_get(&out).p, 1, buf_len(&out), stdout);
	buf_fini(&out);
	agent_conf_free(conf);
	return 0;
}
