/* front_health.c - grpc.health.v1.Health, for load balancers and kubelets. */
#include <string.h>

#include "ca/front_int.h"
#include "grpc/pbmem.h"
#include "proto/health.pb-c.h"

static void
health_send(struct grpc_call *call)
{
	/* HealthCheckResponse { status = SERVING }: whoever answers, serves. */
	static const uint8_t serving[] = {0x08, 0x01};

	(void)grpc_call_send(call, SLICE_ARRAY(serving));
}

static bool
health_is_known(struct slice message)
{
	Grpc__Health__V1__HealthCheckRequest *rq;
	struct pbmem mem;
	bool known;

	pbmem_init(&mem, 4096);
	rq = grpc__health__v1__health_check_request__unpack(
		pbmem_get(&mem), message.len, message.p);
	known = rq != NULL &&
		(rq->service[0] == '\0' ||
		 strcmp(rq->service, "istio.v1.auth.IstioCertificateService") ==
			 0);
	pbmem_fini(&mem);
	return known;
}

void
health_on_open(void *app, struct grpc_call *call)
{
	const struct connection *conn = serve_conn_get_state(app);

	grpc_call_limit(call, (uint64_t)conn->front->conf.limit_request_ms);
}

void
health_on_check(void *app, struct grpc_call *call, struct slice message)
{
	(void)app;
	if (!health_is_known(message)) {
		grpc_call_finish(call, GRPC_NOT_FOUND, "unknown service");
		return;
	}
	health_send(call);
	grpc_call_finish(call, GRPC_OK, "");
}

/* The stream stays open: the state of a front that answers never changes. */
void
health_on_watch(void *app, struct grpc_call *call, struct slice message)
{
	static const uint8_t unknown[] = {0x08, 0x03}; /* SERVICE_UNKNOWN */

	(void)app;
	if (health_is_known(message))
		health_send(call);
	else
		(void)grpc_call_send(call, SLICE_ARRAY(unknown));
}
