/* metric.h - counters, gauges and histograms that several processes share.
 *
 * A program has one static table of metrics. Each role counts in a block of
 * its own, shared memory that its supervisor made; whoever serves /metrics
 * maps all blocks read-only and sums them. Counting is one atomic add: no
 * messages, no timers, and counters survive the restart of a role. A role that
 * was taken over can only lie about its own numbers.
 *
 * Names and help texts follow Prometheus; names that Istio has are kept. */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"

enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE_SUM, /* roles are added up */
	METRIC_GAUGE_MAX, /* the largest one counts */
	METRIC_HISTOGRAM  /* seconds; buckets 10 us .. 10 s, two per decade */
};

struct metric {
	const char *name; /* NULL ends the table */
	enum metric_type type;
	const char *label; /* label name, or NULL */
	const char *const
		*values; /* NULL-ended label values; an index counts */
	const char *help;
};

struct metric_block;

/* Bytes that a block of this table needs. */
size_t metric_block_size(const struct metric *table);
/* Maps a block from a descriptor made with os_memfd(metric_block_size), for
 * writing or read-only; fd may be closed afterwards. fd -1: private memory
 * (one-process programs, tests). ERR_MISMATCH where the file is too short or
 * is not sealed against shrinking: a role could kill its reader by cutting it.
 * The table is kept until unmap. */
MUST_USE enum err metric_block_map(const struct metric *table, int fd,
				   bool writable, struct metric_block **out);
void metric_block_unmap(struct metric_block *b);

/* metric: index in the table; label: index in its values (0 without). */
void metric_add(struct metric_block *b, unsigned metric, unsigned label,
		uint64_t n);
/* One more for each label whose bit is set. */
void metric_add_bits(struct metric_block *b, unsigned metric, uint32_t labels);
void metric_set(struct metric_block *b, unsigned metric, unsigned label,
		int64_t v);
void metric_observe_ns(struct metric_block *b, unsigned metric, unsigned label,
		       uint64_t ns);
/* Of a histogram: how many were observed. */
int64_t metric_get(const struct metric_block *b, unsigned metric,
		   unsigned label);
/* Prometheus text of the sum of blocks. */
enum err metric_write(const struct metric *table,
		      const struct metric_block *const *blocks, size_t cnt,
		      struct buf *out);

#endif
