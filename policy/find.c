/*
 * Things of a plan by their names, and where the policy says them.
 *
 * Runs in: broker.   Trusts: the plan.
 * Owns: nothing.
 */
#include "policy/parse.h"

const struct plan_tenant *
plan_tenant_find(const struct plan *p, const char *name)
{
    for (size_t i = 0; i < p->ntenants; i++)
        if (strcmp(p->tenants[i].name, name) == 0)
            return &p->tenants[i];
    return NULL;
}

const struct plan_share *
plan_share_find(const struct plan_tenant *t, const char *name)
{
    for (size_t i = 0; i < t->nshares; i++)
        if (strcmp(t->shares[i].name, name) == 0)
            return &t->shares[i];
    return NULL;
}

/* That of value in a list, else the first. */
static const struct setting *
value_find(cfg_t *sec, const char *name, const char *value)
{
    for (unsigned i = 0; value != NULL && i < setting_count(sec, name); i++) {
        const struct setting *s = setting_get_nth(sec, name, i);

        if (strcmp(s->value, value) == 0)
            return s;
    }
    return setting_get(sec, name);
}

static bool
may_be_default(const char *name)
{
    for (size_t i = 0; i < nsetting_rows; i++)
        if (strcmp(setting_rows[i].name, name) == 0 &&
            setting_row_is_of(&setting_rows[i], IN_DEFAULTS))
            return true;
    return false;
}

void
plan_where(const struct plan *p, const struct plan_tenant *t, const struct plan_share *sh,
           const char *setting, const char *value, const char **ret_file, unsigned *ret_line)
{
    cfg_t *sec = p->settings != NULL ? cfg_gettsec(p->settings, "tenant", t->name) : NULL;
    const struct setting *s = NULL;

    *ret_file = sh != NULL ? sh->file : t->file;
    *ret_line = sh != NULL ? sh->line : t->line;
    if (sec != NULL && sh != NULL)
        sec = cfg_gettsec(sec, "share", sh->name);
    if (sec == NULL)
        return;
    s = value_find(sec, setting, value);
    if (s == NULL && may_be_default(setting))
        s = value_find(cfg_getsec(p->settings, "defaults"), setting, value);
    if (s != NULL) {
        *ret_file = s->at.file;
        *ret_line = s->at.line;
    }
}
