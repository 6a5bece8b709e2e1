/*
 * The life of one tenant: its helpers, then its worker, then service; and how
 * it starts again when that ends.
 *
 * Runs in: broker.   Trusts: nothing its children say but their exit status.
 * Owns: the tenant's offers, doors and children.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/control.h"
#include "ipc/log.h"

static const bool may_go[TENANT_STATES_END][TENANT_STATES_END] = {
    [TENANT_DOWN] = {[TENANT_WAITING] = true},
    [TENANT_WAITING] = {[TENANT_HELPERS] = true, [TENANT_DOWN] = true},
    [TENANT_HELPERS] = {[TENANT_WORKER] = true, [TENANT_ENDING] = true},
    [TENANT_WORKER] = {[TENANT_SERVING] = true, [TENANT_ENDING] = true},
    [TENANT_SERVING] = {[TENANT_ENDING] = true},
    [TENANT_ENDING] = {[TENANT_RESTING] = true, [TENANT_DOWN] = true},
    [TENANT_RESTING] = {[TENANT_WAITING] = true, [TENANT_DOWN] = true},
};

static const char *const state_name[TENANT_STATES_END] = {
#define STATE(name) [TENANT_##name] = #name,
    TENANT_STATES(STATE)
#undef STATE
};

static bool
starts(enum tenant_state state)
{
    return state == TENANT_HELPERS || state == TENANT_WORKER;
}

/* The only assignment to t->state in the program. */
static void
tenant_go(struct tenant *t, enum tenant_state to)
{
    bool did = starts(t->state), does = starts(to);

    if (!may_go[t->state][to])
        bug("tenant %s: %s -> %s", t->plan->name, state_name[t->state], state_name[to]);
    t->state = to;
    t->b->starting += does && !did;
    t->b->starting -= did && !does;
    if (to == TENANT_WAITING || (did && !does))
        event_active(t->b->turn, EV_TIMEOUT, 1);
}

static void
timer_set(struct tenant *t, unsigned seconds)
{
    const struct timeval tv = {.tv_sec = (time_t)seconds};

    if (event_add(t->timer, &tv) < 0)
        bug("tenant %s: no timer", t->plan->name);
}

/* --- ending ------------------------------------------------------------------- */

static bool
all_dead(const struct tenant *t)
{
    return !child_lives(&t->worker) && shares_dead(t);
}

static void
tenant_rest(struct tenant *t)
{
    if (t->b->stopping || t->leaving || tenant_over(t)) {
        tenant_go(t, TENANT_DOWN);
        broker_look(t->b);
        return;
    }
    tenant_go(t, TENANT_RESTING);
    if (t->renew) {
        t->renew = false;
        timer_set(t, 0);
        return;
    }
    log_warn("tenant %s: starts again in %u s", t->plan->name, t->backoff);
    timer_set(t, t->backoff);
    t->backoff = t->backoff * 2 > BACKOFF_MOST ? BACKOFF_MOST : t->backoff * 2;
}

void
tenant_end(struct tenant *t)
{
    struct offer *o, *next;

    if (t->state == TENANT_DOWN || t->state == TENANT_ENDING)
        return;
    event_del(t->timer);
    if (t->state == TENANT_RESTING || t->state == TENANT_WAITING) {
        tenant_go(t, TENANT_DOWN);
        broker_look(t->b);
        return;
    }
    if (t->state == TENANT_SERVING && broker_now() - t->since >= BACKOFF_FORGOTTEN)
        t->backoff = BACKOFF_FIRST;
    tenant_go(t, TENANT_ENDING);
    child_kill(&t->worker);
    for (struct door *d = t->doors; d != NULL; d = d->next)
        door_worker_ended(d);
    LL_FOREACH_SAFE(t->offers, o, next)
    share_stop(o);
    if (all_dead(t))
        tenant_rest(t);
}

void
tenant_renew(struct tenant *t)
{
    if (t->state == TENANT_DOWN || t->state == TENANT_RESTING || t->state == TENANT_WAITING)
        return; /* it will start with whatever it then has */
    t->renew = true;
    if (t->state != TENANT_ENDING)
        log_info("tenant %s: starts anew", t->plan->name);
    tenant_end(t);
}

void
tenant_start_failed(struct tenant *t, int code)
{
    if (t->b->up)
        tenant_end(t);
    else
        broker_stop(t->b, code);
}

/* --- starting ------------------------------------------------------------------ */

void
tenant_start(struct tenant *t)
{
    t->turn = t->b->turns++;
    tenant_go(t, TENANT_WAITING);
}

static struct tenant *
longest_waiting(const struct broker *b)
{
    struct tenant *first = NULL;

    for (struct tenant *t = b->tenants; t != NULL; t = t->next)
        if (t->state == TENANT_WAITING && (first == NULL || t->turn < first->turn))
            first = t;
    return first;
}

static void
tenant_begin(struct tenant *t)
{
    tenant_go(t, TENANT_HELPERS);
    timer_set(t, START_SECONDS);
    if (limits_begin(t) < 0 || shares_start(t) < 0)
        tenant_start_failed(t, EXIT_WORLD);
    else
        tenant_child_ready(t);
}

/* All at once, a thousand tenants' children would be spawned before any is
 * heard, and be late before they had their turn on a processor. */
