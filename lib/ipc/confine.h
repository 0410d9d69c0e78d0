/* confine.h - the message that tells a role how to confine itself: the mode,
 * then texts, each ended by a zero byte: data_dir (may be empty), then what it
 * may read. */
#ifndef IPC_CONFINE_H
#define IPC_CONFINE_H

#include "base/buf.h"
#include "base/slice.h"
#include "os/sandbox.h"

/* ERR_LIMIT: out is full. */
MUST_USE enum err confine_write(struct buf *out, const struct sandbox_ask *ask);
/* What is read points into the payload. */
MUST_USE enum err confine_read(struct slice payload, struct sandbox_ask *out);

#endif
