/*
 * Listing a directory.
 *
 * Runs in: helper.   Trusts: the kernel's records in private memory.
 * Owns: that memory.
 *
 * The records are made here and then copied to the payload: there the worker
 * could change a length between our look at it and our use of it.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/ops.h"
#include "proxy-helper/attr.h"
#include "proxy-helper/op.h"
#include "proxy-helper/path.h"
#include "proxy-helper/stored.h"

#define LISTING_BYTES 65536u

static _Alignas(8) uint8_t listing[LISTING_BYTES];

static struct dirent64 *
record_at(size_t at)
{
    return (struct dirent64 *)(void *)(listing + at);
}

/* The directory at work. */
struct listed {
    const struct file *f; /* borrowed */
    struct statx st;      /* of the directory */
};

static bool
is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* What is above the root of a mount is another file system's, or not the
 * guest's to know: the root's ".." is the root. */
static uint64_t
ino_above(struct share *sh, const struct listed *l, uint64_t ino)
{
    const struct mounts *m = &sh->mounts;
    const struct node *above;
    struct node *n;

    if (l->f->node == NODE_ROOT)
        return mounts_ino_of(m, &l->st);
    if ((l->st.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0 ||
        node_get(&sh->nodes, l->f->node, &n) < 0)
        return ino;
    above = node_parent(&sh->nodes, n);
    return mounts_ino(m, above->mnt_id, makedev(above->dev_major, above->dev_minor), above->ino);
}

/* Some file systems leave the type to be asked for, and none knows what is
 * mounted over its files. False: the guest is not to see the entry. */
static bool
finish_entry(struct share *sh, const struct listed *l, struct dirent64 *d)
{
    struct statx st;

    d->d_ino = mounts_ino(&sh->mounts, l->st.stx_mnt_id,
                          makedev(l->st.stx_dev_major, l->st.stx_dev_minor), d->d_ino);
    if (strcmp(d->d_name, "..") == 0)
        d->d_ino = ino_above(sh, l, d->d_ino);
    if (is_dots(d->d_name)) { /* never asked for: one is a path upwards */
        d->d_type = DT_DIR;
        return true;
    }
    if (!names_show(&sh->names, l->f->node == NODE_ROOT, d->d_name))
        return false;
    if (d->d_type != DT_UNKNOWN && sh->mounts.mode == SUBMOUNTS_REFUSE && !stored_is(sh))
        return true;
    if (attr_look_name(sh, l->f->fd, d->d_name, &st) < 0)
        return true; /* it is gone by now, which the guest finds out as anybody does */
    if (d->d_type == DT_UNKNOWN || stored_is(sh))
        d->d_type = (unsigned char)IFTODT(st.stx_mode);
    if (st.stx_mnt_id == l->st.stx_mnt_id)
        return true;
    if (mounts_enter(&sh->mounts, &st) == -ENOENT)
        return false;
    d->d_type = (unsigned char)IFTODT(st.stx_mode);
    d->d_ino = mounts_ino_of(&sh->mounts, &st);
    return true;
}

/* The next records, each finished, those that are hidden left out. Their
 * bytes; 0: the end. */
static ssize_t
list_some(struct share *sh, struct file *f, const struct listed *l, size_t room)
{
    size_t kept = 0;
    ssize_t n = 1;

    while (kept == 0 && n > 0) {
        n = getdents64(f->fd, listing, room);
        if (n < 0)
            return -errno;
        for (size_t at = 0, size; at < (size_t)n; at += size) {
            struct dirent64 *d = record_at(at);

            size = d->d_reclen;
            f->pos = d->d_off;
            if (!finish_entry(sh, l, d))
                continue;
            (void)memmove(listing + kept, d, size);
            kept += size;
        }
    }
    return (ssize_t)kept;
}

int
op_readdir(struct share *sh, const Postern__V1__ReaddirReq *req, Postern__V1__ReaddirRep *rep)
{
    size_t room = req->count < LISTING_BYTES ? req->count : LISTING_BYTES;
    struct listed l = {0};
    struct file *f;
    ssize_t n;
    int r;

    if (req->count > sh->call.frame->payload_len)
        violation("worker asked for %u bytes with room for %u", req->count,
                  sh->call.frame->payload_len);
    r = file_get(&sh->files, req->file, &f);
    if (r < 0)
        return r;
    if (req->cookie > INT64_MAX)
        return -EINVAL;
    l.f = f;
    r = path_stat(f->fd, &l.st);
    if (r < 0)
        return r;
    if (f->pos != (int64_t)req->cookie && lseek(f->fd, (off_t)req->cookie, SEEK_SET) < 0)
        return -errno;
    f->pos = FILE_POS_UNKNOWN;
    n = list_some(sh, f, &l, room);
    if (n < 0)
        return (int)n;
    if (n > 0)
        (void)memcpy(sh->call.payload, listing, (size_t)n);
    rep->count = (uint32_t)n;
    return 0;
}
