/*
 * A file system in memory behind worker/fs.h.
 *
 * Runs in: tests, the fuzzer.   Trusts: its test, not the front-end.
 * Owns: its files and the memory that plays the slab.
 */
#include "tests/lib/synth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "worker/slab.h"

#define NODES 4096u
#define FILES 4096u
#define LOCK_BYTES 64u
#define ID(turn, i) ((uint64_t)(turn) << 32 | (i))

struct entry {
    struct entry *next;
    uint64_t cookie;
    uint32_t inode;
    char name[NAME_BUF];
};

struct value {
    struct value *next;
    char key[NAME_BUF];
    uint32_t size;
    uint8_t data[];
};

/* Also the node: its index is the lower half of the node id. */
struct inode {
    uint32_t turn; /* upper half of the id; 0: never used */
    bool used;
    uint32_t refs; /* of the front-end */
    uint32_t nlink;
    uint32_t mode;
    uint32_t parent;
    uint64_t known_as; /* cookie of the entry there by which it was walked to last */
    uint32_t version;
    uint8_t *data; /* file or symlink target */
    size_t size;
    struct entry *entries; /* directory */
    struct value *values;  /* extended attributes, in the order they were set */
    uint8_t host_lock[LOCK_BYTES + 1];
    uint64_t last_cookie;
    int64_t atime, mtime;
};

struct file {
    uint32_t turn;
    bool used, reads, writes, append;
    uint32_t inode;
    uint8_t lock[LOCK_BYTES + 1]; /* type + 1 by byte; 0: none */
};

struct pending {
    struct pending *prev, *next;
    unsigned op;
    ProtobufCMessage *req; /* a copy of its own */
    struct fs_call *call;
};

struct synth {
    struct fs fs; /* first */
    struct inode inode[NODES];
    struct file file[FILES];
    uint32_t ninodes, nfiles; /* used so far */
    struct pending *oldest, *newest;
    unsigned npending, room;
    unsigned calls[OP_END];
    struct synth_asker asker[OP_END];
    int fail[OP_END];
    uint8_t says[256];
    uint32_t nsays;
    uint64_t listed_to; /* cookie of the last record that a READDIR answered */
    bool gone, blamed, ended;
    int error; /* -errno of every call once it is gone */
    struct slab slab;
    uint32_t withheld; /* pages of it, by synth_pages() */
    uint8_t *memory;   /* SLAB_BYTES */
    /* storage behind the reply that is being made */
    struct attr attr;
    struct walk_step step[WALK_MAX];
};

__attribute__((noreturn)) static void
broken(const char *what)
{
    (void)fprintf(stderr, "synth: the front-end broke its promise: %s\n", what);
    abort();
}

static struct inode *
inode_of(struct synth *s, uint64_t id)
{
    uint32_t i = (uint32_t)id;

    if (i >= s->ninodes || !s->inode[i].used || s->inode[i].turn != id >> 32)
        broken("a node that was never given out, or was given back");
    if (i != 0 && s->inode[i].refs == 0)
        broken("a node it holds no reference to");
    return &s->inode[i];
}

static struct file *
file_of(struct synth *s, uint64_t id)
{
    uint32_t i = (uint32_t)id;

    if (i >= s->nfiles || !s->file[i].used || s->file[i].turn != id >> 32)
        broken("a file that is not open");
    return &s->file[i];
}

static uint64_t
node_id(const struct synth *s, const struct inode *in)
{
    return ID(in->turn, (uint64_t)(in - s->inode));
}

static struct inode *
inode_new(struct synth *s, uint32_t mode, const struct inode *parent)
{
    struct inode *in = NULL;
    uint32_t turn;

    for (uint32_t i = 0; i < s->ninodes && in == NULL; i++) {
        if (!s->inode[i].used)
            in = &s->inode[i];
    }
    if (in == NULL) {
        if (s->ninodes == NODES)
            broken("more nodes than a test needs");
        in = &s->inode[s->ninodes++];
    }
    turn = in->turn + 1;
    *in = (struct inode){.turn = turn, .used = true, .mode = mode, .nlink = 1};
    in->parent = parent == NULL ? 0 : (uint32_t)(parent - s->inode);
    return in;
}

static void
values_free(struct inode *in)
{
    while (in->values != NULL) {
        struct value *v = in->values;

        in->values = v->next;
        free(v);
    }
}

static void
inode_settle(struct inode *in)
{
    if (in->nlink > 0 || in->refs > 0)
        return;
    values_free(in);
    free(in->data);
    in->data = NULL;
    in->used = false;
}

static struct entry *
find(struct inode *dir, const uint8_t *name, size_t n)
{
    struct entry *e = dir->entries;

    while (e != NULL && (strlen(e->name) != n || memcmp(e->name, name, n) != 0))
        e = e->next;
    return e;
}

static void
enter(struct synth *s, struct inode *dir, const uint8_t *name, size_t n, struct inode *in)
{
    struct entry *e = calloc(1, sizeof(*e)), **at = &dir->entries;

    if (e == NULL)
        abort();
    memcpy(e->name, name, n);
    e->inode = (uint32_t)(in - s->inode);
    e->cookie = ++dir->last_cookie + 2; /* behind "." and ".." */
    while (*at != NULL)
        at = &(*at)->next;
    *at = e;
    dir->version++;
}

