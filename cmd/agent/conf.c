/* conf.c - see conf.h. */
#include "agent/conf.h"

#include <stddef.h>
#include <string.h>
#include <sys/types.h>

#include "base/mem.h"
#include "os/os.h"
#include "pki/chain.h"
#include "pki/spiffe_id.h"

enum {
	NOTES_MAX = 64 * 1024,
	RATIO_DIGITS = 6
};

static const char *const providers[] = {"Citadel", "GkeWorkloadCertificate",
					"none", NULL};
static const char *const key_kinds[] = {"P-256", "P-384", "RSA", NULL};
static const char *const by_cert[] = {"auto", "always", "never", NULL};
static const char *const log_levels[] = {"error", "warn", "info", "debug",
					 NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const sandbox_modes[] = {"required", "auto", "off", NULL};
static const char *const output_modes[] = {"0600", "0640", NULL};
static const char *const socket_modes[] = {"0600", "0660", "0666", NULL};

#define AT(member) offsetof(struct agent_conf, member)

const struct conf_key agent_conf_keys[] = {
	{.name = "log.level",
	 .type = CONF_ENUM,
	 .offset = AT(log_level),
	 .deflt = "info",
	 .names = log_levels,
	 .help = "error, warn, info or debug."},
	{.name = "log.format",
	 .type = CONF_ENUM,
	 .offset = AT(log_format),
	 .deflt = "text",
	 .names = log_formats,
	 .help = "text for people, json for machines."},
	{.name = "sandbox",
	 .type = CONF_ENUM,
	 .offset = AT(sandbox),
	 .deflt = "auto",
	 .names = sandbox_modes,
	 .help = "Confine the agent by seccomp and Landlock. required: do not "
		 "start where the kernel lacks a part. auto: go on without "
		 "it, and say so. off: no confinement. Environment: "
		 "MESHCERT_SANDBOX."},

	{.name = "identity.trust_domain",
	 .type = CONF_STRING,
	 .offset = AT(trust_domain),
	 .deflt = "cluster.local",
	 .min = 1,
	 .max = 255,
	 .help = "The SPIFFE trust domain. Environment: TRUST_DOMAIN."},
	{.name = "identity.namespace",
	 .type = CONF_STRING,
	 .offset = AT(ns),
	 .deflt = "default",
	 .min = 1,
	 .max = 253,
	 .help = "Namespace of the workload. Environment: POD_NAMESPACE."},
	{.name = "identity.service_account",
	 .type = CONF_STRING,
	 .offset = AT(service_account),
	 .deflt = "default",
	 .min = 1,
	 .max = 253,
	 .help = "Its service account. Environment: SERVICE_ACCOUNT."},
	{.name = "identity.spiffe_id",
	 .type = CONF_STRING,
	 .offset = AT(spiffe_id),
	 .max = SPIFFE_ID_MAX,
	 .help = "The whole identity, where it is not spiffe://TRUST_DOMAIN/"
		 "ns/NAMESPACE/sa/SERVICE_ACCOUNT."},

	{.name = "ca.address",
	 .type = CONF_STRING,
	 .offset = AT(ca_address),
	 .deflt = "istiod.istio-system.svc:15012",
	 .min = 1,
	 .max = 300,
	 .help = "HOST:PORT of a CA with Istio's API. Port 15010 is spoken to "
		 "without TLS. Environment: CA_ADDR."},
	{.name = "ca.provider",
	 .type = CONF_ENUM,
	 .offset = AT(ca_provider),
	 .deflt = "Citadel",
	 .names = providers,
	 .help = "Citadel: a CA with Istio's API. GkeWorkloadCertificate: "
		 "files that the node renews. none: file certificates only. "
		 "Environment: CA_PROVIDER."},
	{.name = "ca.server_name",
	 .type = CONF_STRING,
	 .offset = AT(ca_server_name),
	 .max = 255,
	 .help = "Name that the CA's certificate must have; empty: the host "
		 "of ca.address, or istiod.istio-system.svc where that is "
		 "this host. Environment: ISTIOD_SAN."},
	{.name = "ca.root_file",
	 .type = CONF_STRING,
	 .offset = AT(ca_root_file),
	 .max = 4000,
	 .help = "Roots for the connection to the CA, in PEM, read again for "
		 "each connection; SYSTEM: the system's. Empty: root-cert.pem "
		 "of ca.client_cert_dir, else "
		 "./var/run/secrets/istio/root-cert.pem. Environment: "
		 "CA_ROOT_CA."},
	{.name = "ca.token_file",
	 .type = CONF_STRING,
	 .offset = AT(ca_token_file),
	 .deflt = "./var/run/secrets/tokens/istio-token",
	 .max = 4000,
	 .help = "Token that proves who we are, read again for each request. "
		 "Not there: none is sent."},
	{.name = "ca.client_cert_dir",
	 .type = CONF_STRING,
	 .offset = AT(ca_client_cert_dir),
	 .max = 4000,
	 .help = "Folder with cert-chain.pem, key.pem and root-cert.pem: shown "
		 "to the CA while valid. Environment: PROV_CERT."},
	{.name = "ca.renew_by_cert",
	 .type = CONF_ENUM,
	 .offset = AT(ca_renew_by_cert),
	 .deflt = "auto",
	 .names = by_cert,
	 .help = "Show the certificate in force to the CA when it is renewed. "
		 "auto: where the token file is absent or holds no JWT (a "
		 "one-time join token)."},
	{.name = "ca.cluster_id",
	 .type = CONF_STRING,
	 .offset = AT(ca_cluster_id),
	 .max = 255,
	 .help = "Sent as header clusterid. Environment: "
		 "ISTIO_META_CLUSTER_ID."},
	{.name = "ca.cert_signer",
	 .type = CONF_STRING,
	 .offset = AT(ca_cert_signer),
	 .max = 255,
	 .help = "Which signer the CA shall use, where it has several. "
		 "Environment: ISTIO_META_CERT_SIGNER."},
	{.name = "ca.headers",
	 .type = CONF_LIST,
	 .offset = AT(ca_headers),
	 .max = 32,
	 .secret = true,
	 .help = "More headers for the CA, each \"NAME: VALUE\". Environment: "
		 "CA_HEADER_NAME=VALUE."},
	{.name = "ca.timeout",
	 .type = CONF_DURATION,
	 .offset = AT(ca_timeout_ms),
	 .deflt = "10s",
	 .min = 100,
	 .max = 600000,
	 .help = "Longest time of one attempt, connection included."},
	{.name = "ca.retry_min",
	 .type = CONF_DURATION,
	 .offset = AT(ca_retry_min_ms),
	 .deflt = "100ms",
	 .min = 10,
	 .max = 60000,
	 .help = "Pause after the first failed attempt; it doubles with each, "
		 "with jitter."},
	{.name = "ca.retry_max",
	 .type = CONF_DURATION,
	 .offset = AT(ca_retry_max_ms),
	 .deflt = "30s",
	 .min = 100,
	 .max = 3600000,
	 .help = "Longest pause between attempts, also where the CA asks for "
		 "a longer one."},
	{.name = "ca.unauthenticated_for",
	 .type = CONF_DURATION,
	 .offset = AT(ca_unauthenticated_ms),
	 .deflt = "30s",
	 .min = 0,
	 .max = 3600000,
	 .help = "For so long a CA that does not know us is asked again like "
		 "one that is down; after it, only at ca.retry_max."},

	{.name = "chain.warn",
	 .type = CONF_LIST,
	 .offset = AT(chain_warn),
	 .max = CHAIN_RULE_CNT,
	 .help = "Rules that only warn where the CA's answers or the "
		 "certificate of its port break them: key-ids, criticality, "
		 "leaf-not-ca, dns-charset, serial. All others refuse."},

	{.name = "cert.ttl",
	 .type = CONF_DURATION,
	 .offset = AT(cert_ttl_ms),
	 .deflt = "24h",
	 .min = 1000,
	 .max = INT64_C(31536000000),
	 .help = "Life that is asked for. Environment: SECRET_TTL."},
	{.name = "cert.renew_ratio",
	 .type = CONF_STRING,
	 .offset = AT(cert_renew_ratio),
	 .deflt = "0.5",
	 .min = 1,
	 .max = 10,
	 .help = "Part of its life that is left when a certificate is "
		 "renewed, 0 to 1. Environment: SECRET_GRACE_PERIOD_RATIO."},
	{.name = "cert.renew_jitter",
	 .type = CONF_STRING,
	 .offset = AT(cert_renew_jitter),
	 .deflt = "0.01",
	 .min = 1,
	 .max = 10,
	 .help = "Random part, added to or taken from cert.renew_ratio. "
		 "Environment: SECRET_GRACE_PERIOD_RATIO_JITTER."},
	{.name = "cert.renew_floor",
	 .type = CONF_DURATION,
	 .offset = AT(cert_renew_floor_ms),
	 .deflt = "10s",
	 .min = 100,
	 .max = 3600000,
	 .help = "A renewal is never sooner than this (or half of the life "
		 "that is left, where that is less)."},

	{.name = "key.kind",
	 .type = CONF_ENUM,
	 .offset = AT(key_kind),
	 .deflt = "P-256",
	 .names = key_kinds,
	 .help = "Key of the workload: P-256, P-384 or RSA. Environment: "
		 "ECC_SIGNATURE_ALGORITHM=ECDSA with ECC_CURVE, or "
		 "WORKLOAD_RSA_KEY_SIZE."},
	{.name = "key.rsa_bits",
	 .type = CONF_INT,
	 .offset = AT(key_rsa_bits),
	 .deflt = "2048",
	 .min = 2048,
	 .max = 8192,
	 .help = "Size of an RSA key. Environment: WORKLOAD_RSA_KEY_SIZE."},
	{.name = "key.pkcs8",
	 .type = CONF_BOOL,
	 .offset = AT(key_pkcs8),
	 .deflt = "false",
	 .help = "Keys for Envoy and for files as PKCS#8 and not in the form "
		 "of their algorithm. Environment: PKCS8_KEY."},

	{.name = "output.dir",
	 .type = CONF_STRING,
	 .offset = AT(output_dir),
	 .max = 3500,
	 .help = "Folder for key.pem, cert-chain.pem and root-cert.pem, always "
		 "of one set; empty: none. Environment: OUTPUT_CERTS."},
	{.name = "output.mode",
	 .type = CONF_ENUM,
	 .offset = AT(output_mode),
	 .deflt = "0600",
	 .names = output_modes,
	 .help = "Mode of those files: 0600, or 0640 for a reader by group."},

	{.name = "listen.socket",
	 .type = CONF_STRING,
	 .offset = AT(listen_socket),
	 .deflt = "./var/run/secrets/workload-spiffe-uds/socket",
	 .min = 1,
	 .max = 100,
	 .help = "Socket for SDS and the SPIFFE Workload API. Environment: "
		 "WORKLOAD_IDENTITY_SOCKET_FILE, its last part."},
	{.name = "listen.files_socket",
	 .type = CONF_STRING,
	 .offset = AT(listen_files_socket),
	 .deflt = "./var/run/secrets/credential-uds/files-socket",
	 .min = 1,
	 .max = 100,
	 .help = "Socket for file certificates, where a foreign SDS server "
		 "has listen.socket."},
	{.name = "listen.status",
	 .type = CONF_STRING,
	 .offset = AT(listen_status),
	 .deflt = ":15020",
	 .max = 300,
	 .help = "HTTP address of /healthz/ready, /metrics, and of /status, "
		 "which is for this host only; empty: none."},

	{.name = "socket.mode",
	 .type = CONF_ENUM,
	 .offset = AT(socket_mode),
	 .deflt = "0660",
	 .names = socket_modes,
	 .help = "Mode of the sockets. Whoever can open one must also be in "
		 "socket.allow."},
	{.name = "socket.group",
	 .type = CONF_STRING,
	 .offset = AT(socket_group),
	 .max = 32,
	 .help = "Number of the group that the sockets get, for a proxy that "
		 "runs as another user (1337 for Istio's)."},
	{.name = "socket.allow",
	 .type = CONF_LIST,
	 .offset = AT(socket_allow),
	 .max = 64,
	 .help = "Numbers of the users that may connect, beside root and the "
		 "agent's own (1337 for Istio's proxy); \"any\": every user "
		 "that can open the socket."},
	{.name = "socket.foreign",
	 .type = CONF_BOOL,
	 .offset = AT(socket_foreign),
	 .deflt = "true",
	 .help = "A foreign SDS server that answers on listen.socket at the "
		 "start is left to serve; false: that is an error."},

	{.name = "files.mounted",
	 .type = CONF_BOOL,
	 .offset = AT(files_mounted),
	 .deflt = "false",
	 .help = "Certificates come from files only; no CA is asked. "
		 "Environment: FILE_MOUNTED_CERTS."},
	{.name = "files.allow",
	 .type = CONF_LIST,
	 .offset = AT(files_allow),
	 .deflt = "./etc/certs, ./etc/istio, ./var/run/secrets, "
		  "/etc/certs, /etc/istio, /var/run/secrets",
	 .max = 64,
	 .help = "Folders whose files may be asked for by name (file-cert:, "
		 "file-root:)."},
	{.name = "files.debounce",
	 .type = CONF_DURATION,
	 .offset = AT(files_debounce_ms),
	 .deflt = "100ms",
	 .min = 1,
	 .max = 60000,
	 .help = "Changes of files within this time are one. Environment: "
		 "FILE_DEBOUNCE_DURATION."},
	{.name = "files.client_cert",
	 .type = CONF_STRING,
	 .offset = AT(files_client_cert),
	 .max = 4000,
	 .help = "May be asked for too. Environment: "
		 "ISTIO_META_TLS_CLIENT_CERT_CHAIN."},
	{.name = "files.client_key",
	 .type = CONF_STRING,
	 .offset = AT(files_client_key),
	 .max = 4000,
	 .help = "May be asked for too. Environment: "
		 "ISTIO_META_TLS_CLIENT_KEY."},
	{.name = "files.client_root",
	 .type = CONF_STRING,
	 .offset = AT(files_client_root),
	 .max = 4000,
	 .help = "May be asked for too. Environment: "
		 "ISTIO_META_TLS_CLIENT_ROOT_CERT."},
	{.name = "files.server_cert",
	 .type = CONF_STRING,
	 .offset = AT(files_server_cert),
	 .max = 4000,
	 .help = "May be asked for too. Environment: "
		 "ISTIO_META_TLS_SERVER_CERT_CHAIN."},
	{.name = "files.server_key",
	 .type = CONF_STRING,
	 .offset = AT(files_server_key),
	 .max = 4000,
	 .help = "May be asked for too. Environment: "
		 "ISTIO_META_TLS_SERVER_KEY."},
	{.name = "files.server_root",
	 .type = CONF_STRING,
	 .offset = AT(files_server_root),
	 .max = 4000,
	 .help = "May be asked for too. Environment: "
		 "ISTIO_META_TLS_SERVER_ROOT_CERT."},
	{.name = NULL},
};

enum err
agent_conf_parse(struct slice text, const char *name, struct agent_conf *out,
		 struct why *why)
{
	*out = (struct agent_conf){0};
	buf_init(&out->notes, NOTES_MAX);
	return conf_parse(agent_conf_keys, text, name, out, why);
}

enum err
agent_conf_set(struct agent_conf *c, const char *assignment, struct why *why)
{
	char *key = mem_dup_str(assignment);
	char *value = strchr(key, '=');
	enum err ret;

	if (value == NULL) {
		ret = why_set(why, ERR_CONFIG, "--set %s: KEY=VALUE is wanted",
			      assignment);
		goto out;
	}
	*value++ = '\0';
	ret = conf_set(agent_conf_keys, c, key, value, why);
out:
	mem_free(key);
	return ret;
}

static bool
conf_is_set(const char *text)
{
	return text != NULL && *text != '\0';
}

enum err
agent_conf_parse_ratio(const char *text, int64_t *ppm_out)
{
	struct slice in = slice_of_str(text);
	struct slice whole, rest = SLICE_NONE;
	uint64_t n, scale = AGENT_PPM;
	enum err ret;

	*ppm_out = 0;
	if (!slice_split(&in, '.', &whole))
		return ERR_SYNTAX;
	rest = in;
	if (whole.len == 0 && rest.len > 0)
		n = 0; /* ".5" */
	else if ((ret = slice_parse_u64(whole, &n)) != ERR_OK || n > 1)
		return ERR_SYNTAX;
	*ppm_out = (int64_t)n * AGENT_PPM;
	if (rest.len == 0)
		return slice_has_suffix(slice_of_str(text), ".") ? ERR_SYNTAX
								 : ERR_OK;
	rest = slice_sub(rest, 0, RATIO_DIGITS);
	if ((ret = slice_parse_u64(rest, &n)) != ERR_OK)
		return ERR_SYNTAX;
	for (size_t i = 0; i < rest.len; i++)
		scale /= 10;
	*ppm_out += (int64_t)(n * scale);
	return *ppm_out > AGENT_PPM ? ERR_SYNTAX : ERR_OK;
}

static enum err
conf_finish_ratios(struct agent_conf *c, struct why *why)
{
	if (agent_conf_parse_ratio(c->cert_renew_ratio, &c->renew_ratio_ppm) !=
	    ERR_OK)
		return why_set(why, ERR_CONFIG,
			       "cert.renew_ratio: %s is no number from 0 to 1",
			       c->cert_renew_ratio);
	if (agent_conf_parse_ratio(c->cert_renew_jitter,
				   &c->renew_jitter_ppm) != ERR_OK)
		return why_set(why, ERR_CONFIG,
			       "cert.renew_jitter: %s is no number from 0 to 1",
			       c->cert_renew_jitter);
	return ERR_OK;
}

static enum err
conf_finish_identity(struct agent_conf *c, struct why *why)
{
	struct spiffe_id id;
	struct buf text;
	enum err ret;

	mem_free(TAKE(c->identity));
	if (conf_is_set(c->spiffe_id)) {
		ret = spiffe_id_parse(slice_of_str(c->spiffe_id), why, &id);
		if (ret != ERR_OK)
			return why_prefix(why, ERR_CONFIG,
					  "identity.spiffe_id");
		if (!slice_is_str(id.trust_domain, c->trust_domain))
			return why_set(why, ERR_CONFIG,
				       "identity.spiffe_id %s is not of the "
				       "trust domain %s: set "
				       "identity.trust_domain too",
				       c->spiffe_id, c->trust_domain);
		c->identity = mem_dup_str(c->spiffe_id);
		return ERR_OK;
	}
	buf_init(&text, SPIFFE_ID_MAX);
	ret = spiffe_id_build_k8s(slice_of_str(c->trust_domain),
				  slice_of_str(c->ns),
				  slice_of_str(c->service_account), why, &text);
	if (ret == ERR_OK)
		c->identity = buf_dup_str(&text);
	else
		why_prefix(why, ret, "identity");
	buf_fini(&text);
	return ret == ERR_OK ? ERR_OK : ERR_CONFIG;
}

static enum err
conf_finish_warn_rules(struct agent_conf *c, struct why *why)
{
	enum err ret;

	c->warn_rules = 0;
	for (size_t i = 0; i < c->chain_warn.cnt; i++) {
		ret = chain_rule_add_warn(slice_of_str(c->chain_warn.items[i]),
					  why, &c->warn_rules);
		if (ret != ERR_OK)
			return why_prefix(why, ret, "chain.warn");
	}
	return ERR_OK;
}

static enum err
conf_check_headers(const struct agent_conf *c, struct why *why)
{
	for (size_t i = 0; i < c->ca_headers.cnt; i++) {
		struct slice value = slice_of_str(c->ca_headers.items[i]);
		struct slice name;

		if (!slice_split(&value, ':', &name) || name.len == 0 ||
		    !slice_is_printable(name) ||
		    slice_find(name, ' ') < name.len ||
		    !slice_is_printable(slice_trim(value)))
			return why_set(why, ERR_CONFIG,
				       "ca.headers: entry %zu is not \"NAME: "
				       "VALUE\" in printable characters",
				       i + 1);
	}
	return ERR_OK;
}

static enum err
conf_check_socket(const struct agent_conf *c, struct why *why)
{
	for (size_t i = 0; i < c->socket_allow.cnt; i++) {
		const char *text = c->socket_allow.items[i];
		uint64_t uid;

		if (strcmp(text, "any") == 0)
			continue;
		if (slice_parse_u64(slice_of_str(text), &uid) != ERR_OK ||
		    uid >= UINT32_MAX)
			return why_set(why, ERR_CONFIG,
				       "socket.allow: %s is neither the number "
				       "of a user nor \"any\"",
				       text);
	}
	if (conf_is_set(c->socket_group)) {
		uint64_t gid;

		if (slice_parse_u64(slice_of_str(c->socket_group), &gid) !=
			    ERR_OK ||
		    gid >= UINT32_MAX)
			return why_set(why, ERR_CONFIG,
				       "socket.group: %s is not the number of "
				       "a group",
				       c->socket_group);
	}
	return ERR_OK;
}

static enum err
conf_check_files(const struct agent_conf *c, struct why *why)
{
	if (c->files_mounted && conf_is_set(c->ca_client_cert_dir))
		return why_set(why, ERR_CONFIG,
			       "files.mounted (FILE_MOUNTED_CERTS) and "
			       "ca.client_cert_dir (PROV_CERT) exclude each "
			       "other: with mounted files no CA is asked");
	if (c->key_kind == AGENT_KEY_RSA && c->key_rsa_bits % 8 != 0)
		return why_set(why, ERR_CONFIG,
			       "key.rsa_bits: %lld is not divisible by 8",
			       (long long)c->key_rsa_bits);
	if (c->ca_retry_min_ms > c->ca_retry_max_ms)
		return why_set(why, ERR_CONFIG,
			       "ca.retry_min is longer than ca.retry_max");
	return ERR_OK;
}

enum err
agent_conf_finish(struct agent_conf *c, struct why *why)
{
	enum err ret;

	ret = spiffe_trust_domain_check(slice_of_str(c->trust_domain), why);
	if (ret != ERR_OK)
		return why_prefix(why, ERR_CONFIG, "identity.trust_domain");
	if ((ret = conf_finish_identity(c, why)) != ERR_OK ||
	    (ret = conf_finish_ratios(c, why)) != ERR_OK ||
	    (ret = conf_finish_warn_rules(c, why)) != ERR_OK ||
	    (ret = conf_check_headers(c, why)) != ERR_OK ||
	    (ret = conf_check_socket(c, why)) != ERR_OK)
		return ret;
	return conf_check_files(c, why);
}

void
agent_conf_free(struct agent_conf *c)
{
	conf_free(agent_conf_keys, c);
	mem_free(c->identity);
	buf_fini(&c->notes);
	*c = (struct agent_conf){0};
}

void
agent_conf_apply_log(const struct agent_conf *c)
{
	log_set_level((enum log_level)(c->log_level + LOG_ERROR));
	log_set_format((enum log_format)c->log_format);
}

char *
agent_conf_get_root(const struct agent_conf *c)
{
	if (conf_is_set(c->ca_root_file))
		return strcmp(c->ca_root_file, "SYSTEM") == 0
			       ? NULL
			       : mem_dup_str(c->ca_root_file);
	if (conf_is_set(c->ca_client_cert_dir))
		return mem_printf("%s/root-cert.pem", c->ca_client_cert_dir);
	return mem_dup_str("./var/run/secrets/istio/root-cert.pem");
}

mode_t
agent_conf_get_socket_mode(const struct agent_conf *c)
{
	static const mode_t modes[] = {0600, 0660, 0666};

	return modes[c->socket_mode];
}
