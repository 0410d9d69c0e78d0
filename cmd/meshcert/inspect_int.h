/* inspect_int.h - what meshcert inspect finds, whatever it looks into. */
#ifndef MESHCERT_INSPECT_INT_H
#define MESHCERT_INSPECT_INT_H

#include "base/clock.h"
#include "base/json.h"
#include "base/why.h"
#include "meshcert/cmd.h"

enum {
	INSPECT_FILE_MAX = 16 << 20
};

struct inspect {
	bool as_json;
	struct wall at;
	struct buf out;
	struct jsonw w;
	size_t cnt; /* objects shown */
	size_t bad; /* unreadable or expired */
};

/* One object each; where is "FILE", "FILE: data[tls.crt]", "HOST:PORT". index
 * counts within it. */
void inspect_put_cert(struct inspect *in, const char *where, size_t index,
		      struct slice der);
/* Something that cannot be read, with the reason. */
void inspect_put_problem(struct inspect *in, const char *where, size_t index,
			 const char *text);
/* All that a text holds: PEM blocks, or one DER object. Key bytes are seen by
 * nobody but the parser. */
void inspect_put_text(struct inspect *in, const char *where, struct slice text);

/* A Kubernetes manifest: each document's data and stringData. ERR_NOT_FOUND:
 * there is no Secret in it. */
MUST_USE enum err inspect_manifest(struct inspect *in, const char *path,
				   struct slice text, struct why *why);
/* The chain that a TLS server presents. */
MUST_USE enum err inspect_server(struct inspect *in, const char *addr,
				 const char *server_name, struct why *why);

#endif
