/* view.c - see view.h. */
#include "meshcert/view.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/hash.h"
#include "pki/spiffe_id.h"

enum {
	VIEW_NAME_MAX = 2200
};

/* see view.h */
void
view_time(struct wall t, char out[VIEW_TIME_MAX])
{
	char text[WALL_TEXT_MAX];
	char *dot;

	wall_format(t, text);
	if ((dot = strchr(text, '.')) != NULL)
		memcpy(dot, "Z", 2);
	(void)snprintf(out, VIEW_TIME_MAX, "%.23s", text);
}

/* see view.h */
void
view_serial(struct slice serial, char out[VIEW_SERIAL_MAX])
{
	char hex[2 * CERT_SERIAL_MAX + 8];
	const char *p = hex;
	size_t len;

	cert_serial_format(slice_sub(serial, 0, CERT_SERIAL_MAX), hex);
	while (*p == '0' && p[1] != '\0')
		p++;
	len = strlen(p);
	(void)snprintf(out, VIEW_SERIAL_MAX, "%.*s%s",
		       len < 32 ? (int)(32 - len) : 0,
		       "00000000000000000000000000000000", p);
}

/* see view.h */
void
view_key(struct slice spki, char out[KEY_TEXT_MAX])
{
	struct pubkey *key;

	(void)snprintf(out, KEY_TEXT_MAX, "unknown");
	if (pubkey_parse(spki, NULL, &key) != ERR_OK)
		return;
	pubkey_describe(key, out);
	pubkey_free(key);
}

/* "URI:spiffe://...", "IP:10.0.0.1"; false: of a kind that is not shown. */
static bool
view_name(const struct san_name *n, bool with_kind, char out[VIEW_NAME_MAX])
{
	static const char *const kinds[] = {"",
					    "email:", "DNS:", "URI:", "IP:"};
	const char *kind = with_kind ? kinds[n->kind] : "";
	char ip[INET6_ADDRSTRLEN] = "?";

	if (n->kind == SAN_OTHER)
		return false;
	if (n->kind == SAN_IP) {
		(void)inet_ntop(n->value.len == 4 ? AF_INET : AF_INET6,
				n->value.p, ip, sizeof(ip));
		(void)snprintf(out, VIEW_NAME_MAX, "%s%s", kind, ip);
		return true;
	}
	(void)snprintf(out, VIEW_NAME_MAX, "%s%.*s", kind,
		       SLICE_FMT(slice_sub(n->value, 0, 2048)));
	why_clean(out); /* names are anybody's bytes */
	return true;
}

/* see view.h */
void
view_identity(const struct cert *c, char out[CERT_TEXT_MAX])
{
	struct slice cursor = c->san.raw;
	struct san_name n;
	char text[VIEW_NAME_MAX];

	if (c->has_san && c->san.uri_cnt > 0) {
		(void)snprintf(out, CERT_TEXT_MAX, "%.*s",
			       SLICE_FMT(c->san.uri));
		why_clean(out);
		return;
	}
	while (c->has_san && san_next(&cursor, &n)) {
		if (!view_name(&n, false, text))
			continue;
		(void)snprintf(out, CERT_TEXT_MAX, "%.*s", CERT_TEXT_MAX - 1,
			       text);
		return;
	}
	cert_name_format(c->subject, out);
}

/* see view.h */
bool
view_is_valid(const struct cert *c, struct wall at)
{
	return !wall_is_before(at, c->not_before) &&
	       wall_is_before(at, c->not_after);
}

/* see view.h */
struct slice
view_trust_domain(const struct cert *c)
{
	struct spiffe_id id;

	if (!c->has_san || c->san.uri_cnt == 0 ||
	    spiffe_id_parse(c->san.uri, NULL, &id) != ERR_OK)
		return SLICE_NONE;
	return id.trust_domain;
}

/* see view.h */
void
view_san_json(struct jsonw *w, const struct san *san)
{
	struct slice cursor = san->raw;
	char text[VIEW_NAME_MAX];
	struct san_name n;

	jsonw_array_open(w);
	while (san_next(&cursor, &n)) {
		if (view_name(&n, true, text))
			jsonw_str(w, slice_of_str(text));
	}
	jsonw_array_close(w);
}

/* "digitalSignature, keyCertSign" */
static void
view_usage(const struct cert *c, char out[160])
{
	static const struct {
		unsigned bit;
		const char *name;
	} bits[] = {
		{CERT_KU_DIGITAL_SIGNATURE, "digitalSignature"},
		{CERT_KU_KEY_ENCIPHERMENT, "keyEncipherment"},
		{CERT_KU_KEY_AGREEMENT, "keyAgreement"},
		{CERT_KU_CERT_SIGN, "keyCertSign"},
		{CERT_KU_CRL_SIGN, "cRLSign"},
	};
	struct {
		bool is;
		const char *name;
	} uses[] = {
		{c->eku_server, "serverAuth"},
		{c->eku_client, "clientAuth"},
		{c->eku_any, "anyExtendedKeyUsage"},
	};
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; c->has_key_usage && i < COUNT_OF(bits); i++) {
		if ((c->key_usage & bits[i].bit) != 0)
			at += (size_t)snprintf(out + at, 160 - at, "%s%s",
					       at > 0 ? ", " : "",
					       bits[i].name);
	}
	for (size_t i = 0; c->has_ext_key_usage && i < COUNT_OF(uses); i++) {
		if (uses[i].is)
			at += (size_t)snprintf(out + at, 160 - at, "%s%s",
					       at > 0 ? ", " : "",
					       uses[i].name);
	}
}

