/*
 * What a file is: Tgetattr, Tsetattr, Tstatfs, Treadlink.
 *
 * Runs in: worker.   Trusts: nobody.   Owns: nothing.
 */
#include <errno.h>

#include "worker/nine.h"

/* Tgetattr's mask and Rgetattr's valid. */
enum getattr_bit {
    GETATTR_BASIC = 0x7ff,
    GETATTR_BTIME = 0x800,
    GETATTR_DATA_VERSION = 0x2000,
};

enum setattr_bit {
    SETATTR_MODE = 0x1,
    SETATTR_UID = 0x2,
    SETATTR_GID = 0x4,
    SETATTR_SIZE = 0x8,
    SETATTR_ATIME = 0x10,
    SETATTR_MTIME = 0x20,
    SETATTR_CTIME = 0x40, /* every change does that by itself */
    SETATTR_ATIME_SET = 0x80,
    SETATTR_MTIME_SET = 0x100,
    SETATTR_ALL = 0x1ff,
};

#define NSEC_END 1000000000u

static uint64_t
valid_bits(uint64_t asked, const struct attr *a)
{
    uint64_t valid = GETATTR_BASIC | (asked & GETATTR_DATA_VERSION);

    if (a->btime_sec != 0 || a->btime_nsec != 0)
        valid |= asked & GETATTR_BTIME;
    return valid;
}

static void
getattr_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__GetattrRep *rep = (const Postern__V1__GetattrRep *)m;
    struct request *r = request_of(call);
    const struct attr *a;
    struct pen w;

    if (status < 0) {
        reply_error(r, status);
        return;
    }
    a = msg_attr(rep->attr);
    reply_begin(r, &w, NINE_TGETATTR + 1);
    pen_u64(&w, valid_bits(r->mask, a));
    pen_attr_qid(&w, r, a);
    pen_u32(&w, a->mode);
    pen_u32(&w, a->uid);
    pen_u32(&w, a->gid);
    pen_u64(&w, a->nlink);
    pen_u64(&w, a->rdev);
    pen_u64(&w, a->size);
    pen_u64(&w, a->blksize);
    pen_u64(&w, a->blocks);
    pen_u64(&w, (uint64_t)a->atime_sec);
    pen_u64(&w, a->atime_nsec);
    pen_u64(&w, (uint64_t)a->mtime_sec);
    pen_u64(&w, a->mtime_nsec);
    pen_u64(&w, (uint64_t)a->ctime_sec);
    pen_u64(&w, a->ctime_nsec);
    pen_u64(&w, (uint64_t)a->btime_sec);
    pen_u64(&w, a->btime_nsec);
    pen_u64(&w, 0); /* generation: not known */
    pen_u64(&w, a->version);
    reply_end(r, &w);
}

int
nine_tgetattr(struct request *r, struct cursor *c)
{
    Postern__V1__GetattrReq q = POSTERN__V1__GETATTR_REQ__INIT;
    uint32_t num = cur_u32(c);
    int e;

    r->mask = cur_u64(c);
    e = nine_fid(r, c, num);
    if (e < 0)
        return e;
    q.node = r->node->id;
    if (r->file != NULL) {
        q.has_file = 1;
        q.file = r->file->id;
    }
    r->call.done = getattr_done;
    return fs_getattr(r->share->fs, &q, &r->call);
}

/* Time stamps. With *_SET the guest's, without it the host's clock. Host
 * kernels give nanoseconds out of range a meaning of their own. */
static int
decode_times(Postern__V1__SetattrReq *q, uint32_t valid, struct cursor *c)
{
    uint64_t atime = cur_u64(c), atime_nsec = cur_u64(c);
    uint64_t mtime = cur_u64(c), mtime_nsec = cur_u64(c);
    bool set_atime = (valid & SETATTR_ATIME) != 0 && (valid & SETATTR_ATIME_SET) != 0;
    bool set_mtime = (valid & SETATTR_MTIME) != 0 && (valid & SETATTR_MTIME_SET) != 0;

    if ((set_atime && atime_nsec >= NSEC_END) || (set_mtime && mtime_nsec >= NSEC_END))
        return -EINVAL;
    if (set_atime) {
        q->has_atime_sec = q->has_atime_nsec = 1;
        q->atime_sec = (int64_t)atime;
        q->atime_nsec = (uint32_t)atime_nsec;
    } else if ((valid & SETATTR_ATIME) != 0) {
        q->has_atime_now = 1;
        q->atime_now = 1;
    }
    if (set_mtime) {
        q->has_mtime_sec = q->has_mtime_nsec = 1;
        q->mtime_sec = (int64_t)mtime;
        q->mtime_nsec = (uint32_t)mtime_nsec;
    } else if ((valid & SETATTR_MTIME) != 0) {
        q->has_mtime_now = 1;
        q->mtime_now = 1;
    }
    return 0;
}

