/* front_serving.c - what every answer ends with, and the certificate that this
 * front shows to its callers.
 *
 * The chain comes from the signer through the authority, at start and whenever
 * the issuer changes. The one before it is kept for answers that were signed
 * just before the change. Our own certificate is asked for like any other, with
 * a key made here; it is renewed at half of its life, and at once when the
 * issuer changes or the clock was set back. The old one stays until the new one
 * is in place. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/mem.h"
#include "ca/front_int.h"
#include "crypto/pem.h"
#include "os/os.h"
#include "pki/cert.h"
#include "pki/chain.h"

enum {
	SERVING_RETRY_MS = 1000,
	/* How soon it is seen that the wall clock was set. */
	SERVING_CHECK_MS = 10000,
	SERVING_FILE_MAX = 1 << 18,
	TRUST_CACHE_MAX = 4096
};

/* ---- the chain --------------------------------------------------------- */

static void
chain_tail_free(struct chain_tail *t)
{
	if (t == NULL)
		return;
	buf_fini(&t->reply);
	for (size_t i = 0; i < t->der_cnt; i++)
		buf_fini(&t->ders[i]);
	mem_free(t);
}

static struct chain_tail *
chain_tail_new(const struct msg_chain *m)
{
	struct chain_tail *t = MEM_NEW(struct chain_tail);
	struct buf roots;

	t->generation = m->generation;
	buf_init(&t->reply, MSG_FRAME_MAX);
	buf_init(&roots, MSG_FRAME_MAX);
	for (size_t i = 0; i < m->chain_cnt; i++) {
		reply_put_cert(&t->reply, m->ders[i]);
		buf_init(&t->ders[i], CERT_MAX);
		must(buf_put(&t->ders[i], m->ders[i]) == ERR_OK);
		t->der_cnt++;
	}
	/* The whole root bundle is the last entry: clients tell it so. */
	for (size_t i = 0; i < m->root_cnt; i++)
		(void)pem_write(&roots, "CERTIFICATE",
				m->ders[m->chain_cnt + i]);
	reply_put_text(&t->reply, buf_get(&roots));
	buf_fini(&roots);
	return t;
}

const struct chain_tail *
front_find_chain(const struct front *f, uint32_t generation)
{
	if (f->chain != NULL && f->chain->generation == generation)
		return f->chain;
	if (f->chain_old != NULL && f->chain_old->generation == generation)
		return f->chain_old;
	return NULL;
}

static void
front_on_chain_warning(void *arg, const struct chain_result *result)
{
	struct front *f = arg;

	log_peer("front.client_chain", "chain.warn: %s", result->warning.text);
	metric_add_bits(f->metrics, M_CHAIN_WARNINGS, result->warned_rules);
}

/* Callers renew with certificates that chain to our own roots, over a chain
 * that others may have made. */
static enum err
front_set_trust(struct front *f, const struct msg_chain *m, struct why *why)
{
	struct pki_bundle *bundle = NULL;
	struct tls_trust *trust;
	enum err ret;

	ret = pki_bundle_new(slice_of_str(f->conf.trust_domain),
			     m->ders + m->chain_cnt, m->root_cnt, why, &bundle);
	if (ret != ERR_OK)
		return ret;
	trust = tls_trust_new(bundle, TRUST_CACHE_MAX);
	tls_trust_set_warn_rules(trust, ca_conf_warn_rules(&f->conf),
				 front_on_chain_warning, f);
	tls_ctx_set_trust(f->tls, trust);
	tls_trust_unref(trust);
	pki_bundle_unref(bundle);
	return ERR_OK;
}

static void
front_note_root_expiry(struct front *f, const struct msg_chain *m)
{
	struct cert c;

	if (cert_parse(m->ders[m->chain_cnt], NULL, &c) == ERR_OK)
		metric_set(f->metrics, M_ROOT_EXPIRY_TIMESTAMP, 0,
			   wall_sec(c.not_after));
}

