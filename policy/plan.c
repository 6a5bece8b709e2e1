/*
 * The plan itself: loaded from a policy, or made by hand from a directory
 * and an address.
 *
 * Runs in: broker.   Trusts: the caller's arguments no more than a policy.
 * Owns: every string and array of a plan, until plan_free().
 */
#include "policy/plan.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/limits.h"
#include "policy/parse.h"

#define SHARE_NAME_BUF 65 /* twin: value.c, NAME_MAX_BYTES */

struct plan_limits
plan_default_limits(void)
{
    return (struct plan_limits){
        .connections = CONNECTIONS_DEFAULT,
        .fids = FIDS_DEFAULT,
        .in_flight = IN_FLIGHT_DEFAULT,
        .nodes = NODES_DEFAULT,
        .open_files = OPEN_FILES_DEFAULT,
        .msize = MSIZE_DEFAULT_LIMIT,
    };
}

void
list_done(struct plan_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->at[i]);
    free(l->at);
    *l = (struct plan_list){0};
}

void
plan_share_done(struct plan_share *sh)
{
    for (size_t i = 0; i < sh->ngroups; i++)
        free(sh->groups[i].gids);
    free(sh->groups);
    list_done(&sh->protect);
    list_done(&sh->hide);
    list_done(&sh->only);
    free(sh->name);
    free(sh->path);
}

void
plan_share_free(struct plan_share *sh)
{
    if (sh == NULL)
        return;
    plan_share_done(sh);
    free(sh);
}

void
plan_tenant_done(struct plan_tenant *t)
{
    for (size_t i = 0; i < t->nlistens; i++)
        address_done(&t->listens[i]);
    for (size_t i = 0; i < t->nshares; i++)
        plan_share_done(&t->shares[i]);
    list_done(&t->delegates);
    free(t->listens);
    free(t->shares);
    free(t->name);
}

void
plan_free(struct plan *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->ntenants; i++)
        plan_tenant_done(&p->tenants[i]);
    for (size_t i = 0; i < p->nfiles; i++)
        free(p->files[i]);
    free(p->tenants);
    free(p->files);
    free(p->control.path);
    free(p->control.group);
    (void)cfg_free(p->settings);
    free(p);
}

void
plan_settle(struct plan *p)
{
    /* from the last: libconfuse moves up what follows */
    for (unsigned n = p->settings != NULL ? cfg_size(p->settings, "tenant") : 0; n > 0; n--)
        (void)cfg_rmnsec(p->settings, "tenant", n - 1);
    (void)malloc_trim(0);
}

static int
load_text(struct errors *e, const char *name, const char *text, size_t n, bool may_include,
          struct plan **ret)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct policy_parse p = {.errors = e, .plan = plan, .may_include = may_include};

    if (plan == NULL)
        return -ENOMEM;
    plan->settings = policy_parse(&p, name, text, n);
    if (plan->settings != NULL)
        policy_build(e, plan->settings, plan);
    if (plan->settings == NULL || !errors_none(e)) {
        plan_free(plan);
        return p.status < 0 ? p.status : -EINVAL;
    }
    *ret = plan;
    return 0;
}

int
plan_load(const char *path, struct plan **ret, char **ret_error)
{
    _clean(clean_free) char *text = NULL;
    struct errors e = {0};
    size_t n;
    int r;

    r = source_read(&e, (struct where){path, 1}, path, &text, &n);
    if (r == 0)
        r = load_text(&e, path, text, n, true, ret);
    return errors_end(&e, r, ret_error);
}

int
policy_parse_text(const char *name, const char *text, size_t n, struct plan **ret, char **ret_error)
{
    struct errors e = {0};

    return errors_end(&e, load_text(&e, name, text, n, false, ret), ret_error);
}

