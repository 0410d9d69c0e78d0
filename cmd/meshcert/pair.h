/* pair.h - chain, key and roots from files, for connections of the command
 * line. */
#ifndef MESHCERT_PAIR_H
#define MESHCERT_PAIR_H

#include "tls/tls.h"

/* A client context that trusts the roots of one file (NULL: none is set) and
 * shows the chain and key of two others (both NULL: none). */
MUST_USE enum err pair_new_client(const char *root, const char *cert,
				  const char *key, struct why *why,
				  struct tls_ctx **out);
/* All certificates of a PEM file. */
MUST_USE enum err pair_read_certs(const char *path, struct why *why,
				  struct cert_list *out);
MUST_USE enum err pair_read_bundle(const char *path, struct why *why,
				   struct pki_bundle **out);

#endif
