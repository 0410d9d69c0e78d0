/* fuzz_yaml_scan.c - YAML and JSON of strangers. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/yaml_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err
look(void *arg, const struct yaml_scan_text *t)
{
	size_t *sum = arg;

	must(t->path_len <= YAML_SCAN_DEPTH_MAX);
	for (size_t i = 0; i < t->path_len; i++)
		*sum += strlen(t->path[i]);
	for (size_t i = 0; i < t->text.len; i++)
		*sum += t->text.p[i];
	return ERR_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct why why = {0};
	size_t sum = 0;
	enum err e = yaml_scan(slice_of(data, size), &why, look, &sum);

	must((e == ERR_OK) == (why.text[0] == '\0'));
	return 0;
}
