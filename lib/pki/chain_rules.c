/* chain_rules.c - the rules that stand on top of the library's validation, one
 * function each, called for each certificate of a path (chain_int.h). The
 * library has checked signatures, times, CA flags, path lengths, policies and
 * unknown critical extensions before. */
#include "crypto/roca.h"
#include "pki/chain_int.h"
#include "pki/pki_int.h"

enum {
	RSA_BITS_MIN = 2048,
	RSA_BITS_MAX = 16384,
	DNS_LABEL_MAX = 63
};

/* -- the path */

static bool
is_anchor(const struct chain_path *p, size_t i)
{
	return i + 1 == p->cnt && (p->cnt > 1 || p->is_pinned);
}

/* Judged as a leaf: not when somebody verifies the chain of a CA. */
static bool
is_end(const struct chain_path *p, size_t i)
{
	return i == 0 && (p->opts->purpose != CHAIN_ANY || p->opts->spiffe ||
			  !p->certs[0]->is_ca);
}

static enum err
refuse(struct why *why, const char *what)
{
	return why_set(why, ERR_REFUSED, "%s", what);
}

/* Puts the certificate before the text. */
static enum err
name_cert(const struct chain_path *p, size_t i, struct why *why, enum err e)
{
	char name[CERT_TEXT_MAX];
	struct slice shown;

	cert_name_format(p->certs[i]->subject, name);
	shown = slice_of_str(name);
	if (shown.len == 0)
		shown = p->certs[i]->san.uri;
	if (shown.len == 0)
		shown = SLICE_LIT("no subject");
	shown = slice_sub(shown, 0, 120);
	return why_prefix(why, e, "%s %zu (%.*s)",
			  is_anchor(p, i) ? "trust anchor" : "certificate",
			  p->index[i], SLICE_FMT(shown));
}

/* -- rules */

static enum err
rule_sig_alg(const struct chain_path *p, size_t i, struct why *why)
{
	char text[128];

	if (is_anchor(p, i) || p->certs[i]->alg != SIG_NONE)
		return ERR_OK;
	alg_format(p->certs[i]->alg_der, text);
	return why_set(why, ERR_REFUSED,
		       "signature algorithm %s is not on the list (ECDSA, RSA "
		       "with SHA-2, Ed25519)",
		       text);
}

static enum err
rule_key_size(const struct chain_path *p, size_t i, struct why *why)
{
	struct spki_size size;

	if (spki_get_size(p->certs[i]->spki, &size) != ERR_OK)
		return refuse(why, "malformed public key");
	if (size.bits == 0)
		return refuse(why, "a key that is no RSA, P-256, P-384, P-521 "
				   "or Ed25519 key");
	if (size.kind != KEY_RSA)
		return ERR_OK;
	if (size.bits < RSA_BITS_MIN || size.bits > RSA_BITS_MAX ||
	    size.bits % 8 != 0)
		return why_set(why, ERR_REFUSED,
			       "an RSA key of %u bits; %d to %d, divisible by "
			       "8, are allowed",
			       size.bits, RSA_BITS_MIN, RSA_BITS_MAX);
	if (roca_has_form(size.modulus))
		return refuse(why, "an RSA key of the form that a broken "
				   "generator made (ROCA, CVE-2017-15361): its "
				   "private key can be computed");
	return ERR_OK;
}

static enum err
rule_key_ids(const struct chain_path *p, size_t i, struct why *why)
{
	const struct cert *c = p->certs[i];

	if (is_anchor(p, i))
		return ERR_OK;
	if (c->aki.len == 0)
		return refuse(why, "no authority key identifier");
	if (c->is_ca && !c->has_ski)
		return refuse(why, "a CA without subject key identifier");
	if (i + 1 < p->cnt && p->certs[i + 1]->has_ski &&
	    !slice_is_eq(c->aki, p->certs[i + 1]->ski))
		return refuse(why, "its authority key identifier is not its "
				   "issuer's subject key identifier");
	return ERR_OK;
}

static enum err
rule_criticality(const struct chain_path *p, size_t i, struct why *why)
{
	const struct cert *c = p->certs[i];

	if (is_anchor(p, i))
		return ERR_OK;
	if (c->is_ca && !c->basic_critical)
		return refuse(why, "a CA whose basicConstraints is not "
				   "critical");
	if (c->is_ca && name_is_null(c->subject))
		return refuse(why, "a CA without subject");
	if (c->has_name_constraints && !c->name_constraints_critical)
		return refuse(why, "nameConstraints is not critical");
	if (c->has_lax_policy)
		return refuse(why, "policyConstraints or inhibitAnyPolicy is "
				   "not critical");
	if (name_is_null(c->subject) && !c->san.critical)
		return refuse(why, "the subject is empty and the SAN is not "
				   "critical");
	return ERR_OK;
}