static int
parse_share(struct errors *e, const struct plan *plan, const struct plan_tenant *t,
            const char *name, const char *settings, size_t n, struct plan_share *sh)
{
    static const char file[] = "control"; /* no file has this name without a directory */
    cfg_t *defaults = plan->settings != NULL ? cfg_getsec(plan->settings, "defaults") : NULL;
    struct plan scratch = {0};
    struct policy_parse p = {.errors = e, .plan = &scratch};
    cfg_t *sec = policy_parse_share(&p, file, settings, n);

    if (sec != NULL) {
        share_build(e, sec, defaults, name, (struct where){file, 1}, sh);
        ids_check(e, sh, t->name, plan->tenants, plan->ntenants);
        (void)cfg_free(sec);
    }
    free(scratch.files != NULL ? scratch.files[0] : NULL);
    free(scratch.files);
    return sec != NULL && errors_none(e) ? 0 : -EINVAL;
}

int
plan_parse_share(const struct plan *plan, const struct plan_tenant *t, const char *name,
                 const char *settings, size_t n, struct plan_share **ret, char **ret_error)
{
    struct plan_share *sh = calloc(1, sizeof(*sh));
    struct errors e = {.no_memory = sh == NULL};
    int r = sh != NULL ? parse_share(&e, plan, t, name, settings, n, sh) : -ENOMEM;

    if (r < 0)
        plan_share_free(sh);
    else
        *ret = sh;
    return errors_end(&e, r, ret_error);
}

int
plan_new(const char *tenant, struct plan **ret)
{
    struct errors e = {0};
    struct plan *p;

    if (!value_name(&e, (struct where){0}, "tenant", tenant)) {
        free(e.text);
        return -EINVAL;
    }
    p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->tenants = calloc(1, sizeof(*p->tenants));
    if (p->tenants != NULL) {
        p->ntenants = 1;
        p->tenants[0].name = strdup(tenant);
        p->tenants[0].limits = plan_default_limits();
    }
    if (p->tenants == NULL || p->tenants[0].name == NULL) {
        plan_free(p);
        return -ENOMEM;
    }
    *ret = p;
    return 0;
}

/* Without empty, "." and ".." components; in place; s is absolute. ".." is
 * taken by the letter: no symlink is followed on the way to a share. */
static void
normalize(char *s)
{
    char *out = s, *p = s;

    while (*p != '\0') {
        size_t n = strcspn(++p, "/");

        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (out > s && *--out != '/') {
            }
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            *out++ = '/';
            memmove(out, p, n);
            out += n;
        }
        p += n;
    }
    if (out == s)
        *out++ = '/';
    *out = '\0';
}

/* n bytes of path, against the working directory; NULL: noted. */
static char *
absolute(struct errors *e, const char *path, size_t n)
{
    _clean(clean_free) char *cwd = NULL;
    char *ret;

    if (n > 0 && path[0] != '/') {
        cwd = getcwd(NULL, 0);
        if (cwd == NULL || cwd[0] != '/') { /* "(unreachable)..." */
            errors_add(e, (struct where){0},
                       "the working directory has no name, expected an absolute path");
            return NULL;
        }
    }
    if (asprintf(&ret, "%s/%.*s", cwd != NULL ? cwd : "", (int)n, path) < 0) {
        e->no_memory = true;
        return NULL;
    }
    normalize(ret);
    return ret;
}

static bool
name_is_taken(const struct plan_tenant *t, const char *name)
{
    for (size_t i = 0; i < t->nshares; i++) {
        if (strcmp(t->shares[i].name, name) == 0)
            return true;
    }
    return false;
}

/* A share's name from a path's last component, new to this tenant. */
static void
name_from_path(const struct plan_tenant *t, const char *path, char name[SHARE_NAME_BUF])
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *last = strrchr(path, '/') + 1;
    char base[SHARE_NAME_BUF], number[16] = "";

    (void)snprintf(base, sizeof(base), "%s", last[0] != '\0' ? last : "root");
    for (char *p = base; *p != '\0'; p++) {
        if (strchr(allowed, *p) == NULL || (p == base && (*p == '.' || *p == '-')))
            *p = '_';
    }
    for (unsigned i = 2;; i++) {
        int room = (int)(SHARE_NAME_BUF - 1 - strlen(number));

        (void)snprintf(name, SHARE_NAME_BUF, "%.*s%s", room, base, number);
        if (!name_is_taken(t, name) && !is_share_id(name))
            return;
        (void)snprintf(number, sizeof(number), "-%u", i);
    }
}

