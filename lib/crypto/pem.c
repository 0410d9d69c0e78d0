/* pem.c - see pem.h. RFC 7468, and RFC 4648 for base64.
 *
 * One decoder and one encoder serve all: standard and URL alphabet, lines or
 * none, ordinary or secret memory. They are ours and not the library's, since
 * that one has no URL alphabet, takes unused bits that are not zero, and
 * cannot pass over the line ends of PEM without a copy of the text, which for
 * keys would be one more place to wipe. */
#include "crypto/pem.h"

#include <string.h>

enum {
	PEM_LINE = 64,      /* RFC 7468 2: base64 characters a line */
	PEM_LABEL_MAX = 64, /* ours; the longest one in use has 30 */
	PEM_TEXT_MAX = 16 * 1024 * 1024
};

#define PEM_BEGIN "-----BEGIN "
#define PEM_END "-----END "
#define PEM_DASHES "-----"

/* -- base64 */

/* Both directions work on units of 16 characters, 12 bytes, in loops without
 * branches that compilers turn into vector code; what is left over goes
 * character by character. */
enum {
	UNIT_CHARS = 16,
	UNIT_BYTES = 12
};

/* Decoder state: bits that are not yet a whole byte. */
struct unbase64 {
	uint8_t *out;
	size_t len;
	uint32_t bits;
	unsigned have; /* characters in the group of four */
	unsigned pad;  /* '=' seen */
	bool is_url;
	uint8_t v[UNIT_CHARS]; /* values of a unit; wiped where it is a key */
};

/* 0xff for true, 0 for false. */
static inline uint8_t
mask_of(bool is)
{
	return (uint8_t)(0 - (unsigned)is);
}

/* The value of a character, or 0xff. No table: keys pass through here, and a
 * lookup would tell them to whoever watches the cache. */
static inline uint8_t
base64_value(uint8_t c, uint8_t c62, uint8_t c63)
{
	const uint8_t upper = (uint8_t)(c - 'A');
	const uint8_t lower = (uint8_t)(c - 'a');
	const uint8_t digit = (uint8_t)(c - '0');
	unsigned one_more = 0;

	one_more |= mask_of(upper < 26) & (upper + 1u);
	one_more |= mask_of(lower < 26) & (lower + 27u);
	one_more |= mask_of(digit < 10) & (digit + 53u);
	one_more |= mask_of(c == c62) & 63u;
	one_more |= mask_of(c == c63) & 64u;
	return (uint8_t)(one_more - 1);
}

static enum err
unbase64_char(struct unbase64 *d, uint8_t c)
{
	uint8_t v =
		base64_value(c, d->is_url ? '-' : '+', d->is_url ? '_' : '/');

	if (c == '=' && !d->is_url && d->have >= 2) {
		d->pad++;
		return d->have + d->pad <= 4 ? ERR_OK : ERR_SYNTAX;
	}
	if (v == 0xff || d->pad > 0)
		return ERR_SYNTAX;
	d->bits = d->bits << 6 | v;
	if (++d->have < 4)
		return ERR_OK;
	d->out[d->len++] = (uint8_t)(d->bits >> 16);
	d->out[d->len++] = (uint8_t)(d->bits >> 8);
	d->out[d->len++] = (uint8_t)d->bits;
	d->bits = 0;
	d->have = 0;
	return ERR_OK;
}

/* A whole unit; false, and nothing done, when a character is none. */
static bool
unbase64_unit(struct unbase64 *d, const uint8_t in[restrict UNIT_CHARS])
{
	const uint8_t c62 = d->is_url ? '-' : '+';
	const uint8_t c63 = d->is_url ? '_' : '/';
	uint8_t *out = d->out + d->len;
	uint8_t *restrict v = d->v;
	uint64_t half[2];

	for (size_t i = 0; i < UNIT_CHARS; i++)
		v[i] = base64_value(in[i], c62, c63);
	memcpy(half, v, sizeof(half));
	if (((half[0] | half[1]) & UINT64_C(0x8080808080808080)) != 0)
		return false;
	for (size_t i = 0; i < UNIT_CHARS; i += 4) {
		*out++ = (uint8_t)(v[i] << 2 | v[i + 1] >> 4);
		*out++ = (uint8_t)(v[i + 1] << 4 | v[i + 2] >> 2);
		*out++ = (uint8_t)(v[i + 2] << 6 | v[i + 3]);
	}
	d->len += UNIT_BYTES;
	return true;
}

