/* sandbox_landlock.c - which files a role may reach, by Landlock: raw system
 * calls, because the C library has none. The kernel's header on the build
 * machine may be older than the kernel that we run on: what we use is written
 * down here, with the version of the interface that brought it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/sandbox_int.h"

#define LL_WRITE_FILE (UINT64_C(1) << 1)
#define LL_READ_FILE (UINT64_C(1) << 2)
#define LL_READ_DIR (UINT64_C(1) << 3)
#define LL_REMOVE_DIR (UINT64_C(1) << 4)
#define LL_REMOVE_FILE (UINT64_C(1) << 5)
#define LL_MAKE_DIR (UINT64_C(1) << 7)
#define LL_MAKE_REG (UINT64_C(1) << 8)
#define LL_MAKE_SOCK (UINT64_C(1) << 9)
#define LL_MAKE_SYM (UINT64_C(1) << 12)
#define LL_FS_V1 ((UINT64_C(1) << 13) - 1)
#define LL_REFER (UINT64_C(1) << 13)     /* version 2 */
#define LL_TRUNCATE (UINT64_C(1) << 14)  /* version 3 */
#define LL_IOCTL_DEV (UINT64_C(1) << 15) /* version 5 */
#define LL_BIND_TCP (UINT64_C(1) << 0)   /* version 4 */
#define LL_CONNECT_TCP (UINT64_C(1) << 1)
#define LL_SCOPE_ABSTRACT (UINT64_C(1) << 0) /* version 6 */
#define LL_SCOPE_SIGNAL (UINT64_C(1) << 1)

#define LL_OF_FILE (LL_READ_FILE | LL_WRITE_FILE | LL_TRUNCATE)
#define LL_READS (LL_READ_FILE | LL_READ_DIR)
#define LL_WRITES                                               \
	(LL_READS | LL_WRITE_FILE | LL_TRUNCATE | LL_MAKE_REG | \
	 LL_REMOVE_FILE | LL_MAKE_DIR | LL_REMOVE_DIR)
#define LL_OUTPUT (LL_WRITES | LL_MAKE_SYM | LL_MAKE_SOCK | LL_REFER)

enum {
	LL_GET_VERSION = 1,
	LL_RULE_PATH = 1
};

struct ll_ruleset {
	uint64_t fs;
	uint64_t net;    /* version 4 */
	uint64_t scoped; /* version 6 */
};

/* The kernel's layout has no gap behind parent_fd. */
struct __attribute__((packed)) ll_path {
	uint64_t allowed;
	int32_t parent_fd;
};

int
sandbox_landlock_version(void)
{
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_GET_VERSION);

	return v < 0 ? 0 : (int)v;
}

/* Everything that this kernel can forbid is forbidden; rules allow. */
static size_t
landlock_plan(const struct sandbox_role *role, int version,
	      struct ll_ruleset *out)
{
	*out = (struct ll_ruleset){.fs = LL_FS_V1};
	if (version >= 2)
		out->fs |= LL_REFER;
	if (version >= 3)
		out->fs |= LL_TRUNCATE;
	if (version >= 5)
		out->fs |= LL_IOCTL_DEV;
	out->net = role->connects ? LL_BIND_TCP : LL_BIND_TCP | LL_CONNECT_TCP;
	out->scoped = LL_SCOPE_ABSTRACT | LL_SCOPE_SIGNAL;
	if (version >= 6)
		return sizeof(*out);
	out->scoped = 0;
	if (version >= 4)
		return offsetof(struct ll_ruleset, scoped);
	out->net = 0;
	return offsetof(struct ll_ruleset, net);
}

/* What does not exist needs no rule. */
static enum err
landlock_allow(int ruleset, const char *path, uint64_t allowed, struct why *why)
{
	struct ll_path rule = {.allowed = allowed};
	struct stat st;
	enum err ret = ERR_OK;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return ERR_OK;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed &= LL_OF_FILE;
	if (syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PATH, &rule, 0) !=
	    0)
		ret = why_set(why, ERR_BUG, "sandbox: Landlock: %s: %s", path,
			      strerror(errno));
	(void)close(rule.parent_fd);
	return ret;
}

static enum err
landlock_allow_own(int ruleset, const struct sandbox_role *role,
		   const struct sandbox_ask *ask, uint64_t known,
		   struct why *why)
{
	enum err ret = ERR_OK;

	if (ask->data_dir == NULL)
		return ERR_OK;
	for (size_t i = 0;
	     ret == ERR_OK && i < SANDBOX_PATHS_MAX && role->own[i] != NULL;
	     i++) {
		char *path = mem_printf("%s/%s", ask->data_dir, role->own[i]);

		ret = landlock_allow(ruleset, path, LL_WRITES & known, why);
		mem_free(path);
	}
	return ret;
}

static enum err
landlock_allow_system(int ruleset, const struct sandbox_role *role,
		      struct why *why)
{
	enum err ret = ERR_OK;

	for (size_t i = 0; i < SANDBOX_LISTS_MAX; i++) {
		for (const char *const *p = role->system[i];
		     ret == ERR_OK && p != NULL && *p != NULL; p++)
			ret = landlock_allow(ruleset, *p, LL_READS, why);
	}
	/* libc opens it for writing, too, when it closes a standard stream. */
	if (ret == ERR_OK && role->system[0] != NULL)
		ret = landlock_allow(ruleset, "/dev/null",
				     LL_READ_FILE | LL_WRITE_FILE, why);
	return ret;
}

static enum err
landlock_allow_all(int ruleset, const struct sandbox_role *role,
		   const struct sandbox_ask *ask, uint64_t known,
		   struct why *why)
{
	enum err ret = landlock_allow_own(ruleset, role, ask, known, why);

	if (ret == ERR_OK)
		ret = landlock_allow_system(ruleset, role, why);
	for (size_t i = 0;
	     ret == ERR_OK && role->reads_given && i < ask->read_cnt; i++)
		ret = landlock_allow(ruleset, ask->read[i], LL_READS, why);
	for (size_t i = 0;
	     ret == ERR_OK && role->writes_given && i < ask->write_cnt; i++)
		ret = landlock_allow(ruleset, ask->write[i], LL_OUTPUT & known,
				     why);
	return ret;
}

enum err
sandbox_landlock_enter(const struct sandbox_role *role,
		       const struct sandbox_ask *ask, struct why *why)
{
	struct ll_ruleset plan;
	size_t len = landlock_plan(role, sandbox_landlock_version(), &plan);
	int ruleset;
	enum err ret;

	ruleset = (int)syscall(SYS_landlock_create_ruleset, &plan, len, 0);
	if (ruleset < 0)
		return why_set(why, ERR_BUG,
			       "sandbox: Landlock refuses our rules: %s",
			       strerror(errno));
	ret = landlock_allow_all(ruleset, role, ask, plan.fs, why);
	if (ret == ERR_OK &&
	    syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		ret = why_set(why, ERR_BUG,
			      "sandbox: Landlock cannot be entered: %s",
			      strerror(errno));
	(void)close(ruleset);
	return ret;
}