static void
leave(struct inode *dir, struct entry *e)
{
    struct entry **at = &dir->entries;

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    free(e);
    dir->version++;
}

static ProtobufCBinaryData
attr_of(struct synth *s, const struct inode *in)
{
    s->attr = (struct attr){0};
    s->attr.ino = (uint64_t)(in - s->inode) + 1;
    s->attr.mode = in->mode;
    s->attr.nlink = in->nlink;
    s->attr.uid = s->attr.gid = 1000;
    s->attr.size = in->size;
    s->attr.blocks = (in->size + 511) / 512;
    s->attr.blksize = 4096;
    s->attr.atime_sec = in->atime;
    s->attr.mtime_sec = s->attr.ctime_sec = in->mtime;
    s->attr.btime_sec = 1;
    s->attr.version = in->version;
    return msg_bytes(&s->attr, sizeof(s->attr));
}

static void
resize(struct inode *in, size_t n)
{
    uint8_t *p;

    if (n > (64u << 20))
        broken("a file larger than a test needs");
    p = realloc(in->data, n + 1);
    if (p == NULL)
        abort();
    if (n > in->size)
        memset(p + in->size, 0, n - in->size);
    in->data = p;
    in->size = n;
    in->version++;
}

/* --- the operations ---------------------------------------------------- */

#define HANDLER(lower, camel)                                                                      \
    static int do_##lower(struct synth *s, const Postern__V1__##camel##Req *q,                     \
                          struct fs_call *call, Postern__V1__##camel##Rep *rep)

HANDLER(getattr, Getattr)
{
    (void)call;
    if (q->has_file)
        (void)file_of(s, q->file);
    rep->attr = attr_of(s, inode_of(s, q->node));
    if (q->target != 0 && S_ISLNK(s->attr.mode)) {
        rep->has_target = 1;
        rep->target = msg_bytes(inode_of(s, q->node)->data, s->attr.size);
    }
    return 0;
}

static const ProtobufCBinaryData *
walk_name(const Postern__V1__WalkReq *q, unsigned i)
{
    const ProtobufCFieldDescriptor *f = &q->base.descriptor->fields[i + 1];
    const uint8_t *base = (const uint8_t *)q;

    if (*(const protobuf_c_boolean *)(const void *)(base + f->quantifier_offset) == 0)
        return NULL;
    return (const ProtobufCBinaryData *)(const void *)(base + f->offset);
}

HANDLER(walk, Walk)
{
    struct inode *at = inode_of(s, q->node);
    const ProtobufCBinaryData *name;
    unsigned i;

    (void)call;
    for (i = 0; i < WALK_MAX && (name = walk_name(q, i)) != NULL; i++) {
        struct entry *e;

        if (!S_ISDIR(at->mode)) {
            if (i == 0)
                return -ENOTDIR;
            break;
        }
        e = find(at, name->data, name->len);
        if (e == NULL) {
            if (i == 0)
                return -ENOENT;
            break;
        }
        s->inode[e->inode].parent = (uint32_t)(at - s->inode);
        s->inode[e->inode].known_as = e->cookie;
        at = &s->inode[e->inode];
        s->step[i] = (struct walk_step){
            .ino = (uint64_t)e->inode + 1, .mode = at->mode, .version = at->version};
    }
    rep->done = i;
    rep->steps = msg_bytes(s->step, i * sizeof(s->step[0]));
    if (i == fs_bound(OP_WALK, &q->base)) {
        at->refs++;
        rep->has_node = 1;
        rep->node = node_id(s, at);
        rep->has_attr = 1;
        rep->attr = attr_of(s, at);
    }
    return 0;
}

/* The name by which a node is known: by which it was walked to last, else the
 * first in its parent. */
static struct entry *
name_of(struct synth *s, const struct inode *in)
{
    struct entry *first = NULL;

    for (struct entry *e = s->inode[in->parent].entries; e != NULL; e = e->next) {
        if (&s->inode[e->inode] == in && e->cookie == in->known_as)
            return e;
        if (&s->inode[e->inode] == in && first == NULL)
            first = e;
    }
    return first;
}

HANDLER(parent, Parent)
{
    struct inode *up = &s->inode[inode_of(s, q->node)->parent];

    (void)call;
    up->refs++;
    rep->node = node_id(s, up);
    rep->attr = attr_of(s, up);
    if (up != &s->inode[0] && name_of(s, up) != NULL) {
        const char *name = name_of(s, up)->name;

        rep->has_name = 1;
        rep->name = msg_bytes(name, strlen(name));
    }
    return 0;
}

HANDLER(forget, Forget)
{
    struct inode *in = inode_of(s, q->node);

    (void)call;
    (void)rep;
    if (q->count > in->refs)
        broken("more references given back than taken");
    in->refs -= q->count;
    inode_settle(in);
    return 0;
}

