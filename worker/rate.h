/*
 * A token bucket that may be overdrawn: whoever finds anything in it may take
 * all it needs, and those who come after wait until the debt is paid. So a
 * request larger than the bucket works, and over time the rate is exact.
 */
#ifndef POSTERN_WORKER_RATE_H
#define POSTERN_WORKER_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
    uint64_t per_second; /* 0: no limit, and nothing below is used */
    int64_t burst;       /* the most that is saved up: one second's worth, or least */
    int64_t have;        /* below 0: debt */
    uint64_t at;         /* ns: have is of then */
};

/* Full at first. per_second is cut to RATE_MAX; least >= 1. */
#define RATE_MAX ((uint64_t)1 << 50)
void rate_init(struct rate *r, uint64_t per_second, uint32_t least);
/* Take n if there is anything. now: ns on a clock that only goes forward. */
bool rate_take(struct rate *r, uint64_t now, uint64_t n);
/* Give back what was taken and not used. */
void rate_back(struct rate *r, uint64_t n);
/* When rate_take() will succeed if nobody takes before, ns. */
uint64_t rate_due(const struct rate *r);

#endif
