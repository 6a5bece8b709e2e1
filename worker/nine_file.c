/*
 * Open files: Tlopen, Tlcreate, Tread, Twrite, Tfsync, Tclunk, Tremove.
 *
 * Runs in: worker.   Trusts: nobody; the flags of a guest become open_flag
 * bits of ipc/ops.h before anything is decided by them.
 * Owns: nothing.
 */
#include <errno.h>
#include <sys/stat.h>

#include "worker/nine.h"

/* The flags of Tlopen and Tlcreate; the numbers are the protocol's. */
enum dotl_flag {
    DOTL_WRONLY = 01,
    DOTL_RDWR = 02,
    DOTL_ACCMODE = 03,
    DOTL_CREATE = 0100,
    DOTL_EXCL = 0200,
    DOTL_TRUNC = 01000,
    DOTL_APPEND = 02000,
    DOTL_DSYNC = 010000,
    DOTL_DIRECTORY = 0200000,
    DOTL_NOATIME = 01000000,
    DOTL_SYNC = 04000000,
};

/* What is not named here (O_DIRECT, O_NONBLOCK, O_NOFOLLOW, O_CLOEXEC, ...)
 * is the guest kernel's own business; Linux before 6.4 sends it all. */
static struct open_how
open_how_dotl(uint32_t f)
{
    static const struct {
        uint32_t dotl;
        unsigned flag;
    } map[] = {
        {DOTL_EXCL, OPEN_EXCL},       {DOTL_TRUNC, OPEN_TRUNC}, {DOTL_APPEND, OPEN_APPEND},
        {DOTL_DSYNC, OPEN_DSYNC},     {DOTL_SYNC, OPEN_SYNC},   {DOTL_DIRECTORY, OPEN_DIRECTORY},
        {DOTL_NOATIME, OPEN_NOATIME},
    };
    uint32_t mode = f & DOTL_ACCMODE;
    struct open_how how = {
        .valid = mode != DOTL_ACCMODE,
        .reads = mode != DOTL_WRONLY,
        .writes = mode != 0,
    };

    for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
        if ((f & map[i].dotl) != 0)
            how.flags |= map[i].flag;
    }
    how.may_change = (f & (DOTL_ACCMODE | DOTL_TRUNC | DOTL_APPEND | DOTL_CREATE)) != 0;
    return how;
}

/* Unless the fid went away meanwhile; then so does the file. */
void
nine_opened(struct request *r, uint64_t file, const struct attr *a)
{
    struct fid *f = r->fid;
    struct pen w;

    r->fresh_file->id = file;
    if (f->state == FID_CHANGING) {
        f->file = r->fresh_file;
        r->fresh_file = NULL;
        f->reads = r->reads;
        f->writes = r->writes;
        f->removes = r->removes;
        f->directory = S_ISDIR(a->mode);
        fid_go(f, FID_OPEN);
    }
    reply_begin(r, &w, (uint8_t)(r->type + 1));
    pen_attr_qid(&w, r, a);
    pen_u32(&w, 0); /* iounit: whatever fits msize */
    reply_end(r, &w);
}

static void
opened_to_read(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__OpenReadRep *rep = (const Postern__V1__OpenReadRep *)m;

    if (status < 0)
        reply_error(request_of(call), status);
    else
        nine_opened(request_of(call), rep->file, msg_attr(rep->attr));
}

static void
opened_to_write(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__OpenWriteRep *rep = (const Postern__V1__OpenWriteRep *)m;

    if (status < 0)
        reply_error(request_of(call), status);
    else
        nine_opened(request_of(call), rep->file, msg_attr(rep->attr));
}

