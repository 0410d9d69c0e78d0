/* audit.h - the audit log: JSON lines, each carrying the hash of the one
 * before it.
 *
 * A line is {"n":N,"prev":"<sha256 of line N-1>", ...}. Count and hash of the
 * last line (the head) are put into the store and signed, so that a tail cut
 * off shows. Files rotate by size; the chain goes on across files:
 * audit.jsonl is the current one, audit-<first n>.jsonl the older ones.
 * Format: doc/audit.md. */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/why.h"

struct audit;

struct audit_head {
	uint64_t count;   /* lines ever written */
	uint8_t hash[32]; /* of the last line; zero when there is none */
};

/* dir: exists, ours. Reads the tail of the newest file to go on from there: a
 * half-written last line (power cut) is cut off and noted as an event.
 * expected: what the store remembers (count 0: nothing). A log that is shorter
 * or different: ERR_MISMATCH with what to do; nothing is changed then. Longer
 * is fine: the store remembers a little less than what is written. */
MUST_USE enum err audit_open(const char *dir, uint64_t rotate_bytes,
			     const struct audit_head *expected, struct why *why,
			     struct audit **out);
void audit_close(struct audit *a);
/* fields: the inside of a JSON object without braces, as jsonw made it
 * ("\"event\":\"issued\",..."), without newline. Buffered until audit_flush.
 * ERR_LIMIT: longer than 32 kB, or 8 MB wait already; ERR_SYNTAX. The next line
 * that finds room is then preceded by one that says how many were lost. */
enum err audit_add(struct audit *a, struct wall now, struct slice fields);
/* Writes; with sync, fdatasync. ERR_DISK_FULL keeps what is buffered, and
 * leaves no half line. After any failed sync every flush fails, and
 * audit_is_broken: only opening it again tells what is on the disk. */
MUST_USE enum err audit_flush(struct audit *a, bool sync, struct why *why);
bool audit_is_broken(const struct audit *a);
/* The last line that is safe on the disk (flushed with sync): what the store
 * may remember. */
struct audit_head audit_get_head(const struct audit *a);
/* Reads a whole log in order and checks the chain; names the first bad line in
 * why. expected as above, or NULL. */
MUST_USE enum err audit_verify(const char *dir,
			       const struct audit_head *expected,
			       struct why *why, struct audit_head *head_out);

#endif
