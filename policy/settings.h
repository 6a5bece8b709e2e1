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

/* The setting means something in this share. */
bool setting_fits(const struct setting_row *row, const struct plan_share *sh);
/* A value as a policy would have it, "" where there is nothing to write; freed
 * by the caller; NULL: no memory. */
char *setting_text(const struct setting_row *row, const void *source);
/* An address in the one spelling of all that mean it; likewise. */
char *listen_text(const struct plan_listen *l);
/* As strcmp(3) of those; 0: the same address, also where its port is a new one each time. */
int listen_order(const struct plan_listen *a, const struct plan_listen *b);
void put_string(FILE *out, const char *s);

typedef bool setting_get_fn(FILE *out, const struct setting_row *row, const void *source);

/* get.c */
setting_get_fn get_control_group, get_protocol, get_group, get_allow_remote, get_path, get_access,
    get_identity, get_id_range, get_groups, get_owner, get_present, get_set_id, get_devices,
    get_xattrs, get_submounts, get_protect, get_hide, get_only, get_sandbox, get_delegates,
    get_limit, get_big_limit;

#endif
