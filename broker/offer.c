/*
 * Shares before they are served: the host's directory, checked; who its
 * helper will be; and the mount that the helper will see.
 *
 * Runs in: broker.   Trusts: the policy, not the directories on the way.
 * Owns: the root's fd and, while a tenant starts, the channel's three.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "broker/broker.h"
#include "ipc/channel.h"
#include "ipc/fd.h"
#include "ipc/log.h"
#include "sandbox/sandbox.h"
#include "sandbox/share_mount.h"

/* What share_root_open() refuses, and what to do. */
static const struct refusal {
    int err;
    bool way; /* it is the directory on the way, not what lies in it */
    const char *what;
} refusals[] = {
    {ENOENT, false, "does not exist: create it or correct the path"},
    {ELOOP, false, "is a symbolic link, which Postern never follows: write the path it stands for"},
    {ENOTDIR, false, "is not a directory: a share is a directory"},
    {EPERM, true,
     "can be rewritten by others, who could put another tree in its place: "
     "take their write permission away (chmod go-w) or set its sticky bit"},
    {EXDEV, false,
     "is one of the kernel's own file systems (proc, sysfs, ...): it cannot be shared"},
    {EBUSY, false,
     "has other file systems mounted below it: set submounts = cross or hide, share those by "
     "themselves, or unmount them"},
    {EACCES, true, "may not be entered by this user: give permission, or run posternd as root"},
};

static const struct refusal *
refusal_find(int r)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (refusals[i].err == -r)
            return &refusals[i];
    return NULL;
}

/* The end of the component that begins behind the first `at` bytes. */
static size_t
component_end(const char *path, size_t at)
{
    at += strspn(path + at, "/");
    return at + strcspn(path + at, "/");
}

#define refuse(r, plan, fmt, ...)                                                                  \
    broker_refuse(r, (plan)->file, (plan)->line, "share %s: " fmt, (plan)->name, __VA_ARGS__)

static int
refused(int r, const struct plan_share *plan, size_t at)
{
    const struct refusal *why = refusal_find(r);
    size_t end = why != NULL && why->way ? at : component_end(plan->path, at);

    if (end == 0)
        end = 1; /* the root directory itself */
    return refuse(r, plan, "%s: \"%.*s\" %s", plan->path, (int)end, plan->path,
                  why != NULL ? why->what : strerror(-r));
}

void
offer_init(struct offer *o, const struct plan_share *plan)
{
    *o = (struct offer){
        .plan = plan, .root_fd = -1, .channel_fd = -1, .to_helper_fd = -1, .to_worker_fd = -1};
}

int
offer_open(struct offer *o)
{
    size_t at = 0;
    int fd = share_root_open(o->plan->path, o->plan->submounts, &o->st, &at);

    if (fd < 0)
        return refused(fd, o->plan, at);
    o->root_fd = fd;
    return 0;
}

/*
 * Rootless: a mount of the old mount namespace cannot be cloned in the new
 * one, so the checked directory is looked up again and must be the same.
 */
int
offer_reopen(struct offer *o)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_NO_SYMLINKS};
    _clean(clean_fd) int fd = (int)syscall(SYS_openat2, AT_FDCWD, o->plan->path, &how, sizeof(how));
    struct stat st;

    if (fd < 0)
        return log_errno(-errno, "share %s: open %s again", o->plan->name, o->plan->path);
    if (fstat(fd, &st) < 0)
        return log_errno(-errno, "share %s: %s", o->plan->name, o->plan->path);
    if (st.st_dev != o->st.st_dev || st.st_ino != o->st.st_ino)
        return refuse(-ESTALE, o->plan, "%s was replaced while posternd started: start it again",
                      o->plan->path);
    clean_fd(&o->root_fd);
    o->root_fd = take_fd(&fd);
    return 0;
}

int
offer_recheck(const struct offer *o)
{
    struct stat st;
    size_t at = 0;
    _clean(clean_fd) int fd = share_root_open(o->plan->path, o->plan->submounts, &st, &at);

    if (fd < 0)
        return refused(fd, o->plan, at);
    if (st.st_dev != o->st.st_dev || st.st_ino != o->st.st_ino)
        return refuse(-ESTALE, o->plan,
                      "%s was replaced since it was reserved: remove the "
                      "reservation and make another",
                      o->plan->path);
    return 0;
}

int
offer_host_check(const struct offer *o, int host_root)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_NO_SYMLINKS};
    const char *below = o->plan->path[1] == '\0' ? "." : o->plan->path + 1;
    _clean(clean_fd) int fd = (int)syscall(SYS_openat2, host_root, below, &how, sizeof(how));
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return refuse(-errno, o->plan, "%s: %s", o->plan->path, strerror(errno));
    if (st.st_dev != o->st.st_dev || st.st_ino != o->st.st_ino)
        return refuse(-EXDEV, o->plan,
                      "%s is on a file system that was mounted after posternd started, which an "
                      "ordinary user's posternd cannot see: start posternd again",
                      o->plan->path);
    return 0;
}

/* An ordinary user can lend nothing but itself, and what it was lent. */
int
offer_lend(const struct offer *o)
{
    const struct plan_share *p = o->plan;

    if (p->identity == IDENTITY_HOST)
        return refuse(-EPERM, p, "%s",
                      "identity = host needs posternd to run as root: use squash, stored or map");
    if (p->identity == IDENTITY_MAP)
        return lent_check(o->t->b, p);
    if (p->has_owner && (p->owner_uid != geteuid() || p->owner_gid != getegid()))
        return refuse(-EPERM, p,
                      "owner = \"%u:%u\" needs posternd to run as root: leave it out, or do so",
                      p->owner_uid, p->owner_gid);
    return 0;
}

