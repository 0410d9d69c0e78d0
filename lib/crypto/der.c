/* der.c - reading DER: a thin layer over the library's CBS, which checks every
 * bound and takes definite, minimal lengths only. Writing is der_write.c. */
#include "crypto/der.h"

#include <openssl/bytestring.h>
#include <openssl/mem.h>
#include <openssl/posix_time.h>
#include <stdio.h>
#include <time.h>

enum {
	TAG_HIGH_FORM = 0x1f, /* tag numbers above 30: none in what we read */
	TAG_CLASS_MASK = 0xe0
};

static CBS_ASN1_TAG
tag_to_cbs(unsigned tag)
{
	return ((CBS_ASN1_TAG)(tag & TAG_CLASS_MASK) << CBS_ASN1_TAG_SHIFT) |
	       (tag & TAG_HIGH_FORM);
}

static CBS
cbs_of(struct slice s)
{
	CBS cbs;

	CBS_init(&cbs, s.p, s.len);
	return cbs;
}

static struct slice
slice_of_cbs(const CBS *cbs)
{
	return slice_of(CBS_data(cbs), CBS_len(cbs));
}

/* header_out: bytes of tag and length before the contents. */
static enum err
read_any(struct slice *in, unsigned *tag_out, struct slice *element,
	 size_t *header_out)
{
	CBS cbs = cbs_of(*in);
	CBS got;

	if (in->len == 0 || (in->p[0] & TAG_HIGH_FORM) == TAG_HIGH_FORM)
		return ERR_SYNTAX;
	if (!CBS_get_any_asn1_element(&cbs, &got, NULL, header_out))
		return ERR_SYNTAX;
	if (tag_out != NULL)
		*tag_out = in->p[0];
	*element = slice_of_cbs(&got);
	*in = slice_of_cbs(&cbs);
	return ERR_OK;
}

enum err
der_read(struct slice *in, unsigned tag, struct slice *body)
{
	CBS cbs = cbs_of(*in);
	CBS got;

	*body = SLICE_NONE;
	if (!CBS_get_asn1(&cbs, &got, tag_to_cbs(tag)))
		return ERR_SYNTAX;
	*body = slice_of_cbs(&got);
	*in = slice_of_cbs(&cbs);
	return ERR_OK;
}

enum err
der_read_element(struct slice *in, unsigned *tag_out, struct slice *element)
{
	size_t header = 0;

	*element = SLICE_NONE;
	return read_any(in, tag_out, element, &header);
}

enum err
der_read_any(struct slice *in, unsigned *tag_out, struct slice *body)
{
	struct slice element = SLICE_NONE;
	size_t header = 0;
	enum err ret;

	*body = SLICE_NONE;
	ret = read_any(in, tag_out, &element, &header);
	if (ret != ERR_OK)
		return ret;
	*body = slice_sub(element, header, element.len);
	return ERR_OK;
}

bool
der_has_tag(struct slice in, unsigned tag)
{
	return in.len > 0 && in.p[0] == tag;
}

enum err
der_read_bool(struct slice *in, bool *out)
{
	CBS cbs = cbs_of(*in);
	int v = 0;

	*out = false;
	if (!CBS_get_asn1_bool(&cbs, &v))
		return ERR_SYNTAX;
	*out = v != 0;
	*in = slice_of_cbs(&cbs);
	return ERR_OK;
}

enum err
der_read_u64(struct slice *in, uint64_t *out)
{
	CBS cbs = cbs_of(*in);

	*out = 0;
	if (!CBS_get_asn1_uint64(&cbs, out)) {
		*out = 0;
		return ERR_SYNTAX;
	}
	*in = slice_of_cbs(&cbs);
	return ERR_OK;
}

enum err
der_read_bits(struct slice *in, struct slice *out)
{
	struct slice rest = *in;
	struct slice body;
	uint8_t unused = 0;
	enum err ret;

	*out = SLICE_NONE;
	if ((ret = der_read(&rest, DER_BIT_STRING, &body)) != ERR_OK)
		return ret;
	if (slice_read_u8(&body, &unused) != ERR_OK || unused != 0)
		return ERR_SYNTAX;
	*out = body;
	*in = rest;
	return ERR_OK;
}

enum err
der_read_time(struct slice *in, struct wall *out)
{
	bool is_utc = der_has_tag(*in, DER_UTC_TIME);
	struct slice rest = *in;
	struct slice body;
	int64_t sec = 0;
	struct tm tm;
	enum err ret;
	CBS cbs;
	int ok;

	*out = (struct wall){0};
	ret = der_read(&rest, is_utc ? DER_UTC_TIME : DER_GENERALIZED_TIME,
		       &body);
	if (ret != ERR_OK)
		return ret;
	cbs = cbs_of(body);
	/* Seconds present, Z, no fraction, no offset: the library refuses the
	 * others with a 0 here. */
	ok = is_utc ? CBS_parse_utc_time(&cbs, &tm, 0)
		    : CBS_parse_generalized_time(&cbs, &tm, 0);
	if (!ok || !OPENSSL_tm_to_posix(&tm, &sec))
		return ERR_SYNTAX;
	*out = wall_of_sec(sec);
	*in = rest;
	return ERR_OK;
}

void
der_oid_format(struct slice oid, char out[DER_OID_TEXT_MAX])
{
	CBS cbs = cbs_of(oid);
	char *text = CBS_asn1_oid_to_text(&cbs);

	(void)snprintf(out, DER_OID_TEXT_MAX, "%s",
		       text == NULL ? "(malformed OID)" : text);
	OPENSSL_free(text);
}
