/*
 * Another policy in place of the one that runs: what can fail is done first
 * and undone when it does, then the difference is applied and nothing else is
 * touched.
 *
 * Runs in: broker.   Trusts: the policy file, as at start.
 * Owns: plans that shares on their way out still borrow from.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/door.h"
#include "broker/reload.h"
#include "ipc/fd.h"
#include "ipc/log.h"

struct old_plan {
    struct old_plan *next;
    struct plan *plan; /* owned */
};

/* What was prepared for one change, by its place in the difference. */
struct prepared {
    struct tenant *tenant; /* owned until applied: one that is new */
    struct offer *offer;   /* already with its tenant; reserved */
    struct door *doors;    /* owned until applied, a list: those that are new */
};

struct reload {
    struct broker *b;
    struct plan *plan; /* owned until applied */
    struct plan_diff diff;
    struct prepared *done; /* owned; diff.n */
};

static struct tenant *
tenant_of(const struct broker *b, const struct plan_tenant *plan)
{
    struct tenant *t = b->tenants;

    while (t != NULL && (t->leaving || strcmp(t->plan->name, plan->name) != 0))
        t = t->next;
    if (t == NULL)
        bug("reload: there is no tenant %s", plan->name);
    return t;
}

/* --- what can fail ---------------------------------------------------------------- */

/* A share's directory and identity, as at start. */
static int
offer_prepare(struct offer *o)
{
    const struct broker *b = o->t->b;
    int r = o->root_fd >= 0 ? 0 : offer_open(o);

    if (r == 0 && b->rootless)
        r = offer_host_check(o, b->host_root);
    return r == 0 ? offer_identity(o, b->rootless, o->helper.slot) : r;
}

static struct door *
door_of(const struct tenant *t, const char *address)
{
    struct door *d = t->doors;

    while (d != NULL && strcmp(d->plan->address, address) != 0)
        d = d->next;
    return d;
}

/* Its address may be one that another tenant has until now: no two of a plan
 * have the same, so that one gives it up. */
static int
door_prepare(const struct reload *rl, struct door *d)
{
    const struct door *from = NULL;

    for (const struct tenant *t = rl->b->tenants; t != NULL && from == NULL; t = t->next)
        if (t != d->t && !t->leaving)
            from = door_of(t, d->plan->address);
    return from != NULL ? door_open_beside(d, from) : door_open(d);
}

static int
tenant_prepare(struct reload *rl, const struct plan_change *c, struct prepared *p)
{
    int r;

    p->tenant = calloc(1, sizeof(*p->tenant));
    if (p->tenant == NULL)
        return -ENOMEM;
    r = tenant_load(p->tenant, rl->b, c->new_tenant);
    for (struct offer *o = p->tenant->offers; o != NULL && r == 0; o = o->next)
        r = offer_prepare(o);
    for (struct door *d = p->tenant->doors; d != NULL && r == 0; d = d->next)
        r = door_prepare(rl, d);
    return r;
}

static struct offer *
offer_of(const struct tenant *t, const char *name)
{
    struct offer *o = t->offers;

    while (o != NULL && (strcmp(o->plan->name, name) != 0 || (o->own == NULL && !o->wanted)))
        o = o->next;
    return o;
}

static int
share_prepare(struct reload *rl, const struct plan_change *c, struct prepared *p)
{
    const struct plan_share *sh = c->new_share;
    struct tenant *t = tenant_of(rl->b, c->new_tenant);
    const struct offer *there = offer_of(t, sh->name);

    if (there != NULL && there->own != NULL)
        return broker_refuse(-EEXIST, sh->file, sh->line,
                             "share %s was added at run time: remove it there, or give this one "
                             "another name",
                             sh->name);
    if (t->noffers >= SHARES_PER_TENANT_MAX)
        return broker_refuse(-ENOSPC, sh->file, sh->line,
                             "share %s: tenant %s has %d shares with those added at run time and "
                             "those on their way out, which is all it can have",
                             sh->name, t->plan->name, SHARES_PER_TENANT_MAX);
    p->offer = share_new(t, sh);
    return p->offer == NULL ? -ENOMEM : offer_prepare(p->offer);
}

static int
doors_prepare(struct reload *rl, const struct plan_change *c, struct prepared *p)
{
    struct tenant *t = tenant_of(rl->b, c->new_tenant);
    int r = 0;

    for (size_t i = 0; i < c->new_tenant->nlistens && r == 0; i++) {
        const struct plan_listen *l = &c->new_tenant->listens[i];
        struct door *d;

        if (door_of(t, l->address) != NULL)
            continue;
        d = calloc(1, sizeof(*d));
        if (d == NULL)
            return -ENOMEM;
        door_init(d, t, l);
        LL_APPEND(p->doors, d);
        r = door_prepare(rl, d);
    }
    return r;
}

static int (*const prepares[])(struct reload *rl, const struct plan_change *c,
                               struct prepared *p) = {
    [CHANGE_TENANT_ADDED] = tenant_prepare,
    [CHANGE_TENANT_LISTENS] = doors_prepare,
    [CHANGE_SHARE_ADDED] = share_prepare,
    [CHANGE_SHARE_CHANGED] = share_prepare,
};

