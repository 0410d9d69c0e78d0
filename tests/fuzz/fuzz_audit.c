/* fuzz_audit.c - an audit log that somebody changed. What is taken as a whole
 * log is one: its lines are numbered from 1 and end in a newline. A record that
 * remembers another hash for its last line sees that. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/audit_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
count_lines(struct slice in)
{
	size_t cnt = 0;

	for (size_t i = 0; i < in.len; i++)
		cnt += in.p[i] == '\n';
	return cnt;
}

static void
compare(const char *path, const struct audit_head *head, bool is_last)
{
	struct audit_head expected = *head;
	struct audit_walk same = {.has_start = true, .expected = &expected};
	struct audit_walk other = {.has_start = true, .expected = &expected};
	struct why why;

	must(audit_walk_file(&same, path, is_last, &why) == ERR_OK);
	must(same.saw_expected == (head->count > 0));
	expected.hash[7] ^= 1;
	must(audit_walk_file(&other, path, is_last, &why) ==
	     (head->count > 0 ? ERR_MISMATCH : ERR_OK));
}

static void
walk(const char *path, struct slice all, bool is_last)
{
	struct audit_walk w = {.has_start = true};
	struct why why = {""};
	enum err e = audit_walk_file(&w, path, is_last, &why);

	if (e != ERR_OK) {
		must(why.text[0] != '\0');
		return;
	}
	must(w.head.count == count_lines(all));
	must(is_last || w.half_bytes == 0);
	must(w.half_bytes <= all.len);
	must(w.half_bytes == 0 || w.half_at + w.half_bytes == all.len);
	compare(path, &w.head, is_last);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct audit_mark mark;
	char path[64];

	must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	walk(path, slice_of(data, size), false);
	walk(path, slice_of(data, size), true);
	if (audit_mark_parse(slice_of(data, size), &mark) == ERR_OK)
		must(mark.n > 0);
	(void)close(fd);
	return 0;
}
