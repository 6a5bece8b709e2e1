/*
 * Ids that an ordinary user's posternd may give to guests (identity = map):
 * those that the system lends him. newuidmap(1) and newgidmap(1) decide; the
 * files are read only to tell a person why they refused.
 *
 * Runs in: broker.   Trusts: the two programs; /etc/subuid and /etc/subgid, for
 * words alone.
 * Owns: nothing; what was lent is in struct broker.
 */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker.h"
#include "ipc/fd.h"
#include "ipc/log.h"
#include "sandbox/spawn.h"

#define GRANTS_MAX 16 /* of one user, in one file; to be told of */
#define WORDS_ROOM 256

static const struct {
    const char *path, *option; /* of usermod(8) */
} files[SUBIDS_TOOLS] = {
    [SUBIDS_UIDS] = {"/etc/subuid", "--add-subuids"},
    [SUBIDS_GIDS] = {"/etc/subgid", "--add-subgids"},
};

#define refuse(r, plan, fmt, ...)                                                                  \
    broker_refuse(r, (plan)->file, (plan)->line,                                                   \
                  "share %s: identity = map with ids = \"%u+%u\": " fmt, (plan)->name,             \
                  (plan)->ids_first, (plan)->ids_count, __VA_ARGS__)

static bool
range_holds(const struct id_range *r, uint32_t id)
{
    return id >= r->first && id - r->first < r->count;
}

/* --- why not -------------------------------------------------------------------- */

struct grants {
    struct id_range at[GRANTS_MAX];
    size_t n;
};

static const char *
user_name(void)
{
    static char name[64];
    const struct passwd *p = getpwuid(geteuid());

    if (p != NULL)
        (void)snprintf(name, sizeof(name), "%s", p->pw_name);
    else
        (void)snprintf(name, sizeof(name), "%u", geteuid());
    return name;
}

/* "NAME:FIRST:COUNT", where a number may be the name. */
static bool
grant_parse(const char *line, struct id_range *ret)
{
    const char *user = user_name();
    size_t len = strcspn(line, ":");
    unsigned long first, count;
    char number[16], *end;

    (void)snprintf(number, sizeof(number), "%u", geteuid());
    if (line[len] != ':' || ((len != strlen(user) || strncmp(line, user, len) != 0) &&
                             (len != strlen(number) || strncmp(line, number, len) != 0)))
        return false;
    first = strtoul(line + len + 1, &end, 10);
    if (*end != ':')
        return false;
    count = strtoul(end + 1, &end, 10);
    if (first > UINT32_MAX || count > UINT32_MAX)
        return false;
    *ret = (struct id_range){(uint32_t)first, (uint32_t)count};
    return true;
}

static void
grants_read(enum subids_tool which, struct grants *ret)
{
    FILE *f = fopen(files[which].path, "re");
    char line[256];

    ret->n = 0;
    while (f != NULL && ret->n < GRANTS_MAX && fgets(line, sizeof(line), f) != NULL)
        if (grant_parse(line, &ret->at[ret->n]))
            ret->n++;
    if (f != NULL)
        (void)fclose(f);
}

/* All of them, one grant after the other. */
static bool
grants_cover(const struct grants *g, const struct id_range *want)
{
    uint64_t at = want->first, end = at + want->count;

    for (size_t i = 0; i < g->n && at < end; i++)
        if (at <= UINT32_MAX && range_holds(&g->at[i], (uint32_t)at)) {
            at = (uint64_t)g->at[i].first + g->at[i].count;
            i = (size_t)-1; /* from the first again */
        }
    return at >= end;
}

static const char *
ranges_text(const struct id_range *v, size_t n)
{
    static char text[WORDS_ROOM];
    size_t len = 0;

    (void)snprintf(text, sizeof(text), "no ids");
    for (size_t i = 0; i < n && len < sizeof(text); i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u+%u", i == 0 ? "" : ", ",
                                v[i].first, v[i].count);
    return text;
}

