/* renew.c - see renew.h. A machine of three states:
 *
 *   ASKING   a connection is under way, the key is made beside it, the CSR is
 *            out; then the answer is checked whole, and only then put in place
 *   WAITING  for the planned renewal, with a certificate in force
 *   PAUSING  after a failure, longer each time; what is in force stays
 *
 * The key is kept over the attempts of one renewal: a one-time token may be
 * repeated with the same key where an answer was lost. Waiting is in steps of a
 * minute against both clocks, so that neither a suspended machine nor a clock
 * that was set makes it late. */
#include "agent/renew.h"

#include <inttypes.h>
#include <string.h>

#include "agent/answer.h"
#include "agent/plan.h"
#include "agent/upstream.h"
#include "base/mem.h"
#include "base/rand.h"
#include "custody/custody.h"
#include "os/os.h"
#include "pki/csr.h"
#include "tls/tls.h"

enum {
	STEP_MS = 60000,
	CSR_MAX_LEN = 16384,
	CHAIN_MAX = 32,
	ROOTS_MAX = 256
};

enum renew_state {
	RENEW_ASKING = 1,
	RENEW_WAITING,
	RENEW_PAUSING
};

struct agent_renew {
	struct agent *a;
	enum renew_state state;
	struct upstream *up;
	struct custody_key *key; /* of the renewal under way */
	struct ev_defer make_key;
	struct ev_timer *timer;
	struct mono asked;

	bool has_certificate;
	struct sds_secret *own; /* the one in force, for ca.renew_by_cert */
	struct wall received;
	struct wall not_before;
	struct wall not_after;
	struct wall next;
	struct mono next_mono;
	char *trust_domain_id; /* "spiffe://td" */

	unsigned failures;
	struct wall failing_since;
	bool unauthenticated;
	struct mono unauthenticated_since;
	struct why error;
	const char *advice; /* what to do about it; "": nothing special */
	struct why warning;
};

static void renew_ask(struct agent_renew *r);
static void renew_wait(struct agent_renew *r);

/* ---- waiting ------------------------------------------------------------- */

static bool
renew_is_due(const struct agent_renew *r)
{
	return !wall_is_before(wall_now(), r->next) ||
	       !mono_is_before(mono_now(), r->next_mono);
}

/* By the wall clock as it is now; it may have been set since the plan. */
static struct wall
renew_find_next(const struct agent_renew *r)
{
	struct wall by_mono = wall_now();

	by_mono.ms += (int64_t)mono_diff_ms(r->next_mono, mono_now());
	return wall_is_before(by_mono, r->next) ? by_mono : r->next;
}

static void
renew_on_timer(void *arg)
{
	struct agent_renew *r = arg;

	if (renew_is_due(r))
		renew_ask(r);
	else
		renew_wait(r);
}

static void
renew_wait(struct agent_renew *r)
{
	uint64_t left = mono_diff_ms(r->next_mono, mono_now());

	must(ev_timer_start(r->a->loop, left < STEP_MS ? left + 1 : STEP_MS,
			    renew_on_timer, r, &r->timer) == ERR_OK);
}

static void
renew_plan(struct agent_renew *r, enum renew_state state, int64_t after_ms)
{
	r->state = state;
	r->next = wall_now();
	r->next.ms += after_ms;
	r->next_mono = mono_add_ms(mono_now(), (uint64_t)after_ms);
	metric_set(r->a->metrics, AM_RENEW_TIMESTAMP, 0, wall_sec(r->next));
	renew_wait(r);
}

static uint64_t
random_u64(void)
{
	uint64_t v;

	rand_bytes((uint8_t *)&v, sizeof(v));
	return v;
}

/* ---- failures ------------------------------------------------------------ */

/* How long a CA that does not know us is asked as if it were down. */
static bool
renew_is_hopeless(struct agent_renew *r, enum err e)
{
	if (e != ERR_UNAUTHENTICATED && e != ERR_DENIED) {
		r->unauthenticated = false;
		return false;
	}
	if (!r->unauthenticated) {
		r->unauthenticated = true;
		r->unauthenticated_since = mono_now();
	}
	return mono_diff_ms(mono_now(), r->unauthenticated_since) >=
	       (uint64_t)r->a->conf.ca_unauthenticated_ms;
}

