/* test_sds.c - the three methods over a Unix socket: nonce, ACK and NACK rules,
 * names that nobody serves, status. */
#include "grpc/pbscan.h"
#include "proto/discovery.pb-c.h"
#include "sds_pair.h"

#define SERVICE "/envoy.service.secret.v3.SecretDiscoveryService/"
#define STREAM SERVICE "StreamSecrets"
#define DELTA SERVICE "DeltaSecrets"
#define FETCH SERVICE "FetchSecrets"

enum {
	ASK_NAMES = 4,
	ASK_MAX = 64 * 1024
};

static struct pair p;

static int
setup(void **state UNUSED)
{
	pair_init(&p);
	pair_set_default(&p);
	pair_set(&p, pair_validation(&p, "ROOTCA"));
	return 0;
}

static int
teardown(void **state UNUSED)
{
	pair_fini(&p);
	return 0;
}

/* ---- requests ------------------------------------------------------------ */

/* A request in few words; NULL: left out. */
struct ask {
	const char *node;
	const char *names[ASK_NAMES];
	const char *drop; /* delta */
	const char *nonce;
	const char *version;
	const char *type; /* NULL: ours */
	const char *nack;
};

static char *
text(const char *s)
{
	return mem_dup_str(s == NULL ? "" : s);
}

static size_t
texts(const char *const *in, char **out)
{
	size_t n = 0;

	while (n < ASK_NAMES && in[n] != NULL) {
		out[n] = text(in[n]);
		n++;
	}
	return n;
}

/* Packed by protobuf-c; the caller frees. */
static size_t
pack_sotw(const struct ask *a, uint8_t *out)
{
	char *names[ASK_NAMES] = {0};
	Xds__Node node;
	Xds__Status status;
	Xds__DiscoveryRequest rq;
	size_t len;

	xds__node__init(&node);
	xds__status__init(&status);
	xds__discovery_request__init(&rq);
	node.id = text(a->node);
	status.code = 13;
	status.message = text(a->nack);
	rq.node = a->node == NULL ? NULL : &node;
	rq.error_detail = a->nack == NULL ? NULL : &status;
	rq.n_resource_names = texts(a->names, names);
	rq.resource_names = names;
	rq.type_url = text(a->type == NULL ? SDS_TYPE_URL : a->type);
	rq.response_nonce = text(a->nonce);
	rq.version_info = text(a->version);
	must(xds__discovery_request__get_packed_size(&rq) <= ASK_MAX);
	len = xds__discovery_request__pack(&rq, out);
	mem_free(node.id);
	mem_free(status.message);
	for (size_t i = 0; i < ASK_NAMES; i++)
		mem_free(names[i]);
	mem_free(rq.type_url);
	mem_free(rq.response_nonce);
	mem_free(rq.version_info);
	return len;
}

static size_t
pack_delta(const struct ask *a, uint8_t *out)
{
	char *names[ASK_NAMES] = {0};
	char *drop[] = {text(a->drop)};
	Xds__Node node;
	Xds__Status status;
	Xds__DeltaDiscoveryRequest rq;
	size_t len;

	xds__node__init(&node);
	xds__status__init(&status);
	xds__delta_discovery_request__init(&rq);
	node.id = text(a->node);
	status.code = 13;
	status.message = text(a->nack);
	rq.node = a->node == NULL ? NULL : &node;
	rq.error_detail = a->nack == NULL ? NULL : &status;
	rq.n_resource_names_subscribe = texts(a->names, names);
	rq.resource_names_subscribe = names;
	rq.n_resource_names_unsubscribe = a->drop != NULL;
	rq.resource_names_unsubscribe = drop;
	rq.type_url = text(a->type == NULL ? SDS_TYPE_URL : a->type);
	rq.response_nonce = text(a->nonce);
	must(xds__delta_discovery_request__get_packed_size(&rq) <= ASK_MAX);
	len = xds__delta_discovery_request__pack(&rq, out);
	mem_free(node.id);
	mem_free(status.message);
	for (size_t i = 0; i < ASK_NAMES; i++)
		mem_free(names[i]);
	mem_free(drop[0]);
	mem_free(rq.type_url);
	mem_free(rq.response_nonce);
	return len;
}