static enum err
unbase64_text(struct unbase64 *d, struct slice text)
{
	enum err ret = ERR_OK;
	size_t i = 0;

	if (d->have == 0 && d->pad == 0) {
		while (text.len - i >= UNIT_CHARS &&
		       unbase64_unit(d, text.p + i))
			i += UNIT_CHARS;
	}
	for (; i < text.len && ret == ERR_OK; i++)
		ret = unbase64_char(d, text.p[i]);
	return ret;
}

static enum err
unbase64_end(struct unbase64 *d)
{
	uint32_t bits = d->bits;

	if (d->have == 0 && d->pad == 0)
		return ERR_OK;
	if (d->have < 2 || (!d->is_url && d->have + d->pad != 4))
		return ERR_SYNTAX;
	/* 12 or 18 bits, of which 4 or 2 are unused. */
	if ((bits & (d->have == 2 ? 0xfU : 0x3U)) != 0)
		return ERR_SYNTAX;
	bits <<= 6 * (4 - d->have);
	d->out[d->len++] = (uint8_t)(bits >> 16);
	if (d->have == 3)
		d->out[d->len++] = (uint8_t)(bits >> 8);
	return ERR_OK;
}

static enum err
base64_decode(struct slice text, bool is_url, struct buf *out)
{
	struct unbase64 d = {.is_url = is_url};
	size_t chars = text.len;
	enum err ret;

	/* The exact size, so that a result that fits is never refused. */
	while (chars > 0 && text.len - chars < 2 && text.p[chars - 1] == '=')
		chars--;
	ret = buf_reserve(out, chars / 4 * 3 + chars % 4 * 3 / 4, &d.out);
	if (ret != ERR_OK)
		return ret;
	if ((ret = unbase64_text(&d, text)) != ERR_OK ||
	    (ret = unbase64_end(&d)) != ERR_OK)
		return ret;
	buf_commit(out, d.len);
	return ERR_OK;
}

/* The character of a value below 64; no table, as above. */
static inline uint8_t
base64_digit(uint8_t v, uint8_t c62, uint8_t c63)
{
	unsigned c = 'A' + v;

	c += mask_of(v >= 26) & ('a' - 'Z' - 1u);
	c -= mask_of(v >= 52) & ('z' + 1u - '0');
	c += mask_of(v == 62) & (c62 - ('9' + 1u));
	c += mask_of(v == 63) & (c63 - ('9' + 2u));
	return (uint8_t)c;
}

static void
base64_unit(const uint8_t in[UNIT_BYTES], bool is_url, uint8_t out[UNIT_CHARS])
{
	const uint8_t c62 = is_url ? '-' : '+';
	const uint8_t c63 = is_url ? '_' : '/';

	for (size_t i = 0; i < UNIT_CHARS / 4; i++) {
		const uint8_t *p = in + 3 * i;

		out[4 * i] = p[0] >> 2;
		out[4 * i + 1] = (uint8_t)((p[0] << 4 | p[1] >> 4) & 0x3f);
		out[4 * i + 2] = (uint8_t)((p[1] << 2 | p[2] >> 6) & 0x3f);
		out[4 * i + 3] = p[2] & 0x3f;
	}
	for (size_t i = 0; i < UNIT_CHARS; i++)
		out[i] = base64_digit(out[i], c62, c63);
}

/* Writes the base64 of in to out and returns its length; the caller has seen
 * to the room. */
static size_t
base64_encode(struct slice in, bool is_url, uint8_t *out)
{
	uint8_t last[UNIT_BYTES] = {0};
	uint8_t chars[UNIT_CHARS];
	size_t len = 0;
	size_t used;

	for (; in.len >= UNIT_BYTES; in = slice_sub(in, UNIT_BYTES, in.len)) {
		base64_unit(in.p, is_url, out + len);
		len += UNIT_CHARS;
	}
	if (in.len == 0)
		return len;
	memcpy(last, in.p, in.len);
	base64_unit(last, is_url, chars);
	used = (in.len * 4 + 2) / 3;
	memcpy(out + len, chars, used);
	len += used;
	for (; used % 4 != 0 && !is_url; used++)
		out[len++] = '=';
	secret_wipe(last, sizeof(last));
	secret_wipe(chars, sizeof(chars));
	return len;
}

