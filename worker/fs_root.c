/*
 * The directory of all shares, made up on the spot.
 *
 * Runs in: worker.   Trusts: no helper: of a share's root it takes the
 * attributes, which are as good as any that go to a guest.
 * Owns: the calls that it has not answered, a slab of its own.
 *
 * It belongs to 0:0 with mode 0555: everybody may list it, also where a Linux
 * client checks permissions itself, and nobody will find a way to write.
 *
 * An entry's cookie is the serial number of its share, which no other share of
 * this worker ever has: a listing goes on where it was while shares come and
 * go. Its inode number is asked of the share, once, so that it is the one that
 * a stat of the same directory says.
 */
#include "worker/fs_root.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <utlist.h>

#include "ipc/log.h"
#include "worker/slab.h"
#include "worker/tenant.h"

#define CALLS 64u
#define ROOT_PAGES 256u /* of the slab */
#define ROOT_FILE 1u    /* each open file of it: there is nothing to tell them apart by */
#define V9FS_MAGIC 0x01021997u
#define ROOT_FSID UINT64_C(0x706f737465726e01)
#define COOKIE_DOT 1u
#define COOKIE_DOTDOT 2u /* those of shares follow */
#define INO_UNKNOWN 1u   /* of a share whose helper does not say */

/* struct linux_dirent64, up to the name */
struct record {
    uint64_t ino;
    uint64_t cookie;
    uint16_t size;
    uint8_t type;
} __attribute__((packed));

/* A call without its answer. */
struct slot {
    struct fs_call own; /* first: what this asks of a share on behalf of it */
    struct fs_root *root;
    struct fs_call *call; /* borrowed; NULL: free */
    struct share *asked;  /* borrowed; whom own is about */
    unsigned op;
    bool due;        /* go on with it at the next poll */
    bool stuck;      /* a share had no room */
    int status;      /* of the answer, when it is known */
    uint64_t cookie; /* READDIR */
    uint32_t count;  /* READDIR: room, then what is there */
};

struct fs_root {
    struct fs fs; /* first: struct fs * is a struct fs_root * */
    struct tenant *tenant;
    uint32_t version;
    struct timespec born, changed;
    struct slab slab;
    uint8_t *memory; /* owned; ROOT_PAGES */
    unsigned ndue;
    struct slot slots[CALLS];
};

/* What the answer is where there is nothing to ask; those that write never
 * come this far. */
static const int status_of[OP_END] = {
    [OP_WALK] = -ENOENT,        [OP_READ] = -EISDIR,      [OP_READLINK] = -EINVAL,
    [OP_STAT] = -ENOENT,        [OP_GETXATTR] = -ENODATA, [OP_LOCK] = -EOPNOTSUPP,
    [OP_GETLOCK] = -EOPNOTSUPP,
};

static struct fs_root *
of_fs(struct fs *fs)
{
    return (struct fs_root *)fs;
}

static bool
is_entry(const struct fs_root *root, const struct share *sh)
{
    return sh->state == SHARE_SERVED && sh->fs != &root->fs;
}

static struct attr
attr_of(const struct fs_root *root)
{
    struct attr a = {0};
    const struct share *sh;

    a.ino = ROOT_INO;
    a.mode = ROOT_MODE;
    a.nlink = 2;
    DL_FOREACH (root->tenant->shares, sh)
        a.nlink += is_entry(root, sh);
    a.blksize = SLAB_PAGE;
    a.atime_sec = a.mtime_sec = a.ctime_sec = root->changed.tv_sec;
    a.atime_nsec = a.mtime_nsec = a.ctime_nsec = (uint32_t)root->changed.tv_nsec;
    a.btime_sec = root->born.tv_sec;
    a.btime_nsec = (uint32_t)root->born.tv_nsec;
    a.version = root->version;
    return a;
}

/* --- answers --------------------------------------------------------------- */

static void
due(struct slot *s, int status)
{
    s->status = status;
    if (!s->due)
        s->root->ndue++;
    s->due = true;
}

/* The slot is free before the answer goes out: who hears it may ask again. */
static void
answer(struct slot *s, const ProtobufCMessage *rep)
{
    struct fs_call *call = s->call;

    s->call = NULL;
    call->done(call, s->status, s->status < 0 ? NULL : rep);
}

static void
answer_statfs(struct slot *s)
{
    Postern__V1__StatfsRep rep = POSTERN__V1__STATFS_REP__INIT;

    rep.type = V9FS_MAGIC;
    rep.bsize = SLAB_PAGE;
    rep.files = attr_of(s->root).nlink - 1;
    rep.fsid = ROOT_FSID;
    rep.namelen = NAME_LEN_MAX;
    answer(s, &rep.base);
}

