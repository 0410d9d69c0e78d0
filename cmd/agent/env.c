/* env.c - the environment of Istio's agent, as far as it concerns certificates.
 *
 * Most variables are one key of our configuration under another name. The
 * rest have rules of their own: which key a workload gets is said by three of
 * them, the socket's name must be a bare name, headers are collected. An empty
 * variable is as good as none. What each meant is noted for --check. */
#include "agent/conf.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

struct env_row {
	const char *name;
	const char *key; /* of ours; NULL: set has it all */
	enum err (*set)(struct agent_conf *c, const struct env_row *row,
			const char *value, struct why *why);
};

/* What was seen and needs the others to be judged. */
struct env_seen {
	const char *ca_addr;
	const char *san;
	const char *proxy_config;
	const char *ecc;
	const char *curve;
	const char *rsa;
};

static void
env_note(struct agent_conf *c, const char *name, const char *text)
{
	(void)buf_printf(&c->notes, "%s: %s\n", name, text);
}

static enum err
env_put(struct agent_conf *c, const char *name, const char *key,
	const char *value, struct why *why)
{
	enum err ret = conf_set(agent_conf_keys, c, key, value, why);

	if (ret != ERR_OK)
		return why_prefix(why, ret, "environment variable %s", name);
	(void)buf_printf(&c->notes, "%s: %s = %s\n", name, key, value);
	return ERR_OK;
}

static enum err
env_set_plain(struct agent_conf *c, const struct env_row *row,
	      const char *value, struct why *why)
{
	return env_put(c, row->name, row->key, value, why);
}

/* The words that Go's strconv.ParseBool takes. */
static enum err
env_set_bool(struct agent_conf *c, const struct env_row *row, const char *value,
	     struct why *why)
{
	static const char *const yes[] = {"1",    "t",    "T",
					  "TRUE", "true", "True"};
	static const char *const no[] = {"0",     "f",     "F",
					 "FALSE", "false", "False"};

	for (size_t i = 0; i < COUNT_OF(yes); i++) {
		if (strcmp(value, yes[i]) == 0)
			return env_put(c, row->name, row->key, "true", why);
		if (strcmp(value, no[i]) == 0)
			return env_put(c, row->name, row->key, "false", why);
	}
	return why_set(why, ERR_CONFIG,
		       "environment variable %s: found \"%.40s\", allowed is "
		       "true or false",
		       row->name, value);
}

/* A bare name in the folder of the socket: a name of its own means that
 * somebody else serves there. */
static enum err
env_set_socket(struct agent_conf *c, const struct env_row *row,
	       const char *value, struct why *why)
{
	const char *slash = strrchr(c->listen_socket, '/');
	int dir_len = slash == NULL ? 0 : (int)(slash - c->listen_socket) + 1;
	char *path;
	enum err ret;

	if (strchr(value, '/') != NULL)
		return why_set(why, ERR_CONFIG,
			       "environment variable %s: %.200s is a path; "
			       "only the socket's name in %.*s is wanted",
			       row->name, value, dir_len, c->listen_socket);
	if (strcmp(c->listen_socket + dir_len, value) == 0)
		return ERR_OK;
	path = mem_printf("%.*s%s", dir_len, c->listen_socket, value);
	ret = env_put(c, row->name, row->key, path, why);
	mem_free(path);
	c->socket_custom = true;
	return ret;
}

static enum err
env_set_fetcher(struct agent_conf *c, const struct env_row *row,
		const char *value, struct why *why)
{
	if (strcmp(value, "JWT") != 0)
		return why_set(why, ERR_CONFIG,
			       "environment variable %s: found \"%.80s\"; only "
			       "JWT (a token file) is supported",
			       row->name, value);
	env_note(c, row->name, "a token file (ca.token_file)");
	return ERR_OK;
}

static enum err
env_set_jwt_policy(struct agent_conf *c, const struct env_row *row,
		   const char *value, struct why *why)
{
	if (strcmp(value, "third-party-jwt") == 0) {
		env_note(c, row->name, "tokens made for the CA");
		return ERR_OK;
	}
	if (strcmp(value, "first-party-jwt") == 0) {
		env_note(c, row->name,
			 "WARNING: first-party-jwt is taken as "
			 "third-party-jwt");
		return ERR_OK;
	}
	return why_set(why, ERR_CONFIG,
		       "environment variable %s: found \"%.80s\", allowed is "
		       "third-party-jwt",
		       row->name, value);
}

