/*
 * Byte-range locks: Tlock, Tgetlock, and those who wait.
 *
 * Runs in: worker.   Trusts: nobody.   Owns: nothing; owners are in
 * worker/lock.c, waiting requests in their share's list.
 *
 * The helper never waits. Who asks to wait and finds the range taken stays in
 * the list of its share, without a call in flight, and is tried again, oldest
 * first, when a guest lets go of something on that file, and now and then
 * (tenant_pause()), because a program of the host tells nobody.
 *
 * An owner's file is opened for reading and writing where share and attach
 * allow it, however the fid is open: one process may lock through several
 * fids, and flock(2) of a file that is open for reading alone comes as a write
 * lock (Linux checks the fd of fcntl(2) itself). Where that is not to be had,
 * it is opened for what was asked; what it cannot hold is EBADF.
 */
#include <errno.h>
#include <utlist.h>

#include "worker/nine.h"

enum dotl_lock_status { DOTL_LOCK_SUCCESS = 0, DOTL_LOCK_BLOCKED = 1, DOTL_LOCK_ERROR = 2 };
enum dotl_lock_flag { DOTL_LOCK_BLOCK = 1, DOTL_LOCK_RECLAIM = 2 };
#define DOTL_LOCK_FLAGS ((unsigned)(DOTL_LOCK_BLOCK | DOTL_LOCK_RECLAIM))

/* The types of Tlock. */
static const enum lock_type type_of_dotl[] = {LOCK_FOR_READ, LOCK_FOR_WRITE, LOCK_UNLOCK};
#define DOTL_TYPES (sizeof(type_of_dotl) / sizeof(type_of_dotl[0]))

#define WAITING_MAX 64u /* requests of one connection */

/* --- those who wait -------------------------------------------------------- */

/* Half of a tenant's requests at most: the other half is for those who will
 * unlock. */
static bool
may_wait(const struct request *r)
{
    const struct conn *c = r->conn;
    const struct tenant *t = c->tenant;

    if ((r->lock.flags & DOTL_LOCK_BLOCK) == 0 || r->flushes != NULL || r->owner->gone)
        return false;
    return r->lock.wait != LOCK_WAIT_NOT ||
           (c->locks.waiting < WAITING_MAX && t->locks_waiting < t->limits.in_flight / 2);
}

/* Into the list, or on in it: its place stays while it is tried again. */
static void
wait(struct request *r)
{
    struct tenant *t = r->conn->tenant;

    if (r->lock.wait == LOCK_WAIT_NOT) {
        DL_APPEND(r->share->lockers, r);
        r->conn->locks.waiting++;
        tenant_waits(t);
    }
    r->lock.wait = LOCK_WAIT_IDLE;
}

void
nine_lock_leave(struct request *r)
{
    if (r->lock.wait == LOCK_WAIT_NOT)
        return;
    DL_DELETE(r->share->lockers, r);
    r->conn->locks.waiting--;
    r->conn->tenant->locks_waiting--;
    r->lock.wait = LOCK_WAIT_NOT;
}

bool
nine_lock_cancel(struct request *r)
{
    if (r->lock.wait != LOCK_WAIT_IDLE && r->lock.wait != LOCK_WAIT_DUE)
        return false;
    request_drop(r);
    return true;
}

void
nine_lock_wake(struct share *sh, uint64_t node)
{
    for (struct request *r = sh->lockers; r != NULL; r = r->next) {
        if (r->lock.wait == LOCK_WAIT_IDLE && (node == 0 || r->node->id == node)) {
            r->lock.wait = LOCK_WAIT_DUE;
            sh->lock_due = true;
        }
    }
}

static int lock_step(struct request *r);

void
nine_lock_retry(struct share *sh)
{
    struct request *next;

    sh->lock_due = false;
    for (struct request *r = sh->lockers; r != NULL; r = next) {
        int e;

        next = r->next;
        if (r->lock.wait != LOCK_WAIT_DUE)
            continue;
        r->lock.wait = LOCK_WAIT_TRIES;
        e = lock_step(r);
        if (e == -EAGAIN) { /* no room now: go on here when there is */
            r->lock.wait = LOCK_WAIT_DUE;
            sh->lock_due = true;
            return;
        }
        if (e < 0)
            reply_error(r, e);
    }
}

void
nine_lock_end(struct conn *c)
{
    const struct tenant *t = c->tenant;
    struct request *next;
    const struct share *sh;

    DL_FOREACH (t->shares, sh) {
        for (struct request *r = sh->lockers; r != NULL; r = next) {
            next = r->next;
            if (r->conn == c)
                (void)nine_lock_cancel(r);
        }
    }
    while (c->locks.owners != NULL)
        lock_owner_forsake(c->locks.owners);
}

void
nine_lock_fid_goes(struct conn *c, const struct fid *f)
{
    struct lock_owner *next;

    if (!f->locks)
        return;
    for (struct lock_owner *o = c->locks.owners; o != NULL; o = next) {
        next = o->next;
        if (o->fid == f)
            lock_owner_forsake(o);
    }
    nine_lock_wake(f->node->share, f->node->id); /* who waited for these owners is told */
}

