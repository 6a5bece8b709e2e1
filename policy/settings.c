/*
 * The settings there are, one row each. A setting of the design that this
 * version lacks has a row too, so that it is refused as such.
 *
 * Runs in: broker.   Trusts: nothing in the text.
 * Owns: nothing.
 */
#include "ipc/limits.h"
#include "ipc/share.h"
#include "policy/parse.h"

#define CONNECTIONS_MAX 65536u
#define FIDS_MAX 1048576u
#define NODES_MAX 16777216u
#define OPEN_FILES_MAX 1048576u

struct choice {
    const char *word;
    int value;
};
#define LATER (-1) /* a word of the design that this version lacks */

/* words: how to name the choices to a person. */
static bool
choose(struct errors *e, const struct setting_row *row, const struct setting *s,
       const struct choice *choices, const char *words, int *ret)
{
    for (; choices->word != NULL; choices++) {
        if (strcmp(choices->word, s->value) == 0)
            break;
    }
    if (choices->word == NULL) {
        errors_add(e, s->at, "%s = %s, expected %s", row->name, Q(s->value), words);
        return false;
    }
    if (choices->value == LATER) {
        errors_add(e, s->at, "%s = %s is not available in this version, expected %s", row->name,
                   Q(s->value), words);
        return false;
    }
    *ret = choices->value;
    return true;
}

static void
set_protocol(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    static const struct choice choices[] = {{"9p", 0}, {"virtio-fs", LATER}, {NULL, 0}};
    int only;

    (void)target; /* there is one */
    (void)choose(e, row, s, choices, "9p", &only);
}

static void
set_group(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_listen *l = target;

    (void)row;
    if (value_group(e, s->at, s->value))
        l->group = errors_strdup(e, s->value);
}

static void
set_allow_remote(struct errors *e, const struct setting_row *row, const struct setting *s,
                 void *target)
{
    static const struct choice choices[] = {{"no", false}, {"yes", true}, {NULL, 0}};
    struct plan_listen *l = target;
    int v;

    if (choose(e, row, s, choices, "yes or no", &v))
        l->allow_remote = v != 0;
}

static void
set_path(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_share *sh = target;

    if (value_path(e, s->at, row->name, s->value))
        sh->path = errors_strdup(e, s->value);
}

static void
set_access(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    static const struct choice choices[] = {
        {"read-only", ACCESS_READ_ONLY}, {"read-write", ACCESS_READ_WRITE}, {NULL, 0}};
    struct plan_share *sh = target;
    int v;

    if (choose(e, row, s, choices, "read-only or read-write", &v))
        sh->access = (enum plan_access)v;
}

static void
set_identity(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    static const struct choice choices[] = {
        {"squash", 0}, {"map", LATER}, {"stored", LATER}, {"host", LATER}, {NULL, 0}};
    int only;

    (void)target; /* there is one */
    (void)choose(e, row, s, choices, "squash", &only);
}

static void
set_owner(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_share *sh = target;

    sh->has_owner = value_ids(e, s->at, row->name, s->value, &sh->owner_uid, &sh->owner_gid);
}

static void
set_present(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    struct plan_share *sh = target;

    sh->has_present = value_ids(e, s->at, row->name, s->value, &sh->present_uid, &sh->present_gid);
}

static void
set_set_id(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    static const struct choice choices[] = {{"refuse", false}, {"allow", true}, {NULL, 0}};
    struct plan_share *sh = target;
    int v;

    if (choose(e, row, s, choices, "allow or refuse", &v))
        sh->allow_set_id = v != 0;
}

/* One value of the list. */
static void
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

static void
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

static void
set_sandbox(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    static const struct choice choices[] = {{"full", false}, {"best-effort", true}, {NULL, 0}};
    struct plan_tenant *t = target;
    int v;

    if (choose(e, row, s, choices, "full or best-effort", &v))
        t->best_effort = v != 0;
}

_Static_assert(sizeof(unsigned) == sizeof(uint32_t), "every limit is stored as a uint32_t");

static void
set_limit(struct errors *e, const struct setting_row *row, const struct setting *s, void *target)
{
    uint32_t v;

    if (value_number(e, s->at, row->name, s->value, &row->range, &v))
        memcpy((uint8_t *)target + row->offset, &v, sizeof(v));
}

#define LIMIT(field) offsetof(struct plan_limits, field)
const struct setting_row setting_rows[] = {
    {IN_LISTEN, "protocol", set_protocol, 0, {0}},
    {IN_LISTEN, "group", set_group, 0, {0}},
    {IN_LISTEN, "allow-remote", set_allow_remote, 0, {0}},
    {IN_LISTEN, "tag", NULL, 0, {0}},

    {IN_SHARE, "path", set_path, 0, {0}},
    {IN_SHARE, "access", set_access, 0, {0}},
    {IN_SHARE, "identity", set_identity, 0, {0}},
    {IN_SHARE, "owner", set_owner, 0, {0}},
    {IN_SHARE, "present-as", set_present, 0, {0}},
    {IN_SHARE, "set-id", set_set_id, 0, {0}},
    {IN_SHARE, "xattrs", set_xattrs, SETTING_LIST, {0}},
    {IN_SHARE, "submounts", set_submounts, 0, {0}},
    {IN_SHARE, "ids", NULL, 0, {0}},
    {IN_SHARE, "protect", NULL, 0, {0}},
    {IN_SHARE, "hide", NULL, 0, {0}},
    {IN_SHARE, "only", NULL, 0, {0}},

    {IN_TENANT, "sandbox", set_sandbox, 0, {0}},
    {IN_TENANT, "workers", NULL, 0, {0}},

    {IN_LIMITS, "connections", set_limit, LIMIT(connections), {1, CONNECTIONS_MAX, false}},
    {IN_LIMITS, "fids", set_limit, LIMIT(fids), {1, FIDS_MAX, false}},
    {IN_LIMITS, "in-flight", set_limit, LIMIT(in_flight), {1, IN_FLIGHT_MAX, false}},
    {IN_LIMITS, "nodes", set_limit, LIMIT(nodes), {1, NODES_MAX, false}},
    {IN_LIMITS, "open-files", set_limit, LIMIT(open_files), {1, OPEN_FILES_MAX, false}},
    {IN_LIMITS, "msize", set_limit, LIMIT(msize), {MSIZE_MIN, MSIZE_MAX, true}},
    {IN_LIMITS, "memory", NULL, 0, {0}},
    {IN_LIMITS, "read-rate", NULL, 0, {0}},
    {IN_LIMITS, "metadata-rate", NULL, 0, {0}},
};
const size_t nsetting_rows = sizeof(setting_rows) / sizeof(setting_rows[0]);

void
settings_apply(struct errors *e, enum section section, cfg_t *sec, void *target)
{
    for (size_t i = 0; i < nsetting_rows; i++) {
        const struct setting_row *row = &setting_rows[i];

        if (row->section != section || row->set == NULL)
            continue;
        for (unsigned k = 0; k < setting_count(sec, row->name); k++)
            row->set(e, row, setting_get_nth(sec, row->name, k), target);
    }
}
