/* conf.c - see conf.h. */
#include "ca/conf.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "grpc/grpc.h"
#include "pki/chain.h"
#include "pki/spiffe_id.h"
#include "ra/ra.h"

static const char *const issuer_kinds[] = {"self-signed", "files", NULL};
static const char *const issuer_keys[] = {"P-256",    "P-384",    "RSA-2048",
					  "RSA-3072", "RSA-4096", NULL};
static const char *const serving_kinds[] = {"self", "files", NULL};
static const char *const san_modes[] = {"refuse", "ignore", NULL};
static const char *const log_levels[] = {"error", "warn", "info", "debug",
					 NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const identity_kinds[] = {"kubernetes", "claim", NULL};
static const char *const sandbox_modes[] = {"required", "auto", "off", NULL};
static const char *const full_modes[] = {"refuse", "sign", NULL};

#define JWT(member) offsetof(struct ca_conf_jwt, member)

static const struct conf_key jwt_keys[] = {
	{.name = "issuer",
	 .type = CONF_STRING,
	 .offset = JWT(issuer),
	 .min = 1,
	 .max = 1024,
	 .help = "What the token's iss claim must be."},
	{.name = "audiences",
	 .type = CONF_LIST,
	 .offset = JWT(audiences),
	 .deflt = "istio-ca",
	 .help = "One of these must be in the token's aud claim."},
	{.name = "jwks_file",
	 .type = CONF_STRING,
	 .offset = JWT(jwks_file),
	 .help = "The issuer's keys as a file (JWKS); read again when it "
		 "changes."},
	{.name = "jwks_url",
	 .type = CONF_STRING,
	 .offset = JWT(jwks_url),
	 .help = "The issuer's keys as an https URL. Kept when the URL is "
		 "down."},
	{.name = "ca_file",
	 .type = CONF_STRING,
	 .offset = JWT(ca_file),
	 .help = "Roots for jwks_url; the system's when empty."},
	{.name = "refresh",
	 .type = CONF_DURATION,
	 .offset = JWT(refresh_ms),
	 .deflt = "5m",
	 .min = 10000,
	 .max = 86400000,
	 .help = "How often jwks_url is fetched again. An unknown key id "
		 "fetches at once, at most every ten seconds."},
	{.name = "identity",
	 .type = CONF_ENUM,
	 .offset = JWT(identity),
	 .deflt = "kubernetes",
	 .names = identity_kinds,
	 .help = "kubernetes: spiffe://TRUST_DOMAIN/ns/NS/sa/SA from the "
		 "service account in the token. claim: a claim holds the "
		 "SPIFFE ID."},
	{.name = "claim",
	 .type = CONF_STRING,
	 .offset = JWT(claim),
	 .deflt = "sub",
	 .help = "Which claim, for identity: claim. Dots go deeper."},
	{.name = "leeway",
	 .type = CONF_DURATION,
	 .offset = JWT(leeway_ms),
	 .deflt = "10s",
	 .min = 0,
	 .max = 60000,
	 .help = "Tolerated difference of clocks."},
	{.name = NULL},
};

#define AT(member) offsetof(struct ca_conf, member)

const struct conf_key ca_conf_keys[] = {
	{.name = "data_dir",
	 .type = CONF_STRING,
	 .offset = AT(data_dir),
	 .deflt = "/var/lib/meshcert",
	 .min = 1,
	 .max = 4000,
	 .help = "Where keys, the record and the audit log are kept."},
	{.name = "trust_domain",
	 .type = CONF_STRING,
	 .offset = AT(trust_domain),
	 .deflt = "cluster.local",
	 .min = 1,
	 .max = 255,
	 .help = "The SPIFFE trust domain that this authority signs for."},
	{.name = "fronts",
	 .type = CONF_INT,
	 .offset = AT(fronts),
	 .deflt = "0",
	 .min = 0,
	 .max = 64,
	 .help = "Number of front processes. 0: one for each core."},
	{.name = "drain",
	 .type = CONF_DURATION,
	 .offset = AT(drain_ms),
	 .deflt = "10s",
	 .min = 100,
	 .max = 600000,
	 .help = "How long a stop waits for requests that were accepted."},
	{.name = "start",
	 .type = CONF_DURATION,
	 .offset = AT(start_ms),
	 .deflt = "1m",
	 .min = 1000,
	 .max = 3600000,
	 .help = "How long a role may take until it works; one that does not "
		 "is ended and started again. A key of the CA is made, and the "
		 "newest audit file read, in it."},
	{.name = "user.prefix",
	 .type = CONF_STRING,
	 .offset = AT(user_prefix),
	 .deflt = "meshcert-",
	 .help = "Started as root, each role becomes the user PREFIX + role."},
	{.name = "user.uid_base",
	 .type = CONF_INT,
	 .offset = AT(uid_base),
	 .deflt = "60710",
	 .min = 1,
	 .max = 2000000000,
	 .help = "Where such a user does not exist: this number plus the "
		 "role's."},
	{.name = "sandbox",
	 .type = CONF_ENUM,
	 .offset = AT(sandbox),
	 .deflt = "auto",
	 .names = sandbox_modes,
	 .help = "Confine each role by seccomp and Landlock. required: do not "
		 "start where the kernel lacks a part. auto: go on without "
		 "it, and say so. off: no confinement."},
	{.name = "log.level",
	 .type = CONF_ENUM,
	 .offset = AT(log_level),
	 .deflt = "info",
	 .names = log_levels,
	 .help = "error, warn, info or debug. Read again on SIGHUP."},
	{.name = "log.format",
	 .type = CONF_ENUM,
	 .offset = AT(log_format),
	 .deflt = "text",
	 .names = log_formats,
	 .help = "text for people, json for machines."},

	{.name = "listen.grpc",
	 .type = CONF_STRING,
	 .offset = AT(listen_grpc),
	 .deflt = ":15012",
	 .min = 1,
	 .max = 300,
	 .help = "Address of the CA API (TLS). \":PORT\" is IPv4 and IPv6."},
	{.name = "listen.http",
	 .type = CONF_STRING,
	 .offset = AT(listen_http),
	 .deflt = ":15014",
	 .max = 300,
	 .help = "Address of /metrics, /healthz, /ready, /version; empty: "
		 "none."},
	{.name = "listen.admin",
	 .type = CONF_STRING,
	 .offset = AT(listen_admin),
	 .max = 100,
	 .help = "Path of the admin socket; empty: DATA_DIR/admin.sock. Only "
		 "root and the user that runs the authority may use it."},
	{.name = "fetch_program",
	 .type = CONF_STRING,
	 .offset = AT(fetch_path),
	 .max = 4000,
	 .help = "Path of meshcert-fetch; empty: beside this program, then "
		 "../libexec/meshcert."},

	{.name = "issuer.kind",
	 .type = CONF_ENUM,
	 .offset = AT(issuer_kind),
	 .deflt = "self-signed",
	 .names = issuer_kinds,
	 .help = "self-signed: a root made at the first start. files: a "
		 "plugged-in intermediate in issuer.dir."},
	{.name = "issuer.key",
	 .type = CONF_ENUM,
	 .offset = AT(issuer_key),
	 .deflt = "P-256",
	 .names = issuer_keys,
	 .help = "Key of a self-signed root (and its issuing CA)."},
	{.name = "issuer.ttl",
	 .type = CONF_DURATION,
	 .offset = AT(issuer_ttl_ms),
	 .deflt = "87600h",
	 .min = 60000,
	 .max = INT64_C(3155760000000),
	 .help = "Life of a self-signed root."},
	{.name = "issuer.tiers",
	 .type = CONF_INT,
	 .offset = AT(issuer_tiers),
	 .deflt = "1",
	 .min = 1,
	 .max = 2,
	 .help = "1: the root signs leaves. 2: an issuing CA below the root "
		 "does."},
	{.name = "issuer.issuing_ttl",
	 .type = CONF_DURATION,
	 .offset = AT(issuer_issuing_ttl_ms),
	 .deflt = "8760h",
	 .min = 60000,
	 .max = INT64_C(3155760000000),
	 .help = "Life of the issuing CA where issuer.tiers is 2."},
	{.name = "issuer.name_constraints",
	 .type = CONF_BOOL,
	 .offset = AT(issuer_name_constraints),
	 .deflt = "false",
	 .help = "Limit the root to the trust domain by a critical name "
		 "constraint. Some TLS libraries cannot read them."},
	{.name = "issuer.dir",
	 .type = CONF_STRING,
	 .offset = AT(issuer_dir),
	 .deflt = "/etc/cacerts",
	 .max = 4000,
	 .help = "Folder of a plugged-in CA: ca-cert.pem, ca-key.pem, "
		 "cert-chain.pem, root-cert.pem, or tls.crt, tls.key, "
		 "ca.crt. Watched; a bad set leaves the old one in force."},
	{.name = "chain.warn",
	 .type = CONF_LIST,
	 .offset = AT(chain_warn),
	 .max = CHAIN_RULE_CNT,
	 .help = "Rules that only warn where a plugged-in CA's chain, or a "
		 "caller's below it, breaks them: key-ids, criticality, "
		 "leaf-not-ca, dns-charset, serial. All others refuse, and all "
		 "do where issuer.kind is self-signed."},

	{.name = "serving.kind",
	 .type = CONF_ENUM,
	 .offset = AT(serving_kind),
	 .deflt = "self",
	 .names = serving_kinds,
	 .help = "The authority's own certificate: issued by itself, or from "
		 "files."},
	{.name = "serving.cert",
	 .type = CONF_STRING,
	 .offset = AT(serving_cert),
	 .max = 4000,
	 .help = "Chain in PEM, leaf first, for serving.kind: files."},
	{.name = "serving.key",
	 .type = CONF_STRING,
	 .offset = AT(serving_key),
	 .max = 4000,
	 .help = "Its private key in PEM."},
	{.name = "serving.names",
	 .type = CONF_LIST,
	 .offset = AT(serving_names),
	 .deflt = "istiod.istio-system.svc, istiod-remote.istio-system.svc, "
		  "istio-pilot.istio-system.svc, meshcert-ca, localhost",
	 .help = "DNS names and IP addresses in the authority's own "
		 "certificate."},
	{.name = "serving.ttl",
	 .type = CONF_DURATION,
	 .offset = AT(serving_ttl_ms),
	 .deflt = "24h",
	 .min = 10000,
	 .max = INT64_C(31536000000),
	 .help = "Its life; it is renewed at half of it."},

	{.name = "cert.default_ttl",
	 .type = CONF_DURATION,
	 .offset = AT(cert_default_ttl_ms),
	 .deflt = "24h",
	 .min = 1000,
	 .max = INT64_C(31536000000),
	 .help = "Life of a certificate whose request names none."},
	{.name = "cert.max_ttl",
	 .type = CONF_DURATION,
	 .offset = AT(cert_max_ttl_ms),
	 .deflt = "2160h",
	 .min = 1000,
	 .max = INT64_C(315360000000),
	 .help = "Longest life that may be asked for; more is an error."},
	{.name = "cert.backdate",
	 .type = CONF_DURATION,
	 .offset = AT(cert_backdate_ms),
	 .deflt = "2m",
	 .min = 0,
	 .max = 3600000,
	 .help = "notBefore lies this far back, for clocks that are late."},
	{.name = "csr.san",
	 .type = CONF_ENUM,
	 .offset = AT(csr_san),
	 .deflt = "refuse",
	 .names = san_modes,
	 .help = "A request that asks for another name than the caller's "
		 "identity: refuse it, or ignore what it asks for."},
	{.name = "csr.rsa_bits_min",
	 .type = CONF_INT,
	 .offset = AT(csr_rsa_bits_min),
	 .deflt = "2048",
	 .min = 2048,
	 .max = 8192,
	 .help = "Shortest RSA key that is certified."},
	{.name = "csr.rsa_bits_max",
	 .type = CONF_INT,
	 .offset = AT(csr_rsa_bits_max),
	 .deflt = "8192",
	 .min = 2048,
	 .max = 8192,
	 .help = "Longest RSA key that is certified."},
	{.name = "csr.allow_ed25519",
	 .type = CONF_BOOL,
	 .offset = AT(csr_allow_ed25519),
	 .deflt = "false",
	 .help = "Certify Ed25519 keys too. Many TLS peers cannot use them."},

	{.name = "auth.order",
	 .type = CONF_LIST,
	 .offset = AT(auth_order),
	 .deflt = "client_cert, jwt, join_token",
	 .help = "Authenticators, tried in this order: client_cert, jwt, "
		 "join_token."},
	{.name = "auth.jwt",
	 .type = CONF_TABLE,
	 .offset = AT(jwt),
	 .sub = jwt_keys,
	 .sub_size = sizeof(struct ca_conf_jwt),
	 .help = "Issuers of tokens, tried in this order."},
	{.name = "token.max_ttl",
	 .type = CONF_DURATION,
	 .offset = AT(token_max_ttl_ms),
	 .deflt = "24h",
	 .min = 1000,
	 .max = INT64_C(2592000000),
	 .help = "Longest life of a join token."},
	{.name = "token.repeat",
	 .type = CONF_DURATION,
	 .offset = AT(token_repeat_ms),
	 .deflt = "1m",
	 .min = 0,
	 .max = 3600000,
	 .help = "For so long after its use the same key may use a join token "
		 "again, so that a lost answer locks no host out."},

	{.name = "limit.connections",
	 .type = CONF_INT,
	 .offset = AT(limit_connections),
	 .deflt = "10000",
	 .min = 1,
	 .max = 1000000,
	 .help = "Connections of one front."},
	{.name = "limit.streams",
	 .type = CONF_INT,
	 .offset = AT(limit_streams),
	 .deflt = "100",
	 .min = 1,
	 .max = 100000,
	 .help = "Requests under way on one connection."},
	{.name = "limit.message",
	 .type = CONF_SIZE,
	 .offset = AT(limit_message),
	 .deflt = "64k",
	 .min = 4096,
	 .max = 4194304,
	 .help = "Longest request."},
	{.name = "limit.unfinished",
	 .type = CONF_SIZE,
	 .offset = AT(limit_unfinished),
	 .deflt = "64M",
	 .min = 1 << 20,
	 .max = INT64_C(1) << 34,
	 .help = "Bytes of requests that one front keeps, because they are "
		 "not whole or wait for their turn. One connection may have "
		 "four of limit.message and 4k for each of limit.streams, a "
		 "quarter of all at most; the last quarter is for those that "
		 "hold 4k at most. Who asks for more is answered "
		 "RESOURCE_EXHAUSTED. At least eight of limit.message."},
	{.name = "limit.headers",
	 .type = CONF_SIZE,
	 .offset = AT(limit_headers),
	 .deflt = "32k",
	 .min = 4096,
	 .max = 262144,
	 .help = "All header bytes of one request (tokens are in them)."},
	{.name = "limit.queue",
	 .type = CONF_INT,
	 .offset = AT(limit_queue),
	 .deflt = "4096",
	 .min = 1,
	 .max = 1000000,
	 .help = "Requests that wait, in each front and in the authority. "
		 "Callers are served in turn; whoever has more waiting than "
		 "there is room left is answered RESOURCE_EXHAUSTED, and "
		 "UNAVAILABLE where there is none. A quarter is kept for "
		 "those who have no certificate yet."},
	{.name = "limit.identity_rate",
	 .type = CONF_INT,
	 .offset = AT(limit_identity_rate),
	 .deflt = "100",
	 .min = 0,
	 .max = 1000000,
	 .help = "Requests a second of one identity (with join tokens: of one "
		 "address), on average; more are answered RESOURCE_EXHAUSTED. "
		 "0: no limit."},
	{.name = "limit.identity_burst",
	 .type = CONF_INT,
	 .offset = AT(limit_identity_burst),
	 .deflt = "50000",
	 .min = 1,
	 .max = 1000000000,
	 .help = "So many at once, after a quiet time: all pods of one "
		 "service account that start together."},
	{.name = "limit.identity_share",
	 .type = CONF_INT,
	 .offset = AT(limit_identity_share),
	 .deflt = "90",
	 .min = 50,
	 .max = 100,
	 .help = "Percent of a front's connections that one identity may keep "
		 "when the front is full and all of them have a request under "
		 "way; above it a newcomer takes the place of one of them. "
		 "100: no bound."},
	{.name = "limit.rate",
	 .type = CONF_INT,
	 .offset = AT(limit_rate),
	 .deflt = "2000",
	 .min = 0,
	 .max = 1000000,
	 .help = "Requests a second of all callers together, on average; more "
		 "wait in the queue. It bounds how fast the record and the "
		 "audit log can grow. 0: no limit."},
	{.name = "limit.burst",
	 .type = CONF_INT,
	 .offset = AT(limit_burst),
	 .deflt = "200000",
	 .min = 1,
	 .max = 1000000000,
	 .help = "So many at once, after a quiet time: a whole fleet that "
		 "starts together."},
	{.name = "limit.idle",
	 .type = CONF_DURATION,
	 .offset = AT(limit_idle_ms),
	 .deflt = "10m",
	 .min = 1000,
	 .max = 86400000,
	 .help = "A connection without a request ends."},
	{.name = "limit.handshake",
	 .type = CONF_DURATION,
	 .offset = AT(limit_handshake_ms),
	 .deflt = "10s",
	 .min = 100,
	 .max = 600000,
	 .help = "Longest TLS handshake."},
	{.name = "limit.request",
	 .type = CONF_DURATION,
	 .offset = AT(limit_request_ms),
	 .deflt = "30s",
	 .min = 100,
	 .max = 600000,
	 .help = "Longest time to answer, where the caller names no deadline."},

	{.name = "record.gather",
	 .type = CONF_DURATION,
	 .offset = AT(record_gather_ms),
	 .deflt = "1ms",
	 .min = 0,
	 .max = 1000,
	 .help = "Requests that come sooner than this after the last write to "
		 "the record began wait until then, to share the next one. The "
		 "first after a pause never waits, nor does a full batch (64). "
		 "0s: none waits."},

	{.name = "audit.rotate_size",
	 .type = CONF_SIZE,
	 .offset = AT(audit_rotate_bytes),
	 .deflt = "64M",
	 .min = 65536,
	 .max = INT64_C(1099511627776),
	 .help = "A new audit file begins at this size."},
	{.name = "audit.on_full",
	 .type = CONF_ENUM,
	 .offset = AT(audit_on_full),
	 .deflt = "refuse",
	 .names = full_modes,
	 .help = "When the audit log cannot be written (full disk): refuse to "
		 "sign, or sign without it (the record is still kept)."},
	{.name = NULL},
};

static enum err
ca_conf_check_jwt(const struct ca_conf *c, struct why *why)
{
	for (size_t i = 0; i < c->jwt.cnt; i++) {
		const struct ca_conf_jwt *j = ca_conf_get_jwt(c, i);
		bool has_file = j->jwks_file != NULL && *j->jwks_file != '\0';
		bool has_url = j->jwks_url != NULL && *j->jwks_url != '\0';

		if (has_file == has_url)
			return why_set(why, ERR_CONFIG,
				       "auth.jwt: issuer %s: exactly one of "
				       "jwks_file and jwks_url must be set",
				       j->issuer);
		if (has_url && strncmp(j->jwks_url, "https://", 8) != 0)
			return why_set(why, ERR_CONFIG,
				       "auth.jwt: issuer %s: jwks_url must "
				       "begin with https://",
				       j->issuer);
		if (j->audiences.cnt == 0)
			return why_set(why, ERR_CONFIG,
				       "auth.jwt: issuer %s: audiences must "
				       "not be empty: any token of the issuer "
				       "would be taken",
				       j->issuer);
	}
	return ERR_OK;
}

static enum err
ca_conf_check_order(const struct ca_conf *c, struct why *why)
{
	for (size_t i = 0; i < c->auth_order.cnt; i++) {
		if (ra_find_kind(c->auth_order.items[i]) == RA_NONE)
			return why_set(why, ERR_CONFIG,
				       "auth.order: %s is not one of "
				       "client_cert, jwt, join_token",
				       c->auth_order.items[i]);
	}
	return ERR_OK;
}

static enum err
ca_conf_read_warn_rules(const struct ca_conf *c, struct why *why, uint32_t *out)
{
	enum err ret;

	*out = 0;
	for (size_t i = 0; i < c->chain_warn.cnt; i++) {
		ret = chain_rule_add_warn(slice_of_str(c->chain_warn.items[i]),
					  why, out);
		if (ret != ERR_OK)
			return why_prefix(why, ret, "chain.warn");
	}
	if (c->chain_warn.cnt != 0 && c->issuer_kind != CA_ISSUER_FILES)
		return why_set(why, ERR_CONFIG,
			       "chain.warn is for issuer.kind: files; what "
			       "this authority made itself breaks no rule");
	return ERR_OK;
}

uint32_t
ca_conf_warn_rules(const struct ca_conf *c)
{
	uint32_t rules;

	must(ca_conf_read_warn_rules(c, NULL, &rules) == ERR_OK);
	return rules;
}

static enum err
ca_conf_check(const struct ca_conf *c, struct why *why)
{
	uint32_t rules;
	enum err ret;

	ret = spiffe_trust_domain_check(slice_of_str(c->trust_domain), why);
	if (ret != ERR_OK)
		return why_prefix(why, ERR_CONFIG, "trust_domain");
	if (c->cert_default_ttl_ms > c->cert_max_ttl_ms)
		return why_set(why, ERR_CONFIG,
			       "cert.default_ttl is longer than cert.max_ttl");
	if (c->limit_unfinished / 8 < c->limit_message)
		return why_set(why, ERR_CONFIG,
			       "limit.unfinished must be eight times "
			       "limit.message, or more");
	if (c->csr_rsa_bits_min > c->csr_rsa_bits_max)
		return why_set(why, ERR_CONFIG,
			       "csr.rsa_bits_min is above csr.rsa_bits_max");
	if (c->serving_kind == CA_SERVING_FILES &&
	    (c->serving_cert == NULL || *c->serving_cert == '\0' ||
	     c->serving_key == NULL || *c->serving_key == '\0'))
		return why_set(why, ERR_CONFIG,
			       "serving.kind is files: serving.cert and "
			       "serving.key must be set");
	if ((ret = ca_conf_read_warn_rules(c, why, &rules)) != ERR_OK ||
	    (ret = ca_conf_check_order(c, why)) != ERR_OK)
		return ret;
	return ca_conf_check_jwt(c, why);
}

enum err
ca_conf_parse(struct slice text, const char *name, struct ca_conf *out,
	      struct why *why)
{
	enum err ret;

	*out = (struct ca_conf){0};
	ret = conf_parse(ca_conf_keys, text, name, out, why);
	if (ret != ERR_OK)
		return ret;
	ret = ca_conf_check(out, why);
	if (ret != ERR_OK) {
		why_prefix(why, ret, "%s", name);
		ca_conf_free(out);
	}
	return ret;
}

enum err
ca_conf_set(struct ca_conf *c, const char *assignment, struct why *why)
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
	ret = conf_set(ca_conf_keys, c, key, value, why);
	if (ret == ERR_OK)
		ret = ca_conf_check(c, why);
out:
	mem_free(key);
	return ret;
}

