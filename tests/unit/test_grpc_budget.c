/* test_grpc_budget.c - what connections may keep of unfinished requests. */
#include <string.h>

#include "grpc_pair.h"
#include "unit.h"

static const char *
text_of(size_t len)
{
	static char text[REQUEST_MAX + 1];

	memset(text, 'x', sizeof(text));
	text[len] = '\0';
	return text;
}

/* A call that ends with its refusal, or stays. */
static struct grpc_request *
keep(struct pair *p, struct got *got)
{
	struct grpc_request *r;

	*got = (struct got){0};
	r = start(p, "/t.T/Keep", text_of(4000), false, got);
	carry(p);
	return r;
}

static void
connection_beyond_its_part_of_the_budget_is_refused(void **state UNUSED)
{
	struct grpc_budget budget = {.total_max = SIZE_MAX, .conn_max = 8000};
	struct pair p;
	struct got got[3];
	struct grpc_request *first;

	pair_open(&p, &limits);
	grpc_server_set_budget(p.server, &budget);
	first = keep(&p, &got[0]);
	(void)keep(&p, &got[1]);
	assert_int_equal(budget.held, 8000);
	(void)keep(&p, &got[2]);
	assert_int_equal(got[2].status, GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(got[2].retry_ms, 1000);
	assert_int_equal(budget.held, 8000);
	/* What was let go is there for others. */
	grpc_request_cancel(&first);
	carry(&p);
	assert_int_equal(budget.held, 4000);
	(void)keep(&p, &got[2]);
	assert_int_equal(got[1].finish_cnt + got[2].finish_cnt, 0);
	pair_close(&p);
	assert_int_equal(budget.held, 0);
}

static void
last_quarter_of_the_budget_is_for_those_with_little(void **state UNUSED)
{
	struct grpc_budget budget = {.total_max = 16384, .conn_max = 8000};
	struct pair p[4];
	struct got got[6];

	for (size_t i = 0; i < COUNT_OF(p); i++) {
		pair_open(&p[i], &limits);
		grpc_server_set_budget(p[i].server, &budget);
	}
	(void)keep(&p[0], &got[0]);
	(void)keep(&p[0], &got[1]);
	(void)keep(&p[1], &got[2]);
	(void)keep(&p[1], &got[3]);
	assert_int_equal(got[3].status, GRPC_RESOURCE_EXHAUSTED);
	(void)keep(&p[2], &got[4]);
	assert_int_equal(got[4].finish_cnt, 0);
	assert_int_equal(budget.held, 16000);
	/* All of it is in use. */
	(void)keep(&p[3], &got[5]);
	assert_int_equal(got[5].status, GRPC_RESOURCE_EXHAUSTED);
	for (size_t i = 0; i < COUNT_OF(p); i++)
		pair_close(&p[i]);
	assert_int_equal(budget.held, 0);
}

static void
half_a_message_counts_in_the_budget(void **state UNUSED)
{
	struct grpc_budget budget = {.total_max = 65536, .conn_max = 65536};
	struct pair p;
	struct got got = {0};

	pair_open(&p, &limits);
	carry(&p);
	grpc_server_set_budget(p.server, &budget);
	(void)start(&p, "/t.T/Echo", text_of(4000), true, &got);
	p.chunk = 1000;
	assert_true(carry_up(&p) && carry_up(&p) && carry_up(&p));
	assert_in_range(budget.held, 2000, 2 * 4096);
	carry(&p);
	assert_int_equal(got.status, GRPC_OK);
	assert_int_equal(budget.held, 0);
	/* The same, refused in its midst. */
	budget.conn_max = 1500;
	got = (struct got){0};
	(void)start(&p, "/t.T/Echo", text_of(4000), true, &got);
	carry(&p);
	assert_int_equal(got.status, GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(budget.held, 0);
	pair_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			connection_beyond_its_part_of_the_budget_is_refused),
		cmocka_unit_test(
			last_quarter_of_the_budget_is_for_those_with_little),
		cmocka_unit_test(half_a_message_counts_in_the_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
