/*
 * The empty root: a read-only tmpfs of a few directories, with the share and
 * the process's own fds below it, and nothing else of the host.
 *
 * Runs in: worker, helper, in a mount namespace of their own.
 * Trusts: the broker's mount fd to be the share; checks its flags.
 * Owns: the mounts it makes; the namespace's end is theirs.
 *
 * The share is attached here, before capabilities go: a mount that is only
 * held by an fd and attached nowhere can be made writable again by a process
 * without any capability, through a user namespace of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "sandbox/steps.h"

#define ST_FLAGS_SHARE (0x2 | 0x4 | 0x8 | 0x2000) /* nosuid, nodev, noexec, nosymfollow */
#define ST_FLAG_RDONLY 0x1

int
step_private_mounts(struct confine *c)
{
    (void)c;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    return 0;
}

/*
 * A clone of /proc/self/fd is how a path of one number names an open file on
 * every kernel, with no proc to be seen. It is bound to this process: a fork
 * of ours could not use it.
 */
int
step_fd_directory(struct confine *c)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                          MOUNT_ATTR_NOEXEC,
                              .propagation = MS_PRIVATE};

    c->self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (c->self < 0)
        return -errno;
    if (c->p->mount_fd < 0)
        return 0;
    c->fds_mnt = open_tree(c->self, "fd", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (c->fds_mnt < 0)
        return -errno;
    if (mount_setattr(c->fds_mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return -errno;
    return 0;
}

/* A tmpfs that has room for its directories and nothing more. */
static int
empty_tmpfs(int *ret_mnt)
{
    static const char *const options[][2] = {{"size", "4k"}, {"nr_inodes", "6"}, {"mode", "0700"}};
    _clean(clean_fd) int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

    if (fs < 0)
        return -errno;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (fsconfig(fs, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) < 0)
            return -errno;
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    *ret_mnt =
        fsmount(fs, FSMOUNT_CLOEXEC,
                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW);
    return *ret_mnt < 0 ? -errno : 0;
}

int
step_new_root(struct confine *c)
{
    int r = empty_tmpfs(&c->root_mnt);

    if (r < 0)
        return r;
    if (move_mount(c->root_mnt, "", AT_FDCWD, STAGE, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -errno;
    if (c->p->mount_fd >= 0 &&
        (mkdirat(c->root_mnt, "s", 0) < 0 || mkdirat(c->root_mnt, "fd", 0) < 0))
        return -errno;
    if (c->p->nprotect > 0 &&
        (mkdirat(c->root_mnt, "p", 0700) < 0 || mkdirat(c->root_mnt, "p/s", 0) < 0 ||
         fchmodat(c->root_mnt, "p", 0, 0) < 0))
        return -errno; /* for protect.c; nobody enters "p" */
    /* to be passed through, and not looked at */
    if (fchmodat(c->root_mnt, ".", 0111, 0) < 0)
        return -errno;
    return 0;
}

int
step_attach_share(struct confine *c)
{
    if (c->p->mount_fd < 0)
        return 0;
    if (move_mount(c->p->mount_fd, "", c->root_mnt, "s", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -errno;
    if (move_mount(c->fds_mnt, "", c->root_mnt, "fd", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

int
step_pivot(struct confine *c)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    if (fchdir(c->root_mnt) < 0)
        return -errno;
    /* the old root lands on top of the new one, and is taken off again */
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return -errno;
    if (umount2(".", MNT_DETACH) < 0)
        return -errno;
    if (mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0)
        return -errno;
    if (chdir(c->p->mount_fd < 0 ? "/" : "/fd") < 0)
        return -errno;
    return 0;
}

/* Whether the word is one of those in a comma-separated list. */
static bool
has_option(const char *options, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = options; p != NULL; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    }
    return false;
}

/* A mount of protect.c. */
static bool
is_protect(const struct confine *c, uint64_t id, const char *point)
{
    for (size_t i = 0; i < c->ret->nprotects; i++)
        if (c->ret->protects[i].id == id)
            return true;
    return c->pins_mnt >= 0 && (strcmp(point, "/p/s") == 0 || strncmp(point, "/p/s/", 5) == 0);
}

/* A mount that this process can reach: our own, or of the share and as tight
 * as the share has to be. */
static bool
mount_is_right(const struct confine *c, uint64_t id, const char *point, const char *options)
{
    static const char *const wanted[] = {"nosuid", "nodev", "noexec", "nosymfollow"};
    bool protect = is_protect(c, id, point);

    if (strcmp(point, "/") == 0)
        return true;
    if (c->p->mount_fd < 0)
        return false;
    if (strcmp(point, "/fd") == 0)
        return true;
    if (!protect && strcmp(point, "/s") != 0 && (!c->p->submounts || strncmp(point, "/s/", 3) != 0))
        return false;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (!has_option(options, wanted[i]))
            return false;
    if (protect)
        return has_option(options, "ro");
    return !c->p->read_only || has_option(options, "ro") || SKIPPED(LAYER_SHARE_READ_ONLY);
}

/* Every mount that this process can reach now. */
static int
mounts_are_right(struct confine *c)
{
    _clean(clean_fd) int fd = openat(c->self, "mountinfo", O_RDONLY | O_CLOEXEC);
    _clean(clean_free) char *line = NULL;
    size_t room = 0;
    int r = 0;
    FILE *f;

    f = fd < 0 ? NULL : fdopen(fd, "r");
    if (f == NULL)
        return -errno;
    (void)take_fd(&fd);
    while (r == 0 && getline(&line, &room, f) > 0) {
        char *point = NULL, *options = NULL, *rest;
        uint64_t id = strtoull(line, &rest, 10);

        if (sscanf(rest, " %*s %*s %*s %ms %ms", &point, &options) != 2)
            r = -EIO;
        else if (!mount_is_right(c, id, point, options))
            r = -EPERM;
        free(point);
        free(options);
    }
    if (ferror(f) != 0)
        r = -EIO;
    (void)fclose(f);
    return r;
}

static int
share_root(struct confine *c)
{
    struct statfs st;

    c->ret->root_fd = open("/s", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c->ret->root_fd < 0)
        return -errno;
    if (fstatfs(c->ret->root_fd, &st) < 0)
        return -errno;
    if ((st.f_flags & ST_FLAGS_SHARE) != ST_FLAGS_SHARE)
        return -EPERM;
    if ((st.f_flags & ST_FLAG_RDONLY) != 0)
        c->ret->layers |= LAYER_SHARE_READ_ONLY;
    else if (c->p->read_only && !SKIPPED(LAYER_SHARE_READ_ONLY))
        return -EPERM;
    return 0;
}

/* Believe the kernel, not the code above: exactly our mounts, with the
 * share's flags on them. */
int
step_check_mounts(struct confine *c)
{
    int r = mounts_are_right(c);

    if (r < 0)
        return r;
    return c->p->mount_fd < 0 ? 0 : share_root(c);
}
