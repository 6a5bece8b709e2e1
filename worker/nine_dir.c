/*
 * Directories and names: Treaddir, Tmkdir, Tsymlink, Tmknod, Tlink, Trename,
 * Trenameat, Tunlinkat.
 *
 * Runs in: worker.   Trusts: nobody: names of guests are checked here before
 * any call, and so are the records that a helper leaves in shared memory.
 * Owns: nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "worker/fs_root.h"
#include "worker/nine.h"

#define DOTL_REMOVEDIR 0x200u
#define ENTRY_HEAD 24u        /* qid[13] offset[8] type[1] name length[2] */
#define READDIR_ASK_MIN 1024u /* room for the longest record, whatever the guest asked for */

/*
 * An entry is at most a sixth larger than its record: of names of four bytes,
 * 28 and 24. What was read and does not fit has to be read again, and that is
 * not all: going back to a cookie makes ext4 forget the block of names that it
 * has sorted.
 */
#define RECORDS_THAT_FIT(n) ((n) / 7u * 6u)

/* struct linux_dirent64 of getdents64(2), up to the name. */
struct record {
    uint64_t ino;
    uint64_t cookie;
    uint16_t size; /* of the whole record */
    uint8_t type;  /* DT_* */
} __attribute__((packed));
#define RECORD_HEAD sizeof(struct record)

size_t
dir_entry_take(struct dir_entry *e, const uint8_t *from, uint32_t n)
{
    struct record head;
    size_t room;

    if (n < RECORD_HEAD + 2)
        return 0;
    memcpy(&head, from, RECORD_HEAD);
    if (head.size < RECORD_HEAD + 2 || head.size > n)
        return 0;
    e->ino = head.ino;
    e->cookie = head.cookie;
    e->type = head.type;
    room = head.size - RECORD_HEAD;
    if (room > sizeof(e->name))
        room = sizeof(e->name);
    memcpy(e->name, from + RECORD_HEAD, room);
    e->len = strnlen(e->name, room);
    if (e->len == 0 || e->len == room || memchr(e->name, '/', e->len) != NULL)
        return 0;
    return head.size;
}

/* Above a share's root is, for who came that way, the root of all shares. */
static uint64_t
entry_ino(const struct request *r, const struct dir_entry *e)
{
    if (nine_is_entry(r) && strcmp(e->name, "..") == 0)
        return ROOT_INO;
    return nine_ino(r, e->ino);
}

/* Records into entries, as many as fit. False: what is there are no records. */
static bool
put_entries(const struct request *r, struct pen *w, const uint8_t *from, uint32_t n)
{
    struct dir_entry e;

    for (uint32_t at = 0; at < n;) {
        size_t size = dir_entry_take(&e, from + at, n - at);

        if (size == 0)
            return false;
        if (pen_left(w) < ENTRY_HEAD + e.len)
            return true;
        pen_qid(w, entry_ino(r, &e), (uint32_t)DTTOIF(e.type), 0);
        pen_u64(w, e.cookie);
        pen_u8(w, e.type);
        pen_str(w, e.name, e.len);
        at += (uint32_t)size;
    }
    return true;
}

static void
readdir_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__ReaddirRep *rep = (const Postern__V1__ReaddirRep *)m;
    struct request *r = request_of(call);
    struct pen w, entries;
    uint32_t n;

    if (status < 0) {
        reply_error(r, status);
        return;
    }
    reply_begin(r, &w, NINE_TREADDIR + 1);
    pen_init(&entries, w.at + sizeof(n), r->count);
    if (!put_entries(r, &entries, call->payload, rep->count)) {
        fs_blame(r->share->fs, "readdir: not directory records");
        reply_error(r, -EIO);
        return;
    }
    n = (uint32_t)pen_len(&entries);
    if (n == 0 && rep->count > 0) { /* nothing would mean the end */
        reply_error(r, -EINVAL);
        return;
    }
    pen_u32(&w, n);
    (void)pen_take(&w, n); /* they are there already */
    reply_end(r, &w);
}