/* --- Tlock ------------------------------------------------------------------ */

static void
reply_status(struct request *r, enum dotl_lock_status status)
{
    struct pen w;

    reply_begin(r, &w, NINE_TLOCK + 1);
    pen_u8(&w, (uint8_t)status);
    reply_end(r, &w);
}

static bool
out_of_locks(int err)
{
    return err == -ENOLCK || err == -EMFILE || err == -ENFILE || err == -ENOMEM;
}

static void
granted(struct request *r)
{
    struct lock_owner *o = r->owner;

    if (o->gone) { /* and so is the lock, when r gives its file back */
        reply_error(r, -EBADF);
        return;
    }
    if (lock_note(o, r->lock.type, r->lock.start, r->lock.last, &r->spare))
        nine_lock_wake(r->share, r->node->id);
    reply_status(r, DOTL_LOCK_SUCCESS);
}

static void
lock_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    struct request *r = request_of(call);

    (void)m;
    if (status == 0)
        granted(r);
    else if ((status == -EAGAIN || status == -EACCES) && may_wait(r))
        wait(r);
    else if (status == -EAGAIN || status == -EACCES)
        reply_status(r, DOTL_LOCK_BLOCKED);
    else if (out_of_locks(status))
        reply_status(r, DOTL_LOCK_ERROR);
    else
        reply_error(r, status);
}

static int
lock_submit(struct request *r)
{
    Postern__V1__LockReq q = POSTERN__V1__LOCK_REQ__INIT;
    uint64_t last = r->lock.last;
    int e;

    if (!lock_fits(r->owner, r->lock.type, r->lock.start, last))
        return -ENOLCK;
    if (r->spare == NULL) {
        e = lock_spare(&r->conn->tenant->ranges, &r->spare);
        if (e < 0)
            return e;
    }
    /* The owner's file, not the fid's: a lock is on it until this is answered. */
    handle_put(r->file);
    r->file = handle_get(r->owner->file);
    q.file = r->file->id;
    q.type = r->lock.type;
    q.start = r->lock.start;
    q.length = last == INT64_MAX ? 0 : last - q.start + 1;
    r->call.done = lock_done;
    return fs_lock(r->share->fs, &q, &r->call);
}

static int open_try(struct request *r);

/* The owner's file is open, by this request or meanwhile by another. */
static void
opened(struct request *r, uint64_t file)
{
    r->fresh_file->id = file;
    if (r->owner->file == NULL && !r->owner->gone) {
        r->owner->file = r->fresh_file;
        r->fresh_file = NULL;
    }
    request_step(r, lock_step);
}

static void
open_failed(struct request *r, int status)
{
    r->lock.tries++;
    if (r->lock.tries == 1)
        request_step(r, open_try);
    else if (out_of_locks(status))
        reply_status(r, DOTL_LOCK_ERROR);
    else
        reply_error(r, status == -EACCES ? -EBADF : status);
}

static void
opened_to_write(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    if (status < 0)
        open_failed(request_of(call), status);
    else
        opened(request_of(call), ((const Postern__V1__OpenWriteRep *)m)->file);
}

static void
opened_to_read(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    if (status < 0)
        open_failed(request_of(call), status);
    else
        opened(request_of(call), ((const Postern__V1__OpenReadRep *)m)->file);
}

/* First for both, then for what was asked. */
static int
open_try(struct request *r)
{
    Postern__V1__OpenReadReq rd = POSTERN__V1__OPEN_READ_REQ__INIT;
    Postern__V1__OpenWriteReq wr = POSTERN__V1__OPEN_WRITE_REQ__INIT;
    bool may_write = fs_access(r->share->fs, OP_OPEN_WRITE, r->call.narrowed) == 0;

    if (!may_write && r->lock.type == LOCK_FOR_WRITE)
        return -EBADF;
    if (may_write && (r->lock.tries == 0 || r->lock.type == LOCK_FOR_WRITE)) {
        wr.node = r->node->id;
        wr.flags = r->lock.tries == 0 ? (unsigned)OPEN_READS : 0;
        r->call.done = opened_to_write;
        return fs_open_write(r->share->fs, &wr, &r->call);
    }
    r->lock.tries = 1;
    rd.node = r->node->id;
    r->call.done = opened_to_read;
    return fs_open_read(r->share->fs, &rd, &r->call);
}

static int
lock_try(struct request *r)
{
    if (r->owner->gone)
        return -EBADF;
    if (r->owner->file != NULL)
        return lock_submit(r);
    if (r->fresh_file == NULL)
        r->fresh_file = handle_new(r->share, HANDLE_FILE);
    if (r->fresh_file == NULL)
        return -ENOMEM;
    return open_try(r);
}

static int
lock_step(struct request *r)
{
    int e = lock_try(r);

    if (!out_of_locks(e))
        return e;
    reply_status(r, DOTL_LOCK_ERROR);
    return 0;
}

