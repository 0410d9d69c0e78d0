/* confine.c - see confine.h. */
#include "ipc/confine.h"

#include <string.h>

static enum err
confine_put(struct buf *out, const char *text)
{
	return buf_put(out, slice_of(text, strlen(text) + 1));
}

enum err
confine_write(struct buf *out, const struct sandbox_ask *ask)
{
	const uint8_t mode = (uint8_t)ask->mode;
	enum err ret;

	if ((ret = buf_put(out, slice_of(&mode, 1))) != ERR_OK)
		return ret;
	ret = confine_put(out, ask->data_dir == NULL ? "" : ask->data_dir);
	for (size_t i = 0; ret == ERR_OK && i < ask->read_cnt; i++)
		ret = confine_put(out, ask->read[i]);
	return ret;
}

/* The next text, with its zero byte in the payload behind it. */
static const char *
confine_take(struct slice *rest)
{
	const char *text = (const char *)rest->p;
	size_t len = strlen(text) + 1;

	*rest = slice_of(rest->p + len, rest->len - len);
	return text;
}

enum err
confine_read(struct slice payload, struct sandbox_ask *out)
{
	struct slice rest;
	const char *data_dir;

	*out = (struct sandbox_ask){0};
	if (payload.len < 2 || payload.p[0] > SANDBOX_OFF ||
	    payload.p[payload.len - 1] != 0)
		return ERR_PROTOCOL;
	out->mode = (enum sandbox_mode)payload.p[0];
	rest = slice_of(payload.p + 1, payload.len - 1);
	data_dir = confine_take(&rest);
	out->data_dir = *data_dir == 0 ? NULL : data_dir;
	while (rest.len > 0) {
		if (out->read_cnt == SANDBOX_READ_MAX)
			return ERR_PROTOCOL;
		out->read[out->read_cnt++] = confine_take(&rest);
	}
	return ERR_OK;
}