static void
ask_first(struct pair_call *c, const char *path, struct ask a)
{
	uint8_t out[ASK_MAX];
	const bool delta = strcmp(path, DELTA) == 0;
	const size_t len = delta ? pack_delta(&a, out) : pack_sotw(&a, out);

	call_start(&p, c, path, slice_of(out, len), strcmp(path, FETCH) == 0);
}

static void
ask_sotw(struct pair_call *c, struct ask a)
{
	uint8_t out[ASK_MAX];

	call_send(&p, c, slice_of(out, pack_sotw(&a, out)));
}

static void
ask_delta(struct pair_call *c, struct ask a)
{
	uint8_t out[ASK_MAX];

	call_send(&p, c, slice_of(out, pack_delta(&a, out)));
}

/* All that was asked before on this connection has been answered. */
static void
fence(void)
{
	struct pair_call c;

	ask_first(&c, FETCH, (struct ask){.node = "n", .names = {"ROOTCA"}});
	PAIR_UNTIL(&p, c.finished);
	assert_int_equal(c.status, GRPC_OK);
	call_end(&p, &c);
}

/* Waits for the n-th message and gives its nonce. */
static const char *
nonce_of(struct pair_call *c, size_t n)
{
	static char nonce[16];
	struct pbscan_field f;

	PAIR_UNTIL(&p, c->cnt >= n || c->finished);
	assert_true(c->cnt >= n);
	/* The same number in both kinds of responses. */
	assert_int_equal(
		pbscan_find(buf_get(&c->messages[n - 1]), 5, PBSCAN_BYTES, &f),
		ERR_OK);
	assert_true(f.bytes.len > 0);
	(void)snprintf(nonce, sizeof(nonce), "%.*s", SLICE_FMT(f.bytes));
	return nonce;
}

static const char *
version_of(struct pair_call *c, size_t n)
{
	static char version[32];
	Xds__DiscoveryResponse *m = xds__discovery_response__unpack(
		NULL, buf_len(&c->messages[n - 1]),
		buf_get(&c->messages[n - 1]).p);

	assert_non_null(m);
	(void)snprintf(version, sizeof(version), "%s", m->version_info);
	xds__discovery_response__free_unpacked(m, NULL);
	return version;
}

static struct sds_counts
counts(void)
{
	return sds_server_get_counts(p.server);
}

/* ---- state of the world -------------------------------------------------- */

static void
a_first_request_is_answered_whatever_it_claims_to_know(void **state UNUSED)
{
	const struct ask asks[] = {
		{.node = "n", .names = {"default"}},
		{.node = "n",
		 .names = {"default"},
		 .version = pair_version(&p, "default")},
		{.node = "n",
		 .names = {"default"},
		 .version = pair_version(&p, "default"),
		 .nonce = "1"},
		{.node = "n",
		 .names = {"default"},
		 .nonce = "1",
		 .nack = "from another stream"},
	};

	for (size_t i = 0; i < COUNT_OF(asks); i++) {
		struct pair_call c;
		const struct sds_counts before = counts();

		ask_first(&c, STREAM, asks[i]);
		(void)nonce_of(&c, 1);
		assert_string_equal(version_of(&c, 1),
				    pair_version(&p, "default"));
		assert_int_equal(counts().acks, before.acks);
		assert_int_equal(counts().nacks, before.nacks);
		call_end(&p, &c);
	}
}

static void
an_ack_is_noted_and_not_answered(void **state UNUSED)
{
	struct pair_call c;
	const uint64_t before = counts().acks;

	ask_first(&c, STREAM, (struct ask){.node = "n", .names = {"default"}});
	ask_sotw(&c, (struct ask){.names = {"default"},
				  .nonce = nonce_of(&c, 1),
				  .version = version_of(&c, 1)});
	PAIR_UNTIL(&p, counts().acks == before + 1);
	fence();
	assert_int_equal(c.cnt, 1);
	call_end(&p, &c);
}

