/* signer_issuer.c - where the CA comes from.
 *
 * self-signed: the signer's own folder, made at the first start. files: the
 * supervisor hands over what lies in issuer.dir: "begin", one descriptor a
 * file, and "end" if all that is there could be opened; the set is checked
 * whole, and only a good one replaces what is in force. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "ca/metrics.h"
#include "ca/signer_int.h"
#include "os/os.h"
#include "pki/chain.h"

enum {
	/* How soon it is seen that the wall clock was set. */
	RENEWAL_CHECK_MAX_MS = 60000
};

void
signer_forget_files(struct signer *s)
{
	for (size_t i = 0; i < s->file_cnt; i++)
		secret_free(s->files[i].bytes);
	s->file_cnt = 0;
}

static struct issuer_self
signer_self_options(const struct signer *s)
{
	static const struct {
		enum key_kind kind;
		unsigned bits;
	} keys[] = {
		{KEY_EC_P256, 0}, {KEY_EC_P384, 0}, {KEY_RSA, 2048},
		{KEY_RSA, 3072},  {KEY_RSA, 4096},
	};

	return (struct issuer_self){
		.trust_domain = slice_of_str(s->conf.trust_domain),
		.key_kind = keys[s->conf.issuer_key].kind,
		.rsa_bits = keys[s->conf.issuer_key].bits,
		.ttl_ms = s->conf.issuer_ttl_ms,
		.two_tiers = s->conf.issuer_tiers == 2,
		.issuing_ttl_ms = s->conf.issuer_issuing_ttl_ms,
		.name_constraints = s->conf.issuer_name_constraints,
	};
}

/* ---- plugged-in files -------------------------------------------------- */

static void
signer_note_reload(struct signer *s, enum err e, const struct why *why)
{
	metric_set(s->metrics, M_ISSUER_RELOAD_FAILED, 0, e != ERR_OK);
	if (e == ERR_OK) {
		s->reload_text[0] = '\0';
		return;
	}
	(void)snprintf(s->reload_text, sizeof(s->reload_text),
		       "%.150s: %.200s; %s", s->conf.issuer_dir,
		       why_text(why, e),
		       s->issuer == NULL ? "nothing can be issued"
					 : "the CA before it stays in force");
	log_error("signer.issuer", "%s", s->reload_text);
}

static bool
signer_is_same_issuer(const struct issuer *a, const struct issuer *b)
{
	struct slice chain_a[ISSUER_CHAIN_MAX];
	struct slice chain_b[ISSUER_CHAIN_MAX];
	size_t cnt = issuer_get_chain(a, chain_a);

	if (!slice_is_eq(issuer_get_cert(a), issuer_get_cert(b)) ||
	    !slice_is_eq(pki_bundle_get_pem(issuer_get_roots(a)),
			 pki_bundle_get_pem(issuer_get_roots(b))) ||
	    issuer_get_chain(b, chain_b) != cnt)
		return false;
	for (size_t i = 0; i < cnt; i++) {
		if (!slice_is_eq(chain_a[i], chain_b[i]))
			return false;
	}
	return true;
}

static enum err
signer_load_files(struct signer *s, struct why *why)
{
	struct issuer_file list[SIGNER_FILES_MAX];
	struct issuer *fresh = NULL;
	enum err ret;

	for (size_t i = 0; i < s->file_cnt; i++) {
		list[i].name = s->files[i].name;
		list[i].bytes = secret_get(s->files[i].bytes);
	}
	/* Without one of its files it could be good, and another CA's. */
	if (!s->is_set_whole)
		ret = why_set(why, ERR_IO, "not all files could be read");
	else
		ret = issuer_open_files(
			list, s->file_cnt, slice_of_str(s->conf.trust_domain),
			ca_conf_warn_rules(&s->conf), wall_now(), why, &fresh);
	signer_note_reload(s, ret, why);
	signer_forget_files(s);
	if (ret != ERR_OK)
		return ret;
	/* Events come in bursts; the same CA again is no change. */
	if (s->issuer != NULL && signer_is_same_issuer(s->issuer, fresh)) {
		issuer_free(fresh);
		signer_send_chain(s);
		return ERR_OK;
	}
	log_info("signer.issuer", "%s: the plugged-in CA is in force",
		 s->conf.issuer_dir);
	if (issuer_get_warned_rules(fresh) != 0)
		log_warn("signer.issuer", "chain.warn: %s",
			 issuer_get_warning(fresh));
	metric_add_bits(s->metrics, M_CHAIN_WARNINGS,
			issuer_get_warned_rules(fresh));
	signer_take_issuer(s, fresh);
	return ERR_OK;
}

