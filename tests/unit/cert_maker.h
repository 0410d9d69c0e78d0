/* cert_maker.h - certificates as a test wants them, right or wrong. What
 * lib/pki/build.h makes is always right. Include it once. */
#ifndef CERT_MAKER_H
#define CERT_MAKER_H

#include "base/buf.h"
#include "crypto/der.h"
#include "crypto/key.h"
#include "pki/build.h"
#include "pki/cert.h"

enum {
	MADE_NOW = 1800000000,
	MADE_DAY = 86400,
	MADE_MAX = 70000,
	KU_LEAF = CERT_KU_DIGITAL_SIGNATURE,
	KU_CA = CERT_KU_CERT_SIGN | CERT_KU_CRL_SIGN
};

/* Zero is a version 3 certificate without extensions. */
struct made {
	const char *subject, *issuer; /* CN; NULL: empty name */
	const struct privkey *key, *signer;
	struct slice spki;   /* instead of key's */
	struct slice serial; /* contents; empty: 0x2a */
	struct slice alg;    /* AlgorithmIdentifier instead of signer's */
	int64_t from, to;    /* seconds from MADE_NOW; 0, 0: a day */
	bool v1;
	bool basic, is_ca, basic_lax;
	int pathlen; /* above 0: this minus 1 */
	unsigned usage;
	bool usage_lax;
	const char *eku; /* 's', 'c', 'a' (any), 'o' (OCSPSigning) */
	const char *uri; /* SANs; NULL: none */
	const char *uri2;
	const char *dns;
	bool san_lax;
	bool ski, aki;
	struct slice constraints; /* contents of NameConstraints */
	bool has_constraints, constraints_lax;
	struct slice extra; /* whole extensions */
};

static void
made_name(struct derw *w, const char *cn)
{
	derw_open(w, DER_SEQUENCE);
	if (cn != NULL) {
		derw_open(w, DER_SET);
		derw_open(w, DER_SEQUENCE);
		derw_oid(w, SLICE_LIT("\x55\x04\x03"));
		derw_element(w, DER_UTF8_STRING, slice_of_str(cn));
		derw_close(w);
		derw_close(w);
	}
	derw_close(w);
}

/* Closed by made_close. */
static void
made_open(struct derw *w, uint8_t id, bool critical)
{
	const uint8_t oid[] = {0x55, 0x1d, id};

	derw_open(w, DER_SEQUENCE);
	derw_oid(w, SLICE_ARRAY(oid));
	if (critical)
		derw_bool(w, true);
	derw_open(w, DER_OCTET_STRING);
}

static void
made_close(struct derw *w)
{
	derw_close(w);
	derw_close(w);
}

static void
made_basic(struct derw *w, const struct made *m)
{
	made_open(w, 19, !m->basic_lax);
	derw_open(w, DER_SEQUENCE);
	if (m->is_ca)
		derw_bool(w, true);
	if (m->pathlen > 0)
		derw_u64(w, (uint64_t)(m->pathlen - 1));
	derw_close(w);
	made_close(w);
}

static void
made_usage(struct derw *w, const struct made *m)
{
	uint8_t octet = 0;
	unsigned unused = 8;

	for (unsigned i = 0; i < 8; i++) {
		if ((m->usage & (1U << i)) == 0)
			continue;
		octet |= (uint8_t)(0x80U >> i);
		unused = 7 - i;
	}
	made_open(w, 15, !m->usage_lax);
	derw_bits(w, slice_of(&octet, 1), unused);
	made_close(w);
}

static void
made_eku(struct derw *w, const char *which)
{
	made_open(w, 37, false);
	derw_open(w, DER_SEQUENCE);
	for (; *which != '\0'; which++) {
		uint8_t oid[] = {0x2b, 6, 1, 5, 5, 7, 3, 0};

		oid[7] = *which == 's' ? 1 : *which == 'c' ? 2 : 9;
		if (*which == 'a')
			derw_oid(w, SLICE_LIT("\x55\x1d\x25\x00"));
		else
			derw_oid(w, SLICE_ARRAY(oid));
	}
	derw_close(w);
	made_close(w);
}

static void
made_san(struct derw *w, const struct made *m)
{
	made_open(w, 17, !m->san_lax);
	derw_open(w, DER_SEQUENCE);
	if (m->uri != NULL)
		derw_element(w, DER_CONTEXT(6), slice_of_str(m->uri));
	if (m->uri2 != NULL)
		derw_element(w, DER_CONTEXT(6), slice_of_str(m->uri2));
	if (m->dns != NULL)
		derw_element(w, DER_CONTEXT(2), slice_of_str(m->dns));
	derw_close(w);
	made_close(w);
}

