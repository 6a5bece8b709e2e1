/*
 * From a path of the policy to the mount that a helper gets.
 *
 * Runs in: broker.   Trusts: the policy's path to be what its author meant,
 * but not that its directories still are: each is looked at as it is passed.
 * Owns: nothing; fds go to the caller.
 */
#include "sandbox/share_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "sandbox/idmap.h"

#define POINTS_MAX 4096u /* mounts below one share that are looked at */

/* File systems that are the kernel's own face, not somebody's files. */
static const unsigned long kernel_fs[] = {
    0x9fa0,     /* proc */
    0x62656572, /* sysfs */
    0x62656570, /* configfs */
    0x27e0eb,   /* cgroup */
    0x63677270, /* cgroup2 */
    0x1cd1,     /* devpts */
    0x64626720, /* debugfs */
    0x74726163, /* tracefs */
    0x73636673, /* securityfs */
    0xcafe4a11, /* bpf */
    0x6165676c, /* pstore */
    0xde5e81e4, /* efivarfs */
    0xf97cff8c, /* selinuxfs */
    0x43415d53, /* smackfs */
    0x42494e4d, /* binfmt_misc */
    0x19800202, /* mqueue */
    0x6e736673, /* nsfs */
    0x65735543, /* fusectl */
    0x0187,     /* autofs */
    0x67596969, /* rpc_pipefs */
};

static int
check_fs(int fd)
{
    struct statfs st;

    if (fstatfs(fd, &st) < 0)
        return -errno;
    for (size_t i = 0; i < sizeof(kernel_fs) / sizeof(kernel_fs[0]); i++)
        if ((unsigned long)st.f_type == kernel_fs[i])
            return -EXDEV;
    return 0;
}

/*
 * A directory on the way: whoever may write there may put another in the
 * place of the next one, unless it is sticky. A group with the number of the
 * owner is the owner's private one.
 */
static int
check_way(const struct stat *st)
{
    if ((st->st_mode & S_ISVTX) != 0)
        return 0;
    if ((st->st_mode & S_IWOTH) != 0)
        return -EPERM;
    if ((st->st_mode & S_IWGRP) != 0 && st->st_gid != st->st_uid)
        return -EPERM;
    return 0;
}

/* Open one component below dir and close dir. The new fd or -errno. */
static int
step_into(int dir, const char *name, struct stat *st)
{
    _clean(clean_fd) int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fstat(fd, st) < 0)
        return -errno;
    if (S_ISLNK(st->st_mode))
        return -ELOOP;
    if (!S_ISDIR(st->st_mode))
        return -ENOTDIR;
    return take_fd(&fd);
}

/* Copy the component at *at into name and move *at past it and its slashes.
 * 1: there was one; 0: the end; -errno. */
static int
next_name(const char **at, char name[NAME_MAX + 1])
{
    size_t n;

    *at += strspn(*at, "/");
    n = strcspn(*at, "/");
    if (n == 0)
        return 0;
    if (n > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, *at, n);
    name[n] = '\0';
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    *at += n;
    return 1;
}

static int
walk(const char *path, struct stat *st, size_t *ret_at)
{
    _clean(clean_fd) int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char name[NAME_MAX + 1];
    const char *at = path;
    int r, fd;

    if (dir < 0)
        return -errno;
    if (fstat(dir, st) < 0)
        return -errno;
    for (;;) {
        *ret_at = (size_t)(at - path);
        r = next_name(&at, name);
        if (r < 0)
            return r;
        if (r == 0)
            return take_fd(&dir);
        r = check_way(st);
        if (r < 0)
            return r;
        fd = step_into(dir, name, st);
        if (fd < 0)
            return fd;
        clean_fd(&dir);
        dir = fd;
    }
}

/* Undo the \ooo of mountinfo in place. */
static void
unescape(char *s)
{
    char *to = s;

    while (*s != '\0') {
        if (s[0] == '\\' && s[1] != '\0' && s[2] != '\0' && s[3] != '\0') {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 4;
        } else {
            *to++ = *s++;
        }
    }
    *to = '\0';
}

/* The same path with single slashes and none at the end; "" for the root. */
static void
squeeze(char *dst, const char *path)
{
    for (; *path != '\0'; path++)
        if (*path != '/' || (path[1] != '/' && path[1] != '\0'))
            *dst++ = *path;
    *dst = '\0';
}

/* Paths of mounts relative to a share's root, from mountinfo. */
struct points {
    char **at; /* owned, each too */
    size_t n;
};

static void
points_done(struct points *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->at[i]);
    free(p->at);
}

static int
points_add(struct points *p, const char *relative)
{
    char **at;

    if (p->n == POINTS_MAX)
        return -E2BIG;
    at = reallocarray(p->at, p->n + 1, sizeof(*at));
    if (at == NULL)
        return -ENOMEM;
    p->at = at;
    at[p->n] = strdup(relative);
    return at[p->n] == NULL ? -ENOMEM : (p->n++, 0);
}

