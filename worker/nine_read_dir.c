/*
 * Tread of a directory in 9P2000.u and 9P2000: whole stats, one after the
 * other.
 *
 * Runs in: worker.   Trusts: nobody; records in shared memory are copied before
 * they are looked at.   Owns: nothing; the slab space is the request's.
 *
 * READDIRs of as many records as fit a page, and a STAT for each record, until
 * the next stat does not fit. The offset must be 0 or the end of the read
 * before: the fid keeps what that is for the helper. "." and ".." are left out.
 * A name that went meanwhile is left out as well; of one that cannot be looked
 * at (something is mounted there) the guest is told what the directory says.
 *
 * When not even one stat fits, nothing would look like the end: EINVAL. But
 * Linux fills its buffer with one read after the other and asks for the last
 * few bytes of it too; who asks for less than at the start is told nothing,
 * and goes on with a whole buffer at the same offset.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/nine_stat.h"
#include "worker/slab.h"

#define RECORDS SLAB_PAGE    /* bytes of records at a time */
#define ENTRIES_MIN 8192u    /* room for them, if that much was asked for: any stat fits */
#define ENTRY_LIKELY_MAX 512 /* with less room than this no more are asked for */

static int next_entry(struct request *r);

/* Where records go, behind the room for entries. */
static uint8_t *
records_of(const struct request *r)
{
    return r->legacy.room + (r->legacy.room_len - RECORDS);
}

/* What there is; nothing is the end. */
static void
reply_entries(struct request *r)
{
    struct legacy *l = &r->legacy;
    struct fid *f = r->fid;
    struct pen w;

    f->dir_offset = r->offset + r->got;
    f->dir_cookie = l->cookie;
    r->call.payload = l->room;
    r->call.payload_len = l->room_len;
    l->room = NULL;
    reply_begin(r, &w, NINE_TREAD + 1);
    pen_u32(&w, r->got);
    reply_end_payload(r, &w, r->got);
}

static void
entry_too_large(struct request *r)
{
    if (r->got > 0 || r->count < r->fid->dir_count)
        reply_entries(r);
    else
        reply_error(r, -EINVAL);
}

/* What came before the failure is told; the next read will meet it again. */
static void
read_fails(struct request *r, int status)
{
    if (r->got > 0)
        reply_entries(r);
    else
        reply_error(r, status);
}

static void
records_came(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    struct request *r = request_of(call);

    call->payload = NULL; /* it is the request's */
    call->payload_len = 0;
    if (status < 0) {
        read_fails(r, status);
        return;
    }
    r->legacy.records = ((const Postern__V1__ReaddirRep *)m)->count;
    r->legacy.at = 0;
    if (r->legacy.records == 0)
        reply_entries(r);
    else
        request_step(r, next_entry);
}

static int
ask_records(struct request *r)
{
    Postern__V1__ReaddirReq q = POSTERN__V1__READDIR_REQ__INIT;
    int e;

    q.file = r->file->id;
    q.cookie = r->legacy.cookie;
    q.count = RECORDS;
    r->call.payload = records_of(r);
    r->call.payload_len = RECORDS;
    r->call.done = records_came;
    e = fs_readdir(r->share->fs, &q, &r->call);
    if (e < 0) {
        r->call.payload = NULL;
        r->call.payload_len = 0;
    }
    return e;
}

/* One stat behind the others. False: it does not fit. */
static bool
put_entry(struct request *r, const struct attr *a, const struct dir_entry *d, struct str target)
{
    const struct str name = {(const uint8_t *)d->name, d->len};
    struct pen w;

    pen_init(&w, r->legacy.room + r->got, r->count - r->got);
    pen_stat(&w, r, a, name, target);
    if (w.full && r->got == 0 && target.n > 0) { /* better without than not at all */
        pen_init(&w, r->legacy.room, r->count);
        pen_stat(&w, r, a, name, (struct str){NULL, 0});
    }
    if (w.full)
        return false;
    r->got += (uint32_t)pen_len(&w);
    return true;
}

static void
lies(struct request *r)
{
    fs_blame(r->share->fs, "readdir: not directory records");
    reply_error(r, -EIO);
}

static void
stat_came(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__StatRep *rep = (const Postern__V1__StatRep *)m;
    struct attr bare = {0};
    struct request *r = request_of(call);
    struct legacy *l = &r->legacy;
    struct dir_entry d;
    size_t size = dir_entry_take(&d, records_of(r) + l->at, l->records - l->at);
    struct str target = {NULL, 0};

    if (size == 0) {
        lies(r);
        return;
    }
    if (status == -EIO) {
        read_fails(r, status);
        return;
    }
    bare.ino = d.ino;
    bare.mode = (uint32_t)DTTOIF(d.type);
    bare.nlink = 1;
    if (status == 0)
        target = (struct str){rep->target.data, rep->target.len};
    if (status != -ENOENT && !put_entry(r, status == 0 ? msg_attr(rep->attr) : &bare, &d, target)) {
        entry_too_large(r);
        return;
    }
    l->at += (uint32_t)size;
    l->cookie = d.cookie;
    request_step(r, next_entry);
}

static bool
is_dots(const struct dir_entry *d)
{
    return strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0;
}

/* STAT of the next name that is to be told. */
static int
next_entry(struct request *r)
{
    Postern__V1__StatReq q = POSTERN__V1__STAT_REQ__INIT;
    struct legacy *l = &r->legacy;
    struct dir_entry d;

    while (l->at < l->records) {
        size_t size = dir_entry_take(&d, records_of(r) + l->at, l->records - l->at);

        if (size == 0) {
            lies(r);
            return 0;
        }
        if (!is_dots(&d)) {
            q.dir = r->node->id;
            q.name = msg_bytes(d.name, d.len);
            r->call.done = stat_came;
            return fs_stat(r->share->fs, &q, &r->call);
        }
        l->at += (uint32_t)size;
        l->cookie = d.cookie;
    }
    if (r->got == 0 || r->count - r->got > ENTRY_LIKELY_MAX)
        return ask_records(r);
    reply_entries(r);
    return 0;
}

int
nine_read_dir(struct request *r, uint64_t offset)
{
    struct legacy *l = &r->legacy;
    struct fid *f = r->fid;
    int e;

    if (offset != 0 && offset != f->dir_offset)
        return -EINVAL;
    if (r->count > READDIR_MAX)
        r->count = READDIR_MAX;
    r->offset = offset;
    l->cookie = offset == 0 ? 0 : f->dir_cookie;
    e = request_part(r, SLAB_WHOLE(r->count) + RECORDS, ENTRIES_MIN + RECORDS);
    if (e < 0)
        return e;
    if (r->count > r->call.payload_len - RECORDS)
        r->count = r->call.payload_len - RECORDS;
    if (offset == 0)
        f->dir_count = r->count;
    l->room = r->call.payload;
    l->room_len = r->call.payload_len;
    r->call.payload = NULL;
    r->call.payload_len = 0;
    return ask_records(r);
}
