/* test_pbscan.c - bounds of protobuf messages, and the arena. */
#include "grpc/pbmem.h"
#include "grpc/pbscan.h"
#include "proto/discovery.pb-c.h"
#include "proto/istio_ca.pb-c.h"
#include "unit.h"

enum {
	OUT_MAX = 1 << 16
};

static const struct pbscan_limits limits = {6, 50};

static enum err
check_struct(struct slice in, struct why *why)
{
	return pbscan_check(&google__protobuf__struct__descriptor, in, &limits,
			    why);
}

/* {"k": {"k": ... }}, so many structs inside each other, as bytes. */
static void
put_nested(struct buf *out, unsigned depth)
{
	Google__Protobuf__Struct s[16];
	Google__Protobuf__StructEntry e[16];
	Google__Protobuf__StructEntry *ep[16];
	Google__Protobuf__Value v[16];
	char key[] = "k";

	for (unsigned i = depth; i-- > 0;) {
		google__protobuf__struct__init(&s[i]);
		if (i + 1 == depth)
			continue;
		google__protobuf__struct_entry__init(&e[i]);
		google__protobuf__value__init(&v[i]);
		v[i].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
		v[i].struct_value = &s[i + 1];
		e[i].key = key;
		e[i].value = &v[i];
		ep[i] = &e[i];
		s[i].n_fields = 1;
		s[i].fields = &ep[i];
	}
	assert_int_equal(pbmem_pack(&s[0].base, out), ERR_OK);
}

static void
nesting_is_bounded_and_the_bound_is_named(void **state UNUSED)
{
	struct buf b;
	struct why why;

	buf_init(&b, OUT_MAX);
	/* A struct, its entry, the value: two levels fit into six messages. */
	put_nested(&b, 2);
	assert_int_equal(check_struct(buf_get(&b), &why), ERR_OK);
	buf_reset(&b);
	put_nested(&b, 3);
	assert_int_equal(check_struct(buf_get(&b), &why), ERR_LIMIT);
	assert_non_null(strstr(why.text, "nested deeper than 6 levels"));
	buf_fini(&b);
}

static void
number_of_fields_is_bounded_over_all_messages(void **state UNUSED)
{
	static const uint8_t entry[] = {0x0a, 3, 0x0a, 1, 'k'};
	struct buf b;
	struct why why;

	buf_init(&b, OUT_MAX);
	for (unsigned i = 0; i < 25; i++)
		(void)buf_put(&b, SLICE_ARRAY(entry));
	assert_int_equal(check_struct(buf_get(&b), &why), ERR_OK);
	(void)buf_put(&b, SLICE_ARRAY(entry));
	assert_int_equal(check_struct(buf_get(&b), &why), ERR_LIMIT);
	assert_non_null(strstr(why.text, "more than 50 fields"));
	buf_fini(&b);
}

static void
strings_with_nul_or_bad_utf8_are_refused(void **state UNUSED)
{
	static const uint8_t good[] = {0x0a, 4, 0x0a, 2, 0xc3, 0xa4};
	static const uint8_t nul[] = {0x0a, 4, 0x0a, 2, 'a', 0};
	static const uint8_t bad[] = {0x0a, 4, 0x0a, 2, 'a', 0xc3};
	struct why why;

	assert_int_equal(check_struct(SLICE_ARRAY(good), &why), ERR_OK);
	assert_int_equal(check_struct(SLICE_ARRAY(nul), &why), ERR_SYNTAX);
	assert_int_equal(check_struct(SLICE_ARRAY(bad), &why), ERR_SYNTAX);
	assert_non_null(strstr(why.text, "key"));
}

