/* confine.h - the agent's sandbox: which folders it still needs.
 *
 * Entered before the first connection, so before any byte that others chose.
 * What it promises is the row `agent` of os/sandbox_roles.c; which folders are
 * its own, only the configuration knows. Folders, not files: tokens and
 * certificates are replaced by renaming. */
#ifndef AGENT_CONFINE_H
#define AGENT_CONFINE_H

#include "agent/agent.h"

/* Before the event loop is made: what the agent never needs, not even at its
 * start, and what libuv must not begin to use (row `agent.start`).
 * ERR_UNAVAILABLE  as agent_confine */
MUST_USE enum err agent_confine_start(const struct agent *a, struct why *why);
/* Makes the folders of sockets and output where they are not there yet, then
 * enters. a->conf, a->defaults and the status port are there; sockets are not
 * yet. What the kernel lacks, and which folder was not found, is logged.
 * ERR_UNAVAILABLE  sandbox: required, and the kernel lacks a part
 * ERR_CONFIG       too many folders */
MUST_USE enum err agent_confine(struct agent *a, struct why *why);
/* The workload socket is there, or somebody else's is: no more sockets of this
 * host are made or connected to. */
MUST_USE enum err agent_confine_settle(const struct agent *a, struct why *why);

#endif
