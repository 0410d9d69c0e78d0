/* cert_list.c - lists of certificates in PEM, see cert.h. */
#include "base/mem.h"
#include "crypto/pem.h"
#include "pki/cert.h"

enum err
cert_list_add(struct cert_list *l, struct slice der)
{
	enum err ret;

	l->ders = (struct buf *)mem_grow_array(l->ders, l->cnt, l->cnt + 1,
					       sizeof(*l->ders));
	buf_init(&l->ders[l->cnt], CERT_MAX);
	if ((ret = buf_put(&l->ders[l->cnt], der)) != ERR_OK)
		return ret;
	l->cnt++;
	return ERR_OK;
}

void
cert_list_free(struct cert_list *l)
{
	for (size_t i = 0; i < l->cnt; i++)
		buf_fini(&l->ders[i]);
	mem_free(l->ders);
	*l = (struct cert_list){0};
}

struct slice
cert_list_get(const struct cert_list *l, size_t i)
{
	return i < l->cnt ? buf_get(&l->ders[i]) : SLICE_NONE;
}

enum err
cert_list_write_pem(const struct cert_list *l, struct buf *out)
{
	enum err ret;

	for (size_t i = 0; i < l->cnt; i++) {
		ret = pem_write(out, "CERTIFICATE", buf_get(&l->ders[i]));
		if (ret != ERR_OK)
			return ret;
	}
	return ERR_OK;
}

static enum err
add_block(struct cert_list *l, struct slice der, size_t max, struct why *why)
{
	struct cert c;
	enum err ret;

	if (l->cnt == max)
		return why_set(why, ERR_LIMIT,
			       "more than %zu certificates in PEM", max);
	if ((ret = cert_parse(der, why, &c)) != ERR_OK)
		return why_prefix(why, ret, "PEM block CERTIFICATE %zu",
				  l->cnt + 1);
	return cert_list_add(l, der);
}

enum err
cert_list_read_pem(struct slice pem, size_t max, struct why *why,
		   struct cert_list *out)
{
	struct cert_list l = {0};
	struct slice label;
	struct buf der;
	enum err ret;

	*out = (struct cert_list){0};
	buf_init(&der, CERT_MAX);
	while ((ret = pem_read(&pem, &label, &der, why)) == ERR_OK) {
		if (!slice_is_str(label, "CERTIFICATE"))
			continue;
		if ((ret = add_block(&l, buf_get(&der), max, why)) != ERR_OK)
			break;
	}
	buf_fini(&der);
	if (ret == ERR_NOT_FOUND && l.cnt > 0) {
		*out = l;
		return ERR_OK;
	}
	if (ret == ERR_NOT_FOUND)
		ret = why_set(why, ret, "no CERTIFICATE block in the PEM text");
	cert_list_free(&l);
	return ret;
}
