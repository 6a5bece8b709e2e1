/*
 * What a policy may say and had better not: `postern check` warns of it. A
 * table of things that a setting alone shows, then those for which the
 * directories are looked at, then shares against each other.
 *
 * Runs in: broker, for check alone.   Trusts: the plan; what it finds on the
 * way to a share is told, not acted upon.
 * Owns: nothing beyond a call.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/verbs.h"
#include "ipc/fd.h"
#include "ipc/log.h"

/* What a share's path leads to; ino 0: nothing. */
struct tree {
    dev_t dev;
    ino_t ino;
};

/* One share under the lens. */
struct lint {
    const struct plan *plan;
    const struct plan_tenant *t;
    const struct plan_share *sh;
    struct tree *trees; /* owned; of all shares in the plan's order, up to this one */
    size_t at;          /* its place there */
    unsigned warnings;
};

__attribute__((format(printf, 4, 5))) static void
warn(struct lint *l, const char *setting, const char *value, const char *fmt, ...)
{
    const char *file;
    unsigned line;
    va_list ap;

    plan_where(l->plan, l->t, l->sh, setting, value, &file, &line);
    fprintf(stderr, "%s:%u: warning: ", file, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    l->warnings++;
}

/* --- a setting by itself --------------------------------------------------------- */

static bool
is_host(const struct plan_share *sh)
{
    return sh->identity == IDENTITY_HOST;
}

static bool
has_set_id(const struct plan_share *sh)
{
    return sh->allow_set_id;
}

static bool
has_devices(const struct plan_share *sh)
{
    return sh->allow_devices;
}

static bool
has_capability(const struct plan_share *sh)
{
    return (sh->xattrs & XATTR_CAPABILITY) != 0;
}

static bool
hides_in_writable(const struct plan_share *sh)
{
    return sh->hide.n > 0 && sh->access == ACCESS_READ_WRITE;
}

static const struct {
    bool (*is)(const struct plan_share *sh);
    const char *setting, *what;
} settings[] = {
    {is_host, "identity",
     "identity = host: guests are any user of this machine there, root too; map gives them ids of "
     "their own"},
    {has_set_id, "set-id",
     "set-id = allow: whoever runs a setuid file of this tree on this machine runs what a guest "
     "wrote"},
    {has_devices, "devices",
     "devices = allow: a device file that a guest makes opens a device of this machine for whoever "
     "can reach it here"},
    {has_capability, "xattrs",
     "xattrs has capability: a file's capabilities count on this machine too"},
    {hides_in_writable, "hide",
     "hide with access = read-write: renaming on this machine uncovers a file, and guests see that "
     "a name is taken"},
};

static void
lint_settings(struct lint *l)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (settings[i].is(l->sh))
            warn(l, settings[i].setting, NULL, "share %s: %s", l->sh->name, settings[i].what);
}

/* --- the directory --------------------------------------------------------------- */

static void
lint_owner(struct lint *l, const struct stat *st)
{
    const struct plan_share *sh = l->sh;
    bool root = sh->has_owner ? sh->owner_uid == 0 : st->st_uid == 0;

    if ((sh->identity == IDENTITY_SQUASH || sh->identity == IDENTITY_STORED) && root &&
        geteuid() == 0 && sh->access == ACCESS_READ_WRITE)
        warn(l, sh->has_owner ? "owner" : "path", NULL,
             "share %s: %s belongs to root, so what guests make there will too; owner = "
             "\"UID:GID\" changes that",
             sh->name, sh->path);
    if (sh->has_ids && (st->st_uid < sh->ids_first || st->st_uid - sh->ids_first >= sh->ids_count))
        warn(l, "ids", NULL,
             "share %s: %s belongs to uid %u, which is none of ids %u+%u: to guests it is nobody's",
             sh->name, sh->path, st->st_uid, sh->ids_first, sh->ids_count);
    if ((st->st_mode & S_IWOTH) != 0)
        warn(l, "path", NULL, "share %s: every user of this machine may write to %s (mode %04o)",
             sh->name, sh->path, st->st_mode & 07777);
}

static void
lint_protect(struct lint *l, int root)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

    for (size_t i = 0; i < l->sh->protect.n; i++) {
        const char *dir = l->sh->protect.at[i];
        _clean(clean_fd) int fd = (int)syscall(SYS_openat2, root, dir, &how, sizeof(how));

        if (fd < 0)
            warn(l, "protect", dir, "share %s: protect \"%s\": %s", l->sh->name, dir,
                 errno == ENOENT ? "there is no such directory" : strerror(errno));
    }
}

