/* workload.c - see workload.h. SPIFFE_Workload_API.md.
 *
 * A stream watches the identity and its bundle. Each message is the whole
 * state; it holds the key, so it is built in secret memory. Nothing is there
 * yet: UNAVAILABLE, as the standard says, and clients come again. */
#include "workload/workload.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "grpc/pbscan.h"
#include "grpc/serve.h"
#include "pki/spiffe_id.h"

#define NAME_IDENTITY "default"
#define NAME_BUNDLE "ROOTCA"

enum workload_kind {
	WORKLOAD_SVID,
	WORKLOAD_BUNDLES
};

struct workload_stream {
	struct sds_server *server;
	struct sds_secrets *secrets;
	struct serve_conn *conn;
	struct grpc_call *call;
	struct sds_watch identity;
	struct sds_watch bundle;
	enum workload_kind kind;
	bool pending;
	char sent_bundle[SDS_VERSION_MAX];
};

/* ---- messages ------------------------------------------------------------ */

/* Protobuf by hand: numbers below 16, straight into secret memory. */
static size_t
field_len(size_t bytes)
{
	size_t n = 2 + bytes;

	for (size_t v = bytes; v >= 0x80; v >>= 7)
		n++;
	return n;
}

static uint8_t *
put_head(uint8_t *p, unsigned number, size_t len)
{
	*p++ = (uint8_t)(number << 3 | 2);
	for (; len >= 0x80; len >>= 7)
		*p++ = (uint8_t)(len | 0x80);
	*p++ = (uint8_t)len;
	return p;
}

static size_t
certs_len(const struct sds_secret *s)
{
	size_t len = 0;

	for (size_t i = 0; i < sds_secret_get_cert_count(s); i++)
		len += sds_secret_get_cert(s, i).len;
	return len;
}

static uint8_t *
put_bytes(uint8_t *p, struct slice bytes)
{
	if (bytes.len > 0)
		memcpy(p, bytes.p, bytes.len);
	return p + bytes.len;
}

/* All certificates, one behind the other. */
static uint8_t *
put_certs(uint8_t *p, unsigned number, const struct sds_secret *s)
{
	p = put_head(p, number, certs_len(s));
	for (size_t i = 0; i < sds_secret_get_cert_count(s); i++)
		p = put_bytes(p, sds_secret_get_cert(s, i));
	return p;
}

/* X509SVIDResponse with one X509SVID. */
static enum err
pack_svid(const struct sds_secret *identity, const struct sds_secret *bundle,
	  struct secret **out)
{
	enum err ret;
	const struct slice id = sds_secret_get_spiffe_id(identity);
	const struct slice key = sds_secret_get_key_pkcs8(identity);
	const size_t len = field_len(id.len) + field_len(certs_len(identity)) +
			   field_len(key.len) + field_len(certs_len(bundle));
	uint8_t *p;

	if ((ret = secret_new(field_len(len), out)) != ERR_OK)
		return ret;
	p = put_head(secret_get_writable(*out), 1, len);
	p = put_bytes(put_head(p, 1, id.len), id);
	p = put_certs(p, 2, identity);
	p = put_bytes(put_head(p, 3, key.len), key);
	(void)put_certs(p, 4, bundle);
	return ERR_OK;
}

/* X509BundlesResponse with the entry of our own trust domain. */
static enum err
pack_bundles(struct slice trust_domain, const struct sds_secret *bundle,
	     struct secret **out)
{
	enum err ret;
	const struct slice scheme = SLICE_LIT("spiffe://");
	const size_t key_len = scheme.len + trust_domain.len;
	const size_t len = field_len(key_len) + field_len(certs_len(bundle));
	uint8_t *p;

	if ((ret = secret_new(field_len(len), out)) != ERR_OK)
		return ret;
	p = put_head(secret_get_writable(*out), 2, len);
	p = put_head(p, 1, key_len);
	p = put_bytes(put_bytes(p, scheme), trust_domain);
	(void)put_certs(p, 2, bundle);
	return ERR_OK;
}

