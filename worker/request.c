/*
 * The life of a request: slot, tag, what it holds, reply, end.
 *
 * Runs in: worker.   Trusts: nobody.   Owns: what a request holds, from
 * request_new() to its end: references, slab space, the room for its reply.
 *
 * Everything ends in request_free(), also when the connection is gone: then
 * the reply is left out and nothing else differs.
 */
#include "worker/request.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "ipc/log.h"
#include "worker/nine.h"
#include "worker/slab.h"

static struct request **
tag_bucket(struct conn *c, uint16_t tag)
{
    return &c->tags[tag % TAG_BUCKETS];
}

struct request *
request_by_tag(const struct conn *c, uint16_t tag)
{
    struct request *r = c->tags[tag % TAG_BUCKETS];

    while (r != NULL && r->tag != tag)
        r = r->tag_next;
    return r;
}

struct request *
request_new(struct conn *c, uint16_t tag, uint8_t type, uint32_t out_room)
{
    struct tenant *t = c->tenant;
    struct request **at = tag_bucket(c, tag);
    struct request *r;

    /* One that waits for its own guest alone takes no slot from others. */
    if (t->requests.live - t->expecting >= t->limits.in_flight)
        return NULL;
    r = pool_get(&t->requests);
    if (r == NULL)
        return NULL;
    *r = (struct request){.conn = c, .tag = tag, .type = type, .out_room = out_room};
    r->tag_next = *at;
    *at = r;
    c->in_flight++;
    c->out_kept += out_room;
    return r;
}

static void
payload_back(struct request *r, uint8_t *p, uint32_t n)
{
    fs_payload_put(r->share->fs, p, n);
    r->share->payload_bytes -= SLAB_WHOLE(n);
    r->conn->payload_bytes -= SLAB_WHOLE(n);
}

static void
let_go(struct request *r)
{
    struct conn *c = r->conn;
    struct pool *fids = &c->tenant->fids;

    pace_leave(r);
    if (r->held != NULL)
        pool_put(&c->tenant->held, r->held);
    request_expects_no_more(r);
    if (r->share != NULL && r->call.payload != NULL)
        payload_back(r, r->call.payload, r->call.payload_len);
    if (r->share != NULL && r->legacy.room != NULL)
        payload_back(r, r->legacy.room, r->legacy.room_len);
    if (r->changes_fid && r->fid->state == FID_CHANGING)
        fid_go(r->fid, FID_WALKED);
    if (r->newfid != NULL && r->newfid->state == FID_NEW)
        fid_remove(&c->fids, fids, r->newfid);
    fid_put(fids, r->newfid);
    fid_put(fids, r->fid);
    handle_put(r->file);
    handle_put(r->node);
    handle_put(r->other);
    handle_put(r->fresh_file);
    handle_put(r->fresh_node);
    place_put(r->place);
    place_put(r->fresh_place);
    nine_lock_leave(r);
    lock_owner_put(r->owner);
    lock_spare_free(&c->tenant->ranges, r->spare);
    if (r->walk != NULL)
        walk_free(c->tenant, r->walk);
}

/* Give everything back. The Tflush requests that waited for it are returned. */
static struct request *
request_free(struct request *r)
{
    struct conn *c = r->conn;
    struct tenant *t = c->tenant;
    struct request **at = tag_bucket(c, r->tag);
    struct request *flushes = r->flushes;

    while (*at != r)
        at = &(*at)->tag_next;
    *at = r->tag_next;
    let_go(r);
    c->out_kept -= r->out_room;
    c->in_flight--;
    if (c->in_flight == 0 && (c->fd < 0 || c->resetting))
        conn_queue(c);
    pool_put(&t->requests, r);
    return flushes;
}

/* True when nobody waits for replies of what is in flight. */
static bool
unheard(const struct conn *c)
{
    return c->fd < 0 || c->resetting;
}

void
reply_begin(struct request *r, struct pen *w, uint8_t type)
{
    pen_init(w, r->conn->out + r->conn->out_end, r->out_room);
    pen_u32(w, 0); /* the size, when it is known */
    pen_u8(w, type);
    pen_u16(w, r->tag);
}

