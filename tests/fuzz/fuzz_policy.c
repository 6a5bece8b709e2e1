/*
 * Any bytes as a policy: refused with a text, or a plan that holds what
 * plan.h promises.
 *
 * Runs in: a libFuzzer program, or any main() that feeds it files.
 */
#include <stdlib.h>

#include "ipc/limits.h"
#include "policy/parse.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
list_holds(const struct plan_list *l, size_t max, bool one)
{
    MUST(l->n <= max);
    for (size_t i = 0; i < l->n; i++) {
        MUST(l->at[i][0] != '\0' && l->at[i][0] != '/' && strcmp(l->at[i], "..") != 0);
        MUST(strstr(l->at[i], "/../") == NULL && !(one && strchr(l->at[i], '/') != NULL));
    }
}

static void
share_holds(const struct plan_share *sh)
{
    MUST(sh->name != NULL && strchr(sh->name, '/') == NULL && sh->line > 0);
    MUST(sh->path != NULL && sh->path[0] == '/' && strstr(sh->path, "//") == NULL);
    MUST(strstr(sh->path, "/../") == NULL);
    MUST(sh->has_ids == (sh->identity == IDENTITY_MAP));
    MUST(!sh->has_ids || (sh->ids_first > 0 && sh->ids_count > 0));
    MUST(!sh->allow_devices || sh->identity == IDENTITY_HOST);
    list_holds(&sh->protect, PROTECT_MAX, false);
    list_holds(&sh->hide, HIDE_MAX, true);
    list_holds(&sh->only, ONLY_MAX, true);
    MUST(sh->protect.n == 0 || sh->access == ACCESS_READ_WRITE);
    MUST(sh->hide.n == 0 || sh->only.n == 0);
}

static void
tenant_holds(const struct plan_tenant *t)
{
    MUST(t->name != NULL && t->name[0] != '\0' && strlen(t->name) <= 64);
    MUST(t->nlistens >= 1 && t->nlistens <= LISTENERS_PER_TENANT_MAX);
    MUST(t->nshares >= 1 && t->nshares <= SHARES_PER_TENANT_MAX);
    MUST(t->limits.msize >= MSIZE_MIN && t->limits.msize <= MSIZE_MAX);
    MUST(t->limits.in_flight >= 1 && t->limits.in_flight <= IN_FLIGHT_MAX);
    for (size_t i = 0; i < t->nlistens; i++) {
        const struct plan_listen *l = &t->listens[i];

        MUST(l->address != NULL && l->line > 0);
        MUST((l->transport == TRANSPORT_UNIX) == (l->path != NULL));
        MUST((l->transport == TRANSPORT_TCP) == (l->host != NULL));
        MUST(l->path == NULL || (l->path[0] == '/' && strlen(l->path) <= 107));
        MUST(!address_is_remote(l) || l->allow_remote);
        MUST((l->transport == TRANSPORT_SYSTEMD) == (l->name != NULL));
        MUST(l->transport != TRANSPORT_FD);
    }
    for (size_t i = 0; i < t->nshares; i++)
        share_holds(&t->shares[i]);
}

static char *
printed(const struct plan *p)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    MUST(f != NULL && plan_print(p, f) == 0 && fclose(f) == 0);
    return text;
}

/* What is printed means the same and is printed the same. */
static void
prints_the_same(const struct plan *p)
{
    char *once = printed(p), *twice, *error = NULL;
    struct plan *again = NULL;
    struct plan_diff diff = {0};

    MUST(policy_parse_text("again", once, strlen(once), &again, &error) == 0);
    twice = printed(again);
    MUST(strcmp(once, twice) == 0);
    MUST(plan_diff(p, again, &diff) == 0 && diff.n == 0);
    plan_diff_done(&diff);
    plan_free(again);
    free(once);
    free(twice);
}

/* Each question has an answer with a reason. */
static void
answers(const struct plan *p, const struct plan_tenant *t, const struct plan_share *sh)
{
    static const char *const ops[] = {"read",   "write",  "mkdir",    "device",
                                      "unlink", "setuid", "setxattr", "chown"};
    static const char *const paths[] = {"", "a", "a/b", "x.pem/.ssh"};

    for (size_t i = 0; i < 4 * COUNT(ops); i++) {
        struct plan_question q = {
            .tenant = t->name, .share = sh->name, .op = ops[i / 4], .path = paths[i % 4]};
        struct plan_answer a = {0};
        char *error = NULL;

        q.xattr = strcmp(q.op, "setxattr") == 0 ? "user.a" : NULL;
        q.has_uid = sh->identity == IDENTITY_MAP || sh->identity == IDENTITY_HOST;
        if (plan_explain(p, &q, &a, &error) == 0)
            MUST(a.err >= 0 && a.why[0] != '\0' && a.file != NULL && error == NULL);
        else
            MUST(error != NULL);
        free(error);
    }
}

/* From one plan to another, and each step has a text. */
static void
changes(const struct plan *from, const struct plan *to)
{
    struct plan_diff diff = {0};
    char text[512];

    MUST(plan_diff(from, to, &diff) == 0);
    for (size_t i = 0; i < diff.n; i++) {
        text[0] = '\0';
        plan_change_text(&diff.at[i], text, sizeof(text));
        MUST(text[0] != '\0');
    }
    plan_diff_done(&diff);
}

/* What a server that runs another policy makes of this one, and back. */
static void
turns_into(const struct plan *p)
{
    static const char other[] =
        "tenant \"t\" { listen \"unix:/t\" {} share \"s\" { path = \"/s\" access = read-only }"
        " share \"gone\" { path = \"/g\" access = read-write } }\n"
        "tenant \"gone\" { listen \"unix:/g\" {} share \"s\" { path = \"/g\" access = read-only } "
        "}";
    struct plan *old = NULL;
    char *error = NULL;

    MUST(policy_parse_text("other", other, sizeof(other) - 1, &old, &error) == 0);
    changes(old, p);
    changes(p, old);
    plan_free(old);
}

/* The same bytes as the settings of one share. */
static void
share_reads(const struct plan *p, const char *text, size_t n)
{
    struct plan_share *sh = NULL;
    char *error = NULL;

    if (plan_parse_share(p, &p->tenants[0], "fuzz", text, n, &sh, &error) < 0)
        MUST(sh == NULL && error != NULL && strncmp(error, "control:", 8) == 0);
    else
        share_holds(sh);
    plan_share_free(sh);
    free(error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plan *p = NULL, *by_hand = NULL;
    char *error = NULL;
    int r;

    r = policy_parse_text("fuzz", (const char *)data, size, &p, &error);
    if (r < 0) {
        MUST(p == NULL && error != NULL && strncmp(error, "fuzz:", 5) == 0);
        MUST(strstr(error, ", expected ") != NULL);
    } else {
        MUST(r == 0 && p != NULL && error == NULL && p->ntenants > 0);
        for (size_t i = 0; i < p->ntenants; i++)
            tenant_holds(&p->tenants[i]);
        prints_the_same(p);
        answers(p, &p->tenants[0], &p->tenants[0].shares[0]);
        turns_into(p);
        share_reads(p, (const char *)data, size);
    }
    MUST(plan_new("t", &by_hand) == 0);
    share_reads(by_hand, (const char *)data, size);
    plan_free(by_hand);
    free(error);
    plan_free(p);
    return 0;
}