void
tenants_turn(struct broker *b)
{
    struct tenant *t =
        b->stopping || b->starting >= TENANTS_STARTING_MAX ? NULL : longest_waiting(b);

    if (t == NULL)
        return;
    tenant_begin(t);
    event_active(b->turn, EV_TIMEOUT, 1);
}

static const char *
access_name(enum plan_access access)
{
    return access == ACCESS_READ_ONLY ? "read-only" : "read-write";
}

static void
say_serving(const struct tenant *t)
{
    char text[LOG_LINE_ROOM];
    size_t n = 0;

    text[0] = '\0';
    for (const struct offer *o = t->offers; o != NULL && n < sizeof(text); o = o->next)
        if (o->state == SHARE_ADDED)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s (%s)", n == 0 ? "" : ", ",
                                  o->plan->name, access_name(o->plan->access));
    for (const struct door *d = t->doors; d != NULL && n < sizeof(text); d = d->next)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", d == t->doors ? " on " : ", ",
                              door_address(d));
    log_info("tenant %s: serves %s", t->plan->name, text);
}

static void
tenant_serve(struct tenant *t)
{
    tenant_go(t, TENANT_SERVING);
    event_del(t->timer);
    shares_join(t);
    t->since = broker_now();
    say_serving(t);
    broker_look(t->b);
}

/* The worker comes last: nobody is served before every helper is locked in. */
void
tenant_child_ready(struct tenant *t)
{
    if (t->state == TENANT_HELPERS && shares_ready(t)) {
        tenant_go(t, TENANT_WORKER);
        if (child_spawn(&t->worker) < 0)
            tenant_start_failed(t, EXIT_WORLD);
    } else if (t->state == TENANT_WORKER && t->worker.ready) {
        tenant_serve(t);
    }
}

static const struct child *
not_ready(const struct tenant *t)
{
    for (const struct offer *o = t->offers; o != NULL; o = o->next)
        if (o->state == SHARE_HELPER && !o->late)
            return &o->helper;
    return &t->worker;
}

static void
on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct tenant *t = ctx;

    (void)fd;
    (void)what;
    if (t->state == TENANT_RESTING) {
        t->restarts++;
        tenant_start(t);
        return;
    }
    log_error("%s: was not ready within %d s", child_name(not_ready(t)), START_SECONDS);
    tenant_start_failed(t, EXIT_WORLD);
}

/* --- a child's end -------------------------------------------------------------- */

void
tenant_child_ended(struct tenant *t, const struct child *c, int code)
{
    if (t->state == TENANT_ENDING) {
        if (all_dead(t))
            tenant_rest(t);
    } else if (c == NULL) {
        return; /* of a share that was to end */
    } else if (t->state != TENANT_SERVING) {
        tenant_start_failed(t, code);
    } else {
        tenant_end(t);
        if (tenant_over(t))
            broker_tenant_over(t->b, code);
    }
}

bool
tenant_over(const struct tenant *t)
{
    for (const struct door *d = t->doors; d != NULL; d = d->next)
        if (door_is_open(d))
            return false;
    return true;
}

void
tenant_door_closed(struct tenant *t)
{
    if (!tenant_over(t))
        return;
    tenant_end(t);
    broker_tenant_over(t->b, 0);
}

/* --- loading -------------------------------------------------------------------- */

static int
offers_load(struct tenant *t)
{
    int r = 0;

    for (size_t i = 0; i < t->plan->nshares; i++) {
        struct offer *o = share_new(t, &t->plan->shares[i]);
        int one = o != NULL ? offer_open(o) : -ENOMEM;

        if (o != NULL)
            o->wanted = true;
        r = r == 0 ? one : r; /* go on: whoever corrects a policy wants all of it */
    }
    return r;
}

static int
doors_load(struct tenant *t)
{
    for (size_t i = 0; i < t->plan->nlistens; i++) {
        struct door *d = calloc(1, sizeof(*d));

        if (d == NULL)
            return -ENOMEM;
        door_init(d, t, &t->plan->listens[i]);
        LL_APPEND(t->doors, d);
    }
    return 0;
}

int
tenant_load(struct tenant *t, struct broker *b, const struct plan_tenant *plan)
{
    int slot = slot_take(b), r;

    t->b = b;
    t->plan = plan;
    t->backoff = BACKOFF_FIRST;
    t->cgroup_fd = -1;
    child_init(&t->worker, t, NULL, slot < 0 ? CHILD_ID_BLOCK : (unsigned)slot);
    if (slot < 0)
        return -E2BIG;
    t->timer = evtimer_new(b->base, on_timer, t);
    r = t->timer == NULL ? -ENOMEM : doors_load(t);
    return r == 0 ? offers_load(t) : r;
}

void
tenant_done(struct tenant *t)
{
    struct door *d, *next;

    if (t->plan == NULL)
        return;
    LL_FOREACH_SAFE(t->doors, d, next)
    {
        door_done(d);
        free(d);
    }
    reservations_done(t);
    while (t->offers != NULL)
        share_free(t->offers);
    limits_end(t);
    if (t->timer != NULL)
        event_free(t->timer);
    if (t->worker.slot < CHILD_ID_BLOCK)
        slot_put(t->b, t->worker.slot);
}