/* What to do about it, where the error's text, from deep below, cannot know. */
static const char *
renew_advise(const struct agent_renew *r, enum err e, int64_t left_ms)
{
	if (e == ERR_EXPIRED || e == ERR_NOT_YET_VALID)
		return "compare the clocks of this host and of the CA";
	if (e == ERR_UNAUTHENTICATED && r->has_certificate && left_ms <= 0)
		return "an expired certificate proves nothing: put a token "
		       "into ca.token_file";
	return "";
}

static void
renew_log_failure(const struct agent_renew *r, int64_t left_ms,
		  int64_t pause_ms)
{
	const char *ca = r->a->conf.ca_address;
	char left[DURATION_TEXT_MAX], pause[DURATION_TEXT_MAX];
	char *error = mem_printf("%s%s%s", r->error.text,
				 *r->advice == '\0' ? "" : "; ", r->advice);

	duration_format(pause_ms, pause);
	if (!r->has_certificate) {
		log_warn("ca.request",
			 "no certificate from %s, attempt %u: %s; next attempt "
			 "in %s",
			 ca, r->failures, error, pause);
	} else if (left_ms > 0) {
		duration_format(left_ms, left);
		log_warn("ca.request",
			 "not renewed by %s, attempt %u: %s; the certificate "
			 "in force stays for %s, next attempt in %s",
			 ca, r->failures, error, left, pause);
	} else {
		log_error("ca.request",
			  "not renewed by %s, attempt %u: %s; the certificate "
			  "HAS EXPIRED and peers refuse it; next attempt in "
			  "%s",
			  ca, r->failures, error, pause);
	}
	mem_free(error);
}

static void
renew_fail(struct agent_renew *r, enum err e, uint64_t asked_ms)
{
	const struct agent_conf *c = &r->a->conf;
	struct plan_retry retry = {c->ca_retry_min_ms, c->ca_retry_max_ms};
	struct wall now = wall_now();
	int64_t left = r->has_certificate ? wall_diff_ms(r->not_after, now) : 0;
	int64_t pause;

	if (r->failures++ == 0)
		r->failing_since = now;
	r->advice = renew_advise(r, e, left);
	metric_add(r->a->metrics, AM_REQUEST_CAUSE, err_index(e), 1);
	metric_add(r->a->metrics, AM_OUTGOING_FAILED, 0, 1);
	if (renew_is_hopeless(r, e))
		retry.min_ms = retry.max_ms;
	pause = plan_asked_retry_ms(&retry, r->failures, left > 0 ? left : 0,
				    asked_ms, random_u64());
	renew_log_failure(r, left, pause);
	renew_plan(r, RENEW_PAUSING, pause);
}

/* ---- putting in place ---------------------------------------------------- */

static enum err
renew_put_alias(struct agent_renew *r, const struct sds_secret *s,
		const char *name)
{
	struct sds_secret *alias = NULL;
	enum err ret = sds_secret_alias(s, name, &alias);

	if (ret == ERR_OK)
		sds_secrets_set(r->a->secrets, alias);
	sds_secret_unref(alias);
	return ret;
}

static enum err
renew_make_root(const struct answer *ans, const char *source, struct why *why,
		struct sds_secret **out)
{
	struct slice roots[ROOTS_MAX];
	struct sds_validation v = {
		.name = AGENT_NAME_ROOT,
		.source = source,
		.roots = roots,
		.root_cnt = pki_bundle_count(ans->roots),
	};

	if (v.root_cnt > ROOTS_MAX)
		return why_set(why, ERR_LIMIT, "more than %d roots", ROOTS_MAX);
	for (size_t i = 0; i < v.root_cnt; i++)
		roots[i] = pki_bundle_get(ans->roots, i);
	return sds_secret_new_validation(&v, why, out);
}

static enum err
renew_make_identity(struct agent_renew *r, const struct answer *ans,
		    const char *source, struct why *why,
		    struct sds_secret **out)
{
	const struct privkey *key = custody_get_privkey(r->key);
	enum privkey_form form = r->a->conf.key_pkcs8 ? PRIVKEY_PKCS8_PEM
						      : PRIVKEY_TRADITIONAL_PEM;
	struct slice chain[CHAIN_MAX];
	struct sds_certificate c = {
		.name = AGENT_NAME_DEFAULT,
		.source = source,
		.chain = chain,
		.chain_cnt = ans->chain.cnt,
	};
	struct secret *pem = NULL, *pkcs8 = NULL;
	enum err ret;

