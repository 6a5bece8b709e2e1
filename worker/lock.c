/*
 * Lock owners and their ranges. Nothing here talks to a helper.
 *
 * Runs in: worker.   Trusts: nobody: ids are the guest's choice, and how many
 * there are is bounded.   Owns: the owners, each its handles and its ranges.
 */
#include "worker/lock.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "ipc/log.h"
#include "worker/conn.h"
#include "worker/tenant.h"

static bool
same_node(const struct handle *a, const struct handle *b)
{
    return a == b || (a->share == b->share && a->id == b->id);
}

struct lock_owner *
lock_owner_find(const struct conn *c, const struct handle *node, struct str id, uint32_t proc_id)
{
    for (struct lock_owner *o = c->locks.owners; o != NULL; o = o->next) {
        if (o->proc_id == proc_id && same_node(o->node, node) && o->nclient == id.n &&
            memcmp(o->client, id.p, id.n) == 0)
            return o;
    }
    return NULL;
}

/* Of one in the list: it holds nothing, and no request works on it. */
static bool
rests(const struct lock_owner *o)
{
    return o->refs == 0 && o->ranges == NULL;
}

/* Room for another owner, at worst where one rests. */
static bool
has_room(struct conn *c)
{
    struct lock_owner *o = c->locks.owners;

    if (c->locks.nowners < LOCK_OWNERS_MAX)
        return true;
    if (c->locks.nresting == 0)
        return false;
    while (!rests(o))
        o = o->next;
    lock_owner_forsake(o);
    return true;
}

int
lock_owner_new(struct conn *c, struct handle *node, struct str id, uint32_t proc_id,
               struct lock_owner **ret)
{
    struct lock_owner *o;

    if (!has_room(c))
        return -ENOLCK;
    o = pool_get(&c->tenant->owners);
    if (o == NULL)
        return -ENOMEM;
    *o = (struct lock_owner){.conn = c, .refs = 1, .proc_id = proc_id, .nclient = (uint32_t)id.n};
    memcpy(o->client, id.p, id.n);
    o->node = handle_get(node);
    DL_APPEND(c->locks.owners, o);
    c->locks.nowners++;
    *ret = o;
    return 0;
}

struct lock_owner *
lock_owner_get(struct lock_owner *o)
{
    if (rests(o))
        o->conn->locks.nresting--;
    o->refs++;
    return o;
}

static void
unlist(struct lock_owner *o)
{
    DL_DELETE(o->conn->locks.owners, o);
    o->conn->locks.nowners--;
    o->gone = true;
}

bool
lock_owner_holds(const struct lock_owner *o)
{
    return o->ranges != NULL || o->refs > 1;
}

static bool
may_rest(const struct lock_owner *o)
{
    return !o->gone && o->writes && o->file != NULL && o->conn->locks.nresting < LOCK_RESTING_MAX;
}

void
lock_owner_put(struct lock_owner *o)
{
    if (o == NULL || --o->refs > 0 || o->ranges != NULL)
        return;
    if (may_rest(o)) {
        o->conn->locks.nresting++;
        return;
    }
    if (!o->gone)
        unlist(o);
    handle_put(o->file);
    handle_put(o->node);
    pool_put(&o->conn->tenant->owners, o);
}

void
lock_owner_forsake(struct lock_owner *o)
{
    struct conn *c = o->conn;

    (void)lock_owner_get(o);
    while (o->ranges != NULL) {
        struct lock_range *r = o->ranges;

        o->ranges = r->next;
        pool_put(&c->tenant->ranges, r);
        c->locks.nranges--;
    }
    if (o->file != NULL)
        o->file->wakes = true;
    handle_put(o->file);
    o->file = NULL;
    unlist(o);
    lock_owner_put(o);
}

bool
lock_fits(const struct lock_owner *o, enum lock_type type, uint64_t start, uint64_t last)
{
    if (o->conn->locks.nranges < LOCK_RANGES_MAX)
        return true;
    if (type != LOCK_UNLOCK)
        return false;
    for (const struct lock_range *r = o->ranges; r != NULL; r = r->next) {
        if (r->start < start && r->last > last)
            return false; /* a hole in its middle makes two of it */
    }
    return true;
}

int
lock_spare(struct pool *ranges, struct lock_range **spare)
{
    for (unsigned n = 0; n < 2; n++) {
        struct lock_range *r = pool_get(ranges);

        if (r == NULL)
            return -ENOMEM;
        r->next = *spare;
        *spare = r;
    }
    return 0;
}

void
lock_spare_free(struct pool *ranges, struct lock_range *spare)
{
    while (spare != NULL) {
        struct lock_range *r = spare;

        spare = r->next;
        pool_put(ranges, r);
    }
}

/* A range from the spare ones, into the list at *at. */
static void
put_in(struct lock_owner *o, struct lock_range **at, struct lock_range range,
       struct lock_range **spare)
{
    struct lock_range *r = *spare;

    if (r == NULL)
        bug("a lock was granted without a range to note it");
    *spare = r->next;
    range.next = *at;
    *r = range;
    *at = r;
    o->conn->locks.nranges++;
}

static void
take_out(struct lock_owner *o, struct lock_range **at)
{
    struct lock_range *r = *at;

    *at = r->next;
    pool_put(&o->conn->tenant->ranges, r);
    o->conn->locks.nranges--;
}

bool
lock_note(struct lock_owner *o, enum lock_type type, uint64_t start, uint64_t last,
          struct lock_range **spare)
{
    struct lock_range **at = &o->ranges;
    bool freed = false;

    while (*at != NULL && (*at)->start <= last + 1) {
        struct lock_range *r = *at;
        bool touches = r->last + 1 >= start, overlaps = r->last >= start && r->start <= last;

        if (r->type == type && touches) { /* becomes part of the new one */
            start = r->start < start ? r->start : start;
            last = r->last > last ? r->last : last;
            take_out(o, at);
            continue;
        }
        freed |= overlaps && type != LOCK_FOR_WRITE;
        if (overlaps && r->last > last) { /* what lies behind stays */
            put_in(o, &r->next, (struct lock_range){last + 1, r->last, r->type, NULL}, spare);
            r->last = last;
        }
        if (overlaps && r->start >= start) {
            take_out(o, at);
            continue;
        }
        if (overlaps)
            r->last = start - 1;
        if (r->start > last)
            break;
        at = &r->next;
    }
    if (type != LOCK_UNLOCK)
        put_in(o, at, (struct lock_range){start, last, type, NULL}, spare);
    return freed;
}

static const struct lock_owner *
holder_on(const struct conn *c, const struct lock_owner *asker, enum lock_type type, uint64_t at)
{
    for (const struct lock_owner *o = c->locks.owners; o != NULL; o = o->next) {
        if (o == asker || !same_node(o->node, asker->node))
            continue;
        for (const struct lock_range *r = o->ranges; r != NULL && r->start <= at; r = r->next) {
            if (r->last >= at && r->type == type)
                return o;
        }
    }
    return NULL;
}

const struct lock_owner *
lock_holder(const struct lock_owner *asker, enum lock_type type, uint64_t at)
{
    const struct lock_owner *o = NULL;

    for (const struct conn *c = asker->conn->tenant->conns; c != NULL && o == NULL; c = c->next)
        o = holder_on(c, asker, type, at);
    return o;
}
