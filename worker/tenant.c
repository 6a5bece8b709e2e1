/*
 * Who runs when: the queues of the worker.
 *
 * Runs in: worker.   Trusts: nobody.   Owns: shares, pools, connections.
 */
#include "worker/tenant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "ipc/log.h"
#include "worker/conn.h"
#include "worker/nine.h"
#include "worker/request.h"

#define LOCK_PAUSE_MIN 50u /* ms */
#define LOCK_PAUSE_MAX 1000u

int
tenant_init(struct tenant *t, const struct tenant_limits *l, struct fs *const *fs, size_t n)
{
    struct share *shares = calloc(n > 0 ? n : 1, sizeof(*shares));

    if (shares == NULL)
        return -ENOMEM;
    *t = (struct tenant){.limits = *l, .shares = shares, .nshares = n};
    pool_init(&t->requests, sizeof(struct request));
    pool_init(&t->fids, sizeof(struct fid));
    pool_init(&t->handles, sizeof(struct handle));
    pool_init(&t->walks, walk_size());
    pool_init(&t->owners, sizeof(struct lock_owner));
    pool_init(&t->ranges, sizeof(struct lock_range));
    pool_init(&t->places, sizeof(struct place));
    pool_init(&t->held, sizeof(struct held));
    pace_init(t);
    for (size_t i = 0; i < n; i++)
        share_init(&shares[i], fs[i], &t->handles);
    return 0;
}

void
tenant_done(struct tenant *t)
{
    if (t->conns != NULL || !tenant_is_idle(t))
        bug("the tenant is not idle at its end");
    pool_done(&t->requests);
    pool_done(&t->fids);
    pool_done(&t->handles);
    pool_done(&t->walks);
    pool_done(&t->owners);
    pool_done(&t->ranges);
    pool_done(&t->places);
    pool_done(&t->held);
    free(t->shares);
    *t = (struct tenant){.shares = NULL};
}

struct share *
tenant_share(const struct tenant *t, const void *name, size_t n)
{
    for (size_t i = 0; i < t->nshares; i++) {
        const char *have = t->shares[i].fs->name;

        if (strlen(have) == n && memcmp(have, name, n) == 0)
            return &t->shares[i];
    }
    return NULL;
}

void
tenant_progress(struct tenant *t, const struct fs *fs, uint32_t n)
{
    for (size_t i = 0; i < t->nshares; i++) {
        if (t->shares[i].fs == fs) {
            t->shares[i].payload_bytes -= n;
            t->shares[i].progress = true;
        }
    }
}

/* Let what waited for room try again, oldest first, until one waits again. */
static void
share_retry(struct share *sh)
{
    sh->progress = false;
    while (sh->waiting != NULL) {
        struct request *r = sh->waiting;
        struct conn *c = r->conn;
        int e;

        DL_DELETE(sh->waiting, r);
        e = r->step(r);
        if (e == -EAGAIN) {
            DL_PREPEND(sh->waiting, r);
            return;
        }
        c->parked--;
        conn_queue(c);
        if (e < 0)
            reply_error(r, e);
    }
    conn_wake(&sh->stalled);
}

static void
run_all(struct tenant *t)
{
    struct conn *now = t->run;

    t->run = NULL;
    while (now != NULL) {
        struct conn *c = now;

        DL_DELETE2(now, c, run_prev, run_next);
        c->queued = false;
        conn_run(c);
    }
}

static void
flush_all(struct tenant *t)
{
    struct conn *now = t->unsent;

    t->unsent = NULL;
    while (now != NULL) {
        struct conn *c = now;

        DL_DELETE2(now, c, out_prev, out_next);
        c->unsent = false;
        conn_flush(c);
    }
}

bool
tenant_round(struct tenant *t)
{
    bool again = false;

    for (size_t i = 0; i < t->nshares; i++) {
        if (t->shares[i].progress)
            share_retry(&t->shares[i]);
        if (t->shares[i].lock_due)
            nine_lock_retry(&t->shares[i]);
    }
    if (t->paced)
        pace_round(t);
    if (t->progress) {
        t->progress = false;
        conn_wake(&t->stalled);
    }
    run_all(t);
    for (size_t i = 0; i < t->nshares; i++)
        share_release(&t->shares[i]);
    flush_all(t);
    for (size_t i = 0; i < t->nshares; i++) {
        const struct share *sh = &t->shares[i];

        again |= sh->progress && (sh->waiting != NULL || sh->stalled != NULL);
    }
    return again || t->run != NULL || (t->progress && t->stalled != NULL);
}

void
tenant_waits(struct tenant *t)
{
    if (t->locks_waiting++ == 0)
        t->lock_at = UINT64_MAX;
    t->lock_pause = 0;
}

int
tenant_pause(struct tenant *t, uint64_t now)
{
    if (t->locks_waiting == 0)
        return -1;
    if (t->lock_pause == 0) {
        t->lock_pause = LOCK_PAUSE_MIN;
        if (t->lock_at > now + LOCK_PAUSE_MIN)
            t->lock_at = now + LOCK_PAUSE_MIN;
    }
    if (now < t->lock_at)
        return (int)(t->lock_at - now);
    for (size_t i = 0; i < t->nshares; i++)
        nine_lock_wake(&t->shares[i], 0);
    t->lock_pause = t->lock_pause < LOCK_PAUSE_MAX / 2 ? t->lock_pause * 2 : LOCK_PAUSE_MAX;
    t->lock_at = now + t->lock_pause;
    return 0;
}

void
tenant_close_all(struct tenant *t)
{
    for (struct conn *c = t->conns; c != NULL; c = c->next)
        conn_close(c);
}

bool
tenant_is_idle(const struct tenant *t)
{
    for (size_t i = 0; i < t->nshares; i++) {
        if (!share_is_quiet(&t->shares[i]))
            return false;
    }
    return t->requests.live == 0 && t->fids.live == 0 && t->handles.live == 0 &&
           t->walks.live == 0 && t->places.live == 0 && t->owners.live == 0 &&
           t->ranges.live == 0 && t->held.live == 0;
}