enum err
front_take_chain(struct front *f, const struct msg_chain *m)
{
	bool is_new = f->chain == NULL || f->chain->generation != m->generation;
	struct why why = {0};
	enum err ret;

	if (m->root_cnt == 0)
		return ERR_PROTOCOL;
	if ((ret = front_set_trust(f, m, &why)) != ERR_OK) {
		log_error("front.chain", "%s", why.text);
		return ret;
	}
	front_note_root_expiry(f, m);
	if (!is_new)
		return ERR_OK;
	chain_tail_free(f->chain_old);
	f->chain_old = f->chain;
	f->chain = chain_tail_new(m);
	fail_point("front.chain_taken");
	front_serve(f);
	if (f->conf.serving_kind == CA_SERVING_SELF)
		front_ask_serving(f);
	return ERR_OK;
}

/* ---- our own certificate ----------------------------------------------- */

static void serving_on_timer(void *arg);

static void
serving_again(struct front *f, uint64_t after_ms)
{
	ev_timer_cancel(&f->serving_timer);
	must(ev_timer_start(f->loop, after_ms, serving_on_timer, f,
			    &f->serving_timer) == ERR_OK);
}

/* By the wall clock, which may have been set since: a certificate made while it
 * was ahead is not valid yet for any caller. */
static void
serving_on_timer(void *arg)
{
	struct front *f = arg;
	struct wall now = wall_now();
	int64_t wait_ms = wall_diff_ms(f->serving_renew_at, now);

	if (f->serving_wanted || wait_ms <= 0 ||
	    wall_is_before(now, f->serving_begins)) {
		front_ask_serving(f);
		return;
	}
	serving_again(f, wait_ms < SERVING_CHECK_MS ? (uint64_t)wait_ms
						    : SERVING_CHECK_MS);
}

static enum err
serving_make_key(struct front *f)
{
	struct privkey *key = NULL;
	enum err ret;

	/* A fresh key with each certificate: the old one has had its time. */
	custody_unref(f->serving_key);
	f->serving_key = NULL;
	if ((ret = privkey_new(KEY_EC_P256, 0, &key)) != ERR_OK)
		return ret;
	return custody_memory_new(key, &f->serving_key);
}

void
front_ask_serving(struct front *f)
{
	struct msg_issue m = {
		.profile = BUILD_SERVING,
		.auth = MSG_AUTH_SELF,
		.caller = SLICE_LIT("front"),
	};

	/* A key that a running request was made for must stay until then. */
	if (f->serving_asked || f->authority == NULL ||
	    f->conf.serving_kind != CA_SERVING_SELF)
		return;
	f->serving_wanted = true;
	if (serving_make_key(f) != ERR_OK) {
		serving_again(f, SERVING_RETRY_MS);
		return;
	}
	m.spki = custody_get_spki(f->serving_key);
	buf_reset(&f->out);
	msg_issue_write(&f->out, &m);
	f->serving_asked = ipc_send(f->authority, MSG_ISSUE, SERVING_REQUEST_ID,
				    buf_get(&f->out)) == ERR_OK;
	if (!f->serving_asked)
		serving_again(f, SERVING_RETRY_MS);
}

static enum err
serving_use(struct front *f, const struct slice *chain, size_t cnt,
	    struct custody_key *key, struct why *why)
{
	struct tls_identity *id = NULL;
	enum err ret;

	ret = tls_identity_new(chain, cnt, key, why, &id);
	if (ret != ERR_OK)
		return ret;
	tls_ctx_set_identity(f->tls, id);
	tls_identity_unref(id);
	front_serve(f);
	return ERR_OK;
}

