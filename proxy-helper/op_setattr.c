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
#include "proxy-helper/stored.h"

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
check_mode(const struct share *sh, mode_t type, const Postern__V1__SetattrReq *req)
{
    uint32_t refused = S_ISUID | (S_ISDIR(type) ? 0 : S_ISGID);

    if (!req->has_mode)
        return 0;
    if (S_ISLNK(type))
        return -EOPNOTSUPP;
    return !sh->allow_set_id && !stored_is(sh) && (req->mode & refused) != 0 ? -EPERM : 0;
}

static int
check_size(mode_t type, const Postern__V1__SetattrReq *req)
{
    if (!req->has_size)
        return 0;
    if (S_ISDIR(type))
        return -EISDIR;
    return !S_ISREG(type) || req->size > INT64_MAX ? -EINVAL : 0;
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

/*
 * A client whose user writes to a set-id file asks for its mode without these
 * bits first, as that user, who may not change modes. He may do what a write
 * does: lose the bits, and nothing else, of a file that he may write.
 */
static int
lose_set_id(int fd, const Postern__V1__SetattrReq *req)
{
    const unsigned bits = S_ISUID | S_ISGID;
    _clean(clean_fd) int mine = -1;
    struct identity_was was;
    struct statx st;
    int r;

    if (path_stat(fd, &st) < 0 || (st.stx_mode & bits & ~req->mode) == 0 ||
        ((st.stx_mode ^ req->mode) & 07777 & ~bits) != 0 || (req->mode & bits & ~st.stx_mode) != 0)
        return -EPERM;
    mine = path_reopen(fd, st.stx_mode & S_IFMT, O_WRONLY);
    if (mine < 0)
        return -EPERM;
    was = identity_root_begin();
    r = path_chmod(fd, req->mode & 07777);
    identity_root_end(&was);
    return r;
}

/* Who cuts a set-id file short asks for its mode without these bits as well.
 * The kernel took them away with the content; to ask again takes the owner. */
static int
set_mode(struct share *sh, int fd, const Postern__V1__SetattrReq *req)
{
    struct statx st;

    if (req->has_size && attr_look(sh, fd, &st) == 0 &&
        (st.stx_mode & 07777) == (req->mode & 07777))
        return 0;
    if (!stored_is(sh)) {
        int r = path_chmod(fd, req->mode & 07777);

        return r == -EPERM && identity_switches(&sh->identity) ? lose_set_id(fd, req) : r;
    }
    if ((req->mode & (S_ISUID | S_ISGID)) != 0)
        files_set_id(&sh->files, req->node);
    return stored_chmod(sh, fd, req->mode);
}

static int
set_owner(struct share *sh, int fd, const Postern__V1__SetattrReq *req)
{
    if (sh->identity.model == IDENTITY_SQUASH || (!req->has_uid && !req->has_gid))
        return 0;
    if (stored_is(sh))
        return stored_chown(sh, fd, req->has_uid ? req->uid : ID_NONE,
                            req->has_gid ? req->gid : ID_NONE);
    return path_chown(fd, req->has_uid ? req->uid : ID_NONE, req->has_gid ? req->gid : ID_NONE);
}

/* A mode or an owner that the disk does not keep, or that is the one it has, is
 * a change none the less: chmod(2) and chown(2) move ctime. */
static int
note_change(const struct share *sh, int fd, const Postern__V1__SetattrReq *req)
{
    bool owner = req->has_uid || req->has_gid;

    if (identity_switches(&sh->identity) || !(owner || (req->has_mode && stored_is(sh))))
        return 0;
    return path_chown(fd, ID_NONE, ID_NONE);
}

int
op_setattr(struct share *sh, const Postern__V1__SetattrReq *req, Postern__V1__SetattrRep *rep)
{
    struct timespec ts[2] = {0};
    struct node *n;
    int fd = node_use(&sh->nodes, req->node, &n);
    mode_t type;
    int r;

    if (fd < 0)
        return fd;
    type = attr_type(sh, fd, n);
    r = check_owner(sh, req);
    if (r == 0)
        r = check_mode(sh, type, req);
    if (r == 0)
        r = check_size(type, req);
    if (r == 0)
        r = take_times(req, ts);
    if (r == 0 && req->has_size) {
        r = set_size(sh, n, fd, req);
        if (r == 0 && stored_is(sh) && sh->call.frame->uid != 0)
            r = stored_drop_set_id(sh, fd);
        if (ts[1].tv_nsec == UTIME_NOW)
            ts[1].tv_nsec = UTIME_OMIT; /* so it is; and who does not own it may not ask for it */
    }
    if (r == 0)
        r = set_owner(sh, fd, req);
    if (r == 0 && req->has_mode) /* after size and owner, which take set-id bits away */
        r = set_mode(sh, fd, req);
    if (r == 0)
        r = note_change(sh, fd, req);
    if (r == 0 && (ts[0].tv_nsec != UTIME_OMIT || ts[1].tv_nsec != UTIME_OMIT))
        r = path_times(fd, ts);
    return r < 0 ? r : attr_of(sh, fd, &rep->attr);
}
