/*
 * What a request does, and who may ask for it.
 *
 * Runs in: broker.   Trusts: struct caller, which the kernel filled; every
 * word of a request is looked up or parsed as the policy file is.
 * Owns: nothing beyond a call.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/control.h"
#include "broker/reload.h"
#include "ipc/fd.h"
#include "ipc/log.h"

typedef int verb_fn(struct control_conn *c, const void *msg, struct answer *a);

/* --- whose ------------------------------------------------------------------------ */

bool
control_may(const struct caller *who, const struct tenant *t)
{
    return who->admin || (!t->b->rootless && delegate_of(who, t->plan));
}

/* Unknown and forbidden are the same to one who may not know. */
static int
tenant_find(struct control_conn *c, const char *name, struct answer *a, struct tenant **ret)
{
    struct tenant *t = control_broker(c)->tenants;

    while (t != NULL && (strcmp(t->plan->name, name) != 0 || t->leaving))
        t = t->next;
    *ret = t;
    if (t != NULL && control_may(&c->who, t))
        return 0;
    if (!c->who.admin)
        return answer_why(a, -EACCES,
                          "you may share nothing with that tenant: see delegates in "
                          "the policy");
    return answer_why(a, -ENOENT, "there is no such tenant");
}

/* An administrator also finds what others reserved. */
static struct reservation *
held(struct control_conn *c, struct tenant *t, const char *id)
{
    struct reservation *r = reservation_find(t, c->who.uid, id);

    if (r != NULL || !c->who.admin)
        return r;
    for (r = t->reservations; r != NULL && strcmp(r->id, id) != 0;)
        r = r->next;
    return r;
}

static struct offer *
offer_named(const struct tenant *t, const char *name)
{
    struct offer *o = t->offers;

    while (o != NULL && strcmp(o->plan->name, name) != 0)
        o = o->next;
    return o;
}

/* --- reserve ------------------------------------------------------------------------ */

struct wanted {
    struct control_conn *c;
    struct answer *a;
    struct tenant *t;
    const char *id, *name, *settings;
    struct stat st;          /* delegates: the directory as they find it */
    struct plan_share *plan; /* owned; until an offer has it */
};

static int
parse(struct wanted *w)
{
    const struct broker *b = w->t->b;
    char *why = NULL;
    int r = plan_parse_share(b->plan, w->t->plan, w->name, w->settings, strlen(w->settings),
                             &w->plan, &why);

    if (r < 0)
        (void)answer_why(w->a, r, "%s", why != NULL ? why : strerror(-r));
    free(why);
    return r;
}

/* Guests of two tenants must never meet in one id. */
static int
overlap_check(const struct wanted *w)
{
    for (const struct tenant *t = w->t->b->tenants; t != NULL; t = t->next)
        for (const struct offer *o = t->offers; o != NULL; o = o->next)
            if (t != w->t && plan_ids_overlap(w->plan, o->plan))
                return answer_why(w->a, -EINVAL,
                                  "share %s: its ids overlap those of tenant %s, share %s", w->name,
                                  t->plan->name, o->plan->name);
    return 0;
}

/* The directory, in the way that is right for who asks. */
static int
directory_open(struct wanted *w, struct offer *o)
{
    char why[LOG_LINE_ROOM];
    int r;

    broker_refuse_into(why, sizeof(why));
    r = offer_open(o);
    if (r == 0 && w->t->b->rootless)
        r = offer_host_check(o, w->t->b->host_root);
    if (r == 0)
        r = offer_identity(o, w->t->b->rootless, o->helper.slot);
    broker_refuse_into(NULL, 0);
    if (r < 0)
        return answer_why(w->a, r, "%s", why[0] != '\0' ? why : strerror(-r));
    if (!w->c->who.admin && (o->st.st_dev != w->st.st_dev || o->st.st_ino != w->st.st_ino))
        return answer_why(w->a, -ESTALE, "%s was replaced meanwhile", w->plan->path);
    return 0;
}

static int
offer_make(struct wanted *w, struct offer **ret)
{
    struct offer *o;
    int r;

    if (w->t->noffers >= SHARES_PER_TENANT_MAX)
        return answer_why(w->a, -ENOSPC, "the tenant has %d shares, which is all it can have",
                          SHARES_PER_TENANT_MAX);
    o = share_new(w->t, w->plan);
    if (o == NULL)
        return answer_why(w->a, -ENOMEM, "no room for another share");
    r = directory_open(w, o);
    if (r == 0) {
        o->settings = strdup(w->settings);
        r = o->settings == NULL ? -ENOMEM : 0;
    }
    if (r < 0) {
        share_free(o);
        return r;
    }
    o->own = take_ptr(&w->plan);
    *ret = o;
    return 0;
}