/* What Tlopen and Tlcreate have in common: -EROFS first, then the rest. */
static int
open_prepare(struct request *r, uint32_t num, const struct open_how *how, unsigned op)
{
    int e =
        how->may_change || op == OP_CREATE ? request_fid_to_write(r, num, op) : request_fid(r, num);

    if (e == 0 && !how->valid)
        e = -EINVAL;
    if (e == 0)
        e = request_changes_fid(r);
    if (e < 0)
        return e;
    r->reads = how->reads;
    r->writes = how->writes;
    r->removes = how->removes;
    r->fresh_file = handle_new(r->share, HANDLE_FILE);
    return r->fresh_file == NULL ? -ENOMEM : 0;
}

int
nine_open(struct request *r, uint32_t num, const struct open_how *how)
{
    Postern__V1__OpenReadReq rd = POSTERN__V1__OPEN_READ_REQ__INIT;
    Postern__V1__OpenWriteReq wr = POSTERN__V1__OPEN_WRITE_REQ__INIT;
    int e = open_prepare(r, num, how, OP_OPEN_WRITE);

    if (e < 0)
        return e;
    if (how->writes || (how->flags & OPEN_TRUNC) != 0) {
        wr.node = r->node->id;
        wr.flags = (how->flags & OPEN_WRITE_FLAGS) | (how->reads ? (unsigned)OPEN_READS : 0);
        r->call.done = opened_to_write;
        return fs_open_write(r->share->fs, &wr, &r->call);
    }
    r->fresh_file->only_read = !how->removes;
    rd.node = r->node->id;
    rd.flags = how->flags & OPEN_READ_FLAGS;
    r->call.done = opened_to_read;
    return fs_open_read(r->share->fs, &rd, &r->call);
}

int
nine_tlopen(struct request *r, struct cursor *c)
{
    uint32_t num = cur_u32(c);
    struct open_how how = open_how_dotl(cur_u32(c));

    return cur_end(c) ? nine_open(r, num, &how) : -EPROTO;
}

void
nine_becomes(struct request *r)
{
    struct fid *f = r->fid;

    if (f->state != FID_CHANGING)
        return;
    handle_put(f->node);
    f->node = r->fresh_node;
    r->fresh_node = NULL;
    place_put(f->place);
    f->place = r->fresh_place;
    r->fresh_place = NULL;
}

void
nine_will_be(struct request *r, struct str name)
{
    if (r->conn->dialect != NINE_L)
        r->fresh_place = place_new(&r->conn->tenant->places, r->node, name);
}

static void
created(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__CreateRep *rep = (const Postern__V1__CreateRep *)m;
    struct request *r = request_of(call);

    if (status < 0) {
        reply_error(r, status);
        return;
    }
    handle_fill(r->fresh_node, rep->node, msg_attr(rep->attr)->mode);
    nine_becomes(r);
    nine_opened(r, rep->file, msg_attr(rep->attr));
}

int
nine_create(struct request *r, uint32_t num, struct str name, const struct open_how *how,
            uint32_t mode, uint32_t gid)
{
    Postern__V1__CreateReq q = POSTERN__V1__CREATE_REQ__INIT;
    int e = open_prepare(r, num, how, OP_CREATE);

    if (e == 0)
        e = nine_name(name);
    if (e < 0)
        return e;
    r->fresh_node = handle_new(r->share, HANDLE_NODE);
    if (r->fresh_node == NULL)
        return -ENOMEM;
    request_gid(r, gid);
    q.dir = r->node->id;
    q.name = msg_bytes(name.p, name.n);
    nine_will_be(r, name);
    q.mode = mode;
    q.flags = how->flags & (CREATE_FLAGS & ~(unsigned)OPEN_DIRECTORY);
    if (how->reads)
        q.flags |= how->writes ? (unsigned)OPEN_READS : (unsigned)OPEN_NOWRITE;
    r->call.done = created;
    return fs_create(r->share->fs, &q, &r->call);
}

int
nine_tlcreate(struct request *r, struct cursor *c)
{
    uint32_t num = cur_u32(c), mode, gid;
    struct str name = cur_str(c);
    struct open_how how = open_how_dotl(cur_u32(c));

    mode = cur_u32(c) & 07777;
    gid = cur_u32(c);
    return cur_end(c) ? nine_create(r, num, name, &how, mode, gid) : -EPROTO;
}

