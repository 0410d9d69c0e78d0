/* custody.c - see custody.h. The counted handle that everybody holds; the
 * kinds behind it are a table of functions each. */
#include "custody/custody.h"

#include "base/buf.h"
#include "base/mem.h"
#include "custody/custody_int.h"

enum {
	SPKI_MAX = 4096 /* RSA of 16384 bits needs 2100 */
};

struct custody_key {
	const struct custody_ops *ops;
	void *self;
	struct buf spki;
	enum key_kind kind;
	unsigned bits;
	enum sig_alg default_alg;
	unsigned ref_cnt;
};

struct custody_key *
custody_new(const struct custody_ops *ops, void *self, struct slice spki,
	    enum key_kind kind, unsigned bits, enum sig_alg default_alg)
{
	struct custody_key *k = MEM_NEW(struct custody_key);

	k->ops = ops;
	k->self = self;
	k->kind = kind;
	k->bits = bits;
	k->default_alg = default_alg;
	k->ref_cnt = 1;
	buf_init(&k->spki, SPKI_MAX);
	must(buf_put(&k->spki, spki) == ERR_OK);
	return k;
}

struct custody_key *
custody_ref(struct custody_key *k)
{
	must(k->ref_cnt > 0);
	k->ref_cnt++;
	return k;
}

void
custody_unref(struct custody_key *k)
{
	if (k == NULL)
		return;
	must(k->ref_cnt > 0);
	if (--k->ref_cnt > 0)
		return;
	k->ops->free(k->self);
	buf_fini(&k->spki);
	mem_free(k);
}

struct slice
custody_get_spki(const struct custody_key *k)
{
	return buf_get(&k->spki);
}

enum key_kind
custody_get_kind(const struct custody_key *k)
{
	return k->kind;
}

unsigned
custody_get_bits(const struct custody_key *k)
{
	return k->bits;
}

enum sig_alg
custody_get_default_alg(const struct custody_key *k)
{
	return k->default_alg;
}

const char *
custody_get_place(const struct custody_key *k)
{
	return k->ops->kind;
}

const struct privkey *
custody_get_privkey(const struct custody_key *k)
{
	return k->ops == custody_memory_ops() ? k->self : NULL;
}

enum err
custody_sign_start(struct custody_key *k, enum sig_alg alg,
		   struct slice message, custody_sign_cb *cb, void *arg,
		   struct custody_op **pending)
{
	*pending = NULL;
	return k->ops->sign_start(k->self, alg, message, cb, arg, pending);
}

void
custody_sign_cancel(struct custody_key *k, struct custody_op **pending)
{
	if (*pending == NULL)
		return;
	k->ops->sign_cancel(k->self, pending);
	must(*pending == NULL);
}

enum err
custody_sign_now(struct custody_key *k, enum sig_alg alg, struct slice message,
		 struct buf *out)
{
	const struct privkey *key = custody_get_privkey(k);

	if (key == NULL)
		return ERR_UNSUPPORTED;
	return privkey_sign(key, alg, message, out);
}
