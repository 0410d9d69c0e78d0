/* What the agent makes of its file and of the environment of Istio's agent. */
#include "unit.h"

/* Files of a program, not of the library. */
#include "../../cmd/agent/conf.c"
#include "../../cmd/agent/env.c"

#define ENV(...) ((char *const[]){__VA_ARGS__, NULL})

static enum err
load(struct agent_conf *c, const char *yaml, char *const *env, struct why *why)
{
	enum err ret = agent_conf_parse(slice_of_str(yaml), "test", c, why);

	if (ret == ERR_OK)
		ret = agent_conf_set_env(c, env, why);
	if (ret == ERR_OK)
		ret = agent_conf_finish(c, why);
	return ret;
}

static void
expect_good(struct agent_conf *c, const char *yaml, char *const *env)
{
	struct why why = {0};

	if (load(c, yaml, env, &why) != ERR_OK)
		fail_msg("%s", why.text);
}

static void
expect_refused(char *const *env, const char *text)
{
	struct agent_conf c;
	struct why why = {0};

	assert_int_equal(load(&c, "", env, &why), ERR_CONFIG);
	if (strstr(why.text, text) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why.text, text);
	agent_conf_free(&c);
}

static void
without_anything_the_defaults_of_istio_hold(void **state UNUSED)
{
	struct agent_conf c;

	expect_good(&c, "", ENV("PATH=/bin"));
	assert_string_equal(c.identity,
			    "spiffe://cluster.local/ns/default/sa/default");
	assert_string_equal(c.ca_address, "istiod.istio-system.svc:15012");
	assert_int_equal(c.cert_ttl_ms, 86400000);
	assert_int_equal(c.renew_ratio_ppm, 500000);
	assert_int_equal(c.renew_jitter_ppm, 10000);
	assert_int_equal(c.key_kind, AGENT_KEY_P256);
	assert_int_equal(agent_conf_get_socket_mode(&c), 0660);
	assert_false(c.socket_custom);
	agent_conf_free(&c);
}

static void
the_environment_goes_over_the_file(void **state UNUSED)
{
	static const char yaml[] = "ca: {address: \"a:1\"}\ncert: {ttl: 1h}\n";
	struct agent_conf c;

	expect_good(&c, yaml, ENV("CA_ADDR=b:2"));
	assert_string_equal(c.ca_address, "b:2");
	assert_int_equal(c.cert_ttl_ms, 3600000);
	agent_conf_free(&c);
	expect_good(&c, yaml, ENV("SECRET_TTL=5m"));
	assert_string_equal(c.ca_address, "a:1");
	assert_int_equal(c.cert_ttl_ms, 300000);
	agent_conf_free(&c);
}

static void
each_variable_sets_its_key(void **state UNUSED)
{
	struct agent_conf c;

	expect_good(&c, "ca: {address: \"a:1\", cluster_id: x}\n",
		    ENV("CA_ADDR=b:2", "SECRET_TTL=30m0s",
			"TRUST_DOMAIN=td.example", "POD_NAMESPACE=ns",
			"SERVICE_ACCOUNT=sa", "SECRET_GRACE_PERIOD_RATIO=0.25",
			"SECRET_GRACE_PERIOD_RATIO_JITTER=0", "PKCS8_KEY=T",
			"OUTPUT_CERTS=/out", "PROV_CERT=/prov",
			"ISTIO_META_CERT_SIGNER=gold",
			"ISTIO_META_TLS_CLIENT_KEY=/k",
			"FILE_DEBOUNCE_DURATION=1s", "CA_ROOT_CA=/r",
			"CA_HEADER_X-A=1, 2", "CA_HEADER_b=c"));
	assert_string_equal(c.ca_address, "b:2");
	assert_string_equal(c.ca_cluster_id, "x");
	assert_int_equal(c.cert_ttl_ms, 1800000);
	assert_string_equal(c.identity, "spiffe://td.example/ns/ns/sa/sa");
	assert_int_equal(c.renew_ratio_ppm, 250000);
	assert_int_equal(c.renew_jitter_ppm, 0);
	assert_true(c.key_pkcs8);
	assert_string_equal(c.output_dir, "/out");
	assert_string_equal(c.ca_client_cert_dir, "/prov");
	assert_string_equal(c.ca_cert_signer, "gold");
	assert_string_equal(c.files_client_key, "/k");
	assert_int_equal(c.files_debounce_ms, 1000);
	assert_string_equal(c.ca_root_file, "/r");
	assert_int_equal(c.ca_headers.cnt, 2);
	assert_string_equal(c.ca_headers.items[0], "X-A: 1, 2");
	assert_string_equal(c.ca_headers.items[1], "b: c");
	assert_null(c.ca_headers.items[2]);
	agent_conf_free(&c);
}

