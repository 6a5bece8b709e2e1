/*
 * Any bytes as a policy: refused with a text, or a plan that holds what
 * plan.h promises.
 *
 * Runs in: a libFuzzer program, or any main() that feeds it files.
 */
#include <stdlib.h>

#include "ipc/limits.h"
#include "policy/parse.h"

#define MUST(c)                                                                                    \
    do {                                                                                           \
        if (!(c))                                                                                  \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    for (size_t i = 0; i < t->nshares; i++) {
        const struct plan_share *sh = &t->shares[i];

        MUST(sh->name != NULL && strchr(sh->name, '/') == NULL && sh->line > 0);
        MUST(sh->path != NULL && sh->path[0] == '/' && strstr(sh->path, "//") == NULL);
        MUST(strstr(sh->path, "/../") == NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plan *p = NULL;
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
    }
    free(error);
    plan_free(p);
    return 0;
}
