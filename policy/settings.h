/*
 * Private to policy/: what the rows of settings.c call. Each puts one value
 * into target, the plan's struct of its section, or notes a mistake.
 */
#ifndef POSTERN_POLICY_SETTINGS_H
#define POSTERN_POLICY_SETTINGS_H

#include "policy/parse.h"

struct choice {
    const char *word;
    int value;
};
#define LATER (-1) /* a word of the design that this version lacks */

/* words: how to name the choices to a person. */
bool choose(struct errors *e, const struct setting_row *row, const struct setting *s,
            const struct choice *choices, const char *words, int *ret);

/* A word more for a list that has each once and at most max. */
void list_add(struct errors *e, const struct setting_row *row, const struct setting *s,
              struct plan_list *list, size_t max);

typedef void setting_set_fn(struct errors *e, const struct setting_row *row,
                            const struct setting *s, void *target);

/* set_tenant.c: listen, control, tenant, limits */
setting_set_fn set_protocol, set_group, set_allow_remote, set_control_group, set_sandbox,
    set_delegates, set_limit, set_big_limit;
/* set_share.c */
setting_set_fn set_path, set_access, set_identity, set_id_range, set_groups, set_owner, set_present,
    set_set_id, set_devices, set_xattrs, set_submounts, set_protect, set_hide, set_only;

#endif
