/*
 * Lists for the control socket: shares, tenants, processes.
 *
 * Runs in: broker.   Trusts: the kernel's /proc about its own children.
 * Owns: nothing beyond a call.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/control.h"
#include "ipc/fd.h"

#define ITEMS_MAX 64 /* of one part */
#define STATE_ROOM 16

static bool
is_asked(const char *asked, const char *name)
{
    return asked == NULL || strcmp(asked, name) == 0;
}

/* protobuf-c does not write to what it packs. */
static char *
text(const char *s)
{
    char *p;

    memcpy(&p, &s, sizeof(p));
    return p;
}

/* --- shares ------------------------------------------------------------------------ */

static const Postern__V1__ShareState states[SHARE_STATES_END] = {
    [SHARE_RESERVED] = POSTERN__V1__SHARE_STATE__SHARE_RESERVED,
    [SHARE_HELPER] = POSTERN__V1__SHARE_STATE__SHARE_RESERVED,
    [SHARE_READY] = POSTERN__V1__SHARE_STATE__SHARE_RESERVED,
    [SHARE_JOINING] = POSTERN__V1__SHARE_STATE__SHARE_RESERVED,
    [SHARE_ADDED] = POSTERN__V1__SHARE_STATE__SHARE_ADDED,
    [SHARE_FAILED] = POSTERN__V1__SHARE_STATE__SHARE_FAILED,
    [SHARE_DRAINING] = POSTERN__V1__SHARE_STATE__SHARE_DRAINING,
    [SHARE_ENDING] = POSTERN__V1__SHARE_STATE__SHARE_REMOVED,
};

/* One share and what it points to; goes out in a part of its own, since it may
 * have many reservations. */
static void
share_tell(struct answer *a, const struct offer *o)
{
    Postern__V1__ShareInfo m = POSTERN__V1__SHARE_INFO__INIT, *p = &m;
    char *holders[RESERVATIONS_MAX];

    m.tenant = o->t->plan->name;
    m.name = o->plan->name;
    m.id = text(o->id);
    m.path = o->plan->path;
    m.read_only = o->plan->access == ACCESS_READ_ONLY;
    m.identity = text(share_identity_name(o->plan->identity));
    m.state = states[o->state];
    m.in_policy = o->own == NULL;
    m.reservations = holders;
    for (struct reservation *r = o->t->reservations; r != NULL; r = r->next)
        if (r->offer == o && !r->removed && m.n_reservations < RESERVATIONS_MAX)
            holders[m.n_reservations++] = r->id;
    m.message = o->why[0] != '\0' ? text(o->why) : NULL;
    a->part.n_shares = 1;
    a->part.shares = &p;
    answer_part(a);
}

int
info_shares(struct control_conn *c, const void *query, struct answer *a)
{
    const Postern__V1__ShareQuery *q = query;
    size_t told = 0;

    for (const struct tenant *t = control_broker(c)->tenants; t != NULL; t = t->next) {
        if (t->leaving || !is_asked(q->tenant, t->plan->name) || !control_may(&c->who, t))
            continue;
        told += q->share == NULL;
        for (const struct offer *o = t->offers; o != NULL; o = o->next)
            if (is_asked(q->share, o->plan->name)) {
                share_tell(a, o);
                told++;
            }
    }
    if (told > 0 || (q->tenant == NULL && q->share == NULL))
        return 0;
    return answer_why(a, -ENOENT, "there is no such %s", q->share != NULL ? "share" : "tenant");
}

/* --- tenants ------------------------------------------------------------------------ */

static const char *const tenant_words[TENANT_STATES_END] = {
    [TENANT_DOWN] = "down",       [TENANT_WAITING] = "starting", [TENANT_HELPERS] = "starting",
    [TENANT_WORKER] = "starting", [TENANT_SERVING] = "serving",  [TENANT_ENDING] = "ending",
    [TENANT_RESTING] = "resting",
};

static void
addresses_done(Postern__V1__TenantInfo *m)
{
    while (m->n_addresses > 0)
        free(m->addresses[--m->n_addresses]);
}

