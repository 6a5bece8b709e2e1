/*
 * The typed calls of the 9P client: each builds one request, waits for its
 * reply and reads it to the last byte.
 *
 * Runs in: the command line, tests, bench.   Trusts: nothing the server says.
 * Owns: nothing; everything is the connection's.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "control/nine_client.h"
#include "control/nine_wire.h"

#define CALL_TAG 1 /* one call at a time */
#define WALK_MAX 16

/* Reads a reply; running past the end is remembered. */
struct reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static const uint8_t *
take(struct reader *rd, size_t n)
{
    const uint8_t *p = rd->at;

    if (rd->bad || n > rd->left) {
        rd->bad = true;
        return NULL;
    }
    rd->at += n;
    rd->left -= n;
    return p;
}

static uint64_t
number(struct reader *rd, size_t n)
{
    const uint8_t *p = take(rd, n);
    uint64_t v = 0;

    for (size_t i = 0; p != NULL && i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static uint8_t
u8(struct reader *rd)
{
    return (uint8_t)number(rd, 1);
}

static uint16_t
u16(struct reader *rd)
{
    return (uint16_t)number(rd, 2);
}

static uint32_t
u32(struct reader *rd)
{
    return (uint32_t)number(rd, 4);
}

static uint64_t
u64(struct reader *rd)
{
    return number(rd, 8);
}

static void
qid_read(struct reader *rd, struct nc_qid *ret)
{
    struct nc_qid q = {.type = u8(rd)};

    q.version = u32(rd);
    q.path = u64(rd);
    if (ret != NULL)
        *ret = q;
}

/* The reply ended where it had to. */
static int
done(const struct reader *rd)
{
    return rd->bad || rd->left != 0 ? -EPROTO : 0;
}

/* Send what was begun with the type `t`, and read its reply. */
static int
ask(struct nc *c, uint8_t t, struct reader *rd)
{
    struct nc_reply rep;
    int r;

    nc_end(c);
    r = nc_ask(c, (uint8_t)(t + 1), &rep);
    if (r < 0)
        return r;
    *rd = (struct reader){.at = rep.body, .left = rep.size - NINE_HEAD};
    return 0;
}

static int
ask_empty(struct nc *c, uint8_t t)
{
    struct reader rd;
    int r = ask(c, t, &rd);

    return r < 0 ? r : done(&rd);
}

static int
ask_qid(struct nc *c, uint8_t t, struct nc_qid *qid)
{
    struct reader rd;
    int r = ask(c, t, &rd);

    if (r < 0)
        return r;
    qid_read(&rd, qid);
    return done(&rd);
}

static int
ask_opened(struct nc *c, uint8_t t, struct nc_qid *qid, uint32_t *iounit)
{
    struct reader rd;
    uint32_t unit;
    int r = ask(c, t, &rd);

    if (r < 0)
        return r;
    qid_read(&rd, qid);
    unit = u32(&rd);
    if (iounit != NULL)
        *iounit = unit;
    return done(&rd);
}

static void
begin_fid(struct nc *c, uint8_t t, uint32_t fid)
{
    nc_begin(c, t, CALL_TAG);
    nc_u32(c, fid);
}

static void
text(struct nc *c, const char *s)
{
    nc_str(c, s, strlen(s));
}

int
nc_attach(struct nc *c, uint32_t fid, const char *uname, const char *aname, uint32_t n_uname)
{
    begin_fid(c, NINE_TATTACH, fid);
    nc_u32(c, NC_NOFID);
    text(c, uname);
    text(c, aname);
    nc_u32(c, n_uname);
    return ask_qid(c, NINE_TATTACH, NULL);
}

int
nc_walk(struct nc *c, uint32_t fid, uint32_t newfid, size_t n, const char *const *names,
        struct nc_qid *qids, size_t *ret_n)
{
    struct reader rd;
    size_t got;
    int r;

    if (n > WALK_MAX)
        return -EINVAL;
    begin_fid(c, NINE_TWALK, fid);
    nc_u32(c, newfid);
    nc_u16(c, (uint16_t)n);
    for (size_t i = 0; i < n; i++)
        text(c, names[i]);
    r = ask(c, NINE_TWALK, &rd);
    if (r < 0)
        return r;
    got = u16(&rd);
    if (got > n)
        return -EPROTO;
    for (size_t i = 0; i < got; i++)
        qid_read(&rd, qids == NULL ? NULL : &qids[i]);
    if (ret_n != NULL)
        *ret_n = got;
    return done(&rd);
}

int
nc_clunk(struct nc *c, uint32_t fid)
{
    begin_fid(c, NINE_TCLUNK, fid);
    return ask_empty(c, NINE_TCLUNK);
}

int
nc_remove(struct nc *c, uint32_t fid)
{
    begin_fid(c, NINE_TREMOVE, fid);
    return ask_empty(c, NINE_TREMOVE);
}

int
nc_getattr(struct nc *c, uint32_t fid, uint64_t mask, struct nc_attr *ret)
{
    struct reader rd;
    int r;

    begin_fid(c, NINE_TGETATTR, fid);
    nc_u64(c, mask);
    r = ask(c, NINE_TGETATTR, &rd);
    if (r < 0)
        return r;
    ret->valid = u64(&rd);
    qid_read(&rd, &ret->qid);
    ret->mode = u32(&rd);
    ret->uid = u32(&rd);
    ret->gid = u32(&rd);
    ret->nlink = u64(&rd);
    ret->rdev = u64(&rd);
    ret->size = u64(&rd);
    ret->blksize = u64(&rd);
    ret->blocks = u64(&rd);
    ret->atime_sec = u64(&rd);
    ret->atime_nsec = u64(&rd);
    ret->mtime_sec = u64(&rd);
    ret->mtime_nsec = u64(&rd);
    ret->ctime_sec = u64(&rd);
    ret->ctime_nsec = u64(&rd);
    (void)take(&rd, 4 * 8); /* btime, gen, data_version: reserved by the protocol */
    return done(&rd);
}

int
nc_setattr(struct nc *c, uint32_t fid, const struct nc_setattr *a)
{
    begin_fid(c, NINE_TSETATTR, fid);
    nc_u32(c, a->valid);
    nc_u32(c, a->mode);
    nc_u32(c, a->uid);
    nc_u32(c, a->gid);
    nc_u64(c, a->size);
    nc_u64(c, a->atime_sec);
    nc_u64(c, a->atime_nsec);
    nc_u64(c, a->mtime_sec);
    nc_u64(c, a->mtime_nsec);
    return ask_empty(c, NINE_TSETATTR);
}

int
nc_lopen(struct nc *c, uint32_t fid, uint32_t flags, struct nc_qid *qid, uint32_t *iounit)
{
    begin_fid(c, NINE_TLOPEN, fid);
    nc_u32(c, flags);
    return ask_opened(c, NINE_TLOPEN, qid, iounit);
}

int
nc_lcreate(struct nc *c, uint32_t fid, const char *name, uint32_t flags, uint32_t mode,
           uint32_t gid, struct nc_qid *qid, uint32_t *iounit)
{
    begin_fid(c, NINE_TLCREATE, fid);
    text(c, name);
    nc_u32(c, flags);
    nc_u32(c, mode);
    nc_u32(c, gid);
    return ask_opened(c, NINE_TLCREATE, qid, iounit);
}

ssize_t
nc_read(struct nc *c, uint32_t fid, uint64_t offset, void *buf, uint32_t count)
{
    struct reader rd;
    const uint8_t *p;
    uint32_t n;
    int r;

    begin_fid(c, NINE_TREAD, fid);
    nc_u64(c, offset);
    nc_u32(c, count);
    r = ask(c, NINE_TREAD, &rd);
    if (r < 0)
        return r;
    n = u32(&rd);
    if (n > count)
        return -EPROTO;
    p = take(&rd, n);
    if (p == NULL || done(&rd) < 0)
        return -EPROTO;
    memcpy(buf, p, n);
    return n;
}

ssize_t
nc_write(struct nc *c, uint32_t fid, uint64_t offset, const void *buf, uint32_t count)
{
    struct reader rd;
    uint32_t n;
    int r;

    begin_fid(c, NINE_TWRITE, fid);
    nc_u64(c, offset);
    nc_u32(c, count);
    nc_bytes(c, buf, count);
    r = ask(c, NINE_TWRITE, &rd);
    if (r < 0)
        return r;
    n = u32(&rd);
    return done(&rd) < 0 || n > count ? -EPROTO : (ssize_t)n;
}

static void
dirent_read(struct reader *rd, struct nc_dirent *e)
{
    qid_read(rd, &e->qid);
    e->offset = u64(rd);
    e->type = u8(rd);
    e->name_len = u16(rd);
    e->name = (const char *)take(rd, e->name_len);
}

int
nc_readdir(struct nc *c, uint32_t fid, uint64_t offset, uint32_t count,
           int (*each)(const struct nc_dirent *e, void *ctx), void *ctx)
{
    struct reader rd;
    uint32_t bytes;
    int r, n = 0;

    begin_fid(c, NINE_TREADDIR, fid);
    nc_u64(c, offset);
    nc_u32(c, count);
    r = ask(c, NINE_TREADDIR, &rd);
    if (r < 0)
        return r;
    bytes = u32(&rd);
    if (rd.bad || bytes != rd.left || bytes > count)
        return -EPROTO;
    while (rd.left > 0) {
        struct nc_dirent e;

        dirent_read(&rd, &e);
        if (rd.bad)
            return -EPROTO;
        r = each(&e, ctx);
        if (r < 0)
            return r;
        n++;
    }
    return n;
}

int
nc_mkdir(struct nc *c, uint32_t dfid, const char *name, uint32_t mode, uint32_t gid,
         struct nc_qid *qid)
{
    begin_fid(c, NINE_TMKDIR, dfid);
    text(c, name);
    nc_u32(c, mode);
    nc_u32(c, gid);
    return ask_qid(c, NINE_TMKDIR, qid);
}

int
nc_symlink(struct nc *c, uint32_t dfid, const char *name, const char *target, uint32_t gid,
           struct nc_qid *qid)
{
    begin_fid(c, NINE_TSYMLINK, dfid);
    text(c, name);
    text(c, target);
    nc_u32(c, gid);
    return ask_qid(c, NINE_TSYMLINK, qid);
}

int
nc_readlink(struct nc *c, uint32_t fid, char *buf, size_t room)
{
    struct reader rd;
    const uint8_t *p;
    uint16_t n;
    int r;

    begin_fid(c, NINE_TREADLINK, fid);
    r = ask(c, NINE_TREADLINK, &rd);
    if (r < 0)
        return r;
    n = u16(&rd);
    p = take(&rd, n);
    if (p == NULL || done(&rd) < 0)
        return -EPROTO;
    if (n > room)
        return -ENAMETOOLONG;
    memcpy(buf, p, n);
    return n;
}

int
nc_link(struct nc *c, uint32_t dfid, uint32_t fid, const char *name)
{
    begin_fid(c, NINE_TLINK, dfid);
    nc_u32(c, fid);
    text(c, name);
    return ask_empty(c, NINE_TLINK);
}

int
nc_mknod(struct nc *c, uint32_t dfid, const char *name, uint32_t mode, uint32_t major,
         uint32_t minor, uint32_t gid, struct nc_qid *qid)
{
    begin_fid(c, NINE_TMKNOD, dfid);
    text(c, name);
    nc_u32(c, mode);
    nc_u32(c, major);
    nc_u32(c, minor);
    nc_u32(c, gid);
    return ask_qid(c, NINE_TMKNOD, qid);
}

int
nc_rename(struct nc *c, uint32_t fid, uint32_t dfid, const char *name)
{
    begin_fid(c, NINE_TRENAME, fid);
    nc_u32(c, dfid);
    text(c, name);
    return ask_empty(c, NINE_TRENAME);
}

int
nc_renameat(struct nc *c, uint32_t olddir, const char *oldname, uint32_t newdir,
            const char *newname)
{
    begin_fid(c, NINE_TRENAMEAT, olddir);
    text(c, oldname);
    nc_u32(c, newdir);
    text(c, newname);
    return ask_empty(c, NINE_TRENAMEAT);
}

int
nc_unlinkat(struct nc *c, uint32_t dfid, const char *name, uint32_t flags)
{
    begin_fid(c, NINE_TUNLINKAT, dfid);
    text(c, name);
    nc_u32(c, flags);
    return ask_empty(c, NINE_TUNLINKAT);
}

int
nc_statfs(struct nc *c, uint32_t fid, struct nc_statfs *ret)
{
    struct reader rd;
    int r;

    begin_fid(c, NINE_TSTATFS, fid);
    r = ask(c, NINE_TSTATFS, &rd);
    if (r < 0)
        return r;
    ret->type = u32(&rd);
    ret->bsize = u32(&rd);
    ret->blocks = u64(&rd);
    ret->bfree = u64(&rd);
    ret->bavail = u64(&rd);
    ret->files = u64(&rd);
    ret->ffree = u64(&rd);
    ret->fsid = u64(&rd);
    ret->namelen = u32(&rd);
    return done(&rd);
}

int
nc_fsync(struct nc *c, uint32_t fid, uint32_t datasync)
{
    begin_fid(c, NINE_TFSYNC, fid);
    nc_u32(c, datasync);
    return ask_empty(c, NINE_TFSYNC);
}

int
nc_flush(struct nc *c, uint16_t oldtag)
{
    nc_begin(c, NINE_TFLUSH, CALL_TAG);
    nc_u16(c, oldtag);
    return ask_empty(c, NINE_TFLUSH);
}

int
nc_xattrwalk(struct nc *c, uint32_t fid, uint32_t newfid, const char *name, uint64_t *ret_size)
{
    struct reader rd;
    int r;

    begin_fid(c, NINE_TXATTRWALK, fid);
    nc_u32(c, newfid);
    text(c, name);
    r = ask(c, NINE_TXATTRWALK, &rd);
    if (r < 0)
        return r;
    *ret_size = u64(&rd);
    return done(&rd);
}

int
nc_xattrcreate(struct nc *c, uint32_t fid, const char *name, uint64_t size, uint32_t flags)
{
    begin_fid(c, NINE_TXATTRCREATE, fid);
    text(c, name);
    nc_u64(c, size);
    nc_u32(c, flags);
    return ask_empty(c, NINE_TXATTRCREATE);
}

static void
put_lock(struct nc *c, const struct nc_lock *l)
{
    nc_u64(c, l->start);
    nc_u64(c, l->length);
    nc_u32(c, l->proc_id);
    text(c, l->client_id);
}

int
nc_lock(struct nc *c, uint32_t fid, const struct nc_lock *l)
{
    struct reader rd;
    int r, status;

    begin_fid(c, NINE_TLOCK, fid);
    nc_u8(c, l->type);
    nc_u32(c, l->flags);
    put_lock(c, l);
    r = ask(c, NINE_TLOCK, &rd);
    if (r < 0)
        return r;
    status = u8(&rd);
    return done(&rd) < 0 || status > NINE_LOCK_GRACE ? -EPROTO : status;
}

int
nc_getlock(struct nc *c, uint32_t fid, const struct nc_lock *l, struct nc_lock *ret)
{
    struct reader rd;
    int r;

    begin_fid(c, NINE_TGETLOCK, fid);
    nc_u8(c, l->type);
    put_lock(c, l);
    r = ask(c, NINE_TGETLOCK, &rd);
    if (r < 0)
        return r;
    *ret = (struct nc_lock){.type = u8(&rd)};
    ret->start = u64(&rd);
    ret->length = u64(&rd);
    ret->proc_id = u32(&rd);
    (void)take(&rd, u16(&rd));
    return done(&rd) < 0 || ret->type > NINE_LOCK_UN ? -EPROTO : 0;
}
