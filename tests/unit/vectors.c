/* vectors.c - not a test by itself: tests/flow/test_wycheproof.py and
 * test_signatures.py give it signatures on stdin and read here what the readers
 * of requests and tokens say of each.
 *
 * A line in: FORM and fields, hexadecimal, "-" is empty. A line out: the name
 * of enum err.
 *
 *   x509 SPKI MESSAGE SIGNATURE ALGORITHM   as a request carries it
 *   jose SPKI MESSAGE SIGNATURE ALGORITHM   r||s, as a token carries it
 *   request DER                             a whole one
 *   token JWKS TOKEN                        a whole one, at TOKEN_NOW_SEC
 *
 * ALGORITHM: as in sig_alg_name(), not hexadecimal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jose/jwt.h"
#include "pki/csr.h"

enum {
	FIELDS_MAX = 5,
	BYTES_CNT = 3,
	BYTES_MAX = 1 << 16,
	TOKEN_NOW_SEC = 1800000000
};

static enum sig_alg
find_alg(const char *name)
{
	for (int a = SIG_NONE + 1; a <= SIG_ED25519; a++) {
		if (strcmp(sig_alg_name((enum sig_alg)a), name) == 0)
			return (enum sig_alg)a;
	}
	(void)fprintf(stderr, "vectors: no algorithm %s\n", name);
	exit(2);
}

static void
put_hex(struct buf *out, const char *hex)
{
	char two[3] = {0};

	for (; hex[0] != '\0' && hex[0] != '-'; hex += 2) {
		two[0] = hex[0];
		two[1] = hex[1];
		if (two[1] == '\0' ||
		    buf_put_u8(out, (uint8_t)strtoul(two, NULL, 16)) != ERR_OK)
			exit(2);
	}
}

static enum err
judge_signature(struct slice spki, struct slice message, struct slice signature,
		const char *alg, bool is_raw)
{
	struct csr csr = {.info = message, .signature = signature};
	struct pubkey *key = NULL;
	struct why why = {0};
	enum err ret;

	csr.alg = find_alg(alg);
	if ((ret = pubkey_parse(spki, &why, &key)) != ERR_OK)
		return ret;
	if (is_raw)
		ret = pubkey_verify_raw_ecdsa(key, csr.alg, message, signature);
	else
		ret = csr_verify(&csr, key, &why);
	pubkey_free(key);
	return ret;
}

static enum err
judge_request(struct slice der)
{
	struct pubkey *key = NULL;
	struct why why = {0};
	struct csr csr;
	enum err ret;

	if ((ret = csr_parse(der, &why, &csr)) != ERR_OK)
		return ret;
	ret = pubkey_parse(csr.spki, &why, &key);
	if (ret == ERR_OK)
		ret = csr_verify(&csr, key, &why);
	pubkey_free(key);
	return ret;
}

static enum err
judge_token(struct slice json, struct slice token)
{
	const struct jwt_opts opts = {.issuer = "x"};
	struct jwks *set = NULL;
	struct why why = {0};
	struct jwt t;
	enum err ret;

	if ((ret = jwks_parse(json, &why, &set)) != ERR_OK)
		return ret;
	if ((ret = jwt_read(token, &why, &t)) == ERR_OK) {
		ret = jwt_verify(&t, set, &opts, wall_of_sec(TOKEN_NOW_SEC),
				 &why);
		jwt_fini(&t);
	}
	jwks_unref(set);
	return ret;
}

static enum err
judge(char *const *field, size_t cnt)
{
	struct slice in[BYTES_CNT] = {SLICE_NONE};
	struct buf bytes[BYTES_CNT];
	enum err ret = ERR_BUG;

	for (size_t i = 0; i < BYTES_CNT; i++) {
		buf_init(&bytes[i], BYTES_MAX);
		put_hex(&bytes[i], i + 1 < cnt ? field[i + 1] : "-");
		in[i] = buf_get(&bytes[i]);
	}
	if (cnt == 2 && strcmp(field[0], "request") == 0)
		ret = judge_request(in[0]);
	else if (cnt == 3 && strcmp(field[0], "token") == 0)
		ret = judge_token(in[0], in[1]);
	else if (cnt == 5)
		ret = judge_signature(in[0], in[1], in[2], field[4],
				      strcmp(field[0], "jose") == 0);
	else
		exit(2);
	for (size_t i = 0; i < BYTES_CNT; i++)
		buf_fini(&bytes[i]);
	return ret;
}

int
main(void)
{
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		char *field[FIELDS_MAX];
		char *rest = NULL;
		size_t cnt = 0;

		for (char *at = strtok_r(line, " \n", &rest);
		     at != NULL && cnt < FIELDS_MAX;
		     at = strtok_r(NULL, " \n", &rest))
			field[cnt++] = at;
		if (cnt == 0)
			exit(2);
		(void)puts(err_name(judge(field, cnt)));
	}
	free(line);
	return 0;
}