static void
answer_attr(struct slot *s)
{
    Postern__V1__GetattrRep get = POSTERN__V1__GETATTR_REP__INIT;
    Postern__V1__OpenReadRep open = POSTERN__V1__OPEN_READ_REP__INIT;
    Postern__V1__ParentRep parent = POSTERN__V1__PARENT_REP__INIT;
    struct attr a = attr_of(s->root);

    get.attr = open.attr = parent.attr = msg_bytes(&a, sizeof(a));
    open.file = ROOT_FILE;
    parent.node = NODE_ROOT;
    answer(s, s->op == OP_GETATTR ? &get.base : s->op == OP_OPEN_READ ? &open.base : &parent.base);
}

static void
answer_count(struct slot *s)
{
    Postern__V1__ReaddirRep dir = POSTERN__V1__READDIR_REP__INIT;
    Postern__V1__ListxattrRep list = POSTERN__V1__LISTXATTR_REP__INIT;

    dir.count = s->count;
    answer(s, s->op == OP_READDIR ? &dir.base : &list.base);
}

static void
answer_empty(struct slot *s)
{
    Postern__V1__CloseRep shut = POSTERN__V1__CLOSE_REP__INIT;
    Postern__V1__ForgetRep forget = POSTERN__V1__FORGET_REP__INIT;

    answer(s, s->op == OP_CLOSE ? &shut.base : &forget.base);
}

static void (*const answers[OP_END])(struct slot *s) = {
    [OP_GETATTR] = answer_attr,  [OP_OPEN_READ] = answer_attr, [OP_PARENT] = answer_attr,
    [OP_STATFS] = answer_statfs, [OP_READDIR] = answer_count,  [OP_LISTXATTR] = answer_count,
    [OP_CLOSE] = answer_empty,   [OP_FORGET] = answer_empty,
};

/* --- what is asked of a share ------------------------------------------------ */

/* GETATTR of its root, as whoever asks. */
static int
ask(struct slot *s, struct share *sh, fs_done *done)
{
    Postern__V1__GetattrReq q = POSTERN__V1__GETATTR_REQ__INIT;

    s->own = *s->call;
    s->own.payload = NULL;
    s->own.payload_len = 0;
    s->own.done = done;
    s->asked = sh;
    q.node = NODE_ROOT;
    return fs_getattr(sh->fs, &q, &s->own);
}

/* A share that is gone has no entry. Of one that does not answer the entry is
 * there: who lists hears of it as of a file that he may not look at. */
static int
stat_status(int status)
{
    if (status == -ESTALE)
        return -ENOENT;
    return status == -EIO ? -ENXIO : status;
}

static void
stat_came(struct fs_call *own, int status, const ProtobufCMessage *m)
{
    struct slot *s = (struct slot *)own;
    Postern__V1__StatRep rep = POSTERN__V1__STAT_REP__INIT;
    struct attr a = {0};

    s->asked->progress = true;
    s->status = stat_status(status);
    if (status == 0) {
        a = *msg_attr(((const Postern__V1__GetattrRep *)m)->attr);
        a.ino ^= s->asked->ino_key;
        rep.attr = msg_bytes(&a, sizeof(a));
    }
    answer(s, &rep.base);
}

static void
ino_came(struct fs_call *own, int status, const ProtobufCMessage *m)
{
    struct slot *s = (struct slot *)own;

    s->asked->progress = true;
    s->asked->root_ino = INO_UNKNOWN;
    if (status == 0)
        s->asked->root_ino = msg_attr(((const Postern__V1__GetattrRep *)m)->attr)->ino;
    due(s, 0);
}

/* --- READDIR ------------------------------------------------------------------ */

/* One record behind the others, if it fits. */
static bool
put_record(struct slot *s, uint32_t *at, uint64_t ino, uint64_t cookie, const char *name)
{
    const size_t n = strlen(name) + 1;
    struct record r = {.ino = ino, .cookie = cookie, .type = S_IFDIR >> 12};
    uint8_t *p = s->call->payload + *at;

    r.size = (uint16_t)((sizeof(r) + n + 7) & ~(size_t)7);
    if (r.size > s->count - *at)
        return false;
    memset(p, 0, r.size);
    memcpy(p, &r, sizeof(r));
    memcpy(p + sizeof(r), name, n);
    *at += r.size;
    return true;
}

static void
put_all(struct slot *s)
{
    bool fits = true;
    uint32_t at = 0;
    const struct share *sh;

    if (s->cookie < COOKIE_DOT)
        fits = put_record(s, &at, ROOT_INO, COOKIE_DOT, ".");
    if (fits && s->cookie < COOKIE_DOTDOT)
        fits = put_record(s, &at, ROOT_INO, COOKIE_DOTDOT, "..");
    DL_FOREACH (s->root->tenant->shares, sh) {
        const uint64_t cookie = COOKIE_DOTDOT + sh->serial;

        if (fits && is_entry(s->root, sh) && cookie > s->cookie)
            fits = put_record(s, &at, sh->root_ino ^ sh->ino_key, cookie, sh->fs->name);
    }
    s->count = at;
    if (at == 0 && !fits)
        s->status = -EINVAL;
}