static void
reply_data(struct request *r, uint32_t n)
{
    struct pen w;

    reply_begin(r, &w, NINE_TREAD + 1);
    pen_u32(&w, n);
    reply_end_payload(r, &w, n);
}

static void
read_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__ReadRep *rep = (const Postern__V1__ReadRep *)m;

    pace_used(request_of(call), status < 0 ? 0 : rep->count);
    if (status < 0)
        reply_error(request_of(call), status);
    else
        reply_data(request_of(call), rep->count);
}

int
nine_tread(struct request *r, struct cursor *c)
{
    Postern__V1__ReadReq q = POSTERN__V1__READ_REQ__INIT;
    uint32_t num = cur_u32(c), room = r->conn->msize - NINE_IO_HEAD;
    int e;

    q.offset = cur_u64(c);
    q.count = cur_u32(c);
    e = nine_fid(r, c, num);
    if (e == -EBADF && request_xattr(r, num))
        return nine_xattr_read(r, q.offset, q.count);
    if (e < 0)
        return e;
    if (r->file == NULL || !r->fid->reads)
        return -EBADF;
    if (q.offset > INT64_MAX)
        return -EINVAL;
    if (q.count > room)
        q.count = room;
    if (q.count == 0) {
        reply_data(r, 0);
        return 0;
    }
    if (r->fid->directory && r->conn->dialect != NINE_L) {
        r->count = q.count;
        return nine_read_dir(r, q.offset);
    }
    e = request_part(r, q.count, 1);
    if (e < 0)
        return e;
    q.file = r->file->id;
    q.count = r->call.payload_len;
    r->call.done = read_done;
    return fs_read(r->share->fs, &q, &r->call);
}

static void
reply_written(struct request *r, uint32_t n)
{
    struct pen w;

    reply_begin(r, &w, NINE_TWRITE + 1);
    pen_u32(&w, n);
    reply_end(r, &w);
}

/* Of a message that is written in parts the next comes when all of this one is
 * on its file; after an error or a short write none does. */
static void
write_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__WriteRep *rep = (const Postern__V1__WriteRep *)m;
    const uint32_t n = status < 0 ? 0 : rep->count;
    struct request *r = request_of(call);

    pace_used(r, n);
    r->written += n;
    r->offset += n;
    if (r->conn->incoming == r && n == r->count) {
        request_expects(r);
        conn_queue(r->conn);
    } else if (status < 0 && r->written == 0) {
        reply_error(r, status);
    } else {
        reply_written(r, r->written);
    }
}

/* Only the head of the message is here; its data follows into the slab. */
int
nine_twrite(struct request *r, struct cursor *c)
{
    uint32_t num = cur_u32(c);
    int e;

    r->offset = cur_u64(c);
    if (cur_u32(c) != r->data || !cur_end(c))
        return -EPROTO;
    e = request_fid_to_write(r, num, OP_WRITE);
    if (e == -EBADF && request_xattr(r, num))
        return nine_xattr_write(r);
    if (e < 0)
        return e;
    if (r->file == NULL || !r->fid->writes)
        return -EBADF;
    if (r->offset > INT64_MAX)
        return -EINVAL;
    if (r->data == 0) {
        reply_written(r, 0);
        return 0;
    }
    e = request_part(r, r->data, 1);
    if (e == 0)
        request_expects(r);
    return e;
}

static int
write_submit(struct request *r)
{
    Postern__V1__WriteReq q = POSTERN__V1__WRITE_REQ__INIT;

    q.file = r->file->id;
    q.offset = r->offset;
    q.count = r->count;
    r->call.done = write_done;
    return fs_write(r->share->fs, &q, &r->call);
}

void
nine_write_arrived(struct conn *c)
{
    struct request *r = c->incoming;

    if (r->data == 0)
        request_expects_no_more(r);
    if (r->file == NULL)
        nine_xattr_arrived(r);
    else if (pace_pay(r, PAYS_WRITE, r->count, write_submit))
        request_step(r, write_submit);
}

