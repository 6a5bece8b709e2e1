/*
 * Everything the connections of this worker share: the shares, the pools,
 * the limits, and the queues that decide who runs next.
 */
#ifndef POSTERN_WORKER_TENANT_H
#define POSTERN_WORKER_TENANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/pace.h"
#include "worker/pool.h"
#include "worker/share.h"

struct tenant_limits {
    uint32_t connections;
    uint32_t fids;                  /* per connection */
    uint32_t in_flight;             /* requests of all connections together */
    uint32_t msize;                 /* bytes; MSIZE_MIN..MSIZE_MAX */
    uint64_t read_rate, write_rate; /* bytes of file data a second; 0: no limit */
    uint32_t metadata_rate;         /* operations without file data a second; 0: no limit */
};

struct tenant {
    struct tenant_limits limits;
    struct share *shares; /* utlist; all there are, owned; also those that are GONE */
    struct share *by_number[SHARES_PER_TENANT_MAX]; /* borrowed; none that is GONE */
    uint32_t tombs;                                 /* shares that are GONE */
    uint64_t serial;                                /* of the last share that came */
    struct fs_root *root_fs;                        /* owned through root */
    struct share *root;                             /* borrowed; the aggregate root, a share too */
    struct pool requests, fids, handles, walks, places, owners, ranges, held;
    struct conn *conns;   /* utlist (prev, next); all of them, owned */
    struct conn *run;     /* utlist (run_prev, run_next); may have something to do */
    struct conn *unsent;  /* utlist (out_prev, out_next); have output to write */
    struct conn *stalled; /* utlist (stall_prev, stall_next); no request slot was left */
    uint32_t nconns;
    uint32_t expecting; /* requests whose guests are yet to send all of them */
    /* Tell conn_event() when c can be written again, or no longer; may be NULL. */
    void (*watch_output)(void *loop, struct conn *c, bool on);
    void *loop;    /* borrowed; for watch_output */
    bool progress; /* a request slot came free while somebody was stalled */

    bool paced;   /* some rate is set */
    uint64_t now; /* ns on any clock that only goes forward; for the rates alone */
    struct pace pace[PAYS_ENDS];

    uint32_t locks_waiting; /* requests in shares' lockers */
    unsigned lock_pause;    /* ms until those are tried again; 0: somebody came since the last */
    uint64_t lock_at;       /* ms on the caller's clock; UINT64_MAX: not set */
};

/* With the shares fs[0..n), numbered in this order, without ids. They are the
 * tenant's from now on, until fs_end(). 0 or -ENOMEM. */
int tenant_init(struct tenant *t, const struct tenant_limits *l, struct fs *const *fs, size_t n);
/* Every connection must be gone (tenant_close_all(), then rounds). */
void tenant_done(struct tenant *t);

/*
 * One more share, which guests find at once. 0: fs is the tenant's until
 * fs_end(). Else it stays the caller's: -EEXIST: the number, the name or the
 * id is in use; -ENOMEM.
 */
int tenant_share_add(struct tenant *t, uint32_t number, struct fs *fs, const char *id);
/* Nobody finds it any more; who has something of it goes on. The number is one
 * in use. */
void tenant_share_leaves(struct tenant *t, uint32_t number);
/* After that: all that guests hold of it and ask of it is ESTALE, and who waits
 * is told so; the number is free. It ends with the last that refers to it. */
void tenant_share_cut(struct tenant *t, uint32_t number);

/* The share that can be attached by that name or id; NULL: none. */
struct share *tenant_share(const struct tenant *t, const void *name, size_t n);

/*
 * One turn: every connection that may have something to do reads, parses and
 * submits; what waited for room tries again; handles go back; output goes
 * out. True when there is more to do at once, without any event.
 */
bool tenant_round(struct tenant *t);

/* Somebody waits for a lock now. */
void tenant_waits(struct tenant *t);
/*
 * Locks that programs of the host let go of make no event: those who wait are
 * tried again after a pause that grows. now: ms on any clock that only goes
 * forward. How long to sleep at most, ms: 0, the next round has something to
 * do; -1, nobody waits.
 */
int tenant_pause(struct tenant *t, uint64_t now);

void tenant_close_all(struct tenant *t);
/* Nothing of any guest is left: the state after start. For tests and bug(). */
bool tenant_is_idle(const struct tenant *t);

#endif
