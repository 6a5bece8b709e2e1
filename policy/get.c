/*
 * How settings are written again: the canonical spelling of each value, as
 * `postern policy print` shows it and as two plans are compared.
 *
 * Runs in: broker.   Trusts: the plan.
 * Owns: nothing beyond a call.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "policy/settings.h"

/* In quotes. The scanner let nothing into a plan that needs more. */
void
put_string(FILE *out, const char *s)
{
    fputc('"', out);
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', out);
        fputc(*s, out);
    }
    fputc('"', out);
}

static bool
put_word(FILE *out, const char *word)
{
    fputs(word, out);
    return true;
}

static bool
put_ids(FILE *out, bool has, uint32_t uid, uint32_t gid)
{
    if (has)
        fprintf(out, "\"%u:%u\"", uid, gid);
    return has;
}

static int
by_text(const void *a, const void *b)
{
    const char *const *sa = a, *const *sb = b;

    return strcmp(*sa, *sb);
}

static bool
put_list(FILE *out, const struct plan_list *l)
{
    const char **sorted = calloc(l->n, sizeof(*sorted));

    if (l->n > 0 && sorted != NULL) {
        for (size_t i = 0; i < l->n; i++)
            sorted[i] = l->at[i];
        qsort(sorted, l->n, sizeof(*sorted), by_text);
        for (size_t i = 0; i < l->n; i++) {
            fputs(i == 0 ? "{ " : ", ", out);
            put_string(out, sorted[i]);
        }
        fputs(" }", out);
    }
    free(sorted);
    return l->n > 0;
}

bool
get_control_group(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_control *c = source;

    (void)row;
    if (c->group != NULL)
        put_string(out, c->group);
    return c->group != NULL;
}

bool
get_protocol(FILE *out, const struct setting_row *row, const void *source)
{
    (void)row;
    (void)source; /* there is one */
    return put_word(out, "9p");
}

bool
get_group(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_listen *l = source;

    (void)row;
    if (l->group != NULL)
        put_string(out, l->group);
    return l->group != NULL;
}

bool
get_allow_remote(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_listen *l = source;

    (void)row;
    return (l->transport == TRANSPORT_TCP || l->transport == TRANSPORT_SYSTEMD) &&
           put_word(out, l->allow_remote ? "yes" : "no");
}

bool
get_path(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_share *sh = source;

    (void)row;
    put_string(out, sh->path);
    return true;
}

bool
get_access(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_share *sh = source;

    (void)row;
    return put_word(out, sh->access == ACCESS_READ_ONLY ? "read-only" : "read-write");
}

bool
get_identity(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_share *sh = source;

    (void)row;
    return put_word(out, share_identity_name(sh->identity));
}

bool
get_id_range(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_share *sh = source;

    (void)row;
    if (sh->has_ids)
        fprintf(out, "\"%u+%u\"", sh->ids_first, sh->ids_count);
    return sh->has_ids;
}

static int
by_uid(const void *a, const void *b)
{
    const struct plan_groups *ga = a, *gb = b;

    return (ga->uid > gb->uid) - (ga->uid < gb->uid);
}

static int
by_id(const void *a, const void *b)
{
    const uint32_t *ia = a, *ib = b;

    return (*ia > *ib) - (*ia < *ib);
}

static void
put_members(FILE *out, const struct plan_groups *g)
{
    uint32_t *gids = calloc(g->ngids, sizeof(*gids));

    if (gids == NULL)
        return;
    memcpy(gids, g->gids, g->ngids * sizeof(*gids));
    qsort(gids, g->ngids, sizeof(*gids), by_id);
    fprintf(out, "\"%u", g->uid);
    for (size_t i = 0; i < g->ngids; i++)
        fprintf(out, "%c%u", i == 0 ? ':' : ',', gids[i]);
    fputc('"', out);
    free(gids);
}

/* An empty list says something: nobody is in any group. */
bool
get_groups(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_share *sh = source;
    struct plan_groups *sorted = calloc(sh->ngroups + 1, sizeof(*sorted));

    (void)row;
    if (sh->has_groups && sorted != NULL) {
        for (size_t i = 0; i < sh->ngroups; i++)
            sorted[i] = sh->groups[i];
        qsort(sorted, sh->ngroups, sizeof(*sorted), by_uid);
        for (size_t i = 0; i < sh->ngroups; i++) {
            fputs(i == 0 ? "{ " : ", ", out);
            put_members(out, &sorted[i]);
        }
        fputs(sh->ngroups == 0 ? "{ }" : " }", out);
    }
    free(sorted);
    return sh->has_groups;
}

bool
get_owner(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_share *sh = source;

    (void)row;
    return put_ids(out, sh->has_owner, sh->owner_uid, sh->owner_gid);
}

bool
get_present(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_share *sh = source;

    (void)row;
    return put_ids(out, sh->has_present, sh->present_uid, sh->present_gid);
}

bool
get_set_id(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_share *sh = source;

    (void)row;
    return put_word(out, sh->allow_set_id ? "allow" : "refuse");
}

bool
get_devices(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_share *sh = source;

    (void)row;
    return put_word(out, sh->allow_devices ? "allow" : "refuse");
}

bool
get_xattrs(FILE *out, const struct setting_row *row, const void *source)
{
    static const struct {
        unsigned bit;
        const char *word;
    } words[] = {{XATTR_USER, "user"}, {XATTR_ACL, "acl"}, {XATTR_CAPABILITY, "capability"}};
    const struct plan_share *sh = source;
    const char *between = "{ ";

    (void)row;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if ((sh->xattrs & words[i].bit) == 0)
            continue;
        fprintf(out, "%s%s", between, words[i].word);
        between = ", ";
    }
    return put_word(out, sh->xattrs == 0 ? "{ }" : " }");
}

bool
get_submounts(FILE *out, const struct setting_row *row, const void *source)
{
    static const char *const words[] = {
        [SUBMOUNTS_REFUSE] = "refuse", [SUBMOUNTS_HIDE] = "hide", [SUBMOUNTS_CROSS] = "cross"};
    const struct plan_share *sh = source;

    (void)row;
    return put_word(out, words[sh->submounts]);
}

bool
get_protect(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_share *sh = source;

    (void)row;
    return put_list(out, &sh->protect);
}

bool
get_hide(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_share *sh = source;

    (void)row;
    return put_list(out, &sh->hide);
}

bool
get_only(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_share *sh = source;

    (void)row;
    return put_list(out, &sh->only);
}

bool
get_sandbox(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_tenant *t = source;

    (void)row;
    return put_word(out, t->best_effort ? "best-effort" : "full");
}

bool
get_delegates(FILE *out, const struct setting_row *row, const void *source)
{
    const struct plan_tenant *t = source;

    (void)row;
    return put_list(out, &t->delegates);
}

/* 0: there is no limit, and no way to write that. */
bool
get_limit(FILE *out, const struct setting_row *row, const void *source)
{
    uint32_t v;

    memcpy(&v, (const uint8_t *)source + row->offset, sizeof(v));
    if (v != 0)
        fprintf(out, "%" PRIu32, v);
    return v != 0;
}

bool
get_big_limit(FILE *out, const struct setting_row *row, const void *source)
{
    uint64_t v;

    memcpy(&v, (const uint8_t *)source + row->offset, sizeof(v));
    if (v != 0)
        fprintf(out, "%" PRIu64, v);
    return v != 0;
}
