/*
 * The life of one share: its helper, and what the worker knows of it, while
 * its tenant starts, serves and ends.
 *
 * Runs in: broker.   Trusts: nothing a child says but its exit status; a
 * number that a worker names is looked up.
 * Owns: the tenant's list of offers and their timers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/control.h"
#include "ipc/log.h"

static const bool may_go[SHARE_STATES_END][SHARE_STATES_END] = {
    [SHARE_RESERVED] = {[SHARE_HELPER] = true, [SHARE_FAILED] = true},
    [SHARE_HELPER] = {[SHARE_READY] = true,
                      [SHARE_JOINING] = true,
                      [SHARE_FAILED] = true,
                      [SHARE_ENDING] = true},
    [SHARE_READY] = {[SHARE_JOINING] = true, [SHARE_FAILED] = true, [SHARE_ENDING] = true},
    [SHARE_JOINING] = {[SHARE_ADDED] = true,
                       [SHARE_FAILED] = true,
                       [SHARE_DRAINING] = true,
                       [SHARE_ENDING] = true},
    [SHARE_ADDED] = {[SHARE_FAILED] = true, [SHARE_DRAINING] = true, [SHARE_ENDING] = true},
    [SHARE_FAILED] = {[SHARE_DRAINING] = true, [SHARE_ENDING] = true},
    [SHARE_DRAINING] = {[SHARE_ENDING] = true},
    [SHARE_ENDING] = {[SHARE_RESERVED] = true, [SHARE_FAILED] = true},
};

static const char *const state_name[SHARE_STATES_END] = {
#define STATE(name) [SHARE_##name] = #name,
    SHARE_STATES(STATE)
#undef STATE
};

/* The only assignment to o->state in the program. */
static void
share_go(struct offer *o, enum share_state to)
{
    if (!may_go[o->state][to])
        bug("share %s: %s -> %s", o->plan->name, state_name[o->state], state_name[to]);
    o->state = to;
    event_del(o->timer);
}

