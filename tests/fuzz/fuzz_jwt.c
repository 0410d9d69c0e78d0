/* fuzz_jwt.c - tokens from anywhere.
 *
 * An input with a dot in it is taken as a token, any other as the claims of a
 * token that is signed here. */
#include <string.h>

#include "jwt_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	enum err e = jwt_read(token, &why, &t);

	if (e != ERR_OK) {
		must(why.text[0] != '\0');
		return;
	}
	e = jwt_verify(&t, set, &opts, wall_of_sec(NOW_SEC), &why);
	must((e == ERR_OK) != (why.text[0] != '\0'));
	if (e == ERR_OK) {
		must(wall_sec(t.expires) + 60 > NOW_SEC);
		must(jwt_names_issuer(&t, opts.issuer));
	}
	jwt_fini(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf token;

	if (key == NULL)
		make_key();
	if (memchr(data, '.', size) != NULL &&
	    memchr(data, '{', size) == NULL) {
		verify(slice_of(data, size));
		return 0;
	}
	if (sign_claims(slice_of(data, size), &token))
		verify(buf_get(&token));
	buf_fini(&token);
	return 0;
}
