/*
 * From libconfuse's tree to the plan: every section in turn, then what
 * settings mean to each other.
 *
 * Runs in: broker.   Trusts: nothing in the text.
 * Owns: nothing; what it makes is the plan's at once.
 */
#include "ipc/limits.h"
#include "policy/parse.h"

#define BIT(transport) (1u << TRANSPORT_##transport)

/* Settings that mean something on some transports alone. */
static const struct {
    const char *name;
    unsigned with;
    const char *expected;
} fits[] = {
    {"group", BIT(UNIX), "unix"},
    {"allow-remote", BIT(TCP) | BIT(SYSTEMD), "tcp or systemd"},
};

static void
listen_check(struct errors *e, cfg_t *sec, const struct plan_listen *l)
{
    struct where at = {l->file, l->line};

    for (size_t i = 0; i < sizeof(fits) / sizeof(fits[0]); i++) {
        const struct setting *s = setting_get(sec, fits[i].name);

        if (s != NULL && (fits[i].with & (1u << l->transport)) == 0)
            errors_add(e, s->at, "%s on a %s address, expected it with %s alone", fits[i].name,
                       transport_name(l->transport), fits[i].expected);
    }
    if (l->transport == TRANSPORT_FD)
        errors_add(e, at,
                   "%s is for the command line of postern export alone, expected a socket of "
                   "systemd: systemd:NAME",
                   Q(l->address));
    if (address_is_remote(l) && !l->allow_remote)
        errors_add(e, at,
                   "%s can be reached from other machines, expected a loopback address or "
                   "allow-remote = yes",
                   Q(l->address));
}

static void
listen_build(struct errors *e, cfg_t *sec, struct plan_listen *l)
{
    struct where at = {NULL, 0};

    (void)section_where(sec, &at);
    l->file = at.file;
    l->line = at.line;
    settings_apply(e, IN_LISTEN, sec, NULL, l);
    if (value_address(e, at, cfg_title(sec), l))
        listen_check(e, sec, l);
}

/* Settings that need each other, or must not meet. */
static void
share_check(struct errors *e, cfg_t *sec, cfg_t *defaults, struct where at,
            const struct plan_share *sh)
{
    const struct setting *only = setting_find(sec, defaults, "only");

    if (setting_get(sec, "path") == NULL)
        errors_add(e, at, "share %s has no path, expected path = \"/DIRECTORY\"", Q(sh->name));
    if (setting_find(sec, defaults, "access") == NULL)
        errors_add(e, at, "share %s has no access, expected access = read-only or read-write",
                   Q(sh->name));
    if (sh->identity == IDENTITY_MAP && setting_find(sec, defaults, "ids") == NULL)
        errors_add(e, at, "share %s has identity = map and no ids, expected ids = \"FIRST+COUNT\"",
                   Q(sh->name));
    if (sh->only.n > 0 && sh->hide.n > 0)
        errors_add(e, only->at, "only and hide in share %s, expected one of them", Q(sh->name));
}

/* A guest's ids beyond its range do not exist. */
static void
groups_check(struct errors *e, struct where at, const struct plan_share *sh)
{
    if (sh->identity != IDENTITY_MAP || !sh->has_ids)
        return;
    for (size_t i = 0; i < sh->ngroups; i++) {
        const struct plan_groups *g = &sh->groups[i];
        uint32_t most = g->uid;

        for (size_t k = 0; k < g->ngids; k++)
            most = g->gids[k] > most ? g->gids[k] : most;
        if (most >= sh->ids_count)
            errors_add(e, at, "groups has id %u, expected ids of the guest below %u, as ids has",
                       most, sh->ids_count);
    }
}

void
share_build(struct errors *e, cfg_t *sec, cfg_t *defaults, const char *name, struct where at,
            struct plan_share *sh)
{
    const struct setting *groups = setting_find(sec, defaults, "groups");