static void
view_json_extensions(struct jsonw *w, const struct cert *c)
{
	char usage[160];

	view_usage(c, usage);
	jsonw_pair_bool(w, "is_ca", c->is_ca);
	if (c->has_pathlen)
		jsonw_pair_int(w, "path_len", (int64_t)c->pathlen);
	jsonw_pair_str(w, "usage", slice_of_str(usage));
	if (c->has_san) {
		jsonw_key(w, "names");
		view_san_json(w, &c->san);
	}
	if (c->has_ski)
		jsonw_pair_hex(w, "subject_key_id", c->ski);
	if (c->has_aki)
		jsonw_pair_hex(w, "authority_key_id", c->aki);
}

/* see view.h */
void
view_json(struct jsonw *w, struct slice der, struct wall at)
{
	char text[CERT_TEXT_MAX], key[KEY_TEXT_MAX];
	char serial[VIEW_SERIAL_MAX], when[VIEW_TIME_MAX];
	uint8_t sha256[HASH_SHA256_LEN];
	struct why why = {0};
	struct cert c;
	enum err e;

	jsonw_object_open(w);
	if ((e = cert_parse(der, &why, &c)) != ERR_OK) {
		jsonw_pair_str(w, "error", slice_of_str(why_text(&why, e)));
		jsonw_object_close(w);
		return;
	}
	view_identity(&c, text);
	jsonw_pair_str(w, "identity", slice_of_str(text));
	cert_name_format(c.subject, text);
	jsonw_pair_str(w, "subject", slice_of_str(text));
	cert_name_format(c.issuer, text);
	jsonw_pair_str(w, "issuer", slice_of_str(text));
	view_serial(c.serial, serial);
	jsonw_pair_str(w, "serial_number", slice_of_str(serial));
	view_time(c.not_before, when);
	jsonw_pair_str(w, "not_before", slice_of_str(when));
	view_time(c.not_after, when);
	jsonw_pair_str(w, "not_after", slice_of_str(when));
	jsonw_pair_bool(w, "cert_valid", view_is_valid(&c, at));
	view_key(c.spki, key);
	jsonw_pair_str(w, "key", slice_of_str(key));
	jsonw_pair_str(w, "signature", slice_of_str(sig_alg_name(c.alg)));
	view_json_extensions(w, &c);
	hash_sha256(der, sha256);
	jsonw_pair_hex(w, "sha256", SLICE_ARRAY(sha256));
	jsonw_object_close(w);
}

/* see view.h */
void
view_text_names(struct buf *out, const struct san *san)
{
	struct slice cursor = san->raw;
	char text[VIEW_NAME_MAX];
	struct san_name n;

	while (san_next(&cursor, &n)) {
		if (view_name(&n, true, text))
			(void)buf_printf(out, "  name        %s\n", text);
	}
}

/* "in 23h59m", "3d ago" */
static const char *
view_age(struct wall t, struct wall at, char out[DURATION_TEXT_MAX + 8])
{
	int64_t ms = wall_diff_ms(t, at);
	char text[DURATION_TEXT_MAX];

	duration_format((ms < 0 ? -ms : ms) / 1000 * 1000, text);
	(void)snprintf(out, DURATION_TEXT_MAX + 8, ms < 0 ? "%s ago" : "in %s",
		       text);
	return out;
}

static void
view_text_times(struct buf *out, const struct cert *c, struct wall at)
{
	char from[VIEW_TIME_MAX], until[VIEW_TIME_MAX];
	char age[DURATION_TEXT_MAX + 8];

	view_time(c->not_before, from);
	view_time(c->not_after, until);
	(void)buf_printf(out, "  valid       %s to %s: ", from, until);
	if (wall_is_before(at, c->not_before))
		(void)buf_printf(out, "NOT YET VALID, begins %s\n",
				 view_age(c->not_before, at, age));
	else if (!view_is_valid(c, at))
		(void)buf_printf(out, "EXPIRED %s\n",
				 view_age(c->not_after, at, age));
	else
		(void)buf_printf(out, "ends %s\n",
				 view_age(c->not_after, at, age));
}

/* see view.h */
void
view_text(struct buf *out, struct slice der, struct wall at)
{
	char text[CERT_TEXT_MAX], key[KEY_TEXT_MAX], usage[160];
	char serial[VIEW_SERIAL_MAX];
	uint8_t sha256[HASH_SHA256_LEN];
	struct why why = {0};
	struct cert c;
	enum err e;

	if ((e = cert_parse(der, &why, &c)) != ERR_OK) {
		(void)buf_printf(out, "  UNREADABLE  %s\n", why_text(&why, e));
		return;
	}
	cert_name_format(c.subject, text);
	if (text[0] != '\0')
		(void)buf_printf(out, "  subject     %s\n", text);
	if (c.has_san)
		view_text_names(out, &c.san);
	cert_name_format(c.issuer, text);
	(void)buf_printf(out, "  issuer      %s\n", text);
	view_serial(c.serial, serial);
	(void)buf_printf(out, "  serial      %s\n", serial);
	view_text_times(out, &c, at);
	view_key(c.spki, key);
	(void)buf_printf(out, "  key         %s, signed with %s\n", key,
			 sig_alg_name(c.alg));
	view_usage(&c, usage);
	(void)buf_printf(out, "  usage       %s%s\n", c.is_ca ? "CA; " : "",
			 usage);
	hash_sha256(der, sha256);
	(void)buf_put_str(out, "  sha256      ");
	(void)buf_put_hex(out, SLICE_ARRAY(sha256));
	(void)buf_put_u8(out, '\n');
}
