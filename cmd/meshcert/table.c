/* table.c - see table.h. */
#include "meshcert/table.h"

#include <string.h>

#include "base/mem.h"

/* ASCII's, and U+0080 to U+009F in UTF-8: some terminals obey those too. */
static bool
is_control(const unsigned char *p)
{
	return *p < 0x20 || *p == 0x7f ||
	       (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
}

/* see table.h */
char *
table_dup_cell(const char *text)
{
	char *cell = mem_dup_str(text == NULL ? "" : text);

	for (char *p = cell; *p != '\0'; p++) {
		if (!is_control((const unsigned char *)p))
			continue;
		if (*p == '\xc2')
			*p++ = '?';
		*p = '?';
	}
	return cell;
}

/* see table.h */
void
table_add(struct table *t, const char *const *cells, size_t cnt)
{
	size_t old = t->columns * t->rows;

	if (t->rows == 0)
		t->columns = cnt;
	must(cnt == t->columns && cnt <= TABLE_COLUMNS_MAX);
	t->cells = mem_grow_array(t->cells, old, old + cnt, sizeof(char *));
	for (size_t i = 0; i < cnt; i++)
		t->cells[old + i] = table_dup_cell(cells[i]);
	t->rows++;
}

static size_t
table_width(const struct table *t, size_t column)
{
	size_t width = 0;

	for (size_t row = 0; row < t->rows; row++) {
		size_t len = strlen(t->cells[row * t->columns + column]);

		if (len > width)
			width = len;
	}
	return width;
}

/* see table.h */
void
table_print(const struct table *t, size_t gap, struct buf *out)
{
	size_t width[TABLE_COLUMNS_MAX] = {0};

	for (size_t c = 0; c < t->columns; c++)
		width[c] = table_width(t, c);
	for (size_t row = 0; row < t->rows; row++) {
		size_t blanks = 0;

		for (size_t c = 0; c < t->columns; c++) {
			const char *cell = t->cells[row * t->columns + c];

			if (t->hidden[c])
				continue;
			if (cell[0] != '\0') {
				(void)buf_printf(out, "%*s%s", (int)blanks, "",
						 cell);
				blanks = 0;
			}
			blanks += width[c] - strlen(cell) + gap;
		}
		(void)buf_put_u8(out, '\n');
	}
}

void
table_free(struct table *t)
{
	for (size_t i = 0; i < t->columns * t->rows; i++)
		mem_free(t->cells[i]);
	mem_free(t->cells);
	*t = (struct table){0};
}
