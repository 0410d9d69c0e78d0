/* signer.c - the role that holds the CA key; nothing else may reach it.
 *
 * It takes typed requests from the authority only, checks them again against
 * its own copy of the policy, builds the bytes to be signed itself, and signs.
 * No network, no database. Serial numbers must grow: an authority that was
 * taken over or restored from an old backup cannot have one signed twice in
 * this signer's life. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ca/conf.h"
#include "ca/issuer.h"
#include "ca/metrics.h"
#include "ca/msg.h"
#include "ca/roles.h"
#include "ca/signer_int.h"
#include "crypto/hash.h"
#include "custody/custody.h"
#include "ipc/ipc.h"
#include "ipc/role.h"

void
signer_send_chain(struct signer *s)
{
	struct msg_chain m = {0};
	struct buf out;

	if (s->authority == NULL || !s->started)
		return;
	signer_describe_chain(s, &m);
	buf_init(&out, MSG_FRAME_MAX);
	msg_chain_write(&out, &m);
	(void)ipc_send(s->authority, MSG_CHAIN, 0, buf_get(&out));
	buf_fini(&out);
}

/* The same chain has the same number in each life of this role: nobody who
 * holds an answer's tail can take one issuer for another. */
static uint32_t
signer_name_generation(const struct signer *s)
{
	uint8_t hash[HASH_SHA256_LEN];
	struct slice in = SLICE_ARRAY(hash);
	struct msg_chain m;
	struct buf out;
	uint32_t number = 0;

	signer_describe_chain(s, &m);
	m.generation = 0;
	m.warning = SLICE_NONE;
	buf_init(&out, MSG_FRAME_MAX);
	msg_chain_write(&out, &m);
	hash_sha256(buf_get(&out), hash);
	buf_fini(&out);
	must(slice_read_u32(&in, &number) == ERR_OK);
	return number;
}

void
signer_take_issuer(struct signer *s, struct issuer *fresh)
{
	if (fresh != NULL) {
		issuer_free(s->issuer);
		s->issuer = fresh;
		s->generation = signer_name_generation(s);
	}
	signer_send_chain(s);
}

/* ---- signing ----------------------------------------------------------- */

static enum err
signer_check(struct signer *s, const struct msg_sign *m, bool *is_rsa,
	     struct why *why)
{
	const struct ca_policy_leaf leaf = {
		.profile = m->profile,
		.identity = m->identity,
		.spki = m->spki,
		.not_before = m->not_before,
		.not_after = m->not_after,
	};
	struct ca_policy_issuer issuer;

	if (s->issuer == NULL)
		return why_set(why, ERR_UNAVAILABLE, "no issuer is loaded");
	issuer.not_before = issuer_get_not_before(s->issuer);
	issuer.not_after = issuer_get_not_after(s->issuer);
	if (memcmp(m->serial, s->last_serial, sizeof(m->serial)) <= 0)
		return why_set(why, ERR_REFUSED,
			       "the serial is not above the last one that was "
			       "signed");
	if (slice_is_eq(m->spki, custody_get_spki(issuer_get_key(s->issuer))))
		return why_set(why, ERR_REFUSED,
			       "the key is that of the issuer itself");
	return ca_policy_check_leaf(&s->policy, &leaf, wall_now(), issuer,
				    is_rsa, why);
}

static enum err
signer_build(struct signer *s, const struct msg_sign *m, bool is_rsa,
	     struct why *why)
{
	struct custody_key *key = issuer_get_key(s->issuer);
	struct build_request rq = {
		.profile = m->profile,
		.not_before = m->not_before,
		.not_after = m->not_after,
		.spki = m->spki,
		.spki_is_rsa = is_rsa,
		.uri = m->identity,
	};
	enum err ret;

