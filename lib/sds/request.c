/* request.c - reading what Envoy asks: see sds_int.h. */
#include <string.h>

#include "grpc/pbscan.h"
#include "sds/sds_int.h"

/* Field numbers of the two requests. */
struct fields {
	uint32_t node, type_url, names, drops, nonce, error;
};

static const struct fields sotw_fields = {2, 4, 3, 0, 5, 6};
static const struct fields delta_fields = {1, 2, 3, 4, 6, 7};

static const struct fields *
fields_of(bool delta)
{
	return delta ? &delta_fields : &sotw_fields;
}

/* google.rpc.Status */
static enum err
read_error(struct slice status, struct sds_request *r)
{
	enum err ret;
	struct pbscan_field f;

	r->has_error = true;
	while ((ret = pbscan_next(&status, &f)) == ERR_OK) {
		if (f.number == 1 && f.wire == PBSCAN_VARINT)
			r->error_code = f.value;
		else if (f.number == 2 && f.wire == PBSCAN_BYTES)
			r->error_text = f.bytes;
	}
	return ret == ERR_NOT_FOUND ? ERR_OK : ret;
}

static enum err
read_node(struct slice node, struct sds_request *r)
{
	struct pbscan_field f;
	const enum err ret = pbscan_find(node, 1, PBSCAN_BYTES, &f);

	if (ret == ERR_OK)
		r->node_id = f.bytes;
	return ret == ERR_NOT_FOUND ? ERR_OK : ret;
}

static enum err
take_field(const struct pbscan_field *f, struct sds_request *r)
{
	const struct fields *n = fields_of(r->delta);

	if (f->wire != PBSCAN_BYTES)
		return ERR_OK;
	if (f->number == n->names) {
		if (r->name_cnt++ == 0)
			r->first_name = f->bytes;
	} else if (f->number == n->drops) {
		r->drop_cnt++;
	} else if (f->number == n->nonce) {
		r->nonce = f->bytes;
	} else if (f->number == n->type_url) {
		r->type_url = f->bytes;
	} else if (f->number == n->node) {
		return read_node(f->bytes, r);
	} else if (f->number == n->error) {
		return read_error(f->bytes, r);
	}
	return ERR_OK;
}

enum err
sds_request_parse(struct slice message, bool delta, struct why *why,
		  struct sds_request *out)
{
	enum err ret;
	struct pbscan_field f;
	struct slice rest = message;

	*out = (struct sds_request){.raw = message, .delta = delta};
	while ((ret = pbscan_next(&rest, &f)) == ERR_OK) {
		if ((ret = take_field(&f, out)) != ERR_OK)
			break;
	}
	if (ret != ERR_NOT_FOUND)
		return why_set(why, ret, "the request is no %sDiscoveryRequest",
			       delta ? "Delta" : "");
	if (out->name_cnt > SDS_NAMES_MAX || out->drop_cnt > SDS_NAMES_MAX)
		return why_set(why, ERR_LIMIT,
			       "more than %d names in one request",
			       SDS_NAMES_MAX);
	return ERR_OK;
}

bool
sds_request_next(const struct sds_request *r, bool drop, struct slice *cursor,
		 struct slice *name)
{
	const struct fields *n = fields_of(r->delta);
	struct pbscan_field f;

	while (pbscan_next(cursor, &f) == ERR_OK) {
		if (f.wire != PBSCAN_BYTES)
			continue;
		if (f.number == (drop ? n->drops : n->names)) {
			*name = f.bytes;
			return true;
		}
	}
	return false;
}

bool
sds_request_is_secret(const struct sds_request *r)
{
	return r->type_url.len == 0 ||
	       slice_is_eq(r->type_url, SLICE_LIT(SDS_TYPE_URL));
}
