/*
 * The one Boot message of a child: everything it needs to know, and its fds
 * in the order that ipc/boot.proto gives.
 *
 * Runs in: broker.   Trusts: the plan.
 * Owns: nothing beyond a call; the fds stay with offers and doors.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/broker.h"
#include "ipc/fd.h"
#include "ipc/limits.h"
#include "ipc/log.h"
#include "sandbox/share_mount.h"

struct fd_list {
    int fds[CHILD_FDS_MAX];
    size_t n;
};

static void
fd_add(struct fd_list *l, int fd)
{
    if (l->n == CHILD_FDS_MAX || fd < 0)
        bug("boot: fd %d as number %zu", fd, l->n);
    l->fds[l->n++] = fd;
}

static void
fd_add_channel(struct fd_list *l, const struct offer *o)
{
    fd_add(l, o->channel_fd);
    fd_add(l, o->to_helper_fd);
    fd_add(l, o->to_worker_fd);
}

static void
sandbox_fill(Postern__V1__SandboxBoot *m, const struct child *c)
{
    const struct tenant *t = c->t;

    postern__v1__sandbox_boot__init(m);
    m->own_userns = t->b->rootless || (c->offer != NULL && c->offer->ids_count != 0);
    m->best_effort = t->plan->best_effort;
    if (c->offer != NULL) {
        m->has_ids = c->offer->ids_count != 0;
        m->ids = c->offer->ids_count;
        m->uid = c->offer->uid;
        m->gid = c->offer->gid;
    } else if (!t->b->rootless) {
        m->uid = m->gid = child_id(c->slot);
    } else {
        m->uid = geteuid();
        m->gid = getegid();
    }
}

static int
boot_send_one(const struct child *c, Postern__V1__WorkerBoot *worker,
              Postern__V1__HelperBoot *helper, const struct fd_list *l)
{
    Postern__V1__Boot boot = POSTERN__V1__BOOT__INIT;
    Postern__V1__SandboxBoot sandbox;

    sandbox_fill(&sandbox, c);
    boot.version = BOOT_VERSION;
    boot.tenant = c->t->plan->name;
    boot.sandbox = &sandbox;
    boot.worker = worker;
    boot.helper = helper;
    return boot_send(c->sock, &boot, l->fds, l->n);
}

/* The list of a HelperBoot. */
struct below_list {
    Postern__V1__SubmountBoot at[SUBMOUNTS_MAX];
    Postern__V1__SubmountBoot *p[SUBMOUNTS_MAX];
};

/* What is mounted below now; when there is nothing, there is nothing to do
 * about it either. */
static int
below_fill(struct below_list *l, const struct offer *o, Postern__V1__HelperBoot *helper)
{
    static struct submounts found;
    int r;

    if (o->plan->submounts == SUBMOUNTS_REFUSE)
        return 0;
    r = share_submounts(o->plan->path, o->root_fd, &found);
    if (r < 0 || !found.any)
        return r;
    helper->has_submounts = true;
    helper->submounts = o->plan->submounts;
    if (o->plan->submounts != SUBMOUNTS_CROSS)
        return 0;
    for (size_t i = 0; i < found.n; i++) {
        postern__v1__submount_boot__init(&l->at[i]);
        l->at[i].dev = found.at[i].dev;
        l->at[i].ino = found.at[i].ino;
        l->at[i].number = found.at[i].number;
        l->p[i] = &l->at[i];
    }
    helper->n_below = found.n;
    helper->below = l->p;
    return 0;
}

/* The table of groups as a message. */
struct groups_list {
    Postern__V1__GroupsBoot *at; /* owned; what they point to is the plan's */
    Postern__V1__GroupsBoot **p; /* owned */
};

static void
groups_done(struct groups_list *l)
{
    free(l->at);
    free(l->p);
}

static int
identity_fill(struct groups_list *l, const struct offer *o, Postern__V1__HelperBoot *helper)
{
    const struct plan_share *plan = o->plan;

    helper->has_identity = true;
    helper->identity = plan->identity;
    helper->has_ids = o->ids_count != 0;
    helper->ids = o->ids_count;
    helper->has_allow_devices = true;
    helper->allow_devices = plan->identity == IDENTITY_HOST && plan->allow_devices;
    helper->has_has_groups = true;
    helper->has_groups = o->acts && plan->has_groups;
    if (helper->has_groups == 0 || plan->ngroups == 0)
        return 0;
    l->at = calloc(plan->ngroups, sizeof(*l->at));
    l->p = calloc(plan->ngroups, sizeof(Postern__V1__GroupsBoot *));
    if (l->at == NULL || l->p == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < plan->ngroups; i++) {
        postern__v1__groups_boot__init(&l->at[i]);
        l->at[i].uid = plan->groups[i].uid;
        l->at[i].n_gids = plan->groups[i].ngids;
        l->at[i].gids = plan->groups[i].gids;
        l->p[i] = &l->at[i];
    }
    helper->n_groups = plan->ngroups;
    helper->groups = l->p;
    return 0;
}

