/* sds_stream.c - StreamSecrets ("state of the world"), and the method table.
 *
 * The request lists all names each time. Its nonce says what it has seen: an
 * answer to something older than the last response does not change the list,
 * because the client will send another. */
#include "sds/sds_int.h"

static void
names_restate(struct sds_stream *st)
{
	for (struct sds_sub *sub = st->subs; sub != NULL; sub = sub->next)
		sds_sub_send(sub);
}

/* The list is as it was: nearly always, it is an ACK. */
static bool
is_same_name(const struct sds_stream *st, const struct sds_request *r)
{
	return st->sub_cnt == 1 && r->name_cnt == 1 &&
	       slice_is_str(r->first_name, st->subs->name);
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
			sub->seen = true;
		else if ((ret = sds_sub_add(st, name)) != ERR_OK)
			return ret;
	}
	return ERR_OK;
}

static void
mark_wanted(struct sds_stream *st, const struct sds_request *r)
{
	struct slice cursor = r->raw;
	struct slice name;
	struct sds_sub *sub;

	for (sub = st->subs; sub != NULL; sub = sub->next)
		sub->seen = false;
	while (sds_request_next(r, false, &cursor, &name)) {
		if ((sub = sds_sub_find(st, name)) != NULL)
			sub->seen = true;
	}
}

/* Names that are gone first, so that new ones have room. */
static enum err
names_set(struct sds_stream *st, const struct sds_request *r)
{
	struct sds_sub **at = &st->subs;

	if (is_same_name(st, r))
		return ERR_OK;
	mark_wanted(st, r);
	while (*at != NULL) {
		if ((*at)->seen)
			at = &(*at)->next;
		else
			sds_sub_drop(at);
	}
	return names_add(st, r);
}

static bool
is_latest(const struct sds_stream *st, struct slice nonce)
{
	uint64_t n;

	return slice_parse_u64(nonce, &n) == ERR_OK && n == st->nonce;
}

void
sds_stream_on_message(void *app UNUSED, struct grpc_call *call,
		      struct slice message)
{
	struct sds_stream *st = grpc_call_get_app(call);
	struct sds_request r;
	enum err e;
	bool first;
	bool answers;

	if (st == NULL)
		return;
	first = st->node_id == NULL;
	if (!sds_stream_admit(st, message, &r))
		return;
	/* A nonce in a stream's first request is from another stream. */
	if (!first && r.nonce.len > 0) {
		answers = sds_stream_take_answer(st, &r);
		if (!is_latest(st, r.nonce)) {
			st->server->counts.stale += !answers;
			return;
		}
	}
	e = names_set(st, &r);
	/* No nonce later on: it says that it has got nothing. */
	if (e == ERR_OK && !first && r.nonce.len == 0 && !r.has_error)
		names_restate(st);
	if (e != ERR_OK)
		sds_call_refuse(st->server, call, GRPC_RESOURCE_EXHAUSTED,
				"no room for the names of this stream");
}

static void
on_open(void *app, struct grpc_call *call)
{
	sds_stream_open(app, call, false);
}

static void
on_open_delta(void *app, struct grpc_call *call)
{
	sds_stream_open(app, call, true);
}

#define SDS_SERVICE "/envoy.service.secret.v3.SecretDiscoveryService/"

const struct grpc_method sds_methods[SDS_METHODS] = {
	{
		.path = SDS_SERVICE "StreamSecrets",
		.request_max = SDS_REQUEST_MAX,
		.on_open = on_open,
		.on_message = sds_stream_on_message,
		.on_half_close = sds_stream_half_close,
		.on_end = sds_stream_end,
		.on_drain = sds_stream_drain,
	},
	{
		.path = SDS_SERVICE "DeltaSecrets",
		.request_max = SDS_REQUEST_MAX,
		.on_open = on_open_delta,
		.on_message = sds_delta_on_message,
		.on_half_close = sds_stream_half_close,
		.on_end = sds_stream_end,
		.on_drain = sds_stream_drain,
	},
	{
		.path = SDS_SERVICE "FetchSecrets",
		.request_max = SDS_REQUEST_MAX,
		.on_open = on_open,
		.on_message = sds_fetch_on_message,
		.on_end = sds_stream_end,
	},
};
