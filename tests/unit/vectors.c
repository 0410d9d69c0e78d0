/* vectors.c - not a test by itself: tests/flow/test_wycheproof.py gives it
 * signatures on stdin and reads here what lib/crypto says of each.
 *
 * A line in: FORM ALGORITHM SPKI MESSAGE SIGNATURE, hexadecimal, "-" is empty.
 * FORM: "x509" is how certificates and requests carry a signature, "jose" is
 * r||s. ALGORITHM: as in sig_alg_name(). A line out: the name of enum err. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"

enum {
	FIELDS = 5,
	BYTES_MAX = 1 << 16
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
judge(char *const field[FIELDS])
{
	struct why why = {0};
	struct pubkey *key = NULL;
	struct buf bytes[3];
	enum err ret;

	for (size_t i = 0; i < 3; i++) {
		buf_init(&bytes[i], BYTES_MAX);
		put_hex(&bytes[i], field[2 + i]);
	}
	ret = pubkey_parse(buf_get(&bytes[0]), &why, &key);
	if (ret == ERR_OK && strcmp(field[0], "jose") == 0)
		ret = pubkey_verify_raw_ecdsa(key, find_alg(field[1]),
					      buf_get(&bytes[1]),
					      buf_get(&bytes[2]));
	else if (ret == ERR_OK)
		ret = pubkey_verify(key, find_alg(field[1]), buf_get(&bytes[1]),
				    buf_get(&bytes[2]));
	pubkey_free(key);
	for (size_t i = 0; i < 3; i++)
		buf_fini(&bytes[i]);
	return ret;
}

int
main(void)
{
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		char *field[FIELDS];
		char *rest = NULL;
		char *at = line;

		for (size_t i = 0; i < FIELDS; i++, at = NULL) {
			field[i] = strtok_r(at, " \n", &rest);
			if (field[i] == NULL)
				exit(2);
		}
		(void)puts(err_name(judge(field)));
	}
	free(line);
	return 0;
}
