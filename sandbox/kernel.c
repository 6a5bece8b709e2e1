/*
 * What the running kernel lacks, found by asking it: version numbers lie
 * where a distribution carries patches or switches things off.
 *
 * Runs in: broker, command line.   Trusts: nobody.
 * Owns: nothing; a probe process ends before the call returns.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/steps.h"

static const char no_landlock[] =
    "this kernel has no Landlock of ABI 2 or later (Linux 5.19): add landlock to its lsm= list, "
    "or accept less with sandbox = best-effort";

/* Every size is refused with EINVAL, so a kernel that knows the call says so. */
static bool
has_mount_setattr(void)
{
    return syscall(SYS_mount_setattr, -1, "", 0, NULL, 0) == 0 || errno != ENOSYS;
}

static bool
has_new_mounts(void)
{
    return fsopen("", FSOPEN_CLOEXEC | ~0u) >= 0 || errno != ENOSYS;
}

static bool
has_openat2(void)
{
    return syscall(SYS_openat2, -1, "", NULL, 0) == 0 || errno != ENOSYS;
}

static bool
has_seccomp_kill(void)
{
    const unsigned act = SCMP_ACT_KILL_PROCESS;

    return syscall(SYS_seccomp, 2 /* SECCOMP_GET_ACTION_AVAIL */, 0, &act) == 0;
}

/* A switch may forbid the namespace, or leave it without power over mounts. */
static bool
may_have_userns(void)
{
    pid_t pid = fork();
    int status;

    if (pid < 0)
        return false;
    if (pid == 0)
        _exit(unshare(CLONE_NEWUSER) == 0 && unshare(CLONE_NEWNS) == 0 ? 0 : 1);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

const char *
sandbox_kernel_lacks(bool rootless)
{
    if (!has_new_mounts() || !has_mount_setattr())
        return "this kernel has no mount_setattr(2): Linux 5.14 is the least, 6.1 the target";
    if (!has_openat2())
        return "this kernel has no openat2(2): Linux 5.6 has it, or what runs posternd keeps it "
               "away";
    if (!has_seccomp_kill())
        return "this kernel has no seccomp filters: CONFIG_SECCOMP_FILTER is needed";
    if (access("/proc/self/fd", X_OK) < 0)
        return "/proc is not mounted: mount -t proc proc /proc";
    if (rootless && !may_have_userns())
        return "an ordinary user may not make user namespaces here: see "
               "user.max_user_namespaces, kernel.unprivileged_userns_clone and "
               "kernel.apparmor_restrict_unprivileged_userns, or run as root";
    if (landlock_abi() < LANDLOCK_ABI_MIN)
        return no_landlock;
    return NULL;
}

bool
sandbox_lacks_only_landlock(const char *lacks)
{
    return lacks == no_landlock;
}

static bool
has_mdwe(void)
{
    return prctl(66 /* PR_GET_MDWE */, 0, 0, 0, 0) >= 0;
}

const char *
sandbox_kernel_weaker(void)
{
    /* of Landlock, with the ABI that brought it; see ruleset_of() */
    static const struct {
        unsigned abi;
        const char *what;
    } later[] = {
        {3, "truncation"},
        {4, "TCP"},
        {5, "ioctl of devices"},
        {6, "signals and abstract sockets"},
    };
    static char text[160];
    const unsigned abi = landlock_abi();
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
        if (abi < later[i].abi)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n == 0 ? "" : ", ",
                                  later[i].what);
    if (!has_mdwe())
        (void)snprintf(text + n, sizeof(text) - n, "%smemory that becomes executable",
                       n == 0 ? "" : ", ");
    return text;
}
