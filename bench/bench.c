/*
 * bench [-r ROUNDS] [-m MSIZE] [-w WORKLOAD] [-d DEPTH] [-j FILE] SERVER...
 * bench floor SOCKET
 * bench neighbour ... (neighbour.c)
 * bench scale ... (scale.c)
 * bench kernel ... (kernel.c)
 *
 * SERVER is NAME,ADDRESS,ANAME,PID; NAME,ADDRESS,-,PID for one that only
 * answers getattr; or NAME,DIR for the same calls without a server.
 *
 * Runs each workload on each server in turn, round after round (A,B,A,B...),
 * so that a busy machine hurts all alike, and prints medians with their
 * spread and the ratio of the first server to each other one: above 1 the
 * first is better. CPU is that of all processes below PID; none is counted for 0.
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
#include "bench/scale.h"

#define SERVERS_MAX 6
#define ROUNDS_MAX 101
#define TARGET_NS 60000000ull /* of one measurement */
#define PIDS_MAX 256

struct server {
    const char *name, *address, *aname;
    int dir; /* of one that is none; else -1 */
    struct load load;
    uint64_t local; /* operations done there */
    pid_t pids[PIDS_MAX];
    size_t npids;
    uint64_t ops;                           /* of one measurement; 0: takes no part */
    const char *why;                        /* it takes none */
    double ns[ROUNDS_MAX], cpu[ROUNDS_MAX]; /* per operation or MiB */
};

/* One row of the result. */
struct row {
    const struct workload *w;
    size_t conns;
    unsigned depth;
};

static struct server servers[SERVERS_MAX];
static size_t nservers;
static unsigned rounds = 9;
static uint32_t msize = (1u << 20) + 24;
static unsigned only_depth; /* 0: each */
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

static int
run_local(struct server *s, const struct workload *w, uint64_t ops)
{
    while (ops-- > 0)
        if (w->local(s->dir, s->local++) < 0)
            return -errno;
    return 0;
}

/* One measurement; ns and cpu per unit of work. 0 or -errno. */
static int
measure(struct server *s, const struct row *row, uint64_t ops, double *ns, double *cpu)
{
    uint64_t bytes = s->load.bytes, c0 = cpu_ns(s->pids, s->npids), t0 = now_ns(), t1;
    double units = (double)ops;
    int r = s->dir >= 0 ? run_local(s, row->w, ops)
                        : load_run(&s->load, row->w, row->conns, row->depth, ops);

    t1 = now_ns();
    if (row->w->moves_bytes)
        units = (double)(s->load.bytes - bytes) / (1 << 20);
    *ns = (double)(t1 - t0) / units;
    *cpu = (double)(cpu_ns(s->pids, s->npids) - c0) / units;
    return r;
}

/* How many operations take about TARGET_NS. 0 or -errno. */
static int
calibrate(struct server *s, const struct row *row)
{
    for (s->ops = row->w->slow ? row->conns * row->depth : row->conns * row->depth * 4u;;) {
        uint64_t t0 = now_ns(), took;
        double ns, cpu;
        int r = measure(s, row, s->ops, &ns, &cpu);

        if (r < 0)
            return r;
        took = now_ns() - t0;
        if (took > TARGET_NS / 2 || s->ops > 4000000)
            return 0;
        s->ops *= took < TARGET_NS / 8 ? 4 : 2;
    }
}

static bool
takes_part(const struct server *s, const struct row *row)
{
    if (s->dir >= 0)
        return row->w->local != NULL && row->conns == 1 && row->depth == 1;
    return strcmp(s->aname, "-") != 0 || (row->w == &workloads[0] && row->conns == 1);
}

/* What a server cannot do is no row of it; its connections start anew. */
static void
prepare(struct server *s, const struct row *row)
{
    int r;

    s->ops = 0;
    s->why = NULL;
    if (!takes_part(s, row))
        return;
    r = calibrate(s, row);
    if (r == 0)
        return;
    s->ops = 0;
    s->why = strerror(-r);
    if (s->dir >= 0)
        return;
    load_close(&s->load);
    r = load_open(&s->load, s->address, s->aname, msize, LOAD_AGAIN);
    if (r < 0) {
        fprintf(stderr, "bench: %s: %s: %s\n", s->name, row->w->name, strerror(-r));
        exit(1);
    }
}

/* --- what is said ------------------------------------------------------------------ */

static json_t *
json_result(const struct server *s)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:f}", "server", s->name, "ns", quantile(s->ns, 0.5),
                     "ns_p25", quantile(s->ns, 0.25), "ns_p75", quantile(s->ns, 0.75), "cpu_ns",
                     quantile(s->cpu, 0.5));
}

static void
print_head(const struct row *row, bool first, const char *name)
{
    if (first)
        printf("%-16s %5zu %5u  %-10s", row->w->name, row->conns, row->depth, name);
    else
        printf("%-16s %5s %5s  %-10s", "", "", "", name);
}

static void
print_result(struct server *s, const struct server *first)
{
    qsort(s->ns, rounds, sizeof(double), by_value);
    qsort(s->cpu, rounds, sizeof(double), by_value);
    printf(" %10.2f us [%9.2f %9.2f] %9.2f us", quantile(s->ns, 0.5) / 1e3,
           quantile(s->ns, 0.25) / 1e3, quantile(s->ns, 0.75) / 1e3, quantile(s->cpu, 0.5) / 1e3);
    if (s == first || first->ops == 0)
        return;
    printf("   speed x%.2f", quantile(s->ns, 0.5) / quantile(first->ns, 0.5));
    if (s->npids > 0)
        printf("  cpu x%.2f", quantile(first->cpu, 0.5) / quantile(s->cpu, 0.5));
}

