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
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/ops.h"
#include "proxy-helper/op.h"
#include "proxy-helper/path.h"

#define LISTING_BYTES 65536u

static _Alignas(8) uint8_t listing[LISTING_BYTES];

static struct dirent64 *
record_at(size_t at)
{
    return (struct dirent64 *)(void *)(listing + at);
}

/* Some file systems leave the type to be asked for; never of "..", which is a
 * path upwards. */
static void
ensure_type(int fd, struct dirent64 *d)
{
    struct statx st;

    if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
        d->d_type = DT_DIR;
    else if (d->d_type == DT_UNKNOWN && path_stat_name(fd, d->d_name, &st) == 0)
        d->d_type = (unsigned char)IFTODT(st.stx_mode);
}

/* What lies above the share is not the guest's to know: the root's ".." is
 * the root. */
static void
hide_above(const struct share *sh, const struct file *f, struct dirent64 *d)
{
    if (f->node == NODE_ROOT && strcmp(d->d_name, "..") == 0)
        d->d_ino = sh->nodes.at[0].ino;
}

int
op_readdir(struct share *sh, const Postern__V1__ReaddirReq *req, Postern__V1__ReaddirRep *rep)
{
    size_t room = req->count < LISTING_BYTES ? req->count : LISTING_BYTES;
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
    if (f->pos != (int64_t)req->cookie && lseek(f->fd, (off_t)req->cookie, SEEK_SET) < 0)
        return -errno;
    f->pos = FILE_POS_UNKNOWN;
    n = getdents64(f->fd, listing, room);
    if (n < 0)
        return -errno;
    for (size_t at = 0; at < (size_t)n; at += record_at(at)->d_reclen) {
        ensure_type(f->fd, record_at(at));
        hide_above(sh, f, record_at(at));
        f->pos = record_at(at)->d_off;
    }
    if (n > 0)
        (void)memcpy(sh->call.payload, listing, (size_t)n);
    rep->count = (uint32_t)n;
    return 0;
}
