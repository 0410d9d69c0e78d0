/* upstream.c - see upstream.h. What goes over the wire is Istio's (its agent's
 * CA client): one unary call, the token as a bearer header, metadata with
 * CertSigner always there, even empty. */
#include "agent/upstream.h"

#include <ctype.h>
#include <string.h>

#include "agent/files.h"
#include "base/mem.h"
#include "base/secret.h"
#include "custody/custody.h"
#include "grpc/pbmem.h"
#include "grpc/serve.h"
#include "os/os.h"
#include "pki/cert.h"
#include "pki/chain.h"
#include "proto/istio_ca.pb-c.h"
#include "tls/tls.h"

#define UPSTREAM_METHOD \
	"/istio.v1.auth.IstioCertificateService/CreateCertificate"

enum {
	PEM_MAX = 2 << 20, /* a system's roots */
	TOKEN_MAX = 64 * 1024,
	REQUEST_MAX = 64 * 1024,
	ANSWER_MAX = 1 << 20,
	HEADERS_MAX = 40,
	CHAIN_MAX = 16
};

struct upstream {
	struct ev_loop *loop;
	const struct agent_conf *conf;
	struct metric_block *metrics;
	upstream_cb *cb;
	void *arg;
	struct tls_ctx *tls;
	struct dial_conn *conn;
	struct grpc_request *request;
	struct ev_timer *timer;
	struct buf message; /* the packed request */
	bool ready;         /* the connection is */
	struct upstream_answer answer;
	struct buf reply; /* what answer's slices point into */
	bool answered;
	enum err bad; /* the answer could not be read */
	struct why bad_why;
};

/* ---- names and roots ----------------------------------------------------- */

bool
upstream_is_plaintext(const char *address)
{
	return slice_has_suffix(slice_of_str(address), ":15010");
}

static bool
is_this_host(struct slice host)
{
	return slice_is_str(host, "localhost") ||
	       slice_is_str(host, "127.0.0.1") || slice_is_str(host, "[::1]");
}

char *
upstream_dup_server_name(const struct agent_conf *conf)
{
	struct slice host = slice_of_str(conf->ca_address);

	if (conf->ca_server_name != NULL && *conf->ca_server_name != '\0')
		return mem_dup_str(conf->ca_server_name);
	while (host.len > 0 && host.p[host.len - 1] != ':')
		host.len--;
	if (host.len > 0)
		host.len--;
	/* As Istio's agent has it: a CA behind a local forwarder. */
	if (is_this_host(host))
		return mem_dup_str("istiod.istio-system.svc");
	if (host.len > 2 && host.p[0] == '[')
		host = slice_sub(host, 1, host.len - 2);
	return mem_dup_slice_str(host);
}

/* One connection, one check, at most one line an attempt. */
static void
upstream_on_chain_warning(void *arg, const struct chain_result *result)
{
	struct upstream *u = arg;

	log_peer("ca.chain", "chain.warn: %s: %s", u->conf->ca_address,
		 result->warning.text);
	metric_add_bits(u->metrics, AM_CHAIN_WARNINGS, result->warned_rules);
}

#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

static enum err
upstream_load_trust(struct upstream *u, struct why *why)
{
	const char *system = files_find_system_roots();
	char *path = agent_conf_get_root(u->conf);
	struct pki_bundle *bundle = NULL;
	struct tls_trust *trust;
	struct buf pem;
	enum err ret;

	/* Where the system has none, the error names the usual place. */
	if (path == NULL)
		path = mem_dup_str(system != NULL ? system : SYSTEM_ROOTS);
	buf_init(&pem, PEM_MAX);
	ret = os_file_read(path, &pem, why);
	if (ret == ERR_OK) {
		ret = pki_bundle_read_pem(SLICE_NONE, buf_get(&pem), why,
					  &bundle);
		if (ret != ERR_OK)
			why_prefix(why, ret, "%s", path);
	}
	buf_fini(&pem);
	mem_free(path);
	if (ret != ERR_OK)
		return why_prefix(why, ret,
				  "roots for the CA (ca.root_file, "
				  "CA_ROOT_CA)");
	trust = tls_trust_new(bundle, 0);
	tls_trust_set_warn_rules(trust, u->conf->warn_rules,
				 upstream_on_chain_warning, u);
	pki_bundle_unref(bundle);
	tls_ctx_set_trust(u->tls, trust);
	tls_trust_unref(trust);
	return ERR_OK;
}

