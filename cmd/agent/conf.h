/* conf.h - the configuration of meshcert-agent.
 *
 * Every key is in the table of conf.c, with its default and its help;
 * meshcert-agent(8) lists them. Then comes the environment of Istio's agent
 * (env.c), which goes over the file, and --set, which goes over both. */
#ifndef AGENT_CONF_H
#define AGENT_CONF_H

#include <sys/types.h>

#include "base/conf.h"
#include "base/log.h"

enum agent_provider {
	AGENT_PROVIDER_CITADEL = 0, /* a CA with Istio's API */
	AGENT_PROVIDER_GKE,         /* files that somebody else renews */
	AGENT_PROVIDER_NONE         /* file certificates only */
};

enum agent_key_kind {
	AGENT_KEY_P256 = 0,
	AGENT_KEY_P384,
	AGENT_KEY_RSA
};

/* Whether the certificate in force is shown to the CA at its renewal. */
enum agent_renew_by_cert {
	AGENT_RENEW_AUTO = 0, /* where there is no JWT */
	AGENT_RENEW_ALWAYS,
	AGENT_RENEW_NEVER
};

enum {
	AGENT_PPM = 1000000 /* ratios are kept in millionths */
};

struct agent_conf {
	int log_level;
	int log_format;
	int sandbox; /* enum sandbox_mode */

	char *trust_domain;
	char *ns;
	char *service_account;
	char *spiffe_id; /* whole identity; else made of the three above */

	char *ca_address;
	int ca_provider;
	char *ca_server_name;
	char *ca_root_file; /* a path or SYSTEM; empty: see agent_conf_get_root
			     */
	char *ca_token_file;
	char *ca_client_cert_dir;
	char *ca_cluster_id;
	char *ca_cert_signer;
	int ca_renew_by_cert;
	struct conf_list ca_headers; /* "Name: value" */
	int64_t ca_timeout_ms;
	int64_t ca_retry_min_ms;
	int64_t ca_retry_max_ms;
	int64_t ca_unauthenticated_ms;
	struct conf_list chain_warn;

	int64_t cert_ttl_ms;
	char *cert_renew_ratio;
	char *cert_renew_jitter;
	int64_t cert_renew_floor_ms;

	int key_kind;
	int64_t key_rsa_bits;
	bool key_pkcs8;

	char *output_dir;
	int output_mode; /* index: 0600, 0640 */

	char *listen_socket;
	char *listen_files_socket;
	char *listen_status;
	int socket_mode;    /* index: 0600, 0660, 0666 */
	char *socket_group; /* number or name; empty: as it is */
	struct conf_list socket_allow;
	bool socket_foreign; /* a foreign SDS server on it is left to serve */
	bool socket_custom;  /* not the default name: it must be there */

	bool files_mounted;
	struct conf_list files_allow;
	int64_t files_debounce_ms;
	/* ISTIO_META_TLS_CLIENT_*, ISTIO_META_TLS_SERVER_*: allowed too. */
	char *files_client_cert;
	char *files_client_key;
	char *files_client_root;
	char *files_server_cert;
	char *files_server_key;
	char *files_server_root;

	/* Made of the above by agent_conf_finish. */
	uint32_t warn_rules; /* bits of pki/chain.h */
	int64_t renew_ratio_ppm;
	int64_t renew_jitter_ppm;
	char *identity;   /* the SPIFFE ID that we ask for */
	struct buf notes; /* what the environment meant, one line each */
};

extern const struct conf_key agent_conf_keys[];

/* Defaults, then the file's text (empty: none). Not finished. */
MUST_USE enum err agent_conf_parse(struct slice text, const char *name,
				   struct agent_conf *out, struct why *why);
/* "key=value" on top of it. */
MUST_USE enum err agent_conf_set(struct agent_conf *c, const char *assignment,
				 struct why *why);
/* The environment of Istio's agent on top of it; envp as of main. */
MUST_USE enum err agent_conf_set_env(struct agent_conf *c, char *const *envp,
				     struct why *why);
/* Checks what the table alone cannot say, and makes what is made of it. */
MUST_USE enum err agent_conf_finish(struct agent_conf *c, struct why *why);
void agent_conf_free(struct agent_conf *c);

void agent_conf_apply_log(const struct agent_conf *c);
/* "0.5" in millionths, 0 to 1. */
MUST_USE enum err agent_conf_parse_ratio(const char *text, int64_t *ppm_out);
/* The file of roots for the CA connection, owned by the caller; NULL: the
 * system's. */
char *agent_conf_get_root(const struct agent_conf *c);
mode_t agent_conf_get_socket_mode(const struct agent_conf *c);

#endif
