/*
 * Requests that wait for their turn under a rate.
 *
 * Runs in: worker.   Trusts: nobody: what is paid for is what was asked, at
 * most what one message can carry.   Owns: the queues, not the requests.
 */
#include "worker/pace.h"

#include <limits.h>
#include <utlist.h>

#include "worker/conn.h"
#include "worker/request.h"
#include "worker/tenant.h"

#define MS 1000000u /* ns */

void
pace_init(struct tenant *t)
{
    const struct tenant_limits *l = &t->limits;

    rate_init(&t->pace[PAYS_READ].rate, l->read_rate, l->msize);
    rate_init(&t->pace[PAYS_WRITE].rate, l->write_rate, l->msize);
    rate_init(&t->pace[PAYS_OP].rate, l->metadata_rate, 1);
    t->paced = l->read_rate > 0 || l->write_rate > 0 || l->metadata_rate > 0;
}

bool
pace_pay(struct request *r, enum pays what, uint64_t n, int (*step)(struct request *))
{
    struct tenant *t = r->conn->tenant;
    struct pace *p = &t->pace[what];

    if (p->rate.per_second == 0 || n == 0)
        return true;
    r->pays = (uint8_t)what;
    r->paid = n;
    if (p->waiting == NULL && rate_take(&p->rate, t->now, n))
        return true;
    r->step = step;
    r->paces = true;
    r->conn->pacing++;
    DL_APPEND(p->waiting, r);
    return false;
}

void
pace_used(struct request *r, uint64_t n)
{
    if (r->paid > n)
        rate_back(&r->conn->tenant->pace[r->pays].rate, r->paid - n);
    r->paid = 0;
}

void
pace_leave(struct request *r)
{
    if (!r->paces)
        return;
    DL_DELETE(r->conn->tenant->pace[r->pays].waiting, r);
    r->paces = false;
    r->conn->pacing--;
}

bool
pace_cancel(struct request *r)
{
    if (!r->paces)
        return false;
    request_drop(r);
    return true;
}

void
pace_end(struct conn *c)
{
    struct request *next;

    for (unsigned i = 0; i < PAYS_ENDS && c->pacing > 0; i++) {
        for (struct request *r = c->tenant->pace[i].waiting; r != NULL; r = next) {
            next = r->next;
            if (r->conn == c)
                (void)pace_cancel(r);
        }
    }
}

void
pace_share_gone(struct tenant *t, const struct share *sh)
{
    struct request *next;

    for (unsigned i = 0; i < PAYS_ENDS; i++) {
        for (struct request *r = t->pace[i].waiting; r != NULL; r = next) {
            next = r->next;
            if (r->share != sh)
                continue;
            pace_leave(r);
            r->paid = 0;
            request_step(r, r->step);
        }
    }
}

void
pace_round(struct tenant *t)
{
    for (unsigned i = 0; i < PAYS_ENDS; i++) {
        struct pace *p = &t->pace[i];

        while (p->waiting != NULL && rate_take(&p->rate, t->now, p->waiting->paid)) {
            struct request *r = p->waiting;

            pace_leave(r);
            request_step(r, r->step);
        }
    }
}

int
pace_pause(const struct tenant *t)
{
    uint64_t due = UINT64_MAX;

    for (unsigned i = 0; i < PAYS_ENDS; i++) {
        const struct pace *p = &t->pace[i];

        if (p->waiting != NULL && rate_due(&p->rate) < due)
            due = rate_due(&p->rate);
    }
    if (due == UINT64_MAX)
        return -1;
    if (due <= t->now)
        return 0;
    due = (due - t->now + MS - 1) / MS;
    return due > INT_MAX ? INT_MAX : (int)due;
}
