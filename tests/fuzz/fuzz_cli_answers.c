/* fuzz_cli_answers.c - what meshcert secret and meshcert status make of the
 * answers of an Envoy's admin port and an agent's status port. The first byte
 * says which. What is shown is text without control characters, and JSON that
 * can be read. */
#include "base/mem.h"
#include "meshcert/secret_int.h"
#include "meshcert/status_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Each is shown twice. */
extern const unsigned fuzz_exec_max;
const unsigned fuzz_exec_max = 60000;

enum {
	OUT_MAX = 8 << 20,
	NOW_SEC = 1800000000
};

/* Stands for that of cmd/meshcert/status.c. */
void
status_add(struct status *s, const char *level, const char *who,
	   const char *topic, const char *text, const char *since,
	   const char *action)
{
	must(s == NULL && level[0] != '\0' && who[0] != '\0' &&
	     topic[0] != '\0' && text != NULL && since != NULL &&
	     action != NULL);
}

static bool
is_control(struct slice s, size_t i)
{
	const bool is_c1 = s.p[i] == 0xc2 && i + 1 < s.len &&
			   s.p[i + 1] >= 0x80 && s.p[i + 1] < 0xa0;

	return is_c1 || s.p[i] == 0x7f || (s.p[i] < 0x20 && s.p[i] != '\n');
}

static void
show(const struct secret_list *l)
{
	struct json *json = NULL;
	struct buf out;
	struct slice text;

	buf_init(&out, OUT_MAX);
	secret_write_table(l, wall_of_sec(NOW_SEC), &out);
	text = buf_get(&out);
	for (size_t i = 0; i < text.len; i++)
		must(!is_control(text, i));
	buf_reset(&out);
	secret_write_json(l, "x", wall_of_sec(NOW_SEC), &out);
	if (!buf_has_failed(&out))
		must(json_parse(buf_get(&out), NULL, &json) == ERR_OK);
	json_free(json);
	buf_fini(&out);
}

static void
read_secrets(struct slice in, bool is_agent)
{
	struct secret_list l = {0};
	struct why why = {""};
	enum err e;

	if (is_agent)
		e = secret_read_page(in, &why, &l);
	else
		e = secret_read_dump(in, "x", &why, &l);
	must((e == ERR_OK) == (why.text[0] == '\0'));
	show(&l);
	secret_list_free(&l);
}

static void
read_stats(struct slice in)
{
	struct secret_list l = {0};

	for (int i = 0; i < 2; i++) {
		struct secret_item *it =
			secret_list_add(&l, i == 0 ? SLICE_LIT("default")
						   : SLICE_LIT("ROOTCA"));

		it->type = it->state = "";
		it->source = mem_dup_str("");
		it->ack = mem_dup_str("");
	}
	secret_read_stats(in, &l);
	show(&l);
	secret_list_free(&l);
}

static void
read_status(struct slice in)
{
	struct json *root;

	if (json_parse(in, NULL, &root) != ERR_OK)
		return;
	status_read_agent(NULL, root);
	json_free(root);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	uint8_t first;

	if (slice_read_u8(&in, &first) != ERR_OK)
		return 0;
	switch (first & 3) {
	case 0:
		read_secrets(in, false);
		break;
	case 1:
		read_secrets(in, true);
		break;
	case 2:
		read_stats(in);
		break;
	default:
		read_status(in);
		break;
	}
	return 0;
}
