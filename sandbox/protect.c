/*
 * Directories of a share below which nothing can be written: each becomes a
 * read-only mount of itself, in this process's own mount namespace and before
 * its privileges go. The kernel then says EROFS to every write below, EXDEV
 * to a rename or link that would lead in or out, and EBUSY to whoever renames
 * or removes the directory.
 *
 * That leaves the directories above it: renamed, they would take the
 * protected one away with them, still read-only, and another could be made
 * under its name. So they are pinned: a directory that is a mount point
 * anywhere in a mount namespace can be neither renamed nor removed there. The
 * mounts that do so are in a second, read-only clone of the share, "p/s",
 * that nobody can reach; in the share itself nothing lies between such a
 * directory and its neighbours, and renames across it go on as ever.
 *
 * The host renames what it likes: mounts go with their directories.
 *
 * Runs in: helper.   Trusts: the broker's list to be paths of plain names;
 * not that nobody changes the tree meanwhile.
 * Owns: nothing; mounts end with the namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "sandbox/steps.h"

static int
look(int fd, struct statx *ret)
{
    return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, ret) < 0 ? -errno : 0;
}

/* The directory that dir calls name, followed nowhere. */
static int
enter(int dir, const char *name, struct statx *ret)
{
    _clean(clean_fd) int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int r;

    if (fd < 0)
        return -errno;
    r = look(fd, ret);
    if (r < 0)
        return r;
    if (!S_ISDIR(ret->stx_mode))
        return S_ISLNK(ret->stx_mode) ? -ELOOP : -ENOTDIR;
    return take_fd(&fd);
}