static void
broken_wire_format_is_refused(void **state UNUSED)
{
	const struct slice bad[] = {
		SLICE_LIT("\x0a"),         /* no length */
		SLICE_LIT("\x0a\x05x"),    /* longer than what is there */
		SLICE_LIT("\x0b"),         /* a group */
		SLICE_LIT("\x02\x00"),     /* field 0 */
		SLICE_LIT("\x0d\x01\x02"), /* half a 32-bit number */
		SLICE_LIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
	};
	struct pbscan_field f;
	struct why why;

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct slice in = bad[i];

		assert_int_equal(pbscan_next(&in, &f), ERR_SYNTAX);
		assert_int_equal(in.len, bad[i].len);
		assert_int_equal(check_struct(bad[i], &why), ERR_SYNTAX);
	}
}

static void
fields_are_walked_and_the_last_one_counts(void **state UNUSED)
{
	const struct slice in = SLICE_LIT("\x0a\x01"
					  "a"
					  "\x10\x96\x01"
					  "\x0a\x01"
					  "b");
	struct pbscan_field f;

	assert_int_equal(pbscan_find(in, 1, PBSCAN_BYTES, &f), ERR_OK);
	assert_true(slice_is_str(f.bytes, "b"));
	assert_int_equal(pbscan_find(in, 2, PBSCAN_VARINT, &f), ERR_OK);
	assert_int_equal(f.value, 150);
	assert_int_equal(pbscan_find(in, 3, PBSCAN_VARINT, &f), ERR_NOT_FOUND);
}

/* The vector of an independent encoder: Envoy's first request. */
static void
first_request_of_envoy_is_read(void **state UNUSED)
{
	static const char type[] =
		"type.googleapis.com/"
		"envoy.extensions.transport_sockets.tls.v3.Secret";
	struct buf b;
	struct pbmem mem;
	Xds__DiscoveryRequest *r;

	buf_init(&b, OUT_MAX);
	(void)buf_put(&b, SLICE_LIT("\x12\x08\x0a\x02n1\x12\x02"
				    "c1\x1a\x07"
				    "default\x22\x44"));
	(void)buf_put_str(&b, type);
	assert_int_equal(buf_len(&b), 89);
	pbmem_init(&mem, 0);
	r = xds__discovery_request__unpack(pbmem_get(&mem), buf_len(&b),
					   buf_get(&b).p);
	assert_non_null(r);
	assert_string_equal(r->node->id, "n1");
	assert_string_equal(r->node->cluster, "c1");
	assert_int_equal(r->n_resource_names, 1);
	assert_string_equal(r->resource_names[0], "default");
	assert_string_equal(r->type_url, type);
	pbmem_fini(&mem);
	buf_fini(&b);
}

static void
arena_ends_at_its_maximum(void **state UNUSED)
{
	static char pem[20000];
	Istio__V1__Auth__IstioCertificateRequest q;
	Istio__V1__Auth__IstioCertificateRequest *got;
	struct buf b;
	struct pbmem mem;

	memset(pem, 'x', sizeof(pem) - 1);
	istio__v1__auth__istio_certificate_request__init(&q);
	q.csr = pem;
	q.validity_duration = 3600;
	buf_init(&b, OUT_MAX);
	assert_int_equal(pbmem_pack(&q.base, &b), ERR_OK);
	pbmem_init(&mem, 32 * 1024);
	got = istio__v1__auth__istio_certificate_request__unpack(
		pbmem_get(&mem), buf_len(&b), buf_get(&b).p);
	assert_non_null(got);
	assert_string_equal(got->csr, pem);
	assert_int_equal(got->validity_duration, 3600);
	pbmem_fini(&mem);
	pbmem_init(&mem, 16 * 1024);
	assert_null(istio__v1__auth__istio_certificate_request__unpack(
		pbmem_get(&mem), buf_len(&b), buf_get(&b).p));
	pbmem_fini(&mem);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nesting_is_bounded_and_the_bound_is_named),
		cmocka_unit_test(number_of_fields_is_bounded_over_all_messages),
		cmocka_unit_test(strings_with_nul_or_bad_utf8_are_refused),
		cmocka_unit_test(broken_wire_format_is_refused),
		cmocka_unit_test(fields_are_walked_and_the_last_one_counts),
		cmocka_unit_test(first_request_of_envoy_is_read),
		cmocka_unit_test(arena_ends_at_its_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
