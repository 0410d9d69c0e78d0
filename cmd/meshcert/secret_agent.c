/* secret_agent.c - secrets as meshcert-agent knows them: the page /status of
 * its status port. It says what no proxy can: where each secret came from, and
 * who has refused which version and why. */
#include <string.h>

#include "base/mem.h"
#include "meshcert/call.h"
#include "meshcert/cmd.h"
#include "meshcert/secret_int.h"

static char *
agent_dup(const struct json *v)
{
	struct slice s = json_str(v);

	return mem_dup_slice_str(slice_is_printable(s) ? s : SLICE_NONE);
}

static void
agent_read_certs(struct secret_item *it, const struct json *certs)
{
	struct buf pem;

	buf_init(&pem, SECRET_BODY_MAX);
	for (size_t i = 0; i < json_count(certs); i++)
		(void)buf_put(&pem, json_str(json_at(certs, i)));
	secret_item_set_pem(it, buf_get(&pem));
	buf_fini(&pem);
}

/* What the streams that ask for it say: one refusal weighs more than any
 * acceptance. */
static void
agent_read_acks(struct secret_item *it, const struct json *streams)
{
	size_t acked = 0, nacked = 0;

	for (size_t i = 0; i < json_count(streams); i++) {
		const struct json *st = json_at(streams, i);
		const struct json *names = json_get(st, "names");

		for (size_t k = 0; k < json_count(names); k++) {
			const struct json *n = json_at(names, k);
			struct slice state = json_str(json_get(n, "state"));

			if (!slice_is_str(json_str(json_get(n, "name")),
					  it->name))
				continue;
			acked += slice_is_str(state, "acked");
			if (!slice_is_str(state, "nacked"))
				continue;
			nacked++;
			if (it->detail == NULL)
				it->detail = mem_printf(
					"%.*s has refused it: %.*s",
					SLICE_FMT(
						json_str(json_get(st, "node"))),
					SLICE_FMT(
						json_str(json_get(n, "nack"))));
		}
	}
	if (nacked > 0)
		it->ack =
			mem_printf("NACK (%zu of %zu)", nacked, nacked + acked);
	else if (acked > 0)
		it->ack = mem_printf("ACK (%zu)", acked);
	else
		it->ack = mem_dup_str("");
}

static void
agent_read_secret(struct secret_list *l, const struct json *s,
		  const struct json *streams)
{
	bool is_cert =
		slice_is_str(json_str(json_get(s, "kind")), "certificate");
	struct secret_item *it =
		secret_list_add(l, json_str(json_get(s, "name")));

	it->type = is_cert ? "Cert Chain" : "CA";
	it->state = "ACTIVE";
	it->has_key = is_cert;
	it->source = agent_dup(json_get(s, "source"));
	it->version = agent_dup(json_get(s, "version"));
	it->updated = mem_dup_str("");
	agent_read_certs(it, json_get(s, "certificates"));
	agent_read_acks(it, streams);
}

/* see secret_int.h */
enum err
secret_read_page(struct slice text, struct why *why, struct secret_list *out)
{
	const struct json *secrets;
	struct json *root;
	enum err e;

	if ((e = json_parse(text, why, &root)) != ERR_OK)
		return e;
	secrets = json_get(root, "secrets");
	for (size_t i = 0; i < json_count(secrets); i++)
		agent_read_secret(out, json_at(secrets, i),
				  json_get(root, "streams"));
	json_free(root);
	return ERR_OK;
}

/* see secret_int.h */
enum err
secret_ask_agent(const char *addr, struct why *why, struct secret_list *out)
{
	struct buf body;
	int status;
	enum err e;

	buf_init(&body, SECRET_BODY_MAX);
	e = call_get(addr, "/status", CMD_TIMEOUT_MS, why, &status, &body);
	if (e == ERR_OK && status != 200)
		e = why_set(why, ERR_REFUSED,
			    "%s/status answered %d: is this the status port "
			    "of a meshcert-agent?",
			    addr, status);
	if (e == ERR_OK)
		e = secret_read_page(buf_get(&body), why, out);
	buf_fini(&body);
	return e;
}