/* ---- sending ------------------------------------------------------------- */

static enum err
pack(const struct workload_stream *st, const struct sds_secret *identity,
     const struct sds_secret *bundle, struct secret **out)
{
	struct spiffe_id id;
	enum err ret;

	ret = spiffe_id_parse(sds_secret_get_spiffe_id(identity), NULL, &id);
	if (ret != ERR_OK)
		return ERR_DENIED;
	if (st->kind == WORKLOAD_BUNDLES)
		return pack_bundles(id.trust_domain, bundle, out);
	if (sds_secret_get_key_pkcs8(identity).len == 0)
		return ERR_DENIED;
	return pack_svid(identity, bundle, out);
}

static void
refuse(struct grpc_call *call, enum grpc_status status, const char *text)
{
	log_peer("workload request refused", "method=%s status=%s: %s",
		 grpc_call_get_method(call)->path, grpc_status_name(status),
		 text);
	grpc_call_finish(call, status, text);
}

/* The call may be over afterwards, and st with it. */
static void
send_state(struct workload_stream *st)
{
	const struct sds_secret *identity =
		sds_secrets_get(st->secrets, NAME_IDENTITY);
	const struct sds_secret *bundle =
		sds_secrets_get(st->secrets, NAME_BUNDLE);
	struct serve_conn *conn = st->conn;
	struct secret *message = NULL;
	enum err e;

	st->pending = grpc_call_out_len(st->call) > 0;
	if (st->pending)
		return;
	if (identity == NULL || bundle == NULL) {
		serve_conn_wake(conn);
		refuse(st->call, GRPC_UNAVAILABLE,
		       "there is no certificate yet, try again");
		return;
	}
	e = pack(st, identity, bundle, &message);
	if (e == ERR_OK)
		e = grpc_call_send(st->call, secret_get(message));
	secret_free(message);
	if (e == ERR_DENIED)
		refuse(st->call, GRPC_PERMISSION_DENIED,
		       "no identity issued: the certificate of this agent has "
		       "no SPIFFE ID or its key is not at hand");
	else if (e == ERR_BUSY)
		st->pending = true;
	else if (e != ERR_OK && e != ERR_CLOSED)
		refuse(st->call, grpc_status_of_err(e), err_text(e));
	else
		memcpy(st->sent_bundle, sds_secret_get_version(bundle),
		       strlen(sds_secret_get_version(bundle)) + 1);
	/* st may be gone by now, and more after this. */
	serve_conn_push(conn);
}

static void
on_change(void *arg, struct sds_secret *s)
{
	struct workload_stream *st = arg;
	const struct sds_secret *bundle =
		sds_secrets_get(st->secrets, NAME_BUNDLE);

	if (s == NULL) {
		serve_conn_wake(st->conn);
		refuse(st->call, GRPC_PERMISSION_DENIED,
		       "no identity issued: it was withdrawn");
		return;
	}
	/* A new certificate changes nothing for those who watch bundles. */
	if (st->kind == WORKLOAD_BUNDLES && bundle != NULL &&
	    strcmp(st->sent_bundle, sds_secret_get_version(bundle)) == 0)
		return;
	send_state(st);
}

/* ---- calls --------------------------------------------------------------- */

static bool
has_guard(struct grpc_call *call)
{
	const struct slice v =
		grpc_call_get_header(call, "workload.spiffe.io", NULL);

	if (slice_is_str(v, "true"))
		return true;
	refuse(call, GRPC_INVALID_ARGUMENT,
	       "security header missing from request: workload.spiffe.io must "
	       "be true");
	return false;
}

static void
stream_open(struct serve_conn *conn, struct grpc_call *call,
	    enum workload_kind kind)
{
	struct sds_server *server = serve_conn_get_app(conn);
	struct workload_stream *st;

