/* request.c - meshcert request: one certificate from any CA with Istio's API.
 *
 * A key is made, a request for it signed and sent, the answer checked (the
 * leaf is for our key and identity, the chain ends in the root that came with
 * it), and key, chain and root are written. Nothing is written when anything
 * is wrong. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "grpc/pbmem.h"
#include "meshcert/call.h"
#include "meshcert/cmd.h"
#include "meshcert/pair.h"
#include "meshcert/view.h"
#include "os/os.h"
#include "pki/chain.h"
#include "pki/csr.h"
#include "proto/istio_ca.pb-c.h"

#define REQUEST_PATH "/istio.v1.auth.IstioCertificateService/CreateCertificate"
#define REQUEST_ISTIOD "istiod.istio-system.svc"

enum {
	REQUEST_TOKEN_MAX = 65536,
	REQUEST_CHAIN_MAX = 1 << 20,
	REQUEST_TIMEOUT_MS = 30000
};

struct request {
	struct cmd_common common;
	const char *ca;
	const char *root;
	const char *server_name;
	const char *token;
	const char *join_token;
	const char *cert;
	const char *key;
	const char *identity;
	const char *key_kind;
	const char *ttl;
	const char *out;
};

static const struct opt request_opts[] = {
	{"ca", 'c', OPT_TEXT, offsetof(struct request, ca), "HOST:PORT",
	 "the authority, or any CA with Istio's API"},
	{"root", 'r', OPT_TEXT, offsetof(struct request, root), "FILE",
	 "roots that the CA's own certificate must chain to"},
	{"server-name", 0, OPT_TEXT, offsetof(struct request, server_name),
	 "NAME",
	 "what the CA's certificate must be for; HOST when absent (on "
	 "this machine " REQUEST_ISTIOD " too)"},
	{"token", 't', OPT_TEXT, offsetof(struct request, token), "FILE",
	 "who we are: a service account token or a join token in a file"},
	{"join-token", 'j', OPT_TEXT, offsetof(struct request, join_token),
	 "TOKEN",
	 "who we are: a join token (others on this machine can see "
	 "the command line: --token FILE keeps it from them)"},
	{"cert", 0, OPT_TEXT, offsetof(struct request, cert), "FILE",
	 "who we are: a certificate chain that is to be renewed"},
	{"key", 0, OPT_TEXT, offsetof(struct request, key), "FILE",
	 "its private key"},
	{"identity", 'i', OPT_TEXT, offsetof(struct request, identity),
	 "SPIFFE-ID", "ask for this identity, and take no other"},
	{"key-kind", 'k', OPT_TEXT, offsetof(struct request, key_kind), "KIND",
	 "P-256 (the default), P-384, RSA-2048, RSA-3072 or RSA-4096"},
	{"ttl", 0, OPT_TEXT, offsetof(struct request, ttl), "DURATION",
	 "how long the certificate is to live; the CA's default when absent"},
	{"out", 'o', OPT_TEXT, offsetof(struct request, out), "DIR",
	 "where key.pem, cert-chain.pem and root-cert.pem go; made where it "
	 "does not exist"},
	CMD_OPTS_END,
};

/* ---- what is sent -------------------------------------------------------- */

static enum err
request_new_key(const char *kind, struct why *why, struct custody_key **out)
{
	static const struct {
		const char *name;
		enum key_kind kind;
		unsigned bits;
	} kinds[] = {
		{"P-256", KEY_EC_P256, 0},   {"P-384", KEY_EC_P384, 0},
		{"RSA-2048", KEY_RSA, 2048}, {"RSA-3072", KEY_RSA, 3072},
		{"RSA-4096", KEY_RSA, 4096},
	};
	struct privkey *key;
	enum err e;

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (kind != NULL && strcmp(kind, kinds[i].name) != 0)
			continue;
		e = privkey_new(kinds[i].kind, kinds[i].bits, &key);
		return e != ERR_OK ? why_set(why, e, "making a key: %s",
					     err_text(e))
				   : custody_memory_new(key, out);
	}
	return why_set(why, ERR_CONFIG,
		       "--key-kind: found \"%.40s\", one of P-256, P-384, "
		       "RSA-2048, RSA-3072, RSA-4096 is needed",
		       kind);
}

/* "Bearer TOKEN", or nothing. */
static enum err
request_read_token(const struct request *rq, struct why *why,
		   struct secret **out)
{
	static const char prefix[] = "Bearer ";
	struct slice text = slice_of_str(rq->join_token);
	struct secret *file = NULL;
	enum err e = ERR_OK;

