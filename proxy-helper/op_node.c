/*
 * Operations on a node alone: look, walk, forget.
 *
 * Runs in: helper.   Trusts: dispatch for names and access.   Owns: nothing.
 */
#include <errno.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/log.h"
#include "ipc/ops.h"
#include "proxy-helper/attr.h"
#include "proxy-helper/op.h"
#include "proxy-helper/path.h"
#include "proxy-helper/stored.h"

/* The text of a symlink, a real one or stored. */
static ssize_t
read_link(const struct share *sh, int fd, const char *name, char *target, size_t room)
{
    _clean(clean_fd) int below = stored_is(sh) && *name != '\0' ? path_walk(fd, name) : -1;
    int at = below < 0 ? fd : below;
    struct statx st;
    ssize_t n;

    if (stored_is(sh) && path_stat(at, &st) == 0 && S_ISREG(st.stx_mode))
        return stored_readlink(at, target, room);
    n = readlinkat(fd, name, target, room);
    return n < 0 ? -errno : n;
}

/* Where a symlink points: name in the directory fd, or fd itself for "". */
static int
read_target(struct share *sh, int fd, const char *name, ProtobufCBinaryData *ret)
{
    char *target = arena_alloc(&sh->arena, TARGET_LEN_MAX + 1);
    ssize_t len;

    if (target == NULL)
        bug("no room in the arena for a symlink's target");
    len = read_link(sh, fd, name, target, TARGET_LEN_MAX + 1);
    if (len < 0)
        return (int)len;
    if (len > TARGET_LEN_MAX)
        return -ENAMETOOLONG;
    *ret = msg_bytes(target, (size_t)len);
    return 0;
}

int
op_getattr(struct share *sh, const Postern__V1__GetattrReq *req, Postern__V1__GetattrRep *rep)
{
    struct node *n;
    struct file *f;
    int r;

    if (req->has_file) {
        r = file_get(&sh->files, req->file, &f);
        if (r < 0)
            return r;
        return f->node == req->node ? attr_of(sh, f->fd, &rep->attr) : -EBADF;
    }
    r = node_use(&sh->nodes, req->node, &n);
    if (r < 0)
        return r;
    if (req->target != 0 && S_ISLNK(attr_type(sh, r, n)))
        rep->has_target = read_target(sh, r, "", &rep->target) == 0;
    return attr_of(sh, r, &rep->attr);
}

int
op_stat(struct share *sh, const Postern__V1__StatReq *req, Postern__V1__StatRep *rep)
{
    char name[NAME_BUF];
    struct node *dir;
    struct statx st;
    int fd = node_use(&sh->nodes, req->dir, &dir), r;

    if (fd < 0)
        return fd;
    name_copy(name, &req->name);
    r = attr_look_name(sh, fd, name, &st);
    if (r < 0)
        return r;
    r = mounts_enter(&sh->mounts, &st);
    if (r < 0)
        return r;
    rep->attr = attr_new(sh, &st);
    if (S_ISLNK(st.stx_mode))
        rep->has_target = read_target(sh, fd, name, &rep->target) == 0;
    return 0;
}

/* The names of a walk, in order; a gap between them is a violation. */
static size_t
walk_names(const Postern__V1__WalkReq *req, const ProtobufCBinaryData *names[WALK_MAX])
{
#define NAME(n)                                                                                    \
    {                                                                                              \
        req->has_name##n != 0, &req->name##n                                                       \
    }
    const struct {
        bool has;
        const ProtobufCBinaryData *name;
    } all[WALK_MAX] = {NAME(1),  NAME(2),  NAME(3),  NAME(4),  NAME(5),  NAME(6),
                       NAME(7),  NAME(8),  NAME(9),  NAME(10), NAME(11), NAME(12),
                       NAME(13), NAME(14), NAME(15), NAME(16)};
#undef NAME
    size_t n = 0;

    for (size_t i = 0; i < WALK_MAX; i++) {
        if (all[i].has && n != i)
            violation("worker sent a walk with a gap before name %zu", i + 1);
        if (all[i].has)
            names[n++] = all[i].name;
    }
    return n;
}

/* By opening it: what is opened is what is described and kept. */
static int
walk_open(struct share *sh, struct node *dir, int dir_fd, const char *name, struct statx *st,
          struct node **ret)
{
    _clean(clean_fd) int fd = path_walk(dir_fd, name);
    int r;

    if (fd < 0)
        return fd;
    r = path_stat(fd, st);
    if (r == 0)
        r = mounts_enter(&sh->mounts, st);
    if (r == 0)
        r = node_add(&sh->nodes, dir, name, &fd, st, ret);
    if (r == 0)
        dir->revisited = fd >= 0; /* not taken over: the node had its own */
    return r;
}

/*
 * Without opening it, where it is a node that has its fd: one call instead of
 * three. Tried where the last name was one, so that a tree walked for the first
 * time costs no more. What the name means may change at any time, as it may
 * after an open: node_again() gives the file that was described, and its mount
 * was entered when it became a node. Of anything else what was seen is not
 * used: that is opened. *ret NULL then.
 */
