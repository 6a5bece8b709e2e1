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
    settings_apply(e, IN_LISTEN, sec, l);
    if (value_address(e, at, cfg_title(sec), l))
        listen_check(e, sec, l);
}

static void
share_build(struct errors *e, cfg_t *sec, struct plan_share *sh)
{
    struct where at = {NULL, 0};
    const char *name = cfg_title(sec);

    (void)section_where(sec, &at);
    sh->file = at.file;
    sh->line = at.line;
    if (value_name(e, at, "share", name))
        sh->name = errors_strdup(e, name);
    sh->xattrs = XATTR_USER;
    settings_apply(e, IN_SHARE, sec, sh);
    if (setting_get(sec, "path") == NULL)
        errors_add(e, at, "share %s has no path, expected path = \"/DIRECTORY\"", Q(name));
    if (setting_get(sec, "access") == NULL)
        errors_add(e, at, "share %s has no access, expected access = read-only or read-write",
                   Q(name));
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
tenant_build(struct errors *e, cfg_t *sec, struct plan_tenant *t)
{
    struct where at = {NULL, 0};
    const char *name = cfg_title(sec);
    size_t nlistens = cfg_size(sec, "listen"), nshares = cfg_size(sec, "share");

    (void)section_where(sec, &at);
    t->file = at.file;
    t->line = at.line;
    if (value_name(e, at, "tenant", name))
        t->name = errors_strdup(e, name);
    settings_apply(e, IN_TENANT, sec, t);
    settings_apply(e, IN_LIMITS, cfg_getsec(sec, "limits"), &t->limits);
    count_check(e, at, name, "listen", nlistens, LISTENERS_PER_TENANT_MAX);
    count_check(e, at, name, "share", nshares, SHARES_PER_TENANT_MAX);
    for (; t->nlistens < nlistens; t->nlistens++) {
        struct plan_listen *l = errors_grow(e, t->listens, t->nlistens, sizeof(*l));

        if (l == NULL)
            return;
        t->listens = l;
        listen_build(e, cfg_getnsec(sec, "listen", (unsigned)t->nlistens), &l[t->nlistens]);
    }
    for (; t->nshares < nshares; t->nshares++) {
        struct plan_share *sh = errors_grow(e, t->shares, t->nshares, sizeof(*sh));

        if (sh == NULL)
            return;
        t->shares = sh;
        share_build(e, cfg_getnsec(sec, "share", (unsigned)t->nshares), &sh[t->nshares]);
    }
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

void
policy_build(struct errors *e, cfg_t *root, struct plan *plan)
{
    size_t n = cfg_size(root, "tenant");
    struct plan_limits defaults = plan_default_limits();

    settings_apply(e, IN_LIMITS, cfg_getsec(cfg_getsec(root, "defaults"), "limits"), &defaults);
    if (n == 0)
        errors_add(e, (struct where){plan->files[0], 1},
                   "no tenant, expected at least one tenant \"NAME\" { ... }");
    for (; plan->ntenants < n; plan->ntenants++) {
        struct plan_tenant *t = errors_grow(e, plan->tenants, plan->ntenants, sizeof(*t));

        if (t == NULL)
            return;
        plan->tenants = t;
        t[plan->ntenants].limits = defaults;
        tenant_build(e, cfg_getnsec(root, "tenant", (unsigned)plan->ntenants), &t[plan->ntenants]);
    }
    addresses_check(e, plan);
}
