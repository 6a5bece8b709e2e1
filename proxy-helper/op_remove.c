/*
 * Names that go or change: unlink, remove, rename.
 *
 * A node outlives its name: before a name goes, the node that it leads to is
 * made to hold its fd.
 *
 * Runs in: helper.   Trusts: dispatch for names and access.   Owns: nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "proxy-helper/attr.h"
#include "proxy-helper/op.h"
#include "proxy-helper/path.h"

/* A name in a directory, with what it leads to before something happens. */
struct place {
    struct node *dir;
    int fd;              /* borrowed from dir */
    const char *name;    /* borrowed */
    struct node *doomed; /* the node there, or NULL; holds its fd */
    uint32_t nlink;      /* of what is there */
};

/* Look what is at a place. Nothing there is fine. */
static void
place_look(struct share *sh, struct place *p)
{
    struct statx st;

    p->doomed = NULL;
    if (path_stat_name(p->fd, p->name, &st) < 0)
        return;
    p->nlink = st.stx_nlink;
    p->doomed = node_find(&sh->nodes, &st);
    if (p->doomed != NULL)
        (void)node_fd(&sh->nodes, p->doomed);
}

static void
place_gone(struct share *sh, const struct place *p)
{
    if (p->doomed != NULL)
        node_unlinked(&sh->nodes, p->doomed, p->dir, p->name, p->nlink);
}

/* After a look. */
static int
remove_at(struct share *sh, const struct place *p, bool directory)
{
    if (unlinkat(p->fd, p->name, directory ? AT_REMOVEDIR : 0) < 0)
        return -errno;
    place_gone(sh, p);
    return 0;
}

static int
rename_at(struct share *sh, const struct place *from, struct place *to)
{
    struct node *moved;
    struct statx st;
    int r;

    place_look(sh, to);
    r = path_rename(from->fd, from->name, to->fd, to->name);
    if (r < 0)
        return r;
    moved = path_stat_name(to->fd, to->name, &st) == 0 ? node_find(&sh->nodes, &st) : NULL;
    if (to->doomed != moved)
        place_gone(sh, to);
    if (moved != NULL)
        node_moved(&sh->nodes, moved, to->dir, to->name);
    return 0;
}

/* Where a node was last known to be, if it still is there, which is a look. The
 * root cannot be moved or removed: for the guest it is a mount point. */
static int
place_of(struct share *sh, uint64_t id, char name[NAME_BUF], struct place *ret)
{
    struct statx st;
    struct node *n;
    int r = node_use(&sh->nodes, id, &n);

    if (r < 0)
        return r;
    if (node_is_root(&sh->nodes, n))
        return -EBUSY;
    (void)memcpy(name, node_name(&sh->nodes, n), NAME_BUF); /* a copy: renaming changes it */
    *ret = (struct place){.dir = node_parent(&sh->nodes, n), .name = name};
    ret->fd = node_fd(&sh->nodes, ret->dir);
    if (ret->fd < 0)
        return ret->fd;
    r = path_stat_name(ret->fd, name, &st);
    if (r < 0)
        return r;
    if (!node_is(n, &st))
        return -ENOENT;
    ret->doomed = n;
    ret->nlink = st.stx_nlink;
    return 0;
}

int
op_unlink(struct share *sh, const Postern__V1__UnlinkReq *req, Postern__V1__UnlinkRep *rep)
{
    struct place p = {0};
    char name[NAME_BUF];

    (void)rep;
    p.fd = node_use(&sh->nodes, req->dir, &p.dir);
    if (p.fd < 0)
        return p.fd;
    name_copy(name, &req->name);
    p.name = name;
    place_look(sh, &p);
    return remove_at(sh, &p, req->directory != 0);
}

int
op_remove(struct share *sh, const Postern__V1__RemoveReq *req, Postern__V1__RemoveRep *rep)
{
    char name[NAME_BUF];
    struct place p;
    int r = place_of(sh, req->node, name, &p);

    (void)rep;
    return r < 0 ? r : remove_at(sh, &p, S_ISDIR(p.doomed->type));
}

int
op_rename(struct share *sh, const Postern__V1__RenameReq *req, Postern__V1__RenameRep *rep)
{
    char name[NAME_BUF], new_name[NAME_BUF];
    struct place from = {.name = name}, to = {.name = new_name};

    (void)rep;
    from.fd = node_use(&sh->nodes, req->dir, &from.dir);
    if (from.fd < 0)
        return from.fd;
    to.fd = node_use(&sh->nodes, req->new_dir, &to.dir);
    if (to.fd < 0)
        return to.fd;
    name_copy(name, &req->name);
    name_copy(new_name, &req->new_name);
    return rename_at(sh, &from, &to);
}

int
op_rename_node(struct share *sh, const Postern__V1__RenameNodeReq *req,
               Postern__V1__RenameNodeRep *rep)
{
    char name[NAME_BUF], new_name[NAME_BUF];
    struct place from, to = {.name = new_name};
    int r = place_of(sh, req->node, name, &from);

    (void)rep;
    if (r < 0)
        return r;
    to.fd = node_use(&sh->nodes, req->new_dir, &to.dir);
    if (to.fd < 0)
        return to.fd;
    name_copy(new_name, &req->new_name);
    return rename_at(sh, &from, &to);
}