static int
prepare(struct reload *rl)
{
    int r = 0;

    for (size_t i = 0; i < rl->diff.n && r == 0; i++) {
        const struct plan_change *c = &rl->diff.at[i];

        if (c->kind < sizeof(prepares) / sizeof(prepares[0]) && prepares[c->kind] != NULL)
            r = prepares[c->kind](rl, c, &rl->done[i]);
    }
    return r;
}

/* Nothing happened. */
static void
unprepare(struct reload *rl)
{
    for (size_t i = 0; rl->done != NULL && i < rl->diff.n; i++) {
        struct prepared *p = &rl->done[i];
        struct door *d, *next;

        if (p->tenant != NULL)
            tenant_done(p->tenant);
        free(p->tenant);
        if (p->offer != NULL)
            share_free(p->offer);
        LL_FOREACH_SAFE(p->doors, d, next)
        {
            door_done(d);
            free(d);
        }
    }
}

/* --- what is done ------------------------------------------------------------------- */

static void
tenant_removed(struct reload *rl, const struct plan_change *c, struct prepared *p)
{
    struct tenant *t = tenant_of(rl->b, c->old_tenant);

    (void)p;
    t->leaving = true;
    tenant_end(t);
    for (struct door *d = t->doors; d != NULL; d = d->next)
        door_done(d);
}

static void
tenant_added(struct reload *rl, const struct plan_change *c, struct prepared *p)
{
    struct tenant *t = take_ptr(&p->tenant);

    (void)c;
    LL_APPEND(rl->b->tenants, t);
    tenant_start(t);
}

/* Who may add and remove shares is asked of the plan that there is. */
static void
tenant_set(struct reload *rl, const struct plan_change *c, struct prepared *p)
{
    (void)p;
    if (strcmp(c->what, "delegates") != 0)
        tenant_renew(tenant_of(rl->b, c->new_tenant));
}

static void
limits_changed(struct reload *rl, const struct plan_change *c, struct prepared *p)
{
    (void)p;
    tenant_renew(tenant_of(rl->b, c->new_tenant));
}

static const struct plan_listen *
listen_of(const struct plan_tenant *t, const char *address)
{
    for (size_t i = 0; i < t->nlistens; i++)
        if (strcmp(t->listens[i].address, address) == 0)
            return &t->listens[i];
    return NULL;
}

static void
listens_changed(struct reload *rl, const struct plan_change *c, struct prepared *p)
{
    struct tenant *t = tenant_of(rl->b, c->new_tenant);
    struct door *d, *next;

    tenant_renew(t);
    LL_FOREACH_SAFE(t->doors, d, next)
    {
        const struct plan_listen *l = listen_of(c->new_tenant, d->plan->address);

        if (l == NULL) {
            LL_DELETE(t->doors, d);
            door_done(d);
            free(d);
        } else if (l->transport == TRANSPORT_UNIX) {
            (void)door_unix_group(l, l->path); /* it says what is wrong */
        }
    }
    LL_CONCAT(t->doors, p->doors);
    p->doors = NULL;
}

static void
share_removed(struct reload *rl, const struct plan_change *c, struct prepared *p)
{
    struct offer *o = offer_of(tenant_of(rl->b, c->old_tenant), c->old_share->name);

    (void)p;
    if (o != NULL)
        share_leave(o, 0);
}

static void
share_added(struct reload *rl, const struct plan_change *c, struct prepared *p)
{
    struct offer *o = take_ptr(&p->offer);

    (void)rl;
    (void)c;
    o->wanted = true;
    if (o->t->state == TENANT_SERVING && share_start(o) < 0)
        share_broken(o, "its helper could not be started");
}

static void
share_changed(struct reload *rl, const struct plan_change *c, struct prepared *p)
{
    share_removed(rl, c, p); /* the one before is found: the new one is not wanted yet */
    share_added(rl, c, p);
}

static void (*const applies[])(struct reload *rl, const struct plan_change *c,
                               struct prepared *p) = {
    [CHANGE_TENANT_REMOVED] = tenant_removed,  [CHANGE_TENANT_ADDED] = tenant_added,
    [CHANGE_TENANT_SETTINGS] = tenant_set,     [CHANGE_TENANT_LIMITS] = limits_changed,
    [CHANGE_TENANT_LISTENS] = listens_changed, [CHANGE_SHARE_REMOVED] = share_removed,
    [CHANGE_SHARE_ADDED] = share_added,        [CHANGE_SHARE_CHANGED] = share_changed,
};

static const struct plan_share *
share_of(const struct plan_tenant *t, const char *name)
{
    for (size_t i = 0; i < t->nshares; i++)
        if (strcmp(t->shares[i].name, name) == 0)
            return &t->shares[i];
    return NULL;
}