/* What keeps a share from being served is an error, and not told here. */
static void
lint_directory(struct lint *l)
{
    _clean(clean_fd) int root = open(l->sh->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (root < 0 || fstat(root, &st) < 0)
        return;
    lint_owner(l, &st);
    lint_protect(l, root);
}

/* --- shares against each other ----------------------------------------------------- */

/* Strictly. */
static bool
is_inside(const char *path, const char *dir)
{
    size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

    return strncmp(path, dir, n) == 0 && path[n] == '/' && path[n + 1] != '\0';
}

/* Once for each share: a thousand tenants' shares make millions of pairs. */
static void
lint_tree(struct lint *l)
{
    struct stat st;

    if (stat(l->sh->path, &st) == 0)
        l->trees[l->at] = (struct tree){st.st_dev, st.st_ino};
}

static bool
is_same_tree(const struct tree *a, const struct tree *b)
{
    return a->ino != 0 && a->ino == b->ino && a->dev == b->dev;
}

static const char *
access_word(const struct plan_share *sh)
{
    return sh->access == ACCESS_READ_ONLY ? "read-only" : "read-write";
}

/* l's share comes after the other, whose place is at, in the plan. */
static void
lint_pair(struct lint *l, const struct plan_tenant *ot, const struct plan_share *o, size_t at)
{
    const struct plan_share *sh = l->sh;
    const char *how = NULL;

    if (is_inside(sh->path, o->path))
        how = "lies inside";
    else if (is_inside(o->path, sh->path))
        how = "has inside it";
    else if (sh->access != o->access &&
             (strcmp(sh->path, o->path) == 0 || is_same_tree(&l->trees[l->at], &l->trees[at])))
        how = "is the same tree as";
    if (how == NULL)
        return;
    if (sh->access == o->access)
        warn(l, "path", NULL, "share %s: %s %s share %s of tenant %s (%s:%u)", sh->name, sh->path,
             how, o->name, ot->name, o->file, o->line);
    else
        warn(l, "path", NULL,
             "share %s: %s %s share %s of tenant %s (%s:%u), which is %s and this is %s: what one "
             "cannot change may change through the other",
             sh->name, sh->path, how, o->name, ot->name, o->file, o->line, access_word(o),
             access_word(sh));
}

static void
lint_pairs(struct lint *l)
{
    size_t at = 0;

    for (size_t i = 0; i < l->plan->ntenants; i++) {
        const struct plan_tenant *t = &l->plan->tenants[i];

        for (size_t j = 0; j < t->nshares; j++) {
            if (&t->shares[j] == l->sh)
                return;
            lint_pair(l, t, &t->shares[j], at++);
        }
    }
}

/* --- all of it ------------------------------------------------------------------------ */

static void
lint_tenant(struct lint *l)
{
    const struct plan_tenant *t = l->t;

    if (t->best_effort)
        warn(l, "sandbox", NULL,
             "tenant %s: sandbox = best-effort: on a kernel that lacks a part it serves without it",
             t->name);
    for (size_t i = 0; i < t->delegates.n; i++)
        warn(l, "delegates", t->delegates.at[i],
             "tenant %s: %s may show its guests directories of their own while it is served",
             t->name, t->delegates.at[i]);
    for (size_t i = 0; i < t->nlistens; i++) {
        const struct plan_listen *d = &t->listens[i];

        if (!d->allow_remote || (d->host != NULL && host_is_loopback(d->host)))
            continue;
        fprintf(stderr, "%s:%u: warning: ", d->file, d->line);
        fprintf(stderr, DOOR_REMOTE_WARNING "\n", d->address);
        l->warnings++;
    }
}

static size_t
count_shares(const struct plan *plan)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->ntenants; i++)
        n += plan->tenants[i].nshares;
    return n;
}

static void
lint_share(struct lint *l)
{
    lint_settings(l);
    lint_directory(l);
    lint_tree(l);
    lint_pairs(l);
    l->at++;
}

unsigned
lint(const struct plan *plan)
{
    struct lint l = {.plan = plan, .trees = calloc(count_shares(plan) + 1, sizeof(struct tree))};

    if (l.trees == NULL) {
        log_error("out of memory");
        return 1;
    }
    for (size_t i = 0; i < plan->ntenants; i++) {
        l.t = &plan->tenants[i];
        l.sh = NULL;
        lint_tenant(&l);
        for (size_t j = 0; j < l.t->nshares; j++) {
            l.sh = &l.t->shares[j];
            lint_share(&l);
        }
    }
    free(l.trees);
    return l.warnings;
}

int
verb_check(int argc, char **argv)
{
    bool strict = argc == 2 && strcmp(argv[0], "--strict") == 0;
    struct plan *plan = NULL;
    unsigned warnings;
    int r;

    if (argc != (strict ? 2 : 1) || argv[argc - 1][0] == '-')
        return VERB_USAGE;
    if (verb_plan_load(argv[argc - 1], &plan) < 0)
        return 1;
    warnings = lint(plan);
    r = broker_run(plan, true);
    return r == 0 && strict && warnings > 0 ? 1 : r;
}