static void
an_empty_variable_is_as_good_as_none(void **state UNUSED)
{
	struct agent_conf c;

	expect_good(&c, "",
		    ENV("CA_ADDR=", "SECRET_TTL=", "ECC_SIGNATURE_ALGORITHM=",
			"PKCS8_KEY="));
	assert_string_equal(c.ca_address, "istiod.istio-system.svc:15012");
	assert_int_equal(c.key_kind, AGENT_KEY_P256);
	agent_conf_free(&c);
}

static void
three_variables_choose_the_key(void **state UNUSED)
{
	struct agent_conf c;

	expect_good(&c, "", ENV("WORKLOAD_RSA_KEY_SIZE=3072"));
	assert_int_equal(c.key_kind, AGENT_KEY_RSA);
	assert_int_equal(c.key_rsa_bits, 3072);
	agent_conf_free(&c);
	expect_good(&c, "",
		    ENV("WORKLOAD_RSA_KEY_SIZE=2048",
			"ECC_SIGNATURE_ALGORITHM=ECDSA"));
	assert_int_equal(c.key_kind, AGENT_KEY_P256);
	agent_conf_free(&c);
	expect_good(&c, "key: {kind: RSA}",
		    ENV("ECC_CURVE=P384", "ECC_SIGNATURE_ALGORITHM=ECDSA"));
	assert_int_equal(c.key_kind, AGENT_KEY_P384);
	agent_conf_free(&c);
	/* A curve alone chooses nothing. */
	expect_good(&c, "", ENV("ECC_CURVE=P384"));
	assert_int_equal(c.key_kind, AGENT_KEY_P256);
	agent_conf_free(&c);
	expect_refused(ENV("WORKLOAD_RSA_KEY_SIZE=1024"), "2048");
	expect_refused(ENV("WORKLOAD_RSA_KEY_SIZE=2049"), "divisible");
	expect_refused(ENV("ECC_SIGNATURE_ALGORITHM=ECDSA", "ECC_CURVE=P521"),
		       "P256 or P384");
	expect_refused(ENV("ECC_SIGNATURE_ALGORITHM=DSA"), "ECDSA");
}

static void
istiod_san_is_the_ca_s_name_only_without_ca_addr(void **state UNUSED)
{
	struct agent_conf c;

	expect_good(&c, "",
		    ENV("ISTIOD_SAN=istiod.x.svc",
			"PROXY_CONFIG={\"discoveryAddress\":\"d:15012\"}"));
	assert_string_equal(c.ca_address, "d:15012");
	assert_string_equal(c.ca_server_name, "istiod.x.svc");
	agent_conf_free(&c);
	expect_good(&c, "",
		    ENV("ISTIOD_SAN=istiod.x.svc", "CA_ADDR=c:1",
			"PROXY_CONFIG={\"discoveryAddress\":\"d:15012\"}"));
	assert_string_equal(c.ca_address, "c:1");
	assert_null(c.ca_server_name);
	agent_conf_free(&c);
}

static void
a_socket_name_of_its_own_means_that_somebody_else_makes_it(void **state UNUSED)
{
	struct agent_conf c;

	expect_good(&c, "", ENV("WORKLOAD_IDENTITY_SOCKET_FILE=socket"));
	assert_false(c.socket_custom);
	agent_conf_free(&c);
	expect_good(&c, "", ENV("WORKLOAD_IDENTITY_SOCKET_FILE=spire.sock"));
	assert_true(c.socket_custom);
	assert_string_equal(c.listen_socket,
			    "./var/run/secrets/workload-spiffe-uds/spire.sock");
	agent_conf_free(&c);
	expect_refused(ENV("WORKLOAD_IDENTITY_SOCKET_FILE=/tmp/x"),
		       "is a path");
}