	*out = NULL;
	if (rq->token != NULL) {
		e = os_file_read_secret(rq->token, REQUEST_TOKEN_MAX, &file,
					why);
		if (e != ERR_OK)
			return e;
		text = slice_trim(secret_get(file));
		if (text.len == 0 || !slice_is_printable(text))
			e = why_set(why, ERR_SYNTAX,
				    "%s: a token is one line of text, this "
				    "is %s",
				    rq->token,
				    text.len == 0 ? "empty" : "not text");
	}
	if (e == ERR_OK && text.len > 0)
		e = secret_new(sizeof(prefix) - 1 + text.len, out);
	if (e == ERR_OK && text.len > 0) {
		memcpy(secret_get_writable(*out), prefix, sizeof(prefix) - 1);
		memcpy(secret_get_writable(*out) + sizeof(prefix) - 1, text.p,
		       text.len);
	}
	secret_free(file);
	return e;
}

/* Names that the CA may have. On this machine Istio's clients expect istiod's
 * name: there is a port forwarded, or a test. */
static char *
request_names(const struct request *rq)
{
	struct slice host = slice_of_str(rq->ca);
	char *name, *out;

	if (rq->server_name != NULL)
		return mem_dup_str(rq->server_name);
	if (slice_has_prefix(host, "["))
		host = slice_sub(host, 1, slice_find(host, ']') - 1);
	else
		host = slice_sub(host, 0, slice_find(host, ':'));
	name = mem_dup_slice_str(host);
	if (strcmp(name, "127.0.0.1") == 0 || strcmp(name, "::1") == 0 ||
	    strcmp(name, "localhost") == 0)
		out = mem_printf("%s,%s", name, REQUEST_ISTIOD);
	else
		out = mem_dup_str(name);
	mem_free(name);
	return out;
}

static enum err
request_pack(const struct request *rq, struct custody_key *key, int64_t ttl_sec,
	     struct why *why, struct buf *out)
{
	Istio__V1__Auth__IstioCertificateRequest msg;
	struct buf csr;
	enum err e;

	istio__v1__auth__istio_certificate_request__init(&msg);
	buf_init(&csr, CSR_MAX * 2);
	e = csr_build_pem(key, slice_of_str(rq->identity), NULL, &csr);
	if (e == ERR_OK) {
		msg.csr = buf_dup_str(&csr);
		msg.validity_duration = ttl_sec;
		e = pbmem_pack(&msg.base, out);
		mem_free(msg.csr);
	}
	buf_fini(&csr);
	return e == ERR_OK ? e
			   : why_set(why, e, "building the request: %s",
				     err_text(e));
}

static enum err
request_send(const struct request *rq, struct slice message, struct why *why,
	     struct call_answer *out)
{
	struct tls_ctx *tls = NULL;
	struct secret *token = NULL;
	char *names = request_names(rq);
	struct h2_header header = {.name = SLICE_LIT("authorization")};
	struct call c = {.addr = rq->ca,
			 .authority = rq->ca,
			 .server_name = names,
			 .path = REQUEST_PATH,
			 .headers = &header,
			 .request = message,
			 .timeout_ms = REQUEST_TIMEOUT_MS};
	enum err e;

	e = request_read_token(rq, why, &token);
	if (e == ERR_OK)
		e = pair_new_client(rq->root, rq->cert, rq->key, why, &tls);
	if (e == ERR_OK) {
		c.tls = tls;
		c.header_cnt = token != NULL;
		header.value = token != NULL ? secret_get(token) : SLICE_NONE;
		e = call_run(&c, why, out);
	}
	tls_ctx_free(tls);
	secret_free(token);
	mem_free(names);
	return e;
}

/* ---- what comes back ----------------------------------------------------- */

struct request_answer {
	struct cert_list chain; /* leaf first, without the root */
	struct cert_list roots;
};

static void
request_answer_fini(struct request_answer *a)
{
	cert_list_free(&a->chain);
	cert_list_free(&a->roots);
}

/* Istio's answers: leaf, intermediates, and as the last entry the root or
 * roots. */
static enum err
request_read_answer(struct slice bytes, struct why *why,
		    struct request_answer *out)
{
	Istio__V1__Auth__IstioCertificateResponse *rs;
	struct pbmem mem;
	struct buf pem;
	enum err e;

