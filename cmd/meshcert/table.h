/* table.h - aligned columns for people. */
#ifndef MESHCERT_TABLE_H
#define MESHCERT_TABLE_H

#include "base/buf.h"

enum {
	TABLE_COLUMNS_MAX = 16
};

/* Zeroed at first; cells are owned. */
struct table {
	char **cells; /* row after row, the headings first */
	size_t columns;
	size_t rows;
	bool hidden[TABLE_COLUMNS_MAX]; /* columns that are not printed */
};

/* What strangers wrote, for a terminal: control characters become '?'. NULL is
 * empty. The caller owns it. */
char *table_dup_cell(const char *text);
/* The next row; as many cells as the first row (the headings) had; each goes
 * through table_dup_cell. */
void table_add(struct table *t, const char *const *cells, size_t cnt);
/* `gap` blanks between columns, none behind the last. */
void table_print(const struct table *t, size_t gap, struct buf *out);
void table_free(struct table *t);

#endif
