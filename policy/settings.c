/*
 * The settings there are, one row each. A setting of the design that this
 * version lacks has a row too, so that it is refused as such.
 *
 * Runs in: broker.   Trusts: nothing in the text.
 * Owns: nothing.
 */
#include "policy/settings.h"

#include <stdlib.h>

#include "ipc/limits.h"
#include "ipc/share.h"

#define CONNECTIONS_MAX 65536u
#define FIDS_MAX 1048576u
#define NODES_MAX 16777216u
#define OPEN_FILES_MAX 1048576u
#define MEMORY_MIN (8u << 20) /* the processes of a tenant with one share, at rest */
#define MEMORY_MAX (16ull << 40)
#define PROCESSES_MAX 65536u
#define RATE_MIN 4096u /* less than a page a second is a fault, not a rate */
#define RATE_MAX (1ull << 40)
#define METADATA_RATE_MAX 100000000u

bool
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

void
list_add(struct errors *e, const struct setting_row *row, const struct setting *s,
         struct plan_list *list, size_t max)
{
    char **more;

    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->at[i], s->value) == 0) {
            errors_add(e, s->at, "%s has %s twice, expected it once", row->name, Q(s->value));
            return;
        }
    }
    if (list->n == max) {
        errors_add(e, s->at, "%s has one too many, expected at most %zu", row->name, max);
        return;
    }
    more = errors_grow(e, list->at, list->n, sizeof(*more));
    if (more == NULL)
        return;
    list->at = more;
    more[list->n] = errors_strdup(e, s->value);
    if (more[list->n] != NULL)
        list->n++;
}

#define LIMIT(field) 0, 0, offsetof(struct plan_limits, field)
#define AS(model) (1u << IDENTITY_##model)
/* Of a share, access and identity come first: what others mean hangs on them. */
const struct setting_row setting_rows[] = {
    {IN_CONTROL, "group", set_control_group, get_control_group, 0, 0, 0, {0}},

    {IN_LISTEN, "protocol", set_protocol, get_protocol, 0, 0, 0, {0}},
    {IN_LISTEN, "group", set_group, get_group, 0, 0, 0, {0}},
    {IN_LISTEN, "allow-remote", set_allow_remote, get_allow_remote, 0, 0, 0, {0}},
    {IN_LISTEN, "tag", NULL, NULL, 0, 0, 0, {0}},

    {IN_SHARE, "path", set_path, get_path, SETTING_OWN, 0, 0, {0}},
    {IN_SHARE, "access", set_access, get_access, 0, 0, 0, {0}},
    {IN_SHARE, "identity", set_identity, get_identity, 0, 0, 0, {0}},
    {IN_SHARE, "ids", set_id_range, get_id_range, 0, AS(MAP), 0, {0}},
    {IN_SHARE, "groups", set_groups, get_groups, SETTING_LIST, AS(MAP) | AS(HOST), 0, {0}},
    {IN_SHARE, "owner", set_owner, get_owner, 0, AS(SQUASH) | AS(STORED), 0, {0}},
    {IN_SHARE, "present-as", set_present, get_present, 0, AS(SQUASH) | AS(STORED), 0, {0}},
    {IN_SHARE, "set-id", set_set_id, get_set_id, 0, 0, 0, {0}},
    {IN_SHARE, "devices", set_devices, get_devices, 0, AS(HOST), 0, {0}},
    {IN_SHARE, "xattrs", set_xattrs, get_xattrs, SETTING_LIST, 0, 0, {0}},
    {IN_SHARE, "submounts", set_submounts, get_submounts, 0, 0, 0, {0}},
    {IN_SHARE, "protect", set_protect, get_protect, SETTING_LIST | SETTING_WRITABLE, 0, 0, {0}},
    {IN_SHARE, "hide", set_hide, get_hide, SETTING_LIST, 0, 0, {0}},
    {IN_SHARE, "only", set_only, get_only, SETTING_LIST, 0, 0, {0}},

    {IN_TENANT, "sandbox", set_sandbox, get_sandbox, 0, 0, 0, {0}},
    {IN_TENANT, "delegates", set_delegates, get_delegates, SETTING_LIST, 0, 0, {0}},
    {IN_TENANT, "workers", NULL, NULL, 0, 0, 0, {0}},

    {IN_LIMITS,
     "connections",
     set_limit,
     get_limit,
     LIMIT(connections),
     {1, CONNECTIONS_MAX, false}},
    {IN_LIMITS, "fids", set_limit, get_limit, LIMIT(fids), {1, FIDS_MAX, false}},
    {IN_LIMITS, "in-flight", set_limit, get_limit, LIMIT(in_flight), {1, IN_FLIGHT_MAX, false}},
    {IN_LIMITS, "nodes", set_limit, get_limit, LIMIT(nodes), {1, NODES_MAX, false}},
    {IN_LIMITS, "open-files", set_limit, get_limit, LIMIT(open_files), {1, OPEN_FILES_MAX, false}},
    {IN_LIMITS, "msize", set_limit, get_limit, LIMIT(msize), {MSIZE_MIN, MSIZE_MAX, true}},
    {IN_LIMITS,
     "memory",
     set_big_limit,
     get_big_limit,
     LIMIT(memory),
     {MEMORY_MIN, MEMORY_MAX, true}},
    {IN_LIMITS, "processes", set_limit, get_limit, LIMIT(processes), {1, PROCESSES_MAX, false}},
    {IN_LIMITS, "cpu-weight", set_limit, get_limit, LIMIT(cpu_weight), {1, 10000, false}},
    {IN_LIMITS,
     "read-rate",
     set_big_limit,
     get_big_limit,
     LIMIT(read_rate),
     {RATE_MIN, RATE_MAX, true}},
    {IN_LIMITS,
     "write-rate",
     set_big_limit,
     get_big_limit,
     LIMIT(write_rate),
     {RATE_MIN, RATE_MAX, true}},
    {IN_LIMITS,
     "metadata-rate",
     set_limit,
     get_limit,
     LIMIT(metadata_rate),
     {1, METADATA_RATE_MAX, false}},
};
const size_t nsetting_rows = sizeof(setting_rows) / sizeof(setting_rows[0]);

