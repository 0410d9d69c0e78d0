/* test_http_answer.c - HTTP/1 answers out of bytes. */
#include "unit.h"

#include "http/answer.h"

struct fixture {
	struct buf body;
	struct http_answer *a;
	struct why why;
};

static void
begin(struct fixture *f, size_t max)
{
	*f = (struct fixture){0};
	buf_init(&f->body, max);
	f->a = http_answer_new(&f->body);
}

static void
end(struct fixture *f)
{
	http_answer_free(f->a);
	buf_fini(&f->body);
}

static enum err
feed(struct fixture *f, const char *text)
{
	return http_answer_feed(f->a, slice_of_str(text), &f->why);
}

static void
a_body_with_a_length_ends_by_itself(void **state)
{
	static const char text[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	struct fixture f;

	(void)state;
	begin(&f, 100);
	for (size_t i = 0; i + 1 < sizeof(text); i++) {
		assert_false(http_answer_is_done(f.a));
		assert_int_equal(
			http_answer_feed(f.a, slice_of(text + i, 1), &f.why),
			ERR_OK);
	}
	assert_true(http_answer_is_done(f.a));
	assert_int_equal(http_answer_status(f.a), 200);
	assert_true(slice_is_str(buf_get(&f.body), "hello"));
	end(&f);
}

static void
chunks_are_put_together(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 100);
	assert_int_equal(feed(&f, "HTTP/1.1 404 No\r\nTransfer-Encoding: "
				  "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n"),
			 ERR_OK);
	assert_false(http_answer_is_done(f.a));
	assert_int_equal(feed(&f, "0\r\n\r\n"), ERR_OK);
	assert_true(http_answer_is_done(f.a));
	assert_int_equal(http_answer_status(f.a), 404);
	assert_true(slice_is_str(buf_get(&f.body), "abcde"));
	end(&f);
}

static void
a_body_without_a_length_ends_with_the_connection(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 100);
	assert_int_equal(feed(&f, "HTTP/1.0 200 OK\r\n\r\nall of it"), ERR_OK);
	assert_false(http_answer_is_done(f.a));
	assert_int_equal(http_answer_end(f.a, &f.why), ERR_OK);
	assert_true(slice_is_str(buf_get(&f.body), "all of it"));
	end(&f);
}

static void
an_answer_that_is_cut_is_no_answer(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 100);
	assert_int_equal(
		feed(&f, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"),
		ERR_OK);
	assert_int_equal(http_answer_end(f.a, &f.why), ERR_CLOSED);
	assert_non_null(strstr(f.why.text, "before the answer was whole"));
	end(&f);
}

static void
a_body_longer_than_its_maximum_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 4);
	assert_int_equal(
		feed(&f, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
		ERR_LIMIT);
	assert_non_null(strstr(f.why.text, "longer than 4 bytes"));
	end(&f);
}

static void
what_is_no_http_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 100);
	assert_int_equal(feed(&f, "SSH-2.0-OpenSSH_9.2\r\n"), ERR_SYNTAX);
	end(&f);
}

static void
an_interim_answer_is_passed_over(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 100);
	assert_int_equal(feed(&f, "HTTP/1.1 100 Continue\r\n\r\n"
				  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
				  "\r\nok"),
			 ERR_OK);
	assert_true(http_answer_is_done(f.a));
	assert_int_equal(http_answer_status(f.a), 200);
	assert_true(slice_is_str(buf_get(&f.body), "ok"));
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_with_a_length_ends_by_itself),
		cmocka_unit_test(chunks_are_put_together),
		cmocka_unit_test(
			a_body_without_a_length_ends_with_the_connection),
		cmocka_unit_test(an_answer_that_is_cut_is_no_answer),
		cmocka_unit_test(a_body_longer_than_its_maximum_is_refused),
		cmocka_unit_test(what_is_no_http_is_refused),
		cmocka_unit_test(an_interim_answer_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