/* The state has to end within that time. */
static void
timer_set(struct offer *o, uint64_t ms)
{
    const struct timeval tv = {.tv_sec = (time_t)(ms / 1000),
                               .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

    if (event_add(o->timer, &tv) < 0)
        bug("share %s: no timer", o->plan->name);
}

/* --- the worker's number -------------------------------------------------------- */

static void
number_give(struct offer *o, size_t number)
{
    o->t->numbered[number] = o;
    o->number = (int)number;
    o->leaving = false;
}

static void
number_void(struct offer *o)
{
    if (o->number >= 0)
        o->t->numbered[o->number] = NULL;
    o->number = -1;
    o->leaving = false;
}

static int
number_free(const struct tenant *t)
{
    for (int i = 0; i < SHARES_PER_TENANT_MAX; i++)
        if (t->numbered[i] == NULL)
            return i;
    return -1; /* share_new() counts, so a number is held by one that ends */
}

/* --- telling the worker ----------------------------------------------------------- */

/* A worker that does not even take a message in serves nobody. */
static int
told(struct offer *o, int r)
{
    if (r == 0)
        return 0;
    (void)log_errno(r, "tenant %s: tell its worker of share %s", o->t->plan->name, o->plan->name);
    tenant_end(o->t);
    return r;
}

static int
tell_added(struct offer *o)
{
    Postern__V1__ShareBoot boot = POSTERN__V1__SHARE_BOOT__INIT;
    Postern__V1__ShareAdded added = POSTERN__V1__SHARE_ADDED__INIT;
    Postern__V1__ToChild m = POSTERN__V1__TO_CHILD__INIT;
    const int fds[SHARE_FDS] = {o->channel_fd, o->to_helper_fd, o->to_worker_fd};

    share_boot_fill(&boot, o);
    added.share = (uint32_t)o->number;
    added.boot = &boot;
    m.share_added = &added;
    return told(o, to_child_send_fds(o->t->worker.sock, &m, fds, SHARE_FDS));
}

static int
tell_leaves(struct offer *o, uint32_t drain_ms)
{
    Postern__V1__ShareLeaves leaves = POSTERN__V1__SHARE_LEAVES__INIT;
    Postern__V1__ToChild m = POSTERN__V1__TO_CHILD__INIT;

    leaves.share = (uint32_t)o->number;
    leaves.drain_ms = drain_ms;
    m.share_leaves = &leaves;
    o->leaving = true;
    return told(o, to_child_send(o->t->worker.sock, &m));
}

static int
tell_gone(struct offer *o)
{
    Postern__V1__ShareGone gone = POSTERN__V1__SHARE_GONE__INIT;
    Postern__V1__ToChild m = POSTERN__V1__TO_CHILD__INIT;

    gone.share = (uint32_t)o->number;
    m.share_gone = &gone;
    return told(o, to_child_send(o->t->worker.sock, &m));
}

/* --- ending ------------------------------------------------------------------------ */

static bool
tenant_is_up(const struct tenant *t)
{
    return t->state == TENANT_HELPERS || t->state == TENANT_WORKER || t->state == TENANT_SERVING;
}

/* Its helper is dead: where that leaves it. May free it. */
static void
share_settle(struct offer *o)
{
    if (o->wanted && tenant_is_up(o->t)) {
        share_go(o, SHARE_FAILED);
        control_outcome(o, o->result, false);
        return;
    }
    control_outcome(o, o->result, true);
    if (o->result < 0)
        reservations_failed(o);
    if (o->number >= 0)
        return; /* the worker still has to say that it let go */
    share_go(o, SHARE_RESERVED);
    if (!o->wanted && o->holders == 0)
        share_free(o);
}

/* May free it. */
static void
share_end(struct offer *o)
{
    offer_channel_close(o);
    share_go(o, SHARE_ENDING);
    child_kill(&o->helper);
    if (!child_lives(&o->helper))
        share_settle(o);
}

/* Why whoever waits for it waits in vain, unless there is a reason already. */
static void
result(struct offer *o, int r, const char *text)
{
    if (o->result == 0 && o->state != SHARE_ADDED) {
        o->result = r;
        (void)snprintf(o->why, sizeof(o->why), "%s", text);
    }
}

void
share_stop(struct offer *o)
{
    number_void(o);
    result(o, -EAGAIN, "the tenant does not serve any more: try again");
    if (o->state == SHARE_RESERVED)
        return;
    if (o->state != SHARE_ENDING)
        share_end(o);
    else if (!child_lives(&o->helper))
        share_settle(o);
}

/* It could not be added while its tenant serves. May free it. */
static void
share_failed(struct offer *o)
{
    log_error("tenant %s: share %s: %s", o->t->plan->name, o->plan->name, o->why);
    if (o->number >= 0 && tell_leaves(o, 0) < 0)
        return; /* its tenant ended */
    share_end(o);
}

static void
why(struct offer *o, const char *what)
{
    o->result = -EIO;
    (void)snprintf(o->why, sizeof(o->why), "%s%s%s", what, o->helper.said[0] == '\0' ? "" : ": ",
                   o->helper.said);
}

static void
on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct offer *o = ctx;

    (void)fd;
    (void)what;
    if (o->t->state != TENANT_SERVING && o->state == SHARE_HELPER && !o->late) {
        log_warn("tenant %s: starts without share %s, whose helper is not ready after %d s",
                 o->t->plan->name, o->plan->name, LATE_SECONDS);
        o->late = true;
        timer_set(o, (START_SECONDS - LATE_SECONDS) * 1000);
        tenant_child_ready(o->t);
        return;
    }
    if (o->state == SHARE_DRAINING) {
        log_error("tenant %s: its worker did not let share %s go within %d s; taken from it",
                  o->t->plan->name, o->plan->name, START_SECONDS);
        share_end(o);
        return;
    }
    o->result = -ETIMEDOUT;
    (void)snprintf(o->why, sizeof(o->why), "%s not ready within %d s",
                   o->state == SHARE_HELPER ? "its helper was" : "the tenant's worker was",
                   START_SECONDS);
    share_failed(o);
}

void
share_leave(struct offer *o, uint32_t drain_ms)
{
    o->wanted = false;
    result(o, -ECANCELED, "it was removed meanwhile");
    if (o->state == SHARE_DRAINING && drain_ms > 0)
        return; /* the time is set */
    if (o->state == SHARE_RESERVED) {
        share_free(o);
    } else if (o->state == SHARE_ENDING) {
        if (!child_lives(&o->helper))
            share_settle(o);
    } else if (o->number < 0) {
        share_end(o);
    } else if (tell_leaves(o, drain_ms) == 0) {
        if (o->state != SHARE_DRAINING)
            share_go(o, SHARE_DRAINING);
        timer_set(o, (uint64_t)drain_ms + START_SECONDS * 1000);
    }
}

