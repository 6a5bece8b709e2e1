/*
 * A broker without its processes.
 *
 * Runs in: tests and fuzz targets.   Trusts: the test.
 * Owns: the broker, and our ends of what its children would have.
 */
#include "tests/lib/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

#include "broker/reload.h"
#include "ipc/boot.h"
#include "ipc/fd.h"
#include "sandbox/share_mount.h"
#include "sandbox/spawn.h"
#include "tests/lib/must.h"

#define TURNS 64 /* more than anything needs that comes to an end */

static struct stage *the_stage;

/* --- in the place of the kernel --------------------------------------------------- */

int __wrap_spawn_child(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd);
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *si, int options);
int __wrap_share_mount_clone(int root_fd, const struct share_mount *m);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *n);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *n);
void __wrap_announce(const struct broker *b);
__attribute__((noreturn)) void __wrap_bug(const char *fmt, ...);

void
__wrap_bug(const char *fmt, ...)
{
    (void)fmt;
    abort();
}

void
__wrap_announce(const struct broker *b)
{
    (void)b;
}

int
__wrap_share_mount_clone(int root_fd, const struct share_mount *m)
{
    (void)m;
    return fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
}

int
__wrap_spawn_child(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd)
{
    static pid_t pid = 1000000;
    struct kid *k = the_stage->kids;

    while (k < the_stage->kids + STAGE_KIDS && k->there)
        k++;
    if (k == the_stage->kids + STAGE_KIDS || the_stage->fail_spawns > 0) {
        the_stage->fail_spawns -= the_stage->fail_spawns > 0;
        return -EAGAIN;
    }
    *k = (struct kid){.there = true,
                      .pidfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                      .sock = fcntl(s->boot_fd, F_DUPFD_CLOEXEC, 3)};
    k->end_fd = fcntl(k->pidfd, F_DUPFD_CLOEXEC, 3);
    MUST(k->pidfd >= 0 && k->sock >= 0 && k->end_fd >= 0);
    *ret_pid = ++pid;
    *ret_pidfd = k->pidfd;
    return 0;
}

int
__wrap_waitid(idtype_t type, id_t id, siginfo_t *si, int options)
{
    struct kid *k = the_stage->kids;

    MUST(type == P_PIDFD);
    while (k < the_stage->kids + STAGE_KIDS && !(k->there && k->pidfd == (int)id))
        k++;
    MUST(k < the_stage->kids + STAGE_KIDS);
    if ((options & WNOHANG) == 0)
        kid_ends(k, CLD_KILLED, SIGKILL); /* it was killed before */
    *si = (siginfo_t){0};
    if (!k->ended)
        return 0;
    si->si_pid = 1;
    si->si_code = k->si_code;
    si->si_status = k->status;
    clean_fd(&k->sock);
    clean_fd(&k->end_fd);
    k->there = false;
    return 0;
}

/* Who is at the other end is what the test says. */
int
__wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *n)
{
    int r = __real_getsockopt(fd, level, name, value, n);

    if (r < 0 || level != SOL_SOCKET || the_stage == NULL)
        return r;
    if (name == SO_PEERCRED) {
        struct ucred *cred = value;

        cred->uid = the_stage->caller;
        cred->gid = the_stage->caller_gid;
    } else if (name == SO_PEERGROUPS) {
        *n = 0;
    }
    return r;
}

/* --- children --------------------------------------------------------------------- */

struct child *
stage_child(struct stage *st, const struct kid *k)
{
    for (struct tenant *t = st->b.tenants; t != NULL && k->there; t = t->next) {
        if (t->worker.pidfd == k->pidfd)
            return &t->worker;
        for (struct offer *o = t->offers; o != NULL; o = o->next)
            if (o->helper.pidfd == k->pidfd)
                return &o->helper;
    }
    return NULL;
}

