/*
 * What a person types next: the mount command of every share at every address.
 *
 * Runs in: broker.   Trusts: the plan.   Owns: nothing.
 */
#include <stdio.h>

#include "broker/broker.h"

static void
mount_command(const struct tenant *t, const struct door *d, const char *share)
{
    unsigned msize = t->plan->limits.msize;

    if (d->plan->transport == TRANSPORT_UNIX)
        printf("  mount -t 9p -o trans=unix,version=9p2000.L,aname=%s,msize=%u %s /mnt\n", share,
               msize, d->plan->path);
    else
        printf("  mount -t 9p -o trans=tcp,port=%u,version=9p2000.L,aname=%s,msize=%u %s /mnt\n",
               d->port, share, msize, d->plan->host);
}

static void
announce_tenant(const struct tenant *t)
{
    printf("tenant %s, to mount:\n", t->plan->name);
    for (size_t i = 0; i < t->plan->nshares; i++)
        for (size_t j = 0; j < t->plan->nlistens; j++)
            mount_command(t, &t->doors[j], t->plan->shares[i].name);
    if (t->plan->nlistens > 0 && t->plan->nshares > 0)
        printf("to look without mounting:\n  postern ls -l %s %s\n", door_address(&t->doors[0]),
               t->plan->shares[0].name);
}

void
announce(const struct broker *b)
{
    for (size_t i = 0; i < b->plan->ntenants; i++)
        announce_tenant(&b->tenants[i]);
    puts("Mount option cache=mmap where programs map files for writing; the default, cache=none,\n"
         "shows what the host changes at once. Ctrl-C ends the service.");
    (void)fflush(stdout);
}
