/* signer_int.h - the parts of the signer role.
 *
 *   signer.c         requests, signatures, life of the process
 *   signer_issuer.c  where the CA comes from: data folder or plugged-in files
 */
#ifndef CA_SIGNER_INT_H
#define CA_SIGNER_INT_H

#include "base/metric.h"
#include "base/secret.h"
#include "ca/conf.h"
#include "ca/issuer.h"
#include "ca/msg.h"
#include "ca/policy.h"
#include "custody/custody.h"
#include "ev/ev.h"
#include "ipc/ipc.h"
#include "ipc/role.h"

/* Files of a plugged-in CA that were given and wait for "issuer.end". */
enum {
	SIGNER_FILES_MAX = 8,
	SIGNER_FILE_MAX = 1 << 17
};
struct signer_file {
	char name[64];
	struct secret *bytes; /* any of them may be the key */
};

struct signer {
	struct role *role;
	struct ev_loop *loop;
	struct ca_conf conf;
	struct ca_policy policy;
	struct metric_block *metrics;
	struct ipc *authority;
	struct issuer *issuer;
	uint32_t generation;
	struct custody_key *audit_key;
	struct slice *names; /* serving.names */
	size_t name_cnt;
	uint8_t last_serial[STORE_SERIAL_LEN];
	struct buf tbs, cert, signature, out;
	struct signer_file files[SIGNER_FILES_MAX];
	size_t file_cnt;
	bool is_set_whole;         /* its "end" has come */
	bool is_file_unread;       /* of this set */
	char reload_text[WHY_MAX]; /* why the newest plugged-in set is bad */
	struct ev_timer *renewal;  /* two tiers: the issuing CA's */
	bool started;
};

/* signer.c: puts a checked issuer in force (given) and tells the authority;
 * NULL: tells it again, with what is in force. */
void signer_take_issuer(struct signer *s, struct issuer *fresh);
void signer_send_chain(struct signer *s);

/* signer_issuer.c */
MUST_USE enum err signer_open_issuer(struct signer *s, struct why *why);
/* "begin", the files of a plugged-in set, "end". fd stays the caller's. */
void signer_take_file(struct signer *s, const char *name, int fd);
void signer_describe_chain(const struct signer *s, struct msg_chain *out);
void signer_forget_files(struct signer *s);

#endif
