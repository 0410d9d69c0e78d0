/* sds_status.c - who has which version, as JSON: see sds.h. */
#include <stdio.h>

#include "crypto/pem.h"
#include "sds/sds_int.h"

enum {
	CERT_PEM_MAX = 128 * 1024
};

static void
write_cert(struct jsonw *w, struct slice der)
{
	struct buf pem;

	buf_init(&pem, CERT_PEM_MAX);
	if (pem_write(&pem, "CERTIFICATE", der) == ERR_OK)
		jsonw_str(w, buf_get(&pem));
	buf_fini(&pem);
}

static void
write_secret(struct jsonw *w, const struct sds_secret *s)
{
	const bool is_cert = sds_secret_get_kind(s) == SDS_CERTIFICATE;

	jsonw_object_open(w);
	jsonw_pair_str(w, "name", slice_of_str(sds_secret_get_name(s)));
	jsonw_pair_str(w, "kind",
		       is_cert ? SLICE_LIT("certificate")
			       : SLICE_LIT("validation"));
	jsonw_pair_str(w, "source", slice_of_str(sds_secret_get_source(s)));
	jsonw_pair_str(w, "version", slice_of_str(sds_secret_get_version(s)));
	if (sds_secret_get_spiffe_id(s).len > 0)
		jsonw_pair_str(w, "identity", sds_secret_get_spiffe_id(s));
	jsonw_pair_time(w, "not_after", sds_secret_get_not_after(s));
	jsonw_key(w, "certificates");
	jsonw_array_open(w);
	for (size_t i = 0; i < sds_secret_get_cert_count(s); i++)
		write_cert(w, sds_secret_get_cert(s, i));
	jsonw_array_close(w);
	jsonw_object_close(w);
}

static const char *
state_name(unsigned state)
{
	static const char *const names[] = {"waiting", "sent",    "acked",
					    "nacked",  "unknown", "refused"};

	return state < COUNT_OF(names) ? names[state] : "?";
}

static void
write_sub(struct jsonw *w, const struct sds_sub *sub)
{
	jsonw_object_open(w);
	jsonw_pair_str(w, "name", slice_of_str(sub->name));
	jsonw_pair_str(w, "state", slice_of_str(state_name(sub->state)));
	if (sub->sent[0] != '\0')
		jsonw_pair_str(w, "version_sent", slice_of_str(sub->sent));
	if (sub->acked[0] != '\0')
		jsonw_pair_str(w, "version_acked", slice_of_str(sub->acked));
	jsonw_pair_time(w, "sent_at", sub->sent_at);
	jsonw_pair_time(w, "answered_at", sub->answered_at);
	if (sub->nack != NULL)
		jsonw_pair_str(w, "nack", slice_of_str(sub->nack));
	jsonw_object_close(w);
}

static void
write_stream(struct jsonw *w, const struct sds_stream *st)
{
	char peer[64];

	(void)snprintf(peer, sizeof(peer), "pid=%d,uid=%u", (int)st->peer.pid,
		       (unsigned)st->peer.uid);
	jsonw_object_open(w);
	jsonw_pair_str(w, "peer", slice_of_str(peer));
	jsonw_pair_str(w, "node",
		       slice_of_str(st->node_id == NULL ? "" : st->node_id));
	jsonw_pair_str(w, "method",
		       st->delta ? SLICE_LIT("DeltaSecrets")
				 : SLICE_LIT("StreamSecrets"));
	jsonw_pair_time(w, "since", st->since);
	jsonw_key(w, "names");
	jsonw_array_open(w);
	for (const struct sds_sub *sub = st->subs; sub != NULL; sub = sub->next)
		write_sub(w, sub);
	jsonw_array_close(w);
	jsonw_object_close(w);
}

void
sds_status_write_json(const struct sds_server *s, struct jsonw *w)
{
	const size_t cnt = sds_secrets_count(s->secrets);

	jsonw_key(w, "secrets");
	jsonw_array_open(w);
	for (size_t i = 0; i < cnt; i++)
		write_secret(w, sds_secrets_at(s->secrets, i));
	jsonw_array_close(w);
	jsonw_key(w, "streams");
	jsonw_array_open(w);
	for (const struct sds_stream *st = s->streams; st != NULL;
	     st = st->next)
		write_stream(w, st);
	jsonw_array_close(w);
}