static int
points_read(FILE *f, const char *root, struct points *ret)
{
    _clean(clean_free) char *line = NULL;
    size_t len = strlen(root), room = 0;
    int r = 0;

    while (r == 0 && getline(&line, &room, f) > 0) {
        char *point = NULL;

        if (sscanf(line, "%*s %*s %*s %*s %ms", &point) != 1) {
            r = -EIO;
        } else {
            unescape(point);
            if (strncmp(point, root, len) == 0 && point[len] == '/' && point[len + 1] != '\0')
                r = points_add(ret, point + len + 1);
        }
        free(point);
    }
    return ferror(f) != 0 ? -EIO : r;
}

/* All mounts below a path. The caller ends *ret, also on failure. */
static int
points_below(const char *path, struct points *ret)
{
    _clean(clean_free) char *root = malloc(strlen(path) + 1);
    FILE *f;
    int r;

    if (root == NULL)
        return -ENOMEM;
    squeeze(root, path);
    f = fopen("/proc/self/mountinfo", "re");
    if (f == NULL)
        return -errno;
    r = points_read(f, root, ret);
    (void)fclose(f);
    return r;
}

/*
 * A mount below would come along in the clone, and without it what it covers
 * would show: neither is what the policy says.
 */
static int
check_below(const char *path)
{
    _clean(points_done) struct points p = {0};
    int r = points_below(path, &p);

    if (r == 0 && p.n > 0)
        return -EBUSY;
    return r;
}

int
share_root_open(const char *path, enum share_submounts below, struct stat *ret_st, size_t *ret_at)
{
    _clean(clean_fd) int fd = -1;
    struct stat st;
    int r;

    *ret_at = 0;
    if (path[0] != '/')
        return -EINVAL;
    fd = walk(path, &st, ret_at);
    if (fd < 0)
        return take_fd(&fd);
    r = check_fs(fd);
    if (r == 0 && below == SUBMOUNTS_REFUSE)
        r = check_below(path);
    if (r < 0)
        return r;
    *ret_st = st;
    return take_fd(&fd);
}

static int
by_path(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A number that is free, from the path alone if it can be. */
static uint32_t
number_of(const char *path, uint8_t taken[SUBMOUNT_NUMBER_MAX + 1])
{
    uint32_t h = 2166136261u, v;

    for (const char *c = path; *c != '\0'; c++)
        h = (h ^ (unsigned char)*c) * 16777619u;
    v = (h ^ h >> 15) % SUBMOUNT_NUMBER_MAX + 1;
    while (taken[v] != 0)
        v = v % SUBMOUNT_NUMBER_MAX + 1;
    taken[v] = 1;
    return v;
}

/* The root of what is mounted there, seen as a guest would come to it. */
static bool
submount_look(int root_fd, const char *path, struct submount *ret)
{
    struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    _clean(clean_fd) int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || check_fs(fd) < 0)
        return false;
    ret->dev = st.st_dev;
    ret->ino = st.st_ino;
    return true;
}

int
share_submounts(const char *path, int root_fd, struct submounts *ret)
{
    _clean(points_done) struct points p = {0};
    uint8_t taken[SUBMOUNT_NUMBER_MAX + 1] = {0};
    int r = points_below(path, &p);

    *ret = (struct submounts){.any = p.n > 0};
    if (r < 0 || p.n == 0)
        return r;
    qsort(p.at, p.n, sizeof(*p.at), by_path);
    for (size_t i = 0; i < p.n; i++) {
        struct submount m;

        if (i > 0 && strcmp(p.at[i], p.at[i - 1]) == 0)
            continue; /* one upon the other */
        m.number = number_of(p.at[i], taken);
        if (!submount_look(root_fd, p.at[i], &m))
            continue;
        if (ret->n == SUBMOUNTS_MAX)
            return -E2BIG;
        ret->at[ret->n++] = m;
    }
    return 0;
}

static int
set_idmap(int mnt, const struct share_mount *m)
{
    _clean(clean_fd) int ns = idmap_userns(m->disk_uid, m->uid, m->disk_gid, m->gid);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};

    if (ns < 0)
        return ns;
    attr.userns_fd = (unsigned)ns;
    if (mount_setattr(mnt, "", AT_EMPTY_PATH | (m->idmap_top ? 0u : AT_RECURSIVE), &attr,
                      sizeof(attr)) == 0)
        return 0;
    /* what the kernel calls invalid here is the kind of file system */
    return errno == EINVAL ? -EOPNOTSUPP : -errno;
}

int
share_mount_clone(int root_fd, const struct share_mount *m)
{
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                    MOUNT_ATTR_NOSYMFOLLOW | (m->read_only ? MOUNT_ATTR_RDONLY : 0),
        .propagation = MS_PRIVATE,
    };
    _clean(clean_fd) int mnt = -1;

    mnt =
        open_tree(root_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
    if (mnt < 0)
        return -errno;
    if (mount_setattr(mnt, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return -errno;
    if (m->idmap) {
        int r = set_idmap(mnt, m);

        if (r < 0)
            return r;
    }
    return take_fd(&mnt);
}
