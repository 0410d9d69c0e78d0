/* custody_int.h - shared by the files of custody; not for other modules. */
#ifndef CUSTODY_CUSTODY_INT_H
#define CUSTODY_CUSTODY_INT_H

#include "custody/custody.h"

/* The table of keys in memory: self is a struct privkey. */
const struct custody_ops *custody_memory_ops(void);

#endif
