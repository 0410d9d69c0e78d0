/* test_san.c - lib/pki/san.h. */
#include "unit.h"

#include "pki/san.h"

#define LIT(text)                                         \
	{                                                 \
		(const uint8_t *)(text), sizeof(text) - 1 \
	}

static void
all_kinds_are_read_in_order(void **state)
{
	/* URI, DNS, IPv4, e-mail, registered ID */
	struct slice der = SLICE_LIT("\x30\x1c\x86\x06x://td\x82\x03"
				     "a.b\x87\x04\x01\x02\x03\x04"
				     "\x81\x03"
				     "a@b\x88\x02\x2a\x03");
	struct san_name name;
	struct slice cursor;
	struct san san;

	(void)state;
	assert_int_equal(san_parse(der, NULL, &san), ERR_OK);
	assert_int_equal(san.cnt, 5);
	assert_int_equal(san.uri_cnt, 1);
	assert_true(slice_is_str(san.uri, "x://td"));
	cursor = san.raw;
	assert_true(san_next(&cursor, &name) && name.kind == SAN_URI);
	assert_true(san_next(&cursor, &name) && name.kind == SAN_DNS);
	assert_true(slice_is_str(name.value, "a.b"));
	assert_true(san_next(&cursor, &name) && name.kind == SAN_IP);
	assert_true(san_next(&cursor, &name) && name.kind == SAN_EMAIL);
	assert_true(san_next(&cursor, &name) && name.kind == SAN_OTHER);
	assert_false(san_next(&cursor, &name));
	assert_true(san_has_uri(&san, SLICE_LIT("x://td")));
	assert_false(san_has_uri(&san, SLICE_LIT("x://t")));
	assert_true(san_has_host(&san, "1.2.3.4"));
	assert_false(san_has_host(&san, "1.2.3.5"));
}

static void
bad_lists_are_refused_with_their_fault(void **state)
{
	static const struct {
		struct slice der;
		const char *says;
	} rows[] = {
		{LIT(""), "not one DER sequence"},
		{LIT("\x30\x00"), "without a name"},
		{LIT("\x30\x03\x82\x01"
		     "a\x00"),
		 "not one DER sequence"},
		{LIT("\x30\x80\x82\x01"
		     "a\x00\x00"),
		 "not one DER sequence"},
		{LIT("\x30\x02\x82\x00"), "name 1, a DNS name, is empty"},
		{LIT("\x30\x02\x86\x00"), "name 1, a URI, is empty"},
		{LIT("\x30\x05\x86\x03"
		     "a\0b"),
		 "a URI, has the byte 0x00"},
		{LIT("\x30\x04\x82\x02\xc3\xa4"),
		 "a DNS name, has the byte 0xc3"},
		{LIT("\x30\x05\x87\x03\x01\x02\x03"), "IP address of 3 bytes"},
		{LIT("\x30\x03\x82\x05"
		     "a"),
		 "name 1 is malformed"},
		{LIT("\x30\x03\x8c\x01"
		     "a"),
		 "name 1 is malformed"},
		{LIT("\x30\x04\x82\x81\x01"
		     "a"),
		 "name 1 is malformed"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct why why = {""};
		struct san san;

		if (san_parse(rows[i].der, &why, &san) != ERR_SYNTAX ||
		    strstr(why.text, rows[i].says) == NULL)
			fail_msg("%zu: %s", i, why.text);
		assert_int_equal(san.cnt, 0);
	}
}

static void
more_names_than_the_limit_are_refused(void **state)
{
	uint8_t der[4 + 3 * 65];
	struct why why = {""};
	struct san san;

	(void)state;
	for (size_t cnt = SAN_MAX; cnt <= SAN_MAX + 1; cnt++) {
		der[0] = 0x30;
		der[1] = 0x81;
		der[2] = (uint8_t)(3 * cnt);
		for (size_t i = 0; i < cnt; i++)
			memcpy(der + 3 + 3 * i, "\x82\x01x", 3);
		assert_int_equal(
			san_parse(slice_of(der, 3 + 3 * cnt), &why, &san),
			cnt == SAN_MAX ? ERR_OK : ERR_LIMIT);
	}
}

/* A SAN with one DNS name. */
static bool
has_host(const char *name, const char *host)
{
	uint8_t der[300] = {0x30, 0, 0x82, 0};
	size_t len = strlen(name);
	struct san san;

	der[1] = (uint8_t)(len + 2);
	der[3] = (uint8_t)len;
	memcpy(der + 4, name, len);
	assert_int_equal(san_parse(slice_of(der, len + 4), NULL, &san), ERR_OK);
	return san_has_host(&san, host);
}

static void
hosts_match_as_rfc_6125_has_it(void **state)
{
	static const struct {
		const char *name, *host;
		bool match;
	} rows[] = {
		{"a.b.c", "a.b.c", true},
		{"a.b.c", "A.B.c", true},
		{"a.b.c", "a.b.c.", true},
		{"a.b.c", "b.c", false},
		{"b.c", "a.b.c", false},
		{"*.b.c", "a.b.c", true},
		{"*.b.c", "b.c", false},
		{"*.b.c", ".b.c", false},
		{"*.b.c", "x.a.b.c", false},
		{"*.b.c", "*.b.c", false},
		{"a*.b.c", "ax.b.c", false},
		{"*.c", "a.c", false},
		{"*", "a", false},
		{"a.*.c", "a.b.c", false},
		{"1.2.3.4", "1.2.3.4", false},
		{"a.b.c", "", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (has_host(rows[i].name, rows[i].host) != rows[i].match)
			fail_msg("%s for %s", rows[i].name, rows[i].host);
	}
	assert_false(has_host("a.b.c", NULL));
}

static void
an_ipv6_address_matches_in_any_spelling(void **state)
{
	struct slice der = SLICE_LIT("\x30\x12\x87\x10\0\0\0\0\0\0\0\0"
				     "\0\0\0\0\0\0\0\x01");
	struct san san;

	(void)state;
	assert_int_equal(san_parse(der, NULL, &san), ERR_OK);
	assert_true(san_has_host(&san, "::1"));
	assert_true(san_has_host(&san, "0:0:0:0:0:0:0:1"));
	assert_false(san_has_host(&san, "::2"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_kinds_are_read_in_order),
		cmocka_unit_test(bad_lists_are_refused_with_their_fault),
		cmocka_unit_test(more_names_than_the_limit_are_refused),
		cmocka_unit_test(hosts_match_as_rfc_6125_has_it),
		cmocka_unit_test(an_ipv6_address_matches_in_any_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
