/* seen.c - see seen.h. */
#include "ca/seen.h"

#include "base/mem.h"
#include "base/rand.h"
#include "crypto/hash.h"

struct seen_row {
	uint64_t name; /* hash of the caller */
	struct wall ends;
};

struct ca_seen {
	struct seen_row *rows;
	size_t mask;
	uint64_t key[2];
};

struct ca_seen *
ca_seen_new(size_t rows)
{
	struct ca_seen *s = MEM_NEW(struct ca_seen);

	must(rows > 0 && (rows & (rows - 1)) == 0);
	s->rows = MEM_NEW_ARRAY(struct seen_row, rows);
	s->mask = rows - 1;
	rand_bytes((uint8_t *)s->key, sizeof(s->key));
	return s;
}

void
ca_seen_free(struct ca_seen *s)
{
	if (s == NULL)
		return;
	mem_free(s->rows);
	mem_free(s);
}

void
ca_seen_add(struct ca_seen *s, struct slice caller, struct wall ends)
{
	uint64_t name = hash_sip(s->key, caller);

	s->rows[name & s->mask] = (struct seen_row){name, ends};
}

struct wall
ca_seen_get(const struct ca_seen *s, struct slice caller)
{
	uint64_t name = hash_sip(s->key, caller);
	const struct seen_row *row = &s->rows[name & s->mask];

	return row->name == name ? row->ends : (struct wall){0};
}
