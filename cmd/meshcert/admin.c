/* admin.c - see admin.h. */
#include "meshcert/admin.h"

#include "base/json.h"
#include "base/mem.h"
#include "grpc/pbmem.h"
#include "meshcert/cmd.h"
#include "os/os.h"

/* What the running authority wrote about itself; NULL: nothing. */
static char *
admin_read_addr(const char *data_dir)
{
	char *path = mem_printf("%s/addresses.json", data_dir);
	struct json *root = NULL;
	struct slice addr;
	struct buf text;
	char *out = NULL;

	buf_init(&text, 65536);
	if (os_file_read(path, &text, NULL) != ERR_OK ||
	    json_parse(buf_get(&text), NULL, &root) != ERR_OK)
		goto out;
	addr = json_str(json_get(root, "admin"));
	if (addr.len > 0 && slice_is_printable(addr))
		out = mem_dup_slice_str(addr);
out:
	json_free(root);
	buf_fini(&text);
	mem_free(path);
	return out;
}

/* see admin.h */
char *
admin_get_addr(const char *socket, const char *data_dir)
{
	char *addr, *out;

	if (data_dir == NULL)
		data_dir = ADMIN_DATA_DIR;
	addr = socket != NULL ? mem_dup_str(socket) : admin_read_addr(data_dir);
	if (addr == NULL)
		addr = mem_printf("%s/admin.sock", data_dir);
	if (slice_has_prefix(slice_of_str(addr), "unix:"))
		return addr;
	out = mem_printf("unix:%s", addr);
	mem_free(addr);
	return out;
}

/* see admin.h */
enum err
admin_call(const char *addr, const char *path, const ProtobufCMessage *rq,
	   struct why *why, struct call_answer *out)
{
	struct call c = {
		.addr = addr, .path = path, .timeout_ms = CMD_TIMEOUT_MS};
	struct buf text;
	enum err e;

	buf_init(&text, 65536);
	e = pbmem_pack(rq, &text);
	if (e == ERR_OK) {
		c.request = buf_get(&text);
		e = call_run(&c, why, out);
	} else {
		(void)why_set(why, e, "the question is too long");
	}
	buf_fini(&text);
	if (e == ERR_FORBIDDEN || e == ERR_CLOSED)
		return why_prefix(why, e,
				  "only root and the authority's own user may "
				  "ask its admin socket");
	if (e != ERR_OK)
		return why_prefix(why, e,
				  "is meshcert-ca running, and is --data-dir "
				  "its data_dir?");
	return e;
}