static void
reply_send(struct request *r, struct pen *w, struct out_payload *payload, uint32_t len)
{
    uint32_t n = (uint32_t)pen_len(w);
    uint32_t size = htole32(n + len);

    if (w->full)
        bug("a reply of type %u does not fit %u bytes", r->type + 1u, r->out_room);
    memcpy(w->start, &size, sizeof(size));
    if (!unheard(r->conn))
        conn_output(r->conn, n, payload, len);
}

/* End it, and answer the Tflush requests that waited for it, oldest first. */
static void
request_end(struct request *r)
{
    struct request *todo;

    if (r->share != NULL)
        r->share->progress = true;
    r->conn->tenant->progress = true;
    todo = request_free(r);

    while (todo != NULL) {
        struct request *f = todo, *more;
        struct pen w;

        DL_DELETE(todo, f);
        reply_begin(f, &w, (uint8_t)(f->type + 1));
        reply_send(f, &w, NULL, 0);
        more = request_free(f);
        DL_CONCAT(todo, more);
    }
}

void
request_drop(struct request *r)
{
    request_end(r);
}

void
request_undo(struct request *r)
{
    /* What it gives back is what it took a moment ago: nobody has more room
     * than before, and to say so would wake this one for ever. */
    pace_used(r, 0);
    if (request_free(r) != NULL)
        bug("a request was flushed before it was taken");
}

void
request_again(struct request *r)
{
    const struct request fresh = {.conn = r->conn,
                                  .tag = r->tag,
                                  .type = r->type,
                                  .out_room = r->out_room,
                                  .tag_next = r->tag_next,
                                  .flushes = r->flushes,
                                  .step = r->step,
                                  .share = r->share,
                                  .data = r->data,
                                  .paid = r->paid,
                                  .pays = r->pays};

    let_go(r);
    *r = fresh;
}

void
reply_end(struct request *r, struct pen *w)
{
    reply_send(r, w, NULL, 0);
    request_end(r);
}

void
reply_end_payload(struct request *r, struct pen *w, uint32_t n)
{
    struct out_payload p = {r->share, r->call.payload, r->call.payload_len};

    if (n == 0 || unheard(r->conn)) {
        reply_end(r, w);
        return;
    }
    r->call.payload = NULL; /* the output's now */
    reply_send(r, w, &p, n);
    request_end(r);
}

void
reply_error(struct request *r, int err)
{
    struct pen w;

    reply_begin(r, &w, nine_error_type(r->conn->dialect));
    pen_error(&w, r->conn->dialect, err);
    reply_end(r, &w);
}

void
reply_empty(struct request *r)
{
    struct pen w;

    reply_begin(r, &w, (uint8_t)(r->type + 1));
    reply_end(r, &w);
}

void
request_flush(struct request *r, struct request *f)
{
    DL_APPEND(r->flushes, f);
    if (!pace_cancel(r))
        (void)nine_lock_cancel(r); /* what only waits ends here, unanswered */
}

/* NULL when there is no such fid or it does not name a file, or not yet. */
static struct fid *
fid_named(const struct request *r, uint32_t num)
{
    struct fid *f = fid_find(&r->conn->fids, num);

    return f == NULL || f->state == FID_NEW || f->xattr != NULL ? NULL : f;
}

static void
take_fid(struct request *r, struct fid *f)
{
    r->fid = fid_get(f);
    r->node = handle_get(f->node);
    r->place = place_get(f->place);
    if (f->file != NULL)
        r->file = handle_get(f->file);
    r->share = f->node->share;
    r->call.narrowed = f->narrowed;
    r->aggregate = f->aggregate;
    r->call.uid = r->call.gid = f->uid; /* each user has a group of the same number */
}

int
request_fid_to_end(struct request *r, uint32_t num)
{
    struct fid *f = fid_named(r, num);

    if (f == NULL)
        return -EBADF;
    take_fid(r, f);
    return 0;
}

void
request_begets(const struct request *r, struct fid *f)
{
    f->narrowed = r->call.narrowed;
    f->uid = r->call.uid;
    f->aggregate = r->aggregate;
}

void
request_gid(struct request *r, uint32_t gid)
{
    if (gid != ID_NONE)
        r->call.gid = gid;
}

int
request_fid(struct request *r, uint32_t num)
{
    int e = request_fid_to_end(r, num);

    return e < 0 ? e : share_status(r->share);
}