void
ca_conf_free(struct ca_conf *c)
{
	conf_free(ca_conf_keys, c);
	*c = (struct ca_conf){0};
}

char *
ca_conf_path(const struct ca_conf *c, const char *leaf)
{
	return mem_printf("%s/%s", c->data_dir, leaf);
}

struct ca_policy
ca_conf_policy(const struct ca_conf *c)
{
	return (struct ca_policy){
		.trust_domain = slice_of_str(c->trust_domain),
		.default_ttl_ms = c->cert_default_ttl_ms,
		.max_ttl_ms = c->cert_max_ttl_ms,
		.backdate_ms = c->cert_backdate_ms,
		.serving_ttl_ms = c->serving_ttl_ms,
		.serving_names = (const char *const *)c->serving_names.items,
		.serving_name_cnt = c->serving_names.cnt,
		.keys =
			{
				.rsa_bits_min = (unsigned)c->csr_rsa_bits_min,
				.rsa_bits_max = (unsigned)c->csr_rsa_bits_max,
				.allow_ed25519 = c->csr_allow_ed25519,
			},
		.san_mode = (enum ca_policy_san)c->csr_san,
	};
}

struct ca_rate
ca_conf_identity_rate(const struct ca_conf *c)
{
	return (struct ca_rate){
		.per_sec = (uint64_t)c->limit_identity_rate,
		.burst = (uint64_t)c->limit_identity_burst,
	};
}

struct ca_rate
ca_conf_rate(const struct ca_conf *c)
{
	return (struct ca_rate){
		.per_sec = (uint64_t)c->limit_rate,
		.burst = (uint64_t)c->limit_burst,
	};
}

size_t
ca_conf_unfinished_of_one(const struct ca_conf *c)
{
	const int64_t want =
		4 * c->limit_message + c->limit_streams * GRPC_BUDGET_SMALL;
	const int64_t most = c->limit_unfinished / 4;

	return (size_t)(want < most ? want : most);
}

void
ca_conf_apply_log(const struct ca_conf *c)
{
	log_set_level((enum log_level)(c->log_level + LOG_ERROR));
	log_set_format((enum log_format)c->log_format);
}

struct ca_conf_jwt *
ca_conf_get_jwt(const struct ca_conf *c, size_t i)
{
	return (struct ca_conf_jwt *)c->jwt.rows + i;
}
