/* test_mem.c - memory, random bytes. */
#include "unit.h"

#include "base/mem.h"
#include "base/rand.h"

static void
memory_starts_zeroed(void **state)
{
	uint8_t *p = mem_new(64);

	(void)state;
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(p[i], 0);
	memset(p, 0xff, 64);
	p = mem_grow_array(p, 64, 256, 1);
	assert_int_equal(p[63], 0xff);
	for (size_t i = 64; i < 256; i++)
		assert_int_equal(p[i], 0);
	mem_free(p);
}

static void
strings_are_copied(void **state)
{
	char *a = mem_dup_slice_str(slice_sub(SLICE_LIT("hello"), 1, 3));
	char *b = mem_printf("%s-%d", a, 7);
	char *c = mem_dup_str(b);

	(void)state;
	assert_string_equal(a, "ell");
	assert_string_equal(c, "ell-7");
	assert_ptr_not_equal(b, c);
	mem_free(a);
	mem_free(b);
	mem_free(c);
	mem_free(NULL);
}

static void
a_taken_pointer_is_gone(void **state)
{
	char *p = mem_dup_str("x");
	char *q = TAKE(p);

	(void)state;
	assert_null(p);
	assert_string_equal(q, "x");
	mem_free(q);
}

static void
random_bytes_differ(void **state)
{
	uint8_t a[16];
	uint8_t b[16];

	(void)state;
	rand_bytes(a, sizeof(a));
	rand_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_starts_zeroed),
		cmocka_unit_test(strings_are_copied),
		cmocka_unit_test(a_taken_pointer_is_gone),
		cmocka_unit_test(random_bytes_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