/* What it was told is not read, but taken. */
static void
kid_hears(const struct kid *k)
{
    static uint8_t bytes[65536];

    while (recv(k->sock, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

void
kid_says_bytes(struct kid *k, const void *p, size_t n)
{
    kid_hears(k);
    (void)send(k->sock, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
kid_says(struct kid *k, const Postern__V1__FromChild *m)
{
    uint8_t bytes[1024];

    MUST(postern__v1__from_child__get_packed_size(m) <= sizeof(bytes));
    kid_says_bytes(k, bytes, postern__v1__from_child__pack(m, bytes));
}

void
kid_is_ready(struct stage *st, struct kid *k)
{
    const struct child *c = stage_child(st, k);

    if (c != NULL)
        (void)ready_send(k->sock, child_profile(c), 5, UINT32_MAX);
}

void
kid_ends(struct kid *k, int si_code, int status)
{
    static const uint64_t one = 1;

    if (k->ended)
        return;
    k->ended = true;
    k->si_code = si_code;
    k->status = status;
    MUST(write(k->end_fd, &one, sizeof(one)) == sizeof(one));
}

/* A worker serves what it should. */
static void
worker_serves(struct kid *k, const struct tenant *t)
{
    Postern__V1__ShareServed served = POSTERN__V1__SHARE_SERVED__INIT;
    Postern__V1__ShareOver over = POSTERN__V1__SHARE_OVER__INIT;

    for (const struct offer *o = t->offers; o != NULL; o = o->next) {
        Postern__V1__FromChild m = POSTERN__V1__FROM_CHILD__INIT;

        if (o->number < 0)
            continue;
        served.share = over.share = (uint32_t)o->number;
        if (o->leaving)
            m.share_over = &over;
        else if (o->state == SHARE_JOINING)
            m.share_served = &served;
        if (m.share_over != NULL || m.share_served != NULL)
            kid_says(k, &m);
    }
}

static bool
kid_settles(struct stage *st, struct kid *k)
{
    const struct child *c = stage_child(st, k);

    if (c == NULL)
        return false;
    kid_hears(k);
    if (c->unwanted || c->verdict != 0) {
        kid_ends(k, CLD_KILLED, SIGKILL);
        return true;
    }
    if (!c->ready) {
        kid_is_ready(st, k);
        return true;
    }
    if (c->offer == NULL && c->t->state == TENANT_SERVING)
        worker_serves(k, c->t);
    return false;
}

void
stage_settle(struct stage *st)
{
    bool more = true;

    for (int turn = 0; more && turn < 8; turn++) {
        more = false;
        for (size_t i = 0; i < STAGE_KIDS; i++)
            more |= kid_settles(st, &st->kids[i]);
        stage_turn(st);
    }
}

/* --- time -------------------------------------------------------------------------- */

static void
fire(struct event *timer)
{
    if (evtimer_pending(timer, NULL))
        event_active(timer, EV_TIMEOUT, 1);
}

void
stage_time_passes(struct stage *st)
{
    for (struct tenant *t = st->b.tenants; t != NULL; t = t->next)
        for (struct offer *o = t->offers; o != NULL; o = o->next)
            fire(o->timer);
    stage_turn(st);
    for (struct tenant *t = st->b.tenants; t != NULL; t = t->next)
        fire(t->timer);
    stage_turn(st);
}

void
stage_turn(struct stage *st)
{
    for (int i = 0; i < 4; i++)
        (void)event_base_loop(st->b.base, EVLOOP_NONBLOCK);
}

/* --- begin and end ------------------------------------------------------------------ */

static void
tenants_begin(struct broker *b)
{
    for (size_t i = 0; i < b->plan->ntenants; i++) {
        struct tenant *t = calloc(1, sizeof(*t));

        MUST(t != NULL);
        LL_APPEND(b->tenants, t);
        MUST(tenant_load(t, b, &b->plan->tenants[i]) == 0);
        for (struct door *d = t->doors; d != NULL; d = d->next)
            MUST(door_open(d) == 0);
        for (struct offer *o = t->offers; o != NULL; o = o->next)
            MUST(offer_identity(o, b->rootless, o->helper.slot) == 0);
    }
}

struct stage *
stage_begin(const char *policy_file, bool rootless)
{
    struct stage *st = calloc(1, sizeof(*st));
    struct broker *b;
    char *why = NULL;

    MUST(st != NULL && the_stage == NULL);
    the_stage = st;
    b = &st->b;
    *b = (struct broker){.rootless = rootless,
                         .host_root = -1,
                         .worker_exe = -1,
                         .helper_exe = -1,
                         .cgroups.fd = -1};
    MUST(plan_load(policy_file, &b->plan, &why) == 0);
    b->host_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    b->base = event_base_new();
    MUST(b->base != NULL && b->host_root >= 0);
    MUST(broker_timers(b) == 0);
    tenants_begin(b);
    MUST(control_open(b) == 0);
    for (struct tenant *t = b->tenants; t != NULL; t = t->next)
        tenant_start(t);
    return st;
}

static bool
all_down(const struct broker *b)
{
    for (const struct tenant *t = b->tenants; t != NULL; t = t->next)
        if (t->state != TENANT_DOWN)
            return false;
    return true;
}

void
stage_stop(struct stage *st)
{
    broker_stop(&st->b, 0);
    for (int i = 0; !all_down(&st->b) && i < TURNS; i++) {
        for (size_t k = 0; k < STAGE_KIDS; k++)
            if (st->kids[k].there)
                kid_ends(&st->kids[k], CLD_KILLED, SIGKILL);
        stage_turn(st);
    }
    MUST(all_down(&st->b));
    for (size_t k = 0; k < STAGE_KIDS; k++)
        MUST(!st->kids[k].there);
}

void
stage_end(struct stage *st)
{
    struct broker *b = &st->b;
    struct tenant *t, *next;

    control_close(b);
    LL_FOREACH_SAFE(b->tenants, t, next)
    {
        LL_DELETE(b->tenants, t);
        tenant_done(t);
        free(t);
    }
    reload_sweep(b);
    MUST(b->old_plans == NULL);
    cgroup_base_done(&b->cgroups);
    event_free(b->sweep);
    event_free(b->overdue);
    event_free(b->turn);
    event_base_free(b->base);
    clean_fd(&b->host_root);
    plan_free(b->plan);
    free(st);
    the_stage = NULL;
}
