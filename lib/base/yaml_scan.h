/* yaml_scan.h - the texts of YAML or JSON documents of somebody else's making
 * (Kubernetes manifests), with their paths. Configuration of our own is read
 * by conf.h, which is strict. */
#ifndef BASE_YAML_SCAN_H
#define BASE_YAML_SCAN_H

#include "base/slice.h"
#include "base/why.h"

enum {
	YAML_SCAN_DEPTH_MAX = 32
};

/* One scalar; all is borrowed for the call, and the text is wiped after it: it
 * may be a key. */
struct yaml_scan_text {
	size_t document;         /* 0, 1, ... between "---" */
	const char *const *path; /* keys, outermost first; "" in a sequence */
	size_t path_len;
	struct slice text;
};

/* Calls cb for each scalar that is a value, in order. An error of cb ends it
 * and is returned. ERR_SYNTAX: not YAML; ERR_LIMIT: nested too deeply. */
MUST_USE enum err yaml_scan(struct slice text, struct why *why,
			    enum err (*cb)(void *arg,
					   const struct yaml_scan_text *t),
			    void *arg);

#endif