static enum err
serving_install(struct front *f, const struct msg_result *m, struct why *why)
{
	const struct chain_tail *tail = front_find_chain(f, m->generation);
	struct slice chain[MSG_CHAIN_CERTS_MAX + 1];
	struct wall now = wall_now();
	struct cert c;
	int64_t half_ms;
	enum err ret;

	if (tail == NULL)
		return why_set(why, ERR_UNAVAILABLE, "the issuer changed");
	chain[0] = m->cert;
	for (size_t i = 0; i < tail->der_cnt; i++)
		chain[i + 1] = buf_get(&tail->ders[i]);
	if ((ret = cert_parse(m->cert, why, &c)) != ERR_OK)
		return ret;
	ret = serving_use(f, chain, tail->der_cnt + 1, f->serving_key, why);
	if (ret != ERR_OK)
		return ret;
	half_ms = wall_diff_ms(c.not_after, now) / 2;
	if (half_ms < SERVING_RETRY_MS)
		half_ms = SERVING_RETRY_MS;
	f->serving_wanted = false;
	f->serving_begins = c.not_before;
	f->serving_renew_at.ms = now.ms + half_ms;
	serving_on_timer(f);
	return ERR_OK;
}

void
front_take_serving(struct front *f, const struct msg_result *m)
{
	struct why why = {0};
	enum err ret = m->e;

	f->serving_asked = false;
	if (ret == ERR_OK)
		ret = serving_install(f, m, &why);
	else
		(void)why_set(&why, ret, "%.*s", SLICE_FMT(m->text));
	if (ret == ERR_OK)
		return;
	log_warn(
		"front.serving",
		"no certificate for this authority's own port yet: %s; the old "
		"one stays, asked again in a second",
		why_text(&why, ret));
	serving_again(f, SERVING_RETRY_MS);
}

/* ---- from files -------------------------------------------------------- */

static enum err
serving_load_files(struct front *f, struct why *why)
{
	struct privkey *parsed = NULL;
	struct custody_key *key = NULL;
	struct cert_list list = {0};
	struct slice chain[MSG_CHAIN_CERTS_MAX];
	enum err ret;

	ret = privkey_parse_pem(secret_get(f->serving_key_pem), why, &parsed);
	if (ret == ERR_OK)
		ret = custody_memory_new(TAKE(parsed), &key);
	if (ret == ERR_OK)
		ret = cert_list_read_pem(buf_get(&f->serving_cert_pem),
					 COUNT_OF(chain), why, &list);
	if (ret == ERR_OK) {
		for (size_t i = 0; i < list.cnt; i++)
			chain[i] = cert_list_get(&list, i);
		ret = serving_use(f, chain, list.cnt, key, why);
	}
	cert_list_free(&list);
	custody_unref(key);
	return ret;
}

static enum err
serving_read_file(struct front *f, const char *name, int fd)
{
	if (strcmp(name, "serving.cert") == 0) {
		buf_reset(&f->serving_cert_pem);
		return os_fd_read(fd, &f->serving_cert_pem);
	}
	secret_free(TAKE(f->serving_key_pem));
	return os_fd_read_secret(fd, SERVING_FILE_MAX, &f->serving_key_pem);
}

void
front_take_serving_file(struct front *f, const char *name, int fd)
{
	struct why why = {0};
	enum err ret = serving_read_file(f, name, fd);

	(void)close(fd);
	/* The key always comes behind its certificate: then they are judged
	 * as a pair. */
	if (ret == ERR_OK && strcmp(name, "serving.key") != 0)
		return;
	if (ret != ERR_OK && err_class(ret) == ERR_CLASS_ENV)
		role_ask_again(f->role);
	if (ret == ERR_OK)
		ret = serving_load_files(f, &why);
	if (ret != ERR_OK)
		log_warn("front.serving", "%s and %s: %s; %s",
			 f->conf.serving_cert, f->conf.serving_key,
			 why_text(&why, ret),
			 f->ready ? "the pair before them stays in force"
				  : "nothing is served before they are good");
}

void
front_serving_free(struct front *f)
{
	ev_timer_cancel(&f->serving_timer);
	chain_tail_free(f->chain);
	chain_tail_free(f->chain_old);
	custody_unref(f->serving_key);
	secret_free(f->serving_key_pem);
	buf_fini(&f->serving_cert_pem);
}