    sh->file = at.file;
    sh->line = at.line;
    sh->name = errors_strdup(e, name);
    if (sh->name == NULL)
        return;
    if (value_name(e, at, "share", name) && is_share_id(name))
        errors_add(e, at, "share name %s has 32 hex digits like a share's id, expected another",
                   Q(name));
    sh->xattrs = XATTR_USER;
    settings_apply(e, IN_SHARE, sec, defaults, sh);
    share_check(e, sec, defaults, at, sh);
    if (groups != NULL)
        groups_check(e, groups->at, sh);
}

/* One more of these than a tenant can have is a mistake; none too. */
static void
count_check(struct errors *e, struct where at, const char *tenant, const char *what, size_t n,
            size_t max)
{
    if (n == 0)
        errors_add(e, at, "tenant %s has no %s, expected at least one", Q(tenant), what);
    if (n > max)
        errors_add(e, at, "tenant %s has %zu times %s, expected at most %zu", Q(tenant), n, what,
                   max);
}

static void
shares_build(struct errors *e, cfg_t *sec, cfg_t *defaults, struct plan_tenant *t, size_t n)
{
    for (; t->nshares < n; t->nshares++) {
        struct plan_share *sh = errors_grow(e, t->shares, t->nshares, sizeof(*sh));
        cfg_t *one = cfg_getnsec(sec, "share", (unsigned)t->nshares);
        struct where at = {NULL, 0};

        if (sh == NULL)
            return;
        t->shares = sh;
        (void)section_where(one, &at);
        share_build(e, one, defaults, cfg_title(one), at, &sh[t->nshares]);
    }
}

static void
tenant_build(struct errors *e, cfg_t *sec, cfg_t *defaults, struct plan_tenant *t)
{
    struct where at = {NULL, 0};
    const char *name = cfg_title(sec);
    size_t nlistens = cfg_size(sec, "listen"), nshares = cfg_size(sec, "share");

    (void)section_where(sec, &at);
    t->file = at.file;
    t->line = at.line;
    if (value_name(e, at, "tenant", name))
        t->name = errors_strdup(e, name);
    settings_apply(e, IN_TENANT, sec, defaults, t);
    settings_apply(e, IN_LIMITS, cfg_getsec(sec, "limits"), NULL, &t->limits);
    count_check(e, at, name, "listen", nlistens, LISTENERS_PER_TENANT_MAX);
    count_check(e, at, name, "share", nshares, SHARES_PER_TENANT_MAX);
    for (; t->nlistens < nlistens; t->nlistens++) {
        struct plan_listen *l = errors_grow(e, t->listens, t->nlistens, sizeof(*l));

        if (l == NULL)
            return;
        t->listens = l;
        listen_build(e, cfg_getnsec(sec, "listen", (unsigned)t->nlistens), &l[t->nlistens]);
    }
    shares_build(e, sec, defaults, t, nshares);
}

static void
address_check(struct errors *e, const struct plan_listen *l, const struct plan_tenant *t,
              const struct plan_listen *until)
{
    for (size_t i = 0; i < t->nlistens && &t->listens[i] != until; i++) {
        const struct plan_listen *other = &t->listens[i];

        if (other->address != NULL && address_same(l, other))
            errors_add(e, (struct where){l->file, l->line},
                       "address %s is taken by tenant %s at %s:%u, expected another", Q(l->address),
                       Q(t->name != NULL ? t->name : ""), other->file, other->line);
    }
}

/* Each address against all before it. */
static void
addresses_check(struct errors *e, const struct plan *p)
{
    for (size_t i = 0; i < p->ntenants; i++) {
        for (size_t j = 0; j < p->tenants[i].nlistens; j++) {
            const struct plan_listen *l = &p->tenants[i].listens[j];

            for (size_t k = 0; l->address != NULL && k <= i; k++)
                address_check(e, l, &p->tenants[k], l);
        }
    }
}

bool
plan_ids_overlap(const struct plan_share *a, const struct plan_share *b)
{
    const struct plan_share *low = a->ids_first <= b->ids_first ? a : b;
    const struct plan_share *high = low == a ? b : a;

    return a->identity == IDENTITY_MAP && b->identity == IDENTITY_MAP && a->has_ids && b->has_ids &&
           high->ids_first - low->ids_first < low->ids_count;
}

