/* secret_sds.c - secrets from an SDS server: our agent's socket, Istio's,
 * SPIRE's. Each name is asked for on a stream of its own, as Envoy does, so
 * that a name that the server does not have hurts no other. The key that comes
 * along stays in secret memory and is never looked at. */
#include <string.h>

#include "base/mem.h"
#include "grpc/pbmem.h"
#include "grpc/pbscan.h"
#include "meshcert/call.h"
#include "meshcert/cmd.h"
#include "meshcert/secret_int.h"
#include "proto/discovery.pb-c.h"
#include "proto/secret.pb-c.h"

#define SDS_TYPE_URL \
	"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
#define SDS_STREAM \
	"/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"

enum {
	SDS_MEM_MAX = 32 << 20
};

static struct slice
sds_source(const Xds__DataSource *src)
{
	if (src == NULL)
		return SLICE_NONE;
	if (src->specifier_case == XDS__DATA_SOURCE__SPECIFIER_INLINE_BYTES)
		return slice_of(src->inline_bytes.data, src->inline_bytes.len);
	if (src->specifier_case == XDS__DATA_SOURCE__SPECIFIER_INLINE_STRING)
		return slice_of_str(src->inline_string);
	return SLICE_NONE;
}

/* What all rows of one answer share. */
struct sds_answer {
	struct secret_list *out;
	const char *addr;
	const char *version;
};

static struct secret_item *
sds_add(const struct sds_answer *a, const char *name, const char *type)
{
	struct secret_item *it = secret_list_add(a->out, slice_of_str(name));

	it->type = type;
	it->state = "ACTIVE";
	it->source = mem_printf("sds %s", a->addr);
	it->version = mem_dup_str(a->version);
	it->updated = mem_dup_str("");
	it->ack = mem_dup_str("");
	return it;
}

static void
sds_set_pem(struct secret_item *it, struct slice pem)
{
	if (pem.len > 0)
		secret_item_set_pem(it, pem);
	else
		it->detail = mem_dup_str("no certificate in it");
}

/* SPIRE's bundles of several trust domains; false: none. */
static bool
sds_add_domains(const struct sds_answer *a, const char *name,
		const Xds__CertificateValidationContext *context,
		struct pbmem *mem)
{
	const Xds__TypedExtensionConfig *custom =
		context->custom_validator_config;
	Xds__SpiffeCertValidatorConfig *conf;

	if (custom == NULL || custom->typed_config == NULL)
		return false;
	conf = xds__spiffe_cert_validator_config__unpack(
		pbmem_get(mem), custom->typed_config->value.len,
		custom->typed_config->value.data);
	for (size_t i = 0; conf != NULL && i < conf->n_trust_domains; i++) {
		const Xds__SpiffeTrustDomain *d = conf->trust_domains[i];
		struct secret_item *it = sds_add(a, name, "CA");

		it->trust_domain = mem_dup_str(d->name);
		sds_set_pem(it, sds_source(d->trust_bundle));
	}
	return conf != NULL && conf->n_trust_domains > 0;
}

static void
sds_read_secret(const struct sds_answer *a, const Xds__Secret *s,
		struct pbmem *mem)
{
	struct secret_item *it;

	switch ((int)s->type_case) {
	case XDS__SECRET__TYPE_TLS_CERTIFICATE:
		it = sds_add(a, s->name, "Cert Chain");
		it->has_key = s->tls_certificate->private_key != NULL;
		sds_set_pem(it,
			    sds_source(s->tls_certificate->certificate_chain));
		break;
	case XDS__SECRET__TYPE_VALIDATION_CONTEXT:
		if (sds_add_domains(a, s->name, s->validation_context, mem))
			break;
		it = sds_add(a, s->name, "CA");
		sds_set_pem(it, sds_source(s->validation_context->trusted_ca));
		break;
	default:
		it = sds_add(a, s->name, "");
		it->detail = mem_dup_str("neither certificate nor CAs");
		break;
	}
}