static enum err
rule_leaf_not_ca(const struct chain_path *p, size_t i, struct why *why)
{
	const struct cert *c = p->certs[i];

	if (!is_end(p, i))
		return ERR_OK;
	if (c->is_ca)
		return refuse(why, "a CA certificate where a leaf is wanted");
	if ((c->key_usage & CERT_KU_CERT_SIGN) != 0)
		return refuse(why, "a leaf with keyUsage keyCertSign");
	if (c->has_name_constraints)
		return refuse(why, "a leaf with nameConstraints");
	return ERR_OK;
}

static enum err
rule_name_constraints(const struct chain_path *p, size_t i, struct why *why)
{
	const struct cert *c = p->certs[i];

	if (!c->has_name_constraints)
		return ERR_OK;
	return name_constraints_check_form(c->name_constraints, why);
}

static bool
is_dns_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-';
}

static bool
is_label(struct slice label)
{
	if (label.len == 0 || label.len > DNS_LABEL_MAX)
		return false;
	for (size_t i = 0; i < label.len; i++) {
		if (!is_dns_byte(label.p[i]))
			return false;
	}
	return true;
}

/* A wildcard is a whole first label. */
static bool
is_dns_name(struct slice name)
{
	size_t end;

	if (slice_has_prefix(name, "*."))
		name = slice_sub(name, 2, name.len);
	for (;;) {
		end = slice_find(name, '.');
		if (!is_label(slice_sub(name, 0, end)))
			return false;
		if (end == name.len)
			return true;
		name = slice_sub(name, end + 1, name.len);
	}
}

static enum err
rule_dns_charset(const struct chain_path *p, size_t i, struct why *why)
{
	struct slice cursor = p->certs[i]->san.raw;
	struct san_name name;

	while (san_next(&cursor, &name)) {
		if (name.kind != SAN_DNS || is_dns_name(name.value))
			continue;
		return why_set(why, ERR_REFUSED,
			       "the DNS name \"%.*s\" is not made of labels "
			       "of letters, digits and hyphens",
			       SLICE_FMT(slice_sub(name.value, 0, 100)));
	}
	return ERR_OK;
}

static enum err
rule_serial(const struct chain_path *p, size_t i, struct why *why)
{
	struct slice s = p->certs[i]->serial;

	if (is_anchor(p, i))
		return ERR_OK;
	if ((s.p[0] & 0x80) != 0 || (s.len == 1 && s.p[0] == 0))
		return refuse(why, "the serial number is not positive");
	if (s.len > CERT_SERIAL_MAX)
		return why_set(why, ERR_REFUSED,
			       "a serial number of %zu octets, at most %d are "
			       "allowed",
			       s.len, CERT_SERIAL_MAX);
	return ERR_OK;
}

typedef enum err rule_fn(const struct chain_path *p, size_t i, struct why *why);

static rule_fn *const rules[CHAIN_RULE_CNT] = {
	[CHAIN_RULE_SIG_ALG] = rule_sig_alg,
	[CHAIN_RULE_KEY_SIZE] = rule_key_size,
	[CHAIN_RULE_NAME_CONSTRAINTS] = rule_name_constraints,
	[CHAIN_RULE_KEY_IDS] = rule_key_ids,
	[CHAIN_RULE_CRITICALITY] = rule_criticality,
	[CHAIN_RULE_LEAF_NOT_CA] = rule_leaf_not_ca,
	[CHAIN_RULE_DNS_CHARSET] = rule_dns_charset,
	[CHAIN_RULE_SERIAL] = rule_serial,
};

const char *const chain_rule_names[CHAIN_RULE_CNT + 1] = {
	[CHAIN_RULE_SIG_ALG] = "sig-alg",
	[CHAIN_RULE_KEY_SIZE] = "key-size",
	[CHAIN_RULE_NAME_CONSTRAINTS] = "name-constraints",
	[CHAIN_RULE_KEY_IDS] = "key-ids",
	[CHAIN_RULE_CRITICALITY] = "criticality",
	[CHAIN_RULE_LEAF_NOT_CA] = "leaf-not-ca",
	[CHAIN_RULE_DNS_CHARSET] = "dns-charset",
	[CHAIN_RULE_SERIAL] = "serial",
};

enum err
chain_rule_add_warn(struct slice name, struct why *why, uint32_t *out)
{
	for (unsigned r = 0; r < CHAIN_RULE_CNT; r++) {
		if (!slice_is_str(name, chain_rule_names[r]))
			continue;
		if ((CHAIN_WARN_ALL & 1U << r) == 0)
			return why_set(why, ERR_CONFIG,
				       "the rule %s cannot be a warning: "
				       "without it anybody may become "
				       "somebody",
				       chain_rule_names[r]);
		*out |= 1U << r;
		return ERR_OK;
	}
	return why_set(why, ERR_CONFIG,
		       "no rule \"%.*s\"; key-ids, criticality, leaf-not-ca, "
		       "dns-charset and serial can be warnings",
		       SLICE_FMT(slice_sub(name, 0, 40)));
}

