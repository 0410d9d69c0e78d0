/* The programs' tables of metrics: a name in the enum without a row would end
 * the table early, and the role that counts it. */
#include "unit.h"

/* Files of programs, not of the library. */
#include "../../cmd/agent/metrics.c"
#include "../../cmd/ca/metrics.c"

static void
check_table(const struct metric *table, unsigned cnt)
{
	for (unsigned m = 0; m < cnt; m++) {
		if (table[m].name == NULL)
			fail_msg("metric %u of %u has no row", m, cnt);
		assert_non_null(table[m].help);
		assert_int_equal(table[m].label == NULL,
				 table[m].values == NULL);
		for (unsigned k = 0; k < m; k++)
			assert_string_not_equal(table[k].name, table[m].name);
	}
	assert_null(table[cnt].name);
}

static void
every_metric_has_a_row_with_a_name_of_its_own(void **state)
{
	(void)state;
	check_table(ca_metrics, M_CNT);
	check_table(agent_metrics, AM_CNT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_metric_has_a_row_with_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