/* The arena holds a copy of the key: it is wiped block by block. */
static void
sds_fini_mem(struct pbmem *mem, Xds__DiscoveryResponse *rs, Xds__Secret **all,
	     size_t cnt)
{
	for (size_t i = 0; rs != NULL && i < rs->n_resources; i++)
		secret_wipe(rs->resources[i]->value.data,
			    rs->resources[i]->value.len);
	for (size_t i = 0; i < cnt; i++) {
		const Xds__DataSource *key = NULL;

		if (all[i] != NULL &&
		    all[i]->type_case == XDS__SECRET__TYPE_TLS_CERTIFICATE)
			key = all[i]->tls_certificate->private_key;
		if (key != NULL && sds_source(key).len > 0)
			secret_wipe((void *)(uintptr_t)sds_source(key).p,
				    sds_source(key).len);
	}
	pbmem_fini(mem);
}

static enum err
sds_read_answer(struct slice bytes, struct sds_answer *a, struct why *why)
{
	Xds__DiscoveryResponse *rs;
	Xds__Secret *all[16] = {NULL};
	struct pbmem mem;
	size_t cnt = 0;
	enum err e = ERR_OK;

	pbmem_init(&mem, SDS_MEM_MAX);
	rs = xds__discovery_response__unpack(pbmem_get(&mem), bytes.len,
					     bytes.p);
	if (rs == NULL)
		e = why_set(why, ERR_SYNTAX, "%s: its answer cannot be read",
			    a->addr);
	for (size_t i = 0; rs != NULL && i < rs->n_resources; i++) {
		const Google__Protobuf__Any *any = rs->resources[i];

		a->version = rs->version_info;
		if (cnt == COUNT_OF(all) ||
		    strcmp(any->type_url, SDS_TYPE_URL) != 0)
			continue;
		all[cnt] = xds__secret__unpack(pbmem_get(&mem), any->value.len,
					       any->value.data);
		if (all[cnt] != NULL)
			sds_read_secret(a, all[cnt++], &mem);
	}
	sds_fini_mem(&mem, rs, all, cnt);
	return e;
}

static void
sds_add_missing(const struct sds_answer *a, const char *name,
		const char *detail)
{
	struct secret_item *it = sds_add(a, name, "");

	it->state = "WARMING";
	it->detail = mem_dup_str(detail);
}

static enum err
sds_ask(const char *addr, const char *name, uint64_t timeout_ms,
	struct why *why, struct call_answer *out)
{
	Xds__Node node;
	Xds__DiscoveryRequest rq;
	char *own_name = mem_dup_str(name);
	char id[] = "meshcert-cli", type[] = SDS_TYPE_URL;
	struct call c = {.addr = addr,
			 .path = SDS_STREAM,
			 .is_stream = true,
			 .timeout_ms = timeout_ms};
	struct buf text;
	enum err e;

	xds__node__init(&node);
	xds__discovery_request__init(&rq);
	node.id = id;
	node.cluster = id;
	rq.node = &node;
	rq.type_url = type;
	rq.resource_names = &own_name;
	rq.n_resource_names = 1;
	buf_init(&text, 65536);
	e = pbmem_pack(&rq.base, &text);
	c.request = buf_get(&text);
	if (e == ERR_OK)
		e = call_run(&c, why, out);
	buf_fini(&text);
	mem_free(own_name);
	return e;
}

/* SDS has no answer for "not there": it is asked until a deadline, which we or
 * the server notice. A server that was not reached is something else. */
static bool
is_silence(enum err e, const struct call_answer *answer)
{
	return (e == ERR_TIMEOUT && answer->asked) ||
	       (e == ERR_OK && answer->status == GRPC_DEADLINE_EXCEEDED);
}

/* see secret_int.h */
enum err
secret_ask_sds(const char *addr, const char *const *names, uint64_t timeout_ms,
	       struct why *why, struct secret_list *out)
{
	struct sds_answer a = {out, addr, ""};

	for (; *names != NULL; names++) {
		struct call_answer answer = {0};
		size_t before = out->cnt;
		enum err e = sds_ask(addr, *names, timeout_ms, why, &answer);

		a.version = "";
		if (is_silence(e, &answer)) {
			secret_free(answer.message);
			sds_add_missing(&a, *names,
					"the server has sent nothing for this "
					"name");
			continue;
		}
		if (e == ERR_OK && answer.status != GRPC_OK)
			sds_add_missing(&a, *names, answer.text.text);
		else if (e == ERR_OK)
			e = sds_read_answer(secret_get(answer.message), &a,
					    why);
		secret_free(answer.message);
		if (e != ERR_OK)
			return e;
		if (out->cnt == before)
			sds_add_missing(&a, *names, "an answer without it");
	}
	return ERR_OK;
}