int
nine_fsync(struct request *r, bool datasync)
{
    Postern__V1__FsyncReq q = POSTERN__V1__FSYNC_REQ__INIT;

    if (fs_access(r->share->fs, OP_FSYNC, r->call.narrowed) < 0) {
        reply_empty(r); /* nothing was written, so all of it is on disk */
        return 0;
    }
    q.file = r->file->id;
    q.datasync = datasync;
    r->call.done = nine_done_empty;
    return fs_fsync(r->share->fs, &q, &r->call);
}

int
nine_tfsync(struct request *r, struct cursor *c)
{
    uint32_t num = cur_u32(c);
    bool datasync = cur_u32(c) != 0;
    int e = nine_fid(r, c, num);
    if (e < 0)
        return e;
    return r->file == NULL ? -EBADF : nine_fsync(r, datasync);
}

/* With its share the file is gone, and closed. */
static void
closed(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    nine_done_empty(call, status == -ESTALE ? 0 : status, m);
}

static int
close_submit(struct request *r)
{
    Postern__V1__CloseReq q = POSTERN__V1__CLOSE_REQ__INIT;
    int e;

    q.file = r->closing;
    r->call.done = closed;
    e = fs_close(r->share->fs, &q, &r->call);
    if (e != -ESTALE)
        return e;
    reply_empty(r);
    return 0;
}

void
nine_close_now(struct request *r, struct handle *file)
{
    r->closing = file->id;
    handle_free(file);
    request_step(r, close_submit);
}

/* An open file is answered by its CLOSE, which waits until no read or write
 * on it is under way; for the guest the fid is gone at once. That it is closed
 * can be seen only of a file open to write: others may run it from then on. */
void
nine_clunk_close(struct request *r)
{
    struct handle *file = r->file;

    r->file = NULL;
    if (file != NULL && !handle_closes_unseen(file)) {
        file->closer = r;
        handle_put(file); /* may end r */
        return;
    }
    handle_put(file);
    if (file != NULL)
        share_release(r->share); /* before what the guest asks next */
    reply_empty(r);
}

int
nine_tclunk(struct request *r, struct cursor *c)
{
    struct conn *conn = r->conn;
    uint32_t num = cur_u32(c);
    int e;

    if (!cur_end(c))
        return -EPROTO;
    e = request_fid_to_end(r, num);
    if (e < 0)
        return request_xattr(r, num) ? nine_xattr_clunk(r) : e;
    nine_lock_fid_goes(conn, r->fid);
    fid_remove(&conn->fids, &conn->tenant->fids, r->fid);
    if (r->fid->removes)
        nine_clunk_remove(r);
    else
        nine_clunk_close(r);
    return 0;
}

static int
remove_submit(struct request *r)
{
    Postern__V1__RemoveReq q = POSTERN__V1__REMOVE_REQ__INIT;

    q.node = r->node->id;
    r->call.done = nine_done_empty;
    return fs_remove(r->share->fs, &q, &r->call);
}

/* The fid goes in any case, the protocol says. */
int
nine_tremove(struct request *r, struct cursor *c)
{
    struct conn *conn = r->conn;
    uint32_t num = cur_u32(c);
    int e;

    if (!cur_end(c))
        return -EPROTO;
    e = request_fid_to_end(r, num);
    if (e < 0 && request_xattr(r, num))
        fid_remove(&conn->fids, &conn->tenant->fids, r->fid);
    if (e < 0)
        return e;
    e = fs_access(r->share->fs, OP_REMOVE, r->call.narrowed);
    if (e == 0 && nine_is_entry(r))
        e = -EROFS;
    if (e == 0)
        e = nine_by_name(r, remove_submit);
    if (e != -EAGAIN) {
        nine_lock_fid_goes(conn, r->fid);
        fid_remove(&conn->fids, &conn->tenant->fids, r->fid);
    }
    return e;
}