	for (size_t i = 0; i < ans->chain.cnt && i < CHAIN_MAX; i++)
		chain[i] = cert_list_get(&ans->chain, i);
	if ((ret = privkey_export(key, form, &pem)) != ERR_OK ||
	    (ret = privkey_export(key, PRIVKEY_PKCS8_DER, &pkcs8)) != ERR_OK) {
		why_set(why, ret, "the key cannot be exported: %s",
			err_text(ret));
		goto out;
	}
	c.key_pem = pem;
	c.key_pkcs8 = pkcs8;
	ret = sds_secret_new_certificate(&c, why, out);
out:
	secret_free(pem);
	secret_free(pkcs8);
	return ret;
}

/* What shows us to the CA at a renewal; NULL: nothing does. It is made for the
 * one attempt, because the library keeps a key in ordinary memory while it has
 * it; between renewals it rests in the snapshot only, which is locked. */
static struct tls_identity *
renew_make_own(const struct agent_renew *r)
{
	struct slice chain[CHAIN_MAX];
	struct privkey *parsed = NULL;
	struct custody_key *key = NULL;
	struct tls_identity *own = NULL;
	struct why why = {0};
	size_t cnt;
	enum err ret;

	if (r->own == NULL || !wall_is_before(wall_now(), r->not_after))
		return NULL;
	cnt = sds_secret_get_cert_count(r->own);
	for (size_t i = 0; i < cnt && i < CHAIN_MAX; i++)
		chain[i] = sds_secret_get_cert(r->own, i);
	ret = privkey_parse(sds_secret_get_key_pkcs8(r->own), &why, &parsed);
	if (ret == ERR_OK)
		ret = custody_memory_new(parsed, &key);
	if (ret == ERR_OK)
		ret = tls_identity_new(chain, cnt, key, &why, &own);
	if (ret != ERR_OK)
		log_warn("ca.client_cert",
			 "the certificate in force cannot be shown to the CA: "
			 "%s",
			 why_text(&why, ret));
	custody_unref(key);
	return own;
}

static void
renew_tell(struct agent_renew *r, const struct answer *ans, bool root_changed)
{
	char serial[2 * CERT_SERIAL_MAX + 8], end[WALL_TEXT_MAX],
		next[WALL_TEXT_MAX], took[DURATION_TEXT_MAX];
	struct cert leaf;

	if (cert_parse(cert_list_get(&ans->chain, 0), NULL, &leaf) != ERR_OK)
		return;
	cert_serial_format(leaf.serial, serial);
	wall_format(r->not_after, end);
	wall_format(r->next, next);
	duration_format((int64_t)mono_diff_ms(mono_now(), r->asked), took);
	log_info("certificate",
		 "identity=%s serial=%s ends=%s next_renewal=%s took=%s",
		 r->a->conf.identity, serial, end, next, took);
	if (root_changed)
		log_info("roots", "changed: the CA sent %zu",
			 pki_bundle_count(ans->roots));
	if (wall_is_before(r->received, ans->not_before))
		log_warn("clock",
			 "the certificate begins %" PRId64 " ms in the "
			 "future: the clock of this host is late, or that of "
			 "the CA early",
			 wall_diff_ms(ans->not_before, r->received));
	if (strcmp(ans->warning.text, r->warning.text) != 0 &&
	    ans->warning.text[0] != '\0')
		log_warn("certificate", "chain.warn: %s", ans->warning.text);
	r->warning = ans->warning;
}

/* Roots first: whoever gets the new certificate can be checked by those who
 * have just been told. What is mounted as files is left to files.c: a folder
 * may hold the pair and no roots, which then come from the CA. */
static enum err
renew_put(struct agent_renew *r, const struct answer *ans, bool *root_changed,
	  struct why *why)
{
	struct sds_secrets *table = r->a->secrets;
	char *source = mem_printf("ca %s", r->a->conf.ca_address);
	struct sds_secret *root = NULL, *id = NULL, *old;
	enum err ret;