/* A read-only mount of a directory upon itself. */
static int
mount_on_itself(int fd)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
    _clean(clean_fd) int mnt =
        open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

    if (mnt < 0)
        return -errno;
    if (mount_setattr(mnt, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return -errno;
    if (move_mount(mnt, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

/* The second clone, behind a directory that nobody may enter. */
static int
make_pins(struct confine *c)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};

    c->pins_mnt = open_tree(c->p->mount_fd, "",
                            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
    if (c->pins_mnt < 0)
        return -errno;
    if (mount_setattr(c->pins_mnt, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return -errno;
    if (move_mount(c->pins_mnt, "", c->root_mnt, "p/s", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

/* A place on the way, in both clones. */
struct way {
    int share, pins; /* owned */
};

static void
clean_way(struct way *w)
{
    clean_fd(&w->share);
    clean_fd(&w->pins);
}

/* One directory further, which is pinned. Somebody may rename meanwhile: then
 * the two clones lead to two directories. */
static int
pin_next(struct way *w, const char *name)
{
    struct statx in_share, in_pins;
    struct way next = {enter(w->share, name, &in_share), enter(w->pins, name, &in_pins)};
    int r = next.share < 0 ? next.share : next.pins < 0 ? next.pins : 0;

    if (r == 0 &&
        (in_share.stx_ino != in_pins.stx_ino || in_share.stx_dev_major != in_pins.stx_dev_major ||
         in_share.stx_dev_minor != in_pins.stx_dev_minor))
        r = -ESTALE;
    /* the root of a mount is a mount point already */
    if (r == 0 && (in_pins.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
        r = mount_on_itself(next.pins);
    clean_way(w);
    *w = next;
    return r;
}

/* The last component: it becomes read-only. */
static int
protect_here(struct confine *c, int dir, const char *name)
{
    struct statx st;
    _clean(clean_fd) int fd = enter(dir, name, &st);

    if (fd < 0)
        return fd;
    c->ret->protects[c->ret->nprotects++].whole = (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    return mount_on_itself(fd);
}

/* Copy the first component of path and return what is behind it. */
static const char *
first_name(const char *path, char name[NAME_BUF])
{
    size_t n = strcspn(path, "/");

    if (n == 0 || n > NAME_LEN_MAX)
        return NULL;
    (void)memcpy(name, path, n);
    name[n] = '\0';
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return NULL;
    return path + n;
}

static int
protect_one(struct confine *c, const char *path)
{
    _clean(clean_way) struct way w = {.share = -1, .pins = -1};
    char name[NAME_BUF];
    const char *rest;
    int r;

    w.share = openat(c->root_mnt, "s", O_PATH | O_DIRECTORY | O_CLOEXEC);
    w.pins = openat(c->root_mnt, "p/s", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w.share < 0 || w.pins < 0)
        return -errno;
    while ((rest = first_name(path, name)) != NULL) {
        if (*rest == '\0')
            return protect_here(c, w.share, name);
        r = pin_next(&w, name);
        if (r < 0)
            return r;
        path = rest + 1;
    }
    return -EINVAL;
}

/* Whether another of the list is above this one, or came before it. */
static bool
is_covered(const struct sandbox_profile *p, size_t i)
{
    for (size_t j = 0; j < p->nprotect; j++) {
        size_t n = strlen(p->protect[j]);

        if (strncmp(p->protect[i], p->protect[j], n) != 0)
            continue;
        if (p->protect[i][n] == '/' || (p->protect[i][n] == '\0' && j < i))
            return true;
    }
    return false;
}

/* Every path of the list that no other covers, until one fails. */
static int
each(struct confine *c, int (*do_it)(struct confine *c, const char *path))
{
    int r = 0;

    c->ret->nprotects = 0;
    for (size_t i = 0; i < c->p->nprotect && r == 0; i++) {
        if (is_covered(c->p, i))
            continue;
        c->ret->path = c->p->protect[i];
        r = do_it(c, c->ret->path);
    }
    if (r == 0)
        c->ret->path = NULL;
    return r;
}

/*
 * A mount below another falls off it when the namespace ends, and a process
 * without any capability can leave a namespace for one of its own. Locked, it
 * stays: so the kernel treats mounts that another user namespace is given a
 * copy of. This runs in such a one, for as long as it takes to make a copy of
 * the copy; the fds are shared.
 */
static int
copy_locked(void *ctx)
{
    int *fd = ctx;

    *fd = open_tree(AT_FDCWD, STAGE "/s", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (*fd < 0)
        *fd = -errno;
    return 0;
}

/* Take the share off and put the copy in its place. */
static int
lock_mounts(struct confine *c)
{
    static _Alignas(16) char stack[64 * 1024];
    _clean(clean_fd) int fd = -1;
    pid_t pid =
        clone(copy_locked, stack + sizeof(stack),
              CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD, &fd);

    if (pid < 0)
        return -errno;
    if (waitpid(pid, NULL, __WALL) < 0)
        return -errno;
    if (fd < 0)
        return fd;
    if (umount2(STAGE "/s", MNT_DETACH) < 0)
        return -errno;
    if (move_mount(fd, "", c->root_mnt, "s", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

/* What became of a path: by which ids its mount is known. */
static int
note_one(struct confine *c, const char *path)
{
    struct protected_mount *m = &c->ret->protects[c->ret->nprotects++];
    _clean(clean_fd) int fd = openat(c->root_mnt, "s", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct statx st;
    char name[NAME_BUF];
    int r = fd < 0 ? -errno : look(fd, &st);

    while (r == 0 && *path != '\0') {
        int next;

        path = first_name(path, name);
        path += *path == '/';
        m->over = st.stx_mnt_id;
        next = enter(fd, name, &st);
        if (next < 0)
            return next;
        clean_fd(&fd);
        fd = next;
    }
    if (r == 0 && (m->over == st.stx_mnt_id || (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0))
        return -ESTALE; /* it was moved under our hands */
    m->id = st.stx_mnt_id;
    return r;
}

int
step_protect(struct confine *c)
{
    int r;

    if (c->p->mount_fd < 0 || c->p->nprotect == 0)
        return 0;
    if (c->p->nprotect > PROTECT_MAX)
        return -E2BIG;
    r = make_pins(c);
    if (r == 0)
        r = each(c, protect_one);
    if (r == 0)
        r = lock_mounts(c);
    return r < 0 ? r : each(c, note_one);
}