static void
new_content_is_pushed_and_the_same_is_not(void **state UNUSED)
{
	struct pair_call c;

	ask_first(&c, STREAM, (struct ask){.node = "n", .names = {"ROOTCA"}});
	(void)nonce_of(&c, 1);
	pair_set(&p, pair_validation(&p, "ROOTCA"));
	fence();
	assert_int_equal(c.cnt, 1);
	call_end(&p, &c);

	ask_first(&c, STREAM, (struct ask){.node = "n", .names = {"default"}});
	(void)nonce_of(&c, 1);
	pair_set_default(&p);
	(void)nonce_of(&c, 2);
	assert_string_equal(version_of(&c, 2), pair_version(&p, "default"));
	assert_string_not_equal(version_of(&c, 1), pair_version(&p, "default"));
	call_end(&p, &c);
}

static void
a_refused_secret_is_not_sent_again_until_it_changes(void **state UNUSED)
{
	struct pair_call c;
	const uint64_t before = counts().nacks;

	ask_first(&c, STREAM, (struct ask){.node = "n", .names = {"default"}});
	ask_sotw(&c, (struct ask){.names = {"default"},
				  .nonce = nonce_of(&c, 1),
				  .nack = "Failed to load\nkey"});
	PAIR_UNTIL(&p, counts().nacks == before + 1);
	fence();
	assert_int_equal(c.cnt, 1);
	assert_int_equal(p.server->streams->subs->state, SDS_STATE_NACKED);
	assert_string_equal(p.server->streams->subs->nack,
			    "Failed to load?key");
	pair_set_default(&p);
	ask_sotw(&c,
		 (struct ask){.names = {"default"}, .nonce = nonce_of(&c, 2)});
	PAIR_UNTIL(&p, p.server->streams->subs->state == SDS_STATE_ACKED);
	assert_null(p.server->streams->subs->nack);
	call_end(&p, &c);
}

static void
a_stale_nonce_changes_nothing(void **state UNUSED)
{
	static const struct ask stale[] = {
		{.names = {"ROOTCA"}, .nonce = "999"},
		{.names = {"ROOTCA"}, .nonce = "nonsense"},
		{.names = {"ROOTCA"}, .nonce = "0"},
		{.nonce = "999"},
		{.names = {"default"}, .nonce = "999", .nack = "old"},
	};

	for (size_t i = 0; i < COUNT_OF(stale); i++) {
		struct pair_call c;
		const struct sds_counts before = counts();

		ask_first(&c, STREAM,
			  (struct ask){.node = "n", .names = {"default"}});
		(void)nonce_of(&c, 1);
		ask_sotw(&c, stale[i]);
		PAIR_UNTIL(&p, counts().stale == before.stale + 1);
		fence();
		assert_int_equal(c.cnt, 1);
		assert_int_equal(counts().nacks, before.nacks);
		assert_string_equal(p.server->streams->subs->name, "default");
		assert_null(p.server->streams->subs->next);
		call_end(&p, &c);
		PAIR_UNTIL(&p, counts().streams == 0);
	}
}

static void
added_names_are_answered_and_dropped_ones_forgotten(void **state UNUSED)
{
	struct pair_call c;

	ask_first(&c, STREAM, (struct ask){.node = "n", .names = {"default"}});
	ask_sotw(&c, (struct ask){.names = {"default", "ROOTCA"},
				  .nonce = nonce_of(&c, 1)});
	ask_sotw(&c,
		 (struct ask){.names = {"ROOTCA"}, .nonce = nonce_of(&c, 2)});
	assert_string_equal(version_of(&c, 2), pair_version(&p, "ROOTCA"));
	PAIR_UNTIL(&p, counts().watches == 1);
	pair_set_default(&p);
	fence();
	assert_int_equal(c.cnt, 2);
	/* Wanted again: sent, although it was had before. */
	ask_sotw(&c, (struct ask){.names = {"ROOTCA", "default"},
				  .nonce = nonce_of(&c, 2)});
	(void)nonce_of(&c, 3);
	/* None: of all. */
	ask_sotw(&c, (struct ask){.nonce = nonce_of(&c, 3)});
	PAIR_UNTIL(&p, counts().watches == 0);
	call_end(&p, &c);
}

