/* fuzz_jwt.c - tokens from anywhere.
 *
 * An input with a dot in it is taken as a token. Any other is taken as the
 * claims of a token that is signed here with a fixed key, since no mutation
 * would get past the signature. */
#include <string.h>

#include "crypto/key.h"
#include "crypto/pem.h"
#include "jose/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

static void
verify(struct slice token)
{
	static const char *const audiences[] = {"istio-ca", NULL};
	static const struct jwt_opts opts = {
		.issuer = "https://issuer.test",
		.audiences = audiences,
		.leeway_sec = 60,
	};
	struct why why = {""};
	struct jwt t;
	enum err e =
		jwt_verify(token, set, &opts, wall_of_sec(NOW_SEC), &why, &t);

	if (e != ERR_OK) {
		must(t.claims == NULL && why.text[0] != '\0');
		return;
	}
	must(wall_sec(t.expires) + 60 > NOW_SEC);
	must(slice_is_str(json_str(json_get(t.claims, "iss")), opts.issuer));
	jwt_fini(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf token, sig;

	if (key == NULL)
		make_key();
	if (memchr(data, '.', size) != NULL &&
	    memchr(data, '{', size) == NULL) {
		verify(slice_of(data, size));
		return 0;
	}
	buf_init(&token, 4 * JWT_MAX);
	buf_init(&sig, 256);
	(void)base64url_write(&token, SLICE_LIT("{\"alg\":\"EdDSA\"}"));
	(void)buf_put_str(&token, ".");
	(void)base64url_write(&token, slice_of(data, size));
	if (!buf_has_failed(&token) &&
	    privkey_sign(key, SIG_ED25519, buf_get(&token), &sig) == ERR_OK) {
		(void)buf_put_str(&token, ".");
		(void)base64url_write(&token, buf_get(&sig));
		verify(buf_get(&token));
	}
	buf_fini(&token);
	buf_fini(&sig);
	return 0;
}