static uint64_t
file_new(struct synth *s, struct inode *in, bool reads, bool writes, bool append)
{
    uint32_t i = 0;

    while (i < s->nfiles && s->file[i].used)
        i++;
    if (i == FILES)
        broken("more open files than a test needs");
    if (i == s->nfiles)
        s->nfiles++;
    s->file[i] = (struct file){.turn = s->file[i].turn + 1,
                               .used = true,
                               .reads = reads,
                               .writes = writes,
                               .append = append,
                               .inode = (uint32_t)(in - s->inode)};
    in->refs++;
    return ID(s->file[i].turn, i);
}

HANDLER(open_read, OpenRead)
{
    struct inode *in = inode_of(s, q->node);

    (void)call;
    if ((q->flags & ~OPEN_READ_FLAGS) != 0)
        broken("flags of OPEN_READ");
    if (S_ISLNK(in->mode))
        return -ELOOP;
    if (!S_ISREG(in->mode) && !S_ISDIR(in->mode))
        return -ENXIO;
    if ((q->flags & OPEN_DIRECTORY) != 0 && !S_ISDIR(in->mode))
        return -ENOTDIR;
    rep->file = file_new(s, in, true, false, false);
    rep->attr = attr_of(s, in);
    return 0;
}

HANDLER(open_write, OpenWrite)
{
    struct inode *in = inode_of(s, q->node);

    (void)call;
    if ((q->flags & ~OPEN_WRITE_FLAGS) != 0)
        broken("flags of OPEN_WRITE");
    if (S_ISDIR(in->mode))
        return -EISDIR;
    if (!S_ISREG(in->mode))
        return -ENXIO;
    if ((q->flags & OPEN_TRUNC) != 0)
        resize(in, 0);
    rep->file = file_new(s, in, (q->flags & OPEN_READS) != 0, true, (q->flags & OPEN_APPEND) != 0);
    rep->attr = attr_of(s, in);
    return 0;
}

/* 0 and the entry's inode if it is there; a new one in its place if not. */
static int
make(struct synth *s, uint64_t dir_id, const ProtobufCBinaryData *name, uint32_t mode, bool excl,
     struct inode **ret)
{
    struct inode *dir = inode_of(s, dir_id);
    struct entry *e;

    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    e = find(dir, name->data, name->len);
    if (e != NULL && excl)
        return -EEXIST;
    if (e != NULL) {
        *ret = &s->inode[e->inode];
        return 0;
    }
    *ret = inode_new(s, mode, dir);
    enter(s, dir, name->data, name->len, *ret);
    return 0;
}

HANDLER(create, Create)
{
    struct inode *in = NULL;
    int r;

    (void)call;
    if ((q->flags & ~CREATE_FLAGS) != 0)
        broken("flags of CREATE");
    r = make(s, q->dir, &q->name, S_IFREG | q->mode, (q->flags & OPEN_EXCL) != 0, &in);
    if (r < 0)
        return r;
    if (!S_ISREG(in->mode))
        return S_ISDIR(in->mode) ? -EISDIR : -ENXIO;
    if ((q->flags & OPEN_TRUNC) != 0)
        resize(in, 0);
    in->refs++;
    rep->node = node_id(s, in);
    rep->file = file_new(s, in, (q->flags & (OPEN_READS | OPEN_NOWRITE)) != 0,
                         (q->flags & OPEN_NOWRITE) == 0, (q->flags & OPEN_APPEND) != 0);
    rep->attr = attr_of(s, in);
    return 0;
}

HANDLER(close, Close)
{
    struct file *f = file_of(s, q->file);
    struct inode *in = &s->inode[f->inode];

    (void)call;
    (void)rep;
    f->used = false;
    in->refs--;
    inode_settle(in);
    return 0;
}

static void
check_payload(const struct fs_call *call, uint32_t count)
{
    if (call->payload == NULL || count > call->payload_len)
        broken("a count beyond the payload");
}

HANDLER(read, Read)
{
    struct file *f = file_of(s, q->file);
    struct inode *in = &s->inode[f->inode];

    check_payload(call, q->count);
    if (!f->reads)
        return -EBADF;
    if (S_ISDIR(in->mode))
        return -EISDIR;
    if (q->offset < in->size) {
        rep->count = q->count;
        if (rep->count > in->size - q->offset)
            rep->count = (uint32_t)(in->size - q->offset);
        memcpy(call->payload, in->data + q->offset, rep->count);
    }
    return 0;
}

HANDLER(write, Write)
{
    struct file *f = file_of(s, q->file);
    struct inode *in = &s->inode[f->inode];
    uint64_t at = f->append ? in->size : q->offset;

    check_payload(call, q->count);
    if (!f->writes)
        return -EBADF;
    if (at > (32u << 20))
        return -EFBIG;
    if (at + q->count > in->size)
        resize(in, at + q->count);
    memcpy(in->data + at, call->payload, q->count);
    rep->count = q->count;
    return 0;
}

