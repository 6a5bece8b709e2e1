/*
 * Topen, Tcreate and Tstat of 9P2000.u and 9P2000, and work on a file by its
 * name.
 *
 * Runs in: worker.   Trusts: nobody; mode bytes and permission bits of a guest
 * become open_flag bits and operations before anything is decided by them.
 * Owns: nothing.
 *
 * Decisions that the protocols leave open:
 *   Tcreate never opens what is there already (EEXIST), as the manual has it;
 *   an exclusive-use file (DMEXCL) cannot be promised while the host and other
 *   guests open the same files: EOPNOTSUPP; an append-only file (DMAPPEND) is
 *   open for appending, but that is not kept for the next who opens it;
 *   DMTMP promises nothing and is let go;
 *   the mode of a new file is the one asked for, whatever its directory's;
 *   what cannot be opened here (symlinks, FIFOs, sockets) is made, and the fid
 *   then names it without being open;
 *   a file opened with ORCLOSE is removed by Tclunk, not when its connection
 *   ends: a guest that dies loses nothing.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/nine_stat.h"

enum open_mode { /* Topen's and Tcreate's mode byte */
                 OLD_OREAD = 0,
                 OLD_OWRITE = 1,
                 OLD_ORDWR = 2,
                 OLD_OEXEC = 3,
                 OLD_ACCMODE = 3,
                 OLD_OTRUNC = 0x10,
                 OLD_OCEXEC = 0x20, /* for the client's own exec */
                 OLD_ORCLOSE = 0x40,
                 OLD_OAPPEND = 0x80, /* 9P2000.u */
};

static struct open_how
open_how_old(unsigned dialect, uint8_t mode)
{
    unsigned known = OLD_ACCMODE | OLD_OTRUNC | OLD_OCEXEC | OLD_ORCLOSE, acc = mode & OLD_ACCMODE;
    struct open_how how = {
        .reads = acc != OLD_OWRITE,
        .writes = acc == OLD_OWRITE || acc == OLD_ORDWR,
        .removes = (mode & OLD_ORCLOSE) != 0,
    };

    if (dialect == NINE_U)
        known |= OLD_OAPPEND;
    how.valid = (mode & ~known) == 0;
    if ((mode & OLD_OTRUNC) != 0)
        how.flags |= (unsigned)OPEN_TRUNC;
    if ((mode & OLD_OAPPEND) != 0)
        how.flags |= (unsigned)OPEN_APPEND;
    how.may_change = how.writes || how.removes || how.flags != 0;
    return how;
}

int
nine_topen(struct request *r, struct cursor *c)
{
    uint32_t num = cur_u32(c);
    struct open_how how = open_how_old(r->conn->dialect, cur_u8(c));

    return cur_end(c) ? nine_open(r, num, &how) : -EPROTO;
}

/* --- Tcreate of what is no regular file --------------------------------- */

/* What was made is the fid's now; it is not open. */
static void
made_closed(struct request *r, const struct attr *a)
{
    struct fid *f = r->fid;
    struct pen w;

    if (f->state == FID_CHANGING) {
        nine_becomes(r);
        fid_go(f, FID_WALKED);
    }
    reply_begin(r, &w, NINE_TCREATE + 1);
    pen_attr_qid(&w, r, a);
    pen_u32(&w, 0);
    reply_end(r, &w);
}

static void
made_opened(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__OpenReadRep *rep = (const Postern__V1__OpenReadRep *)m;
    struct request *r = request_of(call);

    if (status < 0) {
        reply_error(r, status);
        return;
    }
    nine_becomes(r);
    nine_opened(r, rep->file, msg_attr(rep->attr));
}

