/*
 * Owners, modes and types in extended attributes. See stored.h.
 *
 * Runs in: helper, main thread.   Trusts: what the tree's attributes say, as
 * far as the guest is concerned; on the host nothing hangs on them.
 * Owns: nothing.
 */
#include "proxy-helper/stored.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "proxy-helper/path.h"

#define KEY_UID "user.virtfs.uid"
#define KEY_GID "user.virtfs.gid"
#define KEY_MODE "user.virtfs.mode"
#define KEY_RDEV "user.virtfs.rdev"
#define FILE_MODE 0600
#define DIR_MODE 0700

bool
stored_is(const struct share *sh)
{
    return sh->identity.model == IDENTITY_STORED;
}

static bool
get32(int fd, const char *key, uint32_t *ret)
{
    uint32_t v;

    if (path_getxattr(fd, key, &v, sizeof(v)) != (int)sizeof(v))
        return false;
    *ret = le32toh(v);
    return true;
}

static int
set32(int fd, const char *key, uint32_t v)
{
    v = htole32(v);
    return path_setxattr(fd, key, &v, sizeof(v), 0);
}

/* What is a directory on the disk is one, whatever is written on it. */
static uint32_t
mode_shown(uint32_t disk, uint32_t stored)
{
    uint32_t type = stored & S_IFMT;

    if (type == 0 || S_ISDIR(disk) || S_ISDIR(stored))
        type = disk & S_IFMT;
    return type | (stored & 07777);
}

static void
show_rdev(int fd, struct statx *st)
{
    uint64_t v;

    if ((!S_ISCHR(st->stx_mode) && !S_ISBLK(st->stx_mode)) ||
        path_getxattr(fd, KEY_RDEV, &v, sizeof(v)) != (int)sizeof(v))
        return;
    v = le64toh(v);
    st->stx_rdev_major = major(v);
    st->stx_rdev_minor = minor(v);
}

void
stored_show(const struct share *sh, int fd, struct statx *st)
{
    uint32_t mode;

    if (!stored_is(sh))
        return;
    if (!get32(fd, KEY_UID, &st->stx_uid))
        st->stx_uid = sh->present_uid;
    if (!get32(fd, KEY_GID, &st->stx_gid))
        st->stx_gid = sh->present_gid;
    if (get32(fd, KEY_MODE, &mode))
        st->stx_mode = (uint16_t)mode_shown(st->stx_mode, mode);
    show_rdev(fd, st);
}

static int
look(const struct share *sh, int fd, struct statx *st)
{
    int r = path_stat(fd, st);

    if (r == 0)
        stored_show(sh, fd, st);
    return r;
}

/* The owner first and the mode last: as long as there is no mode, it is the
 * disk's, which grants nothing to anybody else and no set-id bits. */
static int
give_away(struct share *sh, int dir, int fd, uint32_t mode, uint64_t rdev)
{
    const struct frame *f = sh->call.frame;
    struct statx parent;
    int r = look(sh, dir, &parent);
    bool inherits;

    if (r < 0)
        return r;
    inherits = (parent.stx_mode & S_ISGID) != 0;
    r = set32(fd, KEY_UID, f->uid);
    if (r == 0)
        r = set32(fd, KEY_GID, inherits ? parent.stx_gid : f->gid);
    rdev = htole64(rdev);
    if (r == 0 && (S_ISCHR(mode) || S_ISBLK(mode)))
        r = path_setxattr(fd, KEY_RDEV, &rdev, sizeof(rdev), 0);
    if (r < 0)
        return r;
    return set32(fd, KEY_MODE, inherits && S_ISDIR(mode) ? mode | S_ISGID : mode);
}

/* Or as if it had never been. */
static int
give_or_undo(struct share *sh, int dir, const char *name, int fd, uint32_t mode, uint64_t rdev)
{
    int r = give_away(sh, dir, fd, mode, rdev);

    if (r < 0)
        (void)unlinkat(dir, name, S_ISDIR(mode) ? AT_REMOVEDIR : 0);
    return r;
}

int
stored_create(struct share *sh, int dir, const char *name, int flags, uint32_t mode)
{
    _clean(clean_fd) int fd = path_create(dir, name, flags, FILE_MODE);
    int r = fd < 0 ? fd : give_or_undo(sh, dir, name, fd, S_IFREG | (mode & 07777), 0);

    return r < 0 ? r : take_fd(&fd);
}

int
stored_mkdir(struct share *sh, int dir, const char *name, uint32_t mode)
{
    _clean(clean_fd) int fd = -1;
    int r;

    if (mkdirat(dir, name, DIR_MODE) < 0)
        return -errno;
    fd = path_walk(dir, name);
    r = fd < 0 ? fd : give_or_undo(sh, dir, name, fd, S_IFDIR | (mode & 01777), 0);
    return r < 0 ? r : take_fd(&fd);
}

int
stored_mknod(struct share *sh, int dir, const char *name, uint32_t mode, uint64_t rdev)
{
    _clean(clean_fd) int fd = path_create(dir, name, O_WRONLY, FILE_MODE);
    int r = fd < 0 ? fd : give_or_undo(sh, dir, name, fd, mode & (S_IFMT | 07777), rdev);

    return r < 0 ? r : take_fd(&fd);
}

int
stored_symlink(struct share *sh, int dir, const char *name, const char *target, size_t n)
{
    _clean(clean_fd) int fd = path_create(dir, name, O_WRONLY, FILE_MODE);
    int r = fd < 0 ? fd : 0;

    if (r == 0 && pwrite(fd, target, n, 0) != (ssize_t)n) {
        r = -ENOSPC;
        (void)unlinkat(dir, name, 0);
    }
    if (r == 0)
        r = give_or_undo(sh, dir, name, fd, S_IFLNK | 0777, 0);
    return r < 0 ? r : take_fd(&fd);
}

/* Whoever wrote it was no guest of ours if it is nothing that symlink(2) takes. */
int
stored_readlink(int fd, char *target, size_t room)
{
    _clean(clean_fd) int mine = path_reopen(fd, S_IFREG, O_RDONLY);
    ssize_t n;

    if (mine < 0)
        return mine;
    n = pread(mine, target, room, 0);
    if (n < 0)
        return -errno;
    return n == 0 || memchr(target, '\0', (size_t)n) != NULL ? -EIO : (int)n;
}

int
stored_chmod(const struct share *sh, int fd, uint32_t mode)
{
    struct statx st;
    int r = look(sh, fd, &st);

    return r < 0 ? r : set32(fd, KEY_MODE, (st.stx_mode & S_IFMT) | (mode & 07777));
}

int
stored_drop_set_id(const struct share *sh, int fd)
{
    struct statx st;
    int r = look(sh, fd, &st);
    uint32_t mode;

    if (r < 0 || S_ISDIR(st.stx_mode))
        return r;
    mode = st.stx_mode & ~(uint32_t)S_ISUID;
    if ((mode & S_IXGRP) != 0)
        mode &= ~(uint32_t)S_ISGID;
    return mode == st.stx_mode ? 0 : set32(fd, KEY_MODE, mode);
}

int
stored_chown(const struct share *sh, int fd, uint32_t uid, uint32_t gid)
{
    int r = stored_drop_set_id(sh, fd); /* first: nobody is to get more than he had */

    if (r == 0 && uid != ID_NONE)
        r = set32(fd, KEY_UID, uid);
    if (r == 0 && gid != ID_NONE)
        r = set32(fd, KEY_GID, gid);
    return r;
}