/* One linux_dirent64 at p if it fits room; its size or 0. */
static uint32_t
put_record(uint8_t *p, uint32_t room, uint64_t ino, uint64_t cookie, uint32_t mode,
           const char *name)
{
    size_t n = strlen(name);
    uint16_t size = (uint16_t)((19 + n + 1 + 7) & ~(size_t)7);

    if (size > room)
        return 0;
    memset(p, 0, size);
    memcpy(p, &ino, 8);
    memcpy(p + 8, &cookie, 8);
    memcpy(p + 16, &size, 2);
    p[18] = (uint8_t)((mode & S_IFMT) >> 12);
    memcpy(p + 19, name, n);
    return size;
}

static uint32_t
put_records(struct synth *s, const struct inode *dir, uint64_t cookie, uint8_t *p, uint32_t room)
{
    uint32_t at = 0, n = 1;

    if (cookie == 0)
        at += n = put_record(p, room, (uint64_t)(dir - s->inode) + 1, 1, S_IFDIR, ".");
    if (cookie <= 1 && n > 0)
        at += n = put_record(p + at, room - at, (uint64_t)dir->parent + 1, 2, S_IFDIR, "..");
    for (const struct entry *e = dir->entries; e != NULL && n > 0; e = e->next) {
        if (e->cookie > cookie)
            at += n = put_record(p + at, room - at, (uint64_t)e->inode + 1, e->cookie,
                                 s->inode[e->inode].mode, e->name);
    }
    return n == 0 && at == 0 ? UINT32_MAX : at;
}

static uint64_t
last_cookie(const uint8_t *records, uint32_t n)
{
    uint64_t cookie = 0;
    uint16_t size;

    for (uint32_t at = 0; n != UINT32_MAX && at < n; at += size) {
        memcpy(&cookie, records + at + 8, 8);
        memcpy(&size, records + at + 16, 2);
    }
    return cookie;
}

HANDLER(readdir, Readdir)
{
    struct file *f = file_of(s, q->file);
    const struct inode *in = &s->inode[f->inode];

    check_payload(call, q->count);
    if (s->nsays > 0) {
        memcpy(call->payload, s->says, s->nsays);
        rep->count = s->nsays;
        s->nsays = 0;
        return 0;
    }
    if (!S_ISDIR(in->mode))
        return -ENOTDIR;
    rep->count = put_records(s, in, q->cookie, call->payload, q->count);
    s->listed_to = last_cookie(call->payload, rep->count);
    return rep->count == UINT32_MAX ? -EINVAL : 0;
}

HANDLER(readlink, Readlink)
{
    const struct inode *in = inode_of(s, q->node);

    (void)call;
    if (!S_ISLNK(in->mode))
        return -EINVAL;
    rep->target = msg_bytes(in->data, in->size);
    return 0;
}

HANDLER(setattr, Setattr)
{
    struct inode *in = inode_of(s, q->node);

    (void)call;
    if (q->has_file && !file_of(s, q->file)->writes)
        broken("SETATTR through a file that is not for writing");
    if (q->has_uid || q->has_gid)
        return -EPERM;
    if (q->has_size) {
        if (!S_ISREG(in->mode))
            return S_ISDIR(in->mode) ? -EISDIR : -EINVAL;
        if (q->size > (32u << 20))
            return -EFBIG;
        resize(in, q->size);
    }
    if (q->has_mode)
        in->mode = (in->mode & S_IFMT) | q->mode;
    if (q->has_atime_sec)
        in->atime = q->atime_sec;
    if (q->has_mtime_sec)
        in->mtime = q->mtime_sec;
    if (q->has_mtime_now)
        in->mtime = 1000000;
    rep->attr = attr_of(s, in);
    return 0;
}

HANDLER(mkdir, Mkdir)
{
    struct inode *in = NULL;
    int r = make(s, q->dir, &q->name, S_IFDIR | q->mode, true, &in);

    (void)call;
    if (r == 0)
        rep->attr = attr_of(s, in);
    return r;
}

HANDLER(symlink, Symlink)
{
    struct inode *in = NULL;
    int r = make(s, q->dir, &q->name, S_IFLNK | 0777, true, &in);

    (void)call;
    if (r < 0)
        return r;
    if (q->target.len == 0 || q->target.len > TARGET_LEN_MAX)
        broken("a symlink target of impossible length");
    resize(in, q->target.len);
    memcpy(in->data, q->target.data, q->target.len);
    rep->attr = attr_of(s, in);
    return 0;
}

HANDLER(link, Link)
{
    struct inode *in = inode_of(s, q->node), *dir = inode_of(s, q->dir);

    (void)call;
    if (S_ISDIR(in->mode))
        return -EPERM;
    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    if (find(dir, q->name.data, q->name.len) != NULL)
        return -EEXIST;
    in->nlink++;
    enter(s, dir, q->name.data, q->name.len, in);
    rep->attr = attr_of(s, in);
    return 0;
}

HANDLER(mknod, Mknod)
{
    struct inode *in = NULL;
    int r;

    (void)call;
    if (S_ISCHR(q->mode) || S_ISBLK(q->mode))
        return -EPERM;
    r = make(s, q->dir, &q->name, q->mode, true, &in);
    if (r == 0)
        rep->attr = attr_of(s, in);
    return r;
}

