/* admin.h - questions to the authority's admin socket. */
#ifndef MESHCERT_ADMIN_H
#define MESHCERT_ADMIN_H

#include <protobuf-c/protobuf-c.h>

#include "meshcert/call.h"

#define ADMIN_DATA_DIR "/var/lib/meshcert"

/* "unix:PATH" of the socket: as given, or of the data folder (its
 * addresses.json, else admin.sock in it). Owned by the caller. */
char *admin_get_addr(const char *socket, const char *data_dir);
/* As call_run; rq is packed. path: "/meshcert.admin.v1.Admin/Status". A
 * failure of the connection says what to do about it. */
MUST_USE enum err admin_call(const char *addr, const char *path,
			     const ProtobufCMessage *rq, struct why *why,
			     struct call_answer *out);

#endif
