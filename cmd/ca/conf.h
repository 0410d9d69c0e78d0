/* conf.h - the configuration of meshcert-ca. Every key is in the table of
 * conf.c, with its default and its help; meshcert-ca(8) lists them. Each role
 * reads the same text and keeps its own copy. */
#ifndef CA_CONF_H
#define CA_CONF_H

#include "base/conf.h"
#include "base/log.h"
#include "ca/limit.h"
#include "ca/policy.h"

enum ca_issuer_kind {
	CA_ISSUER_SELF_SIGNED = 0,
	CA_ISSUER_FILES
};

enum ca_serving_kind {
	CA_SERVING_SELF = 0,
	CA_SERVING_FILES
};

enum ca_audit_full {
	CA_AUDIT_REFUSE = 0,
	CA_AUDIT_SIGN
};

struct ca_conf {
	char *data_dir;
	char *trust_domain;
	int64_t fronts;
	int64_t drain_ms;
	int64_t start_ms;
	char *user_prefix;
	int64_t uid_base;
	int sandbox;   /* enum sandbox_mode */
	int log_level; /* index: error, warn, info, debug */
	int log_format;

	char *listen_grpc;
	char *listen_http;
	char *listen_admin; /* empty: DATA_DIR/admin.sock */
	char *fetch_path;   /* empty: beside this program, or libexec */

	int issuer_kind;
	int issuer_key;
	int64_t issuer_ttl_ms;
	int64_t issuer_tiers;
	int64_t issuer_issuing_ttl_ms;
	bool issuer_name_constraints;
	char *issuer_dir;
	struct conf_list chain_warn;

	int serving_kind;
	char *serving_cert;
	char *serving_key;
	struct conf_list serving_names;
	int64_t serving_ttl_ms;

	int64_t cert_default_ttl_ms;
	int64_t cert_max_ttl_ms;
	int64_t cert_backdate_ms;
	int csr_san; /* index: refuse, ignore */
	int64_t csr_rsa_bits_min;
	int64_t csr_rsa_bits_max;
	bool csr_allow_ed25519;

	struct conf_list auth_order;
	struct conf_table jwt; /* of struct ca_conf_jwt */
	int64_t token_max_ttl_ms;
	int64_t token_repeat_ms;

	int64_t limit_connections;
	int64_t limit_streams;
	int64_t limit_message;
	int64_t limit_unfinished;
	int64_t limit_headers;
	int64_t limit_queue;
	int64_t limit_identity_rate;
	int64_t limit_identity_burst;
	int64_t limit_identity_share;
	int64_t limit_rate;
	int64_t limit_burst;
	int64_t limit_idle_ms;
	int64_t limit_handshake_ms;
	int64_t limit_request_ms;

	int64_t record_gather_ms;
	int64_t audit_rotate_bytes;
	int audit_on_full;
};

struct ca_conf_jwt {
	char *issuer;
	struct conf_list audiences;
	char *jwks_file;
	char *jwks_url;
	char *ca_file;
	int64_t refresh_ms;
	int identity; /* index: kubernetes, claim */
	char *claim;
	int64_t leeway_ms;
};

extern const struct conf_key ca_conf_keys[];

/* Parses and checks what the table alone cannot say. */
MUST_USE enum err ca_conf_parse(struct slice text, const char *name,
				struct ca_conf *out, struct why *why);
/* "key=value" on top of it, checked again. */
MUST_USE enum err ca_conf_set(struct ca_conf *c, const char *assignment,
			      struct why *why);
void ca_conf_free(struct ca_conf *c);

/* DATA_DIR/leaf; owned by the caller. */
char *ca_conf_path(const struct ca_conf *c, const char *leaf);
/* The policy that authority and signer both hold; borrows from c. */
struct ca_policy ca_conf_policy(const struct ca_conf *c);
/* chain.warn as bits of pki/chain.h. */
uint32_t ca_conf_warn_rules(const struct ca_conf *c);
/* Rates of one identity, and of all callers. */
struct ca_rate ca_conf_identity_rate(const struct ca_conf *c);
struct ca_rate ca_conf_rate(const struct ca_conf *c);
/* The part of limit.unfinished that one connection may have: four longest
 * requests and an ordinary one in each stream, a quarter at most. */
size_t ca_conf_unfinished_of_one(const struct ca_conf *c);
void ca_conf_apply_log(const struct ca_conf *c);
struct ca_conf_jwt *ca_conf_get_jwt(const struct ca_conf *c, size_t i);

#endif
