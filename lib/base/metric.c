/* metric.c - see metric.h. A block is an array of 64-bit cells and nothing
 * else: where a metric stands follows from the table alone, so that a reader
 * trusts nothing that is written in a block but the numbers. */
#include "base/metric.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/mem.h"

struct metric_place {
	unsigned first;     /* cell */
	unsigned label_cnt; /* 1 without labels */
};

struct metric_block {
	const struct metric *table;
	struct metric_place *places;
	unsigned metric_cnt;
	uint64_t *cells;
	size_t len;     /* bytes of cells */
	bool is_mapped; /* else from mem_new */
};

/* Upper ends of the buckets; the last cell before the sum counts the rest. */
static const uint64_t metric_bucket_ns[] = {
	10000u,      30000u,      100000u,     300000u,    1000000u,
	3000000u,    10000000u,   30000000u,   100000000u, 300000000u,
	1000000000u, 3000000000u, 10000000000u};

static const char *const metric_bucket_text[] = {
	"1e-05", "3e-05", "0.0001", "0.0003", "0.001", "0.003", "0.01",
	"0.03",  "0.1",   "0.3",    "1",      "3",     "10"};

enum {
	METRIC_BUCKETS = COUNT_OF(metric_bucket_ns),
	METRIC_SUM_CELL = METRIC_BUCKETS + 1,
	METRIC_HISTOGRAM_CELLS = METRIC_BUCKETS + 2
};

static unsigned
metric_get_label_cnt(const struct metric *m)
{
	unsigned cnt = 0;

	if (m->label == NULL)
		return 1;
	while (m->values[cnt] != NULL)
		cnt++;
	return cnt;
}

static unsigned
metric_get_cell_cnt(const struct metric *m)
{
	return m->type == METRIC_HISTOGRAM ? METRIC_HISTOGRAM_CELLS : 1;
}

size_t
metric_block_size(const struct metric *table)
{
	size_t cells = 0;

	for (; table->name != NULL; table++)
		cells += (size_t)metric_get_label_cnt(table) *
			 metric_get_cell_cnt(table);
	return cells * sizeof(uint64_t);
}

static void
metric_place_all(struct metric_block *b)
{
	unsigned cell = 0;

	while (b->table[b->metric_cnt].name != NULL)
		b->metric_cnt++;
	b->places = MEM_NEW_ARRAY(struct metric_place, b->metric_cnt);
	for (unsigned i = 0; i < b->metric_cnt; i++) {
		const struct metric *m = &b->table[i];
		struct metric_place *place = &b->places[i];

		place->first = cell;
		place->label_cnt = metric_get_label_cnt(m);
		cell += place->label_cnt * metric_get_cell_cnt(m);
	}
}

static enum err
metric_map_fd(struct metric_block *b, int fd, bool writable)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *p;

	if (fstat(fd, &st) != 0 || st.st_size < (off_t)b->len || seals < 0 ||
	    (seals & F_SEAL_SHRINK) == 0)
		return ERR_MISMATCH;
	p = mmap(NULL, b->len, writable ? PROT_READ | PROT_WRITE : PROT_READ,
		 MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return ERR_NO_MEMORY;
	b->cells = p;
	b->is_mapped = true;
	return ERR_OK;
}

enum err
metric_block_map(const struct metric *table, int fd, bool writable,
		 struct metric_block **out)
{
	struct metric_block *b = MEM_NEW(struct metric_block);
	enum err ret = ERR_OK;

	*out = NULL;
	b->table = table;
	b->len = metric_block_size(table);
	if (fd < 0)
		b->cells = mem_new(b->len);
	else
		ret = metric_map_fd(b, fd, writable);
	if (ret != ERR_OK) {
		mem_free(b);
		return ret;
	}
	metric_place_all(b);
	*out = b;
	return ERR_OK;
}

void
metric_block_unmap(struct metric_block *b)
{
	if (b == NULL)
		return;
	if (b->is_mapped)
		(void)munmap(b->cells, b->len);
	else
		mem_free(b->cells);
	mem_free(b->places);
	mem_free(b);
}

/* First cell of a metric's label value. */
static uint64_t *
metric_get_cells(const struct metric_block *b, unsigned metric, unsigned label)
{
	const struct metric_place *place;

	must(metric < b->metric_cnt);
	place = &b->places[metric];
	must(label < place->label_cnt);
	return b->cells + place->first +
	       (size_t)label * metric_get_cell_cnt(&b->table[metric]);
}

static void
metric_bump(uint64_t *cell, uint64_t n)
{
	(void)__atomic_fetch_add(cell, n, __ATOMIC_RELAXED);
}

