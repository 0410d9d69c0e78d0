/* secret_envoy.c - secrets out of Envoy's configuration dump.
 *
 * A whole dump holds one part per kind of configuration, the secrets' part
 * with lists of static, active and warming secrets; with ?resource=LIST the
 * entries of that list come by themselves. Envoy prints JSON with the field
 * names of its protocol, bytes in base64, and blanks out private keys. What is
 * not in the dump - whether updates were refused - is in the statistics
 * sds.NAME.update_rejected. */
#include <string.h>

#include "base/mem.h"
#include "crypto/pem.h"
#include "meshcert/call.h"
#include "meshcert/cmd.h"
#include "meshcert/secret_int.h"
#include "os/os.h"

enum {
	ENVOY_PARTS_MAX = 1000
};

static char *
envoy_dup(const struct json *v)
{
	struct slice s = json_str(v);

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\0')
			s.len = i;
	}
	return mem_dup_slice_str(s);
}

/* A core.v3.DataSource: the text in it; false: there is none. A file that is
 * only named is read: the CLI mostly runs where Envoy does. */
static bool
envoy_read_source(const struct json *src, struct secret_item *it,
		  struct buf *out)
{
	struct slice bytes = json_str(json_get(src, "inline_bytes"));
	struct slice text = json_str(json_get(src, "inline_string"));
	struct slice path = json_str(json_get(src, "filename"));
	struct why why = {0};
	char *name;
	enum err e;

	if (bytes.len > 0)
		return base64_read(bytes, out) == ERR_OK;
	if (text.len > 0)
		return buf_put(out, text) == ERR_OK;
	if (path.len == 0)
		return false;
	name = envoy_dup(json_get(src, "filename"));
	mem_free(it->source);
	it->source = mem_printf("file %s", name);
	e = os_file_read(name, out, &why);
	if (e != ERR_OK)
		it->detail = mem_dup_str(why_text(&why, e));
	mem_free(name);
	return e == ERR_OK;
}

static void
envoy_set_source(struct secret_item *it, const struct json *src)
{
	struct buf pem;

	buf_init(&pem, SECRET_BODY_MAX);
	if (envoy_read_source(src, it, &pem))
		secret_item_set_pem(it, buf_get(&pem));
	else if (it->detail == NULL)
		it->detail = mem_dup_str("no certificate in it");
	buf_fini(&pem);
}

/* What one entry says besides its secret. */
struct envoy_entry {
	const struct json *json;
	const char *state;
	const char *source;
};

static struct secret_item *
envoy_add(struct secret_list *l, const struct envoy_entry *e)
{
	struct slice details =
		json_str(json_get_path(e->json, "error_state.details"));
	const struct json *secret = json_get(e->json, "secret");
	struct slice name = json_str(json_get(e->json, "name"));
	struct secret_item *it;

	if (name.len == 0)
		name = json_str(json_get(secret, "name"));
	it = secret_list_add(l, name);
	it->type = "";
	it->state = e->state;
	it->source = mem_dup_str(e->source);
	it->version = envoy_dup(json_get(e->json, "version_info"));
	it->updated = envoy_dup(json_get(e->json, "last_updated"));
	it->ack = mem_dup_str(details.len > 0 ? "NACK" : "");
	if (details.len > 0)
		it->detail = envoy_dup(
			json_get_path(e->json, "error_state.details"));
	return it;
}

/* SPIFFECertValidatorConfig: a row for each trust domain. */
static bool
envoy_add_domains(struct secret_list *l, const struct envoy_entry *e,
		  const struct json *context)
{
	const struct json *domains =
		json_get_path(context, "custom_validator_config.typed_config."
				       "trust_domains");

	for (size_t i = 0; i < json_count(domains); i++) {
		const struct json *d = json_at(domains, i);
		struct secret_item *it = envoy_add(l, e);

		it->type = "CA";
		it->trust_domain = envoy_dup(json_get(d, "name"));
		envoy_set_source(it, json_get(d, "trust_bundle"));
	}
	return json_count(domains) > 0;
}

static void
envoy_read_entry(struct secret_list *l, const struct envoy_entry *e)
{
	const struct json *secret = json_get(e->json, "secret");
	const struct json *tls = json_get(secret, "tls_certificate");
	const struct json *ca = json_get(secret, "validation_context");
	struct secret_item *it;

	if (json_is_object(ca) && envoy_add_domains(l, e, ca))
		return;
	it = envoy_add(l, e);
	if (json_is_object(tls)) {
		it->type = "Cert Chain";
		it->has_key = json_is_object(json_get(tls, "private_key"));
		envoy_set_source(it, json_get(tls, "certificate_chain"));
	} else if (json_is_object(ca)) {
		it->type = "CA";
		envoy_set_source(it, json_get(ca, "trusted_ca"));
	}
}

