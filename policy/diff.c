/*
 * What is different between two plans, as a list that can be applied and
 * told. Two settings are the same when they are written the same.
 *
 * Runs in: broker.   Trusts: the plans.
 * Owns: the list, until plan_diff_done().
 */
#include <errno.h>
#include <stdlib.h>

#include "ipc/fd.h"
#include "policy/settings.h"

/* Each change that is found goes here; r is of the first failure. */
struct found {
    struct plan_diff *diff;
    int r;
};

static void
add(struct found *f, struct plan_change c)
{
    struct plan_change *more;

    if (f->r < 0)
        return;
    more = reallocarray(f->diff->at, f->diff->n + 1, sizeof(*more));
    if (more == NULL) {
        f->r = -ENOMEM;
        return;
    }
    f->diff->at = more;
    more[f->diff->n++] = c;
}

/* The names of the settings that differ, "access, hide", into out. */
static bool
differ(struct found *f, enum section section, const void *a, const void *b, char *out, size_t room)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < nsetting_rows; i++) {
        _clean(clean_free) char *va = NULL;
        _clean(clean_free) char *vb = NULL;

        if (setting_rows[i].section != section || setting_rows[i].get == NULL)
            continue;
        va = setting_text(&setting_rows[i], a);
        vb = setting_text(&setting_rows[i], b);
        if (va == NULL || vb == NULL)
            f->r = -ENOMEM;
        else if (strcmp(va, vb) != 0 && at < room)
            at += (size_t)snprintf(out + at, room - at, "%s%s", at > 0 ? ", " : "",
                                   setting_rows[i].name);
    }
    return at > 0;
}

/* The same address with the same settings. */
static bool
has_listen(struct found *f, const struct plan_tenant *t, const struct plan_listen *l)
{
    char ignored[PLAN_CHANGE_WHAT];

    for (size_t i = 0; i < t->nlistens; i++)
        if (address_same(&t->listens[i], l) || listen_order(&t->listens[i], l) == 0)
            return !differ(f, IN_LISTEN, &t->listens[i], l, ignored, sizeof(ignored));
    return false;
}

static bool
listens_differ(struct found *f, const struct plan_tenant *a, const struct plan_tenant *b)
{
    bool all = a->nlistens == b->nlistens;

    for (size_t i = 0; all && i < b->nlistens; i++)
        all = has_listen(f, a, &b->listens[i]);
    return !all;
}

static void
shares_diff(struct found *f, const struct plan_tenant *a, const struct plan_tenant *b)
{
    for (size_t i = 0; i < a->nshares; i++)
        if (plan_share_find(b, a->shares[i].name) == NULL)
            add(f, (struct plan_change){CHANGE_SHARE_REMOVED, a, b, &a->shares[i], NULL, ""});
    for (size_t i = 0; i < b->nshares; i++) {
        const struct plan_share *new = &b->shares[i], *old = plan_share_find(a, new->name);
        struct plan_change c = {CHANGE_SHARE_ADDED, a, b, old, new, ""};

        if (old != NULL && !differ(f, IN_SHARE, old, new, c.what, sizeof(c.what)))
            continue;
        if (old != NULL)
            c.kind = CHANGE_SHARE_CHANGED;
        add(f, c);
    }
}

static void
tenant_diff(struct found *f, const struct plan_tenant *a, const struct plan_tenant *b)
{
    struct plan_change c = {CHANGE_TENANT_SETTINGS, a, b, NULL, NULL, ""};

    if (differ(f, IN_TENANT, a, b, c.what, sizeof(c.what)))
        add(f, c);
    c.kind = CHANGE_TENANT_LIMITS;
    if (differ(f, IN_LIMITS, &a->limits, &b->limits, c.what, sizeof(c.what)))
        add(f, c);
    if (listens_differ(f, a, b))
        add(f, (struct plan_change){CHANGE_TENANT_LISTENS, a, b, NULL, NULL, ""});
    shares_diff(f, a, b);
}

static bool
control_differs(struct found *f, const struct plan_control *a, const struct plan_control *b)
{
    char ignored[PLAN_CHANGE_WHAT];

    if (a->path == NULL || b->path == NULL)
        return a->path != b->path;
    return strcmp(a->path, b->path) != 0 || differ(f, IN_CONTROL, a, b, ignored, sizeof(ignored));
}

int
plan_diff(const struct plan *old, const struct plan *new, struct plan_diff *ret)
{
    struct plan_diff diff = {0};
    struct found f = {&diff, 0};

    if (control_differs(&f, &old->control, &new->control))
        add(&f, (struct plan_change){.kind = CHANGE_CONTROL});
    for (size_t i = 0; i < old->ntenants; i++) {
        const struct plan_tenant *t = &old->tenants[i];

        if (plan_tenant_find(new, t->name) == NULL)
            add(&f, (struct plan_change){CHANGE_TENANT_REMOVED, t, NULL, NULL, NULL, ""});
    }
    for (size_t i = 0; i < new->ntenants; i++) {
        const struct plan_tenant *t = &new->tenants[i], *was = plan_tenant_find(old, t->name);

        if (was == NULL)
            add(&f, (struct plan_change){CHANGE_TENANT_ADDED, NULL, t, NULL, NULL, ""});
        else
            tenant_diff(&f, was, t);
    }
    if (f.r < 0)
        plan_diff_done(&diff);
    else
        *ret = diff;
    return f.r;
}

void
plan_diff_done(struct plan_diff *d)
{
    free(d->at);
    *d = (struct plan_diff){0};
}

void
plan_change_text(const struct plan_change *c, char *out, size_t room)
{
    static const char *const verbs[] = {
        [CHANGE_CONTROL] = "changed",       [CHANGE_TENANT_REMOVED] = "removed",
        [CHANGE_TENANT_ADDED] = "added",    [CHANGE_TENANT_SETTINGS] = "changed",
        [CHANGE_TENANT_LIMITS] = "changed", [CHANGE_TENANT_LISTENS] = "changed",
        [CHANGE_SHARE_REMOVED] = "removed", [CHANGE_SHARE_CHANGED] = "changed",
        [CHANGE_SHARE_ADDED] = "added",
    };
    static const char *const things[] = {
        [CHANGE_TENANT_SETTINGS] = ": settings",
        [CHANGE_TENANT_LIMITS] = ": limits",
        [CHANGE_TENANT_LISTENS] = ": addresses",
        [CHANGE_SHARE_CHANGED] = NULL, /* the last */
    };
    const struct plan_tenant *t = c->new_tenant != NULL ? c->new_tenant : c->old_tenant;
    const struct plan_share *sh = c->new_share != NULL ? c->new_share : c->old_share;
    const char *thing = things[c->kind] != NULL ? things[c->kind] : "";

    if (t == NULL)
        (void)snprintf(out, room, "control %s", verbs[c->kind]);
    else
        (void)snprintf(out, room, "tenant %s%s%s%s %s%s%s", t->name, thing,
                       sh != NULL ? ": share " : "", sh != NULL ? sh->name : "", verbs[c->kind],
                       c->what[0] != '\0' ? ": " : "", c->what);
}