	*root_changed = false;
	if ((ret = renew_make_root(ans, source, why, &root)) != ERR_OK ||
	    (ret = renew_make_identity(r, ans, source, why, &id)) != ERR_OK)
		goto out;
	old = sds_secrets_get(table, AGENT_NAME_ROOT);
	*root_changed =
		old != NULL && strcmp(sds_secret_get_version(old),
				      sds_secret_get_version(root)) != 0;
	if (r->a->defaults.root == NULL) {
		sds_secrets_set(table, root);
		ret = renew_put_alias(r, root, r->trust_domain_id);
		metric_set(r->a->metrics, AM_ROOT_EXPIRY_TIMESTAMP, 0,
			   wall_sec(sds_secret_get_not_after(root)));
	}
	if (ret == ERR_OK && r->a->defaults.chain == NULL) {
		sds_secrets_set(table, id);
		ret = renew_put_alias(r, id, r->a->conf.identity);
	}
	if (ret != ERR_OK)
		log_warn("certificate", "an alias was not made: %s",
			 err_text(ret));
	ret = ERR_OK;
	sds_secret_unref(r->own);
	r->own = TAKE(id);
out:
	sds_secret_unref(root);
	sds_secret_unref(id);
	mem_free(source);
	return ret;
}

static enum err
renew_take(struct agent_renew *r, const struct upstream_answer *answer,
	   struct why *why)
{
	const struct agent_conf *c = &r->a->conf;
	const struct answer_wanted wanted = {
		.identity = slice_of_str(c->identity),
		.trust_domain = slice_of_str(c->trust_domain),
		.spki = custody_get_spki(r->key),
		.now = wall_now(),
		.warn_rules = c->warn_rules,
	};
	const struct plan_renewal plan = {c->renew_ratio_ppm,
					  c->renew_jitter_ppm,
					  c->cert_renew_floor_ms};
	struct answer ans;
	struct wall base;
	bool root_changed;
	enum err ret;

	ret = answer_check(answer->entries, answer->entry_cnt, &wanted, why,
			   &ans);
	if (ret != ERR_OK)
		return ret;
	if ((ret = renew_put(r, &ans, &root_changed, why)) != ERR_OK)
		goto out;
	custody_unref(TAKE(r->key));
	r->has_certificate = true;
	r->received = wanted.now;
	r->not_before = ans.not_before;
	r->not_after = ans.not_after;
	base = plan_base(r->received, ans.not_before, r->not_after,
			 c->cert_ttl_ms);
	r->failures = 0;
	r->unauthenticated = false;
	r->error.text[0] = '\0';
	metric_add(r->a->metrics, AM_ISSUED, 0, 1);
	metric_add_bits(r->a->metrics, AM_CHAIN_WARNINGS, ans.warned_rules);
	metric_set(r->a->metrics, AM_CERT_EXPIRY_TIMESTAMP, 0,
		   wall_sec(r->not_after));
	renew_plan(
		r, RENEW_WAITING,
		plan_renew_ms(&plan, base, r->not_after, base, random_u64()));
	renew_tell(r, &ans, root_changed);
out:
	answer_fini(&ans);
	return ret;
}

/* ---- asking -------------------------------------------------------------- */

static void
renew_on_answer(void *arg, enum err e, const char *detail,
		const struct upstream_answer *answer)
{
	struct agent_renew *r = arg;
	uint64_t ms = mono_diff_ms(mono_now(), r->asked);

	r->up = NULL;
	ev_defer_cancel(&r->make_key);
	metric_add(r->a->metrics, AM_OUTGOING_LATENCY, 0, ms);
	metric_observe_ns(r->a->metrics, AM_REQUEST_TIME, 0, ms * 1000000);
	r->error.text[0] = '\0';
	if (e != ERR_OK) {
		why_set(&r->error, e, "%s", detail);
	} else if ((e = renew_take(r, answer, &r->error)) != ERR_OK) {
		metric_add(r->a->metrics, AM_REFUSED, 0, 1);
		why_prefix(&r->error, e, "the answer is refused");
	}
	if (e != ERR_OK)
		renew_fail(r, e, answer->retry_ms);
	/* TLS and the answer were a burst; what is left is small. */
	os_mem_trim();
}

static enum err
renew_make_new_key(struct agent_renew *r)
{
	static const enum key_kind kinds[] = {KEY_EC_P256, KEY_EC_P384,
					      KEY_RSA};
	struct privkey *key = NULL;
	enum err ret;

	if (r->key != NULL)
		return ERR_OK;
	ret = privkey_new(kinds[r->a->conf.key_kind],
			  (unsigned)r->a->conf.key_rsa_bits, &key);
	if (ret != ERR_OK)
		return ret;
	return custody_memory_new(key, &r->key);
}