void
share_broken(struct offer *o, const char *what)
{
    why(o, what);
    log_error("tenant %s: share %s: %s", o->t->plan->name, o->plan->name, o->why);
    share_go(o, SHARE_FAILED);
    control_outcome(o, o->result, false);
}

/* --- starting ----------------------------------------------------------------------- */

int
share_recheck(const struct offer *o, char why[LOG_LINE_ROOM])
{
    const struct broker *b = o->t->b;
    int r;

    broker_refuse_into(why, LOG_LINE_ROOM);
    r = offer_recheck(o);
    if (r == 0 && b->rootless)
        r = offer_host_check(o, b->host_root);
    broker_refuse_into(NULL, 0);
    if (r < 0 && why[0] == '\0')
        (void)snprintf(why, LOG_LINE_ROOM, "%s", strerror(-r));
    return r;
}

/* Whoever added it may have taken the directory away since: then that is how
 * it failed, and the tenant is none the worse for it. */
static int
share_restart(struct offer *o)
{
    char what[LOG_LINE_ROOM];

    o->helper.said[0] = '\0'; /* that was the one before */
    if (share_recheck(o, what) < 0)
        share_broken(o, what);
    else if (share_start(o) < 0)
        share_broken(o, "its helper could not be started");
    else
        timer_set(o, LATE_SECONDS * 1000);
    return 0;
}

int
shares_start(struct tenant *t)
{
    for (struct offer *o = t->offers; o != NULL; o = o->next) {
        int r = 0;

        if (o->wanted && o->state == SHARE_RESERVED)
            r = o->own != NULL ? share_restart(o) : share_start(o);
        if (r < 0)
            return r;
    }
    return 0;
}

int
share_start(struct offer *o)
{
    int r = offer_channel(o);

    if (r == 0)
        r = child_spawn(&o->helper);
    if (r < 0) {
        offer_channel_close(o);
        return r;
    }
    o->why[0] = '\0';
    o->result = 0;
    o->late = false;
    share_go(o, SHARE_HELPER);
    if (o->t->state == TENANT_SERVING)
        timer_set(o, START_SECONDS * 1000);
    return 0;
}

/* The worker serves already: tell it of one share more. */
static void
share_join(struct offer *o)
{
    int number = number_free(o->t);

    if (number < 0) {
        why(o, "the tenant's worker holds all numbers of shares");
        share_failed(o);
        return;
    }
    number_give(o, (size_t)number);
    share_go(o, SHARE_JOINING);
    timer_set(o, START_SECONDS * 1000);
    (void)tell_added(o);
}

void
share_helper_ready(struct offer *o)
{
    if (o->state != SHARE_HELPER)
        return;
    if (o->t->state == TENANT_SERVING) {
        share_join(o);
        return;
    }
    share_go(o, SHARE_READY);
    tenant_child_ready(o->t);
}

static void
share_added(struct offer *o)
{
    share_go(o, SHARE_ADDED);
    offer_channel_close(o);
    o->wanted = true;
    reservations_served(o);
    control_outcome(o, 0, false);
}

bool
shares_ready(const struct tenant *t)
{
    for (const struct offer *o = t->offers; o != NULL; o = o->next)
        if ((o->state == SHARE_HELPER && !o->late) || (o->state == SHARE_ENDING && o->wanted))
            return false;
    return true;
}

bool
shares_dead(const struct tenant *t)
{
    for (const struct offer *o = t->offers; o != NULL; o = o->next)
        if (child_lives(&o->helper))
            return false;
    return true;
}

size_t
shares_number(struct tenant *t)
{
    size_t n = 0;

    for (struct offer *o = t->offers; o != NULL; o = o->next) {
        if (o->state != SHARE_READY)
            continue;
        number_give(o, n++);
        share_go(o, SHARE_JOINING);
    }
    return n;
}

