/*
 * What is mounted below the share's root, and how numbers of inodes stay
 * different across it.
 *
 * Every mount has a small number, by its place in the share and so the same
 * after a restart; the root's is 0. It goes into the upper bits of the inode
 * numbers that the guest sees. A mount that the broker did not name, as those
 * of the kernel's own file systems, is never entered.
 */
#ifndef POSTERN_HELPER_MOUNT_H
#define POSTERN_HELPER_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "ipc/limits.h"
#include "ipc/share.h"

struct mount_below {
    uint64_t dev; /* makedev(3) form; with ino: the root of what is mounted */
    uint64_t ino;
    uint64_t mnt_id; /* 0: not met yet */
    uint16_t number;
};

/* A mount of the sandbox's own making, for `protect`: to the guest it is a
 * part of the mount that it lies in. */
struct mount_part {
    uint64_t id, over;
};

struct mounts {
    enum share_submounts mode;
    size_t nparts;
    struct mount_part parts[PROTECT_MAX];
    uint64_t root_id, root_dev; /* of the share's own mount */
    size_t n;
    struct mount_below below[SUBMOUNTS_MAX];
};

/* One more mount that may be entered. false: there are too many, or the
 * number is none. Before any of the following. */
bool mounts_add(struct mounts *m, uint64_t dev, uint64_t ino, uint32_t number);
void mounts_root(struct mounts *m, const struct statx *root);
/* Mount id is a part of mount over. false: there are too many. */
bool mounts_part(struct mounts *m, uint64_t id, uint64_t over);

/* 0 when the guest may come to what st describes; else what it is told:
 * -ENOENT for what is hidden, -EXDEV where no mounts were expected. */
int mounts_enter(struct mounts *m, const struct statx *st);

/* The inode number that the guest sees of a file: by mount, device and what
 * its file system says. */
uint64_t mounts_ino(const struct mounts *m, uint64_t mnt_id, uint64_t dev, uint64_t ino);
uint64_t mounts_ino_of(const struct mounts *m, const struct statx *st);

#endif