static void
report(const struct row *row)
{
    json_t *results = json_array();

    for (size_t i = 0; i < nservers; i++) {
        struct server *s = &servers[i];

        if (s->ops == 0 && s->why == NULL)
            continue;
        print_head(row, i == 0, s->name);
        if (s->ops > 0) {
            print_result(s, &servers[0]);
            json_array_append_new(results, json_result(s));
        } else {
            printf(" cannot: %s", s->why);
        }
        printf("\n");
    }
    fflush(stdout);
    json_array_append_new(
        json_rows, json_pack("{s:s, s:i, s:i, s:s, s:o}", "workload", row->w->name, "connections",
                             (int)row->conns, "depth", (int)row->depth, "unit",
                             row->w->moves_bytes ? "MiB" : "operation", "results", results));
}

static void
run(const struct row *row)
{
    for (size_t i = 0; i < nservers; i++)
        prepare(&servers[i], row);
    for (unsigned r = 0; r < rounds; r++)
        for (size_t i = 0; i < nservers; i++) {
            struct server *s = &servers[i];

            if (s->ops > 0 && measure(s, row, s->ops, &s->ns[r], &s->cpu[r]) < 0) {
                fprintf(stderr, "bench: %s: %s failed\n", s->name, row->w->name);
                exit(1);
            }
        }
    report(row);
}

/* Each workload one request at a time and deeper; some over many connections. */
static void
run_workload(const struct workload *w)
{
    static const unsigned depths[] = {1, 8, 16, 32}, few[] = {1, 4};
    static const size_t conns[] = {4, 16};
    size_t n = w->moves_bytes || w->slow ? 2 : 4;

    if (only_depth != 0) {
        run(&(struct row){w, 1, only_depth});
        return;
    }
    for (size_t i = 0; i < n; i++)
        run(&(struct row){w, 1, n == 2 ? few[i] : depths[i]});
    for (size_t i = 0; w->many_conns && i < 2; i++) {
        run(&(struct row){w, conns[i], 1});
        run(&(struct row){w, conns[i], 8});
    }
}

/* --- set-up --------------------------------------------------------------------------- */

static void
add_server(char *spec)
{
    struct server *s = &servers[nservers];
    char *rest, *name = strtok_r(spec, ",", &rest);
    const char *address = strtok_r(NULL, ",", &rest), *aname = strtok_r(NULL, ",", &rest);
    const char *pid = strtok_r(NULL, ",", &rest);
    int r;

    if (address == NULL || (aname != NULL && pid == NULL) || nservers == SERVERS_MAX) {
        fprintf(stderr, "bench: want NAME,ADDRESS,ANAME,PID or NAME,DIR\n");
        exit(2);
    }
    *s = (struct server){.name = name, .address = address, .aname = aname, .dir = -1};
    if (aname == NULL)
        r = s->dir = local_open(address);
    else
        r = load_open(&s->load, address, aname, msize,
                      strcmp(aname, "-") == 0 ? LOAD_BARE : LOAD_FIRST);
    if (r < 0) {
        fprintf(stderr, "bench: %s: %s: %s\n", name, address, strerror(-r));
        exit(1);
    }
    if (pid != NULL && strcmp(pid, "0") != 0)
        s->npids = process_tree((pid_t)strtol(pid, NULL, 10), s->pids, PIDS_MAX);
    else
        s->pids[s->npids++] = getpid();
    nservers++;
}

static void
say_servers(void)
{
    for (size_t i = 0; i < nservers; i++) {
        const struct server *s = &servers[i];

        if (s->dir < 0)
            printf("%s: msize %u, %zu processes, %.1f MiB (PSS)\n", s->name,
                   nc_msize(s->load.conns[0].c), s->npids,
                   (double)memory_bytes(s->pids, s->npids) / (1 << 20));
    }
    printf("%-16s %5s %5s  %-10s %13s %21s %12s\n", "workload", "conns", "depth", "server",
           "per op/MiB", "[quartiles]", "cpu");
}

static void
options(int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "r:m:w:d:j:")) != -1) {
        if (c == 'r')
            rounds = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'm')
            msize = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 'w')
            only = optarg;
        else if (c == 'd')
            only_depth = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'j')
            json_file = optarg;
        else
            exit(2);
    }
    if (rounds == 0 || rounds > ROUNDS_MAX || only_depth > DEPTH_MAX || optind == argc) {
        fprintf(stderr, "usage: bench [-r ROUNDS] [-m MSIZE] [-w WORKLOAD] [-d DEPTH] [-j FILE] "
                        "SERVER...\n");
        exit(2);
    }
}

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "floor") == 0)
        return floor_serve(argv[2]);
    if (argc > 1 && strcmp(argv[1], "neighbour") == 0)
        return neighbour(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "kernel") == 0)
        return kernel(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "scale") == 0)
        return scale(argc - 1, argv + 1);
    options(argc, argv);
    for (int i = optind; i < argc; i++)
        add_server(argv[i]);
    json_rows = json_array();
    say_servers();
    for (size_t i = 0; i < nworkloads; i++)
        if (only == NULL || strcmp(only, workloads[i].name) == 0)
            run_workload(&workloads[i]);
    say_servers();
    if (json_file != NULL && json_dump_file(json_rows, json_file, JSON_INDENT(1)) < 0)
        return 1;
    json_decref(json_rows);
    for (size_t i = 0; i < nservers; i++)
        load_close(&servers[i].load);
    return 0;
}