static enum err
base64_append(struct slice bytes, bool is_url, struct buf *out)
{
	uint8_t *p = NULL;
	enum err ret = ERR_LIMIT;

	if (bytes.len > SIZE_MAX / 2)
		return ERR_LIMIT;
	/* Asks for the exact size, so that a full buffer is used to its end. */
	ret = buf_reserve(
		out, is_url ? (bytes.len * 4 + 2) / 3 : (bytes.len + 2) / 3 * 4,
		&p);
	if (ret != ERR_OK)
		return ret;
	buf_commit(out, base64_encode(bytes, is_url, p));
	return ERR_OK;
}

enum err
base64_write(struct buf *out, struct slice bytes)
{
	return base64_append(bytes, false, out);
}

enum err
base64url_write(struct buf *out, struct slice bytes)
{
	return base64_append(bytes, true, out);
}

enum err
base64_read(struct slice text, struct buf *out)
{
	return base64_decode(text, false, out);
}

enum err
base64url_read(struct slice text, struct buf *out)
{
	return base64_decode(text, true, out);
}

/* -- reading PEM */

/* One block: where its parts are in the text. */
struct pem_block {
	struct slice label;
	struct slice body; /* the lines between BEGIN and END */
	struct slice rest; /* behind the END line */
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the next line off *text, without its end and trailing blanks. */
static bool
read_line(struct slice *text, struct slice *line)
{
	if (!slice_split(text, '\n', line))
		return false;
	while (line->len > 0 && is_blank(line->p[line->len - 1]))
		line->len--;
	return true;
}

/* The label of a BEGIN or END line, which begins with prefix; false when the
 * line is not well formed. */
static bool
read_label(struct slice line, const char *prefix, struct slice *label)
{
	size_t skip = strlen(prefix);

	*label = SLICE_NONE;
	if (!slice_has_suffix(line, PEM_DASHES) ||
	    line.len < skip + sizeof(PEM_DASHES))
		return false;
	*label = slice_sub(line, skip,
			   line.len - skip - (sizeof(PEM_DASHES) - 1));
	return label->len <= PEM_LABEL_MAX && slice_is_printable(*label) &&
	       slice_find(*label, '-') == label->len;
}

static enum err
find_begin(struct slice *text, struct slice *label, struct why *why)
{
	struct slice line;

	if (slice_has_prefix(*text, "\xef\xbb\xbf")) /* byte order mark */
		*text = slice_sub(*text, 3, text->len);
	while (read_line(text, &line)) {
		if (!slice_has_prefix(line, PEM_BEGIN))
			continue;
		if (!read_label(line, PEM_BEGIN, label))
			return why_set(why, ERR_SYNTAX,
				       "PEM: malformed BEGIN line");
		return ERR_OK;
	}
	return why_set(why, ERR_NOT_FOUND,
		       "PEM: no \"-----BEGIN ...-----\" line");
}

static enum err
find_block(struct slice text, struct pem_block *b, struct why *why)
{
	const uint8_t *end;
	struct slice line;
	struct slice label;
	enum err ret;

	if (text.len > PEM_TEXT_MAX)
		return why_set(why, ERR_LIMIT, "PEM: more than %d bytes",
			       (int)PEM_TEXT_MAX);
	if ((ret = find_begin(&text, &b->label, why)) != ERR_OK)
		return ret;
	b->body = text;
	while (end = text.p, read_line(&text, &line)) {
		if (slice_find(line, ':') < line.len)
			return why_set(why, ERR_UNSUPPORTED,
				       "PEM block %.*s has headers: encrypted "
				       "keys are not read, decrypt it first",
				       SLICE_FMT(b->label));
		if (!slice_has_prefix(line, PEM_DASHES))
			continue;
		if (!slice_has_prefix(line, PEM_END) ||
		    !read_label(line, PEM_END, &label) ||
		    !slice_is_eq(label, b->label))
			return why_set(why, ERR_SYNTAX,
				       "PEM block %.*s ends in another line "
				       "than \"-----END %.*s-----\"",
				       SLICE_FMT(b->label),
				       SLICE_FMT(b->label));
		b->body.len = (size_t)(end - b->body.p);
		b->rest = text;
		return ERR_OK;
	}
	return why_set(why, ERR_SYNTAX, "PEM block %.*s has no END line",
		       SLICE_FMT(b->label));
}

/* out has room for body.len / 4 * 3 + 3 bytes. */
static enum err
decode_block(const struct pem_block *b, uint8_t *out, size_t *len_out,
	     struct why *why)
{
	struct unbase64 d = {.out = out};
	struct slice body = b->body;
	struct slice line;
	enum err ret = ERR_OK;
	unsigned line_nr = 0;