static uint64_t
metric_load(const uint64_t *cell)
{
	return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

void
metric_add(struct metric_block *b, unsigned metric, unsigned label, uint64_t n)
{
	must(metric < b->metric_cnt &&
	     b->table[metric].type != METRIC_HISTOGRAM);
	metric_bump(metric_get_cells(b, metric, label), n);
}

void
metric_add_bits(struct metric_block *b, unsigned metric, uint32_t labels)
{
	for (unsigned l = 0; labels != 0; l++, labels >>= 1) {
		if ((labels & 1) != 0)
			metric_add(b, metric, l, 1);
	}
}

void
metric_set(struct metric_block *b, unsigned metric, unsigned label, int64_t v)
{
	must(metric < b->metric_cnt &&
	     b->table[metric].type != METRIC_HISTOGRAM);
	__atomic_store_n(metric_get_cells(b, metric, label), (uint64_t)v,
			 __ATOMIC_RELAXED);
}

void
metric_observe_ns(struct metric_block *b, unsigned metric, unsigned label,
		  uint64_t ns)
{
	uint64_t *cells = metric_get_cells(b, metric, label);
	size_t bucket = 0;

	must(b->table[metric].type == METRIC_HISTOGRAM);
	while (bucket < METRIC_BUCKETS && ns > metric_bucket_ns[bucket])
		bucket++;
	metric_bump(&cells[bucket], 1);
	metric_bump(&cells[METRIC_SUM_CELL], ns);
}

int64_t
metric_get(const struct metric_block *b, unsigned metric, unsigned label)
{
	const uint64_t *cells = metric_get_cells(b, metric, label);
	uint64_t sum = 0;

	if (b->table[metric].type != METRIC_HISTOGRAM)
		return (int64_t)metric_load(cells);
	for (size_t i = 0; i <= METRIC_BUCKETS; i++)
		sum += metric_load(&cells[i]);
	return (int64_t)sum;
}

/* -- Prometheus text --------------------------------------------------- */

/* The blocks to sum, and what of them. */
struct metric_sum {
	const struct metric_block *const *blocks;
	size_t block_cnt;
	unsigned metric;
	unsigned label;
};

static uint64_t
metric_sum_cell(const struct metric_sum *s, size_t cell)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->block_cnt; i++)
		sum += metric_load(
			metric_get_cells(s->blocks[i], s->metric, s->label) +
			cell);
	return sum;
}

static int64_t
metric_max(const struct metric_sum *s)
{
	int64_t max = 0;

	for (size_t i = 0; i < s->block_cnt; i++) {
		int64_t v = metric_get(s->blocks[i], s->metric, s->label);

		if (i == 0 || v > max)
			max = v;
	}
	return max;
}

/* Backslash, quote and newline are escaped in label values; in help texts the
 * quote is not, but may be. */
static void
metric_put_escaped(struct buf *out, const char *text, bool in_quotes)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			(void)buf_put_str(out, "\\n");
		else if (*text == '\\' || (*text == '"' && in_quotes))
			(void)buf_printf(out, "\\%c", *text);
		else
			(void)buf_put_u8(out, (uint8_t)*text);
	}
}

/* "name_suffix{label="value",le="0.1"} " */
static void
metric_put_name(struct buf *out, const struct metric *m, unsigned label,
		const char *suffix, const char *le)
{
	(void)buf_printf(out, "%s%s", m->name, suffix);
	if (m->label != NULL || le != NULL)
		(void)buf_put_u8(out, '{');
	if (m->label != NULL) {
		(void)buf_printf(out, "%s=\"", m->label);
		metric_put_escaped(out, m->values[label], true);
		(void)buf_printf(out, "\"%s", le == NULL ? "" : ",");
	}
	if (le != NULL)
		(void)buf_printf(out, "le=\"%s\"", le);
	(void)buf_put_str(out, m->label != NULL || le != NULL ? "} " : " ");
}

static void
metric_write_histogram(const struct metric *m, const struct metric_sum *s,
		       struct buf *out)
{
	uint64_t count = 0;
	uint64_t sum;

	for (size_t i = 0; i < METRIC_BUCKETS; i++) {
		count += metric_sum_cell(s, i);
		metric_put_name(out, m, s->label, "_bucket",
				metric_bucket_text[i]);
		(void)buf_printf(out, "%" PRIu64 "\n", count);
	}
	count += metric_sum_cell(s, METRIC_BUCKETS);
	metric_put_name(out, m, s->label, "_bucket", "+Inf");
	(void)buf_printf(out, "%" PRIu64 "\n", count);
	sum = metric_sum_cell(s, METRIC_SUM_CELL);
	metric_put_name(out, m, s->label, "_sum", NULL);
	(void)buf_printf(out, "%" PRIu64 ".%09" PRIu64 "\n", sum / 1000000000u,
			 sum % 1000000000u);
	metric_put_name(out, m, s->label, "_count", NULL);
	(void)buf_printf(out, "%" PRIu64 "\n", count);
}

static void
metric_write_value(const struct metric *m, const struct metric_sum *s,
		   struct buf *out)
{
	if (m->type == METRIC_HISTOGRAM) {
		metric_write_histogram(m, s, out);
		return;
	}
	metric_put_name(out, m, s->label, "", NULL);
	if (m->type == METRIC_COUNTER)
		(void)buf_printf(out, "%" PRIu64 "\n", metric_sum_cell(s, 0));
	else if (m->type == METRIC_GAUGE_SUM)
		(void)buf_printf(out, "%" PRId64 "\n",
				 (int64_t)metric_sum_cell(s, 0));
	else
		(void)buf_printf(out, "%" PRId64 "\n", metric_max(s));
}

static const char *
metric_get_type_text(enum metric_type type)
{
	if (type == METRIC_COUNTER)
		return "counter";
	return type == METRIC_HISTOGRAM ? "histogram" : "gauge";
}

enum err
metric_write(const struct metric *table,
	     const struct metric_block *const *blocks, size_t cnt,
	     struct buf *out)
{
	struct metric_sum s = {.blocks = blocks, .block_cnt = cnt};

	for (size_t i = 0; i < cnt; i++)
		must(blocks[i]->table == table);
	for (; table[s.metric].name != NULL; s.metric++) {
		const struct metric *m = &table[s.metric];
		unsigned label_cnt = metric_get_label_cnt(m);

		(void)buf_printf(out, "# HELP %s ", m->name);
		metric_put_escaped(out, m->help, false);
		(void)buf_printf(out, "\n# TYPE %s %s\n", m->name,
				 metric_get_type_text(m->type));
		for (s.label = 0; s.label < label_cnt; s.label++)
			metric_write_value(m, &s, out);
	}
	return buf_has_failed(out) ? ERR_LIMIT : ERR_OK;
}