static int
boot_helper(const struct child *c)
{
    const struct offer *o = c->offer;
    const struct plan_share *plan = o->plan;
    Postern__V1__HelperBoot helper = POSTERN__V1__HELPER_BOOT__INIT;
    struct fd_list l = {.n = 0};
    static struct below_list below; /* too large for a stack */
    _clean(clean_fd) int mount_fd = offer_mount(o);
    _clean(groups_done) struct groups_list groups = {0};
    int r;

    if (mount_fd < 0)
        return log_errno(mount_fd, "share %s: mount %s", plan->name, plan->path);
    r = below_fill(&below, o, &helper);
    if (r < 0)
        return log_errno(r, "share %s: what is mounted below %s", plan->name, plan->path);
    r = identity_fill(&groups, o, &helper);
    if (r < 0)
        return log_errno(r, "share %s: its groups", plan->name);
    helper.share = plan->name;
    helper.read_only = plan->access == ACCESS_READ_ONLY;
    helper.present_uid = plan->has_present ? plan->present_uid : o->owner_uid;
    helper.present_gid = plan->has_present ? plan->present_gid : o->owner_gid;
    helper.allow_set_id = plan->allow_set_id;
    helper.has_xattrs = true;
    helper.xattrs = plan->xattrs;
    helper.nodes = c->t->plan->limits.nodes;
    helper.open_files = c->t->plan->limits.open_files;
    helper.n_hide = plan->hide.n;
    helper.hide = plan->hide.at;
    helper.n_only = plan->only.n;
    helper.only = plan->only.at;
    helper.n_protect = plan->protect.n;
    helper.protect = plan->protect.at;
    fd_add(&l, mount_fd);
    fd_add_channel(&l, o);
    return boot_send_one(c, NULL, &helper, &l);
}

/* The arrays of a WorkerBoot; everything else is borrowed from the plan. */
struct worker_lists {
    Postern__V1__ListenerBoot listeners[LISTENERS_PER_TENANT_MAX];
    Postern__V1__ListenerBoot *listener_p[LISTENERS_PER_TENANT_MAX];
    size_t nlisteners;
    Postern__V1__ShareBoot shares[SHARES_PER_TENANT_MAX];
    Postern__V1__ShareBoot *share_p[SHARES_PER_TENANT_MAX];
    size_t nshares;
};

static void
listener_fill(struct worker_lists *w, const struct door *d, struct fd_list *l)
{
    Postern__V1__ListenerBoot *m = &w->listeners[w->nlisteners];

    postern__v1__listener_boot__init(m);
    m->address = d->plan->address;
    m->connected = d->connected;
    w->listener_p[w->nlisteners++] = m;
    fd_add(l, d->fd);
}

void
share_boot_fill(Postern__V1__ShareBoot *m, struct offer *o)
{
    m->name = o->plan->name;
    m->read_only = o->plan->access == ACCESS_READ_ONLY;
    m->id = o->id;
    m->has_ids = o->ids_count != 0;
    m->ids = o->ids_count;
}

static void
share_fill(struct worker_lists *w, struct offer *o, struct fd_list *l)
{
    Postern__V1__ShareBoot *m = &w->shares[w->nshares];

    postern__v1__share_boot__init(m);
    share_boot_fill(m, o);
    w->share_p[w->nshares++] = m;
    fd_add_channel(l, o);
}

static void
worker_lists_fill(struct worker_lists *w, struct tenant *t, struct fd_list *l)
{
    size_t nshares = shares_number(t);

    for (struct door *d = t->doors; d != NULL; d = d->next) {
        if (w->nlisteners == LISTENERS_PER_TENANT_MAX)
            bug("tenant %s: policy let too many listeners through", t->plan->name);
        if (door_is_open(d))
            listener_fill(w, d, l);
    }
    while (w->nshares < nshares)
        share_fill(w, t->numbered[w->nshares], l);
}

static int
boot_worker(const struct child *c)
{
    const struct plan_tenant *plan = c->t->plan;
    Postern__V1__WorkerBoot worker = POSTERN__V1__WORKER_BOOT__INIT;
    struct fd_list l = {.n = 0};
    struct worker_lists lists = {.nlisteners = 0, .nshares = 0};
    int r;

    worker_lists_fill(&lists, c->t, &l);
    worker.n_listeners = lists.nlisteners;
    worker.listeners = lists.listener_p;
    worker.n_shares = lists.nshares;
    worker.shares = lists.share_p;
    worker.connections = plan->limits.connections;
    worker.fids = plan->limits.fids;
    worker.in_flight = plan->limits.in_flight;
    worker.msize = plan->limits.msize;
    worker.has_read_rate = worker.has_write_rate = worker.has_metadata_rate = true;
    worker.read_rate = plan->limits.read_rate;
    worker.write_rate = plan->limits.write_rate;
    worker.metadata_rate = plan->limits.metadata_rate;
    r = boot_send_one(c, &worker, NULL, &l);
    for (struct door *d = c->t->doors; d != NULL && r == 0; d = d->next)
        r = door_handed_over(d);
    return r;
}

int
boot_child(const struct child *c)
{
    return c->offer != NULL ? boot_helper(c) : boot_worker(c);
}
