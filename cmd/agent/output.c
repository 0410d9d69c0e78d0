/* output.c - see output.h. What is written is what a proxy would get over SDS:
 * it is read out of the packed secrets, whoever made them. */
#include "agent/output.h"

#include <inttypes.h>

#include "base/mem.h"
#include "grpc/pbscan.h"

enum {
	AGAIN_MIN_MS = 1000,
	AGAIN_MAX_MS = 60000
};

struct agent_output {
	struct agent *a;
	struct sds_watch identity;
	struct sds_watch root;
	struct ev_defer write;
	struct ev_timer *again;
	uint64_t pause_ms;
	struct why error;
};

/* The bytes at a path of message fields. */
static struct slice
packed_get(struct slice in, const uint32_t *path, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		struct pbscan_field f;

		if (pbscan_find(in, path[i], PBSCAN_BYTES, &f) != ERR_OK)
			return SLICE_NONE;
		in = f.bytes;
	}
	return in;
}

/* Secret.tls_certificate.private_key.inline_bytes and its like: secret.proto */
static bool
output_read(const struct agent_output *o, struct output_set *out)
{
	static const uint32_t key[] = {2, 2, 2};
	static const uint32_t chain[] = {2, 1, 2};
	static const uint32_t root[] = {4, 1, 2};
	const struct sds_secret *id =
		sds_secrets_get(o->a->secrets, AGENT_NAME_DEFAULT);
	const struct sds_secret *ca =
		sds_secrets_get(o->a->secrets, AGENT_NAME_ROOT);

	if (id == NULL || ca == NULL)
		return false;
	out->key = packed_get(sds_secret_get_packed(id), key, COUNT_OF(key));
	out->chain =
		packed_get(sds_secret_get_packed(id), chain, COUNT_OF(chain));
	out->root = packed_get(sds_secret_get_packed(ca), root, COUNT_OF(root));
	return out->key.len > 0 && out->chain.len > 0 && out->root.len > 0;
}

static void output_try(void *arg);

static void
output_again(struct agent_output *o, enum err e)
{
	char pause[DURATION_TEXT_MAX];

	o->pause_ms = o->pause_ms == 0 ? AGAIN_MIN_MS : o->pause_ms * 2;
	if (o->pause_ms > AGAIN_MAX_MS)
		o->pause_ms = AGAIN_MAX_MS;
	duration_format((int64_t)o->pause_ms, pause);
	log_error("output", "certificates not written to %s: %s; again in %s",
		  o->a->conf.output_dir, why_text(&o->error, e), pause);
	metric_add(o->a->metrics, AM_OUTPUT_FAILED, 0, 1);
	ev_timer_cancel(&o->again);
	must(ev_timer_start(o->a->loop, o->pause_ms, output_try, o,
			    &o->again) == ERR_OK);
}

static void
output_try(void *arg)
{
	struct agent_output *o = arg;
	const struct agent_conf *c = &o->a->conf;
	struct output_set set;
	char *serial;
	enum err ret;

	if (!output_read(o, &set))
		return;
	serial = mem_printf("%" PRIx64, mono_now().ns);
	o->error.text[0] = '\0';
	ret = output_write(c->output_dir, serial, &set,
			   c->output_mode == 0 ? 0600 : 0640, &o->error);
	mem_free(serial);
	if (ret != ERR_OK) {
		output_again(o, ret);
		return;
	}
	o->pause_ms = 0;
	ev_timer_cancel(&o->again);
	metric_add(o->a->metrics, AM_OUTPUT_WRITES, 0, 1);
	log_info("output", "certificates written to %s", c->output_dir);
}

/* Roots and certificate change in one turn: they are written together. */
static void
output_on_change(void *arg, struct sds_secret *s)
{
	struct agent_output *o = arg;

	(void)s;
	ev_defer_queue(o->a->loop, &o->write, output_try, o);
}

enum err
agent_output_new(struct agent *a, struct why *why, struct agent_output **out)
{
	struct agent_output *o = MEM_NEW(struct agent_output);
	enum err ret;

	*out = NULL;
	o->a = a;
	o->identity.on_change = o->root.on_change = output_on_change;
	o->identity.arg = o->root.arg = o;
	if ((ret = sds_watch_start(a->secrets, AGENT_NAME_DEFAULT,
				   &o->identity)) != ERR_OK ||
	    (ret = sds_watch_start(a->secrets, AGENT_NAME_ROOT, &o->root)) !=
		    ERR_OK) {
		why_set(why, ret,
			"output.dir: nobody provides the certificates here");
		agent_output_free(o);
		return ret;
	}
	output_on_change(o, NULL);
	*out = o;
	return ERR_OK;
}

void
agent_output_free(struct agent_output *o)
{
	if (o == NULL)
		return;
	sds_watch_cancel(&o->identity);
	sds_watch_cancel(&o->root);
	ev_defer_cancel(&o->write);
	ev_timer_cancel(&o->again);
	mem_free(o);
}

const char *
agent_output_get_error(const struct agent_output *o)
{
	return o->error.text;
}
