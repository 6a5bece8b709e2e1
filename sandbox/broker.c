/*
 * The broker's own sandbox: it needs mounts, namespaces and ids, so it cannot
 * be locked in like its children; but whole families of kernel calls it never
 * needs are taken away from it and from everything it starts.
 *
 * Runs in: broker.   Trusts: the policy's author.
 * Owns: nothing.
 */
#include <errno.h>
#include <sys/prctl.h>

#include <cap-ng.h>

#include "ipc/fd.h"
#include "sandbox/sandbox.h"

/* Refused with EPERM rather than killed: a library may ask and do without. */
static const int denied[] = {
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(kcmp),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(process_madvise),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(setns),
    SCMP_SYS(personality),
    SCMP_SYS(quotactl),
    SCMP_SYS(quotactl_fd),
    SCMP_SYS(syslog),
    SCMP_SYS(vhangup),
    SCMP_SYS(nfsservctl),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(move_pages),
    SCMP_SYS(migrate_pages),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(modify_ldt),
};

/* Mounts and namespaces; the children's ids and bounding sets; the way to a
 * share's root; the end of a child that has another id. */
static const unsigned needed[] = {CAP_SYS_ADMIN, CAP_SETUID,          CAP_SETGID,
                                  CAP_SETPCAP,   CAP_DAC_READ_SEARCH, CAP_KILL};

static void
clean_filter(scmp_filter_ctx *f)
{
    if (*f != NULL)
        seccomp_release(*f);
}

static int
deny(void)
{
    _clean(clean_filter) scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    int r;

    if (f == NULL)
        return -ENOMEM;
    r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0)
        r = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]) && r == 0; i++)
        if (denied[i] >= 0) /* negative: this architecture has no such call */
            r = seccomp_rule_add_exact(f, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
    return r == 0 ? seccomp_load(f) : r;
}

/*
 * Rootless, these count only in the broker's own user namespace, and a child
 * starts with all of its own again: only the mounts need one.
 */
static int
keep_needed(bool rootless)
{
    const capng_type_t sets = CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET;
    size_t n = rootless ? 1 : sizeof(needed) / sizeof(needed[0]);

    capng_clear(CAPNG_SELECT_ALL);
    for (size_t i = 0; i < n; i++)
        if (capng_update(CAPNG_ADD, sets, needed[i]) != 0)
            return -EINVAL;
    if (capng_apply(CAPNG_SELECT_BOUNDS) != 0)
        return -EPERM;
    return capng_apply(CAPNG_SELECT_CAPS) == 0 ? 0 : -EPERM;
}

int
sandbox_broker(bool rootless, struct sandbox_report *ret)
{
    int r;

    *ret = (struct sandbox_report){.root_fd = -1, .step = "capabilities"};
    r = keep_needed(rootless);
    if (r < 0)
        return r;
    ret->step = "no-new-privs";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return -errno;
    ret->layers |= LAYER_NO_NEW_PRIVS;
    ret->step = "seccomp";
    r = deny();
    if (r < 0)
        return r;
    ret->layers |= LAYER_SECCOMP;
    return 0;
}