static void
what_does_not_fit_is_refused_with_its_name(void **state UNUSED)
{
	expect_refused(ENV("SECRET_TTL=tomorrow"), "SECRET_TTL");
	expect_refused(ENV("SECRET_GRACE_PERIOD_RATIO=1.5"), "0 to 1");
	expect_refused(ENV("SECRET_GRACE_PERIOD_RATIO=-0.5"), "0 to 1");
	expect_refused(ENV("PKCS8_KEY=maybe"), "true or false");
	expect_refused(ENV("CA_PROVIDER=GoogleCA"), "CA_PROVIDER");
	expect_refused(ENV("CREDENTIAL_FETCHER_TYPE=GoogleComputeEngine"),
		       "JWT");
	expect_refused(ENV("TRUST_DOMAIN=UPPER"), "trust_domain");
	expect_refused(ENV("POD_NAMESPACE=a/b"), "identity");
	expect_refused(ENV("FILE_MOUNTED_CERTS=true", "PROV_CERT=/p"),
		       "exclude each other");
	expect_refused(ENV("CA_HEADER_=x"), "no header name");
	expect_refused(ENV("CA_HEADER_a b=x"), "ca.headers");
	expect_refused(ENV("CA_HEADER_a=x\ny"), "ca.headers");
}

static void
the_notes_say_what_was_meant_but_no_header_s_value(void **state UNUSED)
{
	struct agent_conf c;
	struct buf printed;
	char *notes, *text;

	expect_good(&c, "", ENV("CA_ADDR=b:2", "CA_HEADER_Key=hunter2"));
	notes = buf_dup_str(&c.notes);
	assert_non_null(strstr(notes, "CA_ADDR: ca.address = b:2"));
	assert_non_null(strstr(notes, "CA_HEADER_Key"));
	assert_null(strstr(notes, "hunter2"));
	buf_init(&printed, 1 << 20);
	assert_int_equal(conf_print(agent_conf_keys, &c, &printed), ERR_OK);
	text = buf_dup_str(&printed);
	assert_null(strstr(text, "hunter2"));
	mem_free(text);
	mem_free(notes);
	buf_fini(&printed);
	agent_conf_free(&c);
}

static void
ratios_are_read_exactly(void **state UNUSED)
{
	static const struct {
		const char *text;
		int64_t ppm; /* -1: refused */
	} rows[] = {
		{"0", 0},         {"1", 1000000},
		{"0.5", 500000},  {"0.05", 50000},
		{"1.0", 1000000}, {"0.000001", 1},
		{"0.0000019", 1}, {"0.123456", 123456},
		{"1.000001", -1}, {"2", -1},
		{"", -1},         {"0.", -1},
		{".5", 500000},   {"-0", -1},
		{"0,5", -1},      {"0.5x", -1},
		{"1e0", -1},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int64_t ppm;
		enum err ret = agent_conf_parse_ratio(rows[i].text, &ppm);

		if (rows[i].ppm < 0)
			assert_int_not_equal(ret, ERR_OK);
		else
			assert_int_equal(ret, ERR_OK);
		if (rows[i].ppm >= 0)
			assert_int_equal(ppm, rows[i].ppm);
	}
}

static void
roots_for_the_ca_are_found_as_istio_finds_them(void **state UNUSED)
{
	struct agent_conf c;
	char *path;

	expect_good(&c, "", ENV("CA_ROOT_CA=SYSTEM", "PROV_CERT=/p"));
	assert_null(agent_conf_get_root(&c));
	agent_conf_free(&c);
	expect_good(&c, "", ENV("PROV_CERT=/p"));
	path = agent_conf_get_root(&c);
	assert_string_equal(path, "/p/root-cert.pem");
	mem_free(path);
	agent_conf_free(&c);
	expect_good(&c, "", ENV("A=b"));
	path = agent_conf_get_root(&c);
	assert_string_equal(path, "./var/run/secrets/istio/root-cert.pem");
	mem_free(path);
	agent_conf_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_anything_the_defaults_of_istio_hold),
		cmocka_unit_test(the_environment_goes_over_the_file),
		cmocka_unit_test(each_variable_sets_its_key),
		cmocka_unit_test(an_empty_variable_is_as_good_as_none),
		cmocka_unit_test(three_variables_choose_the_key),
		cmocka_unit_test(
			istiod_san_is_the_ca_s_name_only_without_ca_addr),
		cmocka_unit_test(
			a_socket_name_of_its_own_means_that_somebody_else_makes_it),
		cmocka_unit_test(what_does_not_fit_is_refused_with_its_name),
		cmocka_unit_test(
			the_notes_say_what_was_meant_but_no_header_s_value),
		cmocka_unit_test(ratios_are_read_exactly),
		cmocka_unit_test(
			roots_for_the_ca_are_found_as_istio_finds_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