bool
request_xattr(struct request *r, uint32_t num)
{
    struct fid *f = fid_find(&r->conn->fids, num);

    if (f == NULL || f->xattr == NULL)
        return false;
    take_fid(r, f);
    return true;
}

int
request_fid_to_write(struct request *r, uint32_t num, unsigned op)
{
    int e = request_fid(r, num);

    return e < 0 ? e : fs_access(r->share->fs, op, r->call.narrowed);
}

int
request_other(struct request *r, uint32_t num, unsigned op)
{
    struct fid *f = fid_named(r, num);
    int e;

    if (f == NULL)
        return -EBADF;
    e = share_status(f->node->share);
    if (e == 0)
        e = fs_access(f->node->share->fs, op, f->narrowed);
    if (e == 0)
        e = fs_access(r->share->fs, op, r->call.narrowed);
    if (e < 0)
        return e;
    if (f->node->share != r->share)
        return -EXDEV;
    r->other = handle_get(f->node);
    return 0;
}

int
request_changes_fid(struct request *r)
{
    if (r->fid->state != FID_WALKED)
        return -EINVAL;
    fid_go(r->fid, FID_CHANGING);
    r->changes_fid = true;
    return 0;
}

static int
payload_take(struct request *r, uint32_t n)
{
    r->call.payload = fs_payload_get(r->share->fs, n);
    if (r->call.payload == NULL)
        return -EAGAIN;
    r->call.payload_len = n;
    r->conn->payload_bytes += SLAB_WHOLE(n);
    r->share->payload_bytes += SLAB_WHOLE(n);
    return 0;
}

/* Whether it may have n bytes beside what its connection holds already. */
static bool
may_hold_more(const struct request *r, uint32_t n)
{
    const uint32_t held = r->conn->payload_bytes;

    return held == 0 || (held < OUT_PAYLOAD_MAX && n <= OUT_PAYLOAD_MAX - held &&
                         r->share->payload_bytes <= SLAB_BYTES / 2 - SLAB_WHOLE(n));
}

int
request_payload(struct request *r, uint32_t n)
{
    return may_hold_more(r, n) ? payload_take(r, n) : -EAGAIN;
}

/*
 * The parts that guests may hold for as long as they please: whole messages
 * until half of the slab is taken, then small ones, then single pages; beyond
 * the first row one for each connection. The last quarter is a page for each
 * of 1024 connections, so that none depends on another.
 */
static const struct {
    uint32_t taken; /* of the slab, with this part, at most */
    uint32_t part;
} parts[] = {
    {SLAB_BYTES / 2, UINT32_MAX},
    {SLAB_BYTES / 4 * 3, 64u * 1024u},
    {SLAB_BYTES, SLAB_PAGE},
};

int
request_part(struct request *r, uint32_t n, uint32_t least)
{
    const uint32_t taken = r->share->payload_bytes;
    int e = -EAGAIN;

    if (r->conn->payload_bytes > 0)
        return request_payload(r, n);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && e == -EAGAIN; i++) {
        uint32_t part = parts[i].part > least ? parts[i].part : least;

        if (part > n)
            part = n;
        if (taken <= parts[i].taken && SLAB_WHOLE(part) <= parts[i].taken - taken)
            e = payload_take(r, part);
    }
    return e;
}

void
request_expects(struct request *r)
{
    r->count = r->data < r->call.payload_len ? r->data : r->call.payload_len;
    r->data -= r->count;
    r->got = 0;
    if (r->conn->incoming == r)
        return;
    r->conn->incoming = r;
    r->conn->tenant->expecting++;
}

void
request_expects_no_more(struct request *r)
{
    struct conn *c = r->conn;

    if (c->incoming != r)
        return;
    c->incoming = NULL;
    c->tenant->expecting--;
    c->skip = r->count - r->got + r->data;
    if (c->skip > 0)
        conn_queue(c);
}

void
request_step(struct request *r, int (*step)(struct request *))
{
    int e = step(r);

    if (e == -EAGAIN) {
        r->step = step;
        r->conn->parked++;
        DL_APPEND(r->share->waiting, r);
    } else if (e < 0) {
        reply_error(r, e);
    }
}