static int
made_open(struct request *r)
{
    Postern__V1__OpenReadReq q = POSTERN__V1__OPEN_READ_REQ__INIT;

    if (r->fresh_file == NULL)
        r->fresh_file = handle_new(r->share, HANDLE_FILE);
    if (r->fresh_file == NULL)
        return -ENOMEM;
    q.node = r->fresh_node->id;
    q.flags = OPEN_DIRECTORY;
    r->call.done = made_opened;
    return fs_open_read(r->share->fs, &q, &r->call);
}

static void
made_found(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__WalkRep *rep = (const Postern__V1__WalkRep *)m;
    struct request *r = request_of(call);

    if (status < 0) {
        reply_error(r, status);
        return;
    }
    handle_fill(r->fresh_node, rep->node, msg_attr(rep->attr)->mode);
    r->fresh_place->directory = S_ISDIR(msg_attr(rep->attr)->mode);
    if (r->opens)
        request_step(r, made_open);
    else
        made_closed(r, msg_attr(rep->attr));
}

static int
made_find(struct request *r)
{
    Postern__V1__WalkReq q = POSTERN__V1__WALK_REQ__INIT;

    q.node = r->node->id;
    q.has_name1 = 1;
    q.name1 = msg_bytes(r->fresh_place->name, r->fresh_place->len);
    r->call.done = made_found;
    return fs_walk(r->share->fs, &q, &r->call);
}

static void
made(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    (void)m;
    if (status < 0)
        reply_error(request_of(call), status);
    else
        request_step(request_of(call), made_find);
}

static void
linked(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__LinkRep *rep = (const Postern__V1__LinkRep *)m;
    struct request *r = request_of(call);

    if (status < 0) {
        reply_error(r, status);
        return;
    }
    handle_put(r->fresh_node);
    r->fresh_node = r->other;
    r->other = NULL;
    made_closed(r, msg_attr(rep->attr));
}

static int
make_dir(struct request *r, struct str name, uint32_t perm, struct str extension)
{
    Postern__V1__MkdirReq q = POSTERN__V1__MKDIR_REQ__INIT;

    (void)extension;
    r->opens = true;
    q.dir = r->node->id;
    q.name = msg_bytes(name.p, name.n);
    q.mode = perm;
    r->call.done = made;
    return fs_mkdir(r->share->fs, &q, &r->call);
}

static int
make_symlink(struct request *r, struct str name, uint32_t perm, struct str extension)
{
    Postern__V1__SymlinkReq q = POSTERN__V1__SYMLINK_REQ__INIT;
    int e = nine_target(extension);

    (void)perm;
    if (e < 0)
        return e;
    q.dir = r->node->id;
    q.name = msg_bytes(name.p, name.n);
    q.target = msg_bytes(extension.p, extension.n);
    r->call.done = made;
    return fs_symlink(r->share->fs, &q, &r->call);
}

/* Linux puts a line feed behind the number. */
static bool
fid_number(struct str s, uint32_t *ret)
{
    uint64_t v = 0;

    if (s.n > 0 && s.p[s.n - 1] == '\n')
        s.n--;
    if (s.n == 0 || s.n > 10)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *ret = (uint32_t)v;
    return v < NINE_NOFID;
}

/* The extension is the fid of the file that gets another name. */
static int
make_link(struct request *r, struct str name, uint32_t perm, struct str extension)
{
    Postern__V1__LinkReq q = POSTERN__V1__LINK_REQ__INIT;
    uint32_t num = 0;
    int e = fid_number(extension, &num) ? request_other(r, num, OP_LINK) : -EINVAL;

    (void)perm;
    if (e < 0)
        return e;
    q.node = r->other->id;
    q.dir = r->node->id;
    q.name = msg_bytes(name.p, name.n);
    r->call.done = linked;
    return fs_link(r->share->fs, &q, &r->call);
}

static int
make_node(struct request *r, struct str name, uint32_t mode)
{
    Postern__V1__MknodReq q = POSTERN__V1__MKNOD_REQ__INIT;

    q.dir = r->node->id;
    q.name = msg_bytes(name.p, name.n);
    q.mode = mode;
    r->call.done = made;
    return fs_mknod(r->share->fs, &q, &r->call);
}

