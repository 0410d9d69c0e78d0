/* sandbox.c - see sandbox.h. The order: what needs files first (Landlock opens
 * the paths that it allows), the filter of system calls last. */
#include "os/sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "os/sandbox_int.h"

/* Sanitizers and coverage reach for files and calls of their own, so such
 * builds are made without (see the Makefile). Machines of 32 bits have other
 * names for half of the calls, which nobody has listed. */
static bool
sandbox_is_built(void)
{
#if defined(OS_NO_SANDBOX) || __SIZEOF_POINTER__ < 8
	return false;
#else
	return true;
#endif
}

enum err
sandbox_probe(struct why *missing)
{
	int landlock;

	if (!sandbox_is_built())
		return why_set(missing, ERR_UNAVAILABLE,
			       "this build has no sandbox (sanitizers, "
			       "coverage, 32 bits)");
	landlock = sandbox_landlock_version();
	if (!sandbox_seccomp_is_there())
		return why_set(missing, ERR_UNAVAILABLE,
			       "the kernel has no seccomp filters%s",
			       landlock == 0 ? " and no Landlock" : "");
	if (landlock == 0)
		return why_set(missing, ERR_UNAVAILABLE,
			       "the kernel has no Landlock (5.13 or newer, "
			       "with landlock in its list of security "
			       "modules)");
	/* TCP and signals came later; seccomp covers both. */
	if (landlock < 3)
		return why_set(missing, ERR_UNAVAILABLE,
			       "the kernel's Landlock cannot keep files from "
			       "being cut (6.2 or newer)");
	return ERR_OK;
}

/* Only ever lower. */
static enum err
sandbox_limit(__rlimit_resource_t what, rlim_t max, struct why *why)
{
	struct rlimit l;

	if (getrlimit(what, &l) != 0)
		return why_set(why, err_from_errno(errno),
			       "sandbox: limits: %s", strerror(errno));
	if (l.rlim_max > max)
		l.rlim_max = max;
	if (l.rlim_cur > max)
		l.rlim_cur = max;
	if (setrlimit(what, &l) != 0)
		return why_set(why, err_from_errno(errno),
			       "sandbox: limits: %s", strerror(errno));
	return ERR_OK;
}

static enum err
sandbox_set_limits(const struct sandbox_role *role, struct why *why)
{
	enum err ret;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return why_set(why, err_from_errno(errno), "sandbox: prctl: %s",
			       strerror(errno));
	ret = sandbox_limit(RLIMIT_CORE, 0, why);
	if (ret == ERR_OK && !role->has_threads && !role->has_children)
		ret = sandbox_limit(RLIMIT_NPROC, 0, why);
	if (ret == ERR_OK && role->fds_max > 0)
		ret = sandbox_limit(RLIMIT_NOFILE, role->fds_max, why);
	return ret;
}

static const struct sandbox_role *
sandbox_find(const char *name)
{
	for (const struct sandbox_role *r = sandbox_roles; r->name != NULL;
	     r++) {
		if (strcmp(r->name, name) == 0)
			return r;
	}
	return NULL;
}

enum err
sandbox_enter(const char *name, const struct sandbox_ask *ask,
	      struct why *missing, struct why *why)
{
	const struct sandbox_role *role = sandbox_find(name);
	enum err ret;

	missing->text[0] = '\0';
	if (ask->mode == SANDBOX_OFF)
		return ERR_OK;
	if (role == NULL)
		return why_set(why, ERR_BUG,
			       "sandbox: no promises are written for role %s",
			       name);
	ret = sandbox_probe(missing);
	if (ret != ERR_OK && ask->mode == SANDBOX_REQUIRED)
		return why_set(why, ret, "sandbox is required, but %s",
			       missing->text);
	if ((ret = sandbox_set_limits(role, why)) != ERR_OK)
		return ret;
	if (!sandbox_is_built())
		return ERR_OK;
	if (!role->is_open && sandbox_landlock_version() > 0)
		ret = sandbox_landlock_enter(role, ask, why);
	if (ret == ERR_OK && sandbox_seccomp_is_there())
		ret = sandbox_seccomp_enter(role, why);
	return ret;
}

enum err
sandbox_settle(enum sandbox_mode mode, struct why *why)
{
	if (mode == SANDBOX_OFF || !sandbox_is_built() ||
	    !sandbox_seccomp_is_there())
		return ERR_OK;
	return sandbox_seccomp_settle(why);
}
