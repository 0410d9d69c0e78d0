/* fuzz_ra.c - who is asking, by the header that says so. The first byte
 * chooses: the header as it is, or the claims of a token that is signed well,
 * for an issuer of service accounts or one whose claim is the identity. Whoever
 * is named is of our trust domain. */
#include <string.h>

#include "jwt_fuzz.h"
#include "pki/spiffe_id.h"
#include "ra/ra.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	AS_IT_IS = 0,
	SERVICE_ACCOUNT,
	CLAIM,
	WAYS
};

static struct ra *
make_ra(bool from_claim)
{
	static const char *const order[] = {"client_cert", "jwt", "join_token",
					    NULL};
	static const char *const audiences[] = {"istio-ca", NULL};
	struct ra_jwt_issuer issuer = {
		.issuer = "https://issuer.test",
		.audiences = audiences,
		.from_claim = from_claim,
		.claim = "id.text",
		.leeway_sec = 10,
	};
	const struct ra_opts opts = {
		.order = order,
		.trust_domain = SLICE_LIT("td.test"),
		.issuers = &issuer,
		.issuer_cnt = 1,
	};
	struct ra *ra;

	must(ra_new(&opts, NULL, &ra) == ERR_OK);
	ra_set_jwks(ra, 0, set);
	return ra;
}

static void
ask(struct ra *ra, struct slice header)
{
	static struct ra_result r, again;
	const struct ra_input in = {
		.authorization = header,
		.authorization_cnt = 1,
		.now = wall_of_sec(NOW_SEC),
	};
	struct why why = {""};
	struct spiffe_id id;
	enum err e = ra_authenticate(ra, &in, &why, &r);

	must((e == ERR_OK) == (why.text[0] == '\0'));
	if (e != ERR_OK) {
		must(e == ERR_UNAUTHENTICATED && r.kind == RA_NONE);
		return;
	}
	must(slice_is_printable(slice_of_str(r.caller)));
	if (r.kind == RA_JOIN_TOKEN) {
		must(r.has_token_hash && r.identity_len == 0);
		return;
	}
	must(r.kind == RA_JWT);
	must(spiffe_id_parse(slice_of(r.identity, r.identity_len), NULL, &id) ==
	     ERR_OK);
	must(slice_is_str(id.trust_domain, "td.test") && id.path.len > 0);
	/* From memory: the same. */
	must(ra_authenticate(ra, &in, NULL, &again) == ERR_OK);
	must(again.identity_len == r.identity_len &&
	     memcmp(again.identity, r.identity, r.identity_len + 1) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	/* By issuer: service accounts, claim. Made once for all inputs. */
	static struct ra *ras[2];
	struct buf token, header;
	struct ra *ra;
	uint8_t way;

	if (slice_read_u8(&in, &way) != ERR_OK)
		return 0;
	if (key == NULL) {
		make_key();
		ras[0] = make_ra(false);
		ras[1] = make_ra(true);
	}
	way %= WAYS;
	ra = ras[way == CLAIM];
	if (way == AS_IT_IS) {
		ask(ra, in);
	} else if (sign_claims(in, &token)) {
		buf_init(&header, 5 * JWT_MAX);
		(void)buf_put_str(&header, "Bearer ");
		(void)buf_put(&header, buf_get(&token));
		ask(ra, buf_get(&header));
		buf_fini(&header);
	}
	if (way != AS_IT_IS)
		buf_fini(&token);
	return 0;
}
