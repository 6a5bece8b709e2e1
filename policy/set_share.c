/*
 * How the settings of a share are read.
 *
 * Runs in: broker.   Trusts: nothing in the text.
 * Owns: nothing.
 */
#include <stdlib.h>

#include "policy/settings.h"

void
set_path(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_share *sh = target;

    if (value_path(e, s->at, row->name, s->value))
        sh->path = errors_strdup(e, s->value);
}

void
set_access(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    static const struct choice choices[] = {
        {"read-only", ACCESS_READ_ONLY}, {"read-write", ACCESS_READ_WRITE}, {NULL, 0}};
    struct plan_share *sh = target;
    int v;

    if (choose(e, row, s, choices, "read-only or read-write", &v))
        sh->access = (enum plan_access)v;
}

void
set_identity(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    static const struct choice choices[] = {{"squash", IDENTITY_SQUASH},
                                            {"map", IDENTITY_MAP},
                                            {"stored", IDENTITY_STORED},
                                            {"host", IDENTITY_HOST},
                                            {NULL, 0}};
    struct plan_share *sh = target;
    int v;

    if (choose(e, row, s, choices, "squash, map, stored or host", &v))
        sh->identity = (enum share_identity)v;
}

void
set_id_range(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_share *sh = target;

    sh->has_ids = value_id_range(e, s->at, row->name, s->value, &sh->ids_first, &sh->ids_count);
}

static bool
groups_fit(struct errors *e, const struct setting_row *row, const struct setting *s,
           const struct plan_share *sh, const struct plan_groups *g)
{
    size_t n = 1 + g->ngids;

    for (size_t i = 0; i < sh->ngroups; i++) {
        n += 1 + sh->groups[i].ngids;
        if (sh->groups[i].uid == g->uid) {
            errors_add(e, s->at, "%s has uid %u twice, expected it once", row->name, g->uid);
            return false;
        }
    }
    if (n > GROUP_IDS_MAX)
        errors_add(e, s->at, "%s has too many ids, expected at most %d", row->name, GROUP_IDS_MAX);
    return n <= GROUP_IDS_MAX;
}

/* One value of the list. */
void
set_groups(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_share *sh = target;
    struct plan_groups g = {0}, *more;

    sh->has_groups = true;
    if (setting_is_empty_list(s) || !value_groups(e, s->at, row->name, s->value, &g))
        return;
    more =
        groups_fit(e, row, s, sh, &g) ? errors_grow(e, sh->groups, sh->ngroups, sizeof(g)) : NULL;
    if (more == NULL) {
        free(g.gids);
        return;
    }
    more[sh->ngroups++] = g;
    sh->groups = more;
}

void
set_owner(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_share *sh = target;

    sh->has_owner = value_ids(e, s->at, row->name, s->value, &sh->owner_uid, &sh->owner_gid);
}

void
set_present(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_share *sh = target;

    sh->has_present = value_ids(e, s->at, row->name, s->value, &sh->present_uid, &sh->present_gid);
}

void
set_set_id(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    static const struct choice choices[] = {{"refuse", false}, {"allow", true}, {NULL, 0}};
    struct plan_share *sh = target;
    int v;

    if (choose(e, row, s, choices, "allow or refuse", &v))
        sh->allow_set_id = v != 0;
}

void
set_devices(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    static const struct choice choices[] = {{"refuse", false}, {"allow", true}, {NULL, 0}};
    struct plan_share *sh = target;
    int v;

    if (choose(e, row, s, choices, "allow or refuse", &v))
        sh->allow_devices = v != 0;
}

/* One value of the list. */
void
set_xattrs(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    static const struct choice choices[] = {
        {"user", XATTR_USER}, {"acl", XATTR_ACL}, {"capability", XATTR_CAPABILITY}, {NULL, 0}};
    struct plan_share *sh = target;
    int v;

    if (!sh->has_xattrs)
        sh->xattrs = 0; /* instead of the default */
    sh->has_xattrs = true;
    if (setting_is_empty_list(s) || !choose(e, row, s, choices, "user, acl or capability", &v))
        return;
    if ((sh->xattrs & (unsigned)v) != 0)
        errors_add(e, s->at, "%s has %s twice, expected it once", row->name, Q(s->value));
    sh->xattrs |= (unsigned)v;
}

void
set_submounts(struct errors *e, const struct setting_row *row, const struct setting *s,
              void *target)
{
    static const struct choice choices[] = {{"cross", SUBMOUNTS_CROSS},
                                            {"hide", SUBMOUNTS_HIDE},
                                            {"refuse", SUBMOUNTS_REFUSE},
                                            {NULL, 0}};
    struct plan_share *sh = target;
    int v;

    if (choose(e, row, s, choices, "cross, hide or refuse", &v))
        sh->submounts = (enum share_submounts)v;
}

/* path is below dir. */
static bool
is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* One value of the list; so are those that follow. */
void
set_protect(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_share *sh = target;

    if (setting_is_empty_list(s) || !value_relative(e, s->at, row->name, s->value))
        return;
    for (size_t i = 0; i < sh->protect.n; i++) {
        const char *other = sh->protect.at[i];

        if (is_below(s->value, other) || is_below(other, s->value))
            errors_add(e, s->at, "%s has %s and %s, expected no directory inside another",
                       row->name, Q(other), Q(s->value));
    }
    list_add(e, row, s, &sh->protect, PROTECT_MAX);
}

void
set_hide(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_share *sh = target;

    if (!setting_is_empty_list(s) && value_component(e, s->at, row->name, s->value))
        list_add(e, row, s, &sh->hide, HIDE_MAX);
}

void
set_only(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_share *sh = target;

    /* Nothing at all could be read as no limit at all. */
    if (setting_is_empty_list(s))
        errors_add(e, s->at, "%s is empty, expected a name", row->name);
    else if (value_component(e, s->at, row->name, s->value))
        list_add(e, row, s, &sh->only, ONLY_MAX);
}