	pbmem_init(&mem, REQUEST_CHAIN_MAX);
	buf_init(&pem, REQUEST_CHAIN_MAX);
	rs = istio__v1__auth__istio_certificate_response__unpack(
		pbmem_get(&mem), bytes.len, bytes.p);
	if (rs == NULL || rs->n_cert_chain < 2) {
		e = why_set(why, ERR_SYNTAX,
			    "the answer has %zu entries; a leaf and a root "
			    "are needed",
			    rs == NULL ? 0 : rs->n_cert_chain);
		goto out;
	}
	for (size_t i = 0; i + 1 < rs->n_cert_chain; i++) {
		(void)buf_put_str(&pem, rs->cert_chain[i]);
		(void)buf_put_str(&pem, "\n");
	}
	e = cert_list_read_pem(buf_get(&pem), CHAIN_CERTS_MAX, why,
			       &out->chain);
	if (e == ERR_OK)
		e = cert_list_read_pem(
			slice_of_str(rs->cert_chain[rs->n_cert_chain - 1]),
			CHAIN_CERTS_MAX, why, &out->roots);
	if (e != ERR_OK)
		(void)why_prefix(why, e, "the answer's certificates");
out:
	buf_fini(&pem);
	pbmem_fini(&mem);
	return e;
}

static enum err
request_check_chain(const struct request_answer *a, struct why *why)
{
	struct slice roots[CHAIN_CERTS_MAX], chain[CHAIN_CERTS_MAX];
	struct chain_opts opts = {.purpose = CHAIN_ANY};
	struct chain_result result;
	struct pki_bundle *bundle;
	enum err e;

	for (size_t i = 0; i < a->roots.cnt; i++)
		roots[i] = cert_list_get(&a->roots, i);
	for (size_t i = 0; i < a->chain.cnt; i++)
		chain[i] = cert_list_get(&a->chain, i);
	e = pki_bundle_new(SLICE_NONE, roots, a->roots.cnt, why, &bundle);
	if (e == ERR_OK) {
		/* Rules that only say how good a foreign CA is. */
		opts.warn_rules = CHAIN_WARN_ALL;
		e = chain_verify(bundle, chain, a->chain.cnt, &opts, wall_now(),
				 why, &result);
		pki_bundle_unref(bundle);
	}
	return e == ERR_OK ? e : why_prefix(why, e, "the answer's chain");
}

static enum err
request_check(const struct request *rq, const struct request_answer *a,
	      const struct custody_key *key, struct why *why)
{
	struct cert leaf;
	enum err e;

	e = cert_parse(cert_list_get(&a->chain, 0), why, &leaf);
	if (e != ERR_OK)
		return why_prefix(why, e, "the answer's leaf");
	if (!slice_is_eq(leaf.spki, custody_get_spki(key)))
		return why_set(why, ERR_MISMATCH,
			       "the answer's leaf is for another key than "
			       "the one that was sent");
	if (rq->identity != NULL &&
	    !(leaf.has_san &&
	      san_has_uri(&leaf.san, slice_of_str(rq->identity)))) {
		char found[CERT_TEXT_MAX];

		view_identity(&leaf, found);
		return why_set(why, ERR_MISMATCH,
			       "asked for %s, the certificate is for %s",
			       rq->identity, found);
	}
	return request_check_chain(a, why);
}

/* ---- files --------------------------------------------------------------- */

static enum err
request_write(const char *dir, const char *leaf, struct slice bytes,
	      mode_t mode, struct why *why)
{
	char *path = mem_printf("%s/%s", dir, leaf);
	enum err e = os_file_write_atomic(path, bytes, mode, why);

	mem_free(path);
	return e;
}

static enum err
request_write_all(const char *dir, const struct request_answer *a,
		  const struct custody_key *key, struct why *why)
{
	struct secret *pem = NULL;
	struct buf chain, roots;
	enum err e;

	buf_init(&chain, REQUEST_CHAIN_MAX);
	buf_init(&roots, REQUEST_CHAIN_MAX);
	e = privkey_export(custody_get_privkey(key), PRIVKEY_PKCS8_PEM, &pem);
	if (e == ERR_OK)
		e = cert_list_write_pem(&a->chain, &chain);
	if (e == ERR_OK)
		e = cert_list_write_pem(&a->roots, &roots);
	if (e != ERR_OK)
		(void)why_set(why, e, "writing PEM: %s", err_text(e));
	if (e == ERR_OK && !os_file_exists(dir))
		e = os_dir_make(dir, 0755, (uid_t)-1, (gid_t)-1, why);
	if (e == ERR_OK)
		e = request_write(dir, "key.pem", secret_get(pem), 0600, why);
	if (e == ERR_OK)
		e = request_write(dir, "cert-chain.pem", buf_get(&chain), 0644,
				  why);
	if (e == ERR_OK)
		e = request_write(dir, "root-cert.pem", buf_get(&roots), 0644,
				  why);
	secret_free(pem);
	buf_fini(&chain);
	buf_fini(&roots);
	return e;
}

