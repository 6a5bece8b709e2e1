/*
 * What a tenant's processes may use together: its cgroup.
 *
 * Runs in: broker.   Trusts: the plan.
 * Owns: the groups "tenant-NAME", for as long as the tenant is there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/broker.h"
#include "ipc/fd.h"
#include "ipc/limits.h"
#include "ipc/log.h"

#define GROUP_NAME_ROOM 128

static const char *
group_name(const struct tenant *t)
{
    static char name[GROUP_NAME_ROOM];

    (void)snprintf(name, sizeof(name), "tenant-%s", t->plan->name);
    return name;
}

/* A worker, and for each share a helper with its threads. */
static int
enough_processes(const struct tenant *t)
{
    const struct plan_tenant *p = t->plan;
    size_t needs = 1 + p->nshares * (1 + HELPER_THREADS);

    if (p->limits.processes == 0 || p->limits.processes >= needs)
        return 0;
    return broker_refuse(-ERANGE, p->file, p->line,
                         "tenant %s: processes = %u, expected at least %zu: one, and %d for each "
                         "share",
                         p->name, p->limits.processes, needs, 1 + HELPER_THREADS);
}

/* No group to be had. */
static int
without(struct tenant *t, int r)
{
    const struct plan_tenant *p = t->plan;

    t->no_cgroup = p->best_effort;
    if (t->no_cgroup) {
        log_warn("tenant %s: runs WITHOUT its limits memory, processes and cpu-weight: %s; goes "
                 "on, as sandbox = best-effort allows",
                 p->name, t->b->cgroups.why);
        return 0;
    }
    return broker_refuse(r, p->file, p->line,
                         "tenant %s: memory, processes and cpu-weight need a cgroup that is left "
                         "to posternd: %s; start it by systemd with Delegate=yes, or alone in a "
                         "cgroup of its own, or set sandbox = best-effort to run without them",
                         p->name, t->b->cgroups.why);
}

void
limits_end(struct tenant *t)
{
    int r;

    if (t->cgroup_fd < 0)
        return;
    clean_fd(&t->cgroup_fd);
    r = cgroup_remove(&t->b->cgroups, group_name(t));
    if (r < 0)
        (void)log_errno(r, "tenant %s: remove its cgroup", t->plan->name);
}

int
limits_begin(struct tenant *t)
{
    const struct plan_limits *p = &t->plan->limits;
    const struct cgroup_limits l = {p->memory, p->processes, p->cpu_weight};
    int r;

    limits_end(t); /* a reload may have changed them */
    if ((t->no_cgroup && t->plan->best_effort) || !cgroup_needed(&l))
        return 0;
    r = enough_processes(t);
    if (r < 0)
        return r;
    r = cgroup_base(&t->b->cgroups, &l);
    if (r == 0)
        r = cgroup_make(&t->b->cgroups, group_name(t), &l);
    if (r < 0)
        return without(t, r);
    t->cgroup_fd = r;
    return 0;
}

bool
limits_oom(struct tenant *t)
{
    return t->cgroup_fd >= 0 && cgroup_oom_kills(t->cgroup_fd) > 0;
}
