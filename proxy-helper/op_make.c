/*
 * New names: mkdir, symlink, link, mknod.
 *
 * Runs in: helper.   Trusts: dispatch for names and access.   Owns: nothing.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "proxy-helper/attr.h"
#include "proxy-helper/op.h"
#include "proxy-helper/path.h"
#include "proxy-helper/stored.h"

/* The attributes of what dir now calls name. */
static int
made(struct share *sh, int dir, const char *name, ProtobufCBinaryData *ret)
{
    struct statx st;
    int r = attr_look_name(sh, dir, name, &st);

    if (r < 0)
        return r;
    *ret = attr_new(sh, &st);
    return 0;
}

/* The same of what stored_*() made, or why it did not. */
static int
made_stored(struct share *sh, int fd, ProtobufCBinaryData *ret)
{
    _clean(clean_fd) int mine = fd;

    return fd < 0 ? take_fd(&mine) : attr_of(sh, fd, ret);
}

int
op_mkdir(struct share *sh, const Postern__V1__MkdirReq *req, Postern__V1__MkdirRep *rep)
{
    char name[NAME_BUF];
    struct node *n;
    int dir = node_use(&sh->nodes, req->dir, &n);

    if (dir < 0)
        return dir;
    name_copy(name, &req->name);
    if (stored_is(sh))
        return made_stored(sh, stored_mkdir(sh, dir, name, req->mode), &rep->attr);
    if (mkdirat(dir, name, req->mode & 01777) < 0)
        return -errno;
    return made(sh, dir, name, &rep->attr);
}

/* Stored as it is: only the guest, or a program of the host, will follow it. */
int
op_symlink(struct share *sh, const Postern__V1__SymlinkReq *req, Postern__V1__SymlinkRep *rep)
{
    char target[TARGET_LEN_MAX + 1];
    char name[NAME_BUF];
    struct node *n;
    int dir = node_use(&sh->nodes, req->dir, &n);

    if (dir < 0)
        return dir;
    if (req->target.len > TARGET_LEN_MAX)
        return -ENAMETOOLONG;
    if (req->target.len == 0)
        return -ENOENT;
    if (memchr(req->target.data, '\0', req->target.len) != NULL)
        return -EINVAL;
    (void)memcpy(target, req->target.data, req->target.len);
    target[req->target.len] = '\0';
    name_copy(name, &req->name);
    if (stored_is(sh))
        return made_stored(sh, stored_symlink(sh, dir, name, target, req->target.len), &rep->attr);
    if (symlinkat(target, dir, name) < 0)
        return -errno;
    return made(sh, dir, name, &rep->attr);
}

int
op_link(struct share *sh, const Postern__V1__LinkReq *req, Postern__V1__LinkRep *rep)
{
    char name[NAME_BUF];
    struct node *n, *dir;
    int fd = node_use(&sh->nodes, req->node, &n);
    int dir_fd = node_use(&sh->nodes, req->dir, &dir);
    int r;

    if (fd < 0)
        return fd;
    if (dir_fd < 0)
        return dir_fd;
    if (!S_ISREG(n->type) && !S_ISLNK(n->type) && !S_ISFIFO(n->type) && !S_ISSOCK(n->type))
        return -EPERM;
    name_copy(name, &req->name);
    r = path_link(fd, dir_fd, name);
    if (r < 0)
        return r;
    if (n->pinned)
        node_moved(&sh->nodes, n, dir, name); /* it has a name again */
    return attr_of(sh, fd, &rep->attr);
}

/* Under set-id = allow: the bits that no creating call is let through with. */
static int
add_set_id(int dir, const char *name, uint32_t mode)
{
    _clean(clean_fd) int fd = path_walk(dir, name);
    struct statx st;
    int r;

    if (fd < 0)
        return fd;
    r = path_stat(fd, &st);
    if (r < 0)
        return r;
    return S_ISREG(st.stx_mode) ? path_chmod(fd, mode & 07777) : 0;
}

/* Which nodes can be made here. The kernel asks who makes a device. */
static int
check_type(const struct share *sh, uint32_t type, uint64_t rdev)
{
    if (type == S_IFCHR || type == S_IFBLK)
        return sh->identity.devices || stored_is(sh) ? 0 : -EPERM;
    if (type == S_IFDIR)
        return -EPERM;
    return (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK) || rdev != 0 ? -EINVAL : 0;
}

int
op_mknod(struct share *sh, const Postern__V1__MknodReq *req, Postern__V1__MknodRep *rep)
{
    uint32_t type = (req->mode & S_IFMT) == 0 ? S_IFREG : req->mode & S_IFMT;
    char name[NAME_BUF];
    struct node *n;
    int dir = node_use(&sh->nodes, req->dir, &n), r;

    if (dir < 0)
        return dir;
    r = check_type(sh, type, req->rdev);
    if (r < 0)
        return r;
    name_copy(name, &req->name);
    if (stored_is(sh))
        return made_stored(sh, stored_mknod(sh, dir, name, type | (req->mode & 07777), req->rdev),
                           &rep->attr);
    if (mknodat(dir, name, type | (req->mode & 01777), req->rdev) < 0)
        return -errno;
    if (sh->allow_set_id && type == S_IFREG && (req->mode & (S_ISUID | S_ISGID)) != 0)
        (void)add_set_id(dir, name, req->mode);
    return made(sh, dir, name, &rep->attr);
}
