/*
 * Changing attributes: first everything that can be refused without trying,
 * then size, owner, mode and times, in the order that lets each stand.
 *
 * Runs in: helper.   Trusts: dispatch for access.   Owns: nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "proxy-helper/attr.h"
#include "proxy-helper/op.h"
#include "proxy-helper/path.h"

#define NSEC_PER_SEC 1000000000u

/* Squash: the one owner that is shown may be "set", nobody else. Else it is an
 * id that the guest has, and the kernel says whether he may. */
static int
check_owner(const struct share *sh, const Postern__V1__SetattrReq *req)
{
    if (sh->identity.model != IDENTITY_SQUASH)
        return identity_has(&sh->identity, req->has_uid ? req->uid : 0, req->has_gid ? req->gid : 0)
                   ? 0
                   : -EINVAL;
    if (req->has_uid && req->uid != sh->present_uid)
        return -EPERM;
    if (req->has_gid && req->gid != sh->present_gid)
        return -EPERM;
    return 0;
}

static int
check_mode(const struct share *sh, const struct node *n, const Postern__V1__SetattrReq *req)
{
    uint32_t refused = S_ISUID | (S_ISDIR(n->type) ? 0 : S_ISGID);

    if (!req->has_mode)
        return 0;
    if (S_ISLNK(n->type))
        return -EOPNOTSUPP;
    return !sh->allow_set_id && (req->mode & refused) != 0 ? -EPERM : 0;
}

static int
check_size(const struct node *n, const Postern__V1__SetattrReq *req)
{
    if (!req->has_size)
        return 0;
    if (S_ISDIR(n->type))
        return -EISDIR;
    return !S_ISREG(n->type) || req->size > INT64_MAX ? -EINVAL : 0;
}

/* One time of the two: UTIME_OMIT when nothing is asked. */
static int
take_time(bool now, bool has_sec, int64_t sec, bool has_nsec, uint32_t nsec, struct timespec *ret)
{
    if (has_sec != has_nsec || (now && has_sec) || nsec >= NSEC_PER_SEC)
        return -EINVAL;
    ret->tv_sec = sec;
    ret->tv_nsec = now ? UTIME_NOW : has_sec ? (long)nsec : UTIME_OMIT;
    return 0;
}

static int
take_times(const Postern__V1__SetattrReq *req, struct timespec ts[2])
{
    int r = take_time(req->has_atime_now && req->atime_now != 0, req->has_atime_sec, req->atime_sec,
                      req->has_atime_nsec, req->atime_nsec, &ts[0]);

    if (r < 0)
        return r;
    return take_time(req->has_mtime_now && req->mtime_now != 0, req->has_mtime_sec, req->mtime_sec,
                     req->has_mtime_nsec, req->mtime_nsec, &ts[1]);
}

/* Through the open file where there is one: its permission was decided when
 * it was opened. */
static int
set_size(struct share *sh, const struct node *n, int fd, const Postern__V1__SetattrReq *req)
{
    _clean(clean_fd) int mine = -1;
    struct file *f;
    int r;

    if (req->has_file) {
        r = file_get(&sh->files, req->file, &f);
        if (r < 0)
            return r;
        if (f->node != req->node || !f->writable)
            return -EBADF;
        return ftruncate(f->fd, (off_t)req->size) < 0 ? -errno : 0;
    }
    mine = path_reopen(fd, n->type, O_WRONLY);
    if (mine < 0)
        return mine;
    return ftruncate(mine, (off_t)req->size) < 0 ? -errno : 0;
}

/* Who cuts a set-id file short asks for its mode without these bits as well.
 * The kernel took them away with the content; to ask again takes the owner. */
static int
set_mode(int fd, const Postern__V1__SetattrReq *req)
{
    struct statx st;

    if (req->has_size && path_stat(fd, &st) == 0 && (st.stx_mode & 07777) == (req->mode & 07777))
        return 0;
    return path_chmod(fd, req->mode & 07777);
}

static int
set_owner(struct share *sh, int fd, const Postern__V1__SetattrReq *req)
{
    if (sh->identity.model == IDENTITY_SQUASH || (!req->has_uid && !req->has_gid))
        return 0;
    return path_chown(fd, req->has_uid ? req->uid : ID_NONE, req->has_gid ? req->gid : ID_NONE);
}

int
op_setattr(struct share *sh, const Postern__V1__SetattrReq *req, Postern__V1__SetattrRep *rep)
{
    struct timespec ts[2] = {0};
    struct node *n;
    int fd = node_use(&sh->nodes, req->node, &n);
    int r;

    if (fd < 0)
        return fd;
    r = check_owner(sh, req);
    if (r == 0)
        r = check_mode(sh, n, req);
    if (r == 0)
        r = check_size(n, req);
    if (r == 0)
        r = take_times(req, ts);
    if (r == 0 && req->has_size) {
        r = set_size(sh, n, fd, req);
        if (ts[1].tv_nsec == UTIME_NOW)
            ts[1].tv_nsec = UTIME_OMIT; /* so it is; and who does not own it may not ask for it */
    }
    if (r == 0)
        r = set_owner(sh, fd, req);
    if (r == 0 && req->has_mode) /* after size and owner, which take set-id bits away */
        r = set_mode(fd, req);
    if (r == 0 && (ts[0].tv_nsec != UTIME_OMIT || ts[1].tv_nsec != UTIME_OMIT))
        r = path_times(fd, ts);
    return r < 0 ? r : attr_of(sh, fd, &rep->attr);
}