int
nine_treaddir(struct request *r, struct cursor *c)
{
    Postern__V1__ReaddirReq q = POSTERN__V1__READDIR_REQ__INIT;
    uint32_t num = cur_u32(c), room = r->conn->msize - NINE_IO_HEAD;
    int e;

    q.cookie = cur_u64(c);
    r->count = cur_u32(c);
    e = nine_fid(r, c, num);
    if (e < 0)
        return e;
    if (r->file == NULL)
        return -EBADF;
    if (room > READDIR_MAX)
        room = READDIR_MAX;
    if (r->count > room)
        r->count = room;
    q.count = RECORDS_THAT_FIT(r->count);
    if (q.count < READDIR_ASK_MIN)
        q.count = READDIR_ASK_MIN;
    e = request_payload(r, q.count);
    if (e < 0)
        return e;
    q.file = r->file->id;
    r->call.done = readdir_done;
    return fs_readdir(r->share->fs, &q, &r->call);
}

static void
reply_made(struct request *r, const struct attr *a)
{
    struct pen w;

    reply_begin(r, &w, (uint8_t)(r->type + 1));
    pen_attr_qid(&w, r, a);
    reply_end(r, &w);
}

static void
mkdir_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    if (status < 0)
        reply_error(request_of(call), status);
    else
        reply_made(request_of(call), msg_attr(((const Postern__V1__MkdirRep *)m)->attr));
}

int
nine_tmkdir(struct request *r, struct cursor *c)
{
    Postern__V1__MkdirReq q = POSTERN__V1__MKDIR_REQ__INIT;
    uint32_t num = cur_u32(c), gid;
    struct str name = cur_str(c);
    int e;

    q.mode = cur_u32(c) & 07777;
    gid = cur_u32(c);
    e = nine_fid_to_write(r, c, num, OP_MKDIR);
    if (e == 0)
        e = nine_name(name);
    if (e < 0)
        return e;
    request_gid(r, gid);
    q.dir = r->node->id;
    q.name = msg_bytes(name.p, name.n);
    r->call.done = mkdir_done;
    return fs_mkdir(r->share->fs, &q, &r->call);
}

static void
symlink_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    if (status < 0)
        reply_error(request_of(call), status);
    else
        reply_made(request_of(call), msg_attr(((const Postern__V1__SymlinkRep *)m)->attr));
}

/* Stored as it is, never followed by us: any text without a NUL will do. */
int
nine_target(struct str s)
{
    if (s.n == 0)
        return -ENOENT;
    if (s.n > TARGET_LEN_MAX)
        return -ENAMETOOLONG;
    return memchr(s.p, '\0', s.n) == NULL ? 0 : -EINVAL;
}

int
nine_tsymlink(struct request *r, struct cursor *c)
{
    Postern__V1__SymlinkReq q = POSTERN__V1__SYMLINK_REQ__INIT;
    uint32_t num = cur_u32(c);
    struct str name = cur_str(c), target = cur_str(c);
    uint32_t gid = cur_u32(c);
    int e = nine_fid_to_write(r, c, num, OP_SYMLINK);
    if (e == 0)
        e = nine_name(name);
    if (e == 0)
        e = nine_target(target);
    if (e < 0)
        return e;
    request_gid(r, gid);
    q.dir = r->node->id;
    q.name = msg_bytes(name.p, name.n);
    q.target = msg_bytes(target.p, target.n);
    r->call.done = symlink_done;
    return fs_symlink(r->share->fs, &q, &r->call);
}

static void
mknod_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    if (status < 0)
        reply_error(request_of(call), status);
    else
        reply_made(request_of(call), msg_attr(((const Postern__V1__MknodRep *)m)->attr));
}

/* As mknod(2). Whether devices are to be had is the share's to say. */
static int
check_mknod_type(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case 0:
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
        return 0;
    default:
        return -EINVAL;
    }
}

static bool
is_device(uint32_t mode)
{
    return S_ISCHR(mode) || S_ISBLK(mode);
}

