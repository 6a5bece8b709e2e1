/*
 * bench kernel [-j FILE] SERVER...
 *
 * Listens to a guest that works on what several servers offer, and counts what
 * each of them uses meanwhile. SERVER is NAME=PID, or NAME=@FILE,vcpu for
 * the guest's own monitor, whose process id will be in FILE: its other threads
 * count, not those that are the guest's processors.
 *
 * On stdin come lines of a guest's script (kernel.guest):
 *     @begin WORK NAME          and, when that is done,
 *     @end WORK NAME STATUS
 * others go to stderr as they are. At the end of input: for each work the
 * median wall time and CPU time under each server, and the ratios of the others
 * to the first. Above 1 the first is better.
 *
 * Runs in: bench.   Trusts: its command line, and the guest's lines for what
 * they are: text.   Owns: nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "bench/bench.h"
#include "bench/scale.h"

#define SERVERS_MAX 4u
#define WORKS_MAX 16u
#define ROUNDS_MAX 64u
#define PIDS_MAX 64u

struct series {
    double wall[ROUNDS_MAX], cpu[ROUNDS_MAX]; /* seconds */
    size_t n;
};

struct peer {
    const char *name; /* borrowed */
    pid_t root;       /* 0: not known yet */
    const char *file; /* borrowed; of the guest's monitor: where its root will be */
    double wall0, cpu0;
    struct series series[WORKS_MAX];
};

static struct peer peers[SERVERS_MAX];
static size_t npeers;
static char works[WORKS_MAX][32];
static size_t nworks;
static bool failed;

/* Of the whole process, with threads that are no more; precise, unlike stat(5). */
static double
process_cpu(pid_t pid)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return 0;
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The guest's processors are threads of its monitor. */
static uint64_t
processor_ns(pid_t pid, const char *tid)
{
    return is_called(pid, tid, "CPU ") ? thread_ns(pid, tid) : 0;
}

static void
find_root(struct peer *p)
{
    FILE *f = fopen(p->file, "re");
    char text[32];

    if (f != NULL && fgets(text, sizeof(text), f) != NULL)
        p->root = (pid_t)strtol(text, NULL, 10);
    if (f != NULL)
        fclose(f);
}

static double
peer_cpu(struct peer *p)
{
    pid_t pids[PIDS_MAX];
    size_t n;
    double sum = 0;

    if (p->file != NULL) {
        find_root(p);
        return process_cpu(p->root) - (double)sum_threads(&p->root, 1, processor_ns) / 1e9;
    }
    n = process_tree(p->root, pids, PIDS_MAX);
    for (size_t i = 0; i < n; i++)
        sum += process_cpu(pids[i]);
    return sum;
}

/* --- the guest's lines --------------------------------------------------------------------- */

static struct peer *
peer_of(const char *name)
{
    for (size_t i = 0; i < npeers; i++)
        if (strcmp(peers[i].name, name) == 0)
            return &peers[i];
    return NULL;
}

/* Its place in works, which it takes if it is new; WORKS_MAX: there is none. */
static size_t
work_of(const char *name)
{
    size_t i = 0;

    while (i < nworks && strcmp(works[i], name) != 0)
        i++;
    if (i == nworks && i < WORKS_MAX)
        (void)snprintf(works[nworks++], sizeof(works[0]), "%s", name);
    return i;
}

static void
begin(struct peer *p)
{
    p->cpu0 = peer_cpu(p);
    p->wall0 = scale_now();
}

static void
end(struct peer *p, size_t work, const char *status)
{
    struct series *s = &p->series[work];
    double wall = scale_now() - p->wall0;

    if (strcmp(status, "0") != 0) {
        fprintf(stderr, "bench: %s on %s ended with status %s\n", works[work], p->name, status);
        failed = true;
    } else if (s->n < ROUNDS_MAX) {
        s->wall[s->n] = wall;
        s->cpu[s->n++] = peer_cpu(p) - p->cpu0;
    }
}

static void
hear(void)
{
    char line[512], work[32], name[32], status[16];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        int n = sscanf(line, "@%*[a-z] %31s %31s %15s", work, name, status);
        struct peer *p = line[0] == '@' && n >= 2 ? peer_of(name) : NULL;
        size_t w = p == NULL ? WORKS_MAX : work_of(work);

        if (w == WORKS_MAX)
            fputs(line, stderr);
        else if (strncmp(line, "@begin ", 7) == 0)
            begin(p);
        else if (n == 3)
            end(p, w, status);
    }
}

/* --- what is said ---------------------------------------------------------------------------- */

static json_t *
report_one(struct series *s, const struct peer *p, double wall, double cpu)
{
    double w = scale_median(s->wall, s->n), c = scale_median(s->cpu, s->n);

    printf("  %-10s %8.3f s  %8.3f s CPU", p->name, w, c);
    if (p != &peers[0])
        printf("   speed x%.2f  cpu x%.2f", w / wall, c / cpu);
    printf("\n");
    return json_pack("{s:s, s:f, s:f, s:f, s:f}", "server", p->name, "wall_s", w, "cpu_s", c,
                     "wall_min_s", s->wall[0], "wall_max_s", s->wall[s->n - 1]);
}

static void
report(json_t *rows)
{
    for (size_t w = 0; w < nworks; w++) {
        json_t *results = json_array();
        struct series *first = &peers[0].series[w];
        double wall = 0, cpu = 0;

        printf("%s\n", works[w]);
        for (size_t i = 0; i < npeers; i++) {
            struct series *s = &peers[i].series[w];

            if (s->n > 0)
                json_array_append_new(results, report_one(s, &peers[i], wall, cpu));
            if (s == first && s->n > 0) {
                wall = s->wall[s->n / 2];
                cpu = s->cpu[s->n / 2];
            }
        }
        json_array_append_new(rows, json_pack("{s:s, s:I, s:o}", "work", works[w], "rounds",
                                              (json_int_t)first->n, "results", results));
    }
}

static int
parse(int argc, char **argv, const char **ret_json)
{
    int c;

    while ((c = getopt(argc, argv, "j:")) != -1)
        if (c == 'j')
            *ret_json = optarg;
        else
            return -EINVAL;
    for (; optind < argc && npeers < SERVERS_MAX; optind++) {
        char *pid = strchr(argv[optind], '='), *rest;

        if (pid == NULL)
            return -EINVAL;
        *pid++ = '\0';
        peers[npeers].name = argv[optind];
        if (*pid == '@')
            peers[npeers].file = strtok_r(pid + 1, ",", &rest);
        else
            peers[npeers].root = (pid_t)strtol(pid, NULL, 10);
        npeers++;
    }
    return npeers == 0 || optind < argc ? -EINVAL : 0;
}

int
kernel(int argc, char **argv)
{
    const char *json_file = NULL;
    json_t *rows = json_array();

    if (parse(argc, argv, &json_file) < 0) {
        fprintf(stderr, "usage: bench kernel [-j FILE] NAME=PID|NAME=@FILE,vcpu...\n");
        return 2;
    }
    hear();
    report(rows);
    if (json_file != NULL && json_dump_file(rows, json_file, JSON_INDENT(1)) < 0)
        failed = true;
    json_decref(rows);
    return failed || nworks == 0 ? 1 : 0;
}