static void
each_of_several_names_gets_its_own_response(void **state UNUSED)
{
	struct pair_call c;

	ask_first(&c, STREAM,
		  (struct ask){.node = "n", .names = {"default", "ROOTCA"}});
	(void)nonce_of(&c, 2);
	assert_string_equal(version_of(&c, 1), pair_version(&p, "default"));
	assert_string_equal(version_of(&c, 2), pair_version(&p, "ROOTCA"));
	/* The first one's ACK counts, but is not the latest. */
	ask_sotw(&c, (struct ask){.names = {"default"}, .nonce = "1"});
	PAIR_UNTIL(&p, p.server->streams->subs->state == SDS_STATE_ACKED);
	assert_int_equal(counts().watches, 2);
	call_end(&p, &c);
}

static void
an_unknown_name_hurts_no_other_and_is_sent_when_it_appears(void **state UNUSED)
{
	struct pair_call c;

	ask_first(&c, STREAM,
		  (struct ask){.node = "n",
			       .names = {"kubernetes://x",
					 "spiffe://td.test/late", "default"}});
	(void)nonce_of(&c, 1);
	assert_string_equal(version_of(&c, 1), pair_version(&p, "default"));
	fence();
	assert_int_equal(c.cnt, 1);
	pair_set(&p, pair_certificate(&p, "spiffe://td.test/late",
				      "spiffe://td.test/late"));
	(void)nonce_of(&c, 2);
	assert_string_equal(version_of(&c, 2),
			    pair_version(&p, "spiffe://td.test/late"));
	/* A name that is not allowed stays so, whatever the table holds. */
	pair_set(&p, pair_validation(&p, "kubernetes://x"));
	fence();
	assert_int_equal(c.cnt, 2);
	sds_secrets_remove(p.secrets, "spiffe://td.test/late");
	sds_secrets_remove(p.secrets, "kubernetes://x");
	call_end(&p, &c);
}

static void
a_name_on_its_way_is_sent_when_it_is_there(void **state UNUSED)
{
	static const char *const paths[] = {STREAM, DELTA};

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct pair_call c;

		p.resolvable = "file-root:/x";
		p.resolved_cnt = 0;
		p.released_cnt = 0;
		ask_first(&c, paths[i],
			  (struct ask){.node = "n", .names = {p.resolvable}});
		PAIR_UNTIL(&p, p.resolved_cnt == 1);
		fence();
		assert_int_equal(c.cnt, 0);
		pair_set(&p, pair_validation(&p, p.resolvable));
		(void)nonce_of(&c, 1);
		call_end(&p, &c);
		PAIR_UNTIL(&p, p.released_cnt == 1);
		sds_secrets_remove(p.secrets, p.resolvable);
		p.resolvable = NULL;
	}
}

static void
a_request_that_is_no_good_ends_the_stream(void **state UNUSED)
{
	static const struct {
		struct ask ask;
		const char *text;
	} cases[] = {
		{{.names = {"default"}}, "missing node information"},
		{{.node = "", .names = {"default"}},
		 "missing node information"},
		{{.node = "n",
		  .names = {"default"},
		  .type = "type.googleapis.com/"
			  "envoy.config.cluster.v3.Cluster"},
		 "type_url is type.googleapis.com/"
		 "envoy.config.cluster.v3.Cluster; only " SDS_TYPE_URL
		 " is served"},
	};
	static const char *const paths[] = {STREAM, DELTA, FETCH};

	for (size_t i = 0; i < COUNT_OF(cases) * COUNT_OF(paths); i++) {
		struct pair_call c;

		ask_first(&c, paths[i % COUNT_OF(paths)],
			  cases[i / COUNT_OF(paths)].ask);
		PAIR_UNTIL(&p, c.finished);
		assert_int_equal(c.status, GRPC_INVALID_ARGUMENT);
		assert_string_equal(c.text, cases[i / COUNT_OF(paths)].text);
		assert_int_equal(c.cnt, 0);
		call_end(&p, &c);
	}
}