int
nine_tmknod(struct request *r, struct cursor *c)
{
    Postern__V1__MknodReq q = POSTERN__V1__MKNOD_REQ__INIT;
    uint32_t num = cur_u32(c), major, minor, gid;
    struct str name = cur_str(c);
    int e;

    q.mode = cur_u32(c);
    major = cur_u32(c);
    minor = cur_u32(c);
    gid = cur_u32(c);
    e = nine_fid_to_write(r, c, num, OP_MKNOD);
    if (e == 0)
        e = nine_name(name);
    if (e == 0)
        e = check_mknod_type(q.mode);
    if (e < 0)
        return e;
    request_gid(r, gid);
    if ((q.mode & S_IFMT) == 0)
        q.mode |= S_IFREG;
    if (is_device(q.mode))
        q.rdev = makedev(major, minor);
    q.mode &= S_IFMT | 07777;
    q.dir = r->node->id;
    q.name = msg_bytes(name.p, name.n);
    r->call.done = mknod_done;
    return fs_mknod(r->share->fs, &q, &r->call);
}

/* A file and the directory where it gets a name. */
static int
take_link(struct request *r, const struct cursor *c, uint32_t num, uint32_t dir, struct str name,
          unsigned op)
{
    int e = nine_fid(r, c, num);

    if (e == 0)
        e = request_other(r, dir, op);
    return e < 0 ? e : nine_name(name);
}

int
nine_tlink(struct request *r, struct cursor *c)
{
    Postern__V1__LinkReq q = POSTERN__V1__LINK_REQ__INIT;
    uint32_t dir = cur_u32(c), num = cur_u32(c);
    struct str name = cur_str(c);
    int e = take_link(r, c, num, dir, name, OP_LINK);

    if (e < 0)
        return e;
    q.node = r->node->id;
    q.dir = r->other->id;
    q.name = msg_bytes(name.p, name.n);
    r->call.done = nine_done_empty;
    return fs_link(r->share->fs, &q, &r->call);
}

int
nine_trename(struct request *r, struct cursor *c)
{
    Postern__V1__RenameNodeReq q = POSTERN__V1__RENAME_NODE_REQ__INIT;
    uint32_t num = cur_u32(c), dir = cur_u32(c);
    struct str name = cur_str(c);
    int e = take_link(r, c, num, dir, name, OP_RENAME_NODE);

    if (e < 0)
        return e;
    q.node = r->node->id;
    q.new_dir = r->other->id;
    q.new_name = msg_bytes(name.p, name.n);
    r->call.done = nine_done_empty;
    return fs_rename_node(r->share->fs, &q, &r->call);
}

int
nine_trenameat(struct request *r, struct cursor *c)
{
    Postern__V1__RenameReq q = POSTERN__V1__RENAME_REQ__INIT;
    uint32_t from, to;
    struct str old, new;
    int e;

    from = cur_u32(c);
    old = cur_str(c);
    to = cur_u32(c);
    new = cur_str(c);
    e = nine_fid(r, c, from);
    if (e == 0)
        e = request_other(r, to, OP_RENAME);
    if (e == 0)
        e = nine_name(old);
    if (e == 0)
        e = nine_name(new);
    if (e < 0)
        return e;
    q.dir = r->node->id;
    q.name = msg_bytes(old.p, old.n);
    q.new_dir = r->other->id;
    q.new_name = msg_bytes(new.p, new.n);
    r->call.done = nine_done_empty;
    return fs_rename(r->share->fs, &q, &r->call);
}

int
nine_tunlinkat(struct request *r, struct cursor *c)
{
    Postern__V1__UnlinkReq q = POSTERN__V1__UNLINK_REQ__INIT;
    uint32_t num = cur_u32(c), flags;
    struct str name = cur_str(c);
    int e;

    flags = cur_u32(c);
    e = nine_fid_to_write(r, c, num, OP_UNLINK);
    if (e == 0)
        e = nine_name(name);
    if (e == 0 && (flags & ~DOTL_REMOVEDIR) != 0)
        e = -EINVAL;
    if (e < 0)
        return e;
    q.dir = r->node->id;
    q.name = msg_bytes(name.p, name.n);
    q.directory = flags != 0;
    r->call.done = nine_done_empty;
    return fs_unlink(r->share->fs, &q, &r->call);
}
