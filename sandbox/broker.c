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
static const struct {
    int nr;
    const char *why;
} denied[] = {
    {SCMP_SYS(ptrace), "other processes' memory and files"},
    {SCMP_SYS(process_vm_readv), "other processes' memory and files"},
    {SCMP_SYS(process_vm_writev), "other processes' memory and files"},
    {SCMP_SYS(kcmp), "other processes' memory and files"},
    {SCMP_SYS(pidfd_getfd), "other processes' memory and files"},
    {SCMP_SYS(process_madvise), "other processes' memory and files"},
    {SCMP_SYS(bpf), "programs in the kernel, and ways to watch it"},
    {SCMP_SYS(perf_event_open), "programs in the kernel, and ways to watch it"},
    {SCMP_SYS(userfaultfd), "page faults at will help to win races"},
    {SCMP_SYS(io_uring_setup), "steps around seccomp"},
    {SCMP_SYS(io_uring_enter), "steps around seccomp"},
    {SCMP_SYS(io_uring_register), "steps around seccomp"},
    {SCMP_SYS(keyctl), "key rings"},
    {SCMP_SYS(add_key), "key rings"},
    {SCMP_SYS(request_key), "key rings"},
    {SCMP_SYS(init_module), "another kernel, or code for this one"},
    {SCMP_SYS(finit_module), "another kernel, or code for this one"},
    {SCMP_SYS(delete_module), "another kernel, or code for this one"},
    {SCMP_SYS(kexec_load), "another kernel, or code for this one"},
    {SCMP_SYS(kexec_file_load), "another kernel, or code for this one"},
    {SCMP_SYS(reboot), "the machine's state"},
    {SCMP_SYS(swapon), "the machine's state"},
    {SCMP_SYS(swapoff), "the machine's state"},
    {SCMP_SYS(acct), "the machine's state"},
    {SCMP_SYS(settimeofday), "the machine's clock"},
    {SCMP_SYS(clock_settime), "the machine's clock"},
    {SCMP_SYS(adjtimex), "the machine's clock"},
    {SCMP_SYS(clock_adjtime), "the machine's clock"},
    {SCMP_SYS(open_by_handle_at), "files without a path"},
    {SCMP_SYS(setns), "other namespaces"},
    {SCMP_SYS(personality), "other rules for the children's memory"},
    {SCMP_SYS(quotactl), "the machine's state"},
    {SCMP_SYS(quotactl_fd), "the machine's state"},
    {SCMP_SYS(syslog), "the machine's state"},
    {SCMP_SYS(vhangup), "the machine's state"},
    {SCMP_SYS(nfsservctl), "old, and never needed"},
    {SCMP_SYS(lookup_dcookie), "old, and never needed"},
    {SCMP_SYS(move_pages), "other processes' memory and files"},
    {SCMP_SYS(migrate_pages), "other processes' memory and files"},
    {SCMP_SYS(iopl), "hardware"},
    {SCMP_SYS(ioperm), "hardware"},
    {SCMP_SYS(modify_ldt), "hardware"},
};
#define NDENIED (sizeof(denied) / sizeof(denied[0]))

static const struct {
    unsigned cap;
    const char *why;
} needed[] = {
    {CAP_SYS_ADMIN, "namespaces and mounts of the children"}, /* ROOTLESS: it alone */
    {CAP_SETUID, "the children's ids"}, /* ROOTLESS_IDS: it and the next as well */
    {CAP_SETGID, "the children's ids"},
    {CAP_SETPCAP, "the children's bounding sets"},
    {CAP_DAC_READ_SEARCH, "the way to a share's root"},
    {CAP_KILL, "the end of a child that has another id"},
};
#define NNEEDED (sizeof(needed) / sizeof(needed[0]))

void
sandbox_broker_print(FILE *out)
{
    fputs("posternd: no guest byte ever reaches it and it opens nothing below a share; it\n"
          "cannot be traced or dumped, and its children inherit one socket. As root it keeps\n",
          out);
    for (size_t i = 0; i < NNEEDED; i++)
        fprintf(out, "  %-17s # %s\n", capng_capability_to_name(needed[i].cap), needed[i].why);
    fputs("and, for its helpers alone, those of identity = host if its policy has that.\n"
          "posternd: as an ordinary user it has the first of them, in a user namespace that\n"
          "maps that user alone; with identity = map the first three, where the ids of\n"
          "such shares are mapped too. Refused, to it and to all children, are\n",
          out);
    for (size_t i = 0; i < NDENIED; i++) {
        _clean(clean_free) char *name =
            seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, denied[i].nr);

        if (name != NULL && denied[i].nr >= 0) /* else this architecture has no such call */
            fprintf(out, "  %-17s # %s\n", name, denied[i].why);
    }
}

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
    for (size_t i = 0; i < NDENIED && r == 0; i++)
        if (denied[i].nr >= 0) /* negative: this architecture has no such call */
            r = seccomp_rule_add_exact(f, SCMP_ACT_ERRNO(EPERM), denied[i].nr, 0);
    return r == 0 ? seccomp_load(f) : r;
}

/*
 * Rootless, these count only in the broker's own user namespace, and a child
 * starts with all of its own again: only the mounts need one, and the maps of
 * children that get ids which the user was lent.
 */
static int
keep_needed(enum broker_kind kind, uint64_t lends)
{
    static const size_t keeps[] = {
        [BROKER_ROOT] = NNEEDED, [BROKER_ROOTLESS] = 1, [BROKER_ROOTLESS_IDS] = 3};
    const capng_type_t sets = CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET;
    size_t n = keeps[kind];

    capng_clear(CAPNG_SELECT_ALL);
    for (size_t i = 0; i < n; i++)
        if (capng_update(CAPNG_ADD, sets, needed[i].cap) != 0)
            return -EINVAL;
    for (unsigned cap = 0; cap < 64; cap++)
        if ((lends >> cap & 1) != 0 &&
            capng_update(CAPNG_ADD, CAPNG_PERMITTED | CAPNG_BOUNDING_SET, cap) != 0)
            return -EINVAL;
    if (capng_apply(CAPNG_SELECT_BOUNDS) != 0)
        return -EPERM;
    return capng_apply(CAPNG_SELECT_CAPS) == 0 ? 0 : -EPERM;
}

int
sandbox_broker(enum broker_kind kind, uint64_t lends, struct sandbox_report *ret)
{
    int r;

    *ret = (struct sandbox_report){.root_fd = -1, .step = "capabilities"};
    r = keep_needed(kind, lends);
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
