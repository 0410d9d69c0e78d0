/* secret_int.h - secrets as meshcert secret collects them: from an Envoy's
 * admin port, from a file of it, or from an SDS socket. */
#ifndef MESHCERT_SECRET_INT_H
#define MESHCERT_SECRET_INT_H

#include "base/json.h"
#include "base/why.h"
#include "pki/cert.h"

enum {
	SECRET_CERTS_MAX = 1000, /* of one secret */
	SECRET_BODY_MAX = 32 << 20
};

struct secret_item {
	char *name;
	const char *type;   /* "Cert Chain", "CA", or "" */
	const char *state;  /* "ACTIVE", "WARMING" */
	char *source;       /* where the proxy has it from */
	char *trust_domain; /* of a SPIFFE bundle; NULL: none */
	char *version;
	char *updated; /* as Envoy says it */
	char *ack;     /* "ACK", "NACK", "" */
	char *detail;  /* what is wrong with it; NULL: nothing */
	bool has_key;
	struct cert_list certs;
};

struct secret_list {
	struct secret_item *items; /* owned */
	size_t cnt;
};

/* A new row, zeroed but for its name. Valid until the next call. */
struct secret_item *secret_list_add(struct secret_list *l, struct slice name);
void secret_list_free(struct secret_list *l);
/* The certificates of a PEM text; what is wrong goes to detail. */
void secret_item_set_pem(struct secret_item *it, struct slice pem);

/* The answer of /config_dump, whole or of one resource: every secret in it.
 * ERR_SYNTAX: that is no configuration dump. */
MUST_USE enum err secret_read_dump(struct slice text, const char *source,
				   struct why *why, struct secret_list *out);
/* The answer of /stats, for the secrets of a dump: what was refused. */
void secret_read_stats(struct slice text, struct secret_list *l);
/* A meshcert-agent's page /status. */
MUST_USE enum err secret_read_page(struct slice text, struct why *why,
				   struct secret_list *out);
/* Both hold no control characters, whatever was read. */
void secret_write_table(const struct secret_list *l, struct wall at,
			struct buf *out);
void secret_write_json(const struct secret_list *l, const char *destination,
		       struct wall at, struct buf *out);

/* From a running Envoy. */
MUST_USE enum err secret_ask_envoy(const char *admin, struct why *why,
				   struct secret_list *out);
/* From the status port of a meshcert-agent. */
MUST_USE enum err secret_ask_agent(const char *addr, struct why *why,
				   struct secret_list *out);
/* From an SDS server, one request per name (NULL-ended). */
MUST_USE enum err secret_ask_sds(const char *addr, const char *const *names,
				 uint64_t timeout_ms, struct why *why,
				 struct secret_list *out);

#endif
