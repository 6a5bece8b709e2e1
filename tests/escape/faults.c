/*
 * The steps of a sandbox and the calls that each makes. See faults.h.
 *
 * Runs in: tests/escape.   Trusts: nobody.   Owns: nothing.
 */
#include "tests/escape/faults.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "ipc/log.h"

enum who {
    ALL = 0,
    SHARE = 1, /* who has a share alone */
    LONE = 2,  /* a worker alone */
    ROOT = 4,  /* as root alone */
};

static const struct {
    struct fault fault;
    const char *step;
    unsigned who;
} faults[] = {
    {FAULT(rt_sigaction), "signals", ALL},
    {FAULT(rt_sigprocmask), "signals", ALL},
    {PRCTL(PR_SET_PDEATHSIG), "signals", ALL},
    {PRCTL(PR_SET_NAME), "signals", ALL},
    {FAULT(getpid), "namespaces", ALL},
    {FAULT(mount), "private mounts", ALL},
    {FAULT(open_tree), "fd directory", SHARE},
    {FAULT(mount_setattr), "fd directory", SHARE},
    {FAULT(mount_setattr), "pivot", LONE},
    {FAULT(fsopen), "new root", ALL},
    {FAULT(fsconfig), "new root", ALL},
    {FAULT(fsmount), "new root", ALL},
    {FAULT(move_mount), "new root", ALL},
    {FAULT(mkdirat), "new root", SHARE},
    {FAULT(fchdir), "pivot", ALL},
    {FAULT(pivot_root), "pivot", ALL},
    {FAULT(umount2), "pivot", ALL},
    {FAULT(chdir), "pivot", ALL},
    {FAULT(fstatfs), "check mounts", SHARE},
    {FAULT(dup3), "stdio", ALL},
    {FAULT(prlimit64), "limits", ALL},
    {{.nr = SYS_prlimit64, .has_arg = true, .at = 1, .arg = RLIMIT_NPROC}, "process limit", ALL},
    {FAULT(setgroups), "groups", ROOT},
    {PRCTL(PR_CAPBSET_DROP), "bounding set", ALL},
    {PRCTL(PR_SET_SECUREBITS), "bounding set", ALL},
    {FAULT(setresgid), "ids", ROOT},
    {FAULT(setresuid), "ids", ROOT},
    {FAULT(capset), "capabilities", ALL},
    {PRCTL(PR_SET_NO_NEW_PRIVS), "no-new-privs", ALL},
    {PRCTL(PR_SET_DUMPABLE), "no-new-privs", ALL},
    {FAULT(landlock_create_ruleset), "landlock", ALL},
    {FAULT(landlock_add_rule), "landlock", SHARE},
    {FAULT(landlock_restrict_self), "landlock", ALL},
    {FAULT(pipe2), "seccomp", ALL},
    {FAULT(seccomp), "seccomp", ALL},
};

void
faults_assert_refused(const struct outcome *out, const char *step)
{
    if (out->ready || strcmp(out->step, step) != 0)
        print_error("want failure of \"%s\", got \"%s\" (%d)\n", step, out->step, out->error);
    assert_false(out->ready);
    assert_string_equal(out->step, step);
    assert_true(out->error < 0);
    assert_int_equal(out->code, CLD_EXITED);
    assert_int_equal(out->status, EXIT_SANDBOX);
}

static bool
applies(unsigned who, enum jail_kind kind)
{
    return ((who & SHARE) == 0 || kind != JAIL_WORKER) &&
           ((who & LONE) == 0 || kind == JAIL_WORKER) && ((who & ROOT) == 0 || !fx.rootless);
}

static void
try(const struct order *o, const char *step)
{
    struct outcome out;

    jail_run(o, &out);
    faults_assert_refused(&out, step);
}

void
faults_try(enum jail_kind kind)
{
    struct order o = {.kind = kind};

    for (size_t i = 0; i < COUNT(faults); i++) {
        o.fault = faults[i].fault;
        if (applies(faults[i].who, kind))
            try(&o, faults[i].step);
    }
    if (kind != JAIL_RW)
        return;
    o.protect = true;
    o.fault = (struct fault)FAULT(clone);
    try(&o, "protect");
}