static int
make_fifo(struct request *r, struct str name, uint32_t perm, struct str extension)
{
    (void)extension;
    return make_node(r, name, S_IFIFO | perm);
}

static int
make_socket(struct request *r, struct str name, uint32_t perm, struct str extension)
{
    (void)extension;
    return make_node(r, name, S_IFSOCK | perm);
}

/* Nobody makes a device. */
static int
make_device(struct request *r, struct str name, uint32_t perm, struct str extension)
{
    (void)r;
    (void)name;
    (void)perm;
    (void)extension;
    return -EPERM;
}

static const struct kind {
    uint32_t dm;
    unsigned op;
    int (*make)(struct request *r, struct str name, uint32_t perm, struct str extension);
} kinds[] = {
    {(uint32_t)DM_DIR, OP_MKDIR, make_dir}, {DM_SYMLINK, OP_SYMLINK, make_symlink},
    {DM_LINK, OP_LINK, make_link},          {DM_NAMEDPIPE, OP_MKNOD, make_fifo},
    {DM_SOCKET, OP_MKNOD, make_socket},     {DM_DEVICE, OP_MKNOD, make_device},
};

/* NULL: none of them, or two at once. */
static const struct kind *
kind_of(uint32_t perm)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if ((perm & DM_KINDS) == kinds[i].dm)
            return &kinds[i];
    }
    return NULL;
}

static int
create_check(unsigned dialect, uint32_t perm, struct open_how *how)
{
    uint32_t kind = perm & DM_KINDS;

    if ((perm & ~dm_known(dialect)) != 0 || (kind != 0 && kind_of(perm) == NULL) || !how->valid)
        return -EINVAL;
    if ((perm & (uint32_t)DM_EXCL) != 0)
        return -EOPNOTSUPP;
    if (kind != 0 && kind != (uint32_t)DM_DIR && how->removes)
        return -EINVAL; /* nobody will close it */
    if (kind == (uint32_t)DM_DIR && (how->writes || (how->flags & OPEN_TRUNC) != 0))
        return -EISDIR;
    return 0;
}

static int
make(struct request *r, uint32_t num, struct str name, uint32_t perm, struct str extension,
     const struct kind *k, int bad)
{
    int e = request_fid_to_write(r, num, k->op);

    if (e == 0)
        e = bad;
    if (e == 0)
        e = nine_name(name);
    if (e == 0)
        e = request_changes_fid(r);
    if (e < 0)
        return e;
    nine_will_be(r, name);
    r->fresh_node = handle_new(r->share, HANDLE_NODE);
    if (r->fresh_node == NULL || r->fresh_place == NULL)
        return -ENOMEM;
    return k->make(r, name, dm_perm(r->conn->dialect, perm), extension);
}

int
nine_tcreate(struct request *r, struct cursor *c)
{
    unsigned dialect = r->conn->dialect;
    uint32_t num = cur_u32(c), perm;
    struct str name = cur_str(c), extension = {NULL, 0};
    struct open_how how;
    const struct kind *k;
    int bad;

    perm = cur_u32(c);
    how = open_how_old(dialect, cur_u8(c));
    if (dialect == NINE_U)
        extension = cur_str(c);
    if (!cur_end(c))
        return -EPROTO;
    bad = create_check(dialect, perm, &how);
    r->removes = how.removes;
    r->reads = how.reads;
    k = kind_of(perm);
    if (k != NULL)
        return make(r, num, name, perm, extension, k, bad);
    how.flags |= OPEN_EXCL | ((perm & (uint32_t)DM_APPEND) != 0 ? (unsigned)OPEN_APPEND : 0);
    if (bad < 0) {
        int e = request_fid_to_write(r, num, OP_CREATE);

        return e < 0 ? e : bad;
    }
    return nine_create(r, num, name, &how, dm_perm(dialect, perm), ID_NONE);
}

