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

#include "broker/broker.h"
#include "ipc/log.h"

static const bool may_go[TENANT_STATES_END][TENANT_STATES_END] = {
    [TENANT_DOWN] = {[TENANT_HELPERS] = true},
    [TENANT_HELPERS] = {[TENANT_WORKER] = true, [TENANT_ENDING] = true},
    [TENANT_WORKER] = {[TENANT_SERVING] = true, [TENANT_ENDING] = true},
    [TENANT_SERVING] = {[TENANT_ENDING] = true},
    [TENANT_ENDING] = {[TENANT_RESTING] = true, [TENANT_DOWN] = true},
    [TENANT_RESTING] = {[TENANT_HELPERS] = true, [TENANT_DOWN] = true},
};

static const char *const state_name[TENANT_STATES_END] = {
#define STATE(name) [TENANT_##name] = #name,
    TENANT_STATES(STATE)
#undef STATE
};

/* The only assignment to t->state in the program. */
static void
tenant_go(struct tenant *t, enum tenant_state to)
{
    if (!may_go[t->state][to])
        bug("tenant %s: %s -> %s", t->plan->name, state_name[t->state], state_name[to]);
    t->state = to;
}

static void
timer_set(struct tenant *t, unsigned seconds)
{
    const struct timeval tv = {.tv_sec = (time_t)seconds};

    if (event_add(t->timer, &tv) < 0)
        bug("tenant %s: no timer", t->plan->name);
}

static void
channels_close(struct tenant *t)
{
    for (size_t i = 0; i < t->plan->nshares; i++)
        offer_channel_close(&t->offers[i]);
}

/* --- ending ------------------------------------------------------------------- */

static bool
all_dead(const struct tenant *t)
{
    for (size_t i = 0; i < t->plan->nshares; i++)
        if (child_lives(&t->helpers[i]))
            return false;
    return !child_lives(&t->worker);
}

static void
tenant_rest(struct tenant *t)
{
    if (t->b->stopping || tenant_over(t)) {
        tenant_go(t, TENANT_DOWN);
        broker_look(t->b);
        return;
    }
    tenant_go(t, TENANT_RESTING);
    log_warn("tenant %s: starts again in %u s", t->plan->name, t->backoff);
    timer_set(t, t->backoff);
    t->backoff = t->backoff * 2 > BACKOFF_MOST ? BACKOFF_MOST : t->backoff * 2;
}

void
tenant_end(struct tenant *t)
{
    if (t->state == TENANT_DOWN || t->state == TENANT_ENDING)
        return;
    event_del(t->timer);
    if (t->state == TENANT_RESTING) {
        tenant_go(t, TENANT_DOWN);
        broker_look(t->b);
        return;
    }
    if (t->state == TENANT_SERVING && broker_now() - t->since >= BACKOFF_FORGOTTEN)
        t->backoff = BACKOFF_FIRST;
    tenant_go(t, TENANT_ENDING);
    channels_close(t);
    child_kill(&t->worker);
    for (size_t i = 0; i < t->plan->nlistens; i++)
        door_worker_ended(&t->doors[i]);
    for (size_t i = 0; i < t->plan->nshares; i++)
        child_kill(&t->helpers[i]);
    if (all_dead(t))
        tenant_rest(t);
}

/* It could not start: at the broker's own start nothing is served by halves. */
static void
start_failed(struct tenant *t, int code)
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
    tenant_go(t, TENANT_HELPERS);
    timer_set(t, START_SECONDS);
    for (size_t i = 0; i < t->plan->nshares; i++) {
        if (offer_channel(&t->offers[i]) < 0 || child_spawn(&t->helpers[i]) < 0) {
            start_failed(t, EXIT_WORLD);
            return;
        }
    }
}

static bool
helpers_ready(const struct tenant *t)
{
    for (size_t i = 0; i < t->plan->nshares; i++)
        if (!t->helpers[i].ready || !child_lives(&t->helpers[i]))
            return false;
    return true;
}

static void
say_serving(const struct tenant *t)
{
    char text[LOG_LINE_ROOM];
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < t->plan->nshares && n < sizeof(text); i++)
        n += (size_t)snprintf(
            text + n, sizeof(text) - n, "%s%s (%s)", i == 0 ? "" : ", ", t->plan->shares[i].name,
            t->plan->shares[i].access == ACCESS_READ_ONLY ? "read-only" : "read-write");
    for (size_t i = 0; i < t->plan->nlistens && n < sizeof(text); i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i == 0 ? " on " : ", ",
                              door_address(&t->doors[i]));
    log_info("tenant %s: serves %s", t->plan->name, text);
}

