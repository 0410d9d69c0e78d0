/* fuzz_conf.c - any bytes as a configuration file; what is accepted is printed,
 * and the print must be accepted too. */
#include <stdlib.h>

#include "../unit/conf_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sample s = {0};
	struct sample again = {0};
	struct why why = {{0}};
	struct buf out;

	if (conf_parse(sample_keys, slice_of(data, size), "f", &s, &why) !=
	    ERR_OK) {
		if (why.text[0] == '\0' || s.domain != NULL)
			abort();
		return 0;
	}
	buf_init(&out, 8 * size + 65536);
	if (conf_print(sample_keys, &s, &out) != ERR_OK ||
	    conf_parse(sample_keys, buf_get(&out), "again", &again, &why) !=
		    ERR_OK)
		abort();
	conf_free(sample_keys, &again);
	conf_free(sample_keys, &s);
	buf_fini(&out);
	return 0;
}
