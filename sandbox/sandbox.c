/*
 * The order in which a process locks itself in. Each step is in the file of
 * its subject; this is the table, and the seal at the end.
 *
 * Runs in: worker, helper.   Trusts: the broker, which made the namespaces
 * and passed the share's mount.
 * Owns: nothing beyond the two calls; the share's root fd goes to the caller.
 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <sys/resource.h>

#include "ipc/fd.h"
#include "sandbox/steps.h"

#ifdef POSTERN_SANDBOX_TEST
unsigned sandbox_test_skip;
unsigned sandbox_test_landlock_abi;
#endif

/*
 * Mounts need capabilities, so they come first; the bounding set and the
 * securebits need CAP_SETPCAP, which goes with the ids; Landlock needs
 * no-new-privs. layer: what is true once the step is done.
 */
static const struct step {
    const char *name;
    int (*run)(struct confine *c);
    unsigned layer;
} steps[] = {
    {"signals", step_signals, 0},
    {"namespaces", step_namespaces, LAYER_NAMESPACES},
    {"private mounts", step_private_mounts, 0},
    {"fd directory", step_fd_directory, 0},
    {"new root", step_new_root, 0},
    {"attach share", step_attach_share, 0},
    {"protect", step_protect, 0},
    {"pivot", step_pivot, 0},
    {"check mounts", step_check_mounts, LAYER_EMPTY_ROOT},
    {"stdio", step_stdio, 0},
    {"limits", step_limits, 0},
    {"groups", step_groups, 0},
    {"bounding set", step_bounding_set, 0},
    {"ids", step_ids, 0},
    {"capabilities", step_capabilities, 0}, /* says itself which */
    {"no-new-privs", step_no_new_privs, LAYER_NO_NEW_PRIVS},
    {"landlock", step_landlock, 0}, /* says itself whether there was any */
};

static int
confine_run(struct confine *c)
{
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        int r;

        c->ret->step = steps[i].name;
        r = steps[i].run(c);
        if (r < 0)
            return r;
        c->ret->layers |= steps[i].layer;
    }
    return 0;
}

int
sandbox_confine(const struct sandbox_profile *p, struct sandbox_report *ret)
{
    struct confine c = {
        .p = p, .ret = ret, .root_mnt = -1, .fds_mnt = -1, .self = -1, .pins_mnt = -1};
    int r;

    *ret = (struct sandbox_report){.root_fd = -1, .step = "start"};
    r = confine_run(&c);
    clean_fd(&c.root_mnt);
    clean_fd(&c.fds_mnt);
    clean_fd(&c.self);
    clean_fd(&c.pins_mnt);
    if (r < 0)
        clean_fd(&ret->root_fd);
    return r;
}

int
sandbox_seal(const struct sandbox_profile *p, struct sandbox_report *ret)
{
    const struct rlimit none = {0, 0};
    int r;

    ret->step = "process limit";
    if (setrlimit(RLIMIT_NPROC, &none) < 0)
        return -errno;
    ret->step = "seccomp";
    if (SKIPPED(LAYER_SECCOMP))
        return 0;
    r = filter_load(p);
    if (r < 0)
        return r;
    ret->layers |= LAYER_SECCOMP;
    return 0;
}