/* One that is there already, or a new one. */
static int
offer_get(struct wanted *w, struct offer **ret)
{
    struct offer *o = offer_named(w->t, w->name);

    if (o == NULL)
        return offer_make(w, ret);
    if (o->own == NULL)
        return answer_why(w->a, -EEXIST, "the policy has a share of that name");
    if (o->holders == 0)
        return answer_why(w->a, -EAGAIN, "a share of that name is still going: try again");
    if (strcmp(o->settings, w->settings) != 0)
        return answer_why(w->a, -EEXIST, "there is a share of that name with other settings");
    *ret = o;
    return 0;
}

static int
reserve_new(struct wanted *w, struct reservation **ret)
{
    struct offer *o = NULL;
    int r = parse(w);

    if (r == 0)
        r = overlap_check(w);
    if (r == 0 && !w->c->who.admin)
        r = delegate_check(&w->c->who, w->plan, &w->st, w->a);
    if (r == 0)
        r = offer_get(w, &o);
    if (r == 0) {
        r = reservation_new(w->t, w->c->who.uid, w->id, o, ret);
        if (r < 0) {
            (void)answer_why(w->a, r, "the tenant has %d reservations, which is all it can have",
                             RESERVATIONS_MAX);
            if (o != NULL && o->holders == 0)
                share_free(o);
        }
    }
    plan_share_free(w->plan);
    w->plan = NULL;
    return r;
}

/* The caller's of that id, made if need be. */
static int
reserve(struct wanted *w, struct reservation **ret, bool *ret_made)
{
    struct reservation *r = reservation_find(w->t, w->c->who.uid, w->id);

    *ret_made = r == NULL || r->removed;
    if (!reservation_id_is_good(w->id))
        return answer_why(w->a, -EINVAL, "reservation: expected 1 to %d of A-Z a-z 0-9 . _ -",
                          RESERVATION_ID_MAX);
    if (*ret_made)
        return reserve_new(w, ret);
    *ret = r;
    if (strcmp(r->offer->plan->name, w->name) == 0 && strcmp(r->offer->settings, w->settings) == 0)
        return 0;
    return answer_why(w->a, -EEXIST, "that reservation is of share %s, or has other settings",
                      r->offer->plan->name);
}

static int
do_reserve(struct control_conn *c, const void *msg, struct answer *a)
{
    const Postern__V1__ShareReserve *m = msg;
    struct wanted w = {
        .c = c, .a = a, .id = m->reservation, .name = m->share, .settings = m->settings};
    struct reservation *r;
    bool made;
    int e = tenant_find(c, m->tenant, a, &w.t);

    return e == 0 ? reserve(&w, &r, &made) : e;
}

/* --- add ---------------------------------------------------------------------------- */

static int
start(struct control_conn *c, struct offer *o, struct answer *a)
{
    char why[LOG_LINE_ROOM];
    int r;

    if (o->t->state != TENANT_SERVING)
        return answer_why(a, -EAGAIN, "the tenant does not serve now: try again");
    r = share_recheck(o, why);
    if (r < 0)
        return answer_why(a, r, "%s", why);
    log_info("tenant %s: share %s: uid %u adds it", o->t->plan->name, o->plan->name,
             (unsigned)c->who.uid);
    c->waits_for = o;
    c->waits_for_end = false;
    r = share_start(o);
    if (r == 0)
        return ANSWER_LATER;
    c->waits_for = NULL;
    return answer_why(a, r, "share %s: its helper could not be started: %s", o->plan->name,
                      strerror(-r));
}

static int
add(struct control_conn *c, struct offer *o, struct answer *a)
{
    switch (o->state) {
    case SHARE_RESERVED:
        return start(c, o, a);
    case SHARE_ADDED:
        return 0;
    case SHARE_FAILED:
        return answer_why(a, -EIO, "%s: remove it, and add it again", o->why);
    case SHARE_HELPER:
    case SHARE_READY:
    case SHARE_JOINING:
        c->waits_for = o;
        c->waits_for_end = false;
        return ANSWER_LATER;
    default:
        return answer_why(a, -EAGAIN, "the share is still going: try again");
    }
}

/* What this request made goes with it when it fails. */
static int
add_made(struct control_conn *c, struct reservation *r, struct answer *a)
{
    struct offer *o = r->offer;
    int e;

    r->fresh = true;
    e = add(c, o, a);
    if (e == 0)
        r->fresh = false;
    if (e >= 0)
        return e;
    reservation_drop(o->t, r);
    if (o->holders == 0 && o->state == SHARE_RESERVED)
        share_free(o);
    return e;
}

