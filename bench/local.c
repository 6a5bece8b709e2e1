/*
 * The same work without a server: the floor below every one of them.
 *
 * Runs in: bench.   Trusts: the directory.   Owns: nothing beyond a call but
 * the fds of its files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "bench/bench.h"

static struct {
    int small, big, tagged;
} files;
static char buf[1u << 20];

/* A file of that name with so many bytes. */
static int
make(int dir, const char *name, size_t n)
{
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    for (size_t at = 0; fd >= 0 && at < n; at += sizeof(buf) < n ? sizeof(buf) : n)
        if (pwrite(fd, buf, sizeof(buf) < n ? sizeof(buf) : n, (off_t)at) < 0)
            return -errno;
    return fd < 0 ? -errno : fd;
}

static int
make_many(int dir)
{
    int many = mkdirat(dir, "many", 0755) < 0 ? -1 : openat(dir, "many", O_PATH | O_CLOEXEC);

    for (unsigned i = 0; many >= 0 && i < MANY; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "entry-%u", i);
        if (symlinkat("x", many, name) < 0)
            return -errno;
    }
    return many < 0 ? -errno : close(many);
}

int
local_open(const char *path)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), at = dir;

    for (unsigned i = 0; i < 8 && at >= 0; i++) {
        (void)mkdirat(at, "d", 0755);
        at = openat(at, "d", O_PATH | O_CLOEXEC);
    }
    if (dir < 0 || at < 0 || make_many(dir) < 0)
        return -errno;
    files.small = make(dir, "small", SMALL);
    files.big = make(dir, "big", (size_t)FILE_MIB << 20);
    files.tagged = make(dir, "tagged", 0);
    (void)fsetxattr(files.tagged, "user.tag", "value", 5, 0);
    return files.small < 0 || files.big < 0 || files.tagged < 0 ? -EIO : dir;
}

int
local_getattr(int dir, uint64_t number)
{
    struct statx st;

    (void)dir;
    (void)number;
    return statx(files.small, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st);
}

int
local_read(int dir, uint64_t number)
{
    const off_t at = (off_t)(number * 2654435761u % (FILE_MIB * 256u) * SMALL);

    (void)dir;
    return pread(files.big, buf, SMALL, at) < 0 ? -1 : 0;
}

int
local_write(int dir, uint64_t number)
{
    const off_t at = (off_t)(number * 2654435761u % 4096u * SMALL);

    (void)dir;
    return pwrite(files.big, buf, SMALL, at) < 0 ? -1 : 0;
}

int
local_fsync(int dir, uint64_t number)
{
    return local_write(dir, number) < 0 ? -1 : fdatasync(files.big);
}

static int
found(int fd)
{
    return fd < 0 ? -1 : close(fd);
}

int
local_walk1(int dir, uint64_t number)
{
    (void)number;
    return found(openat(dir, "small", O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

int
local_walk8(int dir, uint64_t number)
{
    int at = dir;

    (void)number;
    for (unsigned i = 0; i < 8 && at >= 0; i++) {
        int next = openat(at, "d", O_PATH | O_NOFOLLOW | O_CLOEXEC);

        if (at != dir)
            close(at);
        at = next;
    }
    return found(at);
}

int
local_openclose(int dir, uint64_t number)
{
    (void)number;
    return found(openat(dir, "small", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
}

int
local_create(int dir, uint64_t number)
{
    int fd = openat(dir, "new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    (void)number;
    if (fd < 0 || pwrite(fd, buf, SMALL, 0) < 0 || close(fd) < 0)
        return -1;
    return unlinkat(dir, "new", 0);
}

int
local_symlink(int dir, uint64_t number)
{
    (void)number;
    if (symlinkat("where/it/points", dir, "link") < 0 || readlinkat(dir, "link", buf, 64) < 0)
        return -1;
    return unlinkat(dir, "link", 0);
}

int
local_statfs(int dir, uint64_t number)
{
    struct statfs st;

    (void)number;
    return fstatfs(dir, &st);
}

int
local_xattr(int dir, uint64_t number)
{
    (void)dir;
    (void)number;
    return fgetxattr(files.tagged, "user.tag", buf, 64) < 0 ? -1 : 0;
}

int
local_lock(int dir, uint64_t number)
{
    struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};

    (void)dir;
    (void)number;
    if (fcntl(files.big, F_OFD_SETLK, &f) < 0)
        return -1;
    f.l_type = F_UNLCK;
    return fcntl(files.big, F_OFD_SETLK, &f);
}

int
local_readdir(int dir, uint64_t number)
{
    int fd = openat(dir, "many", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t n = -1;

    (void)number;
    while (fd >= 0 && (n = getdents64(fd, buf, 65536)) > 0)
        ;
    return fd < 0 || close(fd) < 0 ? -1 : (int)n;
}
