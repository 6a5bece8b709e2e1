/*
 * Extended attributes: Txattrwalk, Txattrcreate, and Tread, Twrite and Tclunk
 * of the fids that those make.
 *
 * Runs in: worker.   Trusts: nobody: a helper's size is only ever one that was
 * asked for (worker/fs.c), and a value is copied out of shared memory once.
 * Owns: nothing; a value is its fid's.
 *
 * Decisions that the protocol leaves open:
 *   a value is read as a whole at the walk, and written as a whole at the
 *   clunk, whose error is the attribute's; the fid is gone either way;
 *   a value has at most 64 KiB (E2BIG), and all that a connection has on the
 *   way at most XATTR_BYTES_MAX (ENOSPC);
 *   bytes come from the first to the last: beyond what was announced they are
 *   ENOSPC, behind a gap EINVAL, and a clunk before all have come sets nothing
 *   (EINVAL);
 *   announced as empty and to replace, as Linux sends removexattr(2), the
 *   attribute is removed; announced as empty otherwise, it is set, being empty;
 *   to everything else such a fid is no file: EBADF.
 */
#include <errno.h>
#include <string.h>

#include "worker/nine.h"

/* twin: enum xattr_flag in ipc/ops.h, whose numbers happen to be these */
enum dotl_xattr_flag { DOTL_XATTR_CREATE = 1, DOTL_XATTR_REPLACE = 2 };
_Static_assert((int)DOTL_XATTR_CREATE == (int)XATTR_FLAG_CREATE, "flags of Txattrcreate");
_Static_assert((int)DOTL_XATTR_REPLACE == (int)XATTR_FLAG_REPLACE, "flags of Txattrcreate");

/* 0; -ERANGE, as Linux has it; -EINVAL: a NUL in it. */
static int
check_key(struct str key)
{
    if (key.n == 0 || key.n > XATTR_KEY_MAX)
        return -ERANGE;
    return key_ok(key.p, key.n) ? 0 : -EINVAL;
}

/* What was found, of size bytes, is the new fid's. */
static void
walk_done(struct request *r, int status, uint32_t size)
{
    struct fids *fids = &r->conn->fids;
    struct fid *f = r->newfid;
    struct pen w;

    if (status == 0 && f->state == FID_NEW)
        status = fid_xattr(fids, f, size);
    if (status < 0) {
        reply_error(r, status);
        return;
    }
    if (f->state == FID_NEW) {
        memcpy(f->xattr->value, r->call.payload, size);
        f->node = handle_get(r->node);
        request_begets(r, f);
        fid_go(f, FID_VALUE);
    }
    reply_begin(r, &w, NINE_TXATTRWALK + 1);
    pen_u64(&w, size);
    reply_end(r, &w);
}

static void
got_value(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__GetxattrRep *rep = (const Postern__V1__GetxattrRep *)m;

    walk_done(request_of(call), status, status < 0 ? 0 : rep->size);
}

static void
got_list(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__ListxattrRep *rep = (const Postern__V1__ListxattrRep *)m;

    walk_done(request_of(call), status, status < 0 ? 0 : rep->size);
}

int
nine_txattrwalk(struct request *r, struct cursor *c)
{
    Postern__V1__GetxattrReq get = POSTERN__V1__GETXATTR_REQ__INIT;
    Postern__V1__ListxattrReq list = POSTERN__V1__LISTXATTR_REQ__INIT;
    const struct tenant *t = r->conn->tenant;
    uint32_t from = cur_u32(c), to = cur_u32(c);
    struct str key = cur_str(c);
    int e = nine_fid(r, c, from);
    if (e == 0 && key.n > 0)
        e = check_key(key);
    if (e == 0)
        e = fid_add(&r->conn->fids, &r->conn->tenant->fids, to, t->limits.fids, &r->newfid);
    if (e < 0)
        return e;
    (void)fid_get(r->newfid);
    e = request_payload(r, XATTR_SIZE_MAX);
    if (e < 0)
        return e;
    if (key.n == 0) {
        list.node = r->node->id;
        list.count = XATTR_SIZE_MAX;
        r->call.done = got_list;
        return fs_listxattr(r->share->fs, &list, &r->call);
    }
    get.node = r->node->id;
    get.key = msg_bytes(key.p, key.n);
    get.count = XATTR_SIZE_MAX;
    r->call.done = got_value;
    return fs_getxattr(r->share->fs, &get, &r->call);
}

