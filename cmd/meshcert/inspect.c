/* inspect.c - meshcert inspect: certificates, requests and keys, wherever they
 * are: in files, folders, manifests, servers, SDS sockets. Of a private key
 * only its kind is shown. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/secret.h"
#include "crypto/pem.h"
#include "meshcert/inspect_int.h"
#include "meshcert/secret_int.h"
#include "meshcert/view.h"
#include "os/os.h"
#include "pki/csr.h"

enum {
	INSPECT_BLOCKS_MAX = 10000,
	INSPECT_FILES_MAX = 1000,
	INSPECT_SDS_MS = 3000
};

struct inspect_opts {
	struct cmd_common common;
	const char *output;
	const char *server_name;
};

static const struct opt inspect_opts[] = {
	{"output", 'o', OPT_TEXT, offsetof(struct inspect_opts, output),
	 "FORMAT", "text (the default), json or yaml"},
	{"server-name", 'n', OPT_TEXT,
	 offsetof(struct inspect_opts, server_name), "NAME",
	 "HOST:PORT: the name that the server is asked for (SNI); HOST when "
	 "absent"},
	CMD_OPTS_END,
};

/* ---- one object ---------------------------------------------------------- */

/* The heading, or the first members of the object. */
static void
inspect_open(struct inspect *in, const char *where, size_t index,
	     const char *what)
{
	in->cnt++;
	if (!in->as_json) {
		(void)buf_printf(&in->out, "%s%s #%zu: %s\n",
				 in->cnt > 1 ? "\n" : "", where, index + 1,
				 what);
		return;
	}
	jsonw_object_open(&in->w);
	jsonw_pair_str(&in->w, "where", slice_of_str(where));
	jsonw_pair_int(&in->w, "index", (int64_t)index + 1);
	jsonw_pair_str(&in->w, "what", slice_of_str(what));
}

static void
inspect_close(struct inspect *in)
{
	if (in->as_json)
		jsonw_object_close(&in->w);
}

/* see inspect_int.h */
void
inspect_put_problem(struct inspect *in, const char *where, size_t index,
		    const char *text)
{
	inspect_open(in, where, index, "unreadable");
	in->bad++;
	if (in->as_json)
		jsonw_pair_str(&in->w, "problem", slice_of_str(text));
	else
		(void)buf_printf(&in->out, "  %s\n", text);
	inspect_close(in);
}

/* see inspect_int.h */
void
inspect_put_cert(struct inspect *in, const char *where, size_t index,
		 struct slice der)
{
	struct why why = {0};
	struct cert c;
	enum err e = cert_parse(der, &why, &c);

	if (e != ERR_OK) {
		inspect_put_problem(in, where, index, why_text(&why, e));
		return;
	}
	in->bad += !view_is_valid(&c, in->at);
	inspect_open(in, where, index, "certificate");
	if (in->as_json) {
		jsonw_key(&in->w, "certificate");
		view_json(&in->w, der, in->at);
	} else {
		view_text(&in->out, der, in->at);
	}
	inspect_close(in);
}

static void
inspect_put_key_line(struct inspect *in, const char *text, bool signed_well)
{
	if (in->as_json) {
		jsonw_pair_str(&in->w, "key", slice_of_str(text));
		return;
	}
	(void)buf_printf(&in->out, "  key         %s%s\n", text,
			 signed_well ? "" : ", WHICH HAS NOT SIGNED IT");
}

static bool
inspect_is_signed(const struct csr *csr)
{
	struct pubkey *key;
	bool ok;

	if (pubkey_parse(csr->spki, NULL, &key) != ERR_OK)
		return false;
	ok = csr_verify(csr, key, NULL) == ERR_OK;
	pubkey_free(key);
	return ok;
}

static void
inspect_put_csr(struct inspect *in, const char *where, size_t index,
		struct slice der)
{
	char subject[CERT_TEXT_MAX], key[KEY_TEXT_MAX];
	struct why why = {0};
	bool signed_well;
	struct csr csr;
	enum err e = csr_parse(der, &why, &csr);

	if (e != ERR_OK) {
		inspect_put_problem(in, where, index, why_text(&why, e));
		return;
	}
	signed_well = inspect_is_signed(&csr);
	in->bad += !signed_well;
	cert_name_format(csr.subject, subject);
	view_key(csr.spki, key);
	inspect_open(in, where, index, "certificate request");
	if (in->as_json) {
		jsonw_pair_str(&in->w, "subject", slice_of_str(subject));
		jsonw_key(&in->w, "names");
		view_san_json(&in->w, &csr.san);
		jsonw_pair_bool(&in->w, "signed_by_its_key", signed_well);
	} else {
		if (subject[0] != '\0')
			(void)buf_printf(&in->out, "  subject     %s\n",
					 subject);
		view_text_names(&in->out, &csr.san);
	}
	inspect_put_key_line(in, key, signed_well);
	inspect_close(in);
}

static void
inspect_put_key(struct inspect *in, const char *where, size_t index,
		struct slice der)
{
	struct privkey *key;
	struct why why = {0};
	char text[32];
	enum err e = privkey_parse(der, &why, &key);