static void
tenant_serve(struct tenant *t)
{
    tenant_go(t, TENANT_SERVING);
    event_del(t->timer);
    channels_close(t);
    t->since = broker_now();
    say_serving(t);
    broker_look(t->b);
}

/* The worker comes last: nobody is served before every helper is locked in. */
void
tenant_child_ready(struct tenant *t)
{
    if (t->state == TENANT_HELPERS && helpers_ready(t)) {
        tenant_go(t, TENANT_WORKER);
        if (child_spawn(&t->worker) < 0)
            start_failed(t, EXIT_WORLD);
    } else if (t->state == TENANT_WORKER && t->worker.ready) {
        tenant_serve(t);
    }
}

static const struct child *
not_ready(const struct tenant *t)
{
    for (size_t i = 0; i < t->plan->nshares; i++)
        if (!t->helpers[i].ready)
            return &t->helpers[i];
    return &t->worker;
}

static void
on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct tenant *t = ctx;

    (void)fd;
    (void)what;
    if (t->state == TENANT_RESTING) {
        tenant_start(t);
        return;
    }
    log_error("%s: was not ready within %d s", child_name(not_ready(t)), START_SECONDS);
    start_failed(t, EXIT_WORLD);
}

/* --- a child's end -------------------------------------------------------------- */

/* The other shares go on; this one answers EIO from now on. */
static void
share_gone(struct tenant *t, const struct child *c)
{
    Postern__V1__ShareGone gone = POSTERN__V1__SHARE_GONE__INIT;
    Postern__V1__ToChild m = POSTERN__V1__TO_CHILD__INIT;
    int r;

    gone.share = (uint32_t)(c->offer - t->offers);
    m.share_gone = &gone;
    r = to_child_send(t->worker.sock, &m);
    if (r == 0) {
        log_warn("tenant %s: share %s answers EIO until the tenant starts again", t->plan->name,
                 c->offer->plan->name);
        return;
    }
    (void)log_errno(r, "tenant %s: tell its worker that share %s is gone", t->plan->name,
                    c->offer->plan->name);
    tenant_end(t);
}

void
tenant_child_ended(struct tenant *t, const struct child *c, int code)
{
    if (t->state == TENANT_ENDING) {
        if (all_dead(t))
            tenant_rest(t);
    } else if (t->state != TENANT_SERVING) {
        start_failed(t, code);
    } else if (c->offer == NULL || code == EXIT_VIOLATION) {
        /* a helper that saw a violation says that the worker is broken */
        tenant_end(t);
        if (tenant_over(t))
            broker_tenant_over(t->b, code);
    } else {
        share_gone(t, c);
    }
}

bool
tenant_over(const struct tenant *t)
{
    for (size_t i = 0; i < t->plan->nlistens; i++)
        if (door_is_open(&t->doors[i]))
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
        int one = offer_open(&t->offers[i], &t->plan->shares[i]);

        r = r == 0 ? one : r; /* go on: whoever corrects a policy wants all of it */
    }
    return r;
}

int
tenant_load(struct tenant *t, struct broker *b, const struct plan_tenant *plan, unsigned *slot)
{
    *t = (struct tenant){.b = b, .plan = plan, .backoff = BACKOFF_FIRST};
    t->offers = calloc(plan->nshares, sizeof(*t->offers));
    t->helpers = calloc(plan->nshares, sizeof(*t->helpers));
    t->doors = calloc(plan->nlistens, sizeof(*t->doors));
    child_init(&t->worker, t, NULL, (*slot)++);
    if (t->offers == NULL || t->helpers == NULL || t->doors == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < plan->nlistens; i++)
        door_init(&t->doors[i], t, &plan->listens[i]);
    for (size_t i = 0; i < plan->nshares; i++)
        child_init(&t->helpers[i], t, &t->offers[i], (*slot)++);
    t->timer = evtimer_new(b->base, on_timer, t);
    return t->timer == NULL ? -ENOMEM : offers_load(t);
}

void
tenant_done(struct tenant *t)
{
    if (t->plan == NULL)
        return;
    for (size_t i = 0; t->doors != NULL && i < t->plan->nlistens; i++)
        door_done(&t->doors[i]);
    for (size_t i = 0; t->offers != NULL && i < t->plan->nshares; i++)
        offer_done(&t->offers[i]);
    if (t->timer != NULL)
        event_free(t->timer);
    free(t->doors);
    free(t->offers);
    free(t->helpers);
}