/* --- Tstat ---------------------------------------------------------------- */

static void
stat_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__GetattrRep *rep = (const Postern__V1__GetattrRep *)m;
    struct request *r = request_of(call);
    struct str target;
    struct pen w, stat;

    if (status < 0) {
        reply_error(r, status);
        return;
    }
    target = (struct str){rep->target.data, rep->target.len};
    reply_begin(r, &w, NINE_TSTAT + 1);
    stat = w;
    (void)pen_take(&stat, 2);
    pen_stat(&stat, r, msg_attr(rep->attr), place_name(r->place), target);
    if (stat.full || pen_len(&stat) > r->conn->msize) {
        reply_error(r, -ENAMETOOLONG); /* a reply beyond msize would end the connection */
        return;
    }
    pen_u16(&w, (uint16_t)(pen_len(&stat) - pen_len(&w) - 2));
    (void)pen_take(&w, pen_len(&stat) - pen_len(&w)); /* it is there already */
    reply_end(r, &w);
}

int
nine_tstat(struct request *r, struct cursor *c)
{
    Postern__V1__GetattrReq q = POSTERN__V1__GETATTR_REQ__INIT;
    uint32_t num = cur_u32(c);
    int e = nine_fid(r, c, num);
    if (e < 0)
        return e;
    q.node = r->node->id;
    if (r->file != NULL) {
        q.has_file = 1;
        q.file = r->file->id;
    }
    q.has_target = r->conn->dialect == NINE_U;
    q.target = 1;
    r->call.done = stat_done;
    return fs_getattr(r->share->fs, &q, &r->call);
}

/* --- by name ---------------------------------------------------------------- */

static void
name_heard(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__WalkRep *rep = (const Postern__V1__WalkRep *)m;
    struct request *r = request_of(call);

    if (status == 0 && rep->has_node)
        r->fresh_node->id = rep->node; /* given back when the request ends */
    request_step(r, r->legacy.then);
}

/*
 * REMOVE and PARENT work on the name by which the helper knows the file last,
 * which for a file of two names may be the other one. A walk by the name that
 * this fid came by makes it the last. Whether the walk finds the file, or
 * another, does not matter: the helper never touches a name that is not the
 * file's.
 */
int
nine_by_name(struct request *r, int (*step)(struct request *))
{
    Postern__V1__WalkReq q = POSTERN__V1__WALK_REQ__INIT;
    const struct place *p = r->place;

    if (p == NULL || p->dir == NULL || p->directory)
        return step(r);
    if (r->fresh_node == NULL)
        r->fresh_node = handle_new(r->share, HANDLE_NODE);
    if (r->fresh_node == NULL)
        return -ENOMEM;
    r->legacy.then = step;
    q.node = p->dir->id;
    q.has_name1 = 1;
    q.name1 = msg_bytes(p->name, p->len);
    r->call.done = name_heard;
    return fs_walk(r->share->fs, &q, &r->call);
}

static void
removed(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    (void)status; /* the fid is gone either way */
    (void)m;
    nine_clunk_close(request_of(call));
}

static int
remove_named(struct request *r)
{
    Postern__V1__RemoveReq q = POSTERN__V1__REMOVE_REQ__INIT;
    int e;

    q.node = r->node->id;
    r->call.done = removed;
    e = fs_remove(r->share->fs, &q, &r->call);
    if (e < 0 && e != -EAGAIN) {
        nine_clunk_close(r);
        return 0;
    }
    return e;
}

static int
remove_begin(struct request *r)
{
    int e = nine_by_name(r, remove_named);

    if (e < 0 && e != -EAGAIN) {
        nine_clunk_close(r);
        return 0;
    }
    return e;
}

void
nine_clunk_remove(struct request *r)
{
    request_step(r, remove_begin);
}