/* ---- client certificate -------------------------------------------------- */

static enum err
load_client_key(const char *dir, struct why *why, struct custody_key **out)
{
	char *path = mem_printf("%s/key.pem", dir);
	struct secret *pem = NULL;
	struct privkey *key = NULL;
	enum err ret;

	ret = os_file_read_secret(path, TOKEN_MAX, &pem, why);
	if (ret == ERR_OK) {
		ret = privkey_parse_pem(secret_get(pem), why, &key);
		if (ret != ERR_OK)
			why_prefix(why, ret, "%s", path);
	}
	secret_free(pem);
	mem_free(path);
	if (ret != ERR_OK)
		return ret;
	return custody_memory_new(key, out);
}

static enum err
load_client_chain(const char *dir, struct why *why, struct cert_list *out)
{
	char *path = mem_printf("%s/cert-chain.pem", dir);
	struct cert leaf;
	struct buf pem;
	enum err ret;

	/* Some keep the key in the same file. */
	buf_init_secret(&pem, PEM_MAX);
	ret = os_file_read(path, &pem, why);
	if (ret == ERR_OK)
		ret = cert_list_read_pem(buf_get(&pem), CHAIN_MAX, why, out);
	buf_fini(&pem);
	if (ret != ERR_OK)
		goto out;
	ret = cert_parse(cert_list_get(out, 0), why, &leaf);
	if (ret == ERR_OK && !wall_is_before(wall_now(), leaf.not_after)) {
		char when[WALL_TEXT_MAX];

		wall_format(leaf.not_after, when);
		ret = why_set(why, ERR_EXPIRED, "expired at %s", when);
	}
out:
	if (ret != ERR_OK)
		why_prefix(why, ret, "%s", path);
	mem_free(path);
	return ret;
}

/* A client certificate that cannot be shown is no reason to ask nothing: the
 * token may do. */
static void
upstream_load_identity(struct upstream *u)
{
	const char *dir = u->conf->ca_client_cert_dir;
	struct slice chain[CHAIN_MAX];
	struct cert_list list = {0};
	struct custody_key *key = NULL;
	struct tls_identity *id = NULL;
	struct why why = {0};
	enum err ret;

	if (dir == NULL || *dir == '\0')
		return;
	ret = load_client_chain(dir, &why, &list);
	if (ret == ERR_OK)
		ret = load_client_key(dir, &why, &key);
	if (ret == ERR_OK) {
		for (size_t i = 0; i < list.cnt; i++)
			chain[i] = cert_list_get(&list, i);
		ret = tls_identity_new(chain, list.cnt, key, &why, &id);
	}
	if (ret == ERR_OK)
		tls_ctx_set_identity(u->tls, id);
	else
		log_warn("ca.client_cert",
			 "not shown to the CA: %s; the token alone must do",
			 why_text(&why, ret));
	tls_identity_unref(id);
	custody_unref(key);
	cert_list_free(&list);
}

/* A one-time token is used up by the first request: from then on the
 * certificate that it gave proves who we are. A JWT is renewed by somebody
 * else, and says more than a certificate of yesterday. */
static bool
upstream_shows_own(const struct agent_conf *conf)
{
	struct secret *token = NULL;
	struct slice rest, part;
	size_t parts = 0;

	if (conf->ca_renew_by_cert != AGENT_RENEW_AUTO)
		return conf->ca_renew_by_cert == AGENT_RENEW_ALWAYS;
	if (conf->ca_token_file == NULL || *conf->ca_token_file == '\0' ||
	    os_file_read_secret(conf->ca_token_file, TOKEN_MAX, &token, NULL) !=
		    ERR_OK)
		return true;
	rest = slice_trim(secret_get(token));
	while (slice_split(&rest, '.', &part))
		parts++;
	secret_free(token);
	return parts != 3;
}