static int
walk_again(struct share *sh, struct node *dir, int dir_fd, const char *name, struct statx *st,
           struct node **ret)
{
    int r;

    *ret = NULL;
    if (!dir->revisited)
        return 0;
    r = path_stat_name(dir_fd, name, st);
    if (r == 0)
        *ret = node_again(&sh->nodes, dir, name, st);
    return r;
}

/* One component: from a node that the caller holds a reference to, to the
 * next with a reference of its own. */
static int
walk_one(struct share *sh, struct node *dir, const ProtobufCBinaryData *component, struct statx *st,
         struct node **ret)
{
    char name[NAME_BUF];
    int fd, r;

    if (!S_ISDIR(dir->type))
        return -ENOTDIR;
    fd = node_fd(&sh->nodes, dir);
    if (fd < 0)
        return fd;
    name_copy(name, component);
    if (!names_show(&sh->names, node_is_root(&sh->nodes, dir), name))
        return -ENOENT;
    r = walk_again(sh, dir, fd, name, st, ret);
    if (r == 0 && *ret == NULL)
        r = walk_open(sh, dir, fd, name, st, ret);
    if (r == 0)
        stored_show(sh, (*ret)->fd, st);
    return r;
}

int
op_walk(struct share *sh, const Postern__V1__WalkReq *req, Postern__V1__WalkRep *rep)
{
    const ProtobufCBinaryData *names[WALK_MAX];
    size_t want = walk_names(req, names);
    struct walk_step *steps = arena_alloc(&sh->arena, sizeof(*steps) * WALK_MAX);
    struct node *at, *next;
    struct statx st;
    int r = node_use(&sh->nodes, req->node, &at);

    if (steps == NULL)
        bug("no room in the arena for the steps of a walk");
    if (r < 0)
        return r;
    r = want == 0 ? attr_look(sh, r, &st) : 0;
    node_ref(at);
    for (; r == 0 && rep->done < want; rep->done += r == 0) {
        r = walk_one(sh, at, names[rep->done], &st, &next);
        if (r < 0)
            continue;
        steps[rep->done] = (struct walk_step){.ino = mounts_ino_of(&sh->mounts, &st),
                                              .mode = st.stx_mode,
                                              .version = attr_version(&st)};
        (void)node_unref(&sh->nodes, at, 1); /* its child keeps it from here on */
        at = next;
    }
    rep->steps = msg_bytes(steps, sizeof(*steps) * rep->done);
    if (r < 0) {
        (void)node_unref(&sh->nodes, at, 1);
        return rep->done == 0 ? r : 0; /* a part of the way is an answer too */
    }
    rep->has_node = true;
    rep->node = node_id(&sh->nodes, at);
    rep->has_attr = true;
    rep->attr = attr_new(sh, &st);
    return 0;
}

int
op_parent(struct share *sh, const Postern__V1__ParentReq *req, Postern__V1__ParentRep *rep)
{
    struct node *n, *parent;
    int r = node_get(&sh->nodes, req->node, &n);

    if (r < 0)
        return r;
    parent = node_parent(&sh->nodes, n); /* the root's is the root: nobody climbs out */
    r = node_fd(&sh->nodes, parent);
    if (r < 0)
        return r;
    r = attr_of(sh, r, &rep->attr);
    if (r < 0)
        return r;
    if (!node_is_root(&sh->nodes, parent)) {
        const char *name = node_name(&sh->nodes, parent);

        rep->has_name = true;
        rep->name = msg_bytes(name, strlen(name));
    }
    node_ref(parent);
    rep->node = node_id(&sh->nodes, parent);
    return 0;
}

int
op_forget(struct share *sh, const Postern__V1__ForgetReq *req, Postern__V1__ForgetRep *rep)
{
    struct node *n;
    int r = node_get(&sh->nodes, req->node, &n);

    (void)rep;
    if (r < 0)
        return r;
    if (!node_unref(&sh->nodes, n, req->count))
        violation("worker gave back %u references of a node that has fewer", req->count);
    return 0;
}

int
op_readlink(struct share *sh, const Postern__V1__ReadlinkReq *req, Postern__V1__ReadlinkRep *rep)
{
    struct node *n;
    int r = node_use(&sh->nodes, req->node, &n);

    if (r < 0)
        return r;
    return S_ISLNK(attr_type(sh, r, n)) ? read_target(sh, r, "", &rep->target) : -EINVAL;
}

int
op_statfs(struct share *sh, const Postern__V1__StatfsReq *req, Postern__V1__StatfsRep *rep)
{
    struct statfs st;
    struct node *n;
    int r = node_use(&sh->nodes, req->node, &n);

    if (r < 0)
        return r;
    if (fstatfs(r, &st) < 0)
        return -errno;
    rep->type = (uint32_t)st.f_type;
    rep->bsize = (uint32_t)st.f_bsize;
    rep->blocks = st.f_blocks;
    rep->bfree = st.f_bfree;
    rep->bavail = st.f_bavail;
    rep->files = st.f_files;
    rep->ffree = st.f_ffree;
    (void)memcpy(&rep->fsid, &st.f_fsid, sizeof(rep->fsid));
    rep->namelen = (uint32_t)st.f_namelen;
    return 0;
}