static void
a_message_that_is_no_protobuf_ends_the_stream(void **state UNUSED)
{
	static const char *const paths[] = {STREAM, DELTA, FETCH};

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct pair_call c;

		call_start(&p, &c, paths[i], SLICE_LIT("\x1a\x7fx"), false);
		PAIR_UNTIL(&p, c.finished);
		assert_int_equal(c.status, GRPC_INVALID_ARGUMENT);
		call_end(&p, &c);
	}
}

static void
the_health_report_of_pilot_agent_is_passed_over(void **state UNUSED)
{
	struct pair_call c;

	ask_first(&c, STREAM,
		  (struct ask){.type = "type.googleapis.com/"
				       "istio.v1.HealthInformation"});
	ask_sotw(&c, (struct ask){.node = "n", .names = {"default"}});
	(void)nonce_of(&c, 1);
	call_end(&p, &c);
}

/* ---- delta --------------------------------------------------------------- */

static Xds__DeltaDiscoveryResponse *
delta_of(struct pair_call *c, size_t n)
{
	Xds__DeltaDiscoveryResponse *m;

	(void)nonce_of(c, n);
	m = xds__delta_discovery_response__unpack(
		NULL, buf_len(&c->messages[n - 1]),
		buf_get(&c->messages[n - 1]).p);
	assert_non_null(m);
	return m;
}

static void
assert_resource(struct pair_call *c, size_t n, const char *name)
{
	Xds__DeltaDiscoveryResponse *m = delta_of(c, n);

	assert_int_equal(m->n_resources, 1);
	assert_int_equal(m->n_removed_resources, 0);
	assert_string_equal(m->resources[0]->name, name);
	xds__delta_discovery_response__free_unpacked(m, NULL);
}

static void
assert_removed(struct pair_call *c, size_t n, const char *name)
{
	Xds__DeltaDiscoveryResponse *m = delta_of(c, n);

	assert_int_equal(m->n_resources, 0);
	assert_int_equal(m->n_removed_resources, 1);
	assert_string_equal(m->removed_resources[0], name);
	assert_string_equal(m->type_url, SDS_TYPE_URL);
	xds__delta_discovery_response__free_unpacked(m, NULL);
}

static void
delta_answers_each_name_alone_and_unknown_ones_as_removed(void **state UNUSED)
{
	struct pair_call c;

	ask_first(&c, DELTA,
		  (struct ask){.node = "n",
			       .names = {"kubernetes://x", "default",
					 "spiffe://td.test/late"}});
	assert_removed(&c, 1, "kubernetes://x");
	assert_resource(&c, 2, "default");
	assert_removed(&c, 3, "spiffe://td.test/late");
	pair_set(&p, pair_certificate(&p, "spiffe://td.test/late",
				      "spiffe://td.test/late"));
	assert_resource(&c, 4, "spiffe://td.test/late");
	/* Withdrawn. */
	sds_secrets_remove(p.secrets, "spiffe://td.test/late");
	assert_removed(&c, 5, "spiffe://td.test/late");
	call_end(&p, &c);
}

static void
delta_answers_a_name_again_and_takes_changes_of_a_stale_request(
	void **state UNUSED)
{
	struct pair_call c;
	const struct sds_counts before = counts();

	ask_first(&c, DELTA, (struct ask){.node = "n", .names = {"default"}});
	assert_resource(&c, 1, "default");
	ask_delta(&c, (struct ask){.nonce = nonce_of(&c, 1)});
	PAIR_UNTIL(&p, counts().acks == before.acks + 1);
	ask_delta(&c, (struct ask){.names = {"default"}});
	assert_resource(&c, 2, "default");
	ask_delta(&c, (struct ask){.names = {"ROOTCA"}, .nonce = "999"});
	assert_resource(&c, 3, "ROOTCA");
	assert_int_equal(counts().stale, before.stale + 1);
	ask_delta(&c, (struct ask){.drop = "default",
				   .nonce = nonce_of(&c, 3),
				   .nack = "no"});
	PAIR_UNTIL(&p, counts().watches == 1);
	assert_int_equal(counts().nacks, before.nacks + 1);
	pair_set_default(&p);
	fence();
	assert_int_equal(c.cnt, 3);
	call_end(&p, &c);
}