static enum err
env_set_ignored(struct agent_conf *c, const struct env_row *row,
		const char *value, struct why *why)
{
	(void)value;
	(void)why;
	env_note(c, row->name, row->key);
	return ERR_OK;
}

static const struct env_row env_rows[] = {
	{"CA_PROVIDER", "ca.provider", env_set_plain},
	{"CA_ADDR", "ca.address", env_set_plain},
	{"CA_ROOT_CA", "ca.root_file", env_set_plain},
	{"TRUST_DOMAIN", "identity.trust_domain", env_set_plain},
	{"POD_NAMESPACE", "identity.namespace", env_set_plain},
	{"SERVICE_ACCOUNT", "identity.service_account", env_set_plain},
	{"SECRET_TTL", "cert.ttl", env_set_plain},
	{"SECRET_GRACE_PERIOD_RATIO", "cert.renew_ratio", env_set_plain},
	{"SECRET_GRACE_PERIOD_RATIO_JITTER", "cert.renew_jitter",
	 env_set_plain},
	{"PKCS8_KEY", "key.pkcs8", env_set_bool},
	{"OUTPUT_CERTS", "output.dir", env_set_plain},
	{"PROV_CERT", "ca.client_cert_dir", env_set_plain},
	{"FILE_MOUNTED_CERTS", "files.mounted", env_set_bool},
	{"FILE_DEBOUNCE_DURATION", "files.debounce", env_set_plain},
	{"ISTIO_META_CERT_SIGNER", "ca.cert_signer", env_set_plain},
	{"ISTIO_META_CLUSTER_ID", "ca.cluster_id", env_set_plain},
	{"ISTIO_META_TLS_CLIENT_CERT_CHAIN", "files.client_cert",
	 env_set_plain},
	{"ISTIO_META_TLS_CLIENT_KEY", "files.client_key", env_set_plain},
	{"ISTIO_META_TLS_CLIENT_ROOT_CERT", "files.client_root", env_set_plain},
	{"ISTIO_META_TLS_SERVER_CERT_CHAIN", "files.server_cert",
	 env_set_plain},
	{"ISTIO_META_TLS_SERVER_KEY", "files.server_key", env_set_plain},
	{"ISTIO_META_TLS_SERVER_ROOT_CERT", "files.server_root", env_set_plain},
	{"WORKLOAD_IDENTITY_SOCKET_FILE", "listen.socket", env_set_socket},
	{"MESHCERT_SANDBOX", "sandbox", env_set_plain},
	{"CREDENTIAL_FETCHER_TYPE", NULL, env_set_fetcher},
	{"JWT_POLICY", NULL, env_set_jwt_policy},
	{"CREDENTIAL_IDENTITY_PROVIDER",
	 "not used: only token files are supported", env_set_ignored},
	{"GRPC_XDS_BOOTSTRAP",
	 "not used: no xDS here; OUTPUT_CERTS gives a proxyless workload its "
	 "certificates",
	 env_set_ignored},
	{"PROXY_CONFIG_XDS_AGENT", "not used: no xDS here", env_set_ignored},
	{"XDS_ROOT_CA", "not used: no xDS here", env_set_ignored},
};

/* "CA_HEADER_X=v" is header x with value v. */
static enum err
env_add_header(struct agent_conf *c, const char *name, size_t name_len,
	       const char *value, struct why *why)
{
	struct conf_list *l = &c->ca_headers;
	char *text;

	if (name_len == 0)
		return why_set(why, ERR_CONFIG,
			       "environment variable CA_HEADER_: no header "
			       "name");
	text = mem_printf("%.*s: %s", (int)name_len, name, value);
	l->items = mem_grow_array(l->items, l->cnt + 1, l->cnt + 2,
				  sizeof(*l->items));
	l->items[l->cnt++] = text;
	/* The value may be a credential. */
	(void)buf_printf(&c->notes, "CA_HEADER_%.*s: a header for the CA\n",
			 (int)name_len, name);
	return ERR_OK;
}

static void
env_see(struct env_seen *seen, const char *name, size_t len, const char *value)
{
	const struct {
		const char *name;
		const char **place;
	} places[] = {
		{"CA_ADDR", &seen->ca_addr},
		{"ISTIOD_SAN", &seen->san},
		{"PROXY_CONFIG", &seen->proxy_config},
		{"ECC_SIGNATURE_ALGORITHM", &seen->ecc},
		{"ECC_CURVE", &seen->curve},
		{"WORKLOAD_RSA_KEY_SIZE", &seen->rsa},
	};

	for (size_t i = 0; i < COUNT_OF(places); i++) {
		if (slice_is_str(slice_of(name, len), places[i].name))
			*places[i].place = value;
	}
}

