/*
 * Who a process is: groups, ids and capabilities, given up for good but for
 * those that a helper of a share with its guest's own ids works by.
 *
 * Runs in: worker, helper.   Trusts: the ids in its Boot message, but never
 * becomes root with them.
 * Owns: nothing.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cap-ng.h>

#include "sandbox/steps.h"

/* An ordinary user cannot drop groups: setgroups(2) is denied with the map. */
int
step_groups(struct confine *c)
{
    if (c->p->own_userns && c->p->ids == 0)
        return 0;
    if (setgroups(0, NULL) < 0)
        return -errno;
    return getgroups(0, NULL) == 0 ? 0 : -EPERM;
}

/*
 * While CAP_SETPCAP is still effective: afterwards both fail, and libcap-ng
 * does not say so for the bounding set, hence the second look.
 */
int
step_bounding_set(struct confine *c)
{
    const int bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |
                     SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

    (void)c;
    capng_clear(CAPNG_SELECT_ALL);
    if (capng_apply(CAPNG_SELECT_BOUNDS) != 0 || capng_apply(CAPNG_SELECT_AMBIENT) != 0)
        return -EPERM;
    for (int cap = 0, has; (has = prctl(PR_CAPBSET_READ, cap)) >= 0; cap++)
        if (has != 0)
            return -EPERM;
    if (prctl(PR_SET_SECUREBITS, bits) < 0)
        return -errno;
    return 0;
}

/* Root of the namespace, or of the host, it stays: its threads become the
 * guest's users one request at a time. No id beyond the map is there to be had. */
static int
keep_root(const struct sandbox_profile *p)
{
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return -errno;
    if (!p->own_userns)
        return 0;
    if (setresuid((uid_t)-1, p->ids, (uid_t)-1) == 0 ||
        setresgid((gid_t)-1, p->ids, (gid_t)-1) == 0)
        return -EPERM;
    return 0;
}

int
step_ids(struct confine *c)
{
    uid_t uid = c->p->uid;
    gid_t gid = c->p->gid;

    if (c->p->caps != 0)
        return keep_root(c->p);
    if (c->p->own_userns)
        return setresuid(1, 1, 1) < 0 ? 0 : -EPERM; /* no second id is mapped */
    if (uid == 0 || gid == 0)
        return -EINVAL;
    if (setresgid(gid, gid, gid) < 0)
        return -errno;
    if (setresuid(uid, uid, uid) < 0)
        return -errno;
    /* what was given up must not come back */
    if (setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setresgid((gid_t)-1, 0, (gid_t)-1) == 0)
        return -EPERM;
    return 0;
}

uint64_t
sandbox_root_caps(bool devices)
{
    static const unsigned list[] = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
                                    CAP_FSETID, CAP_SETUID,       CAP_SETGID};
    uint64_t caps = devices ? (uint64_t)1 << CAP_MKNOD : 0;

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        caps |= (uint64_t)1 << list[i];
    return caps;
}

bool
sandbox_may_lend(uint64_t caps)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &head, data) < 0)
        return false;
    return (caps & ~(data[0].permitted | (uint64_t)data[1].permitted << 32)) == 0;
}

static bool
has_exactly(uint64_t caps)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &head, data) < 0)
        return false;
    for (int i = 0; i < 2; i++) {
        uint32_t want = (uint32_t)(caps >> (32 * i));

        if (data[i].effective != want || data[i].permitted != want || data[i].inheritable != 0)
            return false;
    }
    return true;
}

int
step_capabilities(struct confine *c)
{
    uint64_t caps = c->p->caps;

    capng_clear(CAPNG_SELECT_ALL);
    for (unsigned cap = 0; cap < 64; cap++)
        if ((caps >> cap & 1) != 0 &&
            capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, cap) != 0)
            return -EINVAL;
    if (capng_apply(CAPNG_SELECT_CAPS) != 0 || !has_exactly(caps))
        return -EPERM;
    c->ret->layers |= caps == 0 ? (unsigned)LAYER_NO_CAPS : (unsigned)LAYER_FEW_CAPS;
    return 0;
}
