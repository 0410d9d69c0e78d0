/* sds_fetch.c - FetchSecrets: one request, one answer with all that is there.
 *
 * Several secrets make one message by putting their bodies one behind the
 * other: protobuf joins lists and takes the last of single fields. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "sds/sds_int.h"

struct fetch {
	struct sds_secret *found[SDS_NAMES_MAX];
	size_t cnt;
	size_t len;
	bool waits; /* one is known and not there yet */
};

static void
on_change(void *arg UNUSED, struct sds_secret *s UNUSED)
{
}

static void
fetch_one(struct sds_server *s, struct slice name, struct fetch *f)
{
	struct sds_watch w = {.on_change = on_change};
	struct sds_secret *secret;
	struct why why;
	char *text;

	if (sds_name_check(name, &why) != ERR_OK) {
		s->counts.unknown++;
		log_peer("sds name not served", "%s", why.text);
		return;
	}
	text = mem_dup_slice_str(name);
	if (sds_watch_start(s->secrets, text, &w) != ERR_OK) {
		s->counts.unknown++;
		log_peer("sds name not served", "name=%s: no such secret here",
			 text);
		mem_free(text);
		return;
	}
	secret = sds_secrets_get(s->secrets, text);
	if (secret != NULL) {
		f->found[f->cnt++] = sds_secret_ref(secret);
		f->len += sds_secret_get_response(secret).len;
	} else {
		f->waits = true;
	}
	sds_watch_cancel(&w);
	mem_free(text);
}

static enum err
send_joined(struct grpc_call *call, const struct fetch *f, struct slice tail)
{
	enum err ret;
	struct secret *all;
	uint8_t *p;

	if (f->cnt == 1)
		return grpc_call_send2(
			call, sds_secret_get_response(f->found[0]), tail);
	if ((ret = secret_new(f->len, &all)) != ERR_OK)
		return ret;
	p = secret_get_writable(all);
	for (size_t i = 0; i < f->cnt; i++) {
		const struct slice body = sds_secret_get_response(f->found[i]);

		memcpy(p, body.p, body.len);
		p += body.len;
	}
	ret = grpc_call_send2(call, secret_get(all), tail);
	secret_free(all);
	return ret;
}

static void
fetch_answer(struct sds_server *s, struct grpc_call *call,
	     const struct fetch *f)
{
	uint8_t tail[8];
	const uint8_t *end = pack_bytes(tail, 5, SLICE_LIT("1"));
	enum err e;

	if (f->cnt == 0 && f->waits) {
		grpc_call_finish(call, GRPC_UNAVAILABLE,
				 "the secret is not there yet, try again");
		return;
	}
	if (f->cnt == 0) {
		sds_call_refuse(s, call, GRPC_NOT_FOUND,
				"none of these secrets is served here");
		return;
	}
	e = send_joined(call, f, slice_of(tail, (size_t)(end - tail)));
	if (e != ERR_OK) {
		grpc_call_finish(call, grpc_status_of_err(e), err_text(e));
		return;
	}
	s->counts.pushes += f->cnt;
	grpc_call_finish(call, GRPC_OK, NULL);
}

void
sds_fetch_on_message(void *app UNUSED, struct grpc_call *call,
		     struct slice message)
{
	struct sds_stream *st = grpc_call_get_app(call);
	struct sds_server *s;
	struct sds_request r;
	struct slice cursor = message;
	struct slice name;
	struct fetch f = {.cnt = 0};

	if (st == NULL)
		return;
	s = st->server;
	if (!sds_stream_admit(st, message, &r))
		return;
	while (sds_request_next(&r, false, &cursor, &name))
		fetch_one(s, name, &f);
	fetch_answer(s, call, &f);
	for (size_t i = 0; i < f.cnt; i++)
		sds_secret_unref(f.found[i]);
}