/* Behind the first step of connecting: its packets travel meanwhile. */
static void
renew_on_make_key(void *arg)
{
	struct agent_renew *r = arg;
	struct buf csr;
	enum err ret;

	buf_init(&csr, CSR_MAX_LEN);
	ret = renew_make_new_key(r);
	if (ret == ERR_OK)
		ret = csr_build_pem(r->key, slice_of_str(r->a->conf.identity),
				    NULL, &csr);
	if (ret == ERR_OK) {
		upstream_send(r->up, buf_get(&csr));
	} else {
		upstream_cancel(&r->up);
		why_set(&r->error, ret, "key and request: %s", err_text(ret));
		renew_fail(r, ret, 0);
	}
	buf_fini(&csr);
}

static void
renew_ask(struct agent_renew *r)
{
	struct tls_identity *own = renew_make_own(r);
	struct why why = {0};
	enum err ret;

	ev_timer_cancel(&r->timer);
	r->state = RENEW_ASKING;
	r->asked = mono_now();
	metric_add(r->a->metrics, AM_OUTGOING, 0, 1);
	if (r->failures > 0)
		metric_add(r->a->metrics, AM_OUTGOING_RETRIES, 0, 1);
	ret = upstream_start(r->a, own, renew_on_answer, r, &why, &r->up);
	tls_identity_unref(own);
	if (ret != ERR_OK) {
		/* Until then the error of the last attempt stands. */
		r->error = why;
		renew_fail(r, ret, 0);
		return;
	}
	ev_defer_queue(r->a->loop, &r->make_key, renew_on_make_key, r);
}

void
agent_renew_on_clock(struct agent_renew *r)
{
	if (r->state == RENEW_ASKING)
		return;
	if (r->state == RENEW_PAUSING || renew_is_due(r))
		renew_ask(r);
	else
		metric_set(r->a->metrics, AM_RENEW_TIMESTAMP, 0,
			   wall_sec(renew_find_next(r)));
}

void
agent_renew_stop(struct agent_renew *r)
{
	if (r->state == RENEW_WAITING)
		return;
	upstream_cancel(&r->up);
	ev_defer_cancel(&r->make_key);
	ev_timer_cancel(&r->timer);
	/* The key may be of another kind now. */
	custody_unref(TAKE(r->key));
	r->state = RENEW_PAUSING;
}

void
agent_renew_resume(struct agent_renew *r)
{
	if (r->state == RENEW_PAUSING)
		renew_ask(r);
}

void
agent_renew_now(struct agent_renew *r)
{
	if (r->state != RENEW_ASKING)
		renew_ask(r);
}

bool
agent_renew_serves(const struct agent_renew *r, const char *name)
{
	return strcmp(name, AGENT_NAME_DEFAULT) == 0 ||
	       strcmp(name, AGENT_NAME_ROOT) == 0 ||
	       strcmp(name, r->a->conf.identity) == 0 ||
	       strcmp(name, r->trust_domain_id) == 0;
}

void
agent_renew_get_state(const struct agent_renew *r,
		      struct agent_renew_state *out)
{
	*out = (struct agent_renew_state){
		.has_certificate = r->has_certificate,
		.asking = r->state == RENEW_ASKING,
		.received = r->received,
		.not_before = r->not_before,
		.not_after = r->not_after,
		.next = renew_find_next(r),
		.failures = r->failures,
		.failing_since = r->failing_since,
		.error = r->failures > 0 ? r->error.text : "",
		.advice = r->failures > 0 ? r->advice : "",
		.warning = r->warning.text,
	};
}

struct agent_renew *
agent_renew_new(struct agent *a)
{
	struct agent_renew *r = MEM_NEW(struct agent_renew);

	r->a = a;
	r->advice = "";
	r->trust_domain_id = mem_printf("spiffe://%s", a->conf.trust_domain);
	renew_ask(r);
	return r;
}

void
agent_renew_free(struct agent_renew *r)
{
	if (r == NULL)
		return;
	upstream_cancel(&r->up);
	ev_timer_cancel(&r->timer);
	ev_defer_cancel(&r->make_key);
	custody_unref(r->key);
	sds_secret_unref(r->own);
	mem_free(r->trust_domain_id);
	mem_free(r);
}