static int
unlink_entry(struct synth *s, struct inode *dir, struct entry *e, bool directory)
{
    struct inode *in = &s->inode[e->inode];

    if (directory && !S_ISDIR(in->mode))
        return -ENOTDIR;
    if (!directory && S_ISDIR(in->mode))
        return -EISDIR;
    if (in->entries != NULL)
        return -ENOTEMPTY;
    leave(dir, e);
    in->nlink--;
    inode_settle(in);
    return 0;
}

HANDLER(unlink, Unlink)
{
    struct inode *dir = inode_of(s, q->dir);
    struct entry *e;

    (void)call;
    (void)rep;
    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    e = find(dir, q->name.data, q->name.len);
    return e == NULL ? -ENOENT : unlink_entry(s, dir, e, q->directory != 0);
}

HANDLER(remove, Remove)
{
    struct inode *in = inode_of(s, q->node);
    struct entry *e = name_of(s, in);

    (void)call;
    (void)rep;
    if (in == &s->inode[0])
        return -EBUSY;
    if (e == NULL)
        return -ENOENT;
    return unlink_entry(s, &s->inode[in->parent], e, S_ISDIR(in->mode));
}

static int
move(struct synth *s, struct inode *from, struct entry *e, struct inode *to,
     const ProtobufCBinaryData *name)
{
    struct inode *in = &s->inode[e->inode];
    struct entry *old;

    if (!S_ISDIR(to->mode))
        return -ENOTDIR;
    for (const struct inode *up = to; up != &s->inode[0]; up = &s->inode[up->parent]) {
        if (up == in)
            return -EINVAL;
    }
    old = find(to, name->data, name->len);
    if (old == e)
        return 0;
    if (old != NULL) {
        int r = unlink_entry(s, to, old, S_ISDIR(in->mode));

        if (r < 0)
            return r;
    }
    leave(from, e);
    enter(s, to, name->data, name->len, in);
    in->parent = (uint32_t)(to - s->inode);
    return 0;
}

HANDLER(rename, Rename)
{
    struct inode *dir = inode_of(s, q->dir), *to = inode_of(s, q->new_dir);
    struct entry *e;

    (void)call;
    (void)rep;
    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    e = find(dir, q->name.data, q->name.len);
    return e == NULL ? -ENOENT : move(s, dir, e, to, &q->new_name);
}

HANDLER(rename_node, RenameNode)
{
    struct inode *in = inode_of(s, q->node), *to = inode_of(s, q->new_dir);
    struct entry *e = name_of(s, in);

    (void)call;
    (void)rep;
    if (in == &s->inode[0])
        return -EBUSY;
    return e == NULL ? -ENOENT : move(s, &s->inode[in->parent], e, to, &q->new_name);
}

HANDLER(statfs, Statfs)
{
    (void)call;
    (void)inode_of(s, q->node);
    rep->type = 0x01021994;
    rep->bsize = 4096;
    rep->blocks = 1000;
    rep->bfree = rep->bavail = 500;
    rep->namelen = NAME_LEN_MAX;
    return 0;
}

HANDLER(fsync, Fsync)
{
    (void)call;
    (void)rep;
    (void)file_of(s, q->file);
    return 0;
}

HANDLER(stat, Stat)
{
    struct inode *dir = inode_of(s, q->dir);
    struct entry *e;

    (void)call;
    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    e = find(dir, q->name.data, q->name.len);
    if (e == NULL)
        return -ENOENT;
    rep->attr = attr_of(s, &s->inode[e->inode]);
    if (S_ISLNK(s->inode[e->inode].mode)) {
        rep->has_target = 1;
        rep->target = msg_bytes(s->inode[e->inode].data, s->inode[e->inode].size);
    }
    return 0;
}

static struct value **
value_of(struct inode *in, const ProtobufCBinaryData *key)
{
    struct value **at = &in->values;

    while (*at != NULL &&
           (strlen((*at)->key) != key->len || memcmp((*at)->key, key->data, key->len) != 0))
        at = &(*at)->next;
    return at;
}

static bool
is_offered(const ProtobufCBinaryData *key)
{
    return key->len > 5 && memcmp(key->data, "user.", 5) == 0;
}

HANDLER(getxattr, Getxattr)
{
    const struct value *v = *value_of(inode_of(s, q->node), &q->key);

    check_payload(call, q->count);
    if (!is_offered(&q->key))
        return -EOPNOTSUPP;
    if (v == NULL)
        return -ENODATA;
    if (v->size > q->count)
        return -ERANGE;
    memcpy(call->payload, v->data, v->size);
    rep->size = v->size;
    return 0;
}

HANDLER(listxattr, Listxattr)
{
    const struct value *v = inode_of(s, q->node)->values;

    check_payload(call, q->count);
    for (; v != NULL; v = v->next) {
        uint32_t n = (uint32_t)strlen(v->key) + 1;

        if (n > q->count - rep->size)
            return -ERANGE;
        memcpy(call->payload + rep->size, v->key, n);
        rep->size += n;
    }
    return 0;
}