static enum err
env_take(struct agent_conf *c, const char *entry, struct env_seen *seen,
	 struct why *why)
{
	static const char header[] = "CA_HEADER_";
	const char *eq = strchr(entry, '=');
	size_t len;

	if (eq == NULL || eq[1] == '\0')
		return ERR_OK;
	len = (size_t)(eq - entry);
	if (strncmp(entry, header, sizeof(header) - 1) == 0)
		return env_add_header(c, entry + sizeof(header) - 1,
				      len - (sizeof(header) - 1), eq + 1, why);
	env_see(seen, entry, len, eq + 1);
	for (size_t i = 0; i < COUNT_OF(env_rows); i++) {
		if (slice_is_str(slice_of(entry, len), env_rows[i].name))
			return env_rows[i].set(c, &env_rows[i], eq + 1, why);
	}
	return ERR_OK;
}

/* An elliptic curve where it is asked for; RSA where only its size is; else
 * what the file says. */
static enum err
env_set_key(struct agent_conf *c, const struct env_seen *seen, struct why *why)
{
	const char *curve = "P-256";
	enum err ret = ERR_OK;

	if (seen->rsa != NULL)
		ret = env_put(c, "WORKLOAD_RSA_KEY_SIZE", "key.rsa_bits",
			      seen->rsa, why);
	if (ret != ERR_OK)
		return ret;
	if (seen->ecc == NULL)
		return seen->rsa == NULL ? ERR_OK
					 : env_put(c, "WORKLOAD_RSA_KEY_SIZE",
						   "key.kind", "RSA", why);
	if (strcmp(seen->ecc, "ECDSA") != 0)
		return why_set(why, ERR_CONFIG,
			       "environment variable ECC_SIGNATURE_ALGORITHM: "
			       "found \"%.80s\", allowed is ECDSA",
			       seen->ecc);
	if (seen->curve != NULL && strcmp(seen->curve, "P384") == 0)
		curve = "P-384";
	else if (seen->curve != NULL && strcmp(seen->curve, "P256") != 0)
		return why_set(why, ERR_CONFIG,
			       "environment variable ECC_CURVE: found "
			       "\"%.80s\", allowed is P256 or P384",
			       seen->curve);
	return env_put(c, "ECC_SIGNATURE_ALGORITHM", "key.kind", curve, why);
}

/* Without CA_ADDR the discovery address is the CA's, and only then ISTIOD_SAN
 * is the CA's name. */
static enum err
env_set_address(struct agent_conf *c, const struct env_seen *seen,
		struct why *why)
{
	struct json *proxy = NULL;
	struct slice address;
	enum err ret = ERR_OK;

	if (seen->ca_addr != NULL) {
		if (seen->san != NULL)
			env_note(c, "ISTIOD_SAN",
				 "not used: CA_ADDR is set, its host is the "
				 "name");
		return ERR_OK;
	}
	/* Injectors write JSON; a hand-written YAML is passed over. */
	if (seen->proxy_config != NULL &&
	    json_parse(slice_of_str(seen->proxy_config), NULL, &proxy) ==
		    ERR_OK) {
		address = json_str(json_get(proxy, "discoveryAddress"));
		if (address.len > 0) {
			char *text = mem_dup_slice_str(address);

			ret = env_put(c, "PROXY_CONFIG", "ca.address", text,
				      why);
			mem_free(text);
		}
	}
	json_free(proxy);
	if (ret == ERR_OK && seen->san != NULL)
		ret = env_put(c, "ISTIOD_SAN", "ca.server_name", seen->san,
			      why);
	return ret;
}

enum err
agent_conf_set_env(struct agent_conf *c, char *const *envp, struct why *why)
{
	struct env_seen seen = {0};
	enum err ret;

	for (size_t i = 0; envp[i] != NULL; i++) {
		if ((ret = env_take(c, envp[i], &seen, why)) != ERR_OK)
			return ret;
	}
	if ((ret = env_set_key(c, &seen, why)) != ERR_OK)
		return ret;
	return env_set_address(c, &seen, why);
}