void
ids_check(struct errors *e, const struct plan_share *sh, const char *tenant,
          const struct plan_tenant *others, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < others[i].nshares; j++) {
            const struct plan_share *o = &others[i].shares[j];

            if (others[i].name == NULL || strcmp(others[i].name, tenant) == 0 ||
                !plan_ids_overlap(sh, o))
                continue;
            errors_add(e, (struct where){sh->file, sh->line},
                       "ids %u+%u overlap %u+%u of tenant %s at %s:%u, expected ranges apart",
                       sh->ids_first, sh->ids_count, o->ids_first, o->ids_count, Q(others[i].name),
                       o->file, o->line);
        }
    }
}

/* Each share against all tenants before its own. */
static void
all_ids_check(struct errors *e, const struct plan *p)
{
    for (size_t i = 0; i < p->ntenants; i++) {
        const struct plan_tenant *t = &p->tenants[i];

        for (size_t j = 0; t->name != NULL && j < t->nshares; j++)
            ids_check(e, &t->shares[j], t->name, p->tenants, i);
    }
}

/* No address of a tenant is there too. */
static void
control_check(struct errors *e, const struct plan *p)
{
    for (size_t i = 0; i < p->ntenants; i++) {
        for (size_t j = 0; j < p->tenants[i].nlistens; j++) {
            const struct plan_listen *l = &p->tenants[i].listens[j];

            if (l->path != NULL && strcmp(l->path, p->control.path) == 0)
                errors_add(e, (struct where){l->file, l->line},
                           "address %s is taken by control at %s:%u, expected another",
                           Q(l->address), p->control.file, p->control.line);
        }
    }
}

static void
control_build(struct errors *e, cfg_t *sec, struct plan_control *c)
{
    struct plan_listen l = {0};
    struct where at = {NULL, 0};

    (void)section_where(sec, &at);
    if (c->file != NULL) {
        errors_add(e, at, "control is here again, expected it once");
        return;
    }
    c->file = at.file;
    c->line = at.line;
    settings_apply(e, IN_CONTROL, sec, NULL, c);
    if (!value_address(e, at, cfg_title(sec), &l))
        return;
    if (l.transport == TRANSPORT_UNIX)
        c->path = errors_strdup(e, l.path);
    else
        errors_add(e, at, "control on a %s address, expected it with unix alone",
                   transport_name(l.transport));
    address_done(&l);
}

static void
tenants_build(struct errors *e, cfg_t *root, cfg_t *defaults, struct plan *plan)
{
    struct plan_limits limits = plan_default_limits();
    size_t n = cfg_size(root, "tenant");

    settings_apply(e, IN_LIMITS, cfg_getsec(cfg_getsec(root, "defaults"), "limits"), NULL, &limits);
    if (n == 0)
        errors_add(e, (struct where){plan->files[0], 1},
                   "no tenant, expected at least one tenant \"NAME\" { ... }");
    for (; plan->ntenants < n; plan->ntenants++) {
        struct plan_tenant *t = errors_grow(e, plan->tenants, plan->ntenants, sizeof(*t));

        if (t == NULL)
            return;
        plan->tenants = t;
        t[plan->ntenants].limits = limits;
        tenant_build(e, cfg_getnsec(root, "tenant", (unsigned)plan->ntenants), defaults,
                     &t[plan->ntenants]);
    }
}

void
policy_build(struct errors *e, cfg_t *root, struct plan *plan)
{
    for (unsigned i = 0; i < cfg_size(root, "control"); i++)
        control_build(e, cfg_getnsec(root, "control", i), &plan->control);
    tenants_build(e, root, settings_defaults(e, root), plan);
    addresses_check(e, plan);
    all_ids_check(e, plan);
    if (plan->control.path != NULL)
        control_check(e, plan);
}
