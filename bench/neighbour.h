/*
 * One tenant's guest is loud, another's is measured: neighbour.c measures,
 * loud.c is loud.
 */
#ifndef POSTERN_BENCH_NEIGHBOUR_H
#define POSTERN_BENCH_NEIGHBOUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/bench.h"

struct loud;

/* Whose guest is loud. */
enum loud_tenant {
    LOUD_COUNTED, /* limits that the worker and its helper count */
    LOUD_RATED,   /* the same, and rates */
    LOUD_GROUPED, /* the same, and those of a cgroup */
    LOUD_TENANTS
};

/* One thing that the loud guest does. */
struct loud_act {
    const char *name;
    int (*go)(struct loud *l); /* returns only -errno; -ERANGE: no limit was met */
    const char *work;          /* of a workload: its name, */
    size_t conns;
    unsigned depth;
    uint64_t first; /* and the operations before it is loud */
    enum loud_tenant in;
};
extern const struct loud_act loud_acts[];
extern const size_t nloud_acts;

struct loud {
    const struct loud_act *act;
    const char *address, *aname; /* borrowed */
    int ready;                   /* owned; an int comes from it once: 0 it is loud, -errno not */
};
/* In a process of its own, which ends when the parent does. */
_Noreturn void loud_go(struct loud *l);

/* The workload of that name, which there is. */
const struct workload *workload_find(const char *name);

#endif
