/*
 * Names and opens. One component at a time, never through a symlink, and a
 * real open only of a file that an O_PATH fd pins already.
 *
 * The working directory is a clone of /proc/self/fd (sandbox_confine()), so
 * the name "7" is the file behind fd 7. That is how an O_PATH fd is opened,
 * linked and changed on every kernel since 5.10.
 *
 * Runs in: helper.   Trusts: its callers to have checked names (msg_check).
 * Owns: nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/ops.h"
#include "proxy-helper/path.h"

static const char *
fd_name(char dst[FD_NAME_BUF], int fd)
{
    char *p = &dst[FD_NAME_BUF - 1];

    if (fd < 0)
        bug("path: fd %d has no name", fd);
    *p = '\0';
    do {
        *--p = (char)('0' + fd % 10);
        fd /= 10;
    } while (fd > 0);
    return p;
}

static void
must_be_fd(int dir)
{
    if (dir < 0)
        bug("path: %d is not a directory of the share", dir);
}

int
path_walk(int dir, const char *name)
{
    int fd;

    must_be_fd(dir);
    fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

int
path_pin(int fd)
{
    char buf[FD_NAME_BUF];
    int r;

    r = openat(AT_FDCWD, fd_name(buf, fd), O_PATH | O_CLOEXEC, 0);
    return r < 0 ? -errno : r;
}

int
path_create(int dir, const char *name, int flags, mode_t mode)
{
    int fd;

    must_be_fd(dir);
    fd =
        openat(dir, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
               mode & 01777);
    return fd < 0 ? -errno : fd;
}

int
path_reopen(int fd, mode_t type, int flags)
{
    char buf[FD_NAME_BUF];
    int r;

    if ((flags & O_DIRECTORY) != 0 && !S_ISDIR(type))
        return -ENOTDIR;
    if (S_ISLNK(type))
        return -ELOOP;
    if (!S_ISREG(type) && !S_ISDIR(type))
        return -ENXIO; /* opening a FIFO or a device does things; nobody may */
    if (S_ISDIR(type) && (flags & (O_ACCMODE | O_TRUNC)) != O_RDONLY)
        return -EISDIR;
    r = openat(AT_FDCWD, fd_name(buf, fd), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    return r < 0 ? -errno : r;
}

int
path_stat(int fd, struct statx *ret)
{
    must_be_fd(fd);
    return statx(fd, "", AT_EMPTY_PATH, PATH_STATX_MASK, ret) < 0 ? -errno : 0;
}

int
path_stat_name(int dir, const char *name, struct statx *ret)
{
    must_be_fd(dir);
    return statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, PATH_STATX_MASK, ret) < 0
               ? -errno
               : 0;
}

/* Raw, so that the filter sees the call that is written here: the C library
 * chooses between two calls for chmod and for rename. */
int
path_chmod(int fd, mode_t mode)
{
    char buf[FD_NAME_BUF];

    return syscall(SYS_fchmodat, AT_FDCWD, fd_name(buf, fd), mode) < 0 ? -errno : 0;
}

int
path_chown(int fd, uint32_t uid, uint32_t gid)
{
    must_be_fd(fd);
    return syscall(SYS_fchownat, fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int
path_times(int fd, const struct timespec ts[2])
{
    must_be_fd(fd);
    return syscall(SYS_utimensat, fd, "", ts, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int
path_link(int fd, int dir, const char *name)
{
    char buf[FD_NAME_BUF];

    must_be_fd(dir);
    return linkat(AT_FDCWD, fd_name(buf, fd), dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* By name: the calls that take an fd want an open file, and most nodes have
 * none. The kernel gives sizes of at most 64 KiB. */
int
path_getxattr(int fd, const char *key, void *value, size_t room)
{
    char buf[FD_NAME_BUF];
    ssize_t n = getxattr(fd_name(buf, fd), key, value, room);

    return n < 0 ? -errno : (int)n;
}

int
path_listxattr(int fd, char *list, size_t room)
{
    char buf[FD_NAME_BUF];
    ssize_t n = listxattr(fd_name(buf, fd), list, room);

    return n < 0 ? -errno : (int)n;
}

/* twin: enum xattr_flag in ipc/ops.h */
_Static_assert((int)XATTR_FLAG_CREATE == (int)XATTR_CREATE, "flags of setxattr(2)");
_Static_assert((int)XATTR_FLAG_REPLACE == (int)XATTR_REPLACE, "flags of setxattr(2)");

int
path_setxattr(int fd, const char *key, const void *value, size_t n, unsigned flags)
{
    char buf[FD_NAME_BUF];

    return setxattr(fd_name(buf, fd), key, value, n, (int)flags) < 0 ? -errno : 0;
}

int
path_removexattr(int fd, const char *key)
{
    char buf[FD_NAME_BUF];

    return removexattr(fd_name(buf, fd), key) < 0 ? -errno : 0;
}

int
path_rename(int dir, const char *name, int new_dir, const char *new_name)
{
    must_be_fd(dir);
    must_be_fd(new_dir);
    return syscall(SYS_renameat2, dir, name, new_dir, new_name, 0) < 0 ? -errno : 0;
}

bool
path_same(const struct statx *a, const struct statx *b)
{
    return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
           a->stx_dev_minor == b->stx_dev_minor;
}
