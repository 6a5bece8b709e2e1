/*
 * Whose run-time shares these are: every hold on a share has an id that its
 * holder chose, so that a request can be repeated by one who does not know
 * whether it was done.
 *
 * Runs in: broker.   Trusts: nothing beyond the caller's uid.
 * Owns: a tenant's reservations; the shares are the tenant's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/control.h"

bool
reservation_id_is_good(const char *id)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return n >= 1 && n <= RESERVATION_ID_MAX && id[n] == '\0';
}

struct reservation *
reservation_find(struct tenant *t, uid_t uid, const char *id)
{
    for (struct reservation *r = t->reservations; r != NULL; r = r->next)
        if (r->uid == uid && strcmp(r->id, id) == 0)
            return r;
    return NULL;
}

void
reservation_drop(struct tenant *t, struct reservation *r)
{
    if (r->offer != NULL && !r->removed)
        r->offer->holders--;
    LL_DELETE(t->reservations, r);
    free(r);
}

/* Room for one more; those removed are remembered only while there is room. */
static bool
room_make(struct tenant *t)
{
    struct reservation *oldest = NULL;
    size_t n = 0;

    for (struct reservation *r = t->reservations; r != NULL; r = r->next) {
        n++;
        if (r->removed && oldest == NULL)
            oldest = r;
    }
    if (n < RESERVATIONS_MAX)
        return true;
    if (oldest == NULL)
        return false;
    reservation_drop(t, oldest);
    return true;
}

int
reservation_new(struct tenant *t, uid_t uid, const char *id, struct offer *o,
                struct reservation **ret)
{
    struct reservation *old = reservation_find(t, uid, id), *r;

    if (old == NULL && !room_make(t))
        return -ENOSPC;
    r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    if (old != NULL)
        reservation_drop(t, old);
    r->uid = uid;
    memcpy(r->id, id, strlen(id) + 1);
    r->offer = o;
    o->holders++;
    LL_APPEND(t->reservations, r);
    *ret = r;
    return 0;
}

void
reservations_served(struct offer *o)
{
    for (struct reservation *r = o->t->reservations; r != NULL; r = r->next)
        if (r->offer == o)
            r->fresh = false;
}

void
reservations_failed(struct offer *o)
{
    struct reservation *r, *next;

    LL_FOREACH_SAFE(o->t->reservations, r, next)
    if (r->offer == o && r->fresh)
        reservation_drop(o->t, r);
}

void
reservations_forget(struct offer *o)
{
    for (struct reservation *r = o->t->reservations; r != NULL; r = r->next)
        if (r->offer == o)
            r->offer = NULL;
}

void
reservations_done(struct tenant *t)
{
    while (t->reservations != NULL)
        reservation_drop(t, t->reservations);
}
