/*
 * How the broker turns a directory of the host into the one thing a helper
 * will see: a private, recursive clone of its mount with the share's flags.
 */
#ifndef POSTERN_SANDBOX_SHARE_MOUNT_H
#define POSTERN_SANDBOX_SHARE_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "ipc/limits.h"
#include "ipc/share.h"

/*
 * Walk an absolute path one component at a time, following no symlink, and
 * refuse what cannot be a share: a component that is a symlink (-ELOOP), not
 * a directory (-ENOTDIR), a directory on the way that others may rewrite
 * (-EPERM; sticky ones are fine), a kernel file system such as proc or sysfs
 * (-EXDEV), a tree with other file systems mounted below it if these are to
 * be refused (-EBUSY).
 * On success an O_PATH fd of the root, the caller's, and its *ret_st. It can
 * be cloned only in the mount namespace where it was opened: rootless, open
 * (again) after spawn_enter_userns().
 * On failure -errno, and *ret_at is how many bytes of path were fine.
 */
int share_root_open(const char *path, enum share_submounts below, struct stat *ret_st,
                    size_t *ret_at);

/*
 * What is mounted below a share's root and not hidden under another mount, in
 * the order of their paths. Kernel file systems and what cannot be reached
 * are left out. Each has a number made of its path, the same as long as the
 * others are the same and nearly always else.
 */
struct submounts {
    bool any; /* there are mounts below, those left out included */
    size_t n;
    struct submount {
        uint64_t dev, ino; /* of its root; dev in makedev(3) form */
        uint32_t number;   /* 1 to SUBMOUNT_NUMBER_MAX */
    } at[SUBMOUNTS_MAX];
};
/* root_fd: share_root_open() of that path. 0; -E2BIG: more than
 * SUBMOUNTS_MAX; -errno. */
int share_submounts(const char *path, int root_fd, struct submounts *ret);

struct share_mount {
    bool read_only;
    bool idmap_top; /* idmap the share's own mount alone: nobody gets below */
    bool idmap;     /* show disk_uid:disk_gid as uid:gid, and write back the same way */
    uid_t disk_uid, uid;
    gid_t disk_gid, gid;
};

/*
 * open_tree(2) clone of root_fd, recursive; mount_setattr(2) with nosuid,
 * nodev, noexec, nosymfollow, private and, if asked, read-only and idmap, all
 * before anybody can open a file through it. A mount fd, the caller's, or
 * -errno; -EOPNOTSUPP: this file system has no idmapped mounts.
 */
int share_mount_clone(int root_fd, const struct share_mount *m);

#endif
