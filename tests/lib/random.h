/*
 * Chance that a seed repeats, on every machine: Marsaglia's xorshift. The seed
 * is not 0.
 */
#ifndef POSTERN_TESTS_RANDOM_H
#define POSTERN_TESTS_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/must.h"

/* SEED of the environment or a new one, which is said, so that a run can be had again. */
static inline uint64_t
random_seed(void)
{
    uint64_t seed = given("SEED", (uint64_t)time(NULL) << 20 | (unsigned)getpid());

    (void)printf("SEED=%llu\n", (unsigned long long)seed);
    return seed | 1;
}

static inline uint64_t
random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static inline uint32_t
random_below(uint64_t *seed, uint32_t below)
{
    return (uint32_t)(random_next(seed) >> 32) % below;
}

#endif