HANDLER(setxattr, Setxattr)
{
    struct value **at = value_of(inode_of(s, q->node), &q->key), *v;

    (void)rep;
    if ((q->flags & ~XATTR_FLAGS) != 0 || q->count > XATTR_SIZE_MAX)
        broken("SETXATTR as nobody may ask for it");
    if (q->count > 0)
        check_payload(call, q->count);
    if (!is_offered(&q->key))
        return -EOPNOTSUPP;
    if (*at != NULL && (q->flags & XATTR_FLAG_CREATE) != 0)
        return -EEXIST;
    if (*at == NULL && (q->flags & XATTR_FLAG_REPLACE) != 0)
        return -ENODATA;
    v = calloc(1, sizeof(*v) + q->count);
    if (v == NULL)
        abort();
    if (*at != NULL)
        v->next = (*at)->next;
    free(*at);
    *at = v;
    name_copy(v->key, &q->key);
    v->size = q->count;
    if (q->count > 0)
        memcpy(v->data, call->payload, q->count);
    return 0;
}

HANDLER(removexattr, Removexattr)
{
    struct value **at = value_of(inode_of(s, q->node), &q->key), *v = *at;

    (void)call;
    (void)rep;
    if (!is_offered(&q->key))
        return -EOPNOTSUPP;
    if (v == NULL)
        return -ENODATA;
    *at = v->next;
    free(v);
    return 0;
}

/* Locks byte for byte, of the first LOCK_BYTES of a file and of one more that
 * stands for all others: slow and hard to get wrong. */
static unsigned
lock_byte(uint64_t at)
{
    return at < LOCK_BYTES ? (unsigned)at : LOCK_BYTES;
}

static bool
in_the_way(const struct synth *s, const struct file *f, unsigned byte, uint32_t type,
           uint32_t *ret_type)
{
    const uint8_t *host = s->inode[f->inode].host_lock;

    *ret_type = host[byte];
    for (uint32_t i = 0; i < s->nfiles && *ret_type == 0; i++) {
        const struct file *o = &s->file[i];

        if (o->used && o != f && o->inode == f->inode)
            *ret_type = o->lock[byte];
    }
    return *ret_type == LOCK_FOR_WRITE + 1 ||
           (*ret_type == LOCK_FOR_READ + 1 && type == LOCK_FOR_WRITE);
}

static unsigned
lock_end(uint64_t start, uint64_t length)
{
    if (start > INT64_MAX || length > INT64_MAX || (length > 0 && length - 1 > INT64_MAX - start))
        broken("a range of bytes that is none");
    return length == 0 ? LOCK_BYTES : lock_byte(start + length - 1);
}

HANDLER(lock, Lock)
{
    struct file *f = file_of(s, q->file);
    unsigned end = lock_end(q->start, q->length);
    uint32_t other;

    (void)call;
    (void)rep;
    if (q->type > LOCK_UNLOCK)
        broken("a lock of no type");
    if ((q->type == LOCK_FOR_READ && !f->reads) || (q->type == LOCK_FOR_WRITE && !f->writes))
        return -EBADF;
    for (unsigned i = lock_byte(q->start); i <= end && q->type != LOCK_UNLOCK; i++) {
        if (in_the_way(s, f, i, q->type, &other))
            return -EAGAIN;
    }
    for (unsigned i = lock_byte(q->start); i <= end; i++)
        f->lock[i] = q->type == LOCK_UNLOCK ? 0 : (uint8_t)(q->type + 1);
    return 0;
}

HANDLER(getlock, Getlock)
{
    struct file *f = file_of(s, q->file);
    unsigned end = lock_end(q->start, q->length), i = lock_byte(q->start), from;
    uint32_t type = 0, same;

    (void)call;
    if (q->type >= LOCK_UNLOCK)
        broken("GETLOCK with the type of nothing");
    rep->type = LOCK_UNLOCK;
    while (i <= end && !in_the_way(s, f, i, q->type, &type))
        i++;
    if (i > end)
        return 0;
    rep->type = type - 1;
    from = i;
    while (from > 0 && in_the_way(s, f, from - 1, LOCK_FOR_WRITE, &same) && same == type)
        from--;
    while (i < LOCK_BYTES && in_the_way(s, f, i + 1, LOCK_FOR_WRITE, &same) && same == type)
        i++;
    rep->start = from;
    rep->length = i == LOCK_BYTES ? 0 : i - from + 1;
    return 0;
}

/* --- answering --------------------------------------------------------- */