	if (e != ERR_OK) {
		inspect_put_problem(in, where, index, why_text(&why, e));
		return;
	}
	(void)snprintf(text, sizeof(text), "%s, %u bits",
		       key_kind_name(privkey_kind(key)), privkey_bits(key));
	inspect_open(in, where, index, "private key");
	inspect_put_key_line(in, text, true);
	inspect_close(in);
	privkey_free(key);
}

/* ---- texts --------------------------------------------------------------- */

static void
inspect_put_block(struct inspect *in, const char *where, size_t index,
		  struct slice label, struct slice der)
{
	char *name;

	if (slice_is_str(label, "CERTIFICATE") ||
	    slice_is_str(label, "X509 CERTIFICATE") ||
	    slice_is_str(label, "TRUSTED CERTIFICATE")) {
		inspect_put_cert(in, where, index, der);
	} else if (slice_has_suffix(label, "CERTIFICATE REQUEST")) {
		inspect_put_csr(in, where, index, der);
	} else if (slice_has_suffix(label, "PRIVATE KEY")) {
		inspect_put_key(in, where, index, der);
	} else {
		name = mem_printf("%.*s (not looked into)", SLICE_FMT(label));
		inspect_open(in, where, index, name);
		inspect_close(in);
		mem_free(name);
	}
}

/* Any block may be a key: all are read into secret memory. */
static size_t
inspect_put_pem(struct inspect *in, const char *where, struct slice text)
{
	size_t cnt = 0;

	while (cnt < INSPECT_BLOCKS_MAX) {
		struct secret *der = NULL;
		struct why why = {0};
		struct slice label;
		enum err e = pem_read_secret(&text, &label, &der, &why);

		if (e == ERR_NOT_FOUND)
			break;
		if (e != ERR_OK) {
			inspect_put_problem(in, where, cnt++,
					    why_text(&why, e));
			break;
		}
		inspect_put_block(in, where, cnt++, label, secret_get(der));
		secret_free(der);
	}
	return cnt;
}

static bool
inspect_put_der(struct inspect *in, const char *where, struct slice der)
{
	struct privkey *key;
	struct cert c;
	struct csr csr;

	if (cert_parse(der, NULL, &c) == ERR_OK) {
		inspect_put_cert(in, where, 0, der);
		return true;
	}
	if (csr_parse(der, NULL, &csr) == ERR_OK) {
		inspect_put_csr(in, where, 0, der);
		return true;
	}
	if (privkey_parse(der, NULL, &key) == ERR_OK) {
		privkey_free(key);
		inspect_put_key(in, where, 0, der);
		return true;
	}
	return false;
}

/* see inspect_int.h */
void
inspect_put_text(struct inspect *in, const char *where, struct slice text)
{
	if (inspect_put_pem(in, where, text) == 0)
		(void)inspect_put_der(in, where, text);
}

/* ---- files and folders --------------------------------------------------- */

static bool
inspect_is_manifest(const char *path)
{
	struct slice s = slice_of_str(path);

	return slice_has_suffix(s, ".yaml") || slice_has_suffix(s, ".yml") ||
	       slice_has_suffix(s, ".json");
}

/* must_find: something has to be in it. */
static enum err
inspect_file(struct inspect *in, const char *path, bool must_find,
	     struct why *why)
{
	struct secret *text = NULL;
	size_t before = in->cnt;
	enum err e;

	e = os_file_read_secret(path, INSPECT_FILE_MAX, &text, why);
	if (e != ERR_OK)
		return e;
	if (!inspect_is_manifest(path))
		inspect_put_text(in, path, secret_get(text));
	if (in->cnt == before && (must_find || inspect_is_manifest(path)))
		e = inspect_manifest(in, path, secret_get(text), why);
	secret_free(text);
	return e == ERR_NOT_FOUND && !must_find ? ERR_OK : e;
}

/* Regular files, in order of their names; hidden ones (the kubelet's ..data
 * among them) are seen through their links. */
static enum err
inspect_dir(struct inspect *in, const char *path, struct why *why)
{
	struct dirent **found;
	int cnt = scandir(path, &found, NULL, alphasort);
	size_t before = in->cnt;
	enum err ret = ERR_OK;

	if (cnt < 0)
		return why_set(why, err_from_errno(errno), "%s: %s", path,
			       strerror(errno));
	for (int i = 0; i < cnt; i++) {
		char *full = mem_printf("%s/%s", path, found[i]->d_name);
		struct stat st;

		if (found[i]->d_name[0] != '.' && i < INSPECT_FILES_MAX &&
		    stat(full, &st) == 0 && S_ISREG(st.st_mode)) {
			struct why one = {0};
			enum err e = inspect_file(in, full, false, &one);

			if (e != ERR_OK)
				inspect_put_problem(in, full, 0,
						    why_text(&one, e));
		}
		mem_free(full);
		mem_free(found[i]);
	}
	mem_free(found);
	if (in->cnt == before)
		ret = why_set(why, ERR_NOT_FOUND,
			      "%s: no certificate, request or key in any file "
			      "of it",
			      path);
	return ret;
}

