/* yaml.h - our own JSON, laid out for people, or as YAML. */
#ifndef MESHCERT_YAML_H
#define MESHCERT_YAML_H

#include "base/buf.h"

/* json: what jsonw wrote (well formed). Keys and scalars are copied as they
 * are: a JSON string is a YAML string too. */
void yaml_of_json(struct slice json, bool as_yaml, struct buf *out);

#endif
