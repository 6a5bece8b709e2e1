/*
 * How the broker turns a directory of the host into the one thing a helper
 * will see: a private, recursive clone of its mount with the share's flags.
 */
#ifndef POSTERN_SANDBOX_SHARE_MOUNT_H
#define POSTERN_SANDBOX_SHARE_MOUNT_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * Walk an absolute path one component at a time, following no symlink, and
 * refuse what cannot be a share: a component that is a symlink (-ELOOP), not
 * a directory (-ENOTDIR), a directory on the way that others may rewrite
 * (-EPERM; sticky ones are fine), a kernel file system such as proc or sysfs
 * (-EXDEV), a tree with other file systems mounted below it (-EBUSY).
 * On success an O_PATH fd of the root, the caller's, and its *ret_st. It can
 * be cloned only in the mount namespace where it was opened: rootless, open
 * (again) after spawn_enter_userns().
 * On failure -errno, and *ret_at is how many bytes of path were fine.
 */
int share_root_open(const char *path, struct stat *ret_st, size_t *ret_at);

struct share_mount {
    bool read_only;
    bool idmap; /* show disk_uid:disk_gid as uid:gid, and write back the same way */
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