static enum err
upstream_load_tls(struct upstream *u, struct tls_identity *own, struct why *why)
{
	static const char *const alpn[] = {"h2", NULL};
	const struct tls_ctx_opts opts = {
		.role = TLS_CLIENT,
		.peer = TLS_PEER_REQUIRED,
		.alpn = alpn,
	};
	enum err ret;

	if (upstream_is_plaintext(u->conf->ca_address))
		return ERR_OK;
	if ((ret = tls_ctx_new(&opts, &u->tls)) != ERR_OK)
		return why_set(why, ret, "TLS: %s", err_text(ret));
	if ((ret = upstream_load_trust(u, why)) != ERR_OK)
		return ret;
	if (own != NULL && upstream_shows_own(u->conf))
		tls_ctx_set_identity(u->tls, own);
	else
		upstream_load_identity(u);
	return ERR_OK;
}

/* ---- the end of an attempt ----------------------------------------------- */

static void
upstream_free(struct upstream *u, const char *why)
{
	if (u == NULL)
		return;
	ev_timer_cancel(&u->timer);
	if (u->request != NULL)
		grpc_request_cancel(&u->request);
	dial_close(&u->conn, why);
	tls_ctx_free(u->tls);
	buf_fini(&u->message);
	buf_fini(&u->reply);
	mem_free(u);
}

static void
upstream_finish(struct upstream *u, enum err e, const char *detail)
{
	upstream_cb *cb = u->cb;
	void *arg = u->arg;
	char *text = mem_dup_str(detail);
	struct upstream_answer answer = u->answer;
	struct buf reply = u->reply;

	/* Its owner may start the next attempt from inside the callback. */
	buf_init(&u->reply, 0);
	upstream_free(u, "done");
	cb(arg, e, text, &answer);
	buf_fini(&reply);
	mem_free(text);
}

static void
upstream_on_timeout(void *arg)
{
	struct upstream *u = arg;
	const char *what = "no answer";

	if (u->conn == NULL || !u->ready)
		what = "no connection";
	upstream_finish(u, ERR_TIMEOUT, what);
}

/* ---- the call ------------------------------------------------------------ */

/* Kept for as long as the callback looks at it. */
static enum err
upstream_read_answer(struct upstream *u, struct slice message)
{
	if (buf_put(&u->reply, message) != ERR_OK)
		return why_set(&u->bad_why, ERR_LIMIT,
			       "the answer is longer "
			       "than %d bytes",
			       ANSWER_MAX);
	return answer_split(buf_get(&u->reply), u->answer.entries,
			    &u->answer.entry_cnt, &u->bad_why);
}

static void
upstream_on_message(void *arg, struct grpc_request *r, struct slice message)
{
	struct upstream *u = arg;

	(void)r;
	if (u->answered) {
		u->bad = why_set(&u->bad_why, ERR_PROTOCOL,
				 "more than one answer to one request");
		return;
	}
	u->answered = true;
	u->bad = upstream_read_answer(u, message);
}

static enum err
err_of_status(enum grpc_status s)
{
	switch (s) {
	case GRPC_UNAUTHENTICATED:
		return ERR_UNAUTHENTICATED;
	case GRPC_PERMISSION_DENIED:
		return ERR_DENIED;
	case GRPC_INVALID_ARGUMENT:
	case GRPC_FAILED_PRECONDITION:
	case GRPC_OUT_OF_RANGE:
		return ERR_REFUSED;
	case GRPC_UNIMPLEMENTED:
		return ERR_UNSUPPORTED;
	case GRPC_DEADLINE_EXCEEDED:
		return ERR_TIMEOUT;
	case GRPC_RESOURCE_EXHAUSTED:
		return ERR_BUSY;
	default:
		return ERR_UNAVAILABLE;
	}
}