static void
the_names_of_a_delta_stream_are_bounded(void **state UNUSED)
{
	struct pair_call c;
	char name[32];

	ask_first(&c, DELTA, (struct ask){.node = "n"});
	for (unsigned i = 0; i <= SDS_NAMES_MAX && !c.finished; i++) {
		(void)snprintf(name, sizeof(name), "td%u.test", i);
		ask_delta(&c, (struct ask){.names = {name}});
		fence();
		if (c.cnt > PAIR_MESSAGES_MAX - 8) {
			for (size_t k = 0; k < c.cnt; k++)
				buf_fini(&c.messages[k]);
			c.cnt = 0;
		}
	}
	PAIR_UNTIL(&p, c.finished);
	assert_int_equal(c.status, GRPC_RESOURCE_EXHAUSTED);
	call_end(&p, &c);
	assert_int_equal(counts().watches, 0);
}

/* Fills what a server may have at once; the contrast is each other test. */
static void
streams_of_all_connections_are_bounded(void **state UNUSED)
{
	struct pair_call c;
	size_t taken = 0;

	while (sds_server_take_stream(p.server))
		taken++;
	assert_int_equal(taken, SDS_STREAMS_MAX);
	ask_first(&c, STREAM, (struct ask){.node = "n", .names = {"default"}});
	PAIR_UNTIL(&p, c.finished);
	assert_int_equal(c.status, GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(c.cnt, 0);
	call_end(&p, &c);
	sds_server_drop_stream(p.server);
	ask_first(&c, STREAM, (struct ask){.node = "n", .names = {"default"}});
	(void)nonce_of(&c, 1);
	call_end(&p, &c);
	PAIR_UNTIL(&p, counts().streams == SDS_STREAMS_MAX - 1);
	while (--taken > 0)
		sds_server_drop_stream(p.server);
	assert_int_equal(counts().streams, 0);
}

static void
names_of_all_connections_are_bounded(void **state UNUSED)
{
	size_t *const filled[] = {&p.server->name_bytes,
				  &p.server->counts.watches};
	const size_t full[] = {SDS_NAME_BYTES_MAX - 6, SDS_WATCHES_MAX};

	for (size_t i = 0; i < COUNT_OF(full); i++) {
		struct pair_call c;

		*filled[i] = full[i];
		ask_first(&c, STREAM,
			  (struct ask){.node = "n", .names = {"default"}});
		PAIR_UNTIL(&p, c.finished);
		assert_int_equal(c.status, GRPC_RESOURCE_EXHAUSTED);
		assert_int_equal(*filled[i], full[i]);
		call_end(&p, &c);
		*filled[i] = 0;
	}
	assert_int_equal(p.server->name_bytes, 0);
}

/* ---- fetch --------------------------------------------------------------- */

static void
fetch_answers_all_that_is_there_in_one_message(void **state UNUSED)
{
	struct pair_call c;
	Xds__DiscoveryResponse *m;

	ask_first(&c, FETCH,
		  (struct ask){.node = "n",
			       .names = {"default", "no.such", "ROOTCA"}});
	PAIR_UNTIL(&p, c.finished);
	assert_int_equal(c.status, GRPC_OK);
	assert_int_equal(c.cnt, 1);
	m = xds__discovery_response__unpack(NULL, buf_len(&c.messages[0]),
					    buf_get(&c.messages[0]).p);
	assert_non_null(m);
	assert_int_equal(m->n_resources, 2);
	assert_string_equal(m->type_url, SDS_TYPE_URL);
	assert_true(slice_is_eq(
		slice_of(m->resources[0]->value.data,
			 m->resources[0]->value.len),
		sds_secret_get_packed(sds_secrets_get(p.secrets, "default"))));
	assert_true(slice_is_eq(
		slice_of(m->resources[1]->value.data,
			 m->resources[1]->value.len),
		sds_secret_get_packed(sds_secrets_get(p.secrets, "ROOTCA"))));
	xds__discovery_response__free_unpacked(m, NULL);
	call_end(&p, &c);
}

static void
fetch_of_nothing_says_why(void **state UNUSED)
{
	struct pair_call c;

	ask_first(&c, FETCH, (struct ask){.node = "n", .names = {"no.such"}});
	PAIR_UNTIL(&p, c.finished);
	assert_int_equal(c.status, GRPC_NOT_FOUND);
	call_end(&p, &c);
	p.resolvable = "file-root:/x";
	ask_first(&c, FETCH,
		  (struct ask){.node = "n", .names = {p.resolvable}});
	PAIR_UNTIL(&p, c.finished);
	assert_int_equal(c.status, GRPC_UNAVAILABLE);
	p.resolvable = NULL;
	call_end(&p, &c);
}

/* ---- status -------------------------------------------------------------- */

static void
the_status_tells_who_has_what_and_no_key(void **state UNUSED)
{
	struct pair_call c;
	struct buf b;
	struct jsonw w;
	struct json *root;
	const struct json *names;
	const struct json *streams;
	struct slice out;

	ask_first(&c, STREAM,
		  (struct ask){.node = "router~1", .names = {"default"}});
	ask_sotw(&c, (struct ask){.names = {"default", "no.such"},
				  .nonce = nonce_of(&c, 1),
				  .nack = "bad key"});
	PAIR_UNTIL(&p, counts().watches == 2);
	buf_init(&b, 1024 * 1024);
	jsonw_init(&w, &b);
	jsonw_object_open(&w);
	sds_status_write_json(p.server, &w);
	jsonw_object_close(&w);
	out = buf_get(&b);
	assert_int_equal(json_parse(out, NULL, &root), ERR_OK);
	assert_int_equal(json_count(json_get(root, "secrets")), 2);
	streams = json_get(root, "streams");
	assert_int_equal(json_count(streams), 1);
	assert_true(slice_is_str(
		json_str(json_get(json_at(streams, 0), "node")), "router~1"));
	names = json_get(json_at(streams, 0), "names");
	assert_int_equal(json_count(names), 2);
	assert_true(slice_is_str(json_str(json_get(json_at(names, 0), "state")),
				 "nacked"));
	assert_true(slice_is_str(json_str(json_get(json_at(names, 0), "nack")),
				 "bad key"));
	assert_true(slice_is_str(json_str(json_get(json_at(names, 1), "state")),
				 "unknown"));
	assert_null(memmem(out.p, out.len, "PRIVATE", 7));
	assert_non_null(memmem(out.p, out.len, "BEGIN CERTIFICATE", 17));
	json_free(root);
	buf_fini(&b);
	call_end(&p, &c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_first_request_is_answered_whatever_it_claims_to_know),
		cmocka_unit_test(an_ack_is_noted_and_not_answered),
		cmocka_unit_test(new_content_is_pushed_and_the_same_is_not),
		cmocka_unit_test(
			a_refused_secret_is_not_sent_again_until_it_changes),
		cmocka_unit_test(a_stale_nonce_changes_nothing),
		cmocka_unit_test(
			added_names_are_answered_and_dropped_ones_forgotten),
		cmocka_unit_test(each_of_several_names_gets_its_own_response),
		cmocka_unit_test(
			an_unknown_name_hurts_no_other_and_is_sent_when_it_appears),
		cmocka_unit_test(a_name_on_its_way_is_sent_when_it_is_there),
		cmocka_unit_test(a_request_that_is_no_good_ends_the_stream),
		cmocka_unit_test(a_message_that_is_no_protobuf_ends_the_stream),
		cmocka_unit_test(
			the_health_report_of_pilot_agent_is_passed_over),
		cmocka_unit_test(
			delta_answers_each_name_alone_and_unknown_ones_as_removed),
		cmocka_unit_test(
			delta_answers_a_name_again_and_takes_changes_of_a_stale_request),
		cmocka_unit_test(the_names_of_a_delta_stream_are_bounded),
		cmocka_unit_test(streams_of_all_connections_are_bounded),
		cmocka_unit_test(names_of_all_connections_are_bounded),
		cmocka_unit_test(
			fetch_answers_all_that_is_there_in_one_message),
		cmocka_unit_test(fetch_of_nothing_says_why),
		cmocka_unit_test(the_status_tells_who_has_what_and_no_key),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