static int
add_share(struct errors *e, struct plan_tenant *t, const char *dir_and_access)
{
    static const char read_only[] = ":ro";
    size_t n = strlen(dir_and_access), tail = strlen(read_only);
    bool ro = n >= tail && strcmp(dir_and_access + n - tail, read_only) == 0;
    _clean(clean_free) char *path = NULL;
    char name[SHARE_NAME_BUF];
    struct plan_share *sh;

    if (ro)
        n -= tail;
    if (n == 0 || n >= PATH_MAX) {
        errors_add(e, (struct where){0}, "directory %s, expected DIR or DIR:ro", Q(dir_and_access));
        return -EINVAL;
    }
    path = absolute(e, dir_and_access, n);
    if (path == NULL || !value_path(e, (struct where){0}, "directory", path))
        return -EINVAL;
    if (t->nshares >= SHARES_PER_TENANT_MAX) {
        errors_add(e, (struct where){0}, "one directory too many, expected at most %d",
                   SHARES_PER_TENANT_MAX);
        return -EINVAL;
    }
    sh = errors_grow(e, t->shares, t->nshares, sizeof(*sh));
    if (sh == NULL)
        return -ENOMEM;
    t->shares = sh;
    sh += t->nshares;
    name_from_path(t, path, name);
    sh->name = errors_strdup(e, name);
    if (sh->name == NULL)
        return -ENOMEM;
    sh->path = take_ptr(&path);
    sh->access = ro ? ACCESS_READ_ONLY : ACCESS_READ_WRITE;
    sh->xattrs = XATTR_USER;
    t->nshares++;
    return 0;
}

int
plan_add_share(struct plan *p, const char *dir_and_access, char **ret_error)
{
    struct errors e = {0};

    return errors_end(&e, add_share(&e, &p->tenants[0], dir_and_access), ret_error);
}

/* "unix:x" is as good as "unix:./x" for a person at a prompt. */
static char *
absolute_socket(struct errors *e, const char *address)
{
    _clean(clean_free) char *path = NULL;
    const char *rest = address + strlen("unix:");
    char *ret;

    if (strncmp(address, "unix:", strlen("unix:")) != 0 || rest[0] == '\0' ||
        strlen(rest) >= PATH_MAX)
        return errors_strdup(e, address);
    path = absolute(e, rest, strlen(rest));
    if (path == NULL)
        return NULL;
    if (asprintf(&ret, "unix:%s", path) < 0) {
        e->no_memory = true;
        return NULL;
    }
    return ret;
}

static int
listen_is_possible(struct errors *e, const struct plan_tenant *t, const struct plan_listen *l)
{
    if (address_is_remote(l)) {
        errors_add(e, (struct where){0},
                   "%s can be reached from other machines, expected a loopback address, or a "
                   "policy file with allow-remote = yes",
                   Q(l->address));
        return -EINVAL;
    }
    for (size_t i = 0; i < t->nlistens; i++) {
        if (address_same(&t->listens[i], l)) {
            errors_add(e, (struct where){0}, "address %s is here twice, expected it once",
                       Q(l->address));
            return -EINVAL;
        }
    }
    return 0;
}

static int
add_listen(struct errors *e, struct plan_tenant *t, const char *given)
{
    _clean(clean_free) char *address = absolute_socket(e, given);
    struct plan_listen *l;
    int r;

    if (address == NULL)
        return -EINVAL;
    if (t->nlistens >= LISTENERS_PER_TENANT_MAX) {
        errors_add(e, (struct where){0}, "one address too many, expected at most %d",
                   LISTENERS_PER_TENANT_MAX);
        return -EINVAL;
    }
    l = errors_grow(e, t->listens, t->nlistens, sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    t->listens = l;
    l += t->nlistens;
    if (!value_address(e, (struct where){0}, address, l))
        return -EINVAL;
    r = listen_is_possible(e, t, l);
    if (r < 0) {
        address_done(l);
        return r;
    }
    t->nlistens++;
    return 0;
}

int
plan_add_listen(struct plan *p, const char *address, char **ret_error)
{
    struct errors e = {0};

    return errors_end(&e, add_listen(&e, &p->tenants[0], address), ret_error);
}
