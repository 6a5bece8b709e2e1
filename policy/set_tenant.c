/*
 * How the settings of listen, control, tenants and limits are read.
 *
 * Runs in: broker.   Trusts: nothing in the text.
 * Owns: nothing.
 */
#include "policy/settings.h"

void
set_protocol(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    static const struct choice choices[] = {{"9p", 0}, {"virtio-fs", LATER}, {NULL, 0}};
    int only;

    (void)target; /* there is one */
    (void)choose(e, row, s, choices, "9p", &only);
}

void
set_group(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_listen *l = target;

    (void)row;
    if (value_group(e, s->at, s->value))
        l->group = errors_strdup(e, s->value);
}

void
set_allow_remote(struct errors *e, const struct setting_row *row, const struct setting *s,
                 void *target)
{
    static const struct choice choices[] = {{"no", false}, {"yes", true}, {NULL, 0}};
    struct plan_listen *l = target;
    int v;

    if (choose(e, row, s, choices, "yes or no", &v))
        l->allow_remote = v != 0;
}

void
set_control_group(struct errors *e, const struct setting_row *row, const struct setting *s,
                  void *target)
{
    struct plan_control *c = target;

    (void)row;
    if (value_group(e, s->at, s->value))
        c->group = errors_strdup(e, s->value);
}

void
set_sandbox(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    static const struct choice choices[] = {{"full", false}, {"best-effort", true}, {NULL, 0}};
    struct plan_tenant *t = target;
    int v;

    if (choose(e, row, s, choices, "full or best-effort", &v))
        t->best_effort = v != 0;
}

/* One value of the list. */
void
set_delegates(struct errors *e, const struct setting_row *row, const struct setting *s,
              void *target)
{
    struct plan_tenant *t = target;
    const size_t n = t->delegates.n;
    uint32_t id = 0;

    if (setting_is_empty_list(s) || !value_delegate(e, s->at, row->name, s->value, &id))
        return;
    list_add(e, row, s, &t->delegates, DELEGATES_MAX);
    if (t->delegates.n > n)
        t->delegate_ids[n] = id;
}

_Static_assert(sizeof(unsigned) == sizeof(uint32_t), "small limits are stored as a uint32_t");

void
set_limit(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    uint64_t v;

    if (value_number(e, s->at, row->name, s->value, &row->range, &v)) {
        uint32_t small = (uint32_t)v; /* its range says so */

        memcpy((uint8_t *)target + row->offset, &small, sizeof(small));
    }
}

void
set_big_limit(struct errors *e, const struct setting_row *row, const struct setting *s,
              void *target)
{
    uint64_t v;

    if (value_number(e, s->at, row->name, s->value, &row->range, &v))
        memcpy((uint8_t *)target + row->offset, &v, sizeof(v));
}
