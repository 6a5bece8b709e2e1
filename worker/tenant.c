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
#include "worker/fs_root.h"
#include "worker/nine.h"
#include "worker/request.h"

#define LOCK_PAUSE_MIN 50u /* ms */
#define LOCK_PAUSE_MAX 1000u

static struct share *
share_new(struct tenant *t, struct fs *fs, const char *id)
{
    struct share *sh = malloc(sizeof(*sh));

    if (sh == NULL)
        return NULL;
    share_init(sh, fs, id, &t->handles);
    DL_APPEND(t->shares, sh);
    return sh;
}

static int
root_init(struct tenant *t)
{
    t->root_fs = fs_root_new(t);
    if (t->root_fs == NULL)
        return -ENOMEM;
    t->root = share_new(t, fs_root_fs(t->root_fs), NULL);
    if (t->root == NULL) {
        fs_end(fs_root_fs(t->root_fs));
        return -ENOMEM;
    }
    t->root->ino_key = 0;
    return 0;
}

int
tenant_init(struct tenant *t, const struct tenant_limits *l, struct fs *const *fs, size_t n)
{
    int r = 0;

    *t = (struct tenant){.limits = *l};
    pool_init(&t->requests, sizeof(struct request));
    pool_init(&t->fids, sizeof(struct fid));
    pool_init(&t->handles, sizeof(struct handle));
    pool_init(&t->walks, walk_size());
    pool_init(&t->owners, sizeof(struct lock_owner));
    pool_init(&t->ranges, sizeof(struct lock_range));
    pool_init(&t->places, sizeof(struct place));
    pool_init(&t->held, sizeof(struct held));
    pace_init(t);
    r = root_init(t);
    for (uint32_t i = 0; i < n && r == 0; i++)
        r = tenant_share_add(t, i, fs[i], NULL);
    return r;
}

static void
share_bury(struct tenant *t, struct share *sh)
{
    DL_DELETE(t->shares, sh);
    fs_end(sh->fs);
    free(sh);
}

void
tenant_done(struct tenant *t)
{
    if (t->conns != NULL || !tenant_is_idle(t))
        bug("the tenant is not idle at its end");
    while (t->shares != NULL)
        share_bury(t, t->shares);
    pool_done(&t->requests);
    pool_done(&t->fids);
    pool_done(&t->handles);
    pool_done(&t->walks);
    pool_done(&t->owners);
    pool_done(&t->ranges);
    pool_done(&t->places);
    pool_done(&t->held);
    *t = (struct tenant){.shares = NULL};
}

static bool
same(const char *have, const void *name, size_t n)
{
    return strlen(have) == n && memcmp(have, name, n) == 0;
}

struct share *
tenant_share(const struct tenant *t, const void *name, size_t n)
{
    struct share *sh, *by_id = NULL;

    if (n == 0)
        return NULL;
    DL_FOREACH (t->shares, sh) {
        if (sh->state != SHARE_SERVED)
            continue;
        if (same(sh->fs->name, name, n))
            return sh;
        if (same(sh->id, name, n))
            by_id = sh;
    }
    return by_id;
}

int
tenant_share_add(struct tenant *t, uint32_t number, struct fs *fs, const char *id)
{
    struct share *sh;

    if (t->by_number[number] != NULL || tenant_share(t, fs->name, strlen(fs->name)) != NULL ||
        (id != NULL && tenant_share(t, id, strlen(id)) != NULL))
        return -EEXIST;
    sh = share_new(t, fs, id);
    if (sh == NULL)
        return -ENOMEM;
    sh->number = number;
    sh->serial = ++t->serial;
    t->by_number[number] = sh;
    fs_root_changed(t->root_fs);
    return 0;
}

void
tenant_share_leaves(struct tenant *t, uint32_t number)
{
    share_go(t->by_number[number], SHARE_LEAVING);
    fs_root_changed(t->root_fs);
}

/* A guest may take its time to send the rest of a Twrite, which is for nothing. */
static void
end_half_writes(struct tenant *t, const struct share *sh)
{
    struct conn *c;

    DL_FOREACH (t->conns, c) {
        struct request *r = c->incoming;

        if (r != NULL && r->share == sh && r->got < r->count)
            reply_error(r, -ESTALE);
    }
}

void
tenant_share_cut(struct tenant *t, uint32_t number)
{
    struct share *sh = t->by_number[number];

    share_go(sh, SHARE_GONE);
    t->by_number[number] = NULL;
    t->tombs++;
    fs_revoke(sh->fs);
    pace_share_gone(t, sh);
    end_half_writes(t, sh);
    nine_lock_wake(sh, 0); /* who waits for room or a lock tries again, and hears it */
    sh->progress = true;
}

/* Those that are GONE, as soon as nothing refers to them. */
static void
bury_all(struct tenant *t)
{
    struct share *sh, *next;

    DL_FOREACH_SAFE (t->shares, sh, next) {
        if (sh->state != SHARE_GONE || !share_is_idle(sh))
            continue;
        t->tombs--;
        share_bury(t, sh);
    }
}

/* Let what waited for room try again, oldest first, until one waits again. */
static void
share_retry(struct share *sh)
{
    sh->progress = false;
    share_release(sh); /* what was let go of before they asked */
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
    bool again = false, room = false;
    struct share *sh;

    DL_FOREACH (t->shares, sh)
        room |= sh->progress;
    t->root->progress |= room; /* it asks them all */
    (void)fs_root_poll(t->root_fs, room);
    DL_FOREACH (t->shares, sh) {
        if (sh->progress)
            share_retry(sh);
        if (sh->lock_due)
            nine_lock_retry(sh);
    }
    if (t->paced)
        pace_round(t);
    if (t->progress) {
        t->progress = false;
        conn_wake(&t->stalled);
    }
    run_all(t);
    again |= fs_root_poll(t->root_fs, false);
    DL_FOREACH (t->shares, sh)
        share_release(sh);
    flush_all(t);
    DL_FOREACH (t->shares, sh)
        again |= sh->progress && (sh->waiting != NULL || sh->stalled != NULL);
    if (t->tombs > 0)
        bury_all(t);
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
    struct share *sh;

    if (t->locks_waiting == 0)
        return -1;
    if (t->lock_pause == 0) {
        t->lock_pause = LOCK_PAUSE_MIN;
        if (t->lock_at > now + LOCK_PAUSE_MIN)
            t->lock_at = now + LOCK_PAUSE_MIN;
    }
    if (now < t->lock_at)
        return (int)(t->lock_at - now);
    DL_FOREACH (t->shares, sh)
        nine_lock_wake(sh, 0);
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
    const struct share *sh;

    DL_FOREACH (t->shares, sh) {
        if (!share_is_idle(sh))
            return false;
    }
    return t->requests.live == 0 && t->fids.live == 0 && t->handles.live == 0 &&
           t->walks.live == 0 && t->places.live == 0 && t->owners.live == 0 &&
           t->ranges.live == 0 && t->held.live == 0;
}
