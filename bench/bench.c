/*
 * bench [-r ROUNDS] [-m MSIZE] [-w WORKLOAD] [-j FILE] NAME,ADDRESS,ANAME,PID...
 *
 * Runs each workload on each server in turn, round after round (A,B,A,B...),
 * so that a busy machine hurts all alike, and prints medians with their
 * spread and the ratio of the first server to each other one: above 1 the
 * first is better. CPU is that of all processes below PID.
 *
 * Runs in: bench.   Trusts: its command line.   Owns: the connections.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "bench/bench.h"

#define SERVERS_MAX 6
#define ROUNDS_MAX 101
#define TARGET_NS 60000000ull /* of one measurement */
#define PIDS_MAX 256

struct server {
    const char *name;
    struct load load;
    pid_t pids[PIDS_MAX];
    size_t npids;
    double ns[ROUNDS_MAX], cpu[ROUNDS_MAX]; /* per operation or MiB */
};

static struct server servers[SERVERS_MAX];
static size_t nservers;
static unsigned rounds = 9;
static uint32_t msize = (1u << 20) + 24;
static const char *only, *json_file;
static json_t *json_rows;

static uint64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* q in 0..1 of sorted v. */
static double
quantile(const double *v, double q)
{
    return v[(size_t)(q * (rounds - 1) + 0.5)];
}

/* One measurement; ns and cpu per unit of work. */
static void
measure(struct server *s, const struct workload *w, unsigned depth, uint64_t ops, double *ns,
        double *cpu)
{
    uint64_t bytes = s->load.bytes, c0 = cpu_ns(s->pids, s->npids), t0 = now_ns(), t1;
    double units = (double)ops;
    int r = load_run(&s->load, w, depth, ops);

    if (r < 0) {
        fprintf(stderr, "bench: %s: %s depth %u: %s\n", s->name, w->name, depth, strerror(-r));
        exit(1);
    }
    t1 = now_ns();
    if (w->moves_bytes)
        units = (double)(s->load.bytes - bytes) / (1 << 20);
    *ns = (double)(t1 - t0) / units;
    *cpu = (double)(cpu_ns(s->pids, s->npids) - c0) / units;
}

/* How many operations take about TARGET_NS. */
static uint64_t
calibrate(struct server *s, const struct workload *w, unsigned depth)
{
    uint64_t ops = depth * 4u;

    for (;;) {
        uint64_t t0 = now_ns(), took;
        double ns, cpu;

        measure(s, w, depth, ops, &ns, &cpu);
        took = now_ns() - t0;
        if (took > TARGET_NS / 2 || ops > 4000000)
            return ops;
        ops *= took < TARGET_NS / 8 ? 4 : 2;
    }
}

static json_t *
json_result(const struct server *s)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:f}", "server", s->name, "ns", quantile(s->ns, 0.5),
                     "ns_p25", quantile(s->ns, 0.25), "ns_p75", quantile(s->ns, 0.75), "cpu_ns",
                     quantile(s->cpu, 0.5));
}

static void
report(const struct workload *w, unsigned depth)
{
    json_t *results = json_array();

    for (size_t i = 0; i < nservers; i++) {
        struct server *s = &servers[i], *first = &servers[0];

        qsort(s->ns, rounds, sizeof(double), by_value);
        qsort(s->cpu, rounds, sizeof(double), by_value);
        printf("%-16s %5u  %-10s %9.2f us [%8.2f %8.2f] %8.2f us", i == 0 ? w->name : "", depth,
               s->name, quantile(s->ns, 0.5) / 1e3, quantile(s->ns, 0.25) / 1e3,
               quantile(s->ns, 0.75) / 1e3, quantile(s->cpu, 0.5) / 1e3);
        if (i > 0)
            printf("   speed x%.2f  cpu x%.2f", quantile(s->ns, 0.5) / quantile(first->ns, 0.5),
                   quantile(first->cpu, 0.5) / quantile(s->cpu, 0.5));
        printf("\n");
        json_array_append_new(results, json_result(s));
    }
    fflush(stdout);
    json_array_append_new(
        json_rows, json_pack("{s:s, s:i, s:s, s:o}", "workload", w->name, "depth", (int)depth,
                             "unit", w->moves_bytes ? "MiB" : "operation", "results", results));
}

static void
run(const struct workload *w, unsigned depth)
{
    uint64_t ops[SERVERS_MAX];

    for (size_t i = 0; i < nservers; i++)
        ops[i] = calibrate(&servers[i], w, depth);
    for (unsigned r = 0; r < rounds; r++)
        for (size_t i = 0; i < nservers; i++)
            measure(&servers[i], w, depth, ops[i], &servers[i].ns[r], &servers[i].cpu[r]);
    report(w, depth);
}

static void
add_server(char *spec)
{
    struct server *s = &servers[nservers];
    char *rest, *name = strtok_r(spec, ",", &rest);
    const char *address = strtok_r(NULL, ",", &rest), *aname = strtok_r(NULL, ",", &rest);
    const char *pid = strtok_r(NULL, ",", &rest);
    int r;

    if (pid == NULL || nservers == SERVERS_MAX) {
        fprintf(stderr, "bench: want NAME,ADDRESS,ANAME,PID\n");
        exit(2);
    }
    s->name = name;
    r = load_open(&s->load, address, aname, msize);
    if (r < 0) {
        fprintf(stderr, "bench: %s: %s: %s\n", name, address, strerror(-r));
        exit(1);
    }
    s->npids = process_tree((pid_t)strtol(pid, NULL, 10), s->pids, PIDS_MAX);
    printf("%s: msize %u, %zu processes\n", name, nc_msize(s->load.c), s->npids);
    nservers++;
}

static void
options(int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "r:m:w:j:")) != -1) {
        if (c == 'r')
            rounds = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'm')
            msize = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 'w')
            only = optarg;
        else if (c == 'j')
            json_file = optarg;
        else
            exit(2);
    }
    if (rounds == 0 || rounds > ROUNDS_MAX || optind == argc) {
        fprintf(stderr, "usage: bench [-r ROUNDS] [-m MSIZE] [-w WORKLOAD] [-j FILE] SERVER...\n");
        exit(2);
    }
}

int
main(int argc, char **argv)
{
    static const unsigned depths[] = {1, 8, 32}, byte_depths[] = {1, 4};

    options(argc, argv);
    for (int i = optind; i < argc; i++)
        add_server(argv[i]);
    json_rows = json_array();
    printf("%-16s %5s  %-10s %12s %19s %11s\n", "workload", "depth", "server", "per op/MiB",
           "[quartiles]", "cpu");
    for (size_t i = 0; i < nworkloads; i++) {
        const struct workload *w = &workloads[i];

        for (size_t k = 0; k < (w->moves_bytes ? 2u : 3u); k++)
            if (only == NULL || strcmp(only, w->name) == 0)
                run(w, w->moves_bytes ? byte_depths[k] : depths[k]);
    }
    if (json_file != NULL && json_dump_file(json_rows, json_file, JSON_INDENT(1)) < 0)
        return 1;
    json_decref(json_rows);
    for (size_t i = 0; i < nservers; i++)
        load_close(&servers[i].load);
    return 0;
}