/* What the message asks to be set, into q. 0 or -errno; c is at its end. */
static int
decode_setattr(Postern__V1__SetattrReq *q, struct cursor *c)
{
    uint32_t valid = cur_u32(c);
    int e;

    q->mode = cur_u32(c) & 07777; /* Linux sends the type along */
    q->has_mode = (valid & SETATTR_MODE) != 0;
    q->uid = cur_u32(c);
    q->has_uid = (valid & SETATTR_UID) != 0;
    q->gid = cur_u32(c);
    q->has_gid = (valid & SETATTR_GID) != 0;
    q->size = cur_u64(c);
    q->has_size = (valid & SETATTR_SIZE) != 0;
    e = decode_times(q, valid, c);
    if ((valid & ~(uint32_t)SETATTR_ALL) != 0 || (q->has_size && q->size > INT64_MAX))
        return -EINVAL;
    return e;
}

int
nine_tsetattr(struct request *r, struct cursor *c)
{
    Postern__V1__SetattrReq q = POSTERN__V1__SETATTR_REQ__INIT;
    uint32_t num = cur_u32(c);
    int bad = decode_setattr(&q, c), e;

    e = nine_fid_to_write(r, c, num, OP_SETATTR);
    if (e == 0)
        e = bad;
    if (e < 0)
        return e;
    q.node = r->node->id;
    if (r->file != NULL && r->fid->writes) {
        q.has_file = 1;
        q.file = r->file->id;
    }
    r->call.done = nine_done_empty;
    return fs_setattr(r->share->fs, &q, &r->call);
}

static void
statfs_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__StatfsRep *rep = (const Postern__V1__StatfsRep *)m;
    struct request *r = request_of(call);
    struct pen w;

    if (status < 0) {
        reply_error(r, status);
        return;
    }
    reply_begin(r, &w, NINE_TSTATFS + 1);
    pen_u32(&w, rep->type);
    pen_u32(&w, rep->bsize);
    pen_u64(&w, rep->blocks);
    pen_u64(&w, rep->bfree);
    pen_u64(&w, rep->bavail);
    pen_u64(&w, rep->files);
    pen_u64(&w, rep->ffree);
    pen_u64(&w, rep->fsid);
    pen_u32(&w, rep->namelen);
    reply_end(r, &w);
}

int
nine_tstatfs(struct request *r, struct cursor *c)
{
    Postern__V1__StatfsReq q = POSTERN__V1__STATFS_REQ__INIT;
    uint32_t num = cur_u32(c);
    int e = nine_fid(r, c, num);
    if (e < 0)
        return e;
    q.node = r->node->id;
    r->call.done = statfs_done;
    return fs_statfs(r->share->fs, &q, &r->call);
}

static void
readlink_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__ReadlinkRep *rep = (const Postern__V1__ReadlinkRep *)m;
    struct request *r = request_of(call);
    struct pen w;

    if (status == 0 && rep->target.len + NINE_IO_HEAD > r->conn->msize)
        status = -ENAMETOOLONG; /* a reply beyond msize would end the connection */
    if (status < 0) {
        reply_error(r, status);
        return;
    }
    reply_begin(r, &w, NINE_TREADLINK + 1);
    pen_str(&w, rep->target.data, rep->target.len);
    reply_end(r, &w);
}

int
nine_treadlink(struct request *r, struct cursor *c)
{
    Postern__V1__ReadlinkReq q = POSTERN__V1__READLINK_REQ__INIT;
    uint32_t num = cur_u32(c);
    int e = nine_fid(r, c, num);
    if (e < 0)
        return e;
    q.node = r->node->id;
    r->call.done = readlink_done;
    return fs_readlink(r->share->fs, &q, &r->call);
}
