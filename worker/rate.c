/*
 * Token buckets.
 *
 * Runs in: worker.   Trusts: its caller.   Owns: nothing.
 */
#include "worker/rate.h"

#define SECOND 1000000000u /* ns */

void
rate_init(struct rate *r, uint64_t per_second, uint32_t least)
{
    if (per_second > RATE_MAX)
        per_second = RATE_MAX;
    *r = (struct rate){.per_second = per_second, .burst = (int64_t)per_second};
    if (r->burst < least)
        r->burst = least;
    r->have = r->burst;
}

/* What came in since. The part of a token that is not whole yet stays in r->at. */
static void
rate_fill(struct rate *r, uint64_t now)
{
    unsigned __int128 came;

    if (now <= r->at)
        return;
    came = (unsigned __int128)(now - r->at) * r->per_second / SECOND;
    if (came >= (unsigned __int128)(r->burst - r->have)) {
        r->have = r->burst;
        r->at = now;
        return;
    }
    r->have += (int64_t)came;
    r->at += (uint64_t)((came * SECOND + r->per_second - 1) / r->per_second);
}

bool
rate_take(struct rate *r, uint64_t now, uint64_t n)
{
    if (r->per_second == 0)
        return true;
    rate_fill(r, now);
    if (r->have <= 0)
        return false;
    r->have -= (int64_t)n;
    return true;
}

void
rate_back(struct rate *r, uint64_t n)
{
    if (r->per_second == 0)
        return;
    r->have += (int64_t)n;
    if (r->have > r->burst)
        r->have = r->burst;
}

uint64_t
rate_due(const struct rate *r)
{
    unsigned __int128 ns;

    if (r->per_second == 0 || r->have > 0)
        return 0;
    ns = ((unsigned __int128)(1 - r->have) * SECOND + r->per_second - 1) / r->per_second;
    return ns > UINT64_MAX - r->at ? UINT64_MAX : r->at + (uint64_t)ns;
}