#define OP(id, upper, lower, camel, access, block, payload)                                        \
    static void answer_##lower(struct synth *s, struct pending *p)                                 \
    {                                                                                              \
        Postern__V1__##camel##Rep rep;                                                             \
        int said = s->fail[p->op], r = said;                                                       \
                                                                                                   \
        protobuf_c_message_init(&postern__v1__##lower##_rep__descriptor, &rep);                    \
        s->fail[p->op] = 0;                                                                        \
        if (said == 0 || p->op == OP_CLOSE) /* a file is closed also by a close that fails */      \
            r = do_##lower(s, (const Postern__V1__##camel##Req *)p->req, p->call, &rep);           \
        r = said == 0 ? r : said;                                                                  \
        if (r == 0 && fs_reply_lies(p->op, fs_bound(p->op, p->req), &rep.base) != NULL)            \
            broken(fs_reply_lies(p->op, fs_bound(p->op, p->req), &rep.base));                      \
        p->call->done(p->call, r, r == 0 ? &rep.base : NULL);                                      \
    }
#include "ipc/ops.def"
#undef OP

static void (*const answers[OP_END])(struct synth *, struct pending *) = {
#define OP(id, upper, lower, camel, access, block, payload) [OP_##upper] = answer_##lower,
#include "ipc/ops.def"
#undef OP
};

static void
answer_one(struct synth *s, struct pending *p)
{
    if (p->prev != NULL)
        p->prev->next = p->next;
    else
        s->oldest = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    else
        s->newest = p->prev;
    s->npending--;
    if (s->gone)
        p->call->done(p->call, s->error, NULL);
    else
        answers[p->op](s, p);
    protobuf_c_message_free_unpacked(p->req, NULL);
    free(p);
}

unsigned
synth_answer(struct synth *s, unsigned max)
{
    unsigned n = 0;

    while (n < max && s->oldest != NULL) {
        answer_one(s, s->oldest);
        n++;
    }
    return n;
}

bool
synth_answer_newest(struct synth *s)
{
    if (s->newest == NULL)
        return false;
    answer_one(s, s->newest);
    return true;
}

void
synth_gone(struct synth *s)
{
    s->gone = true;
    if (s->error == 0)
        s->error = -EIO;
    (void)synth_answer(s, s->npending);
}

static ProtobufCMessage *
copy_of(const ProtobufCMessage *req)
{
    size_t n = protobuf_c_message_get_packed_size(req);
    uint8_t *buf = malloc(n + 1);
    ProtobufCMessage *copy;

    if (buf == NULL)
        abort();
    if (n > 8192)
        broken("a request that no frame holds");
    protobuf_c_message_pack(req, buf);
    copy = protobuf_c_message_unpack(req->descriptor, NULL, n, buf);
    free(buf);
    if (copy == NULL)
        broken("a request that does not decode");
    return copy;
}

static int
submit(struct fs *fs, unsigned op, const ProtobufCMessage *req, struct fs_call *call)
{
    struct synth *s = (struct synth *)fs;
    struct pending *p;

    if (req->descriptor != op_info(op)->req)
        broken("a request of another operation");
    if (fs->read_only && op_info(op)->access != OP_READS)
        broken("a writing operation on a read-only share");
    if (msg_check(req) < 0)
        broken("a name that is not one component");
    if (s->gone)
        return s->error;
    if (s->npending >= s->room)
        return -EAGAIN;
    p = calloc(1, sizeof(*p));
    if (p == NULL)
        abort();
    *p = (struct pending){.prev = s->newest, .op = op, .req = copy_of(req), .call = call};
    if (s->newest != NULL)
        s->newest->next = p;
    else
        s->oldest = p;
    s->newest = p;
    s->npending++;
    s->calls[op]++;
    s->asker[op] = (struct synth_asker){call->uid, call->gid};
    s->calls[0]++;
    return 0;
}

static uint8_t *
payload_get(struct fs *fs, uint32_t n)
{
    struct synth *s = (struct synth *)fs;
    int page = slab_get(&s->slab, n);

    return page < 0 ? NULL : s->memory + (size_t)page * SLAB_PAGE;
}

static void
payload_put(struct fs *fs, uint8_t *p, uint32_t n)
{
    struct synth *s = (struct synth *)fs;

    slab_put(&s->slab, (uint32_t)((size_t)(p - s->memory) / SLAB_PAGE), n);
}

static void
blame(struct fs *fs, const char *what)
{
    struct synth *s = (struct synth *)fs;

    (void)what;
    s->blamed = s->gone = true;
    s->error = -EIO;
}

static void
revoke(struct fs *fs)
{
    struct synth *s = (struct synth *)fs;

    s->error = -ESTALE;
    synth_gone(s);
    for (uint32_t i = 0; i < s->ninodes; i++)
        s->inode[i].refs = 0; /* a helper ends with what it holds */
    for (uint32_t i = 0; i < s->nfiles; i++)
        s->file[i].used = false;
}

static void
end(struct fs *fs)
{
    struct synth *s = (struct synth *)fs;

    if (s->npending > 0 || s->slab.in_use > s->withheld)
        broken("an end with something still out");
    s->ended = true;
}

static const struct fs_impl impl = {.submit = submit,
                                    .payload_get = payload_get,
                                    .payload_put = payload_put,
                                    .blame = blame,
                                    .revoke = revoke,
                                    .end = end};

struct synth *
synth_new(const char *name, bool read_only)
{
    struct synth *s = calloc(1, sizeof(*s));

    if (s == NULL)
        abort();
    s->fs = (struct fs){.impl = &impl, .name = name, .read_only = read_only};
    s->room = IN_FLIGHT_MAX;
    s->memory = mmap(NULL, SLAB_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->memory == MAP_FAILED)
        abort();
    (void)inode_new(s, S_IFDIR | 0755, NULL);
    return s;
}

void
synth_free(struct synth *s)
{
    if (s->npending > 0)
        broken("freed with calls pending");
    for (uint32_t i = 0; i < s->ninodes; i++) {
        while (s->inode[i].entries != NULL)
            leave(&s->inode[i], s->inode[i].entries);
        values_free(&s->inode[i]);
        free(s->inode[i].data);
    }
    munmap(s->memory, SLAB_BYTES);
    free(s);
}

struct fs *
synth_fs(struct synth *s)
{
    return &s->fs;
}

/* --- what the test does itself ------------------------------------------ */

/* The inode at a path, or NULL. last: the directory of the last component
 * and that component instead. */
static struct inode *
lookup(struct synth *s, const char *path, const char **last)
{
    struct inode *at = &s->inode[0];

    for (;;) {
        size_t n = strcspn(path, "/");
        struct entry *e;

        if (last != NULL && path[n] == '\0') {
            *last = path;
            return at;
        }
        e = find(at, (const uint8_t *)path, n);
        if (e == NULL)
            return NULL;
        at = &s->inode[e->inode];
        if (path[n] == '\0')
            return at;
        path += n + 1;
    }
}

static struct inode *
put(struct synth *s, const char *path, uint32_t mode)
{
    const char *name = NULL;
    struct inode *dir = lookup(s, path, &name), *in;

    if (dir == NULL)
        abort();
    in = inode_new(s, mode, dir);
    enter(s, dir, (const uint8_t *)name, strlen(name), in);
    return in;
}

void
synth_put_dir(struct synth *s, const char *path)
{
    (void)put(s, path, S_IFDIR | 0755);
}

void
synth_put_file(struct synth *s, const char *path, const void *data, size_t n)
{
    struct inode *in = put(s, path, S_IFREG | 0644);

    resize(in, n);
    if (n > 0)
        memcpy(in->data, data, n);
}

void
synth_put_link(struct synth *s, const char *path, const char *target)
{
    struct inode *in = put(s, path, S_IFLNK | 0777);

    resize(in, strlen(target));
    memcpy(in->data, target, strlen(target));
}

const uint8_t *
synth_data(struct synth *s, const char *path, size_t *ret_n)
{
    const struct inode *in = lookup(s, path, NULL);

    *ret_n = in == NULL ? 0 : in->size;
    return in == NULL ? NULL : in->data;
}

bool
synth_exists(struct synth *s, const char *path)
{
    return lookup(s, path, NULL) != NULL;
}

void
synth_host_locks(struct synth *s, const char *path, unsigned type, unsigned start, unsigned n)
{
    struct inode *in = lookup(s, path, NULL);

    if (start > LOCK_BYTES || n > LOCK_BYTES - start)
        abort();
    for (unsigned i = start; in != NULL && i < start + n; i++)
        in->host_lock[i] = type == LOCK_UNLOCK ? 0 : (uint8_t)(type + 1);
}

const uint8_t *
synth_xattr(struct synth *s, const char *path, const char *key, uint32_t *ret_n)
{
    ProtobufCBinaryData k = msg_bytes(key, strlen(key));
    struct inode *in = lookup(s, path, NULL);
    const struct value *v = in == NULL ? NULL : *value_of(in, &k);

    *ret_n = v == NULL ? 0 : v->size;
    return v == NULL ? NULL : v->data;
}

unsigned
synth_pending(const struct synth *s)
{
    return s->npending;
}

void
synth_room(struct synth *s, unsigned calls)
{
    s->room = calls;
}

void
synth_pages(struct synth *s, uint32_t pages)
{
    (void)slab_get(&s->slab, SLAB_BYTES - pages * SLAB_PAGE);
    s->withheld = s->slab.in_use;
}

void
synth_fail(struct synth *s, unsigned op, int status)
{
    s->fail[op] = status;
}

void
synth_readdir_says(struct synth *s, const void *bytes, uint32_t n)
{
    memcpy(s->says, bytes, n);
    s->nsays = n;
}

uint64_t
synth_listed_to(const struct synth *s)
{
    return s->listed_to;
}

unsigned
synth_calls(const struct synth *s, unsigned op)
{
    return s->calls[op];
}

struct synth_asker
synth_asker(const struct synth *s, unsigned op)
{
    return s->asker[op];
}

unsigned
synth_node_refs(const struct synth *s)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < s->ninodes; i++)
        n += s->inode[i].used ? s->inode[i].refs : 0;
    return n;
}

unsigned
synth_files(const struct synth *s)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < s->nfiles; i++)
        n += s->file[i].used;
    return n;
}

uint32_t
synth_pages_used(const struct synth *s)
{
    return s->slab.in_use;
}

bool
synth_ended(const struct synth *s)
{
    return s->ended;
}

bool
synth_blamed(const struct synth *s)
{
    return s->blamed;
}
