/* test_custody.c - keys in memory, and with a kind of our own that answers
 * later: what an asynchronous kind must be able to rely on. */
#include "custody/custody.h"

#include "base/mem.h"

#include "crypto_help.h"

/* What a callback left behind. */
struct answer {
	unsigned cnt;
	enum err e;
	struct buf signature;
	struct custody_key *unref; /* released inside the callback */
	struct custody_op **pending;
	bool was_cleared; /* *pending, when the callback ran */
};

static void
on_signed(void *arg, enum err e, struct slice signature)
{
	struct answer *a = arg;

	a->cnt++;
	a->e = e;
	a->was_cleared = a->pending != NULL && *a->pending == NULL;
	buf_init(&a->signature, HELP_MAX);
	assert_int_equal(buf_put(&a->signature, signature), ERR_OK);
	if (a->unref != NULL)
		custody_unref(TAKE(a->unref));
}

/* -- a kind that signs when it is told to, as a token or process would */

struct custody_op {
	struct delayed *key;
	custody_sign_cb *cb;
	void *arg;
	struct custody_op **pending;
	enum sig_alg alg;
	struct buf message;
};

struct delayed {
	struct privkey *key;
	struct custody_op *op; /* one at a time is enough here */
	unsigned *freed;
};

static enum err
delayed_start(void *self, enum sig_alg alg, struct slice message,
	      custody_sign_cb *cb, void *arg, struct custody_op **pending)
{
	struct delayed *d = self;
	struct custody_op *op;

	if (d->op != NULL)
		return ERR_BUSY;
	op = MEM_NEW(struct custody_op);
	op->key = d;
	op->cb = cb;
	op->arg = arg;
	op->alg = alg;
	op->pending = pending;
	buf_init(&op->message, HELP_MAX);
	assert_int_equal(buf_put(&op->message, message), ERR_OK);
	d->op = op;
	*pending = op;
	return ERR_OK;
}

static void
delayed_drop(struct custody_op *op)
{
	*op->pending = NULL;
	op->key->op = NULL;
	buf_fini(&op->message);
	mem_free(op);
}

static void
delayed_cancel(void *self, struct custody_op **pending)
{
	struct delayed *d = self;

	assert_ptr_equal(d->op, *pending);
	delayed_drop(d->op);
}

static void
delayed_free(void *self)
{
	struct delayed *d = self;

	assert_null(d->op);
	(*d->freed)++;
	privkey_free(d->key);
	mem_free(d);
}

/* What the loop would do when the answer comes. */
static void
delayed_answer(struct delayed *d)
{
	custody_sign_cb *cb = d->op->cb;
	void *arg = d->op->arg;
	struct buf sig;
	enum err e;

	buf_init(&sig, HELP_MAX);
	e = privkey_sign(d->key, d->op->alg, buf_get(&d->op->message), &sig);
	delayed_drop(d->op);
	cb(arg, e, buf_get(&sig));
	buf_fini(&sig);
}

static const struct custody_ops delayed_ops = {
	.kind = "delayed",
	.sign_start = delayed_start,
	.sign_cancel = delayed_cancel,
	.free = delayed_free,
};

static struct custody_key *
delayed_new(unsigned *freed, struct delayed **d_out)
{
	struct delayed *d = MEM_NEW(struct delayed);
	struct custody_key *k;
	struct buf spki;

	d->freed = freed;
	assert_int_equal(privkey_new(KEY_EC_P256, 0, &d->key), ERR_OK);
	buf_init(&spki, HELP_MAX);
	assert_int_equal(privkey_get_spki(d->key, &spki), ERR_OK);
	k = custody_new(&delayed_ops, d, buf_get(&spki), KEY_EC_P256, 256,
			SIG_ECDSA_SHA256);
	buf_fini(&spki);
	*d_out = d;
	return k;
}

static struct custody_key *
memory_new(void)
{
	struct privkey *key = NULL;
	struct custody_key *k = NULL;

	assert_int_equal(privkey_new(KEY_EC_P384, 0, &key), ERR_OK);
	assert_int_equal(custody_memory_new(key, &k), ERR_OK);
	return k;
}

static void
assert_signed(const struct custody_key *k, struct slice message,
	      struct slice signature)
{
	struct pubkey *pub = NULL;

	assert_int_equal(pubkey_parse(custody_get_spki(k), NULL, &pub), ERR_OK);
	assert_int_equal(pubkey_verify(pub, custody_get_default_alg(k), message,
				       signature),
			 ERR_OK);
	pubkey_free(pub);
}

static void
a_key_in_memory_answers_inside_start(void **state)
{
	struct custody_op *pending = NULL;
	struct custody_key *k = memory_new();
	struct answer a = {0};

	(void)state;
	a.pending = &pending;
	assert_string_equal(custody_get_place(k), "memory");
	assert_int_equal(custody_get_kind(k), KEY_EC_P384);
	assert_int_equal(custody_get_bits(k), 384);
	assert_int_equal(custody_sign_start(k, SIG_ECDSA_SHA384, SLICE_LIT("m"),
					    on_signed, &a, &pending),
			 ERR_OK);
	assert_int_equal(a.cnt, 1);
	assert_int_equal(a.e, ERR_OK);
	assert_true(a.was_cleared);
	assert_null(pending);
	assert_signed(k, SLICE_LIT("m"), buf_get(&a.signature));
	custody_sign_cancel(k, &pending); /* nothing to cancel */
	buf_fini(&a.signature);
	custody_unref(k);
}

