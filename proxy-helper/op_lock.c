/*
 * Byte-range locks: real ones, which belong to the open file. Two files of
 * one guest conflict as two guests do, and as a program of the host does.
 *
 * Nothing waits here; who wants to wait asks again.
 *
 * Runs in: helper.   Trusts: dispatch.   Owns: nothing; a lock ends with its
 * file.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/ops.h"
#include "proxy-helper/op.h"

/* twin: enum lock_type in ipc/ops.h */
static const short host_type[] = {
    [LOCK_FOR_READ] = F_RDLCK, [LOCK_FOR_WRITE] = F_WRLCK, [LOCK_UNLOCK] = F_UNLCK};
#define NTYPES (sizeof(host_type) / sizeof(host_type[0]))

static int
range_take(uint32_t type, uint64_t start, uint64_t length, struct flock *ret)
{
    if (type >= NTYPES)
        violation("worker sent lock type %u", type);
    if (start > INT64_MAX || length > INT64_MAX || (length > 0 && length - 1 > INT64_MAX - start))
        return -EINVAL;
    *ret = (struct flock){.l_type = host_type[type],
                          .l_whence = SEEK_SET,
                          .l_start = (off_t)start,
                          .l_len = (off_t)length};
    return 0;
}

int
op_lock(struct share *sh, const Postern__V1__LockReq *req, Postern__V1__LockRep *rep)
{
    struct flock fl;
    struct file *f;
    int r = range_take(req->type, req->start, req->length, &fl);

    (void)rep;
    if (r < 0)
        return r;
    r = file_get(&sh->files, req->file, &f);
    if (r < 0)
        return r;
    return fcntl(f->fd, F_OFD_SETLK, &fl) < 0 ? -errno : 0;
}

/* What stands in the way, as the kernel says it. */
static uint32_t
type_of(const struct flock *fl)
{
    for (uint32_t i = 0; i < NTYPES; i++)
        if (host_type[i] == fl->l_type)
            return i;
    bug("the kernel knows of lock type %d", fl->l_type);
}

int
op_getlock(struct share *sh, const Postern__V1__GetlockReq *req, Postern__V1__GetlockRep *rep)
{
    struct flock fl;
    struct file *f;
    int r = range_take(req->type, req->start, req->length, &fl);

    if (r < 0)
        return r;
    if (req->type == LOCK_UNLOCK)
        return -EINVAL; /* nothing stands in the way of that */
    r = file_get(&sh->files, req->file, &f);
    if (r < 0)
        return r;
    if (fcntl(f->fd, F_OFD_GETLK, &fl) < 0)
        return -errno;
    rep->type = type_of(&fl);
    rep->start = (uint64_t)fl.l_start;
    rep->length = (uint64_t)fl.l_len;
    return 0;
}