	if (!has_guard(call))
		return;
	if (!sds_server_take_stream(server)) {
		refuse(call, GRPC_UNAVAILABLE,
		       "too many streams are open here, try again");
		return;
	}
	st = mem_try_new(sizeof(*st));
	if (st == NULL) {
		sds_server_drop_stream(server);
		refuse(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	st->server = server;
	st->secrets = sds_server_get_secrets(server);
	st->conn = conn;
	st->call = call;
	st->kind = kind;
	st->identity.on_change = on_change;
	st->identity.arg = st;
	st->bundle.on_change = on_change;
	st->bundle.arg = st;
	grpc_call_set_app(call, st);
}

static void
on_open_svid(void *app, struct grpc_call *call)
{
	stream_open(app, call, WORKLOAD_SVID);
}

static void
on_open_bundles(void *app, struct grpc_call *call)
{
	stream_open(app, call, WORKLOAD_BUNDLES);
}

static void
on_open_unimplemented(void *app UNUSED, struct grpc_call *call)
{
	if (has_guard(call))
		grpc_call_finish(call, GRPC_UNIMPLEMENTED,
				 "this agent issues X.509 certificates only: "
				 "JWT and WIT profiles are not served");
}

static enum err
request_check(struct slice message, struct why *why)
{
	enum err ret;
	struct pbscan_field f;

	/* It has no fields yet; unknown ones are passed over. */
	while ((ret = pbscan_next(&message, &f)) == ERR_OK)
		;
	if (ret != ERR_NOT_FOUND)
		return why_set(why, ret, "the request is no protobuf message");
	return ERR_OK;
}

static void
on_message(void *app UNUSED, struct grpc_call *call, struct slice message)
{
	struct workload_stream *st = grpc_call_get_app(call);
	struct why why;

	if (st == NULL || st->identity.entry != NULL)
		return;
	if (request_check(message, &why) != ERR_OK) {
		refuse(call, GRPC_INVALID_ARGUMENT, why.text);
		return;
	}
	if (sds_watch_start(st->secrets, NAME_IDENTITY, &st->identity) !=
		    ERR_OK ||
	    sds_watch_start(st->secrets, NAME_BUNDLE, &st->bundle) != ERR_OK) {
		refuse(call, GRPC_PERMISSION_DENIED,
		       "no identity issued: this agent serves files only");
		return;
	}
	send_state(st);
}

static void
on_drain(void *app UNUSED, struct grpc_call *call)
{
	struct workload_stream *st = grpc_call_get_app(call);

	if (st != NULL && st->pending)
		send_state(st);
}

static void
on_end(void *app UNUSED, struct grpc_call *call)
{
	struct workload_stream *st = grpc_call_get_app(call);

	if (st == NULL)
		return;
	grpc_call_set_app(call, NULL);
	sds_watch_cancel(&st->identity);
	sds_watch_cancel(&st->bundle);
	sds_server_drop_stream(st->server);
	mem_free(st);
}

#define STREAM(name, open)                                              \
	{                                                               \
		.path = "/SpiffeWorkloadAPI/" name,                     \
		.request_max = WORKLOAD_REQUEST_MAX, .on_open = (open), \
		.on_message = on_message, .on_end = on_end,             \
		.on_drain = on_drain,                                   \
	}
#define UNIMPLEMENTED(name)                                                 \
	{                                                                   \
		.path = "/SpiffeWorkloadAPI/" name,                         \
		.request_max = WORKLOAD_REQUEST_MAX,                        \
		.on_open = on_open_unimplemented, .on_message = on_message, \
	}

const struct grpc_method workload_methods[WORKLOAD_METHODS] = {
	STREAM("FetchX509SVID", on_open_svid),
	STREAM("FetchX509Bundles", on_open_bundles),
	UNIMPLEMENTED("FetchJWTSVID"),
	UNIMPLEMENTED("FetchJWTBundles"),
	UNIMPLEMENTED("ValidateJWTSVID"),
	UNIMPLEMENTED("FetchWITSVID"),
	UNIMPLEMENTED("FetchWITBundles"),
};