	memcpy(rq.serial, m->serial, sizeof(rq.serial));
	if (m->profile == BUILD_SERVING) {
		rq.dns = s->names;
		rq.dns_cnt = s->name_cnt;
	}
	ret = build_tbs(issuer_get_build(s->issuer), &rq, why, &s->tbs);
	if (ret != ERR_OK)
		return ret;
	buf_reset(&s->signature);
	ret = custody_sign_now(key, issuer_get_alg(s->issuer), buf_get(&s->tbs),
			       &s->signature);
	fail_point("signer.signed");
	if (ret != ERR_OK)
		return why_set(why, ret, "signing with the CA key failed: %s",
			       err_text(ret));
	ret = build_finish(issuer_get_build(s->issuer), buf_get(&s->tbs),
			   buf_get(&s->signature), &s->cert);
	if (ret == ERR_OK)
		memcpy(s->last_serial, m->serial, sizeof(s->last_serial));
	return ret;
}

static void
signer_sign(struct signer *s, uint64_t id, const struct msg_sign *m)
{
	struct msg_signed answer = {.generation = s->generation};
	struct why why = {0};
	bool is_rsa = false;

	fail_point("signer.taken");
	answer.e = signer_check(s, m, &is_rsa, &why);
	if (answer.e == ERR_OK)
		answer.e = signer_build(s, m, is_rsa, &why);
	if (answer.e == ERR_OK) {
		answer.cert = buf_get(&s->cert);
	} else {
		answer.text = slice_of_str(why_text(&why, answer.e));
		log_warn("signer.refused", "identity=%.*s: %s",
			 SLICE_FMT(m->identity), why_text(&why, answer.e));
	}
	buf_reset(&s->out);
	msg_signed_write(&s->out, &answer);
	(void)ipc_send(s->authority, MSG_SIGNED, id, buf_get(&s->out));
	fail_point("signer.sent");
}

/* Into s->signature: the head's signature. With one in m: whether that is ours,
 * ERR_SIGNATURE if not. */
static enum err
signer_sign_bytes(struct signer *s, const struct msg_head *m,
		  struct slice message)
{
	enum sig_alg alg = custody_get_default_alg(s->audit_key);
	struct pubkey *key = NULL;
	enum err ret;

	buf_reset(&s->signature);
	if (m->signature.len == 0)
		return custody_sign_now(s->audit_key, alg, message,
					&s->signature);
	ret = pubkey_parse(custody_get_spki(s->audit_key), NULL, &key);
	if (ret == ERR_OK)
		ret = pubkey_verify(key, alg, message, m->signature);
	pubkey_free(key);
	return ret;
}

static void
signer_sign_head(struct signer *s, const struct msg_head *m)
{
	struct msg_head answer = {.count = m->count, .hash = m->hash};
	struct buf message;
	enum err ret;

	if (s->audit_key == NULL || m->hash.len != 32)
		return;
	buf_init(&message, 256);
	/* The prefix keeps this signature from meaning anything else. */
	(void)buf_put_str(&message, "meshcert audit head v1");
	(void)buf_put_u64(&message, m->count);
	(void)buf_put(&message, m->hash);
	ret = signer_sign_bytes(s, m, buf_get(&message));
	fail_point("signer.head_signed");
	/* A head that is ours needs no answer; one that is not gets an answer
	 * without signature. */
	if (ret == ERR_SIGNATURE || (ret == ERR_OK && m->signature.len == 0)) {
		answer.signature = buf_get(&s->signature);
		buf_reset(&s->out);
		msg_head_write(&s->out, &answer);
		(void)ipc_send(s->authority, MSG_HEAD_SIGNED, 0,
			       buf_get(&s->out));
	}
	buf_fini(&message);
}

static enum err
authority_on_message(void *arg, uint16_t type, uint64_t id,
		     struct slice payload, int fd)
{
	struct signer *s = arg;
	struct msg_sign sign;
	struct msg_head head;
	enum err ret;