/* What Tlock and Tgetlock have in common after their types and flags. */
struct lock_args {
    uint64_t start, length;
    uint32_t proc_id;
    struct str client;
};

static struct lock_args
lock_args(struct cursor *c)
{
    struct lock_args a = {.start = cur_u64(c)};

    a.length = cur_u64(c);
    a.proc_id = cur_u32(c);
    a.client = cur_str(c);
    return a;
}

/* The open file it is about, the range, the owner if there is one. */
static int
lock_begin(struct request *r, uint32_t num, const struct lock_args *a)
{
    struct lock_owner *o;
    int e = request_fid(r, num);

    if (e < 0)
        return e;
    if (r->file == NULL)
        return -EBADF;
    if (a->start > INT64_MAX || a->length > (uint64_t)INT64_MAX + 1 - a->start ||
        a->client.n > LOCK_CLIENT_MAX)
        return -EINVAL;
    r->lock.start = a->start;
    r->lock.last = a->length == 0 ? INT64_MAX : a->start + a->length - 1;
    o = lock_owner_find(r->conn, r->node, a->client, a->proc_id);
    if (o != NULL)
        r->owner = lock_owner_get(o);
    return 0;
}

static int
owner_needed(struct request *r, const struct lock_args *a)
{
    if (r->owner != NULL)
        return 0;
    return lock_owner_new(r->conn, r->node, a->client, a->proc_id, &r->owner);
}

int
nine_tlock(struct request *r, struct cursor *c)
{
    uint32_t num = cur_u32(c);
    uint8_t type = cur_u8(c);
    struct lock_args a;
    int e;

    r->lock.flags = cur_u32(c);
    a = lock_args(c);
    if (!cur_end(c))
        return -EPROTO;
    e = lock_begin(r, num, &a);
    if (e == 0 && (type >= DOTL_TYPES || (r->lock.flags & ~DOTL_LOCK_FLAGS) != 0))
        e = -EINVAL;
    if (e < 0)
        return e;
    r->lock.type = type_of_dotl[type];
    if (r->lock.type == LOCK_UNLOCK && (r->owner == NULL || !lock_owner_holds(r->owner))) {
        reply_status(r, DOTL_LOCK_SUCCESS);
        return 0;
    }
    if (owner_needed(r, &a) < 0) {
        reply_status(r, DOTL_LOCK_ERROR);
        return 0;
    }
    r->owner->fid = r->fid;
    r->owner->writes = r->fid->writes;
    r->fid->locks = true;
    return lock_step(r);
}

/* --- Tgetlock ---------------------------------------------------------------- */

static void
reply_getlock(struct request *r, uint32_t type, uint64_t start, uint64_t length,
              const struct lock_owner *who)
{
    struct pen w;

    reply_begin(r, &w, NINE_TGETLOCK + 1);
    pen_u8(&w, (uint8_t)type);
    pen_u64(&w, start);
    pen_u64(&w, length);
    pen_u32(&w, who == NULL ? 0 : who->proc_id);
    pen_str(&w, who == NULL ? "" : (const void *)who->client, who == NULL ? 0 : who->nclient);
    reply_end(r, &w);
}

/* Free: as it was asked. Else the lock in the way, and whose it is if that is
 * a guest of this tenant. */
static void
getlock_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__GetlockRep *rep = (const Postern__V1__GetlockRep *)m;
    struct request *r = request_of(call);
    uint64_t last = r->lock.last;

    if (status < 0)
        reply_error(r, status);
    else if (rep->type == LOCK_UNLOCK)
        reply_getlock(r, LOCK_UNLOCK, r->lock.start,
                      last == INT64_MAX ? 0 : last - r->lock.start + 1, r->owner);
    else
        reply_getlock(r, rep->type, rep->start, rep->length,
                      lock_holder(r->owner, (enum lock_type)rep->type, rep->start));
}

int
nine_tgetlock(struct request *r, struct cursor *c)
{
    Postern__V1__GetlockReq q = POSTERN__V1__GETLOCK_REQ__INIT;
    uint32_t num = cur_u32(c);
    uint8_t type = cur_u8(c);
    struct lock_args a = lock_args(c);
    int e;

    if (!cur_end(c))
        return -EPROTO;
    e = lock_begin(r, num, &a);
    if (e == 0 && type >= DOTL_TYPES)
        e = -EINVAL;
    if (e == 0)
        e = owner_needed(r, &a);
    if (e < 0)
        return e;
    /* Linux asks with the type of an unlock, whatever its program asked. */
    r->lock.type = type_of_dotl[type] == LOCK_FOR_READ ? LOCK_FOR_READ : LOCK_FOR_WRITE;
    if (r->owner->file != NULL) {
        handle_put(r->file);
        r->file = handle_get(r->owner->file);
    }
    q.file = r->file->id;
    q.type = r->lock.type;
    q.start = r->lock.start;
    q.length = r->lock.last == INT64_MAX ? 0 : r->lock.last - q.start + 1;
    r->call.done = getlock_done;
    return fs_getlock(r->share->fs, &q, &r->call);
}