/* The file system cannot map ids: the helper has to be the owner itself. */
static int
identity_plain(struct offer *o)
{
    if (o->owner_uid == 0)
        return refuse(-EPERM, o->plan,
                      "%s belongs to root and its file system has no idmapped mounts, so its "
                      "helper would have to be root: set owner = \"UID:GID\" in the policy, or "
                      "chown the directory to an ordinary user",
                      o->plan->path);
    log_warn("share %s: %s, or what is mounted below it, has no idmapped mounts on this kernel: "
             "its helper is user %u of the host, none of its own",
             o->plan->name, o->plan->path, o->owner_uid);
    o->idmap = false;
    o->uid = o->owner_uid;
    o->gid = o->owner_gid;
    return 0;
}

/* What a guest's kernel would say of a tree that none of its users owns: that
 * nobody does. */
static void
warn_foreign_root(const struct offer *o)
{
    const struct plan_share *p = o->plan;

    if (o->st.st_uid - p->ids_first >= p->ids_count || o->st.st_gid - p->ids_first >= p->ids_count)
        log_warn("share %s: %s belongs to %u:%u, which is none of its ids (%u+%u): to its guest "
                 "it is nobody's; chown it to %u:%u if it is to be the root's",
                 p->name, p->path, o->st.st_uid, o->st.st_gid, p->ids_first, p->ids_count,
                 p->ids_first, p->ids_first);
}

/* The helper is root of a user namespace that knows no other id. */
static int
identity_map(struct offer *o)
{
    o->acts = true;
    o->ids_first = o->plan->ids_first;
    o->ids_count = o->plan->ids_count;
    warn_foreign_root(o);
    return 0;
}

/* Root of the host, with the capabilities that make it that over files. */
static int
identity_host(struct offer *o)
{
    const struct plan_share *p = o->plan;

    if (!sandbox_may_lend(sandbox_root_caps(p->allow_devices)))
        return refuse(
            -EPERM, p,
            "identity = host%s takes %s, which posternd has not: it keeps them when the "
            "policy that it starts with has such a share, and its unit may not take "
            "them away",
            p->allow_devices ? " with devices = allow" : "",
            "CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID and for devices CAP_MKNOD");
    o->acts = true;
    return 0;
}

/* Models that are one user on the disk. */
static int
identity_one(struct offer *o, unsigned slot)
{
    _clean(clean_fd) int fd = -1;

    o->owner_uid = o->plan->has_owner ? o->plan->owner_uid : o->st.st_uid;
    o->owner_gid = o->plan->has_owner ? o->plan->owner_gid : o->st.st_gid;
    o->uid = child_id(slot);
    o->gid = child_id(slot);
    o->idmap = true;
    fd = offer_mount(o);
    if (fd == -EOPNOTSUPP)
        return identity_plain(o);
    return fd < 0 ? log_errno(fd, "share %s: mount %s", o->plan->name, o->plan->path) : 0;
}

/* Where the guest's owners are kept in extended attributes, there must be
 * some. */
static int
check_user_xattrs(const struct offer *o)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", o->root_fd);
    if (getxattr(path, "user.virtfs.uid", NULL, 0) >= 0 || errno != EOPNOTSUPP)
        return 0;
    return refuse(-EOPNOTSUPP, o->plan,
                  "the file system of %s has no user extended attributes, which identity = stored "
                  "keeps owners in: use one that has (ext4, xfs, btrfs, tmpfs since Linux 6.6), or "
                  "another identity",
                  o->plan->path);
}

static int
identity_rootless(struct offer *o)
{
    int r = offer_lend(o);

    if (r < 0)
        return r;
    if (o->plan->identity == IDENTITY_MAP)
        return identity_map(o);
    o->owner_uid = o->uid = geteuid();
    o->owner_gid = o->gid = getegid();
    return 0;
}

int
offer_identity(struct offer *o, bool rootless, unsigned slot)
{
    int r = o->plan->identity == IDENTITY_STORED ? check_user_xattrs(o) : 0;

    if (r < 0)
        return r;
    if (rootless)
        return identity_rootless(o);
    if (o->plan->identity == IDENTITY_MAP)
        return identity_map(o);
    if (o->plan->identity == IDENTITY_HOST)
        return identity_host(o);
    return identity_one(o, slot);
}

int
offer_mount(const struct offer *o)
{
    struct share_mount m = {.read_only = o->plan->access == ACCESS_READ_ONLY,
                            .idmap = o->idmap,
                            .idmap_top = o->plan->submounts != SUBMOUNTS_CROSS,
                            .disk_uid = o->owner_uid,
                            .uid = o->uid,
                            .disk_gid = o->owner_gid,
                            .gid = o->gid};

    return share_mount_clone(o->root_fd, &m);
}

int
offer_channel(struct offer *o)
{
    offer_channel_close(o);
    o->channel_fd = channel_create();
    o->to_helper_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    o->to_worker_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (o->channel_fd < 0)
        return log_errno(o->channel_fd, "share %s: make its channel", o->plan->name);
    if (o->to_helper_fd < 0 || o->to_worker_fd < 0)
        return log_errno(-errno, "share %s: eventfd", o->plan->name);
    return 0;
}

void
offer_channel_close(struct offer *o)
{
    clean_fd(&o->channel_fd);
    clean_fd(&o->to_helper_fd);
    clean_fd(&o->to_worker_fd);
}

void
offer_done(struct offer *o)
{
    offer_channel_close(o);
    clean_fd(&o->root_fd);
}