static void
upstream_on_finish(void *arg, struct grpc_request *r, enum grpc_status status,
		   const char *text)
{
	struct upstream *u = arg;
	struct why why;

	u->request = NULL;
	u->answer.status = status;
	u->answer.retry_ms = grpc_request_get_retry_ms(r);
	if (status != GRPC_OK) {
		why_set(&why, ERR_UNAVAILABLE, "%s: %s",
			grpc_status_name(status), text);
		upstream_finish(u, err_of_status(status), why.text);
		return;
	}
	if (!u->answered)
		u->bad = why_set(&u->bad_why, ERR_PROTOCOL,
				 "OK without an answer");
	if (u->bad != ERR_OK)
		upstream_finish(u, u->bad, why_text(&u->bad_why, u->bad));
	else
		upstream_finish(u, ERR_OK, "");
}

/* "authorization: Bearer TOKEN" from the file as it is now. No file, no header:
 * the client certificate may do. */
static struct secret *
upstream_read_bearer(const struct agent_conf *conf)
{
	static const char word[] = "Bearer ";
	struct secret *token = NULL, *out = NULL;
	struct why why = {0};
	struct slice text;
	enum err ret;

	if (conf->ca_token_file == NULL || *conf->ca_token_file == '\0')
		return NULL;
	ret = os_file_read_secret(conf->ca_token_file, TOKEN_MAX, &token, &why);
	if (ret != ERR_OK) {
		log_warn("ca.token", "no token is sent: %s",
			 why_text(&why, ret));
		return NULL;
	}
	text = slice_trim(secret_get(token));
	if (text.len == 0 || !slice_is_printable(text)) {
		log_warn("ca.token",
			 "no token is sent: %s is empty or holds bytes that no "
			 "token has",
			 conf->ca_token_file);
	} else if (secret_new(sizeof(word) - 1 + text.len, &out) == ERR_OK) {
		uint8_t *p = secret_get_writable(out);

		memcpy(p, word, sizeof(word) - 1);
		memcpy(p + sizeof(word) - 1, text.p, text.len);
	}
	secret_free(token);
	return out;
}

/* Names are lower case on the wire; the text is changed in place. */
static struct h2_header
header_of_text(char *text)
{
	struct slice value = slice_of_str(text);
	struct slice name;

	(void)slice_split(&value, ':', &name);
	for (size_t i = 0; i < name.len; i++)
		text[i] = (char)tolower((unsigned char)text[i]);
	return (struct h2_header){name, slice_trim(value)};
}

static enum err
upstream_call(struct upstream *u)
{
	static const struct grpc_request_cbs cbs = {
		.on_message = upstream_on_message,
		.on_finish = upstream_on_finish,
	};
	const struct agent_conf *conf = u->conf;
	struct h2_header headers[HEADERS_MAX];
	struct secret *bearer = upstream_read_bearer(conf);
	size_t cnt = 0;
	enum err ret;

	if (bearer != NULL)
		headers[cnt++] = (struct h2_header){SLICE_LIT("authorization"),
						    secret_get(bearer)};
	if (conf->ca_cluster_id != NULL && *conf->ca_cluster_id != '\0')
		headers[cnt++] =
			(struct h2_header){SLICE_LIT("clusterid"),
					   slice_of_str(conf->ca_cluster_id)};
	for (size_t i = 0; i < conf->ca_headers.cnt && cnt < HEADERS_MAX; i++)
		headers[cnt++] = header_of_text(conf->ca_headers.items[i]);
	ret = grpc_client_start(dial_get_client(u->conn), UPSTREAM_METHOD,
				headers, cnt, buf_get(&u->message), true,
				(uint64_t)conf->ca_timeout_ms, ANSWER_MAX, &cbs,
				u, &u->request);
	secret_free(bearer);
	buf_release(&u->message);
	if (ret == ERR_OK)
		dial_wake(u->conn);
	return ret;
}