char *
setting_text(const struct setting_row *row, const void *source)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    bool ok;

    if (out == NULL)
        return NULL;
    if (row->get != NULL)
        (void)row->get(out, row, source);
    ok = ferror(out) == 0;
    if (fclose(out) != 0 || !ok) {
        free(text);
        return NULL;
    }
    return text;
}

static const char *const identity_name[] = {[IDENTITY_SQUASH] = "squash",
                                            [IDENTITY_MAP] = "map",
                                            [IDENTITY_STORED] = "stored",
                                            [IDENTITY_HOST] = "host"};

const char *
share_identity_name(enum share_identity id)
{
    return identity_name[id];
}

/* "map or host". */
static void
identities_named(unsigned identities, char *buf, size_t room)
{
    size_t at = 0;

    buf[0] = '\0';
    for (unsigned i = 0; i < sizeof(identity_name) / sizeof(identity_name[0]); i++) {
        if ((identities & (1u << i)) != 0)
            at += (size_t)snprintf(buf + at, room - at, "%s%s", at > 0 ? " or " : "",
                                   identity_name[i]);
    }
}

static bool
fits_identity(const struct setting_row *row, const struct plan_share *sh)
{
    return row->identities == 0 || (row->identities & (1u << sh->identity)) != 0;
}

static bool
fits_access(const struct setting_row *row, const struct plan_share *sh)
{
    return (row->flags & SETTING_WRITABLE) == 0 || sh->access == ACCESS_READ_WRITE;
}

bool
setting_fits(const struct setting_row *row, const struct plan_share *sh)
{
    return fits_identity(row, sh) && fits_access(row, sh);
}

static void
misfit(struct errors *e, const struct setting_row *row, const struct plan_share *sh,
       struct where at)
{
    char names[64];

    if (!fits_identity(row, sh)) {
        identities_named(row->identities, names, sizeof(names));
        errors_add(e, at, "%s with identity = %s, expected it with %s alone", row->name,
                   identity_name[sh->identity], names);
    }
    if (!fits_access(row, sh))
        errors_add(e, at, "%s with access = read-only, expected it with read-write alone",
                   row->name);
}

const struct setting *
setting_find(cfg_t *sec, cfg_t *defaults, const char *name)
{
    const struct setting *s = setting_get(sec, name);

    return s != NULL || defaults == NULL ? s : setting_get(defaults, name);
}

static bool
is_defaults_row(const struct setting_row *row)
{
    return (row->section == IN_SHARE || row->section == IN_TENANT) &&
           (row->flags & SETTING_OWN) == 0;
}

bool
setting_row_is_of(const struct setting_row *row, enum section section)
{
    return row->section == section || (section == IN_DEFAULTS && is_defaults_row(row));
}

static void
row_apply(struct errors *e, const struct setting_row *row, cfg_t *sec, void *target)
{
    for (unsigned k = 0; k < setting_count(sec, row->name); k++)
        row->set(e, row, setting_get_nth(sec, row->name, k), target);
}

void
settings_apply(struct errors *e, enum section section, cfg_t *sec, cfg_t *defaults, void *target)
{
    for (size_t i = 0; i < nsetting_rows; i++) {
        const struct setting_row *row = &setting_rows[i];
        const struct setting *own;

        if (row->section != section || row->set == NULL)
            continue;
        own = setting_get(sec, row->name);
        if (section == IN_SHARE && !setting_fits(row, target)) {
            if (own != NULL)
                misfit(e, row, target, own->at);
            continue;
        }
        if (own != NULL)
            row_apply(e, row, sec, target);
        else if (defaults != NULL && is_defaults_row(row))
            row_apply(e, row, defaults, target);
    }
}

cfg_t *
settings_defaults(struct errors *e, cfg_t *root)
{
    cfg_t *defaults = cfg_getsec(root, "defaults");
    struct plan_share sh = {0};
    struct plan_tenant t = {0};
    unsigned before = e->count;

    for (size_t i = 0; i < nsetting_rows; i++) {
        const struct setting_row *row = &setting_rows[i];

        if (row->set != NULL && is_defaults_row(row))
            row_apply(e, row, defaults, row->section == IN_SHARE ? (void *)&sh : (void *)&t);
    }
    plan_share_done(&sh);
    plan_tenant_done(&t);
    return e->count == before ? defaults : NULL;
}