static int
do_add(struct control_conn *c, const void *msg, struct answer *a)
{
    const Postern__V1__ShareAdd *m = msg;
    struct wanted w = {
        .c = c, .a = a, .id = m->reservation, .name = m->share, .settings = m->settings};
    struct reservation *r = NULL;
    bool made = false;
    int e = tenant_find(c, m->tenant, a, &w.t);

    if (e < 0)
        return e;
    if ((m->share == NULL) != (m->settings == NULL))
        return answer_why(a, -EINVAL, "share and settings come together or not at all");
    if (m->share != NULL)
        e = reserve(&w, &r, &made);
    else if ((r = reservation_find(w.t, c->who.uid, m->reservation)) == NULL || r->removed)
        e = answer_why(a, -ENOENT, "you have no such reservation");
    if (e < 0 || r == NULL)
        return e;
    return made ? add_made(c, r, a) : add(c, r->offer, a);
}

/* --- remove --------------------------------------------------------------------------- */

static int
not_held(struct tenant *t, const char *id, struct answer *a)
{
    const struct offer *o = offer_named(t, id);

    if (o != NULL && o->own == NULL)
        return answer_why(a, -EPERM, "the policy has that share: take it out there and reload");
    return answer_why(a, -ENOENT, "you have no such reservation");
}

static int
do_remove(struct control_conn *c, const void *msg, struct answer *a)
{
    const Postern__V1__ShareRemove *m = msg;
    struct reservation *r;
    struct tenant *t;
    struct offer *o;
    int e = tenant_find(c, m->tenant, a, &t);

    if (e < 0)
        return e;
    r = held(c, t, m->reservation);
    if (r == NULL)
        return not_held(t, m->reservation, a);
    o = r->offer;
    if (!r->removed)
        o->holders--;
    r->removed = true;
    if (o == NULL || o->holders > 0)
        return 0;
    log_info("tenant %s: share %s: uid %u removes it", t->plan->name, o->plan->name,
             (unsigned)c->who.uid);
    c->waits_for = m->drain_ms == 0 ? o : NULL;
    c->waits_for_end = true;
    share_leave(o, m->drain_ms);
    return m->drain_ms == 0 ? ANSWER_LATER : 0;
}

/* --- the rest ---------------------------------------------------------------------------- */

static void
reload_said(void *ctx, const char *text)
{
    struct answer *a = ctx;
    char copy[LOG_LINE_ROOM], *p = copy;

    log_info("reload: %s", text);
    (void)snprintf(copy, sizeof(copy), "%s", text);
    a->part.n_report = 1;
    a->part.report = &p;
    answer_part(a);
}

static int
do_reload(struct control_conn *c, const void *msg, struct answer *a)
{
    static char why[RELOAD_WHY]; /* too large for a stack */
    const Postern__V1__ReloadRequest *m = msg;
    int r = reload(control_broker(c), m->only_show != 0, reload_said, a, why, sizeof(why));

    return r < 0 ? answer_why(a, r, "%s", why) : 0;
}

#define ROW(field, run, for_admins)                                                                \
    {                                                                                              \
        offsetof(Postern__V1__ControlRequest, field), (run), (for_admins)                          \
    }
static const struct verb {
    size_t offset;
    verb_fn *run;
    bool admin; /* else each tenant's delegates may too, for that tenant */
} verbs[] = {
    ROW(share_reserve, do_reserve, false), ROW(share_add, do_add, false),
    ROW(share_remove, do_remove, false),   ROW(share_list, info_shares, false),
    ROW(status, info_tenants, true),       ROW(processes, info_processes, true),
    ROW(reload, do_reload, true),
};

static const void *
field(const Postern__V1__ControlRequest *req, size_t offset)
{
    const void *p;

    memcpy(&p, (const char *)req + offset, sizeof(p));
    return p;
}

int
control_do(struct control_conn *c, const Postern__V1__ControlRequest *req, struct answer *a)
{
    const struct verb *v = NULL;
    size_t n = 0;

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (field(req, verbs[i].offset) != NULL) {
            v = &verbs[i];
            n++;
        }
    if (n != 1)
        return answer_why(a, -EPROTO, "exactly one thing is asked for at a time");
    if (v->admin && !c->who.admin)
        return answer_why(a, -EACCES, "this is for administrators alone");
    if (control_broker(c)->stopping)
        return answer_why(a, -ESHUTDOWN, "posternd ends");
    return v->run(c, field(req, v->offset), a);
}
