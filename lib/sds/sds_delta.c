/* sds_delta.c - DeltaSecrets.
 *
 * Requests carry changes of the list, which count even where the nonce is
 * stale. Every subscribed name is answered, also one that the client should
 * have (initial_resource_versions is not trusted: resending is harmless, a
 * secret left out is not). A name that nobody serves is answered with
 * removed_resources and stays subscribed; one that is on its way is not
 * answered yet, because Envoy would go on without it. */
#include "sds/sds_int.h"

static void
names_drop(struct sds_stream *st, const struct sds_request *r)
{
	struct slice cursor = r->raw;
	struct slice name;
	struct sds_sub **at;

	while (sds_request_next(r, true, &cursor, &name)) {
		for (at = &st->subs; *at != NULL; at = &(*at)->next) {
			if (slice_is_str(name, (*at)->name)) {
				sds_sub_drop(at);
				break;
			}
		}
	}
}

static enum err
names_add(struct sds_stream *st, const struct sds_request *r)
{
	enum err ret;
	struct slice cursor = r->raw;
	struct slice name;
	struct sds_sub *sub;

	while (sds_request_next(r, false, &cursor, &name)) {
		if ((sub = sds_sub_find(st, name)) != NULL)
			sds_sub_send(sub);
		else if ((ret = sds_sub_add(st, name)) != ERR_OK)
			return ret;
	}
	return ERR_OK;
}

void
sds_delta_on_message(void *app UNUSED, struct grpc_call *call,
		     struct slice message)
{
	struct sds_stream *st = grpc_call_get_app(call);
	struct sds_request r;
	bool first;

	if (st == NULL)
		return;
	first = st->node_id == NULL;
	if (!sds_stream_admit(st, message, &r))
		return;
	if (!first && r.nonce.len > 0 && !sds_stream_take_answer(st, &r))
		st->server->counts.stale++;
	names_drop(st, &r);
	if (names_add(st, &r) != ERR_OK)
		sds_call_refuse(st->server, call, GRPC_RESOURCE_EXHAUSTED,
				"no room for the names of this stream");
}