/* False: a share's inode number is on its way, or will be asked for. */
static bool
inos_known(struct slot *s)
{
    struct share *sh;

    DL_FOREACH (s->root->tenant->shares, sh) {
        int r;

        if (!is_entry(s->root, sh) || sh->root_ino != 0)
            continue;
        r = ask(s, sh, ino_came);
        if (r == 0)
            return false;
        if (r == -EAGAIN) {
            s->stuck = true;
            return false;
        }
        sh->root_ino = INO_UNKNOWN;
    }
    return true;
}

static void
go_on(struct slot *s)
{
    if (s->status == 0 && s->op == OP_READDIR) {
        if (!inos_known(s))
            return;
        put_all(s);
    }
    if (s->status < 0)
        answer(s, NULL);
    else
        answers[s->op](s);
}

bool
fs_root_poll(struct fs_root *root, bool room)
{
    for (unsigned i = 0; i < CALLS && room; i++) {
        if (root->slots[i].stuck)
            due(&root->slots[i], 0);
        root->slots[i].stuck = false;
    }
    for (unsigned i = 0; i < CALLS && root->ndue > 0; i++) {
        struct slot *s = &root->slots[i];

        if (!s->due)
            continue;
        s->due = false;
        root->ndue--;
        go_on(s);
    }
    return root->ndue > 0;
}

/* --- struct fs_impl -------------------------------------------------------------- */

static struct slot *
slot_take(struct fs_root *root, unsigned op, struct fs_call *call)
{
    for (unsigned i = 0; i < CALLS; i++) {
        struct slot *s = &root->slots[i];

        if (s->call != NULL)
            continue;
        *s = (struct slot){.root = root, .call = call, .op = op};
        return s;
    }
    return NULL;
}

static int
submit_stat(struct slot *s, const Postern__V1__StatReq *q)
{
    struct share *sh = tenant_share(s->root->tenant, q->name.data, q->name.len);
    int r = sh == NULL ? -ENOENT : ask(s, sh, stat_came);

    if (r == -EAGAIN)
        s->call = NULL;
    else if (r < 0)
        due(s, stat_status(r));
    return r == -EAGAIN ? r : 0;
}

static int
submit(struct fs *fs, unsigned op, const ProtobufCMessage *req, struct fs_call *call)
{
    struct slot *s = slot_take(of_fs(fs), op, call);

    if (s == NULL)
        return -EAGAIN;
    if (op == OP_STAT)
        return submit_stat(s, (const Postern__V1__StatReq *)req);
    if (op == OP_READDIR) {
        s->cookie = ((const Postern__V1__ReaddirReq *)req)->cookie;
        s->count = ((const Postern__V1__ReaddirReq *)req)->count;
    }
    if (status_of[op] == 0 && answers[op] == NULL)
        bug("the root of the shares was asked for %s", op_info(op)->name);
    due(s, status_of[op]);
    return 0;
}

static uint8_t *
payload_get(struct fs *fs, uint32_t n)
{
    struct fs_root *root = of_fs(fs);
    int page = slab_get(&root->slab, n);

    return page < 0
               ? NULL
               : root->memory + (size_t)((unsigned)page - (SLAB_PAGES - ROOT_PAGES)) * SLAB_PAGE;
}

static void
payload_put(struct fs *fs, uint8_t *p, uint32_t n)
{
    struct fs_root *root = of_fs(fs);
    uint32_t page = (uint32_t)((size_t)(p - root->memory) / SLAB_PAGE);

    slab_put(&root->slab, page + (SLAB_PAGES - ROOT_PAGES), n);
}

static void
blame(struct fs *fs, const char *what)
{
    (void)fs;
    bug("the root of the shares: %s", what);
}

static void
revoke(struct fs *fs)
{
    (void)fs;
    bug("the root of the shares cannot be taken away");
}

static void
end(struct fs *fs)
{
    struct fs_root *root = of_fs(fs);

    free(root->memory);
    free(root);
}

static const struct fs_impl impl = {
    .submit = submit,
    .payload_get = payload_get,
    .payload_put = payload_put,
    .blame = blame,
    .revoke = revoke,
    .end = end,
};

struct fs_root *
fs_root_new(struct tenant *t)
{
    struct fs_root *root = calloc(1, sizeof(*root));

    if (root == NULL)
        return NULL;
    root->memory = calloc(ROOT_PAGES, SLAB_PAGE);
    if (root->memory == NULL) {
        free(root);
        return NULL;
    }
    root->fs = (struct fs){.impl = &impl, .name = "", .read_only = true};
    root->tenant = t;
    (void)slab_get(&root->slab, (SLAB_PAGES - ROOT_PAGES) * SLAB_PAGE);
    fs_root_changed(root);
    root->born = root->changed;
    return root;
}

struct fs *
fs_root_fs(struct fs_root *root)
{
    return &root->fs;
}

void
fs_root_changed(struct fs_root *root)
{
    (void)clock_gettime(CLOCK_REALTIME, &root->changed);
    root->version++;
}

uint32_t
fs_root_version(const struct fs_root *root)
{
    return root->version;
}