int
nine_txattrcreate(struct request *r, struct cursor *c)
{
    uint32_t num = cur_u32(c), flags;
    struct str key = cur_str(c);
    uint64_t size = cur_u64(c);
    struct xattr *x;
    int e;

    flags = cur_u32(c);
    e = nine_fid_to_write(r, c, num, OP_SETXATTR);
    if (e == 0)
        e = check_key(key);
    if (e == 0 && ((flags & ~XATTR_FLAGS) != 0 || r->fid->state != FID_WALKED))
        e = -EINVAL;
    if (e == 0 && size > XATTR_SIZE_MAX)
        e = -E2BIG;
    if (e == 0)
        e = fid_xattr(&r->conn->fids, r->fid, (uint32_t)size);
    if (e < 0)
        return e;
    x = r->fid->xattr;
    x->flags = flags;
    x->nkey = (uint32_t)key.n;
    memcpy(x->key, key.p, key.n);
    fid_go(r->fid, FID_FILLING);
    reply_empty(r);
    return 0;
}

int
nine_xattr_read(struct request *r, uint64_t offset, uint32_t count)
{
    const struct xattr *x = r->fid->xattr;
    uint32_t n = r->conn->msize - NINE_IO_HEAD;
    struct pen w;

    if (r->fid->state != FID_VALUE)
        return -EBADF;
    if (share_status(r->share) < 0)
        return -ESTALE;
    if (n > count)
        n = count;
    if (offset >= x->size)
        n = 0;
    else if (n > x->size - offset)
        n = (uint32_t)(x->size - offset);
    if (n > 0) {
        int e = request_part(r, n, 1);

        if (e < 0)
            return e;
        n = r->call.payload_len;
        memcpy(r->call.payload, x->value + offset, n);
    }
    reply_begin(r, &w, NINE_TREAD + 1);
    pen_u32(&w, n);
    reply_end_payload(r, &w, n);
    return 0;
}

static void
reply_written(struct request *r)
{
    struct pen w;

    reply_begin(r, &w, NINE_TWRITE + 1);
    pen_u32(&w, r->written);
    reply_end(r, &w);
}

int
nine_xattr_write(struct request *r)
{
    const struct xattr *x = r->fid->xattr;
    int e = fs_access(r->share->fs, OP_WRITE, r->call.narrowed);

    if (e == 0 && r->fid->state != FID_FILLING)
        e = -EBADF;
    if (e == 0)
        e = share_status(r->share);
    if (e < 0)
        return e;
    if (r->offset > x->size || r->data > x->size - r->offset)
        return -ENOSPC;
    if (r->offset > x->filled)
        return -EINVAL;
    if (r->data == 0) {
        reply_written(r);
        return 0;
    }
    e = request_part(r, r->data, 1);
    if (e == 0)
        request_expects(r);
    return e;
}

void
nine_xattr_arrived(struct request *r)
{
    struct xattr *x = r->fid->xattr;
    uint32_t end = (uint32_t)r->offset + r->count;

    if (x == NULL) { /* the fid went meanwhile */
        reply_error(r, -EBADF);
        return;
    }
    memcpy(x->value + r->offset, r->call.payload, r->count);
    if (x->filled < end)
        x->filled = end;
    r->written += r->count;
    r->offset += r->count;
    if (r->conn->incoming == r)
        request_expects(r);
    else
        reply_written(r);
}

/* Submit what the fid was filled for. */
static int
settle(struct request *r)
{
    Postern__V1__SetxattrReq set = POSTERN__V1__SETXATTR_REQ__INIT;
    Postern__V1__RemovexattrReq rm = POSTERN__V1__REMOVEXATTR_REQ__INIT;
    const struct xattr *x = r->fid->xattr;
    int e;

    if (x->filled < x->size)
        return -EINVAL;
    r->call.done = nine_done_empty;
    if (x->size == 0 && x->flags == XATTR_FLAG_REPLACE) {
        rm.node = r->node->id;
        rm.key = msg_bytes(x->key, x->nkey);
        return fs_removexattr(r->share->fs, &rm, &r->call);
    }
    if (x->size > 0) {
        e = request_payload(r, x->size);
        if (e < 0)
            return e;
        memcpy(r->call.payload, x->value, x->size);
    }
    set.node = r->node->id;
    set.key = msg_bytes(x->key, x->nkey);
    set.count = x->size;
    set.flags = x->flags;
    return fs_setxattr(r->share->fs, &set, &r->call);
}

int
nine_xattr_clunk(struct request *r)
{
    struct conn *c = r->conn;
    int e;

    if (r->fid->state == FID_VALUE) {
        fid_remove(&c->fids, &c->tenant->fids, r->fid);
        reply_empty(r);
        return 0;
    }
    e = settle(r);
    if (e != -EAGAIN)
        fid_remove(&c->fids, &c->tenant->fids, r->fid);
    return e;
}