static int
tool_refused(const struct plan_share *p, const struct subids_report *rep)
{
    const struct id_range want = {p->ids_first, p->ids_count};
    const char *file = files[rep->tool].path, *tool = subids_path(rep->tool);
    struct grants g;

    grants_read(rep->tool, &g);
    if (!grants_cover(&g, &want))
        return refuse(-EPERM, p,
                      "%s grants %s %s: have an administrator run \"usermod %s %u-%u %s\", or run "
                      "posternd as root",
                      file, user_name(), ranges_text(g.at, g.n), files[rep->tool].option,
                      want.first, want.first + want.count - 1, user_name());
    if (!WIFEXITED(rep->status))
        return refuse(-EPERM, p, "%s was ended by signal %d", tool, WTERMSIG(rep->status));
    return refuse(-EPERM, p, "%s failed with exit status %d, although %s grants %s %s", tool,
                  WEXITSTATUS(rep->status), file, user_name(), ranges_text(g.at, g.n));
}

static int
lend_failed(int r, const struct plan_share *p, const struct subids_report *rep)
{
    if (r == -E2BIG)
        return refuse(r, p, "posternd has %d ranges already, as many as an ordinary user's may",
                      SUBIDS_RANGES_MAX);
    if (rep->status != 0)
        return tool_refused(p, rep);
    if (r == -ENOENT)
        return refuse(r, p,
                      "there is no %s, which lends an ordinary user its ids: install it (Debian's "
                      "package uidmap), or run posternd as root",
                      subids_path(rep->tool));
    return refuse(r, p, "run %s: %s", subids_path(rep->tool), strerror(-r));
}

/* --- what there is ---------------------------------------------------------------- */

/* With one more, those that touch each other made one: one map may not have an
 * id twice, and of its range a child's map has to lie in one piece. */
static size_t
ranges_add(struct id_range *v, size_t n, struct id_range one)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t end = (uint64_t)one.first + one.count, e = (uint64_t)v[i].first + v[i].count;

        if (one.first > e || v[i].first > end)
            continue;
        one.first = one.first < v[i].first ? one.first : v[i].first;
        one.count = (uint32_t)((end > e ? end : e) - one.first);
        v[i] = v[--n];
        i = (size_t)-1; /* from the first again */
    }
    v[n] = one;
    return n + 1;
}

/* Ask whether the system would, in a namespace that nobody enters. */
static int
lend(struct broker *b, const struct plan_share *p)
{
    struct id_range with[SUBIDS_RANGES_MAX + 1];
    const struct id_range one = {p->ids_first, p->ids_count};
    _clean(clean_fd) int ns = -1;
    struct subids_report rep;
    size_t n;

    (void)memcpy(with, b->lent, sizeof(b->lent));
    n = ranges_add(with, b->nlent, one);
    if (range_holds(&one, geteuid()) || range_holds(&one, getegid()))
        return refuse(-EPERM, p, "%u is this user's own, which no guest may be: choose others",
                      range_holds(&one, geteuid()) ? geteuid() : getegid());
    ns = subids_userns(with, n, &rep);
    if (ns < 0)
        return lend_failed(ns, p, &rep);
    (void)memcpy(b->lent, with, sizeof(b->lent));
    b->nlent = n;
    return 0;
}

int
lent_check(struct broker *b, const struct plan_share *p)
{
    if (b->host_root < 0)
        return lend(b, p);
    for (size_t i = 0; i < b->nlent; i++)
        if (range_holds(&b->lent[i], p->ids_first) &&
            p->ids_count - 1 <= b->lent[i].count - 1 - (p->ids_first - b->lent[i].first))
            return 0;
    return refuse(-EPERM, p,
                  "an ordinary user's posternd can have no more ids than it asked for when it "
                  "started (%s): start it again with this share in its policy",
                  ranges_text(b->lent, b->nlent));
}

int
lent_enter(const struct broker *b)
{
    _clean(clean_fd) int ns = -1;
    struct subids_report rep;
    int r;

    if (b->nlent > 0) {
        ns = subids_userns(b->lent, b->nlent, &rep);
        if (ns < 0)
            return log_errno(ns, "%s", subids_path(rep.tool));
    }
    r = spawn_enter_userns(ns);
    return r < 0 ? log_errno(r, "enter a user namespace") : 0;
}
