/* check.h - --check and --print-config: what was understood. */
#ifndef AGENT_CHECK_H
#define AGENT_CHECK_H

#include "agent/conf.h"

/* Prints to stdout; conf is freed. check: for people, with what is found on
 * disk; else the configuration as YAML. Gives the exit code. */
int agent_print(struct agent_conf *conf, bool check);

#endif