/* Whatever stays borrows from the new plan; what is on its way out does not. */
static void
repoint(struct tenant *t, const struct plan_tenant *plan)
{
    t->plan = plan;
    for (struct door *d = t->doors; d != NULL; d = d->next) {
        const struct plan_listen *l = listen_of(plan, d->plan->address);

        d->plan = l != NULL ? l : d->plan;
    }
    for (struct offer *o = t->offers; o != NULL; o = o->next)
        if (o->own == NULL && o->wanted)
            o->plan = share_of(plan, o->plan->name);
}

/* Before who had their addresses lets them go. */
static void
doors_place(const struct prepared *p)
{
    for (struct door *d = p->tenant != NULL ? p->tenant->doors : p->doors; d != NULL; d = d->next)
        door_take_place(d);
}

static int
apply(struct reload *rl)
{
    struct old_plan *old = calloc(1, sizeof(*old));
    struct broker *b = rl->b;

    if (old == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < rl->diff.n; i++)
        doors_place(&rl->done[i]);
    for (size_t i = 0; i < rl->diff.n; i++) {
        const struct plan_change *c = &rl->diff.at[i];

        if (c->kind < sizeof(applies) / sizeof(applies[0]) && applies[c->kind] != NULL)
            applies[c->kind](rl, c, &rl->done[i]);
    }
    for (size_t i = 0; i < rl->plan->ntenants; i++)
        repoint(tenant_of(b, &rl->plan->tenants[i]), &rl->plan->tenants[i]);
    old->plan = b->plan;
    LL_PREPEND(b->old_plans, old);
    b->plan = take_ptr(&rl->plan);
    control_reloaded(b);
    broker_sweep_soon(b);
    return 0;
}

/* --- sweeping --------------------------------------------------------------------------- */

static bool
is_borrowed(const struct broker *b)
{
    for (const struct tenant *t = b->tenants; t != NULL; t = t->next) {
        if (t->leaving)
            return true;
        for (const struct offer *o = t->offers; o != NULL; o = o->next)
            if (o->own == NULL && !o->wanted)
                return true;
    }
    return false;
}

void
reload_sweep(struct broker *b)
{
    struct tenant *t, *next;
    struct old_plan *p, *pnext;

    LL_FOREACH_SAFE(b->tenants, t, next)
    {
        if (!t->leaving || t->state != TENANT_DOWN)
            continue;
        LL_DELETE(b->tenants, t);
        tenant_done(t);
        free(t);
    }
    if (is_borrowed(b))
        return;
    LL_FOREACH_SAFE(b->old_plans, p, pnext)
    {
        LL_DELETE(b->old_plans, p);
        plan_free(p->plan);
        free(p);
    }
}

/* --- all of it ---------------------------------------------------------------------------- */

static void
tell(const struct reload *rl, reload_line *line, void *ctx)
{
    char text[LOG_LINE_ROOM];

    for (size_t i = 0; i < rl->diff.n; i++) {
        plan_change_text(&rl->diff.at[i], text, sizeof(text));
        if (rl->diff.at[i].kind == CHANGE_CONTROL)
            (void)strncat(text, ", when posternd is started again",
                          sizeof(text) - strlen(text) - 1);
        line(ctx, text);
    }
}

static int
prepare_and_apply(struct reload *rl, char *why, size_t room)
{
    int r;

    rl->done = calloc(rl->diff.n + 1, sizeof(*rl->done));
    if (rl->done == NULL)
        return -ENOMEM;
    broker_refuse_into(why, room);
    r = prepare(rl);
    broker_refuse_into(NULL, 0);
    if (r == 0)
        r = apply(rl);
    unprepare(rl);
    free(rl->done);
    return r;
}

static int
load(struct reload *rl, char *why, size_t room)
{
    char *text = NULL;
    int r;

    if (rl->b->plan->nfiles == 0) {
        (void)snprintf(why, room, "posternd was started without a policy file");
        return -EOPNOTSUPP;
    }
    if (!rl->b->up) {
        (void)snprintf(why, room, "posternd still starts: try again");
        return -EAGAIN;
    }
    r = plan_load(rl->b->plan->files[0], &rl->plan, &text);
    if (r < 0)
        (void)snprintf(why, room, "%s", text != NULL ? text : strerror(-r));
    else
        plan_settle(rl->plan);
    free(text);
    return r;
}

int
reload(struct broker *b, bool only_show, reload_line *line, void *ctx, char *why, size_t room)
{
    struct reload rl = {.b = b};
    int r;

    why[0] = '\0';
    r = load(&rl, why, room);
    if (r == 0)
        r = plan_diff(b->plan, rl.plan, &rl.diff);
    if (r == 0 && !only_show)
        r = prepare_and_apply(&rl, why, room);
    if (r == 0)
        tell(&rl, line, ctx); /* the old plan is there until the next sweep */
    if (r < 0 && why[0] == '\0')
        (void)snprintf(why, room, "%s", strerror(-r));
    plan_diff_done(&rl.diff);
    if (r < 0 || only_show)
        plan_free(rl.plan);
    return r;
}