	(void)fd;
	switch (type) {
	case MSG_SIGN:
		if ((ret = msg_sign_read(payload, &sign)) == ERR_OK)
			signer_sign(s, id, &sign);
		return ret;
	case MSG_SIGN_HEAD:
		if ((ret = msg_head_read(payload, &head)) == ERR_OK)
			signer_sign_head(s, &head);
		return ret;
	default:
		return ERR_PROTOCOL;
	}
}

static void
authority_on_close(void *arg, enum err why)
{
	struct signer *s = arg;

	(void)why;
	ipc_close(&s->authority);
}

static const struct ipc_cbs authority_cbs = {
	.on_message = authority_on_message,
	.on_close = authority_on_close,
};

static const struct ipc_limits link_limits = {
	.frame_max = MSG_FRAME_MAX,
	.queue_max = MSG_QUEUE_MAX,
};

/* ---- life -------------------------------------------------------------- */

static enum err
signer_read_config(struct signer *s, struct slice text, struct why *why)
{
	struct ca_conf fresh;
	enum err ret;

	ret = ca_conf_parse(text, "configuration", &fresh, why);
	if (ret != ERR_OK)
		return ret;
	ca_conf_free(&s->conf);
	s->conf = fresh;
	s->policy = ca_conf_policy(&s->conf);
	ca_conf_apply_log(&s->conf);
	mem_free(s->names);
	s->name_cnt = s->conf.serving_names.cnt;
	s->names = MEM_NEW_ARRAY(struct slice, s->name_cnt);
	for (size_t i = 0; i < s->name_cnt; i++)
		s->names[i] = slice_of_str(s->conf.serving_names.items[i]);
	return ERR_OK;
}

static enum err
signer_on_config(void *app, struct role *r, struct slice text, struct why *why)
{
	struct signer *s = app;

	s->role = r;
	s->loop = role_get_loop(r);
	/* Until the shared block is given, numbers go to a private one. */
	must(metric_block_map(ca_metrics, -1, true, &s->metrics) == ERR_OK);
	return signer_read_config(s, text, why);
}

static void
signer_on_give(void *app, struct role *r, const char *name, int fd)
{
	struct signer *s = app;
	char peer[32];
	unsigned index;

	(void)r;
	if (role_is_link(name, peer, &index)) {
		ipc_close(&s->authority);
		if (ipc_new(s->loop, fd, "signer-authority", &link_limits,
			    &authority_cbs, s, &s->authority) == ERR_OK)
			signer_send_chain(s);
		return;
	}
	if (strcmp(name, "metrics") == 0) {
		metric_block_unmap(s->metrics);
		must(metric_block_map(ca_metrics, fd, true, &s->metrics) ==
		     ERR_OK);
	} else if (strncmp(name, "issuer.", 7) == 0) {
		signer_take_file(s, name + 7, fd);
	}
	(void)close(fd);
}

static enum err
signer_on_start(void *app, struct role *r, struct why *why)
{
	struct signer *s = app;
	enum err ret;

	if ((ret = signer_open_issuer(s, why)) != ERR_OK)
		return ret;
	role_ready(r);
	return ERR_OK;
}

static void
signer_on_reload(void *app, struct role *r, struct slice text)
{
	struct signer *s = app;
	struct why why = {0};

	(void)r;
	if (signer_read_config(s, text, &why) != ERR_OK)
		log_error("signer.reload", "%s", why.text);
}

static const struct role_ops signer_ops = {
	.program = CA_PROGRAM,
	.name = "signer",
	.on_config = signer_on_config,
	.on_give = signer_on_give,
	.on_start = signer_on_start,
	.on_reload = signer_on_reload,
};

int
ca_signer_main(unsigned index)
{
	struct signer *s = MEM_NEW(struct signer);
	int code;

	buf_init(&s->tbs, BUILD_CERT_MAX);
	buf_init(&s->cert, BUILD_CERT_MAX);
	buf_init(&s->signature, 2048);
	buf_init(&s->out, MSG_FRAME_MAX);
	code = role_run(&signer_ops, index, s);
	issuer_free(s->issuer);
	custody_unref(s->audit_key);
	return code;
}