static void
a_start_that_fails_never_calls_back(void **state)
{
	struct custody_op *pending = NULL;
	struct custody_key *k = memory_new();
	struct answer a = {0};

	(void)state;
	assert_int_equal(custody_sign_start(k, SIG_RSA_SHA256, SLICE_LIT("m"),
					    on_signed, &a, &pending),
			 ERR_MISMATCH);
	assert_int_equal(a.cnt, 0);
	assert_null(pending);
	custody_unref(k);
}

static void
the_callback_may_give_up_the_key(void **state)
{
	struct custody_op *pending = NULL;
	struct custody_key *k = memory_new();
	struct answer a = {.unref = k};

	(void)state;
	assert_int_equal(custody_sign_start(k, SIG_ECDSA_SHA384, SLICE_LIT("m"),
					    on_signed, &a, &pending),
			 ERR_OK);
	assert_int_equal(a.cnt, 1);
	assert_null(a.unref);
	buf_fini(&a.signature);
}

static void
a_key_in_memory_signs_now(void **state)
{
	struct custody_key *k = memory_new();
	struct buf sig;

	(void)state;
	buf_init(&sig, HELP_MAX);
	assert_int_equal(
		custody_sign_now(k, SIG_ECDSA_SHA384, SLICE_LIT("m"), &sig),
		ERR_OK);
	assert_signed(k, SLICE_LIT("m"), buf_get(&sig));
	assert_non_null(custody_get_privkey(k));
	buf_fini(&sig);
	custody_unref(k);
}

static void
a_key_elsewhere_answers_later_and_once(void **state)
{
	struct custody_op *pending = NULL;
	struct delayed *d = NULL;
	unsigned freed = 0;
	struct custody_key *k = delayed_new(&freed, &d);
	struct answer a = {.pending = &pending};
	char message[] = "m";

	(void)state;
	assert_int_equal(custody_sign_start(k, SIG_ECDSA_SHA256,
					    slice_of(message, 1), on_signed, &a,
					    &pending),
			 ERR_OK);
	assert_int_equal(a.cnt, 0);
	assert_non_null(pending);
	message[0] = 'x'; /* it was borrowed for the call only */
	delayed_answer(d);
	assert_int_equal(a.cnt, 1);
	assert_true(a.was_cleared);
	assert_signed(k, SLICE_LIT("m"), buf_get(&a.signature));
	buf_fini(&a.signature);
	custody_unref(k);
	assert_int_equal(freed, 1);
}

static void
a_cancelled_signature_never_calls_back(void **state)
{
	struct custody_op *pending = NULL;
	struct delayed *d = NULL;
	unsigned freed = 0;
	struct custody_key *k = delayed_new(&freed, &d);
	struct answer a = {.pending = &pending};

	(void)state;
	assert_int_equal(custody_sign_start(k, SIG_ECDSA_SHA256, SLICE_LIT("m"),
					    on_signed, &a, &pending),
			 ERR_OK);
	custody_sign_cancel(k, &pending);
	assert_null(pending);
	assert_null(d->op);
	assert_int_equal(a.cnt, 0);
	custody_sign_cancel(k, &pending);
	/* The key goes on working. */
	assert_int_equal(custody_sign_start(k, SIG_ECDSA_SHA256, SLICE_LIT("m"),
					    on_signed, &a, &pending),
			 ERR_OK);
	delayed_answer(d);
	assert_int_equal(a.cnt, 1);
	buf_fini(&a.signature);
	custody_unref(k);
	assert_int_equal(freed, 1);
}

static void
a_key_elsewhere_hands_out_no_key_and_cannot_sign_now(void **state)
{
	struct delayed *d = NULL;
	unsigned freed = 0;
	struct custody_key *k = delayed_new(&freed, &d);
	struct buf sig;

	(void)state;
	buf_init(&sig, HELP_MAX);
	assert_string_equal(custody_get_place(k), "delayed");
	assert_null(custody_get_privkey(k));
	assert_int_equal(
		custody_sign_now(k, SIG_ECDSA_SHA256, SLICE_LIT("m"), &sig),
		ERR_UNSUPPORTED);
	assert_int_equal(buf_len(&sig), 0);
	buf_fini(&sig);
	custody_unref(k);
	assert_int_equal(freed, 1);
}

static void
the_last_unref_frees_the_key(void **state)
{
	struct delayed *d = NULL;
	unsigned freed = 0;
	struct custody_key *k = delayed_new(&freed, &d);

	(void)state;
	assert_ptr_equal(custody_ref(k), k);
	custody_unref(k);
	assert_int_equal(freed, 0);
	custody_unref(k);
	assert_int_equal(freed, 1);
	custody_unref(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_in_memory_answers_inside_start),
		cmocka_unit_test(a_start_that_fails_never_calls_back),
		cmocka_unit_test(the_callback_may_give_up_the_key),
		cmocka_unit_test(a_key_in_memory_signs_now),
		cmocka_unit_test(a_key_elsewhere_answers_later_and_once),
		cmocka_unit_test(a_cancelled_signature_never_calls_back),
		cmocka_unit_test(
			a_key_elsewhere_hands_out_no_key_and_cannot_sign_now),
		cmocka_unit_test(the_last_unref_frees_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
