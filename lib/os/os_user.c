/* os_user.c - users of os.h. */
#include "os/os.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	OS_PASSWD_MAX = 65536
};

enum err
os_user_find(const char *name, uid_t fallback_uid, struct os_user *out)
{
	char *space = mem_new(OS_PASSWD_MAX);
	struct passwd row;
	struct passwd *found = NULL;

	*out = (struct os_user){0, 0};
	/* A failing lookup service counts as "no such user": the fallback is
	 * as good, and a wrong file owner shows at once. */
	if (getpwnam_r(name, &row, space, OS_PASSWD_MAX, &found) != 0)
		found = NULL;
	if (found != NULL)
		*out = (struct os_user){found->pw_uid, found->pw_gid};
	else
		*out = (struct os_user){fallback_uid, fallback_uid};
	mem_free(space);
	return found == NULL && fallback_uid == 0 ? ERR_NOT_FOUND : ERR_OK;
}

static enum err
os_fail_user(struct why *why, struct os_user user, const char *doing)
{
	int errnum = errno;

	return why_set(why, err_from_errno(errnum), "user %u: %s: %s",
		       (unsigned)user.uid, doing, strerror(errnum));
}

/* All three ids are the user's, and root cannot be had back. */
static bool
os_is_dropped(struct os_user user)
{
	uid_t r, e, s;
	gid_t gr, ge, gs;

	if (getresuid(&r, &e, &s) != 0 || getresgid(&gr, &ge, &gs) != 0)
		return false;
	if (r != user.uid || e != user.uid || s != user.uid)
		return false;
	if (gr != user.gid || ge != user.gid || gs != user.gid)
		return false;
	return setuid(0) != 0 && setgid(0) != 0;
}

enum err
os_user_drop(struct os_user user, struct why *why)
{
	if (user.uid == 0 || user.gid == 0)
		return why_set(why, ERR_CONFIG,
			       "user %u, group %u: root is no user to drop to",
			       (unsigned)user.uid, (unsigned)user.gid);
	if (geteuid() == 0) {
		if (setgroups(0, NULL) != 0)
			return os_fail_user(why, user, "cannot drop groups");
		if (setresgid(user.gid, user.gid, user.gid) != 0)
			return os_fail_user(why, user, "cannot set the group");
		if (setresuid(user.uid, user.uid, user.uid) != 0)
			return os_fail_user(why, user, "cannot become it");
	} else if (geteuid() != user.uid) {
		errno = EPERM;
		return os_fail_user(why, user, "only root can become it");
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return os_fail_user(why, user, "cannot set no-new-privs");
	if (!os_is_dropped(user)) {
		errno = EPERM;
		return os_fail_user(why, user, "root could be had back");
	}
	return ERR_OK;
}

enum err
os_privs_seal(struct why *why)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return why_set(why, err_from_errno(errno),
			       "cannot set no-new-privs: %s", strerror(errno));
	return ERR_OK;
}
