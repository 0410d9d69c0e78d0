/* secrets.h - the secrets that an agent can hand out: immutable, counted
 * snapshots under names, and who wants to hear of a new one.
 *
 * One copy of a secret serves every SDS stream, Workload API stream and file
 * output. A snapshot is made whole, checked before, and swapped in: the old one
 * stays until then. Its version comes from its content, so that the same
 * content is never pushed twice and a reconnecting proxy is told nothing new.
 *
 * Owner: the table owns one reference to each snapshot; whoever keeps one
 * longer than the callback takes its own. Loop thread only. */
#ifndef SDS_SECRETS_H
#define SDS_SECRETS_H

#include "base/clock.h"
#include "base/secret.h"
#include "base/slice.h"
#include "base/why.h"
#include "pki/cert.h"

enum {
	SDS_NAME_MAX = 4096,
	SDS_VERSION_MAX = 24 /* hex of 8 bytes of SHA-256, and NUL */
};

enum sds_kind {
	SDS_CERTIFICATE = 1, /* chain and private key */
	SDS_VALIDATION       /* trusted CAs */
};

/* ---- snapshots --------------------------------------------------------- */

struct sds_secret;

/* What a snapshot is made of. Everything is copied. */
struct sds_certificate {
	const char *name;          /* as clients ask for it */
	const char *source;        /* "ca https://...", "file /etc/certs", for
				      people */
	const struct slice *chain; /* DER, leaf first, without the root */
	size_t chain_cnt;
	const struct secret *key_pem;   /* as Envoy gets it */
	const struct secret *key_pkcs8; /* DER, as the Workload API wants it;
					   NULL for file certificates */
	struct slice chain_pem; /* as Envoy gets it; empty: made of chain */
};
MUST_USE enum err sds_secret_new_certificate(const struct sds_certificate *c,
					     struct why *why,
					     struct sds_secret **out);

struct sds_validation {
	const char *name;
	const char *source;
	const struct slice *roots; /* DER */
	size_t root_cnt;
};
MUST_USE enum err sds_secret_new_validation(const struct sds_validation *v,
					    struct why *why,
					    struct sds_secret **out);
/* The same secret under another name (a SPIFFE ID for "default"): shares
 * nothing that changes, costs one small copy of the framing. */
MUST_USE enum err sds_secret_alias(const struct sds_secret *s, const char *name,
				   struct sds_secret **out);
struct sds_secret *sds_secret_ref(struct sds_secret *s);
void sds_secret_unref(struct sds_secret *s);

enum sds_kind sds_secret_get_kind(const struct sds_secret *s);
const char *sds_secret_get_name(const struct sds_secret *s);
const char *sds_secret_get_source(const struct sds_secret *s);
/* In an array of SDS_VERSION_MAX bytes. */
const char *sds_secret_get_version(const struct sds_secret *s);
/* Packed envoy...tls.v3.Secret; it may hold a key, so it stays in secret
 * memory. Borrowed while the snapshot lives. */
struct slice sds_secret_get_packed(const struct sds_secret *s);
/* Certificates: the chain, leaf first; validation: the roots. DER. */
size_t sds_secret_get_cert_count(const struct sds_secret *s);
struct slice sds_secret_get_cert(const struct sds_secret *s, size_t i);
/* Empty where there is none. Secret. */
struct slice sds_secret_get_key_pkcs8(const struct sds_secret *s);
/* Identity of a certificate's leaf: its SPIFFE ID, or empty. */
struct slice sds_secret_get_spiffe_id(const struct sds_secret *s);
/* Earliest end of all certificates in it. */
struct wall sds_secret_get_not_after(const struct sds_secret *s);

/* ---- the table --------------------------------------------------------- */

struct sds_secrets;

/* A name that the table does not have: whoever can make it does so (now or
 * later, with sds_secrets_set) and answers true; false: no such name is served
 * here. Called once for each name until sds_secrets_released. */
typedef bool sds_resolve_cb(void *arg, const char *name);
/* Nobody asks for a resolved name any more. May be NULL. */
typedef void sds_release_cb(void *arg, const char *name);

/* An empty table. The callbacks get arg. */
struct sds_secrets *sds_secrets_new(sds_resolve_cb *resolve,
				    sds_release_cb *release, void *arg);
void sds_secrets_free(struct sds_secrets *t);

/* Puts it under its name (a reference is taken) and tells its watchers, unless
 * the version is the one that is there. */
void sds_secrets_set(struct sds_secrets *t, struct sds_secret *s);
/* Withdraws a name: watchers get NULL. */
void sds_secrets_remove(struct sds_secrets *t, const char *name);
/* Borrowed until the next set; NULL: not there (yet). */
struct sds_secret *sds_secrets_get(const struct sds_secrets *t,
				   const char *name);
size_t sds_secrets_count(const struct sds_secrets *t);
/* In order of names, for status pages. */
struct sds_secret *sds_secrets_at(const struct sds_secrets *t, size_t i);

/* One watcher of one name; embedded in a stream's subscription, zeroed at
 * first. The callback comes with each new snapshot, not from inside watch: ask
 * sds_secrets_get for what is there already. */
struct sds_watch {
	void (*on_change)(void *arg, struct sds_secret *s);
	void *arg;
	struct sds_watch *prev, *next;
	struct sds_entry *entry; /* not NULL: watching */
};
/* ERR_NOT_FOUND: no such name is served here. */
MUST_USE enum err sds_watch_start(struct sds_secrets *t, const char *name,
				  struct sds_watch *w);
/* The same for a name that nobody serves (after sds_watch_start said so): the
 * callback comes if it appears in the table. */
void sds_watch_remember(struct sds_secrets *t, const char *name,
			struct sds_watch *w);
/* The name of a watch that was started; borrowed until the cancel. */
const char *sds_watch_get_name(const struct sds_watch *w);
void sds_watch_cancel(struct sds_watch *w);

#endif
