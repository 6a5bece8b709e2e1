/*
 * What somebody may share who is no administrator: nothing that he could not
 * give to a guest himself. The kernel is asked in his name, so that no rule of
 * permissions is written here a second time.
 *
 * Runs in: broker.   Trusts: the kernel about who he is.
 * Owns: nothing beyond a call; the file system ids are put back.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/control.h"
#include "ipc/fd.h"
#include "ipc/log.h"

static bool
is_in(const struct caller *who, gid_t gid)
{
    if (who->gid == gid)
        return true;
    for (size_t i = 0; i < who->ngroups; i++)
        if (who->groups[i] == gid)
            return true;
    return false;
}

bool
delegate_of(const struct caller *who, const struct plan_tenant *t)
{
    for (size_t i = 0; i < t->delegates.n; i++) {
        const bool group = t->delegates.at[i][0] == '@';
        const uint32_t id = t->delegate_ids[i];

        if (group ? is_in(who, id) : who->uid == id)
            return true;
    }
    return false;
}

/* --- in his name ------------------------------------------------------------------ */

struct ourselves {
    gid_t groups[NGROUPS_MAX];
    int ngroups;
};

/* Root's rights over files go with the id: see capabilities(7) on setfsuid. */
static int
become(const struct caller *who, struct ourselves *us)
{
    us->ngroups = getgroups(NGROUPS_MAX, us->groups);
    if (us->ngroups < 0 || setgroups(who->ngroups, who->groups) < 0)
        return -errno;
    (void)setfsgid(who->gid);
    (void)setfsuid(who->uid);
    return setfsuid((uid_t)-1) == (int)who->uid && setfsgid((gid_t)-1) == (int)who->gid ? 0
                                                                                        : -EPERM;
}

static void
become_ourselves(const struct ourselves *us)
{
    (void)setfsuid(geteuid());
    (void)setfsgid(getegid());
    if (us->ngroups >= 0 && setgroups((size_t)us->ngroups, us->groups) < 0)
        die("setgroups");
}

static int
look(const struct plan_share *sh, struct stat *ret)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_NO_SYMLINKS};
    _clean(clean_fd) int fd = (int)syscall(SYS_openat2, AT_FDCWD, sh->path, &how, sizeof(how));
    int mode = R_OK | X_OK | (sh->access == ACCESS_READ_WRITE ? W_OK : 0);

    if (fd < 0 || fstat(fd, ret) < 0)
        return -errno;
    return syscall(SYS_faccessat2, fd, "", mode, AT_EMPTY_PATH | AT_EACCESS) < 0 ? -errno : 0;
}

static int
look_as(const struct caller *who, const struct plan_share *sh, struct stat *ret)
{
    static struct ourselves us; /* too large for a stack */
    int r = become(who, &us);

    if (r == 0)
        r = look(sh, ret);
    become_ourselves(&us);
    return r;
}

/* --- what he may ask for --------------------------------------------------------------- */

static const char *
forbidden(const struct plan_share *sh)
{
    if (sh->identity != IDENTITY_SQUASH && sh->identity != IDENTITY_STORED)
        return "identity = squash or stored";
    if (sh->has_owner)
        return "no owner =";
    if (sh->submounts == SUBMOUNTS_CROSS)
        return "submounts = refuse or hide";
    return sh->allow_set_id ? "set-id = refuse" : NULL;
}

int
delegate_check(const struct caller *who, const struct plan_share *sh, struct stat *ret,
               struct answer *a)
{
    const char *must = forbidden(sh);
    int r;

    if (must != NULL)
        return answer_why(a, -EPERM, "share %s: a delegate has to leave it at %s", sh->name, must);
    r = look_as(who, sh, ret);
    if (r < 0)
        return answer_why(a, r,
                          "share %s: %s: %s: a delegate shares only what he may read, and "
                          "write where the share may be written",
                          sh->name, sh->path, strerror(-r));
    if (ret->st_uid != who->uid)
        return answer_why(a, -EPERM,
                          "share %s: %s is not yours: a delegate shares his own "
                          "directories only",
                          sh->name, sh->path);
    if (!is_in(who, ret->st_gid))
        return answer_why(a, -EPERM, "share %s: %s belongs to a group that you are not in",
                          sh->name, sh->path);
    return 0;
}