	while (ret == ERR_OK && read_line(&body, &line)) {
		line_nr++;
		ret = unbase64_text(&d, line);
	}
	if (ret == ERR_OK)
		ret = unbase64_end(&d);
	secret_wipe(d.v, sizeof(d.v));
	if (ret != ERR_OK)
		return why_set(why, ERR_SYNTAX,
			       "PEM block %.*s: line %u is not base64",
			       SLICE_FMT(b->label), line_nr);
	if (d.len == 0)
		return why_set(why, ERR_SYNTAX, "PEM block %.*s is empty",
			       SLICE_FMT(b->label));
	*len_out = d.len;
	return ERR_OK;
}

enum err
pem_read(struct slice *in, struct slice *label, struct buf *out,
	 struct why *why)
{
	struct pem_block b = {0};
	uint8_t *p = NULL;
	size_t len = 0;
	enum err ret;

	*label = SLICE_NONE;
	buf_reset(out);
	if ((ret = find_block(*in, &b, why)) != ERR_OK)
		return ret;
	ret = buf_reserve(out, b.body.len / 4 * 3 + 3, &p);
	if (ret != ERR_OK)
		return why_set(why, ret,
			       "PEM block %.*s is too large: %zu bytes of "
			       "base64",
			       SLICE_FMT(b.label), b.body.len);
	if ((ret = decode_block(&b, p, &len, why)) != ERR_OK)
		return ret;
	buf_commit(out, len);
	*label = b.label;
	*in = b.rest;
	return ERR_OK;
}

enum err
pem_read_secret(struct slice *in, struct slice *label, struct secret **out,
		struct why *why)
{
	struct secret *s = NULL;
	struct pem_block b = {0};
	size_t len = 0;
	enum err ret;

	*out = NULL;
	*label = SLICE_NONE;
	if ((ret = find_block(*in, &b, why)) != ERR_OK)
		return ret;
	if ((ret = secret_new(b.body.len / 4 * 3 + 3, &s)) != ERR_OK)
		return ret;
	ret = decode_block(&b, secret_get_writable(s), &len, why);
	if (ret != ERR_OK)
		goto out;
	secret_truncate(s, len);
	*label = b.label;
	*in = b.rest;
	*out = TAKE(s);
out:
	secret_free(s);
	return ret;
}

/* -- writing PEM */

size_t
pem_len(const char *label, size_t der_len)
{
	size_t chars = (der_len + 2) / 3 * 4;
	size_t lines = (chars + PEM_LINE - 1) / PEM_LINE;
	size_t frame = sizeof(PEM_BEGIN) - 1 + sizeof(PEM_END) - 1 +
		       2 * (sizeof(PEM_DASHES) - 1) + 2;

	return frame + 2 * strlen(label) + chars + lines;
}

static uint8_t *
put_text(uint8_t *p, const char *text)
{
	size_t len = strlen(text);

	memcpy(p, text, len);
	return p + len;
}

/* p has room for pem_len bytes. */
static void
pem_encode(const char *label, struct slice der, uint8_t *p)
{
	p = put_text(p, PEM_BEGIN);
	p = put_text(p, label);
	p = put_text(p, PEM_DASHES "\n");
	for (size_t i = 0; i < der.len; i += PEM_LINE / 4 * 3) {
		p += base64_encode(slice_sub(der, i, PEM_LINE / 4 * 3), false,
				   p);
		*p++ = '\n';
	}
	p = put_text(p, PEM_END);
	p = put_text(p, label);
	(void)put_text(p, PEM_DASHES "\n");
}

enum err
pem_write(struct buf *out, const char *label, struct slice der)
{
	uint8_t *p = NULL;
	enum err ret;

	if (der.len > PEM_TEXT_MAX)
		return ERR_LIMIT;
	ret = buf_reserve(out, pem_len(label, der.len), &p);
	if (ret != ERR_OK)
		return ret;
	pem_encode(label, der, p);
	buf_commit(out, pem_len(label, der.len));
	return ERR_OK;
}

enum err
pem_write_secret(const char *label, struct slice der, struct secret **out)
{
	enum err ret;

	*out = NULL;
	if (der.len > PEM_TEXT_MAX)
		return ERR_LIMIT;
	if ((ret = secret_new(pem_len(label, der.len), out)) != ERR_OK)
		return ret;
	pem_encode(label, der, secret_get_writable(*out));
	return ERR_OK;
}