/* ---- others -------------------------------------------------------------- */

static enum err
inspect_socket(struct inspect *in, const char *addr, struct why *why)
{
	static const char *const names[] = {"default", "ROOTCA", NULL};
	struct secret_list l = {0};
	enum err e = secret_ask_sds(addr, names, INSPECT_SDS_MS, why, &l);

	for (size_t i = 0; e == ERR_OK && i < l.cnt; i++) {
		char *where = mem_printf("%s: %s", addr, l.items[i].name);

		for (size_t k = 0; k < l.items[i].certs.cnt; k++)
			inspect_put_cert(in, where, k,
					 cert_list_get(&l.items[i].certs, k));
		if (l.items[i].certs.cnt == 0)
			inspect_put_problem(in, where, 0,
					    l.items[i].detail == NULL
						    ? "no certificate"
						    : l.items[i].detail);
		mem_free(where);
	}
	secret_list_free(&l);
	return e;
}

static char *
inspect_host(const char *addr, const char *server_name)
{
	struct slice s = slice_of_str(addr);

	if (server_name != NULL)
		return mem_dup_str(server_name);
	if (slice_has_prefix(s, "["))
		return mem_dup_slice_str(
			slice_sub(s, 1, slice_find(s, ']') - 1));
	return mem_dup_slice_str(slice_sub(s, 0, slice_find(s, ':')));
}

static enum err
inspect_target(struct inspect *in, const char *target, const char *server_name,
	       struct why *why)
{
	struct stat st;
	char *name;
	enum err e;

	if (slice_has_prefix(slice_of_str(target), "unix:"))
		return inspect_socket(in, target, why);
	if (stat(target, &st) == 0 && S_ISDIR(st.st_mode))
		return inspect_dir(in, target, why);
	if (stat(target, &st) == 0 && S_ISSOCK(st.st_mode)) {
		name = mem_printf("unix:%s", target);
		e = inspect_socket(in, name, why);
	} else if (stat(target, &st) == 0 || strchr(target, ':') == NULL ||
		   strchr(target, '/') != NULL) {
		return inspect_file(in, target, true, why);
	} else {
		name = inspect_host(target, server_name);
		e = inspect_server(in, target, name, why);
	}
	mem_free(name);
	return e;
}

static int
inspect_run(const struct cmd *cmd, void *target, int argc, char **argv)
{
	const struct inspect_opts *o = target;
	struct inspect in = {.at = wall_now()};
	bool is_text = o->output != NULL && strcmp(o->output, "text") == 0;
	struct why why = {0};
	enum cmd_format format;
	int code, failed = CMD_GOOD;

	if (argc == 0)
		return cmd_usage(cmd, "a FILE, DIR, MANIFEST, HOST:PORT or "
				      "unix:SOCKET is needed");
	code = cmd_read_format(cmd, is_text ? NULL : o->output, &format);
	if (code != CMD_GOOD)
		return code;
	in.as_json = format != CMD_TABLE;
	buf_init(&in.out, CMD_OUT_MAX);
	jsonw_init(&in.w, &in.out);
	if (in.as_json)
		jsonw_array_open(&in.w);
	for (int i = 0; i < argc; i++) {
		enum err e = inspect_target(&in, argv[i], o->server_name, &why);
		bool is_net = e == ERR_TIMEOUT || e == ERR_UNAVAILABLE ||
			      strchr(argv[i], '/') == NULL;

		if (e != ERR_OK)
			failed = cmd_fail(
				cmd,
				is_net && err_class(e) == ERR_CLASS_ENV &&
						strchr(argv[i], ':') != NULL
					? CMD_UNREACHED
					: CMD_BAD,
				"%s", why_text(&why, e));
	}
	if (in.as_json)
		jsonw_array_close(&in.w);
	code = in.as_json ? cmd_print_json(cmd, &in.out, format)
			  : cmd_print(cmd, &in.out);
	buf_fini(&in.out);
	if (failed != CMD_GOOD)
		return failed;
	return code == CMD_GOOD && in.bad > 0 ? CMD_BAD : code;
}

const struct cmd cmd_inspect = {
	.name = "inspect",
	.args = "WHAT ...",
	.summary = "show certificates, requests and keys, wherever they are",
	.about = "inspect shows the certificates, certificate requests and "
		 "private keys (of\n"
		 "these only the kind) in WHAT: a file (PEM or DER), a folder, "
		 "a Kubernetes\n"
		 "Secret manifest, HOST:PORT of a TLS server (the chain that "
		 "it presents;\n"
		 "whether it is to be trusted is for meshcert verify), or an "
		 "SDS socket\n"
		 "(unix:PATH). Exit code 1 when anything is unreadable, "
		 "expired or not yet\n"
		 "valid.",
	.opts = inspect_opts,
	.size = sizeof(struct inspect_opts),
	.run = inspect_run,
};
