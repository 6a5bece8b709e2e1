/*
 * Landlock: of all files of the host, the share and only for what its access
 * needs; no TCP, no signals and no abstract sockets to the outside.
 *
 * Runs in: worker, helper.   Trusts: nobody.
 * Owns: nothing.
 */
#include <errno.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "sandbox/steps.h"

/* Debian 12's headers end with ABI 2; these are part of the kernel's ABI. */
#define FS_ABI_1 0x1fffULL     /* EXECUTE ... MAKE_SYM */
#define FS_REFER 0x2000ULL     /* ABI 2 */
#define FS_TRUNCATE 0x4000ULL  /* ABI 3 */
#define FS_IOCTL_DEV 0x8000ULL /* ABI 5 */
#define NET_ALL 0x3ULL         /* ABI 4: bind and connect of TCP */
#define SCOPE_ALL 0x3ULL       /* ABI 6: abstract sockets and signals */

#define FS_READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_DEVICES ((uint64_t)(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK))
#define FS_NEVER (LANDLOCK_ACCESS_FS_EXECUTE | FS_DEVICES | FS_IOCTL_DEV)

/* struct landlock_ruleset_attr as of ABI 6; older kernels take it as long as
 * what they do not know is zero. */
struct ruleset {
    uint64_t fs, net, scope;
};

unsigned
landlock_abi(void)
{
    long r = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (r < 0)
        return 0;
#ifdef POSTERN_SANDBOX_TEST
    if (sandbox_test_landlock_abi != 0 && sandbox_test_landlock_abi < (unsigned)r)
        return sandbox_test_landlock_abi;
#endif
    return (unsigned)r;
}

static struct ruleset
ruleset_of(unsigned abi)
{
    struct ruleset rs = {.fs = FS_ABI_1};

    if (abi >= 2)
        rs.fs |= FS_REFER;
    if (abi >= 3)
        rs.fs |= FS_TRUNCATE;
    if (abi >= 4)
        rs.net = NET_ALL;
    if (abi >= 5)
        rs.fs |= FS_IOCTL_DEV;
    if (abi >= 6)
        rs.scope = SCOPE_ALL;
    return rs;
}

static int
allow_share(int ruleset_fd, const struct confine *c, uint64_t handled)
{
    const uint64_t never = c->p->devices ? FS_NEVER & ~FS_DEVICES : FS_NEVER;
    struct landlock_path_beneath_attr rule = {
        .allowed_access = c->p->read_only ? FS_READS : handled & ~never,
        .parent_fd = c->ret->root_fd,
    };

    if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return -errno;
    return 0;
}

/* Without a share there is no rule at all: everything handled is refused. */
static int
restrict_self(struct confine *c)
{
    struct ruleset rs = ruleset_of(c->ret->landlock_abi);
    _clean(clean_fd) int fd = -1;

    fd = (int)syscall(SYS_landlock_create_ruleset, &rs, sizeof(rs), 0);
    if (fd < 0)
        return -errno;
    if (c->ret->root_fd >= 0) {
        int r = allow_share(fd, c, rs.fs);

        if (r < 0)
            return r;
    }
    if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
        return -errno;
    return 0;
}

int
step_landlock(struct confine *c)
{
    int r;

    if (SKIPPED(LAYER_LANDLOCK))
        return 0;
    c->ret->landlock_abi = landlock_abi();
    if (c->ret->landlock_abi < LANDLOCK_ABI_MIN && !c->p->best_effort)
        return -EOPNOTSUPP;
    if (c->ret->landlock_abi == 0)
        return 0;
    r = restrict_self(c);
    if (r < 0)
        return r;
    c->ret->layers |= LAYER_LANDLOCK;
    return 0;
}