void
signer_take_file(struct signer *s, const char *name, int fd)
{
	struct signer_file *f;
	struct why why = {0};
	enum err ret;

	if (strcmp(name, "begin") == 0) {
		signer_forget_files(s);
		s->is_set_whole = s->is_file_unread = false;
		return;
	}
	if (strcmp(name, "end") == 0) {
		s->is_set_whole = !s->is_file_unread;
		if (s->started && signer_load_files(s, &why) != ERR_OK)
			signer_send_chain(s);
		return;
	}
	if (s->file_cnt == SIGNER_FILES_MAX)
		return;
	f = &s->files[s->file_cnt];
	ret = os_fd_read_secret(fd, SIGNER_FILE_MAX, &f->bytes);
	if (ret == ERR_OK) {
		(void)snprintf(f->name, sizeof(f->name), "%s", name);
		s->file_cnt++;
		return;
	}
	log_warn("signer.issuer",
		 "%s/%s cannot be read (%s); at most it may have %d bytes",
		 s->conf.issuer_dir, name, err_text(ret), SIGNER_FILE_MAX);
	s->is_file_unread = true;
	if (err_class(ret) == ERR_CLASS_ENV)
		role_ask_again(s->role);
}

/* ---- start ------------------------------------------------------------- */

static void signer_plan_renewal(struct signer *s);

static bool
signer_is_renewal_due(const struct signer *s, struct wall now)
{
	struct wall from = issuer_get_not_before(s->issuer);
	struct wall to = issuer_get_not_after(s->issuer);

	return wall_is_before(now, from) ||
	       wall_diff_ms(to, now) < wall_diff_ms(to, from) / 5;
}

/* An issuing CA of ours is renewed when a fifth of its life is left, or when
 * the clock was set back to before its beginning; the same function that opens
 * it does so. What it finds unchanged stays in force. */
static void
signer_renew(void *arg)
{
	struct signer *s = arg;
	const struct issuer_self how = signer_self_options(s);
	struct wall now = wall_now();
	struct issuer *fresh = NULL;
	struct why why = {0};
	char *dir;
	enum err ret;

	signer_plan_renewal(s);
	if (!signer_is_renewal_due(s, now))
		return;
	dir = ca_conf_path(&s->conf, "issuer");
	ret = issuer_open_self(dir, &how, now, &why, &fresh);
	if (ret != ERR_OK) {
		log_error("signer.issuer",
			  "the issuing CA could not be renewed: %s; the one "
			  "before it stays in force, tried again in a minute",
			  why_text(&why, ret));
	} else if (signer_is_same_issuer(s->issuer, fresh)) {
		issuer_free(fresh);
	} else {
		log_info("signer.issuer", "the issuing CA was renewed");
		signer_take_issuer(s, fresh);
	}
	mem_free(dir);
}

static void
signer_plan_renewal(struct signer *s)
{
	uint64_t wait = (uint64_t)s->conf.issuer_issuing_ttl_ms / 50;

	if (s->conf.issuer_tiers != 2)
		return;
	if (wait > RENEWAL_CHECK_MAX_MS)
		wait = RENEWAL_CHECK_MAX_MS;
	must(ev_timer_start(s->loop, wait, signer_renew, s, &s->renewal) ==
	     ERR_OK);
}

static enum err
signer_open_self(struct signer *s, struct why *why)
{
	const struct issuer_self how = signer_self_options(s);
	char *dir = ca_conf_path(&s->conf, "issuer");
	struct issuer *fresh = NULL;
	enum err ret;

	ret = issuer_open_self(dir, &how, wall_now(), why, &fresh);
	mem_free(dir);
	if (ret != ERR_OK)
		return ret;
	signer_take_issuer(s, fresh);
	signer_plan_renewal(s);
	return ERR_OK;
}

enum err
signer_open_issuer(struct signer *s, struct why *why)
{
	char *path = ca_conf_path(&s->conf, "issuer/audit-key.pem");
	enum err ret;

	s->started = true;
	ret = issuer_open_key(path, KEY_EC_P256, 0, why, &s->audit_key);
	mem_free(path);
	if (ret != ERR_OK)
		return ret;
	if (s->conf.issuer_kind == CA_ISSUER_SELF_SIGNED)
		return signer_open_self(s, why);
	/* A bad set at the start leaves nothing in force: the role stays and
	 * waits for a good one, and says so. */
	if (signer_load_files(s, why) != ERR_OK)
		signer_send_chain(s);
	return ERR_OK;
}

/* ---- for the others ---------------------------------------------------- */

void
signer_describe_chain(const struct signer *s, struct msg_chain *out)
{
	const struct pki_bundle *roots;
	const char *warning;
	size_t root_cnt;

	*out = (struct msg_chain){0};
	out->warning = slice_of_str(s->reload_text);
	if (s->issuer == NULL)
		return;
	roots = issuer_get_roots(s->issuer);
	root_cnt = pki_bundle_count(roots);
	warning = s->reload_text[0] != '\0' ? s->reload_text
					    : issuer_get_warning(s->issuer);
	out->generation = s->generation;
	if ((issuer_get_flags(s->issuer) & ISSUER_NO_CRL_SIGN) != 0)
		out->flags = MSG_CHAIN_NO_CRL_SIGN;
	out->not_before = issuer_get_not_before(s->issuer);
	out->not_after = issuer_get_not_after(s->issuer);
	out->warning = slice_of_str(warning);
	out->chain_cnt = issuer_get_chain(s->issuer, out->ders);
	for (size_t i = 0;
	     i < root_cnt && out->chain_cnt + i < MSG_CHAIN_CERTS_MAX; i++) {
		out->ders[out->chain_cnt + i] = pki_bundle_get(roots, i);
		out->root_cnt++;
	}
}
