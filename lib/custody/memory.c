/* memory.c - keys in this process. Signing is done when sign_start returns:
 * the callback runs inside, and nothing is ever pending. See custody.h. */
#include "base/buf.h"
#include "custody/custody_int.h"

enum {
	SPKI_MAX = 4096,
	SIGNATURE_MAX = 2048 /* RSA of 16384 bits */
};

static enum err
memory_sign_start(void *self, enum sig_alg alg, struct slice message,
		  custody_sign_cb *cb, void *arg, struct custody_op **pending)
{
	struct buf signature;
	enum err ret;

	*pending = NULL;
	buf_init(&signature, SIGNATURE_MAX);
	ret = privkey_sign(self, alg, message, &signature);
	if (ret == ERR_OK)
		cb(arg, ERR_OK, buf_get(&signature));
	buf_fini(&signature);
	return ret;
}

static void
memory_sign_cancel(void *self, struct custody_op **pending)
{
	(void)self;
	*pending = NULL;
}

static void
memory_free(void *self)
{
	privkey_free(self);
}

const struct custody_ops *
custody_memory_ops(void)
{
	static const struct custody_ops ops = {
		.kind = "memory",
		.sign_start = memory_sign_start,
		.sign_cancel = memory_sign_cancel,
		.free = memory_free,
	};

	return &ops;
}

enum err
custody_memory_new(struct privkey *key, struct custody_key **out)
{
	struct buf spki;
	enum err ret;

	*out = NULL;
	buf_init(&spki, SPKI_MAX);
	if ((ret = privkey_get_spki(key, &spki)) != ERR_OK) {
		privkey_free(key);
		goto out;
	}
	*out = custody_new(custody_memory_ops(), key, buf_get(&spki),
			   privkey_kind(key), privkey_bits(key),
			   privkey_default_alg(key));
out:
	buf_fini(&spki);
	return ret;
}