static void
tenant_tell(struct answer *a, const struct tenant *t)
{
    Postern__V1__TenantInfo m = POSTERN__V1__TENANT_INFO__INIT, *p = &m;
    char *addresses[LISTENERS_PER_TENANT_MAX];

    m.name = t->plan->name;
    m.state = text(tenant_words[t->state]);
    m.addresses = addresses;
    for (const struct door *d = t->doors; d != NULL; d = d->next) {
        char *s = door_is_open(d) ? strdup(door_address(d)) : NULL;

        if (s != NULL && m.n_addresses < LISTENERS_PER_TENANT_MAX)
            addresses[m.n_addresses++] = s;
    }
    m.shares = (uint32_t)t->noffers;
    m.restarts = t->restarts;
    m.serving_seconds = t->state == TENANT_SERVING ? (uint64_t)(broker_now() - t->since) : 0;
    m.has_memory_bytes = t->cgroup_fd >= 0 && cgroup_memory(t->cgroup_fd, &m.memory_bytes) == 0;
    a->part.n_tenants = 1;
    a->part.tenants = &p;
    answer_part(a);
    addresses_done(&m);
}

int
info_tenants(struct control_conn *c, const void *query, struct answer *a)
{
    const Postern__V1__StatusQuery *q = query;
    bool any = q->tenant == NULL;

    for (const struct tenant *t = control_broker(c)->tenants; t != NULL; t = t->next)
        if (!t->leaving && is_asked(q->tenant, t->plan->name)) {
            tenant_tell(a, t);
            any = true;
        }
    return any ? 0 : answer_why(a, -ENOENT, "there is no such tenant");
}

/* --- processes ---------------------------------------------------------------------- */

/* proc(5), counted from the one behind the name in parentheses. */
enum { STAT_UTIME = 12, STAT_STIME = 13, STAT_RSS = 22 };

/* The field of that number, or 0. */
static unsigned long long
stat_field(const char *at, unsigned number)
{
    for (; number > 1 && at != NULL; number--)
        at = strchr(at + 1, ' ');
    return at == NULL ? 0 : strtoull(at, NULL, 10);
}

static void
usage_read(pid_t pid, Postern__V1__ProcessInfo *m)
{
    _clean(clean_fd) int fd = -1;
    char path[32], buf[1024];
    const char *at;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
    if (n <= 0)
        return;
    buf[n] = '\0';
    at = strrchr(buf, ')');
    at = at != NULL ? strchr(at, ' ') : NULL;
    m->rss_bytes = stat_field(at, STAT_RSS) * (unsigned long long)sysconf(_SC_PAGESIZE);
    m->cpu_usec = (stat_field(at, STAT_UTIME) + stat_field(at, STAT_STIME)) * 1000000 /
                  (unsigned long long)sysconf(_SC_CLK_TCK);
}

static void
process_tell(struct answer *a, const struct child *ch)
{
    Postern__V1__ProcessInfo m = POSTERN__V1__PROCESS_INFO__INIT, *p = &m;

    if (!child_lives(ch))
        return;
    m.tenant = ch->t->plan->name;
    m.share = ch->offer != NULL ? ch->offer->plan->name : NULL;
    m.pid = ch->pid;
    m.profile = text(child_profile(ch));
    m.uid = child_uid(ch);
    m.landlock_abi = ch->landlock_abi;
    m.layers = ch->layers;
    usage_read(ch->pid, &m);
    a->part.n_processes = 1;
    a->part.processes = &p;
    answer_part(a);
}

int
info_processes(struct control_conn *c, const void *query, struct answer *a)
{
    const Postern__V1__ProcessQuery *q = query;
    bool any = q->tenant == NULL;

    for (const struct tenant *t = control_broker(c)->tenants; t != NULL; t = t->next) {
        if (!is_asked(q->tenant, t->plan->name))
            continue;
        any = true;
        process_tell(a, &t->worker);
        for (const struct offer *o = t->offers; o != NULL; o = o->next)
            process_tell(a, &o->helper);
    }
    return any ? 0 : answer_why(a, -ENOENT, "there is no such tenant");
}
