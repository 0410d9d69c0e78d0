/* inspect_manifest.c - Secrets in Kubernetes manifests, YAML or JSON, several
 * to a file, also inside a List. */
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/yaml_scan.h"
#include "crypto/pem.h"
#include "meshcert/inspect_int.h"

struct manifest {
	struct inspect *in;
	const char *path;
	char *name; /* metadata.name of the object in hand */
	size_t found;
};

/* Values of one Secret may stand before its name: the file and key say enough
 * then. */
static void
manifest_put(struct manifest *m, const char *section, const char *key,
	     struct slice text)
{
	char *where = mem_printf("%s: %s%s%s[%s]", m->path,
				 m->name == NULL ? "" : m->name,
				 m->name == NULL ? "" : " ", section, key);

	why_clean(where); /* names and keys are anybody's bytes */
	inspect_put_text(m->in, where, text);
	m->found++;
	mem_free(where);
}

static void
manifest_put_base64(struct manifest *m, const char *key, struct slice text)
{
	struct buf clean, raw;

	buf_init(&clean, INSPECT_FILE_MAX);
	buf_init(&raw, INSPECT_FILE_MAX);
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] != '\n' && text.p[i] != ' ')
			(void)buf_put_u8(&clean, text.p[i]);
	}
	if (base64_read(buf_get(&clean), &raw) == ERR_OK) {
		manifest_put(m, "data", key, buf_get(&raw));
	} else {
		m->found++;
		inspect_put_problem(m->in, m->path, m->found,
				    "data that is "
				    "no base64");
	}
	secret_wipe(clean.p, clean.cap);
	secret_wipe(raw.p, raw.cap);
	buf_fini(&clean);
	buf_fini(&raw);
}

static enum err
manifest_on_text(void *arg, const struct yaml_scan_text *t)
{
	struct manifest *m = arg;
	const char *section, *key;

	if (t->path_len < 2)
		return ERR_OK;
	section = t->path[t->path_len - 2];
	key = t->path[t->path_len - 1];
	if (strcmp(section, "metadata") == 0 && strcmp(key, "name") == 0) {
		mem_free(m->name);
		m->name = mem_dup_slice_str(
			slice_sub(t->text, 0, slice_find(t->text, '\0')));
	} else if (strcmp(section, "stringData") == 0) {
		manifest_put(m, section, key, t->text);
	} else if (strcmp(section, "data") == 0) {
		manifest_put_base64(m, key, t->text);
	}
	return ERR_OK;
}

/* see inspect_int.h */
enum err
inspect_manifest(struct inspect *in, const char *path, struct slice text,
		 struct why *why)
{
	struct manifest m = {.in = in, .path = path};
	enum err e = yaml_scan(text, why, manifest_on_text, &m);

	mem_free(m.name);
	if (e == ERR_OK && m.found == 0)
		e = why_set(why, ERR_NOT_FOUND,
			    "neither PEM nor DER, and no manifest with data "
			    "or stringData");
	return e == ERR_OK ? e : why_prefix(why, e, "%s", path);
}