/* One whose helper was ready only after the worker's start. */
static struct offer *
ready_late(const struct tenant *t)
{
    struct offer *o = t->offers;

    while (o != NULL && o->state != SHARE_READY)
        o = o->next;
    return o;
}

void
shares_join(struct tenant *t)
{
    struct offer *late;

    for (struct offer *o = t->offers; o != NULL; o = o->next)
        if (o->state == SHARE_JOINING)
            share_added(o);
    while (t->state == TENANT_SERVING && (late = ready_late(t)) != NULL)
        share_join(late);
}

/* --- what children say ----------------------------------------------------------------- */

/* A number that the worker was given and has not given back. */
static struct offer *
numbered(const struct tenant *t, uint32_t number)
{
    return number < SHARES_PER_TENANT_MAX ? t->numbered[number] : NULL;
}

bool
share_served(struct tenant *t, uint32_t number)
{
    struct offer *o = numbered(t, number);

    if (o == NULL || t->state != TENANT_SERVING)
        return false;
    if (o->state == SHARE_JOINING) {
        share_added(o);
        log_info("tenant %s: serves share %s", t->plan->name, o->plan->name);
        return true;
    }
    return o->leaving; /* our word and its word crossed */
}

bool
share_over(struct tenant *t, uint32_t number)
{
    struct offer *o = numbered(t, number);

    if (o == NULL || !o->leaving)
        return false;
    number_void(o);
    if (o->state == SHARE_DRAINING)
        share_end(o);
    else if (o->state == SHARE_ENDING && !child_lives(&o->helper))
        share_settle(o);
    return true;
}

/* The other shares go on; this one answers EIO from now on. */
static void
share_broke(struct offer *o)
{
    why(o, "its helper ended");
    share_go(o, SHARE_FAILED);
    if (tell_gone(o) == 0)
        log_warn("tenant %s: share %s answers EIO until the tenant starts again", o->t->plan->name,
                 o->plan->name);
}

/* The same while its tenant starts: that goes on without it. */
static void
share_lost(struct offer *o)
{
    share_broken(o, "its helper ended before the tenant served");
    if (o->number < 0)
        tenant_child_ready(o->t);
    else
        (void)tell_gone(o); /* a worker knows of it, if none that is ready */
}

void
share_helper_ended(struct offer *o, int code)
{
    struct tenant *t = o->t;

    offer_channel_close(o);
    if (o->state == SHARE_ENDING) {
        share_settle(o); /* o may be no more */
        tenant_child_ready(t);
        tenant_child_ended(t, NULL, code);
    } else if (code == EXIT_VIOLATION && o->number >= 0) {
        /* a helper that saw a violation says that the worker, which has its
         * channel, is broken */
        tenant_child_ended(t, &t->worker, code);
    } else if (o->state == SHARE_ADDED) {
        share_broke(o);
    } else if (o->state == SHARE_DRAINING) {
        (void)tell_leaves(o, 0); /* nothing is left to wait for */
    } else if (t->state == TENANT_SERVING) {
        why(o, "its helper ended before it was ready");
        share_failed(o);
    } else if (o->own != NULL) {
        share_lost(o);
    } else {
        tenant_start_failed(t, code);
    }
}

/* --- there and gone ----------------------------------------------------------------------- */

struct offer *
share_new(struct tenant *t, const struct plan_share *plan)
{
    struct offer *o = calloc(1, sizeof(*o));
    int slot = slot_take(t->b);

    if (o == NULL || slot < 0) {
        free(o);
        return NULL;
    }
    offer_init(o, plan);
    o->t = t;
    share_id(t->plan->name, plan->name, o->id);
    o->number = -1;
    child_init(&o->helper, t, o, (unsigned)slot);
    o->timer = evtimer_new(t->b->base, on_timer, o);
    LL_APPEND(t->offers, o);
    t->noffers++;
    if (o->timer != NULL)
        return o;
    share_free(o);
    return NULL;
}

void
share_free(struct offer *o)
{
    control_outcome(o, o->result, true);
    reservations_forget(o);
    broker_sweep_soon(o->t->b);
    slot_put(o->t->b, o->helper.slot);
    LL_DELETE(o->t->offers, o);
    o->t->noffers--;
    offer_done(o);
    if (o->timer != NULL)
        event_free(o->timer);
    plan_share_free(o->own);
    free(o->settings);
    free(o);
}
