/*
 * The rates of a tenant: who pays for what, and those who wait for their turn.
 *
 * A request that comes too early keeps its slot and its tag and waits in a
 * queue, first come first served among all connections of the tenant; its
 * reply comes later and is never another. The clock is tenant.now, ns.
 */
#ifndef POSTERN_WORKER_PACE_H
#define POSTERN_WORKER_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/rate.h"

struct conn;
struct request;
struct share;
struct tenant;

/* The column "pays" of nine.def. */
enum pays {
    PAYS_READ,  /* bytes of file data */
    PAYS_WRITE, /* the same; when they have arrived */
    PAYS_OP,    /* one operation without file data */
    PAYS_ENDS,
    PAYS_NOT = PAYS_ENDS, /* gives something back, or asks no helper */
};

struct pace {
    struct rate rate;
    struct request *waiting; /* utlist (prev, next), oldest first */
};

/* What tenant.limits says. */
void pace_init(struct tenant *t);
/*
 * Pay n for r, or wait: then step is called once it is r's turn, as
 * request_step() calls it, unless r was flushed or its connection ended. True:
 * paid, go on.
 */
bool pace_pay(struct request *r, enum pays what, uint64_t n, int (*step)(struct request *));
/* Of what r paid only n was used, or 0: it never was. */
void pace_used(struct request *r, uint64_t n);
/* r ends: it waits no longer. */
void pace_leave(struct request *r);
/* r waits: end it unanswered. False: it does not. */
bool pace_cancel(struct request *r);
/* The same for all of a connection. */
void pace_end(struct conn *c);
/* Nobody needs to wait for a share that is gone: they hear it now, for nothing. */
void pace_share_gone(struct tenant *t, const struct share *sh);
/* Let those go on whose turn it is. */
void pace_round(struct tenant *t);
/* ms until the next one's turn, 0: it is now, -1: nobody waits. */
int pace_pause(const struct tenant *t);

#endif
