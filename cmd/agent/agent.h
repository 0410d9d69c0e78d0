/* agent.h - meshcert-agent: one process, its parts, and what they ask of each
 * other.
 *
 * struct agent owns everything; each part is a file with an object of its own:
 *   upstream.c  one request to the CA; answer.c: is the answer good?
 *   renew.c     when to ask, and what becomes of it; plan.c: the arithmetic
 *   files.c     certificates from files
 *   output.c    certificates as files
 *   socket.c    who may connect, and to what; probe.c: is somebody there?
 *   status.c    HTTP: health, metrics, /status
 *   confine.c   which folders the sandbox leaves it
 *   conf.c      the file, and env.c the environment of Istio's agent
 * They meet in the table of secrets: renew.c and files.c put snapshots there;
 * SDS, Workload API and output.c watch names. */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "agent/conf.h"
#include "agent/metrics.h"
#include "base/json.h"
#include "ev/ev.h"
#include "sds/secrets.h"

#define AGENT_PROGRAM "meshcert-agent"
#define AGENT_NAME_DEFAULT "default"
#define AGENT_NAME_ROOT "ROOTCA"

/* Who provides `default` and `ROOTCA`. */
enum agent_mode {
	AGENT_MODE_CA = 1, /* asked from a CA, renewed */
	AGENT_MODE_FILES,  /* from files that somebody else renews */
	AGENT_MODE_FOREIGN /* a foreign SDS server on the workload socket does:
			      we serve "file-..." names only, on the files
			      socket */
};

/* Files of default certificates, found at the start. */
struct agent_default_files {
	char *chain; /* owned; NULL: `default` does not come from files */
	char *key;
	char *root; /* NULL: `ROOTCA` does not come from a file */
};

/* How often the wall clock of this host was set since the start. */
struct agent_clock {
	struct ev_clock *watch;
	uint64_t set_cnt;
	int64_t by_ms;  /* the last time; negative: back */
	struct wall at; /* what it said after it */
};

/* Where the configuration comes from, to be read again. */
struct agent_source {
	enum err (*load)(void *arg, struct agent_conf *out, struct why *why);
	void *arg;
	const char *path; /* its file; NULL: there is none */
};

struct agent {
	const struct agent_source *source;
	struct ev_loop *loop;
	struct agent_clock clock;
	struct agent_conf conf;
	enum agent_mode mode;
	struct agent_default_files defaults;
	struct mono started;
	size_t files_max; /* descriptors that we may have open */
	struct sds_secrets *secrets;
	struct metric_block *metrics;
	struct agent_renew *renew; /* NULL: no CA is asked */
	struct agent_files *files;
	struct agent_output *output; /* NULL: no OUTPUT_CERTS */
	struct agent_socket *socket;
	struct agent_status *status; /* NULL: no status port */
};

/* ---- agent.c ----------------------------------------------------------- */

/* The whole life of the agent; the exit code. conf is finished; taken. source
 * is asked at SIGHUP. */
int agent_run(struct agent_conf *conf, const struct agent_source *source);

/* ---- files.c: certificates from files ---------------------------------- */

/* a->conf, a->loop, a->secrets, a->metrics are there. Allowed are paths below
 * conf.files_allow, the paths of conf.files_{client,server}_*, and the default
 * files. */
MUST_USE enum err agent_files_new(struct agent *a, struct why *why,
				  struct agent_files **out);
void agent_files_free(struct agent_files *f);
/* Serves `default` (and its aliases: the leaf's SPIFFE ID) and `ROOTCA` (alias:
 * "spiffe://" and the trust domain of conf) from a->defaults, from now on and
 * with every good change; names whose path is NULL are left alone. Not there
 * or not good yet: tried again, the log says why. */
void agent_files_start_defaults(struct agent_files *f);
/* The clock was set: what was too early or too late may be right now. */
void agent_files_on_clock(struct agent_files *f);
/* A name that the table does not have: true when it is "file-cert:C~K",
 * "file-root:F" or "file-root:system" and allowed; the snapshot goes into the
 * table now or when the files are good. */
bool agent_files_resolve(struct agent_files *f, const char *name);
/* The member "files": what is read from files, and what is wrong with it. */
void agent_files_write_json(const struct agent_files *f, struct jsonw *w);
/* Nobody asks for that name any more: stop watching, withdraw it. */
void agent_files_release(struct agent_files *f, const char *name);

#endif