static enum err
upstream_pack(struct upstream *u, struct slice csr_pem)
{
	Google__Protobuf__Value value;
	Google__Protobuf__StructEntry entry;
	Google__Protobuf__StructEntry *entries[] = {&entry};
	Google__Protobuf__Struct metadata;
	Istio__V1__Auth__IstioCertificateRequest rq;
	char key[] = "CertSigner";
	char *signer = mem_dup_str(
		u->conf->ca_cert_signer == NULL ? "" : u->conf->ca_cert_signer);
	char *csr = mem_dup_slice_str(csr_pem);
	enum err ret;

	google__protobuf__value__init(&value);
	google__protobuf__struct_entry__init(&entry);
	google__protobuf__struct__init(&metadata);
	istio__v1__auth__istio_certificate_request__init(&rq);
	value.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
	value.string_value = signer;
	entry.key = key;
	entry.value = &value;
	metadata.n_fields = 1;
	metadata.fields = entries;
	rq.csr = csr;
	rq.validity_duration = u->conf->cert_ttl_ms / 1000;
	rq.metadata = &metadata;
	ret = pbmem_pack(&rq.base, &u->message);
	mem_free(signer);
	mem_free(csr);
	return ret;
}

/* Both are there: the connection and what to send. */
static void
upstream_try_call(struct upstream *u)
{
	enum err ret;

	if (!u->ready || buf_len(&u->message) == 0)
		return;
	ret = upstream_call(u);
	if (ret != ERR_OK)
		upstream_finish(u, ret, "the request could not be sent");
}

void
upstream_send(struct upstream *u, struct slice csr_pem)
{
	must(upstream_pack(u, csr_pem) == ERR_OK);
	/* Never a callback from inside: a call that cannot start is seen by
	 * the timer of the attempt. */
	if (u->ready && upstream_call(u) != ERR_OK)
		dial_close(&u->conn, "the request could not be sent");
}

/* ---- the connection ------------------------------------------------------ */

static void
upstream_on_ready(void *arg, struct dial_conn *c)
{
	struct upstream *u = arg;

	u->conn = c;
	u->ready = true;
	upstream_try_call(u);
}

/* Requests under way end before this, and with them the attempt. */
static void
upstream_on_close(void *arg, enum err e, const char *detail)
{
	struct upstream *u = arg;

	u->conn = NULL;
	upstream_finish(u, e, detail);
}

static enum err
upstream_dial(struct upstream *u, struct why *why)
{
	char *name = upstream_dup_server_name(u->conf);
	struct dial_opts opts = {
		.addr = u->conf->ca_address,
		.tls = u->tls,
		.server_name = name,
		.limits = {.streams_max = 1,
			   .header_bytes_max = 32 * 1024,
			   .stream_out_max = REQUEST_MAX,
			   .window = 65535,
			   .header_table = 0,
			   .cheap_frames_max = 1000},
		.timeout_ms = (uint64_t)u->conf->ca_timeout_ms,
		.on_ready = upstream_on_ready,
		.on_close = upstream_on_close,
		.arg = u,
	};
	enum err ret = dial_start(u->loop, &opts, &u->conn);

	if (ret != ERR_OK)
		why_set(why, ret, "ca.address %s: %s", u->conf->ca_address,
			err_text(ret));
	mem_free(name);
	return ret;
}

enum err
upstream_start(struct agent *a, struct tls_identity *own, upstream_cb *cb,
	       void *arg, struct why *why, struct upstream **out)
{
	struct upstream *u = MEM_NEW(struct upstream);
	enum err ret;

	*out = NULL;
	u->loop = a->loop;
	u->conf = &a->conf;
	u->metrics = a->metrics;
	u->cb = cb;
	u->arg = arg;
	u->answer.status = GRPC_UNKNOWN;
	buf_init(&u->message, REQUEST_MAX);
	buf_init(&u->reply, ANSWER_MAX);
	if ((ret = upstream_load_tls(u, own, why)) != ERR_OK ||
	    (ret = upstream_dial(u, why)) != ERR_OK)
		goto out;
	ret = ev_timer_start(u->loop, (uint64_t)u->conf->ca_timeout_ms,
			     upstream_on_timeout, u, &u->timer);
	if (ret == ERR_OK)
		*out = TAKE(u);
out:
	upstream_free(u, "not started");
	return ret;
}

void
upstream_cancel(struct upstream **u)
{
	upstream_free(TAKE(*u), "cancelled");
}
