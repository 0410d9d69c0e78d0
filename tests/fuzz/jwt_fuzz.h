/* jwt_fuzz.h - tokens that are signed well, with any claims: no mutation would
 * get past a signature. Include it once. */
#ifndef JWT_FUZZ_H
#define JWT_FUZZ_H

#include "crypto/key.h"
#include "crypto/pem.h"
#include "jose/jwt.h"

enum {
	NOW_SEC = 1800000000
};

/* PKCS#8 of an Ed25519 key, RFC 8410; the key is all 7. */
static const uint8_t key_der[48] = {
	0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70,
	0x04, 0x22, 0x04, 0x20, 7,    7,    7,    7,    7,    7,    7,    7,
	7,    7,    7,    7,    7,    7,    7,    7,    7,    7,    7,    7,
	7,    7,    7,    7,    7,    7,    7,    7,    7,    7,    7,    7,
};

/* Made once for all inputs. */
static struct privkey *key;
static struct jwks *set;

static void
make_key(void)
{
	struct buf spki, text;
	struct slice x;

	buf_init(&spki, 256);
	buf_init(&text, 1024);
	must(privkey_parse(SLICE_ARRAY(key_der), NULL, &key) == ERR_OK);
	must(privkey_get_spki(key, &spki) == ERR_OK);
	x = buf_get(&spki);
	x = slice_sub(x, x.len - 32, 32);
	(void)buf_put_str(&text, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":"
				 "\"Ed25519\",\"x\":\"");
	(void)base64url_write(&text, x);
	(void)buf_put_str(&text, "\"}]}");
	must(jwks_parse(buf_get(&text), NULL, &set) == ERR_OK);
	buf_fini(&spki);
	buf_fini(&text);
}

/* The whole token into out, which is initialised here; false: too long. */
static bool
sign_claims(struct slice claims, struct buf *out)
{
	struct buf sig;

	buf_init(out, 4 * JWT_MAX);
	buf_init(&sig, 256);
	(void)base64url_write(out, SLICE_LIT("{\"alg\":\"EdDSA\"}"));
	(void)buf_put_str(out, ".");
	(void)base64url_write(out, claims);
	if (!buf_has_failed(out) &&
	    privkey_sign(key, SIG_ED25519, buf_get(out), &sig) == ERR_OK) {
		(void)buf_put_str(out, ".");
		(void)base64url_write(out, buf_get(&sig));
	}
	buf_fini(&sig);
	return !buf_has_failed(out);
}

#endif
