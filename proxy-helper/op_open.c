/*
 * Open, create, close.
 *
 * Runs in: helper.   Trusts: dispatch for names and access.   Owns: nothing.
 */
#include <errno.h>
#include <fcntl.h>

#include "ipc/fd.h"
#include "ipc/log.h"
#include "ipc/ops.h"
#include "proxy-helper/attr.h"
#include "proxy-helper/op.h"
#include "proxy-helper/path.h"
#include "proxy-helper/stored.h"

#define CREATE_TRIES 8

/* twin: enum open_flag in ipc/ops.h */
static int
open_flags(uint32_t flags)
{
    static const struct {
        uint32_t ours;
        int host;
    } map[] = {
        {OPEN_DIRECTORY, O_DIRECTORY}, {OPEN_TRUNC, O_TRUNC}, {OPEN_APPEND, O_APPEND},
        {OPEN_SYNC, O_SYNC},           {OPEN_DSYNC, O_DSYNC}, {OPEN_NOATIME, O_NOATIME},
    };
    int host = O_WRONLY;

    if ((flags & OPEN_NOWRITE) != 0)
        host = O_RDONLY;
    else if ((flags & OPEN_READS) != 0)
        host = O_RDWR;
    for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
        host |= (flags & map[i].ours) != 0 ? map[i].host : 0;
    return host;
}

static void
flags_known(uint32_t flags, uint32_t known)
{
    if ((flags & ~known) != 0)
        violation("worker sent open flags %#x", flags);
}

/* Open a node that is in use and make it an open file. */
static int
open_node(struct share *sh, struct node *n, int flags, uint64_t *ret_file, ProtobufCBinaryData *ret)
{
    _clean(clean_fd) int fd = -1;
    int r;

    if (files_full(&sh->files))
        return -EMFILE; /* before a truncation, not after it */
    r = node_fd(&sh->nodes, n);
    if (r < 0)
        return r;
    if (sh->read_only)
        flags &= ~O_NOATIME; /* nothing moves there anyway, nor may it be asked for */
    fd = path_reopen(r, attr_type(sh, r, n), flags);
    if (fd < 0)
        return fd;
    r = attr_of(sh, fd, ret);
    if (r < 0)
        return r;
    return file_add(&sh->files, &fd, node_id(&sh->nodes, n), (flags & O_ACCMODE) != O_RDONLY,
                    ret_file);
}

int
op_open_read(struct share *sh, const Postern__V1__OpenReadReq *req, Postern__V1__OpenReadRep *rep)
{
    struct node *n;
    int r;

    flags_known(req->flags, OPEN_READ_FLAGS);
    r = node_get(&sh->nodes, req->node, &n);
    if (r < 0)
        return r;
    return open_node(sh, n, open_flags(req->flags | OPEN_NOWRITE), &rep->file, &rep->attr);
}

int
op_open_write(struct share *sh, const Postern__V1__OpenWriteReq *req,
              Postern__V1__OpenWriteRep *rep)
{
    struct node *n;
    int r;

    flags_known(req->flags, OPEN_WRITE_FLAGS);
    r = node_get(&sh->nodes, req->node, &n);
    if (r < 0)
        return r;
    return open_node(sh, n, open_flags(req->flags), &rep->file, &rep->attr);
}

/* The name was free: the new file is open, now make it a node. */
static int
create_new(struct share *sh, const Postern__V1__CreateReq *req, struct node *dir, int dir_fd,
           const char *name, Postern__V1__CreateRep *rep)
{
    _clean(clean_fd) int fd = -1;
    _clean(clean_fd) int pin = -1;
    int flags = open_flags(req->flags) & ~O_TRUNC;
    struct node *n;
    struct statx st;
    int r;

    fd = stored_is(sh) ? stored_create(sh, dir_fd, name, flags, req->mode)
                       : path_create(dir_fd, name, flags, req->mode);
    if (fd < 0)
        return fd;
    pin = path_pin(fd); /* of the file just made, whatever the name means by now */
    if (pin < 0)
        return pin;
    if (sh->allow_set_id && !stored_is(sh) && (req->mode & (S_ISUID | S_ISGID)) != 0)
        (void)path_chmod(pin, req->mode & 07777);
    r = path_stat(pin, &st);
    if (r < 0)
        return r;
    r = node_add(&sh->nodes, dir, name, &pin, &st, &n);
    if (r < 0)
        return r;
    rep->node = node_id(&sh->nodes, n);
    stored_show(sh, fd, &st);
    rep->attr = attr_new(sh, &st);
    r = file_add(&sh->files, &fd, rep->node, (flags & O_ACCMODE) != O_RDONLY, &rep->file);
    if (r < 0)
        (void)node_unref(&sh->nodes, n, 1);
    return r;
}

/* The name is taken and the caller does not mind: walk there and open. */
static int
create_old(struct share *sh, const Postern__V1__CreateReq *req, struct node *dir, int dir_fd,
           const char *name, Postern__V1__CreateRep *rep)
{
    _clean(clean_fd) int fd = -1;
    struct node *n;
    struct statx st;
    int r;

    fd = path_walk(dir_fd, name);
    if (fd < 0)
        return fd;
    r = path_stat(fd, &st);
    if (r < 0)
        return r;
    r = mounts_enter(&sh->mounts, &st);
    if (r < 0)
        return r == -ENOENT ? -EEXIST : r; /* hidden, but the name is taken */
    if (S_ISDIR(st.stx_mode))
        return -EISDIR;
    r = node_add(&sh->nodes, dir, name, &fd, &st, &n);
    if (r < 0)
        return r;
    rep->node = node_id(&sh->nodes, n);
    r = open_node(sh, n, open_flags(req->flags), &rep->file, &rep->attr);
    if (r < 0)
        (void)node_unref(&sh->nodes, n, 1);
    return r;
}

int
op_create(struct share *sh, const Postern__V1__CreateReq *req, Postern__V1__CreateRep *rep)
{
    char name[NAME_BUF];
    struct node *dir;
    int dir_fd, r;

    flags_known(req->flags, CREATE_FLAGS);
    dir_fd = node_use(&sh->nodes, req->dir, &dir);
    if (dir_fd < 0)
        return dir_fd;
    if (nodes_full(&sh->nodes))
        return -ENFILE; /* before there is a file that nobody gets */
    if (files_full(&sh->files))
        return -EMFILE;
    name_copy(name, &req->name);
    for (unsigned i = 0; i < CREATE_TRIES; i++) {
        r = create_new(sh, req, dir, dir_fd, name, rep);
        if (r != -EEXIST || (req->flags & OPEN_EXCL) != 0)
            return r;
        r = create_old(sh, req, dir, dir_fd, name, rep);
        if (r != -ENOENT)
            return r;
    }
    return -EAGAIN; /* somebody makes and removes the name faster than we look */
}

int
op_close(struct share *sh, const Postern__V1__CloseReq *req, Postern__V1__CloseRep *rep)
{
    struct file *f;
    int r = file_get(&sh->files, req->file, &f);

    (void)rep;
    if (r < 0)
        return r;
    if (f->jobs > 0)
        pool_await(sh->pool);
    return file_close(&sh->files, f);
}