/* ---- the command --------------------------------------------------------- */

static int
request_take(const struct cmd *cmd, const struct request *rq,
	     const struct custody_key *key, struct slice message)
{
	struct request_answer a = {0};
	struct why why = {0};
	struct buf out;
	int code = CMD_BAD;
	enum err e;

	buf_init(&out, CMD_OUT_MAX);
	e = request_read_answer(message, &why, &a);
	if (e == ERR_OK)
		e = request_check(rq, &a, key, &why);
	if (e == ERR_OK)
		e = request_write_all(rq->out, &a, key, &why);
	if (e != ERR_OK) {
		(void)cmd_fail(cmd, CMD_BAD, "%s: %s; nothing is to be used",
			       rq->ca, why_text(&why, e));
		goto out;
	}
	(void)buf_printf(&out,
			 "%s/key.pem, cert-chain.pem (%zu), root-cert.pem "
			 "(%zu):\n",
			 rq->out, a.chain.cnt, a.roots.cnt);
	view_text(&out, cert_list_get(&a.chain, 0), wall_now());
	code = cmd_print(cmd, &out);
out:
	request_answer_fini(&a);
	buf_fini(&out);
	return code;
}

static int
request_ask(const struct cmd *cmd, const struct request *rq, int64_t ttl_ms)
{
	struct custody_key *key = NULL;
	struct call_answer answer = {0};
	struct why why = {0};
	struct buf message;
	int code;
	enum err e;

	buf_init(&message, 1 << 20);
	e = request_new_key(rq->key_kind, &why, &key);
	if (e == ERR_OK)
		e = request_pack(rq, key, (ttl_ms + 999) / 1000, &why,
				 &message);
	if (e == ERR_OK)
		e = request_send(rq, buf_get(&message), &why, &answer);
	if (e == ERR_CONFIG)
		code = cmd_usage(cmd, "%s", why_text(&why, e));
	else if (e != ERR_OK)
		code = cmd_fail(cmd,
				err_class(e) == ERR_CLASS_ENV ? CMD_UNREACHED
							      : CMD_BAD,
				"%s", why_text(&why, e));
	else if (answer.status != GRPC_OK)
		code = cmd_fail(cmd, CMD_BAD, "%s refuses: %s (%s)", rq->ca,
				answer.text.text,
				grpc_status_name(answer.status));
	else
		code = request_take(cmd, rq, key, secret_get(answer.message));
	secret_free(answer.message);
	custody_unref(key);
	buf_fini(&message);
	return code;
}

static int
request_run(const struct cmd *cmd, void *target, int argc, char **argv)
{
	struct request *rq = target;
	int64_t ttl_ms = 0;
	int code;

	if (argc > 0)
		return cmd_usage(cmd, "%.60s: arguments are not expected",
				 argv[0]);
	if (rq->ca == NULL || rq->out == NULL)
		return cmd_usage(cmd, "--ca and --out are needed");
	if (rq->root == NULL)
		return cmd_usage(cmd, "--root is needed: without it anybody "
				      "could pretend to be the CA");
	if ((rq->cert == NULL) != (rq->key == NULL))
		return cmd_usage(cmd, "--cert and --key are needed together");
	if ((rq->cert != NULL) + (rq->token != NULL) +
		    (rq->join_token != NULL) !=
	    1)
		return cmd_usage(cmd, "exactly one of --token, --join-token "
				      "and --cert with --key is needed: the "
				      "CA must know who asks");
	code = cmd_read_duration(cmd, "ttl", rq->ttl, &ttl_ms);
	return code != CMD_GOOD ? code : request_ask(cmd, rq, ttl_ms);
}

const struct cmd cmd_request = {
	.name = "request",
	.args = "",
	.summary = "ask a CA with Istio's API for one certificate",
	.about = "request makes a key, asks a CA for a certificate for it, "
		 "checks the answer\n"
		 "(our key, our identity, a chain up to the root that came "
		 "along) and writes\n"
		 "key.pem (readable by its owner alone), cert-chain.pem (leaf "
		 "first, without\n"
		 "the root) and root-cert.pem.",
	.opts = request_opts,
	.size = sizeof(struct request),
	.run = request_run,
};