static void
made_ids(struct derw *w, const struct made *m, struct slice spki)
{
	uint8_t id[20];
	struct buf b;

	if (m->ski) {
		must(build_key_id(spki, id) == ERR_OK);
		made_open(w, 14, false);
		derw_element(w, DER_OCTET_STRING, SLICE_ARRAY(id));
		made_close(w);
	}
	if (!m->aki)
		return;
	buf_init(&b, 4096);
	must(privkey_get_spki(m->signer, &b) == ERR_OK);
	must(build_key_id(buf_get(&b), id) == ERR_OK);
	made_open(w, 35, false);
	derw_open(w, DER_SEQUENCE);
	derw_element(w, DER_CONTEXT(0), SLICE_ARRAY(id));
	derw_close(w);
	made_close(w);
	buf_fini(&b);
}

static void
made_exts(struct derw *w, const struct made *m, struct slice spki)
{
	derw_open(w, DER_CONTEXT_CONS(3));
	derw_open(w, DER_SEQUENCE);
	if (m->basic || m->is_ca)
		made_basic(w, m);
	if (m->usage != 0)
		made_usage(w, m);
	if (m->eku != NULL)
		made_eku(w, m->eku);
	if (m->uri != NULL || m->uri2 != NULL || m->dns != NULL)
		made_san(w, m);
	made_ids(w, m, spki);
	if (m->has_constraints) {
		made_open(w, 30, !m->constraints_lax);
		derw_element(w, DER_SEQUENCE, m->constraints);
		made_close(w);
	}
	derw_raw(w, m->extra);
	derw_close(w);
	derw_close(w);
}

static bool
made_has_exts(const struct made *m)
{
	return m->basic || m->is_ca || m->usage != 0 || m->eku != NULL ||
	       m->uri != NULL || m->uri2 != NULL || m->dns != NULL || m->ski ||
	       m->aki || m->has_constraints || m->extra.len != 0;
}

static void
made_tbs(struct derw *w, const struct made *m, struct slice alg)
{
	const uint8_t serial = 0x2a;
	int64_t to = m->from == 0 && m->to == 0 ? MADE_DAY : m->to;
	struct buf spki;

	buf_init(&spki, 4096);
	if (m->spki.len != 0)
		must(buf_put(&spki, m->spki) == ERR_OK);
	else
		must(privkey_get_spki(m->key, &spki) == ERR_OK);
	derw_open(w, DER_SEQUENCE);
	if (!m->v1)
		derw_raw(w, SLICE_LIT("\xa0\x03\x02\x01\x02"));
	derw_element(w, DER_INTEGER,
		     m->serial.len != 0 ? m->serial : slice_of(&serial, 1));
	derw_raw(w, alg);
	made_name(w, m->issuer);
	derw_open(w, DER_SEQUENCE);
	derw_time(w, wall_of_sec(MADE_NOW + m->from));
	derw_time(w, wall_of_sec(MADE_NOW + to));
	derw_close(w);
	made_name(w, m->subject);
	derw_raw(w, buf_get(&spki));
	if (made_has_exts(m))
		made_exts(w, m, buf_get(&spki));
	derw_close(w);
	buf_fini(&spki);
}

/* The certificate into out, which is initialised here. */
static void
made_build(const struct made *m, struct buf *out)
{
	enum sig_alg alg = privkey_default_alg(m->signer);
	struct slice alg_der = m->alg.len != 0 ? m->alg : sig_alg_get_der(alg);
	struct derw *w = derw_new(MADE_MAX);
	struct buf tbs, sig;
	struct slice der;

	buf_init(&tbs, MADE_MAX);
	buf_init(&sig, 4096);
	buf_init(out, MADE_MAX);
	made_tbs(w, m, alg_der);
	must(derw_finish(w, &der) == ERR_OK);
	must(buf_put(&tbs, der) == ERR_OK);
	must(privkey_sign(m->signer, alg, buf_get(&tbs), &sig) == ERR_OK);
	derw_reset(w);
	derw_open(w, DER_SEQUENCE);
	derw_raw(w, buf_get(&tbs));
	derw_raw(w, alg_der);
	derw_bits(w, buf_get(&sig), 0);
	derw_close(w);
	must(derw_finish(w, &der) == ERR_OK);
	must(buf_put(out, der) == ERR_OK);
	buf_fini(&tbs);
	buf_fini(&sig);
	derw_free(w);
}

#endif
