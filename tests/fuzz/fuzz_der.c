/* fuzz_der.c - reading DER: whatever is read lies within the input, and what
 * is written from it reads the same. */
#include <stdint.h>

#include "crypto/der.h"
#include "crypto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	DEPTH_MAX = 8
};

static void
must_lie_within(struct slice part, struct slice whole)
{
	must(part.len == 0 ||
	     (part.p >= whole.p && part.p + part.len <= whole.p + whole.len));
}

/* Each reader takes all or nothing. */
static void
read_values(struct slice in)
{
	char oid[DER_OID_TEXT_MAX];
	struct slice copy = in;
	struct slice bits;
	struct wall t;
	uint64_t v;
	bool b;

	must(der_read_bool(&copy, &b) == ERR_OK || copy.p == in.p);
	copy = in;
	must(der_read_u64(&copy, &v) == ERR_OK || copy.p == in.p);
	copy = in;
	must(der_read_bits(&copy, &bits) == ERR_OK || copy.p == in.p);
	must_lie_within(bits, in);
	copy = in;
	must(der_read_time(&copy, &t) == ERR_OK || copy.p == in.p);
	der_oid_format(in, oid);
	(void)sig_alg_of_der(in);
}

/* The element written again is the element. */
static void
write_again(struct derw *w, unsigned tag, struct slice body,
	    struct slice element)
{
	struct slice out;

	derw_reset(w);
	derw_element(w, tag, body);
	must(derw_finish(w, &out) == ERR_OK);
	must(slice_is_eq(out, element));
	derw_reset(w);
	derw_open(w, tag);
	derw_raw(w, body);
	derw_close(w);
	must(derw_finish(w, &out) == ERR_OK);
	must(slice_is_eq(out, element));
}

static void
walk(struct derw *w, struct slice in, int depth)
{
	while (in.len > 0) {
		struct slice whole = in;
		struct slice copy = in;
		struct slice element;
		struct slice body;
		unsigned tag = 0;

		read_values(in);
		if (der_read_any(&in, &tag, &body) != ERR_OK) {
			must(in.p == whole.p && in.len == whole.len);
			return;
		}
		must(der_read_element(&copy, NULL, &element) == ERR_OK);
		must(copy.p == in.p && copy.len == in.len);
		must_lie_within(body, whole);
		write_again(w, tag, body, element);
		if (depth < DEPTH_MAX)
			walk(w, body, depth + 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct derw *w = derw_new(size + 16);

	walk(w, slice_of(data, size), 0);
	derw_free(w);
	return 0;
}