static void
envoy_read_entries(struct secret_list *l, const struct json *entries,
		   const char *state, const char *source)
{
	for (size_t i = 0; i < json_count(entries); i++) {
		struct envoy_entry e = {json_at(entries, i), state, source};

		envoy_read_entry(l, &e);
	}
}

/* One part of the dump. */
static void
envoy_read_part(struct secret_list *l, const struct json *part,
		const char *source)
{
	struct slice type = json_str(json_get(part, "@type"));

	if (!slice_has_suffix(type, "SecretsConfigDump"))
		return;
	envoy_read_entries(l, json_get(part, "static_secrets"), "ACTIVE",
			   "bootstrap");
	envoy_read_entries(l, json_get(part, "dynamic_active_secrets"),
			   "ACTIVE", source);
	envoy_read_entries(l, json_get(part, "dynamic_warming_secrets"),
			   "WARMING", source);
}

/* see secret_int.h */
enum err
secret_read_dump(struct slice text, const char *source, struct why *why,
		 struct secret_list *out)
{
	const struct json *parts;
	struct json *root;
	enum err e;

	if ((e = json_parse(text, why, &root)) != ERR_OK)
		return e;
	parts = json_get(root, "configs");
	if (!json_is_array(parts) || json_count(parts) > ENVOY_PARTS_MAX) {
		json_free(root);
		return why_set(why, ERR_SYNTAX,
			       "no \"configs\" in it: this is no answer of "
			       "Envoy's /config_dump");
	}
	for (size_t i = 0; i < json_count(parts); i++)
		envoy_read_part(out, json_at(parts, i), source);
	json_free(root);
	return ERR_OK;
}

/* "sds.default.update_rejected: 1" */
static uint64_t
envoy_get_stat(struct slice stats, const char *secret, const char *leaf)
{
	char *want = mem_printf("sds.%s.%s: ", secret, leaf);
	struct slice line;
	uint64_t value = 0;

	while (slice_split(&stats, '\n', &line)) {
		if (!slice_has_prefix(line, want))
			continue;
		line = slice_sub(line, strlen(want), line.len);
		if (slice_parse_u64(slice_trim(line), &value) != ERR_OK)
			value = 0;
		break;
	}
	mem_free(want);
	return value;
}

/* see secret_int.h. Envoy keeps what it took last: a refused update shows in
 * the counters only. */
void
secret_read_stats(struct slice text, struct secret_list *l)
{
	for (size_t i = 0; i < l->cnt; i++) {
		struct secret_item *it = &l->items[i];
		uint64_t good, bad;

		good = envoy_get_stat(text, it->name, "update_success");
		bad = envoy_get_stat(text, it->name, "update_rejected");
		if (good + bad == 0 || it->ack[0] != '\0')
			continue;
		mem_free(it->ack);
		it->ack =
			bad == 0 ? mem_dup_str("ACK")
				 : mem_printf("NACK (%llu of %llu)",
					      (unsigned long long)bad,
					      (unsigned long long)(bad + good));
	}
}

static enum err
envoy_get(const char *admin, const char *path, struct why *why,
	  struct buf *body)
{
	int status;
	enum err e;

	e = call_get(admin, path, CMD_TIMEOUT_MS, why, &status, body);
	if (e == ERR_OK && status != 200)
		return why_set(why, ERR_REFUSED,
			       "%s%s answered %d: is this Envoy's admin port?",
			       admin, path, status);
	return e;
}

/* see secret_int.h */
enum err
secret_ask_envoy(const char *admin, struct why *why, struct secret_list *out)
{
	char *source = mem_printf("sds of envoy %s", admin);
	struct buf body;
	enum err e;

	buf_init(&body, SECRET_BODY_MAX);
	/* The mask keeps listeners and clusters, which nest deeply, away. */
	e = envoy_get(admin,
		      "/config_dump?mask=static_secrets,"
		      "dynamic_active_secrets,dynamic_warming_secrets",
		      why, &body);
	if (e == ERR_OK)
		e = secret_read_dump(buf_get(&body), source, why, out);
	buf_reset(&body);
	if (e == ERR_OK &&
	    envoy_get(admin, "/stats?filter=%5Esds%5C.", NULL, &body) == ERR_OK)
		secret_read_stats(buf_get(&body), out);
	buf_fini(&body);
	mem_free(source);
	return e;
}