static enum err
run_rule(const struct chain_path *p, unsigned r, struct why *why,
	 struct chain_result *result)
{
	bool is_warning = (p->opts->warn_rules & (1U << r)) != 0;
	struct why said = {0};
	enum err ret;

	for (size_t i = 0; i < p->cnt; i++) {
		ret = rules[r](p, i, &said);
		if (ret == ERR_OK)
			continue;
		ret = why_prefix(&said, ret, "rule %s", chain_rule_names[r]);
		ret = name_cert(p, i, &said, ret);
		if (!is_warning)
			return why_set(why, ret, "%s", said.text);
		if (result->warned_rules == 0)
			result->warning = said;
		result->warned_rules |= 1U << r;
		return ERR_OK;
	}
	return ERR_OK;
}

/* -- what is no rule to be chosen */

/* Every URI below a CA against that CA's constraints. */
static enum err
check_uris(const struct chain_path *p, size_t below, struct slice nc,
	   struct why *why)
{
	struct san_name name;
	struct slice cursor;
	enum err ret;

	for (size_t i = 0; i < below; i++) {
		cursor = p->certs[i]->san.raw;
		while (san_next(&cursor, &name)) {
			if (name.kind != SAN_URI)
				continue;
			ret = name_constraints_check_uri(nc, name.value, why);
			if (ret != ERR_OK)
				return name_cert(p, i, why, ret);
		}
	}
	return ERR_OK;
}

static enum err
check_uri_constraints(const struct chain_path *p, struct why *why)
{
	enum err ret;

	for (size_t i = 1; i < p->cnt; i++) {
		if (!p->certs[i]->has_name_constraints)
			continue;
		ret = check_uris(p, i, p->certs[i]->name_constraints, why);
		if (ret != ERR_OK)
			return ret;
	}
	return ERR_OK;
}

static bool
eku_allows(const struct cert *c, enum chain_purpose purpose, bool is_leaf)
{
	if (!c->has_ext_key_usage || (c->eku_any && !is_leaf))
		return true;
	return purpose == CHAIN_TLS_SERVER ? c->eku_server : c->eku_client;
}

static enum err
check_purpose(const struct chain_path *p, struct why *why)
{
	enum chain_purpose purpose = p->opts->purpose;
	const struct cert *leaf = p->certs[0];
	enum err ret;

	if (purpose == CHAIN_ANY)
		return ERR_OK;
	for (size_t i = 0; i < p->cnt; i++) {
		if (eku_allows(p->certs[i], purpose, i == 0))
			continue;
		ret = why_set(why, ERR_REFUSED,
			      "its extKeyUsage does not include %s",
			      purpose == CHAIN_TLS_SERVER ? "serverAuth"
							  : "clientAuth");
		return name_cert(p, i, why, ret);
	}
	if (leaf->has_key_usage &&
	    (leaf->key_usage & CERT_KU_DIGITAL_SIGNATURE) == 0) {
		ret = refuse(why, "its keyUsage lacks digitalSignature, which "
				  "TLS needs");
		return name_cert(p, 0, why, ret);
	}
	return ERR_OK;
}

static enum err
check_spiffe(const struct chain_path *p, struct why *why)
{
	struct spiffe_id id;
	enum err ret;

	if (!p->opts->spiffe)
		return ERR_OK;
	if ((ret = svid_check_leaf(p->certs[0], why, &id)) != ERR_OK)
		return name_cert(p, 0, why, ret);
	if (slice_is_eq(id.trust_domain, p->trust_domain))
		return ERR_OK;
	return why_set(why, ERR_UNTRUSTED,
		       "certificate 0 is of trust domain %.*s, the bundle is "
		       "that of %.*s",
		       SLICE_FMT(slice_sub(id.trust_domain, 0, 100)),
		       SLICE_FMT(slice_sub(p->trust_domain, 0, 100)));
}

static enum err
check_host(const struct chain_path *p, struct why *why)
{
	char text[CERT_TEXT_MAX];

	if (p->opts->host == NULL ||
	    san_has_host(&p->certs[0]->san, p->opts->host))
		return ERR_OK;
	cert_describe(p->certs[0], text);
	return why_set(why, ERR_MISMATCH,
		       "certificate 0 has no SAN for the host %s: %s",
		       p->opts->host, text);
}

enum err
chain_rules_check(const struct chain_path *p, struct why *why,
		  struct chain_result *result)
{
	enum err ret;

	must((p->opts->warn_rules & ~(uint32_t)CHAIN_WARN_ALL) == 0);
	for (unsigned r = 0; r < CHAIN_RULE_CNT; r++) {
		if ((ret = run_rule(p, r, why, result)) != ERR_OK)
			return ret;
	}
	if ((ret = check_uri_constraints(p, why)) != ERR_OK)
		return ret;
	if ((ret = check_purpose(p, why)) != ERR_OK)
		return ret;
	if ((ret = check_spiffe(p, why)) != ERR_OK)
		return ret;
	return check_host(p, why);
}
